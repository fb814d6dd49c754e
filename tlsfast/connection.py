# SPDX-License-Identifier: Apache-2.0
"""ClientConnection and ServerConnection: bytes in, events and bytes out, without I/O; the public face of driver.py."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from typing import NoReturn

from tlsfast.certificates.names import parse_name
from tlsfast.config import ClientConfig, Config, ServerConfig
from tlsfast.driver import Driver
from tlsfast.errors import AccessDenied, ApiMisuse, ConnectionClosed, InternalError, PeerError, TLSError, Truncated
from tlsfast.events import DataReceived, Event, HandshakeCompleted, Request, VerifyChain
from tlsfast.handshake import post
from tlsfast.handshake.bindings import channel_binding
from tlsfast.handshake.client import client_flow
from tlsfast.handshake.flow import Established, Established13
from tlsfast.handshake.server import server_flow
from tlsfast.messages.handshake import Expected
from tlsfast.record import ReceiveBuffer
from tlsfast.registry import ContentType, KeyUpdateRequest

# Wire bytes that cost less to copy than to lend.
_SMALL = 8 * 1024
# Wire bytes kept undecrypted while a question waits for its answer; more than this is the caller's fault: it should stop reading.
MAX_WAITING = 1024 * 1024


class Connection(Driver):
    """One TLS connection without I/O. receive_data takes the peer's bytes and gives events; data_to_send gives ours.

    One thread may receive while others send. After a fault `failure` says what it was, every call but data_to_send raises it anew, and the
    one alert that the peer is owed stands in data_to_send()."""

    # ---- What the caller may look at ----

    @property
    def failure(self) -> TLSError | None:
        """Why the connection is dead; None while it is not."""
        return self._failure

    @property
    def expecting(self) -> tuple[type[Expected], ...]:
        """The handshake messages that may come next; empty after the handshake and once dead."""
        return self._expecting

    @property
    def question(self) -> Request | None:
        """The request that waits for answer(); None when there is none."""
        return self._question

    @property
    def config(self) -> Config:
        """The configuration in use: that of the connection, or the one that on_client_hello chose."""
        return self._hs.config

    @property
    def peer_closed(self) -> bool:
        """True once the peer has sent close_notify: it will send no more data."""
        return self._peer_closed

    @property
    def handshake(self) -> HandshakeCompleted | None:
        """What the handshake agreed on; None before it is complete."""
        return self._completed

    @property
    def trailing_data(self) -> bytes:
        """What was given to receive_data behind the peer's close_notify: the beginning of what it says in the clear, if it goes on."""
        return self._trailing

    @property
    def send_pending(self) -> bool:
        """True when data_to_send() has bytes."""
        return self._writer.pending

    @property
    def wire_buffered(self) -> int:
        """Wire bytes that were received and make no whole record yet."""
        return self._reader.buffered

    @property
    def wire_needed(self) -> int:
        """Wire bytes that must come before the next record is whole; of one whose header is not here, the rest of the header."""
        return self._reader.needed

    def data_to_send(self) -> bytes:
        """Take the bytes for the peer, in order; b"" when there are none. Never raises: an alert may stand here after a failure."""
        return self._writer.take()

    # ---- Receiving ----

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes from the peer, in any chunks; return what they mean.

        If something good preceded a fault its events are returned, and the fault is raised by the next call; else it is raised at once."""
        if data.__class__ is bytes and self._established is not None and self._joiner.empty and self._question is None:
            return self._receive_application(data)
        with self._alone():
            self._check_alive()
            if self._peer_closed or self._canceled:
                return []
            if self._question is not None and self._reader.buffered + memoryview(data).nbytes > MAX_WAITING:
                raise ApiMisuse(
                    "a request waits for its answer: stop reading from the peer until answer() was called, then give these bytes again"
                )
            self._reader.feed(data)
            return self._guarded(self._pump)

    def _receive_application(self, data: bytes) -> list[Event]:
        """receive_data after the handshake, when most of what comes is data and nothing else."""
        if not self._receiving.acquire(blocking=False):
            raise _second_reader()
        try:
            if self._failure is not None:
                raise self._fresh_failure()
            if self._peer_closed:
                return []
            try:
                opened = self._reader.open_data(data)
            except BaseException as error:
                self._die(InternalError(f"receiving was interrupted by {type(error).__name__}"))
                raise
            if opened is not None:
                self._idle = 0
                return [DataReceived(opened)]
            return self._guarded(self._pump)
        finally:
            self._receiving.release()

    def receive_into(
        self, data: bytes | bytearray | memoryview, buffer: bytearray | memoryview
    ) -> tuple[int, list[Event]]:
        """receive_data without allocating for the application data: how many bytes of it stand at the beginning of buffer, and the events behind it.

        Whole records are opened straight into buffer, which should have room for as much as data; what finds none there comes as DataReceived."""
        view = _writable_view(buffer)
        if data.__class__ is not bytes:
            data = memoryview(data).cast("B")
        if self._established is None or not self._joiner.empty or self._question is not None:
            return _moved(self.receive_data(data), view)
        with self._alone():
            self._check_alive()
            if self._peer_closed:
                return 0, []
            try:
                size = self._reader.open_into(data, view)
            except BaseException as error:
                self._die(InternalError(f"receiving was interrupted by {type(error).__name__}"))
                raise
            if size:
                self._idle = 0
                return size, []
            return _moved(self._guarded(self._pump), view)

    def receive_from(self, buffer: ReceiveBuffer, length: int, waiting: int = 0) -> list[Event]:
        """receive_data for a transport that shares one buffer among connections: open straight from its first length bytes.

        waiting: how many of them copy_waiting laid there before the transport read. The buffer is free again when this returns or raises."""
        reader = self._reader
        if self._question is not None or self._failure is not None or waiting != reader.buffered:
            return self.receive_data(buffer.view[waiting:length])
        if length <= _SMALL and not waiting:
            return self.receive_data(bytes(buffer.view[:length]))
        with self._alone():
            if self._peer_closed or self._canceled:
                return []
            reader.lend(buffer, length, waiting)
            try:
                return self._guarded(self._pump)
            finally:
                reader.keep()

    def copy_waiting(self, view: memoryview) -> int:
        """Copy the bytes of an unfinished record to the beginning of view, where receive_from finds them; tell how many."""
        return 0 if self._question is not None else self._reader.copy_waiting(view)

    def receive_eof(self) -> list[Event]:
        """The peer's stream ended. After close_notify there is nothing to say; without it Truncated is raised: data may be missing."""
        with self._alone():
            self._check_alive()
            if self._peer_closed or self._canceled:
                return []
            if self._established is not None:
                error = Truncated(
                    "the connection was cut without close_notify: what came may be incomplete", received=True
                )
            else:
                waited = " or ".join(kind.__name__ for kind in self._expecting) or "the handshake to go on"
                error = Truncated(
                    f"the peer closed the connection in mid-handshake, while we waited for {waited}", waited=waited
                )
            self._die(error)
            raise error.fresh()

    def answer(self, request: Request, value: object) -> list[Event]:
        """Answer a request that came as an event; an exception as value refuses it. Returns events as receive_data does."""
        with self._alone():
            self._check_alive()
            if request is not self._question:
                raise ApiMisuse("this request is not the one that waits for an answer")
            self._question = None
            if self._canceled:
                return []

            def resume(events: list[Event]) -> None:
                self._resume(_refusal(request, value) if isinstance(value, BaseException) else value, events)
                self._pump(events)

            return self._guarded(resume)

    def _alone(self) -> _Alone:
        return _Alone(self._receiving, self._sweep)

    def _guarded(self, step: Callable[[list[Event]], None]) -> list[Event]:
        """Run a receiving step; a fault kills the connection, after the events that came before it."""
        events: list[Event] = []
        try:
            step(events)
            self._answer_key_update()
        except TLSError as error:
            # A hook or another thread may close our side while the flow runs, which then finds its keys wiped: nobody's fault.
            if not self._canceled:
                self._die(error)
        except Exception as error:
            self._die(InternalError(f"a fault of this library, or of a hook: {type(error).__name__}: {error}"))
            # The traceback stays with the caller: without the locals of the flow's frames, among which are secrets.
            traceback.clear_frames(error.__traceback__)
            if not events:
                raise self._fresh_failure() from error
        except BaseException as error:
            # KeyboardInterrupt and its like: what was opened but not given out is lost, so going on would leave a hole in the data.
            self._die(InternalError(f"receiving was interrupted by {type(error).__name__}"))
            raise
        if self._failure is not None and not events:
            raise self._fresh_failure()
        return events

    def _answer_key_update(self) -> None:
        """RFC 8446, 4.6.3: several requests are answered once, before the next data record."""
        if self._update_owed:
            self._update_owed = False
            with self._writer.lock:  # another thread may be closing our side
                if not self._closed:
                    post.send_key_update(self._hs, KeyUpdateRequest.update_not_requested)

    # ---- Sending ----

    def send_data(self, data: bytes | bytearray | memoryview) -> None:
        """Seal application data into data_to_send(). At the key's usage limit the key is changed in between (RFC 8446, 5.5)."""
        writer = self._writer
        with writer.lock:
            if self._failure is not None or self._closed or self._established is None:
                self._refuse_sending()
            if data.__class__ is not bytes:
                data = memoryview(data).cast("B")
            length = len(data)
            if not length:
                return
            taken = writer.send_locked(ContentType.application_data, data)
            while taken < length:
                if not isinstance(self._established, Established13):
                    self._end_of_key(taken)
                self._change_key(KeyUpdateRequest.update_not_requested)
                more = writer.send_locked(ContentType.application_data, memoryview(data)[taken:])
                if not more:
                    raise InternalError("a fresh key takes no record")
                taken += more

    def _end_of_key(self, taken: int) -> NoReturn:
        """TLS 1.2 has no KeyUpdate: at the usage limit (RFC 8446, 5.5) the connection ends in an orderly way."""
        self.close()
        raise ConnectionClosed(
            f"the key's usage limit is reached, and TLS 1.2 cannot change keys: the connection was closed after {taken} bytes of "
            "this data; go on with the rest over a new one",
            sent=taken,
        )

    def update_keys(self, *, request_peer: bool = True) -> None:
        """Change our sending key, and ask the peer to change its own (RFC 8446, 4.6.3)."""
        with self._writer.lock:
            if self._failure is not None or self._closed or self._established is None:
                self._refuse_sending()
            if not isinstance(self._established, Established13):
                raise ApiMisuse("TLS 1.2 cannot change keys: update_keys is for TLS 1.3")
            # RFC 9846, 4.7.3: until a KeyUpdate came from the peer, MUST NOT send another with update_requested
            ask = request_peer and not self._update_requested
            self._update_requested = self._update_requested or ask
            self._change_key(KeyUpdateRequest.update_requested if ask else KeyUpdateRequest.update_not_requested)

    def seal(self, data: bytes | bytearray | memoryview) -> bytes:
        """send_data and data_to_send in one: the bytes for the peer, data last. They leave in the order of these calls: threads that share a
        connection hold a lock of their own over this and what sends."""
        if data.__class__ is bytes and self._established is not None:
            # Should another thread close now, its wiped writer seals nothing more.
            wire = self._writer.seal_data(data)
            if wire is not None:
                return wire
        self.send_data(data)
        return self._writer.take()

    def sealed_size(self, length: int) -> int:
        """How large a buffer seal_into needs at most for length bytes of data, with what waits to be sent."""
        return self._writer.sealed_size(length)

    def seal_into(self, data: bytes | bytearray | memoryview, buffer: bytearray | memoryview) -> int:
        """seal without allocating: how many bytes for the peer stand at the beginning of buffer, which has room for sealed_size(len(data))."""
        view = _writable_view(buffer)
        if data.__class__ is not bytes:
            data = memoryview(data).cast("B")
        with self._writer.lock:
            if self._established is not None and len(data):
                size = self._writer.seal_into(data, view)
                if size:
                    return size
            needed = self.sealed_size(len(data))
            if len(view) < needed:
                raise ApiMisuse(f"the buffer has {len(view)} bytes; up to {needed} are needed, as sealed_size() tells")
            wire = self.seal(data)
        view[: len(wire)] = wire
        return len(wire)

    def _change_key(self, request: KeyUpdateRequest) -> None:
        """Send a KeyUpdate; the lock is held. An observer that raises ends the connection, as it does everywhere."""
        try:
            post.send_key_update(self._hs, request)
        except Exception as error:
            self._die(InternalError(f"a fault of this library, or of an observer: {type(error).__name__}: {error}"))
            raise self._fresh_failure() from error

    def export_keying_material(self, label: str | bytes, context: bytes | None, length: int) -> bytes:
        """RFC 8446, 7.5: length bytes (1..256) bound to this connection, label and context; None is as b"" in TLS 1.3."""
        if isinstance(label, str) and not label.isascii():
            raise ApiMisuse(f"an exporter label is ASCII, not {label!r}")
        name = label.encode() if isinstance(label, str) else label
        return self._secrets("export_keying_material").exporter.export(name, context, length)

    def channel_binding(self, kind: str) -> bytes:
        """The channel binding "tls-exporter", "tls-server-end-point" or, in TLS 1.2, "tls-unique". ApiMisuse where there is none that is safe."""
        return channel_binding(self._secrets("channel_binding"), kind)

    def _secrets(self, what: str) -> Established:
        established = self._established
        self._check_alive()
        if established is not None:
            return established
        if self._completed is not None:
            raise ConnectionClosed(
                f"both sides have closed this connection, its secrets are wiped: {what} comes before"
            )
        raise ApiMisuse(f"{what} needs a complete handshake")

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise self._fresh_failure()

    def _refuse_sending(self) -> NoReturn:
        self._check_alive()
        if self._closed:
            raise ConnectionClosed("this side was closed: nothing more can be sent")
        raise ApiMisuse("data can be sent after HandshakeCompleted, not before")


def _refusal(request: Request, error: BaseException) -> TLSError:
    """An answer that is an exception, as the flow sees it: without the caller's traceback."""
    if isinstance(error, PeerError | InternalError | ApiMisuse):
        return error.fresh()
    if isinstance(request, VerifyChain):
        # As when a verify hook raises it: the peer is told access_denied.
        return AccessDenied(f"the peer was refused: {error}", check="verify hook", depth=0)
    return InternalError(f"{type(request).__name__} was answered with {type(error).__name__}: {error}")


def _writable_view(buffer: bytearray | memoryview) -> memoryview:
    view = memoryview(buffer).cast("B")
    if view.readonly:
        raise ApiMisuse("this needs a buffer that can be written: a bytearray or a memoryview of one")
    return view


def _moved(events: list[Event], view: memoryview) -> tuple[int, list[Event]]:
    """The data that events begin with goes into the buffer as far as it fits whole."""
    size = moved = 0
    for event in events:
        if not isinstance(event, DataReceived) or size + len(event.data) > len(view):
            break
        view[size : size + len(event.data)] = event.data
        size += len(event.data)
        moved += 1
    return size, events[moved:]


def _second_reader() -> ApiMisuse:
    return ApiMisuse("another thread is receiving on this connection: one thread reads at a time")


class _Alone:
    """One thread receives at a time; a second is told so at once."""

    __slots__ = ("_after", "_lock")

    def __init__(self, lock: threading.Lock, after: Callable[[], None]) -> None:
        self._lock = lock
        self._after = after

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise _second_reader()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        self._after()


class ClientConnection(Connection):
    """The client's side. server_name: the DNS name or IP address to reach; it is sent (names alone) and the certificate must be for it."""

    def __init__(self, config: ClientConfig, server_name: str | None = None) -> None:
        if not isinstance(config, ClientConfig):
            raise ApiMisuse(f"ClientConnection takes a ClientConfig, not a {type(config).__name__}")
        name = str(parse_name(server_name)) if server_name is not None else None
        if name is None and not (config.insecure_skip_verification or config.insecure_skip_name_check):
            raise ApiMisuse("a client needs server_name: without it the server's certificate cannot be verified")
        super().__init__(config, lambda hs: client_flow(hs, config), name)
        self._resume(None, None)
        self._started = True


class ServerConnection(Connection):
    """The server's side."""

    def __init__(self, config: ServerConfig) -> None:
        if not isinstance(config, ServerConfig):
            raise ApiMisuse(f"ServerConnection takes a ServerConfig, not a {type(config).__name__}")
        super().__init__(config, lambda hs: server_flow(hs, config))
        self._resume(None, None)
