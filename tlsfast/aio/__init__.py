# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio: TLS for asyncio on a transport of its own, without asyncio's sslproto. The public names, and nothing else."""

import importlib as _importlib
from typing import TYPE_CHECKING, Any

from tlsfast.aio.connect import create_connection, create_server, start_tls
from tlsfast.aio.reload import watch
from tlsfast.aio.server import Server
from tlsfast.aio.streams import StreamReader, open_connection, start_server
from tlsfast.aio.transport import TLSTransport

if TYPE_CHECKING:
    from tlsfast.aio.contexts import install

__all__ = [
    "Server",
    "StreamReader",
    "TLSTransport",
    "create_connection",
    "create_server",
    "install",
    "open_connection",
    "start_server",
    "start_tls",
    "watch",
]


def __getattr__(name: str) -> Any:
    """install() brings the drop-in along, which takes longer to load than all the rest."""
    if name == "install":
        return _importlib.import_module("tlsfast.aio.contexts").install
    raise AttributeError(f"module 'tlsfast.aio' has no attribute {name!r}")
