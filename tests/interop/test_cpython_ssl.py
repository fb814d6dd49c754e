# SPDX-License-Identifier: Apache-2.0
"""CPython's ssl module as the peer, both roles: every cell of the matrix in memory, the rest of TLS 1.3 one by one, and data over sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from harness import (
    LIMIT,
    LOOPBACK,
    NAME,
    SIZES,
    SUITES,
    Certificates,
    Server,
    echo_client,
    payload,
    read_exactly,
)
from memory import MANY, StandardSSL
from shared import InMemory

from tlsfast import CipherSuite

pytestmark = pytest.mark.interop


class TestStandardSSL(InMemory):
    peer = StandardSSL()


# ---- Over sockets ----


@contextmanager
def echo_server(context: ssl.SSLContext) -> Iterator[int]:
    """An echo server of the standard library for one connection; it must end in an orderly way."""
    faults: list[Exception] = []

    def serve() -> None:
        try:
            sock, _ = listener.accept()
            sock.settimeout(LIMIT)
            with context.wrap_socket(sock, server_side=True) as stream:
                while data := stream.recv(MANY):
                    stream.sendall(data)
                stream.unwrap()
        except Exception as fault:  # shown by the test
            faults.append(fault)

    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(LIMIT)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(LIMIT)
    assert not faults, faults


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_sockets_our_client(certificates: Certificates, suite: CipherSuite) -> None:
    context = StandardSSL().context(certificates, server=True, identity=certificates.server())
    with echo_server(context) as port:
        assert echo_client(port, certificates.client_config(cipher_suites=[suite]), SIZES).cipher_suite is suite


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_sockets_our_server(certificates: Certificates, suite: CipherSuite) -> None:
    context = StandardSSL().context(certificates, server=False)
    with Server(certificates.server_config(cipher_suites=[suite])) as server:
        with socket.create_connection((LOOPBACK, server.port), LIMIT) as sock:
            with context.wrap_socket(sock, server_hostname=NAME) as stream:
                for size in SIZES:
                    data = payload(size)
                    for start in range(0, size, MANY):  # small enough for the buffers between: it waits for the echo
                        stream.sendall(data[start : start + MANY])
                        assert read_exactly(stream, len(data[start : start + MANY])) == data[start : start + MANY]
                stream.unwrap()
        assert server.completed().cipher_suite is suite
        assert server.served().received == sum(SIZES)
