# SPDX-License-Identifier: Apache-2.0
"""Server: an asyncio server whose configuration can be replaced while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Self

from tlsfast.aio.ending import Settings
from tlsfast.aio.protocol import TLSProtocol
from tlsfast.aio.transport import secure
from tlsfast.config import ServerConfig
from tlsfast.connection import ServerConnection
from tlsfast.errors import ApiMisuse


class Server(asyncio.AbstractServer):
    """What create_server and start_server give: asyncio's Server, and reload()."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        config: ServerConfig,
        settings: Settings,
    ) -> None:
        self._loop = loop
        self._factory = protocol_factory
        self._config = config
        self._settings = settings
        self._server: asyncio.AbstractServer | None = None

    async def listen(self, host: Any, port: int | None, options: dict[str, Any]) -> None:
        """Open the listening sockets; once."""
        self._server = await self._loop.create_server(self._accepted, host, port, **options)

    def _accepted(self) -> TLSProtocol:
        return secure(self._loop, self._factory(), ServerConnection(self._config), self._settings)

    # ---- The configuration ----

    @property
    def config(self) -> ServerConfig:
        """The configuration that the next connection gets."""
        return self._config

    def reload(self, config: ServerConfig) -> None:
        """Let connections accepted from now on have this configuration; those that are there keep theirs, in mid-handshake too.

        Tickets given before stay good if both configurations share a TicketKeyring: ServerConfig(tickets=...)."""
        if not isinstance(config, ServerConfig):
            raise ApiMisuse(f"reload takes a ServerConfig, not a {type(config).__name__}")
        self._config = config

    # ---- asyncio's Server ----

    @property
    def _listening(self) -> Any:
        if self._server is None:
            raise ApiMisuse("this server has no sockets yet")
        return self._server

    @property
    def sockets(self) -> tuple[Any, ...]:
        """The listening sockets."""
        return tuple(self._listening.sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def is_serving(self) -> bool:
        serving: bool = self._listening.is_serving()
        return serving

    async def start_serving(self) -> None:
        await self._listening.start_serving()

    async def serve_forever(self) -> None:
        await self._listening.serve_forever()

    def close(self) -> None:
        """Stop listening; connections go on."""
        self._listening.close()

    def close_clients(self) -> None:
        """Close the connections too, with close_notify (Python 3.13)."""
        for transport in self._transports("close_clients"):
            protocol = transport.get_protocol()
            if isinstance(protocol, TLSProtocol):
                protocol.close()

    def abort_clients(self) -> None:
        """Drop the connections at once (Python 3.13)."""
        for transport in self._transports("abort_clients"):
            transport.abort()

    def _transports(self, what: str) -> Iterable[asyncio.Transport]:
        if not hasattr(self._listening, what):
            raise NotImplementedError(f"{what}() needs the Server of Python 3.13")
        return list(self._listening._clients)

    async def wait_closed(self) -> None:
        await self._listening.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.close()
        await self.wait_closed()

    def __repr__(self) -> str:
        return f"<tlsfast.aio.Server {self._server!r}>"
