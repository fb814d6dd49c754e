# SPDX-License-Identifier: Apache-2.0
"""The server's side of resumption: the ticket a ClientHello offers, judged; and the tickets sent (RFC 8446, 4.2.11, 4.6.1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from tlsfast import crypto
from tlsfast.config import ServerConfig
from tlsfast.credentials import Credential
from tlsfast.crypto import SUITES, KeySchedule, Secret
from tlsfast.errors import DecryptError
from tlsfast.events import HandshakeCompleted
from tlsfast.handshake import auth
from tlsfast.handshake.flow import Handshake, Step
from tlsfast.messages.handshake import ClientHello, NewSessionTicket, truncate
from tlsfast.registry import CipherSuite, PskKeyExchangeMode, TLSVersion
from tlsfast.sessions import TicketState

# Identities that are tried (each costs an AEAD): a client with more has more tickets than sense.
_MAX_IDENTITIES = 8


P = ParamSpec("P")
R = TypeVar("R")


def unless_it_raises(hs: Handshake, what: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """What a keyring or store answers; None when it raises. Sessions only save time: without them the handshake is a full one, and the observer
    is told why."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        hs.decided(f"{what} failed", error)
        return None


@dataclass(frozen=True, slots=True)
class Resumption:
    """A ticket that was accepted: where it stood in the offer, its PSK, and what it binds."""

    index: int
    psk: Secret
    state: TicketState


def find_session(
    hs: Handshake, config: ServerConfig, hello: ClientHello, suite: CipherSuite, credential: Credential
) -> Step[Resumption | None]:
    """The first offered ticket that this connection may resume, its binder verified; None for a full handshake."""
    offered = hello.extensions.pre_shared_key
    modes = hello.extensions.psk_key_exchange_modes or ()
    if offered is None or config.keyring is None or PskKeyExchangeMode.psk_dhe_ke not in modes:
        return None
    algorithm = SUITES[suite].hash
    for index, identity in enumerate(offered.identities[:_MAX_IDENTITIES]):
        opened = unless_it_raises(hs, "keyring", config.keyring.open, identity.identity)
        state = TicketState.decode(opened[1]) if opened is not None else None
        if (
            opened is None
            or state is None
            or not acceptable(hs, config, state, suite, credential, config.keyring.lifetime_hint)
        ):
            continue
        psk = opened[0]
        # RFC 8446, 4.2.11: the server MUST validate the corresponding binder value; if it does not validate, MUST abort the handshake
        truncated = truncate(hs.transcript.newest, hello)
        expected = crypto.binder(algorithm, psk, hs.transcript.digest_truncated(algorithm, truncated))
        if not crypto.equal(expected, offered.binders[index]):
            raise DecryptError("the PSK binder of the ClientHello does not verify")
        if state.peer_chain:
            yield from auth.verify_again(hs, config, state.peer_chain, state.verified_chain)
        return Resumption(index, psk, state)
    return None


def acceptable(
    hs: Handshake, config: ServerConfig, state: TicketState, suite: CipherSuite, credential: Credential, lifetime: int
) -> bool:
    """A TLS 1.3 session whose PSK goes with the suite, and that skips no check."""
    return (
        state.version is TLSVersion.TLSv1_3
        and state.cipher_suite in SUITES
        and SUITES[state.cipher_suite].hash == SUITES[suite].hash
        and same_peer_and_policy(hs, config, state, credential, lifetime)
    )


def same_peer_and_policy(
    hs: Handshake, config: ServerConfig, state: TicketState, credential: Credential, lifetime: int
) -> bool:
    """Whether a resumed handshake would skip no check that a full one makes now (SECURITY-BAR 7; CVE-2025-23419)."""
    now = time.time()
    return (
        state.server_name == hs.server_name
        and crypto.equal(state.policy, config.policy_digest(credential))
        and state.issued_at - 60 <= now <= state.issued_at + lifetime
        and (state.expires_at is None or now < state.expires_at)
        and (config.client_auth != "required" or bool(state.peer_chain))
    )


def send_tickets(
    hs: Handshake,
    config: ServerConfig,
    hello: ClientHello,
    completed: HandshakeCompleted,
    credential: Credential,
    schedule: KeySchedule,
    chain_expires_at: float | None,
) -> None:
    """NewSessionTicket messages after the client's Finished: some after a full handshake, one for the one that a resumed session used up."""
    modes = hello.extensions.psk_key_exchange_modes or ()
    if config.keyring is None or PskKeyExchangeMode.psk_dhe_ke not in modes:
        return
    for number in range(min(config.ticket_count, 1) if completed.resumed else config.ticket_count):
        nonce = bytes((number,))
        age_add = int.from_bytes(crypto.random_bytes(4))
        state = TicketState(
            cipher_suite=completed.cipher_suite,
            alpn=completed.alpn,
            server_name=completed.server_name,
            policy=config.policy_digest(credential),
            peer_chain=completed.peer_chain,
            verified_chain=completed.verified_chain,
            expires_at=chain_expires_at,
            issued_at=time.time(),
            age_add=age_add,
        )
        encoded = state.encode()
        if encoded is None:  # the client's chain is too long for a ticket
            return
        psk = schedule.resumption_psk(nonce)
        ticket = unless_it_raises(hs, "keyring", config.keyring.seal, psk, encoded)
        if ticket is None:
            return
        hs.send_unhashed(NewSessionTicket(config.keyring.lifetime_hint, age_add, nonce, ticket))
