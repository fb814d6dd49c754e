# SPDX-License-Identifier: Apache-2.0
"""Chains are verified, and every refusal is the right class and says which certificate, which check and what to do."""

from __future__ import annotations

import os
import random
import re
import sys
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import certifi
import pki
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlsfast.certificates import roots
from tlsfast.certificates.names import parse_name
from tlsfast.errors import (
    ApiMisuse,
    BadCertificate,
    CertificateError,
    CertificateExpired,
    CertificateNotYetValid,
    ConfigurationError,
    MissingDependency,
    NameMismatch,
    TLSError,
    UnknownCA,
    UnsupportedCertificate,
)
from tlsfast.trust import MAX_CHAIN, TrustStore

ROOT = pki.make_ca("Test Root")
MIDDLE = pki.make_ca("Test Intermediate", issuer=ROOT)
NAME = "www.example.com"
STORE = TrustStore([ROOT.cert])
COMPAT = TrustStore([ROOT.cert], preset="compat")


def leaf(names: Sequence[str] = (NAME,), *, ca: pki.Entity | None = MIDDLE, **overrides: object) -> pki.Entity:
    return pki.make_leaf(ca, names, **overrides)  # type: ignore[arg-type]  # make_leaf's own keywords


def refused(
    kind: type[CertificateError],
    entity: pki.Entity | Sequence[bytes],
    *words: str,
    store: TrustStore = STORE,
    name: str = NAME,
    client: bool = False,
    at: datetime | None = None,
    check: str | None = None,
    depth: int | None = None,
) -> CertificateError:
    """The chain must be refused with exactly this class, and a message with these words."""
    chain = entity.chain if isinstance(entity, pki.Entity) else entity
    with pytest.raises(CertificateError) as caught:
        store.verify_client(chain, at=at) if client else store.verify_server(chain, name, at=at)
    error = caught.value
    assert type(error) is kind, error
    assert error.facts.keys() >= {"check", "subject", "depth"}
    for word in words:
        assert word in str(error), error
    assert ": " in str(error), "no mend"
    assert check is None or error.facts["check"] == check
    assert depth is None or error.facts["depth"] == depth
    assert str(error.fresh()) == str(error)
    return error


# what is accepted


@pytest.mark.parametrize("key", ["p256", "p384", "p521", "rsa2048", "rsapss2048", "ed25519"])
@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_good_chain(store: TrustStore, key: str) -> None:
    entity = leaf(key=key)
    verified = store.verify_server(entity.chain, NAME)
    assert verified.path == (*entity.chain, ROOT.der)
    assert verified.not_after == entity.cert.not_valid_after_utc
    assert store.verify_client(entity.chain).path == verified.path


@pytest.mark.parametrize("key", ["p256", "p384", "p521", "rsa2048"])
def test_kinds_of_authorities(key: str) -> None:
    root = pki.make_ca(f"{key} root", key=key)
    middle = pki.make_ca(f"{key} middle", issuer=root, key=key)
    assert TrustStore([root.cert]).verify_server(leaf(ca=middle).chain, NAME)


def test_pss_signature_in_certificate() -> None:
    root = pki.make_ca("RSA root", key="rsa2048")
    assert TrustStore([root.cert]).verify_server(leaf(ca=root, pss_signature=True).chain, NAME)


def test_not_after_is_the_earliest() -> None:
    soon = pki.now() + timedelta(days=3)
    short = pki.make_ca("Short", issuer=ROOT, not_after=soon)
    assert STORE.verify_server(leaf(ca=short).chain, NAME).not_after == soon


def test_order_doubles_and_strangers_do_not_matter() -> None:
    entity = leaf()
    low = pki.make_ca("Low", issuer=MIDDLE)
    below = leaf(ca=low)
    stranger = pki.make_ca("Stranger")
    assert STORE.verify_server([entity.der, stranger.der, MIDDLE.der, MIDDLE.der, ROOT.der], NAME).path[-1] == ROOT.der
    assert len(STORE.verify_server([below.der, MIDDLE.der, low.der], NAME).path) == 4


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["example.com"], "EXAMPLE.com"),
        (["example.com"], "example.com."),
        (["Example.COM"], "example.com"),
        (["*.example.com"], "a.example.com"),
        (["other.org", "example.com"], "example.com"),
        (["xn--bcher-kva.example"], "xn--bcher-kva.example"),
        (["my_host.example"], "my_host.example"),
        (["*.example.com"], "my_host.example.com"),
        (["localhost"], "localhost"),
        (["127.0.0.1"], "127.0.0.1"),
        (["::1"], "[::1]"),
        (["::1"], "0:0:0:0:0:0:0:1"),
        (["fe80::1"], "fe80::1%eth0"),
    ],
)
@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_names_that_match(store: TrustStore, names: list[str], name: str) -> None:
    assert store.verify_server(leaf(names).chain, name)


def test_pinned_self_signed_leaf() -> None:
    for entity in (leaf(ca=None), leaf(ca=None, ca_flag=True), leaf(ca=None, ca_flag=None)):
        assert TrustStore([entity.cert]).verify_server(entity.chain, NAME).path == (entity.der,)
        assert TrustStore([entity.cert]).verify_client(entity.chain).path == (entity.der,)


def test_pinned_leaf_is_still_checked() -> None:
    entity = leaf(ca=None)
    store = TrustStore([entity.cert])
    refused(NameMismatch, entity, "www.example.com", name="other.example", store=store)
    refused(CertificateExpired, entity, "expired", store=store, at=pki.now() + timedelta(days=400))
    weak = leaf(ca=None, key="rsa1024")
    refused(UnsupportedCertificate, weak, "1024 bits", store=TrustStore([weak.cert]))
    for_clients = leaf(ca=None, eku=[pki.CLIENT_AUTH])
    refused(UnsupportedCertificate, for_clients, "clientAuth", store=TrustStore([for_clients.cert]))


def test_pinned_leaf_of_a_ca_that_is_not_trusted() -> None:
    entity = leaf()
    assert TrustStore([entity.cert]).verify_server([entity.der], NAME).path == (entity.der,)
    refused(UnknownCA, leaf(), store=TrustStore([entity.cert]))


def test_intermediate_as_anchor() -> None:
    assert TrustStore([MIDDLE.cert]).verify_server([leaf().der], NAME).path[-1] == MIDDLE.der


def test_cross_signed_authority_under_an_expired_root() -> None:
    """The expired root is trusted too: the path through the good one must be found."""
    key = pki.make_key("p256")
    old = pki.make_ca("Old Root", not_after=pki.now() - timedelta(days=1))
    new = pki.make_ca("New Root", key=key)
    crossed = pki.make_ca("New Root", key=key, issuer=old)
    entity = leaf(ca=new)
    store = TrustStore([old.cert, new.cert])
    assert store.verify_server([entity.der, crossed.der], NAME).path[-1] == new.der


@pytest.mark.parametrize("count", [MAX_CHAIN, MAX_CHAIN + 1])
def test_chain_limit(count: int) -> None:
    step = ROOT
    for number in range(count - 1):
        step = pki.make_ca(f"Step {number}", issuer=step)
    entity = leaf(ca=step)
    assert len(entity.chain) == count
    if count == MAX_CHAIN:
        assert len(STORE.verify_server(entity.chain, NAME).path) == count + 1
    else:
        refused(BadCertificate, entity, "17 certificates, more than 16", check="chain length")


def test_trustme_chain() -> None:
    authority = trustme.CA()
    made = authority.issue_cert("localhost", "127.0.0.1")
    chain = [x509.load_pem_x509_certificate(blob.bytes()).public_bytes(pki.DER) for blob in made.cert_chain_pems]
    store = TrustStore.from_pem(authority.cert_pem.bytes())
    assert store.verify_server(chain, "localhost") and store.verify_server(chain, "127.0.0.1")


def test_public_chain_against_public_roots() -> None:
    """cryptography.io's chain of 2014, from the vectors of cryptography; its root is gone from public stores, so its CA stands for it."""
    vectors = pytest.importorskip("cryptography_vectors")
    data = (Path(vectors.__file__).parent / "x509" / "cryptography.io.chain.pem").read_bytes()
    certificates = x509.load_pem_x509_certificates(data)
    chain = [c.public_bytes(pki.DER) for c in certificates]
    then = certificates[0].not_valid_before_utc + timedelta(days=1)
    store = TrustStore(certificates[1:])
    assert store.verify_server(chain, "cryptography.io", at=then).path == tuple(chain[:2])
    refused(NameMismatch, chain, "cryptography.io", name="example.com", store=store, at=then)
    late = certificates[0].not_valid_after_utc + timedelta(days=1)
    refused(CertificateExpired, chain, "1 day ago", name="cryptography.io", store=store, at=late)
    error = refused(
        UnknownCA,
        chain[:1],
        "did not send its intermediate",
        "http",
        name="cryptography.io",
        store=TrustStore.certifi(),
        at=then,
    )
    assert error.facts["check"] == "missing intermediate"


def test_a_store_serves_many_threads() -> None:
    good, bad = leaf(), leaf(["other.example"])
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                STORE.verify_server(good.chain, NAME)
                with pytest.raises(NameMismatch):
                    STORE.verify_server(bad.chain, NAME)
        except BaseException as error:  # reported by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


# what is refused: the failures of a server's chain


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
@pytest.mark.parametrize(
    ("names", "name", "words"),
    [
        (["a.example"], "b.example", "its names are: a.example"),
        (["*.example.com"], "example.com", "*.example.com"),
        (["*.example.com"], "a.b.example.com", "*.example.com"),
        (["www.*.com"], "www.example.com", "is not for www.example.com"),
        (["w*.example.com"], "www.example.com", "is not for www.example.com"),
        (["example.com"], "127.0.0.1", "with the iPAddress entry 127.0.0.1"),
        (["127.0.0.1"], "127.0.0.2", "127.0.0.1"),
        ([f"n{i}.example" for i in range(30)], "m.example", "n7.example and 22 more"),
    ],
)
def test_wrong_name(store: TrustStore, names: list[str], name: str, words: str) -> None:
    error = refused(NameMismatch, leaf(names), words, "depth 0", name=name, store=store, check="name", depth=0)
    assert error.alert.name == "bad_certificate"


def test_address_written_as_dns_name_is_no_address() -> None:
    entity = leaf([], extra=[(x509.SubjectAlternativeName([x509.DNSName("127.0.0.1")]), False)])
    refused(NameMismatch, entity, "127.0.0.1 (written as a DNS name)", name="127.0.0.1")


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_common_name_is_not_used(store: TrustStore) -> None:
    entity = leaf([], subject=NAME)
    refused(NameMismatch, entity, "no subjectAltName; names in CN are not used", "reissue it with", store=store)


def test_expired() -> None:
    entity = leaf(not_before=pki.now() - timedelta(days=20), not_after=pki.now() - timedelta(days=10, minutes=1))
    error = refused(CertificateExpired, entity, "CN=www.example.com (depth 0)", "10 days ago", "renew", depth=0)
    assert error.alert.name == "certificate_expired"


def test_expired_authority_is_named() -> None:
    old = pki.make_ca("Old CA", issuer=ROOT, not_after=pki.now() - timedelta(hours=3, minutes=1))
    refused(CertificateExpired, leaf(ca=old), "intermediate certificate CN=Old CA (depth 1)", "3 hours ago", depth=1)
    root = pki.make_ca("Old Root", not_after=pki.now() - timedelta(days=2))
    refused(CertificateExpired, leaf(ca=root), "root certificate CN=Old Root", store=TrustStore([root.cert]), depth=1)


def test_validity_is_inclusive_to_the_second() -> None:
    entity = leaf()
    start, end = entity.cert.not_valid_before_utc, entity.cert.not_valid_after_utc
    for moment in (start, end, end + timedelta(microseconds=999_999), end.replace(tzinfo=None)):
        assert STORE.verify_server(entity.chain, NAME, at=moment)
    refused(CertificateExpired, entity, "1 second ago", at=end + timedelta(seconds=1))
    refused(CertificateNotYetValid, entity, "1 second from now", at=start - timedelta(seconds=1))


def test_not_yet_valid_blames_the_clock_too() -> None:
    entity = leaf(not_before=pki.now() + timedelta(days=2, minutes=1))
    error = refused(CertificateNotYetValid, entity, "2 days from now", "set this computer's clock")
    assert error.alert.name == "bad_certificate"


def test_self_signed() -> None:
    for entity in (leaf(ca=None), leaf(ca=None, ca_flag=True)):
        error = refused(UnknownCA, entity, "is self-signed", "TrustStore.from_file", check="self-signed", depth=0)
        assert error.alert.name == "unknown_ca"


def test_a_stand_in_certificate_shows_all_that_is_wrong() -> None:
    entity = leaf(["placeholder.invalid"], ca=None, not_after=pki.now() - timedelta(hours=1))
    refused(
        UnknownCA, entity, "is self-signed", "Besides", "expired on", "is not for www.example.com", check="self-signed"
    )


def test_unknown_authority() -> None:
    other = pki.make_ca("Private Root")
    entity = leaf(ca=other)
    refused(UnknownCA, entity, "CN=Private Root", "neither in the trust store nor sent", check="trust anchor", depth=0)
    sent = [entity.der, other.der]
    refused(UnknownCA, sent, "root certificate CN=Private Root (depth 1) ends the chain", check="trust anchor", depth=1)
    middle = pki.make_ca("Private Middle", issuer=other)
    refused(
        UnknownCA, leaf(ca=middle), "intermediate certificate CN=Private Middle (depth 1) was issued by CN=Private Root"
    )


def test_missing_intermediate() -> None:
    entity = leaf(aia="http://ca.example/middle.der")
    error = refused(UnknownCA, [entity.der], "did not send its intermediate", "http://ca.example/middle.der", depth=0)
    assert error.facts["check"] == "missing intermediate"
    assert error.alert.name == "unknown_ca"


def test_authority_of_the_same_name_with_another_key() -> None:
    again = pki.make_ca("Test Root")
    refused(UnknownCA, leaf(ca=again), "another CA of the name CN=Test Root", check="issuer key")


def test_wrong_signature() -> None:
    error = refused(BadCertificate, pki.with_bad_signature(leaf()), "carries a signature", check="signature", depth=0)
    assert error.alert.name == "bad_certificate"
    bad = pki.with_bad_signature(MIDDLE)
    refused(BadCertificate, [leaf().der, bad.der], "intermediate certificate", check="signature", depth=1)


@pytest.mark.parametrize(
    ("key", "words", "check"),
    [
        ("rsa1024", "1024 bits; RSA needs 2048", "key size"),
        ("p224", "secp224r1", "key type"),
        ("k256", "secp256k1", "key type"),
        ("ed448", "Ed448", "key type"),
    ],
)
def test_weak_or_unknown_key(key: str, words: str, check: str) -> None:
    for store in (STORE, COMPAT):
        error = refused(UnsupportedCertificate, leaf(key=key), words, "reissue it with a key", store=store, check=check)
        assert error.alert.name == "unsupported_certificate"


def test_weak_key_of_an_authority() -> None:
    weak = pki.make_ca("Weak", issuer=ROOT, key="rsa1024")
    refused(UnsupportedCertificate, leaf(ca=weak), "CN=Weak (depth 1)", "1024 bits", check="key size", depth=1)


def test_key_so_large_that_it_costs_time() -> None:
    """The modulus is made up: nothing is signed with it, and verifying with it must not be tried."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import PublicFormat

    number = rsa.RSAPublicNumbers(65537, (1 << 16383) + 1).public_key()
    spki = number.public_bytes(pki.DER, PublicFormat.SubjectPublicKeyInfo)
    huge_issuer = pki.rewrite(MIDDLE.cert, ROOT.key, spki=spki).public_bytes(pki.DER)
    refused(UnsupportedCertificate, [leaf().der, huge_issuer], "16384 bits", check="key size", depth=1)
    large = pki.rewrite(leaf().cert, MIDDLE.key, spki=spki).public_bytes(pki.DER)
    refused(UnsupportedCertificate, [large, MIDDLE.der], "16384 bits; 8192 at most", check="key size")


def test_authority_whose_key_the_verifier_does_not_know() -> None:
    edwards = pki.make_ca("Edwards", issuer=ROOT, key="ed25519")
    refused(UnsupportedCertificate, leaf(ca=edwards), "CN=Edwards (depth 1)", "Ed25519", check="key type", depth=1)


@pytest.mark.parametrize("key", ["p256", "rsa2048"])
def test_sha1_signature(key: str) -> None:
    root = pki.make_ca("Old Fashioned", key=key)
    entity = leaf(ca=root, signature_hash=hashes.SHA1())
    for preset in ("webpki", "compat"):
        store = TrustStore([root.cert], preset=preset)
        error = refused(BadCertificate, entity, "SHA-256 or better", store=store, check="signature algorithm")
        assert "sha1" in str(error).lower()
        assert error.alert.name == "bad_certificate"


@pytest.mark.parametrize("key", ["p256", "rsa2048"])
def test_sha224_signature(key: str) -> None:
    """Unlike SHA-1, this is one that cryptography verifies."""
    root = pki.make_ca("Short Hash", key=key)
    entity = leaf(ca=root, signature_hash=hashes.SHA224())
    store = TrustStore([root.cert])
    refused(BadCertificate, entity, "too weak", store=store, check="signature algorithm")


def test_root_may_be_signed_with_sha1() -> None:
    root = pki.make_ca("Old Root", signature_hash=hashes.SHA1())
    assert TrustStore([root.cert]).verify_server(leaf(ca=root).chain, NAME)


def test_wrong_purpose() -> None:
    for store in (STORE, COMPAT):
        error = refused(UnsupportedCertificate, leaf(eku=[pki.CLIENT_AUTH]), "clientAuth", "serverAuth", store=store)
        assert error.facts["check"] == "extendedKeyUsage"
        assert error.alert.name == "unsupported_certificate"
        refused(UnsupportedCertificate, leaf(eku=[pki.SERVER_AUTH]), "TLS client", client=True, store=store)
    assert STORE.verify_server(leaf(eku=None).chain, NAME)


def test_any_purpose_is_for_private_authorities() -> None:
    anything = leaf(eku=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    refused(UnsupportedCertificate, anything, "anyExtendedKeyUsage")
    assert COMPAT.verify_server(anything.chain, NAME)


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_purpose_of_an_authority(store: TrustStore) -> None:
    mail = pki.make_ca("Mail CA", issuer=ROOT, eku=[ExtendedKeyUsageOID.EMAIL_PROTECTION])
    refused(
        UnsupportedCertificate, leaf(ca=mail), "CN=Mail CA (depth 1)", store=store, check="extendedKeyUsage", depth=1
    )
    web = pki.make_ca("Web CA", issuer=ROOT, eku=[pki.SERVER_AUTH])
    assert store.verify_server(leaf(ca=web).chain, NAME)
    refused(UnsupportedCertificate, leaf(ca=web), "TLS client", store=store, client=True, depth=1)


def test_key_usage_must_allow_signing() -> None:
    entity = leaf(key="rsa2048", usage=pki.key_usage(key_encipherment=True))
    refused(UnsupportedCertificate, entity, "lacks digitalSignature", check="keyUsage")
    assert STORE.verify_server(leaf(without=[x509.KeyUsage]).chain, NAME)


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_leaf_that_is_an_authority(store: TrustStore) -> None:
    refused(BadCertificate, leaf(ca_flag=True), "is a CA certificate", store=store, check="basicConstraints")


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_issuer_that_is_no_authority(store: TrustStore) -> None:
    """The oldest hole of all: a leaf that signs another leaf."""
    signer = leaf(["attacker.example"], usage=pki.key_usage(digital_signature=True, key_cert_sign=True))
    refused(BadCertificate, leaf(ca=signer), "is no CA, but issued", store=store, check="basicConstraints", depth=1)
    plain = leaf(["attacker.example"], ca_flag=None)
    refused(BadCertificate, leaf(ca=plain), "is no CA", store=store, depth=1)


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_search_goes_on_past_issuers_that_may_not_issue(store: TrustStore) -> None:
    """Certificates of the right name and key that may not issue, sent first: the one behind them may."""
    subject = MIDDLE.cert.subject
    good, usage = pki.make_ca("Other use", issuer=ROOT, subject=subject, key=MIDDLE.key), pki.key_usage(crl_sign=True)
    no_authority = pki.make_leaf(ROOT, (), key=MIDDLE.key, subject=subject, usage=pki.key_usage(key_cert_sign=True))
    no_signing = pki.make_ca(subject=subject, issuer=ROOT, key=MIDDLE.key, extra=[(usage, True)])
    mail = pki.make_ca(subject=subject, issuer=ROOT, key=MIDDLE.key, eku=[ExtendedKeyUsageOID.EMAIL_PROTECTION])
    entity = leaf()
    for useless in (no_authority, no_signing, mail):
        assert store.verify_server([entity.der, useless.der, good.der], NAME).path[1] == good.der


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_authority_that_may_not_sign_certificates(store: TrustStore) -> None:
    usage = (pki.key_usage(crl_sign=True), True)
    deaf = pki.make_ca("No Signing", issuer=ROOT, extra=[usage])
    refused(BadCertificate, leaf(ca=deaf), "lacks keyCertSign", store=store, check="keyUsage", depth=1)


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_path_length(store: TrustStore) -> None:
    short = pki.make_ca("Short", issuer=ROOT, path_length=0)
    assert store.verify_server(leaf(ca=short).chain, NAME)
    below = pki.make_ca("Below", issuer=short)
    refused(BadCertificate, leaf(ca=below), "CN=Short (depth 2) allows 0 CA", store=store, check="path length", depth=2)


def test_critical_extension_that_nobody_knows() -> None:
    odd = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"), True)
    entity = leaf(extra=[odd])
    refused(UnsupportedCertificate, entity, "1.3.6.1.4.1.55555.1", check="critical extension")
    refused(UnsupportedCertificate, leaf(ca=pki.make_ca("Odd", issuer=ROOT, extra=[odd])), "CN=Odd", depth=1)
    pinned = leaf(ca=None, extra=[odd])
    refused(UnsupportedCertificate, pinned, "critical", store=TrustStore([pinned.cert]))
    assert STORE.verify_server(leaf(extra=[(odd[0], False)]).chain, NAME)


def test_version_1() -> None:
    """No extensions, so no names: what `openssl x509 -req` makes without an extension file."""
    made = pki.rewrite(leaf().cert, MIDDLE.key, version=0)
    refused(BadCertificate, [made.public_bytes(pki.DER), MIDDLE.der], "version 1", "version 3", check="version")


@pytest.mark.parametrize("junk", [b"", b"\x30", b"not a certificate", b"\x30\x82\xff\xff" + bytes(40)])
def test_malformed_certificate(junk: bytes) -> None:
    refused(BadCertificate, [junk, MIDDLE.der], "certificate at depth 0 is malformed", check="form", depth=0)
    refused(BadCertificate, [leaf().der, junk], "certificate at depth 1 is malformed", check="form", depth=1)
    refused(BadCertificate, [leaf().der + b"\x00", MIDDLE.der], "malformed")


def test_empty_chain() -> None:
    refused(BadCertificate, [], "chain is empty")


def test_what_a_certificate_says_of_itself_is_made_printable() -> None:
    entity = leaf(["x.example"], subject="evil\x1b[2J\r\n\u202e" + "A" * 40)
    text = str(refused(NameMismatch, entity))
    assert text.isprintable() and "\\x1b" in text
    long = leaf(["x.example"], subject=pki.distinguished_name("n", ORGANIZATION_NAME="o" * 64, LOCALITY_NAME="l" * 100))
    assert len(str(refused(NameMismatch, long))) < 700


# name constraints


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
@pytest.mark.parametrize(
    ("permitted", "excluded", "names", "good"),
    [
        ([x509.DNSName("example.com")], None, ["www.example.com"], True),
        ([x509.DNSName("example.org")], None, ["www.example.com"], False),
        (None, [x509.DNSName("example.com")], ["www.example.com"], False),
        (None, [x509.DNSName("www.example.com")], ["*.example.com"], False),
        ([x509.DNSName("example.com")], [x509.DNSName("dev.example.com")], ["www.example.com"], True),
        ([x509.DNSName("example.com")], None, ["www.example.com", "www.example.org"], False),
    ],
)
def test_name_constraints(
    store: TrustStore,
    permitted: list[x509.GeneralName] | None,
    excluded: list[x509.GeneralName] | None,
    names: list[str],
    good: bool,
) -> None:
    bound = pki.make_ca("Bound CA", issuer=ROOT, permitted=permitted, excluded=excluded)
    entity = leaf(names, ca=bound)
    if good:
        assert store.verify_server(entity.chain, NAME)
        return
    error = refused(CertificateError, entity, "CN=Bound CA may not certify", store=store, check="name constraints")
    assert error.alert.name == "certificate_unknown"


@pytest.mark.parametrize("client", [False, True])
def test_name_constraints_on_the_subject(client: bool) -> None:
    inside = pki.distinguished_name("x", COUNTRY_NAME="CH", ORGANIZATION_NAME="Example  AG")
    outside = pki.distinguished_name("x", COUNTRY_NAME="CH", ORGANIZATION_NAME="Other AG")
    base = x509.Name([*pki.distinguished_name("x", COUNTRY_NAME="CH", ORGANIZATION_NAME="example ag")][:2])
    only, never = (
        x509.NameConstraints([x509.DirectoryName(base)], None),
        x509.NameConstraints(None, [x509.DirectoryName(base)]),
    )
    bound = pki.make_ca("Directory CA", issuer=ROOT, extra=[(only, False)])
    entity = leaf(ca=bound, subject=inside)
    assert STORE.verify_client(entity.chain) if client else STORE.verify_server(entity.chain, NAME)
    refused(CertificateError, leaf(ca=bound, subject=outside), "Other AG", client=client, check="name constraints")
    barred = pki.make_ca("Barring CA", issuer=ROOT, extra=[(never, False)])
    refused(CertificateError, leaf(ca=barred, subject=inside), "CN=Barring CA", client=client, check="name constraints")
    assert STORE.verify_server(leaf(ca=barred, subject=outside).chain, NAME)


def test_critical_directory_constraints() -> None:
    """Later versions of cryptography refuse them whole, earlier ones pass them over: then our own check must see to them."""
    base = x509.DirectoryName(pki.distinguished_name("x"))
    bound = pki.make_ca("Directory CA", issuer=ROOT, permitted=[base])
    with pytest.raises(CertificateError, match="CN=Directory CA") as caught:
        STORE.verify_server(leaf(ca=bound, subject="y").chain, NAME)
    assert caught.value.facts["check"] == "name constraints"


def test_name_constraints_bind_the_subject_of_a_client_without_names() -> None:
    bound = pki.make_ca("Host CA", issuer=ROOT, permitted=[x509.DNSName("example.com"), x509.RFC822Name("example.com")])
    assert STORE.verify_client(leaf([], ca=bound, subject="www.example.com").chain)
    assert STORE.verify_client(leaf([], ca=bound, subject="A plain name").chain)
    refused(CertificateError, leaf([], ca=bound, subject="www.example.org"), "www.example.org", client=True)
    good = pki.distinguished_name("Ann", EMAIL_ADDRESS="ann@example.com")
    bad = pki.distinguished_name("Ann", EMAIL_ADDRESS="ann@example.org")
    assert STORE.verify_client(leaf([], ca=bound, subject=good).chain)
    refused(CertificateError, leaf([], ca=bound, subject=bad), "ann@example.org", client=True, check="name constraints")


# private authorities, clients


LAX = {
    "leaf without authorityKeyIdentifier": lambda: leaf(without=[x509.AuthorityKeyIdentifier]),
    "authority without key identifiers": lambda: leaf(
        ca=pki.make_ca("Bare", issuer=ROOT, without=[x509.AuthorityKeyIdentifier, x509.SubjectKeyIdentifier]),
        without=[x509.AuthorityKeyIdentifier],
    ),
    "authority without keyUsage": lambda: leaf(ca=pki.make_ca("Bare", issuer=ROOT, without=[x509.KeyUsage])),
    "basicConstraints not critical": lambda: leaf(
        ca=pki.make_ca("Bare", issuer=ROOT, extra=[(x509.BasicConstraints(True, None), False)])
    ),
}


@pytest.mark.parametrize("make", LAX.values(), ids=LAX.keys())
def test_compat_takes_what_private_authorities_leave_out(make: object) -> None:
    entity = make()  # type: ignore[operator]  # a table of functions
    assert COMPAT.verify_server(entity.chain, NAME)
    assert COMPAT.verify_client(entity.chain)
    refused(NameMismatch, entity, "is not for", name="other.example", store=COMPAT)
    with pytest.raises(BadCertificate, match="profile of public certificates.*compat"):
        STORE.verify_server(entity.chain, NAME)


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_client_without_names(store: TrustStore) -> None:
    entity = leaf([], subject="device 7")
    assert store.verify_client(entity.chain).path[0] == entity.der
    refused(UnknownCA, leaf([], ca=pki.make_ca("Other")), client=True, store=store)
    refused(CertificateExpired, entity, "expired", client=True, store=store, at=pki.now() + timedelta(days=999))
    refused(UnsupportedCertificate, leaf([], key="rsa1024"), "1024", client=True, store=store)


@pytest.mark.parametrize("store", [STORE, COMPAT], ids=["webpki", "compat"])
def test_criticality_of_names_and_purposes_does_not_matter(store: TrustStore) -> None:
    names, purposes = x509.SubjectAlternativeName([x509.DNSName(NAME)]), x509.ExtendedKeyUsage([pki.SERVER_AUTH])
    entity = leaf(extra=[(names, True), (purposes, True)])
    assert store.verify_server(entity.chain, NAME)
    refused(NameMismatch, entity, "is not for", name="other.example", store=store)


# stores


def test_digest_and_equality() -> None:
    other = pki.make_ca("Other")
    crl = pki.make_crl(ROOT)
    stores = [
        TrustStore([ROOT.cert]),
        TrustStore([ROOT.cert, other.cert]),
        TrustStore([ROOT.cert], preset="compat"),
        TrustStore([ROOT.cert], crls=[crl]),
    ]
    assert len({store.digest for store in stores}) == 4
    again = TrustStore([other.cert, ROOT.cert, ROOT.cert])
    assert again.digest == stores[1].digest and again == stores[1] and hash(again) == hash(stores[1])
    assert len(again) == 2 and stores[0] != stores[2]
    assert again.subjects == (other.cert.subject.public_bytes(), ROOT.cert.subject.public_bytes())
    assert "2 roots" in repr(again)
    with pytest.raises(AttributeError):
        again.digest = b""  # type: ignore[misc]  # that is the point


def test_from_pem_and_file(tmp_path: Path) -> None:
    both = ROOT.cert_pem + b"some words between\n" + MIDDLE.cert_pem
    path = tmp_path / "ca.pem"
    path.write_bytes(both)
    for store in (
        TrustStore.from_pem(both),
        TrustStore.from_pem(both.decode()),
        TrustStore.from_pem(both.replace(b"\n", b"\r\n")),
        TrustStore.from_file(path),
        TrustStore.from_file(str(path)),
    ):
        assert len(store) == 2
    assert len(TrustStore.from_pem(ROOT.der)) == 1
    assert TrustStore.from_file(path, preset="compat").preset == "compat"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"hello", "neither PEM"),
        (leaf().key_pem, "holds no certificate; it holds: PRIVATE KEY"),
        (ROOT.cert_pem[:-20], "cut off"),
        (ROOT.cert_pem.replace(b"MII", b"!!!", 1), "certificate 1 cannot be used"),
        (ROOT.cert_pem + ROOT.cert_pem.replace(b"MII", b"AAA", 1), "certificate 2 cannot be used"),
        (b"\x30\x03\x02\x01\x01", "certificate 1 cannot be used"),
    ],
)
def test_stores_that_cannot_work(data: bytes, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        TrustStore.from_pem(data)


def test_wrong_arguments(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least one root"):
        TrustStore([])
    with pytest.raises(ConfigurationError, match="a root is a bytes"):
        TrustStore([ROOT.der])  # type: ignore[list-item]  # that is the point
    with pytest.raises(ConfigurationError, match='"webpki" or "compat"'):
        TrustStore([ROOT.cert], preset="lax")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ConfigurationError, match="does not exist"):
        TrustStore.from_file(tmp_path / "none.pem")
    with pytest.raises(ConfigurationError, match="is a directory"):
        TrustStore.from_file(tmp_path)
    with pytest.raises(ConfigurationError, match="a CRL cannot be parsed"):
        TrustStore([ROOT.cert], crls=[b"junk"])


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "-a.example", "a" * 64 + ".example", "a b", "1.2.3", "bücher.example", "x/y"]
)
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ApiMisuse):
        STORE.verify_server(leaf().chain, name)


def test_unicode_name_names_the_mend() -> None:
    with pytest.raises(ApiMisuse, match="A-label"):
        parse_name("bücher.example")


def test_system_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    if not any(Path(bundle).is_file() for bundle in roots._BUNDLES):
        pytest.skip("this machine has no bundle of roots")
    store = TrustStore.system()
    assert len(store) > 50
    assert TrustStore.system() is store
    with_crl = TrustStore.system(crls=[pki.make_crl(ROOT)], preset="compat")
    assert len(with_crl) == len(store) and with_crl != store


def test_certifi_store_takes_every_root() -> None:
    store = TrustStore.certifi()
    assert len(store) == Path(certifi.where()).read_bytes().count(b"-----BEGIN CERTIFICATE-----")
    assert TrustStore.certifi() is store


def test_certifi_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "certifi", None)
    with pytest.raises(MissingDependency, match="pip install certifi"):
        TrustStore.certifi(crls=[pki.make_crl(ROOT)])


def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle, folder = tmp_path / "bundle.pem", tmp_path / "certs"
    folder.mkdir()
    bundle.write_bytes(ROOT.cert_pem)
    (folder / "0a1b2c3d.0").write_bytes(MIDDLE.cert_pem)
    (folder / "README").write_text("not a certificate")
    (folder / "key.pem").write_bytes(ROOT.key_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert TrustStore.system() == TrustStore([ROOT.cert])
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    assert TrustStore.system() == TrustStore([ROOT.cert, MIDDLE.cert])
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "root.crt").write_bytes(ROOT.cert_pem)
    (plain / "README").write_text("not a certificate")
    monkeypatch.setenv("SSL_CERT_DIR", f"{plain}{os.pathsep}{folder}")
    assert TrustStore.system() == TrustStore([ROOT.cert, MIDDLE.cert])
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    monkeypatch.delenv("SSL_CERT_FILE")
    assert TrustStore.system() == TrustStore([MIDDLE.cert])
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_DIR names"):
        TrustStore.system()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE names"):
        TrustStore.system()
    (tmp_path / "empty").mkdir()
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "empty"))
    with pytest.raises(ConfigurationError, match="no file holds a certificate"):
        TrustStore.system()


def test_no_bundle_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roots, "_BUNDLES", ("/nowhere/ca.pem",))
    with pytest.raises(ConfigurationError, match="install the ca-certificates package"):
        roots.system("", "")


# nothing but our own errors comes out, whatever a peer sends


def test_mutated_certificates_never_escape() -> None:
    """Bytes of a certificate are changed and it is signed again, so that every check behind the signature meets them."""
    chance = random.Random(8446)
    rich = leaf(
        [NAME, "127.0.0.1"],
        aia="http://ca.example/",
        must_staple=True,
        extra=[(x509.NameConstraints([x509.DNSName("a")], None), False)],
    )
    stores = (STORE, COMPAT, TrustStore([ROOT.cert], crls=[pki.make_crl(MIDDLE), pki.make_crl(ROOT)]))
    for entity, signer in [(rich, MIDDLE), (MIDDLE, ROOT)] * 400:
        tbs = bytearray(entity.cert.tbs_certificate_bytes)
        for _ in range(chance.choice((1, 1, 2))):
            tbs[chance.randrange(len(tbs))] ^= 1 << chance.randrange(8)
        made = pki.sign_again(entity.cert, bytes(tbs), signer.key)
        chain = [made, MIDDLE.der] if entity is rich else [rich.der, made]
        store = chance.choice(stores)
        try:
            store.verify_server(chain, NAME) if chance.random() < 0.7 else store.verify_client(chain)
        except TLSError as error:
            assert isinstance(error, CertificateError), error


def test_now_is_the_default() -> None:
    entity = leaf(not_after=datetime.now(UTC) + timedelta(hours=1))
    assert STORE.verify_server(entity.chain, NAME)
