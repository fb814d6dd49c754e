# SPDX-License-Identifier: Apache-2.0
"""Ticket keys and TLS 1.2 sessions that several servers share through Redis or Valkey: a ticket from one resumes on another (RFC 5077, 5.5).

RedisKeyring goes into ServerConfig(tickets=...), RedisSessionStore into session_store=. Both need the extra: pip install "tlsfast[redis]".
"""

from __future__ import annotations

import logging
import math
import os
import struct
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as missing:
    from tlsfast.errors import MissingDependency

    raise MissingDependency(
        f'tlsfast.redis needs the package {missing.name}, which is not installed: pip install "tlsfast[redis]"'
    ) from None

from tlsfast import crypto
from tlsfast.crypto import SHA256, Secret
from tlsfast.errors import BadRecordMac, ConfigurationError, TLSError
from tlsfast.sessions import NAME_LENGTH, SEVEN_DAYS

KEY_LENGTH: Final = 32
OUTAGE: Final = 86400  # seconds past its period for which a shared key still seals while Redis is away

log = logging.getLogger(__name__)


class RedisAway(TLSError):
    """Redis did not answer a moment ago, so it was not asked again."""


@dataclass(slots=True)
class _Key:
    name: bytes  # what a ticket begins with
    secret: Secret = field(repr=False)
    last: int  # the last period in which it seals; it opens through the next
    shared: bool = False


class RedisKeyring:
    """Ticket keys, one for each period of `lifetime` seconds, that all servers with the same Redis, prefix, lifetime and wrapping key hold in common.

    Sealing and opening use the keys in memory and never wait for Redis: a thread asks every `refresh` seconds. The key of a period is made one period
    ahead by the server that comes first, and the others take it. While Redis is away servers go on with the keys they have, for a day; then, or if
    they have none, with keys of their own, which are offered to the others when Redis is back. A key opens through the period after the last in which
    it sealed.

    server: a URL (redis://, rediss://, unix://), or a redis.Redis, whose time limits are then yours to set. wrapping_key: 32 to 256 random bytes
    under which keys lie in Redis; of several, the first wraps and all unwrap, so that it can be changed server by server. Who learns it and reads
    Redis opens every ticket. timeout: seconds of one exchange with Redis. Thread-safe, also across fork."""

    def __init__(
        self,
        server: str | redis.Redis,
        wrapping_key: bytes | Sequence[bytes],
        *,
        lifetime: int = 7200,
        prefix: str = "tlsfast",
        refresh: float = 5.0,
        timeout: float = 1.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not 1 <= lifetime <= SEVEN_DAYS:
            raise ConfigurationError(f"a ticket lives 1 to {SEVEN_DAYS} seconds (RFC 8446, 4.6.1), not {lifetime}")
        if not refresh > 0:
            raise ConfigurationError("refresh is a number of seconds above 0")
        self._redis = _client(server, timeout)
        self._wrapping = [
            _wrapping_secret(each) for each in ([wrapping_key] if isinstance(wrapping_key, bytes) else wrapping_key)
        ]
        if not self._wrapping:
            raise ConfigurationError(
                "a RedisKeyring needs a wrapping key: secrets.token_bytes(32), the same on all servers"
            )
        self._lifetime = lifetime
        self._prefix = prefix
        self._interval = refresh
        self._clock = clock
        self._keys: dict[bytes, _Key] = {}  # by name: what opens
        self._sealing: dict[int, _Key] = {}  # by period
        self._failing = False
        self._lock = threading.Lock()
        self._stop: threading.Event | None = None
        _keyrings.add(self)
        self.refresh()
        self._start()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} lifetime={self._lifetime} prefix={self._prefix!r}>"

    @property
    def lifetime_hint(self) -> int:
        """Seconds for which a ticket sealed now can surely be opened by this server."""
        return self._lifetime

    def seal(self, psk: Secret, state: bytes) -> bytes:
        """Make the ticket that holds psk and state, under the key of the present period."""
        with self._lock:
            if self._stop is None:
                self._start()
            key = self._sealing_key(self._turn())
        return crypto.ticket_seal(key.name, key.secret, psk, state)

    def open(self, ticket: bytes) -> tuple[Secret, bytes] | None:
        """Give back psk and state; None for a ticket that is not ours, was changed, or whose key is gone or not yet here."""
        with self._lock:
            if self._stop is None:
                self._start()
            self._turn()
            key = self._keys.get(ticket[:NAME_LENGTH])
        try:
            return crypto.ticket_open(key.secret, ticket) if key is not None else None
        except BadRecordMac:
            return None

    def close(self) -> None:
        """End the thread that asks Redis; the next seal or open would start it again."""
        with self._lock:
            if self._stop is not None:
                self._stop.set()
                self._stop = None

    # ---- The keys in memory; the lock is held ----

    def _turn(self) -> int:
        """Follow the clock: the present period. Keys that open no more are dropped, and wiped when the last call that uses them lets go of them.

        Without a key for the present Redis must be away: then the newest shared one goes on for the day."""
        present = self._present()
        if present not in self._sealing:
            shared = [period for period in self._sealing if period < present and self._sealing[period].shared]
            newest = max(shared, default=None)
            if newest is not None and (present - newest - 1) * self._lifetime <= OUTAGE:
                self._sealing[newest].last = present
        if any(key.last < present - 1 for key in self._keys.values()):
            self._keys = {name: key for name, key in self._keys.items() if key.last >= present - 1}
            self._sealing = {period: key for period, key in self._sealing.items() if key.name in self._keys}
        return present

    def _sealing_key(self, present: int) -> _Key:
        """The present period's key, else the one that goes on in its place, else one of our own."""
        extended = (key for key in self._sealing.values() if key.shared and key.last == present)
        return self._sealing.get(present) or next(extended, None) or self._adopt(present, _new_key(present))

    def _adopt(self, period: int, key: _Key) -> _Key:
        """Seal with this key in the period; one that did so before still opens."""
        key = self._keys.setdefault(key.name, key)
        self._sealing[period] = key
        return key

    def _present(self) -> int:
        return math.floor(self._clock() / self._lifetime)

    # ---- The keys in Redis ----

    def refresh(self) -> bool:
        """Exchange keys with Redis now; False when it is away, or holds what our wrapping keys do not open. The thread does this by itself."""
        present = self._present()
        with self._lock:
            # What is ours is offered: a Redis that came back empty gets again the key that servers have, so the period still has one.
            offers = [self._sealing.get(period) or _new_key(period) for period in (present, present + 1)]
        keys: dict[int, _Key] = {}
        fault: Exception | None = None
        try:
            for period, value in self._exchange(present, offers).items():
                try:
                    keys[period] = self._unwrap(period, value)
                except BadRecordMac as error:
                    fault = error
        except (redis.RedisError, OSError) as error:
            fault = error
        with self._lock:
            for period, key in keys.items():
                self._adopt(period, key).shared = True
        if fault is not None and not self._failing:
            log.warning("%r goes on with the ticket keys it has: %s", self, fault)
        elif fault is None and self._failing:
            log.warning("%r shares ticket keys with the other servers again", self)
        self._failing = fault is not None
        return fault is None

    def _exchange(self, present: int, offers: list[_Key]) -> dict[int, bytes]:
        """Offer keys for this period and the next, and get what holds for them and the last: SET NX lets one server win, once for each period."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.get(self._place(present - 1))
        for period, offer in enumerate(offers, present):
            # until it opens nowhere any more, and a period longer for servers whose clock is behind
            ends = math.ceil((period + 3) * self._lifetime - self._clock())
            pipe.set(self._place(period), self._wrap(period, offer), nx=True, ex=max(1, ends))
            pipe.get(self._place(period))
        past, _, this, _, following = pipe.execute()
        found = {present - 1: past, present: this, present + 1: following}
        return {period: value for period, value in found.items() if value is not None}

    def _place(self, period: int) -> str:
        return f"{self._prefix}:ticket-key:{self._lifetime}:{period}"

    def _bound(self, period: int) -> bytes:
        """What a wrapped key is bound to: moved to another place in Redis, it does not unwrap."""
        return b"tlsfast ticket key" + struct.pack(">qI", period, self._lifetime) + self._prefix.encode()

    def _wrap(self, period: int, key: _Key) -> bytes:
        # The construction of tickets (AES-256-GCM under a one-time key, the name as AAD): the key never leaves C.
        return crypto.ticket_seal(key.name, self._wrapping[0], key.secret, self._bound(period))

    def _unwrap(self, period: int, value: bytes) -> _Key:
        for wrapping in self._wrapping:
            try:
                secret, bound = crypto.ticket_open(wrapping, value)
            except BadRecordMac:
                continue
            if bound == self._bound(period) and len(secret) == KEY_LENGTH:
                return _Key(value[:NAME_LENGTH], secret, period)
        raise BadRecordMac(
            f"{self._place(period)} was not wrapped for this place under a wrapping key that is known here"
        )

    # ---- The thread ----

    def _start(self) -> None:
        stop = self._stop = threading.Event()
        arguments = (weakref.ref(self), stop, self._interval)
        threading.Thread(target=_keep_fresh, args=arguments, name="tlsfast ticket keys", daemon=True).start()

    def _after_fork(self) -> None:
        """In the child: the thread is not there, and the lock may be held by nobody that is."""
        self._lock = threading.Lock()
        self._stop = None


def _keep_fresh(reference: weakref.ref[RedisKeyring], stop: threading.Event, interval: float) -> None:
    """Until the keyring is closed or gone."""
    while not stop.wait(interval):
        keyring = reference()
        if keyring is None:
            return
        try:
            keyring.refresh()
        except Exception:
            log.exception("%r could not refresh its ticket keys", keyring)
        del keyring


_keyrings: weakref.WeakSet[RedisKeyring] = weakref.WeakSet()


def _after_fork() -> None:
    for keyring in list(_keyrings):
        keyring._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _new_key(period: int) -> _Key:
    return _Key(crypto.random_bytes(NAME_LENGTH), Secret.random(KEY_LENGTH), period)


def _wrapping_secret(key: bytes) -> Secret:
    if not isinstance(key, bytes) or not 32 <= len(key) <= 256:
        raise ConfigurationError("a wrapping key has 32 to 256 random bytes: secrets.token_bytes(32)")
    # RFC 5869, 2.2: HKDF-Extract without a salt; the label parts it from a TicketKeyring's master of the same bytes
    return crypto.expand_label(
        SHA256, crypto.early_secret(SHA256, Secret.from_bytes(key)), b"ticket wrap", b"", KEY_LENGTH
    )


def _client(server: str | redis.Redis, timeout: float) -> Any:
    if not timeout > 0:
        raise ConfigurationError("timeout is a number of seconds above 0")
    client: Any = server
    if isinstance(server, str):
        limits = {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
        try:
            client = redis.Redis.from_url(server, **limits)
        except ValueError as error:
            raise ConfigurationError(f"the address of the Redis server: {error}") from None
    if client.get_connection_kwargs().get("decode_responses"):
        raise ConfigurationError("what lies in Redis is no text: make the redis.Redis with decode_responses=False")
    return client


class RedisSessionStore:
    """TLS 1.2 sessions by id in Redis, each for its lifetime. They are sealed under the keys of `tickets`: share those with a RedisKeyring.

    A look-up by id cannot go on without the store, so this one is asked in the handshake, for `timeout` seconds at most. When it did not answer it is
    left alone for `pause` seconds and handshakes are full ones. In an event loop, use session_store=ASK and an asynchronous client instead."""

    def __init__(
        self,
        server: str | redis.Redis,
        *,
        prefix: str = "tlsfast",
        timeout: float = 0.25,
        pause: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = _client(server, timeout)
        self._prefix = prefix
        self._pause = pause
        self._clock = clock
        self._asked_again_at = -math.inf

    def __repr__(self) -> str:
        return f"<{type(self).__name__} prefix={self._prefix!r}>"

    def put(self, session_id: bytes, sealed: bytes, lifetime: int) -> None:
        """Keep sealed for lifetime seconds."""
        self._ask(self._redis.set, self._place(session_id), sealed, ex=max(1, lifetime))

    def get(self, session_id: bytes) -> bytes | None:
        """Give back what is kept, or None."""
        found: bytes | None = self._ask(self._redis.get, self._place(session_id))
        return found

    def discard(self, session_id: bytes) -> None:
        """Forget what is kept."""
        self._ask(self._redis.delete, self._place(session_id))

    def _place(self, session_id: bytes) -> str:
        return f"{self._prefix}:session:{session_id.hex()}"

    def _ask(self, command: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Redis's answer. What it raises goes to the observer, and ends the attempts for a while."""
        if self._clock() < self._asked_again_at:
            raise RedisAway("Redis did not answer a moment ago: it is not asked again yet")
        try:
            return command(*arguments, **options)
        except (redis.RedisError, OSError):
            self._asked_again_at = self._clock() + self._pause
            raise
