# SPDX-License-Identifier: Apache-2.0
"""TLS 1.2 with CPython's ssl module and OpenSSL 4 (pyOpenSSL) in memory, both roles: the whole matrix, and the rest one by one."""

from __future__ import annotations

import ssl
import warnings
from typing import Any

import pytest
from harness import NAME, SMALL, Certificates, matrix, product
from memory import Library, Link, StandardSSL
from shared import ROLES, EitherVersion, join
from test_pyopenssl import SSL, PyOpenSSL
from tls12 import (
    AXES12,
    BOTH,
    SUITES12,
    check_ours12,
    client_identity,
    is_no_row,
    openssl_name,
    our_client12,
    our_server12,
    rounds,
    server_identity,
    transport_identity,
)

from tlsfast import (
    AlertDescription,
    AlertReceived,
    ApiMisuse,
    CipherSuite,
    ClientConnection,
    PeerClosed,
    ServerConnection,
    TLSVersion,
)
from tlsfast.errors import VersionError

pytestmark = pytest.mark.interop

BIG = 1024 * 1024
OLDER = [("TLSv1_1", "TLS 1.1"), ("TLSv1", "TLS 1.0")]
NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET, for which pyOpenSSL has no name


class StandardSSL12(StandardSSL):
    """The same with TLS 1.2, or what `versions` says from the oldest to the newest. Its server takes the first of the client's groups."""

    def context(
        self, *given: Any, tickets: bool = True, versions: tuple[str, str] = ("TLSv1_2", "TLSv1_2"), **options: Any
    ) -> ssl.SSLContext:
        context = super().context(*given, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # TLS 1.1 is deprecated, and that is the point of it
            context.minimum_version, context.maximum_version = (ssl.TLSVersion[each] for each in versions)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        if not tickets:
            context.options |= ssl.OP_NO_TICKET
        return context


THEIR_VERSIONS = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1_1": SSL.TLS1_1_VERSION,
    "TLSv1_2": SSL.TLS1_2_VERSION,
    "TLSv1_3": SSL.TLS1_3_VERSION,
}


class PyOpenSSL12(PyOpenSSL):
    """The same with TLS 1.2, or what `versions` says from the oldest to the newest; with or without extended_master_secret."""

    def context(
        self,
        *given: Any,
        tickets: bool = True,
        versions: tuple[str, str] = ("TLSv1_2", "TLSv1_2"),
        extended: bool = True,
        **options: Any,
    ) -> Any:
        context = super().context(*given, **options)
        context.set_min_proto_version(THEIR_VERSIONS[versions[0]])
        context.set_max_proto_version(THEIR_VERSIONS[versions[1]])
        context.set_cipher_list(b"ALL:@SECLEVEL=0")
        context.set_options((0 if tickets else SSL.OP_NO_TICKET) | (0 if extended else NO_EXTENDED_MASTER_SECRET))
        return context


def check(link: Link, row: dict[str, Any], resumed: bool) -> None:
    """Both sides agree, and on what the row says."""
    check_ours12(link.info, row, resumed)
    assert link.peer.version() == "TLSv1.2"
    assert link.peer.suite() == openssl_name(row["suite"])
    assert link.peer.resumed() is resumed


def talk(link: Link) -> None:
    for size in SMALL:
        link.exchange(size)
    link.close()


class InMemory12(EitherVersion):
    peer: Any
    secrets_logged = 1
    no_certificate = "handshake_failure"  # RFC 5246, 7.4.6

    @matrix(product(is_no_row, **AXES12))
    def test_matrix_our_client(self, certificates: Certificates, row: dict[str, Any]) -> None:
        config = our_client12(certificates, row)
        own, server = client_identity(certificates, row), server_identity(certificates, row)
        options = {"client_auth": row["client_auth"], "tickets": row["resume"] == "ticket"}
        context = self.peer.context(certificates, server=True, identity=server, **options)
        for resumed in rounds(row):
            link = Link(ClientConnection(config, NAME), self.peer.connection(context, server=True)).shake()
            check(link, row, resumed)
            assert link.info.peer_chain == server.entity.chain
            assert link.peer.peer_certificate() == (own.entity.der if own else None)
            assert resumed or link.peer.server_name() == NAME  # OpenSSL leaves a session's name to a callback
            talk(link)

    @matrix(product(is_no_row, **AXES12))
    def test_matrix_our_server(self, certificates: Certificates, row: dict[str, Any]) -> None:
        config = our_server12(certificates, row)
        own, server = client_identity(certificates, row), server_identity(certificates, row)
        context = self.peer.context(certificates, server=False, identity=own)
        session = None
        for resumed in rounds(row):
            link = Link(ServerConnection(config), self.peer.connection(context, server=False, session=session)).shake()
            check(link, row, resumed)
            assert link.info.peer_chain == (own.entity.chain if own else ())
            assert link.peer.peer_certificate() == server.entity.der
            assert link.info.server_name == NAME
            session = link.peer.session()
            talk(link)

    @ROLES
    @pytest.mark.parametrize("suite", SUITES12, ids=lambda suite: suite.name)
    def test_much_data(self, certificates: Certificates, we_are: str, suite: CipherSuite) -> None:
        key = "p256" if "ECDSA" in suite.name else "rsa2048"
        link = joined(self.peer, certificates, we_are, key=key, ours={"cipher_suites": [suite]}).shake()
        link.exchange(BIG)
        link.close()

    # ---- Versions ----

    @ROLES
    @pytest.mark.parametrize("ours", [["TLSv1_2"], ["TLSv1_3"], BOTH], ids=["we_12", "we_13", "we_both"])
    @pytest.mark.parametrize("theirs", [["TLSv1_2"], ["TLSv1_3"], BOTH], ids=["they_12", "they_13", "they_both"])
    def test_the_newest_in_common(
        self, certificates: Certificates, we_are: str, ours: list[str], theirs: list[str]
    ) -> None:
        options = {"versions": (min(theirs), max(theirs))}
        link = join(self.peer, certificates, we_are, ours={"versions": ours}, theirs=options).run()
        common = set(ours) & set(theirs)
        if common:
            assert link.info.version is TLSVersion[max(common)]
            assert link.peer.version() == max(common).replace("_", ".")
            link.exchange(100)
            link.close()
        else:
            assert "protocol_version" in (link.peer.alert() or str(link.ours.failure))

    @pytest.mark.parametrize(("version", "name"), OLDER)
    def test_an_older_client_is_refused_and_named(self, certificates: Certificates, version: str, name: str) -> None:
        link = join(self.peer, certificates, "server", theirs={"versions": (version, version)}).run()
        assert isinstance(link.ours.failure, VersionError)
        assert name in str(link.ours.failure)
        assert link.peer.alert() in ("protocol_version", "version")

    @pytest.mark.parametrize("version", dict(OLDER))
    def test_an_older_server_refuses_us(self, certificates: Certificates, version: str) -> None:
        link = join(self.peer, certificates, "client", theirs={"versions": (version, version)}).run()
        assert isinstance(link.ours.failure, AlertReceived)
        assert link.ours.failure.description is AlertDescription.protocol_version

    # ---- After the handshake ----

    @ROLES
    @pytest.mark.parametrize("we_first", [True, False])
    def test_close_is_answered(self, certificates: Certificates, we_are: str, we_first: bool) -> None:
        link = join(self.peer, certificates, we_are).shake()
        if we_first:
            link.ours.send_data(b"last words")
            link.ours.close()
            link.run()
            link.peer.close()
            assert link.peer.received == b"last words"
        else:
            link.peer.write(b"last words")
            link.peer.close()
            assert link.run().received() == b"last words"
        link.run()
        assert link.peer.closed
        assert PeerClosed(clean=True) in link.events

    def test_many_resumptions_by_our_client(self, certificates: Certificates) -> None:
        context = self.peer.context(certificates, server=True, identity=certificates.server())
        config = certificates.client_config()
        for number in range(6):
            link = Link(ClientConnection(config, NAME), self.peer.connection(context, server=True)).shake()
            assert link.info.resumed is link.peer.resumed() is (number > 0)
            link.exchange(100)
            link.close()

    def test_a_session_that_their_server_forgot(self, certificates: Certificates) -> None:
        config = certificates.client_config()
        for _ in range(2):
            context = self.peer.context(certificates, server=True, identity=certificates.server(), tickets=False)
            link = Link(ClientConnection(config, NAME), self.peer.connection(context, server=True)).shake()
            assert link.info.resumed is link.peer.resumed() is False
            link.exchange(100)


def joined(library: Library, certificates: Certificates, we_are: str, *, key: str, ours: dict[str, Any]) -> Link:
    """shared.join with a certificate for static RSA too."""
    identity = transport_identity(certificates) if key == "rsa2048" else certificates.server(key)
    if we_are == "server":
        return join(library, certificates, we_are, ours={**ours, "credentials": [identity.credential]})
    return join(library, certificates, we_are, ours=ours, theirs={"identity": identity})


class TestStandardSSL12(InMemory12):
    peer = StandardSSL12()


class TestPyOpenSSL12(InMemory12):
    peer = PyOpenSSL12()


# ---- Channel bindings and exporters ----


def linked(library: Library, certificates: Certificates, we_are: str, times: int, **theirs: Any) -> list[Any]:
    """So many connections of the same two, the later ones resumed."""
    server = we_are == "client"
    context = library.context(
        certificates, server=server, identity=certificates.server("rsa2048") if server else None, **theirs
    )
    relaxed = {"require_extended_master_secret": theirs.get("extended", True)}
    client, ours = certificates.client_config(**relaxed), certificates.server_config("rsa2048", **relaxed)
    links: list[Any] = []
    for number in range(times):
        session = links[-1].peer.session() if links and not server else None
        peer = library.connection(context, server=server, session=session)
        links.append(Link(ClientConnection(client, NAME) if server else ServerConnection(ours), peer).shake())
        assert links[-1].info.resumed is bool(number)
        links[-1].exchange(10)
    return links


@ROLES
def test_tls_unique_is_the_same(certificates: Certificates, we_are: str) -> None:
    for link in linked(StandardSSL12(), certificates, we_are, 3):
        assert link.ours.channel_binding("tls-unique") == link.peer.tls.get_channel_binding("tls-unique")


@ROLES
@pytest.mark.parametrize("context", [None, b"", b"context"])
def test_exporters_are_the_same(certificates: Certificates, we_are: str, context: bytes | None) -> None:
    for link in linked(PyOpenSSL12(), certificates, we_are, 2):
        for length in (1, 32, 255):
            theirs = link.peer.tls.export_keying_material(b"EXPERIMENTAL tlsfast", length, context)
            assert link.ours.export_keying_material("EXPERIMENTAL tlsfast", context, length) == theirs
        theirs = link.peer.tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
        assert link.ours.channel_binding("tls-exporter") == theirs


# ---- Extended master secret (RFC 7627) ----


@ROLES
def test_without_extended_master_secret_we_refuse(certificates: Certificates, we_are: str) -> None:
    link = join(PyOpenSSL12(), certificates, we_are, theirs={"extended": False}).run()
    assert "extended_master_secret" in str(link.ours.failure)
    assert link.peer.alert() == "handshake_failure"


@ROLES
def test_without_extended_master_secret_where_that_is_allowed(certificates: Certificates, we_are: str) -> None:
    for link in linked(PyOpenSSL12(), certificates, we_are, 3, extended=False):
        for refused in (
            lambda link=link: link.ours.export_keying_material("label", None, 32),
            lambda link=link: link.ours.channel_binding("tls-unique"),
        ):
            with pytest.raises(ApiMisuse, match="extended_master_secret"):
                refused()
        link.close()


@pytest.mark.parametrize("extended", [True, False], ids=["with_then_without", "without_then_with"])
def test_a_session_does_not_change_its_extended_master_secret(certificates: Certificates, extended: bool) -> None:
    """RFC 7627, 5.3: a server aborts where the extension is gone, and makes a full handshake where it is new."""
    config = certificates.server_config(require_extended_master_secret=False)
    peer, session = PyOpenSSL12(), None
    context = peer.context(certificates, server=False)
    for with_it in (extended, not extended):
        theirs = peer.connection(context, server=False, session=session)
        if not with_it:
            SSL._lib.SSL_set_options(theirs.tls._ssl, NO_EXTENDED_MASTER_SECRET)
        link = Link(ServerConnection(config), theirs).run()
        session = theirs.session()
    if extended:
        assert "extended_master_secret" in str(link.ours.failure)
        assert link.peer.alert() == "handshake_failure"
    else:
        assert link.info.resumed is link.peer.resumed() is False


# ---- Renegotiation ----


@ROLES
def test_renegotiation_is_refused(certificates: Certificates, we_are: str) -> None:
    """We warn with no_renegotiation; OpenSSL then gives up by itself."""
    link: Any = join(PyOpenSSL12(), certificates, we_are).shake()
    link.peer.write(b"before")
    assert link.peer.tls.renegotiate()
    link.peer.complete = False
    link.run()
    assert link.received() == b"before"
    assert "renegotiation" in str(link.peer.error)
    assert isinstance(link.ours.failure, AlertReceived)
    assert link.ours.failure.description is AlertDescription.handshake_failure
