# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio under pressure: flow control both ways, callbacks that come back into the transport, cancellation anywhere, TLS on a plain stream."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from typing import Any

import pytest
from loops import (
    HOST,
    LOOPS,
    Recorder,
    echo,
    finish,
    port_of,
    run,
    std_client_context,
    std_server_context,
    until,
    wait,
)
from pair import NAME, client_config, server_config
from test_aio import linked

from tlsfast import ApiMisuse, TLSError, Truncated, aio
from tlsfast.aio.buffers import SIZE

kinds = pytest.mark.parametrize("kind", LOOPS)


# ---- Flow control ----


@kinds
def test_a_reader_that_pauses_at_random_loses_nothing(kind: str) -> None:
    chance = random.Random(7)

    def sometimes(protocol: Recorder, data: bytes) -> None:
        if chance.random() < 0.5:
            protocol.transport.pause_reading()
            protocol.transport.pause_reading()
            size = len(protocol.data)

            def go_on() -> None:
                assert len(protocol.data) == size
                protocol.transport.resume_reading()
                protocol.transport.resume_reading()

            asyncio.get_running_loop().call_later(chance.random() / 200, go_on)

    async def main() -> None:
        server, transport, ours, theirs = await linked(server=lambda: Recorder(on_data=sometimes))
        sent = os.urandom(6_000_000)
        start = 0
        while start < len(sent):
            size = chance.choice([1, 100, 5000, 16384, 100_000, 700_000])
            transport.write(sent[start : start + size])
            start += size
            if chance.random() < 0.1:
                transport.connection.update_keys()
            if chance.random() < 0.3:
                await asyncio.sleep(0)
        await until(lambda: len(theirs.data) == len(sent))
        assert theirs.data == sent
        transport.close()
        assert await wait(theirs.lost) is None
        await finish(server)

    run(main(), kind)


@kinds
def test_what_a_paused_connection_keeps_is_bounded(kind: str) -> None:
    """And its sender is told to stop; after resume_reading all of it comes."""

    async def main() -> None:
        server, transport, ours, theirs = await linked()
        theirs.transport.pause_reading()
        assert not theirs.transport.is_reading()
        written = 0
        block = os.urandom(100_000)
        while written < 50_000_000 and transport.get_write_buffer_size() < 300_000:
            transport.write(block)
            written += len(block)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.1)
        assert theirs.data == b""
        kept = sum(len(event.data) for event in theirs.transport._tls._pending)
        assert kept + theirs.transport.connection._reader.buffered <= SIZE + 20_000
        assert ours.calls.count("pause") == ours.calls.count("resume") + 1
        theirs.transport.resume_reading()
        await until(lambda: len(theirs.data) == written)
        assert theirs.data == block * (written // len(block))
        await until(lambda: ours.calls.count("pause") == ours.calls.count("resume"))
        transport.close()
        await wait(ours.lost)
        await finish(server)

    run(main(), kind)


@kinds
def test_write_buffer_limits(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        theirs.transport.pause_reading()
        transport.set_write_buffer_limits(high=1_000_000, low=1000)
        assert transport.get_write_buffer_limits() == (1000, 1_000_000)
        for _ in range(2000):
            if transport.get_write_buffer_size() >= 500_000:
                break
            transport.write(bytes(50_000))
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        assert ours.calls.count("pause") == ours.calls.count("resume")
        transport.write(bytes(1_000_000))
        await asyncio.sleep(0.05)
        assert ours.calls[-1] == "pause"
        theirs.transport.resume_reading()
        await until(lambda: ours.calls[-1] == "resume")
        transport.abort()
        await wait(ours.lost)
        await wait(theirs.lost)
        await finish(server)

    run(main(), kind)


@kinds
def test_calls_of_pause_and_resume_alternate(kind: str) -> None:
    """asyncio's own StreamReaderProtocol asserts that they do."""

    async def main() -> None:
        server, transport, ours, theirs = await linked()
        for index in range(60):
            transport.write(bytes(200_000))
            if index % 3:
                await asyncio.sleep(0)
        await until(lambda: len(theirs.data) == 12_000_000)
        await asyncio.sleep(0.01)
        calls = [call for call in ours.calls if call in ("pause", "resume")]
        assert calls == ["pause", "resume"] * (len(calls) // 2) and calls
        transport.close()
        await wait(ours.lost)
        await finish(server)

    run(main(), kind)


@kinds
def test_a_peer_that_never_reads_meets_the_time_limit_of_close(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked(ssl_shutdown_timeout=0.3)
        theirs.transport.pause_reading()
        for _ in range(100):
            transport.write(bytes(300_000))
        transport.close()
        assert isinstance(await wait(ours.lost), TimeoutError)
        theirs.transport.abort()
        await wait(theirs.lost)
        await finish(server)

    run(main(), kind)


@pytest.mark.slow
def test_two_hundred_connections_that_stop_reading() -> None:
    """Each side holds its high-water mark and one write at most; and one that reads is served as ever."""

    async def main() -> None:
        writers: list[asyncio.StreamWriter] = []

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            try:
                while True:
                    writer.write(bytes(64 * 1024))
                    await writer.drain()
            except (TLSError, ConnectionError):
                writer.close()

        loop = asyncio.get_running_loop()
        listener = socket.create_server((HOST, 0), backlog=250)
        listener.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024
        )  # the kernel's own buffers are not what is tested
        server = await aio.start_server(flood, None, None, server_config(), sock=listener)
        config = client_config()
        transports = []
        for _ in range(200):
            raw = socket.socket()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
            raw.setblocking(False)
            await loop.sock_connect(raw, (HOST, port_of(server)))
            transport, _ = await aio.create_connection(asyncio.Protocol, config=config, server_name=NAME, sock=raw)
            transport.pause_reading()
            transports.append(transport)
        await until(lambda: len(writers) == 200)
        await asyncio.sleep(0.3)
        assert all(writer.transport.get_write_buffer_size() < 200 * 1024 for writer in writers)
        reader, writer = await aio.open_connection(HOST, port_of(server), config, server_name=NAME)
        assert len(await wait(reader.readexactly(1_000_000))) == 1_000_000
        for each in [*transports, writer.transport]:
            each.abort()
        await until(lambda: all(writer.transport.is_closing() for writer in writers))
        await asyncio.sleep(0.1)
        await finish(server)

    run(main(), limit=60)


class Small(asyncio.BufferedProtocol):
    """Takes what comes in a buffer of seven bytes, and sometimes pauses."""

    def __init__(self) -> None:
        self.buffer = bytearray(7)
        self.data = bytearray()
        self.transport: Any = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]
        if len(self.data) % 100 < 7:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


@kinds
def test_a_buffered_protocol(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked(client=Small)
        sent = os.urandom(50_000)
        theirs.transport.write(sent[:20_000])
        theirs.transport.write(sent[20_000:])
        await until(lambda: len(ours.data) == len(sent))
        assert ours.data == sent
        transport.close()
        assert await wait(ours.lost) is None
        await finish(server)

    run(main(), kind)


# ---- Callbacks that come back ----


@kinds
@pytest.mark.parametrize("end", ["close", "abort"])
def test_the_end_inside_of_data_received(kind: str, end: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked(
            client=lambda: Recorder(on_data=lambda protocol, _: getattr(protocol.transport, end)())
        )
        theirs.transport.write(b"one")
        theirs.transport.connection.update_keys()
        theirs.transport.write(b"two")
        assert await wait(ours.lost) is None
        assert ours.calls == ["made", "data", "lost"]
        await wait(theirs.lost)
        await finish(server)

    run(main(), kind)


@kinds
def test_another_protocol_takes_over_inside_of_data_received(kind: str) -> None:
    async def main() -> None:
        second = Recorder()

        def hand_over(protocol: Recorder, data: bytes) -> None:
            protocol.transport.set_protocol(second)

        server, transport, ours, theirs = await linked(client=lambda: Recorder(on_data=hand_over))
        theirs.transport.write(b"first")
        theirs.transport.connection.update_keys()
        theirs.transport.write(b"second")
        await until(lambda: second.data)
        assert (ours.data, second.data) == (b"first", b"second")
        transport.close()
        assert await wait(second.lost) is None
        ours.lost.cancel()
        await finish(server)

    run(main(), kind)


@kinds
def test_pausing_inside_of_data_received_holds_back_the_end_too(kind: str) -> None:
    """Data, then close_notify, in one read: the end comes after resume_reading."""

    async def main() -> None:
        server, transport, ours, theirs = await linked(
            client=lambda: Recorder(on_data=lambda protocol, _: protocol.transport.pause_reading())
        )
        theirs.transport.write(b"last words")
        theirs.transport.close()
        await until(lambda: ours.data)
        await asyncio.sleep(0.05)
        assert ours.calls == ["made", "data"]
        transport.resume_reading()
        assert await wait(ours.lost) is None
        assert ours.calls == ["made", "data", "eof", "lost"]
        assert await wait(theirs.lost) is None
        await finish(server)

    run(main(), kind)


@kinds
def test_data_before_a_fault_is_given_out_first(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked(
            client=lambda: Recorder(on_data=lambda protocol, _: protocol.transport.pause_reading())
        )
        good = theirs.transport.connection.seal(b"good")
        bad = bytearray(theirs.transport.connection.seal(b"bad"))
        bad[-1] ^= 1
        theirs.transport._tls.wire.write(good + bytes(bad))
        await until(lambda: ours.data)
        await asyncio.sleep(0.05)
        assert ours.calls == ["made", "data"]
        transport.write(b"nobody hears this")
        transport.resume_reading()
        assert "did not authenticate" in str(await wait(ours.lost))
        assert ours.data == b"good"
        assert "bad_record_mac" in str(await wait(theirs.lost))
        await finish(server)

    run(main(), kind)


# ---- TLS on a plain stream ----


class Upgrading(Recorder):
    """A server that starts TLS when it is asked to, from inside of data_received."""

    def __init__(self, tasks: list[Any]) -> None:
        super().__init__(self.upgrade)
        self.tasks = tasks

    def upgrade(self, _: Recorder, data: bytes) -> None:
        if data == b"STARTTLS\r\n":
            self.transport.write(b"go ahead\r\n")
            self.tasks.append(asyncio.create_task(aio.start_tls(self.transport, self, server_config())))
        else:
            self.tls = self.tasks[0].result()
            self.tls.write(b"echo " + data)


@kinds
@pytest.mark.parametrize("ours", [True, False], ids=["our client", "standard client"])
def test_start_tls(kind: str, ours: bool) -> None:
    async def main() -> None:
        tasks: list[Any] = []
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Upgrading(tasks), HOST, 0)
        transport, protocol = await loop.create_connection(Recorder, HOST, port_of(server))
        transport.write(b"STARTTLS\r\n")
        await until(lambda: protocol.data == b"go ahead\r\n")
        if ours:
            tls: Any = await aio.start_tls(transport, protocol, client_config(), server_name=NAME)
        else:
            tls = await loop.start_tls(transport, protocol, std_client_context(), server_hostname=NAME)
        await tasks[0]
        tls.write(b"hello")
        await until(lambda: protocol.data.endswith(b"echo hello"))
        assert protocol.calls == ["made", "data"]
        tls.close()
        assert await wait(protocol.lost) is None
        await finish(server)

    run(main(), kind)


@kinds
def test_start_tls_at_a_standard_server(kind: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        made: list[Any] = []

        class Standard(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                if data == b"STARTTLS\r\n":
                    self.transport.write(b"go ahead\r\n")
                    upgrade = loop.start_tls(self.transport, self, std_server_context(), server_side=True)
                    made.append(asyncio.ensure_future(upgrade))
                else:
                    made[0].result().write(b"echo " + data)

        server = await loop.create_server(Standard, HOST, 0)
        transport, protocol = await loop.create_connection(Recorder, HOST, port_of(server))
        transport.write(b"STARTTLS\r\n")
        await until(lambda: protocol.data)
        tls = await aio.start_tls(transport, protocol, client_config(), server_name=NAME, server_side=False)
        await made[0]
        tls.write(b"hello")
        await until(lambda: protocol.data.endswith(b"echo hello"))
        tls.close()
        assert await wait(protocol.lost) is None
        with pytest.raises(ApiMisuse, match="server_side"):
            await aio.start_tls(transport, protocol, client_config(), server_name=NAME, server_side=True)
        with pytest.raises(ConnectionResetError):
            await aio.start_tls(transport, protocol, client_config(), server_name=NAME)
        await finish(server)

    run(main(), kind)


@kinds
def test_tls_inside_of_tls(kind: str) -> None:
    async def main() -> None:
        tasks: list[Any] = []
        server = await aio.create_server(lambda: Upgrading(tasks), HOST, 0, server_config())
        outer, protocol = await aio.create_connection(
            Recorder, HOST, port_of(server), client_config(), server_name=NAME
        )
        outer.write(b"STARTTLS\r\n")
        await until(lambda: protocol.data)
        inner = await aio.start_tls(outer, protocol, client_config(), server_name=NAME)
        await tasks[0]
        sent = os.urandom(600_000)
        inner.write(sent)
        await until(lambda: len(protocol.data) >= len(sent) + 15)
        assert protocol.data.replace(b"echo ", b"")[10:] == sent
        inner.close()
        assert await wait(protocol.lost) is None
        await finish(server)

    run(main(), kind)


# ---- Cancellation ----


@kinds
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 20])
def test_cancelled_while_it_opens(kind: str, turns: int) -> None:
    """After any number of turns of the loop: nothing of the connection is left, at the peer neither."""

    async def main() -> None:
        served: list[Any] = []

        class Served(Recorder):
            def __init__(self) -> None:
                super().__init__()
                served.append(self)

        server = await aio.create_server(Served, HOST, 0, server_config())
        opening = asyncio.create_task(aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        try:
            _, writer = await opening
        except asyncio.CancelledError:
            pass
        else:
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.02)
        for protocol in served:
            if protocol.made.done():
                await wait(protocol.lost)
            protocol.lost.cancel()
        await finish(server)

    run(main(), kind)


@kinds
def test_cancelled_reads_lose_nothing(kind: str) -> None:
    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config())
        reader, writer = await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME)
        sent = os.urandom(400_000)
        got = bytearray()
        chance = random.Random(3)

        async def send() -> None:
            for start in range(0, len(sent), 1000):
                writer.write(sent[start : start + 1000])
                await writer.drain()
                if start % 7000 == 0:
                    await asyncio.sleep(0)

        sending = asyncio.create_task(send())
        while len(got) < len(sent):
            reading = asyncio.create_task(reader.read(50_000))
            for _ in range(chance.randrange(6)):
                await asyncio.sleep(0)
            reading.cancel()
            try:
                got += await wait(reading)
            except asyncio.CancelledError:
                await asyncio.sleep(0.0005)
        await sending
        assert got == sent
        await finish(server, writer)

    run(main(), kind)


@kinds
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5])
def test_cancelled_start_tls_and_wait_closed(kind: str, turns: int) -> None:
    async def echo_until_reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await echo(reader, writer)

    async def main() -> None:
        server = await asyncio.start_server(echo_until_reset, HOST, 0)
        _, writer = await asyncio.open_connection(HOST, port_of(server))
        upgrade = asyncio.create_task(
            aio.start_tls(writer.transport, writer.transport.get_protocol(), client_config(), server_name=NAME)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        upgrade.cancel()
        # It may have failed before: an echo of our hello is no answer.
        with pytest.raises((asyncio.CancelledError, TLSError)):
            await upgrade
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        await finish(server)

    run(main(), kind)


# ---- Peers that go away ----


@kinds
def test_a_reset_at_every_byte_of_the_handshake(kind: str) -> None:
    """The client's first flight, cut anywhere: the server is done with each within the test."""

    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config())
        hello = _first_flight()
        for length in {*range(0, len(hello), 9), 1, 4, 5, 6, len(hello)}:
            _, writer = await asyncio.open_connection(HOST, port_of(server))
            writer.write(hello[:length])
            await asyncio.sleep(0)
            writer.transport.abort()
        reader, writer = await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME)
        writer.write(b"x")
        assert await wait(reader.readexactly(1)) == b"x"
        await asyncio.sleep(0.1)
        await finish(server, writer)

    run(main(), kind)


def _first_flight() -> bytes:
    from tlsfast import ClientConnection

    return ClientConnection(client_config(), NAME).data_to_send()


@kinds
def test_a_reset_in_the_midst_of_data(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        for _ in range(20):
            transport.write(bytes(100_000))
        theirs.transport._tls.wire.abort()
        assert isinstance(await wait(ours.lost), ConnectionError | Truncated)
        for _ in range(10):
            transport.write(b"after the end")
        await finish(server)

    run(main(), kind)


def test_a_read_cancelled_with_its_answer_on_the_way() -> None:
    """The data was handed over, but the task was cancelled before it could take it: the next read gets it."""

    async def main() -> None:
        reader = aio.StreamReader(loop=asyncio.get_running_loop())
        for rest in (b"", b"more"):
            reading = asyncio.create_task(reader.read(10))
            await asyncio.sleep(0)
            reader.feed_data(b"abc")
            assert not reader.at_eof()
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            assert reading.cancelled()
            if rest:
                reader.feed_data(rest)
            assert await wait(reader.read(10)) == b"abc" + rest
        reading = asyncio.create_task(reader.read(2))
        await asyncio.sleep(0)
        reader.feed_data(b"abc")
        reader.feed_data(b"def")
        reader.feed_eof()
        assert await reading == b"ab"
        assert await reader.read() == b"cdef"

    run(main())


def test_the_wire_resumes_in_the_turn_that_a_writer_gives_away() -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        transport.write(bytes(200_000))
        assert ours.calls == ["made", "pause"]
        transport._tls.pause_writing()
        transport._tls.resume_writing()
        assert ours.calls == ["made", "pause"]
        await asyncio.sleep(0)
        assert ours.calls == ["made", "pause", "resume"]
        transport.close()
        await wait(ours.lost)
        await wait(theirs.lost)
        await finish(server)

    run(main())
