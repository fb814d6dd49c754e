# SPDX-License-Identifier: Apache-2.0
"""Python's HTTP clients with our contexts, unmodified: urllib, requests, httpx and aiohttp, against servers of test_lib_http_servers.py.

Each reads and sends megabytes, keeps its connections, resumes, shows a client certificate, and refuses a server as it always does."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from harness import LIMIT, LOOPBACK, Certificates, Peer, payload
from libraries import (
    MANY,
    PEERS,
    VERSIONS,
    Origin,
    Witness,
    client_context,
    environment,
    origin,
    server_context,
    stranger_context,
)

from tlsfast import TLSVersion

# By a thread: uvloop does not let a signal's exception through.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(120, method="thread")]

aiohttp = pytest.importorskip("aiohttp", reason="pip install 'tlsfast[interop]'")
web = pytest.importorskip("aiohttp.web", reason="pip install 'tlsfast[interop]'")
httpx = pytest.importorskip("httpx", reason="pip install 'tlsfast[interop]'")
requests = pytest.importorskip("requests", reason="pip install 'tlsfast[interop]'")
trio = pytest.importorskip("trio", reason="pip install 'tlsfast[interop]'")
uvloop = pytest.importorskip("uvloop", reason="pip install 'tlsfast[interop]'")

LOOPS = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@pytest.fixture(scope="module")
def http1(certificates: Certificates) -> Iterator[Origin]:
    with origin(certificates, "uvicorn", limit=300) as running:
        yield running


@pytest.fixture(scope="module")
def http2(certificates: Certificates) -> Iterator[Origin]:
    with origin(certificates, "hypercorn", limit=300) as running:
        yield running


@pytest.fixture(scope="module")
def misnamed(certificates: Certificates) -> Iterator[int]:
    """The port of an http.server whose certificate is another host's."""
    certificates.named("other-host", lambda: certificates.leaf(["other.test"]))

    class Handler(BaseHTTPRequestHandler):
        pass

    class Server(HTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients hang up: nothing to print."""

    with Server((LOOPBACK, 0), Handler) as server:
        context = server_context(certificates, stem="other-host")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join(LIMIT)


@contextmanager
def handshakes(count: int, version: TLSVersion, *, alpn: str | None = None, resumed: int = 0) -> Iterator[None]:
    """Within the block tlsfast does so many handshakes, of this kind, so many of them resumed."""
    with Witness() as witness:
        yield
    assert [each.version for each in witness.seen] == [version] * count
    assert {each.alpn for each in witness.seen} == {alpn}
    assert sum(each.resumed for each in witness.seen) == resumed


def check_certificate_error(error: BaseException, words: str) -> None:
    """Somewhere under a library's exception is the standard one, with what it always has."""
    chain: list[BaseException] = []
    waiting: list[Any] = [error]
    while waiting:
        each = waiting.pop()
        if isinstance(each, BaseException) and each not in chain:
            chain.append(each)
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
    found = [each for each in chain if isinstance(each, ssl.SSLCertVerificationError)]
    assert found, chain
    assert found[0].reason == "CERTIFICATE_VERIFY_FAILED"
    assert found[0].verify_code and words in found[0].verify_message


UNTRUSTED, WRONG_NAME = "issuer", "Hostname mismatch"


# ---- The standard library's ----


@VERSIONS
def test_urllib(certificates: Certificates, http1: Origin, version: TLSVersion) -> None:
    """A connection for each request: the second resumes by itself."""
    context = client_context(certificates, version)
    with handshakes(2, version, resumed=1):
        with urllib.request.urlopen(http1.url(f"/size/{MANY}"), context=context, timeout=LIMIT) as answer:
            assert answer.read() == payload(MANY)
        with urllib.request.urlopen(http1.url("/echo"), payload(MANY), context=context, timeout=LIMIT) as answer:
            assert answer.read() == payload(MANY)


def test_urllib_opener_and_client_certificate(certificates: Certificates, http1: Origin) -> None:
    handler = urllib.request.HTTPSHandler(context=client_context(certificates, shown=True))
    with urllib.request.build_opener(handler).open(http1.url("/tls"), timeout=LIMIT) as answer:
        assert json.load(answer)["client_certificate"]


def test_urllib_refuses(certificates: Certificates, http1: Origin, misnamed: int) -> None:
    with pytest.raises(urllib.error.URLError) as untrusted:
        urllib.request.urlopen(http1.url("/"), context=stranger_context(), timeout=LIMIT)
    check_certificate_error(untrusted.value, UNTRUSTED)
    with pytest.raises(urllib.error.URLError) as wrong:
        urllib.request.urlopen(f"https://localhost:{misnamed}/", context=client_context(certificates), timeout=LIMIT)
    check_certificate_error(wrong.value, WRONG_NAME)


@VERSIONS
def test_http_client_keeps_its_connection(certificates: Certificates, http1: Origin, version: TLSVersion) -> None:
    connection = http.client.HTTPSConnection(
        "localhost", http1.port, context=client_context(certificates, version), timeout=LIMIT
    )
    with handshakes(1, version):
        for size in (0, 1, 16385, MANY):
            connection.request("POST", "/echo", payload(size))
            assert connection.getresponse().read() == payload(size)
        assert type(connection.sock) is ssl.SSLSocket
        assert type(connection.sock._sslobj).__module__.startswith("tlsfast.")
        connection.close()


# ---- requests ----


@contextmanager
def session(context: ssl.SSLContext) -> Iterator[Any]:
    """A session of requests over a context, by the adapter that its documentation describes."""

    class Adapter(requests.adapters.HTTPAdapter):  # type: ignore[misc, name-defined]
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more, ssl_context=context)

        def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
            host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
            return host, {"ssl_context": context}

    with requests.Session() as made:
        made.trust_env = False
        made.mount("https://", Adapter())
        yield made


@VERSIONS
def test_requests(certificates: Certificates, http1: Origin, version: TLSVersion) -> None:
    with handshakes(1, version, alpn="http/1.1"), session(client_context(certificates, version)) as made:
        assert made.get(http1.url(f"/size/{MANY}"), timeout=LIMIT).content == payload(MANY)
        assert made.post(http1.url("/echo"), payload(MANY), timeout=LIMIT).content == payload(MANY)
        with made.get(http1.url(f"/size/{MANY}"), stream=True, timeout=LIMIT) as answer:
            assert b"".join(answer.iter_content(10_000)) == payload(MANY)
        for _ in range(10):
            assert made.get(http1.url("/size/100"), timeout=LIMIT).content == payload(100)


def test_requests_with_a_client_certificate(certificates: Certificates, http1: Origin) -> None:
    with session(client_context(certificates, shown=True)) as made:
        assert made.get(http1.url("/tls"), timeout=LIMIT).json()["client_certificate"]


def test_requests_refuses(certificates: Certificates, http1: Origin, misnamed: int) -> None:
    with session(stranger_context()) as made, pytest.raises(requests.exceptions.SSLError) as untrusted:
        made.get(http1.url("/"), timeout=LIMIT)
    check_certificate_error(untrusted.value, UNTRUSTED)
    with session(client_context(certificates)) as made, pytest.raises(requests.exceptions.SSLError) as wrong:
        made.get(f"https://localhost:{misnamed}/", timeout=LIMIT)
    check_certificate_error(wrong.value, WRONG_NAME)


# ---- httpx ----


def pick(http1: Origin, http2: Origin, protocol: str) -> Origin:
    return http2 if protocol == "h2" else http1


PROTOCOLS = pytest.mark.parametrize("protocol", ["http/1.1", "h2"])


@PROTOCOLS
@VERSIONS
def test_httpx(certificates: Certificates, http1: Origin, http2: Origin, protocol: str, version: TLSVersion) -> None:
    server = pick(http1, http2, protocol)
    context = client_context(certificates, version)
    with (
        handshakes(1, version, alpn=protocol),
        httpx.Client(verify=context, http2=protocol == "h2", timeout=LIMIT, trust_env=False) as client,
    ):
        assert client.get(server.url(f"/size/{MANY}")).content == payload(MANY)
        assert client.post(server.url("/echo"), content=payload(MANY)).content == payload(MANY)
        answer = client.get(server.url("/tls"))
        assert answer.http_version == ("HTTP/2" if protocol == "h2" else "HTTP/1.1")
        assert answer.json()["version"] == version.name


def test_httpx_with_a_client_certificate(certificates: Certificates, http2: Origin) -> None:
    context = client_context(certificates, shown=True)
    with httpx.Client(verify=context, http2=True, timeout=LIMIT, trust_env=False) as client:
        assert client.get(http2.url("/tls")).json()["client_certificate"]


def test_httpx_refuses(certificates: Certificates, http1: Origin, misnamed: int) -> None:
    with httpx.Client(verify=stranger_context(), trust_env=False) as client:
        with pytest.raises(httpx.ConnectError) as untrusted:
            client.get(http1.url("/"))
    check_certificate_error(untrusted.value, UNTRUSTED)
    with httpx.Client(verify=client_context(certificates), trust_env=False) as client:
        with pytest.raises(httpx.ConnectError) as wrong:
            client.get(f"https://localhost:{misnamed}/")
    check_certificate_error(wrong.value, WRONG_NAME)


async def httpx_at_work(server: Origin, context: ssl.SSLContext, protocol: str) -> None:
    async with httpx.AsyncClient(verify=context, http2=protocol == "h2", timeout=LIMIT, trust_env=False) as client:
        assert (await client.get(server.url(f"/size/{MANY}"))).content == payload(MANY)
        assert (await client.post(server.url("/echo"), content=payload(MANY))).content == payload(MANY)
        for _ in range(10):
            assert (await client.get(server.url("/size/100"))).content == payload(100)
    async with httpx.AsyncClient(verify=stranger_context(), trust_env=False) as client:
        with pytest.raises(httpx.ConnectError) as untrusted:
            await client.get(server.url("/"))
    check_certificate_error(untrusted.value, UNTRUSTED)


@PROTOCOLS
@LOOPS
def test_httpx_in_asyncio(
    certificates: Certificates, http1: Origin, http2: Origin, protocol: str, factory: Any
) -> None:
    with handshakes(1, TLSVersion.TLSv1_3, alpn=protocol), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(httpx_at_work(pick(http1, http2, protocol), client_context(certificates), protocol))


@PROTOCOLS
def test_httpx_in_trio(certificates: Certificates, http1: Origin, http2: Origin, protocol: str) -> None:
    with handshakes(1, TLSVersion.TLSv1_3, alpn=protocol):
        trio.run(httpx_at_work, pick(http1, http2, protocol), client_context(certificates), protocol)


# ---- aiohttp ----


async def aiohttp_at_work(server: Origin, certificates: Certificates, version: TLSVersion) -> None:
    context = client_context(certificates, version)
    limit = aiohttp.ClientTimeout(total=LIMIT)
    connector = aiohttp.TCPConnector(ssl=context, limit=4)
    async with aiohttp.ClientSession(connector=connector, timeout=limit) as made:

        async def fetch(size: int) -> None:
            async with made.get(server.url(f"/size/{size}")) as answer:
                assert await answer.read() == payload(size)

        async with made.post(server.url("/echo"), data=io.BytesIO(payload(MANY))) as answer:
            ours = answer.connection.transport.get_extra_info("ssl_object")
            assert isinstance(ours, ssl.SSLObject) and type(ours._sslobj).__module__.startswith("tlsfast.")
            assert await answer.read() == payload(MANY)
        await fetch(MANY)
        await asyncio.gather(*[fetch(100_000 + number) for number in range(12)])


@LOOPS
@VERSIONS
def test_aiohttp(certificates: Certificates, http1: Origin, version: TLSVersion, factory: Any) -> None:
    """One connection, then four at a time: of the three more as many resume as there are tickets, each of which is used once."""
    with Witness() as witness, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(aiohttp_at_work(http1, certificates, version))
    assert [each.version for each in witness.seen] == [version] * 4
    assert sum(each.resumed for each in witness.seen) >= 1


@LOOPS
def test_aiohttp_refuses(certificates: Certificates, http1: Origin, misnamed: int, factory: Any) -> None:
    async def work() -> None:
        limit = aiohttp.ClientTimeout(total=LIMIT)
        async with aiohttp.ClientSession(timeout=limit) as made:
            with pytest.raises(aiohttp.ClientConnectorCertificateError) as untrusted:
                await made.get(http1.url("/"), ssl=stranger_context())
            check_certificate_error(untrusted.value.certificate_error, UNTRUSTED)
            with pytest.raises(aiohttp.ClientConnectorCertificateError) as wrong:
                await made.get(f"https://localhost:{misnamed}/", ssl=client_context(certificates))
            check_certificate_error(wrong.value.certificate_error, WRONG_NAME)

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())


@LOOPS
def test_aiohttp_server(certificates: Certificates, factory: Any) -> None:
    """Both ends are aiohttp's, in one loop."""

    async def echo(request: Any) -> Any:
        return web.Response(body=await request.read())

    async def chat(request: Any) -> Any:
        socket = web.WebSocketResponse(max_msg_size=2 * MANY)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_bytes(message.data)
        return socket

    async def work() -> None:
        app = web.Application(client_max_size=2 * MANY)
        app.add_routes([web.post("/echo", echo), web.get("/chat", chat)])
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, 0, ssl_context=server_context(certificates)).start()
            await use(f"https://localhost:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()

    async def use(base: str) -> None:
        connector = aiohttp.TCPConnector(ssl=client_context(certificates))
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=LIMIT)) as made:
            async with made.post(base + "/echo", data=io.BytesIO(payload(MANY))) as answer:
                assert await answer.read() == payload(MANY)
            async with made.ws_connect(base + "/chat", max_msg_size=2 * MANY) as socket:
                for size in (1, 16385, MANY):
                    await socket.send_bytes(payload(size))
                    assert await socket.receive_bytes(timeout=LIMIT) == payload(size)

    with Witness() as witness, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())
    assert len(witness.seen) == 2  # both ends of one connection, which serves both


# ---- Libraries that make their contexts themselves ----


@pytest.mark.parametrize("library", ["urllib", "requests", "httpx", "httpx-h2", "aiohttp"])
def test_injected(certificates: Certificates, http1: Origin, http2: Origin, library: str) -> None:
    """In a process of its own: inject() comes before the library, which is then used as if there were no tlsfast."""
    server = http2 if library == "httpx-h2" else http1
    argv = [sys.executable, str(PEERS / "library_client.py"), library, server.url(""), str(certificates.ca)]
    with Peer(argv, env=environment()) as peer:
        assert peer.finish(limit=50) == 0, peer.report()
        said = json.loads(peer.out)
    assert said["handshakes"] >= 1
    assert said["version"] == "TLSv1_3"
    assert said["back"] == MANY
    assert said["refused"]
