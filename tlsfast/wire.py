# SPDX-License-Identifier: Apache-2.0
"""The wire side of a blocking stream: a socket, the connection's outgoing queue, and how long each thread may wait for either."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from time import monotonic
from typing import Final, Protocol

from tlsfast.errors import ConnectionClosed

# Asked of the kernel at a time: it grows while reads come back full, since a large buffer for a small answer costs more than the answer.
_READ_LEAST: Final = 32 * 1024
_READ_MOST: Final = 256 * 1024
# Seconds that parting words (an alert, close_notify) may take to leave, and that a peer has to read them before the socket goes.
PARTING: Final = 1.0


class Source(Protocol):
    """What gives the bytes to send: a connection."""

    @property
    def send_pending(self) -> bool: ...
    def data_to_send(self) -> bytes: ...


class Wire:
    """Moves bytes between a socket and a connection's queue. One thread may read while others send; a reader never waits to send."""

    def __init__(self, sock: socket.socket, source: Source) -> None:
        self.socket = sock
        self.timeout = sock.gettimeout()
        # Each thread waits by its own deadline: the socket's timeout would be shared between reader and writer.
        sock.setblocking(False)
        self._source = source
        self._writing = threading.Lock()
        self._unsent = memoryview(b"")
        self._read_size = _READ_LEAST
        self.gone = False

    def deadline(self) -> float | None:
        """When a call that begins now must end."""
        return None if self.timeout is None else monotonic() + self.timeout

    # ---- Reading ----

    def read(self, deadline: float | None) -> bytes:
        """Wait for bytes from the peer; b"" at the end of its stream."""
        while True:
            wire = self.read_now()
            if wire is not None:
                return wire
            self._wait_readable(deadline)

    def read_now(self) -> bytes | None:
        """The bytes that are there, b"" at the end of the stream, None when there are none yet."""
        try:
            wire = self.socket.recv(self._read_size)
        except BlockingIOError:
            return None
        except OSError:
            if self.gone:
                raise ConnectionClosed("this stream was closed here") from None
            raise
        if not wire and self.gone:
            raise ConnectionClosed("this stream was closed here")
        if len(wire) == self._read_size < _READ_MOST:
            self._read_size *= 2
        elif len(wire) < _READ_LEAST < self._read_size:
            self._read_size //= 2
        return wire

    def _wait_readable(self, deadline: float | None) -> None:
        """Wait for bytes, and meanwhile let out an answer that the socket did not take at once."""
        while True:
            # With the lock held no other thread could send: none could anyway, before the socket takes what is left over.
            if not self._unsent or not self._writing.acquire(blocking=False):
                _wait(self.socket, deadline, reading=True)
                return
            try:
                if _wait(self.socket, deadline, reading=True, writing=True):
                    return
                self._send_some()
            finally:
                self._writing.release()

    # ---- Sending ----

    def exclusively(self, deadline: float | None, step: Callable[[], None]) -> None:
        """Run a step as the only sender, so that what is sealed first leaves first."""
        seconds = -1.0 if deadline is None else min(max(0.0, deadline - monotonic()), threading.TIMEOUT_MAX)
        if not self._writing.acquire(timeout=seconds):
            raise TimeoutError("timed out: another thread is sending")
        try:
            step()
        finally:
            self._writing.release()
            # A reader that queued an answer while we had the lock left it to us; so did a step that failed on its parting words.
            self.send_if_free()

    def send_queued(self, deadline: float | None) -> None:
        """Send all that is queued, waiting for the socket. Only inside exclusively()."""
        while not self._send_some():
            _wait(self.socket, deadline, writing=True)

    def flush(self, deadline: float | None) -> None:
        """Send all that is queued as the only sender."""
        self.exclusively(deadline, lambda: self.send_queued(deadline))

    def send_if_free(self) -> None:
        """Send what is queued if nobody else is sending and the socket takes it: a reader never waits to write."""
        while self._source.send_pending:
            if not self._writing.acquire(blocking=False):
                return  # its holder looks again after letting go
            try:
                if not self._send_some():
                    return
            except OSError:
                return  # the next call meets it too
            finally:
                self._writing.release()

    def _send_some(self) -> bool:
        """Send what the socket takes without waiting; True when nothing is left. The caller holds the writing lock."""
        while True:
            if not self._unsent:
                self._unsent = memoryview(self._source.data_to_send())
                if not self._unsent:
                    return True
            try:
                sent = self.socket.send(self._unsent)
            except BlockingIOError:
                return False
            self._unsent = self._unsent[sent:]

    # ---- The end ----

    def part(self) -> None:
        """Send what is queued as parting words: within a bounded time, and no error of theirs hides why we part."""
        try:
            self.flush(monotonic() + PARTING)
        except OSError:
            pass

    def linger(self) -> None:
        """Give the peer a moment to read our alert and hang up: closing on bytes that we have not read would reset the connection."""
        deadline = monotonic() + PARTING
        try:
            self.socket.shutdown(socket.SHUT_WR)
            while self.read(deadline):
                pass
        except OSError:
            pass

    def close(self) -> None:
        """Close the socket, and wake a thread that waits for it."""
        self.gone = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()

    def detach(self) -> socket.socket:
        """Give the socket back, as it was."""
        self.gone = True
        raw = socket.socket(fileno=self.socket.detach())
        raw.settimeout(self.timeout)
        return raw


def earlier(one: float | None, other: float | None) -> float | None:
    """The earlier of two deadlines; None is never."""
    return min((moment for moment in (one, other) if moment is not None), default=None)


def _wait(sock: socket.socket, deadline: float | None, *, reading: bool = False, writing: bool = False) -> bool:
    """Wait until the socket can do one of these; True if it can be read, or has failed. Raises TimeoutError at the deadline."""
    seconds = None if deadline is None else deadline - monotonic()
    if seconds is not None and seconds <= 0:
        raise TimeoutError("timed out")
    if sock.fileno() < 0:
        raise ConnectionClosed("this stream was closed here")
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, (select.POLLIN if reading else 0) | (select.POLLOUT if writing else 0))
        ready = poll.poll(None if seconds is None else seconds * 1000)
        if ready:
            return bool(ready[0][1] & ~select.POLLOUT)
    else:  # Windows has select alone
        readable, writable, _ = select.select([sock] if reading else [], [sock] if writing else [], [], seconds)
        if readable or writable:
            return bool(readable)
    raise TimeoutError("timed out")
