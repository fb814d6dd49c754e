# SPDX-License-Identifier: Apache-2.0
"""TLS 1.2 with the programs of OpenSSL, GnuTLS and Node, and with curl: the same rows for each, and what each has of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pki
import pytest
import test_curl as curl
import test_gnutls as gnutls
import test_node as node
import test_openssl as openssl
from harness import (
    CLIENT_NAME,
    GROUPS,
    NAME,
    SMALL,
    Certificates,
    Server,
    bad,
    connect,
    covering,
    echo_client,
    matrix,
    payload,
)
from tls12 import (
    AXES12,
    ECDHE,
    FEW,
    STATIC_RSA,
    check_ours12,
    client_groups,
    client_identity,
    is_no_row,
    openssl_name,
    our_client12,
    our_server12,
    rounds,
    server_identity,
)

from tlsfast import AlertDescription, AlertReceived, CipherSuite, Credential, PeerError

pytestmark = pytest.mark.interop

BIG = 1024 * 1024


def check_served(server: Server, row: dict[str, Any]) -> None:
    """What our server saw of each connection of a row."""
    own = None
    for number, resumed in enumerate(rounds(row)):
        info = server.completed(number)
        check_ours12(info, row, resumed)
        assert bool(info.peer_chain) is (row["client_auth"] == "required")
        own = own or info.peer_chain
        assert info.peer_chain == own


# ---- OpenSSL 3: s_client, s_server ----

ASK = {None: [], "optional": ["-verify", "5"], "required": ["-Verify", "5", "-verify_return_error"]}


def openssl_options(suite: CipherSuite) -> list[Any]:
    return ["-tls1_2", "-cipher", f"{openssl_name(suite)}:@SECLEVEL=0"]


@matrix(covering(is_no_row, **AXES12))
def test_openssl_our_server(certificates: Certificates, row: dict[str, Any], tmp_path: Path) -> None:
    session = tmp_path / "session"
    options = [*openssl_options(row["suite"]), "-brief", "-sess_out", session]
    if own := client_identity(certificates, row):
        options += ["-cert", own.chain, "-key", own.key, "-cert_chain", certificates.between]
    with Server(our_server12(certificates, row)) as server:
        for resumed in rounds(row):
            given = ["-sess_in", session] if resumed else []
            with openssl.s_client(certificates, server.port, *options, *given) as peer:
                for size in SMALL:
                    openssl.their_echo(peer, payload(size))
                openssl.finish(peer)
                peer.expect(f"Ciphersuite: {openssl_name(row['suite'])}\n")
                peer.expect("Verification: OK")
        check_served(server, row)


@matrix(covering(is_no_row, **AXES12))
def test_openssl_our_client(certificates: Certificates, row: dict[str, Any]) -> None:
    identity = server_identity(certificates, row)
    tickets = [] if row["resume"] == "ticket" else ["-no_ticket"]
    options = [*openssl_options(row["suite"]), *tickets, *ASK[row["client_auth"]], "-id_prefix", "interop"]
    config = our_client12(certificates, row)
    with openssl.s_server_as(identity.chain, identity.key, certificates, *options) as (peer, port):
        for resumed in rounds(row):
            info = echo_client(port, config, SMALL)
            check_ours12(info, row, resumed)
            assert info.peer_chain == identity.entity.chain
        peer.expect(f"Ciphersuite: {openssl_name(row['suite'])}\n")
        if row["client_auth"] == "required":
            peer.expect(f"Peer certificate: CN = {CLIENT_NAME}")


@pytest.mark.parametrize("suite", [ECDHE[0], STATIC_RSA[0]], ids=lambda suite: suite.name)
def test_openssl_much_data(certificates: Certificates, suite: CipherSuite) -> None:
    row = next(row for row in covering(is_no_row, **AXES12) if row["suite"] is suite)
    row = {**row, "client_auth": None, "resume": None}
    with Server(our_server12(certificates, row)) as server:
        with openssl.s_client(certificates, server.port, "-brief", *openssl_options(suite)) as peer:
            openssl.their_echo(peer, payload(BIG))
            openssl.finish(peer)
        assert server.served().received == BIG
    identity = server_identity(certificates, row)
    with openssl.s_server_as(identity.chain, identity.key, certificates, *openssl_options(suite)) as (_, port):
        echo_client(port, our_client12(certificates, row), [BIG])


def test_openssl_renegotiation_our_server(certificates: Certificates) -> None:
    """R asks for it; our warning ends their side."""
    with Server(certificates.server_config()) as server:
        with openssl.s_client(certificates, server.port, "-tls1_2") as peer:
            peer.expect("Verify return code: 0")
            peer.send(b"R\n")
            peer.expect("no renegotiation")
        error = server.served().error
    assert isinstance(error, AlertReceived)
    assert error.description is AlertDescription.handshake_failure


@pytest.mark.parametrize("letter", ["r", "R"])
def test_openssl_renegotiation_our_client(certificates: Certificates, letter: str) -> None:
    with openssl.s_server(certificates, "p256", "-tls1_2", echo=False) as (peer, port):
        with connect(port, certificates.client_config()) as stream:
            peer.expect("CIPHER is")
            peer.send(f"{letter}\n".encode())
            with pytest.raises(AlertReceived, match="handshake_failure"):
                stream.recv(1)
        peer.expect("no renegotiation")


def test_openssl_staples(certificates: Certificates, tmp_path: Path) -> None:
    leaf = certificates.server().entity
    credential = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=pki.ocsp_response(leaf))
    with Server(certificates.server_config(credentials=[credential])) as server:
        with openssl.s_client(certificates, server.port, "-tls1_2", "-status") as peer:
            peer.expect("Cert Status: good")
            openssl.finish(peer)
        server.completed()
    staple, seen = tmp_path / "staple.der", list[Any]()
    staple.write_bytes(pki.ocsp_response(leaf))
    with openssl.s_server(certificates, "p256", "-tls1_2", "-status_file", staple) as (_, port):
        echo_client(port, certificates.client_config(verify=seen.append), [1])
    assert seen[0].ocsp_response == staple.read_bytes()
    staple.write_bytes(pki.ocsp_response(leaf, status="revoked"))
    with openssl.s_server(certificates, "p256", "-tls1_2", "-status_file", staple) as (peer, port):
        with pytest.raises(PeerError, match="revoked"):
            echo_client(port, certificates.client_config(), [1])
        peer.expect(openssl.alert_number("certificate_revoked"))


@pytest.mark.parametrize("scheme", ["rsa_pkcs1", "rsa_pss_rsae"])
@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_openssl_rsa_signatures(certificates: Certificates, scheme: str, digest: str) -> None:
    """The scheme that the client insists on, in both directions; ECDSA is for the intermediate's signature."""
    name = f"{scheme}_{digest}"
    theirs = f"{'RSA' if scheme == 'rsa_pkcs1' else 'RSA-PSS'}+{digest.upper()}:ECDSA+SHA256"
    with Server(certificates.server_config("rsa2048")) as server:
        with openssl.s_client(certificates, server.port, "-tls1_2", "-brief", "-sigalgs", theirs) as peer:
            openssl.finish(peer)
        assert getattr(server.completed().signature_scheme, "name", None) == name
    with openssl.s_server(certificates, "rsa2048", "-tls1_2") as (_, port):
        config = certificates.client_config(signature_schemes=[name])
        assert getattr(echo_client(port, config, [1]).signature_scheme, "name", None) == name


def test_openssl_fallback(certificates: Certificates) -> None:
    """RFC 7507: a client that fell back from TLS 1.3 is told where that was needless, by either server."""
    with Server(certificates.server_config()) as server:
        with openssl.s_client(certificates, server.port, "-brief", "-tls1_2", "-fallback_scsv") as peer:
            peer.expect(openssl.alert_number("inappropriate_fallback"))
    config = certificates.client_config(versions=["TLSv1_2"], fallback_scsv=True)
    with openssl.s_server(certificates, "p256") as (_, port):
        with pytest.raises(AlertReceived, match="inappropriate_fallback"):
            echo_client(port, config, [1])


# ---- GnuTLS: gnutls-cli, gnutls-serv ----


def priority12(suite: CipherSuite, groups: Any) -> str:
    exchange_, _, cipher = suite.name.removeprefix("TLS_").partition("_WITH_")
    ciphers = {"AES_128_GCM_SHA256": "AES-128-GCM", "AES_256_GCM_SHA384": "AES-256-GCM"}
    curves = "".join(f":+{gnutls.THEIR_GROUPS[group]}" for group in groups)
    return (
        f"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+{ciphers.get(cipher, 'CHACHA20-POLY1305')}"
        f":-KX-ALL:+{exchange_.replace('_', '-')}:-GROUP-ALL{curves}"
    )


@matrix(FEW)
def test_gnutls_our_server(certificates: Certificates, row: dict[str, Any], tmp_path: Path) -> None:
    log = tmp_path / "log"
    options: list[Any] = ["--logfile", log, *([] if row["resume"] == "ticket" else ["--noticket"])]
    if own := client_identity(certificates, row):
        options += ["--x509certfile", own.chain, "--x509keyfile", own.key]
    if row["resume"]:
        options += ["--resume"]
    with Server(our_server12(certificates, row)) as server:
        times = 1 if row["resume"] else 2
        for _ in range(times):
            theirs = priority12(row["suite"], client_groups(row))
            with gnutls.gnutls_cli(certificates, server.port, *options, priorities=theirs) as peer:
                for size in SMALL:
                    gnutls.their_echo(peer, payload(size))
                gnutls.finish(peer)
        check_served(server, row)
    assert ("This is a resumed session" in log.read_text()) is bool(row["resume"])


@matrix(FEW)
def test_gnutls_our_client(certificates: Certificates, row: dict[str, Any]) -> None:
    identity = server_identity(certificates, row)
    config = our_client12(certificates, row)
    options = [] if row["resume"] == "ticket" else ["--noticket"]
    theirs = priority12(row["suite"], client_groups(row))
    with gnutls.gnutls_serv(certificates, identity, *options, ask=row["client_auth"], priorities=theirs) as (_, port):
        for resumed in rounds(row):
            info = gnutls.line_client(port, config, SMALL)
            check_ours12(info, row, resumed)
            assert info.peer_chain == identity.entity.chain


def test_gnutls_refused_certificates(certificates: Certificates) -> None:
    with gnutls.gnutls_serv(
        certificates, bad(certificates, "wrong_name", NAME), priorities=priority12(ECDHE[0], GROUPS)
    ) as (peer, port):
        with pytest.raises(PeerError, match="other.test"):
            gnutls.line_client(port, certificates.client_config(), [1])
        peer.expect(gnutls.received_alert("bad_certificate"))


# ---- Node ----


@matrix([row for row in FEW if row["resume"] != "session_id"])
def test_node(certificates: Certificates, row: dict[str, Any]) -> None:
    """Node resumes by ticket alone."""
    own, identity = client_identity(certificates, row), server_identity(certificates, row)
    times = rounds(row)
    limits: dict[str, Any] = {
        "minVersion": "TLSv1.2",
        "maxVersion": "TLSv1.2",
        "ciphers": f"{openssl_name(row['suite'])}:@SECLEVEL=0",
    }
    mine: dict[str, Any] = {"cert": own.chain, "key": own.key} if own else {}
    with Server(our_server12(certificates, row)) as server:
        said = node.run_client(certificates, server.port, connections=len(times), **limits, **mine)
        check_served(server, row)
    expected = [(row["suite"].name, "TLSv1.2", resumed) for resumed in times]
    assert [(each["suite"], each["version"], each["resumed"]) for each in said] == expected
    asks = {"requestCert": row["client_auth"] is not None, "rejectUnauthorized": row["client_auth"] == "required"}
    config = our_client12(certificates, row)
    with node.server_peer(certificates, identity, **limits, **asks) as (peer, port):
        for resumed in times:
            check_ours12(echo_client(port, config, SMALL), row, resumed)
        assert [each["resumed"] for each in node.connections(peer, len(times))] == list(times)


# ---- curl ----


@matrix(FEW)
def test_curl(certificates: Certificates, row: dict[str, Any]) -> None:
    own = client_identity(certificates, row)
    options: list[Any] = ["--tlsv1.2", "--tls-max", "1.2", "--ciphers", f"{openssl_name(row['suite'])}:@SECLEVEL=0"]
    options += ["--cert", own.chain, "--key", own.key] if own else []
    times = rounds(row)
    with Server(our_server12(certificates, row, alpn=["http/1.1"]), curl.answer) as server:
        said = curl.succeed(curl.curl(certificates, server.port, *options, urls=len(times)))
        assert said == b"hello\n" * len(times)
        check_served(server, row)
        assert server.completed().alpn == "http/1.1"


def test_curl_refuses_our_certificate(certificates: Certificates) -> None:
    wrong = bad(certificates, "unknown_ca", NAME)
    with Server(certificates.server_config(credentials=[wrong.credential]), curl.answer) as server:
        curl.fail(curl.curl(certificates, server.port, "--tls-max", "1.2"), 60)
        error = server.served().error
    assert isinstance(error, AlertReceived)
    assert error.description is AlertDescription.unknown_ca
