# SPDX-License-Identifier: Apache-2.0
"""Renders what ratios.py saved: docs/bench.md with every row, docs/bench.svg, and the table of the README between its two marks.

usage: python bench/render.py FILE.json [--check]: --check only says whether the documents are what FILE.json gives."""

from __future__ import annotations

import argparse
import json
import math
import sys
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- bench: rendered by bench/render.py -->", "<!-- bench: end -->"
PEERS = ("ssl", "pyOpenSSL", "pyrtls", "rtls", "tlslite-ng", "cryptography")
PLOTTED = ("ssl", "pyOpenSSL", "pyrtls", "rtls", "cryptography")


def amount(seconds: float, size: int) -> str:
    return f"{size / seconds / 1e9:.2f} GB/s" if size >= 1350 else f"{seconds * 1e6:,.1f} µs"


def ratio(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Markdown: tlsfast's own figure, then how many times as long each peer takes."""
    lines = [f"| what | tlsfast | {' | '.join(PEERS)} |", "|---" * (2 + len(PEERS)) + "|"]
    for row in rows:
        if "tlsfast" not in row["sides"]:
            continue
        cells = [ratio(row["sides"][peer]["ratio"]) if peer in row["sides"] else "" for peer in PEERS]
        ours = amount(row["sides"]["tlsfast"]["seconds"], row["bytes"])
        lines.append(f"| {row['case']} | {ours} | {' | '.join(cells)} |")
    return lines


def besides(results: dict[str, Any]) -> list[str]:
    lines = []
    if results.get("hybrid"):
        said = (f"{row['stack']} {row['seconds'] * 1e6:,.0f} µs" for row in results["hybrid"])
        lines.append(f"X25519MLKEM768 adds to a full handshake with X25519, both ends: {', '.join(said)}.")
    if results.get("scaling"):
        said = (f"{row['stack']} {row['2']:.2f} and {row['4']:.2f}" for row in results["scaling"])
        lines.append(
            f"Two and four threads sealing on connections of their own, as a ratio to one thread: {', '.join(said)}."
        )
    if results.get("memory"):
        said = (f"{row['stack']} {row['resident'] / 1024:.1f} KiB" for row in results["memory"])
        lines.append(f"An idle connection, one end, after its handshake: {', '.join(said)}.")
    return lines


def programs(results: dict[str, Any]) -> list[str]:
    """What stdlib.py measured: the standard library's interfaces, with our contexts and with its own."""
    rows = results.get("programs", [])
    if not rows:
        return []
    body = [
        f"| {row['what']} | {row['tlsfast']:,.2f} {row['unit']} | {row['ssl']:,.2f} {row['unit']} | {ratio(row['ratio'])} |"
        for row in rows
    ]
    return ["", "| programs of the standard library's interfaces | tlsfast | ssl | ratio |", "|---|---|---|---|", *body]


def machine(results: dict[str, Any]) -> str:
    about = results["environment"]
    packages = ", ".join(f"{name} {version}" for name, version in about["packages"].items())
    return (
        f"{about['cpu']}; Python {about['python']} with {about['ssl']}; {packages}; median of {about['rounds']} turns; "
        f"{', '.join(about['implementations'])}."
    )


def document(results: dict[str, Any]) -> str:
    """docs/bench.md."""
    reasons: dict[str, list[str]] = {}
    for row in results["rows"]:
        for words in row["left_out"].values():
            reasons.setdefault(words, []).append(row["case"])
    lines = [
        "# Benchmarks",
        "",
        "What `make bench` measured, in time of the processor: short turns of tlsfast and of each peer interleaved, both ends in one process, the",
        "median of many.",
        "A peer's column says how many times as long it takes as tlsfast: above 1 is in our favour. Records go through each library's own",
        "interface for memory; the `cryptography` column of record rows is the AEAD alone, one call for each record, without any TLS.",
        "Certificates are P-256 where nothing else is said, groups X25519; every chain is verified anew, except by tlslite-ng, which verifies",
        "none, and where the row says that the chain cache is on. Servers send two tickets. A full handshake of pyrtls includes a new client",
        "configuration: an old one would resume.",
        "",
        machine(results),
        "",
        "![ratios to tlsfast](bench.svg)",
        "",
        *table(results["rows"]),
        *programs(results),
        "",
        *besides(results),
        "",
        "Left out:",
        "",
        *(f"- {words} ({len(cases)} rows)" for words, cases in sorted(reasons.items())),
    ]
    return "\n".join(lines) + "\n"


# ---- The plot ----

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .small { font-size: 10px; fill: #57606a }
  .grid { stroke: #d0d7de; stroke-width: 1 }
  .one { stroke: #24292f; stroke-width: 1.5 }
  .ssl { fill: #0969da } .pyOpenSSL { fill: #8250df } .pyrtls { fill: #bf3989 } .rtls { fill: #bc4c00 } .cryptography { fill: #1a7f37 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .grid { stroke: #3d444d } .one { stroke: #e6edf3 }
    .ssl { fill: #4493f8 } .pyOpenSSL { fill: #ab7df8 } .pyrtls { fill: #db61a2 } .rtls { fill: #db6d28 } .cryptography { fill: #3fb950 }
  }
"""
LEFT, WIDTH, BAR, GAP, LOW, HIGH = 300, 480, 7, 9, 0.25, 16.0


def across(value: float) -> float:
    """Where a ratio stands, on a logarithmic axis."""
    value = min(max(value, LOW), HIGH)
    return LEFT + WIDTH * math.log(value / LOW) / math.log(HIGH / LOW)


def bars(row: dict[str, Any], top: float) -> tuple[list[str], float]:
    """One case: its name, a bar for each peer; and where the next begins."""
    peers = [peer for peer in PLOTTED if peer in row["sides"]]
    middle = top + len(peers) * BAR / 2 + 4
    parts = [f'<text x="{LEFT - 10}" y="{middle:.1f}" text-anchor="end">{escape(row["case"])}</text>']
    for number, peer in enumerate(peers):
        value = row["sides"][peer]["ratio"]
        start, end = sorted((across(1), across(value)))
        y = top + number * BAR
        parts.append(
            f'<rect class="{peer}" x="{start:.1f}" y="{y:.1f}" width="{max(end - start, 1):.1f}" height="{BAR - 1}">'
            f"<title>{escape(row['case'])}: {peer} takes {ratio(value)} times as long</title></rect>"
        )
    return parts, top + max(len(peers) * BAR, 12) + GAP


def plot(results: dict[str, Any]) -> str:
    """docs/bench.svg: readable on light and dark ground."""
    rows = [row for row in results["rows"] if row["in_readme"] and "tlsfast" in row["sides"] and len(row["sides"]) > 1]
    body: list[str] = []
    top = 62.0
    for row in rows:
        parts, top = bars(row, top)
        body += parts
    ticks = [0.25, 0.5, 1, 2, 4, 8, 16]
    grid = [
        f'<line class="{"one" if tick == 1 else "grid"}" x1="{across(tick):.1f}" x2="{across(tick):.1f}" y1="52" y2="{top:.0f}"/>'
        f'<text class="small" x="{across(tick):.1f}" y="46" text-anchor="middle">{tick:g}</text>'
        for tick in ticks
    ]
    legend = [
        f'<rect class="{peer}" x="{LEFT + number * 96}" y="20" width="10" height="10"/>'
        f'<text x="{LEFT + number * 96 + 14}" y="29">{peer}</text>'
        for number, peer in enumerate(PLOTTED)
    ]
    title = '<text x="10" y="29">time of the peer / time of tlsfast</text>'
    size = f'width="{LEFT + WIDTH + 30}" height="{top + 10:.0f}" viewBox="0 0 {LEFT + WIDTH + 30} {top + 10:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="time of each peer over that of tlsfast">'
    return "\n".join([head, f"<style>{STYLE}</style>", title, *legend, *grid, *body, "</svg>"]) + "\n"


def readme(results: dict[str, Any], text: str) -> str:
    """The README with its table rendered anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"README.md lacks the marks {BEGIN} and {END}")
    rows = [row for row in results["rows"] if row["in_readme"]]
    body = [machine(results), "", *table(rows), *programs(results), "", *besides(results)]
    return before + "\n".join([BEGIN, "", *body, "", END]) + after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    results = json.loads(arguments.file.read_text(encoding="utf-8"))
    rendered = {
        ROOT / "docs" / "bench.md": document(results),
        ROOT / "docs" / "bench.svg": plot(results),
        ROOT / "README.md": readme(results, (ROOT / "README.md").read_text(encoding="utf-8")),
    }
    for path, text in rendered.items():
        if not arguments.check:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path.name} is not what {arguments.file} gives: make bench-docs")


if __name__ == "__main__":
    main()
