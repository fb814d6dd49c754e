# SPDX-License-Identifier: Apache-2.0
"""A keyring or session store that raises costs a resumption, never a handshake; the observer is told, and nobody else."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pair import client_config, make_pair, server_config, shake

from tlsfast import ServerConfig, TLSVersion
from tlsfast.crypto import Secret
from tlsfast.events import Decided, Observation
from tlsfast.sessions import MemorySessionStore, TicketKeyring

each_version = pytest.mark.parametrize("version", [TLSVersion.TLSv1_3, TLSVersion.TLSv1_2], ids=str)


class Away(OSError):
    """What a keyring on another machine raises."""


class FaultyKeyring(TicketKeyring):
    """Raises in the methods that `failing` names."""

    failing: frozenset[str] = frozenset()

    def seal(self, psk: Secret, state: bytes) -> bytes:
        if "seal" in self.failing:
            raise Away("seal")
        return super().seal(psk, state)

    def open(self, ticket: bytes) -> tuple[Secret, bytes] | None:
        if "open" in self.failing:
            raise Away("open")
        return super().open(ticket)


class FaultyStore(MemorySessionStore):
    """Raises in the methods that `failing` names; put and discard when they have done their work."""

    failing: frozenset[str] = frozenset()

    def put(self, session_id: bytes, sealed: bytes, lifetime: int) -> None:
        super().put(session_id, sealed, lifetime)
        if "put" in self.failing:
            raise Away("put")

    def get(self, session_id: bytes) -> bytes | None:
        if "get" in self.failing:
            raise Away("get")
        return super().get(session_id)

    def discard(self, session_id: bytes) -> None:
        super().discard(session_id)
        if "discard" in self.failing:
            raise Away("discard")


def server(version: TLSVersion, seen: list[Observation], **changes: object) -> ServerConfig:
    return server_config(versions=[version], observer=seen.append, **changes)


def faults(seen: list[Observation], what: str) -> list[str]:
    """What raised, as the observer was told."""
    return [str(each.value) for each in seen if isinstance(each, Decided) and each.what == f"{what} failed"]


@each_version
def test_a_keyring_that_cannot_seal(version: TLSVersion) -> None:
    keyring, seen = FaultyKeyring(), list[Observation]()
    keyring.failing = frozenset({"seal"})
    client = client_config(versions=[version])
    for _ in range(2):
        assert not shake(client, server(version, seen, tickets=keyring)).client_completed().resumed
    assert set(faults(seen, "keyring")) == {"seal"}
    assert client.sessions is not None and len(client.sessions) == 0
    keyring.failing = frozenset()
    shake(client, server(version, seen, tickets=keyring))
    assert shake(client, server(version, seen, tickets=keyring)).client_completed().resumed


@each_version
def test_a_keyring_that_cannot_open(version: TLSVersion) -> None:
    keyring, seen = FaultyKeyring(), list[Observation]()
    client = client_config(versions=[version])
    shake(client, server(version, seen, tickets=keyring))
    keyring.failing = frozenset({"open"})
    assert not shake(client, server(version, seen, tickets=keyring)).client_completed().resumed
    assert faults(seen, "keyring") == ["open"]


@pytest.mark.parametrize("method", ["put", "get"])
def test_a_store_that_raises(method: str) -> None:
    store, seen, version = FaultyStore(), list[Observation](), TLSVersion.TLSv1_2
    config = server(version, seen, tickets=None, session_store=store)
    client = client_config(versions=[version])
    store.failing = frozenset({method})
    shake(client, config)
    resumed = shake(client, config).client_completed().resumed
    assert resumed is (method == "put")  # which raised when it had done its work
    assert set(faults(seen, "session store")) == {method}


def test_a_store_that_cannot_discard() -> None:
    """The alert of the connection that failed goes out all the same."""
    store, seen, version = FaultyStore(), list[Observation](), TLSVersion.TLSv1_2
    pair = shake(client_config(versions=[version]), server(version, seen, tickets=None, session_store=store))
    store.failing = frozenset({"discard"})
    pair.change = lambda who, wire: wire[:-1] + bytes((wire[-1] ^ 1,)) if who == "client" else wire
    pair.client.send_data(b"x")
    pair.run()
    assert type(pair.server_error).__name__ == "BadRecordMac"
    assert type(pair.client_error).__name__ == "AlertReceived"
    assert faults(seen, "session store") == ["discard"]


def test_without_an_observer() -> None:
    keyring = FaultyKeyring()
    keyring.failing = frozenset({"seal", "open"})
    assert make_pair(server=server_config(tickets=keyring)).run().complete


def test_without_the_redis_package_the_extra_is_named() -> None:
    program = "import sys; sys.modules['redis'] = None; import tlsfast.redis"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    last = run.stderr.strip().splitlines()[-1]
    assert last.endswith(
        'tlsfast.redis needs the package redis, which is not installed: pip install "tlsfast[redis]"'
    ), run.stderr
