# SPDX-License-Identifier: Apache-2.0
"""The handshake messages as frozen dataclasses, from and to wire bytes: what the joiner's raw messages become and the flows read (RFC 8446, 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from tlsfast.errors import ApiMisuse, DecodeError, IllegalParameter, LimitExceeded, UnexpectedMessage
from tlsfast.messages.codec import Reader, u8, u16, u16_list, u16_tuple, u24, u32, vec8, vec16, vec24
from tlsfast.messages.extensions import (
    CertificateEntryExtensions,
    CertificateRequestExtensions,
    ClientHelloExtensions,
    EncryptedExtensionsBlock,
    HelloRetryRequestExtensions,
    NewSessionTicketExtensions,
    ServerHelloExtensions,
)
from tlsfast.registry import HandshakeType

MAX_CERTIFICATES = 16  # SECURITY-BAR, 5: certificates of one chain
MAX_TICKET_LIFETIME = 604800  # RFC 8446, 4.6.1: seven days in seconds
TLS12 = 0x0303  # RFC 8446, 4.1.2: legacy_version of every hello

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


def _decode_server_hello(body: bytes) -> ServerHello | HelloRetryRequest:
    return HelloRetryRequest.decode(body) if body[2:34] == HELLO_RETRY_RANDOM else ServerHello.decode(body)


@dataclass(frozen=True, slots=True)
class EncryptedExtensions:
    """RFC 8446, 4.3.1: struct { Extension extensions<0..2^16-1>; } EncryptedExtensions;"""

    kind: ClassVar[HandshakeType] = HandshakeType.encrypted_extensions
    extensions: EncryptedExtensionsBlock = EncryptedExtensionsBlock()

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, self.extensions.encode())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "EncryptedExtensions")
        extensions = reader.vec16("extensions")
        reader.end()
        return cls(EncryptedExtensionsBlock.decode(extensions))


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """RFC 8446, 4.3.2: struct { opaque certificate_request_context<0..2^8-1>; Extension extensions<2..2^16-1>; } CertificateRequest;"""

    kind: ClassVar[HandshakeType] = HandshakeType.certificate_request
    certificate_request_context: bytes
    extensions: CertificateRequestExtensions

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, vec8(self.certificate_request_context) + self.extensions.encode())

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "CertificateRequest")
        context = reader.vec8("certificate_request_context")
        extensions = reader.vec16("extensions", 2)
        reader.end()
        return cls(context, CertificateRequestExtensions.decode(extensions))


@dataclass(frozen=True, slots=True)
class CertificateEntry:
    """RFC 8446, 4.4.2: struct { opaque cert_data<1..2^24-1>; Extension extensions<0..2^16-1>; } CertificateEntry; cert_data is DER."""

    cert_data: bytes
    extensions: CertificateEntryExtensions = CertificateEntryExtensions()


@dataclass(frozen=True, slots=True)
class Certificate:
    """RFC 8446, 4.4.2: struct { opaque certificate_request_context<0..2^8-1>; CertificateEntry certificate_list<0..2^24-1>; } Certificate;"""

    kind: ClassVar[HandshakeType] = HandshakeType.certificate
    certificate_request_context: bytes = b""
    entries: tuple[CertificateEntry, ...] = ()

    def encode(self) -> bytes:
        """Write the message with its header."""
        entries = b"".join([vec24(entry.cert_data) + entry.extensions.encode() for entry in self.entries])
        return frame(self.kind, vec8(self.certificate_request_context) + vec24(entries))

    @classmethod
    def decode(cls, body: bytes, max_certificates: int = MAX_CERTIFICATES) -> Self:
        """Read the message without its header. Raises LimitExceeded when the chain has more than max_certificates."""
        reader = Reader(body, "Certificate")
        context = reader.vec8("certificate_request_context")
        certificates = Reader(reader.vec24("certificate_list"), "Certificate")
        reader.end()
        entries: list[CertificateEntry] = []
        while certificates.remaining:
            if len(entries) == max_certificates:
                raise LimitExceeded(
                    f"Certificate: the chain has more than {max_certificates} certificates",
                    what="certificate chain",
                    limit=max_certificates,
                )
            cert_data = certificates.vec24("cert_data", 1)
            entries.append(
                CertificateEntry(cert_data, CertificateEntryExtensions.decode(certificates.vec16("extensions")))
            )
        return cls(context, tuple(entries))


@dataclass(frozen=True, slots=True)
class CertificateVerify:
    """RFC 8446, 4.4.3: struct { SignatureScheme algorithm; opaque signature<0..2^16-1>; } CertificateVerify;"""

    kind: ClassVar[HandshakeType] = HandshakeType.certificate_verify
    algorithm: int
    signature: bytes

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, u16(self.algorithm) + vec16(self.signature))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "CertificateVerify")
        message = cls(reader.u16("algorithm"), reader.vec16("signature"))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Finished:
    """RFC 8446, 4.4.4: struct { opaque verify_data[Hash.length]; } Finished;"""

    kind: ClassVar[HandshakeType] = HandshakeType.finished
    verify_data: bytes

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, self.verify_data)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header: the length of SHA-256 or SHA-384; the flow knows which of them it must be."""
        if len(body) not in (32, 48):
            raise DecodeError(
                f"Finished: verify_data has {len(body)} bytes, a hash has 32 or 48", what="Finished", length=len(body)
            )
        return cls(body)


@dataclass(frozen=True, slots=True)
class EndOfEarlyData:
    """RFC 8446, 4.5: struct {} EndOfEarlyData;"""

    kind: ClassVar[HandshakeType] = HandshakeType.end_of_early_data

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, b"")

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        Reader(body, "EndOfEarlyData").end()
        return cls()


@dataclass(frozen=True, slots=True)
class NewSessionTicket:
    """RFC 8446, 4.6.1.

    struct {
        uint32 ticket_lifetime;
        uint32 ticket_age_add;
        opaque ticket_nonce<0..255>;
        opaque ticket<1..2^16-1>;
        Extension extensions<0..2^16-2>;
    } NewSessionTicket;
    """

    kind: ClassVar[HandshakeType] = HandshakeType.new_session_ticket
    ticket_lifetime: int
    ticket_age_add: int
    ticket_nonce: bytes
    ticket: bytes
    extensions: NewSessionTicketExtensions = NewSessionTicketExtensions()

    def encode(self) -> bytes:
        """Write the message with its header."""
        body = (
            u32(self.ticket_lifetime)
            + u32(self.ticket_age_add)
            + vec8(self.ticket_nonce)
            + vec16(self.ticket)
            + self.extensions.encode()
        )
        return frame(self.kind, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "NewSessionTicket")
        lifetime = reader.u32("ticket_lifetime")
        age_add = reader.u32("ticket_age_add")
        nonce = reader.vec8("ticket_nonce")
        ticket = reader.vec16("ticket", 1)
        extensions = reader.vec16("extensions", 0, 0xFFFE)
        reader.end()
        # RFC 8446, 4.6.1: servers MUST NOT use any value greater than 604800 seconds (7 days).
        if lifetime > MAX_TICKET_LIFETIME:
            raise IllegalParameter(
                f"NewSessionTicket: a lifetime of {lifetime} s is over seven days (RFC 8446, 4.6.1)", lifetime=lifetime
            )
        return cls(lifetime, age_add, nonce, ticket, NewSessionTicketExtensions.decode(extensions))


@dataclass(frozen=True, slots=True)
class KeyUpdate:
    """RFC 8446, 4.6.3: struct { KeyUpdateRequest request_update; } KeyUpdate;"""

    kind: ClassVar[HandshakeType] = HandshakeType.key_update
    request_update: int

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, u8(self.request_update))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "KeyUpdate")
        value = reader.u8("request_update")
        reader.end()
        # RFC 8446, 4.6.3: any other value MUST terminate the connection with an "illegal_parameter" alert.
        if value > 1:
            raise IllegalParameter(
                f"KeyUpdate: request_update is {value}, it must be 0 or 1 (RFC 8446, 4.6.3)", request_update=value
            )
        return cls(value)


Message = (
    ClientHello
    | ServerHello
    | HelloRetryRequest
    | EncryptedExtensions
    | CertificateRequest
    | Certificate
    | CertificateVerify
    | Finished
    | EndOfEarlyData
    | NewSessionTicket
    | KeyUpdate
)

_HELLOS: dict[int, Callable[[bytes], Message]] = {
    HandshakeType.client_hello: ClientHello.decode,
    HandshakeType.server_hello: _decode_server_hello,
}
_TLS13: dict[int, Callable[[bytes], Message]] = {
    **_HELLOS,
    HandshakeType.new_session_ticket: NewSessionTicket.decode,
    HandshakeType.end_of_early_data: EndOfEarlyData.decode,
    HandshakeType.encrypted_extensions: EncryptedExtensions.decode,
    HandshakeType.certificate: Certificate.decode,
    HandshakeType.certificate_request: CertificateRequest.decode,
    HandshakeType.certificate_verify: CertificateVerify.decode,
    HandshakeType.finished: Finished.decode,
    HandshakeType.key_update: KeyUpdate.decode,
}
_TLS12: dict[int, Callable[[bytes], Message]] = dict(_HELLOS)


def decode_message(raw: bytes, version13: bool = True) -> Message:
    """Read one whole message, header included. The hellos are the same in both versions; version13 says how the others are read.

    Raises UnexpectedMessage for a type that this version does not have here, else DecodeError, IllegalParameter or LimitExceeded."""
    if len(raw) < 4 or int.from_bytes(raw[1:4], "big") != len(raw) - 4:
        raise DecodeError(
            f"a handshake message of {len(raw)} bytes does not have the length that its header says", length=len(raw)
        )
    decode = (_TLS13 if version13 else _TLS12).get(raw[0])
    if decode is None:
        raise UnexpectedMessage(f"a handshake message of type {name_of(raw[0])} is not expected here", kind=raw[0])
    return decode(raw[4:])


def name_of(kind: int) -> str:
    """Name a handshake type for people: its RFC name and number."""
    try:
        return f"{HandshakeType(kind).name} ({kind})"
    except ValueError:
        return f"{kind} (unknown)"
