# SPDX-License-Identifier: Apache-2.0
"""Trust stores, and how the chains that peers send are verified: by cryptography.x509.verification, its gaps closed here (RFC 5280, 6)."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, Policy, PolicyBuilder, Store, VerificationError

from tlsfast.certificates import pem, roots, signatures
from tlsfast.certificates.chaincache import ChainCache, FoundPath
from tlsfast.certificates.checks import Purpose, Question, check_path
from tlsfast.certificates.diagnosis import explain
from tlsfast.certificates.names import parse_name, printable
from tlsfast.certificates.revocation import RevocationLists, check_staple
from tlsfast.errors import BadCertificate, ConfigurationError

Preset = Literal["webpki", "compat"]

# SECURITY-BAR 5: what a peer can make us work on.
MAX_CHAIN = 16

_ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
_DER = serialization.Encoding.DER


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """The path that was verified, as DER from leaf to root, and the moment its first certificate expires."""

    path: tuple[bytes, ...] = field(repr=False)
    not_after: datetime


def _require_cert_sign(policy: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
    if usage is not None and not usage.key_cert_sign:
        raise ValueError("keyUsage.keyCertSign must be asserted in a CA certificate")


def _require_purpose(policy: Policy, certificate: x509.Certificate, usages: x509.ExtendedKeyUsage | None) -> None:
    if usages is not None and policy.extended_key_usage not in usages and _ANY not in usages:
        raise ValueError("extendedKeyUsage of a CA certificate must contain the purpose of the leaf")


# What public CAs must put into certificates, and what private ones ("compat") may leave out: key identifiers, key usage, criticality. In both,
# RFC 5280, 4.2.1.6 and 4.2.1.12 leave the criticality of names and purposes to the issuer; the verifier compares a server's name in any case, and
# checks.check_path compares name and purpose again. Client certificates are often without subjectAltName: the subject names the client.
def _authority(compat: bool, any_purpose: bool = False) -> ExtensionPolicy:
    policy = ExtensionPolicy.webpki_defaults_ca()
    policy = policy.may_be_present(
        x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None if any_purpose else _require_purpose
    )
    if not compat:
        return policy
    policy = policy.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)  # cA is asked for in any case
    policy = policy.may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _require_cert_sign)
    policy = policy.may_be_present(x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None)
    return policy.may_be_present(x509.SubjectKeyIdentifier, Criticality.AGNOSTIC, None)


def _end_entity(compat: bool, purpose: Purpose) -> ExtensionPolicy:
    policy = ExtensionPolicy.webpki_defaults_ee()
    policy = policy.may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, None)
    if compat:
        policy = policy.may_be_present(x509.AuthorityKeyIdentifier, Criticality.AGNOSTIC, None)
        policy = policy.may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, None)
    if purpose is Purpose.SERVER:
        return policy.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    return policy.may_be_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)


_AUTHORITY = {compat: _authority(compat) for compat in (False, True)}
# For host names with an underscore, which cryptography takes for no subject, and where no name is asked for: the path is found as for a client,
# but for any purpose, and checks.check_path alone compares name and purpose.
_AUTHORITY_FOR_ANY = {compat: _authority(compat, any_purpose=True) for compat in (False, True)}
_END_ENTITY = {(compat, purpose): _end_entity(compat, purpose) for compat in (False, True) for purpose in Purpose}


class TrustStore:
    """The certificates that are trusted, with CRLs and a profile. It never changes; threads, configurations and connections may share it.

    preset "webpki" holds chains to the profile of public CAs; "compat" also takes private CAs that leave out key identifiers or key usage.
    A peer's own certificate that is in the store is accepted as it is, self-signed or not, without a look at revocation; its dates, key, purpose and
    names still count."""

    __slots__ = ("_builders", "_crls", "_ders", "_digest", "_preset", "_roots", "_store", "_subjects")

    def __init__(
        self,
        roots: Iterable[x509.Certificate],
        *,
        crls: Iterable[x509.CertificateRevocationList | bytes] = (),
        preset: Preset = "webpki",
    ) -> None:
        """Take roots: any certificate here ends a path, also a peer's own. ConfigurationError if there is none."""
        if preset not in ("webpki", "compat"):
            raise ConfigurationError(f'the preset is {preset!r}: it must be "webpki" or "compat"')
        ders: dict[bytes, x509.Certificate] = {}
        for root in roots:
            if not isinstance(root, x509.Certificate):
                raise ConfigurationError(
                    f"a root is a {type(root).__name__}: give cryptography certificates, or use from_pem or from_file"
                )
            try:
                signatures.read_parts(root)
            except signatures.MALFORMED as error:
                raise ConfigurationError(f"a root is malformed ({error}): leave it out, or have it reissued") from None
            ders.setdefault(root.public_bytes(_DER), root)
        if not ders:
            raise ConfigurationError("the trust store holds no certificate: give at least one root")
        lists = [_load_crl(crl) for crl in crls]
        self._preset: Preset = preset
        self._ders = {id(root): der for der, root in ders.items()}
        self._roots = ders
        self._crls = _index_crls(lists)
        self._store = Store(list(ders.values()))
        self._builders: dict[tuple[bool, bool, Purpose], PolicyBuilder] = {}
        self._subjects: tuple[bytes, ...] | None = None
        self._digest = _digest(ders, lists, preset)

    @classmethod
    def system(
        cls, *, crls: Iterable[x509.CertificateRevocationList | bytes] = (), preset: Preset = "webpki"
    ) -> TrustStore:
        """Take the roots of the operating system, or those that SSL_CERT_FILE and SSL_CERT_DIR name. They are read once in a process."""
        crls = tuple(crls)
        where = (os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))
        return _cached("system", where, preset) if not crls else cls(roots.system(*where), crls=crls, preset=preset)

    @classmethod
    def certifi(
        cls, *, crls: Iterable[x509.CertificateRevocationList | bytes] = (), preset: Preset = "webpki"
    ) -> TrustStore:
        """Take Mozilla's roots from the certifi package. They are read once in a process."""
        crls = tuple(crls)
        return _cached("certifi", ("", ""), preset) if not crls else cls(roots.certifi(), crls=crls, preset=preset)

    @classmethod
    def from_pem(
        cls,
        data: bytes | str,
        *,
        crls: Iterable[x509.CertificateRevocationList | bytes] = (),
        preset: Preset = "webpki",
    ) -> TrustStore:
        """Take the certificates in PEM (or one in DER)."""
        source = data if isinstance(data, bytes) else data.encode()
        return cls(roots.load(pem.read(source, "trust store"), strict=True), crls=crls, preset=preset)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        crls: Iterable[x509.CertificateRevocationList | bytes] = (),
        preset: Preset = "webpki",
    ) -> TrustStore:
        """Take the certificates in a PEM or DER file."""
        return cls(roots.load(pem.read(Path(path), "trust store"), strict=True), crls=crls, preset=preset)

    @property
    def digest(self) -> bytes:
        """Identify the store: 32 bytes that depend on its roots, CRLs and preset, not on their order."""
        return self._digest

    @property
    def preset(self) -> Preset:
        return self._preset

    @property
    def subjects(self) -> tuple[bytes, ...]:
        """List the roots' names as DER, for the certificate_authorities extension (RFC 8446, 4.2.4)."""
        if self._subjects is None:
            self._subjects = tuple(dict.fromkeys(root.subject.public_bytes() for root in self._roots.values()))
        return self._subjects

    def __len__(self) -> int:
        return len(self._roots)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TrustStore) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"<TrustStore {len(self)} roots, {len(self._crls)} CRLs, {self._preset}, {self._digest.hex()[:12]}>"

    def verify_server(
        self,
        chain: Sequence[bytes],
        name: str | None,
        *,
        ocsp_response: bytes | None = None,
        at: datetime | None = None,
        transports_keys: bool = False,
        cache: ChainCache | None = None,
    ) -> VerifiedChain:
        """Verify the chain (DER, leaf first) that a server sent, for the name or address that we meant to reach; None: for any.

        Raises the CertificateError that says what is wrong; ApiMisuse if the name is no name. at: the moment, now if None.
        transports_keys: for TLS 1.2 with static RSA, where the key must encipher in place of sign. cache: may spare the search for the path."""
        meant = parse_name(name) if name is not None else None
        question = Question(Purpose.SERVER, _moment(at), meant, self._preset == "compat", transports_keys)
        return self._verify(chain, question, ocsp_response, cache)

    def verify_client(
        self, chain: Sequence[bytes], *, at: datetime | None = None, cache: ChainCache | None = None
    ) -> VerifiedChain:
        """Verify the chain that a client sent. Who the client is stands in its leaf: the alternative names, or the subject."""
        return self._verify(chain, Question(Purpose.CLIENT, _moment(at), None, self._preset == "compat"), None, cache)

    def _verify(
        self, chain: Sequence[bytes], question: Question, staple: bytes | None, cache: ChainCache | None
    ) -> VerifiedChain:
        moment = question.moment
        key = (tuple(chain), question.purpose, question.name, question.transports_keys, self._digest)
        found = cache.get(key, moment) if cache is not None else None
        if found is None:
            found = self._checked_path(chain, question)
            if cache is not None:
                cache.put(key, found, moment)
        if not found.pinned:
            if question.purpose is Purpose.SERVER:
                check_staple(found.certificates, staple, moment)
            self._crls.check(found.certificates, moment)
        return VerifiedChain(found.ders, found.not_after)

    def _checked_path(self, chain: Sequence[bytes], question: Question) -> FoundPath:
        """Find the path and check all that does not change by the minute."""
        sent = _parse(chain)
        leaf = next(iter(sent))
        pinned = sent[leaf] in self._roots
        path = [leaf] if pinned else self._find_path(list(sent), question)
        check_path(path, question, pinned=pinned)
        return FoundPath(
            path,
            tuple(sent.get(c) or self._ders.get(id(c)) or c.public_bytes(_DER) for c in path),
            pinned,
            min(c.not_valid_after_utc for c in path),
        )

    def _find_path(self, sent: list[x509.Certificate], question: Question) -> list[x509.Certificate]:
        try:
            return self._search(sent, question)
        except (VerificationError, *signatures.MALFORMED) as error:
            verdict = str(error)
        roots = list(self._roots.values())
        raise explain(sent, roots, question, verdict, lambda: self._passes_compat(sent, question))

    def _passes_compat(self, sent: list[x509.Certificate], question: Question) -> bool:
        """Would the profile of private CAs have let it pass? Asked for the words of the refusal only."""
        if question.compat:
            return False
        try:
            self._search(sent, dataclasses.replace(question, compat=True))
        except (VerificationError, *signatures.MALFORMED):
            return False
        return True

    def _search(self, sent: list[x509.Certificate], question: Question) -> list[x509.Certificate]:
        """Let cryptography find a path. A verifier freezes the time, so it is made for each call; the store is what is costly."""
        name, others = question.name, [c for c in sent[1:] if _usable(c)]
        server = question.purpose is Purpose.SERVER
        unnamed = server and (name is None or (isinstance(name, str) and "_" in name))
        builder = self._builder(
            unnamed, question.compat, question.purpose if name is not None else Purpose.CLIENT
        ).time(question.moment)
        if name is None or unnamed:
            return builder.build_client_verifier().verify(sent[0], others).chain
        subject = x509.DNSName(name) if isinstance(name, str) else x509.IPAddress(name)
        return builder.build_server_verifier(subject).verify(sent[0], others)

    def _builder(self, unnamed: bool, compat: bool, purpose: Purpose) -> PolicyBuilder:
        """What a search needs but for the moment: made once, because half a search's time would go into it."""
        builder = self._builders.get((unnamed, compat, purpose))
        if builder is None:
            ca_policy = (_AUTHORITY_FOR_ANY if unnamed else _AUTHORITY)[compat]
            builder = PolicyBuilder().store(self._store).max_chain_depth(MAX_CHAIN)
            builder = builder.extension_policies(ca_policy=ca_policy, ee_policy=_END_ENTITY[compat, purpose])
            self._builders[unnamed, compat, purpose] = builder
        return builder


def _moment(at: datetime | None) -> datetime:
    moment = datetime.now(UTC) if at is None else at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    # Certificates count whole seconds: one is good through the second that notAfter names.
    return moment.replace(microsecond=0)


def _parse(chain: Sequence[bytes]) -> dict[x509.Certificate, bytes]:
    """Parse what the peer sent, in order, without doubles."""
    if not chain:
        raise BadCertificate(
            "the peer's certificate chain is empty: it must send its certificate", check="form", subject="", depth=0
        )
    if len(chain) > MAX_CHAIN:
        what = f"the peer sent {len(chain)} certificates, more than {MAX_CHAIN}: it must send its own and its intermediates only"
        raise BadCertificate(what, check="chain length", subject="", depth=len(chain) - 1)
    sent: dict[x509.Certificate, bytes] = {}
    for depth, der in enumerate(chain):
        try:
            sent.setdefault(signatures.load_certificate(der), der)
        except ValueError as error:
            what = f"the certificate at depth {depth} is malformed ({printable(str(error))}): it must be reissued"
            raise BadCertificate(what, check="form", subject="", depth=depth) from None
    return sent


def _usable(certificate: x509.Certificate) -> bool:
    """Leave out intermediates whose key could only cost time: see RSA_MAXIMUM_BITS."""
    try:
        signatures.public_key(certificate)
    except signatures.KeyRefused:
        return False
    return True


def _digest(roots: Iterable[bytes], crls: Iterable[x509.CertificateRevocationList], preset: str) -> bytes:
    parts = sorted(hashlib.sha256(b"root" + der).digest() for der in roots)
    parts += sorted(hashlib.sha256(b"crl" + crl.public_bytes(_DER)).digest() for crl in crls)
    return hashlib.sha256(preset.encode() + b"".join(parts)).digest()


def _load_crl(crl: x509.CertificateRevocationList | bytes) -> x509.CertificateRevocationList:
    try:
        if not isinstance(crl, x509.CertificateRevocationList):
            crl = x509.load_pem_x509_crl(crl) if b"-----BEGIN" in crl else x509.load_der_x509_crl(crl)
    except signatures.MALFORMED as error:
        raise ConfigurationError(f"a CRL cannot be parsed as PEM or DER: {error}") from None
    return crl


def _index_crls(crls: Iterable[x509.CertificateRevocationList]) -> RevocationLists:
    try:
        return RevocationLists(crls)
    except signatures.MALFORMED as error:
        raise ConfigurationError(f"a CRL is malformed: {error}") from None


@functools.cache
def _cached(source: str, where: tuple[str, str], preset: Preset) -> TrustStore:
    return TrustStore(roots.system(*where) if source == "system" else roots.certifi(), preset=preset)
