# SPDX-License-Identifier: Apache-2.0
"""The _sslobj beneath ssl.SSLSocket and ssl.SSLObject: what the C type of the standard module does, over a tlsfast connection.

One thread may read while another writes, as with a socket. How wire bytes come and go is told apart in wires.py."""

from __future__ import annotations

import ssl
import threading
import weakref
from collections import deque
from typing import Any

from tlsfast.config import ServerConfig
from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.errors import ApiMisuse, PeerError, TLSError, Truncated
from tlsfast.events import ChooseConfig, DataReceived, Event, HandshakeCompleted, PeerClosed, Request, TicketReceived
from tlsfast.registry import TLSVersion
from tlsfast.ssl import messages
from tlsfast.ssl.choose import not_a_context
from tlsfast.ssl.errors import protocol_error, translate, unsupported, zero_return
from tlsfast.ssl.facts import Facts
from tlsfast.ssl.session import ContextSessions, OneSession, SSLSession

# From here on a read saves copies.
BULK = 32 * 1024
# Sealed and sent at a time over a socket.
_PIECE = 256 * 1024


class Engine(Facts):
    """One connection. The subclasses in wires.py say how wire bytes are read and written."""

    def __init__(self, context: Any, config: Any, server_hostname: str | None, owner: Any, session: Any) -> None:
        super().__init__(context, server_side=isinstance(config, ServerConfig), server_hostname=server_hostname)
        self._config = config
        self._owner = None if owner is None else weakref.ref(owner)
        self._chunks: deque[bytes] = deque()
        self._offset = 0  # of what was read from the first chunk
        self._ready = 0  # bytes that can be read
        self._eof = False  # the peer said close_notify
        self._shut = False  # we did
        self._reading = threading.RLock()  # a message callback may look at the connection
        self._sending = threading.RLock()
        self._sealed = 0  # bytes of the data of a write that was cut short
        if session is not None:
            self.session = session

    # ---- Settings of one connection ----

    @property
    def owner(self) -> Any:
        """The SSLSocket or SSLObject, while it lives."""
        return None if self._owner is None else self._owner()

    @owner.setter
    def owner(self, owner: Any) -> None:
        self._owner = None if owner is None else weakref.ref(owner)

    @property
    def context(self) -> Any:
        return self._context

    @context.setter
    def context(self, context: Any) -> None:
        not_a_context(context)
        self._context = context

    @property
    def session(self) -> SSLSession | None:
        """The newest session of this connection; one that was set, before the handshake."""
        if self.server_side:
            return None
        self._context._resume_by_hand()
        return self._session

    @session.setter
    def session(self, session: Any) -> None:
        if not isinstance(session, SSLSession):
            raise TypeError("Value is not a SSLSession.")
        if session._context is not self._context:
            raise ValueError("Session refers to a different SSLContext.")
        if self.server_side:
            raise ValueError("Cannot set session for server-side SSLSocket.")
        if self._connection is not None:
            raise ValueError("Cannot set session after handshake.")
        self._context._resume_by_hand()
        self._session = session

    # ---- The handshake ----

    def do_handshake(self) -> None:
        with self._reading:
            connection = self._connection if self._connection is not None else self._begin()
            try:
                deadline = self._deadline("handshake")
                while connection.handshake is None:
                    self._flush(deadline)
                    self._raise_failure(connection)
                    self._act(connection, self._receive(connection, 0, deadline))
                self._flush(deadline)
            except ssl.SSLWantReadError:
                self._flush_quietly()
                raise

    def _begin(self) -> ClientConnection | ServerConnection:
        config, context = self._config, self._context
        changes: dict[str, Any] = {}
        if not self.server_side and config.sessions is not None and (context._by_hand or self._session is not None):
            changes["session_cache"] = OneSession(self._session)
        if context._message_callback is not None:
            changes["observer"] = messages.observer(context._message_callback, lambda: self.owner, self._wire_version)
        if changes:
            config = self._config = config.replace(**changes)
        context._count("accept" if self.server_side else "connect")
        try:
            self._connection = (
                ServerConnection(config) if self.server_side else ClientConnection(config, self.server_hostname)
            )
        except TLSError as error:
            raise translate(error, self.server_hostname) from None
        return self._connection

    def _wire_version(self) -> int:
        """What a record says: TLS 1.3 shows itself as 1.2 (RFC 8446, 5.1), and OpenSSL's callback tells the version negotiated."""
        hs = self._connection._hs if self._connection is not None else None
        return int(hs.version) if hs is not None and hs.version is not None else int(TLSVersion.TLSv1_2)

    def _completed(self, completed: HandshakeCompleted) -> None:
        self._handshake = completed
        self._context._count(
            "accept_good" if self.server_side else "connect_good", *(["hits"] if completed.resumed else [])
        )
        if not self.server_side:
            self._take_session()

    def _take_session(self) -> None:
        cache = self._config.sessions
        kept = cache.newest() if isinstance(cache, ContextSessions) else None
        before = self._session if self._handshake is not None and self._handshake.resumed else None
        if kept is not None:
            self._session = SSLSession(kept[1], kept[0], self._context, before)
        elif before is not None:
            self._session = SSLSession(before._session, before._key, self._context, before)

    def verify_client_post_handshake(self) -> None:
        if not self.server_side:
            raise protocol_error("NOT_SERVER", "only a server asks for a certificate after the handshake")
        if self._handshake is not None and self._handshake.version is not TLSVersion.TLSv1_3:
            raise protocol_error("WRONG_SSL_VERSION", "TLS 1.2 has no post-handshake authentication")
        if self._handshake is not None and self._handshake.verified_chain:
            return  # the client has shown itself in the handshake
        raise unsupported("post-handshake client authentication")

    # ---- Receiving ----

    def _receive(
        self, connection: ClientConnection | ServerConnection, wanted: int, deadline: float | None
    ) -> list[Event]:
        """Take wire bytes once; what they mean is for _act. wanted: plaintext bytes that the caller has room for; 0 in handshake and shutdown."""
        wire = self._read_wire(connection, wanted, deadline)
        try:
            events = connection.receive_data(wire) if wire else connection.receive_eof()
        except Truncated as error:
            if self._handshake is None or not self._context.options & _IGNORE_EOF:
                raise translate(error) from None
            self._eof = True
            return []
        except TLSError as error:
            self._part()
            raise translate(error, self.server_hostname) from None
        if connection.send_pending and self._handshake is not None:
            self._flush_quietly()
        return events

    def _act(self, connection: ClientConnection | ServerConnection, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived):
                self._chunks.append(event.data)
                self._ready += len(event.data)
            elif isinstance(event, PeerClosed):
                self._eof = True
                self._give_back(connection.trailing_data)
            elif isinstance(event, HandshakeCompleted):
                self._completed(event)
            elif isinstance(event, TicketReceived):
                self._take_session()
            elif isinstance(event, Request):
                try:
                    more = self._answer(connection, event)
                except TLSError as error:
                    self._part()
                    raise translate(error, self.server_hostname) from None
                self._act(connection, more)

    def _answer(self, connection: ClientConnection | ServerConnection, event: Request) -> list[Event]:
        """A ClientHello came: whose configuration is it to be? Other questions are not asked by a context's configurations."""
        if not isinstance(event, ChooseConfig):
            return connection.answer(event, ApiMisuse(f"{type(event).__name__} has nobody to answer it here"))
        context = self._context
        self._offered = tuple(event.client_hello.cipher_suites)
        answer: object
        try:
            answer = context._tlsfast_answer(event.client_hello, self.owner or self, self._config)
        except PeerError as error:
            answer = error
        except ssl.SSLError as error:
            answer = ApiMisuse(str(error))
        if isinstance(answer, ServerConfig):
            if self._config.observer is not None:
                answer = answer.replace(observer=self._config.observer)
            self._config = answer
        return connection.answer(event, answer)

    def _raise_failure(self, connection: ClientConnection | ServerConnection) -> None:
        if connection.failure is not None:
            raise translate(connection.failure, self.server_hostname)

    def read(self, length: int = 1024, buffer: Any = None) -> Any:
        """Up to length bytes, or how many were put into buffer; b"" or 0 after the peer's close_notify."""
        if buffer is None:
            if length < 0:
                raise ValueError("size should not be negative")
            return self._read(length) if length else b""
        view = memoryview(buffer).cast("B")
        if not 0 < length <= len(view):
            length = len(view)
        if not length:
            return 0
        if length >= BULK and (filled := self._read_bulk(view, length)):
            return filled
        data = self._read(length)
        taken = len(data)
        view[:taken] = data
        return taken

    def _read_bulk(self, view: memoryview, length: int) -> int:
        """Read straight into view, where that is worth it; 0 where read must go the common way."""
        return 0

    def _read(self, length: int) -> bytes:
        with self._reading:
            if self._ready:
                return self._take(length)
            if self._handshake is None:
                self.do_handshake()
            connection = self._connection
            assert connection is not None
            deadline = self._deadline("read")
            while not self._ready:
                if self._eof:
                    if self._shut:
                        raise zero_return()
                    return b""
                if connection.failure is not None:
                    self._raise_failure(connection)
                events = self._receive(connection, length, deadline)
                if len(events) == 1 and (event := events[0]).__class__ is DataReceived and len(event.data) <= length:
                    return event.data  # what bulk data always is
                self._act(connection, events)
            return self._take(length)

    def _take(self, length: int) -> bytes:
        """Up to length of the bytes that wait; a chunk that fits goes out as it is."""
        chunks, offset = self._chunks, self._offset
        chunk = chunks[0]
        if not offset and len(chunk) <= length:
            data = chunks.popleft()
            if chunks and len(data) < length:
                data = self._take_more(data, length)
        else:
            data = chunk[offset : offset + length]
            if offset + length < len(chunk):
                self._offset = offset + length
            else:
                chunks.popleft()
                self._offset = 0
                if chunks and len(data) < length:
                    data = self._take_more(data, length)
        self._ready -= len(data)
        return data

    def _take_more(self, data: bytes, length: int) -> bytes:
        """Small records come as many chunks: join those that fit."""
        parts, room = [data], length - len(data)
        while self._chunks and len(self._chunks[0]) <= room:
            parts.append(self._chunks.popleft())
            room -= len(parts[-1])
        return b"".join(parts)

    def pending(self) -> int:
        """Bytes that read gives without the network."""
        return self._ready

    # ---- Sending ----

    def write(self, data: Any) -> int:
        """Send data; tell how many bytes that was. Where the socket blocks, come again with the same data, as with OpenSSL."""
        if self._handshake is None:
            self.do_handshake()
        connection = self._connection
        assert connection is not None
        if data.__class__ is not bytes:
            data = memoryview(data).cast("B")
        length = len(data)
        with self._sending:
            deadline = self._deadline("write")
            if self._sealed > length:
                raise protocol_error(
                    "BAD_WRITE_RETRY", "a write that was cut short must be repeated with the same data"
                )
            self._flush(deadline)
            while self._sealed < length:
                piece = data if length <= _PIECE else memoryview(data)[self._sealed : self._sealed + _PIECE]
                try:
                    connection.send_data(piece)
                except TLSError as error:
                    raise translate(error, self.server_hostname) from None
                self._sealed += len(piece)
                self._flush(deadline)
            self._sealed = 0
        if connection.send_pending:
            self._flush_quietly()  # an answer of the reading thread, which found us sending
        return length

    # ---- The end ----

    def shutdown(self) -> Any:
        """Send close_notify and wait for the peer's. Returns the socket, if there is one, for use in the clear."""
        connection = self._connection
        if connection is None or connection.handshake is None:
            raise protocol_error("SHUTDOWN_WHILE_IN_INIT", "the handshake is not complete")
        with self._reading:
            self._raise_failure(connection)
            deadline = self._deadline("read")
            with self._sending:
                self._shut = True
                connection.close()
                self._flush(deadline)
            while not self._eof:
                self._raise_failure(connection)
                if self._ready:
                    raise protocol_error(
                        "APPLICATION_DATA_AFTER_CLOSE_NOTIFY",
                        "the peer sent data after our close_notify: read until the end before unwrap()",
                    )
                self._act(connection, self._receive(connection, 0, deadline))
            return self._peer()

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """The binding of this kind; None where the connection has none that is safe. Kinds: CHANNEL_BINDING_TYPES."""
        if cb_type not in CHANNEL_BINDING_TYPES:
            raise ValueError(f"{cb_type!r} channel binding type not implemented")
        if self._connection is None or self._handshake is None:
            return None
        try:
            return self._connection.channel_binding(cb_type)
        except ApiMisuse:
            return None
        except TLSError as error:
            raise translate(error, self.server_hostname) from None

    # ---- What wires.py fills in ----

    def _deadline(self, what: str) -> float | None:
        raise NotImplementedError

    def _read_wire(self, connection: ClientConnection | ServerConnection, wanted: int, deadline: float | None) -> bytes:
        raise NotImplementedError

    def _flush(self, deadline: float | None) -> None:
        raise NotImplementedError

    def _flush_quietly(self) -> None:
        raise NotImplementedError

    def _part(self) -> None:
        """The connection has failed: the alert leaves, if it can."""
        self._flush_quietly()

    def _give_back(self, trailing: bytes) -> None:
        raise NotImplementedError

    def _peer(self) -> Any:
        raise NotImplementedError


CHANNEL_BINDING_TYPES = ["tls-unique", "tls-exporter", "tls-server-end-point"]
_IGNORE_EOF = int(getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0))
