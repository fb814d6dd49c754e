# SPDX-License-Identifier: Apache-2.0
"""The TLS 1.3 client from ServerHello to its Finished (RFC 8446, 2)."""

from __future__ import annotations

from dataclasses import dataclass

from tlsfast.config import ClientConfig
from tlsfast.credentials import Credential
from tlsfast.crypto import (
    CLIENT_APPLICATION,
    CLIENT_HANDSHAKE,
    SERVER_APPLICATION,
    SERVER_HANDSHAKE,
    SUITES,
    KeySchedule,
)
from tlsfast.errors import IllegalParameter, MissingExtension
from tlsfast.events import HandshakeCompleted
from tlsfast.handshake import auth, keys13
from tlsfast.handshake.flow import Established13, Flow, Handshake, Step, expect
from tlsfast.handshake.offer import Offer, check_echoes, check_offered
from tlsfast.messages.extensions import EncryptedExtensionsBlock
from tlsfast.messages.handshake import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    EncryptedExtensions,
    Finished,
    ServerHello,
)
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion
from tlsfast.sessions import Session


@dataclass(frozen=True, slots=True)
class Peer:
    """Who the server showed itself to be; in a resumed session, who it showed itself to be then."""

    chain: tuple[bytes, ...]
    verified: tuple[bytes, ...]
    scheme: SignatureScheme | None
    expires_at: float | None


def client_flow13(hs: Handshake, config: ClientConfig, offer: Offer, server_hello: ServerHello) -> Flow:
    """RFC 8446, 2: from ServerHello to the client's Finished."""
    session, schedule = agree(hs, offer, server_hello)
    hs.read_with(schedule, SERVER_HANDSHAKE, "handshake")
    hs.reader.allow_plaintext_alert()
    hs.write_with(schedule, CLIENT_HANDSHAKE, "handshake")  # from here our alerts are encrypted too
    encrypted = yield from expect(EncryptedExtensions)
    alpn = accept_extensions(hs, config, offer, encrypted.extensions)

    request: CertificateRequest | None = None
    if session is not None:
        peer = Peer(session.peer_chain, session.verified_chain, None, session.chain_expires_at)
        yield from auth.verify_again(hs, config, peer.chain, peer.verified)
    else:
        certificate = yield from expect(CertificateRequest, Certificate)
        if isinstance(certificate, CertificateRequest):
            request, certificate = certificate, (yield from expect(Certificate))
            check_request(request)
        peer = yield from authenticate(hs, config, certificate)
    auth.check_finished(hs, schedule, SERVER_HANDSHAKE, (yield from expect(Finished)))
    keys13.application_secrets(hs, schedule)
    hs.read_with(schedule, SERVER_APPLICATION, "application")

    if offer.hello.legacy_session_id and not offer.retried:
        # RFC 8446, D.4: immediately before the second flight. Sent any sooner, alone, it would make that flight wait for its acknowledgement.
        hs.send_change_cipher_spec()
    if request is not None:
        yield from answer_request(hs, config, request)
    auth.send_finished(hs, schedule, CLIENT_HANDSHAKE)
    hs.write_with(schedule, CLIENT_APPLICATION, "application")
    keys13.resumption_master_secret(hs, schedule)
    share = server_hello.extensions.key_share
    completed = HandshakeCompleted(
        version=TLSVersion.TLSv1_3,
        cipher_suite=CipherSuite(server_hello.cipher_suite),
        group=NamedGroup(share.group) if share is not None else None,
        signature_scheme=peer.scheme,
        alpn=alpn,
        server_name=hs.server_name,
        resumed=session is not None,
        peer_chain=peer.chain,
        verified_chain=peer.verified,
    )
    leaf = peer.chain[0] if peer.chain else None
    return Established13(completed, keys13.Exporter13(schedule), leaf, schedule, peer.expires_at)


def agree(hs: Handshake, offer: Offer, server_hello: ServerHello) -> tuple[Session | None, KeySchedule]:
    """Check the server's choices (RFC 8446, 4.1.3, 4.2.8, 4.2.11) and derive the handshake secrets."""
    check_echoes(offer, server_hello)
    extensions = server_hello.extensions
    check_offered(extensions, offer.hello.extensions, "ServerHello")
    suite, session = SUITES[server_hello.cipher_suite], None
    if extensions.pre_shared_key is not None:
        session = offer.session
        # RFC 8446, 4.2.11: MUST verify that the identity is in range and that the suite's hash is the PSK's, else "illegal_parameter"
        if session is None or extensions.pre_shared_key != 0 or SUITES[session.cipher_suite].hash != suite.hash:
            raise IllegalParameter("the server chose a pre-shared key that was not offered for this cipher suite")
    if extensions.key_share is None and session is not None:
        # RFC 8446, 4.2.11: MUST verify that key_share is present if psk_key_exchange_modes requires it, else "illegal_parameter"
        raise IllegalParameter("the server took our pre-shared key without key_share, a mode that was not offered")
    if extensions.key_share is None:
        raise MissingExtension("the ServerHello has no key_share, which every key exchange offered here needs")
    share = offer.shares.get(extensions.key_share.group)
    if share is None:
        raise IllegalParameter(
            f"the server's key_share is for group {extensions.key_share.group}, for which none was sent"
        )
    shared = share.agree(extensions.key_share.key_exchange)
    hs.decided("version", TLSVersion.TLSv1_3)
    hs.decided("cipher_suite", CipherSuite(server_hello.cipher_suite))
    hs.decided("group", NamedGroup(share.group))
    hs.decided("resumption", session is not None)
    hs.transcript.use_hash(suite.hash)
    return session, keys13.handshake_secrets(hs, suite, session.psk if session else None, shared)


def accept_extensions(hs: Handshake, config: ClientConfig, offer: Offer, block: EncryptedExtensionsBlock) -> str | None:
    """EncryptedExtensions (RFC 8446, 4.3.1): only what was offered; the ALPN protocol chosen is the answer."""
    check_offered(block, offer.hello.extensions, "EncryptedExtensions")
    if block.record_size_limit is not None and config.record_size_limit is not None:
        # RFC 8449, 4: negotiated only now; a server that does not know it sends what it always does
        hs.writer.set_limit(min(block.record_size_limit, 16385))
        hs.reader.set_limit(config.record_size_limit)
    if block.alpn is None:
        return None
    chosen = block.alpn.decode("utf-8", "replace")
    if chosen not in config.alpn:
        raise IllegalParameter(f"the server chose the protocol {chosen!r}, which was not offered")
    hs.decided("alpn", chosen)
    return chosen


def authenticate(hs: Handshake, config: ClientConfig, certificate: Certificate) -> Step[Peer]:
    """The server's Certificate and CertificateVerify (RFC 8446, 4.4.2, 4.4.3)."""
    chain, staple = auth.certificate_chain(certificate, b"", staple_asked=config.request_ocsp)
    verified = yield from auth.verify_server(hs, config, chain, staple)
    verify = yield from expect(CertificateVerify)
    scheme = auth.check_certificate_verify(hs, chain[0], verify, auth.SERVER)
    hs.decided("server_certificate", chain)
    if verified is None:
        return Peer(chain, (), scheme, None)
    return Peer(chain, verified.path, scheme, auth.ends_at(verified))


def check_request(request: CertificateRequest) -> None:
    """RFC 8446, 4.3.2: in the handshake the context is empty; signature_algorithms MUST be there."""
    if request.certificate_request_context:
        raise IllegalParameter("a CertificateRequest in the handshake has a context")
    if request.extensions.signature_algorithms is None:
        raise MissingExtension("the CertificateRequest has no signature_algorithms")


def answer_request(hs: Handshake, config: ClientConfig, request: CertificateRequest) -> Step[None]:
    """Our Certificate, and CertificateVerify if there is one; an empty Certificate where no credential fits (RFC 8446, 4.4.2)."""
    chosen = choose_credential(config, request)
    credential = chosen[0] if chosen else None
    hs.decided("client_certificate", credential)
    auth.send_certificate(hs, credential, request.certificate_request_context, staple=request.extensions.status_request)
    if chosen is not None:
        yield from auth.send_certificate_verify(hs, *chosen, auth.CLIENT)


def choose_credential(config: ClientConfig, request: CertificateRequest) -> tuple[Credential, SignatureScheme] | None:
    """The first credential that signs as asked, those of the authorities named first."""
    offered = request.extensions.signature_algorithms or ()
    authorities = request.extensions.certificate_authorities or ()
    usable = [
        (credential, scheme)
        for credential in config.credentials
        for scheme in credential.schemes
        if scheme in offered and scheme in config.signature_schemes
    ]
    for credential, scheme in usable:
        if any(issuer in authorities for issuer in credential.issuers):
            return credential, scheme
    return usable[0] if usable else None
