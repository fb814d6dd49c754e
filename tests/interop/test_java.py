# SPDX-License-Identifier: Apache-2.0
"""Java's JSSE as the peer, both roles: peers/Echo.java, compiled once a session."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from harness import BIG, NAME, SMALL, Certificates, Peer, Server, connect, listening, matrix, require
from programs import PEERS, Program, argv, run_as_client, run_as_server
from tls12 import FEW

from tlsfast import AlertReceived, CipherSuite, NamedGroup
from tlsfast.errors import NameMismatch

pytestmark = pytest.mark.interop

MEND = "apt-get install openjdk-17-jdk-headless"


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program, compiled; its machine starts with little, for it lives a second."""
    java, javac = require("java", MEND), require("javac", MEND)
    classes = tmp_path_factory.mktemp("java")
    command = [javac, "-d", str(classes), str(PEERS / "Echo.java")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    lean = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m")
    # Its client sends a share of each family, x25519 and the curves of NIST, that it has: only within one is there anything to retry.
    beside = {"secp256r1": "secp384r1", "secp384r1": "secp256r1"}
    return Program(
        lambda groups: [java, *lean, f"-Djdk.tls.namedGroups={','.join(groups)}", "-cp", str(classes), "Echo"], beside
    )


def row(suite: str, group: str, key: str, client_auth: str | None, resume: bool, retry: bool) -> dict[str, Any]:
    return {
        "suite": CipherSuite[f"TLS_{suite}"],
        "group": NamedGroup[group],
        "key": key,
        "client_auth": client_auth,
        "resume": resume,
        "retry": retry,
    }


# Each value of each axis, and no more: a machine takes a second to start. Each key signs for both sides once.
ROWS = [
    row("AES_128_GCM_SHA256", "x25519", "p256", "required", True, False),
    row("AES_256_GCM_SHA384", "secp256r1", "rsa2048", "required", True, True),
    row("CHACHA20_POLY1305_SHA256", "secp384r1", "ed25519", "required", False, True),
    row("AES_128_GCM_SHA256", "secp384r1", "rsapss2048", "required", False, False),
    row("AES_256_GCM_SHA384", "x25519", "p384", "required", False, False),
    row("CHACHA20_POLY1305_SHA256", "x25519", "p256", "optional", True, False),
    row("AES_256_GCM_SHA384", "secp256r1", "p256", None, True, False),
]


@matrix(ROWS)
def test_our_client(program: Program, certificates: Certificates, row: dict[str, Any]) -> None:
    run_as_client(program, certificates, row, SMALL)


@matrix(ROWS)
def test_our_server(program: Program, certificates: Certificates, row: dict[str, Any]) -> None:
    run_as_server(program, certificates, row, SMALL)


@matrix(FEW)
@pytest.mark.parametrize("run", [run_as_client, run_as_server])
def test_tls12(program: Program, certificates: Certificates, run: Any, row: dict[str, Any]) -> None:
    run(program, certificates, row, SMALL)


@pytest.mark.parametrize("run", [run_as_client, run_as_server])
def test_much_data(program: Program, certificates: Certificates, run: Any) -> None:
    run(program, certificates, ROWS[-1], [BIG // 16])  # it is slow until it has compiled itself


def test_their_client_refuses_our_name(program: Program, certificates: Certificates) -> None:
    with Server(certificates.server_config()) as server:
        options = {"role": "client", "port": server.port, "name": "other.test", "ca": certificates.ca}
        with Peer(argv(program, groups=["x25519"], **options)) as peer:
            peer.finish()
            assert b"error" in peer.out and b"other.test" in peer.out
        assert isinstance(server.served().error, AlertReceived)


def test_our_client_refuses_their_name(program: Program, certificates: Certificates) -> None:
    identity = certificates.server()
    options = {"role": "server", "ca": certificates.ca, "chain": identity.chain, "key": identity.key}
    with listening(lambda port: argv(program, port=port, groups=["x25519"], **options)) as (peer, port):
        with pytest.raises(NameMismatch):
            connect(port, certificates.client_config(), name=f"not-{NAME}")
        peer.expect("error: .*bad_certificate")
