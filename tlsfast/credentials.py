# SPDX-License-Identifier: Apache-2.0
"""What we prove our identity with: a certificate chain and the means to sign with its key; the flows take them from the configuration."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InternalError as OpenSSLError
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509 import ocsp

from tlsfast.certificates import pem, signatures, signatures12
from tlsfast.certificates.names import (
    CertificateNames,
    describe_name,
    describe_oid,
    describe_subject,
    parse_name,
    printable,
)
from tlsfast.certificates.signatures import verify_signature
from tlsfast.errors import ApiMisuse, ConfigurationError, InternalError
from tlsfast.registry import SignatureScheme

__all__ = ["Credential", "Signer", "verify_signature"]

# A coroutine function serves asyncio alone: its answer comes by way of a Sign request.
Signer = Callable[[SignatureScheme, bytes], bytes | Coroutine[Any, Any, bytes]]
# A certificate, a list of them, or where they are kept.
ChainSource = pem.Source | x509.Certificate | Sequence["x509.Certificate | bytes"]
KeySource = pem.Source | PrivateKeyTypes

_DER = serialization.Encoding.DER
EXCHANGES: tuple[signatures12.Exchange, ...] = ("ecdhe", "rsa")
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_SUPPORTED = "RSA of 2048 bits or more, RSA-PSS, P-256, P-384 or Ed25519"
# RFC 8446 has P-521 too, but no configuration of ours offers it: such a credential would never be chosen.
_NOT_OURS = SignatureScheme.ecdsa_secp521r1_sha512


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Credential:
    """A certificate chain (DER, leaf first) and what signs for it. Make one with load or external; it never changes, and threads may share it."""

    chain: tuple[bytes, ...]
    leaf: x509.Certificate
    schemes: tuple[SignatureScheme, ...]
    signature_schemes_in_chain: tuple[SignatureScheme, ...]
    ocsp_response: bytes | None
    signer: Signer | None
    fingerprint: bytes
    names: CertificateNames = field(default_factory=CertificateNames)
    schemes12: tuple[SignatureScheme, ...] = ()  # what it can sign with in TLS 1.2
    auth12: str = "ecdsa"  # the kind of TLS 1.2 cipher suite it serves: "rsa" or "ecdsa"
    exchanges: tuple[signatures12.Exchange, ...] = ()  # the TLS 1.2 key exchanges that its key and keyUsage allow
    _private: signatures.PrivateKey | None = None
    issuers: tuple[bytes, ...] = ()  # DER names of who signed each certificate, for certificate_authorities

    @classmethod
    def load(
        cls,
        chain: ChainSource,
        key: KeySource | None = None,
        *,
        password: str | bytes | None = None,
        ocsp_response: bytes | None = None,
    ) -> Credential:
        """Load a chain and its private key, each from a path, PEM or DER bytes, or cryptography objects.

        Without key, the key stands in the same PEM, or the whole is PKCS#12. password opens an encrypted key.
        Raises ConfigurationError."""
        secret = password.encode() if isinstance(password, str) else password
        certificates, private = _read_both(chain, key, secret)
        certificates = _put_in_order(certificates, private)
        _check_pair(certificates[0], private)
        return cls._make(certificates, private, functools.partial(signatures12.sign12, private), None, ocsp_response)

    @classmethod
    def external(
        cls,
        chain: ChainSource,
        sign: Signer | None = None,
        *,
        schemes: Iterable[SignatureScheme] | None = None,
        ocsp_response: bytes | None = None,
    ) -> Credential:
        """Take a chain whose key is elsewhere (an HSM, an agent): sign(scheme, data) returns the signature.

        Without sign the connection asks by a Sign event. schemes narrows what the signer can do."""
        certificates = _put_in_order(_read_chain(chain, None)[0], None)
        return cls._make(certificates, None, sign, schemes, ocsp_response)

    @classmethod
    def _make(
        cls,
        certificates: list[x509.Certificate],
        private: signatures.PrivateKey | None,
        signer: Signer | None,
        schemes: Iterable[SignatureScheme] | None,
        ocsp_response: bytes | None,
    ) -> Credential:
        leaf = certificates[0]
        chain = tuple(certificate.public_bytes(_DER) for certificate in certificates)
        if ocsp_response is not None:
            _check_ocsp(ocsp_response, leaf)
        return cls(
            chain=chain,
            leaf=leaf,
            schemes=_choose_schemes(leaf, schemes),
            signature_schemes_in_chain=_schemes_in_chain(certificates),
            ocsp_response=ocsp_response,
            signer=signer,
            fingerprint=hashlib.sha256(chain[0]).digest(),
            names=CertificateNames.of(leaf),
            issuers=tuple(certificate.issuer.public_bytes() for certificate in certificates),
            schemes12=signatures12.schemes12_for(leaf) if schemes is None else tuple(schemes),
            auth12=signatures12.auth12(leaf),
            exchanges=tuple(each for each in EXCHANGES if signatures12.allows(leaf, each)),
            _private=private,
        )

    def sign(self, scheme: SignatureScheme, data: bytes) -> bytes:
        """Sign the content of a CertificateVerify (RFC 8446, 4.4.3)."""
        if scheme not in self.schemes and scheme not in self.schemes12:
            raise ApiMisuse(f"the credential {describe_subject(self.leaf)} cannot sign with {scheme!r}", scheme=scheme)
        if self.signer is None:
            raise ApiMisuse(
                f"the credential {describe_subject(self.leaf)} has no signer: answer the connection's Sign event"
            )
        signature = self.signer(scheme, data)
        if not isinstance(signature, bytes):
            raise InternalError(f"the signer answered {type(signature).__name__}, not bytes")
        return signature

    def allows(self, exchange: signatures12.Exchange) -> bool:
        """Tell whether the certificate may do a TLS 1.2 key exchange, "ecdhe" or "rsa" (RFC 5246, 7.4.2)."""
        return exchange in self.exchanges

    @property
    def can_decrypt(self) -> bool:
        """Whether RSA key transport can be done here; else a DecryptPremaster event asks."""
        return self._private is not None and self.auth12 == "rsa"

    def decrypt(self, ciphertext: bytes) -> bytes:
        """Decrypt a premaster secret. What comes out proves nothing about the ciphertext; ValueError for public facts alone."""
        if self._private is None:
            raise ApiMisuse("this credential's key is elsewhere: answer the connection's DecryptPremaster event")
        return signatures12.decrypt_premaster(self._private, ciphertext)

    def check_implicit_rejection(self) -> None:
        """Raise ConfigurationError if decryption with this key would be a padding oracle."""
        if self._private is not None:
            signatures12.check_implicit_rejection(self._private)

    def serves(self, server_name: str) -> bool:
        """Tell whether the certificate is for a name or address, as a client would judge (RFC 9525, 6)."""
        try:
            return self.names.match(parse_name(server_name))
        except ApiMisuse:
            return False

    def __repr__(self) -> str:
        return f"<Credential {describe_subject(self.leaf)} [{signatures.describe_key(self.leaf)}] for {self.names or 'no names'}>"


# --- reading


def _read_both(
    chain: ChainSource, key: KeySource | None, password: bytes | None
) -> tuple[list[x509.Certificate], signatures.PrivateKey]:
    certificates, private = _read_chain(chain, password, with_key=key is None)
    if key is not None:
        private = _read_key(key, password)
    if private is None:
        raise ConfigurationError(
            "there is no private key: give it as the second argument, or in the same PEM as the certificate"
        )
    return certificates, private


def _read_chain(
    source: ChainSource, password: bytes | None, *, with_key: bool = False
) -> tuple[list[x509.Certificate], signatures.PrivateKey | None]:
    if isinstance(source, x509.Certificate):
        return [source], None
    if isinstance(source, Sequence) and not isinstance(source, (str, bytes, bytearray, memoryview)):
        if not source:
            raise ConfigurationError(
                "the certificate chain is empty: give the server's certificate and its intermediates"
            )
        return [_take(item, i) for i, item in enumerate(source)], None
    material = pem.read(source, "certificate chain")
    if not material.is_pem:
        der = material.blocks[0].text
        if _is_pkcs12(der):
            return _read_pkcs12(der, password, material.origin)
        return [_parse(der, material.origin, 0)], None
    certificates = [
        _parse_block(b, material.origin, i) for i, b in enumerate(b for b in material.blocks if b.is_certificate)
    ]
    if not certificates:
        raise ConfigurationError(
            f"{material.origin} holds no certificate; it holds: {material.found()}{_hint(material)}"
        )
    keys = [b for b in material.blocks if b.is_private_key] if with_key else []
    return certificates, _parse_key(keys[0].text, password, material.origin) if keys else None


def _take(item: object, index: int) -> x509.Certificate:
    if isinstance(item, x509.Certificate):
        return item
    if isinstance(item, (bytes, bytearray, memoryview)):
        return _parse(bytes(item), "the certificate chain", index)
    raise ConfigurationError(
        f"certificate {index + 1} of the chain is a {type(item).__name__}: give certificates or their DER"
    )


def _hint(material: pem.Material) -> str:
    labels = {block.label for block in material.blocks}
    if labels & {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}:
        return ". A request (CSR) is what is sent to the CA: use the certificate that the CA returned"
    if any(label.endswith("PRIVATE KEY") for label in labels):
        return ". Chain and key may be swapped"
    return ""


def _parse_block(block: pem.Block, origin: str, index: int) -> x509.Certificate:
    try:
        der = block.der()
    except ValueError as error:
        raise ConfigurationError(f"{origin}: certificate {index + 1} is not valid base64 ({error})") from None
    return _parse(der, origin, index)


def _parse(der: bytes, origin: str, index: int) -> x509.Certificate:
    try:
        return signatures.load_certificate(der)
    except ValueError as error:
        raise ConfigurationError(f"{origin}: certificate {index + 1} cannot be parsed as X.509: {error}") from None


def _read_key(source: KeySource, password: bytes | None) -> signatures.PrivateKey:
    if isinstance(source, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        return source
    if not isinstance(source, (str, bytes, bytearray, memoryview)) and not hasattr(source, "__fspath__"):
        raise ConfigurationError(
            f"a {type(source).__name__} is no private key that can sign in TLS: it needs {_SUPPORTED}"
        )
    material = pem.read(source, "private key")
    if not material.is_pem:
        return _parse_key(material.blocks[0].text, password, material.origin, der=True)
    keys = [b for b in material.blocks if b.is_private_key]
    if not keys:
        raise ConfigurationError(
            f"{material.origin} holds no private key; it holds: {material.found()}{_key_hint(material)}"
        )
    return _parse_key(keys[0].text, password, material.origin)


def _key_hint(material: pem.Material) -> str:
    labels = {block.label for block in material.blocks}
    if "PUBLIC KEY" in labels:
        return ". A public key cannot sign: give the private key that belongs to it"
    if any(block.is_certificate for block in material.blocks):
        return ". Chain and key may be swapped"
    return ""


def _parse_key(data: bytes, password: bytes | None, origin: str, *, der: bool = False) -> signatures.PrivateKey:
    load = serialization.load_der_private_key if der else serialization.load_pem_private_key
    try:
        try:
            # The primality tests take half a second; _check_pair sees in milliseconds whether the key works, as damaged ones do not.
            key: Any = load(data, password, unsafe_skip_rsa_key_validation=True)
        except TypeError as error:
            if password is None:
                raise ConfigurationError(f"{origin}: the private key is encrypted: give its password") from error
            key = load(data, None, unsafe_skip_rsa_key_validation=True)  # not encrypted: the password was not needed
    except UnsupportedAlgorithm as error:
        raise ConfigurationError(
            f"{origin}: the private key is of an unsupported kind ({error}): it needs {_SUPPORTED}"
        ) from None
    except ValueError as error:
        if password is not None:
            raise ConfigurationError(
                f"{origin}: the private key cannot be decrypted: the password is wrong, or the key is damaged"
            ) from None
        raise ConfigurationError(f"{origin}: the private key cannot be parsed: {error}") from None
    except OpenSSLError:  # for a key of the wrong length, as one example; its words are about something else
        raise ConfigurationError(f"{origin}: the private key is damaged: OpenSSL refuses it") from None
    if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        kind = type(key).__name__.removesuffix("PrivateKey")
        raise ConfigurationError(f"{origin}: a private key of kind {kind} cannot sign here: it needs {_SUPPORTED}")
    return key


def _is_pkcs12(der: bytes) -> bool:
    # RFC 7292, 4: PFX ::= SEQUENCE { version INTEGER {v3(3)}, ... }; a certificate begins with another SEQUENCE.
    header = 2 + (der[1] & 0x7F if len(der) > 1 and der[1] & 0x80 else 0)
    return der[header : header + 3] == b"\x02\x01\x03"


def _read_pkcs12(
    data: bytes, password: bytes | None, origin: str
) -> tuple[list[x509.Certificate], signatures.PrivateKey | None]:
    try:
        with warnings.catch_warnings():
            # cryptography warns of BER in place of DER: some systems write it, and who has the file cannot help it.
            warnings.simplefilter("ignore")
            bundle = pkcs12.load_pkcs12(data, password)
    except UnsupportedAlgorithm as error:
        raise ConfigurationError(f"{origin}: this PKCS#12 uses an algorithm that is not supported: {error}") from None
    except signatures.MALFORMED as error:
        wrong = "it needs a password" if password is None else "the password is wrong, or the file is damaged"
        why = printable(str(error))
        raise ConfigurationError(f"{origin}: the PKCS#12 cannot be opened: {wrong} ({why})") from None
    found = [bundle.cert, *bundle.additional_certs]
    certificates = [entry.certificate for entry in found if entry is not None]
    if not certificates or bundle.key is None:
        raise ConfigurationError(
            f"{origin}: the PKCS#12 holds no {'certificate' if not certificates else 'private key'}"
        )
    if not isinstance(bundle.key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        raise ConfigurationError(f"{origin}: its private key cannot sign here: it needs {_SUPPORTED}")
    return certificates, bundle.key


# --- checking


def _put_in_order(certificates: list[x509.Certificate], key: signatures.PrivateKey | None) -> list[x509.Certificate]:
    """Bring the leaf to the front and each issuer behind what it issued; refuse what belongs to another chain."""
    for number, certificate in enumerate(certificates, 1):
        try:
            signatures.read_parts(certificate)
        except signatures.MALFORMED as error:
            raise ConfigurationError(
                f"certificate {number} of the chain is malformed ({error}): have it reissued"
            ) from None
    rest = list(dict.fromkeys(certificates))
    leaf = rest[0]
    if key is not None:
        leaf = next((c for c in rest if _same_key(c, key)), leaf)
    ordered = [leaf]
    rest.remove(leaf)
    while rest and (issuer := next((c for c in rest if _issued(c, ordered[-1])), None)) is not None:
        ordered.append(issuer)
        rest.remove(issuer)
    for other in rest:
        # Another certificate of an issuer in the chain is a second path (cross-signing), which peers may use: RFC 8446, 4.4.2.
        if all(other.subject != c.issuer for c in (*ordered, *rest) if c is not other):
            missing = (
                f" (or the certificate of {describe_name(ordered[-1].issuer)} between them is missing)"
                if len(ordered) == 1
                else ""
            )
            raise ConfigurationError(
                f"the certificate {describe_subject(other)} does not belong to the chain of {describe_subject(leaf)}: remove it{missing}"
            )
    return ordered + rest


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _same_key(certificate: x509.Certificate, key: signatures.PrivateKey) -> bool:
    try:
        public = certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return False
    return public.public_bytes(_DER, _SPKI) == key.public_key().public_bytes(_DER, _SPKI)


def _check_pair(leaf: x509.Certificate, key: signatures.PrivateKey) -> None:
    if not _same_key(leaf, key):
        raise ConfigurationError(
            f"the private key does not belong to the certificate {describe_subject(leaf)} ({signatures.describe_key(leaf)}):"
            " give the key that its request was made with"
        )
    if isinstance(key, rsa.RSAPrivateKey):
        _try_out(key)


def _try_out(key: rsa.RSAPrivateKey) -> None:
    """Sign and verify: a key whose parts do not belong together would fail in every handshake, and its faulty signatures tell about the key."""
    message = b"tlsfast: is this key whole?"
    try:
        signature = key.sign(message, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError, OpenSSLError):
        raise ConfigurationError("the private key is damaged: it signs what its own public key refuses") from None


def _choose_schemes(leaf: x509.Certificate, wanted: Iterable[SignatureScheme] | None) -> tuple[SignatureScheme, ...]:
    subject = describe_subject(leaf)
    try:
        fitting = tuple(scheme for scheme in signatures.schemes_for(leaf) if scheme != _NOT_OURS)
    except signatures.KeyRefused as error:
        raise ConfigurationError(f"the certificate {subject} has {error}: it needs {_SUPPORTED}") from None
    if not fitting:
        raise ConfigurationError(
            f"the certificate {subject} has a key ({signatures.describe_key(leaf)}) that fits no scheme: it needs {_SUPPORTED}"
        )
    if wanted is None:
        return fitting
    chosen = tuple(wanted)
    if not chosen or any(scheme not in fitting for scheme in chosen):
        names = ", ".join(scheme.name for scheme in fitting)
        raise ConfigurationError(f"schemes for the certificate {subject} must be among {names}")
    return chosen


def _schemes_in_chain(certificates: list[x509.Certificate]) -> tuple[SignatureScheme, ...]:
    schemes: dict[SignatureScheme, None] = {}
    for certificate in certificates:
        if certificate.subject == certificate.issuer:
            continue  # RFC 8446, 4.4.2.2: a self-signed certificate's signature is not validated, so any algorithm will do
        issuer = next((c for c in certificates if c.subject == certificate.issuer), None)
        scheme = signatures.scheme_of_signature(certificate, issuer)
        if scheme is None:
            name = describe_oid(certificate.signature_algorithm_oid)
            raise ConfigurationError(
                f"the certificate {describe_subject(certificate)} is signed with {name}, which TLS 1.3 peers refuse: have it reissued with SHA-256"
            )
        schemes[scheme] = None
    return tuple(schemes)


def _check_ocsp(response: bytes, leaf: x509.Certificate) -> None:
    try:
        parsed = ocsp.load_der_ocsp_response(response)
        good = parsed.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
        serials = {single.serial_number for single in parsed.responses} if good else set()
    except ValueError as error:
        raise ConfigurationError(f"the OCSP response cannot be parsed as DER: {error}") from None
    if not good:
        raise ConfigurationError(f"the OCSP response carries the status {parsed.response_status.name}: fetch it again")
    if leaf.serial_number not in serials:
        raise ConfigurationError(f"the OCSP response is not for the certificate {describe_subject(leaf)}")
