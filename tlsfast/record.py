# SPDX-License-Identifier: Apache-2.0
"""RecordReader and RecordWriter: wire bytes to record contents and back, over the C record protection (RFC 8446, 5; RFC 8449).

Reader and writer share nothing, so one thread may read while another writes. The writer's lock covers seal, append, key change and wipe: wire order
is sequence order."""

from __future__ import annotations

import threading
from typing import Any, Final

from tlsfast._native import ffi, lib
from tlsfast.crypto import KeySchedule, Secret, Suite, check, owned
from tlsfast.errors import (
    ApiMisuse,
    BadRecordMac,
    InternalError,
    LimitExceeded,
    NotTLS,
    RecordOverflow,
    TLSError,
    UnexpectedMessage,
)
from tlsfast.registry import ContentType

# One call opens or seals at most this much; the scratch buffer below bounds it. Larger pieces cost fewer joins, whose pages are new each time.
PIECE: Final = 1024 * 1024
_ROOM: Final = PIECE + 16640 + 256
# The largest record on the wire (RFC 5246, 6.2.3), with its header.
_RECORD: Final = 5 + 2**14 + 2048
# A sealed piece: its records' headers, inner types and tags, for the smallest record_size_limit (64) too.
_SEALED_ROOM: Final = PIECE + 29 * (PIECE // 4096 + 2)


class _Scratch:
    """A thread's output buffer for the C calls: what is in it becomes bytes before the next call.

    busy: a signal handler, or a finalizer that the collector runs, may use another connection between a C call and the copy of what it wrote."""

    __slots__ = ("busy", "cap", "opened", "out", "sealed", "view")

    def __init__(self) -> None:
        self.busy = False
        self.cap: int = max(_ROOM, _SEALED_ROOM)
        self.out: Any = ffi.new("uint8_t[]", self.cap)
        self.view: Any = ffi.buffer(self.out, self.cap)  # a slice of it is bytes
        self.opened: Any = ffi.new("tf_opened *")
        self.sealed: Any = ffi.new("tf_sealed *")


class _Local(threading.local):
    """Each thread's scratch: the C calls run without the GIL."""

    def __init__(self) -> None:
        self.scratch = _Scratch()


_local = _Local()
_from_buffer = ffi.from_buffer
_record_open = lib.tf_record_open
_record_open_data = lib.tf_record_open_data
_record_seal = lib.tf_record_seal
_record_seal_data = lib.tf_record_seal_data
_new = ffi.new
_reader_use = lib.tf_record_reader_use
_writer_use = lib.tf_record_writer_use


def _copy(ask: Any, context: Any) -> Secret:
    """A copy of a context's traffic secret; empty where the context answers an error, so after a wipe."""
    secret = Secret()
    ask(context, secret.handle)
    return secret


def _writable(out: memoryview) -> Any:
    return _from_buffer("uint8_t[]", out, require_writable=True)


class ReceiveBuffer:
    """Memory that a transport reads wire bytes into, for any number of connections in turn: RecordReader.lend opens records straight from it."""

    __slots__ = ("pointer", "view")

    def __init__(self, size: int) -> None:
        self.view = memoryview(bytearray(size))
        self.pointer: Any = _from_buffer(self.view)


# What one call opened: application data, then the type (0: none) and content of at most one record that is not, and whether that one was protected.
Opened = tuple[bytes, int, bytes, bool]


class RecordReader:
    """Opens the peer's records. Bytes that make no whole record yet stay here, at most one record's worth once drained."""

    __slots__ = (
        "_buffer",
        "_context",
        "_later",
        "_lent",
        "_need",
        "_offset",
        "_opened",
        "buffered",
        "suite",
    )

    def __init__(self) -> None:
        self._context = owned(lib.tf_record_reader_new(), lib.tf_record_reader_free)
        self._buffer = b""
        self._lent: ReceiveBuffer | None = None  # in place of _buffer, until keep()
        self._offset = 0
        self._later: list[bytes] = []  # what came after the buffer: joined to it once the next record is whole
        self._need = 0  # bytes that the next record lacks
        self._opened: Opened | None = None  # what open_data found beside data, for open()
        self.buffered = 0  # wire bytes that wait
        self.suite: Suite | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Take wire bytes; nothing is opened yet. bytes are kept as they are when nothing else waits."""
        wire = data if type(data) is bytes else bytes(memoryview(data))
        if self.buffered:
            self._later.append(wire)
        else:
            self._buffer, self._offset = wire, 0
        self.buffered += len(wire)
        self._need -= len(wire)

    def copy_waiting(self, view: memoryview) -> int:
        """Copy the waiting wire bytes to the beginning of view, if they are no more than a record's worth, and tell how many."""
        if not 0 < self.buffered <= _RECORD:
            return 0
        self._join()
        view[: self.buffered] = memoryview(self._buffer)[self._offset :]
        return self.buffered

    def lend(self, buffer: ReceiveBuffer, length: int, waiting: int) -> None:
        """Open from the first length bytes of a buffer that others use too, until keep(); its first waiting ones are those of copy_waiting."""
        if waiting != self.buffered:
            self.feed(buffer.view[waiting:length])
            return
        self._later.clear()
        self._lent, self._offset, self.buffered = buffer, 0, length
        self._need += waiting - length

    def keep(self) -> None:
        """The lent buffer goes back: copy what makes no whole record yet."""
        lent = self._lent
        if lent is not None:
            self._lent = None
            self._buffer = bytes(lent.view[self._offset : self._offset + self.buffered]) if self.buffered else b""
            self._offset = 0

    @property
    def needed(self) -> int:
        """Bytes that the next record lacks; of one that has not begun, those of its header (RFC 8446, 5.1)."""
        return max(self._need, 1) if self.buffered else 5

    def _join(self) -> None:
        self.keep()
        if self._later:
            self._buffer = b"".join((memoryview(self._buffer)[self._offset :], *self._later))
            self._offset = 0
            self._later.clear()

    def peek(self, length: int) -> bytes:
        """The first waiting wire bytes, for the words of an error."""
        self._join()
        return self._buffer[self._offset : self._offset + length]

    def take_rest(self) -> bytes:
        """All waiting wire bytes, removed: what came after close_notify."""
        rest = self.peek(self.buffered)
        self._drop()
        return rest

    def _drop(self) -> None:
        self._buffer, self._lent, self._offset, self.buffered, self._need = b"", None, 0, 0, 0
        self._later.clear()

    def open_into(self, wire: bytes | bytearray | memoryview, out: memoryview) -> int:
        """open_data straight into out: how many bytes stand there. 0: wire was fed, and open() goes on."""
        if self.buffered:
            self.feed(wire)
            return 0
        r = _new("tf_opened *")
        target = _writable(out)
        length = len(wire)
        source = wire if wire.__class__ is bytes else _from_buffer(wire)
        size: int = _record_open_data(self._context, target, len(out), source, length, r)
        if size <= 0:
            self._buffer, self._offset, self.buffered = bytes(wire), 0, length
            if size == 0 or r.data_len:  # open() meets an error without data again
                self._opened = self._account(size, length, r, out)
        return max(size, 0)

    def open_data(self, wire: bytes) -> bytes | None:
        """feed and open in one for most of what comes: the content of wire if it is whole records of application data and nothing else waits.

        None: wire was fed, and open() goes on."""
        scratch = _local.scratch
        if self.buffered or scratch.busy:
            self.feed(wire)
            return None
        scratch.busy = True
        try:
            length = len(wire)
            size = _record_open_data(self._context, scratch.out, scratch.cap, wire, length, scratch.opened)
            if size > 0:
                data: bytes = scratch.view[:size]
                return data
            self._buffer, self._offset, self.buffered = wire, 0, length
            if size == 0 or scratch.opened.data_len:  # open() meets an error without data again
                self._opened = self._account(size, length, scratch.opened, scratch.view)
            return None
        finally:
            scratch.busy = False

    def open(self, max_records: int = 0) -> Opened | None:
        """Open whole records in order (max_records 0: as many as fit); None when none is whole.

        A fault that follows good data in one call is raised by the next call: the C reader answers it for ever."""
        opened, self._opened = self._opened, None
        if opened is not None:
            return opened
        if self._need > 0 or not self.buffered:
            return None
        lent = self._lent
        if lent is None and self._later:
            self._join()
        length = self.buffered
        scratch = _local.scratch
        if scratch.busy:
            scratch = _Scratch()
        scratch.busy = True
        try:
            source: Any = self._buffer if lent is None else lent.pointer
            if self._offset:
                source = (_from_buffer(source) if lent is None else source) + self._offset
            code = _record_open(self._context, scratch.out, scratch.cap, source, length, max_records, scratch.opened)
            return self._account(code, length, scratch.opened, scratch.view)
        finally:
            scratch.busy = False

    def _account(self, code: int, length: int, r: Any, out: Any) -> Opened | None:
        """Take note of what a call consumed of length bytes, and copy what it opened."""
        consumed, data_len = r.consumed, r.data_len
        self._offset += consumed
        self.buffered = length - consumed
        if code and not data_len:
            raise _fault(code, self)
        self._need = 0 if code or consumed == length else r.need
        if not consumed:
            return None
        data = bytes(out[:data_len]) if data_len else b""
        kind = r.type
        if not kind:
            return data, 0, b"", True
        content = bytes(out[data_len : data_len + r.other_len])
        return data, kind, content, bool(r.is_protected)

    def set_key13(self, suite: Suite, traffic_secret: Secret) -> None:
        """Open from the next record on under traffic_secret."""
        check(
            lib.tf_record_reader_set_key13(self._context, suite.aead, suite.hash, traffic_secret.handle), "reader key"
        )
        self.suite = suite

    def use(self, schedule: KeySchedule, traffic_secret: int) -> None:
        """Open from the next record on under this traffic secret of the schedule (crypto.SERVER_HANDSHAKE and so on)."""
        check(_reader_use(self._context, schedule.handle, traffic_secret), "reader key")
        self.suite = schedule.suite

    @property
    def traffic_secret(self) -> Secret | None:
        """A copy of the TLS 1.3 traffic secret in use, empty once wiped; None before there is one. For tests and traces alone."""
        return None if self.suite is None else _copy(lib.tf_record_reader_traffic_secret, self._context)

    def set_key12(self, aead: int, key_block: Secret, *, client: bool) -> None:
        """TLS 1.2: open from the next record on with the client's or the server's keys of the key block."""
        check(lib.tf_record_reader_set_key12(self._context, aead, key_block.handle, client), "reader key")

    def update_key(self) -> None:
        """RFC 8446, 7.2: the next generation of the application traffic secret."""
        check(lib.tf_record_reader_update_key(self._context), "reader key update")

    def allow_plaintext_alert(self) -> None:
        check(lib.tf_record_reader_allow_plaintext_alert(self._context), "plaintext alerts")

    def set_limit(self, max_inner_plaintext: int) -> None:
        check(lib.tf_record_reader_set_limit(self._context, max_inner_plaintext), "record_size_limit")

    def skip_early_data(self, mode: int, budget: int) -> None:
        check(lib.tf_record_reader_skip_early_data(self._context, mode, budget), "skipping early data")

    def wipe(self) -> None:
        lib.tf_record_reader_wipe(self._context)
        self._drop()


def _fault(code: int, reader: RecordReader) -> TLSError:
    """The named fact behind an error of tf_record_open."""
    if code == lib.TF_ERR_BAD_RECORD_MAC:
        return BadRecordMac(
            "a record did not authenticate: it was changed on its way, or the peer's keys differ from ours"
        )
    if code == lib.TF_ERR_RECORD_OVERFLOW:
        return RecordOverflow("the peer sent a record longer than the standard or our record_size_limit allows")
    if code == lib.TF_ERR_UNEXPECTED_MESSAGE:
        return UnexpectedMessage("the peer sent a record of a type, or with an empty content, that may not come here")
    if code == lib.TF_ERR_NOT_TLS:
        return NotTLS("the peer does not speak TLS", seen=reader.peek(64))
    if code == lib.TF_ERR_EXHAUSTED:
        return LimitExceeded("the peer used up the record sequence numbers of its key", what="records", limit=2**64 - 1)
    if code == lib.TF_ERR_BUSY:
        return ApiMisuse("another thread is receiving on this connection: one thread reads at a time")
    return InternalError(f"opening a record failed in the C core (error {code})")


class RecordWriter:
    """Protects our records and queues them until data_to_send takes them. Whoever does several steps in one holds `lock` around them."""

    __slots__ = ("_context", "_queue", "_short_records", "lock", "suite")

    def __init__(self) -> None:
        self._context = owned(lib.tf_record_writer_new(), lib.tf_record_writer_free)
        self._queue: list[bytes] = []
        self._short_records = False  # the peer's record_size_limit: many records, much overhead
        self.lock = threading.RLock()
        self.suite: Suite | None = None

    def send(self, type: int, content: bytes | bytearray | memoryview) -> int:
        """Seal content and queue it. Answers how many bytes it took: fewer than all only at the key's usage limit (RFC 8446, 5.5).

        Handshake messages and alerts always go whole: the C core keeps a reserve for them."""
        with self.lock:
            return self.send_locked(type, content)

    def send_locked(self, type: int, content: bytes | bytearray | memoryview) -> int:
        """send, for a caller who holds the lock."""
        length = len(content)
        if length <= PIECE:
            return self._seal(type, content)
        taken = 0
        view = memoryview(content)
        while taken < length:
            piece = view[taken : taken + PIECE]
            done = self._seal(type, piece)
            taken += done
            if done < len(piece):
                break
        return taken

    def seal_data(self, data: bytes) -> bytes | None:
        """send and take in one for most of what is sent: the wire bytes of data.

        None: nothing was done, because something is queued before it, or it is more than scratch has room for, or the usage limit is near."""
        lock, scratch = self.lock, _local.scratch
        if scratch.busy:
            return None
        lock.acquire()  # `with` and a second try would cost a fifth of a small record
        try:
            if self._queue:
                return None
            scratch.busy = True
            size = _record_seal_data(self._context, scratch.out, scratch.cap, data, len(data))
            return scratch.view[:size] if size > 0 else None
        finally:
            scratch.busy = False
            lock.release()

    def seal_into(self, data: bytes | bytearray | memoryview, out: memoryview) -> int:
        """seal_data straight into out: how many bytes stand there. 0: nothing was done, also because out is too small."""
        with self.lock:
            if self._queue:
                return 0
            source = data if data.__class__ is bytes else _from_buffer(data)
            size: int = _record_seal_data(self._context, _writable(out), len(out), source, len(data))
            return max(size, 0)

    def sealed_size(self, length: int) -> int:
        """Bytes that length bytes of content and what is queued take at most, a KeyUpdate before the data included."""
        with self.lock:
            size: int = lib.tf_record_seal_size(self._context, length)
            return size + sum(map(len, self._queue)) + _KEY_UPDATE * (1 + length // PIECE)

    def _seal(self, type: int, content: bytes | bytearray | memoryview) -> int:
        scratch = _local.scratch
        if scratch.busy:
            scratch = _Scratch()
        scratch.busy = True
        try:
            source = content if content.__class__ is bytes else _from_buffer(content)
            length = len(content)
            cap, out, view, r = scratch.cap, scratch.out, scratch.view, scratch.sealed
            if self._short_records:
                size = lib.tf_record_seal_size(self._context, length)
                if size > cap:
                    cap, out = size, ffi.new("uint8_t[]", size)
                    view = ffi.buffer(out, size)
            code = _record_seal(self._context, type, out, cap, source, length, r)
            if code:
                if code == lib.TF_ERR_EXHAUSTED:
                    return 0
                check(code, "sealing a record")
            written = r.written
            if written:
                self._queue.append(view[:written])
            consumed: int = r.consumed
            return consumed
        finally:
            scratch.busy = False

    def queue(self, wire: bytes) -> None:
        """Queue bytes that are records already: the ChangeCipherSpec of middlebox compatibility."""
        with self.lock:
            self._queue.append(wire)

    def take(self) -> bytes:
        """Everything queued, in order."""
        with self.lock:
            if not self._queue:
                return b""
            wire = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
            self._queue.clear()
            return wire

    @property
    def pending(self) -> bool:
        return bool(self._queue)

    def set_key13(self, suite: Suite, traffic_secret: Secret) -> None:
        with self.lock:
            check(
                lib.tf_record_writer_set_key13(self._context, suite.aead, suite.hash, traffic_secret.handle),
                "writer key",
            )
            self.suite = suite

    def use(self, schedule: KeySchedule, traffic_secret: int) -> None:
        """Seal from here on under this traffic secret of the schedule (crypto.CLIENT_HANDSHAKE and so on)."""
        with self.lock:
            check(_writer_use(self._context, schedule.handle, traffic_secret), "writer key")
            self.suite = schedule.suite

    @property
    def traffic_secret(self) -> Secret | None:
        """As RecordReader.traffic_secret."""
        with self.lock:
            return None if self.suite is None else _copy(lib.tf_record_writer_traffic_secret, self._context)

    def set_key12(self, aead: int, key_block: Secret, *, client: bool) -> None:
        """TLS 1.2: seal from here on with the client's or the server's keys of the key block."""
        with self.lock:
            check(lib.tf_record_writer_set_key12(self._context, aead, key_block.handle, client), "writer key")

    def update_key(self) -> None:
        """RFC 8446, 7.2: the next generation of the application traffic secret."""
        with self.lock:
            check(lib.tf_record_writer_update_key(self._context), "writer key update")

    def set_limit(self, max_inner_plaintext: int) -> None:
        with self.lock:
            check(lib.tf_record_writer_set_limit(self._context, max_inner_plaintext), "record_size_limit")
            self._short_records = max_inner_plaintext < 4096

    def set_version(self, version: int) -> None:
        check(lib.tf_record_writer_set_version(self._context, version), "record version")

    def set_usage_limit(self, records: int) -> None:
        """Test hook: application data records before the key must change; 0 restores the AEAD's own limit."""
        check(lib.tf_record_writer_set_usage_limit(self._context, records), "usage limit")

    def wipe(self) -> None:
        with self.lock:
            lib.tf_record_writer_wipe(self._context)


_KEY_UPDATE: Final = 5 + 5 + 1 + 16  # the record of one, with room for its tag
SKIP_NONE: Final = 0
SKIP_UNDECRYPTABLE: Final = 1
SKIP_APPLICATION_DATA: Final = 2
CHANGE_CIPHER_SPEC: Final = bytes((ContentType.change_cipher_spec, 3, 3, 0, 1, 1))
