# SPDX-License-Identifier: Apache-2.0
"""How many divsteps csrc/x25519_invert.c needs: prints 588, a bound for every f and g up to 2^255, found in exact arithmetic (a quarter of an hour).

Whether g is odd depends on low bits, so both steps are taken to be possible always. Each is linear: it maps the convex hull of what (f, g) may be
to that of what they may be next. One hull is kept for each delta. When |g| < 1 on all of them, g, an integer, is 0. The idea is P. Wuille's (2021).
"""

from __future__ import annotations

Point = tuple[int, int]


def half_hull(points: list[Point]) -> list[Point]:
    chain: list[Point] = []
    for x, y in points:
        while len(chain) > 1:
            (ax, ay), (bx, by) = chain[-2:]
            if (bx - ax) * (y - by) > (by - ay) * (x - bx):
                break
            chain.pop()
        chain.append((x, y))
    return chain[:-1]


def hull(points: list[Point]) -> list[Point]:
    ordered = sorted(set(points))
    return half_hull(ordered) + half_hull(ordered[::-1]) if len(ordered) > 2 else ordered


def bound(largest: int) -> int:
    """Divsteps after which g = 0 for all 0 <= g <= f <= largest, f odd. Keys are delta - 1/2; points stand for 2^steps (f, g)."""
    steps, reached = 0, {0: [(0, 0), (largest, 0), (largest, largest)]}
    while reached:
        steps += 1
        following: dict[int, list[Point]] = {}
        for d, points in reached.items():
            following.setdefault(d + 1, []).extend((2 * f, g) for f, g in points)
            if d >= 0:
                following.setdefault(-d, []).extend((2 * g, g - f) for f, g in points)
            else:
                following.setdefault(d + 1, []).extend((2 * f, g + f) for f, g in points)
        # Where |g| < 1 all is done: g stays 0.
        hulls = {d: hull(points) for d, points in following.items()}
        reached = {d: points for d, points in hulls.items() if max(abs(g) for _, g in points) >= 1 << steps}
    return steps


def taken(f: int, g: int) -> int:
    """Divsteps that f and g do take until g is 0."""
    steps, d = 0, 0
    while g:
        steps += 1
        if g % 2 and d >= 0:
            d, f, g = -d, g, (g - f) // 2
        else:
            d, g = d + 1, (g + g % 2 * f) // 2
    return steps


if __name__ == "__main__":
    print(bound(2**255))
