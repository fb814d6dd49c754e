# SPDX-License-Identifier: Apache-2.0
"""After the handshake nothing has an order: each message is handled by itself (RFC 8446, 4.6)."""

from __future__ import annotations

import time

from tlsfast.config import ClientConfig
from tlsfast.errors import UnexpectedMessage
from tlsfast.events import Event, KeysUpdated, MessageSeen, TicketReceived
from tlsfast.handshake.flow import Established13, Handshake
from tlsfast.messages.handshake import KeyUpdate, Message, NewSessionTicket
from tlsfast.registry import CipherSuite, ContentType, KeyUpdateRequest
from tlsfast.sessions import Session

# Tickets kept of one connection (SECURITY-BAR 5); more are ignored.
MAX_TICKETS = 8


def receive(hs: Handshake, established: Established13, message: Message, tickets: int) -> Event:
    """Handle one post-handshake message; tickets counts those that came before on this connection."""
    if isinstance(message, KeyUpdate):
        return update_read_key(hs, message)
    if isinstance(message, NewSessionTicket) and isinstance(hs.config, ClientConfig):
        if tickets < MAX_TICKETS:
            keep_ticket(hs, hs.config, established, message)
        return TicketReceived(message.ticket_lifetime)
    raise UnexpectedMessage(f"{type(message).__name__} may not come after the handshake")


def update_read_key(hs: Handshake, message: KeyUpdate) -> KeysUpdated:
    """RFC 8446, 4.6.3: the peer's next record is under its next key."""
    if not hs.joiner.empty:
        raise UnexpectedMessage("a message follows KeyUpdate in the same record, after which the keys change")
    hs.reader.update_key()
    hs.keys_updated(False)
    return KeysUpdated(message.request_update == KeyUpdateRequest.update_requested)


def send_key_update(hs: Handshake, request: KeyUpdateRequest) -> None:
    """Announce and make our next sending key, in one step under the writer's lock."""
    message = KeyUpdate(request)
    raw = message.encode()
    with hs.writer.lock:
        hs.writer.send(ContentType.handshake, raw)
        hs.writer.update_key()
    if hs.observers is not None:
        hs.observe(MessageSeen(True, message, raw))
        hs.keys_updated(True)


def keep_ticket(hs: Handshake, config: ClientConfig, established: Established13, message: NewSessionTicket) -> None:
    """Put the session that a NewSessionTicket stands for into the cache (RFC 8446, 4.6.1)."""
    if config.sessions is None or message.ticket_lifetime == 0:
        return
    completed = established.completed
    session = Session.from_ticket(
        cipher_suite=CipherSuite(completed.cipher_suite),
        psk=established.schedule.resumption_psk(message.ticket_nonce),
        ticket=message.ticket,
        lifetime=message.ticket_lifetime,
        age_add=message.ticket_age_add,
        received_at=time.time(),
        server_name=hs.server_name,
        alpn=completed.alpn,
        peer_chain=completed.peer_chain,
        verified_chain=completed.verified_chain,
        chain_expires_at=established.chain_expires_at,
    )
    hs.kept(config.sessions.put(config.session_key(hs.server_name), session))
