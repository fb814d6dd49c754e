# SPDX-License-Identifier: Apache-2.0
"""What a client offers: the first and the second ClientHello with their key shares, session and binder (RFC 8446, 4.1.2, 4.2.11)."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass

from tlsfast import crypto
from tlsfast.certificates.names import parse_name
from tlsfast.config import CERTIFICATE_SIGNATURE_SCHEMES, ClientConfig
from tlsfast.crypto import SUITES
from tlsfast.errors import IllegalParameter, UnsupportedExtension
from tlsfast.handshake.flow import Handshake
from tlsfast.handshake.negotiate import names
from tlsfast.keyshare import CURVES, KeyShare, key_shares
from tlsfast.messages.extensions import (
    ClientHelloExtensions,
    ExtensionBlock,
    HelloRetryRequestExtensions,
    KeyShareEntry,
    OfferedPsks,
    PskIdentity,
    encode_binders,
)
from tlsfast.messages.handshake import ClientHello, HelloRetryRequest, ServerHello, truncate
from tlsfast.registry import CipherSuite, ExtensionType, PskKeyExchangeMode, SignallingSuite, TLSVersion
from tlsfast.sessions import Session


@dataclass(frozen=True, slots=True)
class Offer:
    """What we said in the newest ClientHello, and the private halves of it."""

    hello: ClientHello
    shares: dict[int, KeyShare]
    session: Session | None
    retried: bool = False
    session12: Session | None = None


def first_offer(hs: Handshake, config: ClientConfig) -> Offer:
    """Build and send the first ClientHello, with a session of the cache if one fits."""
    session, session12 = cached_session(hs, config)
    shares: dict[int, KeyShare] = {}
    if TLSVersion.TLSv1_3 in config.versions:
        shares = key_shares(config.key_shares or ())
    suites: tuple[int, ...] = tuple(suite for suite in config.cipher_suites if suite_version(suite) in config.versions)
    if config.fallback_scsv:
        suites = (*suites, SignallingSuite.TLS_FALLBACK_SCSV)
    hello = ClientHello(
        random=crypto.random_bytes(32),
        legacy_session_id=session_id(config, session12),
        cipher_suites=suites,
        extensions=hello_extensions(hs, config, shares, session12, offered_psks(session)),
    )
    hs.client_random = hello.random
    # RFC 8446, 5.1: an initial ClientHello MAY say 0x0301, for old servers' sake
    hs.writer.set_version(TLSVersion.TLSv1_0)
    offer = send_hello(hs, hello, shares, session, session12=session12)
    hs.flush()
    hs.writer.set_version(TLSVersion.TLSv1_2)
    return offer


def cached_session(hs: Handshake, config: ClientConfig) -> tuple[Session | None, Session | None]:
    """A session of the cache that this configuration can resume, as one of TLS 1.3 or of TLS 1.2."""
    session = (
        config.sessions.take(config.session_key(hs.server_name), time.time()) if config.sessions is not None else None
    )
    if session is None or session.version not in config.versions:
        return None, None
    if session.version is TLSVersion.TLSv1_2:
        extended = (
            session.extended or not config.require_extended_master_secret
        )  # a cache may be shared with one that does not
        return None, session if extended and session.cipher_suite in config.cipher_suites else None
    hashes = {SUITES[suite].hash for suite in config.cipher_suites if suite in SUITES}
    return session if SUITES[session.cipher_suite].hash in hashes else None, None


def session_id(config: ClientConfig, session12: Session | None) -> bytes:
    """The id of a TLS 1.2 session; with its ticket, or for middlebox compatibility (RFC 8446, D.4), a random one."""
    if session12 is not None and not session12.ticket:
        return session12.session_id
    compatible = config.middlebox_compatibility and TLSVersion.TLSv1_3 in config.versions
    return crypto.random_bytes(32) if session12 is not None or compatible else b""


def suite_version(suite: int) -> TLSVersion:
    return TLSVersion.TLSv1_3 if suite in SUITES else TLSVersion.TLSv1_2


def hello_extensions(
    hs: Handshake,
    config: ClientConfig,
    shares: dict[int, KeyShare],
    session12: Session | None,
    psks: OfferedPsks | None,
) -> ClientHelloExtensions:
    """What both versions need, then what each does."""
    tls13, tls12 = TLSVersion.TLSv1_3 in config.versions, TLSVersion.TLSv1_2 in config.versions
    ticket = session12.ticket if session12 is not None else b""
    return ClientHelloExtensions(
        server_name=dns_name(hs.server_name),
        supported_groups=tuple(group for group in config.groups if tls13 or group in CURVES),
        signature_algorithms=tuple(config.signature_schemes),
        signature_algorithms_cert=CERTIFICATE_SIGNATURE_SCHEMES,
        alpn=tuple(protocol.encode() for protocol in config.alpn) or None,
        status_request=config.request_ocsp,
        record_size_limit=config.record_size_limit,
        key_share=tuple(KeyShareEntry(group, share.public) for group, share in shares.items()) if tls13 else None,
        supported_versions=tuple(config.versions) if tls13 else None,
        psk_key_exchange_modes=(PskKeyExchangeMode.psk_dhe_ke,) if tls13 and config.sessions is not None else None,
        renegotiation_info=b"" if tls12 else None,
        extended_master_secret=tls12,
        ec_point_formats=(0,) if tls12 else None,
        pre_shared_key=psks,
        session_ticket=ticket if tls12 and config.sessions is not None else None,
    )


def offered_psks(session: Session | None) -> OfferedPsks | None:
    """The session's ticket with a binder of zeros, whose place send_hello fills (RFC 8446, 4.2.11)."""
    if session is None:
        return None
    age = int((time.time() - session.received_at) * 1000) + session.age_add
    zeros = bytes(SUITES[session.cipher_suite].hash_length)
    return OfferedPsks((PskIdentity(session.ticket, age % 2**32),), (zeros,))


def send_hello(
    hs: Handshake,
    hello: ClientHello,
    shares: dict[int, KeyShare],
    session: Session | None,
    *,
    session12: Session | None = None,
    retried: bool = False,
) -> Offer:
    """Send a hello; with a session, its binder covers all that stands before it (RFC 8446, 4.2.11.2)."""
    raw = hello.encode()
    if session is not None:
        algorithm = SUITES[session.cipher_suite].hash
        truncated = truncate(raw, hello)
        hs.transcript.settle()
        binders = (crypto.binder(algorithm, session.psk, hs.transcript.digest_truncated(algorithm, truncated)),)
        raw = truncated + encode_binders(binders)
        if hs.observers is not None:
            hello = hello.with_binders(binders)
    hs.send_encoded(hello, raw)
    return Offer(hello, shares, session, retried, session12)


def dns_name(name: str | None) -> str | None:
    """RFC 6066, 3: literal IPv4 and IPv6 addresses are not permitted in server_name."""
    return name if name is not None and isinstance(parse_name(name), str) else None


def second_offer(hs: Handshake, offer: Offer, retry: HelloRetryRequest, suite: CipherSuite) -> Offer:
    """RFC 8446, 4.1.2: the same hello but for the key share, the cookie, and PSKs of another hash, which are left out."""
    shares, extensions = offer.shares, offer.hello.extensions
    if retry.extensions.key_share is not None:
        shares = key_shares((retry.extensions.key_share,))
        entries = tuple(KeyShareEntry(group, share.public) for group, share in shares.items())
        extensions = dataclasses.replace(extensions, key_share=entries)
    session = offer.session
    if session is not None and SUITES[session.cipher_suite].hash != SUITES[suite].hash:
        session = None
    extensions = dataclasses.replace(extensions, cookie=retry.extensions.cookie, pre_shared_key=offered_psks(session))
    if offer.hello.legacy_session_id:
        hs.send_change_cipher_spec()
    return send_hello(hs, dataclasses.replace(offer.hello, extensions=extensions), shares, session, retried=True)


# ---- What holds for every answer to an offer ----


def check_echoes(offer: Offer, answer: ServerHello | HelloRetryRequest) -> None:
    """The fields that repeat or choose from ours."""
    if answer.legacy_session_id_echo != offer.hello.legacy_session_id:
        raise IllegalParameter("legacy_session_id_echo is not the session id that was sent")
    if answer.cipher_suite not in offer.hello.cipher_suites or answer.cipher_suite not in SUITES:
        raise IllegalParameter(f"the server chose {names(CipherSuite, (answer.cipher_suite,))}, which was not offered")
    if answer.legacy_compression_method != 0:
        raise IllegalParameter("the server chose a compression method")


def check_offered(block: ExtensionBlock, offered: ClientHelloExtensions, where: str) -> None:
    """RFC 8446, 4.2: MUST abort with an "unsupported_extension" alert on an extension that was not offered; a cookie needs no offer."""
    for number in block.order:
        if number not in offered and not (
            number == ExtensionType.cookie and isinstance(block, HelloRetryRequestExtensions)
        ):
            raise UnsupportedExtension(f"the {where} answers extension {number}, which was not offered")
