# SPDX-License-Identifier: Apache-2.0
"""The TLS 1.3 server from the ClientHello to the client's Finished, and its tickets (RFC 8446, 2)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.config import CERTIFICATE_SIGNATURE_SCHEMES, SIGNATURE_SCHEMES_13, ServerConfig
from tlsfast.credentials import Credential
from tlsfast.crypto import (
    CLIENT_APPLICATION,
    CLIENT_HANDSHAKE,
    SERVER_APPLICATION,
    SERVER_HANDSHAKE,
    SUITES,
    KeySchedule,
)
from tlsfast.errors import CertificateRequired, IllegalParameter, MissingExtension
from tlsfast.events import HandshakeCompleted
from tlsfast.handshake import auth, keys13, resume
from tlsfast.handshake.flow import Established13, Flow, Handshake, Step, expect
from tlsfast.handshake.negotiate import choose_alpn, choose_credential, choose_group, choose_suite
from tlsfast.keyshare import answer_key_share
from tlsfast.messages.extensions import (
    CertificateRequestExtensions,
    EncryptedExtensionsBlock,
    HelloRetryRequestExtensions,
    KeyShareEntry,
    ServerHelloExtensions,
)
from tlsfast.messages.handshake import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    Finished,
    HelloRetryRequest,
    ServerHello,
)
from tlsfast.record import SKIP_APPLICATION_DATA, SKIP_NONE, SKIP_UNDECRYPTABLE
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion


@dataclass(frozen=True, slots=True)
class Choice:
    """What the server chose from the ClientHello."""

    suite: CipherSuite
    group: NamedGroup
    credential: Credential
    scheme: SignatureScheme
    alpn: str | None


@dataclass(frozen=True, slots=True)
class Peer:
    """Who the client showed itself to be; all empty for an anonymous one."""

    chain: tuple[bytes, ...] = ()
    verified: tuple[bytes, ...] = ()
    expires_at: float | None = None


def server_flow13(hs: Handshake, config: ServerConfig, hello: ClientHello) -> Flow:
    """RFC 8446, 2: from the ClientHello to the client's Finished."""
    check_hello(hello)
    choice = choose(config, hello)
    suite = SUITES[choice.suite]
    retried = not has_share(hello, choice.group)
    if retried:
        hello = yield from retry(hs, config, choice, hello)
    hs.transcript.use_hash(suite.hash)
    session = yield from resume.find_session(hs, config, hello, choice.suite, choice.credential)

    schedule = answer_hello(hs, choice, hello, session)
    if hello.legacy_session_id and not retried:
        hs.send_change_cipher_spec()
    hs.write_with(schedule, SERVER_HANDSHAKE, "handshake")
    hs.send(EncryptedExtensions(encrypted_extensions(hs, config, choice, hello)))
    asked = config.client_auth is not None and session is None
    if asked:
        hs.send(certificate_request(config))
    if session is None:
        auth.send_certificate(hs, choice.credential, b"", staple=hello.extensions.status_request)
        yield from auth.send_certificate_verify(hs, choice.credential, choice.scheme, auth.SERVER)
    auth.send_finished(hs, schedule, SERVER_HANDSHAKE)
    keys13.application_secrets(hs, schedule)
    hs.write_with(schedule, SERVER_APPLICATION, "application")
    hs.read_with(schedule, CLIENT_HANDSHAKE, "handshake")
    hs.reader.allow_plaintext_alert()
    if hello.extensions.early_data:
        # RFC 8446, 4.2.10: we take no early data: skip what fails to open under the handshake key, up to the budget
        hs.reader.skip_early_data(SKIP_UNDECRYPTABLE, config.early_data_budget)

    peer = (yield from authenticate(hs, config, (yield from expect(Certificate)))) if asked else peer_of(session)
    auth.check_finished(hs, schedule, CLIENT_HANDSHAKE, (yield from expect(Finished)))
    hs.read_with(schedule, CLIENT_APPLICATION, "application")
    keys13.resumption_master_secret(hs, schedule)
    completed = completion(hs, choice, peer, resumed=session is not None)
    resume.send_tickets(hs, config, hello, completed, choice.credential, schedule, peer.expires_at)
    schedule.forget_resumption()  # its tickets are made
    leaf = choice.credential.chain[0]
    return Established13(completed, keys13.Exporter13(schedule), leaf, schedule, peer.expires_at)


def completion(hs: Handshake, choice: Choice, peer: Peer, *, resumed: bool) -> HandshakeCompleted:
    """The event that the flow ends with."""
    return HandshakeCompleted(
        version=TLSVersion.TLSv1_3,
        cipher_suite=choice.suite,
        group=choice.group,
        signature_scheme=None if resumed else choice.scheme,
        alpn=choice.alpn,
        server_name=hs.server_name,
        resumed=resumed,
        peer_chain=peer.chain,
        verified_chain=peer.verified,
    )


# ---- ClientHello ----


def check_hello(hello: ClientHello) -> None:
    """RFC 8446, 9.2: what a TLS 1.3 ClientHello must hold."""
    extensions = hello.extensions
    if extensions.pre_shared_key is not None and extensions.psk_key_exchange_modes is None:
        # RFC 8446, 4.2.9: If clients offer "pre_shared_key" without a "psk_key_exchange_modes" extension, servers MUST abort
        raise MissingExtension("the ClientHello offers pre-shared keys without psk_key_exchange_modes")
    if extensions.pre_shared_key is None and extensions.supported_groups is None:
        raise MissingExtension("the ClientHello has no supported_groups")
    if (extensions.supported_groups is None) is not (extensions.key_share is None):
        raise MissingExtension("the ClientHello needs both supported_groups and key_share, or neither")
    listed = frozenset(extensions.supported_groups or ())  # a set: a hello has room for thousands of each
    for entry in extensions.key_share or ():
        if entry.group not in listed:
            # RFC 8446, 4.2.8: MUST NOT offer any KeyShareEntry values for groups not listed in supported_groups
            raise IllegalParameter(
                f"the ClientHello has a key share for group {entry.group}, which its supported_groups lacks"
            )


def choose(config: ServerConfig, hello: ClientHello) -> Choice:
    """Suite, group, credential and protocol, all by our preference."""
    suite = choose_suite(config, hello)
    group = choose_group(config, hello)
    if hello.extensions.signature_algorithms is None:
        # RFC 8446, 4.2.3, 9.2: MUST abort with a "missing_extension" alert; a ticket may spare its use, but which one is known only later
        raise MissingExtension("the ClientHello has no signature_algorithms")
    credential, scheme = choose_credential(config, hello)
    return Choice(suite, group, credential, scheme, choose_alpn(config, hello))


def has_share(hello: ClientHello, group: int) -> bool:
    return any(entry.group == group for entry in hello.extensions.key_share or ())


# ---- HelloRetryRequest (RFC 8446, 4.1.4) ----


def retry(hs: Handshake, config: ServerConfig, choice: Choice, hello: ClientHello) -> Step[ClientHello]:
    """Ask for a key share of the group chosen, and check that the second hello changes only what it may."""
    cookie = crypto.random_bytes(32) if config.retry_cookie else None
    hs.transcript.replace_hello_by_hash(SUITES[choice.suite].hash)
    extensions = HelloRetryRequestExtensions(
        key_share=choice.group, cookie=cookie, supported_versions=TLSVersion.TLSv1_3
    )
    hs.send(
        HelloRetryRequest(
            legacy_session_id_echo=hello.legacy_session_id, cipher_suite=choice.suite, extensions=extensions
        )
    )
    hs.decided("hello_retry", choice.group)
    hs.flush()
    if hello.legacy_session_id:
        hs.send_change_cipher_spec()
    if hello.extensions.early_data:
        # RFC 8446, 4.2.10: skip early data by records of outer type "application_data", until the second ClientHello
        hs.reader.skip_early_data(SKIP_APPLICATION_DATA, config.early_data_budget)
    second = yield from expect(ClientHello)
    hs.reader.skip_early_data(SKIP_NONE, 0)
    check_hello(second)
    if unchanging(second) != unchanging(hello):
        raise IllegalParameter("the second ClientHello changes what it must keep")
    if second.extensions.early_data:
        # RFC 8446, 4.1.2: the second ClientHello removes early_data
        raise IllegalParameter("the second ClientHello offers early data again")
    if second.extensions.cookie != cookie:
        raise IllegalParameter("the second ClientHello does not bring the cookie back")
    shares = second.extensions.key_share or ()
    if len(shares) != 1 or shares[0].group != choice.group:
        raise IllegalParameter("the second ClientHello has not the one key share that was asked for")
    return second


def unchanging(hello: ClientHello) -> ClientHello:
    """A hello without what RFC 8446, 4.1.2 lets the second one change (padding and GREASE are among what is unknown here)."""
    extensions = dataclasses.replace(
        hello.extensions, key_share=None, pre_shared_key=None, early_data=False, cookie=None, unknown=()
    )
    return dataclasses.replace(hello, extensions=extensions)


# ---- The server's flight ----


def peer_of(session: resume.Resumption | None) -> Peer:
    """Who a client is that was not asked: nobody, or in a resumed session who it showed itself to be then."""
    if session is None:
        return Peer()
    return Peer(session.state.peer_chain, session.state.verified_chain, session.state.expires_at)


def answer_hello(hs: Handshake, choice: Choice, hello: ClientHello, session: resume.Resumption | None) -> KeySchedule:
    """ServerHello (RFC 8446, 4.1.3) and the handshake secrets."""
    share = next(entry for entry in hello.extensions.key_share or () if entry.group == choice.group)
    public, shared = answer_key_share(choice.group, share.key_exchange)
    extensions = ServerHelloExtensions(
        pre_shared_key=None if session is None else session.index,
        key_share=KeyShareEntry(choice.group, public),
        supported_versions=TLSVersion.TLSv1_3,
    )
    if hs.observers is not None:
        for what, value in (("version", TLSVersion.TLSv1_3), ("cipher_suite", choice.suite), ("group", choice.group)):
            hs.decided(what, value)
        hs.decided("resumption", session is not None)
    hs.send(
        ServerHello(
            random=crypto.random_bytes(32),
            legacy_session_id_echo=hello.legacy_session_id,
            cipher_suite=choice.suite,
            extensions=extensions,
        )
    )
    return keys13.handshake_secrets(hs, SUITES[choice.suite], None if session is None else session.psk, shared)


def encrypted_extensions(
    hs: Handshake, config: ServerConfig, choice: Choice, hello: ClientHello
) -> EncryptedExtensionsBlock:
    """RFC 8446, 4.3.1, with our record_size_limit if the client sent its own (RFC 8449, 4)."""
    limit = None
    if hello.extensions.record_size_limit is not None:
        hs.writer.set_limit(min(hello.extensions.record_size_limit, 16385))
        limit = config.record_size_limit or 16385
        hs.reader.set_limit(limit)
    if choice.alpn is not None:
        hs.decided("alpn", choice.alpn)
    return EncryptedExtensionsBlock(
        alpn=None if choice.alpn is None else choice.alpn.encode(),
        # RFC 6066, 3: an empty server_name says that the name was used to choose
        server_name=hs.server_name is not None and choice.credential.serves(hs.server_name),
        record_size_limit=limit,
    )


def certificate_request(config: ServerConfig) -> CertificateRequest:
    """RFC 8446, 4.3.2."""
    extensions = CertificateRequestExtensions(
        signature_algorithms=tuple(each for each in config.signature_schemes if each in SIGNATURE_SCHEMES_13),
        signature_algorithms_cert=CERTIFICATE_SIGNATURE_SCHEMES,
        certificate_authorities=auth.authorities(config) or None,
    )
    return CertificateRequest(b"", extensions)


def authenticate(hs: Handshake, config: ServerConfig, certificate: Certificate) -> Step[Peer]:
    """The client's Certificate and, unless it is empty, CertificateVerify (RFC 8446, 4.4.2.4, 4.4.3)."""
    chain, _ = auth.certificate_chain(certificate, b"", staple_asked=False)
    if not chain:
        if config.client_auth == "required":
            raise CertificateRequired("the client sent no certificate, and client_auth requires one")
        return Peer()
    verified = yield from auth.verify_client(config, chain)
    auth.check_certificate_verify(hs, chain[0], (yield from expect(CertificateVerify)), auth.CLIENT)
    hs.decided("client_certificate", chain)
    return Peer(chain, verified.path, auth.ends_at(verified))
