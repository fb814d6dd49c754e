# SPDX-License-Identifier: Apache-2.0
"""The extensions of TLS 1.2 and of both versions, encoder and decoder under each struct; extensions.py says where they may stand."""

from __future__ import annotations

from tlsfast.errors import DecodeError, IllegalParameter
from tlsfast.messages.codec import Reader, u8, vec8, vec16, vec24
from tlsfast.messages.shapes import Extension, Flag, List8, List16, Number16, Raw
from tlsfast.registry import ExtensionType

OCSP = 1  # RFC 6066, 8: CertificateStatusType.ocsp
HOST_NAME = 0  # RFC 6066, 3: NameType.host_name


class ServerName(Extension):
    """RFC 6066, 3.

    struct {
        NameType name_type;
        select (name_type) { case host_name: HostName; } name;
    } ServerName;
    opaque HostName<1..2^16-1>;
    struct { ServerName server_name_list<1..2^16-1> } ServerNameList;
    """

    number = ExtensionType.server_name
    field = "server_name"
    repeats = True

    @classmethod
    def encode(cls, value: str, /) -> bytes:
        return vec16(u8(HOST_NAME) + vec16(value.encode("ascii")))

    @classmethod
    def read(cls, reader: Reader, /) -> str:
        names = Reader(reader.vec16("server_name_list", 1), cls.field)
        seen: dict[int, bytes] = {}
        while names.remaining:
            kind = names.u8("name_type")
            # RFC 6066, 3: MUST NOT contain more than one name of the same name_type. Of types to come it says that they start with a two-byte length.
            if kind in seen:
                raise IllegalParameter(f"server_name: two names of type {kind} (RFC 6066, 3)", name_type=kind)
            seen[kind] = names.vec16("name", 1)
        if HOST_NAME not in seen:
            raise IllegalParameter("server_name: no host_name in the list (RFC 6066, 3)")
        return cls._host_name(seen[HOST_NAME])

    @staticmethod
    def _host_name(raw: bytes) -> str:
        # RFC 6066, 3: a byte string using ASCII encoding without a trailing dot; RFC 1035, 2.3.4: names 255 octets or less. It reaches logs
        # and callbacks, so it is printable too.
        name = raw.decode("latin-1")
        if not (name.isascii() and name.isprintable()) or " " in name or len(name) > 255 or name[-1] == ".":
            raise IllegalParameter(f"server_name: {raw[:300]!r} is not a DNS host name (RFC 6066, 3)", server_name=raw)
        return name


class ServerNameAck(Flag):
    """RFC 6066, 3: the server's extension_data SHALL be empty."""

    number = ExtensionType.server_name
    field = "server_name"


class MaxFragmentLength(Extension):
    """RFC 6066, 4: enum { 2^9(1), 2^10(2), 2^11(3), 2^12(4), (255) } MaxFragmentLength;"""

    number = ExtensionType.max_fragment_length
    field = "max_fragment_length"
    repeats = True

    @classmethod
    def encode(cls, value: int, /) -> bytes:
        return u8(value)

    @classmethod
    def read(cls, reader: Reader, /) -> int:
        value = reader.u8("value")
        # RFC 6066, 4: a value other than the allowed values MUST earn an "illegal_parameter" alert.
        if not 1 <= value <= 4:
            raise IllegalParameter(f"max_fragment_length: {value} is not one of 1 to 4 (RFC 6066, 4)", value=value)
        return value


class StatusRequest(Extension):
    """RFC 6066, 8. Responder IDs and request extensions are not used and so not parsed further; a status type that we do not know asks for nothing.

    struct {
        CertificateStatusType status_type;
        select (status_type) { case ocsp: OCSPStatusRequest; } request;
    } CertificateStatusRequest;
    struct { ResponderID responder_id_list<0..2^16-1>; Extensions request_extensions; } OCSPStatusRequest;
    """

    number = ExtensionType.status_request
    field = "status_request"
    repeats = True

    @classmethod
    def encode(cls, value: bool, /) -> bytes:
        return b"\x01\x00\x00\x00\x00"

    @classmethod
    def read(cls, reader: Reader, /) -> bool:
        if reader.u8("status_type") != OCSP:
            reader.take(reader.remaining, "request")
            return False
        reader.vec16("responder_id_list")
        reader.vec16("request_extensions")
        return True


class StatusRequestFlag(Flag):
    """RFC 8446, 4.4.2.1: empty in a CertificateRequest; RFC 6066, 8: empty in a TLS 1.2 ServerHello."""

    number = ExtensionType.status_request
    field = "status_request"


class CertificateStatus(Extension):
    """RFC 8446, 4.4.2.1: in a CertificateEntry.

    struct {
        CertificateStatusType status_type;
        select (status_type) { case ocsp: OCSPResponse; } response;
    } CertificateStatus;
    opaque OCSPResponse<1..2^24-1>;
    """

    number = ExtensionType.status_request
    field = "status_request"

    @classmethod
    def encode(cls, value: bytes, /) -> bytes:
        return u8(OCSP) + vec24(value)

    @classmethod
    def read(cls, reader: Reader, /) -> bytes:
        kind = reader.u8("status_type")
        if kind != OCSP:
            raise IllegalParameter(
                f"status_request: a certificate status of type {kind}, only ocsp (1) is asked for", status_type=kind
            )
        return reader.vec24("response", 1)


class SupportedGroups(List16):
    """RFC 8446, 4.2.7: struct { NamedGroup named_group_list<2..2^16-1>; } NamedGroupList;"""

    number = ExtensionType.supported_groups
    field = "supported_groups"


class SignatureAlgorithms(List16):
    """RFC 8446, 4.2.3: struct { SignatureScheme supported_signature_algorithms<2..2^16-2>; } SignatureSchemeList;"""

    number = ExtensionType.signature_algorithms
    field = "signature_algorithms"


class AlpnOffer(Extension):
    """RFC 7301, 3.1: opaque ProtocolName<1..2^8-1>; struct { ProtocolName protocol_name_list<2..2^16-1> } ProtocolNameList;"""

    number = ExtensionType.application_layer_protocol_negotiation
    field = "alpn"
    repeats = True

    @classmethod
    def encode(cls, value: tuple[bytes, ...], /) -> bytes:
        return vec16(b"".join(map(vec8, value)))

    @classmethod
    def read(cls, reader: Reader, /) -> tuple[bytes, ...]:
        names = Reader(reader.vec16("protocol_name_list", 2), cls.field)
        protocols = []
        while names.remaining:
            protocols.append(names.vec8("protocol_name", 1))
        return tuple(protocols)


class AlpnAnswer(Extension):
    """RFC 7301, 3.1: the server's list MUST contain exactly one "ProtocolName"."""

    number = ExtensionType.application_layer_protocol_negotiation
    field = "alpn"
    repeats = True

    @classmethod
    def encode(cls, value: bytes, /) -> bytes:
        return vec16(vec8(value))

    @classmethod
    def read(cls, reader: Reader, /) -> bytes:
        protocols = AlpnOffer.read(reader)
        if len(protocols) != 1:
            raise DecodeError(
                f"alpn: the server answers with {len(protocols)} protocols, it must be one (RFC 7301, 3.1)",
                what=cls.field,
            )
        return protocols[0]


class SignedCertificateTimestamp(Raw):
    """RFC 6962, 3.3.1: empty in a ClientHello or CertificateRequest, else a SignedCertificateTimestampList. Tolerated, not read."""

    number = ExtensionType.signed_certificate_timestamp
    field = "signed_certificate_timestamp"


class RecordSizeLimit(Number16):
    """RFC 8449, 4: uint16 RecordSizeLimit;"""

    number = ExtensionType.record_size_limit
    field = "record_size_limit"

    @classmethod
    def read(cls, reader: Reader, /) -> int:
        value = super().read(reader)
        # RFC 8449, 4: MUST treat receipt of a value smaller than 64 as a fatal error and generate an "illegal_parameter" alert.
        if value < 64:
            raise IllegalParameter(f"record_size_limit: {value} is below 64 (RFC 8449, 4)", value=value)
        return value


class EcPointFormats(List8):
    """RFC 8422, 5.1.2: struct { ECPointFormat ec_point_format_list<1..2^8-1> } ECPointFormatList;"""

    number = ExtensionType.ec_point_formats
    field = "ec_point_formats"


class ExtendedMasterSecret(Flag):
    """RFC 7627, 5.1: the "extension_data" field of this extension is empty."""

    number = ExtensionType.extended_master_secret
    field = "extended_master_secret"


class SessionTicket(Raw):
    """RFC 5077, 3.2: the ticket itself, without a length; empty asks for one (client) or promises one (server)."""

    number = ExtensionType.session_ticket
    field = "session_ticket"


class RenegotiationInfo(Extension):
    """RFC 5746, 3.2: struct { opaque renegotiated_connection<0..255>; } RenegotiationInfo;"""

    number = ExtensionType.renegotiation_info
    field = "renegotiation_info"
    repeats = True

    @classmethod
    def encode(cls, value: bytes, /) -> bytes:
        return vec8(value)

    @classmethod
    def read(cls, reader: Reader, /) -> bytes:
        return reader.vec8("renegotiated_connection")
