# SPDX-License-Identifier: Apache-2.0
"""Wire bytes of an engine: over a socket, with its time limit, and over a pair of MemoryBIO."""

from __future__ import annotations

import _socket
import errno
import os
import select
import socket
import ssl
import threading
import weakref
from time import monotonic
from typing import Any

from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.errors import TLSError
from tlsfast.ssl.engine import BULK, Engine
from tlsfast.ssl.errors import translate, want_read, want_write

_HEADER = 5
# The largest record (RFC 5246, 6.2.3), with its header.
_RECORD = _HEADER + 2**14 + 2048
# A record so large is no alert, padded or not.
_LARGE = 1024
_DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)
# Where descriptors of sockets are files, one with a time limit is read and written by itself, without a wait before each call.
_FILES = os.name == "posix"
# SSLSocket has methods of these names that do TLS: the socket's own are meant here, and those of the C type, which is gevent's too.
_recv = _socket.socket.recv
_send = _socket.socket.send
_gettimeout = _socket.socket.gettimeout

# A full record of TLS 1.3, and how much is sealed, and read into one object, at a time.
_FULL = _HEADER + 2**14 + 17
_PIECE = 64 * 1024
_AT_ONCE = 4  # records
_MOST = 16 * 2**14 + 1024
_MOST_PARTING_READS = 4


class _Space(threading.local):
    """A thread's memory for large data. busy: a signal handler or a finalizer may use another connection meanwhile."""

    def __init__(self) -> None:
        self.busy = False
        self.view = memoryview(bytearray(_MOST))


_space = _Space()


def _body_length(header: bytes) -> int:
    """How long the record is that a header begins; 0 if it is cut off, or none that may be waited for: the connection tells what is wrong."""
    length = int.from_bytes(header[3:5]) if len(header) == _HEADER and 20 <= header[0] <= 23 else 0
    return length if length <= _RECORD - _HEADER else 0


def _read_now(sock: Any, size: int) -> bytes:
    """What has come, up to size bytes; b"" if nothing has."""
    try:
        if _FILES and _gettimeout(sock) is not None:
            return os.read(sock.fileno(), size)
        return bytes(_recv(sock, size, _DONT_WAIT)) if _DONT_WAIT else b""
    except OSError:
        return b""


def _write_now(sock: Any, data: bytes | memoryview) -> int:
    """Write what the socket takes now; BlockingIOError if that is nothing."""
    if _FILES and _gettimeout(sock) is not None:
        return os.write(sock.fileno(), data)
    return int(_send(sock, data, _DONT_WAIT))


class SocketEngine(Engine):
    """Over a connected socket. After every call the socket holds all that a program may want to wait for by select():

    in the handshake and in shutdown one record at a time is taken, header first, so that the first request after Finished, or plaintext after
    close_notify, stays where it is. read(n) takes one record, and goes on with those behind it that have come, fit the answer and cannot be
    close_notify, which must be left to be seen: of the next one it takes no more than the header."""

    def __init__(
        self, context: Any, config: Any, server_hostname: str | None, owner: Any, session: Any, sock: Any
    ) -> None:
        super().__init__(context, config, server_hostname, owner, session)
        self._socket = weakref.ref(sock)
        self._out: bytes | memoryview = b""  # taken from the connection, not sent yet
        self._what = "read"

    def _peer(self) -> Any:
        sock = self._socket()
        if sock is None or sock.fileno() < 0:
            raise OSError(errno.EBADF, "Underlying socket has been closed.")
        return sock

    def _deadline(self, what: str) -> float | None:
        self._what = what
        limit = _gettimeout(self._peer())
        return monotonic() + limit if limit else None

    # ---- Reading ----

    def _read_wire(self, connection: ClientConnection | ServerConnection, wanted: int, deadline: float | None) -> bytes:
        sock = self._peer()
        size = connection.wire_needed
        if not wanted or 0 < connection.wire_buffered < _HEADER:
            return self._read_some(sock, size, deadline)
        parts = []
        if not connection.wire_buffered:
            header = self._read_some(sock, size, deadline)
            size = _body_length(header)
            if not size:
                return header
            parts.append(header)
        try:
            self._read_records(sock, size, wanted, deadline, parts)
        except (ssl.SSLWantReadError, TimeoutError):
            if not parts:
                raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _read_records(self, sock: Any, size: int, wanted: int, deadline: float | None, parts: list[bytes]) -> None:
        """Read the rest of a record, and those behind it that have come, are large and fit. A large one cannot be close_notify, so what
        follows it is TLS, and its header comes along."""
        ahead = _HEADER if size >= _LARGE else 0
        piece = self._read_some(sock, size + ahead, deadline)
        while True:
            parts.append(piece)
            if not ahead or len(piece) < size + ahead:
                return
            wanted -= size
            size = _body_length(piece[-_HEADER:])
            if not _LARGE <= size <= wanted:
                return
            piece = _read_now(sock, size + ahead)
            if not piece:
                return

    def _read_some(self, sock: Any, size: int, deadline: float | None) -> bytes:
        """Between one byte and size of them; b"" at the end of the stream."""
        if deadline is None:
            try:
                return bytes(_recv(sock, size))
            except BlockingIOError:
                raise want_read() from None
        while True:
            try:
                return os.read(sock.fileno(), size) if _FILES else bytes(_recv(sock, size))
            except BlockingIOError:
                self._wait(sock, select.POLLIN, deadline)
            except TimeoutError:
                raise self._timed_out() from None

    def _wait(self, sock: Any, event: int, deadline: float) -> None:
        """Wait until the deadline of the whole call: a peer that dribbles gains no time by it."""
        poll = select.poll()
        poll.register(sock.fileno(), event)
        left = deadline - monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            raise self._timed_out()

    def _timed_out(self) -> TimeoutError:
        return TimeoutError(f"The {self._what} operation timed out")

    # ---- Writing ----

    def _flush(self, deadline: float | None) -> None:
        with self._sending:
            connection = self._connection
            while True:
                if not self._out:
                    self._out = connection.data_to_send() if connection is not None else b""
                    if not self._out:
                        return
                sock = self._peer()
                try:
                    self._sent(
                        _send(sock, self._out) if deadline is None or not _FILES else _write_now(sock, self._out)
                    )
                except BlockingIOError:
                    if deadline is None:
                        raise want_write() from None
                    self._wait(sock, select.POLLOUT, deadline)
                except TimeoutError:
                    raise self._timed_out() from None

    def _sent(self, count: int) -> None:
        self._out = memoryview(self._out)[count:] if count < len(self._out) else b""

    def _flush_quietly(self) -> None:
        """Send what the socket takes now: answers and alerts of the reading side, which never waits for the peer to read."""
        connection = self._connection
        while (
            connection is not None and (self._out or connection.send_pending) and self._sending.acquire(blocking=False)
        ):
            try:
                if not self._out:
                    self._out = connection.data_to_send()
                while self._out:
                    self._sent(_write_now(self._peer(), self._out))
            except OSError:
                return
            finally:
                self._sending.release()

    def _part(self) -> None:
        """Send the alert, and take what else has come: closed with bytes unread, the socket would be reset, and the alert lost on its way."""
        self._flush_quietly()
        self._empty()

    def _empty(self) -> None:
        sock = self._socket()
        for _ in range(_MOST_PARTING_READS if sock is not None and sock.fileno() >= 0 else 0):
            if not _read_now(sock, _PIECE):
                break

    def __del__(self) -> None:
        """SSLSocket.close() lets go of the engine just before it closes the socket: tickets that nobody has read must not make that a reset, which
        would take away what the peer has not read yet. After unwrap() the socket is the program's."""
        if getattr(self, "_handshake", None) is not None and not self._eof and not self._shut:
            self._empty()

    def _give_back(self, trailing: bytes) -> None:
        """Nothing can go back into a socket: what read(n) took beyond close_notify is in the connection's trailing_data."""


class BIOEngine(Engine):
    """Over two MemoryBIO. read(n) takes from the incoming one about what it has room for, so that what waits there can be counted."""

    def __init__(
        self,
        context: Any,
        config: Any,
        server_hostname: str | None,
        owner: Any,
        session: Any,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        super().__init__(context, config, server_hostname, owner, session)
        self._incoming = incoming
        self._outgoing = outgoing

    def write(self, data: Any) -> int:
        """Seal data into the outgoing BIO, which takes all."""
        if self._handshake is None:
            self.do_handshake()
        connection = self._connection
        assert connection is not None
        if data.__class__ is not bytes:
            data = memoryview(data).cast("B")
        length = len(data)
        with self._sending:
            try:
                if length >= BULK and not _space.busy:
                    self._seal_in_pieces(connection, memoryview(data))
                elif wire := connection.seal(data):
                    self._outgoing.write(wire)
            except TLSError as error:
                raise translate(error, self.server_hostname) from None
        return length

    def _seal_in_pieces(self, connection: ClientConnection | ServerConnection, data: memoryview) -> None:
        """Through memory that stays: large objects would be fresh pages each time, which cost more than sealing."""
        space = _space
        if connection.sealed_size(_PIECE) > len(space.view):  # a small record_size_limit
            self._outgoing.write(connection.seal(data))
            return
        space.busy = True
        try:
            for start in range(0, len(data), _PIECE):
                size = connection.seal_into(data[start : start + _PIECE], space.view)
                self._outgoing.write(space.view[:size])
        finally:
            space.busy = False

    def _read(self, length: int) -> bytes:
        waiting, connection = self._incoming.pending, self._connection
        if not waiting and self._handshake is not None and not (self._ready or self._eof or self._incoming.eof):
            if connection is not None and connection.failure is None:
                raise want_read()  # as asyncio asks after each answer
        space = _space
        if length < BULK or waiting < BULK or self._ready or space.busy:
            return super()._read(length)
        space.busy = True
        try:
            filled = self._read_bulk(space.view, min(length, _MOST))
            if filled:
                return bytes(space.view[:filled])
        finally:
            space.busy = False
        return super()._read(length)

    def _read_bulk(self, view: memoryview, length: int) -> int:
        if self._incoming.pending < BULK:
            return 0
        with self._reading:
            connection, filled = self._connection, 0
            if self._ended():
                return 0
            if (
                connection is None
                or self._handshake is None
                or self._ready
                or self._eof
                or connection.failure is not None
            ):
                return 0
            while count := min((length - filled) >> 14, _AT_ONCE):
                # Whole records, if they are full ones: what is cut would have to be joined.
                begun = connection.wire_needed if connection.wire_buffered else _FULL
                wire = self._incoming.read(begun + (count - 1) * _FULL)
                if not wire:
                    break
                try:
                    size, events = connection.receive_into(wire, view[filled:])
                except TLSError as error:
                    self._flush_quietly()
                    if filled:
                        break  # the next call raises it again
                    raise translate(error, self.server_hostname) from None
                filled += size
                if events:
                    self._act(connection, events)
                    break
            if connection.send_pending:
                self._flush_quietly()
            return filled

    def _peer(self) -> None:
        return None

    def _deadline(self, what: str) -> float | None:
        return None

    def _read_wire(self, connection: ClientConnection | ServerConnection, wanted: int, deadline: float | None) -> bytes:
        incoming = self._incoming
        if self._ended():
            wire = incoming.read(connection.wire_needed)
        else:
            wire = incoming.read(self._size(connection, wanted))
        if not wire and not incoming.eof:
            raise want_read()
        return wire

    def _ended(self) -> bool:
        """Whether write_eof() was called: then nothing can go back, and records are taken one at a time, up to close_notify."""
        try:
            self._incoming.write(b"")
        except ssl.SSLError:
            return True
        return False

    def _size(self, connection: ClientConnection | ServerConnection, wanted: int) -> int:
        # Records of 16 KiB have at most 29 bytes around them: so much that the last of those that fit comes whole.
        return max(wanted + (wanted >> 14) * 32 - connection.wire_buffered, _RECORD)

    def _flush(self, deadline: float | None) -> None:
        with self._sending:
            connection = self._connection
            if connection is not None and connection.send_pending:
                self._outgoing.write(connection.data_to_send())

    def _flush_quietly(self) -> None:
        try:
            self._flush(None)
        except ssl.SSLError:  # the program has ended the outgoing BIO
            pass

    def _give_back(self, trailing: bytes) -> None:
        """What follows close_notify belongs to whoever goes on in the clear."""
        if trailing and not self._ended():
            self._incoming.write(trailing + self._incoming.read())
