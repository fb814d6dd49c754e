# SPDX-License-Identifier: Apache-2.0
"""TLSProtocol: the wire side of a connection, over a plain asyncio transport; it feeds the engine, gives plaintext to the application, and parts.

All connections of a loop read into one buffer. It is free again when buffer_updated returns: plaintext has left it before any callback runs, and the
beginning of an unfinished record is kept by the connection, which lays it before the next read."""

from __future__ import annotations

import asyncio
from typing import Final

from tlsfast.aio.buffers import receive_buffer
from tlsfast.aio.ending import Ending, Settings, TLSConnection, logger
from tlsfast.aio.hooks import answer_of, can_answer
from tlsfast.errors import ApiMisuse, InternalError, TLSError, Truncated
from tlsfast.events import ChooseConfig, DataReceived, Event, HandshakeCompleted, PeerClosed, Request
from tlsfast.registry import TLSVersion

# Sealed and handed to the transport at a time: what stays in the processor's cache between the two.
PIECE: Final = 256 * 1024
# Written without a pause, before other tasks and callbacks get their turn.
QUANTUM: Final = 128 * 1024
# As asyncio: writes after the end that pass in silence before each of the others is logged.
_SILENT_WRITES: Final = 5


class TLSProtocol(Ending):
    """Drives one connection. `face` is the transport that the application gets; `wire` the plain transport beneath."""

    __slots__ = (
        "_announce",
        "_buffer",
        "_burst",
        "_busy",
        "_ended",
        "_held",
        "_into",
        "_late_writes",
        "_task",
        "_waiting",
        "_writing_paused",
        "_yielding",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        app: asyncio.BaseProtocol,
        connection: TLSConnection,
        settings: Settings,
        waiter: asyncio.Future[None] | None = None,
        *,
        announce: bool = True,
    ) -> None:
        super().__init__(loop, connection, settings, waiter)
        self._buffer = receive_buffer(loop)
        self._waiting = 0  # bytes of an unfinished record before those that the transport reads now
        self._announce = announce  # call connection_made: not after start_tls
        self._ended = False  # the end of the wire was acted on
        self._held = False  # the wire is paused
        self._writing_paused = False  # by the wire
        self._burst = 0  # bytes written since others last had their turn
        self._yielding = False  # the application is paused until they had
        self._late_writes = 0
        self._busy = False  # callbacks are running
        self._task: asyncio.Task[None] | None = None
        self.set_app(app)

    def set_app(self, app: asyncio.BaseProtocol) -> None:
        """Give what comes from here on to another protocol."""
        self._app = app
        self._into = isinstance(app, asyncio.BufferedProtocol)

    @property
    def app(self) -> asyncio.BaseProtocol:
        app: asyncio.BaseProtocol = self._app
        return app

    # ---- From the wire ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.wire = transport  # type: ignore[assignment]  # a stream's transport, as every BufferedProtocol gets
        self._set_timer(self.settings.handshake_timeout, self._handshake_late)
        self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        view = self._buffer.view
        self._waiting = waiting = self.connection.copy_waiting(view)
        return view[waiting:] if waiting else view

    def buffer_updated(self, nbytes: int) -> None:
        if self._over:
            return
        connection, waiting = self.connection, self._waiting
        if connection.failure is not None:
            return  # what came before the fault is not given out yet
        try:
            events = connection.receive_from(self._buffer, waiting + nbytes, waiting)
        except TLSError as error:
            self._fault(error)
        else:
            self._take(events)

    def eof_received(self) -> bool:
        """Never lets the transport close by itself: what is not given out yet comes first."""
        self._eof = True
        self._run()
        return True

    def pause_writing(self) -> None:
        self._writing_paused = True
        if self._connected and not self._yielding:
            self._app.pause_writing()

    def resume_writing(self) -> None:
        self._writing_paused = False
        if self._shut_when_empty and self.wire is not None:
            self._shut_when_empty = False
            self._shut_wire(self.wire)
        if not self._yielding and (self._connected or not self._announce):
            self._app.resume_writing()

    def _yield(self) -> None:
        """A writer whose socket takes all it gives pauses for a turn of the loop: others run, and what was sent is read while it is in cache."""
        self._burst = 0
        if self._connected and not (self._yielding or self._writing_paused):
            self._yielding = True
            self._loop.call_soon(self._yielded)
            self._app.pause_writing()

    def _yielded(self) -> None:
        self._yielding = False
        if self._connected and not self._writing_paused:
            self._app.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and let go of all that would keep it alive."""
        self._set_timer(None)
        if self._task is not None:
            self._task.cancel()
        error = self._error if self._error is not None else exc
        # A protocol that start_tls took over had its connection_made before.
        waiter, owed = self._waiter, self._connected or not self._announce
        self._closing = self._over = True
        self._connected = False
        self._pending.clear()
        self._error = self._task = self._waiter = None
        self.connection.abandon()
        try:
            if owed:
                self._app.connection_lost(error)
            if waiter is not None and not waiter.done():
                waiter.set_exception(
                    error or ConnectionAbortedError("the connection was closed before its handshake was done")
                )
        finally:
            self.face = self._app = None

    # ---- What the engine says ----

    def _take(self, events: list[Event]) -> None:
        """Let our answers out, then give what came to the application, if it takes it now."""
        connection = self.connection
        if connection.send_pending:
            self._flush()
        if len(events) == 1 and not (self._pending or self._paused or self._closing or self._busy):
            # The common case, without the queue.
            event = events[0]
            if event.__class__ is DataReceived and not self._into and connection.failure is None:
                self._give(event.data)
                return
        self._pending += events
        self._run()

    def _run(self) -> None:
        """Act on what waits, in order, until the application pauses or a question must be answered; last come a fault, and the wire's end."""
        if self._busy:
            return  # called by a callback
        self._busy = True
        try:
            while self._pending and not self._paused:
                self._act(self._pending.pop(0))
            if not self._paused and self._task is None:
                if self.connection.failure is not None:
                    self._fault(self.connection.failure.fresh())
                if self._eof and not self._ended:
                    self._ended = True
                    self._at_eof()
        finally:
            self._busy = False
            self._hold()

    def _act(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            if not self._closing:
                if self._into:
                    self._give_into(event.data)
                else:
                    self._give(event.data)
        elif isinstance(event, HandshakeCompleted):
            self._complete()
        elif isinstance(event, PeerClosed):
            self._peer_closed()
        elif isinstance(event, Request):
            self._ask(event)

    def _give(self, data: bytes) -> None:
        try:
            self._app.data_received(data)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error, "Fatal error: protocol.data_received() call failed.")

    def _give_into(self, data: bytes) -> None:
        """As asyncio does for a BufferedProtocol; what it has not taken when it pauses, or another takes over, waits before the rest."""
        rest, app = memoryview(data), self._app
        try:
            while rest and self._app is app and not (self._paused or self._closing):
                room = memoryview(app.get_buffer(len(rest))).cast("B")
                taken = min(len(room), len(rest))
                if not taken:
                    raise RuntimeError("get_buffer() returned an empty buffer")
                room[:taken] = rest[:taken]
                rest = rest[taken:]
                app.buffer_updated(taken)
            if rest and not self._closing:
                self._pending.insert(0, DataReceived(bytes(rest)))
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error, "Fatal error: protocol.get_buffer() or buffer_updated() call failed.")

    def _complete(self) -> None:
        self._set_timer(None)
        if self._closing:
            return
        self._connected = True
        waiter, self._waiter = self._waiter, None
        try:
            if self._announce:
                self._app.connection_made(self.face)
            if self._writing_paused and self._connected:
                self._app.pause_writing()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._waiter = waiter
            self._fatal(error, "Fatal error: protocol.connection_made() call failed.")
            return
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _peer_closed(self, *, clean: bool = True) -> None:
        """The peer sends no more. Our direction stays open if the application wants it and the version has half-close (TLS 1.2 has not)."""
        if self._closing:
            self._close_wire()
            return
        try:
            keep = self._app.eof_received()
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            self._fatal(error, "Fatal error: protocol.eof_received() call failed.")
            return
        if keep and not self.settings.half_close:
            logger.warning("returning true from eof_received() has no effect when using ssl")
        elif keep and clean and self.half_closes:
            return
        self.close()

    @property
    def half_closes(self) -> bool:
        """Whether one direction can be closed alone. RFC 5246, 7.2.1: the other party MUST ... close down the connection immediately."""
        completed = self.connection.handshake
        return self.settings.half_close and completed is not None and completed.version is not TLSVersion.TLSv1_2

    def _at_eof(self) -> None:
        if self._closing:
            self._close_wire()
            return
        try:
            self.connection.receive_eof()
        except Truncated as error:
            if self._connected and self.settings.allow_truncation:
                self._peer_closed(clean=False)
            else:
                self._fault(error)
        except TLSError as error:
            self._fault(error)

    # ---- Questions ----

    def _ask(self, request: Request) -> None:
        """Answer by the hook that is a coroutine function; what nobody can answer is refused, as sockets.py does."""
        choose = self.settings.choose
        if choose is not None and isinstance(request, ChooseConfig):
            value: object
            try:
                value = choose(self, request.client_hello)
            except Exception as error:
                value = error
            self._answered(request, value)
            return
        if can_answer(self.connection.config, request):
            self._task = self._loop.create_task(self._answer(request))
            return
        misuse = ApiMisuse(
            f"the handshake asks {type(request).__name__}, and nobody is there to answer: give the configuration a function for it, "
            "plain or async, or drive a connection with conn.answer()"
        )
        self._error = self.settings.explain(misuse)
        self._answered(request, misuse)

    async def _answer(self, request: Request) -> None:
        value: object
        try:
            value = await answer_of(self.connection.config, request)
        except asyncio.CancelledError:
            if self._over or self._closing:
                raise  # the connection went away
            value = InternalError(f"the hook that answers {type(request).__name__} was cancelled")
        except Exception as error:
            value = error
        self._task = None
        if not self._over:
            self._answered(request, value)

    def _answered(self, request: Request, value: object) -> None:
        try:
            events = self.connection.answer(request, value)
        except TLSError:
            events = []  # why, says connection.failure
        self._take(events)

    # ---- Flow control ----

    @property
    def closing(self) -> bool:
        return self._closing

    @property
    def writing_paused(self) -> bool:
        return self._writing_paused

    @property
    def reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        self._paused = True
        self._hold()

    def resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            if self._pending:
                self._loop.call_soon(self._run)
            else:
                self._hold()

    def _hold(self) -> None:
        """Pause the wire while nobody takes what it brings."""
        if self.wire is None:
            return
        hold = not self._closing and (self._paused or bool(self._pending) or self._task is not None)
        if hold is not self._held:
            self._held = hold
            if hold:
                self.wire.pause_reading()
            else:
                self.wire.resume_reading()

    # ---- To the wire ----

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal data and hand it on, as bytes that nobody changes: the transport may keep them until they are sent."""
        wire = self.wire
        if self._closing or wire is None:
            self._late_writes += 1
            if self._late_writes > _SILENT_WRITES:
                logger.warning("TLS connection is closed")
            return
        if self.connection.failure is not None:
            return  # the application hears of it when it has got what came before
        try:
            self._burst += len(data)
            if self._burst > QUANTUM:
                self._yield()
            if len(data) <= PIECE:
                wire.write(self.connection.seal(data))
                return
            view = memoryview(data).cast("B")
            for start in range(0, len(view), PIECE):
                wire.write(self.connection.seal(view[start : start + PIECE]))
                if self._closing:
                    return
        except TLSError as error:
            self._fault(error)

    def write_eof(self) -> None:
        """Close our direction; reading goes on."""
        if not self._closing:
            self.connection.close()
            self._flush()
