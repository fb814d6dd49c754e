# SPDX-License-Identifier: Apache-2.0
"""asyncio beside the standard library's sslproto: stream throughput of a pair in one process, and the memory of an idle pair. Prints a table.

usage: python bench/aio_cases.py [--rounds N] [--only WORD] [--mebibytes N] [--pairs N] [--uvloop]"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import pair as made
import pki

from tlsfast import aio

HOST = "127.0.0.1"
Pair = tuple[Any, asyncio.StreamReader, asyncio.StreamWriter]


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The standard library's server and client, with the same kind of certificate."""
    leaf = pki.make_leaf(made.authority(), [made.NAME])
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(leaf.pem + leaf.key_pem)
        file.flush()
        server.load_cert_chain(file.name)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=made.authority().cert_pem.decode())
    return server, client


class Side:
    """How one library listens and connects."""

    def __init__(self, name: str) -> None:
        self.name = name
        if name == "ssl":
            self.server, self.client = contexts()
        else:
            self.configs = made.server_config(), made.client_config(session_cache=None)

    async def listen(self, handle: Callable[..., Awaitable[None]]) -> Any:
        if self.name == "plain":
            return await asyncio.start_server(handle, HOST, 0)
        if self.name == "ssl":
            return await asyncio.start_server(handle, HOST, 0, ssl=self.server)
        return await aio.start_server(handle, HOST, 0, self.configs[0])

    async def connect(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self.name == "plain":
            return await asyncio.open_connection(HOST, port)
        if self.name == "ssl":
            return await asyncio.open_connection(HOST, port, ssl=self.client, server_hostname=made.NAME)
        return await aio.open_connection(HOST, port, self.configs[1], server_name=made.NAME)


async def pump(side: Side, total: int, size: int) -> float:
    """GB/s, in time of the processor, from a writer that waits for drain() to a reader, once the connection is warm."""
    done: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = 0
        while data := await reader.read(256 * 1024):
            got += len(data)
            if got >= total and not done.done():
                done.set_result(time.process_time())
        writer.close()

    server = await side.listen(swallow)
    _, writer = await side.connect(server.sockets[0].getsockname()[1])
    data = bytes(size)
    start = time.process_time()
    for _ in range(total // size):
        writer.write(data)
        await writer.drain()
    seconds = await done - start
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return total / seconds / 1e9


async def ping(side: Side, rounds: int, size: int) -> float:
    """Microseconds of a question and its answer, of size bytes each."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()

    server = await side.listen(echo)
    reader, writer = await side.connect(server.sockets[0].getsockname()[1])
    data = bytes(size)
    start = time.perf_counter()
    for _ in range(rounds):
        writer.write(data)
        await reader.readexactly(size)
    seconds = time.perf_counter() - start
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return seconds / rounds * 1e6


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * 4096


async def idle(side: Side, pairs: int) -> float:
    """KiB that a connected pair takes, client and server together, when nothing moves."""
    held: list[Any] = []

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        await reader.read(1)

    server = await side.listen(hold)
    port = server.sockets[0].getsockname()[1]
    kept = [await side.connect(port) for _ in range(20)]
    gc.collect()
    before = resident()
    kept += [await side.connect(port) for _ in range(pairs)]
    await asyncio.sleep(0.2)
    gc.collect()
    each = (resident() - before) / pairs / 1024
    for _, writer in kept:
        writer.transport.abort()
    await asyncio.sleep(0.2)
    server.close()
    return each


def memory(name: str, pairs: int) -> float:
    """idle() in a process of its own."""
    program = [sys.executable, __file__, "--idle", name, "--pairs", str(pairs)]
    return float(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def compare(what: str, unit: str, turn: Callable[[str], float], rounds: int, *, more_is_better: bool) -> None:
    """Turns of both, interleaved; the medians and the median ratio, above 1 in our favour."""
    pairs = [(turn("tlsfast"), turn("ssl")) for _ in range(rounds)]
    ours, theirs = (statistics.median(each[index] for each in pairs) for index in (0, 1))
    ratio = statistics.median(a / b if more_is_better else b / a for a, b in pairs)
    print(f"| {what} | {ours:.2f} {unit} | {theirs:.2f} {unit} (ssl) | {ratio:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--mebibytes", type=int, default=192)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--uvloop", action="store_true")
    parser.add_argument("--idle", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    factory = None
    if arguments.uvloop:
        import uvloop

        factory = uvloop.new_event_loop
    sides = {name: Side(name) for name in ("tlsfast", "ssl", "plain")}

    def on_loop(work: Callable[[Side], Awaitable[float]]) -> Callable[[str], float]:
        def turn(name: str) -> float:
            with asyncio.Runner(loop_factory=factory) as runner:
                return runner.run(work(sides[name]))  # type: ignore[arg-type]

        return turn

    if arguments.idle:
        print(on_loop(lambda side: idle(side, arguments.pairs))(arguments.idle))
        return
    print("| asyncio | tlsfast | peer | ratio |\n|---|---|---|---|", flush=True)
    total = arguments.mebibytes * 1024 * 1024
    for size in (16 * 1024, 64 * 1024, 256 * 1024, 1024 * 1024):
        if arguments.only in f"stream {size}":
            work = on_loop(lambda side, size=size: pump(side, total, size))  # type: ignore[misc]
            compare(f"stream, writes of {size // 1024} KiB", "GB/s", work, arguments.rounds, more_is_better=True)
    if arguments.only in "question":
        compare(
            "question and answer of 100 B", "us", on_loop(lambda side: ping(side, 2000, 100)), arguments.rounds,
            more_is_better=False,
        )  # fmt: skip
    if arguments.only in "idle":
        compare(
            "idle pair", "KiB", lambda name: memory(name, arguments.pairs), max(1, arguments.rounds // 3),
            more_is_better=False,
        )  # fmt: skip


if __name__ == "__main__":
    main()
