# SPDX-License-Identifier: Apache-2.0
"""OpenSSL 4 through pyOpenSSL as the peer, both roles, in memory: the whole matrix, exporters, OCSP staples."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pki
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from harness import NAME, Certificates, Identity
from memory import MANY, Library, Link, MemoryPeer, alert_in
from shared import ROLES, InMemory, join

from tlsfast import Credential, NamedGroup, ServerConnection

SSL = pytest.importorskip("OpenSSL.SSL", reason="pyopenssl is not installed: pip install pyopenssl")
pytestmark = pytest.mark.interop


class PyOpenSSL(Library):
    can_drop_middlebox_compatibility = False

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
    ) -> Any:
        context = SSL.Context(SSL.TLS_SERVER_METHOD if server else SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.load_verify_locations(str(certificates.ca))
        if identity is not None:
            context.use_certificate_chain_file(str(identity.chain))
            context.use_privatekey_file(str(identity.key))
        mode = SSL.VERIFY_NONE if server and client_auth is None else SSL.VERIFY_PEER
        context.set_verify(mode | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if client_auth == "required" else 0))
        if server:
            context.set_session_id(b"interop")  # without it a server that asks for certificates does not resume
        if group is not None and group is not NamedGroup.x25519:  # which it prefers by itself
            context.set_tmp_ecdh({NamedGroup.secp256r1: ec.SECP256R1(), NamedGroup.secp384r1: ec.SECP384R1()}[group])
        if alpn and server:
            context.set_alpn_select_callback(lambda _, offered: select(alpn, offered))
        elif alpn:
            context.set_alpn_protos([each.encode() for each in alpn])
        if keylog is not None:
            context.set_keylog_callback(lambda _, line: append(keylog, line))
        return context

    def connection(self, context: Any, *, server: bool, name: str = NAME, session: Any = None) -> PyOpenSSLPeer:
        return PyOpenSSLPeer(context, server, name, session)


def select(ours: Sequence[str], offered: Sequence[bytes]) -> Any:
    return next((each.encode() for each in ours if each.encode() in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


def append(path: Path, line: bytes) -> None:
    with path.open("ab") as log:
        log.write(line + b"\n")


class PyOpenSSLPeer(MemoryPeer):
    errors = (SSL.Error,)

    def __init__(self, context: Any, server: bool, name: str, session: Any) -> None:
        super().__init__()
        self.tls = SSL.Connection(context, None)
        if server:
            self.tls.set_accept_state()
        else:
            self.tls.set_connect_state()
            self.tls.set_tlsext_host_name(name.encode())
        if session is not None:
            self.tls.set_session(session)

    def feed(self, wire: bytes) -> None:
        if wire:
            self.tls.bio_write(wire)

    def take(self) -> bytes:
        wire = bytearray()
        try:
            while True:
                wire += self.tls.bio_read(MANY)
        except SSL.WantReadError:
            return bytes(wire)

    def shake(self) -> bool:
        try:
            self.tls.do_handshake()
        except SSL.WantReadError:
            return False
        return True

    def read_all(self) -> None:
        try:
            while True:
                self.received += self.tls.recv(MANY)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.closed = True

    def write(self, data: bytes) -> None:
        self.tls.sendall(data)

    def close(self) -> None:
        self.tls.shutdown()

    def suite(self) -> str:
        return str(self.tls.get_cipher_name())

    def version(self) -> str:
        return str(self.tls.get_protocol_version_name())

    def resumed(self) -> bool:
        return bool(SSL._lib.SSL_session_reused(self.tls._ssl))

    def alpn(self) -> str | None:
        return self.tls.get_alpn_proto_negotiated().decode() or None

    def peer_certificate(self) -> bytes | None:
        certificate = self.tls.get_peer_certificate(as_cryptography=True)
        return None if certificate is None else certificate.public_bytes(pki.DER)

    def session(self) -> Any:
        return self.tls.get_session()

    def group(self) -> str | None:
        return str(self.tls.get_group_name())

    def server_name(self) -> str | None:
        name = self.tls.get_servername()
        return None if name is None else name.decode()

    def alert(self) -> str | None:
        return alert_in(str(self.error))


class TestPyOpenSSL(InMemory):
    peer = PyOpenSSL()


@ROLES
@pytest.mark.parametrize("length", [1, 32, 255])
@pytest.mark.parametrize("context", [None, b"", b"context"])
def test_exporters_are_the_same(certificates: Certificates, we_are: str, length: int, context: bytes | None) -> None:
    link = join(PyOpenSSL(), certificates, we_are).shake()
    assert isinstance(link.peer, PyOpenSSLPeer)
    theirs = link.peer.tls.export_keying_material(b"EXPERIMENTAL tlsfast", length, context)
    assert link.ours.export_keying_material("EXPERIMENTAL tlsfast", context, length) == theirs


def test_our_staple_reaches_them(certificates: Certificates) -> None:
    leaf = certificates.server().entity
    response = pki.ocsp_response(leaf)
    credential = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=response)
    peer = PyOpenSSL()
    context = peer.context(certificates, server=False)
    stapled: list[bytes] = []

    def note(_: Any, staple: bytes, __: Any) -> bool:
        stapled.append(staple)
        return True

    context.set_ocsp_client_callback(note)
    theirs = peer.connection(context, server=False)
    theirs.tls.request_ocsp()
    link = Link(ServerConnection(certificates.server_config(credentials=[credential])), theirs).shake()
    assert stapled == [response]
    link.exchange(1)


@pytest.mark.parametrize(
    ("status", "failure"),
    [("good", None), ("revoked", "certificate_revoked"), ("unknown", "bad_certificate_status_response")],
)
def test_their_staple_is_judged(certificates: Certificates, status: str, failure: str | None) -> None:
    response = pki.ocsp_response(certificates.server().entity, status=status)
    peer = PyOpenSSL()
    context = peer.context(certificates, server=True, identity=certificates.server())
    context.set_ocsp_server_callback(lambda *_: response)
    seen: list[Any] = []
    link = join(peer, certificates, "client", ours={"verify": seen.append})
    link.peer = peer.connection(context, server=True)
    link.run()
    if failure is None:
        assert link.ours.failure is None
        assert seen[0].ocsp_response == response
    else:
        assert link.ours.failure is not None
        assert link.peer.alert() == failure
