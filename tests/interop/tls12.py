# SPDX-License-Identifier: Apache-2.0
"""TLS 1.2 with every peer: the axes of its matrix, our two configurations for a row, and what both sides must say of it afterwards."""

from __future__ import annotations

from typing import Any

import pki
from harness import CLIENT_AUTH, GROUPS, KEYS, LOOPBACK, NAME, Certificates, Identity

from tlsfast import CipherSuite, ClientConfig, HandshakeCompleted, NamedGroup, ServerConfig, TLSVersion, crypto

SUITES12 = tuple(map(CipherSuite, crypto.SUITES12))
STATIC_RSA = tuple(suite for suite in SUITES12 if crypto.SUITES12[suite].exchange == "rsa")
ECDHE = tuple(suite for suite in SUITES12 if suite not in STATIC_RSA)
BOTH = ["TLSv1_3", "TLSv1_2"]
CURVES = {"p256": NamedGroup.secp256r1, "p384": NamedGroup.secp384r1}

AXES12: dict[str, Any] = {
    "suite": SUITES12,
    "group": (*GROUPS, None),
    "key": KEYS,
    "client_auth": CLIENT_AUTH,
    "resume": (None, "ticket", "session_id"),
}


# For a peer that takes its time to start: each value of each axis, and each key as a certificate of either side once.
FEW = [
    dict(zip(AXES12, row, strict=True))
    for row in (
        (CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, NamedGroup.x25519, "p256", "required", "ticket"),
        (CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, NamedGroup.secp256r1, "rsa2048", "required", "session_id"),
        (CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, NamedGroup.secp384r1, "p384", "required", "session_id"),
        (CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, NamedGroup.x25519, "rsapss2048", "required", "ticket"),
        (CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, NamedGroup.secp256r1, "ed25519", "required", None),
        (
            CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            NamedGroup.secp384r1,
            "rsa2048",
            "optional",
            "ticket",
        ),
        (CipherSuite.TLS_RSA_WITH_AES_128_GCM_SHA256, None, "rsa2048", None, "session_id"),
        (CipherSuite.TLS_RSA_WITH_AES_256_GCM_SHA384, None, "rsa2048", "required", "ticket"),
    )
]


def is_no_row(row: dict[str, Any]) -> bool:
    """Static RSA has no group and encrypts to a plain RSA key; ECDHE has a group, and a key of the suite's kind signs."""
    suite = row["suite"]
    if suite in STATIC_RSA:
        return row["group"] is not None or row["key"] != "rsa2048"
    return row["group"] is None or (crypto.SUITES12[suite].auth == "rsa") != row["key"].startswith("rsa")


def openssl_name(suite: CipherSuite) -> str:
    """OpenSSL's name, which leaves out what it takes for granted: TLS_RSA_WITH_AES_128_GCM_SHA256 is AES128-GCM-SHA256."""
    short = suite.name.removeprefix("TLS_").removeprefix("RSA_WITH_").replace("_WITH", "").replace("AES_", "AES")
    return short.removesuffix("_SHA256").replace("_", "-") if "CHACHA20" in short else short.replace("_", "-")


def server_identity(certificates: Certificates, row: dict[str, Any]) -> Identity:
    """The server's certificate; for static RSA one that may encipher keys (RFC 5246, 7.4.2)."""
    if row["suite"] not in STATIC_RSA:
        return certificates.server(row["key"])
    return transport_identity(certificates)


def transport_identity(certificates: Certificates) -> Identity:
    usage = pki.key_usage(digital_signature=True, key_encipherment=True)
    return certificates.named(
        "server-transport", lambda: certificates.leaf([NAME, "localhost", LOOPBACK], key="rsa2048", usage=usage)
    )


def client_identity(certificates: Certificates, row: dict[str, Any]) -> Identity | None:
    """With client_auth "required" the client has a certificate, with "optional" it gives none."""
    return certificates.client(row["key"]) if row["client_auth"] == "required" else None


def client_groups(row: dict[str, Any]) -> list[NamedGroup]:
    """The row's first; and the curve of the certificates, for which the extension speaks too (RFC 8422, 5.3)."""
    wanted = (row["group"], CURVES.get(row["key"]))
    return list(dict.fromkeys(group for group in wanted if group is not None)) or list(GROUPS)


def our_client12(certificates: Certificates, row: dict[str, Any], **changes: Any) -> ClientConfig:
    """Our side of a row where the peer is the server."""
    own = client_identity(certificates, row)
    options = {
        "cipher_suites": [row["suite"]],
        "groups": client_groups(row),
        "credentials": [own.credential] if own else [],
        **({} if row["resume"] else {"session_cache": None}),
    }
    return certificates.client_config(**{**options, **changes})


def our_server12(certificates: Certificates, row: dict[str, Any], **changes: Any) -> ServerConfig:
    """Our side of a row where the peer is the client. Without tickets sessions are kept by id, unless there is no store either."""
    options = {
        "cipher_suites": [row["suite"]],
        "groups": [row["group"]] if row["group"] else GROUPS,
        "credentials": [server_identity(certificates, row).credential],
        "client_auth": row["client_auth"],
        **({} if row["resume"] == "ticket" else {"tickets": None}),
        **({} if row["resume"] else {"session_store": None}),
    }
    return certificates.server_config(**{**options, **changes})


def rounds(row: dict[str, Any]) -> tuple[bool, ...]:
    """Two connections, of which the second resumes the first; without resumption two full handshakes."""
    return (False, row["resume"] is not None)


def check_ours12(info: HandshakeCompleted, row: dict[str, Any], resumed: bool) -> None:
    """What our side says was agreed. A resumed handshake has no key exchange, so no group."""
    assert info.version is TLSVersion.TLSv1_2
    assert (info.cipher_suite, info.resumed) == (row["suite"], resumed)
    assert info.group is (None if resumed else row["group"])
