# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio: streams and transports over loopback, against ourselves and the standard library, on asyncio and uvloop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import sys
import tempfile
import threading
import weakref
from typing import Any

import pytest
from loops import (
    BOTH,
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
from pair import NAME, client_config, client_credential, server_config, trust
from pki import make_ca

from tlsfast import (
    AlertReceived,
    ApiMisuse,
    CertificateError,
    HandshakeTimeout,
    TLSError,
    TLSVersion,
    Truncated,
    TrustStore,
    aio,
)

kinds = pytest.mark.parametrize("kind", LOOPS)
versions = pytest.mark.parametrize("version", BOTH, ids=str)


# ---- Streams ----


@kinds
@versions
def test_echo(kind: str, version: TLSVersion) -> None:
    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config(versions=[version], alpn=["h2"]))
        reader, writer = await aio.open_connection(
            HOST, port_of(server), client_config(versions=[version], alpn=["h2"]), server_name=NAME
        )
        sent = os.urandom(3_000_000)
        writer.write(sent[:1])
        writer.writelines([sent[1:3], bytearray(sent[3:100]), memoryview(sent)[100:200]])
        sending = asyncio.ensure_future(send_all(writer, sent[200:]))
        assert await reader.readexactly(150) == sent[:150]
        rest = bytearray()
        while len(rest) < len(sent) - 150:
            rest += await reader.read(70_000)
        await sending
        assert rest == sent[150:]
        assert reader.at_eof() is False
        await finish(server, writer)
        assert await reader.read() == b""

    async def send_all(writer: asyncio.StreamWriter, data: bytes) -> None:
        for start in range(0, len(data), 90_000):
            writer.write(memoryview(data)[start : start + 90_000])
            await writer.drain()

    run(main(), kind)


@kinds
@pytest.mark.parametrize("tls12", [False, True])
def test_our_client_and_the_standard_server(kind: str, tls12: bool) -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, HOST, 0, ssl=std_server_context(tls12=tls12))
        reader, writer = await aio.open_connection(
            HOST, port_of(server), client_config(versions=BOTH, alpn=["http/1.1"]), server_name=NAME
        )
        sent = os.urandom(700_000)
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        await finish(server, writer)

    run(main(), kind)


@kinds
@pytest.mark.parametrize("tls12", [False, True])
def test_our_server_and_the_standard_client(kind: str, tls12: bool) -> None:
    """A blocking client in a thread: another TLS stack and another way to use sockets."""

    def client(port: int, sent: bytes, got: list[bytes]) -> None:
        with (
            socket.create_connection((HOST, port)) as raw,
            std_client_context(tls12=tls12).wrap_socket(raw, server_hostname=NAME) as stream,
        ):
            thread = threading.Thread(target=stream.sendall, args=(sent,))
            thread.start()
            while sum(map(len, got)) < len(sent):
                got.append(stream.recv(60_000))
            thread.join()
            stream.unwrap()

    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config(versions=BOTH))
        sent, got = os.urandom(500_000), []
        await asyncio.to_thread(client, port_of(server), sent, got)
        assert b"".join(got) == sent
        await finish(server)

    run(main(), kind)


@kinds
def test_half_close(kind: str) -> None:
    """Our close_notify ends our direction; the answer still comes, as over plain TCP."""

    async def sum_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got = await reader.read()
        assert writer.can_write_eof()
        writer.write(b"%d" % len(got))
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await aio.start_server(sum_up, HOST, 0, server_config())
        reader, writer = await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME)
        writer.write(bytes(400_000))
        writer.write_eof()
        with pytest.raises(RuntimeError, match="write_eof"):
            writer.write(b"more")
        assert await wait(reader.read()) == b"400000"
        await finish(server, writer)

    run(main(), kind)


def test_tls12_has_no_half_close() -> None:
    async def main() -> None:
        config = {"versions": [TLSVersion.TLSv1_2]}
        server = await aio.start_server(echo, HOST, 0, server_config(**config))
        _, writer = await aio.open_connection(HOST, port_of(server), client_config(**config), server_name=NAME)
        assert not writer.can_write_eof()
        with pytest.raises(NotImplementedError):
            writer.write_eof()
        await finish(server, writer)

    run(main())


@kinds
def test_a_stream_that_is_cut_gives_what_came_then_raises(kind: str) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"first line\nsecond")
        await reader.read(1)
        transport: Any = writer.transport
        transport._tls.wire.write_eof()
        with contextlib.suppress(Truncated):
            await reader.read()
        writer.close()

    async def main(**options: Any) -> None:
        server = await aio.start_server(cut, HOST, 0, server_config())
        reader, writer = await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME, **options)
        await reader.readexactly(3)
        writer.write(b"x")
        await until(lambda: reader._eof)
        assert await reader.readline() == b"st line\n"
        assert await reader.read(100) == b"second"
        if options:
            assert await reader.read(100) == b""
        else:
            for _ in range(2):
                with pytest.raises(Truncated):
                    await reader.read(100)
            with pytest.raises(Truncated):
                await reader.readexactly(1)
        writer.close()
        if options:
            await writer.wait_closed()
        else:
            with pytest.raises(Truncated):
                await writer.wait_closed()
        server.close()
        await server.wait_closed()

    run(main(), kind)
    run(main(allow_truncation=True), kind)


def test_readuntil_and_iteration() -> None:
    async def lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"one\ntwo\nthree")
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await aio.start_server(lines, HOST, 0, server_config())
        reader, writer = await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME)
        assert await reader.readuntil(b"e") == b"one"
        assert [line async for line in reader] == [b"\n", b"two\n", b"three"]
        assert reader.at_eof()
        await finish(server, writer)

    run(main())


# ---- What the transport tells ----


@kinds
def test_extra_info(kind: str) -> None:
    seen: dict[str, Any] = {}

    async def look(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen["object"] = writer.get_extra_info("ssl_object")
        await echo(reader, writer)

    async def main() -> None:
        server = await aio.start_server(
            look, HOST, 0, server_config(alpn=["h2"], client_auth="required", trust=trust())
        )
        config = client_config(alpn=["h2"], credentials=[client_credential()])
        _, writer = await aio.open_connection(HOST, port_of(server), config, server_name=NAME)
        info = writer.get_extra_info
        await until(lambda: seen)
        asked, theirs = info("ssl_object"), seen["object"]
        assert info("cipher") == asked.cipher() == theirs.cipher()
        assert asked.cipher()[1:] == ("TLSv1.3", 128) and asked.version() == "TLSv1.3"
        assert info("compression") is None and asked.compression() is None
        assert info("sslcontext") is config
        assert asked.selected_alpn_protocol() == theirs.selected_alpn_protocol() == "h2"
        assert theirs.getpeercert(True) == client_credential().chain[0]
        assert asked.getpeercert(True) == asked.get_unverified_chain()[0] == asked.get_verified_chain()[0]
        assert (asked.server_side, theirs.server_side) == (False, True)
        assert (asked.server_hostname, theirs.server_hostname) == (NAME, None)
        assert asked.session_reused is False
        assert asked.get_channel_binding("tls-exporter") == theirs.get_channel_binding("tls-exporter") is not None
        assert asked.get_channel_binding("tls-unique") is None
        assert info("handshake").server_name == NAME
        assert info("peername") == (HOST, port_of(server))
        assert isinstance(info("socket").getsockname()[1], int)
        assert info("nothing", "else") == "else"
        await finish(server, writer)
        assert info("cipher")[1] == "TLSv1.3"

    run(main(), kind)


def test_second_connection_resumes() -> None:
    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config())
        config = client_config()
        resumed = []
        for _ in range(2):
            reader, writer = await aio.open_connection(HOST, port_of(server), config, server_name=NAME)
            writer.write(b"x")
            await reader.readexactly(1)
            resumed.append(writer.get_extra_info("handshake").resumed)
            writer.close()
            await writer.wait_closed()
        assert resumed == [False, True]
        await finish(server)

    run(main())


# ---- Handshakes that fail ----


@kinds
def test_a_certificate_that_is_not_trusted(kind: str) -> None:
    async def main() -> None:
        called: list[object] = []
        server = await aio.start_server(lambda *_: called.append(1), HOST, 0, server_config())
        with pytest.raises(CertificateError):
            await aio.open_connection(HOST, port_of(server), client_config(), server_name="other.test")
        assert called == []
        await finish(server)

    run(main(), kind)


@kinds
def test_the_server_hears_why_the_client_went(kind: str) -> None:
    """The alert reaches the peer, although we close: a standard server sees it as an SSLError."""
    errors: list[Any] = []

    def serve(listener: socket.socket) -> None:
        with listener.accept()[0] as raw:
            raw.settimeout(10)
            try:
                with std_server_context().wrap_socket(raw, server_side=True) as stream:
                    stream.recv(1)
            except ssl.SSLError as error:
                errors.append(error)

    async def main() -> None:
        with socket.create_server((HOST, 0)) as listener:
            serving = asyncio.create_task(asyncio.to_thread(serve, listener))
            with pytest.raises(CertificateError):
                await aio.open_connection(
                    HOST,
                    listener.getsockname()[1],
                    client_config(trust=TrustStore([make_ca("stranger").cert])),
                    server_name=NAME,
                )
            await serving
        assert "UNKNOWN_CA" in str(errors[0])

    run(main(), kind)


@kinds
def test_the_client_hears_why_it_is_refused(kind: str) -> None:
    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config(client_auth="required", trust=trust()))
        reader, writer = await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME)
        # In TLS 1.3 the client's handshake is done before the server looks at its certificate.
        with pytest.raises(AlertReceived, match="certificate_required"):
            await reader.read(1)
        writer.close()
        with pytest.raises(AlertReceived):
            await writer.wait_closed()
        await finish(server)

    run(main(), kind)


@kinds
def test_a_peer_that_speaks_no_tls(kind: str) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ready\r\n")
        await reader.read(10)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(hang_up, HOST, 0)
        with pytest.raises(TLSError, match="TLS"):
            await wait(aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME))
        await finish(server)

    run(main(), kind)


@kinds
def test_a_peer_that_hangs_up_in_mid_handshake(kind: str) -> None:
    async def main() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10_000)
            writer.close()

        server = await asyncio.start_server(hang_up, HOST, 0)
        with pytest.raises(Truncated, match="ServerHello"):
            await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME)
        await finish(server)

    run(main(), kind)


@kinds
def test_a_dribbling_server_meets_the_time_limit(kind: str) -> None:
    async def main() -> None:
        async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for byte in b"\x16\x03\x03\x0f\xff\x02" + bytes(10_000):
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
                if writer.is_closing() or reader.at_eof():
                    break
            writer.close()
            done.set()

        done = asyncio.Event()
        server = await asyncio.start_server(dribble, HOST, 0)
        with pytest.raises(HandshakeTimeout, match="ServerHello"):
            await aio.open_connection(
                HOST, port_of(server), client_config(), server_name=NAME, ssl_handshake_timeout=0.3
            )
        await wait(done.wait())
        await finish(server)

    run(main(), kind)


@kinds
def test_a_dribbling_client_meets_the_time_limit(kind: str) -> None:
    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config(), ssl_handshake_timeout=0.3)
        reader, writer = await asyncio.open_connection(HOST, port_of(server))
        got = asyncio.create_task(reader.read())
        for byte in b"\x16\x03\x01\x0f\xff\x01" + bytes(4000):
            if got.done():
                break
            writer.write(bytes([byte]))
            await asyncio.sleep(0.02)
        # user_canceled, then close_notify (RFC 8446, 6.1)
        assert await wait(got) == bytes.fromhex("15030300020 15a 1503030002 0100".replace(" ", ""))
        writer.close()
        await finish(server)

    run(main(), kind)


def test_misuse() -> None:
    async def main() -> None:
        with pytest.raises(ApiMisuse, match="config in place of ssl="):
            await aio.open_connection(HOST, 1, ssl=True)
        with pytest.raises(ApiMisuse, match="server_name in place"):
            await aio.open_connection(HOST, 1, server_hostname=NAME)
        with pytest.raises(ApiMisuse, match="ServerConfig"):
            await aio.start_server(echo, HOST, 0, client_config())  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="ssl_handshake_timeout"):
            await aio.open_connection(HOST, 1, client_config(), ssl_handshake_timeout=0)
        with pytest.raises(ConnectionRefusedError):
            await aio.open_connection(HOST, 1, client_config())

    run(main())


# ---- Transports ----


async def linked(
    client: Any = None, server: Any = None, **options: Any
) -> tuple[aio.Server, aio.TLSTransport, Recorder, Recorder]:
    """A server, and a client's transport; both sides' protocols are recorders."""
    accepted: list[Recorder] = []

    def make() -> Recorder:
        accepted.append(server() if server is not None else Recorder())
        return accepted[-1]

    listening = await aio.create_server(make, HOST, 0, server_config(), **options)
    transport, protocol = await aio.create_connection(
        client if client is not None else Recorder,
        HOST,
        port_of(listening),
        client_config(),
        server_name=NAME,
        **options,
    )
    await wait(accepted[0].made)
    return listening, transport, protocol, accepted[0]


@kinds
def test_the_order_of_calls(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        assert ours.calls == ["made"] and ours.transport is transport
        transport.write(b"hello")
        await until(lambda: theirs.data)
        theirs.transport.write(b"world")
        await until(lambda: ours.data)
        transport.close()
        assert transport.is_closing()
        transport.write(b"too late")
        assert await wait(ours.lost) is None
        assert await wait(theirs.lost) is None
        assert ours.calls == ["made", "data", "lost"]
        assert theirs.calls == ["made", "data", "eof", "lost"]
        assert (theirs.data, ours.data) == (b"hello", b"world")
        transport.close()
        transport.abort()
        await finish(server)

    run(main(), kind)


@kinds
def test_what_was_written_before_close_arrives(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        sent = os.urandom(5_000_000)
        transport.write(sent)
        transport.close()
        assert await wait(ours.lost) is None
        assert await wait(theirs.lost) is None
        assert theirs.data == sent
        await finish(server)

    run(main(), kind)


@kinds
def test_abort(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        transport.abort()
        assert transport.is_closing()
        assert await wait(ours.lost) is None
        assert isinstance(await wait(theirs.lost), Truncated | ConnectionError)
        assert theirs.calls == ["made", "lost"]
        await finish(server)

    run(main(), kind)


@kinds
def test_half_close_by_transports(kind: str) -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked(server=lambda: Recorder(keep_open=True))
        assert transport.can_write_eof()
        transport.write(b"question")
        transport.write_eof()
        transport.write_eof()
        await until(lambda: "eof" in theirs.calls)
        assert not theirs.transport.is_closing()
        theirs.transport.write(b"answer")
        await until(lambda: ours.data == b"answer")
        theirs.transport.close()
        assert await wait(theirs.lost) is None and await wait(ours.lost) is None
        assert ours.calls == ["made", "data", "eof", "lost"]
        await finish(server)

    run(main(), kind)


def test_write_takes_bytes_alone() -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        with pytest.raises(TypeError, match="bytes-like"):
            transport.write("text")  # type: ignore[arg-type]
        transport.write(b"")
        transport.writelines([])
        buffer = bytearray(b"mutable")
        transport.write(buffer)
        buffer[:] = b"changed"
        await until(lambda: theirs.data == b"mutable")
        assert transport.get_protocol() is ours
        assert "open client" in repr(transport)
        transport.close()
        await wait(ours.lost)
        assert "closed" in repr(transport)
        await finish(server)

    run(main())


def test_callbacks_that_raise() -> None:
    """As asyncio's transports: reported to the exception handler, and the connection dropped."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("in a callback")

    async def main() -> list[dict[str, Any]]:
        complaints: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        server, transport, ours, theirs = await linked(client=lambda: Recorder(on_data=fail))
        before = loop.get_exception_handler()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        theirs.transport.write(b"x")
        assert isinstance(await wait(ours.lost), ZeroDivisionError)
        await wait(theirs.lost)
        loop.set_exception_handler(before)
        await finish(server)
        return complaints

    complaints = run(main())
    assert len(complaints) == 1 and "data_received" in complaints[0]["message"]


@kinds
def test_nothing_is_left_in_cycles(kind: str) -> None:
    """Reference counts alone free a closed connection: transport, engine, streams."""

    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config())
        config = client_config()
        gc.collect()
        gc.disable()
        try:
            reader, writer = await aio.open_connection(HOST, port_of(server), config, server_name=NAME)
            writer.write(b"x")
            await reader.read(1)
            transport: Any = writer.transport
            # A protocol that keeps its transport, as most do.
            kept, protocol = await aio.create_connection(Recorder, HOST, port_of(server), config, server_name=NAME)
            gone = [weakref.ref(each._tls) for each in (transport, kept)]
            gone.append(weakref.ref(transport.connection))
            writer.close()
            await writer.wait_closed()
            kept.close()
            await wait(protocol.lost)
            del reader, writer, transport, kept, protocol
            await until(lambda: not any(each() for each in gone), 5)
        finally:
            gc.enable()
        await finish(server)

    run(main(), kind)


def test_sendfile() -> None:
    async def main() -> None:
        server, transport, ours, theirs = await linked()
        with tempfile.TemporaryFile() as file:
            content = os.urandom(900_000)
            file.write(content)
            file.seek(0)
            await asyncio.get_running_loop().sendfile(transport, file)
        transport.close()
        await wait(theirs.lost)
        assert theirs.data == content
        await finish(server)

    run(main())


@pytest.mark.skipif(sys.version_info < (3, 13), reason="asyncio's Server has close_clients() since Python 3.13")
def test_close_clients() -> None:
    """With close_notify, where asyncio's own would cut the streams."""

    async def main() -> None:
        server, transport, ours, theirs = await linked()
        server.close_clients()
        assert await wait(ours.lost) is None
        assert ours.calls == ["made", "eof", "lost"]
        assert await wait(theirs.lost) is None
        again, _ = await aio.create_connection(
            Recorder, HOST, port_of(server), client_config(), server_name=NAME, allow_truncation=True
        )
        await asyncio.sleep(0.05)
        server.abort_clients()
        await until(again.is_closing)
        await finish(server)

    run(main())


def test_close_clients_needs_a_newer_python() -> None:
    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config())
        if sys.version_info < (3, 13):
            with pytest.raises(NotImplementedError, match=r"3\.13"):
                server.close_clients()
        assert server.is_serving() and server.get_loop() is asyncio.get_running_loop()
        async with server:
            await server.start_serving()
        assert not server.is_serving()

    run(main())
