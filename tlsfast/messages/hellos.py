# SPDX-License-Identifier: Apache-2.0
"""The hellos, one format for all versions: ClientHello, ServerHello and HelloRetryRequest; handshake.py dispatches to them (RFC 8446, 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from tlsfast.errors import ApiMisuse, DecodeError
from tlsfast.messages.codec import Reader, u8, u16, u16_list, u16_tuple, u24, vec8, vec16
from tlsfast.messages.extensions import ClientHelloExtensions, HelloRetryRequestExtensions, ServerHelloExtensions
from tlsfast.registry import HandshakeType

TLS12 = 0x0303  # RFC 8446, 4.1.2: legacy_version of every hello
MAX_CERTIFICATES = 16  # SECURITY-BAR, 5: certificates of one chain, in both versions
# RFC 8446, 4.1.3: SHA-256 of "HelloRetryRequest", the random that tells it from a ServerHello.
HELLO_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def frame(kind: HandshakeType, body: bytes) -> bytes:
    """RFC 8446, 4: struct { HandshakeType msg_type; uint24 length; select (msg_type) { ... }; } Handshake;"""
    return kind.to_bytes(1, "big") + u24(len(body)) + body


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """RFC 8446, 4.1.2.

    struct {
        ProtocolVersion legacy_version = 0x0303;
        Random random;
        opaque legacy_session_id<0..32>;
        CipherSuite cipher_suites<2..2^16-2>;
        opaque legacy_compression_methods<1..2^8-1>;
        Extension extensions<8..2^16-1>;
    } ClientHello;

    A TLS 1.2 client may leave the extensions out altogether (RFC 5246, 7.4.1.2): an empty block.
    """

    kind: ClassVar[HandshakeType] = HandshakeType.client_hello
    random: bytes
    legacy_session_id: bytes = b""
    cipher_suites: tuple[int, ...]
    extensions: ClientHelloExtensions
    legacy_version: int = TLS12
    legacy_compression_methods: bytes = b"\0"

    def encode(self) -> bytes:
        """Write the message with its header."""
        body = (
            u16(self.legacy_version)
            + self.random
            + vec8(self.legacy_session_id)
            + vec16(u16_list(self.cipher_suites))
            + vec8(self.legacy_compression_methods)
            + self.extensions.encode()
        )
        return frame(self.kind, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "ClientHello")
        legacy_version = reader.u16("legacy_version")
        random = reader.take(32, "random")
        session_id = reader.vec8("legacy_session_id", 0, 32)
        suites = u16_tuple(reader.vec16("cipher_suites", 2, 0xFFFE), "ClientHello: cipher_suites")
        compression = reader.vec8("legacy_compression_methods", 1)
        extensions = reader.vec16("extensions") if reader.remaining else b""
        reader.end()
        return cls(
            random=random,
            legacy_session_id=session_id,
            cipher_suites=suites,
            extensions=ClientHelloExtensions.decode(extensions),
            legacy_version=legacy_version,
            legacy_compression_methods=compression,
        )

    @property
    def binders_length(self) -> int:
        """The bytes that the binders list takes at the end of the message, its two-byte length included; 0 without pre_shared_key."""
        offered = self.extensions.pre_shared_key
        return 0 if offered is None else 2 + sum([1 + len(binder) for binder in offered.binders])

    def with_binders(self, binders: tuple[bytes, ...]) -> Self:
        """Make the hello with these binders in place of the present ones, which must have the same lengths.

        Its encoding is truncate(raw, hello) + encode_binders(binders), with raw the encoding of this one."""
        offered = self.extensions.pre_shared_key
        if offered is None or list(map(len, offered.binders)) != list(map(len, binders)):
            raise ApiMisuse("binders must be as many and as long as those that stand in the hello (RFC 8446, 4.2.11.2)")
        return replace(self, extensions=replace(self.extensions, pre_shared_key=replace(offered, binders=binders)))


def truncate(raw: bytes, hello: ClientHello) -> bytes:
    """RFC 8446, 4.2.11.2: Truncate(ClientHello), up to and including the identities; the header's and lists' lengths count the binders as present."""
    return raw[: len(raw) - hello.binders_length]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """RFC 8446, 4.1.3.

    struct {
        ProtocolVersion legacy_version = 0x0303;
        Random random;
        opaque legacy_session_id_echo<0..32>;
        CipherSuite cipher_suite;
        uint8 legacy_compression_method = 0;
        Extension extensions<6..2^16-1>;
    } ServerHello;
    """

    kind: ClassVar[HandshakeType] = HandshakeType.server_hello
    random: bytes
    legacy_session_id_echo: bytes = b""
    cipher_suite: int
    extensions: ServerHelloExtensions
    legacy_version: int = TLS12
    legacy_compression_method: int = 0

    def encode(self) -> bytes:
        """Write the message with its header."""
        body = (
            u16(self.legacy_version)
            + self.random
            + vec8(self.legacy_session_id_echo)
            + u16(self.cipher_suite)
            + u8(self.legacy_compression_method)
            + self.extensions.encode()
        )
        return frame(self.kind, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header; decode_message has seen to it that it is no HelloRetryRequest."""
        legacy_version, random, session_id, suite, compression, extensions = _read_server_hello(body, "ServerHello")
        return cls(
            random=random,
            legacy_session_id_echo=session_id,
            cipher_suite=suite,
            extensions=ServerHelloExtensions.decode(extensions),
            legacy_version=legacy_version,
            legacy_compression_method=compression,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class HelloRetryRequest:
    """RFC 8446, 4.1.4: a ServerHello with a fixed random; a type of its own, so that a second one is refused like any message out of order."""

    kind: ClassVar[HandshakeType] = HandshakeType.server_hello
    random: ClassVar[bytes] = HELLO_RETRY_RANDOM
    legacy_session_id_echo: bytes = b""
    cipher_suite: int
    extensions: HelloRetryRequestExtensions
    legacy_version: int = TLS12
    legacy_compression_method: int = 0

    def encode(self) -> bytes:
        """Write the message with its header."""
        body = (
            u16(self.legacy_version)
            + self.random
            + vec8(self.legacy_session_id_echo)
            + u16(self.cipher_suite)
            + u8(self.legacy_compression_method)
            + self.extensions.encode()
        )
        return frame(self.kind, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        legacy_version, random, session_id, suite, compression, extensions = _read_server_hello(
            body, "HelloRetryRequest"
        )
        if random != HELLO_RETRY_RANDOM:
            raise DecodeError(
                "HelloRetryRequest: the random is not the one of RFC 8446, 4.1.3",
                what="HelloRetryRequest",
                field="random",
            )
        return cls(
            legacy_session_id_echo=session_id,
            cipher_suite=suite,
            extensions=HelloRetryRequestExtensions.decode(extensions),
            legacy_version=legacy_version,
            legacy_compression_method=compression,
        )


def _read_server_hello(body: bytes, what: str) -> tuple[int, bytes, bytes, int, int, bytes]:
    reader = Reader(body, what)
    legacy_version = reader.u16("legacy_version")
    random = reader.take(32, "random")
    session_id = reader.vec8("legacy_session_id_echo", 0, 32)
    suite = reader.u16("cipher_suite")
    compression = reader.u8("legacy_compression_method")
    # RFC 5246, 7.4.1.3: a TLS 1.2 server may leave the extensions out altogether.
    extensions = reader.vec16("extensions") if reader.remaining else b""
    reader.end()
    return legacy_version, random, session_id, suite, compression, extensions


def decode_server_hello(body: bytes) -> ServerHello | HelloRetryRequest:
    """Read a message of type server_hello without its header: its random tells which of the two it is."""
    return HelloRetryRequest.decode(body) if body[2:34] == HELLO_RETRY_RANDOM else ServerHello.decode(body)
