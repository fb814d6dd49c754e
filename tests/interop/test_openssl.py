# SPDX-License-Identifier: Apache-2.0
"""The OpenSSL command line (s_client, s_server) as the peer, both roles. OpenSSL 4 is in test_pyopenssl.py."""

from __future__ import annotations

import functools
import queue
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pki
import pytest
from harness import (
    BAD,
    BAD_SERVERS,
    BIG,
    CLIENT_AUTH,
    CLIENT_NAME,
    GROUPS,
    KEYS,
    LIMIT,
    LOOPBACK,
    NAME,
    SMALL,
    SUITES,
    Certificates,
    Peer,
    Server,
    bad,
    connect,
    covering,
    echo_client,
    exchange,
    listening,
    matrix,
    payload,
    require,
)

from tlsfast import AlertDescription, AlertReceived, Credential, NamedGroup, PeerError, TLSError
from tlsfast.events import MessageSeen
from tlsfast.handshake import resume
from tlsfast.messages.extensions import NewSessionTicketExtensions
from tlsfast.messages.handshake import KeyUpdate, NewSessionTicket

pytestmark = pytest.mark.interop

ROWS = covering(
    suite=SUITES, group=GROUPS, key=KEYS, client_auth=CLIENT_AUTH, resume=(False, True), retry=(False, True)
)
THEIR_GROUPS = {NamedGroup.x25519: "X25519", NamedGroup.secp256r1: "P-256", NamedGroup.secp384r1: "P-384"}


@functools.cache
def openssl() -> str:
    return require("openssl", "apt-get install openssl")


# ---- Their side ----


def s_client(certificates: Certificates, port: int, *options: Any, limit: float = 60) -> Peer:
    """s_client, that verifies us, closes when its input ends, and shows the data alone on its output (-brief)."""
    verify = ["-CAfile", certificates.ca, "-verify", "5", "-verify_return_error", "-verify_hostname", NAME]
    end = ["-no_ign_eof", "-nocommands"] if "-brief" in options else []
    argv = [openssl(), "s_client", "-connect", f"{LOOPBACK}:{port}", "-servername", NAME, *verify, *options, *end]
    return Peer(argv, limit=limit)


def their_echo(peer: Peer, data: bytes) -> None:
    """Have our server echo data to a s_client -brief."""
    already = len(peer.out)
    peer.send(data)
    assert peer.expect_output(already + len(data), start=already) == data


def finish(peer: Peer) -> None:
    """End it in an orderly way."""
    peer.send_eof()
    assert peer.finish() == 0, peer.report()


@contextmanager
def s_server(certificates: Certificates, key: str, *options: Any, echo: bool = True) -> Iterator[tuple[Peer, int]]:
    """s_server; with echo what it receives goes back through its input."""
    identity = certificates.server(key)
    with s_server_as(identity.chain, identity.key, certificates, *options, echo=echo) as (peer, port):
        yield peer, port


@contextmanager
def s_server_as(
    chain: Path, key: Path, certificates: Certificates, *options: Any, echo: bool = True
) -> Iterator[tuple[Peer, int]]:
    mine = ["-cert", chain, "-key", key, "-cert_chain", certificates.between, "-CAfile", certificates.ca]
    quiet = ["-brief"] if echo else []

    def argv(port: int) -> Sequence[Any]:
        return [openssl(), "s_server", "-accept", f"{LOOPBACK}:{port}", *mine, *quiet, *options]

    with listening(argv, on_output=Peer.send if echo else None) as (peer, port):
        yield peer, port


# ---- The matrix ----


@matrix(ROWS)
def test_matrix_our_server(certificates: Certificates, row: dict[str, Any], tmp_path: Path) -> None:
    group = row["group"]
    config = certificates.server_config(
        row["key"], cipher_suites=[row["suite"]], groups=[group], client_auth=row["client_auth"]
    )
    other = "P-384" if group is NamedGroup.x25519 else "X25519"
    offered = f"{other}:{THEIR_GROUPS[group]}" if row["retry"] else THEIR_GROUPS[group]
    options = ["-brief", "-ciphersuites", row["suite"].name, "-groups", offered, "-sess_out", tmp_path / "session"]
    client = certificates.client(row["key"])
    if row["client_auth"] == "required":
        options += ["-cert", client.chain, "-key", client.key, "-cert_chain", certificates.between]
    with Server(config) as server:
        for number in range(2 if row["resume"] else 1):
            resumption = ["-sess_in", tmp_path / "session"] if number else []
            with s_client(certificates, server.port, *options, *resumption) as peer:
                for size in SMALL:
                    their_echo(peer, payload(size))
                finish(peer)
                peer.expect(f"Ciphersuite: {row['suite'].name}")
                peer.expect("Verification: OK")
            info = server.completed(number)
            assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], group, bool(number))
            assert info.peer_chain == (client.entity.chain if row["client_auth"] == "required" else ())


@matrix(ROWS)
def test_matrix_our_client(certificates: Certificates, row: dict[str, Any]) -> None:
    group = row["group"]
    other = NamedGroup.secp384r1 if group is NamedGroup.x25519 else NamedGroup.x25519
    config = certificates.client_config(
        cipher_suites=[row["suite"]],
        groups=[other, group] if row["retry"] else [group],
        credentials=[certificates.client(row["key"]).credential] if row["client_auth"] == "required" else [],
    )
    ask = {None: [], "optional": ["-verify", "5"], "required": ["-Verify", "5", "-verify_return_error"]}
    groups = THEIR_GROUPS[group] if row["retry"] else ":".join(THEIR_GROUPS.values())
    with s_server(certificates, row["key"], "-groups", groups, *ask[row["client_auth"]]) as (peer, port):
        for number in range(2 if row["resume"] else 1):
            info = echo_client(port, config, SMALL)
            assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], group, bool(number))
            assert info.peer_chain == certificates.server(row["key"]).entity.chain
        peer.expect(f"Ciphersuite: {row['suite'].name}")
        if row["client_auth"] == "required":
            peer.expect(f"Peer certificate: CN = {CLIENT_NAME}")


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_much_data_our_server(certificates: Certificates, suite: Any) -> None:
    with Server(certificates.server_config(cipher_suites=[suite])) as server:
        with s_client(certificates, server.port, "-brief") as peer:
            their_echo(peer, payload(BIG))
            finish(peer)
        assert server.completed().cipher_suite is suite
        assert server.served().received == BIG


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_much_data_our_client(certificates: Certificates, suite: Any) -> None:
    with s_server(certificates, "p256") as (_, port):
        assert echo_client(port, certificates.client_config(cipher_suites=[suite]), [BIG]).cipher_suite is suite


# ---- Extensions and options ----


def test_alpn_our_server(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["h2", "http/1.1"])) as server:
        with s_client(certificates, server.port, "-alpn", "spdy/1,http/1.1,h2") as peer:
            peer.expect("ALPN protocol: h2")
            finish(peer)
        assert server.completed().alpn == "h2"


def test_alpn_our_client(certificates: Certificates) -> None:
    with s_server(certificates, "p256", "-alpn", "http/1.1,h2") as (_, port):
        info = echo_client(port, certificates.client_config(alpn=["spdy/1", "h2"]), [1])
        assert info.alpn == "h2"


def test_no_alpn_in_common(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["h2"])) as server:
        with s_client(certificates, server.port, "-brief", "-alpn", "spdy/1") as peer:
            peer.expect("SSL alert number 120")


def test_exporter_our_server(certificates: Certificates) -> None:
    exported: list[bytes] = []

    def handler(stream: Any, _: Any) -> None:
        exported.append(stream.export_keying_material("EXPERIMENTAL label", None, 48))
        stream.recv(1)

    options = ["-keymatexport", "EXPERIMENTAL label", "-keymatexportlen", "48"]
    with Server(certificates.server_config(), handler) as server:
        with s_client(certificates, server.port, *options) as peer:
            found = peer.expect("Keying material: ([0-9A-F]{96})")
            finish(peer)
        server.completed()
    assert bytes.fromhex(found[1].decode()) == exported[0]


def test_exporter_our_client(certificates: Certificates) -> None:
    options = ["-keymatexport", "EXPERIMENTAL label", "-keymatexportlen", "48"]
    with s_server(certificates, "p256", *options, echo=False) as (peer, port):
        with connect(port, certificates.client_config()) as stream:
            ours = stream.export_keying_material("EXPERIMENTAL label", b"", 48)
            found = peer.expect("Keying material: ([0-9A-F]{96})")
    assert bytes.fromhex(found[1].decode()) == ours


def logged(path: Path) -> set[str]:
    return {line for line in path.read_text().splitlines() if line and not line.startswith("#")}


def test_key_log_our_server(certificates: Certificates, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with Server(certificates.server_config(keylog=ours)) as server:
        with s_client(certificates, server.port, "-brief", "-keylogfile", theirs) as peer:
            their_echo(peer, b"x")
            finish(peer)
        server.completed()
    assert logged(ours) == logged(theirs)
    assert len(logged(ours)) == 5


def test_key_log_our_client(certificates: Certificates, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with s_server(certificates, "p256", "-keylogfile", theirs) as (_, port):
        echo_client(port, certificates.client_config(keylog=ours), [1])
    assert logged(ours) == logged(theirs)


@pytest.mark.parametrize("option", ["-no_middlebox", "-enable_pha", "-allow_no_dhe_kex", "-record_padding=512"])
def test_options_our_server(certificates: Certificates, option: str) -> None:
    with Server(certificates.server_config()) as server:
        with s_client(certificates, server.port, "-brief", *option.split("=")) as peer:
            for size in SMALL:
                their_echo(peer, payload(size))
            finish(peer)
        server.completed()


@pytest.mark.parametrize(
    "option",
    ["-no_middlebox", "-no_ticket", "-record_padding=512", "-max_send_frag=512", "-num_tickets=9", "-num_tickets=0"],
)
def test_options_our_client(certificates: Certificates, option: str) -> None:
    config = certificates.client_config()
    with s_server(certificates, "p256", *option.split("=")) as (_, port):
        for resumed in (False, option != "-num_tickets=0"):
            assert echo_client(port, config, SMALL).resumed is resumed


@pytest.mark.parametrize("scheme", ["RSA-PSS+SHA256", "RSA-PSS+SHA384", "RSA-PSS+SHA512"])
@pytest.mark.parametrize("key", ["rsa2048", "rsapss2048"])
def test_signature_schemes(certificates: Certificates, key: str, scheme: str) -> None:
    """The scheme that the client insists on, in both directions. The intermediate signs by ECDSA, which a client must be able to verify too."""
    name = scheme.replace("RSA-PSS+SHA", "rsa_pss_pss_sha" if key.startswith("rsapss") else "rsa_pss_rsae_sha")
    with Server(certificates.server_config(key)) as server:
        with s_client(certificates, server.port, "-brief", "-sigalgs", f"{name}:ECDSA+SHA256") as peer:
            finish(peer)
        scheme_used = server.completed().signature_scheme
        assert scheme_used is not None
        assert scheme_used.name == name
    config = certificates.client_config(signature_schemes=[name])
    with s_server(certificates, key) as (_, port):
        scheme_used = echo_client(port, config, [1]).signature_scheme
        assert scheme_used is not None
        assert scheme_used.name == name


# ---- KeyUpdate: K asks for the other side's, k does not ----


@pytest.mark.parametrize("letter", ["K", "k"])
def test_they_update_keys_our_server(certificates: Certificates, letter: str) -> None:
    with Server(certificates.server_config()) as server:
        with s_client(certificates, server.port) as peer:
            peer.expect("Verify return code: 0")
            for number in range(3):
                peer.send(f"{letter}\n".encode())
                peer.expect("KEYUPDATE\n" * (number + 1))
                peer.send(f"message {number}\n".encode())
                peer.expect(f"message {number}")
            finish(peer)
        assert server.served().received == 3 * len("message 0\n")
        server.completed()


@pytest.mark.parametrize("letter", ["K", "k"])
def test_they_update_keys_our_client(certificates: Certificates, letter: str) -> None:
    updates: queue.Queue[Any] = queue.Queue()

    def observe(seen: Any) -> None:
        if isinstance(seen, MessageSeen) and isinstance(seen.message, KeyUpdate) and not seen.sent:
            updates.put(seen)

    def read() -> None:
        for _ in range(3):
            received.put(stream.recv(100))

    received: queue.Queue[bytes] = queue.Queue()
    config = certificates.client_config(observer=observe)
    with s_server(certificates, "p256", echo=False) as (peer, port), connect(port, config) as stream:
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        peer.expect("CIPHER is")
        for number in range(3):
            peer.send(f"{letter}\n".encode())
            updates.get(timeout=LIMIT)  # it takes K for a command only where nothing else is read with it
            peer.send(f"message {number}\n".encode())
            assert received.get(timeout=LIMIT) == f"message {number}\n".encode()
            stream.sendall(f"answer {number}\n".encode())
            peer.expect(f"answer {number}")
        reader.join(LIMIT)


def test_we_update_keys_our_server(certificates: Certificates) -> None:
    def handler(stream: Any, served: Any) -> None:
        while data := stream.recv(65536):
            served.received += len(data)
            stream.connection.update_keys(request_peer=served.received % 2 == 0)
            stream.sendall(data)

    with Server(certificates.server_config(), handler) as server:
        with s_client(certificates, server.port, "-brief") as peer:
            for size in (1, 1, 100, 101, 16385):
                their_echo(peer, payload(size))
            finish(peer)
        server.completed()


def test_we_update_keys_our_client(certificates: Certificates) -> None:
    with s_server(certificates, "p256") as (_, port):
        with connect(port, certificates.client_config()) as stream:
            for size in (1, 1, 100, 101, 16385):
                stream.connection.update_keys(request_peer=size % 2 == 0)
                exchange(stream, payload(size))


# ---- OCSP ----


def test_our_staple(certificates: Certificates) -> None:
    leaf = certificates.server().entity
    credential = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=pki.ocsp_response(leaf))
    with Server(certificates.server_config(credentials=[credential])) as server:
        with s_client(certificates, server.port, "-status") as peer:
            peer.expect("OCSP Response Status: successful")
            peer.expect("Cert Status: good")
            finish(peer)


@pytest.mark.parametrize(("status", "alert"), [("good", None), ("revoked", AlertDescription.certificate_revoked)])
def test_their_staple(certificates: Certificates, tmp_path: Path, status: str, alert: AlertDescription | None) -> None:
    staple = tmp_path / "staple.der"
    staple.write_bytes(pki.ocsp_response(certificates.server().entity, status=status))
    seen: list[Any] = []
    config = certificates.client_config(verify=seen.append)
    with s_server(certificates, "p256", "-status_file", staple) as (peer, port):
        if alert is None:
            echo_client(port, config, [1])
            assert seen[0].ocsp_response == staple.read_bytes()
        else:
            with pytest.raises(PeerError, match="revoked"):
                echo_client(port, config, [1])
            peer.expect(f"SSL alert number {alert.value}")


# ---- Resumption ----


def test_one_ticket_for_several_connections(certificates: Certificates, tmp_path: Path) -> None:
    session = tmp_path / "session"
    with Server(certificates.server_config()) as server:
        for number in range(4):
            option = "-sess_in" if number else "-sess_out"
            with s_client(certificates, server.port, "-brief", option, session) as peer:
                their_echo(peer, b"x")
                finish(peer)
            assert server.completed(number).resumed is bool(number)


# ---- Early data, which our server refuses and skips (RFC 8446, 4.2.10) ----


def session_for_early_data(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, server: Server | None, session: Path
) -> None:
    """Have s_client write a session that allows early data: of our server, as it was while it took early data; or (None) of one of theirs."""
    if server is not None:
        allowed = NewSessionTicketExtensions(early_data=0xFFFF)
        with monkeypatch.context() as patched:
            patched.setattr(resume, "NewSessionTicket", functools.partial(NewSessionTicket, extensions=allowed))
            with s_client(certificates, server.port, "-brief", "-sess_out", session) as peer:
                their_echo(peer, b"x")
                finish(peer)
        return
    with s_server(certificates, "p256", "-early_data", "-max_early_data", "65535", echo=False) as (them, port):
        with s_client(certificates, port, "-brief", "-sess_out", session) as peer:
            them.expect("CIPHER is")
            peer.send(b"hello\n")
            them.expect("hello")
            them.send(b"hello\n")
            peer.expect("hello")
            finish(peer)


@pytest.mark.parametrize("size", [1, 5000, 16000])
@pytest.mark.parametrize("retry", [False, True], ids=["no_retry", "retry"])
@pytest.mark.parametrize("own", [False, True], ids=["another_servers_ticket", "our_ticket"])
def test_early_data_is_skipped(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, retry: bool, size: int
) -> None:
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(b"E" * size)
    config = certificates.server_config(groups=[NamedGroup.secp384r1 if retry else NamedGroup.x25519])
    with Server(config) as server:
        session_for_early_data(certificates, monkeypatch, server if own else None, session)
        options = ["-sess_in", session, "-early_data", early, "-groups", "X25519:P-384", "-msg"]
        with s_client(certificates, server.port, *options) as peer:
            peer.expect("Early data was rejected")
            peer.send(b"real data\n")
            peer.expect("\nreal data\n")
            finish(peer)
        info = server.completed(1 if own else 0)
        assert info.resumed is own
        assert server.served(1 if own else 0).received == len(b"real data\n")


@pytest.mark.parametrize("retry", [False, True], ids=["no_retry", "retry"])
def test_early_data_beyond_the_budget(
    certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, retry: bool
) -> None:
    session, early = tmp_path / "session", tmp_path / "early"
    early.write_bytes(b"E" * 40000)
    session_for_early_data(certificates, monkeypatch, None, session)
    config = certificates.server_config(groups=[NamedGroup.secp384r1 if retry else NamedGroup.x25519])
    with Server(config) as server:
        options = ["-sess_in", session, "-early_data", early, "-groups", "X25519:P-384"]
        with s_client(certificates, server.port, *options) as peer:
            peer.expect("SSL alert number (10|20)")
        assert isinstance(server.served().error, PeerError)


# ---- Refusals ----


def alert_number(name: str) -> str:
    return f"SSL alert number {AlertDescription[name].value}"


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_we_refuse_their_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, NAME)
    with s_server_as(identity.chain, identity.key, certificates) as (peer, port):
        with pytest.raises(PeerError) as caught:
            echo_client(port, certificates.client_config(), [1])
        assert caught.value.alert.name == alert
        peer.expect(alert_number(alert))


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_they_refuse_our_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, NAME)
    with Server(certificates.server_config(credentials=[identity.credential])) as server:
        with s_client(certificates, server.port, "-brief") as peer:
            assert peer.finish() == 1
        error = server.served().error
        assert isinstance(error, AlertReceived)
        assert error.description == AlertDescription[alert]


@pytest.mark.parametrize("case", BAD)
def test_we_refuse_their_client_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, CLIENT_NAME)
    with Server(certificates.server_config(client_auth="required")) as server:
        options = ["-brief", "-cert", identity.chain, "-key", identity.key, "-cert_chain", certificates.between]
        with s_client(certificates, server.port, *options) as peer:
            peer.expect(alert_number(alert))


def test_we_require_a_client_certificate(certificates: Certificates) -> None:
    with Server(certificates.server_config(client_auth="required")) as server:
        with s_client(certificates, server.port, "-brief") as peer:
            peer.expect(alert_number("certificate_required"))


def test_they_require_a_client_certificate(certificates: Certificates) -> None:
    with s_server(certificates, "p256", "-Verify", "5", "-verify_return_error") as (_, port):
        with pytest.raises(TLSError, match="certificate_required"):
            echo_client(port, certificates.client_config(), [1])


@pytest.mark.parametrize(
    ("options", "alert"),
    [
        (["-tls1_2"], "protocol_version"),
        (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "protocol_version"),
        (["-ciphersuites", "TLS_AES_128_CCM_SHA256"], "handshake_failure"),
        (["-groups", "P-521"], "handshake_failure"),
        (["-sigalgs", "ECDSA+SHA512"], "handshake_failure"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].removeprefix("-"),
)
def test_nothing_in_common_our_server(certificates: Certificates, options: list[str], alert: str) -> None:
    with Server(certificates.server_config(versions=["TLSv1_3"])) as server:
        with s_client(certificates, server.port, "-brief", *options) as peer:
            peer.expect(alert_number(alert))
        error = server.served().error
        assert isinstance(error, PeerError)
        assert error.alert.name == alert


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-tls1_2"], "protocol_version|TLS 1.2"),
        (["-ciphersuites", "TLS_AES_128_CCM_SHA256"], "handshake_failure"),
        (["-groups", "P-521"], "handshake_failure"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0].removeprefix("-"),
)
def test_nothing_in_common_our_client(certificates: Certificates, options: list[str], words: str) -> None:
    with s_server(certificates, "p256", *options) as (_, port):
        with pytest.raises(TLSError) as caught:
            echo_client(port, certificates.client_config(versions=["TLSv1_3"]), [1])
        assert re.search(words, str(caught.value))
