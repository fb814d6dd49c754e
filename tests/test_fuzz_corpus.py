# SPDX-License-Identifier: Apache-2.0
"""The Python fuzz targets without a fuzzer: every input of fuzz/corpus again, and some that hypothesis makes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parent.parent / "fuzz"))

import fuzz_certificates
import fuzz_connection
import fuzz_messages

FUZZ = Path(__file__).parent.parent / "fuzz"
TARGETS: dict[str, ModuleType] = {
    "messages": fuzz_messages,
    "connection": fuzz_connection,
    "certificates": fuzz_certificates,
}
HYPOTHESIS = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def corpus(target: str) -> list[Path]:
    return sorted((FUZZ / "corpus" / target).iterdir())


@pytest.mark.parametrize("target", TARGETS)
def test_corpus(target: str) -> None:
    """Each input alone; the error says which one failed."""
    inputs = corpus(target)
    assert len(inputs) >= 12, "the corpus is not there"
    for path in inputs:
        try:
            TARGETS[target].one_input(path.read_bytes())
        except BaseException as error:
            error.add_note(f"the input is {path.relative_to(FUZZ.parent)}")
            raise


@HYPOTHESIS
@given(st.integers(0, 255), st.binary(max_size=200))
def test_messages(decoder: int, body: bytes) -> None:
    fuzz_messages.one_input(bytes((decoder,)) + body)


@HYPOTHESIS
@given(st.lists(st.one_of(st.just(0), st.integers(0, 255)), max_size=120))
def test_connections(script: list[int]) -> None:
    """Half of the choices are the first one, so that not every handshake fails at its start."""
    fuzz_connection.one_input(bytes(script))


@HYPOTHESIS
@given(st.binary(max_size=60))
def test_certificates(script: bytes) -> None:
    fuzz_certificates.one_input(script)


def test_variants_of_the_corpus() -> None:
    """What the fuzzer does to inputs that decode works on each of them."""
    for number, path in enumerate(corpus("messages")):
        fuzz_messages.one_input(fuzz_messages.vary(path.read_bytes(), 4096, number))


def test_the_corpus_is_small() -> None:
    """It is replayed in each run of the tests, and lies in every clone."""
    sizes = [path.stat().st_size for target in TARGETS for path in corpus(target)]
    assert sum(sizes) < 150 * 1024
    assert len(sizes) < 400
