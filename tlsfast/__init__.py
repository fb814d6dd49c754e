# SPDX-License-Identifier: Apache-2.0
"""tlsfast: TLS 1.3 and 1.2 for Python, client and server. The public names, and nothing else."""

import importlib as _importlib
from typing import TYPE_CHECKING, Any

from tlsfast.certificates.chaincache import ChainCache
from tlsfast.config import ASK, ClientConfig, ServerConfig
from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.credentials import Credential
from tlsfast.errors import (
    AlertReceived,
    ApiMisuse,
    CertificateError,
    ConfigurationError,
    ConnectionClosed,
    HandshakeTimeout,
    PeerError,
    TLSError,
    Truncated,
)
from tlsfast.events import (
    ChooseConfig,
    DataReceived,
    HandshakeCompleted,
    KeysUpdated,
    PeerClosed,
    Sign,
    TicketReceived,
    VerifyChain,
)
from tlsfast.registry import AlertDescription, CipherSuite, NamedGroup, SignatureScheme, TLSVersion
from tlsfast.sessions import SessionCache, TicketKeyring
from tlsfast.sockets import TLSSocket, connect, wrap_socket
from tlsfast.trust import TrustStore

if TYPE_CHECKING:
    from tlsfast import aio as aio

__all__ = [
    "ASK",
    "AlertDescription",
    "AlertReceived",
    "ApiMisuse",
    "CertificateError",
    "ChainCache",
    "ChooseConfig",
    "CipherSuite",
    "ClientConfig",
    "ClientConnection",
    "ConfigurationError",
    "ConnectionClosed",
    "Credential",
    "DataReceived",
    "HandshakeCompleted",
    "HandshakeTimeout",
    "KeysUpdated",
    "NamedGroup",
    "PeerClosed",
    "PeerError",
    "ServerConfig",
    "ServerConnection",
    "SessionCache",
    "Sign",
    "SignatureScheme",
    "TLSError",
    "TLSSocket",
    "TLSVersion",
    "TicketKeyring",
    "TicketReceived",
    "Truncated",
    "TrustStore",
    "VerifyChain",
    "connect",
    "wrap_socket",
]


def __getattr__(name: str) -> Any:
    """Load on first use what most programs do without."""
    if name in {"aio", "ssl"}:
        return _importlib.import_module(f"tlsfast.{name}")
    raise AttributeError(f"module 'tlsfast' has no attribute {name!r}")
