# SPDX-License-Identifier: Apache-2.0
"""curl against a small HTTPS server of ours, and what else knocks at an HTTPS port: plain HTTP, old TLS."""

from __future__ import annotations

import http.server
import re
import threading
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
    LOOPBACK,
    NAME,
    SUITES,
    Certificates,
    Peer,
    Served,
    Server,
    bad,
    connect,
    covering,
    matrix,
    payload,
    read_exactly,
    require,
)

from tlsfast import AlertDescription, AlertReceived, Credential, NamedGroup
from tlsfast.errors import NotTLS

pytestmark = pytest.mark.interop

ROWS = covering(
    suite=SUITES, group=GROUPS, key=KEYS, client_auth=CLIENT_AUTH, resume=(False, True), retry=(False, True)
)
THEIR_GROUPS = {NamedGroup.x25519: "X25519", NamedGroup.secp256r1: "P-256", NamedGroup.secp384r1: "P-384"}


def answer(stream: Any, served: Served) -> None:
    """One HTTP/1.1 request, answered by its own body, or by a line without one."""
    head = b""
    while b"\r\n\r\n" not in head:
        part = stream.recv(65536)
        if not part:
            return
        head += part
    head, _, body = head.partition(b"\r\n\r\n")
    size = re.search(rb"(?i)content-length: (\d+)", head)
    if b"100-continue" in head:
        stream.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    if size:
        body += read_exactly(stream, int(size[1]) - len(body))
    served.received = len(body)
    body = body if size else b"hello\n"
    stream.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def curl(
    certificates: Certificates, port: int, *options: Any, scheme: str = "https", urls: int = 1, **more: Any
) -> Peer:
    program = require("curl", "apt-get install curl")
    argv: list[Any] = [
        program,
        "-sS",
        "-v",
        "--http1.1",
        "--cacert",
        certificates.ca,
        "--resolve",
        f"{NAME}:{port}:{LOOPBACK}",
    ]
    return Peer([*argv, *options, *[f"{scheme}://{NAME}:{port}/"] * urls], **more)


def succeed(peer: Peer) -> bytes:
    with peer:
        assert peer.finish() == 0, peer.report()
        return bytes(peer.out)


def fail(peer: Peer, status: int) -> str:
    with peer:
        assert peer.finish() == status, peer.report()
        return bytes(peer.err).decode()


@matrix(ROWS)
def test_matrix(certificates: Certificates, row: dict[str, Any]) -> None:
    group = row["group"]
    config = certificates.server_config(row["key"], groups=[group], client_auth=row["client_auth"])
    other = "P-384" if group is NamedGroup.x25519 else "X25519"
    client = certificates.client(row["key"])
    curves = f"{other}:{THEIR_GROUPS[group]}" if row["retry"] else THEIR_GROUPS[group]
    options = ["--tls13-ciphers", row["suite"].name, "--curves", curves]
    if row["client_auth"] == "required":
        options += ["--cert", client.chain, "--key", client.key]
    count = 2 if row["resume"] else 1
    with Server(config, answer) as server:
        assert succeed(curl(certificates, server.port, *options, urls=count)) == b"hello\n" * count
        for number in range(count):
            info = server.completed(number)
            assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], group, bool(number))
            assert info.server_name == NAME
            assert info.peer_chain == (client.entity.chain if row["client_auth"] == "required" else ())


@pytest.mark.parametrize("size", [1, 16384, 16385, BIG])
def test_data_there_and_back(certificates: Certificates, tmp_path: Path, size: int) -> None:
    data, back = tmp_path / "data", tmp_path / "back"
    data.write_bytes(payload(size))
    with Server(certificates.server_config(), answer) as server:
        succeed(curl(certificates, server.port, "--data-binary", f"@{data}", "-o", back))
        assert server.served().received == size
    assert back.read_bytes() == payload(size)


def test_alpn(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["http/1.1"]), answer) as server:
        succeed(curl(certificates, server.port))
        assert server.completed().alpn == "http/1.1"
    with Server(certificates.server_config(alpn=["spdy/1"]), answer) as server:
        assert re.search("no application protocol|alert number 120", fail(curl(certificates, server.port), 35))


def test_key_log(certificates: Certificates, tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with Server(certificates.server_config(keylog=ours), answer) as server:
        succeed(curl(certificates, server.port, env={"SSLKEYLOGFILE": str(theirs)}))
    assert set(theirs.read_text().split("\n")) == set(ours.read_text().split("\n"))


def test_our_staple(certificates: Certificates) -> None:
    leaf = certificates.server().entity
    credential = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=pki.ocsp_response(leaf))
    with Server(certificates.server_config(credentials=[credential]), answer) as server:
        succeed(curl(certificates, server.port, "--cert-status"))
    with Server(certificates.server_config(), answer) as server:  # without a staple it refuses
        fail(curl(certificates, server.port, "--cert-status"), 91)


# ---- Refusals ----


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_it_refuses_our_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, NAME)
    with Server(certificates.server_config(credentials=[identity.credential]), answer) as server:
        fail(curl(certificates, server.port), 60)
        error = server.served().error
        if case != "wrong_name":
            assert isinstance(error, AlertReceived)
            assert error.description == AlertDescription[alert]
        else:  # it judges the name after the handshake, and closes before it asks anything
            assert error is None


@pytest.mark.parametrize("case", BAD)
def test_we_refuse_its_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, CLIENT_NAME)
    with Server(certificates.server_config(client_auth="required"), answer) as server:
        said = fail(curl(certificates, server.port, "--cert", identity.chain, "--key", identity.key), 56)
        assert alert.replace("_", " ") in said


def test_we_require_a_certificate(certificates: Certificates) -> None:
    with Server(certificates.server_config(client_auth="required"), answer) as server:
        assert "certificate required" in fail(curl(certificates, server.port), 56)


def test_old_tls(certificates: Certificates) -> None:
    with Server(certificates.server_config(versions=["TLSv1_3"]), answer) as server:
        said = fail(curl(certificates, server.port, "--tls-max", "1.2"), 35)
        assert "protocol version" in said


# ---- Plain HTTP ----


def test_plain_http_to_our_server(certificates: Certificates) -> None:
    with Server(certificates.server_config(), answer) as server:
        with curl(certificates, server.port, scheme="http") as peer:
            assert peer.finish() != 0
            assert b"hello" not in peer.out
        error = server.served().error
        assert isinstance(error, NotTLS)
        assert "HTTP" in str(error)


def test_our_client_to_plain_http(certificates: Certificates) -> None:
    """The standard library's HTTP server, in the clear: it answers a ClientHello by an error page."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

    with http.server.HTTPServer((LOOPBACK, 0), Quiet) as plain:
        thread = threading.Thread(target=plain.handle_request, daemon=True)
        thread.start()
        with pytest.raises(NotTLS, match="HTTP"):
            connect(plain.server_port, certificates.client_config())
        thread.join(10)
