# SPDX-License-Identifier: Apache-2.0
"""Run CPython's own tests of ssl and of what is built on it, in place, with tlsfast's context in the place of the standard one (make cpython).

Every module has a process of its own. Printed for each: passed, failed, skipped, and what is refused on purpose. A failure that expected.py does
not name, a name there that passes, and a module that does not end are faults, and the exit status is 1. An interpreter without its test package is
skipped, in words."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from expected import EXPECTED

MODULES = (
    "test.test_ssl test.test_asyncio.test_ssl test.test_asyncio.test_sslproto test.test_ftplib test.test_httplib test.test_urllib test.test_urllib2 "
    "test.test_urllib2_localnet test.test_poplib test.test_imaplib test.test_smtplib"
).split()
LIMIT = 600.0  # seconds for one module
HERE = Path(__file__).parent


def outcome(module: str, which: str, only: list[str]) -> dict[str, object] | str:
    """What came of each test; or in words why nothing did."""
    command = [sys.executable, str(HERE / "one.py"), which, module, *only]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, cwd=HERE.parent.parent)
    except subprocess.TimeoutExpired:
        return f"did not end within {LIMIT:.0f} s"
    lines = ran.stdout.splitlines()
    if not lines or not lines[-1].startswith("{"):
        return f"ended without a result, status {ran.returncode}: {ran.stderr[-400:]}"
    result: dict[str, object] = json.loads(lines[-1])
    return result


def judge(result: dict[str, object], refused: Counter[str]) -> tuple[str, list[str]]:
    """The line about a module, and the faults found; the reasons met are counted."""
    counts: Counter[str] = Counter()
    faults = []
    for test, (verdict, words) in result.items():  # type: ignore[misc]
        if test in EXPECTED:
            if verdict == "passed":
                faults.append(f"{test} passes: take it out of expected.py ({EXPECTED[test]})")
            if verdict == "failed":
                verdict = "expected"
                refused[EXPECTED[test]] += 1
        elif verdict == "failed":
            last = words.strip().splitlines()[-1] if words.strip() else ""  # type: ignore[has-type]
            faults.append(f"{test}: {last[:300]}")
        counts[verdict] += 1
    line = f"{counts['passed']:4d} passed {counts['failed']:3d} failed {counts['skipped']:3d} skipped {counts['expected']:3d} refused on purpose"
    return line, faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=MODULES, help="test modules (default: all)")
    parser.add_argument("--standard", action="store_true", help="leave the standard context in place, to compare")
    parser.add_argument("--only", nargs="*", default=[], help="ids of single tests")
    arguments = parser.parse_args()
    faults: list[str] = []
    refused: Counter[str] = Counter()
    print(f"CPython {sys.version.split()[0]}, {'the standard context' if arguments.standard else 'tlsfast.ssl'}")
    for module in arguments.modules:
        begin = time.monotonic()
        result = outcome(module, "standard" if arguments.standard else "tlsfast", arguments.only)
        took = time.monotonic() - begin
        if isinstance(result, str):
            faults.append(f"{module} {result}")
            print(f"{module:32s} {result}")
        elif "absent" in result:
            print(f"{module:32s} skipped: {result['absent']}")
        else:
            line, found = judge({} if arguments.standard else result, refused)
            if arguments.standard:
                line = str(dict(Counter(verdict for verdict, _ in result.values())))  # type: ignore[misc]
            faults += found
            print(f"{module:32s} {line}  {took:4.0f} s", flush=True)
    if refused:
        print("\nRefused on purpose:")
        for reason, number in refused.items():
            print(f"  {number:2d} tests: {reason}")
    for fault in faults:
        print(f"FAULT {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
