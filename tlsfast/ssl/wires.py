# SPDX-License-Identifier: Apache-2.0
"""Wire bytes of an engine: over a socket, with its time limit, and over a pair of MemoryBIO."""

from __future__ import annotations

import select
import socket
import ssl
import weakref
from time import monotonic
from typing import Any

from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.ssl.engine import Engine
from tlsfast.ssl.errors import want_read, want_write

_HEADER = 5
# The largest record (RFC 5246, 6.2.3), with its header.
_RECORD = _HEADER + 2**14 + 2048
_DONT_WAIT = getattr(socket, "MSG_DONTWAIT", 0)
# SSLSocket has methods of these names that do TLS: the socket's own are meant here.
_recv = socket.socket.recv
_send = socket.socket.send


class SocketEngine(Engine):
    """Over a connected socket. After every call the socket holds all that a program may want to wait for by select():

    in the handshake and in shutdown one record at a time is taken, header first, so that the first request after Finished, or plaintext after
    close_notify, stays where it is. read(n) takes so much that every record that comes whole fits the answer."""

    def __init__(
        self, context: Any, config: Any, server_hostname: str | None, owner: Any, session: Any, sock: Any
    ) -> None:
        super().__init__(context, config, server_hostname, owner, session)
        self._socket = weakref.ref(sock)
        self._out: bytes | memoryview = b""  # taken from the connection, not sent yet
        self._what = "read"

    def _peer(self) -> Any:
        sock = self._socket()
        if sock is None or sock.fileno() < 0:
            raise OSError(9, "Underlying socket has been closed.")
        return sock

    def _deadline(self, what: str) -> float | None:
        self._what = what
        limit = self._peer().gettimeout()
        return monotonic() + limit if limit else None

    def _read_wire(self, connection: ClientConnection | ServerConnection, wanted: int, deadline: float | None) -> bytes:
        size = connection.wire_needed
        if wanted:
            size = max(size, wanted - connection.wire_buffered)
        sock = self._peer()
        if deadline is not None:
            self._wait(sock, select.POLLIN, deadline)
        try:
            return bytes(_recv(sock, size))
        except (BlockingIOError, InterruptedError):
            raise want_read() from None
        except TimeoutError:
            raise self._timed_out() from None

    def _wait(self, sock: Any, event: int, deadline: float) -> None:
        """Wait until the deadline of the whole call: a peer that dribbles does not gain time by it."""
        poll = select.poll()
        poll.register(sock.fileno(), event)
        if not poll.poll(max(0.0, deadline - monotonic()) * 1000):
            raise self._timed_out()

    def _timed_out(self) -> TimeoutError:
        operation = {"handshake": "handshake", "write": "write"}.get(self._what, "read")
        return TimeoutError(f"The {operation} operation timed out")

    def _flush(self, deadline: float | None) -> None:
        with self._sending:
            connection = self._connection
            while True:
                if not self._out:
                    self._out = connection.data_to_send() if connection is not None else b""
                    if not self._out:
                        return
                sock = self._peer()
                if deadline is not None:
                    self._wait(sock, select.POLLOUT, deadline)
                try:
                    self._sent(_send(sock, self._out))
                except (BlockingIOError, InterruptedError):
                    raise want_write() from None
                except TimeoutError:
                    raise self._timed_out() from None

    def _sent(self, count: int) -> None:
        self._out = memoryview(self._out)[count:] if count < len(self._out) else b""

    def _flush_quietly(self) -> None:
        """Send what the socket takes now: answers and alerts of the reading side, which never waits for the peer to read."""
        connection = self._connection
        while (
            connection is not None and (self._out or connection.send_pending) and self._sending.acquire(blocking=False)
        ):
            try:
                if not self._out:
                    self._out = connection.data_to_send()
                while self._out:
                    self._sent(_send(self._peer(), self._out, _DONT_WAIT))
            except OSError:
                return
            finally:
                self._sending.release()

    def _give_back(self, trailing: bytes) -> None:
        """Nothing can go back into a socket: what read(n) took beyond close_notify is in the connection's trailing_data."""


class BIOEngine(Engine):
    """Over two MemoryBIO. read(n) takes from the incoming one about what it has room for, so that what waits there can be counted."""

    _takes_all = True

    def __init__(
        self,
        context: Any,
        config: Any,
        server_hostname: str | None,
        owner: Any,
        session: Any,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        super().__init__(context, config, server_hostname, owner, session)
        self._incoming = incoming
        self._outgoing = outgoing

    def _peer(self) -> None:
        return None

    def _deadline(self, what: str) -> float | None:
        return None

    def _read_wire(self, connection: ClientConnection | ServerConnection, wanted: int, deadline: float | None) -> bytes:
        incoming = self._incoming
        wire = incoming.read(max(wanted - connection.wire_buffered, _RECORD))
        if not wire and not incoming.eof:
            raise want_read()
        return wire

    def _flush(self, deadline: float | None) -> None:
        with self._sending:
            connection = self._connection
            if connection is not None and connection.send_pending:
                self._outgoing.write(connection.data_to_send())

    def _flush_quietly(self) -> None:
        try:
            self._flush(None)
        except ssl.SSLError:  # the program has ended the outgoing BIO
            pass

    def _give_back(self, trailing: bytes) -> None:
        """What follows close_notify belongs to whoever goes on in the clear."""
        rest = self._incoming.read()
        if trailing or rest:
            try:
                self._incoming.write(trailing + rest)
            except ssl.SSLError:  # write_eof() was called: nothing can go back
                pass
