# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio: TLS for asyncio on a transport of its own, without asyncio's sslproto. The public names, and nothing else."""

from tlsfast.aio.connect import create_connection, create_server, start_tls
from tlsfast.aio.reload import watch
from tlsfast.aio.server import Server
from tlsfast.aio.streams import StreamReader, open_connection, start_server
from tlsfast.aio.transport import TLSTransport

__all__ = [
    "Server",
    "StreamReader",
    "TLSTransport",
    "create_connection",
    "create_server",
    "open_connection",
    "start_server",
    "start_tls",
    "watch",
]
