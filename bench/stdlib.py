# SPDX-License-Identifier: Apache-2.0
"""What programs of the standard library's interfaces gain: contexts, the drop-in over MemoryBIO, asyncio streams, uvicorn under wrk; ratios to ssl.

usage: python bench/stdlib.py [--rounds N] [--only WORD] [--json FILE]: with FILE the rows replace those that a result of ratios.py has there"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import ssl
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import aio_cases
import dropin
import web

import tlsfast.ssl

MIB = 1 << 20
# name, unit, whether more is better, a turn of tlsfast, a turn of ssl, what part of the rounds: what takes a process for each turn gets fewer
Row = tuple[str, str, bool, Callable[[], float], Callable[[], float], int]


def of_dropin() -> Iterator[Row]:
    def both(what: str, unit: str, scale: float, turn: Callable[[Any], float], part: int = 1) -> Row:
        return what, unit, False, lambda: scale * turn(tlsfast.ssl), lambda: scale * turn(ssl), part

    yield both("create_default_context()", "ms", 1e3, dropin.create)
    yield both("memory of one more default context", "KiB", 1 / 1024, dropin.memory, 3)
    for size in (16384, 262144):
        what = f"drop-in over MemoryBIO, writes of {size // 1024} KiB"
        yield both(what, "ns/KiB", 1024e9, lambda module, size=size: dropin.bulk(module, size))  # type: ignore[misc]
    yield both("drop-in, full handshake, both ends", "us", 1e6, dropin.handshake)
    yield both("drop-in, resumed handshake, both ends", "us", 1e6, dropin.resumed)


def of_asyncio() -> Iterator[Row]:
    sides = {name: aio_cases.Side(name) for name in ("tlsfast", "ssl")}

    def stream(name: str, size: int) -> float:
        with asyncio.Runner() as runner:
            return runner.run(aio_cases.pump(sides[name], 96 * MIB, size))

    for size in (65536, 262144):
        turns = [partial(stream, name, size) for name in ("tlsfast", "ssl")]
        yield (
            f"asyncio stream, a pair in one process, writes of {size // 1024} KiB",
            "GB/s",
            True,
            turns[0],
            turns[1],
            1,
        )
    idle = [partial(aio_cases.memory, name, 300) for name in ("tlsfast", "ssl")]
    yield "memory of an idle asyncio pair", "KiB", False, idle[0], idle[1], 3


def of_web(rounds: int) -> Iterator[dict[str, Any]]:
    """uvicorn: requests a second, and the processor's time of the server for each."""
    if shutil.which("wrk") is None or find_spec("uvicorn") is None:
        print("uvicorn under wrk is left out: it needs uvicorn (pip) and wrk (apt)")
        return
    rows = web.measure(rounds, 1)
    theirs = {row["answer"]: row for row in rows if row["kind"] == "ssl"}
    for row in rows:
        if row["kind"] in ("ssl", "plain"):
            continue
        other, what = theirs[row["answer"]], f"uvicorn with {row['kind']}, answers of {row['answer']}"
        yield {
            "what": f"{what}, under wrk",
            "unit": "requests/s",
            "tlsfast": row["rate"],
            "ssl": other["rate"],
            "ratio": row["rate_ratio"],
        }
        yield {
            "what": f"{what}, processor time of the server",
            "unit": "us",
            "tlsfast": row["seconds"] * 1e6,
            "ssl": other["seconds"] * 1e6,
            "ratio": row["time_ratio"],
        }


def compare(row: Row, rounds: int) -> dict[str, Any]:
    """Turns of both, interleaved; medians, and the median ratio, above 1 in our favour."""
    what, unit, more, ours, theirs, part = row
    pairs = [(ours(), theirs()) for _ in range(max(1, rounds // part))]
    return {
        "what": what,
        "unit": unit,
        "tlsfast": statistics.median(one for one, _ in pairs),
        "ssl": statistics.median(other for _, other in pairs),
        "ratio": statistics.median(one / other if more else other / one for one, other in pairs),
    }


def measure(rounds: int, only: str = "") -> Iterator[dict[str, Any]]:
    for row in (*of_dropin(), *of_asyncio()):
        if only in row[0]:
            yield compare(row, rounds)
    if "uvicorn" in only or not only:
        yield from of_web(rounds)


def line(row: dict[str, Any]) -> str:
    return f"{row['what']:66} {row['tlsfast']:10,.2f} {row['unit']:10} ssl {row['ssl']:10,.2f}  {row['ratio']:6.2f}x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print("Both in turns of one run; the ratio is above 1 where tlsfast is ahead.\n", flush=True)
    rows = []
    for row in measure(arguments.rounds, arguments.only):
        print(line(row), flush=True)
        rows.append(row)
    if arguments.json:
        results = json.loads(arguments.json.read_text(encoding="utf-8")) if arguments.json.exists() else {}
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results | {"programs": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
