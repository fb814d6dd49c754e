# SPDX-License-Identifier: Apache-2.0
"""Counts the instructions of handshakes and small records through Python, under valgrind's callgrind: a busy machine does not change them.

usage: python bench/icount.py [--only WORD] [--save FILE] [--against FILE]: callgrind writes its count down at each call of tf_cpu_limit, so only what
lies between two of them counts, not the interpreter's start. The core runs with processor bits that every valgrind knows; OpenSSL beneath
cryptography does so by itself."""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from peers import Terms, Tlsfast
from tlsfast._native import lib

Work = Callable[[], object]


def sealing(size: int) -> Callable[[], Work]:
    return lambda: Tlsfast().shaker(Terms())().sealer(bytes(size))


def opening(size: int, version: str = "1.3") -> Callable[[], Work]:
    def make() -> Work:
        joined = Tlsfast().shaker(Terms(version=version))()
        seal, opened = joined.sealer(bytes(size)), joined.opener()
        return lambda: opened(seal())

    return make


# What is counted, and how many times it is done for that.
CASES: dict[str, tuple[Callable[[], Work], int]] = {
    "full handshake, pair": (lambda: Tlsfast().shaker(Terms()), 20),
    "full handshake, pair, chain cache on": (lambda: Tlsfast().shaker(Terms(chain_cache=True)), 20),
    "resumed handshake, pair": (lambda: Tlsfast().resumer(Terms()), 20),
    "TLS 1.2: full handshake, pair": (lambda: Tlsfast().shaker(Terms(version="1.2")), 20),
    "TLS 1.2: resumed handshake, pair": (lambda: Tlsfast().resumer(Terms(version="1.2")), 20),
    "seal 64 B": (sealing(64), 2000),
    "seal and open 64 B": (opening(64), 2000),
    "seal and open 1,350 B": (opening(1350), 2000),
}


def run(names: list[str]) -> None:
    """In the process that is counted."""
    mask = lib.TF_CPU_AESNI | lib.TF_CPU_AVX2 | lib.TF_CPU_ARM_AES | lib.TF_CPU_ARM_SHA2
    lib.tf_cpu_limit(mask)
    for name in names:
        make, times = CASES[name]
        work = make()
        for _ in range(10):  # what is made once and kept
            work()
        gc.collect()
        gc.disable()
        repeated = range(times)
        lib.tf_cpu_limit(mask)
        for _ in repeated:
            work()
        lib.tf_cpu_limit(mask)
        gc.enable()


def instructions(names: list[str], folder: Path) -> dict[str, int]:
    """Of one time each."""
    valgrind = ["valgrind", "--tool=callgrind", "--dump-before=tf_cpu_limit", f"--callgrind-out-file={folder}/out"]
    # Hash order, and so the length of every search in a dict, is the same in each run.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    command = [*valgrind, sys.executable, __file__, "--run", *names]
    said = subprocess.run(command, capture_output=True, text=True, env=environment)
    if said.returncode != 0:
        sys.exit(f"callgrind failed:\n{said.stderr[-2000:]}")
    counts = []
    for number in range(1, 2 * len(names) + 2):
        dump = folder / f"out.{number}"
        if not dump.exists():
            sys.exit("callgrind did not see tf_cpu_limit: is the extension stripped of its symbols?")
        found = re.search(r"^totals: (\d+)", dump.read_text(encoding="utf-8"), re.MULTILINE)
        counts.append(int(found[1]) if found else 0)
    # The first is the start; then a setting up and a count for each.
    return {name: round(counts[2 * at + 2] / CASES[name][1]) for at, name in enumerate(names)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--only", default="")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--against", type=Path, help="a file of --save: show what changed")
    arguments = parser.parse_args()
    if arguments.run:
        run(arguments.run)
        return
    if shutil.which("valgrind") is None:
        sys.exit("counting instructions needs valgrind: apt-get install valgrind")
    before = json.loads(arguments.against.read_text(encoding="utf-8")) if arguments.against else {}
    with tempfile.TemporaryDirectory() as folder:
        counts = instructions([name for name in CASES if arguments.only in name], Path(folder))
    print(f"{'instructions':>52}{'  change' if before else ''}")
    for name, count in counts.items():
        change = f"  {count / before[name] - 1:+.1%}" if name in before else ""
        print(f"{name:38} {count:13,}{change}")
    if arguments.save:
        arguments.save.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
