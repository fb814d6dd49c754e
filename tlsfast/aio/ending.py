# SPDX-License-Identifier: Apache-2.0
"""Ending: how a connection over a plain asyncio transport ends: closed in order, aborted, out of time, or by a fault; the base of TLSProtocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from logging import getLogger
from typing import Any, Final

from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.errors import ApiMisuse, HandshakeTimeout, InternalError, PeerError, TLSError
from tlsfast.events import Event

logger: Final = getLogger("asyncio")

# Seconds that a peer has to read our alert and hang up: closing on bytes that we have not read would reset the connection.
PARTING: Final = 1.0

TLSConnection = ClientConnection | ServerConnection


def _as_is(error: BaseException) -> BaseException:
    return error


@dataclass(frozen=True, slots=True)
class Settings:
    """What the connections of one call share. half_close: eof_received() may keep our direction open, and write_eof() closes it alone.

    context: what get_extra_info("sslcontext") gives. explain: makes of our errors those that the application expects. choose: answers ChooseConfig
    where the configuration says ASK. ssl_object: makes what get_extra_info gives under this name."""

    handshake_timeout: float = 60.0
    shutdown_timeout: float = 30.0
    allow_truncation: bool = False
    half_close: bool = True
    context: object = None
    explain: Callable[[BaseException], BaseException] = _as_is
    choose: Callable[[Any, Any], object] | None = None
    ssl_object: Callable[[Any], Any] | None = None


class Ending(asyncio.BufferedProtocol):
    """What the end of a connection needs to know. `face` is the transport that the application gets; `wire` the plain transport beneath."""

    __slots__ = (
        "__weakref__",
        "_app",
        "_closing",
        "_connected",
        "_eof",
        "_error",
        "_loop",
        "_over",
        "_paused",
        "_pending",
        "_shut_when_empty",
        "_timer",
        "_waiter",
        "connection",
        "face",
        "settings",
        "wire",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        connection: TLSConnection,
        settings: Settings,
        waiter: asyncio.Future[None] | None,
    ) -> None:
        self._loop = loop
        self.connection = connection
        self.settings = settings
        self.face: asyncio.Transport | None = None
        self.wire: asyncio.Transport | None = None
        self._app: Any = None
        self._waiter = waiter
        self._connected = False  # the handshake is done, and connection_lost is owed to the application
        self._closing = False  # nothing more is given to the application
        self._over = False  # nothing more is given to the engine
        self._eof = False  # the wire ended
        self._paused = False  # by the application
        self._pending: list[Event] = []  # what the application has not got yet: the events of one read
        self._error: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._shut_when_empty = False

    def _hold(self) -> None:
        """Pause or resume the wire, as it is needed now."""
        raise NotImplementedError

    def _flush(self) -> None:
        wire, waiting = self.wire, self.connection.data_to_send()
        if waiting and wire is not None and not wire.is_closing():
            wire.write(waiting)

    # ---- The end ----

    def close(self) -> None:
        """Send what is queued and close_notify, give the application nothing more, and wait for the peer's end, within the time limit."""
        if self._closing:
            return
        peer_done = self.connection.peer_closed or not self._connected
        self.connection.close()
        self._flush()
        self._part(self.settings.shutdown_timeout, wait=not peer_done)

    def abort(self, error: BaseException | None = None) -> None:
        """Drop what is queued and close at once."""
        self._closing = self._over = True
        if error is not None and self._error is None:
            self._error = error
        if self.wire is not None:
            self.wire.abort()

    def _part(self, limit: float, *, wait: bool) -> None:
        """Nothing more is sent or given out: close, or first let the peer read to the end and hang up."""
        self._closing = True
        self._paused = False
        self._pending.clear()
        self._set_timer(limit, self._parting_late)
        wire = self.wire
        if wire is None:
            return
        if wait and not self._eof and not wire.is_closing() and wire.can_write_eof():
            self._hold()
            if wire.get_write_buffer_size():
                self._shut_when_empty = True
                wire.set_write_buffer_limits(0)  # resume_writing tells
            else:
                self._shut_wire(wire)
        else:
            wire.close()

    def _shut_wire(self, wire: asyncio.Transport) -> None:
        """End our direction of the plain stream, now that nothing is buffered: a peer that waits for it hangs up."""
        try:
            wire.write_eof()
        except OSError:  # the peer has reset the connection
            wire.close()

    def _close_wire(self) -> None:
        if self.wire is not None:
            self.wire.close()

    def _parting_late(self) -> None:
        wire = self.wire
        if wire is None:
            return
        if self._error is None and wire.get_write_buffer_size():
            self._error = TimeoutError("the peer did not read what was sent before the connection was to close")
        wire.abort()

    def _handshake_late(self) -> None:
        waited = " or ".join(kind.__name__ for kind in self.connection.expecting) or "an answer"
        seconds = self.settings.handshake_timeout
        self._error = self.settings.explain(
            HandshakeTimeout(
                f"the handshake did not end in time: after {seconds:g} s we still waited for {waited}", waited=waited
            )
        )
        self._over = True
        self.connection.close()
        self._flush()
        self._part(PARTING, wait=True)

    def _fault(self, error: TLSError) -> None:
        """The connection is dead: the peer gets its alert and a moment to read it, then the application hears why."""
        if self._over:
            return
        self._over = True
        if not self._closing:
            if self._error is None:
                self._error = self.settings.explain(error)
            self._report(error)
        self._flush()
        told = isinstance(error, PeerError | InternalError) and not self._eof
        self._part(PARTING if told else self.settings.shutdown_timeout, wait=told)

    def _report(self, error: TLSError) -> None:
        """A server's failed handshake has nobody to be raised to: what a peer did is for the debug log, what we did for the exception handler."""
        if self._waiter is not None or self._connected:
            return
        if isinstance(error, InternalError | ApiMisuse):
            self._call_handler(error, "TLS handshake failed by a fault of this side")
        elif self._loop.get_debug():
            logger.debug("%r: TLS handshake failed: %s", self.wire, error)

    def _fatal(self, error: BaseException, message: str) -> None:
        """A callback of the application raised: as asyncio's transports do, report it and drop the connection."""
        if not isinstance(error, OSError):
            self._call_handler(error, message)
        self.abort(error)

    def _call_handler(self, error: BaseException, message: str) -> None:
        self._loop.call_exception_handler(
            {"message": message, "exception": error, "transport": self.face, "protocol": self._app}
        )

    def _set_timer(self, seconds: float | None, late: Callable[[], None] | None = None) -> None:
        """One limit at a time: that of the handshake, or that of parting."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None and late is not None:
            self._timer = self._loop.call_later(seconds, late)
