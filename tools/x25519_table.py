# SPDX-License-Identifier: Apache-2.0
"""Writes csrc/x25519_table.h and x25519_table.c, the multiples of the base point that X25519 adds up, from the curve's definition in RFC 8032, 5.1.

Run from anywhere: python tools/x25519_table.py. tests/test_x25519_table.py holds the files against what this makes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CSRC = Path(__file__).parent.parent / "csrc"

Point = tuple[int, int]

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # the base point's order
D = -121665 * pow(121666, -1, P) % P
B: Point = (  # y = 4/5, u = (1 + y)/(1 - y) = 9
    15112221349535400772501151409588531511454012693041857206046113283949847762202,
    46316835694926478169428394003475163141307993866256225615783033603165251855960,
)

COMBS, TEETH, SPACING = 14, 6, 3
DIGITS = COMBS * TEETH * SPACING  # at least 252: the bits of a clamped scalar above its three zeros

HEADER = f"""\
/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tools/x25519_table.py: edit that. Multiples of edwards25519's base point B (RFC 8032, 5.1) for x25519_base.c and its vectored twin; what
 * they are for stands there. Numbers are four 64-bit words, the lowest first, below 2^255 - 19. */
#ifndef TF_X25519_TABLE_H
#define TF_X25519_TABLE_H

#include "internal.h"

enum {{ COMBS = {COMBS}, TEETH = {TEETH}, SPACING = {SPACING}, ENTRIES = 1 << (TEETH - 1) }};

/* x, y and x y of the point that the sum starts from. */
extern const uint64_t tf_x25519_start[3][4];
/* (y + x)/2, (y - x)/2 and d x y of the entries of each comb: one word of all entries beside each other, for a look-up that reads them all. */
extern const uint64_t tf_x25519_table[COMBS][3][4][ENTRIES];

#endif
"""

DATA = """\
/* SPDX-License-Identifier: Apache-2.0 */
/* Written by tools/x25519_table.py: edit that. The numbers of x25519_table.h. */
#include "x25519_table.h"

/* clang-format off */
"""


def add(a: Point, b: Point) -> Point:
    """The complete addition on -x^2 + y^2 = 1 + d x^2 y^2."""
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def multiply(k: int, point: Point) -> Point:
    result: Point = (0, 1)
    for bit in f"{k:b}":
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def start() -> Point:
    """2^-(SPACING - 1) (2^DIGITS - 1) 4B: the digits +1 and -1 for bits 1 and 0 make 2k - (2^DIGITS - 1), times 4B; this is what 8kB has besides.

    It stands at the start of the sum, so it is doubled SPACING - 1 times.
    """
    return multiply((2**DIGITS - 1) * 4 * pow(2 ** (SPACING - 1), -1, L) % L, B)


def comb(number: int) -> Iterator[Point]:
    """Entry i: the comb's teeth 2^(SPACING (TEETH number + h)) 4B with the sign of bit h of i, and the last tooth, which is always positive."""
    base = multiply(4 * 2 ** (SPACING * TEETH * number) % L, B)
    teeth = [multiply(2 ** (SPACING * h), base) for h in range(TEETH)]
    for i in range(1 << (TEETH - 1)):
        point = teeth[-1]
        for h in range(TEETH - 1):
            x, y = teeth[h]
            point = add(point, (x if i >> h & 1 else -x, y))
        yield point


def prepared(point: Point) -> tuple[int, int, int]:
    x, y = point
    half = pow(2, -1, P)
    return (y + x) * half % P, (y - x) * half % P, D * x * y % P


def word(number: int, at: int) -> str:
    return f"0x{number >> 64 * at & 2**64 - 1:016x}"


def rows(values: list[str], indent: str) -> list[str]:
    """Four to a line, in braces."""
    lines = [", ".join(values[at : at + 4]) for at in range(0, len(values), 4)]
    return [indent + "{" + (",\n" + indent + " ").join(lines) + "},"]


def render() -> str:
    x, y = start()
    lines = ["const uint64_t tf_x25519_start[3][4] = {"]
    for number in (x, y, x * y % P):
        lines += rows([word(number, at) for at in range(4)], "    ")
    lines += ["};", "", "TF_ALIGNED(64) const uint64_t tf_x25519_table[COMBS][3][4][ENTRIES] = {"]
    for number in range(COMBS):
        lines.append("    {")
        for values in zip(*map(prepared, comb(number)), strict=True):
            lines.append("        {")
            for at in range(4):
                lines += rows([word(value, at) for value in values], "            ")
            lines.append("        },")
        lines.append("    },")
    lines += ["};"]
    return DATA + "\n".join(lines) + "\n"


if __name__ == "__main__":
    (CSRC / "x25519_table.h").write_text(HEADER, encoding="utf-8")
    (CSRC / "x25519_table.c").write_text(render(), encoding="utf-8")
