# SPDX-License-Identifier: Apache-2.0
"""The transcript hash (RFC 8446, 4.4.1): raw bytes until the hash is known, a running hash after; the newest message waits apart."""

from __future__ import annotations

from tlsfast.crypto import Hash, hash_once
from tlsfast.errors import InternalError
from tlsfast.registry import HandshakeType


class Transcript:
    """Handshake messages in order, each with its 4-byte header.

    The newest stays outside until the next one comes or digest() is asked, so that `before` and digest_truncated() can leave it out."""

    __slots__ = ("_digest", "_hash", "_messages", "_newest", "_pending")

    def __init__(self) -> None:
        self._hash: Hash | None = None
        self._pending: list[bytes] = []  # before the newest, and not hashed yet
        self._newest: bytes | None = None
        self._digest = b""  # of what is hashed
        # TLS 1.2: kept for CertificateVerify, which signs the messages themselves
        self._messages: list[bytes] | None = None

    def add(self, raw: bytes) -> None:
        self.settle()
        self._newest = raw

    def settle(self) -> None:
        """Let the newest message be one of those before, without another."""
        newest = self._newest
        if newest is None:
            return
        self._pending.append(newest)
        if self._messages is not None:
            self._messages.append(newest)
        self._newest = None

    def use_hash(self, algorithm: int, *, keep_messages: bool = False) -> None:
        """The suite is known: what was kept is hashed. A second call must name the same hash. keep_messages: for `messages`."""
        if keep_messages:
            self._messages = list(self._pending)
        if self._hash is None:
            self._hash = Hash(algorithm)
        elif self._hash.algorithm != algorithm:
            raise InternalError("the transcript's hash cannot change")

    def replace_hello_by_hash(self, algorithm: int) -> None:
        """After a HelloRetryRequest a message_hash message takes the place of ClientHello1 (RFC 8446, 4.4.1).

        The server calls it with ClientHello1 as the newest message, the client with the HelloRetryRequest as the newest."""
        if not self._pending:
            self.settle()
        (hello,) = self._pending
        digest = hash_once(algorithm, hello)
        self._pending = [bytes((HandshakeType.message_hash, 0, 0, len(digest))) + digest]
        self.use_hash(algorithm)

    @property
    def messages(self) -> bytes:
        """All messages so far, the newest included: what a TLS 1.2 CertificateVerify signs, hashed as its scheme says (RFC 5246, 7.4.8)."""
        self.settle()
        if self._messages is None:
            raise InternalError("the messages were not kept")
        return b"".join(self._messages)

    def digest(self) -> bytes:
        """The transcript hash up to and including the newest message."""
        self.settle()
        return self.before

    @property
    def before(self) -> bytes:
        """The transcript hash without the newest message: what its signature or Finished value covers."""
        if self._hash is None:
            raise InternalError("the transcript's hash is not known yet")
        if self._pending:
            self._digest = self._hash.update_digest(b"".join(self._pending))
            self._pending.clear()
        return self._digest

    @property
    def newest(self) -> bytes:
        """The newest message as it came."""
        if self._newest is None:
            raise InternalError("the newest message is part of the hash already")
        return self._newest

    def digest_truncated(self, algorithm: int, truncated: bytes) -> bytes:
        """The hash for PSK binders (RFC 8446, 4.2.11.2): the messages before the newest, a ClientHello, then that one up to its binders.

        The client asks before it adds its hello, and settles what came before."""
        if self._hash is None:
            running = Hash(algorithm)
        elif self._hash.algorithm == algorithm:
            running = self._hash.clone()
        else:
            raise InternalError("a PSK of another hash after a HelloRetryRequest")
        return running.update_digest(b"".join((*self._pending, truncated)))
