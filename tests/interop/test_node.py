# SPDX-License-Identifier: Apache-2.0
"""Node's tls module as the peer, both roles, by small scripts that take their options and answer as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
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
    echo_client,
    exchange,
    listening,
    matrix,
    payload,
    read_exactly,
    require,
)

from tlsfast import AlertDescription, AlertReceived, CipherSuite, Credential, NamedGroup, PeerError, TLSError

pytestmark = pytest.mark.interop

ROWS = covering(
    suite=SUITES, group=GROUPS, key=KEYS, client_auth=CLIENT_AUTH, resume=(False, True), retry=(False, True)
)
THEIR_GROUPS = {NamedGroup.x25519: "X25519", NamedGroup.secp256r1: "P-256", NamedGroup.secp384r1: "P-384"}

COMMON = """
const tls = require('tls'), fs = require('fs'), crypto = require('crypto');
const o = JSON.parse(process.argv[1]);
for (const name of ['ca', 'cert', 'key']) if (o[name]) o[name] = fs.readFileSync(o[name]);
o.minVersion ||= 'TLSv1.3';
const say = (value) => fs.writeSync(1, JSON.stringify(value) + '\\n');
const about = (socket) => ({
    suite: socket.getCipher().standardName, version: socket.getProtocol(), resumed: socket.isSessionReused(),
    alpn: socket.alpnProtocol, peer: (socket.getPeerCertificate().subject || {}).CN || null, servername: socket.servername,
    exported: socket.exportKeyingMaterial(48, 'EXPERIMENTAL label', Buffer.from('context')).toString('hex'),
});
"""

CLIENT = (
    COMMON
    + """
function once(session, then) {
    const keys = [];
    let ocsp = null, next = null, ended = false;
    const socket = tls.connect({ ...o, session });
    socket.on('keylog', (line) => keys.push(line.toString().trim()));
    socket.on('OCSPResponse', (response) => { ocsp = response && response.toString('hex'); });
    socket.on('session', (data) => { next = data; });
    socket.on('error', (error) => { say({ error: error.message, code: error.code }); process.exit(1); });
    socket.once('secureConnect', () => {
        if (o.fragment) socket.setMaxSendFragment(o.fragment);
        const data = Buffer.concat(o.sizes.map((size) => crypto.randomBytes(size)));
        const parts = [];
        let have = 0;
        const finish = () => {
            say({ ...about(socket), keys, ocsp, echoed: Buffer.concat(parts).equals(data), length: have });
            socket.end();
        };
        socket.on('data', (part) => {
            parts.push(part);
            have += part.length;
            if (have - part.length < data.length && have >= data.length) finish();
        });
        socket.on('end', () => { ended = true; });
        socket.on('close', () => then(next, ended));
        if (data.length) socket.write(data); else finish();
    });
}
let left = o.connections;
const go = (session, ended) => {
    if (ended === false) say({ error: 'no close_notify' });
    if (left-- > 0) once(session, go);
};
go();
"""
)

SERVER = (
    COMMON
    + """
const server = tls.createServer({ ...o, allowHalfOpen: true, ALPNCallback: undefined }, (socket) => {
    say(about(socket));
    socket.on('error', (error) => say({ error: error.message, code: error.code }));
    if (o.fragment) socket.setMaxSendFragment(o.fragment);
    if (o.last) {  // it speaks after we have closed our side
        socket.resume();
        socket.on('end', () => socket.end(o.last));
    } else {
        socket.pipe(socket);
    }
});
server.on('tlsClientError', (error) => say({ error: error.message, code: error.code }));
server.on('keylog', (line) => say({ key: line.toString().trim() }));
if (o.ocsp) server.on('OCSPRequest', (certificate, issuer, then) => then(null, Buffer.from(o.ocsp, 'hex')));
server.listen(o.port, '127.0.0.1');
"""
)


def node() -> str:
    return require("node", "apt-get install nodejs")


def answers(peer: Peer) -> list[dict[str, Any]]:
    """The whole lines it has printed so far."""
    return [json.loads(line) for line in bytes(peer.out).split(b"\n")[:-1]]


def as_json(options: dict[str, Any]) -> str:
    return json.dumps(options, default=os.fspath)


def client_peer(certificates: Certificates, port: int, **options: Any) -> Peer:
    defaults = {
        "host": LOOPBACK,
        "port": port,
        "servername": NAME,
        "ca": certificates.ca,
        "sizes": SMALL,
        "connections": 1,
    }
    return Peer([node(), "-e", CLIENT, as_json({**defaults, **options})])


def run_client(certificates: Certificates, port: int, *, status: int = 0, **options: Any) -> list[dict[str, Any]]:
    """Run it to its end; what it said, one entry for each connection."""
    with client_peer(certificates, port, **options) as peer:
        assert peer.finish() == status, peer.report()
        said = answers(peer)
    if status == 0:
        assert all(each.get("echoed") for each in said), said
        assert len(said) == options.get("connections", 1)
    return said


@contextmanager
def server_peer(certificates: Certificates, identity: Identity, **options: Any) -> Iterator[tuple[Peer, int]]:
    defaults = {"ca": certificates.ca, "cert": identity.chain, "key": identity.key}
    with listening(lambda port: [node(), "-e", SERVER, as_json({**defaults, **options, "port": port})]) as both:
        yield both


def connections(peer: Peer, count: int) -> list[dict[str, Any]]:
    """What a server said of so many connections."""

    def said() -> list[dict[str, Any]]:
        return [each for each in answers(peer) if "suite" in each]

    peer.wait(lambda: len(said()) >= count, LIMIT, f"{count} connections")
    return said()


# ---- The matrix ----


@matrix(ROWS)
def test_matrix_our_server(certificates: Certificates, row: dict[str, Any]) -> None:
    group = row["group"]
    config = certificates.server_config(row["key"], groups=[group], client_auth=row["client_auth"])
    other = "P-384" if group is NamedGroup.x25519 else "X25519"
    client = certificates.client(row["key"])
    mine: dict[str, Any] = {"cert": client.chain, "key": client.key} if row["client_auth"] == "required" else {}
    with Server(config) as server:
        said = run_client(
            certificates,
            server.port,
            connections=2 if row["resume"] else 1,
            ciphers=row["suite"].name,
            ecdhCurve=f"{other}:{THEIR_GROUPS[group]}" if row["retry"] else THEIR_GROUPS[group],
            **mine,
        )
        for number, each in enumerate(said):
            info = server.completed(number)
            assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], group, bool(number))
            assert info.peer_chain == (client.entity.chain if row["client_auth"] == "required" else ())
            assert (each["suite"], each["version"], each["resumed"]) == (row["suite"].name, "TLSv1.3", bool(number))
            assert each["length"] == sum(SMALL)


@matrix(ROWS)
def test_matrix_our_client(certificates: Certificates, row: dict[str, Any]) -> None:
    group = row["group"]
    other = NamedGroup.secp384r1 if group is NamedGroup.x25519 else NamedGroup.x25519
    config = certificates.client_config(
        cipher_suites=[row["suite"]],
        groups=[other, group] if row["retry"] else [group],
        credentials=[certificates.client(row["key"]).credential] if row["client_auth"] == "required" else [],
    )
    identity = certificates.server(row["key"])
    options = {
        "requestCert": row["client_auth"] is not None,
        "rejectUnauthorized": row["client_auth"] == "required",
        "ecdhCurve": THEIR_GROUPS[group] if row["retry"] else ":".join(THEIR_GROUPS.values()),
    }
    count = 2 if row["resume"] else 1
    with server_peer(certificates, identity, **options) as (peer, port):
        for number in range(count):
            info = echo_client(port, config, SMALL)
            assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], group, bool(number))
            assert info.peer_chain == identity.entity.chain
        said = connections(peer, count)
    assert [each["resumed"] for each in said] == [False, True][:count]
    assert {each["suite"] for each in said} == {row["suite"].name}
    assert {each["peer"] for each in said} == {CLIENT_NAME if row["client_auth"] == "required" else None}


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_much_data(certificates: Certificates, suite: CipherSuite) -> None:
    with Server(certificates.server_config(cipher_suites=[suite])) as server:
        assert run_client(certificates, server.port, sizes=[BIG])[0]["length"] == BIG
    with server_peer(certificates, certificates.server()) as (_, port):
        echo_client(port, certificates.client_config(cipher_suites=[suite]), [BIG])


# ---- Extensions and options ----


def test_alpn_and_server_name(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["h2", "http/1.1"])) as server:
        said = run_client(certificates, server.port, ALPNProtocols=["spdy/1", "http/1.1", "h2"])
        assert said[0]["alpn"] == server.completed().alpn == "h2"
        assert server.completed().server_name == NAME
    with server_peer(certificates, certificates.server(), ALPNProtocols=["h2", "http/1.1"]) as (peer, port):
        config = certificates.client_config(alpn=["spdy/1", "http/1.1"])
        assert echo_client(port, config, [1], name="localhost").alpn == "http/1.1"
        (said_there,) = connections(peer, 1)
        assert (said_there["alpn"], said_there["servername"]) == ("http/1.1", "localhost")


def test_no_alpn_in_common(certificates: Certificates) -> None:
    with Server(certificates.server_config(alpn=["h2"])) as server:
        said = run_client(certificates, server.port, status=1, ALPNProtocols=["spdy/1"])
        assert "alert number 120" in said[0]["error"]
    with server_peer(certificates, certificates.server(), ALPNProtocols=["h2"]) as (_, port):
        with pytest.raises(AlertReceived, match="no_application_protocol"):
            echo_client(port, certificates.client_config(alpn=["spdy/1"]), [1])


def test_exporters_and_key_logs(certificates: Certificates) -> None:
    exported: list[str] = []
    keys: list[str] = []

    def handler(stream: Any, _: Served) -> None:
        exported.append(stream.export_keying_material("EXPERIMENTAL label", b"context", 48).hex())
        assert stream.recv(1) == b""

    with Server(certificates.server_config(keylog=keys.append), handler) as server:
        said = run_client(certificates, server.port, sizes=[])
        server.completed()
    assert said[0]["exported"] == exported[0]
    assert set(said[0]["keys"]) == set(keys)

    keys.clear()
    with server_peer(certificates, certificates.server()) as (peer, port):
        with connect(port, certificates.client_config(keylog=keys.append)) as stream:
            exchange(stream, b"x")
            ours = stream.export_keying_material("EXPERIMENTAL label", b"context", 48).hex()
        assert connections(peer, 1)[0]["exported"] == ours
        assert {each["key"] for each in answers(peer) if "key" in each} == set(keys)
    assert len(keys) == 5


def test_small_records(certificates: Certificates) -> None:
    with Server(certificates.server_config()) as server:
        run_client(certificates, server.port, fragment=512, sizes=[100_000])
    with server_peer(certificates, certificates.server(), fragment=512) as (_, port):
        echo_client(port, certificates.client_config(), [100_000])


def test_many_resumptions(certificates: Certificates) -> None:
    with Server(certificates.server_config()) as server:
        said = run_client(certificates, server.port, connections=6, sizes=[10])
        assert [each["resumed"] for each in said] == [False] + [True] * 5
    config = certificates.client_config()
    with server_peer(certificates, certificates.server()) as (_, port):
        # It gives two tickets after a full handshake and none after a resumed one.
        assert [echo_client(port, config, [10]).resumed for _ in range(6)] == [False, True, True] * 2


# ---- After the handshake ----


def test_half_close_our_client(certificates: Certificates) -> None:
    with server_peer(certificates, certificates.server(), last="last words") as (_, port):
        with connect(port, certificates.client_config()) as stream:
            stream.sendall(b"x")
            stream.send_eof()
            assert read_exactly(stream, 10) == b"last words"
            assert stream.recv(1) == b""


def test_half_close_our_server(certificates: Certificates) -> None:
    def handler(stream: Any, served: Served) -> None:
        stream.sendall(stream.recv(100))
        while data := stream.recv(100):  # it closes its side now
            served.received += len(data)
        stream.sendall(b"unread")  # and may still be written to

    with Server(certificates.server_config(), handler) as server:
        run_client(certificates, server.port, sizes=[10])
        assert server.served().error is None


def test_we_update_keys(certificates: Certificates) -> None:
    def handler(stream: Any, served: Served) -> None:
        while data := stream.recv(65536):
            stream.connection.update_keys()
            stream.sendall(data)

    # It ends without close_notify where its answer to a KeyUpdate is still due.
    with Server(certificates.server_config(), handler, allow_truncation=True) as server:
        run_client(certificates, server.port, sizes=[100_000])
        server.completed()
    with server_peer(certificates, certificates.server()) as (_, port):
        with connect(port, certificates.client_config()) as stream:
            for number in range(6):
                stream.connection.update_keys(request_peer=number % 2 == 0)
                exchange(stream, payload(1000 + number))


# ---- OCSP ----


def test_our_staple(certificates: Certificates) -> None:
    leaf = certificates.server().entity
    response = pki.ocsp_response(leaf)
    credential = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=response)
    with Server(certificates.server_config(credentials=[credential])) as server:
        said = run_client(certificates, server.port, requestOCSP=True)
    assert said[0]["ocsp"] == response.hex()


@pytest.mark.parametrize(("status", "alert"), [("good", None), ("revoked", AlertDescription.certificate_revoked)])
def test_their_staple(certificates: Certificates, status: str, alert: AlertDescription | None) -> None:
    response = pki.ocsp_response(certificates.server().entity, status=status)
    seen: list[Any] = []
    config = certificates.client_config(verify=seen.append)
    with server_peer(certificates, certificates.server(), ocsp=response.hex()) as (peer, port):
        if alert is None:
            echo_client(port, config, [1])
            assert seen[0].ocsp_response == response
        else:
            with pytest.raises(PeerError, match="revoked"):
                echo_client(port, config, [1])
            peer.expect(f"alert number {alert.value}")


# ---- Refusals ----

THEIR_WORDS = {
    "expired": "CERT_HAS_EXPIRED",
    "not_yet_valid": "CERT_NOT_YET_VALID",
    "unknown_ca": "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "wrong_name": "ERR_TLS_CERT_ALTNAME_INVALID",
}


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_we_refuse_their_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, NAME)
    with server_peer(certificates, identity) as (peer, port):
        with pytest.raises(PeerError) as caught:
            echo_client(port, certificates.client_config(), [1])
        assert caught.value.alert.name == alert
        peer.expect(f"alert number {AlertDescription[alert].value}")


@pytest.mark.parametrize("case", BAD_SERVERS)
def test_they_refuse_our_certificate(certificates: Certificates, case: str) -> None:
    identity = bad(certificates, case, NAME)
    with Server(certificates.server_config(credentials=[identity.credential])) as server:
        said = run_client(certificates, server.port, status=1)
        assert said[0]["code"] == THEIR_WORDS[case]
        # Node judges after the handshake, and cuts the connection without an alert.
        assert isinstance(server.served().error, TLSError | OSError)


@pytest.mark.parametrize("case", BAD)
def test_we_refuse_their_client_certificate(certificates: Certificates, case: str) -> None:
    alert = BAD_SERVERS[case][1]
    identity = bad(certificates, case, CLIENT_NAME)
    with Server(certificates.server_config(client_auth="required")) as server:
        said = run_client(certificates, server.port, status=1, cert=identity.chain, key=identity.key)
        assert f"alert number {AlertDescription[alert].value}" in said[0]["error"]


def test_we_require_a_client_certificate(certificates: Certificates) -> None:
    with Server(certificates.server_config(client_auth="required")) as server:
        said = run_client(certificates, server.port, status=1)
        assert f"alert number {AlertDescription.certificate_required.value}" in said[0]["error"]


def test_nothing_in_common(certificates: Certificates) -> None:
    with Server(certificates.server_config(versions=["TLSv1_3"])) as server:
        said = run_client(certificates, server.port, status=1, minVersion="TLSv1.2", maxVersion="TLSv1.2")
        assert f"alert number {AlertDescription.protocol_version.value}" in said[0]["error"]
    with server_peer(certificates, certificates.server(), minVersion="TLSv1.2", maxVersion="TLSv1.2") as (_, port):
        with pytest.raises(TLSError, match="protocol_version|TLS 1.2"):
            echo_client(port, certificates.client_config(versions=["TLSv1_3"]), [1])


def test_a_key_log_file_of_its_own(certificates: Certificates, tmp_path: Path) -> None:
    """What --tls-keylog writes is what our file holds."""
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    with Server(certificates.server_config(keylog=ours)) as server:
        defaults = {"host": LOOPBACK, "port": server.port, "servername": NAME, "ca": certificates.ca}
        options = as_json({**defaults, "sizes": [10], "connections": 1})
        with Peer([node(), f"--tls-keylog={theirs}", "-e", CLIENT, options]) as peer:
            assert peer.finish() == 0, peer.report()
        server.completed()
    assert set(theirs.read_text().split("\n")) == set(ours.read_text().split("\n"))
