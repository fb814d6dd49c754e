# SPDX-License-Identifier: Apache-2.0
"""What the Python fuzz targets share: an input read as a script of choices, and the loop of atheris over a target's one_input."""

from __future__ import annotations

import gc
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any, TypeVar

T = TypeVar("T")
ROOT = Path(__file__).parent.parent
# The PKI and the pairs of the tests are the templates that the targets mutate.
if str(ROOT / "tests") not in sys.path:
    sys.path.append(str(ROOT / "tests"))


class Script:
    """Reads an input as choices, front to back. Past its end every choice is the first: any bytes are a script, a cut one keeps its meaning."""

    __slots__ = ("_at", "_data")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        """True until the end is reached."""
        return self._at < len(self._data)

    def take(self, length: int) -> bytes:
        """The next length bytes; fewer at the end."""
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, size: int = 1) -> int:
        """A number of size bytes."""
        return int.from_bytes(self.take(size), "little")

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1."""
        return self.number(1 if limit <= 0x100 else 2 if limit <= 0x10000 else 3) % limit

    def pick(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def text(self) -> bytes:
        """Some bytes of the script itself: a length of one byte, then so many."""
        return self.take(self.number())


def run(
    one_input: Callable[[bytes], None],
    *,
    max_len: int,
    vary: Callable[[bytes, int, int], bytes] | None = None,
) -> None:
    """Fuzz one_input until libFuzzer's own options (-max_total_time=...) end it; a named file is run alone, to see a finding again.

    New inputs and findings go to build/fuzz, never into the repository: to renew the kept corpus, run with -merge=1 -set_cover_merge=1. vary
    (data, max_size, seed) makes a variant of an input with its structure intact; libFuzzer's own mutations are used as often."""
    try:
        import atheris
    except ImportError:
        sys.exit("fuzzing the Python parts needs atheris: pip install atheris")
    name = Path(sys.argv[0]).stem
    work = ROOT / "build" / "fuzz" / name
    kept = ROOT / "fuzz" / "corpus" / name.removeprefix("fuzz_")
    for folder in (work / "corpus", work / "found", kept):
        folder.mkdir(parents=True, exist_ok=True)
    options = [f"-max_len={max_len}", "-timeout=20", "-rss_limit_mb=1024", f"-artifact_prefix={work / 'found'}/"]
    given = sys.argv[1:]
    if all(argument.startswith("-") for argument in given):
        given += [str(work / "corpus"), str(kept)]
    _instrument(atheris)
    # As in the tests, and as in a program that is strict: what a peer sends may not even make a dependency warn.
    warnings.simplefilter("error")

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        if vary is None or seed % 2:
            return bytes(atheris.Mutate(data, max_size))
        return vary(data, max_size, seed // 2)[:max_size]

    more = {} if vary is None else {"custom_mutator": mutate}
    # libFuzzer starts itself again for -merge=1, as a shell command.
    command = shlex.join([sys.executable, sys.argv[0]])
    atheris.Setup([command, *options, *given], one_input, **more)
    atheris.Fuzz()


def _instrument(atheris: Any) -> None:
    """Count the branches of the library's functions. They are imported already, since the targets also run without atheris."""
    for found in gc.get_objects():
        if isinstance(found, FunctionType) and (found.__module__ or "").split(".")[0] == "tlsfast":
            atheris.instrument_func(found)
