# SPDX-License-Identifier: Apache-2.0
"""What each certificate of a path must satisfy, as checks that raise an error with the mend: used by trust (RFC 5280, 4, 6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeVar, cast

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tlsfast.certificates import signatures
from tlsfast.certificates.names import (
    CertificateNames,
    IPAddress,
    common_names,
    describe_name,
    describe_oid,
    describe_subject,
    is_dns_name,
    mailboxes,
    printable,
    within_directory,
    within_domain,
    within_mailboxes,
)
from tlsfast.errors import (
    BadCertificate,
    CertificateError,
    CertificateExpired,
    CertificateNotYetValid,
    NameMismatch,
    UnsupportedCertificate,
)

E = TypeVar("E", bound=x509.ExtensionType)

_ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
# The extensions that the verifier of cryptography or the checks here act on.
_PROCESSED = frozenset(
    (
        x509.AuthorityKeyIdentifier,
        x509.SubjectKeyIdentifier,
        x509.KeyUsage,
        x509.ExtendedKeyUsage,
        x509.SubjectAlternativeName,
        x509.BasicConstraints,
        x509.NameConstraints,
        x509.AuthorityInformationAccess,
    )
)


class Purpose(Enum):
    """Whom the leaf must identify. The value is the word for it in messages."""

    SERVER = "server"
    CLIENT = "client"

    @property
    def usage(self) -> x509.ObjectIdentifier:
        return ExtendedKeyUsageOID.SERVER_AUTH if self is Purpose.SERVER else ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a chain: is it that of this server (or of any client), at this moment? compat: with the latitude of private CAs."""

    purpose: Purpose
    moment: datetime
    name: str | IPAddress | None = None
    compat: bool = False
    transports_keys: bool = False  # TLS 1.2 with static RSA: keyEncipherment is needed in place of digitalSignature


def fault(
    kind: type[CertificateError],
    certificate: x509.Certificate,
    depth: int,
    check: str,
    what: str,
    mend: str,
    role: str = "",
) -> CertificateError:
    """Make the error for one certificate: which one, what is wrong, what to do."""
    subject = describe_subject(certificate)
    if not role:
        role = "leaf" if depth == 0 else "root" if certificate.subject == certificate.issuer else "intermediate"
    message = f"the {role} certificate {subject} (depth {depth}) {what}: {mend}"
    return kind(message, check=check, subject=subject, depth=depth, what=what)


def extension(certificate: x509.Certificate, kind: type[E]) -> x509.Extension[E] | None:
    """Return the extension of a type. The extensions have been parsed before: see check_form."""
    # get_extension_for_class raises where there is none, and isinstance asks an abstract base class: each costs as much as all other checks together.
    for item in certificate.extensions:
        if type(item.value) is kind:
            return cast(x509.Extension[E], item)
    return None


def check_path(path: Sequence[x509.Certificate], question: Question, *, pinned: bool = False) -> None:
    """Check every certificate of a path, leaf first, and what each demands of those below it. pinned: the leaf itself is the trust anchor."""
    for depth, certificate in enumerate(path):
        check_form(certificate, depth)
        check_critical(certificate, depth)
        check_validity(certificate, depth, question.moment)
        check_key(certificate, depth)
        if depth > 0:
            check_authority(certificate, depth, path, question)
    check_leaf(path[0], question, pinned=pinned)
    for depth in range(1, len(path)):
        check_subject_constraints(path, depth, question)


def check_form(certificate: x509.Certificate, depth: int) -> None:
    """Every part that is read later must parse."""
    try:
        signatures.read_parts(certificate)
    except signatures.MALFORMED as error:
        what = f"is malformed ({printable(str(error))})"
        message = f"the certificate at depth {depth} {what}: it must be reissued"
        raise BadCertificate(message, check="form", subject="", depth=depth, what=what) from None
    if certificate.version is not x509.Version.v3:
        what = f"is of X.509 version {certificate.version.value + 1}, without extensions"
        raise fault(
            BadCertificate, certificate, depth, "version", what, "reissue it as version 3, a CA with basicConstraints"
        )


def check_critical(certificate: x509.Certificate, depth: int) -> None:
    """RFC 5280, 4.2: a critical extension that is not recognized must lead to refusal."""
    for item in certificate.extensions:
        if item.critical and type(item.value) not in _PROCESSED:
            what = f"has a critical extension that is not supported ({describe_oid(item.oid)})"
            mend = "reissue it without, or with that extension not critical"
            raise fault(UnsupportedCertificate, certificate, depth, "critical extension", what, mend)


def check_validity(certificate: x509.Certificate, depth: int, moment: datetime) -> None:
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if moment > end:
        what = f"expired on {_date(end)}, {_span(moment - end)} ago"
        mend = (
            "renew it, and have the program that serves it load the new one"
            if depth == 0
            else "send the current certificate of this CA in its place, or update the trust store if it comes from there"
        )
        raise fault(CertificateExpired, certificate, depth, "validity", what, mend)
    if moment < start:
        what = f"is not valid before {_date(start)}, {_span(start - moment)} from now"
        mend = f"set this computer's clock if it is wrong (it says {_date(moment)}), or wait, or have it reissued with an earlier date"
        raise fault(CertificateNotYetValid, certificate, depth, "validity", what, mend)


def _date(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M UTC")


def _span(span: timedelta) -> str:
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        count = int(span.total_seconds()) // size
        if count:
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a second"


def check_key(certificate: x509.Certificate, depth: int) -> None:
    try:
        signatures.public_key(certificate)
    except signatures.KeyRefused as error:
        mend = "reissue it with a key of RSA (2048 bits or more), P-256, P-384 or Ed25519"
        raise fault(UnsupportedCertificate, certificate, depth, error.check, f"has {error}", mend) from None


def check_signature_algorithm(certificate: x509.Certificate, depth: int) -> None:
    """Refuse signatures by weak or unknown algorithms. Not for trust anchors, whose own signature nobody needs."""
    if signatures.scheme_of_signature(certificate, None) is not None:
        return
    name = describe_oid(certificate.signature_algorithm_oid)
    weak = any(word in name.lower() for word in ("sha1", "md5", "sha224"))
    what = f"is signed with {name}, which {'is broken or too weak' if weak else 'is not supported'}"
    raise fault(
        BadCertificate if weak else UnsupportedCertificate,
        certificate,
        depth,
        "signature algorithm",
        what,
        "have its issuer reissue it with SHA-256 or better",
    )


def check_leaf(leaf: x509.Certificate, question: Question, *, pinned: bool) -> None:
    constraints = extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca and not pinned:
        what = f"is a CA certificate and may not stand for a {question.purpose.value}"
        raise fault(
            BadCertificate, leaf, 0, "basicConstraints", what, "issue an end-entity certificate from it and serve that"
        )
    usage = extension(leaf, x509.KeyUsage)
    if usage is not None and question.transports_keys and not usage.value.key_encipherment:
        what = "may not encipher keys: its keyUsage lacks keyEncipherment, which static RSA needs (RFC 5246, 7.4.2)"
        raise fault(UnsupportedCertificate, leaf, 0, "keyUsage", what, "reissue it with keyEncipherment, or use ECDHE")
    if usage is not None and not question.transports_keys and not usage.value.digital_signature:
        # RFC 8446, 4.4.2.2: the digitalSignature bit MUST be set if the Key Usage extension is present
        what = "may not sign: its keyUsage lacks digitalSignature, which TLS 1.3 and ECDHE need"
        raise fault(UnsupportedCertificate, leaf, 0, "keyUsage", what, "reissue it with digitalSignature")
    _check_purpose(leaf, 0, question)
    if question.name is not None:
        check_name(leaf, question.name)


def check_name(leaf: x509.Certificate, name: str | IPAddress) -> None:
    names = CertificateNames.of(leaf)
    if names.match(name):
        return
    if not names.present:
        what = "has no subjectAltName; names in CN are not used"
        raise fault(NameMismatch, leaf, 0, "name", what, f"reissue it with {name} in subjectAltName")
    kind = "iPAddress entry" if not isinstance(name, str) else "name"
    what = f"is not for {name}; its names are: {names}" if str(names) else f"is not for {name}; it names no host"
    mend = f"connect to a name that it has, have the server choose its certificate by SNI, or reissue it with the {kind} {name}"
    raise fault(NameMismatch, leaf, 0, "name", what, mend)


def _check_purpose(certificate: x509.Certificate, depth: int, question: Question) -> None:
    usages = extension(certificate, x509.ExtendedKeyUsage)
    if usages is None or question.purpose.usage in usages.value:
        return
    # CA/Browser Forum BR, 7.1.2.7.10: anyExtendedKeyUsage MUST NOT be in a server's certificate; for CAs it means no limit.
    if _ANY in usages.value and (depth > 0 or question.compat):
        return
    named = ", ".join(map(describe_oid, usages.value))
    what = f"may not be used for a TLS {question.purpose.value}; its extendedKeyUsage allows only: {named}"
    mend = f"use a certificate with {question.purpose.value}Auth"
    raise fault(UnsupportedCertificate, certificate, depth, "extendedKeyUsage", what, mend)


def check_authority(
    certificate: x509.Certificate, depth: int, path: Sequence[x509.Certificate], question: Question
) -> None:
    """Check that a certificate may issue what stands below it (RFC 5280, 6.1.4)."""
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.value.ca:
        what = f"is no CA, but issued {describe_subject(path[depth - 1])}"
        raise fault(
            BadCertificate,
            certificate,
            depth,
            "basicConstraints",
            what,
            "reissue it with basicConstraints CA:TRUE",
            "issuing",
        )
    length = constraints.value.path_length
    if length is not None and depth - 1 > length:
        what = f"allows {length} CA certificates below it, and there are {depth - 1}"
        raise fault(
            BadCertificate, certificate, depth, "path length", what, "issue from a CA higher up, or reissue this one"
        )
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.value.key_cert_sign:
        what = "may not sign certificates: its keyUsage lacks keyCertSign"
        raise fault(BadCertificate, certificate, depth, "keyUsage", what, "reissue it with keyCertSign")
    _check_purpose(certificate, depth, question)


def check_subject_constraints(path: Sequence[x509.Certificate], depth: int, question: Question) -> None:
    """Apply a CA's name constraints to the subjects below it: the verifier applies them to alternative names alone (RFC 5280, 4.2.1.10)."""
    constraints = extension(path[depth], x509.NameConstraints)
    if constraints is None:
        return
    permitted, excluded = constraints.value.permitted_subtrees or [], constraints.value.excluded_subtrees or []
    for below in range(depth):
        certificate = path[below]
        if below > 0 and certificate.subject == certificate.issuer or not certificate.subject.rdns:
            continue
        inside = [within_directory(certificate.subject, base) for base in _bases(permitted)]
        outside = [within_directory(certificate.subject, base) for base in _bases(excluded)]
        if (inside and not any(inside)) or any(outside):
            raise _outside(path, depth, below, describe_name(certificate.subject))
    if question.purpose is Purpose.CLIENT:
        _check_named_in_subject(path, depth, permitted, excluded)


def _bases(subtrees: Sequence[x509.GeneralName]) -> list[x509.Name]:
    return [subtree.value for subtree in subtrees if isinstance(subtree, x509.DirectoryName)]


def _check_named_in_subject(
    path: Sequence[x509.Certificate],
    depth: int,
    permitted: Sequence[x509.GeneralName],
    excluded: Sequence[x509.GeneralName],
) -> None:
    """A client without alternative names is known by its subject: hosts and mailboxes there are bound as alternative names would be."""
    leaf = path[0]
    named = extension(leaf, x509.SubjectAlternativeName)
    hosts = (
        []
        if named and named.value.get_values_for_type(x509.DNSName)
        else [n for n in common_names(leaf) if "." in n and is_dns_name(n)]
    )
    mails = [] if named and named.value.get_values_for_type(x509.RFC822Name) else list(mailboxes(leaf))
    for names, kind, within in ((hosts, x509.DNSName, within_domain), (mails, x509.RFC822Name, within_mailboxes)):
        allowed = [str(subtree.value) for subtree in permitted if isinstance(subtree, kind)]
        banned = [str(subtree.value) for subtree in excluded if isinstance(subtree, kind)]
        for name in names:
            if (allowed and not any(within(name, a) for a in allowed)) or any(within(name, b) for b in banned):
                raise _outside(path, depth, 0, name)


def _outside(path: Sequence[x509.Certificate], depth: int, below: int, name: str) -> CertificateError:
    what = f"has a name ({name}) that its issuer {describe_subject(path[depth])} (depth {depth}) may not certify: name constraints"
    return fault(
        CertificateError, path[below], below, "name constraints", what, "have it issued by a CA that is allowed to"
    )
