# SPDX-License-Identifier: Apache-2.0
"""rustls as the peer, both roles, in memory: through rtls what it can be told and asked, through pyrtls its resumption."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from harness import BIG, GROUPS, NAME, SMALL, Certificates, Identity, covering, matrix
from memory import AXES, Library, Link, MemoryPeer, check, check_row_as_server, saw_retry
from shared import BAD, ROLES, InMemory, bad, join

from tlsfast import AlertDescription, AlertReceived, ClientConnection, NamedGroup, PeerClosed, ServerConnection

rtls = pytest.importorskip("rtls", reason="rtls is not installed: pip install rtls")
pyrtls = pytest.importorskip("pyrtls", reason="pyrtls is not installed: pip install pyrtls")
pytestmark = pytest.mark.interop

PIECE = 16 * 1024  # what is written at once: rustls stops taking plaintext when 64 KiB wait to be sent


# ---- rtls ----


class Rustls(Library):
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
        assert group in (None, NamedGroup.x25519), "rtls has no choice of groups: its client sends a share of X25519"
        context = rtls.SSLContext(rtls.PROTOCOL_TLS_SERVER if server else rtls.PROTOCOL_TLS_CLIENT)
        context.minimum_version = rtls.TLSVersion.TLSv1_3
        context.load_verify_locations(str(certificates.ca))
        if identity is not None:
            context.load_cert_chain(str(identity.chain), str(identity.key))
        if server:
            modes = {None: rtls.CERT_NONE, "optional": rtls.CERT_OPTIONAL, "required": rtls.CERT_REQUIRED}
            context.verify_mode = modes[client_auth]
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if keylog is not None:
            context.keylog_filename = str(keylog)
        return context

    def connection(self, context: Any, *, server: bool, name: str = NAME, session: Any = None) -> RustlsPeer:
        return RustlsPeer(context, server, name)


class RustlsPeer(MemoryPeer):
    errors = (rtls.SSLError,)

    def __init__(self, context: Any, server: bool, name: str) -> None:
        super().__init__()
        self._in, self._out = rtls.MemoryBIO(), rtls.MemoryBIO()
        hostname = None if server else name
        self.tls = context.wrap_bio(self._in, self._out, server_side=server, server_hostname=hostname)

    def feed(self, wire: bytes) -> None:
        if wire:
            self._in.write(wire)

    def take(self) -> bytes:
        self.tls._flush_outgoing()  # which rtls does not do after a record that failed: its alert would stay
        return bytes(self._out.read())

    def shake(self) -> bool:
        try:
            self.tls.do_handshake()
        except rtls.SSLWantReadError:
            return False
        return True

    def read_all(self) -> None:
        try:
            while True:
                self.received += self.tls.read(1 << 20)
        except rtls.SSLWantReadError:
            # It does not tell a close_notify; but it wants nothing more then.
            self.closed = not self.tls._conn.wants_read()

    def write(self, data: bytes) -> None:
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            assert self.tls.write(piece) == len(piece)

    def close(self) -> None:
        self.tls.unwrap()

    def suite(self) -> str:
        return str(self.tls.cipher()[0])

    def version(self) -> str:
        return str(self.tls.version())

    def resumed(self) -> bool:
        return bool(self.tls.session_reused)

    def alpn(self) -> str | None:
        return self.tls.selected_alpn_protocol()

    def peer_certificate(self) -> bytes | None:
        return self.tls.getpeercert(binary_form=True)

    def session(self) -> None:
        return None

    def server_name(self) -> str | None:
        return None

    def alert(self) -> str | None:
        return alert_in(str(self.error))


def alert_in(said: str) -> str | None:
    """The alert in rustls' words: "received fatal alert: UnknownCA"."""
    found = re.search(r"received fatal alert: (?:the peer .* alert )?(\w+)", said)
    return None if found is None else re.sub(r"(?<=[a-z])(?=[A-Z])", "_", found[1]).lower()


def cannot(row: dict[str, Any]) -> bool:
    """rustls takes no keys of id-RSASSA-PSS."""
    return row["key"] == "rsapss2048"


def cannot_as_client(row: dict[str, Any]) -> bool:
    """Its client sends a share of X25519 alone: any other group takes a HelloRetryRequest, and this one takes none."""
    return cannot(row) or row["retry"] is (row["group"] is NamedGroup.x25519)


NO_RESUMPTION = "peer cannot resume: rtls makes a new configuration for each connection"
NO_CLIENT_AUTH = "peer cannot ask for client certificates: rtls leaves its server's verify_mode aside"


class TestRtls(InMemory):
    peer = Rustls()

    @matrix(covering(cannot, **{**AXES, "resume": (False,), "client_auth": (None,)}))
    def test_matrix_our_client(self, certificates: Certificates, row: dict[str, Any]) -> None:
        seen: list[Any] = []
        config = certificates.client_config(cipher_suites=[row["suite"]], groups=[row["group"]], observer=seen.append)
        if row["retry"]:
            # It takes any share that comes: only a hello without one is answered with a HelloRetryRequest (RFC 8446, 4.2.8).
            config._set("key_shares", ())
        server = certificates.server(row["key"])
        context = self.peer.context(certificates, server=True, identity=server)
        link = Link(ClientConnection(config, NAME), self.peer.connection(context, server=True)).shake()
        check(link, row, False, seen)
        assert link.info.peer_chain == server.entity.chain
        link.exchange()
        link.close()

    @matrix(covering(cannot_as_client, **{**AXES, "resume": (False,)}))
    def test_matrix_our_server(self, certificates: Certificates, row: dict[str, Any]) -> None:
        check_row_as_server(self.peer, certificates, row)

    @ROLES
    @pytest.mark.parametrize("size", [*SMALL, BIG])
    def test_data(self, certificates: Certificates, we_are: str, size: int) -> None:
        link = join(self.peer, certificates, we_are).shake()
        link.exchange(size)
        link.close()

    def test_server_name(self, certificates: Certificates) -> None:
        pytest.skip("peer cannot tell the server_name that it got")

    def test_many_resumptions_by_our_client(self, certificates: Certificates) -> None:
        pytest.skip(NO_RESUMPTION)

    def test_many_resumptions_by_our_server(self, certificates: Certificates) -> None:
        pytest.skip(NO_RESUMPTION)

    def test_a_ticket_offered_twice(self, certificates: Certificates) -> None:
        pytest.skip(NO_RESUMPTION)

    def test_a_ticket_of_another_server(self, certificates: Certificates) -> None:
        pytest.skip(NO_RESUMPTION)

    @ROLES
    def test_they_close_first_and_still_read(self, certificates: Certificates, we_are: str) -> None:
        """rtls reads nothing once it has closed: its last words and its close_notify come all the same."""
        link = join(self.peer, certificates, we_are).shake()
        link.peer.write(b"their last words")
        link.peer.close()
        link.run()
        assert link.received() == b"their last words"
        assert PeerClosed(clean=True) in link.events

    @pytest.mark.parametrize("case", BAD)
    def test_they_refuse_our_server_certificate(self, certificates: Certificates, case: str) -> None:
        """It says certificate_expired of what is not yet valid, too."""
        ours = {"credentials": [bad(certificates, case, NAME).credential]}
        link = join(self.peer, certificates, "server", ours=ours).run()
        assert link.peer.error is not None
        assert isinstance(link.ours.failure, AlertReceived)
        alert = "certificate_expired" if case == "not_yet_valid" else BAD[case][1]
        assert link.ours.failure.description == AlertDescription[alert]

    @pytest.mark.parametrize("case", BAD)
    def test_they_refuse_our_client_certificate(self, certificates: Certificates, case: str) -> None:
        pytest.skip(NO_CLIENT_AUTH)

    def test_they_require_a_client_certificate(self, certificates: Certificates) -> None:
        pytest.skip(NO_CLIENT_AUTH)


# ---- pyrtls ----


class PyrtlsPeer(MemoryPeer):
    """It has no words for what was agreed: ours are asked alone."""

    errors = (Exception,)  # its own exception has no public name

    def __init__(self, tls: Any) -> None:
        super().__init__()
        self.tls = tls
        self._wire = b""
        self._unsent = b""
        self._plaintext = bytearray(1 << 16)

    def feed(self, wire: bytes) -> None:
        self._wire += wire

    def take(self) -> bytes:
        wire, room = bytearray(), bytearray(1 << 16)
        while self.tls.writable() or self._unsent:
            wire += room[: self.tls.write_tls_into(room)]
            self._unsent = self._unsent[self.tls.write(self._unsent) :] if self._unsent else b""
        return bytes(wire)

    def shake(self) -> bool:
        """It does not tell when its handshake is complete."""
        return True

    def read_all(self) -> None:
        while self._wire and not self.closed:
            self._wire = self._wire[self.tls.read_tls(self._wire) :]
            while (state := self.tls.process_new_packets()).plaintext_bytes_to_read:
                self.received += self._plaintext[: self.tls.read_into(self._plaintext)]
            self.closed = state.peer_has_closed

    def write(self, data: bytes) -> None:
        self._unsent += data

    def close(self) -> None:
        raise NotImplementedError("pyrtls sends no close_notify")

    def suite(self) -> str:
        raise NotImplementedError

    def version(self) -> str:
        raise NotImplementedError

    def resumed(self) -> bool:
        raise NotImplementedError

    def alpn(self) -> str | None:
        raise NotImplementedError

    def peer_certificate(self) -> bytes | None:
        raise NotImplementedError

    def session(self) -> Any:
        raise NotImplementedError

    def server_name(self) -> str | None:
        raise NotImplementedError

    def alert(self) -> str | None:
        return alert_in(str(self.error))


def their_server(certificates: Certificates, key: str = "p256", **options: Any) -> Any:
    identity = certificates.server(key)
    return pyrtls.ServerConfig(identity.entity.chain, identity.entity.key_pem.decode(), **options)


def their_client(certificates: Certificates, **options: Any) -> Any:
    roots = [certificates.root.der]
    return pyrtls.ClientConfig(platform_verifier=False, custom_roots=roots, **options)


def ended_well(link: Link) -> None:
    """Data each way, then our close_notify, which they must see."""
    for size in SMALL:
        link.exchange(size)
    link.ours.close()
    link.run()
    assert link.peer.closed and link.ours.failure is None


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048", "ed25519"])
@ROLES
def test_pyrtls_resumes(certificates: Certificates, we_are: str, key: str) -> None:
    """One full handshake and five resumed ones, with tickets whose state lies in the server (theirs), or in the ticket (ours)."""
    if we_are == "client":
        ours, theirs = certificates.client_config(alpn=["h2"]), their_server(certificates, key, alpn_protocols=["h2"])
    else:
        ours, theirs = certificates.server_config(key, alpn=["h2"]), their_client(certificates, alpn_protocols=["h2"])
    for number in range(6):
        if we_are == "client":
            link = Link(ClientConnection(ours, NAME), PyrtlsPeer(pyrtls.ServerConnection(theirs)))
        else:
            link = Link(ServerConnection(ours), PyrtlsPeer(pyrtls.ClientConnection(theirs, NAME)))
        link.shake()
        assert link.info.resumed is (number > 0)
        assert link.info.alpn == "h2"
        ended_well(link)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("resume", [False, True])
def test_pyrtls_retries(certificates: Certificates, group: NamedGroup, resume: bool) -> None:
    """With a HelloRetryRequest in the handshake, and with one in the resumed handshake too."""
    seen: list[Any] = []
    ours = certificates.server_config(groups=[group], retry_cookie=True, observer=seen.append)
    theirs = their_client(certificates)
    for resumed in (False, True) if resume else (False,):
        seen.clear()
        link = Link(ServerConnection(ours), PyrtlsPeer(pyrtls.ClientConnection(theirs, NAME))).shake()
        # In the second handshake its client sends a share of the group that was agreed on in the first.
        assert saw_retry(seen) is (group is not NamedGroup.x25519 and not resumed)
        assert (link.info.resumed, link.info.group) == (resumed, group)
        ended_well(link)


@ROLES
def test_pyrtls_data(certificates: Certificates, we_are: str) -> None:
    if we_are == "client":
        peer = PyrtlsPeer(pyrtls.ServerConnection(their_server(certificates)))
        link = Link(ClientConnection(certificates.client_config(), NAME), peer)
    else:
        peer = PyrtlsPeer(pyrtls.ClientConnection(their_client(certificates), NAME))
        link = Link(ServerConnection(certificates.server_config()), peer)
    link.shake().exchange(BIG)
    ended_well(link)
