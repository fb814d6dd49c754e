# SPDX-License-Identifier: Apache-2.0
"""What the tests of other people's libraries (test_lib_*.py) share: contexts of ours over the test's certificates, a witness, servers."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from harness import Certificates, Peer

import tlsfast.ssl
from tlsfast import TLSVersion
from tlsfast.events import HandshakeCompleted

PEERS = Path(__file__).parent / "peers"
ROOT = Path(__file__).parents[2]
MANY = 3_000_000  # bytes: crosses every buffer

VERSIONS = pytest.mark.parametrize(
    "version", [TLSVersion.TLSv1_3, TLSVersion.TLSv1_2], ids=lambda version: version.name
)


def server_context(certificates: Certificates, *alpn: str, stem: str | None = None) -> tlsfast.ssl.SSLContext:
    """A server's context, by which clients may show a certificate. stem: that of another identity made before."""
    identity = certificates.server() if stem is None else certificates._made[stem]
    context = tlsfast.ssl.create_default_context(tlsfast.ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
    context.load_cert_chain(identity.chain, identity.key)
    context.verify_mode = tlsfast.ssl.CERT_OPTIONAL
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def client_context(
    certificates: Certificates, version: TLSVersion = TLSVersion.TLSv1_3, *, shown: bool = False
) -> tlsfast.ssl.SSLContext:
    """A client's context of this version; shown: it has a certificate to show."""
    context = tlsfast.ssl.create_default_context(cafile=certificates.ca)
    context.minimum_version = context.maximum_version = tlsfast.ssl.TLSVersion[version.name]
    if shown:
        identity = certificates.client()
        context.load_cert_chain(identity.chain, identity.key)
    return context


def stranger_context() -> tlsfast.ssl.SSLContext:
    """A client's context that does not trust the test's root."""
    return tlsfast.ssl.create_default_context()


class Witness:
    """Sees every handshake that tlsfast completes in this process while the block runs: what a library did without us leaves no trace here."""

    def __init__(self) -> None:
        self.seen: list[HandshakeCompleted] = []

    def __enter__(self) -> Self:
        self._made = made = HandshakeCompleted.__init__

        def note(completed: Any, *args: Any, **more: Any) -> None:
            made(completed, *args, **more)
            self.seen.append(completed)

        HandshakeCompleted.__init__ = note  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        HandshakeCompleted.__init__ = self._made  # type: ignore[method-assign]


def environment() -> dict[str, str]:
    """For a Python process that shall import the tree under test, before one that is installed."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))}


@dataclass(frozen=True)
class Origin:
    """A running HTTPS server."""

    peer: Peer
    port: int

    def url(self, path: str, name: str = "localhost") -> str:
        return f"https://{name}:{self.port}{path}"


@contextlib.contextmanager
def origin(certificates: Certificates, server: str, *options: str, limit: float = 120.0) -> Iterator[Origin]:
    """One of the servers of peers/library_server.py, ready to be asked."""
    identity = certificates.server()
    files = ["--chain", str(identity.chain), "--key", str(identity.key), "--ca", str(certificates.ca)]
    argv = [sys.executable, str(PEERS / "library_server.py"), server, *files, *options]
    with Peer(argv, env=environment(), limit=limit) as peer:
        port = int(peer.expect(r"port (\d+)\n")[1])
        yield Origin(peer, port)


Origins = Callable[..., Origin]
