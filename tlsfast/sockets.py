# SPDX-License-Identifier: Apache-2.0
"""Blocking sockets: connect() and wrap_socket() shake hands over a socket, TLSSocket is the stream of plaintext that they give."""

from __future__ import annotations

import functools
import io
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from tlsfast.config import ClientConfig, ServerConfig
from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.errors import (
    ApiMisuse,
    ConnectionClosed,
    HandshakeTimeout,
    InternalError,
    PeerError,
    TLSError,
    Truncated,
)
from tlsfast.events import DataReceived, Event, HandshakeCompleted, PeerClosed, Request
from tlsfast.wire import Wire, earlier

# Sealed and sent at a time: what the record layer seals in one call.
_PIECE: Final = 256 * 1024

ReadableBuffer = bytes | bytearray | memoryview


def connect(
    address: tuple[str, int],
    config: ClientConfig | None = None,
    *,
    server_name: str | None = None,
    timeout: float | None = None,
    handshake_timeout: float | None = 60.0,
    allow_truncation: bool = False,
) -> TLSSocket:
    """Connect to (host, port) and shake hands; the certificate must be for server_name, by default the host.

    timeout: seconds for the TCP connection, and then for each call on the stream; None waits. handshake_timeout: seconds for the whole handshake.
    config: None means ClientConfig(), one for all such calls, so that sessions resume. Raises OSError, or the TLSError that ended the handshake."""
    raw = socket.create_connection(address, timeout)
    try:
        return wrap_socket(
            raw,
            config if config is not None else _default_config(),
            server_name=server_name if server_name is not None else address[0],
            allow_truncation=allow_truncation,
            handshake_timeout=handshake_timeout,
        )
    except BaseException:
        raw.close()
        raise


def wrap_socket(
    sock: socket.socket,
    config: ClientConfig | ServerConfig,
    *,
    server_name: str | None = None,
    allow_truncation: bool = False,
    handshake_timeout: float | None = 60.0,
) -> TLSSocket:
    """Shake hands over a connected stream socket; the configuration's class says which side we are. The socket is the stream's from here on.

    server_name (clients): whom the certificate must be for. allow_truncation: an end of file without close_notify reads as an end, for protocols
    that frame their own data; else it raises Truncated. A handshake that fails tells the peer by its alert, closes the socket and raises."""
    if not isinstance(sock, socket.socket) or sock.type != socket.SOCK_STREAM:
        raise ApiMisuse("wrap_socket takes a connected stream socket (socket.SOCK_STREAM)")
    if sock.gettimeout() == 0:
        raise ApiMisuse(
            "this socket does not block: give it a timeout, or drive a ClientConnection or ServerConnection yourself"
        )
    connection: ClientConnection | ServerConnection
    if isinstance(config, ServerConfig):
        if server_name is not None:
            raise ApiMisuse("server_name is a client's: a server learns it from the ClientHello")
        connection = ServerConnection(config)
    else:
        connection = ClientConnection(config, server_name)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # Flights and data leave whole: held back for fuller segments, the last of each would wait for the peer's delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = TLSSocket(sock, connection, allow_truncation=allow_truncation)
    try:
        stream._shake_hands(handshake_timeout)
    except BaseException:
        stream._abandon()
        raise
    return stream


@functools.cache
def _default_config() -> ClientConfig:
    return ClientConfig()


class TLSSocket:
    """A blocking TLS stream, made by connect() or wrap_socket() once its handshake is done.

    One thread may read while others write. A time limit (settimeout) holds for each call as a whole. After a TLSError the connection is dead and each
    call raises that error anew. After a TimeoutError it lives: nothing read is lost, but how much of the data to send went out is not known."""

    def __init__(
        self, sock: socket.socket, connection: ClientConnection | ServerConnection, *, allow_truncation: bool
    ) -> None:
        self._connection = connection
        self._allow_truncation = allow_truncation
        self._wire = Wire(sock, connection)
        self._reading = threading.Lock()
        self._chunks: deque[bytes] = deque()
        self._offset = 0
        self._eof = False
        self._closed = False
        self._files = 0

    # ---- What was agreed ----

    @property
    def connection(self) -> ClientConnection | ServerConnection:
        """The sans-I/O connection beneath."""
        return self._connection

    @property
    def info(self) -> HandshakeCompleted:
        """What the handshake agreed on: version, suite, ALPN, the peer's certificates."""
        completed = self._connection.handshake
        if completed is None:
            raise ApiMisuse("the handshake is not complete")
        return completed

    def export_keying_material(self, label: str | bytes, context: bytes | None, length: int) -> bytes:
        """Derive length bytes bound to this connection, label and context (RFC 8446, 7.5)."""
        return self._connection.export_keying_material(label, context, length)

    # ---- The socket's own ----

    def fileno(self) -> int:
        """The descriptor, -1 once closed. When it can be read, wire bytes came: that need not be data."""
        return self._wire.socket.fileno()

    def getpeername(self) -> Any:
        return self._wire.socket.getpeername()

    def getsockname(self) -> Any:
        return self._wire.socket.getsockname()

    def gettimeout(self) -> float | None:
        return self._wire.timeout

    def settimeout(self, seconds: float | None) -> None:
        """Limit each later call to so many seconds; None waits for ever."""
        if seconds is not None and seconds <= 0:
            raise ApiMisuse(
                "this stream blocks: a timeout is more than 0; for non-blocking use drive a connection yourself"
            )
        self._wire.timeout = seconds

    # ---- Reading ----

    def recv(self, size: int) -> bytes:
        """Read up to size bytes, at least one; b"" when the peer has closed."""
        if size < 0:
            raise ApiMisuse("recv takes a size of 0 or more")
        with _Alone(self._reading):
            return self._take(size) if size and self._fill() else b""

    def recv_into(self, buffer: bytearray | memoryview, nbytes: int = 0) -> int:
        """Read up to nbytes (0: as many as fit) into buffer; 0 when the peer has closed."""
        view = memoryview(buffer).cast("B")
        if view.readonly:
            raise ApiMisuse("recv_into needs a buffer that can be written: a bytearray or a memoryview of one")
        size = min(nbytes or len(view), len(view))
        with _Alone(self._reading):
            if not size:
                return 0
            self._check_open()
            deadline = self._wire.deadline()
            while not self._chunks:
                if self._eof:
                    return 0
                got = self._receive(deadline, view[:size])
                if got:
                    return got
            data = self._take(size)
            view[: len(data)] = data
            return len(data)

    def pending(self) -> int:
        """Bytes that recv can give without the network."""
        return sum(map(len, self._chunks)) - self._offset

    def _fill(self) -> bool:
        """Wait for data; False at the end of the stream."""
        self._check_open()
        deadline = self._wire.deadline()
        while not self._chunks:
            if self._eof:
                return False
            self._receive(deadline)
        return True

    def _take(self, size: int) -> bytes:
        chunk = self._chunks[0]
        if not self._offset and len(chunk) <= size:
            return self._chunks.popleft()
        data = chunk[self._offset : self._offset + size]
        self._offset += len(data)
        if self._offset == len(chunk):
            self._chunks.popleft()
            self._offset = 0
        return data

    def _receive(self, deadline: float | None, room: memoryview | None = None) -> int:
        """Take wire bytes once and act on what they mean; the answers they ask for leave if the socket takes them now.

        room: where application data may go straight to; how much did is returned."""
        connection = self._connection
        if connection.failure is not None:
            raise connection.failure.fresh()
        wire, size = self._wire.read(deadline), 0
        try:
            if wire and room is not None and len(wire) <= len(room):
                size, events = connection.receive_into(wire, room)
            else:
                events = connection.receive_data(wire) if wire else connection.receive_eof()
            self._act(events)
        except Truncated:
            if not self._allow_truncation or connection.handshake is None:
                raise
            self._eof = True
        finally:
            if connection.failure is not None:
                self._wire.part()
            elif connection.send_pending:
                self._wire.send_if_free()
        return size

    def _act(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived):
                self._chunks.append(event.data)
            elif isinstance(event, PeerClosed):
                self._eof = True
            elif isinstance(event, Request):
                self._refuse(event)

    def _refuse(self, request: Request) -> None:
        """A question for the caller has nobody to answer it here: the peer gets its alert, the caller a sentence."""
        misuse = ApiMisuse(
            f"the handshake asks {type(request).__name__}, and a blocking socket has nobody to answer: "
            "give the configuration a plain callable for it, or drive a connection with conn.answer()"
        )
        try:
            self._connection.answer(request, misuse)
        except TLSError:
            pass
        raise misuse

    # ---- Writing ----

    def sendall(self, data: ReadableBuffer) -> None:
        """Send all of data. It goes out in one run, whatever other threads send."""
        view = memoryview(data).cast("B")
        deadline = self._wire.deadline()

        def seal_and_send() -> None:
            self._check_open()
            self._wire.send_queued(deadline)
            for start in range(0, len(view), _PIECE):
                self._seal(view[start : start + _PIECE], start)
                self._wire.send_queued(deadline)

        self._send(deadline, seal_and_send)

    def _seal(self, piece: memoryview, before: int) -> None:
        try:
            self._connection.send_data(piece)
        except ConnectionClosed as ended:
            if not before or "sent" not in ended.facts:
                raise
            sent = before + ended.facts["sent"]
            raise ConnectionClosed(f"{ended.message} ({sent} bytes of the whole call)", sent=sent) from None

    def send(self, data: ReadableBuffer) -> int:
        """Send data up to its first 256 KiB; return how many bytes that was."""
        view = memoryview(data).cast("B")[:_PIECE]
        self.sendall(view)
        return len(view)

    def send_eof(self) -> None:
        """Close our direction with close_notify; reading goes on until the peer closes its own (RFC 8446, 6.1)."""
        self._check_open()
        deadline = self._wire.deadline()
        self._connection.close()
        self._send(deadline, lambda: self._wire.send_queued(deadline))

    def _send(self, deadline: float | None, step: Callable[[], None]) -> None:
        try:
            self._wire.exclusively(deadline, step)
        except ConnectionError as error:
            said = self._last_word()
            if said is None:
                raise
            raise said from error

    def _last_word(self, reads: int = 64) -> TLSError | None:
        """A peer that hung up may have said why: the alert that waits within so many reads, if no other thread is reading."""
        if not self._reading.acquire(blocking=False):
            return None
        try:
            for _ in range(reads):
                if self._eof or not (wire := self._wire.read_now()):
                    break
                self._act(self._connection.receive_data(wire))
        except (OSError, TLSError):
            pass
        finally:
            self._reading.release()
        failure = self._connection.failure
        return failure.fresh() if failure is not None else None

    # ---- The handshake ----

    def _shake_hands(self, limit: float | None) -> None:
        started = monotonic()
        last = None if limit is None else started + limit
        try:
            while self._connection.handshake is None:
                deadline = earlier(self._wire.deadline(), last)
                self._wire.flush(deadline)
                self._receive(deadline)
        except HandshakeTimeout:
            raise
        except TimeoutError:
            waited, seconds = self._waited_for(), monotonic() - started
            self._connection.close()
            self._wire.part()
            raise HandshakeTimeout(
                f"the handshake did not end in time: after {seconds:.1f} s we still waited for {waited}", waited=waited
            ) from None
        except ConnectionError as error:
            waited = self._waited_for()
            cut = Truncated(
                f"the peer cut the connection in mid-handshake, while we waited for {waited}", waited=waited
            )
            raise self._last_word() or cut from error
        # Our Finished, or a server's tickets: that a peer has hung up since shows in the next call, it is no failed handshake.
        self._wire.part()

    def _waited_for(self) -> str:
        return " or ".join(kind.__name__ for kind in self._connection.expecting) or "the peer to read"

    # ---- The end ----

    def close(self) -> None:
        """Send close_notify, if the connection is whole, and close the socket; where files of makefile() are open, with the last of them."""
        if not self._closed:
            self._closed = True
            if not self._files:
                self._close_socket()

    def unwrap(self) -> socket.socket:
        """Close TLS in both directions and return the socket, with its timeout, for use in the clear.

        Waits for the peer's close_notify; data that comes before it is dropped. What came along with it is in connection.trailing_data."""
        self.send_eof()
        deadline = self._wire.deadline()
        with _Alone(self._reading):
            while not self._eof:
                self._receive(deadline)
            self._chunks.clear()
        self._closed = True
        return self._wire.detach()

    def _close_socket(self) -> None:
        if self._connection.failure is None:
            self._connection.close()
            self._wire.part()
        self._abandon()

    def _abandon(self) -> None:
        """Close the socket without a word more."""
        self._closed = True
        if self._wire.gone:
            return
        if self._connection.failure is None:
            # A little that already came is read, so that tickets are kept, and so that closing does not reset a connection that the peer still reads
            # from; a peer in the midst of sending more than that gets its reset.
            self._last_word(reads=4)
        elif isinstance(self._connection.failure, PeerError | InternalError) and not self._eof:
            self._wire.linger()
        self._wire.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close. Left by an exception, no close_notify is sent: the peer must not take what it has for all there was."""
        if kind is None:
            self.close()
        else:
            self._abandon()

    def makefile(self, mode: str = "r", buffering: int = -1, **text: Any) -> Any:
        """A file over this stream, as socket.makefile makes one: the socket stays open until the file is closed too."""
        if not set(mode) <= set("rwb"):
            raise ApiMisuse("makefile takes a mode of r, w and b")
        raw = _StreamIO(self, "r" in mode or "w" not in mode, "w" in mode)
        self._files += 1
        if buffering == 0:
            return raw
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        buffered: Any
        if raw.readable() and raw.writable():
            buffered = io.BufferedRWPair(raw, raw, size)
        else:
            buffered = io.BufferedReader(raw, size) if raw.readable() else io.BufferedWriter(raw, size)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, line_buffering=buffering == 1, **text)

    def _file_closed(self) -> None:
        self._files -= 1
        if self._closed and not self._files:
            self._close_socket()

    def _check_open(self) -> None:
        if self._wire.gone or (self._closed and not self._files):
            raise ConnectionClosed("this stream was closed here")

    def __repr__(self) -> str:
        state = "closed" if self._closed else "failed" if self._connection.failure is not None else "open"
        return f"<TLSSocket {state} fd={self.fileno()}>"


class _StreamIO(io.RawIOBase):
    """The raw file beneath makefile()."""

    def __init__(self, stream: TLSSocket, reads: bool, writes: bool) -> None:
        self._stream, self._reads, self._writes = stream, reads, writes

    def readable(self) -> bool:
        return self._reads

    def writable(self) -> bool:
        return self._writes

    def fileno(self) -> int:
        return self._stream.fileno()

    def readinto(self, buffer: Any) -> int:
        return self._stream.recv_into(buffer)

    def write(self, data: Any) -> int:
        return self._stream.send(data)

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._stream._file_closed()


class _Alone:
    """One thread reads at a time; a second is told so at once."""

    __slots__ = ("_lock",)

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise ApiMisuse("another thread is reading from this stream: one thread reads at a time")

    def __exit__(self, *_: object) -> None:
        self._lock.release()
