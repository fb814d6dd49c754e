# SPDX-License-Identifier: Apache-2.0
"""s2n-tls through awscrt as the peer: its HTTP client at our server. awscrt has no server to connect to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import pytest
from harness import (
    BIG,
    GROUPS,
    LIMIT,
    LOOPBACK,
    NAME,
    SMALL,
    SUITES,
    Certificates,
    Served,
    Server,
    covering,
    matrix,
    payload,
)
from memory import saw_retry

from tlsfast import NamedGroup, TLSSocket, TLSVersion
from tlsfast.errors import CertificateRequired

io = pytest.importorskip("awscrt.io", reason="awscrt is not installed: pip install awscrt")
http = pytest.importorskip("awscrt.http", reason="awscrt is not installed: pip install awscrt")
exceptions = pytest.importorskip("awscrt.exceptions", reason="awscrt is not installed: pip install awscrt")
pytestmark = pytest.mark.interop


def echo_http(stream: TLSSocket, served: Served) -> None:
    """HTTP/1.1, as little as it takes: answer each request with its own body, until the client closes."""
    waiting = b""
    while True:
        while b"\r\n\r\n" not in waiting:
            data = stream.recv(65536)
            if not data:
                return
            waiting += data
        head, _, waiting = waiting.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        body = bytearray(waiting)
        length = int(fields[b"content-length"])
        while len(body) < length:
            data = stream.recv(1 << 20)
            assert data
            body += data
        waiting = bytes(body[length:])
        served.received += length
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        stream.sendall(bytes(body[:length]))


@contextmanager
def their_connection(certificates: Certificates, port: int, key: str | None = None, alpn: str = "") -> Iterator[Any]:
    """An HTTP connection of theirs over TLS 1.3; key: of the client's certificate."""
    if key is None:
        options = io.TlsContextOptions()
    else:
        client = certificates.client(key).entity
        options = io.TlsContextOptions.create_client_with_mtls(client.pem, client.key_pem)
    options.min_tls_ver = io.TlsVersion.TLSv1_3
    options.override_default_trust_store(certificates.root.cert_pem)
    if alpn:
        options.alpn_list = [alpn]
    tls = io.ClientTlsContext(options).new_connection_options()
    tls.set_server_name(NAME)
    group = io.EventLoopGroup(1)
    bootstrap = io.ClientBootstrap(group, io.DefaultHostResolver(group))
    connecting = http.HttpClientConnection.new(LOOPBACK, port, bootstrap, io.SocketOptions(), tls)
    connection = connecting.result(LIMIT)
    try:
        yield connection
    finally:
        connection.close().result(LIMIT)


def post(connection: Any, body: bytes) -> bytes:
    """Their request with this body; what came back."""
    headers = http.HttpHeaders([("host", NAME), ("content-length", str(len(body)))])
    back = bytearray()
    request = http.HttpRequest("POST", "/", headers, BytesIO(body))
    stream = connection.request(request, on_body=lambda http_stream, chunk, **_: back.extend(chunk))
    stream.activate()
    assert stream.completion_future.result(LIMIT) == 200
    return bytes(back)


ROWS = covering(
    suite=SUITES,
    group=GROUPS,
    key=("p256", "p384", "rsa2048", "rsapss2048"),  # s2n knows no ed25519 certificates
    client_auth=(None, "optional", "required"),
)


@matrix(ROWS)
def test_their_client(certificates: Certificates, row: dict[str, Any]) -> None:
    """Its client sends a share of P-256: other groups take a HelloRetryRequest."""
    seen: list[Any] = []
    config = certificates.server_config(
        row["key"],
        cipher_suites=[row["suite"]],
        groups=[row["group"]],
        client_auth=row["client_auth"],
        retry_cookie=True,
        observer=seen.append,
    )
    given = row["key"] if row["client_auth"] == "required" else None
    with Server(config, echo_http) as server:
        with their_connection(certificates, server.port, given) as connection:
            for size in SMALL:
                assert post(connection, payload(size)) == payload(size)
        info = server.completed()
    assert info.version is TLSVersion.TLSv1_3
    assert (info.cipher_suite, info.group, info.server_name) == (row["suite"], row["group"], NAME)
    assert info.peer_chain == (certificates.client(given).entity.chain if given else ())
    assert saw_retry(seen) is (row["group"] is not NamedGroup.secp256r1)


def test_much_data(certificates: Certificates) -> None:
    with Server(certificates.server_config(), echo_http) as server:
        with their_connection(certificates, server.port) as connection:
            assert post(connection, payload(BIG)) == payload(BIG)
        assert server.served().received == BIG


def test_alpn(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["h2", "http/1.1"]), echo_http) as server:
        with their_connection(certificates, server.port, alpn="http/1.1") as connection:
            assert post(connection, b"alpn") == b"alpn"
        assert server.completed().alpn == "http/1.1"


def test_we_require_a_client_certificate(certificates: Certificates) -> None:
    with Server(certificates.server_config(client_auth="required"), echo_http) as server:
        with pytest.raises(exceptions.AwsCrtError), their_connection(certificates, server.port) as connection:
            post(connection, b"anonymous")
        assert isinstance(server.served().error, CertificateRequired)


def test_they_refuse_our_server_certificate() -> None:
    pytest.skip("peer cannot fail at once: s2n waits 10 to 30 seconds before it ends a handshake that failed")


def test_their_server() -> None:
    pytest.skip("peer cannot be a server: awscrt has clients alone")


def test_resumption() -> None:
    pytest.skip("peer cannot resume: awscrt keeps no sessions")
