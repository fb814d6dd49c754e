# SPDX-License-Identifier: Apache-2.0
"""Every case under pytest-benchmark, tlsfast and its peers in one group: `make bench-each`. The ratios of the README come from ratios.py."""

from __future__ import annotations

import pytest
from cases import Case, cases
from peers import STACKS, Cannot

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the peers' own


@pytest.mark.parametrize("who", STACKS)
@pytest.mark.parametrize("case", list(cases()), ids=lambda case: case.name)
def test_case(benchmark, case: Case, who: str) -> None:  # type: ignore[no-untyped-def]  # the plugin's fixture has no public type
    if who not in case.make:
        pytest.skip(f"{who} has no place in this row")
    try:
        work = case.make[who]()
    except Cannot as reason:
        pytest.skip(str(reason))
    benchmark.group = case.name
    benchmark.extra_info["bytes"] = case.bytes
    if work.prepare is None:
        assert benchmark(work.once) is not None
        return
    prepare = work.prepare
    done = benchmark.pedantic(work.once, setup=lambda: (tuple(prepare(1)), {}), rounds=work.most_calls // 4 or 1)
    assert done is not None
