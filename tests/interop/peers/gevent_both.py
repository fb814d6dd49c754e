# SPDX-License-Identifier: Apache-2.0
"""gevent's servers and clients, and urllib patched by it, over tlsfast's contexts in one process: run as a program by test_lib_loops.py.

usage: gevent_both.py context|inject CHAIN KEY CA. It prints in JSON what went on."""

from __future__ import annotations

import gevent.monkey

gevent.monkey.patch_all()

import json  # noqa: E402  (all that follows is imported patched)
import random  # noqa: E402
import ssl  # noqa: E402
import sys  # noqa: E402
import urllib.error  # noqa: E402
import urllib.request  # noqa: E402
from typing import Any  # noqa: E402

import gevent  # noqa: E402
import gevent.pool  # noqa: E402
import gevent.pywsgi  # noqa: E402
import gevent.server  # noqa: E402
import gevent.socket  # noqa: E402

import tlsfast.ssl  # noqa: E402

MANY = 3_000_000


def contexts(way: str, chain: str, key: str, ca: str) -> tuple[ssl.SSLContext, ssl.SSLContext, ssl.SSLContext]:
    """A server's, a client's, and that of a client who does not trust it."""
    if way == "inject":
        tlsfast.ssl.inject()
        make: Any = ssl.create_default_context
    else:
        make = tlsfast.ssl.create_default_context
    server = make(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(chain, key)
    return server, make(cafile=ca), make()


def echo(sock: Any, _: object) -> None:
    while data := sock.recv(1 << 18):
        sock.sendall(data)
    sock.close()


def page(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [bytes(1000), bytes(MANY - 1000)]


def talk(port: int, context: ssl.SSLContext, number: int) -> int:
    """One client: sends in a greenlet while it reads."""
    with context.wrap_socket(gevent.socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as sock:
        assert type(sock._sslobj).__module__.startswith("tlsfast."), sock._sslobj  # type: ignore[attr-defined]
        total = 0
        for size in (1, 16385, MANY // 3):
            sent = random.Random(number + size).randbytes(size)
            sending = gevent.spawn(sock.sendall, sent)
            came = bytearray()
            while len(came) < size:
                came += sock.recv(size - len(came))
            sending.get()
            assert came == sent
            total += size
        return total


def main() -> None:
    from library_server import Witness  # beside this file

    witness = Witness()
    server, client, stranger = contexts(*sys.argv[1:])
    echoing = gevent.server.StreamServer(("127.0.0.1", 0), echo, ssl_context=server)
    serving = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), page, ssl_context=server, log=None, error_log=None)
    echoing.start()
    serving.start()
    with gevent.Timeout(40):
        pool = gevent.pool.Pool(20)
        echoed = sum(pool.map(lambda number: talk(echoing.server_port, client, number), range(20)))
        url = f"https://localhost:{serving.server_port}/"
        sizes = []
        for _ in range(2):
            with urllib.request.urlopen(url, context=client, timeout=30) as answer:
                sizes.append(len(answer.read()))
        try:
            urllib.request.urlopen(url, context=stranger, timeout=30)
            refused = ""
        except urllib.error.URLError as error:
            refused = type(error.reason).__name__
    echoing.stop()
    serving.stop()
    assert sizes == [MANY, MANY]
    print(json.dumps({**witness.facts(), "echoed": echoed, "page": sizes[0], "refused": refused}))


if __name__ == "__main__":
    main()
