# SPDX-License-Identifier: Apache-2.0
"""Driver: what each record means. It opens records, joins messages, judges their order, and drives the handshake flow; connection.py is its face."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import Any

from tlsfast.config import ClientConfig, Config, ServerConfig
from tlsfast.errors import (
    AlertReceived,
    DecodeError,
    HandshakeTimeout,
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
)
from tlsfast.handshake import post
from tlsfast.handshake.flow import Established, Established13, Flow, Handshake
from tlsfast.handshake.transcript import Transcript
from tlsfast.messages.handshake import ClientHello, Expected, Message, decode_message, name_of
from tlsfast.messages.handshake12 import ChangeCipherSpec, HelloRequest
from tlsfast.messages.joiner import HandshakeJoiner
from tlsfast.record import RecordReader, RecordWriter
from tlsfast.registry import AlertDescription, AlertLevel, ContentType, TLSVersion
from tlsfast.sniff import foreign_protocol

# SECURITY-BAR 5: records in a row that bring no data and no progress (empty ones, warnings, ChangeCipherSpec, key updates, tickets).
MAX_IDLE_RECORDS = 32


class Driver:
    """The receiving half of a connection, and its end. Its state belongs to the one thread that receives; the writer's lock covers what sends."""

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
        self._trailing = b""
        self._closed = False
        self._idle = 0
        self._tickets = 0
        self._update_owed = False
        self._update_requested = False  # of the peer, which has not answered yet
        self._flow: Flow | None = flow(self._hs)

    # ---- Records ----

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
            self._trailing = self._reader.take_rest()
            events.append(PeerClosed())
            if self._hs.version is TLSVersion.TLSv1_2:
                # RFC 5246, 7.2.1: the other party MUST respond with a close_notify alert of its own and close down the connection
                self.close()
            with self._writer.lock:
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
        asked = HelloRequest if isinstance(self._hs.config, ClientConfig) else ClientHello
        if not isinstance(message, asked):
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
            self._hs.transcript = Transcript()
            self._flow = None
            self._established = stop.value
            self._completed = stop.value.completed
            if events is not None:
                events.append(stop.value.completed)
            return
        except (AlertReceived, Truncated, HandshakeTimeout, NotTLS) as error:
            # A hook has connections of its own: what their peers did is no fault of ours.
            raise InternalError(f"a hook failed: {type(error).__name__}: {error}") from None
        self._hs.flush()
        if isinstance(wanted, Request):
            self._question = wanted
            if events is not None:
                events.append(wanted)
        else:
            self._expecting = wanted

    # ---- The end ----

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
                    self._wipe()
        self._sweep()

    def abandon(self) -> None:
        """The transport is gone: wipe all keys and secrets without a word. What the handshake agreed on can still be read."""
        with self._writer.lock:
            self._closed = self._peer_closed = True
            self._question = None
        if self._receiving.acquire(blocking=False):
            try:
                with self._writer.lock:
                    self._wipe()
            finally:
                self._receiving.release()

    @property
    def _canceled(self) -> bool:
        """True once our side was closed in mid-handshake: nobody waits for its end any more."""
        return self._closed and self._completed is None

    def _sweep(self) -> None:
        """Wipe what a canceled handshake left. If a thread is inside the flow now, that one does it as it leaves."""
        if self._canceled and self._receiving.acquire(blocking=False):
            try:
                with self._writer.lock:
                    self._wipe()
            finally:
                self._receiving.release()

    def _send_alert(self, level: AlertLevel, description: AlertDescription) -> None:
        self._writer.send(ContentType.alert, bytes((level, description)))
        if self._hs.observers is not None:
            self._hs.observe(AlertSeen(True, description))

    def _fresh_failure(self) -> TLSError:
        if self._failure is None:
            raise InternalError("no failure to raise")
        return self._failure.fresh()

    def _die(self, error: TLSError) -> None:
        """Fail for good: name the fact, send the one alert it earns, wipe every key, forget the sessions."""
        if isinstance(error, NotTLS):
            error = foreign_protocol(error, server=isinstance(self._hs.config, ServerConfig))
        elif not isinstance(error, PeerError | AlertReceived | Truncated | InternalError):
            error = InternalError(f"{type(error).__name__}: {error}")
        with self._writer.lock:
            if self._failure is not None:
                return
            self._failure = error.fresh()
            self._question = None
            try:
                if isinstance(error, PeerError | InternalError) and not self._closed:
                    self._send_alert(AlertLevel.fatal, error.alert)
            finally:  # an observer may raise
                # RFC 8446, 6: MUST forget the secret values and keys established in failed connections: the exporter's and the tickets' too
                self._wipe()
                if not isinstance(error, Truncated):
                    self._hs.forget_sessions()

    def _wipe(self) -> None:
        """Wipe keys and secrets; the writer's lock, which is held, keeps a sealing thread out."""
        self._established = None
        self._expecting = ()
        flow, self._flow = self._flow, None
        if flow is not None:
            flow.close()
        self._writer.wipe()
        self._reader.wipe()
