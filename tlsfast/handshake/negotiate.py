# SPDX-License-Identifier: Apache-2.0
"""What the server chooses from a ClientHello, and the words for when nothing is in common. Pure functions of configuration and hello."""

from __future__ import annotations

from collections.abc import Iterable

from tlsfast.config import ServerConfig
from tlsfast.credentials import Credential
from tlsfast.errors import HandshakeFailure, NoApplicationProtocol, UnrecognizedName
from tlsfast.messages.handshake import ClientHello
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme


def names(kind: type[CipherSuite] | type[NamedGroup] | type[SignatureScheme], numbers: Iterable[int]) -> str:
    """The registry's names of these numbers, in words; unknown ones in hexadecimal."""
    known = {member.value: member.name for member in kind}
    return ", ".join(known.get(number, f"0x{number:04x}") for number in numbers) or "none"


def choose_suite(config: ServerConfig, hello: ClientHello) -> CipherSuite:
    """The first of our suites that the client offers."""
    for suite in config.cipher_suites:
        if suite in hello.cipher_suites:
            return suite
    raise HandshakeFailure(
        f"no cipher suite in common: the client offers {names(CipherSuite, hello.cipher_suites)}; enabled here are "
        f"{names(CipherSuite, config.cipher_suites)}",
        offered=hello.cipher_suites,
        supported=config.cipher_suites,
    )


def choose_group(config: ServerConfig, hello: ClientHello) -> NamedGroup:
    """The first of our groups for which a key share came; else the first in common, which a HelloRetryRequest asks for."""
    supported = hello.extensions.supported_groups or ()
    common = [group for group in config.groups if group in supported]
    shared = {entry.group for entry in hello.extensions.key_share or ()}
    for group in common:
        if group in shared:
            return group
    if common:
        return common[0]
    raise HandshakeFailure(
        f"no key agreement group in common: the client offers {names(NamedGroup, supported)}; enabled here are "
        f"{names(NamedGroup, config.groups)}",
        offered=supported,
        supported=config.groups,
    )


def choose_credential(config: ServerConfig, hello: ClientHello) -> tuple[Credential, SignatureScheme]:
    """The first credential that serves the name and that the client can verify, with the scheme to sign with (RFC 8446, 4.4.2.2)."""
    asked = hello.extensions.server_name
    candidates = [each for each in config.credentials if asked is not None and each.serves(asked)]
    if not candidates:
        if asked is not None and config.strict_sni:
            raise UnrecognizedName(f"no credential serves the name {asked!r}, and strict_sni is on", name=asked)
        candidates = list(config.credentials)
    offered = hello.extensions.signature_algorithms or ()
    usable = [(each, scheme) for each in candidates if (scheme := _scheme(config, each, offered)) is not None]
    if not usable:
        raise HandshakeFailure(
            f"no signature scheme in common: the client offers {names(SignatureScheme, offered)}; the credentials here sign with "
            f"{names(SignatureScheme, dict.fromkeys(scheme for each in candidates for scheme in each.schemes))}",
            offered=offered,
        )
    # RFC 8446, 4.4.2.2: a chain signed with what the client can verify, where there is one; else any
    verifiable = hello.extensions.signature_algorithms_cert or offered
    for credential, scheme in usable:
        if all(each in verifiable for each in credential.signature_schemes_in_chain):
            return credential, scheme
    return usable[0]


def _scheme(config: ServerConfig, credential: Credential, offered: tuple[int, ...]) -> SignatureScheme | None:
    for scheme in credential.schemes:
        if scheme in offered and scheme in config.signature_schemes:
            return scheme
    return None


def choose_alpn(config: ServerConfig, hello: ClientHello) -> str | None:
    """The first of our protocols that the client offers; None when either side names none (RFC 7301, 3.2)."""
    offered = hello.extensions.alpn
    if not offered or not config.alpn:
        return None
    for protocol in config.alpn:
        if protocol.encode() in offered:
            return protocol
    listed = ", ".join(repr(each.decode("utf-8", "backslashreplace")) for each in offered)
    raise NoApplicationProtocol(
        f"no application protocol in common: the client offers {listed}; enabled here are {', '.join(map(repr, config.alpn))}",
        offered=offered,
    )
