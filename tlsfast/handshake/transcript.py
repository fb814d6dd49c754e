# SPDX-License-Identifier: Apache-2.0
"""The transcript hash (RFC 8446, 4.4.1): raw bytes until the hash is known, a running hash after; the newest message waits apart."""

from __future__ import annotations

from tlsfast.crypto import Hash, hash_once
from tlsfast.errors import InternalError
from tlsfast.registry import HandshakeType


class Transcript:
    """Handshake messages in order, each with its 4-byte header.

    The newest stays outside the hash until the next one comes or digest() is asked, so that `before` and digest_truncated() can leave it out."""

    __slots__ = ("_hash", "_messages", "_newest", "_raw")

    def __init__(self) -> None:
        self._raw: list[bytes] = []
        self._hash: Hash | None = None
        self._newest: bytes | None = None
        self._messages: list[bytes] | None = (
            None  # TLS 1.2: kept for CertificateVerify, which signs the messages themselves
        )

    def add(self, raw: bytes) -> None:
        self.settle()
        self._newest = raw

    def settle(self) -> None:
        """Let the newest message be one of those before, without another."""
        if self._newest is None:
            return
        if self._messages is not None:
            self._messages.append(self._newest)
        if self._hash is None:
            self._raw.append(self._newest)
        else:
            self._hash.update(self._newest)
        self._newest = None

    def use_hash(self, algorithm: int, *, keep_messages: bool = False) -> None:
        """The suite is known: hash what was kept. A second call must name the same hash. keep_messages: for `messages`."""
        if keep_messages:
            self._messages = list(self._raw)
        if self._hash is not None:
            if self._hash.algorithm != algorithm:
                raise InternalError("the transcript's hash cannot change")
            return
        self._hash = Hash(algorithm)
        for raw in self._raw:
            self._hash.update(raw)
        self._raw.clear()

    def replace_hello_by_hash(self, algorithm: int) -> None:
        """After a HelloRetryRequest a message_hash message takes the place of ClientHello1 (RFC 8446, 4.4.1).

        The server calls it with ClientHello1 as the newest message, the client with the HelloRetryRequest as the newest."""
        if not self._raw:
            self.settle()
        (hello,) = self._raw
        digest = hash_once(algorithm, hello)
        self._raw = [bytes((HandshakeType.message_hash, 0, 0, len(digest))) + digest]
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
        return self._running().digest()

    @property
    def before(self) -> bytes:
        """The transcript hash without the newest message: what its signature or Finished value covers."""
        return self._running().digest()

    @property
    def newest(self) -> bytes:
        """The newest message as it came."""
        if self._newest is None:
            raise InternalError("the newest message is part of the hash already")
        return self._newest

    def digest_truncated(self, algorithm: int, truncated: bytes) -> bytes:
        """The hash for PSK binders (RFC 8446, 4.2.11.2): the messages before the newest, a ClientHello, then that one up to its binders.

        The client asks before it adds its hello, and settles what came before."""
        if self._hash is not None:
            if self._hash.algorithm != algorithm:
                raise InternalError("a PSK of another hash after a HelloRetryRequest")
            running = self._hash.clone()
        else:
            running = Hash(algorithm)
            for raw in self._raw:
                running.update(raw)
        running.update(truncated)
        return running.digest()

    def _running(self) -> Hash:
        if self._hash is None:
            raise InternalError("the transcript's hash is not known yet")
        return self._hash
