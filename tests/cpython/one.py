# SPDX-License-Identifier: Apache-2.0
"""Run one of CPython's own test modules with tlsfast's context in place, and print what came of each test as JSON; started by run.py."""

from __future__ import annotations

import io
import json
import sys
import unittest
import warnings
from pathlib import Path


class Record(unittest.TextTestResult):
    """What came of each test; a subtest counts as its test."""

    outcome: dict[str, tuple[str, str]] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:
        super().addSuccess(test)
        self.outcome.setdefault(test.id(), ("passed", ""))

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self.outcome.setdefault(test.id(), ("skipped", reason))

    def addExpectedFailure(self, test: unittest.TestCase, err: object) -> None:
        super().addExpectedFailure(test, err)  # type: ignore[arg-type]
        self.outcome.setdefault(test.id(), ("passed", ""))

    def addFailure(self, test: unittest.TestCase, err: object) -> None:
        super().addFailure(test, err)  # type: ignore[arg-type]
        self.outcome[test.id()] = ("failed", self._exc_info_to_string(err, test))  # type: ignore[arg-type]

    addError = addFailure  # type: ignore[assignment]

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: object) -> None:
        super().addSubTest(test, subtest, err)  # type: ignore[arg-type]
        if err is not None:
            self.outcome[test.id()] = ("failed", self._exc_info_to_string(err, subtest))  # type: ignore[arg-type]


def main() -> None:
    which, module, *only = sys.argv[1:]
    sys.path[0] = str(Path(__file__).parents[2])  # where tlsfast is, in place of this folder
    if which == "tlsfast":
        import tlsfast.ssl

        tlsfast.ssl.inject()
    try:
        from test import support
    except ImportError:
        print(json.dumps({"absent": "this interpreter has no test package"}))
        return
    support.use_resources = []  # as regrtest's default: no test that needs the network
    if which == "tlsfast":
        # The functions that use the context class, as "import tlsfast.ssl as ssl" would have them.
        import ssl

        assert ssl.SSLContext.__module__.startswith("tlsfast")
    try:
        suite = unittest.defaultTestLoader.loadTestsFromNames(only or [module])
    except ImportError as error:
        print(json.dumps({"absent": str(error)}))
        return
    out, sys.stdout = sys.stdout, io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        unittest.TextTestRunner(resultclass=Record, stream=io.StringIO(), verbosity=0).run(suite)
    sys.stdout = out
    print(json.dumps(Record.outcome))


if __name__ == "__main__":
    main()
