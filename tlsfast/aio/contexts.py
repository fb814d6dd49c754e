# SPDX-License-Identifier: Apache-2.0
"""install(): on one loop, whatever passes a tlsfast.ssl.SSLContext to asyncio's calls gets this package's transport, unchanged libraries included."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from tlsfast.aio.connect import linked, settings_for, upgrade
from tlsfast.aio.ending import Settings
from tlsfast.aio.protocol import TLSProtocol
from tlsfast.aio.transport import secure
from tlsfast.config import ClientConfig, ServerConfig
from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.errors import ApiMisuse, ConnectionClosed, HandshakeTimeout, TLSError, Truncated
from tlsfast.ssl.context import SSLContext
from tlsfast.ssl.errors import translate
from tlsfast.ssl.facts import Facts

# The calls of a loop that take an SSLContext: those that connect and those that listen.
_CLIENTS: Final = ("create_connection", "create_unix_connection")
_SERVERS: Final = ("create_server", "create_unix_server")


def install(loop: asyncio.AbstractEventLoop | None = None) -> None:
    """Let the loop (by default the running one) use this package wherever it is given a tlsfast.ssl.SSLContext; other contexts are as before.

    Applications meet what they know of asyncio's own SSL: the exceptions of the ssl module, get_extra_info("ssl_object") that answers as an
    SSLObject does, an end of file that counts as an end, no half-close. Calling it again does nothing."""
    target: Any = loop if loop is not None else asyncio.get_running_loop()
    if "start_tls" in vars(target):
        return
    for names, call in ((_CLIENTS, _connect), (_SERVERS, _listen)):
        for name in names:
            if hasattr(target, name):
                setattr(target, name, partial(call, target, getattr(target, name)))
    target.connect_accepted_socket = partial(_accept, target, target.connect_accepted_socket)
    target.start_tls = partial(_start_tls, target, target.start_tls)


class SSLObjectFacts(Facts):
    """What get_extra_info("ssl_object") gives: the questions of an ssl.SSLObject, and what sni_callback gets, which may set its context."""

    def __init__(self, context: SSLContext, tls: TLSProtocol) -> None:
        connection = tls.connection
        server_side = isinstance(connection, ServerConnection)
        completed = connection.handshake
        name = completed.server_name if completed is not None and not server_side else None
        super().__init__(context, server_side=server_side, server_hostname=name)
        self._connection = connection
        self._config = connection.config
        self._handshake = completed

    @property
    def context(self) -> Any:
        return self._context

    @context.setter
    def context(self, context: Any) -> None:
        self._context = context

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        try:
            return self._connection.channel_binding(cb_type) if self._connection is not None else None
        except (ApiMisuse, ConnectionClosed):
            return None


def _ours(context: Any, server_side: bool, name: str | None = None) -> ClientConfig | ServerConfig | None:
    """The configuration of a context of ours; None for another, and for one that hands the connection to OpenSSL or watches its messages."""
    if not isinstance(context, SSLContext) or context._message_callback is not None:
        return None
    return context._config_or_none(server_side, name)


def _settings(context: SSLContext, options: dict[str, Any], name: str | None = None) -> Settings:
    """asyncio's behaviour: its time limits, which are taken out of the options, and its exceptions."""
    limits = [options.pop(f"ssl_{what}_timeout", None) for what in ("handshake", "shutdown")]
    return settings_for(
        context,
        *limits,
        allow_truncation=True,
        half_close=False,
        explain=partial(_explain, name),
        choose=lambda tls, hello: context._tlsfast_answer(hello, SSLObjectFacts(context, tls)),
        ssl_object=lambda tls: SSLObjectFacts(context, tls),
    )


def _explain(name: str | None, error: BaseException) -> BaseException:
    if isinstance(error, HandshakeTimeout):
        return ConnectionAbortedError(f"SSL handshake is taking longer than allowed: aborting the connection ({error})")
    if isinstance(error, Truncated):
        return ConnectionResetError(str(error))
    return translate(error, name) if isinstance(error, TLSError) else error


def _client(config: Any, name: str | None) -> ClientConnection:
    try:
        return ClientConnection(config, name)
    except TLSError as error:
        raise translate(error, name) from None


async def _connect(
    loop: Any, original: Callable[..., Any], protocol_factory: Any, *where: Any, ssl: Any = None, **options: Any
) -> Any:
    """create_connection and create_unix_connection."""
    asked = options.get("server_hostname")
    host = where[0] if where else options.get("host")
    unix = "unix" in getattr(original, "__name__", "")
    name = (host if asked is None and not unix else asked) or None
    if not isinstance(ssl, SSLContext) or (asked is None and name is None):
        return await original(protocol_factory, *where, ssl=ssl, **options)
    config = _ours(ssl, False, name)
    if config is None:
        return await original(protocol_factory, *where, ssl=ssl, **options)
    options.pop("server_hostname", None)
    settings = _settings(ssl, options, name)
    return await linked(loop, original, protocol_factory, _client(config, name), settings, *where, **options)


async def _listen(
    loop: Any, original: Callable[..., Any], protocol_factory: Any, *where: Any, ssl: Any = None, **options: Any
) -> Any:
    """create_server and create_unix_server: the context is read anew for each connection, as asyncio does."""
    if _ours(ssl, True) is None:
        return await original(protocol_factory, *where, ssl=ssl, **options)
    settings = _settings(ssl, options)

    def accepted() -> TLSProtocol:
        return secure(loop, protocol_factory(), ServerConnection(ssl._tlsfast_config(True)), settings)

    return await original(accepted, *where, **options)


async def _accept(
    loop: Any, original: Callable[..., Any], protocol_factory: Any, sock: Any, *, ssl: Any = None, **options: Any
) -> Any:
    """connect_accepted_socket."""
    config = _ours(ssl, True)
    if not isinstance(config, ServerConfig):
        return await original(protocol_factory, sock, ssl=ssl, **options)
    settings = _settings(ssl, options)
    return await linked(loop, original, protocol_factory, ServerConnection(config), settings, sock, **options)


async def _start_tls(
    loop: Any,
    original: Callable[..., Any],
    transport: Any,
    protocol: Any,
    sslcontext: Any,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    **options: Any,
) -> Any:
    name = server_hostname or None
    config = _ours(sslcontext, server_side, None if server_side else name)
    if config is None:
        return await original(
            transport, protocol, sslcontext, server_side=server_side, server_hostname=server_hostname, **options
        )
    connection = ServerConnection(config) if isinstance(config, ServerConfig) else _client(config, name)
    return await upgrade(loop, transport, protocol, connection, _settings(sslcontext, options, name))
