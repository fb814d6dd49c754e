# SPDX-License-Identifier: Apache-2.0
"""The client's hello step: offer, HelloRetryRequest, version; then the flow of the version chosen (RFC 8446, 2, 4.1)."""

from __future__ import annotations

from tlsfast.config import ClientConfig
from tlsfast.crypto import SUITES
from tlsfast.errors import IllegalParameter, MissingExtension, UnsupportedExtension, VersionError
from tlsfast.handshake.client12 import client_flow12
from tlsfast.handshake.client13 import client_flow13
from tlsfast.handshake.flow import Flow, Handshake, expect
from tlsfast.handshake.negotiate import names
from tlsfast.handshake.offer import Offer, check_echoes, check_offered, first_offer, second_offer
from tlsfast.messages.handshake import HelloRetryRequest, ServerHello
from tlsfast.registry import CipherSuite, NamedGroup, TLSVersion

# RFC 8446, 4.1.3: the last eight bytes of the random of a server that could have spoken TLS 1.3, or TLS 1.2, but was talked down to less.
SENTINEL_12 = b"DOWNGRD\x01"
SENTINEL_11 = b"DOWNGRD\x00"


def client_flow(hs: Handshake, config: ClientConfig) -> Flow:
    """RFC 8446, 4.1.1: ClientHello, perhaps HelloRetryRequest and a second ClientHello, then ServerHello."""
    offer = first_offer(hs, config)
    answer = yield from expect(ServerHello, HelloRetryRequest)
    if isinstance(answer, HelloRetryRequest):
        suite = check_retry(offer, config, answer)
        hs.decided("hello_retry", answer)
        hs.transcript.replace_hello_by_hash(SUITES[suite].hash)
        offer = second_offer(hs, offer, answer, suite)
        server_hello = yield from expect(ServerHello)
        check_consistent(server_hello, answer)
    else:
        server_hello = answer
    version = check_version(config, server_hello)
    hs.use_version(version)
    if version is TLSVersion.TLSv1_2:
        return (yield from client_flow12(hs, config, offer, server_hello))
    return (yield from client_flow13(hs, config, offer, server_hello))


# ---- HelloRetryRequest (RFC 8446, 4.1.4) ----


def check_retry(offer: Offer, config: ClientConfig, retry: HelloRetryRequest) -> CipherSuite:
    """The retry must be a legal answer and must change something."""
    if retry.extensions.supported_versions is None:
        raise MissingExtension("the HelloRetryRequest has no supported_versions")
    check_version(config, retry)
    check_echoes(offer, retry)
    check_offered(retry.extensions, offer.hello.extensions, "HelloRetryRequest")
    group, cookie = retry.extensions.key_share, retry.extensions.cookie
    # RFC 8446, 4.2.8: the group MUST be one of supported_groups and MUST NOT be one a key share was sent for
    if group is not None and (group not in config.groups or group in offer.shares):
        raise IllegalParameter(
            f"the HelloRetryRequest asks for the group {names(NamedGroup, (group,))}, which makes no sense here"
        )
    if group is None and cookie is None:
        # RFC 8446, 4.1.4: MUST abort with an "illegal_parameter" alert if it would not result in any change in the ClientHello
        raise IllegalParameter("the HelloRetryRequest asks for no change")
    return CipherSuite(retry.cipher_suite)


def check_consistent(server_hello: ServerHello, retry: HelloRetryRequest) -> None:
    """RFC 8446, 4.1.4: the ServerHello keeps the suite, version and group of the HelloRetryRequest."""
    if server_hello.cipher_suite != retry.cipher_suite:
        raise IllegalParameter("the ServerHello chose another cipher suite than the HelloRetryRequest")
    if server_hello.extensions.supported_versions != retry.extensions.supported_versions:
        raise IllegalParameter("the ServerHello chose another version than the HelloRetryRequest")
    share, group = server_hello.extensions.key_share, retry.extensions.key_share
    if share is not None and group is not None and share.group != group:
        raise IllegalParameter("the ServerHello chose another group than the HelloRetryRequest")


# ---- ServerHello (RFC 8446, 4.1.3): what holds for it and for HelloRetryRequest alike ----


def check_version(config: ClientConfig, server_hello: ServerHello | HelloRetryRequest) -> TLSVersion:
    """RFC 8446, 4.1.3, 4.2.1: supported_versions names the version; without it TLS 1.2, if that is enabled, and nobody forced us down to it."""
    version = server_hello.extensions.supported_versions
    if version is None:
        check_downgrade(config, server_hello)
        chosen = server_hello.legacy_version
        if chosen == TLSVersion.TLSv1_2 and TLSVersion.TLSv1_2 in config.versions:
            return TLSVersion.TLSv1_2
        known = str(TLSVersion(chosen)) if chosen in set(TLSVersion) else f"0x{chosen:04x}"
        enabled = " and ".join(map(str, config.versions))
        raise VersionError(
            f"the server speaks {known}; enabled here: {enabled}. The server must be upgraded", version=chosen
        )
    if TLSVersion.TLSv1_3 not in config.versions:
        # RFC 8446, 4.2: MUST abort with an "unsupported_extension" alert on an extension that was not offered
        raise UnsupportedExtension(
            "the server answers supported_versions, which a client of TLS 1.2 alone does not offer"
        )
    if version != TLSVersion.TLSv1_3:
        # RFC 8446, 4.2.1: a version prior to TLS 1.3, or one not offered, MUST be answered with an "illegal_parameter" alert
        raise IllegalParameter(f"the server chose version 0x{version:04x}, which was not offered")
    if server_hello.legacy_version != TLSVersion.TLSv1_2:
        # RFC 9846, 4.2.3: a legacy_version not equal to 0x0303 MUST be answered with a "protocol_version" alert
        legacy = server_hello.legacy_version
        raise VersionError(f"legacy_version of the server's hello is 0x{legacy:04x}, not 0x0303", version=legacy)
    return TLSVersion.TLSv1_3


def check_downgrade(config: ClientConfig, server_hello: ServerHello | HelloRetryRequest) -> None:
    """RFC 8446, 4.1.3: a TLS 1.3 client MUST check both sentinels, a TLS 1.2 client SHOULD check the second; "illegal_parameter"."""
    ending = server_hello.random[-8:]
    if ending == SENTINEL_11 or (ending == SENTINEL_12 and TLSVersion.TLSv1_3 in config.versions):
        raise IllegalParameter("the server knows a newer version than it chose: someone between us forces a downgrade")
