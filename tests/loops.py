# SPDX-License-Identifier: Apache-2.0
"""Event loops for the tests of tlsfast.aio: asyncio's, in debug mode, and uvloop; and what must be left behind by each: nothing."""

from __future__ import annotations

import asyncio
import functools
import gc
import ssl
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pair
import pki

try:
    import uvloop
except ImportError:  # no wheel for every platform and interpreter
    LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
else:
    LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}

HOST = "127.0.0.1"
BOTH = [pair.TLSVersion.TLSv1_3, pair.TLSVersion.TLSv1_2]


def run(main: Coroutine[Any, Any, Any], kind: str = "asyncio", limit: float = 15.0) -> Any:
    """Run to the end within a time limit; nothing may have gone to the loop's exception handler, nor be left for the collector to complain of."""
    complaints: list[dict[str, Any]] = []

    async def limited() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        return await asyncio.wait_for(main, limit)

    with asyncio.Runner(loop_factory=LOOPS[kind], debug=kind == "asyncio") as runner:
        result = runner.run(limited())
    gc.collect()
    assert not complaints, complaints
    return result


@functools.cache
def std_server_context(*, tls12: bool = False) -> ssl.SSLContext:
    """The standard library's server context, for the name of pair.NAME."""
    leaf = pki.make_leaf(pair.authority(), [pair.NAME])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(leaf.pem + leaf.key_pem)
        file.flush()
        context.load_cert_chain(file.name)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def std_client_context(*, tls12: bool = False) -> ssl.SSLContext:
    """The standard library's client context, which trusts the tests' authority."""
    context = ssl.create_default_context(cadata=pair.authority().cert_pem.decode())
    context.set_alpn_protocols(["h2", "http/1.1"])
    if tls12:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def port_of(server: Any) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port


async def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back what comes, then close."""
    while data := await reader.read(100_000):
        writer.write(data)
        await writer.drain()
    writer.close()
    await writer.wait_closed()


async def finish(server: Any, *writers: asyncio.StreamWriter) -> None:
    """Close writers, then the server."""
    for writer in writers:
        writer.close()
        await writer.wait_closed()
    server.close()
    await server.wait_closed()


class Recorder(asyncio.Protocol):
    """Keeps what the transport tells, in order."""

    def __init__(self, on_data: Callable[[Recorder, bytes], object] | None = None, keep_open: bool = False) -> None:
        self.calls: list[Any] = []
        self.data = bytearray()
        self.transport: Any = None
        self.on_data = on_data
        self.keep_open = keep_open
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self.made: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("made")
        self.made.set_result(None)

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes and data
        self.data += data
        if self.calls[-1:] != ["data"]:
            self.calls.append("data")
        if self.on_data is not None:
            self.on_data(self, data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


def wait(awaitable: Awaitable[Any]) -> Awaitable[Any]:
    """Within a time limit."""
    return asyncio.wait_for(awaitable, 20)
