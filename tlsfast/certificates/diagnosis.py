# SPDX-License-Identifier: Apache-2.0
"""Why a chain was refused, in words: trust asks here after the verifier of cryptography said no; nothing is accepted here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID

from tlsfast.certificates.checks import (
    Question,
    check_form,
    check_key,
    check_name,
    check_path,
    check_signature_algorithm,
    check_validity,
    extension,
    fault,
)
from tlsfast.certificates.names import describe_name, describe_subject, printable
from tlsfast.certificates.signatures import describe_key, is_costly
from tlsfast.errors import BadCertificate, CertificateError, UnknownCA, UnsupportedCertificate

# Signatures that are checked for the sake of the words; the verifier has its own budget.
_BUDGET = 48


class _Search:
    """A walk from the leaf towards a root by names and signatures alone, whatever else is wrong with the certificates."""

    def __init__(self, sent: Sequence[x509.Certificate], roots: Sequence[x509.Certificate]) -> None:
        self.sent = sent
        self.roots = roots
        self.budget = _BUDGET
        self.seen: set[x509.Certificate] = set()
        self.longest: list[x509.Certificate] = []

    def walk(self, path: list[x509.Certificate]) -> list[x509.Certificate] | None:
        """Return a path to a root, or None; `longest` is then the best try."""
        top = path[-1]
        if top in self.roots:
            return path
        if len(path) > len(self.longest):
            self.longest = path
        self.seen.add(top)
        for candidate in self.named(top):
            if candidate not in self.seen and self.signed(top, candidate) and (found := self.walk([*path, candidate])):
                return found
        return None

    def named(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        """List the certificates that bear the issuer's name, roots first."""
        issuers = [c for c in (*self.roots, *self.sent) if c.subject == certificate.issuer]
        return list(dict.fromkeys(issuers))

    def signed(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        if self.budget == 0:
            return False
        self.budget -= 1
        return signed_by(certificate, issuer)


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Tell whether the issuer's name and key are those that the certificate was issued with."""
    if is_costly(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def explain(
    sent: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    question: Question,
    verdict: str,
    passes_compat: Callable[[], bool],
) -> CertificateError:
    """Find out why a chain (leaf first) was refused. verdict is the verifier's own text; passes_compat asks it again by the laxer profile.

    Always returns an error: a cause that is not found is reported as such."""
    try:
        for depth, certificate in enumerate(sent):
            check_form(certificate, depth)
        search = _Search(sent[1:], roots)
        path = search.walk([sent[0]])
        if path is None:
            return _with_more(_incomplete(search, question), sent[0], question)
        for depth, certificate in enumerate(path[:-1]):
            check_signature_algorithm(certificate, depth)
        check_path(path, question)
    except CertificateError as error:
        return error
    return _from_verdict(path, verdict, passes_compat)


def _with_more(error: CertificateError, leaf: x509.Certificate, question: Question) -> CertificateError:
    """Add what else is wrong with a leaf that no root vouches for: a server's stand-in certificate is often also old or for another name."""
    more = []
    try:
        check_validity(leaf, 0, question.moment)
    except CertificateError as other:
        more.append(other.facts["what"])
    try:
        if question.name is not None:
            check_name(leaf, question.name)
    except CertificateError as other:
        more.append(other.facts["what"])
    if not more:
        return error
    return type(error)(f"{error.message}. Besides, the leaf certificate {'; and it '.join(more)}", **error.facts)


def _from_verdict(
    path: Sequence[x509.Certificate], verdict: str, passes_compat: Callable[[], bool]
) -> CertificateError:
    """The path is there and passes our own checks: what is left is what only the verifier looks at."""
    leaf = path[0]
    verdict = verdict.partition(" (encountered processing")[0]
    for prefix in ("validation failed: ", "candidates exhausted: ", "fatal error: "):
        verdict = verdict.removeprefix(prefix)
    verdict = _named_extension(printable(verdict))
    if "name constraint" in verdict:
        bound = [describe_subject(c) for c in path[1:] if extension(c, x509.NameConstraints) is not None]
        what = f"has a name that {', '.join(bound) or 'its issuer'} may not certify: name constraints ({verdict})"
        return fault(CertificateError, leaf, 0, "name constraints", what, "have it issued by a CA that is allowed to")
    if "nameConstraints extension contains" in verdict:
        issuers = [(d, c) for d, c in enumerate(path) if extension(c, x509.NameConstraints) is not None]
        depth, issuer = issuers[-1] if issuers else (0, leaf)
        what = f"constrains names in a way that is not supported ({verdict})"
        mend = "reissue it with constraints on DNS names, addresses or e-mail only"
        return fault(UnsupportedCertificate, issuer, depth, "name constraints", what, mend)
    if "Forbidden public key algorithm" in verdict:
        issuers = list(enumerate(path))[1:]
        depth, issuer = next(
            ((d, c) for d, c in issuers if not describe_key(c).startswith(("RSA,", "EC "))), issuers[0]
        )
        what = f"has a CA key of a kind or encoding ({describe_key(issuer)}) by which no certificate is verified here"
        mend = "issue from a CA with an RSA or EC (P-256, P-384, P-521) key"
        return fault(UnsupportedCertificate, issuer, depth, "key type", what, mend)
    if passes_compat():
        what = f"or an issuer of it does not fit the profile of public certificates ({verdict})"
        mend = 'reissue by that profile; for a private CA: TrustStore(..., preset="compat")'
        return fault(BadCertificate, leaf, 0, "profile", what, mend)
    what = f"heads a chain that was refused ({verdict})"
    return fault(CertificateError, leaf, 0, "path", what, "compare the chain with RFC 5280, or have it reissued")


_EXTENSIONS = {
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.15": "keyUsage",
    "2.5.29.17": "subjectAltName",
    "2.5.29.19": "basicConstraints",
    "2.5.29.30": "nameConstraints",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.37": "extendedKeyUsage",
    "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
}


def _named_extension(verdict: str) -> str:
    for oid, name in _EXTENSIONS.items():
        verdict = verdict.replace(f"invalid extension: {oid}: ", f"{name}: ")
    return verdict


def _incomplete(search: _Search, question: Question) -> CertificateError:
    """Say why the best try ends before a root."""
    path = search.longest
    top, depth = path[-1], len(path) - 1
    peer = question.purpose.value
    if top.subject == top.issuer and signed_by(top, top):
        if depth == 0:
            what = "is self-signed, and is not in the trust store"
            mend = f"if it is yours, add it with TrustStore.from_file; else have a CA issue one for the {peer}"
            return fault(UnknownCA, top, 0, "self-signed", what, mend)
        what = "ends the chain, and is not in the trust store"
        return fault(
            UnknownCA, top, depth, "trust anchor", what, "if this is your own CA, add it with TrustStore.from_file"
        )
    issuer = describe_name(top.issuer)
    namesakes = search.named(top)
    if namesakes:
        return _wrong_issuer(top, depth, namesakes)
    locations = _issuer_urls(top)
    if locations and depth == 0:
        what = f"was issued by {issuer}, which is neither in the trust store nor sent: the {peer} did not send its intermediate certificates"
        mend = f"install the full chain on the {peer} (the missing certificate is at {locations[0]})"
        return fault(UnknownCA, top, 0, "missing intermediate", what, mend)
    if depth == 0 or not locations:
        what = f"was issued by {issuer}, which is neither in the trust store nor sent"
    else:
        what = f"was issued by {issuer}, which is not in the trust store (it can be had at {locations[0]})"
    mend = f"if that is your own CA, add it with TrustStore.from_file; else the {peer} must send the chain up to a public root"
    return fault(UnknownCA, top, depth, "trust anchor", what, mend)


def _wrong_issuer(top: x509.Certificate, depth: int, namesakes: Sequence[x509.Certificate]) -> CertificateError:
    """A certificate of the issuer's name is at hand, but its key did not sign this one."""
    try:
        check_signature_algorithm(top, depth)
        for issuer_at_hand in namesakes:
            if is_costly(issuer_at_hand):
                check_key(issuer_at_hand, depth + 1)
    except CertificateError as error:
        return error
    wanted = extension(top, x509.AuthorityKeyIdentifier)
    keys = [extension(c, x509.SubjectKeyIdentifier) for c in namesakes]
    issuer = describe_name(top.issuer)
    if (
        wanted is not None
        and wanted.value.key_identifier is not None
        and all(key is not None and key.value.digest != wanted.value.key_identifier for key in keys)
    ):
        what = f"was issued by another CA of the name {issuer}: the one at hand has another key"
        mend = "put the CA certificate that belongs to its issuer's present key into the trust store or the chain"
        return fault(UnknownCA, top, depth, "issuer key", what, mend)
    what = f"carries a signature that the key of its issuer {issuer} did not make"
    mend = "fetch it from its CA again: it was changed, or the CA has a new key and an old certificate of it is used"
    return fault(BadCertificate, top, depth, "signature", what, mend)


def _issuer_urls(certificate: x509.Certificate) -> list[str]:
    access = extension(certificate, x509.AuthorityInformationAccess)
    if access is None:
        return []
    return [
        printable(str(a.access_location.value))
        for a in access.value
        if a.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(a.access_location, x509.UniformResourceIdentifier)
    ]
