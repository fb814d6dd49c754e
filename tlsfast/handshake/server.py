# SPDX-License-Identifier: Apache-2.0
"""The server's hello step: whose configuration, which version; then the flow of that version (RFC 8446, 4.1.2, 4.2.1)."""

from __future__ import annotations

from typing import Any

from tlsfast.config import ServerConfig
from tlsfast.errors import IllegalParameter, InappropriateFallback, VersionError
from tlsfast.events import ChooseConfig
from tlsfast.handshake.flow import Flow, Handshake, Step, ask, asks, expect
from tlsfast.handshake.server12 import server_flow12
from tlsfast.handshake.server13 import server_flow13
from tlsfast.messages.handshake import ClientHello
from tlsfast.registry import SignallingSuite, TLSVersion


def server_flow(hs: Handshake, config: ServerConfig) -> Flow:
    """Receive the ClientHello, choose the configuration and the version."""
    hello = yield from expect(ClientHello)
    hs.client_random = hello.random
    hs.server_name = hello.extensions.server_name
    config = yield from choose_config(hs, config, hello)
    version = choose_version(config, hello)
    hs.use_version(version)
    if version is TLSVersion.TLSv1_2:
        return (yield from server_flow12(hs, config, hello))
    return (yield from server_flow13(hs, config, hello))


def choose_config(hs: Handshake, config: ServerConfig, hello: ClientHello) -> Step[ServerConfig]:
    """Let on_client_hello choose by what the hello says; None keeps the configuration."""
    hook: Any = config.on_client_hello
    if hook is None:
        return config
    chosen: ServerConfig | None = (yield from ask(ChooseConfig(hello))) if asks(hook) else hook(hello)
    if chosen is None:
        return config
    hs.use_config(chosen)
    return chosen


def choose_version(config: ServerConfig, hello: ClientHello) -> TLSVersion:
    """RFC 8446, 4.2.1, D: the newest version in common, or a refusal that names what the client speaks."""
    offered = hello.extensions.supported_versions
    # RFC 8446, D.5: a Hello message with legacy_version set to 0x0300 MUST be answered with a "protocol_version" alert
    if hello.legacy_version > TLSVersion.SSLv3:
        for version in config.versions:
            # RFC 8446, 4.2.1: without supported_versions, TLS 1.2 or older is what is negotiated
            if version in offered if offered is not None else TLSVersion.TLSv1_2 == version <= hello.legacy_version:
                check_fallback(config, hello, version)
                check_legacy_fields(hello, version)
                return version
    versions = set(TLSVersion)
    highest = max((version for version in offered or () if version in versions), default=hello.legacy_version)
    known = str(TLSVersion(highest)) if highest in versions else f"0x{highest:04x}"
    enabled = " and ".join(map(str, config.versions))
    raise VersionError(
        f"the client speaks {known} at most; enabled here: {enabled}. The client must be upgraded", version=highest
    )


def check_fallback(config: ServerConfig, hello: ClientHello, version: TLSVersion) -> None:
    """RFC 7507, 3: MUST respond with an inappropriate_fallback alert if a newer version could have been had."""
    if SignallingSuite.TLS_FALLBACK_SCSV in hello.cipher_suites and version != config.versions[0]:
        raise InappropriateFallback(
            f"the client comes back with {version} because an earlier attempt failed, but {config.versions[0]} is enabled here: "
            "its first attempt was broken on the way, or the client should stop retrying with less"
        )


def check_legacy_fields(hello: ClientHello, version: TLSVersion) -> None:
    """legacy_version and legacy_compression_methods, which each version judges in its way."""
    if version is TLSVersion.TLSv1_2:
        if 0 not in hello.legacy_compression_methods:
            # RFC 5246, 7.4.1.2: this vector MUST contain, and all implementations MUST support, CompressionMethod.null
            raise IllegalParameter("the ClientHello offers no null compression")
        return
    if hello.legacy_version != TLSVersion.TLSv1_2:
        # RFC 9846, 4.2.2: a legacy_version not equal to 0x0303 MUST be answered with a "protocol_version" alert
        legacy = hello.legacy_version
        raise VersionError(f"legacy_version of a TLS 1.3 ClientHello is 0x{legacy:04x}, not 0x0303", version=legacy)
    if hello.legacy_compression_methods != b"\0":
        # RFC 8446, 4.1.2: for every TLS 1.3 ClientHello, this vector MUST contain exactly one byte, set to zero
        raise IllegalParameter("a TLS 1.3 ClientHello offers compression")
