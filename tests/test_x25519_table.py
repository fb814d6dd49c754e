# SPDX-License-Identifier: Apache-2.0
"""csrc/x25519_table.c is what tools/x25519_table.py makes of the curve's definition, and that definition is RFC 8032's and RFC 7748's."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parent.parent
made = runpy.run_path(str(ROOT / "tools" / "x25519_table.py"))
P, L, D, B = made["P"], made["L"], made["D"], made["B"]


def test_the_files_are_what_the_script_makes() -> None:
    assert (ROOT / "csrc" / "x25519_table.h").read_text(encoding="utf-8") == made["HEADER"]
    assert (ROOT / "csrc" / "x25519_table.c").read_text(encoding="utf-8") == made["render"]()


def test_the_base_point_is_on_the_curve_and_maps_to_nine() -> None:
    x, y = B
    assert D == 37095705934669439343138083508754565189542113879843219016388785533085940283555  # RFC 8032, 5.1
    assert (-x * x + y * y - 1 - D * x * x * y * y) % P == 0
    assert (1 + y) * pow(1 - y, -1, P) % P == 9
    assert made["multiply"](L, B) == (0, 1) != made["multiply"](8, B)


def test_every_entry_is_on_the_curve_and_no_two_are_alike() -> None:
    entries = [point for number in range(made["COMBS"]) for point in made["comb"](number)]
    assert len(set(entries)) == len(entries) == made["COMBS"] << (made["TEETH"] - 1)
    assert all((-x * x + y * y - 1 - D * x * x * y * y) % P == 0 for x, y in entries)


def test_the_bound_of_the_divsteps_bounds_them() -> None:
    """The method, where all numbers can be tried; csrc/x25519_invert.c takes 590 steps, for numbers of 255 bits (588)."""
    divsteps = runpy.run_path(str(ROOT / "tools" / "x25519_divsteps.py"))
    most = max(divsteps["taken"](f, g) for f in range(1, 256, 2) for g in range(f + 1))
    assert most <= divsteps["bound"](255) < most + 5
    assert divsteps["bound"](1 << 20) == 47
