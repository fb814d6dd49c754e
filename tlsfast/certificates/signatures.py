# SPDX-License-Identifier: Apache-2.0
"""Which signature schemes a certificate's key fits, and signing and verifying with them: what credentials and trust share (RFC 8446, 4.2.3)."""

from __future__ import annotations

import functools
import warnings

from cryptography import x509
from cryptography.exceptions import InternalError as OpenSSLError
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID, SignatureAlgorithmOID

from tlsfast.certificates.names import printable
from tlsfast.errors import BadCertificate, DecryptError, IllegalParameter, UnsupportedCertificate
from tlsfast.registry import SignatureScheme

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512

RSA_MINIMUM_BITS = 2048
# Verifying costs the square of the size: a peer must not choose it without bound.
RSA_MAXIMUM_BITS = 8192

HASHES: dict[SignatureScheme, Hash] = {
    SignatureScheme.rsa_pkcs1_sha256: hashes.SHA256(),
    SignatureScheme.rsa_pkcs1_sha384: hashes.SHA384(),
    SignatureScheme.rsa_pkcs1_sha512: hashes.SHA512(),
    SignatureScheme.ecdsa_secp256r1_sha256: hashes.SHA256(),
    SignatureScheme.ecdsa_secp384r1_sha384: hashes.SHA384(),
    SignatureScheme.ecdsa_secp521r1_sha512: hashes.SHA512(),
    SignatureScheme.rsa_pss_rsae_sha256: hashes.SHA256(),
    SignatureScheme.rsa_pss_rsae_sha384: hashes.SHA384(),
    SignatureScheme.rsa_pss_rsae_sha512: hashes.SHA512(),
    SignatureScheme.rsa_pss_pss_sha256: hashes.SHA256(),
    SignatureScheme.rsa_pss_pss_sha384: hashes.SHA384(),
    SignatureScheme.rsa_pss_pss_sha512: hashes.SHA512(),
}
_RSAE = (
    SignatureScheme.rsa_pss_rsae_sha256,
    SignatureScheme.rsa_pss_rsae_sha384,
    SignatureScheme.rsa_pss_rsae_sha512,
)
_PSS = (
    SignatureScheme.rsa_pss_pss_sha256,
    SignatureScheme.rsa_pss_pss_sha384,
    SignatureScheme.rsa_pss_pss_sha512,
)
_CURVES: dict[str, SignatureScheme] = {
    "secp256r1": SignatureScheme.ecdsa_secp256r1_sha256,
    "secp384r1": SignatureScheme.ecdsa_secp384r1_sha384,
    "secp521r1": SignatureScheme.ecdsa_secp521r1_sha512,
}
_RSA_IN_CERTIFICATES: dict[x509.ObjectIdentifier, SignatureScheme] = {
    SignatureAlgorithmOID.RSA_WITH_SHA256: SignatureScheme.rsa_pkcs1_sha256,
    SignatureAlgorithmOID.RSA_WITH_SHA384: SignatureScheme.rsa_pkcs1_sha384,
    SignatureAlgorithmOID.RSA_WITH_SHA512: SignatureScheme.rsa_pkcs1_sha512,
}
_ECDSA_IN_CERTIFICATES: dict[x509.ObjectIdentifier, SignatureScheme] = {
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: SignatureScheme.ecdsa_secp256r1_sha256,
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: SignatureScheme.ecdsa_secp384r1_sha384,
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: SignatureScheme.ecdsa_secp521r1_sha512,
}
# OBJECT IDENTIFIERs of the digests in RSASSA-PSS-params (RFC 4055, 2.1), as DER content.
_DIGESTS: dict[bytes, int] = {
    bytes.fromhex("608648016503040201"): 32,
    bytes.fromhex("608648016503040202"): 48,
    bytes.fromhex("608648016503040203"): 64,
}


# What cryptography raises for a certificate that is malformed somewhere, most of it only when that part is looked at.
MALFORMED = (
    ValueError,
    TypeError,
    LookupError,
    UnsupportedAlgorithm,
    OpenSSLError,  # InternalError by its own name: for a key of the wrong length, as one example
    Warning,  # in a program that turns warnings into errors
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


# Programs meet the same peers again and again: a certificate keeps what was read from it, so the last few are parsed once. What is decided by them is
# decided anew for each connection. A long one is not kept: a peer could fill our memory with it.
_REMEMBERED = 64
_REMEMBERED_LENGTH = 4096


def load_certificate(der: bytes) -> x509.Certificate:
    """Parse one certificate; ValueError if it is not one."""
    return _parse_once(der) if len(der) <= _REMEMBERED_LENGTH else _parse(der)


def _parse(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None
    except Warning:
        # A program that turns warnings into errors; old roots with serial number 0 make cryptography warn.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return x509.load_der_x509_certificate(der)


_parse_once = functools.lru_cache(_REMEMBERED)(_parse)


def read_parts(certificate: x509.Certificate) -> None:
    """Look at what is parsed only when it is looked at, and once for all; one of MALFORMED if it cannot be."""
    try:
        _ = certificate.extensions, certificate.subject, certificate.issuer
    except Warning:  # as in load_certificate: an attribute of a name that is empty or too long
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _ = certificate.extensions, certificate.subject, certificate.issuer


class KeyRefused(ValueError):
    """A public key that signs nothing here; the message is an object for "has": "a key of ..."; check names what failed."""

    def __init__(self, message: str, check: str) -> None:
        super().__init__(message)
        self.check = check


def public_key(certificate: x509.Certificate) -> PublicKey:
    """Return the certificate's key if it may sign in TLS here: of a known kind, and neither too small nor absurdly large; else KeyRefused."""
    try:
        key = certificate.public_key()
    except MALFORMED as error:
        why = printable(str(error))
        raise KeyRefused(f"a key that cannot be read ({key_algorithm(certificate)}: {why})", "key type") from None
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < RSA_MINIMUM_BITS:
            message = f"a key that is too small ({key.key_size} bits; RSA needs {RSA_MINIMUM_BITS} at least)"
            raise KeyRefused(message, "key size")
        if key.key_size > RSA_MAXIMUM_BITS:
            message = f"a key that is too large ({key.key_size} bits; {RSA_MAXIMUM_BITS} at most)"
            raise KeyRefused(message, "key size")
        return key
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    raise KeyRefused(f"a key of an unsupported kind ({describe_key(certificate)})", "key type")


def is_costly(certificate: x509.Certificate) -> bool:
    """Tell whether verifying with the certificate's key takes longer than a peer may ask for."""
    try:
        key = certificate.public_key()
    except MALFORMED:
        return False
    return isinstance(key, rsa.RSAPublicKey) and key.key_size > RSA_MAXIMUM_BITS


def key_algorithm(certificate: x509.Certificate) -> str:
    """Name the algorithm of the certificate's key, or give its number when it has no name here."""
    oid = certificate.public_key_algorithm_oid
    return _OID_NAMES.get(oid, oid.dotted_string)


_OID_NAMES: dict[x509.ObjectIdentifier, str] = {
    PublicKeyAlgorithmOID.DSA: "DSA",
    PublicKeyAlgorithmOID.EC_PUBLIC_KEY: "EC",
    PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5: "RSA",
    PublicKeyAlgorithmOID.RSASSA_PSS: "RSA-PSS",
    PublicKeyAlgorithmOID.X25519: "X25519",
    PublicKeyAlgorithmOID.X448: "X448",
    PublicKeyAlgorithmOID.ED25519: "Ed25519",
    PublicKeyAlgorithmOID.ED448: "Ed448",
}


def describe_key(certificate: x509.Certificate) -> str:
    """Say what kind of key the certificate has: "RSA, 2048 bits", "EC secp256r1", "Ed25519"."""
    name = key_algorithm(certificate)
    try:
        key = certificate.public_key()
    except MALFORMED:
        return name
    if isinstance(key, rsa.RSAPublicKey):
        return f"{name}, {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"{name} {key.curve.name}"
    return name


def schemes_for(certificate: x509.Certificate) -> tuple[SignatureScheme, ...]:
    """List the schemes with which the certificate's key may sign a TLS 1.3 handshake, shortest hash first; KeyRefused for other keys."""
    key = public_key(certificate)
    if isinstance(key, ec.EllipticCurvePublicKey):
        # RFC 8446, 4.2.3: the scheme names curve and hash together.
        return (_CURVES[key.curve.name],)
    if isinstance(key, ed25519.Ed25519PublicKey):
        return (SignatureScheme.ed25519,)
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        return _pss_schemes(certificate)
    return _RSAE


def _pss_schemes(certificate: x509.Certificate) -> tuple[SignatureScheme, ...]:
    try:
        parameters = _pss_parameters(certificate)
    except (ValueError, IndexError):
        raise KeyRefused("an RSA-PSS key whose parameters cannot be parsed", "key type") from None
    if parameters is None:
        return _PSS
    digest, salt = parameters
    # RFC 4055, 3.1: saltLength in a key is the smallest that may be used; TLS fixes it to the digest's length.
    return tuple(scheme for scheme in _PSS if HASHES[scheme].digest_size == digest and salt <= digest)


def _pss_parameters(certificate: x509.Certificate) -> tuple[int, int] | None:
    """Read the digest's size (0: one that TLS has not) and salt length that the key demands; None if it leaves them open (RFC 4055, 3.1)."""
    tbs = _elements(certificate.tbs_certificate_bytes)[0][1]
    # RFC 5280, 4.1: version [0] if not v1, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo.
    spki = [content for tag, content in _elements(tbs) if tag != 0xA0][5]
    algorithm = _elements(_elements(spki)[0][1])
    if len(algorithm) < 2 or algorithm[1][0] != 0x30:
        return None
    digest = mask_digest = 0  # left out, they mean SHA-1
    salt = 20
    for tag, content in _elements(algorithm[1][1]):
        value = _elements(content)[0][1]
        if tag == 0xA0:
            digest = _digest_size(value)
        elif tag == 0xA1:
            mask_digest = _digest_size(_elements(value)[1][1])
        elif tag == 0xA2:
            salt = int.from_bytes(value, "big")
    return (digest if digest == mask_digest else 0), salt


def _digest_size(algorithm: bytes) -> int:
    return _DIGESTS.get(_elements(algorithm)[0][1], 0)


def _elements(content: bytes) -> list[tuple[int, bytes]]:
    """Cut DER content into (tag, content) pairs; ValueError when a length passes the end."""
    found, at = [], 0
    while at < len(content):
        tag, size = content[at], content[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(content[at : at + count], "big")
            at += count
        if at + size > len(content):
            raise ValueError("DER cut off")
        found.append((tag, content[at : at + size]))
        at += size
    return found


def scheme_of_signature(certificate: x509.Certificate, issuer: x509.Certificate | None) -> SignatureScheme | None:
    """Name the scheme with which the certificate is signed, to compare with signature_algorithms_cert; None for one without a name here.

    issuer, if known, tells rsa_pss_pss from rsa_pss_rsae, and the curve; else the usual one for the hash is assumed."""
    oid = certificate.signature_algorithm_oid
    if oid == SignatureAlgorithmOID.ED25519:
        return SignatureScheme.ed25519
    if oid in _RSA_IN_CERTIFICATES:
        return _RSA_IN_CERTIFICATES[oid]
    if oid in _ECDSA_IN_CERTIFICATES:
        return _ECDSA_IN_CERTIFICATES[oid]
    if oid != SignatureAlgorithmOID.RSASSA_PSS:
        return None
    try:
        digest = certificate.signature_hash_algorithm
    except MALFORMED:  # the parameters of RSASSA-PSS
        return None
    if digest is None:
        return None
    pss = issuer is not None and issuer.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS
    return next((s for s in (_PSS if pss else _RSAE) if HASHES[s].name == digest.name), None)


# By scheme, for signing and verifying.
_ECDSA = {scheme: ec.ECDSA(HASHES[scheme]) for scheme in _CURVES.values()}


def sign(key: PrivateKey, scheme: SignatureScheme, data: bytes) -> bytes:
    """Sign data. The scheme fits the key: whoever chose it took it from schemes_for."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, _ECDSA[scheme])
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, _pss_padding(HASHES[scheme]), HASHES[scheme])


def _pss_padding(digest: Hash) -> padding.PSS:
    # RFC 8446, 4.2.3: the length of the Salt MUST be equal to the length of the output of the digest algorithm.
    return padding.PSS(padding.MGF1(digest), digest.digest_size)


def verify_signature(certificate_der: bytes, scheme: int, signature: bytes, data: bytes) -> None:
    """Verify a handshake signature by the key of a certificate (RFC 8446, 4.4.3).

    Raises DecryptError when it does not verify, IllegalParameter when the scheme does not fit the key, UnsupportedCertificate for a
    key of another kind, BadCertificate when the certificate cannot be parsed."""
    try:
        certificate = load_certificate(certificate_der)
    except ValueError as error:
        message = f"the peer's certificate cannot be parsed ({error}): it must be replaced"
        raise BadCertificate(message, check="parse", depth=0) from None
    try:
        key, fitting = public_key(certificate), schemes_for(certificate)
    except KeyRefused as error:
        message = f"the peer's certificate has {error}: it must be reissued with an RSA (2048 bits), P-256, P-384 or Ed25519 key"
        raise UnsupportedCertificate(message, check=error.check, depth=0) from None
    if scheme not in fitting:
        names = ", ".join(s.name for s in fitting) or "no scheme of TLS 1.3"
        message = f"the peer signed with {scheme_name(scheme)}, but its certificate's key ({describe_key(certificate)}) fits {names}"
        raise IllegalParameter(message, scheme=scheme)
    try:
        verify(key, SignatureScheme(scheme), signature, data)
    except InvalidSignature:
        message = f"the peer's handshake signature ({scheme_name(scheme)}) does not verify: it lacks its certificate's key, or bytes were changed"
        raise DecryptError(message, scheme=scheme) from None


def verify(key: PublicKey, scheme: SignatureScheme, signature: bytes, data: bytes) -> None:
    """Verify data; InvalidSignature when it does not. The scheme fits the key."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, data, _ECDSA[scheme])
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, data)
    else:
        key.verify(signature, data, _pss_padding(HASHES[scheme]), HASHES[scheme])


def scheme_name(scheme: int) -> str:
    """The registry's name of a scheme, or its number."""
    try:
        return SignatureScheme(scheme).name
    except ValueError:
        return f"signature scheme 0x{scheme:04x}"
