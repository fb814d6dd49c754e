# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio.install(): aiohttp and asyncpg, unmodified, on our transport in place of the loops' own SSL; httpx, which has its own, beside.

uvicorn and hypercorn on it are in test_lib_http_servers.py."""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from harness import LIMIT, LOOPBACK, Certificates, payload
from libraries import MANY, VERSIONS, Origin, Witness, client_context, origin, server_context, stranger_context
from test_lib_databases import postgres as postgres  # the fixture

import tlsfast.aio
from tlsfast import TLSVersion
from tlsfast.ssl.engine import Engine

# By a thread: uvloop does not let a signal's exception through.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(120, method="thread")]

aiohttp = pytest.importorskip("aiohttp", reason="pip install 'tlsfast[interop]'")
web = pytest.importorskip("aiohttp.web", reason="pip install 'tlsfast[interop]'")
asyncpg = pytest.importorskip("asyncpg", reason="pip install 'tlsfast[interop]'")
httpx = pytest.importorskip("httpx", reason="pip install 'tlsfast[interop]'")
uvloop = pytest.importorskip("uvloop", reason="pip install 'tlsfast[interop]'")

LOOPS = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@pytest.fixture(scope="module")
def http2(certificates: Certificates) -> Iterator[Origin]:
    with origin(certificates, "hypercorn", limit=300) as running:
        yield running


@pytest.fixture
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No SSLObject may be made: what passes tlsfast.aio by fails."""

    def refuse(*args: object) -> None:
        raise AssertionError("an SSLObject was made: tlsfast.aio was passed by")

    monkeypatch.setattr(Engine, "__init__", refuse)


def run(work: Any, factory: Callable[[], Any]) -> list[TLSVersion]:
    """Run a coroutine in a loop with the transport installed; return the version of each handshake."""
    with Witness() as seen, asyncio.Runner(loop_factory=factory) as runner:
        tlsfast.aio.install(runner.get_loop())
        runner.run(asyncio.wait_for(work, 2 * LIMIT))
    return [each.version for each in seen.seen]


@contextmanager
def refused(kind: type[Exception]) -> Iterator[None]:
    with pytest.raises(kind) as caught:
        yield
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)


@LOOPS
@VERSIONS
@pytest.mark.usefixtures("no_engine")
def test_aiohttp(certificates: Certificates, version: TLSVersion, factory: Any) -> None:
    """Both ends, and a websocket on the connection that the request had."""

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
        connector = aiohttp.TCPConnector(ssl=client_context(certificates, version))
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=LIMIT)) as made:
            for _ in range(3):
                async with made.post(base + "/echo", data=io.BytesIO(payload(MANY))) as answer:
                    assert await answer.read() == payload(MANY)
            async with made.ws_connect(base + "/chat", max_msg_size=2 * MANY) as socket:
                for size in (1, 16385, MANY):
                    await socket.send_bytes(payload(size))
                    assert await socket.receive_bytes(timeout=LIMIT) == payload(size)
            with refused(aiohttp.ClientConnectorCertificateError):
                await made.get(base, ssl=stranger_context())

    assert run(work(), factory) == [version] * 2


@LOOPS
@pytest.mark.parametrize("h2", [False, True], ids=["http/1.1", "h2"])
def test_httpx(certificates: Certificates, http2: Origin, h2: bool, factory: Any) -> None:
    """It does TLS by anyio, which makes an SSLObject of the context whatever the loop is: it works beside the transport, not on it."""

    async def work() -> None:
        context = client_context(certificates, shown=True)
        async with httpx.AsyncClient(verify=context, http2=h2, timeout=LIMIT, trust_env=False) as client:
            assert (await client.get(http2.url(f"/size/{MANY}"))).content == payload(MANY)
            assert (await client.post(http2.url("/echo"), content=payload(MANY))).content == payload(MANY)
            answer = await client.get(http2.url("/tls"))
            assert answer.http_version == ("HTTP/2" if h2 else "HTTP/1.1")
            assert answer.json()["client_certificate"]
        async with httpx.AsyncClient(verify=stranger_context(), trust_env=False) as client:
            with refused(httpx.ConnectError):
                await client.get(http2.url("/"))

    assert run(work(), factory) == [TLSVersion.TLSv1_3]


@LOOPS
@VERSIONS
@pytest.mark.usefixtures("no_engine")
def test_asyncpg(certificates: Certificates, postgres: int, version: TLSVersion, factory: Any) -> None:
    async def work() -> None:
        options = {"host": "localhost", "port": postgres, "user": "postgres", "database": "postgres"}
        context = client_context(certificates, version)
        connection = await asyncpg.connect(**options, ssl=context, timeout=LIMIT, command_timeout=LIMIT)
        try:
            query = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
            assert tuple(await connection.fetchrow(query)) == (True, str(version.name).replace("_", "."))
            assert await connection.fetchval("select $1::bytea", payload(MANY)) == payload(MANY)
        finally:
            await connection.close()
        with refused(ssl.SSLCertVerificationError):
            await asyncpg.connect(**options, ssl=stranger_context(), timeout=LIMIT)

    assert run(work(), factory) == [version]
