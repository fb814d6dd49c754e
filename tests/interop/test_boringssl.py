# SPDX-License-Identifier: Apache-2.0
"""BoringSSL through utls as the peer, both roles, in memory: each pair of what the matrix varies, and what else it can."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import BIG, CLIENT_NAME, KEYS, NAME, SMALL, Certificates, Identity, covering, matrix
from memory import AXES, Library, Link, StandardPeer, alert_in, check_row_as_client, check_row_as_server
from shared import BAD, ROLES, InMemory, bad, cannot_retry, join

from tlsfast import AlertDescription, AlertReceived, ClientConnection, NamedGroup, ServerConnection

utls = pytest.importorskip("utls", reason="utls is not installed: pip install utls")
pytestmark = pytest.mark.interop

CURVES = {NamedGroup.x25519: "X25519", NamedGroup.secp256r1: "P-256", NamedGroup.secp384r1: "P-384"}


class BoringSSL(Library):
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
        context = utls.SSLContext(utls.PROTOCOL_TLS_SERVER if server else utls.PROTOCOL_TLS_CLIENT)
        context.minimum_version = utls.TLSVersion.TLSv1_3
        context.load_verify_locations(str(certificates.ca))
        if identity is not None:
            context.load_cert_chain(str(identity.chain), str(identity.key))
        if server:
            modes = {None: utls.CERT_NONE, "optional": utls.CERT_OPTIONAL, "required": utls.CERT_REQUIRED}
            context.verify_mode = modes[client_auth]
            context.set_session_id_context(b"interop")  # without it a server that asks for certificates resumes none
        if group is not None:
            context.set_ecdh_curve(CURVES[group])
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if keylog is not None:
            context.keylog_filename = str(keylog)
        self.certificates = certificates
        return context

    def connection(self, context: Any, *, server: bool, name: str = NAME, session: Any = None) -> BoringPeer:
        return BoringPeer(self.certificates, context, server, name, session)


class BoringPeer(StandardPeer):
    errors = (utls.SSLError,)

    def __init__(self, certificates: Certificates, context: Any, server: bool, name: str, session: Any) -> None:
        super(StandardPeer, self).__init__()
        self._certificates = certificates
        self._is_server = server
        self._in, self._out = utls.MemoryBIO(), utls.MemoryBIO()
        hostname = None if server else name
        self.tls = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=hostname, session=session)

    def peer_certificate(self) -> bytes | None:
        """A server's chain here lacks the client's leaf, whose serial number it tells all the same: ours of that number."""
        if not self._is_server:
            return self.tls.getpeercert(binary_form=True)
        told = self.tls.getpeercert()
        ours = [self._certificates.client(key).entity for key in KEYS] if told else []
        return next((each.der for each in ours if each.cert.serial_number == int(told["serialNumber"], 16)), None)

    def server_name(self) -> str | None:
        return self.tls.server_hostname

    def alert(self) -> str | None:
        return alert_in(str(self.error).lower().replace("_", " "))


def cannot_as_server(row: dict[str, Any]) -> bool:
    """It takes no keys of id-RSASSA-PSS, and does not offer ed25519 for what the other side signs."""
    return row["key"] == "rsapss2048" or (row["key"] == "ed25519" and row["client_auth"] == "required")


def cannot_as_client(row: dict[str, Any]) -> bool:
    """The same; and utls does not hand out the sessions that tickets bring."""
    return row["key"] in ("rsapss2048", "ed25519") or row["resume"] or cannot_retry(row)


class TestBoringSSL(InMemory):
    peer = BoringSSL()

    @matrix(covering(cannot_as_server, **AXES))
    def test_matrix_our_client(self, certificates: Certificates, row: dict[str, Any]) -> None:
        check_row_as_client(self.peer, certificates, row)

    @matrix(covering(cannot_as_client, **AXES))
    def test_matrix_our_server(self, certificates: Certificates, row: dict[str, Any]) -> None:
        check_row_as_server(self.peer, certificates, row)

    @ROLES
    @pytest.mark.parametrize("size", [*SMALL, BIG])
    def test_data(self, certificates: Certificates, we_are: str, size: int) -> None:
        link = join(self.peer, certificates, we_are).shake()
        link.exchange(size)
        link.close()

    def test_many_resumptions_by_our_client(self, certificates: Certificates) -> None:
        """Its tickets come with the first data that it sends."""
        context = self.peer.context(certificates, server=True, identity=certificates.server())
        config = certificates.client_config()
        for number in range(6):
            link = Link(ClientConnection(config, NAME), self.peer.connection(context, server=True)).shake()
            assert link.info.resumed is link.peer.resumed() is (number > 0)
            link.exchange(100)
            link.close()

    def test_many_resumptions_by_our_server(self, certificates: Certificates) -> None:
        pytest.skip("peer cannot resume as a client: utls does not hand out the sessions that tickets bring")

    def test_a_ticket_offered_twice(self, certificates: Certificates) -> None:
        pytest.skip("peer cannot resume as a client: utls does not hand out the sessions that tickets bring")

    def test_no_alpn_in_common(self, certificates: Certificates) -> None:
        """utls names no alert here, but it ends."""
        link = join(self.peer, certificates, "server", ours={"alpn": ["h2"]}, theirs={"alpn": ["spdy/1"]}).run()
        assert type(link.ours.failure).__name__ == "NoApplicationProtocol"
        assert link.peer.error is not None

    @pytest.mark.parametrize("case", BAD)
    def test_they_refuse_our_server_certificate(self, certificates: Certificates, case: str) -> None:
        link = join(self.peer, certificates, "server", ours={"credentials": [bad(certificates, case, NAME).credential]})
        check_refused(link.run(), case)

    @pytest.mark.parametrize("case", BAD)
    def test_they_refuse_our_client_certificate(self, certificates: Certificates, case: str) -> None:
        ours = {"credentials": [bad(certificates, case, CLIENT_NAME).credential]}
        check_refused(
            join(self.peer, certificates, "client", ours=ours, theirs={"client_auth": "required"}).run(), case
        )

    @ROLES
    def test_a_damaged_record_of_theirs(self, certificates: Certificates, we_are: str) -> None:
        link = join(self.peer, certificates, we_are).shake()
        link.exchange(1)  # and so its tickets are out
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
        link.exchange(1)
        link.ours.send_data(b"x" * 100)
        wire = bytearray(link.ours.data_to_send())
        wire[-1] ^= 1
        answer = link.peer.step(bytes(wire))
        assert link.peer.error is not None
        assert len(link.peer.received) == 1
        with pytest.raises(AlertReceived, match="bad_record_mac"):
            link.ours.receive_data(answer)


def check_refused(link: Link, case: str) -> None:
    """It says certificate_expired of what is not yet valid, too."""
    alert = "certificate_expired" if case == "not_yet_valid" else BAD[case][1]
    assert link.peer.error is not None
    assert isinstance(link.ours.failure, AlertReceived)
    assert link.ours.failure.description == AlertDescription[alert]


@pytest.mark.parametrize("profile", ["chrome:131", "chrome:stable"])
def test_a_browsers_hello(certificates: Certificates, profile: str) -> None:
    """Chrome's ClientHello: GREASE, extensions in a new order each time, a post-quantum key share, ALPS, ECH, compressed certificates."""
    context = TestBoringSSL.peer.context(certificates, server=False)
    context.set_fingerprint(profile)
    peer = TestBoringSSL.peer.connection(context, server=False)
    link = Link(ServerConnection(certificates.server_config(alpn=["h2", "http/1.1"])), peer).shake()
    assert link.info.alpn == "h2"
    assert link.info.group is NamedGroup.X25519MLKEM768
    link.exchange()
    link.close()
