# SPDX-License-Identifier: Apache-2.0
"""What is asked of every peer that lives in this process, one by one, in both versions; and the whole matrix of TLS 1.3. A test file subclasses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from harness import BAD, CLIENT_NAME, NAME, SIZES, SUITES, Certificates, bad, matrix, product
from memory import AXES, Library, Link, check_row_as_client, check_row_as_server

from tlsfast import (
    AlertDescription,
    AlertReceived,
    CipherSuite,
    ClientConnection,
    KeysUpdated,
    PeerClosed,
    ServerConnection,
    TicketReceived,
)
from tlsfast.events import ChangeCipherSpecSeen

ROLES = pytest.mark.parametrize("we_are", ["client", "server"])


def cannot_retry(row: dict[str, Any]) -> bool:
    return row["retry"] and row["group"] not in Library.client_retries


def join(
    library: Library,
    certificates: Certificates,
    we_are: str,
    *,
    key: str = "p256",
    ours: dict[str, Any] | None = None,
    theirs: dict[str, Any] | None = None,
    name: str = NAME,
) -> Link:
    """Our side and theirs, with options for either; nothing was sent yet."""
    server = we_are == "client"  # what they are
    options = {"identity": certificates.server(key) if server else None, **(theirs or {})}
    context = library.context(certificates, server=server, **options)
    peer = library.connection(context, server=server, name=name)
    if server:
        return Link(ClientConnection(certificates.client_config(**(ours or {})), name), peer)
    return Link(ServerConnection(certificates.server_config(key, **(ours or {}))), peer)


class EitherVersion:
    """The tests that are the same in TLS 1.3 and 1.2; a subclass names the peer."""

    peer: Library
    secrets_logged: int
    no_certificate: str  # the alert where a certificate is required and none was sent

    # ---- Extensions ----

    @ROLES
    def test_alpn(self, certificates: Certificates, we_are: str) -> None:
        link = join(
            self.peer, certificates, we_are, ours={"alpn": ["echo", "h2"]}, theirs={"alpn": ["spdy/1", "h2"]}
        ).shake()
        assert link.info.alpn == link.peer.alpn() == "h2"

    @ROLES
    def test_no_alpn(self, certificates: Certificates, we_are: str) -> None:
        link = join(self.peer, certificates, we_are, ours={"alpn": ["h2"]}).shake()
        assert link.info.alpn is link.peer.alpn() is None

    def test_no_alpn_in_common(self, certificates: Certificates) -> None:
        link = join(self.peer, certificates, "server", ours={"alpn": ["h2"]}, theirs={"alpn": ["spdy/1"]}).run()
        assert link.ours.failure is not None
        assert link.peer.alert() == "no_application_protocol"

    def test_server_name(self, certificates: Certificates) -> None:
        link = join(self.peer, certificates, "client", name="localhost").shake()
        assert link.peer.server_name() == "localhost"

    # ---- Keys and sessions ----

    @ROLES
    def test_key_logs_are_the_same(self, certificates: Certificates, we_are: str, tmp_path: Path) -> None:
        ours: list[str] = []
        theirs = tmp_path / "keys"
        join(self.peer, certificates, we_are, ours={"keylog": ours.append}, theirs={"keylog": theirs}).shake()
        logged = {line for line in theirs.read_text().splitlines() if line and not line.startswith("#")}
        assert logged == set(ours)
        assert len(ours) == self.secrets_logged

    def test_many_resumptions_by_our_server(self, certificates: Certificates) -> None:
        context = self.peer.context(certificates, server=False)
        config = certificates.server_config()
        session = None
        for number in range(6):
            peer = self.peer.connection(context, server=False, session=session)
            link = Link(ServerConnection(config), peer).shake()
            assert link.info.resumed is peer.resumed() is (number > 0)
            link.exchange(100)
            session = peer.session()
            link.close()

    def test_a_ticket_offered_twice(self, certificates: Certificates) -> None:
        context = self.peer.context(certificates, server=False)
        config = certificates.server_config()
        link = Link(ServerConnection(config), self.peer.connection(context, server=False)).shake()
        session = link.peer.session()
        for _ in range(2):
            peer = self.peer.connection(context, server=False, session=session)
            assert Link(ServerConnection(config), peer).shake().info.resumed

    def test_a_ticket_of_another_server(self, certificates: Certificates) -> None:
        context = self.peer.context(certificates, server=False)
        link = Link(ServerConnection(certificates.server_config()), self.peer.connection(context, server=False)).shake()
        peer = self.peer.connection(context, server=False, session=link.peer.session())
        link = Link(ServerConnection(certificates.server_config()), peer).shake()
        assert link.info.resumed is peer.resumed() is False
        link.exchange(100)

    # ---- Faults ----

    @pytest.mark.parametrize("case", BAD)
    def test_we_refuse_their_server_certificate(self, certificates: Certificates, case: str) -> None:
        theirs = {"identity": bad(certificates, case, NAME)}
        link = join(self.peer, certificates, "client", theirs=theirs).run()
        assert link.ours.failure is not None
        assert link.ours.handshake is None
        assert link.peer.alert() == BAD[case][1]

    def test_we_refuse_their_server_name(self, certificates: Certificates) -> None:
        other = certificates.named("other-name", lambda: certificates.leaf(["other.test"]))
        link = join(self.peer, certificates, "client", theirs={"identity": other}).run()
        assert type(link.ours.failure).__name__ == "NameMismatch"
        assert link.peer.alert() == "bad_certificate"

    @pytest.mark.parametrize("case", BAD)
    def test_they_refuse_our_server_certificate(self, certificates: Certificates, case: str) -> None:
        ours = {"credentials": [bad(certificates, case, NAME).credential]}
        link = join(self.peer, certificates, "server", ours=ours).run()
        assert link.peer.error is not None
        assert isinstance(link.ours.failure, AlertReceived)
        assert link.ours.failure.description == AlertDescription[BAD[case][1]]

    @pytest.mark.parametrize("case", BAD)
    def test_we_refuse_their_client_certificate(self, certificates: Certificates, case: str) -> None:
        theirs = {"identity": bad(certificates, case, CLIENT_NAME)}
        link = join(self.peer, certificates, "server", ours={"client_auth": "optional"}, theirs=theirs).run()
        assert link.ours.failure is not None
        assert link.ours.handshake is None
        assert link.peer.alert() == BAD[case][1]

    @pytest.mark.parametrize("case", BAD)
    def test_they_refuse_our_client_certificate(self, certificates: Certificates, case: str) -> None:
        ours = {"credentials": [bad(certificates, case, CLIENT_NAME).credential]}
        link = join(self.peer, certificates, "client", ours=ours, theirs={"client_auth": "required"}).run()
        assert link.peer.error is not None
        assert isinstance(link.ours.failure, AlertReceived)
        assert link.ours.failure.description == AlertDescription[BAD[case][1]]

    def test_we_require_a_client_certificate(self, certificates: Certificates) -> None:
        link = join(self.peer, certificates, "server", ours={"client_auth": "required"}).run()
        assert link.ours.failure is not None
        assert link.peer.alert() == self.no_certificate

    def test_they_require_a_client_certificate(self, certificates: Certificates) -> None:
        link = join(self.peer, certificates, "client", theirs={"client_auth": "required"}).run()
        assert isinstance(link.ours.failure, AlertReceived)
        assert link.ours.failure.description is AlertDescription[self.no_certificate]

    @ROLES
    def test_a_damaged_record_of_theirs(self, certificates: Certificates, we_are: str) -> None:
        link = join(self.peer, certificates, we_are).shake()
        link.peer.write(b"x" * 100)
        wire = bytearray(link.peer.take())
        wire[-1] ^= 1
        with pytest.raises(Exception, match="authenticate"):
            link.ours.receive_data(wire)
        link.run()
        assert link.peer.alert() == "bad_record_mac"

    @ROLES
    def test_a_damaged_record_of_ours(self, certificates: Certificates, we_are: str) -> None:
        link = join(self.peer, certificates, we_are).shake()
        link.ours.send_data(b"x" * 100)
        wire = bytearray(link.ours.data_to_send())
        wire[-1] ^= 1
        answer = link.peer.step(bytes(wire))
        assert link.peer.error is not None
        assert not link.peer.received
        with pytest.raises(AlertReceived, match="bad_record_mac"):
            link.ours.receive_data(answer)


class InMemory(EitherVersion):
    """The matrix of TLS 1.3, and what it alone has."""

    secrets_logged = 5
    no_certificate = "certificate_required"

    @matrix(product(**AXES))
    def test_matrix_our_client(self, certificates: Certificates, row: dict[str, Any]) -> None:
        check_row_as_client(self.peer, certificates, row)

    @matrix(product(cannot_retry, **AXES))
    def test_matrix_our_server(self, certificates: Certificates, row: dict[str, Any]) -> None:
        check_row_as_server(self.peer, certificates, row)

    @ROLES
    @pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
    def test_data(self, certificates: Certificates, we_are: str, suite: CipherSuite) -> None:
        link = join(self.peer, certificates, we_are, ours={"cipher_suites": [suite]}).shake()
        assert link.info.cipher_suite is suite
        for size in SIZES:
            link.exchange(size)
        link.close()

    @ROLES
    @pytest.mark.parametrize("ours", [True, False], ids=["ours_on", "ours_off"])
    @pytest.mark.parametrize("theirs", [True, False], ids=["theirs_on", "theirs_off"])
    def test_middlebox_compatibility(self, certificates: Certificates, we_are: str, ours: bool, theirs: bool) -> None:
        if not theirs and not self.peer.can_drop_middlebox_compatibility:
            pytest.skip("peer cannot turn its middlebox compatibility off")
        seen: list[Any] = []
        options = {"middlebox_compatibility": ours, "observer": seen.append}
        link = join(self.peer, certificates, we_are, ours=options, theirs={"middlebox": theirs}).shake()
        sent = [each.sent for each in seen if isinstance(each, ChangeCipherSpecSeen)]
        # RFC 8446, D.4: our server sends ChangeCipherSpec where the client sent a session id; these peers' where they are in this mode
        assert sent.count(True) == (ours if we_are == "client" else theirs)
        assert sent.count(False) == theirs
        link.exchange()
        link.close()

    # ---- After the handshake ----

    @ROLES
    @pytest.mark.parametrize("request_peer", [True, False])
    def test_we_update_keys(self, certificates: Certificates, we_are: str, request_peer: bool) -> None:
        link = join(self.peer, certificates, we_are).shake()
        for _ in range(4):
            link.ours.update_keys(request_peer=request_peer)
            link.run()
            link.exchange()  # its answer comes before the data it sends next; until then it is not asked again (RFC 9846, 4.7.3)
        updates = [event for event in link.events if isinstance(event, KeysUpdated)]
        assert len(updates) == (4 if request_peer else 0)
        assert not any(event.requested for event in updates)
        link.close()

    @ROLES
    def test_we_close_first_and_still_read(self, certificates: Certificates, we_are: str) -> None:
        link = join(self.peer, certificates, we_are).shake()
        link.ours.send_data(b"our last words")
        link.ours.close()
        link.run()
        assert link.peer.closed
        assert link.peer.received == b"our last words"
        link.peer.write(b"theirs, later")
        link.run()
        assert link.received() == b"theirs, later"
        link.peer.close()
        link.run()
        assert PeerClosed(clean=True) in link.events

    @ROLES
    def test_they_close_first_and_still_read(self, certificates: Certificates, we_are: str) -> None:
        link = join(self.peer, certificates, we_are).shake()
        link.peer.write(b"their last words")
        link.peer.close()
        link.run()
        assert link.received() == b"their last words"
        assert PeerClosed(clean=True) in link.events
        assert not link.peer.closed
        link.ours.send_data(b"ours, later")
        link.run()
        assert link.peer.received == b"ours, later"
        link.ours.close()
        link.run()
        assert link.peer.closed

    def test_many_resumptions_by_our_client(self, certificates: Certificates) -> None:
        context = self.peer.context(certificates, server=True, identity=certificates.server())
        config = certificates.client_config()
        for number in range(6):
            link = Link(ClientConnection(config, NAME), self.peer.connection(context, server=True)).shake()
            assert link.info.resumed is link.peer.resumed() is (number > 0)
            assert any(isinstance(event, TicketReceived) for event in link.events)
            link.exchange(100)
            link.close()
