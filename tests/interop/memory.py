# SPDX-License-Identifier: Apache-2.0
"""Peers that live in this process, joined to our engine by memory alone: cheap enough for every cell of the matrix. Here the ssl module is one."""

from __future__ import annotations

import re
import ssl
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import CLIENT_AUTH, GROUPS, KEYS, NAME, SUITES, Certificates, Identity, payload

from tlsfast import (
    ClientConfig,
    ClientConnection,
    DataReceived,
    HandshakeCompleted,
    NamedGroup,
    PeerClosed,
    ServerConfig,
    ServerConnection,
    TLSError,
    TLSVersion,
)
from tlsfast.connection import Connection
from tlsfast.events import Event, MessageSeen
from tlsfast.messages.handshake import HelloRetryRequest

MANY = 65536


class MemoryPeer(ABC):
    """One TLS connection of another stack, fed and drained by hand. A fault is kept as `error`."""

    errors: tuple[type[Exception], ...] = (ssl.SSLError,)

    def __init__(self) -> None:
        self.complete = False
        self.closed = False  # by close_notify
        self.received = bytearray()
        self.error: Exception | None = None

    def step(self, wire: bytes) -> bytes:
        """Take wire bytes, go as far as they lead, return what is to be sent."""
        self.feed(wire)
        try:
            if not self.complete and self.error is None:
                self.complete = self.shake()
            if self.complete and not self.closed and self.error is None:
                self.read_all()
        except self.errors as error:
            self.error = error
        return self.take()

    @abstractmethod
    def feed(self, wire: bytes) -> None: ...

    @abstractmethod
    def take(self) -> bytes: ...

    @abstractmethod
    def shake(self) -> bool:
        """Go on with the handshake; True when it is complete."""

    @abstractmethod
    def read_all(self) -> None:
        """Add to `received` what can be read; set `closed` at close_notify."""

    @abstractmethod
    def write(self, data: bytes) -> None: ...

    @abstractmethod
    def close(self) -> None:
        """Send close_notify."""

    # What it says was agreed.

    @abstractmethod
    def suite(self) -> str: ...

    @abstractmethod
    def version(self) -> str: ...

    @abstractmethod
    def resumed(self) -> bool: ...

    @abstractmethod
    def alpn(self) -> str | None: ...

    @abstractmethod
    def peer_certificate(self) -> bytes | None: ...

    @abstractmethod
    def session(self) -> Any: ...

    @abstractmethod
    def server_name(self) -> str | None: ...

    @abstractmethod
    def alert(self) -> str | None:
        """The alert that ended it, by the name the RFC gives it."""

    def group(self) -> str | None:
        """None where the library does not tell."""
        return None


def alert_in(said: str) -> str | None:
    """The alert in OpenSSL's words: "tlsv1 alert unknown ca", "tls alert certificate expired", "tlsv1 unrecognized name"."""
    found = re.search(r"(?:tls|tlsv1|tlsv13|sslv3)(?: alert)? ([a-z ]*[a-z])", said)
    return found[1].replace(" ", "_") if found else None


@dataclass
class Link:
    """Our connection and a peer's; run() moves bytes until both are silent."""

    ours: Connection
    peer: MemoryPeer
    events: list[Event] = field(default_factory=list)

    def run(self) -> Link:
        for _ in range(10_000):
            wire = self.ours.data_to_send()
            answer = self.peer.step(wire)
            if answer and self.ours.failure is None:
                try:
                    self.events += self.ours.receive_data(answer)
                except TLSError:
                    assert self.ours.failure is not None
            if not wire and not answer:
                return self
        raise AssertionError("the two sides never fall silent")

    def shake(self) -> Link:
        """A handshake that must succeed."""
        self.run()
        assert self.ours.failure is None, self.ours.failure
        assert self.peer.error is None, self.peer.error
        assert self.ours.handshake is not None
        assert self.peer.complete
        return self

    @property
    def info(self) -> HandshakeCompleted:
        assert self.ours.handshake is not None
        return self.ours.handshake

    def received(self) -> bytes:
        return b"".join(bytes(event.data) for event in self.events if isinstance(event, DataReceived))

    def exchange(self, size: int = 16385) -> None:
        """Send data each way and compare."""
        data = payload(size)
        at, ours_at = len(self.peer.received), len(self.received())
        if data:
            self.ours.send_data(data)
            self.peer.write(data)
        self.run()
        assert self.peer.error is None, self.peer.error
        assert bytes(self.peer.received[at:]) == data
        assert self.received()[ours_at:] == data

    def close(self) -> None:
        """Close both ways; each side must see the other's close_notify."""
        self.ours.close()
        self.run()
        assert self.peer.closed
        self.peer.close()
        self.run()
        assert any(isinstance(event, PeerClosed) and event.clean for event in self.events)
        assert self.ours.failure is None


class Library(ABC):
    """Another stack's way to make contexts and connections."""

    #: The groups that its client supports without sending a key share first: where a HelloRetryRequest can lead it.
    client_retries: Sequence[NamedGroup] = (NamedGroup.secp256r1, NamedGroup.secp384r1)

    can_drop_middlebox_compatibility = True

    @abstractmethod
    def context(
        self,
        certificates: Certificates,
        *,
        server: bool,
        identity: Identity | None = None,
        client_auth: str | None = None,
        group: NamedGroup | None = None,
        alpn: Sequence[str] = (),
        keylog: Path | None = None,
        middlebox: bool = True,
    ) -> Any: ...

    @abstractmethod
    def connection(self, context: Any, *, server: bool, name: str = NAME, session: Any = None) -> MemoryPeer: ...


# ---- The standard library ----

_CURVES = {
    NamedGroup.x25519: "X25519",
    NamedGroup.secp256r1: "prime256v1",
    NamedGroup.secp384r1: "secp384r1",
}


class StandardSSL(Library):
    """CPython's ssl module over ssl.MemoryBIO."""

    def context(
        self,
        certificates: Certificates,
        *,
        server: bool,
        identity: Identity | None = None,
        client_auth: str | None = None,
        group: NamedGroup | None = None,
        alpn: Sequence[str] = (),
        keylog: Path | None = None,
        middlebox: bool = True,
    ) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(certificates.ca)
        if identity is not None:
            context.load_cert_chain(identity.chain, identity.key)
        if server:
            modes = {None: ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
            context.verify_mode = modes[client_auth]
        if group is not None:
            context.set_ecdh_curve(_CURVES[group])
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if keylog is not None:
            context.keylog_filename = str(keylog)
        if not middlebox:
            context.options &= ~ssl.OP_ENABLE_MIDDLEBOX_COMPAT
        return context

    def connection(
        self, context: ssl.SSLContext, *, server: bool, name: str = NAME, session: ssl.SSLSession | None = None
    ) -> StandardPeer:
        return StandardPeer(context, server, name, session)


class StandardPeer(MemoryPeer):
    def __init__(self, context: ssl.SSLContext, server: bool, name: str, session: ssl.SSLSession | None) -> None:
        super().__init__()
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._server_name: str | None = None
        if server:
            context.sni_callback = self._note_server_name
        hostname = None if server else name
        self.tls = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=hostname, session=session)

    def _note_server_name(self, tls: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        self._server_name = name

    def feed(self, wire: bytes) -> None:
        self._in.write(wire)

    def take(self) -> bytes:
        return self._out.read()

    def shake(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read_all(self) -> None:
        try:
            while chunk := self.tls.read(MANY):
                self.received += chunk
            self.closed = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.closed = True

    def write(self, data: bytes) -> None:
        self.tls.write(data)

    def close(self) -> None:
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            pass

    def suite(self) -> str:
        cipher = self.tls.cipher()
        assert cipher is not None
        return cipher[0]

    def version(self) -> str:
        return str(self.tls.version())

    def resumed(self) -> bool:
        return bool(self.tls.session_reused)

    def alpn(self) -> str | None:
        return self.tls.selected_alpn_protocol()

    def peer_certificate(self) -> bytes | None:
        return self.tls.getpeercert(binary_form=True)

    def session(self) -> ssl.SSLSession | None:
        return self.tls.session

    def server_name(self) -> str | None:
        return self._server_name

    def alert(self) -> str | None:
        return alert_in(str(self.error))


# ---- The matrix ----

AXES: dict[str, Sequence[Any]] = {
    "suite": SUITES,
    "group": GROUPS,
    "key": KEYS,
    "client_auth": CLIENT_AUTH,
    "resume": (False, True),
    "retry": (False, True),
}


def other_group(group: NamedGroup) -> NamedGroup:
    """The group whose key share our client sends where the server wants this one."""
    return NamedGroup.secp384r1 if group is NamedGroup.x25519 else NamedGroup.x25519


def our_client(certificates: Certificates, row: dict[str, Any], **changes: Any) -> ClientConfig:
    """Our side of a row where the peer is the server. With client_auth "required" we have a certificate, with "optional" we give none."""
    group = row["group"]
    return certificates.client_config(
        cipher_suites=[row["suite"]],
        groups=[other_group(group), group] if row["retry"] else [group],
        credentials=[certificates.client(row["key"]).credential] if row["client_auth"] == "required" else [],
        **changes,
    )


def our_server(certificates: Certificates, row: dict[str, Any], **changes: Any) -> ServerConfig:
    """Our side of a row where the peer is the client."""
    return certificates.server_config(
        row["key"],
        cipher_suites=[row["suite"]],
        groups=[row["group"]],
        client_auth=row["client_auth"],
        retry_cookie=row["retry"],
        **changes,
    )


def saw_retry(seen: Sequence[Any]) -> bool:
    """Whether what our observer saw has a HelloRetryRequest."""
    return any(isinstance(each, MessageSeen) and isinstance(each.message, HelloRetryRequest) for each in seen)


def check_row_as_client(library: Library, certificates: Certificates, row: dict[str, Any]) -> None:
    """Our client, their server."""
    seen: list[Any] = []
    config = our_client(certificates, row, observer=seen.append)
    server = certificates.server(row["key"])
    context = library.context(
        certificates,
        server=True,
        identity=server,
        client_auth=row["client_auth"],
        group=row["group"] if row["retry"] else None,
    )
    for resumed in (False, True) if row["resume"] else (False,):
        seen.clear()
        link = Link(ClientConnection(config, NAME), library.connection(context, server=True)).shake()
        check(link, row, resumed, seen)
        assert link.info.peer_chain == server.entity.chain
        given = certificates.client(row["key"]).entity.der if row["client_auth"] == "required" else None
        assert link.peer.peer_certificate() == given
        link.exchange()
        link.close()


def check_row_as_server(library: Library, certificates: Certificates, row: dict[str, Any]) -> None:
    """Our server, their client."""
    seen: list[Any] = []
    config = our_server(certificates, row, observer=seen.append)
    client = certificates.client(row["key"])
    context = library.context(
        certificates,
        server=False,
        identity=client if row["client_auth"] == "required" else None,
        group=None if row["retry"] else row["group"],
    )
    session = None
    for resumed in (False, True) if row["resume"] else (False,):
        seen.clear()
        link = Link(ServerConnection(config), library.connection(context, server=False, session=session)).shake()
        check(link, row, resumed, seen)
        assert link.peer.peer_certificate() == certificates.server(row["key"]).entity.der
        assert link.info.peer_chain == (client.entity.chain if row["client_auth"] == "required" else ())
        assert link.info.server_name == NAME
        link.exchange()
        session = link.peer.session()
        link.close()


def check(link: Link, row: dict[str, Any], resumed: bool, seen: Sequence[Any]) -> None:
    """Both sides agree, and on what the row says."""
    info, peer = link.info, link.peer
    assert info.version is TLSVersion.TLSv1_3
    assert peer.version() == "TLSv1.3"
    assert info.cipher_suite is row["suite"]
    assert peer.suite() == row["suite"].name
    assert info.group is not None
    assert info.group is row["group"]
    assert peer.group() in (None, row["group"].name)
    assert (info.resumed, peer.resumed()) == (resumed, resumed)
    assert saw_retry(seen) is row["retry"]
