# SPDX-License-Identifier: Apache-2.0
"""What comes damaged, cut, out of place, too long, too often or not at all: an alert or an error each time, never a hang, never data."""

from __future__ import annotations

import dataclasses
import gc
import random
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import FunctionType, ModuleType
from typing import Any
from unittest import mock

import pki
import pytest
from pair import (
    NAME,
    Pair,
    authority,
    by,
    client_config,
    client_credential,
    credential,
    make_pair,
    received,
    server_config,
    shake,
    trust,
)
from rogue import (
    Alter,
    Tap,
    against,
    at,
    deliver,
    ext,
    forge,
    framed,
    plus,
    raw_extension,
    record,
    records,
    rogue,
    to_flight,
)

from tlsfast import (
    AlertDescription,
    AlertReceived,
    ClientConfig,
    ClientConnection,
    Credential,
    NamedGroup,
    PeerClosed,
    ServerConfig,
    ServerConnection,
    SessionCache,
    TicketKeyring,
    TLSError,
    Truncated,
    TrustStore,
)
from tlsfast.connection import Connection
from tlsfast.crypto import KeySchedule, Secret
from tlsfast.driver import MAX_IDLE_RECORDS
from tlsfast.errors import (
    AccessDenied,
    BadRecordMac,
    CertificateRequired,
    CertificateRevoked,
    ConnectionClosed,
    DecodeError,
    InternalError,
    LimitExceeded,
    MessageTooLong,
    MissingExtension,
    NotTLS,
    PeerError,
    RecordOverflow,
    UnexpectedMessage,
    UnknownCA,
    VersionError,
)
from tlsfast.events import MessageSeen, TicketReceived, VerifyChain
from tlsfast.handshake.post import MAX_TICKETS
from tlsfast.messages.codec import u16, vec16
from tlsfast.messages.extensions import CertificateRequestExtensions
from tlsfast.messages.handshake import (
    MAX_CERTIFICATES,
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    HelloRetryRequest,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
)
from tlsfast.record import RecordReader, RecordWriter
from tlsfast.registry import ContentType, HandshakeType, TLSVersion
from tlsfast.sessions import Session

CCS, ALERT, HANDSHAKE, DATA = (int(kind) for kind in ContentType)
Configs = Callable[[], tuple[ClientConfig, ServerConfig]]


# ---- Handshakes to damage: each with fresh configurations, cheap ----


def plain() -> tuple[ClientConfig, ServerConfig]:
    versions = [TLSVersion.TLSv1_3]
    return client_config(session_cache=None, versions=versions), server_config(tickets=None, versions=versions)


def with_tickets() -> tuple[ClientConfig, ServerConfig]:
    versions = [TLSVersion.TLSv1_3]
    return client_config(versions=versions), server_config(versions=versions, ticket_count=1)


def mutual() -> tuple[ClientConfig, ServerConfig]:
    client, server = plain()
    return client.replace(credentials=[client_credential()]), server.replace(client_auth="required", trust=trust())


def retried() -> tuple[ClientConfig, ServerConfig]:
    client, server = plain()
    return client, server.replace(groups=[NamedGroup.secp256r1], retry_cookie=True)


def resumed() -> tuple[ClientConfig, ServerConfig]:
    """The next handshake resumes; again() gives the ticket back after it."""
    client, server = with_tickets()
    shake(client, server)
    assert client.sessions is not None
    ((key, sessions),) = client.sessions._sessions.items()
    AGAIN[client.sessions] = key, sessions[0]
    return client, server


AGAIN: dict[SessionCache, tuple[Any, Session]] = {}


def again(client: ClientConfig) -> None:
    """Let the client offer its first ticket once more, where it has one."""
    if client.sessions in AGAIN:
        client.sessions.clear()
        client.sessions.put(*AGAIN[client.sessions])


# ---- What must hold after any damage ----


def sides(pair: Pair) -> list[tuple[str, Connection]]:
    return [("client", pair.client), ("server", pair.server)]


def agree(pair: Pair, *, lying: bool = False) -> bool:
    """Both completed, and they see the same; a side that lied about the name it asks for knows another."""
    ours, theirs = pair.client.handshake, pair.server.handshake
    assert ours is not None
    assert theirs is not None
    same = ["version", "cipher_suite", "group", "alpn", "resumed", *([] if lying else ["server_name"])]
    exported = [side.export_keying_material("EXPORTER-view", b"", 32) for _, side in sides(pair)]
    return exported[0] == exported[1] and all(getattr(ours, name) == getattr(theirs, name) for name in same)


def end(pair: Pair) -> None:
    """The transport ends: who still waited for something says so."""
    for name, side in sides(pair):
        if side.failure is None:
            try:
                side.receive_eof()
            except TLSError as error:
                assert isinstance(error, Truncated), f"{name}: {error!r}"


def secrets_of(side: Connection) -> list[Secret | KeySchedule]:
    """The secrets that a connection still holds, wherever; those of its configuration are not its own."""
    found: list[Secret | KeySchedule] = []
    seen, waiting = {id(side)}, [side._reader, side._writer, side._established, side._flow, side._hs]
    skipped = (type, ModuleType, FunctionType, ClientConfig, ServerConfig, TLSError)
    while waiting:
        each = waiting.pop()
        if id(each) in seen or isinstance(each, skipped):
            continue
        seen.add(id(each))
        if isinstance(each, RecordReader | RecordWriter):
            waiting.append(each.traffic_secret)
        if isinstance(each, Secret | KeySchedule):
            found += [each] if len(each) else []
        waiting += gc.get_referents(each)
    return found


def dead(side: Connection) -> None:
    """A failed connection stays failed: the same class anew each time, nothing shared, every key wiped."""
    failure = side.failure
    assert failure is not None
    calls: list[Callable[[], object]] = [
        lambda: side.receive_data(b"\x16\3\3\0\0"),
        lambda: side.send_data(b"x"),
        lambda: side.update_keys(),
        lambda: side.export_keying_material("EXPORTER-x", None, 32),
        side.receive_eof,
    ]
    raised = []
    for call in calls:
        with pytest.raises(type(failure)) as caught:
            call()
        raised.append(caught.value)
        assert caught.value.message == failure.message
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
    assert len({id(each) for each in [*raised, failure]}) == len(raised) + 1
    assert len({id(each.__traceback__) for each in raised}) == len(raised)
    assert failure.__traceback__ is None
    assert side.expecting == ()
    # RFC 8446, 6: MUST forget the secret values and keys established in failed connections
    assert secrets_of(side) == []


def judged(pair: Pair, *, may_complete: bool = False, lying: bool = False) -> None:
    """Somebody noticed; no data came through that should not; nobody was at fault but the damage."""
    if pair.complete and pair.client.failure is None and pair.server.failure is None:
        assert agree(pair, lying=lying), "both completed with differing views"
        if may_complete:
            return
    for _, side in sides(pair):
        if side.failure is None and side.handshake is not None:
            side.send_data(b"sent in good faith")
    pair.run()
    end(pair)
    assert pair.client.failure or pair.server.failure, "the damage went unnoticed"
    assert received(pair.client_events) in (b"", b"sent in good faith")
    for (_, side), events in zip(sides(pair), (pair.client_events, pair.server_events), strict=True):
        assert not isinstance(side.failure, InternalError), repr(side.failure)
        assert side.handshake is not None or received(events) == b""
        if side.failure is not None:
            assert secrets_of(side) == []
    assert pair.complete or received(pair.client_events) + received(pair.server_events) == b""


# ---- One byte flipped on its way ----

FLIPS = (0x01, 0x80, 0xFF)


def flight_lengths(configs: Configs) -> list[tuple[str, int]]:
    flights: list[tuple[str, int]] = []

    def measure(who: str, wire: bytes) -> bytes:
        flights.append((who, len(wire)))
        return wire

    shake(*configs(), change=measure)
    return flights


class Flip:
    """Changes one byte of one flight."""

    def __init__(self, flight: int, place: int, mask: int) -> None:
        self.flight, self.place, self.mask = flight, place, mask
        self.seen = -1
        self.ignored = False  # the byte is one that the RFC tells to ignore

    def __call__(self, who: str, wire: bytes) -> bytes:
        self.seen += 1
        if self.seen != self.flight:
            return wire
        # Signatures differ in length: a place past the end is the last byte.
        place = min(self.place, len(wire) - 1)
        self.ignored = ignored(wire, place, self.mask)
        return wire[:place] + bytes((wire[place] ^ self.mask,)) + wire[place + 1 :]


def ignored(wire: bytes, place: int, mask: int) -> bool:
    """RFC 8446, 5.1: legacy_record_version MUST be ignored for all purposes; protected records authenticate theirs."""
    start = 0
    for each in records(wire):
        if start <= place < start + len(each):
            return each[0] != DATA and place - start in (1, 2)
        start += len(each)
    return False


@pytest.mark.parametrize(
    ("configs", "mask"), [(plain, 0x01), (plain, 0x80), (plain, 0xFF), (mutual, 0x04), (retried, 0x02)]
)
def test_every_byte_of_every_flight_flipped(configs: Configs, mask: int) -> None:
    client, server = configs()
    for flight, (_, length) in enumerate(flight_lengths(configs)):
        for place in range(length):
            flip = Flip(flight, place, mask)
            pair = make_pair(client, server, change=flip).run()
            judged(pair, may_complete=flip.ignored)


def test_every_byte_of_a_resumption_flipped() -> None:
    client, server = resumed()
    for flight, (_, length) in enumerate(flight_lengths(lambda: (client, server))):
        for place in range(length):
            flip = Flip(flight, place, 0x10)
            again(client)
            pair = make_pair(client, server, change=flip).run()
            judged(pair, may_complete=flip.ignored)


def test_random_damage_to_whole_flights() -> None:
    """Several bytes changed, cut out, doubled or put in: by a seed, so that a failure comes again."""
    client, server = plain()
    for seed in range(600):
        chance = random.Random(seed)

        def damage(who: str, wire: bytes, chance: random.Random = chance) -> bytes:
            if chance.random() < 0.4:
                return wire
            start = chance.randrange(len(wire))
            stop = min(len(wire), start + chance.choice((1, 2, 5, 16, 100)))
            piece = chance.choice((b"", chance.randbytes(stop - start), wire[start:stop] * 2, chance.randbytes(7)))
            return wire[:start] + piece + wire[stop:]

        pair = make_pair(client, server, change=damage).run()
        judged(pair, may_complete=True)


# ---- One byte of one message changed by a peer that goes on with the right keys ----


def messages_of(configs: Configs) -> list[tuple[str, type[Any], int, bytes]]:
    """Every message of a handshake: who sends it, its class, how many of the class came before, its encoding."""
    seen: list[tuple[str, Any, bytes]] = []

    def observe(who: str) -> Callable[[object], object]:
        return lambda each: (
            seen.append((who, each.message, each.raw)) if isinstance(each, MessageSeen) and each.sent else None
        )

    client, server = configs()
    pair = shake(
        client.replace(observer=observe("client"), session_cache=client.session_cache and client.sessions),
        server.replace(observer=observe("server"), tickets=server.keyring),
    )
    assert pair.complete
    counts: dict[tuple[str, type[Any]], int] = {}
    found = []
    for who, message, raw in seen:
        key = who, type(message)
        counts[key] = counts.get(key, -1) + 1
        found.append((who, type(message), counts[key], raw))
    return found


def attacked(sender: str, kind: type[Any], nth: int, change: Alter, client: ClientConfig, server: ServerConfig) -> Pair:
    victim = "server" if sender == "client" else "client"
    again(client)
    return against(victim, at(kind, change, nth), client, server).run()


def of_all_messages() -> Iterator[tuple[str, type[Any], int, int, Configs]]:
    """Each message once, in the handshake where it comes: sender, class, number, length."""
    known = set()
    for configs in (plain, mutual, retried, resumed):
        for sender, kind, nth, raw in messages_of(configs):
            label = sender, kind, nth, configs is resumed and kind is ClientHello
            if label not in known:
                known.add(label)
                yield sender, kind, nth, len(raw), configs


EVERY = list(of_all_messages())
EVERY_ID = [f"{sender}-{kind.__name__}-{nth}-{configs.__name__}" for sender, kind, nth, _, configs in EVERY]


@pytest.mark.parametrize(("sender", "kind", "nth", "length", "configs"), EVERY, ids=EVERY_ID)
def test_every_byte_of_every_message_changed_under_the_right_keys(
    sender: str, kind: type[Any], nth: int, length: int, configs: Configs
) -> None:
    """What authentication does not stop: the decoders and the checks stand alone. Where all is well in spite of it, both see the same."""
    client, server = configs()
    victim = "server" if sender == "client" else "client"
    for place in range(length):
        mask = FLIPS[place % 3]

        def change(message: Any, place: int = place, mask: int = mask) -> bytes:
            raw = message.encode()
            spot = min(place, len(raw) - 1)
            return raw[:spot] + bytes((raw[spot] ^ mask,)) + raw[spot + 1 :]

        pair = attacked(sender, kind, nth, change, client, server)
        failure = getattr(pair, victim).failure
        assert not isinstance(failure, InternalError), f"byte {place} ^ {mask:#x}: {failure!r}"
        judged(pair, may_complete=True, lying=True)


# ---- Every cut of every message ----


@pytest.mark.parametrize(("sender", "kind", "nth", "length", "configs"), EVERY, ids=EVERY_ID)
def test_every_cut_of_every_message_with_its_length_repaired(
    sender: str, kind: type[Any], nth: int, length: int, configs: Configs
) -> None:
    client, server = configs()
    victim = "server" if sender == "client" else "client"
    for cut in range(length - 4):
        older = []

        def change(message: Any, cut: int = cut, older: list[bool] = older) -> bytes:
            raw = message.encode()
            if isinstance(message, ClientHello | ServerHello | HelloRetryRequest):
                older.append(4 + cut == len(raw) - len(message.extensions.encode()))
            return framed(raw[0], raw[4 : 4 + min(cut, len(raw) - 5)])  # signatures differ in length

        pair = attacked(sender, kind, nth, change, client, server)
        failure = getattr(pair, victim).failure
        assert isinstance(failure, PeerError), f"cut at {cut}: {failure!r}"
        # A hello that ends where its extensions would begin is one of an older version.
        older_hello = {ServerHello: VersionError, ClientHello: (VersionError, MissingExtension)[nth]}
        expected = older_hello.get(kind, MissingExtension) if any(older) else DecodeError
        assert type(failure) is expected, f"cut at {cut}: {failure!r}"
        judged(pair)


def cut_short(raw: bytes, cut: int) -> bytes:
    return raw[: min(cut, len(raw) - 1)]


@pytest.mark.parametrize(("sender", "kind", "nth", "length", "configs"), EVERY, ids=EVERY_ID)
def test_every_cut_of_every_message_as_it_is(
    sender: str, kind: type[Any], nth: int, length: int, configs: Configs
) -> None:
    """The header promises more than comes: what follows is taken for the rest, or the end of the stream is met in mid-message."""
    client, server = configs()
    for cut in range(1, length):
        pair = attacked(sender, kind, nth, lambda message, cut=cut: cut_short(message.encode(), cut), client, server)
        judged(pair)


def test_every_extension_of_every_hello_cut() -> None:
    """The lists' lengths follow, so that each extension's own decoder meets the cut."""
    client, server = plain()
    client = client.replace(alpn=["h2"], record_size_limit=1000, cipher_suites=client.cipher_suites)
    server = server.replace(alpn=["h2"], client_auth="optional", trust=trust())
    for sender, kind in (
        ("client", ClientHello),
        ("server", ServerHello),
        ("server", EncryptedExtensions),
        ("server", CertificateRequest),
    ):
        for index in range(20):
            length, cut = 1, 0
            while cut < length:
                sizes: list[int] = []

                def change(message: Any, index: int = index, cut: int = cut, sizes: list[int] = sizes) -> bytes:
                    raw, block = message.encode(), message.extensions.encode()
                    extensions = list(split(block[2:]))
                    if index < len(extensions):
                        sizes.append(len(extensions[index][1]))
                        extensions[index] = extensions[index][0], extensions[index][1][:cut]
                    changed = vec16(b"".join(raw_extension(*each) for each in extensions))
                    return framed(raw[0], raw[4:].replace(block, changed))

                pair = attacked(sender, kind, 0, change, client, server)
                if not sizes:
                    break
                length, cut = sizes[0], cut + 1
                if length:
                    victim = pair.server if sender == "client" else pair.client
                    assert type(victim.failure) is DecodeError, f"{kind.__name__} {index} {cut}: {victim.failure!r}"


def split(block: bytes) -> Iterator[tuple[int, bytes]]:
    """The extensions of a list, number and body."""
    while block:
        end_ = 4 + int.from_bytes(block[2:4])
        yield int.from_bytes(block[:2]), block[4:end_]
        block = block[end_:]


# ---- Messages where they are not expected ----

REQUEST = CertificateRequest(b"", CertificateRequestExtensions(signature_algorithms=(0x0403,)))
TICKET = NewSessionTicket(7200, 1, b"", b"ticket")


def samples() -> dict[str, bytes]:
    """A well-formed message of each class, and of each type that TLS 1.3 does not have, and of none."""
    found: dict[str, bytes] = {}
    for configs in (mutual, retried):
        for sender, kind, _, raw in messages_of(configs):
            found.setdefault(f"{sender}'s {kind.__name__}", raw)
    for message in (REQUEST, TICKET, EndOfEarlyData(), KeyUpdate(0), KeyUpdate(1), Finished(bytes(32)), Certificate()):
        found[f"{message!r}"[:40]] = message.encode()
    for number in (0, 3, 6, 7, 9, 10, 12, 14, 16, 17, 21, 22, 23, 25, 67, 128, 253, 254, 255):
        found[f"type {number}"] = framed(number, b"")
    return found


SAMPLES = samples()
T = HandshakeType
# Who waits, for the peer's message of which class (and how many of it came before), in which handshake; the types that may come there.
WAITING: list[tuple[str, type[Any], int, Configs, set[int]]] = [
    ("server", ClientHello, 0, plain, {T.client_hello}),
    ("server", ClientHello, 1, retried, {T.client_hello}),
    ("server", Finished, 0, plain, {T.finished}),
    ("server", Finished, 0, resumed, {T.finished}),
    ("server", Certificate, 0, mutual, {T.certificate}),
    ("server", CertificateVerify, 0, mutual, {T.certificate_verify}),
    ("server", Finished, 0, mutual, {T.finished}),
    ("client", ServerHello, 0, plain, {T.server_hello}),
    ("client", ServerHello, 0, retried, {T.server_hello}),
    ("client", EncryptedExtensions, 0, plain, {T.encrypted_extensions}),
    ("client", EncryptedExtensions, 0, resumed, {T.encrypted_extensions}),
    ("client", Certificate, 0, plain, {T.certificate, T.certificate_request}),
    ("client", Certificate, 0, mutual, {T.certificate}),
    ("client", CertificateVerify, 0, plain, {T.certificate_verify}),
    ("client", Finished, 0, plain, {T.finished}),
    ("client", Finished, 0, resumed, {T.finished}),
]


@pytest.mark.parametrize(
    ("victim", "kind", "nth", "configs", "may_come"),
    WAITING,
    ids=[f"{victim}-{kind.__name__}-{nth}-{configs.__name__}" for victim, kind, nth, configs, _ in WAITING],
)
def test_every_message_where_it_is_not_expected(
    victim: str, kind: type[Any], nth: int, configs: Configs, may_come: set[int]
) -> None:
    client, server = configs()
    sender = "client" if victim == "server" else "server"
    for label, raw in SAMPLES.items():
        if raw[0] in may_come:
            continue
        pair = attacked(sender, kind, nth, lambda message, raw=raw: raw, client, server)
        side, peer = (pair.server, pair.client) if victim == "server" else (pair.client, pair.server)
        assert type(side.failure) is UnexpectedMessage, f"{label}: {side.failure!r}"
        assert isinstance(peer.failure, AlertReceived), f"{label}: {peer.failure!r}"
        assert peer.failure.description is AlertDescription.unexpected_message
        judged(pair)


@pytest.mark.parametrize(("victim", "may_come"), [("client", {4, 24}), ("server", {24})])
def test_every_message_after_the_handshake(victim: str, may_come: set[int]) -> None:
    for label, raw in SAMPLES.items():
        if raw[0] in may_come:
            continue
        pair = shake(*plain())
        side = getattr(pair, victim)
        deliver(pair, victim, forge(side, raw + b"\x16"))
        assert type(side.failure) is UnexpectedMessage, f"{label}: {side.failure!r}"
        judged(pair)


def test_a_hello_retry_request_where_only_a_server_hello_may_come_is_told_from_it() -> None:
    client, server = retried()
    (retry,) = (raw for sender, kind, _, raw in messages_of(retried) if kind is HelloRetryRequest)
    pair = attacked("server", ServerHello, 0, lambda message: retry, client, server)
    assert type(pair.client.failure) is UnexpectedMessage


# ---- Records of every type at every point ----


@pytest.mark.parametrize("victim", ["client", "server"])
@pytest.mark.parametrize("stage", ["first", "flight", "end"])
def test_records_of_every_type(victim: str, stage: str) -> None:
    client, server = plain()
    for kind in range(256):
        pair = make_pair(client, server)
        if stage == "end":
            pair.run()
        elif stage == "flight":
            to_flight(pair, victim)
        else:
            pair.client.data_to_send()
        side: Connection = getattr(pair, victim)
        error = deliver(pair, victim, record(kind, b"\1"))
        if kind == CCS and (stage == "flight" or (stage, victim) == ("first", "client")):
            assert error is None  # RFC 8446, 5: dropped
        elif kind == HANDSHAKE and stage == "first":
            assert error is None  # a message begins
        elif kind == DATA and stage != "first":
            assert type(error) is BadRecordMac
        elif kind == ALERT and stage != "end":
            assert type(error) is DecodeError  # half an alert
        else:
            assert isinstance(error, UnexpectedMessage | NotTLS), f"type {kind}: {error!r}"
            assert error.alert is AlertDescription.unexpected_message
        if error is not None:
            assert records(side.data_to_send())[-1][0] == (ALERT if stage == "first" else DATA)
            assert not side.send_pending
            dead(side)


# ---- ChangeCipherSpec (RFC 8446, 5, D.4) ----

DUMMY = record(CCS, b"\1")


@pytest.mark.parametrize("compatibility", [True, False])
@pytest.mark.parametrize("times", [1, 2, MAX_IDLE_RECORDS - 1])
def test_change_cipher_spec_is_dropped_between_the_hello_and_finished(times: int, compatibility: bool) -> None:
    """One goes before each record but those at the ends; in the middle of nothing it changes nothing."""

    def sprinkle(who: str, wire: bytes) -> bytes:
        found = records(wire)
        hello = who == "client" and found[0][5:6] == b"\1"
        return b"".join(each if hello or each[0] == CCS else DUMMY * times + each for each in found)

    client, server = plain()
    pair = make_pair(client.replace(middlebox_compatibility=compatibility), server, change=sprinkle).run()
    assert pair.complete, (pair.client.failure, pair.server.failure)
    assert agree(pair)


@pytest.mark.parametrize("victim", ["client", "server"])
def test_change_cipher_spec_without_end(victim: str) -> None:
    pair = to_flight(make_pair(*plain()), victim)
    side = getattr(pair, victim)
    assert deliver(pair, victim, DUMMY * (MAX_IDLE_RECORDS - 1)) is None  # the client had one already
    for _ in range(2):
        deliver(pair, victim, DUMMY)
    assert type(side.failure) is LimitExceeded
    judged(pair)


# ---- Fragments (RFC 8446, 5.1) ----


def flights_of(configs: Configs) -> list[tuple[str, int]]:
    """Who sends each flight of handshake messages under one key, and its length before protection."""
    lengths: list[tuple[str, int]] = []

    def note(who: str) -> Callable[[bytes], list[tuple[int, bytes]]]:
        def cut(flight: bytes) -> list[tuple[int, bytes]]:
            lengths.append((who, len(flight)))
            return [(HANDSHAKE, flight)]

        return cut

    client, server = configs()
    with rogue(cut=note("client")):
        ours = ClientConnection(client, NAME)
    with rogue(cut=note("server")):
        theirs = ServerConnection(server)
    assert Pair(ours, theirs).run().complete
    return lengths


def cut_differently(sender: str, nth: int, cut: Callable[[bytes], list[tuple[int, bytes]]], configs: Configs) -> Pair:
    """A handshake in which one flight of one side is cut into records in another way."""
    count = -1

    def nth_cut(flight: bytes) -> list[tuple[int, bytes]]:
        nonlocal count
        count += 1
        return cut(flight) if count == nth else [(HANDSHAKE, flight)]

    client, server = configs()
    if sender == "client":
        with rogue(cut=nth_cut):
            ours = ClientConnection(client, NAME)
        return Pair(ours, ServerConnection(server)).run()
    with rogue(cut=nth_cut):
        theirs = ServerConnection(server)
    return Pair(ClientConnection(client, NAME), theirs).run()


def flights() -> Iterator[tuple[str, int, int, Configs]]:
    for configs in (mutual, retried):
        count = {"client": -1, "server": -1}
        for sender, length in flights_of(configs):
            count[sender] += 1
            yield sender, count[sender], length, configs


FLIGHTS = list(flights())
FLIGHTS_ID = [f"{sender}-{nth}-{configs.__name__}" for sender, nth, _, configs in FLIGHTS]


@pytest.mark.parametrize(("sender", "nth", "length", "configs"), FLIGHTS, ids=FLIGHTS_ID)
def test_messages_cut_into_records_at_every_place(sender: str, nth: int, length: int, configs: Configs) -> None:
    for place in range(1, length - 2):
        pair = cut_differently(
            sender, nth, lambda flight, place=place: [(HANDSHAKE, flight[:place]), (HANDSHAKE, flight[place:])], configs
        )
        assert pair.complete, f"cut at {place}: {pair.client.failure!r} {pair.server.failure!r}"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("configs", [mutual, retried], ids=["mutual", "retried"])
def test_messages_cut_into_small_records(configs: Configs, size: int) -> None:
    def cut(flight: bytes) -> list[tuple[int, bytes]]:
        return [(HANDSHAKE, part) for part in by(size)(flight)]

    client, server = configs()
    with rogue(cut=cut):
        pair = Pair(ClientConnection(client, NAME), ServerConnection(server))
    assert pair.run().complete, (pair.client.failure, pair.server.failure)
    assert agree(pair)


@pytest.mark.parametrize(("sender", "nth", "length", "configs"), FLIGHTS, ids=FLIGHTS_ID)
@pytest.mark.parametrize("other", [(ALERT, b"\1\x5a"), (ALERT, b"\2\x28"), (CCS, b"\1"), (DATA, b""), (DATA, b"x")])
def test_no_other_record_between_the_parts_of_a_message(
    sender: str, nth: int, length: int, configs: Configs, other: tuple[int, bytes]
) -> None:
    for place in (1, 3, 4, 5, 30):
        pair = cut_differently(
            sender,
            nth,
            lambda flight, place=place: [(HANDSHAKE, flight[:place]), other, (HANDSHAKE, flight[place:])],
            configs,
        )
        victim = pair.server if sender == "client" else pair.client
        assert type(victim.failure) is UnexpectedMessage, f"{place}: {victim.failure!r}"
        judged(pair)


def test_after_the_handshake_too() -> None:
    """A ticket in parts is taken; data between its parts is not."""
    pair = shake(*plain())
    raw = TICKET.encode()
    first, second = forge(pair.client, raw[:9] + b"\x16"), forge(pair.client, raw[9:] + b"\x16", 1)
    assert deliver(pair, "client", first + second) is None
    assert TicketReceived(7200) in pair.client_events
    data = forge(pair.client, b"data\x17", 2)
    assert deliver(pair, "client", data) is None
    assert received(pair.client_events) == b"data"
    error = deliver(pair, "client", forge(pair.client, raw[:9] + b"\x16", 3) + forge(pair.client, b"no\x17", 4))
    assert type(error) is UnexpectedMessage
    assert received(pair.client_events) == b"data"


def test_a_fault_behind_good_data_in_one_call_comes_after_it() -> None:
    pair = shake(*plain())
    wire = forge(pair.client, b"good\x17") + forge(pair.client, b"better\x17", 1) + record(DATA, bytes(40))
    events = pair.client.receive_data(wire)
    assert received(events) == b"goodbetter"
    assert type(pair.client.failure) is BadRecordMac
    dead(pair.client)
    pair.run()
    assert isinstance(pair.server.failure, AlertReceived)
    assert pair.server.failure.description is AlertDescription.bad_record_mac


# ---- Early data that is refused (RFC 8446, 4.2.10) ----

BUDGET = 16 * 1024


def early(configs: Configs = plain, **server: Any) -> Pair:
    """A client offered early data, and waits; the server waits for the client's flight (after a retry: for the second hello)."""
    ours, theirs = configs()
    pair = against("server", at(ClientHello, ext(early_data=True), 0), ours, theirs.replace(**server))
    deliver(pair, "server", pair.client.data_to_send())
    return pair


def junk(length: int) -> bytes:
    """A record of early data of this many bytes on the wire, as the server sees it."""
    return record(DATA, b"\xa5" * (length - 5))


RETRIES: list[tuple[Configs, type[PeerError]]] = [
    (plain, BadRecordMac),
    (mutual, BadRecordMac),
    (retried, UnexpectedMessage),
]


@pytest.mark.parametrize(("configs", "past"), RETRIES, ids=["plain", "mutual", "retried"])
@pytest.mark.parametrize("parts", [(BUDGET,), (BUDGET - 100, 100), (22,) * 744, (64,) * 256, (5, 6, BUDGET - 11)])
@pytest.mark.parametrize("chunks", [by(10**6), by(1000)])
def test_refused_early_data_is_skipped_up_to_the_budget(
    configs: Configs, past: type[PeerError], parts: tuple[int, ...], chunks: Callable[[bytes], Iterator[bytes]]
) -> None:
    assert sum(parts) <= BUDGET
    wire = b"".join(map(junk, parts))
    pair = early(configs)
    pair.chunks = chunks
    for chunk in chunks(wire):
        assert deliver(pair, "server", chunk) is None
    pair.run()
    assert pair.complete, (pair.client.failure, pair.server.failure)
    assert received(pair.server_events) == b""
    pair.client.send_data(b"late data")
    pair.run()
    assert received(pair.server_events) == b"late data"

    pair = early(configs)
    left = BUDGET - sum(parts)
    error = deliver(pair, "server", wire + (junk(left + 1) if left >= 4 else junk(5) * (left // 5 + 1)))
    assert type(error) is past
    judged(pair.run())


@pytest.mark.parametrize("budget", [0, 5, 22, 1000])
def test_the_budget_is_the_configurations(budget: int) -> None:
    pair = early(early_data_budget=budget)
    if budget:
        assert deliver(pair, "server", junk(budget)) is None
    assert type(deliver(pair, "server", junk(5))) is BadRecordMac


@pytest.mark.parametrize("configs", [plain, retried], ids=["plain", "retried"])
def test_no_early_data_is_skipped_that_was_not_offered(configs: Configs) -> None:
    pair = make_pair(*configs())
    deliver(pair, "server", pair.client.data_to_send())
    error = deliver(pair, "server", junk(30))
    assert type(error) is (BadRecordMac if configs is plain else UnexpectedMessage)


def test_skipping_ends_with_the_first_record_that_opens() -> None:
    pair = early(mutual)
    assert deliver(pair, "server", junk(100)) is None
    certificate = framed(T.certificate, bytes(4))
    assert deliver(pair, "server", forge(pair.server, certificate[:2] + b"\x16")) is None
    assert type(deliver(pair, "server", junk(100))) is BadRecordMac


def test_skipping_ends_with_the_second_hello() -> None:
    pair = early(retried)
    assert deliver(pair, "server", junk(100)) is None
    deliver(pair, "client", pair.server.data_to_send())
    second = pair.client.data_to_send()
    assert deliver(pair, "server", second) is None
    assert type(deliver(pair, "server", junk(100))) is BadRecordMac


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda side: forge(side, bytes(8)), UnexpectedMessage),  # it opens, and holds nothing
        (lambda side: forge(side, b"x\x63"), UnexpectedMessage),
        (lambda side: forge(side, b"x\x17"), UnexpectedMessage),
        (lambda side: forge(side, bytes(2**14 + 1) + b"\x17"), RecordOverflow),
        (lambda side: b"\x17\3\3" + u16(2**14 + 257), RecordOverflow),
        (lambda side: record(HANDSHAKE, b"\1"), UnexpectedMessage),
        (lambda side: record(ALERT, b"\2\x28"), AlertReceived),
        (lambda side: record(24, b"x"), UnexpectedMessage),
    ],
)
def test_nothing_else_is_skipped(make: Callable[[Connection], bytes], error: type[TLSError]) -> None:
    pair = early(early_data_budget=100_000)
    assert deliver(pair, "server", junk(100)) is None
    assert type(deliver(pair, "server", make(pair.server))) is error


# ---- Without end (SECURITY-BAR 5) ----


def test_key_updates_without_data() -> None:
    for sender, receiver in (("client", "server"), ("server", "client")):
        pair = shake(*plain())
        side: Connection = getattr(pair, sender)
        for _ in range(3):
            for _ in range(MAX_IDLE_RECORDS):
                side.update_keys(request_peer=False)
                pair.run()
            side.send_data(b"and data in between")
            pair.run()
            assert getattr(pair, receiver).failure is None
        for _ in range(MAX_IDLE_RECORDS + 1):
            side.update_keys(request_peer=False)
        pair.run()
        failure = getattr(pair, receiver).failure
        assert type(failure) is LimitExceeded
        assert failure.facts["limit"] == MAX_IDLE_RECORDS
        assert getattr(pair, sender).failure.description is AlertDescription.unexpected_message


def test_key_update_requests_are_answered_in_a_bounded_way() -> None:
    """However many come in one piece, one answer goes out; and past the limit none."""
    pair = shake(*plain())
    for _ in range(MAX_IDLE_RECORDS):
        pair.client._writer.send(HANDSHAKE, KeyUpdate(1).encode())
        pair.client._writer.update_key()
    assert deliver(pair, "server", pair.client.data_to_send()) is None
    assert len(records(pair.server._writer.take())) == 1


IDLE: dict[str, Callable[[Connection, int], bytes]] = {
    "empty records": lambda side, n: forge(side, b"\x17", n),
    "padded empty records": lambda side, n: forge(side, b"\x17" + bytes(100), n),
    "user_canceled": lambda side, n: forge(side, b"\1\x5a\x15", n),
    "fatal user_canceled": lambda side, n: forge(side, b"\2\x5a\x15", n),
    "tickets": lambda side, n: forge(side, TICKET.encode() + b"\x16", n),
    "all of them": lambda side, n: forge(side, (b"\x17", b"\1\x5a\x15", TICKET.encode() + b"\x16")[n % 3], n),
}


@pytest.mark.parametrize("what", IDLE)
@pytest.mark.parametrize("victim", ["client", "server"])
@pytest.mark.parametrize("together", [True, False])
def test_records_that_bring_nothing(what: str, victim: str, together: bool) -> None:
    if victim == "server" and what in ("tickets", "all of them"):
        return
    pair = shake(*plain())
    side: Connection = getattr(pair, victim)
    wire = [IDLE[what](side, n) for n in range(MAX_IDLE_RECORDS)]
    wire.append(forge(side, b"data\x17", MAX_IDLE_RECORDS))
    wire += [IDLE[what](side, n) for n in range(MAX_IDLE_RECORDS + 1, 2 * MAX_IDLE_RECORDS + 1)]
    for piece in [b"".join(wire)] if together else wire:
        assert deliver(pair, victim, piece) is None
    assert received(getattr(pair, f"{victim}_events")) == b"data"
    error = deliver(pair, victim, IDLE[what](side, 2 * MAX_IDLE_RECORDS + 1))
    assert type(error) is LimitExceeded
    dead(side)


@pytest.mark.parametrize("victim", ["client", "server"])
def test_user_canceled_without_end_in_the_handshake(victim: str) -> None:
    pair = to_flight(make_pair(*plain()), victim)
    side: Connection = getattr(pair, victim)
    cancel = record(ALERT, b"\1\x5a")
    already = 1 if victim == "client" else 0  # the server's ChangeCipherSpec
    assert deliver(pair, victim, cancel * (MAX_IDLE_RECORDS - already)) is None
    assert type(deliver(pair, victim, cancel)) is LimitExceeded
    dead(side)


def test_eight_tickets_of_a_connection_are_kept() -> None:
    cache = SessionCache(per_name=100)
    client, server = plain()
    pair = shake(client.replace(session_cache=cache), server)
    wire = b"".join(
        forge(pair.client, dataclasses.replace(TICKET, ticket_nonce=bytes((n,))).encode() + b"\x16", n)
        for n in range(12)
    )
    events = pair.client.receive_data(wire)
    assert len([each for each in events if isinstance(each, TicketReceived)]) == 12
    assert len(cache) == MAX_TICKETS == 8


def test_many_tickets_in_one_record() -> None:
    pair = shake(*plain())
    assert deliver(pair, "client", forge(pair.client, TICKET.encode() * MAX_IDLE_RECORDS + b"\x16")) is None
    assert type(deliver(pair, "client", forge(pair.client, TICKET.encode() + b"\x16", 1))) is LimitExceeded


# ---- Lengths at the limit and one past it (SECURITY-BAR 5) ----


def grown(message: ClientHello, length: int) -> bytes:
    """The hello with an unknown extension that brings its body to this length."""
    raw = message.encode()
    return at(ClientHello, plus((0x1234, bytes(length - (len(raw) - 4) - 4))))(message).encode()


@pytest.mark.parametrize("limit", [64 * 1024, 4096])
def test_a_client_hello_at_the_limit(limit: int) -> None:
    client, server = plain()
    server = server.replace(max_client_hello_size=limit)
    if limit < 2**16:  # the list of extensions has a length of two bytes
        assert attacked("client", ClientHello, 0, lambda m: grown(m, limit), client, server).complete
    pair = attacked("client", ClientHello, 0, lambda m: framed(1, bytes(limit + 1)), client, server)
    assert type(pair.server.failure) is MessageTooLong
    assert pair.server.failure.facts["limit"] == limit
    pair = make_pair(client, server)
    assert deliver(pair, "server", record(HANDSHAKE, b"\1" + limit.to_bytes(3))) is None
    assert (
        type(deliver(make_pair(client, server), "server", record(HANDSHAKE, b"\1" + (limit + 1).to_bytes(3))))
        is MessageTooLong
    )


def test_a_handshake_message_at_the_limit() -> None:
    """Certificate is the longest, but for a hybrid's ServerHello; it is refused at its header."""
    client, server = plain()
    client = client.replace(groups=["x25519"])
    size = next(len(raw) - 4 for _, kind, _, raw in messages_of(plain) if kind is Certificate)
    assert make_pair(client.replace(max_handshake_size=size), server).run().complete
    pair = make_pair(client.replace(max_handshake_size=size - 1), server).run()
    assert type(pair.client.failure) is MessageTooLong
    assert pair.client.failure.facts == {"kind": 11, "length": size, "limit": size - 1}
    judged(pair)
    for length, fault in ((128 * 1024, None), (128 * 1024 + 1, MessageTooLong)):
        pair = to_flight(make_pair(client, server), "client")
        error = deliver(pair, "client", forge(pair.client, b"\x0b" + length.to_bytes(3) + b"\x16"))
        assert (type(error) if error else None) is fault


def test_a_chain_at_the_limit() -> None:
    root = authority().der

    def chain(length: int) -> Alter:
        return lambda m: dataclasses.replace(m, entries=(m.entries[0], *[CertificateEntry(root)] * (length - 1)))

    assert MAX_CERTIFICATES == 16
    assert attacked("server", Certificate, 0, chain(16), *plain()).complete
    assert attacked("client", Certificate, 0, chain(16), *mutual()).complete
    pair = attacked("server", Certificate, 0, chain(17), *plain())
    assert type(pair.client.failure) is LimitExceeded
    judged(pair)
    pair = attacked("client", Certificate, 0, chain(17), *mutual())
    assert type(pair.server.failure) is LimitExceeded
    judged(pair)


def test_records_at_the_limit() -> None:
    """The longest that the standard allows, by content and by padding; the table of alerts has what is longer."""
    for inner in (bytes(2**14) + b"\x17", b"x\x17" + bytes(2**14 - 1), b"\x17" + bytes(2**14)):
        pair = shake(*plain())
        assert deliver(pair, "client", forge(pair.client, inner)) is None
        assert received(pair.client_events) == inner.rstrip(b"\0")[:-1] or inner[:1] == b"\0"
    client, server = plain()
    pair = shake(client.replace(record_size_limit=1000), server)
    assert deliver(pair, "client", forge(pair.client, b"x" * 999 + b"\x17")) is None
    assert received(pair.client_events) == b"x" * 999
    assert type(deliver(pair, "client", forge(pair.client, b"x\x17" + bytes(999), 1))) is RecordOverflow


def test_a_record_size_limit_binds_only_a_server_that_answers_it() -> None:
    """RFC 8449, 4: it is negotiated; a server that does not know the extension sends what it always does."""
    client, server = plain()
    pair = attacked(
        "server", EncryptedExtensions, 0, ext(record_size_limit=None), client.replace(record_size_limit=64), server
    )
    assert pair.complete, pair.client.failure
    assert deliver(pair, "client", forge(pair.client, b"x" * 5000 + b"\x17")) is None
    assert received(pair.client_events) == b"x" * 5000


def test_handshake_records_obey_the_record_size_limit() -> None:
    wire = Tap()
    client, server = plain()
    pair = make_pair(client.replace(record_size_limit=64), server.replace(record_size_limit=100), change=wire).run()
    assert pair.complete
    assert max(len(each) - 5 - 16 for each in records(wire.server) if each[0] == DATA) <= 64
    wire.client = b""
    pair.client.send_data(bytes(1000))
    pair.run()
    assert max(len(each) - 5 - 16 for each in records(wire.client)) == 100


# ---- What must be ignored (RFC 8446, 9.3; RFC 8701) ----

GREASE = (0x0A0A, 0x1A1A, 0xFAFA)


def test_grease_and_what_is_unknown_in_a_client_hello() -> None:
    def grease(message: ClientHello) -> Any:
        old = message.extensions
        from tlsfast.messages.extensions import KeyShareEntry

        assert old.supported_groups and old.signature_algorithms and old.supported_versions and old.key_share
        return dataclasses.replace(
            message,
            cipher_suites=(*GREASE, *message.cipher_suites, 0x5600),
            extensions=dataclasses.replace(
                old,
                supported_groups=(GREASE[0], *old.supported_groups),
                signature_algorithms=(GREASE[1], *old.signature_algorithms),
                supported_versions=(GREASE[2], *old.supported_versions),
                key_share=(KeyShareEntry(GREASE[0], b"\0"), *old.key_share),
                alpn=(b"\x0a\x0a", b"h2"),
                psk_key_exchange_modes=(0x0B, 1),
                max_fragment_length=1,
                ec_point_formats=(1, 0),
                renegotiation_info=b"",
                session_ticket=b"an old one",
                extended_master_secret=True,
                unknown=((0x0A0A, b""), (0x1A1A, b"\0"), (21, bytes(100)), (17, bytes(9))),
            ),
        )

    client, server = plain()
    client, server = client.replace(alpn=["h2"]), server.replace(alpn=["h2"])
    pair = attacked("client", ClientHello, 0, grease, client, server)
    assert pair.complete, pair.server.failure
    assert agree(pair)
    # In a second hello they may come, go and change.
    pair = attacked("client", ClientHello, 1, plus((0x2A2A, b"")), *retried())
    assert pair.complete, pair.server.failure


def test_what_is_unknown_in_a_request_and_in_a_ticket() -> None:
    pair = attacked("server", CertificateRequest, 0, plus((0x0A0A, b""), (0x1A1A, b"\0")), *mutual())
    assert pair.complete, pair.client.failure
    client, server = with_tickets()
    pair = attacked("server", NewSessionTicket, 0, ext(unknown=((0x0A0A, b"\1\2"),)), client, server)
    assert pair.client.failure is None
    assert shake(client, server).client_completed().resumed


@pytest.mark.parametrize("victim", ["client", "server"])
@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302, 0x03FF])
def test_the_record_version_in_the_clear_is_ignored(victim: str, version: int) -> None:
    def change(who: str, wire: bytes) -> bytes:
        return b"".join(
            each if each[0] == DATA or who == victim else each[:1] + u16(version) + each[3:] for each in records(wire)
        )

    assert make_pair(*plain(), change=change).run().complete


def test_alert_levels_are_ignored_and_unknown_alerts_are_fatal() -> None:
    for victim in ("client", "server"):
        for level in (0, 1, 2, 255):
            for number in (10, 40, 46, 90, 99, 100, 0, 255):
                pair = shake(*plain())
                side: Connection = getattr(pair, victim)
                error = deliver(pair, victim, forge(side, bytes((level, number)) + b"\x15"))
                if number == 90:
                    assert error is None
                elif number == 0:
                    assert error is None
                    assert getattr(pair, f"{victim}_events")[-1] == PeerClosed()
                else:
                    assert isinstance(error, AlertReceived)
                    assert error.description == number
                    assert not side.send_pending
                    dead(side)


# ---- The end of the stream, and closing ----


@pytest.mark.parametrize("configs", [plain, mutual, retried], ids=["plain", "mutual", "retried"])
def test_the_stream_ends_anywhere_in_the_handshake(configs: Configs) -> None:
    client, server = configs()
    for flight, (sender, length) in enumerate(flight_lengths(configs)):
        for place in {0, 1, 4, 5, 6, length // 2, length - 1}:
            count = -1

            def change(who: str, wire: bytes, flight: int = flight, place: int = place) -> bytes:
                nonlocal count
                count += 1
                return wire[:place] if count == flight else wire if count < flight else b""

            pair = make_pair(client, server, change=change).run()
            victim = pair.server if sender == "client" else pair.client
            waited = [kind.__name__ for kind in victim.expecting]
            with pytest.raises(Truncated) as caught:
                victim.receive_eof()
            assert all(name in str(caught.value) for name in waited)
            assert b"\x15" not in {each[:1] for each in records(victim.data_to_send())}
            dead(victim)


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize("stage", ["first", "flight"])
def test_closing_in_mid_handshake(who: str, stage: str) -> None:
    """RFC 8446, 6.1: user_canceled, then close_notify; the other side says so, and this one is silent from then on."""
    pair = make_pair(*plain())
    if stage == "flight":
        to_flight(pair, who)
    side, other = (pair.client, pair.server) if who == "client" else (pair.server, pair.client)
    side.close()
    side.close()
    pair.run()
    if (who, stage) == ("server", "flight"):  # its Finished was on its way: the client is done, and learns of the close
        assert pair.client_events[-1] == PeerClosed()
    else:
        assert isinstance(other.failure, AlertReceived)
        assert other.failure.description is AlertDescription.close_notify
    assert not side.send_pending
    assert side.receive_data(b"whatever comes") == []
    with pytest.raises(ConnectionClosed):
        side.send_data(b"x")
    assert side.handshake is None


def test_after_close_notify_nothing_is_read() -> None:
    pair = shake(*plain())
    late = forge(pair.server, b"late\x17", 1)
    assert deliver(pair, "server", forge(pair.server, b"\1\0\x15") + late) is None
    assert deliver(pair, "server", late + b"garbage") is None
    assert received(pair.server_events) == b""
    assert pair.server_events[-1] == PeerClosed()
    pair.server.send_data(b"the other direction is open")
    pair.run()
    assert received(pair.client_events) == b"the other direction is open"
    pair.server.close()
    assert pair.server.receive_eof() == []


def test_both_closes_wipe_every_key() -> None:
    for first, second in (("client", "server"), ("server", "client")):
        pair = shake(*plain())
        getattr(pair, first).close()
        pair.run()
        getattr(pair, second).close()
        pair.run()
        for name, side in sides(pair):
            assert len(side._writer.traffic_secret) == 0, name
            assert len(side._reader.traffic_secret) == 0, name
            assert side.failure is None


@pytest.mark.parametrize("victim", ["client", "server"])
@pytest.mark.parametrize(
    "wire",
    [
        lambda side: record(DATA, bytes(40)),
        lambda side: forge(side, b"\2\x28\x15"),
        lambda side: forge(side, framed(99, b"") + b"\x16"),
        lambda side: forge(side, framed(24, b"\2") + b"\x16"),
    ],
    ids=["bad mac", "an alert", "an unknown message", "a bad KeyUpdate"],
)
def test_a_failed_connection_is_dead_and_keeps_no_secret(victim: str, wire: Callable[[Connection], bytes]) -> None:
    pair = shake(*with_tickets())
    side: Connection = getattr(pair, victim)
    assert secrets_of(side)
    assert deliver(pair, victim, wire(side)) is not None
    alert = side.data_to_send()
    assert len(records(alert)) == (0 if isinstance(side.failure, AlertReceived) else 1)
    dead(side)
    dead(side)
    assert side.data_to_send() == b""
    side.close()
    assert side.data_to_send() == b""


# ---- What a resumed session must not skip (SECURITY-BAR 7; CVE-2025-23419) ----


def named(name: str) -> Credential:
    return credential(name=name)


def carried(client: ClientConfig, to: ClientConfig, name: str = NAME) -> None:
    """Offer the newest ticket of one configuration under another, or under another name: an attacker is not held by our cache's keys."""
    assert client.sessions is not None
    assert to.sessions is not None
    session = next(iter(client.sessions._sessions.values()))[-1]
    to.sessions.clear()
    to.sessions.put(to.session_key(name), session)


def offering(client: ClientConfig, server: ServerConfig, name: str = NAME) -> Pair:
    """Run a handshake, and see to it that a ticket was offered: else there would be nothing to refuse."""
    wire = Tap()
    pair = make_pair(client, server, name, change=wire).run()
    hello = ClientHello.decode(records(wire.client)[0][9:])
    assert hello.extensions.pre_shared_key is not None, "no ticket was offered"
    return pair


def test_a_ticket_does_not_cross_to_another_virtual_host() -> None:
    """Two virtual hosts on one keyring: the second asks for client certificates, the first does not."""
    keyring = TicketKeyring()
    open_host = server_config(credentials=[named("open.test")], tickets=keyring)
    closed_host = server_config(
        credentials=[named("closed.test")], tickets=keyring, client_auth="required", trust=trust()
    )
    hosts = {"open.test": open_host, "closed.test": closed_host}
    server = server_config(
        credentials=[named("open.test"), named("closed.test")],
        tickets=keyring,
        on_client_hello=lambda hello: hosts[hello.extensions.server_name],
    )
    client = client_config()
    shake(client, server, "open.test")
    assert offering(client, server, "open.test").client_completed().resumed
    carried(client, client, "closed.test")
    pair = offering(client, server, "closed.test")
    assert type(pair.server.failure) is CertificateRequired
    # With a certificate the handshake is a full one, in which it is shown.
    known = client_config(credentials=[client_credential()])
    shake(client, server, "open.test")
    carried(client, known, "closed.test")
    completed = offering(known, server, "closed.test").server_completed()
    assert not completed.resumed
    assert completed.peer_chain == client_credential().chain
    # Nor back: a ticket of the closed host does not make its holder known at the open one.
    carried(known, known, "open.test")
    completed = offering(known, server, "open.test").server_completed()
    assert not completed.resumed
    assert completed.peer_chain == ()


def test_a_ticket_does_not_cross_to_another_name_of_one_certificate() -> None:
    both = pki.make_leaf(authority(), ["a.test", "b.test"])
    server = server_config(credentials=[Credential.load(both.pem, both.key_pem)])
    client = client_config()
    shake(client, server, "a.test")
    carried(client, client, "b.test")
    assert not offering(client, server, "b.test").server_completed().resumed


def test_a_reload_with_an_authority_removed() -> None:
    other = pki.make_ca("an authority that was removed")
    leaf = pki.make_leaf(other, ["client.test"])
    client = client_config(credentials=[Credential.load(leaf.pem, leaf.key_pem)])
    before = server_config(client_auth="required", trust=TrustStore([authority().cert, other.cert]))
    after = before.replace(trust=trust(), tickets=before.keyring)
    shake(client, before)
    assert offering(client, before).server_completed().resumed
    pair = offering(client, after)
    assert type(pair.server.failure) is UnknownCA
    # The same with a list of revoked certificates added.
    trusted = TrustStore([authority().cert, other.cert], crls=[pki.make_crl(other, [leaf])])
    shake(client, before)
    pair = offering(client, before.replace(trust=trusted, tickets=before.keyring))
    assert type(pair.server.failure) is CertificateRevoked


@pytest.mark.parametrize("mode", ["required", "optional"])
def test_client_auth_is_turned_on(mode: str) -> None:
    client, before = client_config(credentials=[client_credential()]), server_config()
    shake(client, before)
    assert offering(client, before).server_completed().resumed
    after = before.replace(client_auth=mode, trust=trust(), tickets=before.keyring)
    completed = offering(client, after).server_completed()
    assert not completed.resumed
    assert completed.peer_chain == client_credential().chain


def test_client_auth_goes_from_optional_to_required() -> None:
    client = client_config()
    before = server_config(client_auth="optional", trust=trust())
    shake(client, before)
    assert offering(client, before).server_completed().peer_chain == ()
    pair = offering(client, before.replace(client_auth="required", tickets=before.keyring))
    assert type(pair.server.failure) is CertificateRequired


def test_the_servers_verify_hook_is_asked_in_a_resumed_session_too() -> None:
    asked: list[VerifyChain] = []
    refuse: list[bool] = []

    def verify(question: VerifyChain) -> None:
        asked.append(question)
        if refuse:
            raise ValueError("not any more")

    client = client_config(credentials=[client_credential()])
    server = server_config(client_auth="required", trust=trust(), verify=verify)
    shake(client, server)
    assert offering(client, server).server_completed().resumed
    assert [question.chain for question in asked] == [client_credential().chain] * 2
    assert asked[0].verified == asked[1].verified
    refuse.append(True)
    pair = offering(client, server)
    assert type(pair.server.failure) is AccessDenied
    assert isinstance(pair.client.failure, AlertReceived)


def test_a_session_ends_with_the_clients_certificate() -> None:
    soon = pki.make_leaf(authority(), ["client.test"], not_after=pki.now() + timedelta(hours=1))
    client = client_config(credentials=[Credential.load(soon.pem, soon.key_pem)])
    server = server_config(client_auth="required", trust=trust())
    shake(client, server)
    assert offering(client, server).server_completed().resumed
    later = mock.Mock(time=lambda: time.time() + 3700)
    with mock.patch("tlsfast.handshake.resume.time", later):
        assert not offering(client, server).server_completed().resumed


def test_a_session_ends_with_the_servers_certificate() -> None:
    soon = pki.make_leaf(authority(), [NAME], not_after=pki.now() + timedelta(hours=1))
    client, server = client_config(), server_config(credentials=[Credential.load(soon.pem, soon.key_pem)])
    shake(client, server)
    assert offering(client, server).client_completed().resumed
    later = mock.Mock(time=lambda: time.time() + 3700)
    with mock.patch("tlsfast.handshake.offer.time", later):
        assert not shake(client, server).client_completed().resumed


def test_without_verification_then_with_it() -> None:
    """One cache for both: a session made without verification never serves a configuration that verifies."""
    cache = SessionCache()
    careless = client_config(insecure_skip_verification=True, session_cache=cache)
    careful = client_config(session_cache=cache)
    server = server_config()
    shake(careless, server)
    assert offering(careless, server).client_completed().verified_chain == ()
    completed = shake(careful, server).client_completed()
    assert not completed.resumed
    assert completed.verified_chain


CHANGES: dict[str, Callable[[], dict[str, Any]]] = {
    "trust": lambda: {"trust": TrustStore([authority().cert, pki.make_ca("one more").cert])},
    "verification": lambda: {"insecure_skip_verification": True},
    "verify": lambda: {"verify": lambda question: None},
    "credentials": lambda: {"credentials": [client_credential()]},
    "alpn": lambda: {"alpn": ["h2"]},
}


@pytest.mark.parametrize("what", CHANGES)
@pytest.mark.parametrize("shared", [False, True])
def test_a_changed_client_configuration_does_not_resume(what: str, shared: bool) -> None:
    """config.replace() starts an empty cache; and where one is shared on purpose, the key keeps the two apart."""
    client = client_config(session_cache=SessionCache()) if shared else client_config()
    server = server_config()
    shake(client, server)
    changed = client.replace(**CHANGES[what]())
    assert (changed.sessions is client.sessions) is shared
    assert not shake(changed, server).client_completed().resumed
    assert shake(client, server).client_completed().resumed
    assert shake(changed, server).client_completed().resumed


def test_a_ticket_of_another_keyring_or_another_name_leads_to_a_full_handshake() -> None:
    client, server = client_config(), server_config()
    shake(client, server)
    assert not offering(client, server_config()).client_completed().resumed
    shake(client, server)
    renamed = pki.make_leaf(authority(), [NAME, "more.test"])
    again_ = server.replace(credentials=[Credential.load(renamed.pem, renamed.key_pem)], tickets=server.keyring)
    assert not offering(client, again_).client_completed().resumed
    # A renewed certificate for the same names is the same host.
    shake(client, server)
    renewed = pki.make_leaf(authority(), [NAME])
    again_ = server.replace(credentials=[Credential.load(renewed.pem, renewed.key_pem)], tickets=server.keyring)
    assert offering(client, again_).client_completed().resumed


# ---- Who is no TLS peer, or an old one (issue 2, 5) ----


def alert_of(side: Connection) -> bytes:
    return bytes(side.data_to_send())


UNEXPECTED = bytes((ALERT, 3, 3, 0, 2, 2, AlertDescription.unexpected_message))
OLD_VERSION = bytes((ALERT, 3, 3, 0, 2, 2, AlertDescription.protocol_version))

FOREIGN_CLIENTS = {
    b"GET / HTTP/1.1\r\nHost: server.test\r\n\r\n": ("`GET / HTTP/1.1`", "https://", "HTTP"),
    b"POST /a HTTP/1.0\r\n\r\n": ("`POST /a HTTP/1.0`", "https://", "HTTP"),
    b"EHLO client.test\r\n": ("`EHLO client.test`", "not TLS", "unknown"),
    b"SSH-2.0-OpenSSH_9.2\r\n": ("`SSH-2.0-OpenSSH_9.2`", "not TLS", "unknown"),
    bytes(range(1, 9)): ("01 02 03 04", "not TLS", "unknown"),
    b"\x16\x02\x00\x00\x05hello": ("16 02 00", "not TLS", "unknown"),
}
FOREIGN_SERVERS = {
    b"220 mx ESMTP\r\n": ("the server said `220 mx ESMTP`: this port wants STARTTLS", "", "SMTP or FTP"),
    b"HTTP/1.1 400 Bad Request\r\n\r\n": ("`HTTP/1.1 400 Bad Request`", "http://", "HTTP"),
    b"<html>\r\n": ("`<html>`", "http://", "HTTP"),
    b"* OK IMAP4rev1 ready\r\n": ("`* OK IMAP4rev1 ready`", "STARTTLS", "IMAP"),
    b"+OK POP3 ready\r\n": ("`+OK POP3 ready`", "STLS", "POP3"),
    b"SSH-2.0-OpenSSH_9.2\r\n": ("`SSH-2.0-OpenSSH_9.2`", "SSH", "SSH"),
    b"E\0\0\0\x8fSFATAL": ("45 00 00 00", "PostgreSQL", "PostgreSQL"),
    b"-ERR unknown command\r\n": ("`-ERR unknown command`", "TLS is not enabled", "Redis or POP3"),
    b"\xff\xfd\x18": ("ff fd 18", "right port", "unknown"),
    b"220 \x1b[2J\r\n": ("32 32 30 20 1b", "STARTTLS", "SMTP or FTP"),  # nothing that a terminal would obey
}


@pytest.mark.parametrize("said", FOREIGN_CLIENTS)
def test_a_client_that_speaks_another_protocol(said: bytes) -> None:
    _, config = plain()
    server = ServerConnection(config)
    with pytest.raises(NotTLS) as caught:
        server.receive_data(said)
    shown, mend, protocol = FOREIGN_CLIENTS[said]
    if shown.startswith("`"):
        assert f"the client said {shown}" in str(caught.value)
    assert shown in str(caught.value)
    assert mend in str(caught.value)
    assert caught.value.facts["protocol"] == protocol
    assert caught.value.facts["seen"] == said[:64]
    assert alert_of(server) == UNEXPECTED
    assert alert_of(server) == b""
    dead(server)


@pytest.mark.parametrize("said", FOREIGN_SERVERS)
def test_a_server_that_speaks_another_protocol(said: bytes) -> None:
    config, _ = plain()
    client = ClientConnection(config, NAME)
    client.data_to_send()
    with pytest.raises(NotTLS) as caught:
        client.receive_data(said)
    shown, mend, protocol = FOREIGN_SERVERS[said]
    assert shown in str(caught.value)
    assert mend in str(caught.value)
    assert caught.value.facts["protocol"] == protocol
    assert alert_of(client) == UNEXPECTED
    assert alert_of(client) == b""
    dead(client)


def ssl2_hello(version: int) -> bytes:
    """RFC 5246, E.2: msg_length with its top bit set, msg_type 1, version, the lengths of cipher_specs, session id and challenge, and these."""
    body_ = b"\1" + u16(version) + u16(3) + u16(0) + u16(16) + b"\0\0\x2f" + bytes(range(16))
    return u16(0x8000 | len(body_)) + body_


@pytest.mark.parametrize(("version", "said"), [(0x0002, "SSLv2"), (0x0301, "TLS 1.0"), (0x0303, "TLS 1.2")])
def test_a_client_that_sends_a_hello_of_ssl_2(version: int, said: str) -> None:
    _, config = plain()
    server = ServerConnection(config)
    with pytest.raises(VersionError) as caught:
        server.receive_data(ssl2_hello(version))
    assert "SSLv2-format hello" in str(caught.value)
    assert said in str(caught.value)
    assert "disable SSLv2Hello" in str(caught.value)
    assert alert_of(server) == OLD_VERSION
    dead(server)


@pytest.mark.parametrize(("version", "said"), [(0x0302, "TLS 1.1"), (0x0301, "TLS 1.0"), (0x0300, "SSLv3")])
def test_a_client_of_an_older_version(version: int, said: str) -> None:
    _, config = plain()
    server = ServerConnection(config)
    hello = framed(T.client_hello, u16(version) + bytes(32) + b"\0" + vec16(b"\x00\x2f\xc0\x13") + b"\1\0")
    with pytest.raises(VersionError) as caught:
        server.receive_data(record(HANDSHAKE, hello, min(version, 0x0301)))
    assert said in str(caught.value)
    assert "TLS 1.3" in str(caught.value)
    assert caught.value.facts["version"] == version
    assert alert_of(server) == OLD_VERSION
    dead(server)


@pytest.mark.parametrize(("version", "said"), [(0x0302, "TLS 1.1"), (0x0301, "TLS 1.0"), (0x0300, "SSLv3")])
def test_a_server_of_an_older_version(version: int, said: str) -> None:
    config, _ = plain()
    client = ClientConnection(config, NAME)
    client.data_to_send()
    hello = framed(T.server_hello, u16(version) + bytes(32) + b"\0" + b"\xc0\x13" + b"\0")
    with pytest.raises(VersionError) as caught:
        client.receive_data(record(HANDSHAKE, hello, version))
    assert f"the server speaks {said}" in str(caught.value)
    assert caught.value.facts["version"] == version
    assert alert_of(client) == OLD_VERSION
    dead(client)


@pytest.mark.parametrize("description", [AlertDescription.handshake_failure, AlertDescription.protocol_version])
@pytest.mark.parametrize("level", [1, 2])
def test_a_server_that_refuses_at_once(description: AlertDescription, level: int) -> None:
    config, _ = plain()
    client = ClientConnection(config, NAME)
    client.data_to_send()
    with pytest.raises(AlertReceived, match=description.name) as caught:
        client.receive_data(record(ALERT, bytes((level, description)), 0x0301))
    assert caught.value.description is description
    assert "ServerHello" in str(caught.value)
    assert alert_of(client) == b""
    dead(client)


def test_close_notify_in_mid_handshake() -> None:
    for victim in ("client", "server"):
        pair = to_flight(make_pair(*plain()), victim)
        side: Connection = getattr(pair, victim)
        waited = [kind.__name__ for kind in side.expecting]
        error = deliver(pair, victim, forge(side, b"\1\x5a\x15") + forge(side, b"\1\0\x15", 1))
        assert isinstance(error, AlertReceived)
        assert error.description is AlertDescription.close_notify
        assert all(name in str(error) for name in waited)
        assert ALERT not in [each[0] for each in records(side.data_to_send())]
        dead(side)
