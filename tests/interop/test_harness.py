# SPDX-License-Identifier: Apache-2.0
"""The harness itself, without a peer: our own client against our own server, and the processes it starts and ends."""

from __future__ import annotations

import itertools
import sys
from typing import Any

import pytest
from harness import (
    CLIENT_AUTH,
    GROUPS,
    KEYS,
    SIZES,
    SUITES,
    Certificates,
    Peer,
    Server,
    covering,
    echo_client,
    is_listening,
    listening,
)

pytestmark = pytest.mark.interop


@pytest.mark.parametrize("key", KEYS)
def test_our_client_and_server(certificates: Certificates, key: str) -> None:
    with Server(certificates.server_config(key)) as server:
        echo_client(server.port, certificates.client_config(), SIZES)
        served = server.served()
        assert served.error is None
        assert served.received == sum(SIZES)
        assert served.clean


def test_a_peer_process_is_heard_and_ended() -> None:
    script = "import sys; print('ready', flush=True); print(sys.stdin.readline().upper(), flush=True); sys.exit(3)"
    with Peer([sys.executable, "-c", script]) as peer:
        peer.expect("ready")
        peer.send(b"hello\n")
        assert peer.expect("HE(L+)O")[1] == b"LL"
        assert peer.finish() == 3
    with Peer([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.2) as peer:
        assert peer.finish(limit=10) == -9  # by the watchdog


def test_a_listening_peer() -> None:
    def argv(port: int) -> list[str]:
        code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); s.accept()"
        return [sys.executable, "-c", code]

    with listening(argv) as (_, port):
        assert is_listening(port)
    assert not is_listening(port)


def test_covering_has_each_pair_and_is_small() -> None:
    axes: dict[str, Any] = {
        "suite": SUITES,
        "group": GROUPS,
        "key": KEYS,
        "client_auth": CLIENT_AUTH,
        "resume": (False, True),
        "retry": (False, True),
    }
    rows = covering(**axes)
    for one, two in itertools.combinations(axes, 2):
        for values in itertools.product(axes[one], axes[two]):
            assert any((row[one], row[two]) == values for row in rows)
    assert len(rows) <= 24
