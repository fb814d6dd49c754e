# SPDX-License-Identifier: Apache-2.0
"""Pairs of contexts, in memory and over sockets, for the tests of tlsfast.ssl: ours against ours, and against the standard module's."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pki

import tlsfast.ssl

NAME = "server.test"
STANDARD, OURS = ssl.SSLContext, tlsfast.ssl.SSLContext


@cache
def authority() -> pki.Entity:
    return pki.make_ca("tlsfast ssl test CA")


@cache
def files() -> Path:
    """A directory with ca.pem, server.pem, other.pem, rsa.pem and client.pem, keys included."""
    folder = Path(mkdtemp(prefix="tlsfast-ssl-"))
    (folder / "ca.pem").write_bytes(authority().pem)
    for name, names, key in (
        ("server", [NAME], "p256"),
        ("other", ["other.test", NAME], "p256"),
        ("rsa", [NAME], "rsa2048"),
        ("client", ["client.test"], "p256"),
    ):
        leaf = pki.make_leaf(authority(), names, key=key)
        (folder / f"{name}.pem").write_bytes(leaf.pem + leaf.key_pem)
    transport = pki.make_leaf(authority(), [NAME], key="rsa2048", usage=pki.key_usage(key_encipherment=True))
    (folder / "transport.pem").write_bytes(transport.pem + transport.key_pem)
    return folder


def client_context(kind: Any = OURS, **settings: Any) -> Any:
    context = kind(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(files() / "ca.pem")
    for name, value in settings.items():
        setattr(context, name, value)
    return context


def server_context(kind: Any = OURS, identity: str = "server", **settings: Any) -> Any:
    context = kind(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files() / f"{identity}.pem")
    for name, value in settings.items():
        setattr(context, name, value)
    return context


class Pair:
    """A client and a server over four MemoryBIO."""

    def __init__(self, client: Any = None, server: Any = None, *, name: str | None = NAME, session: Any = None) -> None:
        self.to_client, self.to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.from_client, self.from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client, server = client or client_context(), server or server_context()
        self.client = client.wrap_bio(self.to_client, self.from_client, server_hostname=name, session=session)
        self.server = server.wrap_bio(self.to_server, self.from_server, server_side=True)

    def move(self) -> None:
        self.to_server.write(self.from_client.read())
        self.to_client.write(self.from_server.read())

    def shake_hands(self) -> Pair:
        waiting = [self.client, self.server]
        for _ in range(6):
            for end in list(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except ssl.SSLWantReadError:
                    pass
                finally:
                    self.move()
        assert not waiting
        return self

    def exchange(self) -> Pair:
        """A little data each way: the client has then read the server's tickets too."""
        for source, target in ((self.client, self.server), (self.server, self.client)):
            source.write(b"ping")
            self.move()
            assert target.read(100) == b"ping"
        return self


def paired(client: Any = None, server: Any = None, **more: Any) -> Pair:
    return Pair(client, server, **more).shake_hands()


def over_sockets(
    client: Any, server: Any, serve: Callable[[Any], object], talk: Callable[[Any], object]
) -> list[BaseException]:
    """Run serve(stream) and talk(stream) over a loopback connection; what the server's side raised."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            sock, _ = listener.accept()
            sock.settimeout(20)
            with server.wrap_socket(sock, server_side=True) as stream:
                serve(stream)
        except BaseException as fault:
            faults.append(fault)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        with socket.create_connection(listener.getsockname(), 20) as sock:
            with client.wrap_socket(sock, server_hostname=NAME) as stream:
                talk(stream)
        thread.join(20)
    assert not thread.is_alive()
    return faults
