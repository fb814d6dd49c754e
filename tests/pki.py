# SPDX-License-Identifier: Apache-2.0
"""Certificates, keys, OCSP responses and CRLs made to order for the tests; any extension or date of them can be wrong on purpose."""

from __future__ import annotations

import base64
import functools
import ipaddress
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
Extension = tuple[x509.ExtensionType, bool]

SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH
DER = serialization.Encoding.DER
PEM = serialization.Encoding.PEM

_CURVES: dict[str, type[ec.EllipticCurve]] = {
    "p256": ec.SECP256R1,
    "p384": ec.SECP384R1,
    "p521": ec.SECP521R1,
    "p224": ec.SECP224R1,
    "k256": ec.SECP256K1,
}
_RSASSA_PSS = bytes.fromhex("06092a864886f70d01010a")  # the OBJECT IDENTIFIER 1.2.840.113549.1.1.10 (RFC 4055, 3.1)
_HASH_OIDS = {
    "sha256": "0609608648016503040201",
    "sha384": "0609608648016503040202",
    "sha512": "0609608648016503040203",
}


@dataclass(frozen=True, slots=True)
class Entity:
    """A certificate with its key; `issuer` is None for one that signed itself. pss: the key is written as id-RSASSA-PSS (the algorithm's DER)."""

    cert: x509.Certificate
    key: Key
    issuer: Entity | None = None
    pss: bytes | None = None

    @property
    def der(self) -> bytes:
        return self.cert.public_bytes(DER)

    @property
    def certs(self) -> list[x509.Certificate]:
        """The chain, leaf first, without the root (a self-signed certificate is its own chain)."""
        above: list[x509.Certificate] = []
        step = self.issuer
        while step is not None and step.issuer is not None:
            above.append(step.cert)
            step = step.issuer
        return [self.cert, *above]

    @property
    def chain(self) -> tuple[bytes, ...]:
        return tuple(cert.public_bytes(DER) for cert in self.certs)

    @property
    def pem(self) -> bytes:
        return b"".join(cert.public_bytes(PEM) for cert in self.certs)

    @property
    def cert_pem(self) -> bytes:
        """This certificate alone: what a peer's list of roots wants from a CA."""
        return self.cert.public_bytes(PEM)

    @property
    def key_pem(self) -> bytes:
        if self.pss is not None:
            return _pem("PRIVATE KEY", _pss_pkcs8(self.key, self.pss))
        return self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def encrypted_key_pem(self, password: bytes) -> bytes:
        return self.key.private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(password)
        )

    @property
    def root(self) -> Entity:
        return self if self.issuer is None else self.issuer.root

    def write(self, folder: str | os.PathLike[str], stem: str = "leaf") -> tuple[Path, Path]:
        """Write <stem>.pem (the chain) and <stem>.key (unencrypted PKCS#8); return both paths."""
        chain, key = Path(folder) / f"{stem}.pem", Path(folder) / f"{stem}.key"
        chain.write_bytes(self.pem)
        key.write_bytes(self.key_pem)
        return chain, key


# keys


@functools.cache
def _rsa_key(bits: int, slot: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def make_key(kind: str = "p256", slot: str = "leaf") -> Key:
    """Make a key: p256 p384 p521 p224 k256 ed25519 ed448 rsa<bits> rsapss<bits>. RSA keys are made once for each slot: they are slow."""
    if kind in _CURVES:
        return ec.generate_private_key(_CURVES[kind]())
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if kind == "ed448":
        return ed448.Ed448PrivateKey.generate()
    return _rsa_key(int(kind.removeprefix("rsa").removeprefix("pss")), slot)


def rsa_key(entity: Entity) -> rsa.RSAPrivateKey:
    """Return the key of an entity that is known to have an RSA key."""
    assert isinstance(entity.key, rsa.RSAPrivateKey)
    return entity.key


def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


# certificates


def make_ca(
    name: str = "Test Root",
    *,
    issuer: Entity | None = None,
    key: str | Key = "p256",
    path_length: int | None = None,
    permitted: Sequence[x509.GeneralName] | None = None,
    excluded: Sequence[x509.GeneralName] | None = None,
    eku: Sequence[x509.ObjectIdentifier] | None = None,
    subject: x509.Name | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    extra: Iterable[Extension] = (),
    without: Iterable[type[x509.ExtensionType]] = (),
    signature_hash: hashes.HashAlgorithm | None = None,
    pss_signature: bool = False,
) -> Entity:
    """Make a root, or with an issuer an intermediate. `extra` replaces the default extension of its type; `without` leaves types out."""
    private = make_key(key, slot=f"ca {name}") if isinstance(key, str) else key
    extensions: list[Extension] = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (key_usage(key_cert_sign=True, crl_sign=True, digital_signature=True), True),
    ]
    if permitted is not None or excluded is not None:
        extensions.append((x509.NameConstraints(permitted, excluded), True))
    if eku is not None:
        extensions.append((x509.ExtendedKeyUsage(eku), False))
    start = not_before or now() - timedelta(days=2)
    end = not_after or now() + timedelta(days=3650)
    return _make(
        subject or distinguished_name(name),
        private,
        issuer,
        extensions,
        start,
        end,
        extra,
        without,
        signature_hash,
        pss_signature,
        _kind(key),
    )


def make_leaf(
    ca: Entity | None,
    names: Sequence[str] = ("localhost",),
    *,
    key: str | Key = "p256",
    subject: x509.Name | str | None = None,
    eku: Sequence[x509.ObjectIdentifier] | None = (SERVER_AUTH, CLIENT_AUTH),
    usage: x509.KeyUsage | None = None,
    ca_flag: bool | None = False,
    must_staple: bool = False,
    aia: str | None = None,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    extra: Iterable[Extension] = (),
    without: Iterable[type[x509.ExtensionType]] = (),
    signature_hash: hashes.HashAlgorithm | None = None,
    pss_signature: bool = False,
) -> Entity:
    """Make an end-entity certificate for DNS names and IP addresses; ca=None: it signs itself. No names: no subjectAltName."""
    private = make_key(key) if isinstance(key, str) else key
    name = subject if isinstance(subject, x509.Name) else distinguished_name(subject or (names[0] if names else "leaf"))
    extensions: list[Extension] = [(usage or key_usage(digital_signature=True), True)]
    if ca_flag is not None:
        extensions.append((x509.BasicConstraints(ca=ca_flag, path_length=None), True))
    if names:
        extensions.append((x509.SubjectAlternativeName([general_name(n) for n in names]), False))
    if eku is not None:
        extensions.append((x509.ExtendedKeyUsage(eku), False))
    if must_staple:
        extensions.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    if aia is not None:
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(aia))
        extensions.append((x509.AuthorityInformationAccess([access]), False))
    start = not_before or now() - timedelta(days=1)
    end = not_after or now() + timedelta(days=90)
    return _make(name, private, ca, extensions, start, end, extra, without, signature_hash, pss_signature, _kind(key))


def make_responder(ca: Entity, **overrides: object) -> Entity:
    """Make a delegated OCSP responder: a leaf of the CA with the OCSPSigning purpose (RFC 6960, 4.2.2.2)."""
    options: dict[str, object] = {"eku": (ExtendedKeyUsageOID.OCSP_SIGNING,), "subject": "OCSP responder"}
    return make_leaf(ca, (), **(options | overrides))  # type: ignore[arg-type]  # overrides are make_leaf's own keywords


def distinguished_name(common_name: str, **more: str) -> x509.Name:
    attributes = [x509.NameAttribute(getattr(NameOID, oid), value) for oid, value in more.items()]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_usage(**set_bits: bool) -> x509.KeyUsage:
    bits = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
        ),
        False,
    )
    return x509.KeyUsage(**(bits | set_bits), encipher_only=False, decipher_only=False)


def _kind(key: str | Key) -> str:
    return key if isinstance(key, str) else ""


def _make(
    subject: x509.Name,
    private: Key,
    issuer: Entity | None,
    extensions: list[Extension],
    not_before: datetime,
    not_after: datetime,
    extra: Iterable[Extension],
    without: Iterable[type[x509.ExtensionType]],
    signature_hash: hashes.HashAlgorithm | None,
    pss_signature: bool,
    kind: str,
) -> Entity:
    signer = issuer.key if issuer is not None else private
    above = issuer.cert.public_key() if issuer is not None else private.public_key()
    extensions.append((x509.SubjectKeyIdentifier.from_public_key(private.public_key()), False))
    extensions.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(above), False))  # type: ignore[arg-type]  # CA keys here can sign
    extra = list(extra)
    left_out = (*without, *(type(value) for value, _ in extra if not isinstance(value, x509.UnrecognizedExtension)))
    builder = x509.CertificateBuilder(
        subject_name=subject,
        issuer_name=issuer.cert.subject if issuer is not None else subject,
        public_key=private.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=not_before,
        not_valid_after=not_after,
    )
    for value, critical in [*(e for e in extensions if not isinstance(e[0], left_out)), *extra]:
        builder = builder.add_extension(value, critical)
    weak = signature_hash if isinstance(signature_hash, hashes.SHA1) else None
    digest = (
        None
        if isinstance(signer, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
        else _digest_for(signer, None if weak else signature_hash)
    )
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if pss_signature and digest is not None else None
    cert = builder.sign(signer, digest, rsa_padding=scheme)
    pss = None
    if kind.startswith("rsapss"):
        pss = pss_algorithm()
        cert = rewrite(cert, signer, spki=_pss_spki(private, pss))
    if weak is not None:
        cert = rewrite(cert, signer, sha1=True)
    return Entity(cert, private, issuer, pss)


def _digest_for(
    signer: Key, wanted: hashes.HashAlgorithm | None
) -> hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    if wanted is not None:
        assert isinstance(wanted, (hashes.SHA224, hashes.SHA256, hashes.SHA384, hashes.SHA512))
        return wanted
    if isinstance(signer, ec.EllipticCurvePrivateKey) and signer.curve.key_size > 256:
        return hashes.SHA384() if signer.curve.key_size == 384 else hashes.SHA512()
    return hashes.SHA256()


# what the cryptography package will not write: DER by hand


def tlv(tag: int, *content: bytes) -> bytes:
    """Encode one DER element."""
    body = b"".join(content)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def elements(der: bytes) -> list[bytes]:
    """Cut the content of one constructed DER element into its whole elements."""
    found, at = [], _header(der, 0)[0]
    while at < len(der):
        start, size = _header(der, at)
        found.append(der[at : start + size])
        at = start + size
    return found


def _header(der: bytes, at: int) -> tuple[int, int]:
    size = der[at + 1]
    if size < 0x80:
        return at + 2, size
    count = size & 0x7F
    return at + 2 + count, int.from_bytes(der[at + 2 : at + 2 + count], "big")


def pss_algorithm(digest: str | None = None, salt_length: int | None = None) -> bytes:
    """Encode the id-RSASSA-PSS AlgorithmIdentifier; without a digest, without parameters (RFC 4055, 3.1)."""
    if digest is None:
        return tlv(0x30, _RSASSA_PSS)
    hash_algorithm = tlv(0x30, bytes.fromhex(_HASH_OIDS[digest]), b"\x05\x00")
    mgf = tlv(0x30, bytes.fromhex("06092a864886f70d010108"), hash_algorithm)
    length = salt_length if salt_length is not None else hashes_size(digest)
    # DER leaves the default, 20, out.
    salt = b"" if length == 20 else tlv(0xA2, tlv(0x02, bytes([length])))
    return tlv(0x30, _RSASSA_PSS, tlv(0x30, tlv(0xA0, hash_algorithm), tlv(0xA1, mgf), salt))


def hashes_size(digest: str) -> int:
    return int(digest.removeprefix("sha")) // 8


def with_pss_parameters(leaf: Entity, digest: str, salt_length: int | None = None) -> Entity:
    """Make an rsapss leaf again with parameters in its key."""
    algorithm = pss_algorithm(digest, salt_length)
    signer = leaf.issuer.key if leaf.issuer is not None else leaf.key
    return Entity(rewrite(leaf.cert, signer, spki=_pss_spki(leaf.key, algorithm)), leaf.key, leaf.issuer, algorithm)


def _pss_spki(key: Key, algorithm: bytes) -> bytes:
    public = key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return tlv(0x30, algorithm, elements(public)[1])


def _pss_pkcs8(key: Key, algorithm: bytes) -> bytes:
    inner = key.private_bytes(DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
    return tlv(0x30, b"\x02\x01\x00", algorithm, tlv(0x04, inner))


def _pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()


def rewrite(
    cert: x509.Certificate, signer: Key, *, spki: bytes | None = None, sha1: bool = False, version: int | None = None
) -> x509.Certificate:
    """Replace parts of a certificate that the builder cannot make, and sign it again."""
    fields = elements(cert.tbs_certificate_bytes)
    algorithm = elements(cert.public_bytes(DER))[1]
    digest: hashes.HashAlgorithm | None = cert.signature_hash_algorithm
    if sha1:
        digest = hashes.SHA1()  # the point is that it is refused
        oid = "06092a864886f70d010105" if isinstance(signer, rsa.RSAPrivateKey) else "06072a8648ce3d0401"
        algorithm = tlv(0x30, bytes.fromhex(oid), b"\x05\x00" if isinstance(signer, rsa.RSAPrivateKey) else b"")
        fields[2] = algorithm
    if spki is not None:
        fields[6] = spki
    if version is not None:
        # v1 is the default, which DER leaves out; and a v1 certificate has no extensions.
        fields = fields[1:-1] if version == 0 else [tlv(0xA0, tlv(0x02, bytes([version]))), *fields[1:]]
    tbs = tlv(0x30, *fields)
    return x509.load_der_x509_certificate(tlv(0x30, tbs, algorithm, tlv(0x03, b"\x00" + _sign(signer, tbs, digest))))


def sign_again(cert: x509.Certificate, tbs: bytes, signer: Key) -> bytes:
    """Make a certificate (DER, perhaps malformed) of given content, signed as cert is."""
    signature = _sign(signer, tbs, cert.signature_hash_algorithm)
    return tlv(0x30, tbs, elements(cert.public_bytes(DER))[1], tlv(0x03, b"\x00" + signature))


def _sign(signer: Key, data: bytes, digest: hashes.HashAlgorithm | None) -> bytes:
    if isinstance(signer, rsa.RSAPrivateKey):
        assert digest is not None
        return signer.sign(data, padding.PKCS1v15(), digest)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        assert digest is not None
        return signer.sign(data, ec.ECDSA(digest))
    return signer.sign(data)


def with_bad_signature(entity: Entity) -> Entity:
    """Flip one bit of the certificate's signature."""
    der = bytearray(entity.der)
    der[-1] ^= 1
    return Entity(x509.load_der_x509_certificate(bytes(der)), entity.key, entity.issuer, entity.pss)


# revocation


def ocsp_response(
    leaf: Entity,
    *,
    status: str = "good",
    issuer: Entity | None = None,
    responder: Entity | None = None,
    signed_by: Key | None = None,
    this_update: datetime | None = None,
    next_update: datetime | None = None,
    no_next_update: bool = False,
    send_certificates: bool = True,
    certid_hash: hashes.HashAlgorithm | None = None,
) -> bytes:
    """Make a response for the leaf: good, revoked or unknown; signed by the issuer, or by a delegate; signed_by forges the signature."""
    above = issuer or leaf.issuer
    assert above is not None
    signer = responder or above
    moment = this_update or now() - timedelta(hours=1)
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=leaf.cert,
        issuer=above.cert,
        algorithm=certid_hash or hashes.SHA1(),  # what certID carries in the field; not a signature
        cert_status=ocsp.OCSPCertStatus[status.upper()],
        this_update=moment,
        next_update=None if no_next_update else next_update or moment + timedelta(days=3),
        revocation_time=moment - timedelta(days=1) if status == "revoked" else None,
        revocation_reason=x509.ReasonFlags.key_compromise if status == "revoked" else None,
    )
    if responder is not None and send_certificates:
        builder = builder.certificates([responder.cert])
    if signed_by is not None:
        # An impostor: the right name over another key.
        signer = make_ca(subject=signer.cert.subject, key=signed_by)
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.NAME, signer.cert)
    else:
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.cert)
    return builder.sign(signer.key, _digest_of_list(signer.key)).public_bytes(DER)


def make_crl(
    ca: Entity,
    revoked: Iterable[Entity] = (),
    *,
    this_update: datetime | None = None,
    next_update: datetime | None = None,
    signed_by: Key | None = None,
    extra: Iterable[Extension] = (),
) -> x509.CertificateRevocationList:
    """Make the CA's list of revoked certificates; signed_by forges the signature."""
    moment = this_update or now() - timedelta(hours=1)
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=ca.cert.subject, last_update=moment, next_update=next_update or moment + timedelta(days=7)
    )
    for entity in revoked:
        entry = x509.RevokedCertificateBuilder(entity.cert.serial_number, moment - timedelta(days=1))
        builder = builder.add_revoked_certificate(
            entry.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), False).build()
        )
    for value, critical in extra:
        builder = builder.add_extension(value, critical)
    key = signed_by or ca.key
    return builder.sign(key, _digest_of_list(key))


def _digest_of_list(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) else hashes.SHA256()


def with_sha1(signed: bytes | x509.CertificateRevocationList, signer: Key) -> bytes:
    """Sign an OCSP response or a CRL again with SHA-1, which the builders do not do."""
    rsa_key = isinstance(signer, rsa.RSAPrivateKey)
    oid = bytes.fromhex("06092a864886f70d010105" if rsa_key else "06072a8648ce3d0401")
    algorithm = tlv(0x30, oid, b"\x05\x00" if rsa_key else b"")
    if isinstance(signed, bytes):
        tbs = ocsp.load_der_ocsp_response(signed).tbs_response_bytes
    else:
        version, _, *rest = elements(signed.tbs_certlist_bytes)
        tbs = tlv(0x30, version, algorithm, *rest)
    whole = tlv(0x30, tbs, algorithm, tlv(0x03, b"\x00" + _sign(signer, tbs, hashes.SHA1())))
    if isinstance(signed, bytes):
        basic = bytes.fromhex("06092b0601050507300101")  # id-pkix-ocsp-basic (RFC 6960, 4.2.1)
        whole = tlv(0x30, b"\x0a\x01\x00", tlv(0xA0, tlv(0x30, basic, tlv(0x04, whole))))
    return whole
