# SPDX-License-Identifier: Apache-2.0
"""Authentication: Certificate, CertificateVerify and Finished, made and checked (RFC 8446, 4.4)."""

from __future__ import annotations

import functools
import time
from typing import Any

from tlsfast import crypto
from tlsfast.certificates.names import printable
from tlsfast.config import SIGNATURE_SCHEMES_13, ClientConfig, ServerConfig
from tlsfast.credentials import Credential, verify_signature
from tlsfast.crypto import KeySchedule
from tlsfast.errors import (
    AccessDenied,
    ApiMisuse,
    DecodeError,
    DecryptError,
    IllegalParameter,
    InternalError,
    PeerError,
    UnsupportedExtension,
)
from tlsfast.events import Sign, VerifyChain
from tlsfast.handshake.flow import Handshake, Step, ask, asks
from tlsfast.handshake.negotiate import names
from tlsfast.messages.extensions import CertificateEntryExtensions
from tlsfast.messages.handshake import Certificate, CertificateEntry, CertificateVerify, Finished
from tlsfast.registry import ExtensionType, SignatureScheme
from tlsfast.sessions import SEVEN_DAYS
from tlsfast.trust import VerifiedChain

# Bytes of the names of authorities in a CertificateRequest.
MAX_AUTHORITIES = 16 * 1024

SERVER = b"TLS 1.3, server CertificateVerify"
CLIENT = b"TLS 1.3, client CertificateVerify"


def signed_content(signer: bytes, transcript_hash: bytes) -> bytes:
    """What a CertificateVerify signs (RFC 8446, 4.4.3)."""
    return b" " * 64 + signer + b"\0" + transcript_hash


# ---- Showing who we are ----


def send_certificate(hs: Handshake, credential: Credential | None, context: bytes, *, staple: bool) -> None:
    """Our chain, leaf first, with the OCSP response where the peer asked for it; empty without a credential."""
    if credential is None:
        hs.send(Certificate(context))
    else:
        hs.send_encoded(*_encoded(credential.chain, credential.ocsp_response if staple else None, context))


@functools.lru_cache(64)
def _encoded(chain: tuple[bytes, ...], response: bytes | None, context: bytes) -> tuple[Certificate, bytes]:
    """A configuration sends the same message again and again."""
    responses = (response, *[None] * (len(chain) - 1))
    entries = (
        CertificateEntry(der, CertificateEntryExtensions(status_request=each))
        for der, each in zip(chain, responses, strict=True)
    )
    message = Certificate(context, tuple(entries))
    return message, message.encode()


def send_certificate_verify(
    hs: Handshake, credential: Credential, scheme: SignatureScheme, signer: bytes
) -> Step[None]:
    """Sign the transcript with the credential, or have it signed outside."""
    content = signed_content(signer, hs.transcript.digest())
    if credential.signer is not None and not asks(credential.signer):
        signature = credential.sign(scheme, content)
    else:
        signature = yield from ask(Sign(scheme, content, credential))
        if not isinstance(signature, bytes):
            raise InternalError(f"the signer answered {type(signature).__name__}, not bytes")
    hs.send(CertificateVerify(scheme, signature))
    if signer == CLIENT:
        hs.client_scheme = scheme


def send_finished(hs: Handshake, schedule: KeySchedule, base_key: int) -> None:
    hs.send(Finished(schedule.finished(base_key, hs.transcript.digest())))


# ---- Checking who the peer is ----


def certificate_chain(
    certificate: Certificate, context: bytes, *, staple_asked: bool
) -> tuple[tuple[bytes, ...], bytes | None]:
    """The peer's chain as DER, leaf first, and the leaf's OCSP response."""
    if certificate.certificate_request_context != context:
        raise IllegalParameter("certificate_request_context is not the one that was asked with")
    for entry in certificate.entries:
        # RFC 8446, 4.4.2: extensions MUST correspond to ones from the ClientHello or CertificateRequest
        for kind in entry.extensions.order:
            if kind != ExtensionType.status_request or not staple_asked:
                raise UnsupportedExtension(f"a certificate came with extension {kind}, which was not asked for")
    chain = tuple(entry.cert_data for entry in certificate.entries)
    return chain, certificate.entries[0].extensions.status_request if chain else None


def ends_at(verified: VerifiedChain) -> float:
    """Until when a session may stand for this verification, however often it is renewed (RFC 8446, 4.6.1: it is RECOMMENDED to limit that):
    the path's end, and seven days at most."""
    return min(verified.not_after.timestamp(), time.time() + SEVEN_DAYS)


def verify_server(
    hs: Handshake,
    config: ClientConfig,
    chain: tuple[bytes, ...],
    staple: bytes | None,
    *,
    transports_keys: bool = False,
) -> Step[VerifiedChain | None]:
    """Verify the server's chain against our trust and the name we asked for, then ask the verify hook."""
    if not chain:
        # RFC 8446, 4.4.2.4: If the server supplies an empty Certificate message, the client MUST abort with a "decode_error" alert
        raise DecodeError("the server sent no certificate")
    verified = None
    if not config.insecure_skip_verification:
        name = None if config.insecure_skip_name_check else hs.server_name
        if name is None and not config.insecure_skip_name_check:
            raise InternalError("no server_name to verify the certificate for")
        verified = config.trust_store.verify_server(
            chain, name, ocsp_response=staple, transports_keys=transports_keys, cache=config.chains
        )
    yield from _verify_hook(config, VerifyChain(chain, hs.server_name, verified.path if verified else (), staple))
    return verified


def verify_client(config: ServerConfig, chain: tuple[bytes, ...]) -> Step[VerifiedChain]:
    """Verify a client's chain against the server's trust, then ask the verify hook."""
    if config.trust is None:
        raise InternalError("client certificates without trust")
    verified = config.trust.verify_client(chain, cache=config.chains)
    yield from _verify_hook(config, VerifyChain(chain, None, verified.path, None))
    return verified


def _verify_hook(config: ClientConfig | ServerConfig, question: VerifyChain) -> Step[None]:
    """Ask the hook. None or True accepts: a mistaken answer, such as an exception's class, must not pass for want of an exception raised."""
    hook: Any = config.verify
    if hook is None:
        return
    try:
        answer = (yield from ask(question)) if asks(hook) else hook(question)
    except (PeerError, InternalError, ApiMisuse):
        raise
    except Exception as error:
        raise AccessDenied(f"the verify hook refused the peer: {error}", check="verify hook", depth=0) from error
    if answer is not None and answer is not True:
        said = "False" if answer is False else f"neither None nor True but {printable(repr(answer))}"
        raise AccessDenied(f"the verify hook refused the peer: it answered {said}", check="verify hook", depth=0)


def verify_again(
    hs: Handshake, config: ClientConfig | ServerConfig, chain: tuple[bytes, ...], verified: tuple[bytes, ...]
) -> Step[None]:
    """A resumed session skips no check that a full one makes: the hook sees the chain of the session."""
    name = hs.server_name if isinstance(config, ClientConfig) else None
    yield from _verify_hook(config, VerifyChain(chain, name, verified, None, resumed=True))


def check_certificate_verify(hs: Handshake, leaf: bytes, message: CertificateVerify, signer: bytes) -> SignatureScheme:
    """RFC 8446, 4.4.3: the peer holds the leaf's key and saw the same handshake."""
    # RFC 8446, 4.2.3: the rsa_pkcs1 schemes are not defined for use in signed TLS handshake messages
    if message.algorithm not in hs.config.signature_schemes or message.algorithm not in SIGNATURE_SCHEMES_13:
        raise IllegalParameter(
            f"CertificateVerify is signed with {names(SignatureScheme, (message.algorithm,))}, which was not offered"
        )
    verify_signature(leaf, message.algorithm, message.signature, signed_content(signer, hs.transcript.before))
    scheme = SignatureScheme(message.algorithm)
    if signer == CLIENT:
        hs.client_scheme = scheme
    return scheme


def check_finished(hs: Handshake, schedule: KeySchedule, base_key: int, message: Finished) -> None:
    expected = schedule.finished(base_key, hs.transcript.before)
    if len(message.verify_data) != len(expected):
        # RFC 8446, 6: a message that cannot be parsed by its syntax, verify_data[Hash.length], MUST earn a "decode_error" alert
        raise DecodeError(f"verify_data has {len(message.verify_data)} bytes; the suite's hash has {len(expected)}")
    if not crypto.equal(expected, message.verify_data):
        # RFC 8446, 4.4.4: Recipients MUST verify that the contents are correct and if incorrect MUST terminate with a "decrypt_error" alert
        raise DecryptError("Finished does not match: the two sides saw different handshakes")


def authorities(config: ServerConfig) -> tuple[bytes, ...]:
    """DER names of whom client certificates must come from; none where they are so many that they would only burden the client."""
    if config.trust is None:
        raise InternalError("client_auth without trust")
    named = config.trust.subjects
    return named if sum(len(name) + 2 for name in named) <= MAX_AUTHORITIES else ()
