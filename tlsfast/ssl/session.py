# SPDX-License-Identifier: Apache-2.0
"""SSLSession, which the standard module neither lets others subclass nor make, and the bounded cache by which a context's clients resume."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable
from typing import Any

from tlsfast.sessions import Session, SessionCache


class SSLSession:
    """A client's session: what SSLSocket.session gives, and what wrap_socket(session=...) takes, on the same context."""

    __slots__ = ("_context", "_first", "_key", "_session")

    def __init__(self, session: Session, key: Hashable, context: Any, resumed: SSLSession | None = None) -> None:
        """resumed: the session that this one continues, whose id, time and timeout stay."""
        self._session = session
        self._first: Session = resumed._first if resumed is not None else session
        self._key = key  # what the connection had that it comes from: name, trust, certificate...
        self._context = context

    @property
    def id(self) -> bytes:
        """The session id; a ticket's hash where there is a ticket in its place."""
        return self._first.session_id or hashlib.sha256(self._first.ticket).digest()

    @property
    def time(self) -> int:
        """When it was received, in seconds since the epoch."""
        return int(self._first.received_at)

    @property
    def timeout(self) -> int:
        """Seconds for which it can be resumed."""
        return round(self._first.expires_at - self._first.received_at)

    @property
    def has_ticket(self) -> bool:
        return bool(self._session.ticket)

    @property
    def ticket_lifetime_hint(self) -> int:
        return self._session.lifetime

    def __eq__(self, other: object) -> bool:
        return self.id == other.id if isinstance(other, SSLSession) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.id)


class ContextSessions(SessionCache):
    """The cache of one context. What a thread has put last is that of the connection on which it has just received."""

    def __init__(self) -> None:
        super().__init__()
        self._last = threading.local()

    def put(self, key: Hashable, session: Session) -> Callable[[], None]:
        self._last.kept = key, session
        return super().put(key, session)

    def newest(self) -> tuple[Hashable, Session] | None:
        """The key and session that this thread has put since it last asked; None without one."""
        kept: tuple[Hashable, Session] | None = getattr(self._last, "kept", None)
        self._last.kept = None
        return kept


class OneSession(ContextSessions):
    """The cache of a connection for which the program chose the session, or none. What the server gives is the program's to use."""

    def __init__(self, chosen: SSLSession | None) -> None:
        super().__init__()
        self._chosen = chosen

    def put(self, key: Hashable, session: Session) -> Callable[[], None]:
        self._last.kept = key, session
        return lambda: None

    def take(self, key: Hashable, now: float) -> Session | None:
        """Give the session chosen, if a full handshake of this connection would check no more than the one it comes from."""
        chosen, self._chosen = self._chosen, None
        if chosen is None or chosen._key != key or now >= chosen._session.expires_at:
            return None
        return chosen._session
