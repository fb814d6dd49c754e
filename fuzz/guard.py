# SPDX-License-Identifier: Apache-2.0
"""What must hold of a connection whatever its peer sends: fuzz_connection.py drives the victim through a Guard, which checks after each step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rogue import records

from tlsfast.connection import MAX_WAITING, Connection
from tlsfast.errors import (
    AlertReceived,
    ApiMisuse,
    ConnectionClosed,
    InternalError,
    PeerError,
    TLSError,
    Truncated,
)
from tlsfast.events import (
    AlertSeen,
    DataReceived,
    HandshakeCompleted,
    KeysUpdated,
    PeerClosed,
    Request,
    TicketReceived,
)
from tlsfast.registry import AlertDescription

# RFC 5246, 6.2.3: the longest record of either version.
RECORD = 5 + 16384 + 2048
# An error quotes what the peer sent, for a log: never without bound.
WORDS = 4096
# Bytes that a connection may send of itself: its flights, and an answer for each call.
OWN_BYTES = 64 * 1024
ANSWER = 256
NO_FAULTS = {AlertDescription.close_notify, AlertDescription.user_canceled, AlertDescription.no_renegotiation}


class Guard:
    """Calls a connection and asserts what SECURITY.md promises; note is its configuration's observer."""

    def __init__(self, trusted: Callable[[HandshakeCompleted], bool]) -> None:
        """trusted: whether the peer may be accepted as what the event says."""
        self._trusted = trusted
        self.connection: Connection = None  # type: ignore[assignment]  # set at once by who makes the connection with our observer
        self.alerts: list[int] = []
        self.received = bytearray()
        self.completed: HandshakeCompleted | None = None
        self.closed_by_peer = False
        self.hook_failed = False  # an answer that no hook should give: InternalError is then right
        self.out = bytearray()
        self._sent = 0
        self._calls = 0
        self._most_fed = 0  # in one call
        self._failure: TLSError | None = None
        self._spoke_last = False

    def note(self, seen: object) -> None:
        """Be the observer of the connection."""
        if isinstance(seen, AlertSeen) and seen.sent:
            self.alerts.append(seen.description)

    # ---- Calls ----

    def receive(self, wire: bytes) -> None:
        self.call(self.connection.receive_data, wire, fed=len(wire))

    def send(self, data: bytes) -> None:
        self._sent += len(data)
        self.call(self.connection.send_data, data)

    def answer(self, value: object) -> None:
        question = self.connection.question
        if question is not None:
            self.call(self.connection.answer, question, value)

    def call(self, step: Callable[..., Any], *args: Any, fed: int = 0) -> Any:
        """Make one call of the public interface, and check all that it left behind."""
        self._calls += 1
        before = self.connection.failure
        answer = None
        try:
            answer = step(*args)
        except TLSError as error:
            self._check_error(error, before)
        else:
            assert before is None or step == self.connection.close, f"{step.__name__} succeeded on a dead connection"
        for event in answer if isinstance(answer, list) else ():
            self._check_event(event)
        self._most_fed = max(self._most_fed, fed)
        self._check_state()
        return answer

    def take(self) -> bytes:
        """What the connection sends."""
        wire = self.connection.data_to_send()
        self.out += wire
        sent = records(wire)
        for each in sent:
            assert 20 <= each[0] <= 23 and each[1:3] in (b"\3\1", b"\3\3") and 5 < len(each) <= RECORD, each[:16]
        assert not self.connection.send_pending
        failure = self.connection.failure
        if failure is not None:
            assert not (wire and self._spoke_last), "it speaks after its last words"
            if isinstance(failure, (PeerError, InternalError)) and not self._spoke_last and not self.connection._closed:
                # In the clear, or under a key that hides its type.
                assert sent and sent[-1][0] in (21, 23), "the alert is not the last word"
            self._spoke_last = True
        return wire

    # ---- Checks ----

    def _check_error(self, error: TLSError, before: TLSError | None) -> None:
        failure = self.connection.failure
        text = str(error)
        assert len(text) <= WORDS, f"an error of {len(text)} characters: {text[:200]}"
        assert text.isprintable(), f"not for a terminal: {text!r}"
        if failure is None:
            assert isinstance(error, (ApiMisuse, ConnectionClosed)), f"{error!r} but the connection lives"
            return
        assert type(error) is type(failure) and text == str(failure), f"{error!r} is not {failure!r}"
        assert error is not failure and before is self._failure

    def _check_event(self, event: object) -> None:
        early = (DataReceived, KeysUpdated, TicketReceived, PeerClosed)
        assert self.completed is not None or not isinstance(event, early), f"{event!r} before HandshakeCompleted"
        assert not self.closed_by_peer, f"{event!r} after PeerClosed"
        if isinstance(event, DataReceived):
            assert len(event.data)
            self.received += event.data
        elif isinstance(event, HandshakeCompleted):
            assert self.completed is None, "HandshakeCompleted twice"
            self.completed = event
            assert self._trusted(event), f"a peer was accepted that may not be: {event!r}"
        elif isinstance(event, PeerClosed):
            self.closed_by_peer = True
        else:
            assert isinstance(event, (KeysUpdated, TicketReceived, Request)), event

    def _check_state(self) -> None:
        victim = self.connection
        failure = victim.failure
        if self._failure is None:
            self._failure = failure
        assert failure is self._failure, f"{self._failure!r} became {failure!r}"
        fatal = [each for each in self.alerts if each not in NO_FAULTS]
        assert len(fatal) <= 1, f"more than one alert: {fatal}"
        waiting = victim._reader.buffered
        if failure is not None:
            assert self.hook_failed or not isinstance(failure, InternalError), f"a fault of ours: {failure!r}"
            assert isinstance(failure, (PeerError, AlertReceived, Truncated, InternalError)), failure
            if isinstance(failure, (AlertReceived, Truncated)):
                assert not fatal, f"{failure!r} was answered with {fatal}"
            elif not victim._closed:
                assert fatal == [failure.alert], f"{failure!r} earned {fatal}"
            assert victim.expecting == () and victim.question is None and waiting == 0
        elif victim.question is not None:
            assert waiting <= max(MAX_WAITING, self._most_fed + RECORD), f"{waiting} bytes wait for an answer"
        else:
            assert self.closed_by_peer or waiting <= RECORD, f"{waiting} bytes wait"
        kept = len(victim._joiner._buffer)
        assert kept <= victim._hs.config.max_handshake_size + RECORD, f"{kept} bytes of a handshake message wait"
        bound = OWN_BYTES + ANSWER * self._calls + 64 * self._sent
        assert len(self.out) <= bound, f"{len(self.out)} bytes were sent for {self._calls} calls"

    def check_dead(self) -> None:
        """After a failure nothing works but reading the last words."""
        victim = self.connection
        if victim.failure is None:
            return
        for step, *args in (
            (victim.receive_data, b"\x17\x03\x03\x00\x01x"),
            (victim.receive_data, b""),
            (victim.receive_eof,),
            (victim.send_data, b"x"),
            (victim.update_keys,),
            (victim.export_keying_material, "EXPORTER-fuzz", None, 16),
            (victim.close,),
        ):
            self.call(step, *args)
        self.take()
        assert not victim.data_to_send()
