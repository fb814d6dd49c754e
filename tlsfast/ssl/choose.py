# SPDX-License-Identifier: Apache-2.0
"""What a server's context makes of a ClientHello: sni_callback and the context that it switches to, ALPN that has nothing in common."""

from __future__ import annotations

import ssl
import sys
from types import SimpleNamespace
from typing import Any

from tlsfast.config import ServerConfig
from tlsfast.errors import PeerError
from tlsfast.registry import AlertDescription

# Configurations that a context keeps.
MAX_CONFIGS = 64


def choose(context: Any, client_hello: Any, connection: Any, config: ServerConfig) -> ServerConfig:
    """The configuration for this hello in place of config, the context's. connection's attribute context is what sni_callback may set."""
    if context.sni_callback is not None:
        _ask(context, client_hello.extensions.server_name, connection)
        if connection.context is not context:
            config = _switched(context, config, connection.context)
    offered = client_hello.extensions.alpn
    if config.alpn and offered and not any(each.encode("latin-1") in offered for each in config.alpn):
        # The standard module goes on without a protocol where RFC 7301, 3.2 would have a fatal alert.
        return _without_alpn(context, config)
    return config


def _ask(context: Any, server_name: str | None, connection: Any) -> None:
    try:
        answer = context.sni_callback(connection, server_name, context)
    except Exception as error:
        _unraisable(error, context.sni_callback)
        raise _refusal(AlertDescription.handshake_failure, f"sni_callback raised {type(error).__name__}") from None
    if answer is None:
        return
    try:
        alert = AlertDescription(answer)
    except ValueError:
        wrong = TypeError(f"sni_callback must return None or an integer that names an alert, not {answer!r}")
        _unraisable(wrong, context.sni_callback)
        raise _refusal(AlertDescription.internal_error, str(wrong)) from None
    raise _refusal(alert, f"sni_callback refused the name {server_name!r} with {alert.name}")


def _unraisable(error: Exception, callback: Any) -> None:
    """Report what nobody can catch as the C code does."""
    sys.unraisablehook(
        SimpleNamespace(
            exc_type=type(error), exc_value=error, exc_traceback=error.__traceback__, err_msg=None, object=callback
        )
    )


def _refusal(alert: AlertDescription, message: str) -> PeerError:
    kind = type("HelloRefused", (PeerError,), {"alert": alert})
    refused: PeerError = kind(message)
    return refused


def _switched(context: Any, config: ServerConfig, other: Any) -> ServerConfig:
    """Go on with the other context's certificates, protocols and trust. Whether clients must show a certificate, and the versions and suites, stay
    those of the first, as with OpenSSL: what it demands cannot be lost by a switch."""
    theirs: ServerConfig = other._tlsfast_config(True)
    trust = other._store() if config.client_auth is not None else None

    def make() -> ServerConfig:
        return config.replace(credentials=theirs.credentials, alpn=theirs.alpn, trust=trust)

    return _cached(context, (True, "switched", other._serial, other._key(True), id(config)), (config, theirs), make)


def _without_alpn(context: Any, config: ServerConfig) -> ServerConfig:
    return _cached(context, (True, "without ALPN", id(config)), (config,), lambda: config.replace(alpn=()))


def _cached(context: Any, key: tuple[Any, ...], alive: tuple[Any, ...], make: Any) -> ServerConfig:
    """Keep what was made beside what it was made of, whose ids are in the key; as long as the context's settings do not change."""
    kept = context._configs.get(key)
    if kept is None:
        if len(context._configs) >= MAX_CONFIGS:  # a callback may make a context for each connection
            context._configs.clear()
        kept = context._configs[key] = (make(), alive)
    made: ServerConfig = kept[0]
    return made


def not_a_context(value: object) -> None:
    if not isinstance(value, ssl.SSLContext):
        raise TypeError("The value must be a SSLContext")
