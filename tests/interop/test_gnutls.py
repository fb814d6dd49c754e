# SPDX-License-Identifier: Apache-2.0
"""GnuTLS (gnutls-cli, gnutls-serv) as the peer, both roles."""

from __future__ import annotations

import functools
import re
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
    Identity,
    Peer,
    Served,
    Server,
    bad,
    connect,
    covering,
    exchange,
    lines,
    listening,
    matrix,
    payload,
    read_exactly,
    require,
)

from tlsfast import (
    AlertDescription,
    AlertReceived,
    CipherSuite,
    ClientConfig,
    Credential,
    NamedGroup,
    PeerError,
    TLSError,
)
from tlsfast.events import MessageSeen
from tlsfast.handshake import resume
from tlsfast.messages.extensions import NewSessionTicketExtensions
from tlsfast.messages.handshake import ClientHello, EncryptedExtensions, HelloRetryRequest, NewSessionTicket

pytestmark = pytest.mark.interop

MEND = "apt-get install gnutls-bin"
ROWS = covering(
    suite=SUITES, group=GROUPS, key=KEYS, client_auth=CLIENT_AUTH, resume=(False, True), retry=(False, True)
)
CIPHERS = {
    CipherSuite.TLS_AES_128_GCM_SHA256: "AES-128-GCM",
    CipherSuite.TLS_AES_256_GCM_SHA384: "AES-256-GCM",
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256: "CHACHA20-POLY1305",
}
THEIR_GROUPS = {
    NamedGroup.x25519: "GROUP-X25519",
    NamedGroup.secp256r1: "GROUP-SECP256R1",
    NamedGroup.secp384r1: "GROUP-SECP384R1",
}


def priority(suites: Sequence[CipherSuite] = SUITES, groups: Sequence[NamedGroup] = GROUPS, more: str = "") -> str:
    ciphers = "".join(f":+{CIPHERS[suite]}" for suite in suites)
    curves = "".join(f":+{THEIR_GROUPS[group]}" for group in groups)
    return f"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL{ciphers}:-GROUP-ALL{curves}{more}"


def received_alert(name: str) -> str:
    return rf"Received alert .{AlertDescription[name].value}\b"


# ---- Their side ----


def gnutls_cli(
    certificates: Certificates, port: int, *options: Any, priorities: str | None = None, **more: Any
) -> Peer:
    """gnutls-cli, that verifies us. Its words and the data share its output, unless options name a --logfile."""
    program = require("gnutls-cli", MEND)
    names = ["--sni-hostname", NAME, "--verify-hostname", NAME, "--x509cafile", certificates.ca]
    argv = [
        "stdbuf",
        "-o0",
        program,
        "-p",
        str(port),
        LOOPBACK,
        *names,
        "--priority",
        priorities or priority(),
        *options,
    ]
    return Peer(argv, **more)


def their_echo(peer: Peer, data: bytes) -> None:
    already = len(peer.out)
    peer.send(data)
    assert peer.expect_output(already + len(data), start=already) == data


def finish(peer: Peer) -> None:
    peer.send_eof()
    assert peer.finish() == 0, peer.report()


@contextmanager
def gnutls_serv(
    certificates: Certificates,
    identity: Identity,
    *options: Any,
    ask: str | None = None,
    priorities: str | None = None,
    **more: Any,
) -> Iterator[tuple[Peer, int]]:
    """gnutls-serv --echo. It reads the next request only when the last was answered: never more than a record is sent ahead."""
    program = require("gnutls-serv", MEND)
    modes = {None: ["-a"], "optional": ["--verify-client-cert"], "required": ["-r", "--verify-client-cert"]}
    mine = ["--x509certfile", identity.chain, "--x509keyfile", identity.key, "--x509cafile", certificates.ca]

    def argv(port: int) -> Sequence[Any]:
        rest = ["--priority", priorities or priority(), *modes[ask], *options]
        return ["stdbuf", "-o0", program, "--echo", "-p", str(port), *mine, *rest]

    with listening(argv, **more) as (peer, port):
        yield peer, port


def line_client(port: int, config: ClientConfig, sizes: Sequence[int] = SMALL, *, name: str = NAME) -> Any:
    """echo_client with text: this server answers when a line is whole."""
    with connect(port, config, name=name) as stream:
        for size in sizes:
            exchange(stream, lines(size))
        return stream.info


# ---- The matrix ----


@matrix(ROWS)
def test_matrix_our_server(certificates: Certificates, row: dict[str, Any], tmp_path: Path) -> None:
    seen: list[Any] = []
    group, log = row["group"], tmp_path / "log"
    config = certificates.server_config(
        row["key"], groups=[group], client_auth=row["client_auth"], retry_cookie=True, observer=seen.append
    )
    first = NamedGroup.secp384r1 if group is NamedGroup.x25519 else NamedGroup.x25519
    offered = [first, group] if row["retry"] else [group]
    options: list[Any] = ["--logfile", log, "--single-key-share"]
    client = certificates.client(row["key"])
    if row["client_auth"] == "required":
        options += ["--x509certfile", client.chain, "--x509keyfile", client.key]
    if row["resume"]:
        options += ["--resume", "--waitresumption"]
    with Server(config) as server:
        with gnutls_cli(certificates, server.port, *options, priorities=priority([row["suite"]], offered)) as peer:
            for size in SMALL:
                their_echo(peer, payload(size))
            finish(peer)
        for number in range(2 if row["resume"] else 1):
            info = server.completed(number)
            assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], group, bool(number))
            assert info.peer_chain == (client.entity.chain if row["client_auth"] == "required" else ())
    said = log.read_text()
    assert f"-({CIPHERS[row['suite']]})" in said
    assert "The certificate is trusted" in said
    assert ("This is a resumed session" in said) is row["resume"]
    retries = [each for each in seen if isinstance(each, MessageSeen) and isinstance(each.message, HelloRetryRequest)]
    assert bool(retries) is row["retry"]


@matrix(ROWS)
def test_matrix_our_client(certificates: Certificates, row: dict[str, Any]) -> None:
    group = row["group"]
    first = NamedGroup.secp384r1 if group is NamedGroup.x25519 else NamedGroup.x25519
    config = certificates.client_config(
        cipher_suites=[row["suite"]],
        groups=[first, group] if row["retry"] else [group],
        credentials=[certificates.client(row["key"]).credential] if row["client_auth"] == "required" else [],
    )
    theirs = priority(groups=[group]) if row["retry"] else priority()
    identity = certificates.server(row["key"])
    with gnutls_serv(certificates, identity, ask=row["client_auth"], priorities=theirs) as (peer, port):
        for number in range(2 if row["resume"] else 1):
            info = line_client(port, config, SMALL)
            assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], group, bool(number))
            assert info.peer_chain == identity.entity.chain
        peer.expect(f"-\\({CIPHERS[row['suite']]}\\)")
        if row["client_auth"] == "required":
            peer.expect(f"CN={CLIENT_NAME}")


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_much_data_our_server(certificates: Certificates, suite: CipherSuite, tmp_path: Path) -> None:
    """16 MiB to our server and 1 MiB back: the peer writes its output byte by byte, which takes a second for each MiB."""
    answer = payload(BIG // 16)

    def handler(stream: Any, served: Served) -> None:
        assert read_exactly(stream, BIG) == payload(BIG)
        stream.sendall(answer)
        assert stream.recv(1) == b""

    with Server(certificates.server_config(cipher_suites=[suite]), handler) as server:
        with gnutls_cli(certificates, server.port, "--logfile", tmp_path / "log") as peer:
            peer.send(payload(BIG))
            assert peer.expect_output(len(answer)) == answer
            finish(peer)
        assert server.completed().cipher_suite is suite


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_much_data_our_client(certificates: Certificates, suite: CipherSuite) -> None:
    config = certificates.client_config(cipher_suites=[suite])
    with gnutls_serv(certificates, certificates.server()) as (_, port), connect(port, config) as stream:
        data = lines(BIG)
        for start in range(0, BIG, 16384):
            exchange(stream, data[start : start + 16384])
        assert stream.info.cipher_suite is suite


# ---- record_size_limit (RFC 8449) ----


def limits(seen: Sequence[Any]) -> list[int | None]:
    """What the ClientHello and the EncryptedExtensions said. The content type counts in (RFC 8449, 4): GnuTLS says one more than it is told."""
    return [
        each.message.extensions.record_size_limit
        for each in seen
        if isinstance(each, MessageSeen) and isinstance(each.message, ClientHello | EncryptedExtensions)
    ]


@pytest.mark.parametrize("ours", [64, 1000, 16384, None])
@pytest.mark.parametrize("theirs", [None, 512, 4096])
def test_record_size_limit_our_server(
    certificates: Certificates, tmp_path: Path, ours: int | None, theirs: int | None
) -> None:
    def handler(stream: Any, served: Served) -> None:
        assert read_exactly(stream, 50) == payload(50)
        stream.sendall(payload(100_000))
        while data := stream.recv(65536):
            served.received += len(data)

    seen: list[Any] = []
    config = certificates.server_config(record_size_limit=ours, observer=seen.append)
    options = ["--logfile", tmp_path / "log", *([] if theirs is None else ["--recordsize", str(theirs)])]
    with Server(config, handler) as server:
        with gnutls_cli(certificates, server.port, *options, priorities=priority(more=":%ALLOW_SMALL_RECORDS")) as peer:
            peer.send(payload(50))
            assert peer.expect_output(100_000) == payload(100_000)
            peer.send(payload(20_000))  # of each piece it reads it sends one record, and forgets the rest
            finish(peer)
        server.completed()
    assert limits(seen) == [16385 if theirs is None else theirs + 1, ours or 16385]
    sent = min(ours or 16385, 16385 if theirs is None else theirs + 1) - 1
    assert server.served().received == sum(min(sent, size) for size in pieces(20_000))


def pieces(size: int) -> list[int]:
    """How it reads its input."""
    return [min(4095, size - start) for start in range(0, size, 4095)]


@pytest.mark.parametrize("theirs", [512, 4096, None])
@pytest.mark.parametrize("ours", [512, 1000, 16385])
def test_record_size_limit_our_client(certificates: Certificates, ours: int, theirs: int | None) -> None:
    seen: list[Any] = []
    config = certificates.client_config(record_size_limit=ours, observer=seen.append)
    option = [] if theirs is None else ["--recordsize", str(theirs)]
    with gnutls_serv(certificates, certificates.server(), *option) as (_, port):
        line_client(port, config, [1, 100, 512])
    assert limits(seen) == [ours, 16385 if theirs is None else theirs + 1]


# ---- Extensions and options ----


def test_alpn_our_server(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["h2", "http/1.1"])) as server:
        with gnutls_cli(certificates, server.port, "--alpn", "spdy/1", "--alpn", "http/1.1", "--alpn", "h2") as peer:
            peer.expect("Application protocol: h2")
            finish(peer)
        assert server.completed().alpn == "h2"


def test_alpn_our_client(certificates: Certificates) -> None:
    with gnutls_serv(certificates, certificates.server(), "--alpn", "h2") as (_, port):
        assert line_client(port, certificates.client_config(alpn=["spdy/1", "h2"]), [1]).alpn == "h2"


def test_no_alpn_in_common(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["h2"])) as server:
        with gnutls_cli(certificates, server.port, "--alpn", "spdy/1") as peer:
            peer.expect(received_alert("no_application_protocol"))
    with gnutls_serv(certificates, certificates.server(), "--alpn", "h2", "--alpn-fatal") as (_, port):
        with pytest.raises(AlertReceived, match="no_application_protocol"):
            line_client(port, certificates.client_config(alpn=["spdy/1"]), [1])


def test_server_name_our_client(certificates: Certificates) -> None:
    with gnutls_serv(certificates, certificates.server(), "--sni-hostname", "localhost", "--sni-hostname-fatal") as (
        _,
        port,
    ):
        line_client(port, certificates.client_config(), [1], name="localhost")
        with pytest.raises(AlertReceived, match="unrecognized_name"):
            line_client(port, certificates.client_config(), [1])


@pytest.mark.parametrize("ours", [True, False], ids=["ours_on", "ours_off"])
@pytest.mark.parametrize("theirs", ["", ":%DISABLE_TLS13_COMPAT_MODE"], ids=["theirs_on", "theirs_off"])
def test_middlebox_compatibility(certificates: Certificates, tmp_path: Path, ours: bool, theirs: str) -> None:
    priorities = priority(more=theirs)
    with Server(certificates.server_config(middlebox_compatibility=ours)) as server:
        log = tmp_path / "log"
        with gnutls_cli(certificates, server.port, "--logfile", log, priorities=priorities) as peer:
            their_echo(peer, payload(100))
            finish(peer)
        server.completed()
    with gnutls_serv(certificates, certificates.server(), priorities=priorities) as (_, port):
        line_client(port, certificates.client_config(middlebox_compatibility=ours), [100])


def test_exporter(certificates: Certificates) -> None:
    exported: list[bytes] = []

    def handler(stream: Any, _: Served) -> None:
        exported.append(stream.export_keying_material("EXPERIMENTAL label", None, 48))
        stream.recv(1)

    options = ["--keymatexport", "EXPERIMENTAL label", "--keymatexportsize", "48"]
    with Server(certificates.server_config(), handler) as server:
        with gnutls_cli(certificates, server.port, *options) as peer:
            found = peer.expect("Key material: ([0-9a-f]{96})")
            finish(peer)
        server.completed()
    assert bytes.fromhex(found[1].decode()) == exported[0]
    with gnutls_serv(certificates, certificates.server(), *options) as (peer, port):
        with connect(port, certificates.client_config()) as stream:
            ours = stream.export_keying_material("EXPERIMENTAL label", None, 48)
            found = peer.expect("Key material: ([0-9a-f]{96})")
    assert bytes.fromhex(found[1].decode()) == ours


def test_key_logs(certificates: Certificates, tmp_path: Path) -> None:
    def logged(path: Path) -> set[str]:
        return {line for line in path.read_text().splitlines() if not line.startswith("#")}

    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with Server(certificates.server_config(keylog=ours)) as server:
        with gnutls_cli(
            certificates, server.port, "--logfile", tmp_path / "log", env={"SSLKEYLOGFILE": str(theirs)}
        ) as peer:
            their_echo(peer, b"x")
            finish(peer)
        server.completed()
    assert logged(ours) == logged(theirs)
    theirs, ours = tmp_path / "theirs2", tmp_path / "ours2"
    with gnutls_serv(certificates, certificates.server(), env={"SSLKEYLOGFILE": str(theirs)}) as (_, port):
        line_client(port, certificates.client_config(keylog=ours), [1])
    assert logged(ours) == logged(theirs)


# ---- KeyUpdate ----


def test_they_update_keys(certificates: Certificates) -> None:
    with Server(certificates.server_config()) as server:
        with gnutls_cli(certificates, server.port, "--inline-commands") as peer:
            peer.expect("Simple Client Mode")
            for number in range(4):
                peer.send(b"^rekey^\n" if number % 2 else b"^rekey1^\n")
                peer.expect("(?s)" + "Rekey was completed.*" * (number + 1))
                peer.send(f"message {number}\n".encode())
                peer.expect(f"message {number}")
            finish(peer)
        server.completed()


def test_we_update_keys(certificates: Certificates, tmp_path: Path) -> None:
    def handler(stream: Any, served: Served) -> None:
        while data := stream.recv(65536):
            served.received += len(data)
            stream.connection.update_keys(request_peer=served.received % 2 == 0)
            stream.sendall(data)

    with Server(certificates.server_config(), handler) as server:
        with gnutls_cli(certificates, server.port, "--logfile", tmp_path / "log") as peer:
            for size in (1, 1, 100, 101, 16385):
                their_echo(peer, payload(size))
            finish(peer)
        server.completed()
    with gnutls_serv(certificates, certificates.server()) as (_, port):
        with connect(port, certificates.client_config()) as stream:
            for number in range(6):
                stream.connection.update_keys(request_peer=number % 2 == 0)
                exchange(stream, lines(100 + number))


# ---- OCSP ----


def test_our_staple(certificates: Certificates, tmp_path: Path) -> None:
    leaf, saved = certificates.server().entity, tmp_path / "saved"
    response = pki.ocsp_response(leaf)
    credential = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=response)
    with Server(certificates.server_config(credentials=[credential])) as server:
        with gnutls_cli(certificates, server.port, "--save-ocsp", saved) as peer:
            peer.expect("Handshake was completed")
            finish(peer)
        server.completed()
    assert saved.read_bytes() == response


@pytest.mark.parametrize(("status", "alert"), [("good", None), ("revoked", AlertDescription.certificate_revoked)])
def test_their_staple(certificates: Certificates, tmp_path: Path, status: str, alert: AlertDescription | None) -> None:
    staple = tmp_path / "staple.der"
    staple.write_bytes(pki.ocsp_response(certificates.server().entity, status=status))
    seen: list[Any] = []
    config = certificates.client_config(verify=seen.append)
    options = ["--ocsp-response", staple, "--ignore-ocsp-response-errors"]
    with gnutls_serv(certificates, certificates.server(), *options) as (peer, port):
        if alert is None:
            line_client(port, config, [1])
            assert seen[0].ocsp_response == staple.read_bytes()
        else:
            with pytest.raises(PeerError, match="revoked"):
                line_client(port, config, [1])
            peer.expect(received_alert(alert.name))


# ---- Early data, which our server refuses and skips ----


@pytest.mark.parametrize("size", [1, 5000, 16000])
def test_early_data_is_skipped(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, size: int
) -> None:
    """Our tickets allow early data here, as if we had taken it until a moment ago.

    Not after a HelloRetryRequest: GnuTLS 3.7.9 then offers early data again, and sends its second ClientHello under the key of the early data."""
    allowed = NewSessionTicketExtensions(early_data=0xFFFF)
    monkeypatch.setattr(resume, "NewSessionTicket", functools.partial(NewSessionTicket, extensions=allowed))
    early, log = tmp_path / "early", tmp_path / "log"
    early.write_bytes(b"E" * size)
    seen: list[Any] = []
    options = ["--resume", "--waitresumption", "--earlydata", early, "--logfile", log]
    with Server(certificates.server_config(observer=seen.append)) as server:
        with gnutls_cli(certificates, server.port, *options) as peer:
            their_echo(peer, b"real data\n")
            finish(peer)
        assert server.completed(1).resumed
        assert server.served(1).received == len(b"real data\n")
    hellos = [each.message for each in seen if isinstance(each, MessageSeen) and isinstance(each.message, ClientHello)]
    assert any(hello.extensions.early_data for hello in hellos)


# ---- Refusals ----


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_we_refuse_their_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, NAME)
    with gnutls_serv(certificates, identity) as (peer, port):
        with pytest.raises(PeerError) as caught:
            line_client(port, certificates.client_config(), [1])
        assert caught.value.alert.name == alert
        peer.expect(received_alert(alert))


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_they_refuse_our_certificate(certificates: Certificates, case: str) -> None:
    identity = bad(certificates, case, NAME)
    with Server(certificates.server_config(credentials=[identity.credential])) as server:
        with gnutls_cli(certificates, server.port) as peer:
            peer.expect("certificate is NOT trusted")
            assert peer.finish() == 1
        assert isinstance(server.served().error, AlertReceived)


@pytest.mark.parametrize("case", BAD)
def test_we_refuse_their_client_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, CLIENT_NAME)
    with Server(certificates.server_config(client_auth="required")) as server:
        with gnutls_cli(
            certificates, server.port, "--x509certfile", identity.chain, "--x509keyfile", identity.key
        ) as peer:
            peer.expect(received_alert(alert))


def test_we_require_a_client_certificate(certificates: Certificates) -> None:
    with Server(certificates.server_config(client_auth="required")) as server:
        with gnutls_cli(certificates, server.port) as peer:
            peer.expect(received_alert("certificate_required"))


def test_they_require_a_client_certificate(certificates: Certificates) -> None:
    with gnutls_serv(certificates, certificates.server(), ask="required") as (_, port):
        with pytest.raises(TLSError, match="certificate_required"):
            line_client(port, certificates.client_config(), [1])


@pytest.mark.parametrize(
    ("priorities", "alert"),
    [
        ("NORMAL:-VERS-ALL:+VERS-TLS1.2", "protocol_version"),
        (priority().replace("-CIPHER-ALL", "-CIPHER-ALL:+AES-128-CCM").split(":+AES-128-GCM")[0], "handshake_failure"),
        ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+GROUP-SECP521R1", "handshake_failure"),
        ("NORMAL:-VERS-ALL:+VERS-TLS1.3:-SIGN-ALL:+SIGN-ECDSA-SECP521R1-SHA512", "handshake_failure"),
    ],
    ids=["tls1.2", "cipher", "group", "signature"],
)
def test_nothing_in_common_our_server(certificates: Certificates, priorities: str, alert: str) -> None:
    with Server(certificates.server_config(versions=["TLSv1_3"])) as server:
        with gnutls_cli(certificates, server.port, priorities=priorities) as peer:
            peer.expect(received_alert(alert), limit=LIMIT)
        error = server.served().error
        assert isinstance(error, PeerError)
        assert error.alert.name == alert


def test_nothing_in_common_our_client(certificates: Certificates) -> None:
    theirs = "NORMAL:-VERS-ALL:+VERS-TLS1.2"
    with gnutls_serv(certificates, certificates.server(), priorities=theirs) as (peer, port):
        with pytest.raises(TLSError) as caught:
            line_client(port, certificates.client_config(versions=["TLSv1_3"]), [1])
        assert re.search("protocol_version|handshake_failure|TLS 1.2", str(caught.value))
