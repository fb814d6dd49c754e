# SPDX-License-Identifier: Apache-2.0
"""The TLS 1.2 client from ServerHello to both Finished: a full handshake, or one that resumes (RFC 5246, 7.3; RFC 5077, 3.1)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.certificates.signatures12 import check_allows, encrypt_premaster
from tlsfast.config import ClientConfig
from tlsfast.credentials import Credential
from tlsfast.crypto import SUITES12, Secret, Suite12
from tlsfast.errors import HandshakeFailure, IllegalParameter
from tlsfast.handshake import auth, auth12, keys12
from tlsfast.handshake.flow import Established12, Flow, Handshake, Step, expect
from tlsfast.handshake.keys12 import CLIENT_FINISHED, SERVER_FINISHED, Session12
from tlsfast.handshake.offer import Offer, check_offered
from tlsfast.keyshare import CURVES, KeyShare
from tlsfast.messages.handshake import CertificateVerify, ServerHello
from tlsfast.messages.handshake12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ChangeCipherSpec,
    ClientKeyExchange,
    Finished12,
    NewSessionTicket12,
    ServerHelloDone,
    ServerKeyExchange,
)
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion
from tlsfast.sessions import Session


@dataclass(frozen=True, slots=True)
class Agreed:
    """What the ServerHello settled."""

    suite: Suite12
    number: CipherSuite
    server_random: bytes
    extended: bool
    alpn: str | None
    ticket: bool
    staple: bool


@dataclass(frozen=True, slots=True)
class Peer:
    """Who the server showed itself to be; in a resumed session, who it showed itself to be then."""

    chain: tuple[bytes, ...]
    verified: tuple[bytes, ...]
    expires_at: float | None


def client_flow12(hs: Handshake, config: ClientConfig, offer: Offer, server_hello: ServerHello) -> Flow:
    """RFC 5246, 7.3: from ServerHello on; steps 2 to 8 of the nine."""
    agreed = accept_hello(hs, config, offer, server_hello)
    session_id = server_hello.legacy_session_id_echo
    old = resumed_session(config, offer, server_hello, agreed)
    if old is not None:
        return (yield from resume(hs, config, agreed, old, session_id))

    certificate = yield from expect(Certificate12)
    staple, message = yield from staple_and_next(agreed)
    peer = yield from authenticate(hs, config, agreed, certificate, staple)
    key_exchange = message if isinstance(message, ServerKeyExchange) else None
    share, scheme = check_key_exchange(hs, config, agreed, peer, key_exchange)
    request = (yield from expect(CertificateRequest12, ServerHelloDone)) if key_exchange is not None else message
    chosen = None
    if isinstance(request, CertificateRequest12):
        yield from expect(ServerHelloDone)
        chosen = choose_credential(config, request)
        hs.send(Certificate12(chosen[0].chain if chosen else ()))
    premaster = send_key_exchange(hs, peer, share, key_exchange)
    session = keys12.master_secret(hs, agreed.suite, premaster, agreed.server_random, extended=agreed.extended)
    if chosen is not None:
        signature = yield from auth12.sign(chosen[0], chosen[1], hs.transcript.messages)
        hs.send(CertificateVerify(chosen[1], signature))
        hs.client_scheme = chosen[1]
    key_block = session.key_block()
    hs.send_change_cipher_spec()
    hs.write_with12(agreed.number, key_block, client=True)
    finished = keys12.send_finished(hs, session, CLIENT_FINISHED)

    ticket = (yield from expect(NewSessionTicket12)) if agreed.ticket else None
    yield from expect(ChangeCipherSpec)
    hs.read_with12(agreed.number, key_block, client=False)
    key_block.wipe()
    keys12.check_finished(hs, session, SERVER_FINISHED, (yield from expect(Finished12)))
    keep_session(hs, config, agreed, session, peer, ticket, session_id)
    group = NamedGroup(key_exchange.group) if key_exchange is not None else None
    completed = auth12.completed(hs, agreed.number, agreed.alpn, peer.chain, peer.verified, group=group, scheme=scheme)
    return Established12(completed, session, peer.chain[0], finished, agreed.extended)


def resume(hs: Handshake, config: ClientConfig, agreed: Agreed, old: Session, session_id: bytes) -> Flow:
    """RFC 5246, 7.3, the abbreviated handshake: the server finishes first."""
    peer = Peer(old.peer_chain, old.verified_chain, old.chain_expires_at)
    yield from auth.verify_again(hs, config, peer.chain, peer.verified)
    session = Session12(agreed.suite, old.psk, hs.client_random, agreed.server_random, agreed.extended)
    hs.derived("CLIENT_RANDOM", old.psk)
    key_block = session.key_block()
    ticket = (yield from expect(NewSessionTicket12)) if agreed.ticket else None
    yield from expect(ChangeCipherSpec)
    hs.read_with12(agreed.number, key_block, client=False)
    finished = keys12.check_finished(hs, session, SERVER_FINISHED, (yield from expect(Finished12)))
    hs.send_change_cipher_spec()
    hs.write_with12(agreed.number, key_block, client=True)
    key_block.wipe()
    keys12.send_finished(hs, session, CLIENT_FINISHED)
    if ticket is not None and ticket.ticket:
        keep_session(hs, config, agreed, session, peer, ticket, session_id)
    elif config.sessions is not None:
        # RFC 5077, 3.3: without a new ticket the old one, or the session id, serves again
        hs.kept(config.sessions.put(config.session_key(hs.server_name), old))
    completed = auth12.completed(hs, agreed.number, agreed.alpn, peer.chain, peer.verified, resumed=True)
    return Established12(completed, session, peer.chain[0] if peer.chain else None, finished, agreed.extended)


# ---- ServerHello ----


def accept_hello(hs: Handshake, config: ClientConfig, offer: Offer, server_hello: ServerHello) -> Agreed:
    """The server's choices and its answers to our extensions (RFC 5246, 7.4.1.3)."""
    extensions = server_hello.extensions
    number = server_hello.cipher_suite
    if number not in offer.hello.cipher_suites or number not in SUITES12:
        raise IllegalParameter(f"the server chose cipher suite 0x{number:04x}, which was not offered for TLS 1.2")
    if server_hello.legacy_compression_method != 0:
        raise IllegalParameter("the server chose a compression method")
    check_offered(extensions, offer.hello.extensions, "ServerHello")
    if extensions.renegotiation_info is None:
        if config.require_secure_renegotiation:
            # RFC 5746, 4.1: clients that wish to ensure that such attacks are impossible SHOULD terminate the connection
            raise HandshakeFailure("the server does not know renegotiation_info (RFC 5746): it must be patched")
    elif extensions.renegotiation_info != b"":
        # RFC 5746, 3.4: MUST abort the handshake by sending a fatal handshake_failure alert if it is not zero-length
        raise HandshakeFailure(
            "the server's renegotiation_info speaks of an earlier handshake, of which there was none"
        )
    if not extensions.extended_master_secret and config.require_extended_master_secret:
        raise HandshakeFailure(
            "the server does not have extended_master_secret (RFC 7627); require_extended_master_secret=False allows that"
        )
    if extensions.ec_point_formats is not None and 0 not in extensions.ec_point_formats:
        raise IllegalParameter("the server's ec_point_formats lacks the uncompressed form (RFC 8422, 5.1.2)")
    if extensions.record_size_limit is not None and config.record_size_limit is not None:
        hs.writer.set_limit(min(extensions.record_size_limit, 16384))
        hs.reader.set_limit(min(config.record_size_limit, 16384))
    alpn = None
    if extensions.alpn is not None:
        alpn = extensions.alpn.decode("utf-8", "replace")
        if alpn not in config.alpn:
            raise IllegalParameter(f"the server chose the protocol {alpn!r}, which was not offered")
    suite = SUITES12[number]
    for what, value in (("version", TLSVersion.TLSv1_2), ("cipher_suite", CipherSuite(number)), ("alpn", alpn)):
        hs.decided(what, value)
    hs.transcript.use_hash(suite.hash, keep_messages=True)
    return Agreed(
        suite,
        CipherSuite(number),
        server_hello.random,
        extensions.extended_master_secret,
        alpn,
        extensions.session_ticket is not None,
        extensions.status_request,
    )


def resumed_session(config: ClientConfig, offer: Offer, server_hello: ServerHello, agreed: Agreed) -> Session | None:
    """The session that the server resumes by echoing its session id (RFC 5246, 7.4.1.3; RFC 5077, 3.4)."""
    echo, session = server_hello.legacy_session_id_echo, offer.session12
    if not echo or echo != offer.hello.legacy_session_id:
        return None
    if session is None:
        raise IllegalParameter("the server resumes a session that was not offered")
    if session.cipher_suite != agreed.number:
        # RFC 5246, 7.4.1.3: for resumed sessions, this field is the value from the state of the session being resumed
        raise IllegalParameter("the server resumes a session with another cipher suite")
    if session.extended != agreed.extended:
        # RFC 7627, 5.3: if the original session used the extension and the ServerHello does not (or the reverse), the client MUST abort
        raise HandshakeFailure("the server resumes a session but differs in extended_master_secret")
    return session


# ---- Certificate, ServerKeyExchange ----


# What may follow the server's Certificate and CertificateStatus: ECDHE has a ServerKeyExchange, RSA has none.
After = ServerKeyExchange | CertificateRequest12 | ServerHelloDone
AFTER: dict[str, tuple[type[After], ...]] = {
    "ecdhe": (ServerKeyExchange,),
    "rsa": (CertificateRequest12, ServerHelloDone),
}


def staple_and_next(agreed: Agreed) -> Step[tuple[bytes | None, After]]:
    """CertificateStatus, where the server promised one and keeps it (RFC 6066, 8), and the message after it."""
    kinds = AFTER[agreed.suite.exchange]
    message: CertificateStatus | After
    message = yield from expect(*kinds, CertificateStatus) if agreed.staple else expect(*kinds)
    if not isinstance(message, CertificateStatus):
        return None, message
    following: After = yield from expect(*kinds)
    return message.ocsp_response, following


def authenticate(
    hs: Handshake, config: ClientConfig, agreed: Agreed, certificate: Certificate12, staple: bytes | None
) -> Step[Peer]:
    """The chain, and that its key may be used as the suite needs (RFC 5246, 7.4.2)."""
    verified = yield from auth.verify_server(
        hs, config, certificate.chain, staple, transports_keys=agreed.suite.exchange == "rsa"
    )
    check_allows(certificate.chain[0], agreed.suite.auth, agreed.suite.exchange)
    hs.decided("server_certificate", certificate.chain)
    if verified is None:
        return Peer(certificate.chain, (), None)
    return Peer(certificate.chain, verified.path, auth.ends_at(verified))


def check_key_exchange(
    hs: Handshake, config: ClientConfig, agreed: Agreed, peer: Peer, message: ServerKeyExchange | None
) -> tuple[KeyShare | None, SignatureScheme | None]:
    """The server's ECDHE parameters: a group that was offered, signed with both randoms (RFC 8422, 5.4)."""
    if message is None:
        return None, None
    if message.group not in config.groups or message.group not in CURVES:
        raise IllegalParameter(f"the server chose the group {message.group}, which was not offered for TLS 1.2")
    signed = hs.client_random + agreed.server_random + message.params
    scheme = auth12.check_signature(
        hs.config, agreed.suite, peer.chain[0], message.algorithm, message.signature, signed
    )
    hs.decided("group", NamedGroup(message.group))
    return KeyShare(message.group), scheme


# ---- ClientKeyExchange ----


def send_key_exchange(hs: Handshake, peer: Peer, share: KeyShare | None, message: ServerKeyExchange | None) -> Secret:
    """Our half of the key exchange; the premaster secret (RFC 5246, 7.4.7; RFC 8422, 5.7)."""
    if share is not None and message is not None:
        premaster = share.agree(message.public)
        hs.send(ClientKeyExchange.ecdhe(share.public))
        return premaster
    # Step 4 of the nine: 48 bytes, of which the first two are the newest version offered, encrypted with the server's public key
    plain = crypto.rsa_premaster(TLSVersion.TLSv1_2)
    hs.send(ClientKeyExchange.rsa(encrypt_premaster(peer.chain[0], plain)))
    return Secret.from_bytes(plain)


# RFC 5246, 7.4.4: rsa_sign, ecdsa_sign
CERTIFICATE_TYPE = {"rsa": 1, "ecdsa": 64}


def choose_credential(config: ClientConfig, request: CertificateRequest12) -> tuple[Credential, SignatureScheme] | None:
    """The first credential that signs as asked, those of the authorities named first (RFC 5246, 7.4.6)."""
    usable = [
        (credential, scheme)
        for credential in config.credentials
        for scheme in credential.schemes12
        # RFC 5246, 7.4.6: the end-entity certificate MUST contain a key that is compatible with certificate_types
        if CERTIFICATE_TYPE[credential.auth12] in request.certificate_types
        and scheme in request.signature_algorithms
        and scheme in config.signature_schemes
    ]
    for credential, scheme in usable:
        if any(issuer in request.certificate_authorities for issuer in credential.issuers):
            return credential, scheme
    return usable[0] if usable else None


# ---- The session ----


def keep_session(
    hs: Handshake,
    config: ClientConfig,
    agreed: Agreed,
    session: Session12,
    peer: Peer,
    ticket: NewSessionTicket12 | None,
    session_id: bytes,
) -> None:
    """Put what can be resumed into the cache: by ticket (RFC 5077), else by the server's session id (RFC 5246, 7.3)."""
    has_ticket = ticket is not None and bool(ticket.ticket)
    if config.sessions is None or not (has_ticket or session_id):
        return
    lifetime = ticket.lifetime_hint if ticket is not None and has_ticket else 0
    kept = Session.from_ticket(
        cipher_suite=agreed.number,
        psk=session.master,
        ticket=ticket.ticket if ticket is not None else b"",
        lifetime=lifetime or 7200,  # RFC 5077, 3.3: zero leaves it to the client; a session id says nothing either
        age_add=0,
        received_at=time.time(),
        server_name=hs.server_name,
        alpn=agreed.alpn,
        peer_chain=peer.chain,
        verified_chain=peer.verified,
        chain_expires_at=peer.expires_at,
        session_id=session_id,
        extended=agreed.extended,
        version=TLSVersion.TLSv1_2,
    )
    hs.kept(config.sessions.put(config.session_key(hs.server_name), kept))
