# SPDX-License-Identifier: Apache-2.0
"""TLSTransport: the transport that an application gets, with the behaviour that asyncio documents; protocol.py does the work beneath."""

from __future__ import annotations

import asyncio
from asyncio import constants, transports
from collections.abc import Iterable
from typing import Any

from tlsfast.aio.ending import Settings, TLSConnection
from tlsfast.aio.info import extra_info
from tlsfast.aio.protocol import TLSProtocol
from tlsfast.connection import ClientConnection


class TLSTransport(transports._FlowControlMixin, asyncio.Transport):
    """A stream of plaintext over TLS. `connection` is the engine beneath: the handshake's results, exporters, key updates.

    The mixin is what loop.sendfile() looks for in a transport; none of its own flow control is used."""

    __slots__ = ("_ended", "_tls")

    _start_tls_compatible = True
    _sendfile_compatible = constants._SendfileMode.FALLBACK

    def __init__(self, loop: asyncio.AbstractEventLoop, tls: TLSProtocol) -> None:
        self._loop = loop
        self._tls = tls
        self._ended = False  # by write_eof

    # ---- What it is ----

    @property
    def connection(self) -> TLSConnection:
        """The connection without I/O that this transport drives; sending and receiving are the transport's."""
        return self._tls.connection

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio documents for SSL sockets; "handshake" is tlsfast's own HandshakeCompleted. Other names: what the socket's transport knows."""
        return extra_info(self._tls, name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._tls.set_app(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._tls.app

    def __repr__(self) -> str:
        state = "closed" if self._tls.face is None else "closing" if self.is_closing() else "open"
        side = "client" if isinstance(self.connection, ClientConnection) else "server"
        return f"<TLSTransport {state} {side} over {self._tls.wire!r}>"

    # ---- Reading ----

    def is_reading(self) -> bool:
        return self._tls.reading

    def pause_reading(self) -> None:
        """Stop the calls of data_received; what is in flight stays with the network."""
        self._tls.pause_reading()

    def resume_reading(self) -> None:
        self._tls.resume_reading()

    # ---- Writing ----

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Seal data and send it; what the socket does not take now is buffered."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise TypeError(f"data: expecting a bytes-like instance, got {type(data).__name__}")
        if self._ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        if data:
            self._tls.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write the parts as one: they share records."""
        parts = list(list_of_data)
        self.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def can_write_eof(self) -> bool:
        """Whether our direction can be closed alone: not in TLS 1.2."""
        return self._tls.half_closes

    def write_eof(self) -> None:
        """Send close_notify after what was written; reading goes on until the peer closes too (RFC 8446, 6.1)."""
        if not self.can_write_eof():
            raise NotImplementedError("this connection cannot close one direction alone: TLS 1.2 has no half-close")
        if not self._ended:
            self._ended = True
            self._tls.write_eof()

    def get_write_buffer_size(self) -> int:
        """Bytes on their way to the socket, as records."""
        wire = self._tls.wire
        return 0 if wire is None else wire.get_write_buffer_size()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        wire = self._tls.wire
        return (0, 0) if wire is None else wire.get_write_buffer_limits()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        wire = self._tls.wire
        if wire is not None:
            wire.set_write_buffer_limits(high, low)

    @property
    def _protocol_paused(self) -> bool:  # loop.sendfile() asks it
        return self._tls.writing_paused

    # ---- The end ----

    def is_closing(self) -> bool:
        return self._tls.closing

    def close(self) -> None:
        """Send what is buffered and close_notify, then close once the peer has, or its time is over. No more data is received."""
        self._tls.close()

    def abort(self) -> None:
        """Close at once; what is buffered is lost, and the peer sees that the stream was cut."""
        self._tls.abort()


def secure(
    loop: asyncio.AbstractEventLoop,
    app: asyncio.BaseProtocol,
    connection: TLSConnection,
    settings: Settings,
    waiter: asyncio.Future[None] | None = None,
    *,
    announce: bool = True,
) -> TLSProtocol:
    """Make both sides of a connection: what the plain transport gets as its protocol; its `face` is the application's transport."""
    tls = TLSProtocol(loop, app, connection, settings, waiter, announce=announce)
    tls.face = TLSTransport(loop, tls)
    return tls
