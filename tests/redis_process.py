# SPDX-License-Identifier: Apache-2.0
"""A TLS server process for test_redis.py: ticket keys in Redis, a clock that it is told, commands by line on standard input.

usage: redis_process.py CHAIN KEY URL WRAPPING_KEY_IN_HEX LIFETIME. It prints its port; then for each command one line:
"advance SECONDS" moves the clock of the keyring, "refresh" exchanges keys with Redis."""

from __future__ import annotations

import socket
import sys
import threading
import time

import tlsfast
from tlsfast.redis import RedisKeyring, RedisSessionStore

ahead = [0.0]


def serve(listener: socket.socket, config: tlsfast.ServerConfig) -> None:
    """Tell each client whether its session was resumed."""
    while True:
        accepted, _ = listener.accept()
        try:
            with tlsfast.wrap_socket(accepted, config) as stream:
                stream.sendall(b"resumed" if stream.info.resumed else b"full")
                stream.recv(1)
        except (tlsfast.TLSError, OSError) as error:
            print(f"a connection failed: {error}", file=sys.stderr)


def main() -> None:
    chain, key, url, wrapping_key, lifetime = sys.argv[1:]
    # refresh: never by itself, so that the test says when
    keyring = RedisKeyring(
        url,
        bytes.fromhex(wrapping_key),
        lifetime=int(lifetime),
        refresh=86400,
        timeout=0.5,
        clock=lambda: time.time() + ahead[0],
    )
    config = tlsfast.ServerConfig(
        credentials=[tlsfast.Credential.load(chain, key)], tickets=keyring, session_store=RedisSessionStore(url)
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener, config), daemon=True).start()
        print(listener.getsockname()[1], flush=True)
        for line in sys.stdin:
            command, *arguments = line.split()
            if command == "advance":
                ahead[0] += float(arguments[0])
                print("ok", flush=True)
            elif command == "refresh":
                print("ok" if keyring.refresh() else "away", flush=True)


if __name__ == "__main__":
    main()
