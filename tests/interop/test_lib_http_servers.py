# SPDX-License-Identifier: Apache-2.0
"""Python's HTTP servers on our contexts, asked by programs that have TLS of their own: curl, h2load, wrk and a browser."""

from __future__ import annotations

import json
import re
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from harness import LIMIT, LOOPBACK, Certificates, Peer, payload, require
from libraries import MANY, Origin, origin

pytestmark = pytest.mark.interop

# (server, what runs it, ALPN): each event loop and each kind of worker.
SERVERS = [
    ("uvicorn", "asyncio", "http/1.1"),
    ("uvicorn", "uvloop", "http/1.1"),
    ("hypercorn", "asyncio", "h2"),
    ("hypercorn", "uvloop", "h2"),
    ("hypercorn", "trio", "h2"),
    ("gunicorn", "sync", "http/1.1"),
    ("gunicorn", "gthread", "http/1.1"),
    ("gunicorn", "gevent", "http/1.1"),
    ("http.server", "threads", "http/1.1"),
]
# The servers that make their contexts themselves: after inject() these are ours.
INJECTED = [
    ("uvicorn", "asyncio", None),
    ("hypercorn", "asyncio", "h2"),
    ("gunicorn", "gthread", None),
    ("gunicorn", "gevent", None),
]


def curl(certificates: Certificates, *options: Any, status: int = 0) -> bytes:
    program = require("curl", "apt-get install curl")
    with Peer([program, "-sS", "--max-time", "30", "--cacert", certificates.ca, *options]) as peer:
        assert peer.finish(limit=40) == status, peer.report()
        return bytes(peer.out)


def check(certificates: Certificates, running: Origin, alpn: str | None, tmp_path: Path, keeps: bool = True) -> None:
    """Content both ways on one connection, then a client certificate on another, then one of TLS 1.2."""
    data = tmp_path / "data"
    data.write_bytes(payload(MANY))
    size, echo, tls = running.url(f"/size/{MANY}"), running.url("/echo"), running.url("/tls")
    there = curl(certificates, size, "--next", "--cacert", certificates.ca, "--data-binary", f"@{data}", echo)
    assert there == payload(MANY) * 2
    first = json.loads(curl(certificates, tls))
    assert first["version"] == "TLSv1_3"
    assert first["alpn"] == alpn
    assert not first["client_certificate"]
    client = certificates.client()
    second = json.loads(curl(certificates, "--cert", client.chain, "--key", client.key, tls))
    assert second["client_certificate"]
    third = json.loads(curl(certificates, "--tls-max", "1.2", tls))
    assert third["version"] == "TLSv1_2"
    # Where connections are kept, the first two requests shared one.
    assert (first["handshakes"], third["handshakes"]) == ((2, 4) if keeps else (3, 5))


@pytest.mark.parametrize(("server", "loop", "alpn"), SERVERS)
def test_context(certificates: Certificates, tmp_path: Path, server: str, loop: str, alpn: str) -> None:
    with origin(certificates, server, "--loop", loop) as running:
        check(certificates, running, alpn, tmp_path, keeps=loop != "sync")  # gunicorn's plain worker closes each


@pytest.mark.parametrize(("server", "loop", "alpn"), INJECTED)
def test_injected(certificates: Certificates, tmp_path: Path, server: str, loop: str, alpn: str | None) -> None:
    with origin(certificates, server, "--loop", loop, "--way", "inject") as running:
        check(certificates, running, alpn, tmp_path)


@pytest.mark.parametrize(
    ("server", "loop", "alpn"),
    [
        ("uvicorn", "asyncio", "http/1.1"),
        ("uvicorn", "uvloop", "http/1.1"),
        ("hypercorn", "asyncio", "h2"),
        ("hypercorn", "uvloop", "h2"),
    ],
)
def test_installed(certificates: Certificates, tmp_path: Path, server: str, loop: str, alpn: str) -> None:
    """With tlsfast.aio.install() the same servers are on its transport: no SSLObject is made."""
    with origin(certificates, server, "--loop", loop, "--install") as running:
        check(certificates, running, alpn, tmp_path)
        assert json.loads(curl(certificates, running.url("/tls")))["engines"] == 0


def test_a_client_that_does_not_trust_us(certificates: Certificates) -> None:
    """And one that speaks no TLS: the server goes on with the next."""
    with origin(certificates, "uvicorn") as running:
        require("curl", "apt-get install curl")
        with Peer(["curl", "-sS", "--max-time", "30", running.url("/")]) as peer:
            assert peer.finish() == 60, peer.report()
        curl(certificates, f"http://localhost:{running.port}/", status=52)
        assert json.loads(curl(certificates, running.url("/tls")))["handshakes"] == 1


# ---- Under concurrency ----


@pytest.mark.parametrize(
    ("server", "loop", "protocol", "tls"),
    [
        ("hypercorn", "asyncio", "h2", "TLSv1.3"),
        ("hypercorn", "uvloop", "h2", "TLSv1.2"),
        ("uvicorn", "asyncio", "http/1.1", "TLSv1.3"),
    ],
)
def test_h2load(certificates: Certificates, server: str, loop: str, protocol: str, tls: str) -> None:
    program = require("h2load", "apt-get install nghttp2-client")
    with origin(certificates, server, "--loop", loop, "--maximum", tls.replace(".", "_")) as running:
        argv = [program, "-n", "400", "-c", "20", "-m", "5", f"--npn-list={protocol}", running.url("/size/40000")]
        with Peer(argv) as peer:
            assert peer.finish() == 0, peer.report()
            said = peer.out.decode()
        assert "400 succeeded, 0 failed, 0 errored, 0 timeout" in said
        assert f"TLS Protocol: {tls}" in said
        assert f"Application protocol: {protocol}" in said
        assert "(16000000) data" in said
        assert json.loads(curl(certificates, running.url("/tls")))["handshakes"] == 21


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_wrk(certificates: Certificates, loop: str) -> None:
    """Two seconds at 16 connections: no error of any kind, and 200 each time."""
    program = require("wrk", "apt-get install wrk")
    with origin(certificates, "uvicorn", "--loop", loop) as running:
        with Peer([program, "-t1", "-c16", "-d2s", "--timeout", "10s", running.url("/size/100000")]) as peer:
            assert peer.finish() == 0, peer.report()
            said = peer.out.decode()
        requests = re.search(r"(\d+) requests in", said)
        assert requests and int(requests[1]) > 16, said
        assert "Socket errors" not in said and "Non-2xx" not in said, said
        assert json.loads(curl(certificates, running.url("/tls")))["handshakes"] >= 17


# ---- A browser ----


def trusting_home(certificates: Certificates, home: Path) -> None:
    """A home whose NSS database, made for this one run, has the test's root: where Chromium looks for a user's own CAs."""
    certutil = require("certutil", "apt-get install libnss3-tools")
    database = home / ".pki" / "nssdb"
    database.mkdir(parents=True)
    where = ["-d", f"sql:{database}"]
    subprocess.run([certutil, *where, "-N", "--empty-password"], check=True, timeout=LIMIT)
    subprocess.run(
        [certutil, *where, "-A", "-n", "tlsfast interop root", "-t", "C,,", "-i", certificates.ca],
        check=True,
        timeout=LIMIT,
    )


def browse(home: Path, url: str, *options: str) -> Peer:
    program = require("chromium", "apt-get install chromium")
    argv = [
        program,
        "--headless",
        "--no-sandbox",  # of no use as root
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
        f"--user-data-dir={home / 'profile'}",
        f"--host-resolver-rules=MAP localhost {LOOPBACK}",
        "--timeout=20000",
        *options,
        "--dump-dom",
        url,
    ]
    return Peer(argv, env={"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}, limit=90)


def test_browser(certificates: Certificates, tmp_path: Path) -> None:
    """Headless Chromium loads a page whose script asks for more and writes what it got into the document, which is then read."""
    trusting_home(certificates, tmp_path)
    with origin(certificates, "uvicorn", limit=150) as running:
        with browse(tmp_path, running.url("/")) as peer:
            assert peer.finish(limit=80) == 0, peer.report()
            sums = " ".join(str(zlib.adler32(payload(size))) for size in (1, 300000, 2))
            said = f"TLSv1_3 http/1.1 X25519MLKEM768, sums {sums}, echo 200000"
            assert f'<p id="said">{said}</p>' in peer.out.decode(), peer.report()
        facts = json.loads(curl(certificates, running.url("/tls")))
        assert facts["handshakes"] >= 2


def test_browser_without_our_root(certificates: Certificates, tmp_path: Path) -> None:
    """It loads nothing, and says why."""
    with origin(certificates, "uvicorn", limit=150) as running:
        with browse(tmp_path, running.url("/")) as peer:
            peer.finish(limit=80)
            assert not peer.out.strip(), peer.report()
            peer.expect("ERR_CERT_AUTHORITY_INVALID")
