# SPDX-License-Identifier: Apache-2.0
"""Ticket keys that turn with an injected clock, what tickets bind, and the client's cache: single use, bounds, threads."""

from __future__ import annotations

import math
import random
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsfast.crypto import Secret
from tlsfast.errors import ConfigurationError
from tlsfast.messages.codec import u16
from tlsfast.registry import CipherSuite
from tlsfast.sessions import (
    MAX_STATE_LENGTH,
    SEVEN_DAYS,
    STATE_VERSION,
    Session,
    SessionCache,
    TicketKeyring,
    TicketState,
)

PSK = bytes(range(32))
MASTER = bytes(range(100, 148))


class Clock:
    """Time that stands still until a test moves it."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def opened(keyring: TicketKeyring, ticket: bytes) -> tuple[bytes, bytes] | None:
    got = keyring.open(ticket)
    return None if got is None else (got[0].reveal(), got[1])


def seal(keyring: TicketKeyring, state: bytes = b"state") -> bytes:
    return keyring.seal(Secret.from_bytes(PSK), state)


KEYRINGS: dict[str, Callable[..., TicketKeyring]] = {
    "random": TicketKeyring,
    "master": lambda lifetime, clock: TicketKeyring.from_master(MASTER, lifetime, clock),
}
each_keyring = pytest.mark.parametrize("make", KEYRINGS.values(), ids=KEYRINGS)


# ---- Ticket keys ----


@each_keyring
def test_seal_and_open(make: Callable[..., TicketKeyring]) -> None:
    keyring = make(100, Clock())
    assert keyring.lifetime_hint == 100
    one, other = seal(keyring), seal(keyring)
    assert one != other and one[:16] == other[:16]  # one key, two salts
    assert PSK not in one and b"state" not in one
    for _ in range(2):  # nothing is kept: a ticket opens again
        assert opened(keyring, one) == opened(keyring, other) == (PSK, b"state")
    assert opened(keyring, seal(keyring, b"")) == (PSK, b"")


@each_keyring
def test_a_ticket_lives_for_its_lifetime_and_ends_with_the_next_period(make: Callable[..., TicketKeyring]) -> None:
    for sealed_at in (1000.0, 1050.0, 1099.9):
        clock = Clock(sealed_at)
        keyring = make(100, clock)
        ticket = seal(keyring)
        for at, opens in ((sealed_at, True), (sealed_at + 100, True), (1199.9, True), (1200.0, False), (9e9, False)):
            clock.now = at
            assert (opened(keyring, ticket) is not None) is opens, (sealed_at, at)


@each_keyring
def test_each_period_seals_with_another_key(make: Callable[..., TicketKeyring]) -> None:
    clock = Clock(0.0)
    keyring = make(100, clock)
    names: dict[int, set[bytes]] = {}
    for _ in range(20):
        names.setdefault(math.floor(clock.now / 100), set()).add(seal(keyring)[:16])
        clock.now += 45.0
    assert len(names) == 9 and all(len(seen) == 1 for seen in names.values())
    assert len(set.union(*names.values())) == 9


@each_keyring
def test_no_more_than_three_keys_are_held(make: Callable[..., TicketKeyring]) -> None:
    clock = Clock()
    keyring = make(10, clock)
    for step in (0, 10, 10, 5, 100, 10, -10, -1000, 0.1):
        clock.now += step
        assert opened(keyring, seal(keyring)) == (PSK, b"state")
        assert len(keyring._keys) == 3
        assert len({key.secret.reveal() for key in keyring._keys.values()}) == 3


def test_a_key_that_fell_out_is_not_made_again() -> None:
    """A clock that goes back finds new random keys: what was forgotten stays forgotten."""
    clock = Clock(1000.0)
    keyring = TicketKeyring(100, clock)
    ticket = seal(keyring)
    clock.now = 1500.0
    assert opened(keyring, ticket) is None
    clock.now = 1000.0
    assert opened(keyring, ticket) is None


def test_the_present_key_survives_rotation() -> None:
    """Next becomes present becomes previous: the same key all the way."""
    clock = Clock(1000.0)
    keyring = TicketKeyring(100, clock)
    seal(keyring)
    before = dict(keyring._keys)
    clock.now = 1100.0
    seal(keyring)
    assert {period: keyring._keys[period] for period in (10, 11)} == {period: before[period] for period in (10, 11)}
    assert 9 not in keyring._keys


@each_keyring
def test_a_changed_ticket_is_no_ticket(make: Callable[..., TicketKeyring]) -> None:
    keyring = make(100, Clock())
    ticket = seal(keyring)
    for place in range(len(ticket)):
        for change in (0x01, 0x80):
            changed = bytearray(ticket)
            changed[place] ^= change
            assert keyring.open(bytes(changed)) is None
    for length in range(len(ticket)):
        assert keyring.open(ticket[:length]) is None
    assert keyring.open(ticket + b"\0") is None
    assert opened(keyring, ticket) == (PSK, b"state")


def test_a_ticket_of_another_keyring() -> None:
    clock = Clock()
    ticket = seal(TicketKeyring(100, clock))
    assert TicketKeyring(100, clock).open(ticket) is None
    assert TicketKeyring.from_master(MASTER, 100, clock).open(ticket) is None
    for noise in (b"", b"x", bytes(16), bytes(66), bytes(1000)):
        assert TicketKeyring(100, clock).open(noise) is None


def test_servers_with_one_master_agree() -> None:
    ahead, exact, behind = (TicketKeyring.from_master(MASTER, 100, Clock(1000.0 + skew)) for skew in (60, 0, -60))
    for sealer in (ahead, exact, behind):
        for opener in (ahead, exact, behind):
            assert opened(opener, seal(sealer)) == (PSK, b"state")
    for other in (
        TicketKeyring.from_master(MASTER[::-1], 100, Clock(1000.0)),
        TicketKeyring.from_master(MASTER + b"\0", 100, Clock(1000.0)),
        TicketKeyring.from_master(MASTER, 50, Clock(500.0)),  # the same number of the period, but not the same period
    ):
        assert other.open(seal(exact)) is None


def test_bad_keyrings() -> None:
    for lifetime in (0, -1, SEVEN_DAYS + 1):
        with pytest.raises(ConfigurationError, match="lives 1 to 604800 seconds"):
            TicketKeyring(lifetime)
    assert TicketKeyring(SEVEN_DAYS).lifetime_hint == SEVEN_DAYS
    assert TicketKeyring().lifetime_hint == 7200
    for master in (b"", bytes(31), bytes(257)):
        with pytest.raises(ConfigurationError, match="32 to 256 random bytes"):
            TicketKeyring.from_master(master)
    assert TicketKeyring.from_master(bytes(32)).open(b"") is None
    assert TicketKeyring.from_master(bytes(256)).open(b"") is None


def test_repr_shows_no_secret() -> None:
    keyring = TicketKeyring.from_master(MASTER, 100, Clock())
    seal(keyring)
    key = next(iter(keyring._keys.values()))
    session = make_session(b"\x99" * 40)
    shown = repr(keyring) + repr(key) + repr(session) + repr(SessionCache())
    for secret in (MASTER, key.secret.reveal(), PSK, b"\x99" * 40):
        assert repr(secret)[2:-1] not in shown and secret.hex() not in shown
    assert repr(keyring) == "<TicketKeyring lifetime=100>"


def run_threads(work: Callable[[int], None], count: int = 6) -> None:
    """Run work(number) in threads and raise the first fault of any."""
    faults: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(interval)
    assert not any(thread.is_alive() for thread in threads)
    if faults:
        raise faults[0]


@each_keyring
def test_keyring_in_threads_while_keys_change(make: Callable[..., TicketKeyring]) -> None:
    clock = Clock()
    keyring = make(10, clock)

    def work(number: int) -> None:
        for step in range(200):
            state = bytes((number, step))
            sealed_at = clock.now
            ticket = seal(keyring, state)
            got = opened(keyring, ticket)
            assert got == (PSK, state) or clock.now - sealed_at >= 10
            if number == 0:
                clock.now += 1.0

    run_threads(work)
    assert len(keyring._keys) == 3


# ---- What a ticket binds ----

DER = st.binary(min_size=1, max_size=200)
CHAIN = st.lists(DER, max_size=4).map(tuple)
TIME = st.floats(allow_nan=False, allow_infinity=False)
U32 = st.integers(0, 0xFFFFFFFF)
TEXT = st.none() | st.text(min_size=1, max_size=60)
STATES = st.builds(
    TicketState,
    cipher_suite=st.sampled_from(CipherSuite),
    alpn=TEXT,
    server_name=TEXT,
    policy=st.binary(max_size=64),
    peer_chain=CHAIN,
    verified_chain=CHAIN,
    expires_at=st.none() | TIME,
    issued_at=TIME,
    age_add=U32,
    max_early_data=U32,
)
STATE = TicketState(
    cipher_suite=CipherSuite.TLS_AES_128_GCM_SHA256,
    alpn="h2",
    server_name="example.com",
    policy=b"p" * 32,
    peer_chain=(b"leaf", b"intermediate"),
    verified_chain=(b"leaf", b"intermediate", b"root"),
    expires_at=2e9,
    issued_at=1e9 + 0.125,
    age_add=0xFEDCBA98,
)


def encoded(state: TicketState) -> bytes:
    raw = state.encode()
    assert raw is not None
    return raw


@settings(deadline=None)
@given(STATES)
def test_ticket_state_round_trip(state: TicketState) -> None:
    assert TicketState.decode(encoded(state)) == state


def test_ticket_state_survives_a_ticket() -> None:
    keyring = TicketKeyring(100, Clock())
    got = opened(keyring, seal(keyring, encoded(STATE)))
    assert got is not None and TicketState.decode(got[1]) == STATE


def test_the_verified_chain_is_not_written_twice() -> None:
    leaf, root = bytes(1500), bytes(1400)
    both = TicketState(
        cipher_suite=CipherSuite.TLS_AES_128_GCM_SHA256,
        issued_at=0.0,
        age_add=0,
        peer_chain=(leaf,),
        verified_chain=(leaf, root),
    )
    assert len(encoded(both)) < 1500 + 1400 + 100
    assert TicketState.decode(encoded(both)) == both


def test_a_verified_chain_of_certificates_far_back() -> None:
    peer = tuple(u16(number) for number in range(300))
    state = TicketState(
        cipher_suite=CipherSuite.TLS_AES_128_GCM_SHA256,
        issued_at=0.0,
        age_add=0,
        peer_chain=peer,
        verified_chain=peer[250:260],
    )
    assert TicketState.decode(encoded(state)) == state


def test_ticket_state_cut_appended_or_changed() -> None:
    raw = encoded(STATE)
    for length in range(len(raw)):
        assert TicketState.decode(raw[:length]) is None
    assert TicketState.decode(raw + b"\0") is None
    for place in range(len(raw)):
        for change in (0x01, 0x10, 0x80, 0xFF):
            changed = bytearray(raw)
            changed[place] ^= change
            got = TicketState.decode(bytes(changed))  # never an exception
            assert got is None or got != STATE


@given(st.binary(max_size=120))
def test_ticket_state_of_noise(noise: bytes) -> None:
    for raw in (noise, bytes((STATE_VERSION,)) + noise, bytes((STATE_VERSION, 0x13, 0x01)) + noise):
        assert TicketState.decode(raw) is None or len(raw) > 30


def test_ticket_state_of_another_version_or_suite() -> None:
    raw = encoded(STATE)
    assert TicketState.decode(bytes((STATE_VERSION + 1,)) + raw[1:]) is None
    assert TicketState.decode(raw[:4] + u16(0x13FF) + raw[6:]) is None
    assert TicketState.decode(raw[:4] + u16(CipherSuite.TLS_AES_256_GCM_SHA384) + raw[6:]) is not None


def test_ticket_state_with_a_time_that_is_no_number() -> None:
    for value in (math.inf, -math.inf, math.nan):
        for field in ("issued_at", "expires_at"):
            fields: dict[str, Any] = {"issued_at": 0.0, "age_add": 0, field: value}
            state = TicketState(cipher_suite=CipherSuite.TLS_AES_128_GCM_SHA256, **fields)
            assert TicketState.decode(encoded(state)) is None


def test_a_state_too_long_for_a_ticket() -> None:
    def state(length: int) -> TicketState:
        chain = (bytes(length),)
        return TicketState(cipher_suite=CipherSuite.TLS_AES_128_GCM_SHA256, issued_at=0.0, age_add=0, peer_chain=chain)

    overhead = len(encoded(state(1))) - 1
    assert len(encoded(state(MAX_STATE_LENGTH - overhead))) == MAX_STATE_LENGTH
    assert state(MAX_STATE_LENGTH - overhead + 1).encode() is None
    assert state(1 << 20).encode() is None


# ---- The client's cache ----


def make_session(ticket: bytes = b"ticket", received_at: float = 1000.0, lifetime: int = 100, **more: Any) -> Session:
    return Session.from_ticket(
        cipher_suite=CipherSuite.TLS_AES_128_GCM_SHA256,
        psk=Secret.from_bytes(PSK),
        ticket=ticket,
        lifetime=lifetime,
        age_add=7,
        received_at=received_at,
        **more,
    )


def test_a_session_ends_at_the_earliest() -> None:
    """SECURITY-BAR, 7: seven days, its lifetime, the end of the chain."""
    assert make_session(lifetime=100).expires_at == 1100.0
    assert make_session(lifetime=SEVEN_DAYS * 2).expires_at == 1000.0 + SEVEN_DAYS
    assert make_session(lifetime=100, chain_expires_at=1050.0).expires_at == 1050.0
    assert make_session(lifetime=100, chain_expires_at=5000.0).expires_at == 1100.0
    assert make_session(lifetime=0).expires_at == 1000.0
    session = make_session(
        server_name="a", alpn="h2", peer_chain=(b"x",), verified_chain=(b"x", b"y"), chain_expires_at=5.0
    )
    assert (session.server_name, session.alpn, session.peer_chain, session.verified_chain) == (
        "a",
        "h2",
        (b"x",),
        (b"x", b"y"),
    )
    assert (session.chain_expires_at, session.age_add, session.received_at, session.lifetime) == (5.0, 7, 1000.0, 100)


def test_a_session_is_taken_once_and_the_newest_first() -> None:
    cache = SessionCache()
    first, second = make_session(b"1"), make_session(b"2")
    cache.put("key", first)
    cache.put("key", second)
    assert cache.take("other", 1000.0) is None
    assert cache.take("key", 1000.0) is second
    assert cache.take("key", 1000.0) is first
    assert cache.take("key", 1000.0) is None
    assert len(cache) == 0 and not cache._sessions


def test_a_session_that_ended_is_dropped() -> None:
    cache = SessionCache()
    long, short = make_session(b"long", lifetime=100), make_session(b"short", lifetime=10)
    for session in (long, short):
        cache.put("key", session)
    assert cache.take("key", 1010.0) is long
    assert len(cache) == 0
    cache.put("key", short)
    assert cache.take("key", 1009.9) is short
    cache.put("key", long)
    assert cache.take("key", 1100.0) is None
    assert len(cache) == 0 and not cache._sessions


def test_sessions_of_one_name_are_bounded() -> None:
    cache = SessionCache(per_name=3)
    sessions = [make_session(bytes((i,))) for i in range(5)]
    for session in sessions:
        cache.put("key", session)
    assert len(cache) == 3
    assert [cache.take("key", 1000.0) for _ in range(4)] == [sessions[4], sessions[3], sessions[2], None]


def test_names_are_bounded_and_the_longest_unused_goes() -> None:
    cache = SessionCache(max_names=3)
    for key in "abc":
        cache.put(key, make_session(b"1"))
        cache.put(key, make_session(b"2"))
    assert cache.take("a", 1000.0) is not None  # a is used now, and has one left
    cache.put("b", make_session(b"3"))  # and so is b
    cache.put("d", make_session(b"4"))
    assert cache.take("c", 1000.0) is None
    assert [cache.take(key, 1000.0) is not None for key in "abd"] == [True, True, True]


def test_clear() -> None:
    cache = SessionCache()
    cache.put(("name", b"trust", None), make_session())
    assert repr(cache) == "<SessionCache with 1 sessions>"
    cache.clear()
    assert len(cache) == 0 and cache.take(("name", b"trust", None), 1000.0) is None


def test_bad_caches() -> None:
    for sizes in ((0, 1), (1, 0), (-1, 4)):
        with pytest.raises(ConfigurationError, match="room for at least one"):
            SessionCache(*sizes)


def test_cache_in_threads() -> None:
    """Whatever threads do at once, no session is given twice and the bounds hold."""
    cache = SessionCache(max_names=5, per_name=3)
    taken: list[list[Session]] = [[] for _ in range(6)]

    def work(number: int) -> None:
        noise = random.Random(number)
        for step in range(2000):
            key = noise.randrange(8)
            if noise.random() < 0.5:
                cache.put(key, make_session(bytes((number,)) + u16(step)))
            elif (session := cache.take(key, 1000.0)) is not None:
                taken[number].append(session)
            assert len(cache) <= 15

    run_threads(work)
    every = [session.ticket for sessions in taken for session in sessions]
    assert len(every) > 100 and len(set(every)) == len(every)
    assert len(cache._sessions) <= 5
