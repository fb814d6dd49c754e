# SPDX-License-Identifier: Apache-2.0
"""What makes a second handshake short: the server's ticket keys and sealed state, the client's cache of sessions (RFC 8446, 4.6.1; RFC 5077, 4).

The flows of handshake/ decide what may be resumed; here it is kept, sealed, bounded and forgotten in time."""

from __future__ import annotations

import math
import struct
import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final, Protocol, Self

from tlsfast import crypto
from tlsfast.crypto import SHA256, Secret
from tlsfast.errors import BadRecordMac, ConfigurationError, DecodeError
from tlsfast.messages.codec import Reader, u8, vec8, vec16, vec24
from tlsfast.registry import CipherSuite, TLSVersion

SEVEN_DAYS: Final = 604800  # RFC 8446, 4.6.1: the longest that a ticket may live, in seconds
NAME_LENGTH: Final = 16  # of a ticket key: what a ticket begins with


class Keyring(Protocol):
    """What a server needs of its ticket keys; TicketKeyring keeps them in memory, another may share them between machines."""

    @property
    def lifetime_hint(self) -> int:
        """Seconds for which a ticket sealed now can surely be opened: ticket_lifetime."""

    def seal(self, psk: Secret, state: bytes) -> bytes:
        """Make the ticket that holds psk and state."""

    def open(self, ticket: bytes) -> tuple[Secret, bytes] | None:
        """Give back psk and state, or None for a ticket that is not ours or too old."""


@dataclass(frozen=True, slots=True)
class _Key:
    name: bytes
    secret: Secret = field(repr=False)


class TicketKeyring:
    """Ticket keys that change with the clock. A key seals for `lifetime` seconds and opens for as long again, so a ticket lives at least `lifetime`.

    Tickets are stateless: nothing is kept for each. The key of the period to come opens too, for a server whose clock runs ahead (from_master).
    Thread-safe. By default the keys are random and die with the process."""

    def __init__(self, lifetime: int = 7200, clock: Callable[[], float] = time.time) -> None:
        if not 1 <= lifetime <= SEVEN_DAYS:
            raise ConfigurationError(f"a ticket lives 1 to {SEVEN_DAYS} seconds (RFC 8446, 4.6.1), not {lifetime}")
        self._lifetime = lifetime
        self._clock = clock
        self._master: Secret | None = None
        self._lock = threading.Lock()
        self._keys: dict[int, _Key] = {}

    @classmethod
    def from_master(cls, master: bytes, lifetime: int = 7200, clock: Callable[[], float] = time.time) -> Self:
        """Derive the key of each period from one secret of 32 to 256 random bytes, so that servers with the same master and lifetime agree.

        Who learns the master opens every ticket ever made with it: change it from time to time."""
        if not 32 <= len(master) <= 256:
            raise ConfigurationError(f"the master of a ticket keyring has 32 to 256 random bytes, not {len(master)}")
        keyring = cls(lifetime, clock)
        # RFC 5869, 2.2: HKDF-Extract without a salt
        keyring._master = crypto.early_secret(SHA256, Secret.from_bytes(master))
        return keyring

    def __repr__(self) -> str:
        return f"<{type(self).__name__} lifetime={self._lifetime}>"

    @property
    def lifetime_hint(self) -> int:
        """Seconds for which a ticket sealed now can surely be opened."""
        return self._lifetime

    def seal(self, psk: Secret, state: bytes) -> bytes:
        """Make the ticket that holds psk and state, under the key of the present period."""
        with self._lock:
            present = self._rotate()  # before the look-up: it may put another dict in place
            key = self._keys[present]
        return crypto.ticket_seal(key.name, key.secret, psk, state)

    def open(self, ticket: bytes) -> tuple[Secret, bytes] | None:
        """Give back psk and state; None for a ticket that is not ours, was changed, or whose key is gone."""
        name = ticket[:NAME_LENGTH]
        with self._lock:
            self._rotate()
            key = next((key for key in self._keys.values() if key.name == name), None)
        if key is None:
            return None
        try:
            return crypto.ticket_open(key.secret, ticket)
        except BadRecordMac:
            return None

    def _rotate(self) -> int:
        """Hold the keys of the previous, the present and the next period and no others; return the present. The lock is held."""
        present = math.floor(self._clock() / self._lifetime)
        if present - 1 not in self._keys or present + 1 not in self._keys:
            # A key that falls out here is wiped when the last call that uses it lets go of it.
            periods = range(present - 1, present + 2)
            self._keys = {period: self._keys.get(period) or self._make(period) for period in periods}
        return present

    def _make(self, period: int) -> _Key:
        if self._master is None:
            return _Key(crypto.random_bytes(NAME_LENGTH), Secret.random(32))
        context = struct.pack(">qI", period, self._lifetime)
        name = crypto.expand_label(
            SHA256, self._master, b"ticket name", context, NAME_LENGTH
        ).reveal()  # public: it starts each ticket
        return _Key(name, crypto.expand_label(SHA256, self._master, b"ticket key", context, 32))


# ---- What a ticket binds ----

STATE_VERSION: Final = 3  # of the encoding: a ticket of another one is no ticket
MAX_STATE_LENGTH: Final = 16384  # of the encoding: a ticket goes into a ClientHello


@dataclass(frozen=True, slots=True, kw_only=True)
class TicketState:
    """What a server's ticket carries beside the PSK (SECURITY-BAR, 7): all that a resumed handshake must not differ in or skip.

    policy: the digest of the client_auth policy and the credential's names. peer_chain: what the client sent, leaf first, DER; verified_chain: the
    path that was verified. expires_at: when the client must show itself anew (auth.ends_at). extended: extended_master_secret was used (TLS 1.2).
    Times: seconds since the epoch."""

    version: TLSVersion = TLSVersion.TLSv1_3
    cipher_suite: CipherSuite
    alpn: str | None = None
    server_name: str | None = None
    policy: bytes = b""
    peer_chain: tuple[bytes, ...] = ()
    verified_chain: tuple[bytes, ...] = ()
    expires_at: float | None = None
    issued_at: float
    age_add: int
    max_early_data: int = 0
    extended: bool = True

    def encode(self) -> bytes | None:
        """Write it for TicketKeyring.seal. None when the chains are too long for a ticket: then there is none."""
        ends = self.expires_at is not None
        times = (self.issued_at, self.expires_at or 0.0, self.age_add, self.max_early_data)
        encoded = (
            _FIXED.pack(STATE_VERSION, self.version, self.extended, self.cipher_suite, ends, *times)
            + vec8((self.alpn or "").encode())
            + vec16((self.server_name or "").encode())
            + vec8(self.policy)
            + vec24(b"".join(map(vec24, self.peer_chain)))
            + vec24(b"".join(_reference(certificate, self.peer_chain) for certificate in self.verified_chain))
        )
        return encoded if len(encoded) <= MAX_STATE_LENGTH else None

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """Read what encode wrote. None for anything else: another version's ticket, a cipher suite that is no more."""
        try:
            return cls._decode(Reader(data, "ticket state"))
        except (DecodeError, ValueError, struct.error, IndexError):
            return None

    @classmethod
    def _decode(cls, reader: Reader) -> Self | None:
        number, version, extended, suite, ends, issued_at, expires_at, age_add, early = _FIXED.unpack(
            reader.take(_FIXED.size, "ticket state")
        )
        if (
            number != STATE_VERSION
            or max(extended, ends) > 1
            or not (math.isfinite(issued_at) and math.isfinite(expires_at))
        ):
            return None
        alpn, server_name = reader.vec8("alpn").decode(), reader.vec16("server_name").decode()
        policy = reader.vec8("policy")
        peer_chain = _read_chain(reader.vec24("peer_chain"))
        verified_chain = _read_references(reader.vec24("verified_chain"), peer_chain)
        reader.end()
        return cls(
            version=TLSVersion(version),
            extended=bool(extended),
            cipher_suite=CipherSuite(suite),
            alpn=alpn or None,
            server_name=server_name or None,
            policy=policy,
            peer_chain=peer_chain,
            verified_chain=verified_chain,
            expires_at=expires_at if ends else None,
            issued_at=issued_at,
            age_add=age_add,
            max_early_data=early,
        )


# STATE_VERSION, version, extended, cipher_suite, whether expires_at is one, issued_at, expires_at, age_add, max_early_data
_FIXED: Final = struct.Struct(">BHBHBddII")
_ITSELF = 0xFF  # in place of an index: the certificate follows


def _reference(certificate: bytes, chain: tuple[bytes, ...]) -> bytes:
    """Most of a verified chain was sent by the peer: an index says it in one byte."""
    if certificate in chain[:_ITSELF]:
        return u8(chain.index(certificate))
    return u8(_ITSELF) + vec24(certificate)


def _read_chain(data: bytes) -> tuple[bytes, ...]:
    reader, chain = Reader(data, "ticket state"), []
    while reader.remaining:
        chain.append(reader.vec24("peer_chain"))
    return tuple(chain)


def _read_references(data: bytes, chain: tuple[bytes, ...]) -> tuple[bytes, ...]:
    reader, verified = Reader(data, "ticket state"), []
    while reader.remaining:
        index = reader.u8("verified_chain")
        verified.append(reader.vec24("verified_chain") if index == _ITSELF else chain[index])
    return tuple(verified)


# ---- The client's side ----


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, weakref_slot=True)
class Session:
    """A session that a client may resume once: the ticket, its PSK, and who the server had shown itself to be. Times: seconds since the epoch."""

    cipher_suite: CipherSuite
    psk: Secret = field(repr=False)
    ticket: bytes = field(repr=False)
    lifetime: int
    age_add: int
    received_at: float
    server_name: str | None = None
    alpn: str | None = None
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
    verified_chain: tuple[bytes, ...] = field(default=(), repr=False)
    chain_expires_at: float | None = None
    expires_at: float
    version: TLSVersion = TLSVersion.TLSv1_3
    session_id: bytes = b""  # TLS 1.2 without a ticket; psk is then the master secret, as with one
    extended: bool = True  # TLS 1.2: extended_master_secret was used

    @classmethod
    def from_ticket(
        cls,
        *,
        cipher_suite: CipherSuite,
        psk: Secret,
        ticket: bytes,
        lifetime: int,
        age_add: int,
        received_at: float,
        server_name: str | None = None,
        alpn: str | None = None,
        peer_chain: tuple[bytes, ...] = (),
        verified_chain: tuple[bytes, ...] = (),
        chain_expires_at: float | None = None,
        version: TLSVersion = TLSVersion.TLSv1_3,
        session_id: bytes = b"",
        extended: bool = True,
    ) -> Self:
        """Make the session of a NewSessionTicket. It ends at the earliest of seven days, its lifetime, and the end of the chain that was verified."""
        # RFC 8446, 4.6.1: clients MUST NOT cache tickets for longer than 7 days, regardless of the ticket_lifetime.
        ends = received_at + min(lifetime, SEVEN_DAYS)
        return cls(
            cipher_suite=cipher_suite,
            psk=psk,
            ticket=ticket,
            lifetime=lifetime,
            age_add=age_add,
            received_at=received_at,
            server_name=server_name,
            alpn=alpn,
            peer_chain=peer_chain,
            verified_chain=verified_chain,
            chain_expires_at=chain_expires_at,
            expires_at=ends if chain_expires_at is None else min(ends, chain_expires_at),
            version=version,
            session_id=session_id,
            extended=extended,
        )


class SessionCache:
    """Sessions by key, at most per_name of the newest for each of the max_names keys used last. Thread-safe.

    The key is the configuration's: name, ALPN, trust, and all else that a session must share with the connection that resumes it."""

    def __init__(self, max_names: int = 1024, per_name: int = 4) -> None:
        if max_names < 1 or per_name < 1:
            raise ConfigurationError(
                "a session cache has room for at least one name and one session; session_cache=None turns it off"
            )
        self._max_names = max_names
        self._per_name = per_name
        self._lock = threading.Lock()
        self._sessions: OrderedDict[Hashable, list[Session]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} with {len(self)} sessions>"

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._sessions.values()))

    def put(self, key: Hashable, session: Session) -> Callable[[], None]:
        """Keep a session; the oldest of its key, and the key used longest ago, make room. Returns what takes it out again, if it is still here."""
        reference = weakref.ref(session)  # whoever can take it out must not keep its secret alive
        with self._lock:
            kept = self._sessions.setdefault(key, [])
            kept.append(session)
            del kept[: -self._per_name]
            self._sessions.move_to_end(key)
            if len(self._sessions) > self._max_names:
                self._sessions.popitem(last=False)
        return lambda: self._remove(key, reference)

    def _remove(self, key: Hashable, reference: weakref.ref[Session]) -> None:
        with self._lock:
            kept = [session for session in self._sessions.pop(key, ()) if session is not reference()]
            if kept:
                self._sessions[key] = kept

    def take(self, key: Hashable, now: float) -> Session | None:
        """Take out the newest session of key, never to be given again; None without one. Those that ended before now are dropped."""
        # RFC 8446, C.4: clients SHOULD NOT reuse a ticket for multiple connections.
        with self._lock:
            kept = [session for session in self._sessions.pop(key, ()) if now < session.expires_at]
            taken = kept.pop() if kept else None
            if kept:
                self._sessions[key] = kept
            return taken

    def clear(self) -> None:
        """Forget every session."""
        with self._lock:
            self._sessions.clear()


# ---- The server's side of TLS 1.2 session ids ----


class SessionStore(Protocol):
    """Where a TLS 1.2 server keeps sessions by id (RFC 5246, 7.3). What is kept is sealed under a ticket key: a store may lie on another machine."""

    def put(self, session_id: bytes, sealed: bytes, lifetime: int) -> None:
        """Keep sealed for lifetime seconds."""

    def get(self, session_id: bytes) -> bytes | None:
        """Give back what is kept, or None."""

    def discard(self, session_id: bytes) -> None:
        """Forget what is kept, if anything is: its connection failed (RFC 5246, 7.2.2)."""


class MemorySessionStore:
    """The default store: the newest `size` sessions, in memory. Thread-safe."""

    def __init__(self, size: int = 4096, clock: Callable[[], float] = time.monotonic) -> None:
        if size < 1:
            raise ConfigurationError(
                "a session store has room for at least one session; session_store=None turns it off"
            )
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[float, bytes]] = OrderedDict()

    def put(self, session_id: bytes, sealed: bytes, lifetime: int) -> None:
        """Keep sealed; the oldest makes room."""
        with self._lock:
            self._kept[session_id] = (self._clock() + lifetime, sealed)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)

    def get(self, session_id: bytes) -> bytes | None:
        """Give back what is kept and not expired."""
        with self._lock:
            ends, sealed = self._kept.get(session_id, (0.0, b""))
            if sealed and self._clock() >= ends:
                del self._kept[session_id]
                return None
            return sealed or None

    def discard(self, session_id: bytes) -> None:
        """Forget what is kept."""
        with self._lock:
            self._kept.pop(session_id, None)
