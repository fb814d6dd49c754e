# SPDX-License-Identifier: Apache-2.0
"""What TLS 1.2 does with a certificate's key: signatures (PKCS#1 v1.5 too), and RSA key transport (RFC 5246, 4.7, 7.4; RFC 8422, 5)."""

from __future__ import annotations

import os
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import PublicKeyAlgorithmOID

from tlsfast.certificates import signatures
from tlsfast.certificates.signatures import HASHES, PublicKey
from tlsfast.errors import BadCertificate, ConfigurationError, DecryptError, IllegalParameter, UnsupportedCertificate
from tlsfast.registry import SignatureScheme

Exchange = Literal["ecdhe", "rsa"]

_PKCS1 = (
    SignatureScheme.rsa_pkcs1_sha256,
    SignatureScheme.rsa_pkcs1_sha384,
    SignatureScheme.rsa_pkcs1_sha512,
)
# In TLS 1.2 an ECDSA scheme names the hash alone, not the curve (RFC 8422, 5.1.1; RFC 8446, 4.2.3).
_ECDSA = (
    SignatureScheme.ecdsa_secp256r1_sha256,
    SignatureScheme.ecdsa_secp384r1_sha384,
    SignatureScheme.ecdsa_secp521r1_sha512,
)


def schemes12_for(certificate: x509.Certificate) -> tuple[SignatureScheme, ...]:
    """List the schemes with which the certificate's key may sign a TLS 1.2 handshake, those of TLS 1.3 first; KeyRefused for other keys."""
    fitting = signatures.schemes_for(certificate)
    if isinstance(signatures.public_key(certificate), ec.EllipticCurvePublicKey):
        return (*fitting, *(scheme for scheme in _ECDSA if scheme not in fitting))
    return (*fitting, *_PKCS1) if auth12(certificate) == "rsa" and not _is_pss(certificate) else fitting


def auth12(certificate: x509.Certificate) -> Literal["rsa", "ecdsa"]:
    """The kind of cipher suite that the certificate serves; EdDSA goes with the ECDSA suites (RFC 8422, 5.10)."""
    return "rsa" if isinstance(certificate.public_key(), rsa.RSAPublicKey) else "ecdsa"


def _is_pss(certificate: x509.Certificate) -> bool:
    return certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS


def allows(certificate: x509.Certificate, exchange: Exchange) -> bool:
    """Whether keyUsage, where present, and the key's kind allow a key exchange (RFC 5246, 7.4.2): keyEncipherment for RSA key transport."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if exchange == "ecdhe":
        return usage is None or usage.digital_signature
    transports = isinstance(certificate.public_key(), rsa.RSAPublicKey) and not _is_pss(certificate)
    return transports and (usage is None or usage.key_encipherment)


def _load(der: bytes) -> x509.Certificate:
    try:
        return signatures.load_certificate(der)
    except ValueError as error:
        message = f"the peer's certificate cannot be parsed ({error}): it must be replaced"
        raise BadCertificate(message, check="parse", depth=0) from None


def check_allows(der: bytes, auth: str, exchange: Exchange) -> None:
    """Refuse a peer's certificate whose key or keyUsage does not go with the cipher suite."""
    certificate = _load(der)
    try:
        fits = auth12(certificate) == auth and allows(certificate, exchange)
    except signatures.MALFORMED:
        fits = False
    if not fits:
        what = "encipher keys (keyEncipherment)" if exchange == "rsa" else "sign (digitalSignature)"
        message = (
            f"the server's certificate ({signatures.describe_key(certificate)}) does not go with the cipher suite it chose, "
            f"for which it must {what} with an {auth.upper()} key"
        )
        raise UnsupportedCertificate(message, check="keyUsage", depth=0)


def verify_signature12(der: bytes, scheme: int, signature: bytes, data: bytes) -> None:
    """Verify a TLS 1.2 handshake signature by the key of a certificate. Errors as verify_signature has them."""
    certificate = _load(der)
    try:
        key, fitting = signatures.public_key(certificate), schemes12_for(certificate)
    except signatures.KeyRefused as error:
        message = f"the peer's certificate has {error}: it must be reissued with an RSA (2048 bits), P-256, P-384 or Ed25519 key"
        raise UnsupportedCertificate(message, check=error.check, depth=0) from None
    name = signatures.scheme_name(scheme)
    if scheme not in fitting:
        raise IllegalParameter(
            f"the peer signed with {name}, which its certificate's key ({signatures.describe_key(certificate)}) does not fit"
        )
    try:
        _verify12(key, SignatureScheme(scheme), signature, data)
    except InvalidSignature:
        message = f"the peer's handshake signature ({name}) does not verify: it lacks its certificate's key, or bytes were changed"
        raise DecryptError(message, scheme=scheme) from None


def _verify12(key: PublicKey, scheme: SignatureScheme, signature: bytes, data: bytes) -> None:
    if scheme in _PKCS1 and isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, data, padding.PKCS1v15(), HASHES[scheme])
    else:
        signatures.verify(key, scheme, signature, data)


def sign12(key: signatures.PrivateKey, scheme: SignatureScheme, data: bytes) -> bytes:
    """Sign data; the scheme was taken from schemes12_for."""
    if scheme in _PKCS1 and isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), HASHES[scheme])
    return signatures.sign(key, scheme, data)


# ---- RSA key transport ----


def encrypt_premaster(der: bytes, premaster: bytes) -> bytes:
    """Encrypt the premaster secret with the server's public key, PKCS#1 v1.5 (RFC 5246, 7.4.7.1)."""
    key = _load(der).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise UnsupportedCertificate("RSA key transport needs a certificate with an RSA key", check="key type", depth=0)
    return key.encrypt(premaster, padding.PKCS1v15())


def decrypt_premaster(key: signatures.PrivateKey, ciphertext: bytes) -> bytes:
    """What RSA decryption gives, 48 bytes or anything else; ValueError for public facts alone. For handshake/premaster.py, and nobody else."""
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("not an RSA key")
    return key.decrypt(ciphertext, padding.PKCS1v15())


def check_implicit_rejection(key: signatures.PrivateKey) -> None:
    """Refuse static RSA where a wrong padding shows as an exception: that would be Bleichenbacher's oracle.

    OpenSSL 3.2 and later answer it with pseudo-random bytes. The probe has the right length, lies below the modulus, and its padding is wrong."""
    if not isinstance(key, rsa.RSAPrivateKey):
        return
    public = key.public_key().public_numbers()
    size = (key.key_size + 7) // 8
    while True:
        # A block that begins 00 01 where 00 02 belongs, encrypted without padding: below the modulus because its first byte is zero.
        block = int.from_bytes(b"\x00\x01" + os.urandom(size - 2))
        if block < public.n:
            break
    try:
        decrypt_premaster(key, pow(block, public.e, public.n).to_bytes(size))
    except ValueError:
        raise ConfigurationError(
            "static RSA suites cannot be enabled: this build of cryptography tells wrong padding apart (its OpenSSL is older than 3.2), "
            "which would let an attacker decrypt recorded connections; install cryptography's own wheels or leave the TLS_RSA suites out"
        ) from None
