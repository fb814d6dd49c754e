# SPDX-License-Identifier: Apache-2.0
"""What a client offers: the first and the second ClientHello with their key shares, session and binder (RFC 8446, 4.1.2, 4.2.11)."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.certificates.names import parse_name
from tlsfast.config import CERTIFICATE_SIGNATURE_SCHEMES, ClientConfig
from tlsfast.crypto import SUITES, KeyShare
from tlsfast.errors import IllegalParameter, UnsupportedExtension
from tlsfast.handshake.flow import Handshake
from tlsfast.handshake.negotiate import names
from tlsfast.messages.extensions import ClientHelloExtensions, ExtensionBlock, KeyShareEntry, OfferedPsks, PskIdentity
from tlsfast.messages.handshake import ClientHello, HelloRetryRequest, ServerHello, truncate
from tlsfast.registry import CipherSuite, PskKeyExchangeMode, TLSVersion
from tlsfast.sessions import Session


@dataclass(frozen=True, slots=True)
class Offer:
    """What we said in the newest ClientHello, and the private halves of it."""

    hello: ClientHello
    shares: dict[int, KeyShare]
    session: Session | None
    extensions: frozenset[int]
    retried: bool = False


def first_offer(hs: Handshake, config: ClientConfig) -> Offer:
    """Build and send the first ClientHello, with a session of the cache if one fits."""
    session = None
    if config.sessions is not None:
        session = config.sessions.take(config.session_key(hs.server_name), time.time())
        hashes = {SUITES[suite].hash for suite in config.cipher_suites}
        if session is not None and SUITES[session.cipher_suite].hash not in hashes:
            session = None
    shares: dict[int, KeyShare] = {group: KeyShare(group) for group in config.key_shares or ()}
    hello = ClientHello(
        random=crypto.random_bytes(32),
        # RFC 8446, D.4: a non-empty session id asks for middlebox compatibility
        legacy_session_id=crypto.random_bytes(32) if config.middlebox_compatibility else b"",
        cipher_suites=config.cipher_suites,
        extensions=ClientHelloExtensions(
            server_name=dns_name(hs.server_name),
            supported_groups=config.groups,
            signature_algorithms=config.signature_schemes,
            signature_algorithms_cert=CERTIFICATE_SIGNATURE_SCHEMES,
            alpn=tuple(protocol.encode() for protocol in config.alpn) or None,
            status_request=config.request_ocsp,
            key_share=tuple(KeyShareEntry(group, share.public) for group, share in shares.items()),
            supported_versions=config.versions,
            psk_key_exchange_modes=(PskKeyExchangeMode.psk_dhe_ke,) if config.sessions is not None else None,
            record_size_limit=config.record_size_limit,
        ),
    )
    hs.client_random = hello.random
    if config.record_size_limit is not None:
        hs.reader.set_limit(config.record_size_limit)
    hs.writer.set_version(
        TLSVersion.TLSv1_0
    )  # RFC 8446, 5.1: an initial ClientHello MAY say 0x0301, for old servers' sake
    offer = send_hello(hs, hello, shares, session)
    hs.flush()
    hs.writer.set_version(TLSVersion.TLSv1_2)
    return offer


def send_hello(
    hs: Handshake, hello: ClientHello, shares: dict[int, KeyShare], session: Session | None, retried: bool = False
) -> Offer:
    """Send a hello, with the session's ticket as its last extension and the binder over all that stands before it (RFC 8446, 4.2.11)."""
    if session is None:
        raw = hello.encode()
    else:
        algorithm = SUITES[session.cipher_suite].hash
        age = int((time.time() - session.received_at) * 1000) + session.age_add
        identity = PskIdentity(session.ticket, age % 2**32)
        zeros = bytes(SUITES[session.cipher_suite].hash_length)
        hello = with_psk(hello, identity, zeros)
        truncated = truncate(hello.encode(), hello)
        hs.transcript.settle()
        key = crypto.binder_key(algorithm, session.psk)
        binder = crypto.finished(algorithm, key, hs.transcript.digest_truncated(algorithm, truncated))
        hello = with_psk(hello, identity, binder)
        raw = hello.encode()
    hs.send_encoded(hello, raw)
    block = ClientHelloExtensions.decode(hello.extensions.encode()[2:])
    return Offer(hello, shares, session, frozenset(block.order), retried)


def dns_name(name: str | None) -> str | None:
    """RFC 6066, 3: literal IPv4 and IPv6 addresses are not permitted in server_name."""
    return name if name is not None and isinstance(parse_name(name), str) else None


def with_psk(hello: ClientHello, identity: PskIdentity, binder: bytes) -> ClientHello:
    psks = OfferedPsks((identity,), (binder,))
    return dataclasses.replace(hello, extensions=dataclasses.replace(hello.extensions, pre_shared_key=psks))


def second_offer(hs: Handshake, offer: Offer, retry: HelloRetryRequest, suite: CipherSuite) -> Offer:
    """RFC 8446, 4.1.2: the same hello but for the key share, the cookie, and PSKs of another hash, which are left out."""
    shares, extensions = offer.shares, offer.hello.extensions
    if retry.extensions.key_share is not None:
        shares = {retry.extensions.key_share: KeyShare(retry.extensions.key_share)}
        entries = tuple(KeyShareEntry(group, share.public) for group, share in shares.items())
        extensions = dataclasses.replace(extensions, key_share=entries)
    extensions = dataclasses.replace(extensions, cookie=retry.extensions.cookie, pre_shared_key=None)
    session = offer.session
    if session is not None and SUITES[session.cipher_suite].hash != SUITES[suite].hash:
        session = None
    if offer.hello.legacy_session_id:
        hs.send_change_cipher_spec()
    return send_hello(hs, dataclasses.replace(offer.hello, extensions=extensions), shares, session, retried=True)


# ---- What holds for every answer to an offer ----


def check_echoes(offer: Offer, answer: ServerHello | HelloRetryRequest) -> None:
    """The fields that repeat or choose from ours."""
    if answer.legacy_session_id_echo != offer.hello.legacy_session_id:
        raise IllegalParameter("legacy_session_id_echo is not the session id that was sent")
    if answer.cipher_suite not in offer.hello.cipher_suites:
        raise IllegalParameter(f"the server chose {names(CipherSuite, (answer.cipher_suite,))}, which was not offered")
    if answer.legacy_compression_method != 0:
        raise IllegalParameter("the server chose a compression method")


def check_offered(block: ExtensionBlock, offered: frozenset[int], where: str) -> None:
    """RFC 8446, 4.2: MUST abort with an "unsupported_extension" alert on an extension that was not offered."""
    for number in block.order:
        if number not in offered:
            raise UnsupportedExtension(f"the {where} answers extension {number}, which was not offered")
