# SPDX-License-Identifier: Apache-2.0
"""sslyze against our server with TLS 1.3, TLS 1.2 and static RSA enabled: its report, read as JSON, must find nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from harness import NAME, Certificates, Served, Server
from tls12 import STATIC_RSA, SUITES12, transport_identity

from tlsfast.config import default_suites

pytestmark = pytest.mark.interop

# It needs an older cryptography than ours, so it has an environment of its own.
OWN = Path(__file__).parents[2] / "build" / "sslyze-venv" / "bin" / "sslyze"
REFUSED = ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1")
OPTIONS = [
    *("--sslv2", "--sslv3", "--tlsv1", "--tlsv1_1", "--tlsv1_2", "--tlsv1_3", "--early_data", "--elliptic_curves"),
    *("--heartbleed", "--openssl_ccs", "--robot", "--reneg", "--fallback", "--compression", "--resum", "--ems"),
]


def sslyze() -> str:
    found = str(OWN) if OWN.exists() else shutil.which("sslyze")
    if found is None:
        pytest.skip("sslyze is not installed: make build/sslyze-venv/bin/sslyze")
    return found


def drain(stream: Any, served: Served) -> None:
    while data := stream.recv(65536):
        served.received += len(data)


def scan(certificates: Certificates, report: Path, **changes: Any) -> tuple[dict[str, Any], int]:
    """The results by name, each of which must have come to an end, and how many connections were resumed."""
    credentials = [transport_identity(certificates).credential, certificates.server("p256").credential]
    suites = [*default_suites(), *STATIC_RSA]
    config = certificates.server_config(credentials=credentials, cipher_suites=suites, **changes)
    resumed: list[bool] = []

    def handler(stream: Any, served: Served) -> None:
        resumed.append(stream.info.resumed)
        drain(stream, served)

    with Server(config, handler, connections=10_000) as server:
        argv = [sslyze(), *OPTIONS, "--sni", NAME, "--json_out", str(report), f"localhost:{server.port}"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    (told,) = json.loads(report.read_text())["server_scan_results"]
    assert told["scan_status"] == "COMPLETED"
    asked = {name: each for name, each in told["scan_result"].items() if each["status"] != "NOT_SCHEDULED"}
    assert len(asked) == len(OPTIONS)
    assert {each["status"] for each in asked.values()} == {"COMPLETED"}
    return {name: each["result"] for name, each in asked.items()}, sum(resumed)


def accepted(results: dict[str, Any], version: str) -> set[str]:
    return {each["cipher_suite"]["name"] for each in results[f"{version}_cipher_suites"]["accepted_cipher_suites"]}


def check_clean(results: dict[str, Any]) -> None:
    for version in REFUSED:
        assert results[f"{version}_cipher_suites"]["is_tls_version_supported"] is False
    assert accepted(results, "tls_1_3") == {suite.name for suite in default_suites() if suite not in SUITES12}
    assert results["heartbleed"] == {"is_vulnerable_to_heartbleed": False}
    assert results["openssl_ccs_injection"] == {"is_vulnerable_to_ccs_injection": False}
    assert results["tls_compression"] == {"supports_compression": False}
    assert results["tls_fallback_scsv"] == {"supports_fallback_scsv": True}
    assert results["tls_1_3_early_data"] == {"supports_early_data": False}
    assert results["tls_extended_master_secret"] == {"supports_ems_extension": True}
    assert results["session_renegotiation"]["supports_secure_renegotiation"] is True
    assert results["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"] is False
    curves = {each["name"] for each in results["elliptic_curves"]["supported_curves"]}
    assert curves == {"X25519", "secp256r1", "secp384r1"}


def test_the_report_is_clean(certificates: Certificates, tmp_path: Path) -> None:
    """Half of its attacks come from an OpenSSL older than extended_master_secret, which is let in here: it must reach static RSA to attack it."""
    results, resumed = scan(certificates, tmp_path / "report", require_extended_master_secret=False)
    check_clean(results)
    assert accepted(results, "tls_1_2") == {suite.name for suite in SUITES12}
    assert results["robot"] == {"robot_result": "NOT_VULNERABLE_NO_ORACLE"}
    assert results["session_resumption"]["session_id_resumption_result"] == "FULLY_SUPPORTED"
    # It takes a ticket for resumed only if the server gives the same ticket again; ours gives a new one each time: we count for ourselves.
    assert resumed >= 10


def test_the_report_is_clean_by_default(certificates: Certificates, tmp_path: Path) -> None:
    """With extended_master_secret required it gets in with its newer OpenSSL alone, which tries the suites that the older one lacks."""
    results, _ = scan(certificates, tmp_path / "report")
    check_clean(results)
    assert accepted(results, "tls_1_2") == {suite.name for suite in SUITES12 if "CHACHA20" in suite.name}
    assert results["robot"]["robot_result"].startswith("NOT_VULNERABLE")
