# SPDX-License-Identifier: Apache-2.0
"""Which suite a server takes: AES or ChaCha20 first by the hardware of both sides, in both versions; an order that was named stands."""

from __future__ import annotations

import pytest
from backends import cpu, lib
from pair import client_config, server_config, shake

from tlsfast import CipherSuite, TLSVersion
from tlsfast.config import default_suites

NO_AES = ~(lib.TF_CPU_AESNI | lib.TF_CPU_ARM_AES) & 0xFFFFFFFF
needs_aes = pytest.mark.skipif(not lib.tf_cpu_features() & ~NO_AES, reason="this processor has no AES instructions")
each_version = pytest.mark.parametrize("version", [TLSVersion.TLSv1_3, TLSVersion.TLSv1_2], ids=str)


def orders() -> tuple[tuple[CipherSuite, ...], tuple[CipherSuite, ...]]:
    """The default of a processor with AES instructions, and of one without."""
    with cpu(NO_AES):
        without = default_suites()
    return default_suites(), without


def agreed(version: TLSVersion, client: tuple[CipherSuite, ...], server: tuple[CipherSuite, ...]) -> CipherSuite:
    pair = shake(
        client_config(versions=[version], cipher_suites=client), server_config(versions=[version], cipher_suites=server)
    )
    return pair.server_completed().cipher_suite


def is_aes(suite: CipherSuite) -> bool:
    return "AES_128_GCM" in suite.name


def is_chacha20(suite: CipherSuite) -> bool:
    return "CHACHA20" in suite.name


@needs_aes
@each_version
def test_the_hardware_of_both_sides(version: TLSVersion) -> None:
    aes, chacha20 = orders()
    assert aes != chacha20
    assert is_aes(agreed(version, aes, aes))
    assert is_chacha20(agreed(version, chacha20, aes))
    assert is_chacha20(agreed(version, aes, chacha20))
    assert is_chacha20(agreed(version, chacha20, chacha20))


@needs_aes
@each_version
def test_an_order_that_was_named_stands(version: TLSVersion) -> None:
    aes, chacha20 = orders()
    named = tuple(suite for suite in aes if "AES_256" not in suite.name)
    assert is_aes(agreed(version, chacha20, named))
    assert is_chacha20(agreed(version, chacha20, tuple(reversed(named))))


@needs_aes
@each_version
def test_what_only_the_client_knows_does_not_lead(version: TLSVersion) -> None:
    """A client whose first suite in common is AES gets AES, whatever stands before it and is not shared."""
    aes, chacha20 = orders()
    mixed = (CipherSuite.TLS_RSA_WITH_AES_128_GCM_SHA256, *[each for each in aes if is_aes(each)], *chacha20)
    assert is_aes(agreed(version, mixed, aes))
    mixed = (CipherSuite.TLS_RSA_WITH_AES_128_GCM_SHA256, *chacha20)
    assert is_chacha20(agreed(version, mixed, aes))
