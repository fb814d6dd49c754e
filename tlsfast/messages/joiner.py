# SPDX-License-Identifier: Apache-2.0
"""Rejoins handshake messages from the contents of handshake records, split or coalesced; between record.py and the decoders (RFC 8446, 5.1)."""

from __future__ import annotations

from tlsfast.errors import MessageTooLong
from tlsfast.messages.handshake import name_of
from tlsfast.registry import HandshakeType

MAX_MESSAGE = 131072  # SECURITY-BAR, 5: a handshake message, certificates included
MAX_CLIENT_HELLO = 65536  # SECURITY-BAR, 5


class HandshakeJoiner:
    """Takes record contents with add and gives whole raw messages, four-byte header included, with next.

    Limits are on the length that a header declares. Not thread-safe: it belongs to the reading side of one connection."""

    __slots__ = ("_buffer", "_max_client_hello", "_max_size")

    def __init__(self, max_size: int = MAX_MESSAGE, max_client_hello: int = MAX_CLIENT_HELLO) -> None:
        self._buffer = bytearray()
        self._max_size = max_size
        self._max_client_hello = min(max_client_hello, max_size)

    def add(self, content: bytes) -> None:
        """Add the content of one handshake record; take what became whole with next before adding more."""
        self._buffer += content

    def next(self) -> bytes | None:
        """Take the next whole message, or None while there is none. Raises MessageTooLong as soon as four bytes of it are here."""
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        end = 4 + int.from_bytes(buffer[1:4], "big")
        limit = self._max_client_hello if buffer[0] == HandshakeType.client_hello else self._max_size
        if end - 4 > limit:
            raise MessageTooLong(
                f"the peer announces a handshake message of type {name_of(buffer[0])} with {end - 4} bytes; {limit} are taken at most",
                kind=buffer[0],
                length=end - 4,
                limit=limit,
            )
        if len(buffer) < end:
            return None
        message = bytes(memoryview(buffer)[:end]) if end < len(buffer) else bytes(buffer)
        # Cutting the front of a bytearray moves its start, not its content: many messages in one record cost no quadratic copying.
        del buffer[:end]
        return message

    @property
    def empty(self) -> bool:
        """True when it holds no byte: a key may change now (RFC 8446, 5.1), and a record of another type may come."""
        return not self._buffer
