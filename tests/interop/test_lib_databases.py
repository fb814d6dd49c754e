# SPDX-License-Identifier: Apache-2.0
"""asyncpg against a real PostgreSQL and redis-py against a real redis-server, both with TLS of OpenSSL, over our contexts."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import LIMIT, LOOPBACK, Certificates, listening, payload, require
from libraries import MANY, VERSIONS, Witness, client_context, stranger_context

from tlsfast import TLSVersion

# By a thread: uvloop does not let a signal's exception through.
pytestmark = [pytest.mark.interop, pytest.mark.timeout(120, method="thread")]

asyncpg = pytest.importorskip("asyncpg", reason="pip install 'tlsfast[interop]'")
redis = pytest.importorskip("redis", reason="pip install 'tlsfast[interop]'")
redis_in_asyncio = pytest.importorskip("redis.asyncio", reason="pip install 'tlsfast[interop]'")
uvloop = pytest.importorskip("uvloop", reason="pip install 'tlsfast[interop]'")

LOOPS = pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


# ---- PostgreSQL ----


def postgres_program(name: str) -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    if found:
        return found[-1]
    return Path(require(name, "apt-get install postgresql"))


def unprivileged(folder: Path) -> list[str]:
    """PostgreSQL does not run as root: what goes before its commands, where we are."""
    if os.geteuid() != 0:
        return []
    user = pwd.getpwnam("postgres")
    for each in (folder, *folder.rglob("*")):
        os.chown(each, user.pw_uid, user.pw_gid)
    return [require("setpriv", "apt-get install util-linux"), "--reuid=postgres", "--regid=postgres", "--clear-groups"]


@pytest.fixture(scope="module")
def postgres(certificates: Certificates) -> Iterator[int]:
    """The port of a PostgreSQL of our own that takes TLS connections only; the user "shown" must show a client certificate."""
    initdb, program = postgres_program("initdb"), postgres_program("postgres")
    # Not under pytest's folder, which other users may not enter.
    with tempfile.TemporaryDirectory(prefix="tlsfast-pg-") as name:
        folder = Path(name)
        identity = certificates.server()
        for source, target in ((identity.chain, "chain"), (identity.key, "key"), (certificates.ca, "ca")):
            shutil.copyfile(source, folder / target)
            (folder / target).chmod(0o600)
        (folder / "hba").write_text(
            "hostssl all shown 127.0.0.1/32 trust clientcert=verify-ca\nhostssl all postgres 127.0.0.1/32 trust\n"
        )
        user = unprivileged(folder)
        data = folder / "data"
        made = [*user, str(initdb), "-D", str(data), "-U", "postgres", "--auth=trust", "--no-sync", "--no-instructions"]
        subprocess.run(made, check=True, timeout=2 * LIMIT, stdout=subprocess.DEVNULL, cwd=folder)

        def argv(port: int) -> list[str]:
            settings = {
                "listen_addresses": LOOPBACK,
                "port": port,
                "unix_socket_directories": "",
                "fsync": "off",
                "ssl": "on",
                "ssl_cert_file": folder / "chain",
                "ssl_key_file": folder / "key",
                "ssl_ca_file": folder / "ca",
                "hba_file": folder / "hba",
            }
            given = [f"--{key}={value}" for key, value in settings.items()]
            return [*user, str(program), "-D", str(data), *given]

        with listening(argv, limit=300, cwd=folder) as (peer, port):
            peer.expect("ready to accept connections")
            yield port


def connect(port: int, context: ssl.SSLContext, user: str = "postgres") -> Any:
    return asyncpg.connect(
        host="localhost", port=port, user=user, database="postgres", ssl=context, timeout=LIMIT, command_timeout=LIMIT
    )


@LOOPS
@VERSIONS
def test_asyncpg(certificates: Certificates, postgres: int, version: TLSVersion, factory: Callable[[], Any]) -> None:
    async def work() -> None:
        connection = await connect(postgres, client_context(certificates, version))
        try:
            query = "select ssl, version from pg_stat_ssl where pid = pg_backend_pid()"
            assert tuple(await connection.fetchrow(query)) == (True, str(version.name).replace("_", "."))
            assert await connection.fetchval("select $1::bytea", payload(MANY)) == payload(MANY)
            await connection.execute("create temp table kept (number int, data bytea)")
            rows = [(number, payload(1000 + number)) for number in range(300)]
            await connection.copy_records_to_table("kept", records=rows)
            assert [tuple(row) for row in await connection.fetch("select * from kept order by number")] == rows
        finally:
            await connection.close()

    with Witness() as witness, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())
    assert [each.version for each in witness.seen] == [version]


def test_asyncpg_pool(certificates: Certificates, postgres: int) -> None:
    """Eight connections at once, each starts TLS in a connection that began in the clear."""

    async def work() -> None:
        context = client_context(certificates)
        options = {"host": "localhost", "port": postgres, "user": "postgres", "database": "postgres", "ssl": context}
        async with asyncpg.create_pool(**options, min_size=8, max_size=8, timeout=LIMIT) as pool:
            queries = [pool.fetchval("select repeat('x', $1)", 100_000 + number) for number in range(32)]
            assert list(map(len, await asyncio.gather(*queries))) == [100_000 + number for number in range(32)]

    with Witness() as witness:
        asyncio.run(work())
    assert len(witness.seen) == 8


def test_asyncpg_with_a_client_certificate(certificates: Certificates, postgres: int) -> None:
    async def work() -> None:
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await connect(postgres, client_context(certificates), "shown")
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match='role "shown" does not exist'):
            await connect(postgres, client_context(certificates, shown=True), "shown")  # it got past the certificate

    asyncio.run(work())


def test_asyncpg_refuses(certificates: Certificates, postgres: int) -> None:
    async def work() -> None:
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            await connect(postgres, stranger_context())
        assert refused.value.reason == "CERTIFICATE_VERIFY_FAILED"

    asyncio.run(work())


# ---- Redis ----


@contextmanager
def redis_server(
    certificates: Certificates, folder: Path, protocols: str = "TLSv1.2 TLSv1.3", *, must_show: bool = False
) -> Iterator[int]:
    """The port of a redis-server with TLS alone. must_show: for clients that have a certificate."""
    program = require("redis-server", "apt-get install redis-server")
    identity = certificates.server()

    def argv(port: int) -> list[str]:
        options = {
            "bind": LOOPBACK,
            "port": 0,
            "save": "",
            "tls-port": port,
            "tls-protocols": protocols,
            "tls-cert-file": identity.chain,
            "tls-key-file": identity.key,
            "tls-ca-cert-file": certificates.ca,
            "tls-auth-clients": "yes" if must_show else "no",
        }
        return [program, *[str(part) for name, value in options.items() for part in (f"--{name}", value)]]

    with listening(argv, limit=300, cwd=folder) as (_, port):
        yield port


@pytest.fixture(scope="module")
def redis_port(certificates: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with redis_server(certificates, tmp_path_factory.mktemp("redis")) as port:
        yield port


def files(certificates: Certificates, *, shown: bool = False) -> dict[str, Any]:
    """How a program tells redis-py about TLS: it makes the context by itself, of the class that inject() has put there."""
    given: dict[str, Any] = {"host": "localhost", "ssl": True, "ssl_ca_certs": str(certificates.ca)}
    if shown:
        client = certificates.client()
        given.update(ssl_certfile=str(client.chain), ssl_keyfile=str(client.key))
    return {**given, "socket_timeout": LIMIT, "socket_connect_timeout": LIMIT}


@pytest.fixture
def injected() -> Iterator[None]:
    import tlsfast.ssl

    tlsfast.ssl.inject()
    yield
    tlsfast.ssl.extract()


@pytest.mark.parametrize("shown", [False, True], ids=["", "client_certificate"])
@VERSIONS
@pytest.mark.usefixtures("injected")
def test_redis(certificates: Certificates, tmp_path: Path, version: TLSVersion, shown: bool) -> None:
    only = version.name.replace("_", ".")
    with (
        redis_server(certificates, tmp_path, only, must_show=shown) as port,
        Witness() as witness,
        redis.Redis(**files(certificates, shown=shown), port=port) as client,
    ):
        client.set("big", payload(MANY))
        assert client.get("big") == payload(MANY)
        with client.pipeline() as pipe:
            for number in range(2000):
                pipe.set(f"key {number}", payload(100 + number % 50))
            pipe.execute()
        assert client.mget([f"key {number}" for number in range(2000)]) == [payload(100 + n % 50) for n in range(2000)]
    assert [each.version for each in witness.seen] == [version]


@LOOPS
@pytest.mark.usefixtures("injected")
def test_redis_in_asyncio(certificates: Certificates, redis_port: int, factory: Callable[[], Any]) -> None:
    async def work() -> None:
        async with redis_in_asyncio.Redis(**files(certificates), port=redis_port) as client:
            await client.set("big", payload(MANY))
            assert await client.get("big") == payload(MANY)
            async with client.pubsub() as channel:
                await channel.subscribe("news")
                assert (await channel.get_message(timeout=LIMIT))["type"] == "subscribe"
                await client.publish("news", payload(100_000))
                assert (await channel.get_message(timeout=LIMIT))["data"] == payload(100_000)

    with Witness() as witness, asyncio.Runner(loop_factory=factory) as runner:
        runner.run(work())
    assert len(witness.seen) == 2


@pytest.mark.usefixtures("injected")
def test_redis_refuses(certificates: Certificates, redis_port: int) -> None:
    options = {**files(certificates), "port": redis_port, "retry": None}
    del options["ssl_ca_certs"]
    with redis.Redis(**options) as client, pytest.raises(redis.ConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
        client.ping()


@pytest.mark.usefixtures("injected")
def test_redis_that_wants_a_client_certificate(certificates: Certificates, tmp_path: Path) -> None:
    with redis_server(certificates, tmp_path, must_show=True) as port:
        with redis.Redis(**files(certificates), port=port, retry=None) as client:
            with pytest.raises(redis.ConnectionError, match="CERTIFICATE_REQUIRED"):
                client.ping()
