# SPDX-License-Identifier: Apache-2.0
"""What the drop-in costs beside the standard ssl module, through the same calls: contexts, bulk through MemoryBIO, handshakes.

    python bench/dropin.py [create memory bulk handshake resume]

Turns of both are interleaved, in time of the processor, and medians printed: the standard module's time over ours, so above 1 is in our favour."""

from __future__ import annotations

import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import tlsfast.ssl
from tlsfast.cli.authority import Authority, make_authority

TURNS = 7
NAME = "localhost"


@cache
def authority() -> Authority:
    return make_authority()


@cache
def contexts(module: Any, resume: bool) -> tuple[Any, Any]:
    client = module.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cadata=authority().ca.decode())
    server = tlsfast.ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if module is tlsfast.ssl else standard_server()
    if module is tlsfast.ssl:
        server.load_cert_chain(authority().chain, authority().key)
        client.set_groups("X25519")  # as the other side: the default is X25519MLKEM768
        server.set_groups("X25519")
    if not resume:
        client.options |= ssl.OP_NO_TICKET
        server.num_tickets = 0
    return client, server


def standard_server() -> ssl.SSLContext:
    """The standard module reads keys from files alone."""
    import os
    import tempfile

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(authority().chain + authority().key)
    try:
        context.load_cert_chain(file.name)
    finally:
        os.unlink(file.name)
    return context


class Ends:
    """A client and a server joined by four MemoryBIO, shaken hands."""

    def __init__(self, module: Any, resume: bool = False, session: Any = None) -> None:
        client, server = contexts(module, resume)
        self.to_client, self.to_server, self.out, self.back = (ssl.MemoryBIO() for _ in range(4))
        self.client = client.wrap_bio(self.to_client, self.out, server_hostname=NAME, session=session)
        self.server = server.wrap_bio(self.to_server, self.back, server_side=True)
        waiting = [(self.client, self.out, self.to_server), (self.server, self.back, self.to_client)]
        while waiting:
            for end in list(waiting):
                try:
                    end[0].do_handshake()
                    waiting.remove(end)
                except ssl.SSLWantReadError:
                    pass
                end[2].write(end[1].read())


def create(module: Any) -> float:
    begin = time.process_time()
    for _ in range(5):
        module.create_default_context()
    return (time.process_time() - begin) / 5


def bulk(module: Any, size: int, total: int = 48 << 20) -> float:
    """The server writes, the client reads with reads of 256 KiB, as asyncio does."""
    ends, data = Ends(module), bytes(size)
    begin = time.process_time()
    for _ in range(total // size):
        ends.server.write(data)
        ends.to_client.write(ends.back.read())
        got = 0
        while got < size:
            got += len(ends.client.read(256 * 1024))
    return (time.process_time() - begin) / total


def handshake(module: Any) -> float:
    begin = time.process_time()
    for _ in range(40):
        Ends(module)
    return (time.process_time() - begin) / 40


def resumed(module: Any) -> float:
    """tlsfast resumes by itself; for the standard module the program carries the session."""

    def one(session: Any) -> Ends:
        ends = Ends(module, True, session)
        ends.server.write(b"x")
        ends.to_client.write(ends.back.read())
        ends.client.read(1)
        return ends

    ends = one(None)
    begin = time.process_time()
    for _ in range(40):
        ends = one(ends.client.session if module is ssl else None)
        assert ends.client.session_reused
    return (time.process_time() - begin) / 40


MEMORY = """
import sys
import {module} as ssl
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096
kept = [ssl.create_default_context() for _ in range(3)]
before = resident()
kept += [ssl.create_default_context() for _ in range(100)]
print((resident() - before) / 100)
"""


def memory(module: Any) -> float:
    """Bytes of one more context, in a process of its own."""
    program = MEMORY.format(module=module.__name__)
    return float(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)


def compare(what: str, run: Callable[[Any], float], unit: str, scale: float) -> None:
    pairs = [(run(tlsfast.ssl), run(ssl)) for _ in range(TURNS)]
    ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
    ratio = statistics.median(standard / mine for mine, standard in pairs)
    print(
        f"{what:42s} {ours * scale:10.2f} {unit:4s} ssl {theirs * scale:10.2f} {unit:4s} ratio {ratio:6.2f}", flush=True
    )


def main() -> None:
    chosen = sys.argv[1:] or ["create", "memory", "bulk", "handshake", "resume"]
    if "create" in chosen:
        compare("create_default_context()", create, "ms", 1e3)
    if "memory" in chosen:
        pairs = [(memory(tlsfast.ssl), memory(ssl)) for _ in range(3)]
        ours, theirs = (statistics.median(each) for each in zip(*pairs, strict=True))
        print(f"{'memory of one more context':42s} {ours / 1024:10.2f} KiB  ssl {theirs / 1024:10.2f} KiB")
    if "bulk" in chosen:
        for size in (16384, 65536, 262144):
            compare(f"bulk, writes of {size}, reads of 262144", lambda module, n=size: bulk(module, n), "ns/B", 1e9)
    if "handshake" in chosen:
        compare("full handshake, both ends", handshake, "us", 1e6)
    if "resume" in chosen:
        compare("resumed handshake, both ends", resumed, "us", 1e6)


if __name__ == "__main__":
    main()
