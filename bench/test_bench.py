# SPDX-License-Identifier: Apache-2.0
"""Every case under pytest-benchmark, tlsfast and its peer in one group: `make bench`. The ratios of the README come from ratios.py."""

from __future__ import annotations

import pytest
from cases import Case, cases


@pytest.mark.parametrize("who", ["tlsfast", "peer"])
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_case(benchmark, case: Case, who: str) -> None:  # type: ignore[no-untyped-def]  # the plugin's fixture has no public type
    benchmark.group = f"{case.name} (peer: {case.peer})"
    benchmark.extra_info["bytes"] = case.bytes
    work = case.ours() if who == "tlsfast" else case.theirs()
    assert benchmark(work) is not None
