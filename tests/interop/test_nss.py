# SPDX-License-Identifier: Apache-2.0
"""NSS (tstclnt, selfserv) as the peer in TLS 1.2, both roles; its keys and certificates come from a database of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import test_curl as curl
from harness import (
    LOOPBACK,
    NAME,
    Certificates,
    Identity,
    Peer,
    Served,
    Server,
    bad,
    connect,
    covering,
    listening,
    matrix,
    payload,
    read_exactly,
    require,
)
from tls12 import (
    AXES12,
    check_ours12,
    client_groups,
    client_identity,
    is_no_row,
    our_client12,
    our_server12,
    rounds,
    transport_identity,
)

from tlsfast import AlertDescription, AlertReceived, NamedGroup, ServerConfig
from tlsfast.errors import NameMismatch

pytestmark = pytest.mark.interop

MEND = "apt-get install libnss3-tools"
THEIR_GROUPS = {NamedGroup.x25519: "x25519", NamedGroup.secp256r1: "P256", NamedGroup.secp384r1: "P384"}
SIZE = 100_000
TLS12 = ["-V", "tls1.2:tls1.2"]


def cannot(row: dict[str, Any]) -> bool:
    """It has no Ed25519."""
    return is_no_row(row) or row["key"] == "ed25519"


def cannot_as_server(row: dict[str, Any]) -> bool:
    """Its server takes no group that it holds for weaker than the key of its certificate."""
    return cannot(row) or (row["key"] == "p384" and row["group"] is not NamedGroup.secp384r1)


ROWS = covering(cannot, **AXES12)


def run(program: str, *options: Any) -> None:
    argv = [require(program, MEND if program != "openssl" else "apt-get install openssl"), *map(str, options)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)


class Databases:
    """For each identity one of its own, for NSS takes certificates of one subject for each other: the root, trusted for servers and clients, and its
    key under the name "own"."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        self._folder = folder
        self._ca = certificates.ca
        self._made: dict[str, list[str]] = {}

    def options(self, identity: Identity | None) -> list[str]:
        """-d with the database."""
        name = identity.chain.stem if identity else "none"
        if name not in self._made:
            self._made[name] = ["-d", self._make(self._folder / name, identity)]
        return self._made[name]

    def _make(self, folder: Path, identity: Identity | None) -> str:
        folder.mkdir()
        database = f"sql:{folder}"
        run("certutil", "-N", "-d", database, "--empty-password")
        run("certutil", "-A", "-d", database, "-n", "root", "-t", "CT,,", "-i", self._ca)
        if identity is not None:
            mine = ["-in", identity.chain, "-inkey", identity.key, "-name", "own", "-passout", "pass:"]
            run("openssl", "pkcs12", "-export", *mine, "-out", folder / "own.p12")
            run("pk12util", "-i", folder / "own.p12", "-d", database, "-W", "", "-K", "")
        return database


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Databases:
    return Databases(tmp_path_factory.mktemp("nss"), certificates)


def algorithms(row: dict[str, Any]) -> list[str]:
    groups = ",".join(THEIR_GROUPS[group] for group in client_groups(row))
    return ["-c", f":{row['suite']:04X}", "-I", groups, *session_options(row)]


def session_options(row: dict[str, Any]) -> list[str]:
    """Schemes of id-RSASSA-PSS are off unless they are named."""
    schemes = ["-J", "rsa_pss_pss_sha256,ecdsa_secp256r1_sha256"] if row["key"] == "rsapss2048" else []
    return [*TLS12, *schemes, *(["-u"] if row["resume"] == "ticket" else [])]


def identity_of(certificates: Certificates, row: dict[str, Any]) -> Identity:
    """An RSA key of a server must be one that may encipher keys, whether it does or not."""
    return transport_identity(certificates) if row["key"] == "rsa2048" else certificates.server(row["key"])


def our_server(certificates: Certificates, row: dict[str, Any]) -> ServerConfig:
    return our_server12(certificates, row, credentials=[identity_of(certificates, row).credential])


def echo_and_close(stream: Any, served: Served) -> None:
    """tstclnt ends when the server does."""
    stream.sendall(read_exactly(stream, SIZE))
    served.received = SIZE


def tstclnt(port: int, *options: Any) -> Peer:
    argv = [require("tstclnt", MEND), "-4", "-h", LOOPBACK, "-p", str(port), "-a", NAME, "-f"]
    return Peer([*argv, *options])


@matrix(ROWS)
def test_our_server(certificates: Certificates, databases: Databases, row: dict[str, Any], tmp_path: Path) -> None:
    own = client_identity(certificates, row)
    request = tmp_path / "request"
    request.write_bytes(payload(SIZE))
    mine = [*databases.options(own), *(["-n", "own"] if own else [])]
    with Server(our_server(certificates, row), echo_and_close) as server:
        with tstclnt(server.port, *algorithms(row), *mine, "-A", request) as peer:
            assert peer.finish() == 0, peer.report()
            assert bytes(peer.out) == payload(SIZE)
        check_ours12(server.completed(), row, False)
        assert server.completed().peer_chain == (own.entity.chain if own else ())


@matrix([row for row in ROWS if row["resume"]])
def test_resumption_at_our_server(certificates: Certificates, databases: Databases, row: dict[str, Any]) -> None:
    """strsclnt keeps its sessions from one connection to the next, which tstclnt does not do without a crash."""
    own = client_identity(certificates, row)
    mine = [*databases.options(own), *(["-n", "own"] if own else [])]
    suite = ["-C", f":{row['suite']:04X}"]
    with Server(our_server(certificates, row), curl.answer) as server:
        address = ["-4", "-p", str(server.port)]
        argv = [
            require("strsclnt", MEND),
            *address,
            *suite,
            *session_options(row),
            *mine,
            "-c",
            "3",
            "-t",
            "1",
            "localhost",
        ]
        with Peer(argv) as peer:
            assert peer.finish() == 0, peer.report()
        for number, resumed in enumerate((False, True, True)):
            check_ours12(server.completed(number), row, resumed)
            assert server.completed(number).peer_chain == (own.entity.chain if own else ())


@matrix(covering(cannot_as_server, **AXES12))
def test_our_client(certificates: Certificates, databases: Databases, row: dict[str, Any], tmp_path: Path) -> None:
    identity = identity_of(certificates, row)
    (tmp_path / "data").write_bytes(payload(SIZE))  # it answers with the file that is asked for
    ask = {None: [], "optional": ["-r"], "required": ["-r", "-r"]}[row["client_auth"]]
    kind = "-n" if row["key"].startswith("rsa") else "-e"
    store = [] if row["resume"] == "session_id" else ["-N"]
    config = our_client12(certificates, row)

    def argv(port: int) -> list[Any]:
        mine = [require("selfserv", MEND), *databases.options(identity), kind, "own", "-p", str(port)]
        return [*mine, *algorithms(row), *ask, *store]

    with listening(argv, cwd=tmp_path) as (_, port):
        for resumed in rounds(row):
            with connect(port, config) as stream:
                stream.sendall(b"GET data HTTP/1.0\r\n\r\n")
                answer = b""
                while part := stream.recv(65536):
                    answer += part
                assert payload(SIZE) in answer
                check_ours12(stream.info, row, resumed)
                assert stream.info.peer_chain[0] == identity.entity.der  # it sends the root, too


@pytest.mark.parametrize("case", ["expired", "unknown_ca", "wrong_name"])
def test_they_refuse_our_certificate(
    certificates: Certificates, databases: Databases, tmp_path: Path, case: str
) -> None:
    request = tmp_path / "request"
    request.write_bytes(payload(SIZE))
    config = certificates.server_config(credentials=[bad(certificates, case, NAME).credential])
    alerts = {"expired": "certificate_expired", "unknown_ca": "unknown_ca", "wrong_name": "bad_certificate"}
    with Server(config, echo_and_close) as server:
        with tstclnt(server.port, *TLS12, *databases.options(None), "-A", request) as peer:
            assert peer.finish() != 0
        error = server.served().error
    assert isinstance(error, AlertReceived)
    assert error.description is AlertDescription[alerts[case]]


def test_we_refuse_their_name(certificates: Certificates, databases: Databases) -> None:
    own = databases.options(certificates.server())

    def argv(port: int) -> list[Any]:
        return [require("selfserv", MEND), *own, "-e", "own", "-p", str(port), *TLS12]

    with listening(argv) as (peer, port):
        with pytest.raises(NameMismatch):
            connect(port, certificates.client_config(), name=f"not-{NAME}")
        peer.expect("error -12271")
