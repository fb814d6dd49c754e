# SPDX-License-Identifier: Apache-2.0
"""ClientConnection and ServerConnection: bytes in, events and bytes out. The driver of the handshake flows, without I/O of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any, NoReturn

from tlsfast.certificates.names import parse_name
from tlsfast.config import ClientConfig, Config, ServerConfig
from tlsfast.errors import (
    AccessDenied,
    AlertReceived,
    ApiMisuse,
    ConnectionClosed,
    DecodeError,
    InternalError,
    LimitExceeded,
    NotTLS,
    PeerError,
    TLSError,
    Truncated,
    UnexpectedMessage,
)
from tlsfast.events import (
    AlertSeen,
    ChangeCipherSpecSeen,
    DataReceived,
    Event,
    HandshakeCompleted,
    KeysUpdated,
    MessageSeen,
    PeerClosed,
    Request,
    TicketReceived,
    VerifyChain,
)
from tlsfast.handshake import post
from tlsfast.handshake.bindings import channel_binding
from tlsfast.handshake.client import client_flow
from tlsfast.handshake.flow import Established, Established13, Flow, Handshake
from tlsfast.handshake.server import server_flow
from tlsfast.messages.handshake import ClientHello, Expected, Message, decode_message, name_of
from tlsfast.messages.handshake12 import ChangeCipherSpec, HelloRequest
from tlsfast.messages.joiner import HandshakeJoiner
from tlsfast.record import RecordReader, RecordWriter
from tlsfast.registry import AlertDescription, AlertLevel, ContentType, KeyUpdateRequest, TLSVersion
from tlsfast.sniff import foreign_protocol

# SECURITY-BAR 5: records in a row that bring no data and no progress (empty ones, warnings, ChangeCipherSpec, key updates, tickets).
MAX_IDLE_RECORDS = 32
# Wire bytes kept undecrypted while a question waits for its answer; more than this is the caller's fault: it should stop reading.
MAX_WAITING = 1024 * 1024


class Connection:
    """One TLS connection without I/O. receive_data takes the peer's bytes and gives events; data_to_send gives ours.

    One thread may receive while others send. After a fault `failure` says what it was, every call but data_to_send raises it anew, and the
    one alert that the peer is owed stands in data_to_send()."""

    def __init__(self, config: Config, flow: Callable[[Handshake], Flow], server_name: str | None = None) -> None:
        self._reader = RecordReader()
        self._writer = RecordWriter()
        self._joiner = HandshakeJoiner(config.max_handshake_size, config.max_client_hello_size)
        self._hs = Handshake(config, self._reader, self._writer, self._joiner)
        self._hs.server_name = server_name
        self._receiving = threading.Lock()
        self._failure: TLSError | None = None
        self._established: Established | None = None
        self._completed: HandshakeCompleted | None = None
        self._question: Request | None = None
        self._expecting: tuple[type[Expected], ...] = ()
        self._started = False  # the first hello was sent or received
        self._peer_closed = False
        self._closed = False
        self._idle = 0
        self._tickets = 0
        self._update_owed = False
        self._update_requested = False  # of the peer, which has not answered yet
        self._flow: Flow | None = flow(self._hs)

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
    def handshake(self) -> HandshakeCompleted | None:
        """What the handshake agreed on; None before it is complete."""
        return self._completed

    @property
    def send_pending(self) -> bool:
        """True when data_to_send() has bytes."""
        return self._writer.pending

    def data_to_send(self) -> bytes:
        """Take the bytes for the peer, in order; b"" when there are none. Never raises: an alert may stand here after a failure."""
        return self._writer.take()

    # ---- Receiving ----

    def receive_data(self, data: bytes | bytearray | memoryview) -> list[Event]:
        """Take bytes from the peer, in any chunks; return what they mean.

        If something good preceded a fault its events are returned, and the fault is raised by the next call; else it is raised at once."""
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

    def receive_eof(self) -> list[Event]:
        """The peer's stream ended. After close_notify there is nothing to say; without it Truncated is raised: data may be missing."""
        with self._alone():
            self._check_alive()
            if self._peer_closed:
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

    @property
    def _canceled(self) -> bool:
        """True once our side was closed in mid-handshake: nobody waits for its end any more, and its keys are wiped."""
        return self._closed and self._established is None

    def _alone(self) -> _Alone:
        return _Alone(self._receiving)

    def _guarded(self, step: Callable[[list[Event]], None]) -> list[Event]:
        """Run a receiving step; a fault kills the connection, after the events that came before it."""
        events: list[Event] = []
        try:
            step(events)
        except TLSError as error:
            # A hook or another thread may close our side while the flow runs, which then finds its keys wiped: nobody's fault.
            if not self._canceled:
                self._die(error)
        except Exception as error:
            self._die(InternalError(f"a fault of this library, or of a hook: {type(error).__name__}: {error}"))
            if not events:
                raise self._fresh_failure() from error
        except BaseException as error:
            # KeyboardInterrupt and its like: what was opened but not given out is lost, so going on would leave a hole in the data.
            self._die(InternalError(f"receiving was interrupted by {type(error).__name__}"))
            raise
        if self._update_owed:
            # Several requests are answered once, before the next data record (RFC 8446, 4.6.3). Locked: another thread may be closing our side.
            with self._writer.lock:
                if not self._closed and self._failure is None:
                    post.send_key_update(self._writer, KeyUpdateRequest.update_not_requested)
            self._update_owed = False
        if self._failure is not None and not events:
            raise self._fresh_failure()
        return events

    def _pump(self, events: list[Event]) -> None:
        """Open records and act on them until none is whole, the peer closed, or a question waits."""
        while self._question is None and not self._peer_closed:
            raw = self._joiner.next() if not self._joiner.empty else None
            if raw is not None:
                self._message(raw, events)
                continue
            single = self._established is None or not self._joiner.empty
            opened = self._reader.open(1 if single else 0)
            if opened is None:
                return
            data, kind, content, protected = opened
            if data:
                self._data(data, events)
            if kind:
                self._record(kind, content, protected, events)

    def _data(self, data: bytes, events: list[Event]) -> None:
        if self._established is None or not self._joiner.empty:
            raise UnexpectedMessage(
                "application data came before the handshake was complete, or inside a handshake message"
            )
        self._idle = 0
        events.append(DataReceived(data))

    def _record(self, kind: int, content: bytes, protected: bool, events: list[Event]) -> None:
        """A record that is not application data, or an empty one."""
        if kind == ContentType.handshake:
            self._joiner.add(content)
            return
        # RFC 8446, 5.1: if a handshake message is split over records, there MUST NOT be any other records between them
        if not self._joiner.empty:
            raise UnexpectedMessage("a record of another type came between the parts of a handshake message")
        if kind == ContentType.alert:
            self._alert(content, events)
        elif kind == ContentType.change_cipher_spec:
            self._change_cipher_spec(content, protected, events)
        elif self._established is None:
            raise UnexpectedMessage("application data came before the handshake was complete")
        else:
            self._count_idle("empty records")

    def _count_idle(self, what: str) -> None:
        self._idle += 1
        if self._idle > MAX_IDLE_RECORDS:
            raise LimitExceeded(f"the peer sends {what} without end", what=what, limit=MAX_IDLE_RECORDS)

    def _change_cipher_spec(self, content: bytes, protected: bool, events: list[Event]) -> None:
        """RFC 8446, 5: in TLS 1.3 dropped, if it is the single byte 1, between the first hello and the peer's Finished; in TLS 1.2 awaited."""
        awaited = ChangeCipherSpec in self._expecting
        if protected or content != b"\x01" or not self._started or self._established is not None:
            raise UnexpectedMessage("a ChangeCipherSpec record that has no place here")
        if self._hs.version is TLSVersion.TLSv1_2 and not awaited:
            raise UnexpectedMessage("a ChangeCipherSpec came where none was expected")
        if self._hs.observers is not None:
            self._hs.observe(ChangeCipherSpecSeen(False))
        if awaited:
            self._resume(ChangeCipherSpec(), events)
            return
        self._hs.early_change_cipher_spec = True
        self._count_idle("ChangeCipherSpec records")

    def _alert(self, content: bytes, events: list[Event]) -> None:
        if len(content) != 2:
            raise DecodeError(f"an alert record has {len(content)} bytes, not 2")
        number = content[1]
        description = AlertDescription(number) if number in set(AlertDescription) else number
        if self._hs.observers is not None:
            self._hs.observe(AlertSeen(False, description))
        if description == AlertDescription.user_canceled or self._is_warning(content[0], description):
            self._count_idle("warning alerts")
            return
        # RFC 8446, 6: all alerts but these two are fatal, whatever their level says
        if description == AlertDescription.close_notify and self._established is not None:
            self._peer_closed = True
            events.append(PeerClosed())
            if self._hs.version is TLSVersion.TLSv1_2:
                # RFC 5246, 7.2.1: the other party MUST respond with a close_notify alert of its own and close down the connection
                self.close()
            if self._closed:
                self._wipe()
            return
        raise self._alert_received(description)

    def _is_warning(self, level: int, description: int) -> bool:
        """RFC 5246, 7.2: TLS 1.2 has warnings after which the connection goes on; before the version is known, the one that its servers send."""
        if level != AlertLevel.warning or description == AlertDescription.close_notify:
            return False
        if self._hs.version is None:
            return description == AlertDescription.unrecognized_name and TLSVersion.TLSv1_2 in self._hs.config.versions
        return self._hs.version is TLSVersion.TLSv1_2

    def _alert_received(self, description: AlertDescription | int) -> AlertReceived:
        waited = " or ".join(kind.__name__ for kind in self._expecting)
        name = description.name if isinstance(description, AlertDescription) else f"number {description}"
        when = f" while we waited for {waited}" if waited else ""
        return AlertReceived(
            f"the peer ended the connection with the alert {name}{when}", description=description, waited=waited
        )

    # ---- The handshake ----

    def _message(self, raw: bytes, events: list[Event]) -> None:
        """One whole handshake message: judge its order, add it to the transcript, resume the flow."""
        hs = self._hs
        message = decode_message(raw, hs.version is not TLSVersion.TLSv1_2)
        if hs.observers is not None:
            hs.observe(MessageSeen(False, message, raw))
        if self._established is not None:
            self._post_handshake(self._established, message, events)
            return
        if isinstance(message, HelloRequest) and isinstance(hs.config, ClientConfig):
            # RFC 5246, 7.4.1.1: ignored by a client that is negotiating; never part of the transcript
            self._count_idle("HelloRequest messages")
            return
        if not isinstance(message, self._expecting):
            wanted = " or ".join(kind.__name__ for kind in self._expecting) or "nothing"
            raise UnexpectedMessage(f"{name_of(raw[0])} came where {wanted} was expected", kind=raw[0])
        self._started = True
        self._idle = 0
        hs.transcript.add(raw)
        self._resume(message, events)

    def _post_handshake(self, established: Established, message: Message, events: list[Event]) -> None:
        self._count_idle("post-handshake messages")
        if not isinstance(established, Established13):
            self._refuse_renegotiation(message)
            return
        event = post.receive(self._hs, established, message, self._tickets)
        if isinstance(event, TicketReceived):
            self._tickets += 1
        if isinstance(event, KeysUpdated):
            self._update_requested = False
            self._update_owed = self._update_owed or event.requested
        events.append(event)

    def _refuse_renegotiation(self, message: Message) -> None:
        """TLS 1.2: nothing but a request to renegotiate may come now, and it is refused (RFC 5246, 7.2.2: no_renegotiation)."""
        if not isinstance(message, HelloRequest | ClientHello):
            raise UnexpectedMessage(f"{type(message).__name__} may not come after the handshake")
        with self._writer.lock:
            if not self._closed:
                self._send_alert(AlertLevel.warning, AlertDescription.no_renegotiation)

    def _resume(self, value: object, events: list[Event] | None) -> None:
        """Give the flow what it waits for, an error as a refusal; and take what it wants next."""
        flow: Generator[Any, Any, Established] | None = self._flow
        if flow is None:
            raise InternalError("the handshake is over")
        self._expecting = ()
        try:
            wanted = flow.throw(value) if isinstance(value, TLSError) else flow.send(value)
        except StopIteration as stop:
            self._hs.flush()
            self._flow = None
            self._established = stop.value
            self._completed = stop.value.completed
            if events is not None:
                events.append(stop.value.completed)
            return
        self._hs.flush()
        if isinstance(wanted, Request):
            self._question = wanted
            if events is not None:
                events.append(wanted)
        else:
            self._expecting = wanted

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
                post.send_key_update(writer, KeyUpdateRequest.update_not_requested)
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
            request = KeyUpdateRequest.update_requested if ask else KeyUpdateRequest.update_not_requested
            post.send_key_update(self._writer, request)

    def close(self) -> None:
        """Send close_notify; nothing more can be sent. Receiving goes on until the peer closes too. Calling it again does nothing."""
        with self._writer.lock:
            if self._closed or self._failure is not None:
                return
            try:
                if self._established is None:
                    # RFC 8446, 6.1: user_canceled, then close_notify, ends a handshake for a reason that is no protocol failure
                    self._send_alert(AlertLevel.warning, AlertDescription.user_canceled)
                self._send_alert(AlertLevel.warning, AlertDescription.close_notify)
            finally:  # an observer may raise
                self._closed = True
                self._writer.wipe()
                if self._peer_closed:
                    self._reader.wipe()

    def export_keying_material(self, label: str | bytes, context: bytes | None, length: int) -> bytes:
        """RFC 8446, 7.5: length bytes (1..256) bound to this connection, label and context; None is as b"" in TLS 1.3."""
        established = self._established
        self._check_alive()
        if established is None:
            raise ApiMisuse("export_keying_material needs a complete handshake")
        name = label.encode("ascii") if isinstance(label, str) else label
        return established.exporter.export(name, context, length)

    def channel_binding(self, kind: str) -> bytes:
        """The channel binding "tls-exporter", "tls-server-end-point" or, in TLS 1.2, "tls-unique". ApiMisuse where there is none that is safe."""
        established = self._established
        self._check_alive()
        if established is None:
            raise ApiMisuse("channel_binding needs a complete handshake")
        return channel_binding(established, kind)

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise self._fresh_failure()

    def _refuse_sending(self) -> NoReturn:
        self._check_alive()
        if self._closed:
            raise ConnectionClosed("this side was closed: nothing more can be sent")
        raise ApiMisuse("data can be sent after HandshakeCompleted, not before")

    def _send_alert(self, level: AlertLevel, description: AlertDescription) -> None:
        self._writer.send(ContentType.alert, bytes((level, description)))
        if self._hs.observers is not None:
            self._hs.observe(AlertSeen(True, description))

    # ---- The end ----

    def _fresh_failure(self) -> TLSError:
        if self._failure is None:
            raise InternalError("no failure to raise")
        return self._failure.fresh()

    def _die(self, error: TLSError) -> None:
        """Fail for good: name the fact, send the one alert it earns, wipe every key."""
        if isinstance(error, NotTLS):
            error = foreign_protocol(error, server=isinstance(self._hs.config, ServerConfig))
        elif not isinstance(error, PeerError | AlertReceived | Truncated | InternalError):
            error = InternalError(f"{type(error).__name__}: {error}")
        with self._writer.lock:
            if self._failure is not None:
                return
            self._failure = error.fresh()
            self._expecting = ()
            self._question = None
            try:
                if isinstance(error, PeerError | InternalError) and not self._closed:
                    self._send_alert(AlertLevel.fatal, error.alert)
            finally:  # an observer may raise
                # RFC 8446, 6: MUST forget the secret values and keys established in failed connections: the exporter's and the tickets' too
                self._established = None
                self._wipe()

    def _wipe(self) -> None:
        """Wipe keys and secrets; the writer's lock keeps a sealing thread out."""
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()
        self._writer.wipe()
        self._reader.wipe()


def _refusal(request: Request, error: BaseException) -> TLSError:
    """An answer that is an exception, as the flow sees it: without the caller's traceback."""
    if isinstance(error, TLSError):
        return error.fresh()
    if isinstance(request, VerifyChain):
        # As when a verify hook raises it: the peer is told access_denied.
        return AccessDenied(f"the peer was refused: {error}", check="verify hook", depth=0)
    return InternalError(f"{type(request).__name__} was answered with {type(error).__name__}: {error}")


class _Alone:
    """One thread receives at a time; a second is told so at once."""

    __slots__ = ("_lock",)

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise ApiMisuse("another thread is receiving on this connection: one thread reads at a time")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class ClientConnection(Connection):
    """The client's side. server_name: the DNS name or IP address to reach; it is sent (names alone) and the certificate must be for it."""

    def __init__(self, config: ClientConfig, server_name: str | None = None) -> None:
        if not isinstance(config, ClientConfig):
            raise ApiMisuse(f"ClientConnection takes a ClientConfig, not a {type(config).__name__}")
        name = str(parse_name(server_name)) if server_name is not None else None
        if name is None and not config.insecure_skip_verification:
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
