# SPDX-License-Identifier: Apache-2.0
"""Writes csrc/mlkem768_table.h, the powers of zeta that ML-KEM's number-theoretic transform multiplies by, from FIPS 203, 4.3 and appendix A.

Run from anywhere: python tools/mlkem_table.py. tests/test_mlkem_table.py holds the file against what this makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

TARGET = Path(__file__).parent.parent / "csrc" / "mlkem768_table.h"

Q = 3329
ZETA = 17  # of order 256 modulo Q
LANES = 16

HEADER = """\
/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tools/mlkem_table.py: edit that. Powers of zeta = 17 modulo q = 3329 (FIPS 203, 4.3 and appendix A), times 2^16, between -q/2 and q/2;
 * and for compaction the places of the bits that are set in a byte. */
#ifndef TF_MLKEM768_TABLE_H
#define TF_MLKEM768_TABLE_H

#include <stdint.h>

/* clang-format off */
"""


def bit_reversed(number: int) -> int:
    """BitRev7."""
    return int(f"{number:07b}"[::-1], 2)


def montgomery(number: int) -> int:
    """number 2^16 modulo Q, the representative nearest to 0."""
    positive = number * 2**16 % Q
    return positive - Q if positive > Q // 2 else positive


def zetas() -> list[int]:
    """Appendix A's first table: zeta^BitRev7(i)."""
    return [montgomery(pow(ZETA, bit_reversed(i), Q)) for i in range(128)]


def lanes() -> Iterator[list[int]]:
    """The last three layers with the sixteen blocks of sixteen coefficients side by side: lane j works on block j.

    Seven vectors for the transform (one for layer 5, two for layer 6, four for layer 7), then seven for its inverse, whose layers run backwards
    and which takes zetas from the end.
    """
    table = zetas()
    layers = [(16 << level, 1 << level, at) for level in range(3) for at in range(1 << level)]
    for first, step, at in layers:
        yield [table[first + step * lane + at] for lane in range(LANES)]
    for first, step, at in layers:
        yield [table[2 * first - 1 - step * lane - at] for lane in range(LANES)]


def places(byte: int) -> list[int]:
    found = [bit for bit in range(8) if byte >> bit & 1]
    return found + [0] * (8 - len(found))


def rows(numbers: Iterable[int], width: int = 16) -> Iterator[str]:
    listed = list(numbers)
    for at in range(0, len(listed), width):
        yield "    " + ", ".join(map(str, listed[at : at + width])) + ","


def render() -> str:
    lines = ["/* zeta^BitRev7(i). */", "static const int16_t zetas[128] = {", *rows(zetas()), "};", ""]
    lines += ["/* Layers 5 to 7, lane j for coefficients 16j to 16j + 15: seven vectors forwards, seven backwards. */"]
    lines += ["static const int16_t zeta_lanes[14][16] = {"]
    lines += [f"    {{{', '.join(map(str, vector))}}}," for vector in lanes()]
    lines += ["};", "", "/* compaction[m]: where the bits of m are set, the lowest first. */"]
    lines += ["static const uint8_t compaction[256][8] = {"]
    cells = ["{" + ", ".join(map(str, places(byte))) + "}" for byte in range(256)]
    lines += ["    " + ", ".join(cells[at : at + 4]) + "," for at in range(0, 256, 4)]
    lines += ["};", "/* clang-format on */", "", "#endif"]
    return HEADER + "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(render(), encoding="utf-8")
