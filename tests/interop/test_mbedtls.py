# SPDX-License-Identifier: Apache-2.0
"""Mbed TLS as the peer in TLS 1.2, both roles: peers/echo_mbedtls.c, compiled once a session."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from harness import NAME, SMALL, Certificates, Peer, Server, connect, covering, listening, matrix, require
from programs import PEERS, Program, argv, run_as_client, run_as_server
from tls12 import AXES12, is_no_row

from tlsfast import AlertReceived
from tlsfast.errors import NameMismatch

pytestmark = pytest.mark.interop

BIG = 1024 * 1024


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    compiler = require("cc", "apt-get install gcc libc6-dev")
    if not Path("/usr/include/mbedtls/ssl_ticket.h").exists():
        pytest.skip("mbedtls is not installed: apt-get install libmbedtls-dev")
    binary = tmp_path_factory.mktemp("mbedtls") / "echo"
    libraries = ["-lmbedtls", "-lmbedx509", "-lmbedcrypto"]
    command = [compiler, "-std=c11", "-O1", "-o", str(binary), str(PEERS / "echo_mbedtls.c"), *libraries]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    return Program(lambda groups: [str(binary)], {})


def cannot(row: dict[str, Any]) -> bool:
    """It has neither Ed25519 nor keys of id-RSASSA-PSS."""
    return is_no_row(row) or row["key"] in ("ed25519", "rsapss2048")


@matrix(covering(cannot, **AXES12))
@pytest.mark.parametrize("run", [run_as_client, run_as_server])
def test_tls12(program: Program, certificates: Certificates, run: Any, row: dict[str, Any]) -> None:
    run(program, certificates, row, SMALL)


@pytest.mark.parametrize("run", [run_as_client, run_as_server])
def test_much_data(program: Program, certificates: Certificates, run: Any) -> None:
    run(program, certificates, covering(cannot, **AXES12)[0], [BIG])


def options(certificates: Certificates, **more: Any) -> dict[str, Any]:
    suites = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
    return {"ca": certificates.ca, "groups": ["x25519", "secp256r1"], "suites": suites, **more}


def test_their_client_refuses_our_name(program: Program, certificates: Certificates) -> None:
    with Server(certificates.server_config()) as server:
        with Peer(argv(program, **options(certificates, role="client", port=server.port, name="other.test"))) as peer:
            peer.finish()
            assert b"error: X509 - Certificate verification failed" in peer.out
        error = server.served().error
        assert isinstance(error, AlertReceived) and "bad_certificate" in str(error)


def test_our_client_refuses_their_name(program: Program, certificates: Certificates) -> None:
    own = certificates.server()
    theirs = options(certificates, role="server", chain=own.chain, key=own.key)
    with listening(lambda port: argv(program, port=port, **theirs)) as (peer, port):
        with pytest.raises(NameMismatch):
            connect(port, certificates.client_config(), name=f"not-{NAME}")
        peer.expect("error: SSL - A fatal alert message was received from our peer")
