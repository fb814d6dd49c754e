# SPDX-License-Identifier: Apache-2.0
"""The cache of verified chains answers for exactly what was verified, for as long as it may, and never for revocation or hooks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pair
import pki
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import tlsfast
from tlsfast.errors import CertificateError, CertificateExpired, CertificateRevoked, ConfigurationError, NameMismatch
from tlsfast.trust import TrustStore

ROOT = pki.make_ca("Cache Root")
INTERMEDIATE = pki.make_ca("Cache Intermediate", issuer=ROOT)
LEAF = pki.make_leaf(INTERMEDIATE, ["server.test", "other.test"], eku=[ExtendedKeyUsageOID.SERVER_AUTH])
STORE = TrustStore([ROOT.cert])
CHAIN = tuple(entity.der for entity in (LEAF, INTERMEDIATE))
NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Grows by one with each path that is searched."""
    made: list[int] = []
    search = TrustStore._search

    def counted(*arguments: object) -> object:
        made.append(1)
        return search(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(TrustStore, "_search", counted)
    yield made


def test_a_chain_is_searched_once(searches: list[int]) -> None:
    cache = tlsfast.ChainCache()
    first = STORE.verify_server(CHAIN, "server.test", cache=cache)
    assert STORE.verify_server(CHAIN, "server.test", cache=cache) == first
    assert first.path == (*CHAIN, ROOT.der)
    assert (len(searches), len(cache)) == (1, 1)
    cache.clear()
    STORE.verify_server(CHAIN, "server.test", cache=cache)
    assert len(searches) == 2


def test_without_a_cache_each_is_searched(searches: list[int]) -> None:
    for _ in range(2):
        STORE.verify_server(CHAIN, "server.test")
    assert len(searches) == 2


def test_it_answers_for_nothing_else(searches: list[int]) -> None:
    cache = tlsfast.ChainCache()
    STORE.verify_server(CHAIN, "server.test", cache=cache)
    with pytest.raises(NameMismatch):
        STORE.verify_server(CHAIN, "third.test", cache=cache)
    with pytest.raises(CertificateError):
        STORE.verify_client(CHAIN, cache=cache)
    with pytest.raises(CertificateError):
        STORE.verify_server(CHAIN[::-1], "server.test", cache=cache)
    with pytest.raises(CertificateError):
        STORE.verify_server(CHAIN[:1], "server.test", cache=cache)
    with pytest.raises(CertificateError):
        TrustStore([pki.make_ca("Another Root").cert]).verify_server(CHAIN, "server.test", cache=cache)
    made = len(searches)
    STORE.verify_server(CHAIN, "other.test", cache=cache)
    assert len(searches) == made + 1
    assert len(cache) == 2  # what was refused is not kept


def test_its_entries_end(searches: list[int]) -> None:
    cache = tlsfast.ChainCache(lifetime=60)
    for seconds, made in ((0, 1), (60, 1), (61, 2), (60, 3)):  # the last: a clock that was set back
        STORE.verify_server(CHAIN, "server.test", at=NOW + timedelta(seconds=seconds), cache=cache)
        assert len(searches) == made


def test_no_entry_outlives_its_certificates() -> None:
    leaf = pki.make_leaf(ROOT, ["server.test"], not_after=NOW + timedelta(seconds=30))
    cache = tlsfast.ChainCache()
    STORE.verify_server([leaf.der], "server.test", at=NOW, cache=cache)
    STORE.verify_server([leaf.der], "server.test", at=NOW + timedelta(seconds=30), cache=cache)
    with pytest.raises(CertificateExpired):
        STORE.verify_server([leaf.der], "server.test", at=NOW + timedelta(seconds=31), cache=cache)


def test_staple_and_lists_are_checked_every_time(searches: list[int]) -> None:
    cache = tlsfast.ChainCache()
    STORE.verify_server(CHAIN, "server.test", cache=cache)
    revoked = pki.ocsp_response(LEAF, status="revoked")
    with pytest.raises(CertificateRevoked):
        STORE.verify_server(CHAIN, "server.test", ocsp_response=revoked, cache=cache)
    crl = pki.make_crl(INTERMEDIATE, [], next_update=NOW + timedelta(seconds=100))
    store = TrustStore([ROOT.cert], crls=[crl])
    long = tlsfast.ChainCache(lifetime=10_000)
    store.verify_server(CHAIN, "server.test", at=NOW, cache=long)
    with pytest.raises(CertificateError, match="stale"):
        store.verify_server(CHAIN, "server.test", at=NOW + timedelta(seconds=1000), cache=long)


def test_the_one_used_longest_ago_makes_room(searches: list[int]) -> None:
    cache = tlsfast.ChainCache(max_entries=2)
    other = pki.make_leaf(ROOT, ["third.test"])
    for name, chain in (("server.test", CHAIN), ("other.test", CHAIN), ("server.test", CHAIN)):
        STORE.verify_server(chain, name, cache=cache)
    STORE.verify_server([other.der], "third.test", cache=cache)
    assert (len(cache), len(searches)) == (2, 3)
    STORE.verify_server(CHAIN, "server.test", cache=cache)
    assert len(searches) == 3
    STORE.verify_server(CHAIN, "other.test", cache=cache)
    assert len(searches) == 4


@pytest.mark.parametrize("arguments", [{"max_entries": 0}, {"lifetime": 0}])
def test_a_cache_without_room(arguments: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="chain_cache=None"):
        tlsfast.ChainCache(**arguments)  # type: ignore[arg-type]  # one at a time


def test_in_handshakes_hooks_are_asked_every_time(searches: list[int]) -> None:
    asked: list[tuple[bytes, ...]] = []
    client = pair.client_config(session_cache=None, verify=lambda question: asked.append(question.verified))
    for _ in range(3):
        assert pair.make_pair(client).run().complete
    assert (len(searches), len(asked)) == (1, 3)
    assert asked[0] == asked[2] != ()
    without = client.replace(chain_cache=None)
    for _ in range(2):
        assert pair.make_pair(without).run().complete
    assert len(searches) == 3


def test_a_copy_of_a_configuration_has_a_cache_of_its_own() -> None:
    client = pair.client_config()
    shared = tlsfast.ChainCache()
    assert client.replace().chains is not client.chains
    assert client.replace(chain_cache=shared).chains is shared
    assert client.replace(chain_cache=None).chains is None
