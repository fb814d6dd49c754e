# SPDX-License-Identifier: Apache-2.0
"""What a connection tells its caller, and what it tells an observer: frozen dataclasses, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tlsfast.registry import CipherSuite, NamedGroup, SignatureScheme, TLSVersion


@dataclass(frozen=True, slots=True)
class HandshakeCompleted:
    """Both Finished messages verified: the peer is who it says, and data may flow.

    peer_chain holds the certificates that the peer sent, leaf first, as DER (in a resumed session: those of the session that it resumes);
    verified_chain the path that was verified, leaf to root (empty without verification)."""

    version: TLSVersion
    cipher_suite: CipherSuite
    group: NamedGroup | None
    signature_scheme: SignatureScheme | None
    alpn: str | None
    server_name: str | None
    resumed: bool
    peer_chain: tuple[bytes, ...] = field(default=(), repr=False)
    verified_chain: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(slots=True, unsafe_hash=True)
class DataReceived:
    """Application data, bytes-like, the receiver's own. (Frozen but for the time that it would cost: there is one for each small record.)"""

    data: bytes


@dataclass(frozen=True, slots=True)
class PeerClosed:
    """The peer will send no more. clean: it said so with close_notify; else its stream was cut (only with allow_truncation)."""

    clean: bool = True


@dataclass(frozen=True, slots=True)
class TicketReceived:
    """The server gave a ticket; it is in the session cache already if there is one. lifetime in seconds."""

    lifetime: int


@dataclass(frozen=True, slots=True)
class KeysUpdated:
    """The peer changed its sending key (RFC 8446, 4.6.3); requested: it asked for ours to change too, which is done."""

    requested: bool


@dataclass(frozen=True, slots=True)
class Request:
    """A question of the handshake that the configuration has no plain callable for: answer it with conn.answer(request, value)."""


@dataclass(frozen=True, slots=True, eq=False)
class Sign(Request):
    """Sign data with the credential's key: answer with the signature, bytes. Source: RFC 8446, 4.4.3."""

    scheme: SignatureScheme
    data: bytes = field(repr=False)
    credential: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class ChooseConfig(Request):
    """A ClientHello came: answer with the ServerConfig to go on with, or None for the one the connection has."""

    client_hello: Any


@dataclass(frozen=True, slots=True, eq=False)
class VerifyChain(Request):
    """The peer's chain passed (or verification is off): answer None to accept, or an exception to refuse.

    chain: DER as sent, leaf first; name: the server name we asked for (client) or None (server). resumed: the chain is that of the session that is
    resumed, and no OCSP response came with it."""

    chain: tuple[bytes, ...]
    name: str | None
    verified: tuple[bytes, ...] = ()
    ocsp_response: bytes | None = None
    resumed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class KeepSession(Request):
    """A TLS 1.2 session was made (session_store=ASK): keep sealed under this id for lifetime seconds, and answer None, kept or not."""

    session_id: bytes
    sealed: bytes = field(repr=False)
    lifetime: int


@dataclass(frozen=True, slots=True, eq=False)
class FindSession(Request):
    """A TLS 1.2 client names a session (session_store=ASK): answer with what a KeepSession gave to keep under this id, or None."""

    session_id: bytes


@dataclass(frozen=True, slots=True, eq=False)
class DecryptPremaster(Request):
    """Decrypt a TLS 1.2 premaster secret (RSA PKCS#1 v1.5, with implicit rejection) with the credential's key: answer with what comes out, bytes."""

    ciphertext: bytes = field(repr=False)
    credential: Any = None


Event = HandshakeCompleted | DataReceived | PeerClosed | TicketReceived | KeysUpdated | Request


# ---- What an observer sees: every message, secret, key change and decision, in order (ClientConfig.observer, ServerConfig.observer) ----


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """A handshake message, sent or received: its encoding with the 4-byte header, and the decoded message (tlsfast.messages.handshake)."""

    sent: bool
    message: Any
    raw: bytes


@dataclass(frozen=True, slots=True)
class SecretDerived:
    """A secret of the key schedule, by the label of RFC 9850 (for the key log). secret is a crypto.Secret: reveal() gives its bytes."""

    label: str
    secret: Any
    client_random: bytes


@dataclass(frozen=True, slots=True)
class KeysChanged:
    """From here on records are sent (or received) under keys of this epoch: "handshake", "application"."""

    sending: bool
    epoch: str
    cipher_suite: CipherSuite


@dataclass(frozen=True, slots=True)
class Decided:
    """A choice that the handshake made: what ("version", "cipher_suite", "group", "alpn", "credential", "resumption"...) and its value."""

    what: str
    value: Any


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """An alert, sent or received. description is an AlertDescription, or an int that the registry does not know."""

    sent: bool
    description: int


@dataclass(frozen=True, slots=True)
class ChangeCipherSpecSeen:
    """A ChangeCipherSpec record, sent or received: in TLS 1.3 it means nothing (RFC 8446, D.4)."""

    sent: bool


Observation = MessageSeen | SecretDerived | KeysChanged | Decided | AlertSeen | ChangeCipherSpecSeen
