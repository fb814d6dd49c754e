# SPDX-License-Identifier: Apache-2.0
"""Two real connections joined in memory: the bench on which most tests of the handshake lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache

import pki

from tlsfast import (
    ClientConfig,
    ClientConnection,
    Credential,
    DataReceived,
    HandshakeCompleted,
    ServerConfig,
    ServerConnection,
    TLSError,
    TLSVersion,
    TrustStore,
)
from tlsfast.connection import Connection
from tlsfast.events import Event

NAME = "server.test"


@cache
def authority() -> pki.Entity:
    return pki.make_ca("tlsfast test CA")


@cache
def credential(key: str = "p256", name: str = NAME) -> Credential:
    leaf = pki.make_leaf(authority(), [name], key=key)
    return Credential.load(leaf.pem, leaf.key_pem)


@cache
def client_credential(key: str = "p256") -> Credential:
    leaf = pki.make_leaf(authority(), ["client.test"], key=key)
    return Credential.load(leaf.pem, leaf.key_pem)


@cache
def trust() -> TrustStore:
    return TrustStore([authority().cert])


def client_config(**changes: object) -> ClientConfig:
    """TLS 1.3 alone, unless versions says otherwise: most tests here are about that version's own rules."""
    return ClientConfig(**{"trust": trust(), "keylog": None, "versions": [TLSVersion.TLSv1_3], **changes})


def server_config(**changes: object) -> ServerConfig:
    """TLS 1.3 alone, unless versions says otherwise."""
    return ServerConfig(**{"credentials": [credential()], "keylog": None, "versions": [TLSVersion.TLSv1_3], **changes})


def whole(wire: bytes) -> Iterator[bytes]:
    """All at once."""
    if wire:
        yield wire


def by(size: int) -> Callable[[bytes], Iterator[bytes]]:
    """In chunks of size bytes."""

    def chunks(wire: bytes) -> Iterator[bytes]:
        for start in range(0, len(wire), size):
            yield wire[start : start + size]

    return chunks


@dataclass
class Pair:
    """A client and a server; run() moves bytes until both are silent. change(sender, wire) may alter what is on its way."""

    client: ClientConnection
    server: ServerConnection
    chunks: Callable[[bytes], Iterator[bytes]] = whole
    change: Callable[[str, bytes], bytes] | None = None
    client_events: list[Event] = field(default_factory=list)
    server_events: list[Event] = field(default_factory=list)
    client_error: TLSError | None = None
    server_error: TLSError | None = None

    def run(self) -> Pair:
        """Move bytes both ways until nothing moves; errors are kept, not raised."""
        for _ in range(10_000):
            moved = self._move("client", self.client, self.server)
            moved = self._move("server", self.server, self.client) or moved
            if not moved:
                return self
        raise AssertionError("the two sides never fall silent")

    def _move(self, who: str, sender: Connection, receiver: Connection) -> bool:
        wire = sender.data_to_send()
        if not wire:
            return False
        if self.change is not None:
            wire = self.change(who, wire)
        events, attribute = (
            (self.server_events, "server_error") if who == "client" else (self.client_events, "client_error")
        )
        for chunk in self.chunks(wire):
            try:
                events += receiver.receive_data(chunk)
            except TLSError as error:
                if getattr(self, attribute) is None:
                    setattr(self, attribute, error)
        return True

    @property
    def complete(self) -> bool:
        return self.client.handshake is not None and self.server.handshake is not None

    def client_completed(self) -> HandshakeCompleted:
        return next(event for event in self.client_events if isinstance(event, HandshakeCompleted))

    def server_completed(self) -> HandshakeCompleted:
        return next(event for event in self.server_events if isinstance(event, HandshakeCompleted))


def received(events: list[Event]) -> bytes:
    """The application data among events."""
    return b"".join(bytes(event.data) for event in events if isinstance(event, DataReceived))


def make_pair(
    client: ClientConfig | None = None, server: ServerConfig | None = None, name: str = NAME, **kwargs: object
) -> Pair:
    return Pair(
        ClientConnection(client or client_config(), name), ServerConnection(server or server_config()), **kwargs
    )


def shake(
    client: ClientConfig | None = None, server: ServerConfig | None = None, name: str = NAME, **kwargs: object
) -> Pair:
    """A handshake that must succeed."""
    pair = make_pair(client, server, name, **kwargs).run()
    assert pair.client_error is None, pair.client_error
    assert pair.server_error is None, pair.server_error
    assert pair.complete
    return pair
