# SPDX-License-Identifier: Apache-2.0
"""The extension block of each message: typed fields, and the tables of which extension is legal where (RFC 8446, 4.2); handshake.py builds on it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from tlsfast.errors import DecodeError, IllegalParameter
from tlsfast.messages import bodies as general
from tlsfast.messages import bodies13 as tls13
from tlsfast.messages.bodies13 import KeyShareEntry, OfferedPsks, PskIdentity, encode_binders
from tlsfast.messages.codec import u16, vec16
from tlsfast.messages.shapes import Extension
from tlsfast.registry import ExtensionType

__all__ = [
    "CertificateEntryExtensions",
    "CertificateRequestExtensions",
    "ClientHelloExtensions",
    "EncryptedExtensionsBlock",
    "ExtensionBlock",
    "HelloRetryRequestExtensions",
    "KeyShareEntry",
    "NewSessionTicketExtensions",
    "OfferedPsks",
    "PskIdentity",
    "ServerHelloExtensions",
    "encode_binders",
]

PRE_SHARED_KEY = int(ExtensionType.pre_shared_key)

# What may stand in each message (RFC 8446, 4.2, the table; RFC 8449, 4; and for TLS 1.2 the RFC of each). Blocks are written in this order: it is
# that of the traces of RFC 8448, so that they replay byte for byte.
CLIENT_HELLO: tuple[type[Extension], ...] = (
    general.ServerName,
    general.MaxFragmentLength,
    general.RenegotiationInfo,
    general.ExtendedMasterSecret,
    general.EcPointFormats,
    general.SupportedGroups,
    general.SessionTicket,
    general.AlpnOffer,
    general.StatusRequest,
    general.SignedCertificateTimestamp,
    tls13.KeyShareOffer,
    tls13.EarlyData,
    tls13.SupportedVersionsOffer,
    general.SignatureAlgorithms,
    tls13.SignatureAlgorithmsCert,
    tls13.CertificateAuthorities,
    tls13.Cookie,
    tls13.PostHandshakeAuth,
    tls13.PskKeyExchangeModes,
    general.RecordSizeLimit,
    tls13.PreSharedKeyOffer,  # RFC 8446, 4.2.11: MUST be the last extension in the ClientHello
)
SERVER_HELLO_13: tuple[type[Extension], ...] = (
    tls13.PreSharedKeyAnswer,
    tls13.KeyShareAnswer,
    tls13.SupportedVersionsAnswer,
)
SERVER_HELLO_12: tuple[type[Extension], ...] = (
    general.ServerNameAck,
    general.MaxFragmentLength,
    general.RenegotiationInfo,
    general.ExtendedMasterSecret,
    general.EcPointFormats,
    general.SupportedGroups,  # RFC 8422, 5.1.1 has it in ClientHello alone, but some load balancers answer it: tolerated
    general.SessionTicket,
    general.AlpnAnswer,
    general.StatusRequestFlag,
    general.SignedCertificateTimestamp,
    general.RecordSizeLimit,
)
HELLO_RETRY_REQUEST: tuple[type[Extension], ...] = (tls13.KeyShareRetry, tls13.Cookie, tls13.SupportedVersionsAnswer)
ENCRYPTED_EXTENSIONS: tuple[type[Extension], ...] = (
    general.SupportedGroups,
    general.AlpnAnswer,
    general.MaxFragmentLength,
    general.RecordSizeLimit,
    general.ServerNameAck,
    tls13.EarlyData,
)
CERTIFICATE_REQUEST: tuple[type[Extension], ...] = (
    general.SignatureAlgorithms,
    tls13.SignatureAlgorithmsCert,
    tls13.CertificateAuthorities,
    general.StatusRequestFlag,
    general.SignedCertificateTimestamp,
    tls13.OidFilters,
)
CERTIFICATE_ENTRY: tuple[type[Extension], ...] = (general.CertificateStatus, general.SignedCertificateTimestamp)
NEW_SESSION_TICKET: tuple[type[Extension], ...] = (tls13.EarlyDataTicket,)

# The extensions that are recognised: one of these in a message whose table has it not is refused; any other number is kept unread.
RECOGNISED = frozenset(
    int(extension.number)
    for table in (
        CLIENT_HELLO,
        SERVER_HELLO_13,
        SERVER_HELLO_12,
        HELLO_RETRY_REQUEST,
        ENCRYPTED_EXTENSIONS,
        CERTIFICATE_REQUEST,
        CERTIFICATE_ENTRY,
        NEW_SESSION_TICKET,
    )
    for extension in table
)
TLS13_ONLY_SERVER_HELLO = frozenset(int(extension.number) for extension in SERVER_HELLO_13)

_Decode = Callable[[bytes], Any]
_Decoders = dict[int, tuple[str, _Decode, _Decode]]
_Encoders = tuple[tuple[str, Callable[[Any], bytes]], ...]

# The same few bodies stand in every hello: each is decoded and encoded once. A longer one is not remembered: a peer could fill our memory with it.
_REMEMBERED = 256
_REMEMBERED_LENGTH = 96


def decoders_of(table: tuple[type[Extension], ...]) -> _Decoders:
    """The extensions of a message by number: field, decoder of short bodies, decoder of long ones."""
    return {
        int(extension.number): (
            extension.field,
            functools.lru_cache(_REMEMBERED)(extension.decode) if extension.repeats else extension.decode,
            extension.decode,
        )
        for extension in table
    }


def encoders_of(table: tuple[type[Extension], ...]) -> _Encoders:
    """The extensions of a message in the order of writing: field, and what makes the whole extension of its value."""
    return tuple((extension.field, _encoder(extension)) for extension in table)


def _encoder(extension: type[Extension]) -> Callable[[Any], bytes]:
    number = u16(extension.number)

    def encode(value: Any) -> bytes:
        return number + vec16(extension.encode(value))

    return functools.lru_cache(_REMEMBERED)(encode) if extension.repeats else encode


@dataclass(slots=True, kw_only=True)
class ExtensionBlock:
    """struct { ExtensionType extension_type; opaque extension_data<0..2^16-1>; } Extension; and a list of them.

    A field is None (a flag: False) when its extension is absent. unknown keeps what is not recognised here, GREASE (RFC 8701) included; order names
    every extension that was decoded, in wire order, and is not written nor compared. A block is a value: nobody changes one. It is not frozen
    because setting two dozen fields would then cost three times as much, in each hello."""

    unknown: tuple[tuple[int, bytes], ...] = ()
    order: tuple[int, ...] = field(default=(), compare=False)

    message: ClassVar[str]
    _decoders: ClassVar[_Decoders]
    _encoders: ClassVar[_Encoders]
    _last: ClassVar[_Encoders] = ()

    def encode(self) -> bytes:
        """Write the list with its two-byte length, in the order of the message's table, what is unknown after it, pre_shared_key last of all."""
        parts = self._written(self._encoders)
        for number, body in self.unknown:
            parts.append(u16(number) + vec16(body))
        if self._last:
            parts += self._written(self._last)
        return vec16(b"".join(parts))

    def __contains__(self, number: int) -> bool:
        """Whether an extension of this number is there, in a field or unknown."""
        row = self._decoders.get(number)
        if row is not None:
            value = getattr(self, row[0])
            return value is not None and value is not False
        return any(number == unknown for unknown, _ in self.unknown)

    def _written(self, encoders: _Encoders) -> list[bytes]:
        parts = []
        for name, encode in encoders:
            value = getattr(self, name)
            if value is not None and value is not False:
                parts.append(encode(value))
        return parts

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the content of the list, without its length. Raises DecodeError, or IllegalParameter for what may not stand in this message."""
        if not data:
            return cls()
        fields: dict[str, Any] = {}
        unknown = []
        seen: dict[int, None] = {}
        position, end = 0, len(data)
        while position < end:
            start = position + 4
            if start > end:
                raise DecodeError(
                    f"{cls.message}: an extension's header is cut off", what=cls.message, field="extensions"
                )
            number = data[position] << 8 | data[position + 1]
            position = start + (data[position + 2] << 8 | data[position + 3])
            if position > end:
                raise DecodeError(
                    f"{cls.message}: extension {number} runs past the end of the list",
                    what=cls.message,
                    extension=number,
                )
            # RFC 8446, 4.2: there MUST NOT be more than one extension of the same type in a given extension block.
            if number in seen:
                raise IllegalParameter(
                    f"{cls.message}: extension {number} stands there twice (RFC 8446, 4.2)", extension=number
                )
            seen[number] = None
            row = cls._decoders.get(number)
            if row is not None:
                name, decode, decode_long = row
                body = data[start:position]
                fields[name] = decode(body) if position - start <= _REMEMBERED_LENGTH else decode_long(body)
            elif number in RECOGNISED:
                raise cls._misplaced(number)
            else:
                unknown.append((number, data[start:position]))
        block = cls(unknown=tuple(unknown), order=tuple(seen), **fields)
        block._check()
        return block

    def _check(self) -> None:
        """Judge what one extension means beside the others of its block."""

    @classmethod
    def _misplaced(cls, number: int) -> IllegalParameter:
        # RFC 8446, 4.2: an extension that is recognised and not specified for the message in which it appears MUST earn "illegal_parameter".
        return IllegalParameter(
            f"{cls.message}: the extension {ExtensionType(number).name} does not belong in this message (RFC 8446, 4.2)",
            extension=number,
        )


@dataclass(slots=True, kw_only=True)
class ClientHelloExtensions(ExtensionBlock):
    """What a client offers."""

    server_name: str | None = None
    max_fragment_length: int | None = None
    renegotiation_info: bytes | None = None
    extended_master_secret: bool = False
    ec_point_formats: tuple[int, ...] | None = None
    supported_groups: tuple[int, ...] | None = None
    session_ticket: bytes | None = None
    alpn: tuple[bytes, ...] | None = None
    status_request: bool = False
    signed_certificate_timestamp: bytes | None = None
    key_share: tuple[KeyShareEntry, ...] | None = None
    early_data: bool = False
    supported_versions: tuple[int, ...] | None = None
    signature_algorithms: tuple[int, ...] | None = None
    signature_algorithms_cert: tuple[int, ...] | None = None
    certificate_authorities: tuple[bytes, ...] | None = None
    cookie: bytes | None = None
    post_handshake_auth: bool = False
    psk_key_exchange_modes: tuple[int, ...] | None = None
    record_size_limit: int | None = None
    pre_shared_key: OfferedPsks | None = None

    message: ClassVar[str] = "ClientHello"
    _decoders: ClassVar[_Decoders] = decoders_of(CLIENT_HELLO)
    _encoders: ClassVar[_Encoders] = encoders_of(CLIENT_HELLO[:-1])
    _last: ClassVar[_Encoders] = encoders_of(CLIENT_HELLO[-1:])

    def _check(self) -> None:
        # RFC 8446, 4.2.11: servers MUST check that it is the last extension and otherwise fail the handshake with an "illegal_parameter" alert.
        if self.pre_shared_key is not None and self.order[-1] != PRE_SHARED_KEY:
            raise IllegalParameter(
                "ClientHello: pre_shared_key is not the last extension (RFC 8446, 4.2.11)", extension=PRE_SHARED_KEY
            )


@dataclass(slots=True, kw_only=True)
class ServerHelloExtensions(ExtensionBlock):
    """What a server selects. With supported_versions it is a TLS 1.3 hello and only that version's extensions may stand in it; without, TLS 1.2."""

    pre_shared_key: int | None = None
    key_share: KeyShareEntry | None = None
    supported_versions: int | None = None

    server_name: bool = False
    max_fragment_length: int | None = None
    renegotiation_info: bytes | None = None
    extended_master_secret: bool = False
    ec_point_formats: tuple[int, ...] | None = None
    supported_groups: tuple[int, ...] | None = None
    session_ticket: bytes | None = None
    alpn: bytes | None = None
    status_request: bool = False
    signed_certificate_timestamp: bytes | None = None
    record_size_limit: int | None = None

    message: ClassVar[str] = "ServerHello"
    _decoders: ClassVar[_Decoders] = decoders_of(SERVER_HELLO_13 + SERVER_HELLO_12)
    _encoders: ClassVar[_Encoders] = encoders_of(SERVER_HELLO_13 + SERVER_HELLO_12)

    def _check(self) -> None:
        tls13_hello = self.supported_versions is not None
        for number in self.order:
            if number in RECOGNISED and (number in TLS13_ONLY_SERVER_HELLO) is not tls13_hello:
                raise self._misplaced(number)


@dataclass(slots=True, kw_only=True)
class HelloRetryRequestExtensions(ExtensionBlock):
    """What a server wants changed in the second ClientHello: key_share names the group, cookie comes back as it is."""

    key_share: int | None = None
    cookie: bytes | None = None
    supported_versions: int | None = None

    message: ClassVar[str] = "HelloRetryRequest"
    _decoders: ClassVar[_Decoders] = decoders_of(HELLO_RETRY_REQUEST)
    _encoders: ClassVar[_Encoders] = encoders_of(HELLO_RETRY_REQUEST)


@dataclass(slots=True, kw_only=True)
class EncryptedExtensionsBlock(ExtensionBlock):
    """A TLS 1.3 server's answers that need no plaintext."""

    supported_groups: tuple[int, ...] | None = None
    alpn: bytes | None = None
    max_fragment_length: int | None = None
    record_size_limit: int | None = None
    server_name: bool = False
    early_data: bool = False

    message: ClassVar[str] = "EncryptedExtensions"
    _decoders: ClassVar[_Decoders] = decoders_of(ENCRYPTED_EXTENSIONS)
    _encoders: ClassVar[_Encoders] = encoders_of(ENCRYPTED_EXTENSIONS)


@dataclass(slots=True, kw_only=True)
class CertificateRequestExtensions(ExtensionBlock):
    """What a server wants of a client's certificate."""

    signature_algorithms: tuple[int, ...] | None = None
    signature_algorithms_cert: tuple[int, ...] | None = None
    certificate_authorities: tuple[bytes, ...] | None = None
    status_request: bool = False
    signed_certificate_timestamp: bytes | None = None
    oid_filters: bytes | None = None

    message: ClassVar[str] = "CertificateRequest"
    _decoders: ClassVar[_Decoders] = decoders_of(CERTIFICATE_REQUEST)
    _encoders: ClassVar[_Encoders] = encoders_of(CERTIFICATE_REQUEST)


@dataclass(slots=True, kw_only=True)
class CertificateEntryExtensions(ExtensionBlock):
    """What comes with one certificate of a chain; status_request holds its OCSP response, DER."""

    status_request: bytes | None = None
    signed_certificate_timestamp: bytes | None = None

    message: ClassVar[str] = "CertificateEntry"
    _decoders: ClassVar[_Decoders] = decoders_of(CERTIFICATE_ENTRY)
    _encoders: ClassVar[_Encoders] = encoders_of(CERTIFICATE_ENTRY)


@dataclass(slots=True, kw_only=True)
class NewSessionTicketExtensions(ExtensionBlock):
    """What comes with a ticket; early_data is max_early_data_size."""

    early_data: int | None = None

    message: ClassVar[str] = "NewSessionTicket"
    _decoders: ClassVar[_Decoders] = decoders_of(NEW_SESSION_TICKET)
    _encoders: ClassVar[_Encoders] = encoders_of(NEW_SESSION_TICKET)
