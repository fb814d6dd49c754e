# SPDX-License-Identifier: Apache-2.0
"""What the standard context was told, in our terms: versions, cipher suites, groups and signature schemes by the names that OpenSSL gives them."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from tlsfast.config import SIGNATURE_SCHEMES, default_suites
from tlsfast.credentials import Credential
from tlsfast.crypto import SUITES, SUITES12
from tlsfast.keyshare import GROUPS
from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion
from tlsfast.ssl.errors import protocol_error, unsupported

# ---- Versions ----

_PINNED: Final[dict[int, TLSVersion]] = {
    ssl.PROTOCOL_TLSv1_2: TLSVersion.TLSv1_2,
}
_OLD_PROTOCOLS: Final[dict[int, str]] = {
    ssl.PROTOCOL_TLSv1: "TLS 1.0",
    ssl.PROTOCOL_TLSv1_1: "TLS 1.1",
}


def versions(protocol: int, minimum: int, maximum: int, options: int) -> tuple[TLSVersion, ...]:
    """TLS 1.3 and 1.2, those that the context allows; an error that names what it asks for if it allows neither."""
    if protocol in _OLD_PROTOCOLS:
        raise unsupported(f"{_OLD_PROTOCOLS[protocol]}, which PROTOCOL_{ssl._SSLMethod(protocol).name[9:]} asks for")
    if protocol in _PINNED:
        minimum = maximum = int(_PINNED[protocol])
    off = {TLSVersion.TLSv1_3: ssl.OP_NO_TLSv1_3, TLSVersion.TLSv1_2: ssl.OP_NO_TLSv1_2}
    lowest = 0 if minimum == ssl.TLSVersion.MINIMUM_SUPPORTED else minimum
    highest = 0xFFFF if maximum == ssl.TLSVersion.MAXIMUM_SUPPORTED else maximum
    if minimum == ssl.TLSVersion.MAXIMUM_SUPPORTED:
        lowest = int(TLSVersion.TLSv1_3)
    if maximum == ssl.TLSVersion.MINIMUM_SUPPORTED:
        highest = int(TLSVersion.TLSv1_0)
    allowed = tuple(version for version, no in off.items() if lowest <= version <= highest and not options & no)
    if not allowed:
        if highest < TLSVersion.TLSv1_2:
            raise unsupported("TLS 1.1 and older, and maximum_version allows nothing newer")
        raise protocol_error(
            "NO_PROTOCOLS_AVAILABLE", "minimum_version, maximum_version and options leave no TLS version"
        )
    return allowed


# ---- Cipher suites ----

NAMES: Final = {
    CipherSuite.TLS_AES_128_GCM_SHA256: "TLS_AES_128_GCM_SHA256",
    CipherSuite.TLS_AES_256_GCM_SHA384: "TLS_AES_256_GCM_SHA384",
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256: "TLS_CHACHA20_POLY1305_SHA256",
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
    CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
    CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
    CipherSuite.TLS_RSA_WITH_AES_128_GCM_SHA256: "AES128-GCM-SHA256",
    CipherSuite.TLS_RSA_WITH_AES_256_GCM_SHA384: "AES256-GCM-SHA384",
}
_BY_NAME: Final = {name: suite for suite, name in NAMES.items()}
_BY_NAME.update({suite.name: suite for suite in NAMES})
# Static RSA is on by name alone, never by a class of suites that happens to hold it.
_STATIC_RSA: Final = {suite for suite in SUITES12 if SUITES12[suite].exchange == "rsa"}


def described(suite: CipherSuite) -> tuple[str, str, int]:
    """A suite as SSLSocket.cipher() and shared_ciphers() show it: OpenSSL's name, version, secret bits."""
    version = "TLSv1.3" if suite in SUITES else "TLSv1.2"
    return NAMES[suite], version, 128 if "AES_128" in suite.name else 256


def suites12(listed: Iterable[str], asked: str) -> tuple[CipherSuite, ...]:
    """Our TLS 1.2 suites among those that OpenSSL made of the cipher string asked, in its order."""
    wanted = [_BY_NAME[name] for name in listed if name in _BY_NAME]
    by_name = any(word in ("RSA", "kRSA") for word in asked.replace(",", ":").replace(" ", ":").split(":"))
    static = {suite for suite in _STATIC_RSA if by_name or NAMES[CipherSuite(suite)] in asked.split(":")}
    return tuple(suite for suite in wanted if suite in SUITES12 and (suite not in _STATIC_RSA or suite in static))


def suites13(asked: str) -> tuple[CipherSuite, ...]:
    """The TLS 1.3 suites of set_ciphersuites."""
    names = [name for name in asked.split(":") if name]
    wrong = [name for name in names if name not in _BY_NAME or _BY_NAME[name] not in SUITES]
    if wrong or not names:
        raise protocol_error("NO_CIPHER_MATCH", f"{wrong or asked!r} names no TLS 1.3 cipher suite of tlsfast")
    return tuple(_BY_NAME[name] for name in names)


def default_suites13() -> tuple[CipherSuite, ...]:
    return tuple(suite for suite in default_suites() if suite in SUITES)


def suites(
    versions: Sequence[TLSVersion], chosen13: Sequence[CipherSuite], asked: str | None, listed: Callable[[], list[str]]
) -> dict[str, Any]:
    """The suites and versions of a configuration. asked: the cipher string, None if none was set; listed: what OpenSSL makes of it."""
    names = listed() if asked is not None else []
    chosen12 = default_suites12() if asked is None else suites12(names, asked)
    wanted = [*chosen13] if TLSVersion.TLSv1_3 in versions else []
    if TLSVersion.TLSv1_2 in versions:
        wanted += chosen12
    if not wanted:
        raise _why_no_suite(names)
    able = [version for version in versions if version is TLSVersion.TLSv1_3 or chosen12]
    return {"cipher_suites": tuple(wanted), "versions": able}


def default_suites12() -> tuple[CipherSuite, ...]:
    return tuple(suite for suite in default_suites() if suite in SUITES12)


def _why_no_suite(listed: Sequence[str]) -> ssl.SSLError:
    """Name what a cipher list asks for that is not done here."""
    kinds = []
    if any(name.startswith(("DHE-", "EDH-", "ADH-")) for name in listed):
        kinds.append("finite-field DHE")
    if any("GCM" not in name and "POLY1305" not in name and "CCM" not in name for name in listed):
        kinds.append("CBC and other suites without AEAD")
    if any("PSK" in name for name in listed):
        kinds.append("external pre-shared keys")
    if any("CCM" in name for name in listed):
        kinds.append("AES-CCM")
    return unsupported(f"{', '.join(kinds) or 'any of these suites'}: of {', '.join(listed[:6])}... nothing is left")


# ---- Groups ----

_GROUP_NAMES: Final = {
    "prime256v1": "secp256r1",
    "p-256": "secp256r1",
    "p256": "secp256r1",
    "secp256r1": "secp256r1",
    "p-384": "secp384r1",
    "p384": "secp384r1",
    "secp384r1": "secp384r1",
    "x25519": "x25519",
}


def group(name: str) -> NamedGroup:
    """The group of an OpenSSL or IANA name."""
    known = {each.name.lower(): each for each in NamedGroup if each in GROUPS}
    found = known.get(_GROUP_NAMES.get(name.lower(), name.lower()))
    if found is None:
        raise unsupported(f"key agreement with the group {name}")
    return found


def groups(asked: str) -> tuple[NamedGroup, ...]:
    """The groups of set_groups: names separated by colons; OpenSSL 3.5's marks for tuples and key shares are read over."""
    wanted = []
    for name in asked.replace("/", ":").split(":"):
        bare = name.strip("*?-")
        if not bare:
            continue
        try:
            wanted.append(group(bare))
        except ssl.SSLError:
            if not name.startswith("?"):
                raise
    if not wanted:
        raise unsupported(f"a key agreement without any of its groups ({asked!r})")
    return tuple(dict.fromkeys(wanted))


def group_names(aliases: bool) -> list[str]:
    """The names of our groups; with aliases, those of OpenSSL for the same too."""
    known = [each.name for each in GROUPS]
    return (
        [*known, *(name for name, same in _GROUP_NAMES.items() if same in known and name != same)] if aliases else known
    )


# ---- Signature schemes ----

_HASHES: Final = ("SHA256", "SHA384", "SHA512")
_CURVES: Final = {"SHA256": "secp256r1", "SHA384": "secp384r1"}


def schemes(asked: str) -> tuple[SignatureScheme, ...]:
    """The schemes of set_client_sigalgs and set_server_sigalgs: IANA's names, or OpenSSL's (RSA-PSS+SHA256, ECDSA+SHA384, ed25519)."""
    known = {scheme.name: scheme for scheme in SIGNATURE_SCHEMES}
    wanted: list[SignatureScheme] = []
    for name in filter(None, asked.split(":")):
        key, _, digest = name.upper().partition("+")
        names = [name.lower().lstrip("?")]
        if digest in _HASHES and key in ("RSA-PSS", "PSS"):
            names = [f"rsa_pss_rsae_{digest.lower()}", f"rsa_pss_pss_{digest.lower()}"]
        elif digest in _HASHES and key == "RSA":
            names = [f"rsa_pkcs1_{digest.lower()}"]
        elif digest in _CURVES and key == "ECDSA":
            names = [f"ecdsa_{_CURVES[digest]}_{digest.lower()}"]
        if not all(each in known for each in names):
            raise unsupported(f"signatures by {name}")
        wanted += [known[each] for each in names]
    if not wanted:
        raise unsupported("handshakes without any signature scheme")
    return tuple(dict.fromkeys(wanted))


def narrowed(credentials: Iterable[Credential], allowed: Sequence[SignatureScheme] | None) -> tuple[Credential, ...]:
    """The credentials, newest first, signing by no other schemes than those allowed."""
    newest = tuple(reversed(list(credentials)))
    if allowed is None:
        return newest
    bound = [
        dataclasses.replace(
            each,
            schemes=tuple(scheme for scheme in each.schemes if scheme in allowed),
            schemes12=tuple(scheme for scheme in each.schemes12 if scheme in allowed),
        )
        for each in newest
    ]
    return tuple(each for each in bound if each.schemes or each.schemes12)
