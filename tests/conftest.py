# SPDX-License-Identifier: Apache-2.0
"""What holds for the whole suite: in CI, where every peer is installed, an interop test that is skipped is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

# Set by .ci/run for the interop tests. A skip that tells what a peer is not able to do, rather than that it is not here, begins with these words.
IN_CI = os.environ.get("TLSFAST_CI") == "1"
PEER_CANNOT = "peer cannot"


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def fail_if_peer_is_missing(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = skip_reason(report)
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and not reason.startswith(PEER_CANNOT):
        report.outcome = "failed"
        report.longrepr = f"TLSFAST_CI=1: {report.nodeid} was skipped, but every peer must be here: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker("interop"):
        fail_if_peer_is_missing(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file of tests/interop that skips itself as a whole (pytest.importorskip) has no marks yet."""
    report = yield
    if "interop" in collector.path.parts:
        fail_if_peer_is_missing(report)
    return report
