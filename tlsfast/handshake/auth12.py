# SPDX-License-Identifier: Apache-2.0
"""Authentication in TLS 1.2: signatures over parameters and messages, key types, RSA key transport (RFC 5246, 4.7, 7.4; RFC 8422, 5)."""

from __future__ import annotations

from tlsfast.certificates.signatures12 import verify_signature12
from tlsfast.config import Config
from tlsfast.credentials import Credential
from tlsfast.crypto import Suite12
from tlsfast.errors import IllegalParameter, InternalError
from tlsfast.events import HandshakeCompleted, Sign
from tlsfast.handshake.flow import Handshake, Step, ask, asks
from tlsfast.handshake.negotiate import names
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion


def sign(credential: Credential, scheme: SignatureScheme, data: bytes) -> Step[bytes]:
    """Sign with the credential, or have it signed outside."""
    if credential.signer is not None and not asks(credential.signer):
        return credential.sign(scheme, data)
    signature = yield from ask(Sign(scheme, data, credential))
    if not isinstance(signature, bytes):
        raise InternalError(f"the signer answered {type(signature).__name__}, not bytes")
    return signature


def check_signature(
    config: Config, suite: Suite12 | None, leaf: bytes, algorithm: int, signature: bytes, data: bytes
) -> SignatureScheme:
    """A signature of the peer: by a scheme that was offered, of the kind that the suite names (RFC 5246, 7.4.3, 7.4.8)."""
    if algorithm not in config.signature_schemes:
        raise IllegalParameter(f"a signature by {names(SignatureScheme, (algorithm,))}, which was not offered")
    scheme = SignatureScheme(algorithm)
    if suite is not None and suite.auth != kind_of(scheme):
        raise IllegalParameter(f"a signature by {scheme.name} does not belong to the cipher suite")
    verify_signature12(leaf, algorithm, signature, data)
    return scheme


def kind_of(scheme: SignatureScheme) -> str:
    """ "rsa" or "ecdsa", as cipher suites say it; EdDSA goes with the ECDSA suites (RFC 8422, 5.10)."""
    return "rsa" if scheme.name.startswith("rsa_") else "ecdsa"


def completed(
    hs: Handshake,
    number: CipherSuite,
    alpn: str | None,
    peer_chain: tuple[bytes, ...],
    verified_chain: tuple[bytes, ...],
    *,
    group: NamedGroup | None = None,
    scheme: SignatureScheme | None = None,
    resumed: bool = False,
) -> HandshakeCompleted:
    """The event that both flows end with."""
    return HandshakeCompleted(
        version=TLSVersion.TLSv1_2,
        cipher_suite=number,
        group=group,
        signature_scheme=scheme,
        alpn=alpn,
        server_name=hs.server_name,
        resumed=resumed,
        peer_chain=peer_chain,
        verified_chain=verified_chain,
    )
