# SPDX-License-Identifier: Apache-2.0
"""Real flights for the fuzz targets to start from: configurations with fixed keys, every message of real handshakes, sessions to resume."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import engine  # first: it makes the tests' modules importable
import pki
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pair import Pair

from tlsfast import (
    ChooseConfig,
    ClientConfig,
    ClientConnection,
    Credential,
    ServerConfig,
    ServerConnection,
    SessionCache,
    Sign,
    SignatureScheme,
    TicketKeyring,
    TLSError,
    TLSVersion,
    TrustStore,
    VerifyChain,
)
from tlsfast.certificates.signatures12 import decrypt_premaster, sign12
from tlsfast.events import DecryptPremaster, FindSession, MessageSeen, Request
from tlsfast.sessions import Session

__all__ = ["NAME", "RING", "VERSIONS", "engine", "messages", "sessions", "well"]

NAME = "server.test"
KEYS_LIVE = 604800
RING = TicketKeyring(lifetime=KEYS_LIVE)


def p256(secret: int) -> ec.EllipticCurvePrivateKey:
    """The same key in each run: inputs then mean the same."""
    return ec.derive_private_key(secret, ec.SECP256R1())


CA = pki.make_ca("fuzz CA", key=p256(0xCA))
OTHER_CA = pki.make_ca("fuzz CA", key=p256(0xCB))  # of the same name: an impostor's
MIDDLE = pki.make_ca("fuzz intermediate", issuer=CA, key=p256(0x11D))
TRUST = TrustStore([CA.cert])


def deterministic(key: ec.EllipticCurvePrivateKey) -> Callable[[SignatureScheme, bytes], bytes]:
    """A signer that makes the same signature of the same message (RFC 6979)."""
    return lambda scheme, data: key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))


def _credential(ca: pki.Entity, name: str, number: int, *, staple: bool = False, ask: bool = False) -> Credential:
    key = p256(number)
    leaf = pki.make_leaf(ca, [name], key=key)
    response = pki.ocsp_response(leaf) if staple else None
    return Credential.external(leaf.pem, None if ask else deterministic(key), ocsp_response=response)


def _ed25519() -> Credential:
    leaf = pki.make_leaf(CA, [NAME], key=ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32)))
    return Credential.load(leaf.pem, leaf.key_pem)


RSA_KEY = cast(rsa.RSAPrivateKey, pki.make_key("rsa2048"))
_RSA_LEAF = pki.make_leaf(CA, [NAME], key=RSA_KEY, usage=pki.key_usage(digital_signature=True, key_encipherment=True))
# What a server may show: the good ones first, then those that no client with verification may take.
CREDENTIALS: dict[str, Credential] = {
    "p256": _credential(CA, NAME, 0x51),
    "staple": _credential(CA, NAME, 0x52, staple=True),
    "ask": _credential(MIDDLE, NAME, 0x53, ask=True),
    "ed25519": _ed25519(),
    "rsa": Credential.load(_RSA_LEAF.pem, _RSA_LEAF.key_pem),
    "ask rsa": Credential.external(_RSA_LEAF.pem),
    "impostor": _credential(OTHER_CA, NAME, 0x54),
    "wrong name": _credential(CA, "other.test", 0x55),
}
GOOD = ("p256", "staple", "ask", "ed25519", "rsa", "ask rsa")


def well(question: Request) -> object:
    """The answer that goes on with the handshake; of a Sign and a DecryptPremaster, by who holds the key outside."""
    if isinstance(question, Sign) and question.credential is CREDENTIALS["ask"]:
        return deterministic(p256(0x53))(question.scheme, question.data)
    if isinstance(question, Sign):
        return sign12(RSA_KEY, question.scheme, question.data)
    if isinstance(question, DecryptPremaster):
        return decrypt_premaster(RSA_KEY, question.ciphertext)
    assert isinstance(question, ChooseConfig | VerifyChain | FindSession), question
    return None


CLIENT = _credential(CA, "client.test", 0xC1)


def completes(version: TLSVersion) -> bool:
    """Whether a plain pair of this version shakes hands in this tree."""
    try:
        return plain(version).run().complete
    except TLSError:
        return False


def plain(version: TLSVersion, client: dict[str, Any] | None = None, server: dict[str, Any] | None = None) -> Pair:
    """A pair of one version, with these changes to its configurations."""
    return Pair(
        ClientConnection(
            ClientConfig(**{"trust": TRUST, "keylog": None, "versions": (version,), **(client or {})}), NAME
        ),
        ServerConnection(
            ServerConfig(
                **{
                    "credentials": CREDENTIALS["staple"],
                    "keylog": None,
                    "versions": (version,),
                    "tickets": RING,
                    **(server or {}),
                }
            )
        ),
    )


VERSIONS = tuple(version for version in (TLSVersion.TLSv1_3, TLSVersion.TLSv1_2) if completes(version))


@functools.cache
def messages() -> tuple[tuple[TLSVersion, Any, bytes], ...]:
    """Each kind of message of real handshakes of each version: full with client certificate, retried, resumed."""
    found: dict[tuple[TLSVersion, type[Any], int], tuple[TLSVersion, Any, bytes]] = {}
    for version in VERSIONS:

        def see(seen: object, version: TLSVersion = version) -> None:
            if isinstance(seen, MessageSeen):
                kept = (version, type(seen.message), len(seen.raw))
                found.setdefault(kept, (version, seen.message, seen.raw))

        cache = SessionCache()
        client = {"observer": see, "session_cache": cache, "credentials": CLIENT, "alpn": ("h2",)}
        server = {"client_auth": "optional", "trust": TRUST, "alpn": ("h2",)}
        for changes in ({}, {}, {"groups": ("secp384r1",), "retry_cookie": True}):
            pair = plain(version, client, {**server, **changes}).run()
            if version is TLSVersion.TLSv1_3:
                pair.server.update_keys()
                pair.run()
    return tuple(found.values())


class _Forwarder:
    """The observer of the one configuration that outlives a run."""

    to: Callable[[object], object] | None = None

    def __call__(self, seen: object) -> None:
        if self.to is not None:
            self.to(seen)


WATCH_BY_ID = _Forwarder()
# TLS 1.2 resumes by session id only with the configuration, so the store and its keys, that made the session.
BY_ID = ServerConfig(
    credentials=(CREDENTIALS["staple"],),
    keylog=None,
    tickets=None,
    versions=VERSIONS,
    observer=WATCH_BY_ID,
)


@functools.cache
def sessions() -> tuple[Session, ...]:
    """A session to resume for each version, without and with a client certificate; and one by session id."""
    found = []
    servers = [(version, {"client_auth": auth, "trust": TRUST}) for version in VERSIONS for auth in (None, "required")]
    for version, server in (*servers, (VERSIONS[-1], None)):
        config = ClientConfig(trust=TRUST, keylog=None, versions=(version,), credentials=(CLIENT,))
        theirs = ServerConnection(BY_ID) if server is None else plain(version, server=server).server
        pair = Pair(ClientConnection(config, NAME), theirs).run()
        assert pair.complete, pair.client_error
        session = config.sessions.take(config.session_key(NAME), 0) if config.sessions is not None else None
        if session is not None:
            found.append(session)
    return tuple(found)
