# SPDX-License-Identifier: Apache-2.0
"""The hostile side of fuzz_connection.py: a real connection with real keys, whose messages and records are altered as a script says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast
from unittest import mock

import flights
from engine import Script
from rogue import forge, framed, record, records
from vary import Varier, edit

from tlsfast import TLSError
from tlsfast.connection import Connection
from tlsfast.handshake.flow import Handshake
from tlsfast.messages.codec import u16, vec16
from tlsfast.record import RecordWriter
from tlsfast.registry import ContentType

CATALOGUE = flights.messages()
VARIER = Varier(message for _, message, _ in CATALOGUE)
# Extensions worth putting where they were not: early_data, cookie, pre_shared_key, renegotiation_info, extended_master_secret, GREASE...
EXTENSIONS = (42, 44, 41, 65281, 23, 35, 43, 51, 16, 28, 0, 5, 13, 0x0A0A, 0xFF)
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, DATA = (int(kind) for kind in ContentType)
BETWEEN = (DATA, DATA, ALERT, CHANGE_CIPHER_SPEC)


class HostileWriter(RecordWriter):
    """Knows its sequence number, and what application data went out under its keys, in order."""

    __slots__ = ("data", "sequence")

    def __init__(self) -> None:
        super().__init__()
        self.data = bytearray()
        self.sequence = 0

    def _seal(self, type: int, content: bytes | bytearray | memoryview) -> int:
        before = len(self._queue)
        consumed = super()._seal(type, content)
        self.sequence += sum(len(records(wire)) for wire in self._queue[before:])
        if type == DATA:
            self.data += content[:consumed]
        return consumed

    def set_key13(self, suite: Any, traffic_secret: Any) -> None:
        super().set_key13(suite, traffic_secret)
        self.sequence = 0

    def use(self, schedule: Any, traffic_secret: int) -> None:
        super().use(schedule, traffic_secret)
        self.sequence = 0

    def update_key(self) -> None:
        super().update_key()
        self.sequence = 0

    def send_inner(self, inner: bytes, length: int | None) -> None:
        """TLS 1.3: a record with this TLSInnerPlaintext, whatever it is, in the place of one that the core makes."""
        if self.suite is None or self.traffic_secret is None:
            return
        before = len(self._queue)
        super()._seal(ALERT, b"\x01\x5a")  # spends a sequence number
        del self._queue[before:]
        reader_of_our_keys = cast(Connection, SimpleNamespace(_reader=self))
        self._queue.append(forge(reader_of_our_keys, inner, self.sequence, length))
        self.sequence += 1
        content = inner.rstrip(b"\0")
        if length is None and content[-1:] == bytes((DATA,)):
            self.data += content[:-1]


# A handshake message; or a record of another type, in between, under the key of the moment.
Sent = bytes | tuple[int, bytes]


class HostileHandshake(Handshake):
    """Sends what the plan makes of each message. The transcript follows what was sent: keys, signatures and Finished stay right."""

    __slots__ = ("plan",)
    plan: Plan

    def send_encoded(self, message: Any, raw: bytes) -> None:
        for each in self.plan(message, raw):
            if isinstance(each, bytes):
                super().send_encoded(message, each)
            else:
                self._send_between(*each)

    def send_unhashed(self, message: Any) -> None:
        for each in self.plan(message, message.encode()):
            if isinstance(each, bytes):
                self._flight.append(each)
            else:
                self._send_between(*each)

    def _send_between(self, kind: int, content: bytes) -> None:
        self.flush()
        self._send(kind, content)

    def flush(self) -> None:
        """Cut the flight into records as the plan says."""
        flight, self._flight = b"".join(self._flight), []
        size = max(self.plan.cut, len(flight) // 256 + 1) if self.plan.cut else len(flight) or 1
        for start in range(0, len(flight), size):
            self._send(HANDSHAKE, flight[start : start + size])

    def _send(self, kind: int, content: bytes) -> None:
        if self.writer.traffic_secret is None and kind != HANDSHAKE:
            self.writer.queue(record(kind, content))  # the core would not send some of these in the clear
        else:
            self.writer.send(kind, content)


class Plan:
    """What becomes of the hostile side's messages, counted as they leave."""

    def __init__(self) -> None:
        self.count = 0
        self.edits: dict[int, list[bytes]] = {}
        self.held: list[bytes] = []
        self.cut = 0  # bytes of a flight in one record; 0: all

    def add(self, script: Script) -> None:
        """Alter one of the next messages; how, the script says."""
        self.edits.setdefault(self.count + script.below(8), []).append(script.take(12))

    def __call__(self, message: Any, raw: bytes) -> list[Sent]:
        edits = self.edits.pop(self.count, ())
        self.count += 1
        held, self.held = self.held, []
        out: list[Sent] = [raw]
        for each in edits:
            out = self._alter(message, raw, Script(each))
        return [*out, *held]

    def _alter(self, message: Any, raw: bytes, script: Script) -> list[Sent]:
        kind = script.below(14)
        if kind == 0:
            return []
        if kind == 1:
            return [raw, raw]
        if kind == 2:
            return [from_catalogue(script), raw]
        if kind == 3:
            return [raw, from_catalogue(script)]
        if kind == 4:
            return [from_catalogue(script)]
        if kind == 5:
            self.held.append(raw)
            return []
        if kind == 6:
            return [framed(script.pick(CATALOGUE)[2][0], raw[4:])]
        if kind == 7:
            return [framed(raw[0], edit(raw[4:], script))]
        if kind == 8:
            return [edit(raw, script)]
        if kind == 9 and hasattr(message, "extensions"):
            number = script.pick(EXTENSIONS)
            return [_with_extension(message, raw, number, script.take(script.below(10)))]
        if kind == 10:
            return [(script.pick(BETWEEN), script.take(script.below(10))), raw]
        if kind == 11:
            return [raw, (script.pick(BETWEEN), script.take(script.below(10)))]
        return [VARIER.vary_encoded(message, script) or raw]


def _with_extension(message: Any, raw: bytes, number: int, body: bytes) -> bytes:
    """The message with one more extension, first of its block, where it has one at the end."""
    block: bytes = message.extensions.encode()
    if not raw.endswith(block):
        return raw
    return framed(raw[0], raw[4 : len(raw) - len(block)] + vec16((u16(number) + vec16(body) + block[2:])[:0xFFFF]))


def endless(script: Script) -> bytes:
    """The beginning of a message that announces to be very long."""
    return bytes((script.number(),)) + script.pick((b"\xff\xff\xff", b"\x01\xff\xff", b"\x00\x7f\xff")) + bytes(16000)


def from_catalogue(script: Script) -> bytes:
    """A message of a real handshake, perhaps a variant of it."""
    _, message, raw = script.pick(CATALOGUE)
    return (VARIER.vary_encoded(message, script) or raw) if script.below(2) else raw


class Hostile:
    """One hostile side. Whatever its connection raises is no concern of ours: only what the victim makes of its bytes is."""

    def __init__(self, make: Callable[[], Connection], script: Script, *, keys: bool) -> None:
        """Make the connection. keys: it may use its keys against the victim; without, it is an honest peer behind a hostile network."""
        self.keys = keys
        self.plan = Plan()
        self.touched = False  # something was altered
        for _ in range(script.pick((0, 0, 0, 0, 1, 1, 2, 3))):
            self.alter_message(script)  # now, since a client's first hello leaves as soon as it is made
        self.plan.cut = script.pick((0, 0, 0, 1, 5, 100))
        with mock.patch.multiple("tlsfast.driver", Handshake=self._handshake, RecordWriter=HostileWriter):
            try:
                self.connection = make()
            except TLSError:  # a client whose altered hello cannot even be sent
                self.plan.edits.clear()
                self.connection = make()
        self.writer = cast(HostileWriter, self.connection._writer)
        self.pending: list[bytes] = []  # records on their way to the victim

    def _handshake(self, *args: Any) -> HostileHandshake:
        handshake = HostileHandshake(*args)
        handshake.plan = self.plan
        return handshake

    # ---- As a connection ----

    def act(self, step: Callable[..., Any], *args: Any) -> None:
        """Call the connection; its errors are its own. Its questions are answered well."""
        with contextlib.suppress(TLSError):
            step(*args)
            while (question := self.connection.question) is not None:
                self.connection.answer(question, flights.well(question))
        self.collect()

    def receive(self, wire: bytes) -> None:
        self.act(self.connection.receive_data, wire)

    def collect(self) -> None:
        """Cut what it sent into records; they wait for delivery."""
        self.pending += records(self.connection.data_to_send())

    # ---- Alterations ----

    def alter_message(self, script: Script) -> None:
        """One of the next handshake messages; the transcript follows, so the keys stay right."""
        if self.keys:
            self.touched = True
            self.plan.add(script)

    def inject_protected(self, script: Script) -> None:
        """Send what does not belong, under the connection's own keys."""
        kind, times = script.below(10), script.pick((1, 1, 1, 2, 9, 33, 40))
        if not self.keys:
            return
        self.touched = True
        if kind == 9:  # any inner plaintext: types, padding, empty content
            inner = script.text()[:64] + bytes((script.pick((20, 21, 22, 23, 24, 0, script.number())),))
            inner += bytes(script.pick((0, 0, 1, 200, 16300)))
            length = script.number(2) if script.below(8) == 7 else None
            for _ in range(times):
                self.act(self.writer.send_inner, inner, length)
            return
        made = (
            lambda: (ALERT, bytes((script.pick((1, 2, 0)), script.number()))),
            lambda: (ALERT, script.text()[:4]),
            lambda: (CHANGE_CIPHER_SPEC, script.pick((b"\x01", b"\x01\x01", b"\x02"))),
            lambda: (HANDSHAKE, from_catalogue(script)),
            lambda: (HANDSHAKE, edit(from_catalogue(script), script)),
            lambda: (HANDSHAKE, from_catalogue(script) + from_catalogue(script)),
            lambda: (HANDSHAKE, framed(script.number(), script.text())),
            lambda: (DATA, script.text()),
            lambda: (HANDSHAKE, endless(script)),
        )[kind]()
        for _ in range(times):
            self.act(self.writer.send, *made)

    def inject_plain(self, script: Script) -> None:
        """Put a record in the clear, or no record at all, on the way to the victim."""
        self.touched = True
        kind, times = script.below(9), script.pick((1, 1, 1, 2, 9, 33, 40))
        version = script.pick((0x0303, 0x0301, 0x0300, 0x0304, 0x0000))
        made = (
            lambda: record(20, script.pick((b"\x01", b"\x01\x01", b"", b"\x02")), version),
            lambda: record(21, bytes((script.pick((1, 2, 0)), script.number())), version),
            lambda: record(21, script.text()[:4], version),
            lambda: record(22, from_catalogue(script)[:0xFFFF], version),
            lambda: record(23, script.text(), version),
            lambda: record(script.number(), script.text(), version),
            lambda: record(script.pick((20, 21, 22, 23)), bytes(script.pick((0, 16384, 16385, 16640, 18433))), version),
            lambda: script.text(),
            lambda: record(HANDSHAKE, endless(script), version),
        )[kind]()
        at = script.below(len(self.pending) + 1)
        self.pending[at:at] = [made] * times

    def edit_record(self, script: Script) -> None:
        """Change, drop, double, move, cut or join records that are on their way."""
        kind, at = script.below(8), script.below(len(self.pending) or 1)
        if not self.pending:
            return
        self.touched = True
        wire = self.pending.pop(at)
        header, content = wire[:5], wire[5:]
        if kind == 0:
            self.pending.insert(at, edit(wire, script))
        elif kind == 1:
            self.pending.insert(at, header + edit(content, script))
        elif kind == 2:
            self.pending[at:at] = [wire, wire]
        elif kind == 3:
            self.pending.insert(script.below(len(self.pending) + 1), wire)
        elif kind == 4:  # one record of plaintext as two, or as very many
            size = 1 + script.below(64)
            pieces = [content[start : start + size] for start in range(0, len(content), size)]
            self.pending[at:at] = [header[:3] + vec16(piece) for piece in pieces]
        elif kind == 5:
            changed = bytes((script.pick((20, 21, 22, 23, script.number())),)) + wire[1:]
            self.pending.insert(at, changed)
        elif kind == 6 and at < len(self.pending):
            both = (content + self.pending.pop(at)[5:])[:0xFFFF]
            self.pending.insert(at, header[:3] + vec16(both))
        # kind 7: dropped
