# SPDX-License-Identifier: Apache-2.0
"""Every implementation this processor can run, and the processor bits that select it: what the vectors and the comparisons run over."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache

from tlsfast._native import ffi, lib

__all__ = [
    "AES_GCM",
    "ALL_BITS",
    "CHACHA20_POLY1305",
    "KECCAK_X4",
    "ML_KEM_768",
    "PRIMITIVES",
    "SHA256",
    "SHA512",
    "X25519",
    "cpu",
    "ffi",
    "implementation",
    "lib",
    "masks",
    "names",
]

ALL_BITS = 0xFFFFFFFF
AES_GCM = lib.TF_PRIMITIVE_AES_GCM
CHACHA20_POLY1305 = lib.TF_PRIMITIVE_CHACHA20_POLY1305
SHA256 = lib.TF_PRIMITIVE_SHA256
SHA512 = lib.TF_PRIMITIVE_SHA512
X25519 = lib.TF_PRIMITIVE_X25519
ML_KEM_768 = lib.TF_PRIMITIVE_ML_KEM_768
KECCAK_X4 = lib.TF_PRIMITIVE_KECCAK_X4
PRIMITIVES = (AES_GCM, CHACHA20_POLY1305, SHA256, SHA512, X25519, ML_KEM_768, KECCAK_X4)


@contextmanager
def cpu(mask: int) -> Generator[None]:
    """Show only these processor bits to the core, then all of them again."""
    lib.tf_cpu_limit(mask)
    try:
        yield
    finally:
        lib.tf_cpu_limit(ALL_BITS)


def implementation(primitive: int) -> str:
    """The implementation that a new context of the primitive gets now."""
    return str(ffi.string(lib.tf_implementation(primitive)), "ascii")


@cache
def masks(primitive: int) -> dict[str, int]:
    """Each implementation of the primitive that runs here, with the fewest processor bits that select it; the portable one first."""
    with cpu(ALL_BITS):
        features = lib.tf_cpu_features()
    bits = [1 << number for number in range(32) if features >> number & 1]
    subsets = (sum(bit for at, bit in enumerate(bits) if chosen >> at & 1) for chosen in range(1 << len(bits)))
    found: dict[str, int] = {}
    for mask in sorted(subsets, key=int.bit_count):
        with cpu(mask):
            found.setdefault(implementation(primitive), mask)
    return found


def names(*primitives: int) -> list[tuple[int, str]]:
    """(primitive, implementation) of each, to parametrize with."""
    return [(primitive, name) for primitive in primitives for name in masks(primitive)]
