# SPDX-License-Identifier: Apache-2.0
"""Measures every case as ratios: short turns of tlsfast and of each peer, interleaved, the median of many; then threads and memory.

usage: python bench/ratios.py [--rounds N] [--only WORD] [--peers NAME,NAME] [--json FILE] [--rows-only]"""

from __future__ import annotations

import argparse
import json
import platform
import ssl
import statistics
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import idle
from cases import Case, Work, cases, full
from peers import Cannot, Terms, implementations, stacks

TURN = 0.02  # seconds of one side's turn
SLOWEST = 2.0  # seconds that a side may take in all before its rounds are cut
THREADS = (2, 4)


def timed(work: Work, calls: int) -> float:
    """Seconds of the processor for that many calls: what others do on this machine takes turns away, but is not counted."""
    once, clock = work.once, time.process_time
    if work.prepare is None:
        start = clock()
        for _ in range(calls):
            once()
        return clock() - start
    inputs = work.prepare(calls)
    start = clock()
    for each in inputs:
        once(each)
    return clock() - start


def calls_a_turn(work: Work) -> int:
    """How often the work fits into a turn."""
    calls = 1
    while True:
        spent = timed(work, calls)
        if spent > TURN / 4 or calls >= work.most_calls:
            return min(work.most_calls, max(1, round(calls * TURN / spent)))
        calls *= 4


def measure(case: Case, rounds: int, wanted: set[str]) -> dict[str, Any]:
    """Medians of all sides and of their ratios to tlsfast, turn beside turn; a side that is very slow takes part in fewer rounds."""
    works, left_out = case.sides()
    works = {name: work for name, work in works.items() if name in wanted}
    calls = {name: calls_a_turn(work) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    ratios: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            if sum(times[name]) * calls[name] < SLOWEST:
                times[name].append(timed(work, calls[name]) / calls[name])
                if "tlsfast" in works:
                    ratios[name].append(times[name][-1] / times["tlsfast"][-1])
    sides = {
        name: {"seconds": statistics.median(times[name])}
        | ({"ratio": statistics.median(ratios[name])} if ratios[name] else {})
        for name in works
    }
    return {
        "case": case.name,
        "bytes": case.bytes,
        "in_readme": case.in_readme,
        "sides": sides,
        "left_out": {name: words for name, words in left_out.items() if name in wanted},
    }


# ---- The hybrid group ----


def hybrid(rounds: int, wanted: set[str]) -> list[dict[str, Any]]:
    """For each stack that has it: seconds that X25519MLKEM768 adds to a full handshake with X25519, both ends, turn beside turn."""
    rows = []
    for name, stack in stacks()[0].items():
        if name not in wanted:
            continue
        try:
            works = [full(stack, Terms(group=group)) for group in ("x25519", "X25519MLKEM768")]
        except Cannot:
            continue
        calls = [calls_a_turn(work) for work in works]
        more = []
        for _ in range(rounds):
            plain, both = (timed(work, count) / count for work, count in zip(works, calls, strict=True))
            more.append(both - plain)
        rows.append({"stack": name, "seconds": statistics.median(more)})
    return rows


# ---- Threads ----


def sealing(name: str, count: int, calls: int) -> float:
    """Bytes a second of that many threads, each sealing 256 KiB on a connection of its own."""
    shake = stacks()[0][name].shaker(Terms())
    ends = [shake() for _ in range(count)]
    works = [(joined.sealer_into or joined.sealer)(bytes(262144)) for joined in ends]
    barrier = threading.Barrier(count + 1)

    def run(seal: Any) -> None:
        barrier.wait()
        for _ in range(calls):
            seal()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    barrier.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return count * calls * 262144 / (time.perf_counter() - start)


def scaling(rounds: int, wanted: set[str]) -> list[dict[str, Any]]:
    """For each stack: what 2 and 4 threads seal, as a ratio to one."""
    rows = []
    for name in stacks()[0]:
        if name not in wanted or name in ("tlslite-ng", "cryptography"):
            continue
        try:
            calls = max(4, round(0.15 * sealing(name, 1, 8) / 262144))
        except Cannot:
            continue
        found: dict[int, list[float]] = {count: [] for count in THREADS}
        for _ in range(rounds):
            one = sealing(name, 1, calls)
            for count in THREADS:
                found[count].append(sealing(name, count, calls) / one)
        rows.append({"stack": name} | {str(count): statistics.median(ratios) for count, ratios in found.items()})
    return rows


# ---- What is printed ----


def amount(seconds: float, size: int) -> str:
    """A time for people, or a rate for large records."""
    return f"{size / seconds / 1e9:.2f} GB/s" if size >= 1350 else f"{seconds * 1e6:,.1f} us"


def line(row: dict[str, Any]) -> str:
    """One case: tlsfast's figure, then each peer's with its ratio."""
    cells = []
    for name, side in row["sides"].items():
        ratio = f" ({side['ratio']:.2f}x)" if "ratio" in side and name != "tlsfast" else ""
        cells.append(f"{name} {amount(side['seconds'], row['bytes'])}{ratio}")
    return f"{row['case']:48} " + ", ".join(cells)


def environment(rounds: int) -> dict[str, Any]:
    versions = {}
    for package in ("cryptography", "pyOpenSSL", "pyrtls", "rtls", "tlslite-ng"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            pass
    model = "unknown"
    if Path("/proc/cpuinfo").exists():
        names = [each for each in Path("/proc/cpuinfo").read_text().splitlines() if each.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "python": platform.python_version(),
        "ssl": ssl.OPENSSL_VERSION,
        "cpu": model,
        "implementations": list(implementations()),
        "packages": versions,
        "rounds": rounds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", default="")
    parser.add_argument("--peers", default="")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rows-only", action="store_true", help="neither threads nor memory")
    arguments = parser.parse_args()
    found, missing = stacks()
    wanted = set(arguments.peers.split(",")) | {"tlsfast"} if arguments.peers else {*found, *missing}
    results: dict[str, Any] = {"environment": environment(arguments.rounds), "rows": []}
    print(f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}; {', '.join(implementations())}")
    print("Times or rates; in brackets how much longer the peer takes than tlsfast, turn beside turn.\n", flush=True)
    for case in cases():
        if arguments.only in case.name:
            results["rows"].append(measure(case, arguments.rounds, wanted))
            print(line(results["rows"][-1]), flush=True)
    reasons = {f"{name}: {words}" for row in results["rows"] for name, words in row["left_out"].items()}
    print("\nLeft out:", *sorted(reasons), sep="\n  ", flush=True)
    if not arguments.rows_only:
        print("\nWhat X25519MLKEM768 adds to a full handshake with X25519, both ends:")
        results["hybrid"] = hybrid(arguments.rounds, wanted)
        for row in results["hybrid"]:
            print(f"  {row['stack']:12} {row['seconds'] * 1e6:,.1f} us")
        print("\nThreads sealing 256 KiB on connections of their own, as a ratio to one thread:")
        results["scaling"] = scaling(max(3, arguments.rounds // 3), wanted)
        for row in results["scaling"]:
            print(f"  {row['stack']:12} " + ", ".join(f"{count} threads {row[str(count)]:.2f}x" for count in THREADS))
        print("\nAn idle connection after its handshake (one end; half of a pair), in bytes:")
        results["memory"] = idle.measure(wanted)
        for row in results["memory"]:
            print(f"  {row['stack']:12} {row['resident']:,} resident, of it Python objects {row['python']:,}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
