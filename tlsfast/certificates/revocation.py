# SPDX-License-Identifier: Apache-2.0
"""Whether a certificate of a verified path was revoked: by the stapled OCSP response, and by the trust store's CRLs (RFC 6960, RFC 5280)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from tlsfast.certificates import signatures
from tlsfast.certificates.checks import check_critical, extension, fault
from tlsfast.certificates.names import describe_name, describe_subject, printable
from tlsfast.errors import BadCertificateStatus, CertificateError, CertificateRevoked

_SKEW = timedelta(minutes=5)
# RFC 6960, 4.2.2.1: without nextUpdate newer information is always available; what is stapled must then at least be recent.
_AGE_WITHOUT_NEXT_UPDATE = timedelta(days=7)
_MOST_RESPONSES = 16
_MOST_DELEGATES = 8
_SHA2 = ("sha256", "sha384", "sha512")
_CERTID_HASHES = ("sha1", *_SHA2)


def check_staple(path: Sequence[x509.Certificate], response: bytes | None, moment: datetime) -> None:
    """Check the response that came with the leaf (RFC 8446, 4.4.2.1); without one, that the leaf does not demand it (RFC 7633, 4.3.3)."""
    leaf = path[0]
    if response is None:
        feature = extension(leaf, x509.TLSFeature)
        if feature is not None and x509.TLSFeatureType.status_request in feature.value:
            what = "demands a stapled OCSP response (must-staple), and the server sent none"
            raise _bad(
                leaf,
                "must-staple",
                what,
                "turn OCSP stapling on in the server, or reissue the certificate without the TLS feature",
            )
        return
    issuer = path[1]
    try:
        parsed = ocsp.load_der_ocsp_response(response)
        if parsed.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            what = f"came with an OCSP response that only says {parsed.response_status.name}"
            raise _bad(leaf, "OCSP status", what, "have the server fetch a new response from the CA")
        single = _matching(parsed, leaf, issuer)
        _check_signer(parsed, leaf, issuer, moment)
    except signatures.MALFORMED as error:
        what = f"came with an OCSP response that cannot be parsed ({printable(str(error))})"
        raise _bad(leaf, "OCSP form", what, "have the server fetch a new response from the CA") from None
    _check_times(leaf, single.this_update_utc, single.next_update_utc, moment)
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        raise _revoked(leaf, 0, single.revocation_time_utc, single.revocation_reason, "the stapled OCSP response")
    if single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        what = "is not known to the OCSP responder of its issuer"
        raise _bad(leaf, "OCSP status", what, "ask the CA whether it issued this certificate")


def _bad(leaf: x509.Certificate, check: str, what: str, mend: str) -> CertificateError:
    return fault(BadCertificateStatus, leaf, 0, check, what, mend)


def _revoked(
    certificate: x509.Certificate, depth: int, when: datetime | None, reason: x509.ReasonFlags | None, source: str
) -> CertificateError:
    why = f" ({reason.value})" if reason is not None else ""
    on = f" on {when:%Y-%m-%d}" if when is not None else ""
    what = f"was revoked by its issuer{on}{why}, says {source}"
    return fault(
        CertificateRevoked,
        certificate,
        depth,
        "revocation",
        what,
        "it must be replaced; do not trust it, its key may be stolen",
    )


def _matching(response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate) -> ocsp.OCSPSingleResponse:
    """Find the answer whose CertID is the leaf's: hashes of the issuer's name and key, and the serial number (RFC 6960, 4.1.1)."""
    for single, _ in zip(response.responses, range(_MOST_RESPONSES), strict=False):
        if single.serial_number != leaf.serial_number or single.hash_algorithm.name not in _CERTID_HASHES:
            continue
        wanted = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuer, single.hash_algorithm).build()
        if (single.issuer_name_hash, single.issuer_key_hash) == (wanted.issuer_name_hash, wanted.issuer_key_hash):
            return single
    what = "came with an OCSP response for another certificate"
    raise _bad(leaf, "OCSP certID", what, "have the server fetch the response for the certificate that it serves")


def _check_signer(
    response: ocsp.OCSPResponse, leaf: x509.Certificate, issuer: x509.Certificate, moment: datetime
) -> None:
    """The issuer, or a delegate that it certified for this, must have signed (RFC 6960, 4.2.2.2)."""
    unknown = [
        e.oid.dotted_string for e in response.extensions if e.critical and not isinstance(e.value, x509.OCSPNonce)
    ]
    if unknown:
        what = f"came with an OCSP response with a critical extension that is not supported ({unknown[0]})"
        raise _bad(leaf, "OCSP form", what, "have the server fetch a new response from the CA")
    refused = ""
    for candidate in (issuer, *response.certificates[:_MOST_DELEGATES]):
        if not _is_responder(response, candidate):
            continue
        if candidate != issuer:
            refused = _delegate_fault(candidate, issuer, moment)
            if refused:
                continue
        if _signed(response, candidate):
            return
        refused = "its signature does not verify"
    what = f"came with an OCSP response that its issuer did not sign or delegate: {refused or 'its signer is unknown'}"
    raise _bad(
        leaf, "OCSP signature", what, "have the server fetch a new response from the CA; this one is forged or damaged"
    )


def _is_responder(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    key = certificate.public_key()
    return (
        isinstance(key, signatures.PublicKey)
        and response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(key).digest
    )


def _delegate_fault(delegate: x509.Certificate, issuer: x509.Certificate, moment: datetime) -> str:
    """Say why a certificate in the response may not speak for the issuer; empty if it may."""
    usages = extension(delegate, x509.ExtendedKeyUsage)
    if usages is None or ExtendedKeyUsageOID.OCSP_SIGNING not in usages.value:
        return "the responder's certificate lacks the OCSPSigning purpose"
    usage = extension(delegate, x509.KeyUsage)
    if usage is not None and not usage.value.digital_signature:
        return "the responder's certificate may not sign"
    if not delegate.not_valid_before_utc <= moment <= delegate.not_valid_after_utc:
        return "the responder's certificate is not valid now"
    try:
        check_critical(delegate, 0)
        signatures.public_key(delegate)
    except CertificateError as error:
        return f"the responder's certificate {error.facts['what']}"
    except signatures.KeyRefused as error:
        return f"the responder's certificate has {error}"
    if signatures.scheme_of_signature(delegate, None) is None:
        return "the responder's certificate is signed with a weak algorithm"
    try:
        delegate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        return "the responder's certificate is not from the issuer"
    return ""


def _signed(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    key = signer.public_key()
    algorithm, signature, data = response.signature_algorithm_oid, response.signature, response.tbs_response_bytes
    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == SignatureAlgorithmOID.ED25519:
            key.verify(signature, data)
            return True
        digest = response.signature_hash_algorithm
        if digest is None or digest.name not in _SHA2:
            return False
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, data, ec.ECDSA(digest))
        elif isinstance(key, rsa.RSAPublicKey):
            pss = algorithm == SignatureAlgorithmOID.RSASSA_PSS
            key.verify(
                signature,
                data,
                padding.PSS(padding.MGF1(digest), digest.digest_size) if pss else padding.PKCS1v15(),
                digest,
            )
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _check_times(leaf: x509.Certificate, this_update: datetime, next_update: datetime | None, moment: datetime) -> None:
    if this_update - _SKEW > moment:
        what = f"came with an OCSP response of the future (thisUpdate {this_update:%Y-%m-%d %H:%M} UTC)"
        raise _bad(
            leaf, "OCSP time", what, f"set this computer's clock if it is wrong (it says {moment:%Y-%m-%d %H:%M} UTC)"
        )
    end = next_update if next_update is not None else this_update + _AGE_WITHOUT_NEXT_UPDATE
    if moment - _SKEW > end:
        what = f"came with a stale OCSP response (good until {end:%Y-%m-%d %H:%M} UTC)"
        raise _bad(leaf, "OCSP time", what, "have the server fetch a new response from the CA")


# --- certificate revocation lists


@dataclass(frozen=True, slots=True, eq=False)
class _List:
    """A CRL with what is costly to ask of it: whether an issuer's key signed it, and the serial numbers in it."""

    crl: x509.CertificateRevocationList
    serials: frozenset[int]
    signed_by: dict[x509.Certificate, bool] = field(default_factory=dict)

    def is_signed_by(self, issuer: x509.Certificate) -> bool:
        # Issuers come from verified paths, so a peer cannot make this grow.
        known = self.signed_by.get(issuer)
        if known is None:
            known = self.signed_by[issuer] = self.crl.is_signature_valid(signatures.public_key(issuer))
        return known


class RevocationLists:
    """The CRLs of a trust store, by issuer."""

    __slots__ = ("_by_issuer",)

    def __init__(self, crls: Iterable[x509.CertificateRevocationList]) -> None:
        """Take parsed lists; signatures.MALFORMED when a part of one cannot be read."""
        self._by_issuer: dict[x509.Name, tuple[_List, ...]] = {}
        for crl in crls:
            _ = crl.extensions, crl.last_update_utc, crl.next_update_utc
            item = _List(crl, frozenset(entry.serial_number for entry in crl))
            self._by_issuer[crl.issuer] = (*self._by_issuer.get(crl.issuer, ()), item)

    def __len__(self) -> int:
        return sum(map(len, self._by_issuer.values()))

    def check(self, path: Sequence[x509.Certificate], moment: datetime) -> None:
        """Check every certificate below the root whose issuer has a list here. Such a list must be good, else the chain is refused."""
        if not self._by_issuer:
            return
        for depth, certificate in enumerate(path[:-1]):
            lists = self._by_issuer.get(certificate.issuer, ())
            if lists:
                _check_lists(lists, path, depth, moment)


def _check_lists(lists: Sequence[_List], path: Sequence[x509.Certificate], depth: int, moment: datetime) -> None:
    certificate, issuer = path[depth], path[depth + 1]
    faults = [_list_fault(item, certificate, issuer, moment) for item in lists]
    for item, unfit in zip(lists, faults, strict=True):
        if not unfit and certificate.serial_number in item.serials:
            entry = item.crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            when = entry.revocation_date_utc if entry is not None else None
            raise _revoked(certificate, depth, when, _reason(entry), f"the CRL of {describe_subject(issuer)}")
    if all(faults):
        what = f"cannot be checked for revocation: the CRL given for {describe_name(certificate.issuer)} {faults[0]}"
        mend = "give TrustStore(crls=...) the CA's current list"
        raise fault(CertificateError, certificate, depth, "CRL", what, mend)


def _reason(entry: x509.RevokedCertificate | None) -> x509.ReasonFlags | None:
    if entry is None:
        return None
    try:
        return entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (x509.ExtensionNotFound, *signatures.MALFORMED):
        return None


def _list_fault(item: _List, certificate: x509.Certificate, issuer: x509.Certificate, moment: datetime) -> str:
    """Say why a list cannot tell about a certificate; empty if it can (RFC 5280, 6.3.3)."""
    crl = item.crl
    usage = extension(issuer, x509.KeyUsage)
    if usage is not None and not usage.value.crl_sign:
        return "is from a CA that may not sign lists (its keyUsage lacks cRLSign)"
    try:
        digest = crl.signature_hash_algorithm
        if digest is not None and not isinstance(digest, (hashes.SHA256, hashes.SHA384, hashes.SHA512)):
            return f"is signed with {digest.name}, which is too weak"
        if not item.is_signed_by(issuer):
            return "is not signed by this CA's key: it is forged, or of an earlier key"
        scope = _scope_fault(crl, certificate)
    except signatures.MALFORMED as error:
        return f"cannot be parsed ({printable(str(error))})"
    if scope:
        return scope
    if crl.last_update_utc - _SKEW > moment:
        return f"is of the future ({crl.last_update_utc:%Y-%m-%d %H:%M} UTC)"
    if crl.next_update_utc is None or moment - _SKEW > crl.next_update_utc:
        return f"is stale (nextUpdate {crl.next_update_utc or 'missing'})"
    return ""


def _scope_fault(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> str:
    for item in crl.extensions:
        if isinstance(item.value, x509.IssuingDistributionPoint):
            point = item.value
            constraints = extension(certificate, x509.BasicConstraints)
            authority = constraints is not None and constraints.value.ca
            if point.indirect_crl or point.only_contains_attribute_certs or point.only_some_reasons:
                return "is an indirect or partial list, which is not supported"
            if (point.only_contains_ca_certs and not authority) or (point.only_contains_user_certs and authority):
                return "covers only CAs" if point.only_contains_ca_certs else "covers no CAs"
            if point.full_name and not _names_point(certificate, point.full_name):
                return "is for another distribution point"
            if point.relative_name:
                return "has a relative distribution point, which is not supported"
        elif item.critical:
            # RFC 5280, 5.2: a list with an unrecognized critical extension MUST NOT be used
            return f"has a critical extension that is not supported ({item.oid.dotted_string})"
    return ""


def _names_point(certificate: x509.Certificate, names: Sequence[x509.GeneralName]) -> bool:
    points = extension(certificate, x509.CRLDistributionPoints)
    return points is not None and any(name in names for point in points.value for name in point.full_name or ())
