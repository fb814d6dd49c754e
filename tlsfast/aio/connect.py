# SPDX-License-Identifier: Apache-2.0
"""create_connection, create_server and start_tls: asyncio's, with a configuration in place of ssl= and server_name= in place of server_hostname=."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from tlsfast.aio.ending import Settings, TLSConnection
from tlsfast.aio.protocol import TLSProtocol
from tlsfast.aio.server import Server
from tlsfast.aio.transport import TLSTransport, secure
from tlsfast.config import ClientConfig, ServerConfig
from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.errors import ApiMisuse

P = TypeVar("P", bound=asyncio.BaseProtocol)


@functools.cache
def default_config() -> ClientConfig:
    """One for all connections that name none, so that sessions resume."""
    return ClientConfig()


def settings_for(
    context: object, handshake_timeout: float | None, shutdown_timeout: float | None, **others: Any
) -> Settings:
    """The settings of a call; None means asyncio's default."""
    for name, seconds in (
        ("ssl_handshake_timeout", handshake_timeout),
        ("ssl_shutdown_timeout", shutdown_timeout),
    ):
        if seconds is not None and seconds <= 0:
            raise ValueError(f"{name} should be a positive number, got {seconds}")
    return Settings(
        handshake_timeout=60.0 if handshake_timeout is None else handshake_timeout,
        shutdown_timeout=30.0 if shutdown_timeout is None else shutdown_timeout,
        context=context,
        **others,
    )


def check_options(options: dict[str, Any]) -> None:
    """asyncio's names for what has another name here."""
    for name, ours in (("ssl", "config"), ("server_hostname", "server_name")):
        if name in options:
            raise ApiMisuse(f"tlsfast.aio takes {ours} in place of {name}=")


async def shaken(tls: TLSProtocol, waiter: asyncio.Future[None]) -> TLSTransport:
    """Wait for the handshake; whatever ends the wait before it is done ends the connection too."""
    face = tls.face
    assert isinstance(face, TLSTransport)
    try:
        await waiter
    except BaseException:
        tls.abort()
        raise
    finally:
        del waiter  # its exception's traceback holds this frame
    return face


async def create_connection(
    protocol_factory: Callable[[], P],
    host: str | None = None,
    port: int | None = None,
    config: ClientConfig | None = None,
    *,
    server_name: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    allow_truncation: bool = False,
    **options: Any,
) -> tuple[TLSTransport, P]:
    """loop.create_connection with TLS: connect, shake hands, call connection_made, return (transport, protocol).

    config: None means ClientConfig(), one for all such calls. server_name: whom the certificate must be for, by default the host. A handshake that
    fails raises the TLSError that says why. allow_truncation: the end of the stream without close_notify reads as an end, else the protocol's
    connection_lost gets Truncated. The other options (sock, family, local_addr...) are those of loop.create_connection."""
    check_options(options)
    loop = asyncio.get_running_loop()
    settings = settings_for(config, ssl_handshake_timeout, ssl_shutdown_timeout, allow_truncation=allow_truncation)
    return await connect(loop, protocol_factory, host, port, config or default_config(), server_name, settings, options)


async def connect(
    loop: asyncio.AbstractEventLoop,
    protocol_factory: Callable[[], P],
    host: str | None,
    port: int | None,
    config: ClientConfig,
    server_name: str | None,
    settings: Settings,
    options: dict[str, Any],
) -> tuple[TLSTransport, P]:
    """create_connection, with the settings made."""
    connection = ClientConnection(config, server_name if server_name is not None else host)
    return await linked(loop, loop.create_connection, protocol_factory, connection, settings, host, port, **options)


async def linked(
    loop: asyncio.AbstractEventLoop,
    plain: Callable[..., Any],
    protocol_factory: Callable[[], P],
    connection: TLSConnection,
    settings: Settings,
    *where: Any,
    **options: Any,
) -> tuple[TLSTransport, P]:
    """Make a plain transport by a call of the loop, and shake hands over it."""
    waiter: asyncio.Future[None] = loop.create_future()
    app = protocol_factory()
    tls = secure(loop, app, connection, settings, waiter)
    try:
        await plain(lambda: tls, *where, **options)
    except BaseException:
        waiter.cancel()  # nobody waits for what the handshake says, should it have begun
        raise
    return await shaken(tls, waiter), app


async def create_server(
    protocol_factory: Callable[[], asyncio.BaseProtocol],
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    config: ServerConfig | None = None,
    *,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    allow_truncation: bool = False,
    **options: Any,
) -> Server:
    """loop.create_server with TLS: connection_made is called when a handshake is done. server.reload(config) changes the configuration while it runs.

    The other options (sock, backlog, reuse_port, start_serving...) are those of loop.create_server."""
    check_options(options)
    if not isinstance(config, ServerConfig):
        raise ApiMisuse(f"a server takes a ServerConfig, not a {type(config).__name__}")
    server = Server(
        asyncio.get_running_loop(),
        protocol_factory,
        config,
        settings_for(config, ssl_handshake_timeout, ssl_shutdown_timeout, allow_truncation=allow_truncation),
    )
    await server.listen(host, port, options)
    return server


async def start_tls(
    transport: asyncio.BaseTransport,
    protocol: asyncio.BaseProtocol,
    config: ClientConfig | ServerConfig,
    *,
    server_side: bool | None = None,
    server_name: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
    allow_truncation: bool = False,
) -> TLSTransport:
    """loop.start_tls: shake hands over a connected transport and return the one to go on with; the configuration's class says which side we are.

    The protocol's connection_made is not called again. A TLS transport will do as well: then this is TLS inside of TLS."""
    server = isinstance(config, ServerConfig)
    if server_side is not None and server_side is not server:
        raise ApiMisuse(f"server_side={server_side} contradicts the configuration, a {type(config).__name__}")
    connection: TLSConnection
    if isinstance(config, ServerConfig):
        if server_name is not None:
            raise ApiMisuse("server_name is a client's: a server learns it from the ClientHello")
        connection = ServerConnection(config)
    else:
        connection = ClientConnection(config, server_name)
    settings = settings_for(config, ssl_handshake_timeout, ssl_shutdown_timeout, allow_truncation=allow_truncation)
    return await upgrade(asyncio.get_running_loop(), transport, protocol, connection, settings)


async def upgrade(
    loop: asyncio.AbstractEventLoop,
    transport: asyncio.BaseTransport,
    protocol: asyncio.BaseProtocol,
    connection: TLSConnection,
    settings: Settings,
) -> TLSTransport:
    """start_tls, with the connection made."""
    if not (hasattr(transport, "write") and hasattr(transport, "pause_reading")):  # uvloop's are no asyncio.Transport
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    if transport.is_closing():
        raise ConnectionResetError("start_tls() on a transport that is closing")
    waiter: asyncio.Future[None] = loop.create_future()
    tls = secure(loop, protocol, connection, settings, waiter, announce=False)
    wire: Any = transport
    # What the peer sends now is the handshake: nothing of it may reach the protocol.
    wire.pause_reading()
    wire.set_protocol(tls)
    tls.connection_made(wire)
    wire.resume_reading()
    return await shaken(tls, waiter)
