# SPDX-License-Identifier: Apache-2.0
"""Measures every case as a ratio: short turns of tlsfast and its peer, interleaved, the median of many. Prints the README's table.

usage: python bench/ratios.py [--rounds N] [--only WORD] [--json FILE]"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

from cases import Case, Work, cases

from tlsfast import crypto

TURN = 0.02  # seconds of one side's turn


def calls_a_turn(work: Work) -> int:
    """How often the work fits into a turn."""
    calls = 1
    while True:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        spent = time.perf_counter() - start
        if spent > TURN / 4:
            return max(1, round(calls * TURN / spent))
        calls *= 4


def turn(work: Work, calls: int) -> float:
    """Seconds a call."""
    start = time.perf_counter()
    for _ in range(calls):
        work()
    return (time.perf_counter() - start) / calls


def measure(case: Case, rounds: int) -> dict[str, object]:
    """Medians of both sides and of their ratio, turn beside turn."""
    ours, theirs = case.ours(), case.theirs()
    our_calls, their_calls = calls_a_turn(ours), calls_a_turn(theirs)
    pairs = [(turn(ours, our_calls), turn(theirs, their_calls)) for _ in range(rounds)]
    return {
        "case": case.name,
        "peer": case.peer,
        "bytes": case.bytes,
        "tlsfast_seconds": statistics.median(ours for ours, _ in pairs),
        "peer_seconds": statistics.median(theirs for _, theirs in pairs),
        "ratio": statistics.median(theirs / ours for ours, theirs in pairs),
    }


def amount(seconds: float, size: int) -> str:
    """A time for people, or a rate for large records."""
    if size >= 1350:
        return f"{size / seconds / 1e9:.2f} GB/s"
    return f"{seconds * 1e6:.1f} us"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, {', '.join(crypto.implementations().values())}\n")
    print("| what | tlsfast | peer | ratio |\n|---|---|---|---|", flush=True)
    rows = []
    for case in cases():
        if arguments.only in case.name:
            row = measure(case, arguments.rounds)
            rows.append(row)
            ours, theirs = (amount(float(str(row[key])), case.bytes) for key in ("tlsfast_seconds", "peer_seconds"))
            print(f"| {case.name} | {ours} | {theirs} ({case.peer}) | {float(str(row['ratio'])):.2f} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
