# SPDX-License-Identifier: Apache-2.0
"""trio, anyio, uvloop and gevent: their own TLS streams over our contexts, at both ends and against the standard module's."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Callable
from typing import Any

import pytest
from harness import LIMIT, LOOPBACK, Certificates, Peer, payload
from libraries import (
    MANY,
    PEERS,
    VERSIONS,
    Witness,
    client_context,
    environment,
    server_context,
    stranger_context,
)

from tlsfast import TLSVersion

# By a thread: uvloop does not let a signal's exception through.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(120, method="thread")]

anyio = pytest.importorskip("anyio", reason="pip install 'tlsfast[interop]'")
tls_streams = pytest.importorskip("anyio.streams.tls", reason="pip install 'tlsfast[interop]'")
trio = pytest.importorskip("trio", reason="pip install 'tlsfast[interop]'")
uvloop = pytest.importorskip("uvloop", reason="pip install 'tlsfast[interop]'")

SIZES = (1, 16385, MANY)
LOOPS = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
SERVERS = pytest.mark.parametrize("theirs", [True, False], ids=["openssl_server", "our_server"])


def context_for(certificates: Certificates, theirs: bool) -> ssl.SSLContext:
    """The server's: the standard module's or ours."""
    if not theirs:
        return server_context(certificates)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.server().chain, certificates.server().key)
    return context


def check(seen: Witness, version: TLSVersion, theirs: bool) -> None:
    assert [each.version for each in seen.seen] == [version] * (1 if theirs else 2)


# ---- trio ----


def read_late(transport: Any) -> None:
    """From now on it reads when all that the peer sends at once has come."""
    receive = transport.receive_some

    async def late(limit: int | None = None) -> bytes:
        await trio.sleep(0.1)
        came: bytes = await receive(limit)
        return came

    transport.receive_some = late


@SERVERS
@VERSIONS
def test_trio(certificates: Certificates, version: TLSVersion, theirs: bool) -> None:
    """Data both ways at once, then unwrap at both ends: what follows close_notify is in the clear, and not lost."""

    async def serve(stream: Any) -> None:
        for size in SIZES:
            came = await receive(stream, size)
            await stream.send_all(came)
        assert await stream.receive_some(1) == b""
        raw, early = await stream.unwrap()
        await raw.send_all(b"clear")  # right behind close_notify
        while len(early) < len(b"in the "):
            part = await raw.receive_some(100)
            assert part
            early += part
        assert early == b"in the "
        await raw.aclose()

    async def receive(stream: Any, size: int) -> bytes:
        came = bytearray()
        while len(came) < size:
            part = await stream.receive_some(size - len(came))
            assert part
            came += part
        return bytes(came)

    async def work() -> None:
        context = client_context(certificates, version)
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(
                lambda task_status: trio.serve_ssl_over_tcp(
                    serve, 0, context_for(certificates, theirs), host=LOOPBACK, task_status=task_status
                )
            )
            port = listeners[0].transport_listener.socket.getsockname()[1]
            stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=context)
            for size in SIZES:
                async with trio.open_nursery() as both:
                    both.start_soon(stream.send_all, payload(size))
                    assert await receive(stream, size) == payload(size)
            read_late(stream.transport_stream)
            raw, early = await stream.unwrap()
            assert early == b"clear"  # came with close_notify
            await raw.send_all(b"in the ")
            assert await raw.receive_some(100) == b""
            await raw.aclose()
            nursery.cancel_scope.cancel()

    async def limited() -> None:
        with trio.fail_after(LIMIT):
            await work()

    with Witness() as seen:
        trio.run(limited)
    check(seen, version, theirs)


def test_trio_refuses(certificates: Certificates) -> None:
    async def serve(stream: Any) -> None:
        with pytest.raises(trio.BrokenResourceError):
            await stream.receive_some()

    async def work() -> None:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(
                lambda task_status: trio.serve_ssl_over_tcp(
                    serve, 0, server_context(certificates), host=LOOPBACK, task_status=task_status
                )
            )
            port = listeners[0].transport_listener.socket.getsockname()[1]
            stream = await trio.open_ssl_over_tcp_stream("localhost", port, ssl_context=stranger_context())
            with pytest.raises(trio.BrokenResourceError) as broken:
                await stream.do_handshake()
            assert isinstance(broken.value.__cause__, ssl.SSLCertVerificationError)
            with trio.CancelScope() as scope:
                scope.cancel()
                await stream.aclose()
            await trio.sleep(0.1)
            nursery.cancel_scope.cancel()

    trio.run(work)


# ---- anyio ----


@SERVERS
@pytest.mark.parametrize("backend", ["asyncio", "uvloop", "trio"])
def test_anyio(certificates: Certificates, backend: str, theirs: bool) -> None:
    async def serve(stream: Any) -> None:
        async with stream:
            try:
                while True:
                    await stream.send(await stream.receive())
            except anyio.EndOfStream:
                pass

    async def work() -> None:
        with anyio.fail_after(LIMIT):
            tcp = await anyio.create_tcp_listener(local_host=LOOPBACK)
            port = tcp.listeners[0].extra(anyio.abc.SocketAttribute.local_port)
            listener = tls_streams.TLSListener(tcp, context_for(certificates, theirs))
            async with anyio.create_task_group() as group:
                group.start_soon(listener.serve, serve)
                async with await anyio.connect_tcp(
                    "localhost", port, ssl_context=client_context(certificates), tls_standard_compatible=True
                ) as stream:
                    assert stream.extra(tls_streams.TLSAttribute.tls_version) == "TLSv1.3"
                    for size in SIZES:
                        await exchange(stream, size)
                with pytest.raises(ssl.SSLCertVerificationError):
                    await anyio.connect_tcp("localhost", port, ssl_context=stranger_context())
                group.cancel_scope.cancel()
            await listener.aclose()

    async def exchange(stream: Any, size: int) -> None:
        async with anyio.create_task_group() as both:
            both.start_soon(stream.send, payload(size))
            came = bytearray()
            while len(came) < size:
                came += await stream.receive()
            assert came == payload(size)

    name, options = ("asyncio", {"use_uvloop": True}) if backend == "uvloop" else (backend, {})
    with Witness() as seen:
        anyio.run(work, backend=name, backend_options=options)
    # The connection that the client refused was complete for neither side.
    check(seen, TLSVersion.TLSv1_3, theirs)


# ---- asyncio's streams, in its own loop and in uvloop's ----


@LOOPS
@SERVERS
@VERSIONS
def test_streams(certificates: Certificates, version: TLSVersion, theirs: bool, factory: Callable[[], Any]) -> None:
    """Both ends through the loop's own sslproto; and a connection that starts in the clear."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.readexactly(4) == b"TLS?":
            writer.write(b"yes")
            await writer.start_tls(context_for(certificates, theirs))
            await reader.readexactly(4)
        while data := await reader.read(1 << 18):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def use(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert type(writer.get_extra_info("ssl_object")._sslobj).__module__.startswith("tlsfast.")
        writer.write(b"go! ")
        for size in SIZES:
            writer.write(payload(size))
            back, _ = await asyncio.gather(reader.readexactly(size), writer.drain())
            assert back == payload(size)
        writer.close()
        await writer.wait_closed()

    async def work() -> None:
        context = client_context(certificates, version)
        async with asyncio.timeout(LIMIT):
            server = await asyncio.start_server(serve, LOOPBACK, 0, ssl=context_for(certificates, theirs))
            port = server.sockets[0].getsockname()[1]
            await use(*await asyncio.open_connection("localhost", port, ssl=context))
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("localhost", port, ssl=stranger_context())
            server.close()
            await server.wait_closed()
            plain = await asyncio.start_server(serve, LOOPBACK, 0)
            reader, writer = await asyncio.open_connection(LOOPBACK, plain.sockets[0].getsockname()[1])
            writer.write(b"TLS?")
            assert await reader.readexactly(3) == b"yes"
            await writer.start_tls(client_context(certificates, version), server_hostname="localhost")
            await use(reader, writer)
            plain.close()
            await plain.wait_closed()

    with Witness() as seen, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())
    assert [each.version for each in seen.seen] == [version] * (2 if theirs else 4)


# ---- gevent ----


@pytest.mark.parametrize("way", ["context", "inject"])
def test_gevent(certificates: Certificates, way: str) -> None:
    """In a process of its own, for it exchanges half of the standard library: its server and 20 clients in greenlets, urllib over them."""
    identity = certificates.server()
    files = [str(identity.chain), str(identity.key), str(certificates.ca)]
    with Peer([sys.executable, str(PEERS / "gevent_both.py"), way, *files], env=environment()) as peer:
        assert peer.finish(limit=50) == 0, peer.report()
        said = json.loads(peer.out)
    assert said["handshakes"] == 2 * 22  # of each both ends
    assert said["version"] == "TLSv1_3"
    assert said["echoed"] == 20 * (1 + 16385 + MANY // 3)
    assert said["page"] == MANY
    assert said["refused"] == "SSLCertVerificationError"
