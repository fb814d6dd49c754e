# SPDX-License-Identifier: Apache-2.0
"""tlsfast.aio: hooks that are coroutine functions, and configurations replaced while a server runs."""

from __future__ import annotations

import asyncio
import functools
import os
from pathlib import Path
from typing import Any

import pki
import pytest
from loops import BOTH, HOST, LOOPS, echo, finish, port_of, run, until, wait
from pair import NAME, authority, client_config, client_credential, credential, make_pair, server_config, trust

from tlsfast import (
    ASK,
    AlertReceived,
    ApiMisuse,
    ClientConfig,
    Credential,
    HandshakeTimeout,
    ServerConfig,
    TicketKeyring,
    TLSError,
    TLSVersion,
    TrustStore,
    aio,
)
from tlsfast.errors import AccessDenied

kinds = pytest.mark.parametrize("kind", LOOPS)


async def talk(client: ClientConfig, server: ServerConfig, name: str = NAME, **options: Any) -> Any:
    """A handshake and a word each way; what the client's handshake agreed on."""
    listening = await aio.start_server(echo, HOST, 0, server, **options)
    try:
        reader, writer = await aio.open_connection(HOST, port_of(listening), client, server_name=name)
        writer.write(b"word")
        try:
            assert await wait(reader.readexactly(4)) == b"word"
            return writer.get_extra_info("handshake")
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    finally:
        await finish(listening)


@kinds
@pytest.mark.parametrize("version", BOTH, ids=str)
def test_every_hook_is_a_coroutine_function(kind: str, version: TLSVersion) -> None:
    asked: list[str] = []
    mine = client_credential()

    async def choose(extra: str, hello: Any) -> ServerConfig | None:
        await asyncio.sleep(0.01)
        asked.append(f"choose {extra} {hello.extensions.server_name}")
        return None

    class Verify:
        def __init__(self, who: str) -> None:
            self.who = who

        async def __call__(self, request: Any) -> None:
            await asyncio.sleep(0.01)
            asked.append(f"{self.who} verifies {len(request.chain)}")

    async def sign(who: str, made: Credential, scheme: Any, data: bytes) -> bytes:
        asked.append(f"{who} signs")
        return await asyncio.to_thread(made.sign, scheme, data)

    def outside(who: str, made: Credential) -> Credential:
        return Credential.external(made.chain, functools.partial(sign, who, made))

    config = client_config(versions=[version], credentials=[outside("client", mine)], verify=Verify("client"))
    server = server_config(
        versions=[version],
        credentials=[outside("server", credential())],
        client_auth="required",
        trust=trust(),
        verify=Verify("server"),
        on_client_hello=functools.partial(choose, "by"),
    )
    run(talk(config, server), kind)
    assert sorted(asked) == [
        "choose by server.test",
        "client signs",
        "client verifies 1",
        "server signs",
        "server verifies 1",
    ]


@kinds
def test_on_client_hello_looks_a_certificate_up(kind: str) -> None:
    async def look_up(hello: Any) -> ServerConfig:
        await asyncio.sleep(0)
        return server_config(credentials=[credential(name=hello.extensions.server_name)])

    run(talk(client_config(), server_config(credentials=[], on_client_hello=look_up), name="found.test"), kind)


@kinds
def test_a_verify_hook_refuses(kind: str) -> None:
    async def refuse(request: Any) -> None:
        await asyncio.sleep(0)
        raise PermissionError("not this one")

    with pytest.raises(AccessDenied, match="not this one"):
        run(talk(client_config(verify=refuse), server_config()), kind)
    with pytest.raises(AlertReceived, match="access_denied"):
        run(
            talk(
                client_config(credentials=[client_credential()]),
                server_config(client_auth="required", trust=trust(), verify=refuse),
            ),
            kind,
        )


@kinds
def test_a_question_that_nobody_answers_meets_the_time_limit(kind: str) -> None:
    cancelled: list[bool] = []

    async def forever(request: Any) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            cancelled.append(True)

    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config())
        with pytest.raises(HandshakeTimeout, match="an answer"):
            await aio.open_connection(
                HOST, port_of(server), client_config(verify=forever), server_name=NAME, ssl_handshake_timeout=0.2
            )
        await asyncio.sleep(0)
        await finish(server)

    run(main(), kind)
    assert cancelled == [True]


def test_ask_has_nobody_to_answer() -> None:
    with pytest.raises(ApiMisuse, match="VerifyChain"):
        run(talk(client_config(verify=ASK), server_config()))


def test_a_connection_without_a_loop_asks() -> None:
    """A coroutine function would be called and never run: the question comes out instead."""

    async def verify(request: Any) -> None: ...

    pair = make_pair(client_config(verify=verify), server_config()).run()
    assert type(pair.client.question).__name__ == "VerifyChain"


def test_a_hook_is_cancelled_with_its_connection() -> None:
    state: list[str] = []

    async def slow(request: Any) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            state.append("cancelled")
            raise

    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, server_config(on_client_hello=slow), ssl_handshake_timeout=0.3)
        with pytest.raises(AlertReceived, match="close_notify"):
            await aio.open_connection(HOST, port_of(server), client_config(), server_name=NAME)
        await until(lambda: state)
        await finish(server)

    run(main())


# ---- Reload ----


@kinds
def test_reload(kind: str) -> None:
    """New connections get the new configuration; one in flight keeps its own, and so does one in mid-handshake."""

    async def main() -> None:
        keyring = TicketKeyring()
        first = server_config(tickets=keyring)
        server = await aio.start_server(echo, HOST, 0, first)
        config = client_config()

        async def chain() -> Any:
            reader, writer = await aio.open_connection(HOST, port_of(server), config, server_name=NAME)
            writer.write(b"x")
            await reader.readexactly(1)
            return reader, writer, writer.get_extra_info("handshake")

        old_reader, old_writer, before = await chain()
        early_reader, early_writer = await asyncio.open_connection(HOST, port_of(server))
        await asyncio.sleep(0.05)
        server.reload(first.replace(credentials=[credential("p384")], tickets=keyring))
        assert server.config.credentials[0] is credential("p384")
        config = client_config()
        _, new_writer, after = await chain()
        assert before.peer_chain == credential().chain and after.peer_chain == credential("p384").chain
        # A connection that was accepted before is served by what was then.
        upgraded = await aio.start_tls(
            early_writer.transport, early_writer.transport.get_protocol(), client_config(), server_name=NAME
        )
        assert upgraded.get_extra_info("handshake").peer_chain == credential().chain
        upgraded.close()
        await early_writer.wait_closed()
        old_writer.write(b"still")
        assert await old_reader.readexactly(5) == b"still"
        await finish(server, old_writer, new_writer)
        with pytest.raises(ApiMisuse, match="ServerConfig"):
            server.reload(client_config())  # type: ignore[arg-type]

    run(main(), kind)


def test_watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"

    def renew(names: list[str], *, half: bool = False) -> None:
        leaf = pki.make_leaf(authority(), names)
        for path, content in ((chain, leaf.pem), (key, leaf.key_pem)):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            os.replace(fresh, path)
            if half:
                return

    def load() -> ServerConfig:
        return server_config(credentials=[Credential.load(chain, key)])

    async def main() -> None:
        server = await aio.start_server(echo, HOST, 0, load())
        watching = asyncio.create_task(aio.watch(server, [chain, key], load, interval=0.02))
        await asyncio.sleep(0.1)
        before = server.config
        renew(["half.test"], half=True)
        while "keeps the one it has" not in caplog.text:
            await asyncio.sleep(0.01)
        assert server.config is before
        renew(["new.test"])
        while server.config is before:
            await asyncio.sleep(0.01)
        with pytest.raises(TLSError):
            await aio.open_connection(HOST, port_of(server), client_config(), server_name="old.test")
        _, writer = await aio.open_connection(HOST, port_of(server), client_config(), server_name="new.test")
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await finish(server, writer)

    renew(["old.test"])
    run(main())


def test_trust_is_reloaded_too() -> None:
    """A client whose authority was taken out is refused from the next connection on, resumed or not."""

    async def main() -> None:
        first = server_config(client_auth="required", trust=trust())
        server = await aio.start_server(echo, HOST, 0, first)
        config = client_config(credentials=[client_credential()])

        async def word() -> bytes:
            reader, writer = await aio.open_connection(HOST, port_of(server), config, server_name=NAME)
            writer.write(b"x")
            try:
                return await reader.readexactly(1)
            finally:
                writer.close()
                await asyncio.gather(writer.wait_closed(), return_exceptions=True)

        assert await word() == b"x"
        server.reload(first.replace(trust=TrustStore([pki.make_ca("another").cert]), tickets=first.keyring))
        with pytest.raises(AlertReceived):
            await word()
        await finish(server)

    run(main())
