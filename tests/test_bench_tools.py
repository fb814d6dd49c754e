# SPDX-License-Identifier: Apache-2.0
"""The benchmarks still run: every case's own side once, the C benchmark compiles, and the documents are what the saved figures give."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import peers  # noqa: E402  # bench/ is no package
import render  # noqa: E402


@pytest.fixture(autouse=True)
def only_what_is_always_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """tlsfast and the standard ssl module: other peers come with an extra."""
    here = {name: make for name, make in peers.STACKS.items() if name in ("tlsfast", "ssl")}
    monkeypatch.setattr(peers, "STACKS", here)
    peers.stacks.cache_clear()


def test_every_case_runs() -> None:
    import cases

    names = []
    for case in cases.cases():
        works, left_out = case.sides()
        names.append(case.name)
        assert {*works, *left_out} >= {"tlsfast"}
        assert "tlsfast" in works or "MLKEM" in case.name, left_out
        for work in works.values():
            inputs = [()] if work.prepare is None else [(each,) for each in work.prepare(1)]
            for each in inputs:
                work.once(*each)
    assert len(names) == len(set(names)) > 40


def test_ratios(tmp_path: Path) -> None:
    import cases
    import ratios

    case = next(case for case in cases.cases() if case.name == "AES-256-GCM: open 64 B")
    row = ratios.measure(case, 2, {"tlsfast", "ssl"})
    assert set(row["sides"]) == {"tlsfast", "ssl"} and row["sides"]["tlsfast"]["ratio"] == 1
    assert row["sides"]["ssl"]["seconds"] > 0 and "AES-256-GCM: open 64 B" in ratios.line(row)


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler: apt install gcc")
def test_the_c_benchmark_compiles() -> None:
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run(["cc", *flags, ROOT / "bench" / "cbench.c"], check=True, timeout=60)


def test_documents_are_what_the_saved_figures_give() -> None:
    command = [sys.executable, ROOT / "bench" / "render.py", ROOT / "docs" / "bench.json", "--check"]
    subprocess.run(command, check=True)


def test_the_plot_is_well_formed_and_knows_the_dark() -> None:
    results = json.loads((ROOT / "docs" / "bench.json").read_text(encoding="utf-8"))
    drawn = render.plot(results)
    root = ElementTree.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and "prefers-color-scheme: dark" in drawn
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert any("full handshake: ssl takes" in str(title) for title in titles)


def test_a_readme_without_the_marks_is_refused() -> None:
    with pytest.raises(SystemExit, match="lacks the marks"):
        render.readme({"environment": {}, "rows": []}, "# tlsfast\n")


def test_programs() -> None:
    """Every row has a name of its own, and one that is cheap is measured."""
    import stdlib

    rows = [*stdlib.of_dropin(), *stdlib.of_asyncio()]
    assert len({row[0] for row in rows}) == len(rows) > 8
    row = stdlib.compare(rows[0], 1)
    assert (
        row["what"] == "create_default_context()"
        and row["ratio"] > 0
        and "create_default_context()" in stdlib.line(row)
    )
    drawn = render.programs({"programs": [row]})
    assert drawn[-1].startswith("| create_default_context() | ") and render.programs({}) == []
