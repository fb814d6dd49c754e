# SPDX-License-Identifier: Apache-2.0
"""uvicorn under wrk: with the standard ssl context, with one of tlsfast.ssl, and with tlsfast.aio installed on its loop. Prints a table.

usage: python bench/web.py [--rounds N] [--seconds N] [--only WORD]; it needs uvicorn (the bench extra) and wrk (apt install wrk)

The servers run side by side in processes of their own and are asked in turns. Requests a second depend on who else wants the processors; the
processor's time that a server takes for an answer does not. Without TLS (plain) it shows the floor: h11, asyncio and the kernel's copies."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tlsfast.ssl
from tlsfast import aio
from tlsfast.cli.authority import make_authority

KINDS = ("ssl", "tlsfast.ssl", "tlsfast.aio", "plain")
ANSWERS = {"100 B": b"x" * 100, "1 MiB": bytes(1 << 20)}
PATHS = {"100 B": "/small", "1 MiB": "/large"}
HOST = "127.0.0.1"
CONNECTIONS = 16


async def app(scope: Any, receive: Any, send: Any) -> None:
    """ASGI: an answer of one of the sizes."""
    if scope["type"] != "http":
        return
    body = ANSWERS["1 MiB" if scope["path"] == PATHS["1 MiB"] else "100 B"]
    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def serve(kind: str, chain: str, key: str, descriptor: int) -> None:
    """Run uvicorn on a listening socket until it is stopped."""
    import uvicorn

    module: Any = ssl if kind == "ssl" else tlsfast.ssl
    context = module.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    config = uvicorn.Config(app, loop="asyncio", http="h11", log_level="error", access_log=False, lifespan="off")
    config.load()
    config.ssl = None if kind == "plain" else context

    async def main() -> None:
        if kind == "tlsfast.aio":
            aio.install()
        await uvicorn.Server(config).serve(sockets=[socket.socket(fileno=descriptor)])

    asyncio.run(main())


@contextlib.contextmanager
def servers() -> Iterator[dict[str, tuple[int, int]]]:
    """A server of each kind: its process and its port."""
    made = make_authority()
    with tempfile.TemporaryDirectory(prefix="tlsfast-bench-") as name, contextlib.ExitStack() as ending:
        chain, key = Path(name) / "chain.pem", Path(name) / "key.pem"
        chain.write_bytes(made.chain)
        key.write_bytes(made.key)
        found = {}
        for kind in KINDS:
            ear = ending.enter_context(socket.create_server((HOST, 0), backlog=128))
            program = [sys.executable, __file__, "--serve", kind, str(chain), str(key), str(ear.fileno())]
            environment = os.environ | {"PYTHONPATH": str(Path(tlsfast.__file__).parent.parent)}
            child = ending.enter_context(subprocess.Popen(program, pass_fds=[ear.fileno()], env=environment))
            ending.callback(child.kill)
            found[kind] = child.pid, ear.getsockname()[1]
        yield found


def processor_seconds(pid: int) -> float:
    """What a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def turn(pid: int, url: str, seconds: int) -> tuple[float, float]:
    """Answers a second, and the server's seconds of the processor for each."""
    before = processor_seconds(pid)
    program = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    said = subprocess.run(program, check=True, capture_output=True, text=True).stdout
    count, taken = re.search(r"(\d+) requests in ([\d.]+)(m?s)", said), processor_seconds(pid) - before
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if count is None or rate is None or "Non-2xx" in said or int(count[1]) == 0:
        raise SystemExit(f"wrk got no answers: {said}")
    return float(rate[1]), taken / int(count[1])


def measure(rounds: int, seconds: int, only: str = "") -> list[dict[str, Any]]:
    """For each size and kind: medians, and the median ratios to ssl, turn beside turn; above 1 is in our favour."""
    rows = []
    with servers() as found:
        time.sleep(2)
        for size, path in PATHS.items():
            if only not in size:
                continue
            turns: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
            for number in range(rounds + 1):
                for kind, (pid, port) in found.items():
                    scheme = "http" if kind == "plain" else "https"
                    got = turn(pid, f"{scheme}://{HOST}:{port}{path}", seconds)
                    if number:  # the first warms up
                        turns[kind].append(got)
            for kind in KINDS:
                rate, each = (statistics.median(column) for column in zip(*turns[kind], strict=True))
                pairs = list(zip(turns[kind], turns["ssl"], strict=True))
                rows.append(
                    {
                        "answer": size,
                        "kind": kind,
                        "rate": rate,
                        "seconds": each,
                        "rate_ratio": statistics.median(ours[0] / theirs[0] for ours, theirs in pairs),
                        "time_ratio": statistics.median(theirs[1] / ours[1] for ours, theirs in pairs),
                    }
                )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--only", default="")
    parser.add_argument("--serve", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        kind, chain, key, descriptor = arguments.serve
        serve(kind, chain, key, int(descriptor))
        return
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt install wrk")
    print(
        "| uvicorn, answers of | context | requests/s | ratio | server's processor time | ratio |\n|---|---|---|---|---|---|"
    )
    for row in measure(arguments.rounds, arguments.seconds, arguments.only):
        print(
            f"| {row['answer']} | {row['kind']} | {row['rate']:,.0f} | {row['rate_ratio']:.2f} "
            f"| {row['seconds'] * 1e6:,.0f} us | {row['time_ratio']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
