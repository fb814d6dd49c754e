# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio.install: asyncio's own calls with a tlsfast.ssl.SSLContext, on our transport, with the behaviour of asyncio's SSL."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

import pki
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
from pair import NAME, authority

import tlsfast.ssl
from tlsfast import aio

kinds = pytest.mark.parametrize("kind", LOOPS)


def server_context(name: str = NAME) -> Any:
    leaf = pki.make_leaf(authority(), [name])
    context = tlsfast.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.pem, leaf.key_pem)
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def client_context() -> Any:
    context = tlsfast.ssl.create_default_context(cadata=authority().cert_pem.decode())
    context.set_alpn_protocols(["http/1.1"])
    return context


@kinds
@pytest.mark.parametrize("ours", ["both", "client", "server"])
def test_streams(kind: str, ours: str) -> None:
    async def main() -> None:
        aio.install()
        aio.install(asyncio.get_running_loop())
        server = await asyncio.start_server(
            echo, HOST, 0, ssl=std_server_context() if ours == "client" else server_context()
        )
        context = std_client_context() if ours == "server" else client_context()
        reader, writer = await asyncio.open_connection(HOST, port_of(server), ssl=context, server_hostname=NAME)
        assert isinstance(writer.transport, aio.TLSTransport) is (ours != "server")
        sent = os.urandom(500_000)
        writer.write(sent)
        assert await reader.readexactly(len(sent)) == sent
        asked = writer.get_extra_info("ssl_object")
        assert asked.version() == "TLSv1.3"
        assert asked.selected_alpn_protocol() in ("h2", "http/1.1")
        assert writer.get_extra_info("sslcontext") is context is asked.context
        assert writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", NAME),)
        assert asked.getpeercert(True) == asked.get_unverified_chain()[0].public_bytes(2) if ours != "server" else True
        assert not writer.can_write_eof()
        await finish(server, writer)

    run(main(), kind)


@kinds
def test_other_contexts_are_as_before(kind: str) -> None:
    async def main() -> None:
        aio.install()
        server = await asyncio.start_server(echo, HOST, 0, ssl=std_server_context())
        _, writer = await asyncio.open_connection(HOST, port_of(server), ssl=std_client_context(), server_hostname=NAME)
        assert not isinstance(writer.transport, aio.TLSTransport)
        assert isinstance(writer.get_extra_info("ssl_object"), ssl.SSLObject)
        await finish(server, writer)
        plain = await asyncio.start_server(echo, HOST, 0)
        reader, writer = await asyncio.open_connection(HOST, port_of(plain))
        writer.write(b"plain")
        assert await reader.readexactly(5) == b"plain"
        await finish(plain, writer)

    run(main(), kind)


@kinds
def test_errors_are_those_of_the_ssl_module(kind: str) -> None:
    async def main() -> None:
        aio.install()
        server = await asyncio.start_server(echo, HOST, 0, ssl=server_context())
        port = port_of(server)
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch") as caught:
            await asyncio.open_connection(HOST, port, ssl=client_context(), server_hostname="other.test")
        assert caught.value.verify_code == 62
        with pytest.raises(ValueError, match="leading dot"):
            await asyncio.open_connection(HOST, port, ssl=client_context(), server_hostname=".dot")
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            await asyncio.open_connection(HOST, port, ssl=client_context())

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        mute = await asyncio.start_server(silent, HOST, 0)
        with pytest.raises(ConnectionAbortedError, match="taking longer"):
            await asyncio.open_connection(
                HOST, port_of(mute), ssl=client_context(), server_hostname=NAME, ssl_handshake_timeout=0.1
            )
        await asyncio.sleep(0.05)
        await finish(mute)
        await finish(server)

    run(main(), kind)


@kinds
def test_the_end_of_file_without_close_notify_is_an_end(kind: str) -> None:
    async def main() -> None:
        aio.install()
        loop = asyncio.get_running_loop()
        made: list[Recorder] = []

        def make() -> Recorder:
            made.append(Recorder())
            return made[-1]

        server = await loop.create_server(make, HOST, 0, ssl=server_context())
        transport, ours = await loop.create_connection(
            Recorder, HOST, port_of(server), ssl=client_context(), server_hostname=NAME
        )
        await wait(made[0].made)
        made[0].transport.write(b"data")
        made[0].transport._tls.wire.write_eof()
        assert await wait(ours.lost) is None
        assert ours.calls == ["made", "data", "eof", "lost"]
        await wait(made[0].lost)
        await finish(server)

    run(main(), kind)


@kinds
def test_sni_callback_switches_contexts(kind: str) -> None:
    async def main() -> None:
        aio.install()
        first, second = server_context("first.test"), server_context("second.test")
        asked: list[Any] = []

        def choose(connection: Any, name: str, context: Any) -> None:
            asked.append((name, context))
            if name == "second.test":
                connection.context = second

        first.sni_callback = choose
        server = await asyncio.start_server(echo, HOST, 0, ssl=first)
        for name in ("first.test", "second.test"):
            _, writer = await asyncio.open_connection(HOST, port_of(server), ssl=client_context(), server_hostname=name)
            assert writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", name),)
            writer.close()
            await writer.wait_closed()
        assert asked == [("first.test", first), ("second.test", first)]
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection(HOST, port_of(server), ssl=client_context(), server_hostname="third.test")
        await finish(server)

    run(main(), kind)


@kinds
def test_start_tls_and_unix_sockets(kind: str, tmp_path: Path) -> None:
    async def main() -> None:
        aio.install()
        loop = asyncio.get_running_loop()
        made: list[Any] = []

        class Upgrade(Recorder):
            def data_received(self, data: bytes) -> None:
                if data == b"STARTTLS":
                    self.transport.write(b"go")
                    made.append(
                        asyncio.ensure_future(loop.start_tls(self.transport, self, server_context(), server_side=True))
                    )
                else:
                    made[0].result().write(data)

        path = str(tmp_path / "socket")
        server = await loop.create_unix_server(Upgrade, path)
        transport, ours = await loop.create_unix_connection(Recorder, path)
        transport.write(b"STARTTLS")
        await until(lambda: ours.data == b"go")
        tls: Any = await loop.start_tls(transport, ours, client_context(), server_hostname=NAME)
        assert isinstance(tls, aio.TLSTransport) and isinstance(await made[0], aio.TLSTransport)
        tls.write(b"over TLS")
        await until(lambda: ours.data.endswith(b"over TLS"))
        tls.close()
        await wait(ours.lost)
        await finish(server)
        server = await asyncio.start_unix_server(echo, path + "2", ssl=server_context())
        reader, writer = await asyncio.open_unix_connection(path + "2", ssl=client_context(), server_hostname=NAME)
        assert isinstance(writer.transport, aio.TLSTransport)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        await finish(server, writer)

    run(main(), kind)


@kinds
def test_a_context_reloads_by_its_own_methods(kind: str) -> None:
    async def main() -> None:
        aio.install()
        context = server_context()
        server = await asyncio.start_server(echo, HOST, 0, ssl=context)
        seen = []
        for _ in range(2):
            _, writer = await asyncio.open_connection(HOST, port_of(server), ssl=client_context(), server_hostname=NAME)
            seen.append(writer.get_extra_info("ssl_object").getpeercert(True))
            writer.close()
            await writer.wait_closed()
            leaf = pki.make_leaf(authority(), [NAME])
            context.load_cert_chain(leaf.pem, leaf.key_pem)
        assert seen[0] != seen[1]
        await finish(server)

    run(main(), kind)
