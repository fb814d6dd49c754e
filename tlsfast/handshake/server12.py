# SPDX-License-Identifier: Apache-2.0
"""The TLS 1.2 server from the ClientHello to both Finished: a full handshake, or one that resumes (RFC 5246, 7.3; RFC 5077, 3.1)."""

from __future__ import annotations

from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.config import ServerConfig
from tlsfast.credentials import Credential
from tlsfast.crypto import SUITES12, Secret, Suite12
from tlsfast.errors import HandshakeFailure
from tlsfast.handshake import auth, auth12, keys12, resume12
from tlsfast.handshake.flow import Established12, Flow, Handshake, Step, expect
from tlsfast.handshake.keys12 import CLIENT_FINISHED, SERVER_FINISHED
from tlsfast.handshake.negotiate import Choice12, choose12
from tlsfast.handshake.premaster import decrypt_premaster
from tlsfast.keyshare import KeyShare
from tlsfast.messages.extensions import ServerHelloExtensions
from tlsfast.messages.handshake import CertificateVerify, ClientHello, ServerHello
from tlsfast.messages.handshake12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ChangeCipherSpec,
    ClientKeyExchange,
    Finished12,
    ServerHelloDone,
    ServerKeyExchange,
)
from tlsfast.registry import NamedGroup, SignallingSuite, SignatureScheme, TLSVersion

# RFC 8446, 4.1.3: a server that could have spoken TLS 1.3 says so at the end of its random.
DOWNGRADE_TO_12 = b"DOWNGRD\x01"
# RFC 5246, 7.4.4: rsa_sign(1) and ecdsa_sign(64)
CERTIFICATE_TYPES = b"\x01\x40"


@dataclass(frozen=True, slots=True)
class Peer:
    """Who the client showed itself to be; all empty for an anonymous one."""

    chain: tuple[bytes, ...] = ()
    verified: tuple[bytes, ...] = ()
    expires_at: float | None = None


def server_flow12(hs: Handshake, config: ServerConfig, hello: ClientHello) -> Flow:
    """RFC 5246, 7.3: from the ClientHello on; steps 2 to 8 of the nine."""
    check_hello(config, hello)
    choice = choose12(config, hello)
    suite = SUITES12[choice.suite]
    hs.transcript.use_hash(suite.hash, keep_messages=True)
    old = yield from resume12.find_session(hs, config, hello, choice)
    if old is not None:
        return (yield from resume(hs, config, hello, choice, old))

    session_id = resume12.new_session_id(config, hello)
    server_random = send_hello(hs, config, hello, choice, session_id)
    hs.send(Certificate12(choice.credential.chain))
    if hello.extensions.status_request and choice.credential.ocsp_response is not None:
        hs.send(CertificateStatus(choice.credential.ocsp_response))
    share = None
    if choice.ecdhe is not None:
        share = yield from send_key_exchange(hs, choice.credential, *choice.ecdhe, server_random)
    if config.client_auth is not None:
        hs.send(certificate_request(config))
    hs.send(ServerHelloDone())

    chain: tuple[bytes, ...] = ()
    if config.client_auth is not None:
        chain = (yield from expect(Certificate12)).chain
    peer = yield from authenticate(config, chain)
    premaster = yield from receive_key_exchange(
        hs, suite, choice.credential, share, (yield from expect(ClientKeyExchange)), hello
    )
    extended = hello.extensions.extended_master_secret
    session = keys12.master_secret(hs, suite, premaster, server_random, extended=extended)
    if peer.chain:
        signed = hs.transcript.messages
        verify = yield from expect(CertificateVerify)
        hs.client_scheme = auth12.check_signature(
            config, None, peer.chain[0], verify.algorithm, verify.signature, signed
        )
    key_block = session.key_block()
    yield from expect(ChangeCipherSpec)
    hs.read_with12(choice.suite, key_block, client=True)
    finished = keys12.check_finished(hs, session, CLIENT_FINISHED, (yield from expect(Finished12)))
    group, scheme = choice.ecdhe or (None, None)
    completed = auth12.completed(hs, choice.suite, choice.alpn, peer.chain, peer.verified, group=group, scheme=scheme)
    state = yield from resume12.keep(hs, config, choice, completed, session, peer.expires_at, session_id)
    if sends_ticket(config, hello):
        hs.send(resume12.ticket(hs, config, session, state))
    hs.send_change_cipher_spec()
    hs.write_with12(choice.suite, key_block, client=False)
    key_block.wipe()
    keys12.send_finished(hs, session, SERVER_FINISHED)
    return Established12(completed, session, choice.credential.chain[0], finished, session.extended)


def resume(hs: Handshake, config: ServerConfig, hello: ClientHello, choice: Choice12, old: resume12.Old) -> Flow:
    """RFC 5246, 7.3, the abbreviated handshake: the server finishes first."""
    server_random = send_hello(hs, config, hello, choice, hello.legacy_session_id)
    suite = SUITES12[choice.suite]
    session = keys12.Session12(suite, old.master, hs.client_random, server_random, old.state.extended)
    hs.derived("CLIENT_RANDOM", old.master)
    key_block = session.key_block()
    if sends_ticket(config, hello):
        hs.send(resume12.ticket(hs, config, session, old.state))
    hs.send_change_cipher_spec()
    hs.write_with12(choice.suite, key_block, client=False)
    finished = keys12.send_finished(hs, session, SERVER_FINISHED)
    yield from expect(ChangeCipherSpec)
    hs.read_with12(choice.suite, key_block, client=True)
    key_block.wipe()
    keys12.check_finished(hs, session, CLIENT_FINISHED, (yield from expect(Finished12)))
    resume12.kept(hs, config, old.session_id)
    peer = old.state
    completed = auth12.completed(hs, choice.suite, choice.alpn, peer.peer_chain, peer.verified_chain, resumed=True)
    return Established12(completed, session, choice.credential.chain[0], finished, session.extended)


# ---- The hellos ----


def check_hello(config: ServerConfig, hello: ClientHello) -> None:
    """What a TLS 1.2 ClientHello must hold (RFC 5746, 3.6; RFC 7627, 5.3; RFC 8422, 5.1.2)."""
    extensions = hello.extensions
    if extensions.renegotiation_info not in (None, b""):
        # RFC 5746, 3.6: MUST abort the handshake if renegotiated_connection is not zero-length
        raise HandshakeFailure(
            "the client's renegotiation_info speaks of an earlier handshake, of which there was none"
        )
    if not extensions.extended_master_secret and config.require_extended_master_secret:
        raise HandshakeFailure(
            "the client does not have extended_master_secret (RFC 7627); require_extended_master_secret=False allows that"
        )


def send_hello(hs: Handshake, config: ServerConfig, hello: ClientHello, choice: Choice12, session_id: bytes) -> bytes:
    """ServerHello, step 2 of the nine; our random."""
    random = crypto.random_bytes(32)
    if TLSVersion.TLSv1_3 in config.versions:
        random = random[:24] + DOWNGRADE_TO_12
    offered = hello.extensions
    limit = None
    if offered.record_size_limit is not None:
        hs.writer.set_limit(min(offered.record_size_limit, 16384))
        limit = min(config.record_size_limit or 16384, 16384)
        hs.reader.set_limit(limit)
    extensions = ServerHelloExtensions(
        # RFC 5746, 3.6: answered when the client sent the extension or the signalling suite
        renegotiation_info=b""
        if offered.renegotiation_info is not None
        or SignallingSuite.TLS_EMPTY_RENEGOTIATION_INFO_SCSV in hello.cipher_suites
        else None,
        extended_master_secret=offered.extended_master_secret,
        ec_point_formats=(0,)
        if offered.ec_point_formats is not None and SUITES12[choice.suite].exchange == "ecdhe"
        else None,
        alpn=None if choice.alpn is None else choice.alpn.encode(),
        session_ticket=b"" if sends_ticket(config, hello) else None,
        server_name=hs.server_name is not None and choice.credential.serves(hs.server_name),
        status_request=offered.status_request and choice.credential.ocsp_response is not None,
        record_size_limit=limit,
    )
    for what, value in (("version", TLSVersion.TLSv1_2), ("cipher_suite", choice.suite), ("alpn", choice.alpn)):
        hs.decided(what, value)
    hs.send(
        ServerHello(random=random, legacy_session_id_echo=session_id, cipher_suite=choice.suite, extensions=extensions)
    )
    return random


def sends_ticket(config: ServerConfig, hello: ClientHello) -> bool:
    """RFC 5077, 3.2."""
    return hello.extensions.session_ticket is not None and config.keyring is not None and config.ticket_count > 0


# ---- Key exchange ----


def send_key_exchange(
    hs: Handshake, credential: Credential, group: NamedGroup, scheme: SignatureScheme, server_random: bytes
) -> Step[KeyShare]:
    """Our ECDHE parameters, signed with both randoms (RFC 8422, 5.4)."""
    share = KeyShare(group)
    params = ServerKeyExchange(group, share.public, scheme, b"").params
    signature = yield from auth12.sign(credential, scheme, hs.client_random + server_random + params)
    hs.send(ServerKeyExchange(group, share.public, scheme, signature))
    hs.decided("group", group)
    return share


def receive_key_exchange(
    hs: Handshake,
    suite: Suite12,
    credential: Credential,
    share: KeyShare | None,
    message: ClientKeyExchange,
    hello: ClientHello,
) -> Step[Secret]:
    """The premaster secret: agreed by ECDHE, or decrypted, step 5 of the nine."""
    if share is not None:
        return share.agree(message.ecdhe_public())
    return (yield from decrypt_premaster(credential, message.encrypted_premaster(), hello.legacy_version))


def certificate_request(config: ServerConfig) -> CertificateRequest12:
    """RFC 5246, 7.4.4."""
    return CertificateRequest12(CERTIFICATE_TYPES, tuple(config.signature_schemes), auth.authorities(config))


def authenticate(config: ServerConfig, chain: tuple[bytes, ...]) -> Step[Peer]:
    """The client's chain; RFC 5246, 7.4.6: without one the server MAY go on, or send handshake_failure."""
    if not chain:
        if config.client_auth == "required":
            raise HandshakeFailure("the client sent no certificate, and client_auth requires one")
        return Peer()
    verified = yield from auth.verify_client(config, chain)
    return Peer(chain, verified.path, auth.ends_at(verified))
