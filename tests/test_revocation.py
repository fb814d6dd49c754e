# SPDX-License-Identifier: Apache-2.0
"""Revoked certificates are refused, by a stapled OCSP response or a CRL; and an answer that cannot be relied on is no answer."""

from __future__ import annotations

from datetime import datetime, timedelta

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlsfast.errors import BadCertificateStatus, CertificateError, CertificateRevoked
from tlsfast.trust import TrustStore

ROOT = pki.make_ca("Test Root")
MIDDLE = pki.make_ca("Test Intermediate", issuer=ROOT)
NAME = "www.example.com"
LEAF = pki.make_leaf(MIDDLE, [NAME])
STORE = TrustStore([ROOT.cert])


def accept(
    response: bytes | None, leaf: pki.Entity = LEAF, store: TrustStore = STORE, at: datetime | None = None
) -> None:
    assert store.verify_server(leaf.chain, NAME, ocsp_response=response, at=at)


def refuse(
    kind: type[CertificateError],
    response: bytes | None,
    *words: str,
    leaf: pki.Entity = LEAF,
    store: TrustStore = STORE,
    at: datetime | None = None,
    check: str | None = None,
    depth: int = 0,
) -> None:
    with pytest.raises(CertificateError) as caught:
        store.verify_server(leaf.chain, NAME, ocsp_response=response, at=at)
    error = caught.value
    assert type(error) is kind, error
    assert error.facts["depth"] == depth, error
    assert check is None or error.facts["check"] == check
    for word in words:
        assert word in str(error), error


# OCSP


@pytest.mark.parametrize(
    "digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda d: d.name
)
def test_good_response(digest: hashes.HashAlgorithm) -> None:
    accept(pki.ocsp_response(LEAF, certid_hash=digest))


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048"])
def test_good_response_by_each_kind_of_issuer(key: str) -> None:
    authority = pki.make_ca("Issuer", key=key)
    leaf = pki.make_leaf(authority, [NAME])
    accept(pki.ocsp_response(leaf), leaf, TrustStore([authority.cert]))


@pytest.mark.parametrize("key", ["p256", "rsa2048", "ed25519"])
def test_good_response_by_a_delegate(key: str) -> None:
    accept(pki.ocsp_response(LEAF, responder=pki.make_responder(MIDDLE, key=key)))


def test_revoked() -> None:
    response = pki.ocsp_response(LEAF, status="revoked")
    refuse(CertificateRevoked, response, "was revoked", "keyCompromise", "OCSP", "must be replaced", check="revocation")
    by_delegate = pki.ocsp_response(LEAF, status="revoked", responder=pki.make_responder(MIDDLE))
    refuse(CertificateRevoked, by_delegate)
    assert CertificateRevoked.alert.name == "certificate_revoked"


def test_unknown_to_the_responder() -> None:
    refuse(BadCertificateStatus, pki.ocsp_response(LEAF, status="unknown"), "not known", check="OCSP status")
    assert BadCertificateStatus.alert.name == "bad_certificate_status_response"


def test_response_for_another_certificate() -> None:
    other = pki.make_leaf(MIDDLE, [NAME])
    refuse(BadCertificateStatus, pki.ocsp_response(other), "another certificate", check="OCSP certID")
    # The same serial number under another issuer is another certificate.
    response = pki.ocsp_response(LEAF, issuer=ROOT)
    refuse(BadCertificateStatus, response, "another certificate", check="OCSP certID")


def test_forged_response() -> None:
    response = pki.ocsp_response(LEAF, signed_by=pki.make_key())
    refuse(BadCertificateStatus, response, "did not sign", "does not verify", check="OCSP signature")
    damaged = bytearray(pki.ocsp_response(LEAF))
    damaged[-1] ^= 1
    refuse(BadCertificateStatus, bytes(damaged), check="OCSP signature")


def test_response_signed_with_sha1() -> None:
    response = pki.with_sha1(pki.ocsp_response(LEAF), MIDDLE.key)
    refuse(BadCertificateStatus, response, "did not sign", check="OCSP signature")


def delegates() -> dict[str, tuple[pki.Entity, str]]:
    past = pki.now() - timedelta(hours=2)
    stranger = pki.make_ca("Stranger")
    impostor = pki.make_ca("Test Intermediate")
    return {
        "no purpose": (pki.make_responder(MIDDLE, eku=None), "lacks the OCSPSigning purpose"),
        "other purpose": (pki.make_responder(MIDDLE, eku=(pki.SERVER_AUTH,)), "lacks the OCSPSigning purpose"),
        "any purpose": (
            pki.make_responder(MIDDLE, eku=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
            "lacks the OCSPSigning purpose",
        ),
        "expired": (pki.make_responder(MIDDLE, not_after=past), "not valid now"),
        "not yet": (pki.make_responder(MIDDLE, not_before=pki.now() + timedelta(days=1)), "not valid now"),
        "of the root": (pki.make_responder(ROOT), "not from the issuer"),
        "of a stranger": (pki.make_responder(stranger), "not from the issuer"),
        "of the same name": (pki.make_responder(impostor), "not from the issuer"),
        "weak": (pki.make_responder(MIDDLE, key="rsa1024"), "too small"),
        "may not sign": (pki.make_responder(MIDDLE, usage=pki.key_usage(key_agreement=True)), "may not sign"),
        "critical": (pki.make_responder(MIDDLE, extra=[(x509.OCSPNonce(b"12345678"), True)]), "a critical extension"),
        "sha1": (pki.make_responder(MIDDLE, signature_hash=hashes.SHA1()), "weak algorithm"),
    }


@pytest.mark.parametrize("case", list(delegates()))
def test_delegates_that_may_not_speak(case: str) -> None:
    responder, words = delegates()[case]
    refuse(BadCertificateStatus, pki.ocsp_response(LEAF, responder=responder), words, check="OCSP signature")


def test_delegate_that_is_not_sent() -> None:
    response = pki.ocsp_response(LEAF, responder=pki.make_responder(MIDDLE), send_certificates=False)
    refuse(BadCertificateStatus, response, "its signer is unknown", check="OCSP signature")


def test_another_leaf_of_the_issuer_is_no_responder() -> None:
    """A site of the same CA must not vouch for ours."""
    refuse(BadCertificateStatus, pki.ocsp_response(LEAF, responder=pki.make_leaf(MIDDLE, ["attacker.example"])))


def test_times() -> None:
    made = pki.now()
    response = pki.ocsp_response(LEAF, this_update=made, next_update=made + timedelta(days=2))
    for offset in (timedelta(0), timedelta(days=2), timedelta(days=2, minutes=5), timedelta(minutes=-5)):
        accept(response, at=made + offset)
    late, early = made + timedelta(days=2, minutes=6), made - timedelta(minutes=6)
    refuse(BadCertificateStatus, response, "stale", "fetch a new response", at=late, check="OCSP time")
    refuse(BadCertificateStatus, response, "of the future", "clock", at=early, check="OCSP time")


def test_without_next_update_it_must_be_recent() -> None:
    made = pki.now() - timedelta(hours=1)
    response = pki.ocsp_response(LEAF, this_update=made, no_next_update=True)
    accept(response)
    refuse(BadCertificateStatus, response, "stale", at=made + timedelta(days=8), check="OCSP time")


def test_a_stale_revocation_is_not_a_good_answer() -> None:
    old = pki.now() - timedelta(days=20)
    response = pki.ocsp_response(LEAF, status="revoked", this_update=old, next_update=old + timedelta(days=1))
    refuse(BadCertificateStatus, response, "stale")


@pytest.mark.parametrize(
    ("response", "words", "check"),
    [
        (b"", "cannot be parsed", "OCSP form"),
        (b"junk", "cannot be parsed", "OCSP form"),
        (pki.ocsp_response(LEAF)[:-5], "cannot be parsed", "OCSP form"),
        (pki.ocsp_response(LEAF) + b"\x00", "cannot be parsed", "OCSP form"),
        (b"\x30\x03\x0a\x01\x03", "TRY_LATER", "OCSP status"),
        (b"\x30\x03\x0a\x01\x00", "cannot be parsed", "OCSP form"),
    ],
)
def test_responses_that_say_nothing(response: bytes, words: str, check: str) -> None:
    refuse(BadCertificateStatus, response, words, check=check)


def test_must_staple() -> None:
    demanding = pki.make_leaf(MIDDLE, [NAME], must_staple=True)
    refuse(BadCertificateStatus, None, "must-staple", "turn OCSP stapling on", leaf=demanding, check="must-staple")
    accept(pki.ocsp_response(demanding), demanding)
    refuse(CertificateRevoked, pki.ocsp_response(demanding, status="revoked"), leaf=demanding)
    refuse(BadCertificateStatus, pki.ocsp_response(LEAF), leaf=demanding)
    # A client cannot staple unless it is asked to, which no server of ours does.
    assert STORE.verify_client(demanding.chain)


def test_every_byte_of_a_response_matters() -> None:
    """Flip each: accepted only where the bytes are outside what is signed and yet say the same."""
    good = pki.ocsp_response(LEAF)
    signed = x509.ocsp.load_der_ocsp_response(good).tbs_response_bytes
    start = good.index(signed)
    for position in range(start, start + len(signed)):
        damaged = bytearray(good)
        damaged[position] ^= 1
        with pytest.raises(BadCertificateStatus):
            STORE.verify_server(LEAF.chain, NAME, ocsp_response=bytes(damaged))


# CRLs


def with_crls(*crls: x509.CertificateRevocationList | bytes) -> TrustStore:
    return TrustStore([ROOT.cert], crls=crls)


def test_lists_that_do_not_name_the_chain() -> None:
    accept(None, store=with_crls(pki.make_crl(MIDDLE), pki.make_crl(ROOT)))
    accept(None, store=with_crls(pki.make_crl(MIDDLE, [pki.make_leaf(MIDDLE, ["other.example"])])))
    # A list of a CA that has no part in this chain.
    accept(None, store=with_crls(pki.make_crl(pki.make_ca("Elsewhere"), [LEAF])))


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048"])
def test_revoked_leaf(key: str) -> None:
    authority = pki.make_ca("Issuer", key=key)
    leaf = pki.make_leaf(authority, [NAME])
    store = TrustStore([authority.cert], crls=[pki.make_crl(authority, [leaf])])
    refuse(CertificateRevoked, None, "CRL of CN=Issuer", "keyCompromise", leaf=leaf, store=store, check="revocation")


def test_revoked_authority() -> None:
    store = with_crls(pki.make_crl(ROOT, [MIDDLE]))
    refuse(CertificateRevoked, None, "CN=Test Intermediate (depth 1)", "CRL of CN=Test Root", store=store, depth=1)


def test_revoked_client() -> None:
    with pytest.raises(CertificateRevoked):
        with_crls(pki.make_crl(MIDDLE, [LEAF])).verify_client(LEAF.chain)


def test_forms_of_a_list() -> None:
    made = pki.make_crl(MIDDLE, [LEAF])
    for crl in (made, made.public_bytes(pki.DER), made.public_bytes(pki.PEM)):
        refuse(CertificateRevoked, None, store=with_crls(crl))


def test_stale_list_fails_closed() -> None:
    old = pki.now() - timedelta(days=30)
    stale = pki.make_crl(MIDDLE, this_update=old, next_update=old + timedelta(days=7))
    words = ("cannot be checked for revocation", "is stale", "current list")
    refuse(CertificateError, None, *words, store=with_crls(stale), check="CRL")
    # A good one beside it is enough, and is heard.
    accept(None, store=with_crls(stale, pki.make_crl(MIDDLE)))
    refuse(CertificateRevoked, None, store=with_crls(stale, pki.make_crl(MIDDLE, [LEAF])))


def test_list_that_never_ends() -> None:
    accept(None, store=with_crls(pki.make_crl(MIDDLE, next_update=datetime(9999, 12, 31, 23, 59, 59))))
    endless = pki.ocsp_response(LEAF, next_update=datetime(9999, 12, 31, 23, 59, 59))
    accept(endless)


def test_list_of_the_future() -> None:
    future = pki.make_crl(MIDDLE, this_update=pki.now() + timedelta(hours=1))
    refuse(CertificateError, None, "of the future", store=with_crls(future), check="CRL")


def test_forged_list_fails_closed() -> None:
    forged = pki.make_crl(MIDDLE, signed_by=pki.make_key())
    refuse(CertificateError, None, "is not signed by this CA's key", store=with_crls(forged), check="CRL")


def test_list_signed_with_sha1() -> None:
    weak = pki.with_sha1(pki.make_crl(MIDDLE), MIDDLE.key)
    refuse(CertificateError, None, "sha1", "too weak", store=with_crls(weak), check="CRL")


def test_list_of_an_authority_that_may_not_sign_lists() -> None:
    mute = pki.make_ca("Mute", issuer=ROOT, extra=[(pki.key_usage(key_cert_sign=True), True)])
    leaf = pki.make_leaf(mute, [NAME])
    refuse(CertificateError, None, "lacks cRLSign", leaf=leaf, store=with_crls(pki.make_crl(mute)), check="CRL")


def point(**values: object) -> tuple[x509.ExtensionType, bool]:
    fields: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**(fields | values)), True  # type: ignore[arg-type]  # its own keywords


URL = [x509.UniformResourceIdentifier("http://crl.example/1")]


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        (point(only_contains_ca_certs=True), "covers only CAs"),
        (point(full_name=URL), "for another distribution point"),
        (point(full_name=URL, indirect_crl=True), "indirect or partial"),
        (point(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise])), "indirect or partial"),
        ((x509.DeltaCRLIndicator(7), True), "2.5.29.27"),
    ],
)
def test_lists_that_do_not_cover_the_leaf(extension: tuple[x509.ExtensionType, bool], words: str) -> None:
    store = with_crls(pki.make_crl(MIDDLE, [LEAF], extra=[extension]))
    refuse(CertificateError, None, words, store=store, check="CRL")


def test_lists_with_a_scope_that_fits() -> None:
    points = x509.CRLDistributionPoints([x509.DistributionPoint(URL, None, None, None)])
    leaf = pki.make_leaf(MIDDLE, [NAME], extra=[(points, False)])
    for scope in (point(only_contains_user_certs=True), point(full_name=URL)):
        accept(None, leaf, with_crls(pki.make_crl(MIDDLE, extra=[scope])))
        refuse(CertificateRevoked, None, leaf=leaf, store=with_crls(pki.make_crl(MIDDLE, [leaf], extra=[scope])))
    cas = point(only_contains_ca_certs=True)
    accept(None, store=with_crls(pki.make_crl(ROOT, extra=[cas])))
    refuse(CertificateRevoked, None, store=with_crls(pki.make_crl(ROOT, [MIDDLE], extra=[cas])), depth=1)
    users = with_crls(pki.make_crl(ROOT, extra=[point(only_contains_user_certs=True)]))
    refuse(CertificateError, None, "covers no CAs", store=users, depth=1, check="CRL")
