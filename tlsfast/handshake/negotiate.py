# SPDX-License-Identifier: Apache-2.0
"""What the server chooses from a ClientHello, and the words for when nothing is in common. Pure functions of configuration and hello."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from tlsfast.certificates.names import printable
from tlsfast.config import DEFAULT_ORDERS, ServerConfig
from tlsfast.credentials import Credential
from tlsfast.crypto import SUITES, SUITES12
from tlsfast.errors import HandshakeFailure, NoApplicationProtocol, UnrecognizedName
from tlsfast.keyshare import CURVES
from tlsfast.messages.handshake import ClientHello
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme

CHACHA20 = (
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
    CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
)

# Of what a client offers, in the words of an error.
MOST_NAMED = 24


def names(kind: type[CipherSuite] | type[NamedGroup] | type[SignatureScheme], numbers: Iterable[int]) -> str:
    """The registry's names of these numbers, in words; unknown ones in hexadecimal. Of many, the first: a hello has room for tens of thousands."""
    known = {member.value: member.name for member in kind}
    different = list(dict.fromkeys(numbers))
    listed = [known.get(number, f"0x{number:04x}") for number in different[:MOST_NAMED]]
    more = [f"and {len(different) - MOST_NAMED} more"] if len(different) > MOST_NAMED else []
    return ", ".join(listed + more) or "none"


def common_suites(config: ServerConfig, hello: ClientHello, table: Collection[int]) -> list[CipherSuite]:
    """The suites of a version's table that both sides have, in our order.

    An order that was left to its default follows the hardware of both sides: AES first where this processor has instructions for it, and
    ChaCha20-Poly1305 first for a client that leads with it, because it has none. An order that was named stands."""
    common = [suite for suite in config.cipher_suites if suite in table and suite in hello.cipher_suites]
    # what the client does not share, as the values of RFC 8701, says nothing of its hardware
    leads = next((each for each in hello.cipher_suites if each in common), None)
    if leads in CHACHA20 and config.cipher_suites in DEFAULT_ORDERS:
        common.sort(key=lambda suite: suite not in CHACHA20)  # stable
    return common


def choose_suite(config: ServerConfig, hello: ClientHello) -> CipherSuite:
    """The first suite in common."""
    if common := common_suites(config, hello, SUITES):
        return common[0]
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


def candidates(config: ServerConfig, hello: ClientHello) -> Sequence[Credential]:
    """The credentials that serve the name asked for; all of them where none does, unless strict_sni refuses."""
    asked = hello.extensions.server_name
    if not config.credentials:
        raise HandshakeFailure(
            f"on_client_hello chose no configuration for the name {asked!r}, and the connection's own has no credential",
            name=asked,
        )
    serving = tuple(each for each in config.credentials if asked is not None and each.serves(asked))
    if not serving and asked is not None and config.strict_sni:
        raise UnrecognizedName(f"no credential serves the name {asked!r}, and strict_sni is on", name=asked)
    return serving or config.credentials


def choose_credential(config: ServerConfig, hello: ClientHello) -> tuple[Credential, SignatureScheme]:
    """The first credential that serves the name and that the client can verify, with the scheme to sign with (RFC 8446, 4.4.2.2)."""
    offered = hello.extensions.signature_algorithms or ()
    serving = candidates(config, hello)
    usable = [(each, scheme) for each in serving if (scheme := _scheme(config, each.schemes, offered)) is not None]
    if not usable:
        raise HandshakeFailure(
            f"no signature scheme in common: the client offers {names(SignatureScheme, offered)}; the credentials here sign with "
            f"{names(SignatureScheme, dict.fromkeys(scheme for each in serving for scheme in each.schemes))}",
            offered=offered,
        )
    # RFC 8446, 4.4.2.2: a chain signed with what the client can verify, where there is one; else any
    verifiable = hello.extensions.signature_algorithms_cert or offered
    for credential, scheme in usable:
        if all(each in verifiable for each in credential.signature_schemes_in_chain):
            return credential, scheme
    return usable[0]


def _scheme(
    config: ServerConfig, schemes: tuple[SignatureScheme, ...], offered: tuple[int, ...]
) -> SignatureScheme | None:
    for scheme in schemes:
        if scheme in offered and scheme in config.signature_schemes:
            return scheme
    return None


# ---- TLS 1.2: suite, group and certificate depend on each other ----


@dataclass(frozen=True, slots=True)
class Choice12:
    """What a TLS 1.2 server chose from the ClientHello; ecdhe: the group and how it is signed, None for RSA key transport."""

    suite: CipherSuite
    credential: Credential
    ecdhe: tuple[NamedGroup, SignatureScheme] | None
    alpn: str | None


def choose12(config: ServerConfig, hello: ClientHello) -> Choice12:
    """The first suite in common for which there is a certificate, and for ECDHE a group and a signature scheme."""
    supported = hello.extensions.supported_groups
    # RFC 8422, 4: without the extension the server is free to choose; P-256 is what every such client has
    common = [
        group
        for group in config.groups
        if group in CURVES and (group in supported if supported is not None else group == NamedGroup.secp256r1)
    ]
    offered = hello.extensions.signature_algorithms or ()
    serving = candidates(config, hello)
    for suite in common_suites(config, hello, SUITES12):
        terms = SUITES12[suite]
        for credential in serving:
            if credential.auth12 != terms.auth or not credential.allows(terms.exchange):
                continue
            if supported is not None and not set(_curves(credential)) <= set(supported):
                continue
            if terms.exchange == "rsa":
                return Choice12(suite, credential, None, choose_alpn(config, hello))
            scheme = _scheme(config, credential.schemes12, offered)
            if common and scheme is not None:
                return Choice12(suite, credential, (common[0], scheme), choose_alpn(config, hello))
    raise HandshakeFailure(
        f"nothing in common for TLS 1.2: the client offers the suites {names(CipherSuite, hello.cipher_suites)}, the groups "
        f"{names(NamedGroup, supported or ())} and the signature schemes {names(SignatureScheme, offered)}; enabled here are "
        f"{names(CipherSuite, [each for each in config.cipher_suites if each in SUITES12])} and {names(NamedGroup, config.groups)}",
        offered=hello.cipher_suites,
        supported=config.cipher_suites,
    )


# RFC 8422, 5.1 and 5.3: what supported_groups lists holds for the curve of the certificate, too.
_CURVE_OF = {
    SignatureScheme.ecdsa_secp256r1_sha256: NamedGroup.secp256r1.value,
    SignatureScheme.ecdsa_secp384r1_sha384: NamedGroup.secp384r1.value,
    SignatureScheme.ecdsa_secp521r1_sha512: 0x0019,
}


def _curves(credential: Credential) -> list[int]:
    """The curve of an ECDSA key, which is the one that its scheme of TLS 1.3 names; of other keys none."""
    return [_CURVE_OF[scheme] for scheme in credential.schemes if scheme in _CURVE_OF]


def choose_alpn(config: ServerConfig, hello: ClientHello) -> str | None:
    """The first of our protocols that the client offers; None when either side names none (RFC 7301, 3.2)."""
    offered = hello.extensions.alpn
    if not offered or not config.alpn:
        return None
    for protocol in config.alpn:
        if protocol.encode() in offered:
            return protocol
    listed = printable(", ".join(repr(each.decode("utf-8", "backslashreplace")) for each in offered[:MOST_NAMED]))
    raise NoApplicationProtocol(
        f"no application protocol in common: the client offers {listed}; enabled here are {', '.join(map(repr, config.alpn))}",
        offered=offered,
    )
