# SPDX-License-Identifier: Apache-2.0
"""The handshake messages as frozen dataclasses, from and to wire bytes: what the joiner's raw messages become and the flows read (RFC 8446, 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Self

from tlsfast.errors import DecodeError, IllegalParameter, LimitExceeded, UnexpectedMessage
from tlsfast.messages.codec import Reader, u8, u16, u32, vec8, vec16, vec24
from tlsfast.messages.extensions import (
    CertificateEntryExtensions,
    CertificateRequestExtensions,
    EncryptedExtensionsBlock,
    NewSessionTicketExtensions,
)
from tlsfast.messages.handshake12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ChangeCipherSpec,
    ClientKeyExchange,
    Finished12,
    HelloRequest,
    NewSessionTicket12,
    ServerHelloDone,
    ServerKeyExchange,
)
from tlsfast.messages.hellos import (
    HELLO_RETRY_RANDOM,
    MAX_CERTIFICATES,
    ClientHello,
    HelloRetryRequest,
    ServerHello,
    decode_server_hello,
    frame,
    truncate,
)
from tlsfast.registry import HandshakeType

__all__ = [
    "HELLO_RETRY_RANDOM",
    "MAX_CERTIFICATES",
    "Certificate",
    "CertificateEntry",
    "CertificateRequest",
    "CertificateVerify",
    "ClientHello",
    "EncryptedExtensions",
    "EndOfEarlyData",
    "Expected",
    "Finished",
    "HelloRetryRequest",
    "KeyUpdate",
    "Message",
    "NewSessionTicket",
    "ServerHello",
    "decode_message",
    "name_of",
    "truncate",
]

MAX_TICKET_LIFETIME = 604800  # RFC 8446, 4.6.1: seven days in seconds


@dataclass(frozen=True, slots=True)
class EncryptedExtensions:
    """RFC 8446, 4.3.1: struct { Extension extensions<0..2^16-1>; } EncryptedExtensions;"""

    kind: ClassVar[HandshakeType] = HandshakeType.encrypted_extensions
    extensions: EncryptedExtensionsBlock = field(default_factory=EncryptedExtensionsBlock)

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
    extensions: CertificateEntryExtensions = field(default_factory=CertificateEntryExtensions)


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
    extensions: NewSessionTicketExtensions = field(default_factory=NewSessionTicketExtensions)

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
    | HelloRequest
    | NewSessionTicket12
    | Certificate12
    | CertificateStatus
    | ServerKeyExchange
    | CertificateRequest12
    | ServerHelloDone
    | ClientKeyExchange
    | Finished12
)
# What a flow may wait for: a ChangeCipherSpec is a record, but in TLS 1.2 it has its place between the messages.
Expected = Message | ChangeCipherSpec

_HELLOS: dict[int, Callable[[bytes], Message]] = {
    HandshakeType.client_hello: ClientHello.decode,
    HandshakeType.server_hello: decode_server_hello,
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
_TLS12: dict[int, Callable[[bytes], Message]] = {
    **_HELLOS,
    HandshakeType.hello_request: HelloRequest.decode,
    HandshakeType.new_session_ticket: NewSessionTicket12.decode,
    HandshakeType.certificate: Certificate12.decode,
    HandshakeType.server_key_exchange: ServerKeyExchange.decode,
    HandshakeType.certificate_request: CertificateRequest12.decode,
    HandshakeType.server_hello_done: ServerHelloDone.decode,
    HandshakeType.certificate_verify: CertificateVerify.decode,  # RFC 5246, 7.4.8: the same on the wire
    HandshakeType.client_key_exchange: ClientKeyExchange.decode,
    HandshakeType.finished: Finished12.decode,
    HandshakeType.certificate_status: CertificateStatus.decode,
}


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
