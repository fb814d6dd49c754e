# SPDX-License-Identifier: Apache-2.0
"""What an idle connection costs in memory: thousands of pairs after their handshake, in a process of their own for each stack.

usage: python bench/idle.py STACK [--trace]: prints bytes for one end, by the growth of the resident set, or by tracemalloc (Python objects alone)."""

from __future__ import annotations

import ctypes
import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

from peers import Cannot, Terms, stacks

PAIRS = {False: 2000, True: 300}


def resident() -> int:
    """Bytes in memory now, after what is free has gone back to the system."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except AttributeError:
        pass  # a C library without it
    fields = Path("/proc/self/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * 4096


def one_end(stack: str, trace: bool) -> int:
    """Bytes of one end: half of what a pair adds."""
    shake = stacks()[0][stack].shaker(Terms())
    kept: list[Any] = [shake().keep for _ in range(100)]
    count = PAIRS[trace]
    if trace:
        tracemalloc.start()
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
    else:
        before = resident()
    kept += [shake().keep for _ in range(count)]
    if trace:
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
    else:
        after = resident()
    return (after - before) // (2 * count)


def measure(wanted: set[str]) -> list[dict[str, Any]]:
    """Every stack that can, each figure from a process of its own."""
    rows = []
    for name in stacks()[0]:
        if name in wanted and name not in ("cryptography", "tlslite-ng"):
            row: dict[str, Any] = {"stack": name}
            for kind, more in (("resident", []), ("python", ["--trace"])):
                command = [sys.executable, __file__, name, *more]
                run = subprocess.run(command, capture_output=True, text=True)
                row[kind] = int(run.stdout) if run.returncode == 0 else None
            if row["resident"] is not None:
                rows.append(row)
    return rows


def main() -> None:
    try:
        print(one_end(sys.argv[1], "--trace" in sys.argv))
    except Cannot as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
