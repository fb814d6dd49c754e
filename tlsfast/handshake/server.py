# SPDX-License-Identifier: Apache-2.0
"""The server's hello step: whose configuration, which version; then the flow of that version (RFC 8446, 4.1.2, 4.2.1)."""

from __future__ import annotations

from tlsfast.config import ASK, ServerConfig
from tlsfast.errors import IllegalParameter, VersionError
from tlsfast.events import ChooseConfig
from tlsfast.handshake.flow import Flow, Handshake, Step, ask, expect
from tlsfast.handshake.server13 import server_flow13
from tlsfast.messages.handshake import ClientHello
from tlsfast.registry import TLSVersion


def server_flow(hs: Handshake, config: ServerConfig) -> Flow:
    """Receive the ClientHello, choose the configuration and the version."""
    hello = yield from expect(ClientHello)
    hs.client_random = hello.random
    hs.server_name = hello.extensions.server_name
    config = yield from choose_config(hs, config, hello)
    check_version(hello)
    return (yield from server_flow13(hs, config, hello))


def choose_config(hs: Handshake, config: ServerConfig, hello: ClientHello) -> Step[ServerConfig]:
    """Let on_client_hello choose by what the hello says; None keeps the configuration."""
    hook = config.on_client_hello
    if hook is None:
        return config
    chosen: ServerConfig | None = (yield from ask(ChooseConfig(hello))) if hook is ASK else hook(hello)
    if chosen is None:
        return config
    hs.use_config(chosen)
    return chosen


def check_version(hello: ClientHello) -> None:
    """RFC 8446, 4.2.1, D.5: TLS 1.3 by supported_versions, or a refusal that names what the client speaks."""
    offered = hello.extensions.supported_versions
    # RFC 8446, D.5: a Hello message with legacy_version set to 0x0300 MUST be answered with a "protocol_version" alert
    if offered is None or hello.legacy_version <= TLSVersion.SSLv3:
        highest = hello.legacy_version
    elif TLSVersion.TLSv1_3 in offered:
        if hello.legacy_version != TLSVersion.TLSv1_2:
            # RFC 9846, 4.1.2: a legacy_version not equal to 0x0303 MUST be answered with a "protocol_version" alert
            legacy = hello.legacy_version
            raise VersionError(f"legacy_version of a TLS 1.3 ClientHello is 0x{legacy:04x}, not 0x0303", version=legacy)
        if hello.legacy_compression_methods != b"\0":
            # RFC 8446, 4.1.2: for every TLS 1.3 ClientHello, this vector MUST contain exactly one byte, set to zero
            raise IllegalParameter("a TLS 1.3 ClientHello offers compression")
        return
    else:
        highest = max((version for version in offered if version in set(TLSVersion)), default=hello.legacy_version)
    known = str(TLSVersion(highest)) if highest in set(TLSVersion) else f"0x{highest:04x}"
    raise VersionError(
        f"the client speaks {known} at most; enabled here is TLS 1.3: the client must be upgraded", version=highest
    )
