# SPDX-License-Identifier: Apache-2.0
"""Variants of bytes and of decoded messages, as a script says: what the fuzz targets do to messages beside changing their bytes at random."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any

from engine import Script

from tlsfast.errors import ApiMisuse

NUMBERS = (
    0,
    1,
    2,
    3,
    0x1D,
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x0301,
    0x0303,
    0x0304,
    0x0A0A,
    0x1301,
    0x1303,
    0xC02B,
    0xFFFE,
    0xFFFF,
)
LARGE = (0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
LENGTHS = (1, 2, 3, 31, 32, 33, 254, 255, 256, 300, 1000, 4000, 16384, 16385, 65535, 70000)


def edit(data: bytes, script: Script) -> bytes:
    """Change bytes: bits, runs, length."""
    kind, at = script.below(9), script.below(len(data) + 1)
    run = 1 + script.below(8)
    if kind == 0:
        return data[:at] + bytes(byte ^ (1 << script.below(8)) for byte in data[at : at + 1]) + data[at + 1 :]
    if kind == 1:
        return data[:at] + script.take(run) + data[at + run :]
    if kind == 2:
        return data[:at] + data[at + run :]
    if kind == 3:
        return data[:at] + script.take(run) + data[at:]
    if kind == 4:
        return data[:at]
    if kind == 5:
        return data[:at] + data[at : at + run] + data[at:]
    if kind == 6:
        return bytes((script.number(),)) * script.pick(LENGTHS)
    if kind == 7:
        return data + script.text()
    return script.text()


class Varier:
    """Varies decoded messages. What it was shown serves it to fill fields that are absent."""

    def __init__(self, examples: Iterable[Any] = ()) -> None:
        self._examples: dict[str, list[Any]] = {}
        for example in examples:
            self.learn(example)

    def learn(self, value: Any) -> None:
        """Keep the values of every field of a dataclass."""
        for name, held in _fields(value):
            kept = self._examples.setdefault(name, [])
            if held not in (None, False) and held not in kept and len(kept) < 32:
                kept.append(held)
            for each in held if isinstance(held, tuple) else (held,):
                self.learn(each)

    def vary(self, value: Any, script: Script, name: str = "") -> Any:
        """A value like this one with something changed; it may be one that cannot be encoded."""
        if value is None or script.below(8) == 7:
            kept = self._examples.get(name)
            return script.pick(kept) if kept else value
        if isinstance(value, bool):
            return not value
        if isinstance(value, int):
            kind = script.below(4)
            return (script.pick(NUMBERS), value ^ (1 << script.below(16)), script.number(2), script.pick(LARGE))[kind]
        if isinstance(value, float):
            return float(script.number(4))
        if isinstance(value, bytes):
            return edit(value, script)
        if isinstance(value, str):
            return edit(value.encode("utf-8", "surrogateescape"), script).decode("latin-1")
        if isinstance(value, tuple):
            return self._vary_tuple(value, script, name)
        fields = list(_fields(value))
        if not fields:
            return value
        field, held = script.pick(fields)
        return dataclasses.replace(value, **{field: None if script.below(4) == 3 else self.vary(held, script, field)})

    def _vary_tuple(self, value: tuple[Any, ...], script: Script, name: str) -> tuple[Any, ...]:
        kind, at = script.below(6), script.below(len(value) + 1)
        if kind == 0:
            return value[:at] + value[at + 1 :]
        if kind == 1:
            return value[:at] + value[at : at + 1] + value[at:]
        if kind == 2:
            return value[at:] + value[:at]
        if kind == 3 and name == "unknown":
            return (*value, (script.number(2), script.text()))
        if kind == 4:
            return value * (2 + script.below(64)) if len(value) <= 8 else value[:8]
        return tuple(self.vary(each, script, name) if index == at else each for index, each in enumerate(value))

    def vary_encoded(self, value: Any, script: Script) -> bytes | None:
        """The encoding of a variant; None when it has none."""
        for _ in range(1 + script.below(3)):
            value = self.vary(value, script)
        try:
            encoded: bytes | None = value.encode()
        except (ApiMisuse, TypeError, ValueError, AttributeError):
            # A variant may hold what no decoder gives, None in place of bytes: it has no encoding, which is no fault.
            return None
        return encoded


def _fields(value: Any) -> Iterator[tuple[str, Any]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.name != "order":
                yield field.name, getattr(value, field.name)
