# SPDX-License-Identifier: Apache-2.0
"""The server's side of TLS 1.2 resumption: by ticket (RFC 5077) or session id (RFC 5246, 7.3), judged alike."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from tlsfast import crypto
from tlsfast.config import ASK, ServerConfig
from tlsfast.crypto import Secret
from tlsfast.errors import HandshakeFailure
from tlsfast.events import FindSession, HandshakeCompleted, KeepSession
from tlsfast.handshake import auth
from tlsfast.handshake.flow import Handshake, Step, ask
from tlsfast.handshake.keys12 import Session12
from tlsfast.handshake.negotiate import Choice12
from tlsfast.handshake.resume import same_peer_and_policy, unless_it_raises
from tlsfast.messages.handshake import ClientHello
from tlsfast.messages.handshake12 import NewSessionTicket12
from tlsfast.registry import TLSVersion
from tlsfast.sessions import Keyring, TicketState


@dataclass(frozen=True, slots=True)
class Old:
    """The session that is resumed."""

    master: Secret
    state: TicketState
    session_id: bytes  # under which the store has it; empty for a ticket


def find_session(hs: Handshake, config: ServerConfig, hello: ClientHello, choice: Choice12) -> Step[Old | None]:
    """The session of the ClientHello's ticket, else of its session id; None for a full handshake."""
    sealed, keyring, session_id = hello.extensions.session_ticket, config.keyring, b""
    if not sealed:
        session_id, keyring = hello.legacy_session_id, config.store_keyring
        sealed = yield from look_up(hs, config, session_id)
    opened = unless_it_raises(hs, "keyring", keyring.open, sealed) if sealed and keyring is not None else None
    state = TicketState.decode(opened[1]) if opened is not None else None
    if opened is None or state is None or not acceptable(hs, config, hello, choice, state, keyring):
        return None
    if state.extended and not hello.extensions.extended_master_secret:
        # RFC 7627, 5.3: if the original session used the extension but the new ClientHello does not, the server MUST abort
        raise HandshakeFailure("the client resumes a session that had extended_master_secret without it")
    if state.peer_chain:
        yield from auth.verify_again(hs, config, state.peer_chain, state.verified_chain)
    return Old(opened[0], state, session_id)


def look_up(hs: Handshake, config: ServerConfig, session_id: bytes) -> Step[bytes | None]:
    """The sealed session of the store."""
    if not session_id or config.session_store is None:
        return None
    if config.session_store is ASK:
        found: bytes | None = yield from ask(FindSession(session_id))
        return found
    if config.store is None:
        return None
    return unless_it_raises(hs, "session store", config.store.get, session_id)


def acceptable(
    hs: Handshake,
    config: ServerConfig,
    hello: ClientHello,
    choice: Choice12,
    state: TicketState,
    keyring: Keyring | None,
) -> bool:
    """Whether a resumed handshake would skip no check that a full one makes now (SECURITY-BAR 7)."""
    return (
        state.version is TLSVersion.TLSv1_2
        and state.cipher_suite == choice.suite
        # RFC 7627, 5.3: if the original session did not use the extension but the new ClientHello does, a full handshake
        and (state.extended or not hello.extensions.extended_master_secret)
        and keyring is not None
        and same_peer_and_policy(hs, config, state, choice.credential, keyring.lifetime_hint)
    )


# ---- What is kept ----


def new_session_id(config: ServerConfig, hello: ClientHello) -> bytes:
    """RFC 5246, 7.4.1.3: an id under which the session is kept; empty where it is not, or where the client takes tickets."""
    takes_tickets = (
        hello.extensions.session_ticket is not None and config.keyring is not None and config.ticket_count > 0
    )
    keeps = config.store is not None or config.session_store is ASK
    return crypto.random_bytes(32) if keeps and not takes_tickets else b""


def keep(
    hs: Handshake,
    config: ServerConfig,
    choice: Choice12,
    completed: HandshakeCompleted,
    session: Session12,
    chain_expires_at: float | None,
    session_id: bytes,
) -> Step[TicketState]:
    """The state of a session just made; into the store under its id."""
    state = TicketState(
        version=TLSVersion.TLSv1_2,
        cipher_suite=choice.suite,
        alpn=choice.alpn,
        server_name=hs.server_name,
        policy=config.policy_digest(choice.credential),
        peer_chain=completed.peer_chain,
        verified_chain=completed.verified_chain,
        expires_at=chain_expires_at,
        issued_at=time.time(),
        age_add=0,
        extended=session.extended,
    )
    encoded, keyring = state.encode(), config.store_keyring
    if session_id and keyring is not None and encoded is not None:
        sealed = unless_it_raises(hs, "keyring", keyring.seal, session.master, encoded)
        if sealed is None:
            return state
        if config.store is not None:
            kept(hs, config, session_id)  # before put, which may raise when it has done its work
            unless_it_raises(hs, "session store", config.store.put, session_id, sealed, keyring.lifetime_hint)
        else:
            yield from ask(KeepSession(session_id, sealed, keyring.lifetime_hint))
    return state


def kept(hs: Handshake, config: ServerConfig, session_id: bytes) -> None:
    """The store has this connection's session. Known only now that the client has shown it is its own: others saw the id."""
    if session_id and config.store is not None:
        hs.kept(partial(config.store.discard, session_id))


def ticket(hs: Handshake, config: ServerConfig, session: Session12, state: TicketState) -> NewSessionTicket12:
    """A ticket for the session; empty (RFC 5077, 3.3) when there is none: the client's chain is too long, or the keyring raised.

    A resumed session keeps its time of issue, and what is left of its lifetime is what the client is told."""
    encoded, keyring = state.encode(), config.keyring
    sealed = None
    if keyring is not None and encoded is not None:
        sealed = unless_it_raises(hs, "keyring", keyring.seal, session.master, encoded)
    if keyring is None or sealed is None:
        return NewSessionTicket12(0, b"")
    left = round(state.issued_at + keyring.lifetime_hint - time.time())
    return NewSessionTicket12(max(1, min(left, keyring.lifetime_hint)), sealed)
