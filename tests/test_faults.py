# SPDX-License-Identifier: Apache-2.0
"""Faults at every point: resets at each byte of the handshake, peers that dribble, threads on one connection, cancellation at each await.

Each of them over tlsfast.aio, blocking sockets and the drop-in, and each ends with nothing left behind and no byte lost or doubled."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pki
import pytest
from leaks import nothing_left, quiet
from loops import BOTH, HOST, echo, port_of, run, wait
from pair import NAME, authority, client_config, server_config

import tlsfast.ssl
from tlsfast import ClientConnection, HandshakeTimeout, NamedGroup, ServerConnection, TLSError, TLSVersion, aio, sockets

X25519 = [NamedGroup.x25519, NamedGroup.secp256r1]
FAILED = (TLSError, OSError)

versions = pytest.mark.parametrize("version", BOTH, ids=str)
roles = pytest.mark.parametrize("role", ["client", "server"])
strides = pytest.mark.parametrize("stride", [89, pytest.param(1, marks=pytest.mark.slow)])


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """With all its threads begun, so that they are there before and after."""
    with ThreadPoolExecutor(8) as executor:
        begun = threading.Barrier(8)
        list(executor.map(lambda _: begun.wait(20), range(8)))
        yield executor


@functools.cache
def our_client(version: TLSVersion = TLSVersion.TLSv1_3) -> Any:
    return client_config(versions=[version], groups=X25519, session_cache=None)


@functools.cache
def our_server(version: TLSVersion = TLSVersion.TLSv1_3) -> Any:
    return server_config(versions=[version], groups=X25519)


def dropin_context(role: str, version: TLSVersion = TLSVersion.TLSv1_3) -> ssl.SSLContext:
    """A context of tlsfast.ssl with the certificates of pair.py."""
    if role == "client":
        context = tlsfast.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=authority().cert_pem.decode())
    else:
        leaf = pki.make_leaf(authority(), [NAME])
        context = tlsfast.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile(suffix=".pem") as file:
            file.write(leaf.pem + leaf.key_pem)
            file.flush()
            context.load_cert_chain(file.name)
    if version is TLSVersion.TLSv1_2:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


# ---- Peers that keep to the protocol, up to a point ----


def connection_for(victim: str, version: TLSVersion) -> ClientConnection | ServerConnection:
    """The other side of a victim of this role."""
    return ServerConnection(our_server(version)) if victim == "client" else ClientConnection(our_client(version), NAME)


def reset(sock: socket.socket) -> None:
    """Close with RST in place of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def cut_peer(sock: socket.socket, connection: ClientConnection | ServerConnection, budget: int) -> bool:
    """Shake hands until so many bytes were sent, then reset; False if the handshake needed fewer: then it was whole before the reset."""
    sock.settimeout(20)
    try:
        while True:
            wire = connection.data_to_send()
            if wire:
                sock.sendall(wire[:budget])
                budget -= len(wire)
                if budget <= 0:
                    return True
            if connection.handshake is not None:
                return False
            received = sock.recv(65536)
            if not received:
                return True
            connection.receive_data(received)
    except OSError:
        return True
    finally:
        reset(sock)


def dribble(sock: socket.socket, connection: ClientConnection | ServerConnection, pause: float) -> int:
    """Send the first flight byte by byte, slowly, until the victim has had enough; tell how many it took."""
    sock.settimeout(pause)
    if isinstance(connection, ServerConnection):
        while not connection.send_pending:
            connection.receive_data(sock.recv(65536))
    sent = 0
    for byte in connection.data_to_send():
        try:
            sock.send(bytes([byte]))
            sent += 1
            if sock.recv(65536) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    sock.close()
    return sent


class Ear:
    """A listening socket, and connections to it."""

    def __init__(self) -> None:
        self.socket = socket.create_server((HOST, 0), backlog=64)
        self.port = self.socket.getsockname()[1]

    def pair(self) -> tuple[socket.socket, socket.socket]:
        near = socket.create_connection((HOST, self.port), 20)
        far, _ = self.socket.accept()
        return near, far

    def __enter__(self) -> Ear:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Echo, to peers that may go at any time."""
    try:
        await echo(reader, writer)
    except FAILED:
        writer.transport.abort()


# ---- Resets at every byte of the handshake ----


@strides
@versions
@pytest.mark.parametrize("kind", ["sockets", "dropin"])
@roles
def test_resets_over_blocking_sockets(
    pool: ThreadPoolExecutor, kind: str, role: str, version: TLSVersion, stride: int
) -> None:
    """The victim fails, or has what it needs; then its next read fails. It never hangs, and what it held is gone."""
    context = dropin_context(role, version) if kind == "dropin" else None
    config = our_client(version) if role == "client" else our_server(version)
    hostname = NAME if role == "client" else None

    def victim(sock: socket.socket) -> None:
        with pytest.raises(FAILED):
            if context is None:
                with sockets.wrap_socket(sock, config, server_name=hostname) as plain:
                    plain.settimeout(20)
                    while plain.recv(100):
                        pass
            else:
                with context.wrap_socket(
                    sock, server_side=role == "server", server_hostname=hostname, suppress_ragged_eofs=False
                ) as stream:
                    while stream.recv(100):
                        pass

    with Ear() as ear:
        with nothing_left():
            budget, cut = 1, True
            while cut:
                near, far = ear.pair()
                near.settimeout(20)
                peer = pool.submit(cut_peer, far, connection_for(role, version), budget)
                victim(near)
                assert near.fileno() == -1
                cut = peer.result(20)
                budget += stride
            assert budget > 70, "the handshake was cut at least once"


@strides
@versions
def test_resets_of_an_asyncio_servers_clients(pool: ThreadPoolExecutor, version: TLSVersion, stride: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await aio.start_server(serve, HOST, 0, our_server(version))
        port = port_of(server)
        async with quiet():
            budget, cut = 1, True
            while cut:
                raw = socket.create_connection((HOST, port), 20)
                cut = await loop.run_in_executor(pool, cut_peer, raw, connection_for("server", version), budget)
                budget += stride
        assert budget > 70
        reader, writer = await aio.open_connection(HOST, port, our_client(version), server_name=NAME)
        writer.write(b"still here")
        assert await wait(reader.readexactly(10)) == b"still here"
        writer.close()
        await writer.wait_closed()
        server.close()
        await server.wait_closed()

    with nothing_left():
        run(main(), limit=100)


@strides
@versions
def test_resets_of_an_asyncio_clients_server(pool: ThreadPoolExecutor, version: TLSVersion, stride: int) -> None:
    async def main(ear: Ear) -> None:
        async with quiet():
            budget, cut = 1, True
            while cut:
                peer = pool.submit(
                    lambda most: cut_peer(ear.socket.accept()[0], connection_for("client", version), most), budget
                )
                with pytest.raises(FAILED):
                    reader, writer = await aio.open_connection(HOST, ear.port, our_client(version), server_name=NAME)
                    try:
                        while await wait(reader.read(100)):
                            pass
                    finally:
                        writer.close()
                        with contextlib.suppress(*FAILED):
                            await writer.wait_closed()
                cut = await asyncio.wrap_future(peer)
                budget += stride
        assert budget > 70

    with Ear() as ear, nothing_left():
        run(main(ear), limit=100)


# ---- A peer that dribbles ----


@roles
def test_a_dribbling_peer_meets_the_time_limit_of_asyncio(pool: ThreadPoolExecutor, role: str) -> None:
    """A byte each 20 ms keeps neither side's handshake open past its limit, and others are served meanwhile."""

    async def main(ear: Ear) -> None:
        async with quiet():
            if role == "client":
                slow = pool.submit(lambda: dribble(ear.socket.accept()[0], connection_for("client", BOTH[0]), 0.02))
                with pytest.raises(HandshakeTimeout, match="still waited for"):
                    await aio.open_connection(HOST, ear.port, our_client(), server_name=NAME, ssl_handshake_timeout=0.3)
            else:
                server = await aio.start_server(serve, HOST, 0, our_server(), ssl_handshake_timeout=0.3)
                raw = socket.create_connection((HOST, port_of(server)), 20)
                slow = pool.submit(dribble, raw, connection_for("server", BOTH[0]), 0.02)
                reader, writer = await aio.open_connection(HOST, port_of(server), our_client(), server_name=NAME)
                while not slow.done():
                    writer.write(b"next")
                    assert await wait(reader.readexactly(4)) == b"next"
                    await asyncio.sleep(0.01)
                writer.close()
                await writer.wait_closed()
                server.close()
                await server.wait_closed()
            assert 3 < await asyncio.wrap_future(slow) < 150

    with Ear() as ear, nothing_left():
        run(main(ear))


@roles
def test_a_dribbling_peer_meets_the_time_limit_of_the_dropin(pool: ThreadPoolExecutor, role: str) -> None:
    context = dropin_context(role)
    with Ear() as ear:
        with nothing_left():
            near, far = ear.pair()
            near.settimeout(0.3)
            slow = pool.submit(dribble, far, connection_for(role, BOTH[0]), 0.02)
            with near, pytest.raises(TimeoutError):
                context.wrap_socket(
                    near, server_side=role == "server", server_hostname=NAME if role == "client" else None
                )
            assert 3 < slow.result(20) < 150


# ---- Two threads on one connection ----

STEP = 4096  # numbers in one write


def numbers(start: int, count: int) -> bytes:
    """Consecutive numbers, eight bytes each: a byte lost or doubled shows in what follows."""
    return struct.pack(f">{count}Q", *range(start, start + count))


def pour(stream: Any, until: float, keys: Callable[[], object] | None) -> int:
    """Write numbers for so long; how many is told, and is the last thing written."""
    sent = 0
    while time.monotonic() < until:
        count = 1 + sent * 7 % STEP
        stream.sendall(numbers(sent, count))
        sent += count
        if keys is not None and sent % 13 == 0:
            keys()
    stream.sendall(b"\xff" * 8)
    return sent


def drink(stream: Any) -> int:
    """Read numbers to the mark that ends them, checking each."""
    rest, expected, size = bytearray(), 0, 0
    while True:
        size = size % 70_000 + 997
        data = stream.recv(size)
        assert data, "the stream ended early"
        rest += data
        whole = len(rest) // 8 * 8
        if rest[whole - 8 : whole] == b"\xff" * 8:
            assert rest[: whole - 8] == numbers(expected, whole // 8 - 1) and whole == len(rest)
            return expected + whole // 8 - 1
        assert rest[:whole] == numbers(expected, whole // 8)
        expected += whole // 8
        del rest[:whole]


def both_ways(pool: ThreadPoolExecutor, near: Any, far: Any, seconds: float) -> list[Future[int]]:
    """Two threads at each end, one reading, one writing."""
    end = time.monotonic() + seconds
    keys = [
        functools.partial(each.connection.update_keys, request_peer=True) if hasattr(each, "connection") else None
        for each in (near, far)
    ]
    return [
        pool.submit(pour, near, end, keys[0]),
        pool.submit(drink, far),
        pool.submit(pour, far, end, keys[1]),
        pool.submit(drink, near),
    ]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seconds", [1.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_two_threads_on_one_connection(pool: ThreadPoolExecutor, seconds: float) -> None:
    """One reads, one writes, at both ends of a blocking stream and of a drop-in's, side by side; the stream's keys change meanwhile."""
    client, server = dropin_context("client"), dropin_context("server")
    with Ear() as ear:
        with nothing_left():
            (a, b), (c, d) = ear.pair(), ear.pair()
            for each in (a, b, c, d):
                each.settimeout(30)
            waiting = pool.submit(sockets.wrap_socket, b, our_server())
            ours = sockets.wrap_socket(a, our_client(), server_name=NAME), waiting.result(20)
            accepting = pool.submit(server.wrap_socket, d, server_side=True)
            dropin = client.wrap_socket(c, server_hostname=NAME), accepting.result(20)
            work = both_ways(pool, *ours, seconds) + both_ways(pool, *dropin, seconds)
            counts = [each.result(seconds + 60) for each in work]
            assert counts[::2] == counts[1::2] and min(counts) > STEP
            for stream in (*ours, *dropin):
                stream.close()
            del stream, ours, dropin, work, waiting, accepting


# ---- Cancellation at every await ----


async def steps(task: asyncio.Task[Any], count: int) -> bool:
    """Let the loop go round so often; True if the task was done before."""
    for _ in range(count):
        if task.done():
            return True
        await asyncio.sleep(0)
    return task.done()


async def cancelled(coroutine: Coroutine[Any, Any, Any], after: int) -> tuple[bool, Any]:
    """Cancel after so many turns of the loop; (False, None) if that ended it, else (True, its result)."""
    task = asyncio.ensure_future(coroutine)
    await steps(task, after)
    task.cancel()
    try:
        return True, await wait(task)
    except asyncio.CancelledError:
        return False, None


async def at_every_await(make: Callable[[], Coroutine[Any, Any, Any]], after: Callable[[Any], Awaitable[None]]) -> int:
    """Cancel it at its first await, its second..., until it ends by itself; what it gives then, or None, goes to `after`. Tells how many."""
    for turns in range(2000):
        done, result = await cancelled(make(), turns)
        await after(result)
        if done:
            return turns
    raise AssertionError("it never ends")


async def part(writer: asyncio.StreamWriter | None) -> None:
    if writer is not None:
        writer.close()
        await wait(writer.wait_closed())


@versions
def test_handshakes_cancelled(version: TLSVersion) -> None:
    """open_connection: whatever the server had done by then, both ends are gone after."""

    async def main() -> None:
        server = await aio.start_server(serve, HOST, 0, our_server(version))

        async def after(opened: Any) -> None:
            await part(None if opened is None else opened[1])

        async with quiet():
            turns = await at_every_await(
                lambda: aio.open_connection(HOST, port_of(server), our_client(version), server_name=NAME), after
            )
        assert turns > 3
        server.close()
        await server.wait_closed()

    with nothing_left():
        run(main())


@roles
def test_start_tls_cancelled(role: str) -> None:
    """Both ends upgrade, one is cancelled: its plain connection goes with it, since nobody can know how much of the handshake was read."""

    async def main() -> None:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.put_nowait(writer)

        async def secure(writer: asyncio.StreamWriter, side: str) -> aio.TLSTransport:
            transport, protocol = writer.transport, writer.transport.get_protocol()
            if side == "client":
                return await aio.start_tls(transport, protocol, our_client(), server_name=NAME)
            return await aio.start_tls(transport, protocol, our_server())

        server = await asyncio.start_server(hold, HOST, 0)
        async with quiet():
            done, turns = False, 1
            while not done:
                _, near = await asyncio.open_connection(HOST, port_of(server))
                far = await wait(accepted.get())
                victim, other = (near, far) if role == "client" else (far, near)
                waiting = asyncio.ensure_future(secure(other, "server" if role == "client" else "client"))
                done, secured = await cancelled(secure(victim, role), turns)
                assert done or victim.transport.is_closing()
                outcome = (await wait(asyncio.gather(waiting, return_exceptions=True)))[0]
                assert isinstance(outcome, aio.TLSTransport if done else (aio.TLSTransport, *FAILED))
                for each in (secured, outcome, near.transport, far.transport):
                    if isinstance(each, asyncio.Transport):
                        each.abort()
                turns += 1
        assert turns > 3
        server.close()
        await server.wait_closed()

    with nothing_left():
        run(main())


@pytest.mark.parametrize("how", ["read", "readexactly"])
def test_reads_cancelled(how: str) -> None:
    """A read that is given up takes nothing with it, at whatever turn between the data's coming and its own waking: the next has what it left."""
    rounds, count = 200, 30

    async def main() -> None:
        accepted: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()

        async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accepted.put_nowait(writer)

        server = await aio.start_server(hold, HOST, 0, our_server())
        async with quiet():
            reader, writer = await aio.open_connection(HOST, port_of(server), our_client(), server_name=NAME)
            far = await wait(accepted.get())
            got, gave_up = bytearray(), 0
            for number in range(rounds):
                task = asyncio.ensure_future(reader.readexactly(8) if how == "readexactly" else reader.read(100))
                await asyncio.sleep(0)
                far.write(numbers(number * count, count))
                await steps(task, number % 7)
                task.cancel()
                try:
                    got += await wait(task)
                except asyncio.CancelledError:
                    gave_up += 1
                while len(got) < (number + 1) * count * 8:
                    got += await wait(reader.read(100))
            assert got == numbers(0, rounds * count) and rounds > gave_up > 20
            far.close()
            assert await wait(reader.read()) == b""
            await part(writer)
            await wait(far.wait_closed())
        server.close()
        await server.wait_closed()

    with nothing_left():
        run(main())


def test_drains_cancelled() -> None:
    """What was written goes out once and whole, whoever stopped waiting for it."""
    count, size = 400, 20_000

    async def main() -> None:
        result: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            got = bytearray()
            while data := await reader.read(30_000):
                got += data
                await asyncio.sleep(0)
            result.set_result(bytes(got))
            await part(writer)

        server = await aio.start_server(hear, HOST, 0, our_server())
        async with quiet():
            _, writer = await aio.open_connection(HOST, port_of(server), our_client(), server_name=NAME)
            gave_up = 0
            for number in range(count):
                writer.write(numbers(number * size // 8, size // 8))
                done, _ = await cancelled(writer.drain(), number % 3)
                gave_up += not done
            writer.write_eof()
            assert await wait(result) == numbers(0, count * size // 8) and gave_up > 20
            await part(writer)
        server.close()
        await server.wait_closed()

    with nothing_left():
        run(main())


@versions
@pytest.mark.parametrize("silent", [False, True], ids=["parting", "silent"])
def test_closes_cancelled(version: TLSVersion, silent: bool) -> None:
    """wait_closed() given up: the connection closes all the same, within its time limit if the peer says nothing."""

    async def main() -> None:
        stop = asyncio.Event()

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if silent:
                writer.transport.pause_reading()
                await stop.wait()
                writer.transport.abort()
            else:
                await serve(reader, writer)

        server = await aio.start_server(keep, HOST, 0, our_server(version))
        async with quiet():
            done, turns = False, 0
            while not done and turns < 8:
                _, writer = await aio.open_connection(
                    HOST, port_of(server), our_client(version), server_name=NAME, ssl_shutdown_timeout=0.05
                )
                writer.close()
                try:
                    done, _ = await cancelled(writer.wait_closed(), turns)
                except FAILED:
                    done = True
                turns += 1
            stop.set()
            assert turns > 1
        server.close()
        await server.wait_closed()

    with nothing_left():
        run(main())
