# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio under load: ten thousand idle connections, and hundreds that stop reading while others go on.

usage: python tests/test_load.py PORT COUNT CA.pem: the clients' process of the first; it acts on lines of its standard input."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from leaks import nothing_left, quiet
from loops import HOST, LOOPS, Recorder, port_of, run, until
from pair import NAME, authority, client_config, server_config

import tlsfast
from tlsfast import ClientConfig, NamedGroup, TrustStore, aio

GROUPS = [NamedGroup.x25519]
kinds = pytest.mark.parametrize("kind", LOOPS)
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


# ---- Idle connections ----

IDLE_MOST = 30 * 1024  # bytes of the server for each: asyncio's own sslproto takes 256 KiB at each end


def may_open(count: int) -> bool:
    """Raise this process's limit of descriptors, as far as the system lets it."""
    import resource  # not on Windows, where this test is skipped

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0]), hard))
    return True


class Answer(asyncio.Protocol):
    """The server's side: sends back what comes. All that are connected are in `alive`."""

    alive: set[asyncio.BaseTransport] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.alive.add(transport)

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive.discard(self.transport)
        del self.transport


class Ask(asyncio.Protocol):
    """The client's side: what came is kept."""

    def __init__(self) -> None:
        self.data = b""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)


async def clients(port: int, count: int, roots: bytes) -> None:
    """Connect, say so; on a line, ask on every connection and check each answer; on the next, close."""
    config = ClientConfig(trust=TrustStore.from_pem(roots), groups=GROUPS, keylog=None, session_cache=None)
    held: list[tuple[aio.TLSTransport, Ask]] = []
    loop = asyncio.get_running_loop()

    async def connect(share: int) -> None:
        for _ in range(share):
            held.append(await aio.create_connection(Ask, HOST, port, config, server_name=NAME))

    await asyncio.gather(*[connect(count // 50) for _ in range(50)])
    print("connected", len(held), flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    for number, (transport, _) in enumerate(held):
        transport.write(struct.pack(">Q", number))
    await until(lambda: all(len(ask.data) >= 8 for _, ask in held), 60)
    right = sum(ask.data == struct.pack(">Q", number) for number, (_, ask) in enumerate(held))
    print("answered", right, flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    for number, (transport, _) in enumerate(held):
        if number % 2:
            transport.close()
        else:
            transport.abort()
    await asyncio.gather(*[ask.lost for _, ask in held])
    print("closed", len(held), flush=True)


async def idle(count: int) -> float:
    """Hold so many connections from another process; bytes of this one for each."""
    server = await aio.create_server(Answer, HOST, 0, server_config(groups=GROUPS), backlog=1024)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file, contextlib.ExitStack() as ending:
        file.write(authority().cert_pem)
        file.flush()
        program = [sys.executable, __file__, str(port_of(server)), str(count), file.name]
        environment = os.environ | {"PYTHONPATH": str(Path(tlsfast.__file__).parent.parent)}
        child = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        ending.enter_context(child)
        ending.callback(child.kill)
        assert child.stdin is not None and child.stdout is not None
        before = resident()
        assert await asyncio.to_thread(child.stdout.readline) == b"connected %d\n" % count
        await until(lambda: len(Answer.alive) == count)
        each = (resident() - before) / count
        for expected in (b"answered", b"closed"):
            child.stdin.write(b"\n")
            child.stdin.flush()
            assert await asyncio.to_thread(child.stdout.readline) == b"%s %d\n" % (expected, count)
        await until(lambda: not Answer.alive)
        assert await asyncio.to_thread(child.wait) == 0
    server.close()
    await server.wait_closed()
    return each


@needs_proc
@pytest.mark.timeout(300)
@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.slow)])
def test_idle_connections(count: int) -> None:
    """All are served after they were idle, and what they took is given back: objects, descriptors, tasks."""
    if not may_open(count + 500):
        pytest.skip(f"{count} connections need {count + 500} descriptors, and the hard limit is lower: ulimit -Hn")
    Answer.alive.clear()
    with nothing_left():
        with asyncio.Runner() as runner:  # not in debug mode, which keeps a traceback for each handle
            each = runner.run(asyncio.wait_for(idle(count), 240))
    print(f"{each / 1024:.1f} KiB for a connection of {count}")
    assert each < IDLE_MOST


# ---- Connections that stop reading ----

STALLED, SERVED = 200, 20
BLOCK, BLOCKS = 64 * 1024, 12
MAKE_BLOCK = bytes(range(256)) * (BLOCK // 256)
SMALL = 32 * 1024  # of the sockets' buffers: the system's would take megabytes of each connection


def block(connection: int, number: int) -> bytes:
    """One write: whose it is and which, then filling."""
    return struct.pack(">QQ", connection, number) + MAKE_BLOCK[16:]


def stream_digest(connection: int) -> bytes:
    digest = hashlib.sha256()
    for number in range(BLOCKS):
        digest.update(block(connection, number))
    return digest.digest()


class Stalling:
    """A server that pours to those who ask for it, and echoes to the others; the writers that wait for a peer to read are counted."""

    def __init__(self) -> None:
        self.writers: set[asyncio.StreamWriter] = set()
        self.waiting = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            kind, number = struct.unpack(">cQ", await reader.readexactly(9))
            if kind == b"p":
                await self.pour(writer, number)
            else:
                while data := await reader.read(BLOCK):
                    writer.write(data)
                    await writer.drain()
            writer.close()
            await writer.wait_closed()
        except OSError:
            writer.transport.abort()
        finally:
            self.writers.discard(writer)

    async def pour(self, writer: asyncio.StreamWriter, connection: int) -> None:
        self.writers.add(writer)
        for number in range(BLOCKS):
            writer.write(block(connection, number))
            self.waiting += 1
            await self.drained(writer)

    async def drained(self, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.drain()
        finally:
            self.waiting -= 1


async def small_connection(port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
    await asyncio.get_running_loop().sock_connect(sock, (HOST, port))
    return sock


async def stalled_client(port: int, number: int) -> tuple[aio.TLSTransport, Recorder, Any]:
    """Ask for the stream, and read nothing."""
    digest = hashlib.sha256()
    sock = await small_connection(port)
    transport, app = await aio.create_connection(
        lambda: Recorder(lambda recorder, data: (digest.update(data), recorder.data.clear())),
        config=client_config(groups=GROUPS),
        server_name=NAME,
        sock=sock,
    )
    transport.pause_reading()
    transport.write(struct.pack(">cQ", b"p", number))
    return transport, app, digest


async def served_client(port: int, number: int) -> None:
    """Echo a stream of numbers, each checked."""
    reader, writer = await aio.open_connection(HOST, port, client_config(groups=GROUPS), server_name=NAME)
    writer.write(struct.pack(">cQ", b"e", number))
    for count in range(20):
        sent = block(number, count)
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
    writer.close()
    await writer.wait_closed()


def within(awaitable: Awaitable[Any]) -> Awaitable[Any]:
    return asyncio.wait_for(awaitable, 60)


@kinds
@needs_proc
def test_connections_that_stop_reading(kind: str) -> None:
    """Each holds no more of the server than what its writer may buffer; the others are served in full, and who reads again misses nothing."""

    async def main() -> None:
        stalling = Stalling()
        ear = socket.create_server((HOST, 0), backlog=256)
        ear.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL)
        server = await aio.start_server(stalling.serve, config=server_config(groups=GROUPS), sock=ear)
        async with quiet():
            await within(asyncio.gather(*[served_client(port_of(server), number) for number in range(SERVED)]))
            before = resident()
            stalled = await within(asyncio.gather(*[stalled_client(port_of(server), n) for n in range(STALLED)]))
            await until(lambda: stalling.waiting == STALLED)
            await asyncio.sleep(0.1)
            assert stalling.waiting == STALLED, "a writer went on, though nobody read"
            buffered = [writer.transport.get_write_buffer_size() for writer in stalling.writers]
            assert 0 < max(buffered) <= 3 * BLOCK, f"a writer holds {max(buffered)} bytes"
            grown = (resident() - before) / STALLED
            assert grown < 8 * BLOCK, f"{grown:.0f} bytes for each"

            await within(asyncio.gather(*[served_client(port_of(server), number) for number in range(SERVED)]))
            assert stalling.waiting == STALLED

            for number, (transport, _, _) in enumerate(stalled):
                if number % 4:
                    transport.resume_reading()
                else:
                    transport.abort()
            for number, (_, app, digest) in enumerate(stalled):
                ended = await within(app.lost)
                if number % 4:
                    assert ended is None and digest.digest() == stream_digest(number), number
            await until(lambda: not stalling.writers)
            del stalled, transport, app, digest
        server.close()
        await server.wait_closed()

    run(asyncio.sleep(0), kind)  # uvloop's first loop opens what it keeps
    with nothing_left():
        run(main(), kind, limit=100)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        may_open(int(sys.argv[2]) + 500)
        asyncio.run(clients(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_bytes()))
