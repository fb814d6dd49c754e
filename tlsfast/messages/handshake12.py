# SPDX-License-Identifier: Apache-2.0
"""The handshake messages that TLS 1.2 has in a form of its own; decode_message in handshake.py dispatches to them (RFC 5246, 7.4; RFC 8422, 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

from tlsfast.errors import DecodeError, IllegalParameter, LimitExceeded
from tlsfast.messages import bodies
from tlsfast.messages.codec import Reader, u8, u16, u16_list, u16_tuple, u32, vec8, vec16, vec24
from tlsfast.messages.hellos import MAX_CERTIFICATES, frame
from tlsfast.registry import HandshakeType

NAMED_CURVE = 3  # RFC 8422, 5.4: ECCurveType.named_curve; 1 and 2 are deprecated
VERIFY_DATA_LENGTH = 12  # RFC 5246, 7.4.9: of every cipher suite that does not say otherwise, and none here does


@dataclass(frozen=True, slots=True)
class ChangeCipherSpec:
    """RFC 5246, 7.1: struct { enum { change_cipher_spec(1), (255) } type; } ChangeCipherSpec;

    A record, not a handshake message: no type, no header, not in the transcript. A flow waits for this class as it does for a message."""


@dataclass(frozen=True, slots=True)
class HelloRequest:
    """RFC 5246, 7.4.1.1: struct { } HelloRequest; never part of the transcript."""

    kind: ClassVar[HandshakeType] = HandshakeType.hello_request

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, b"")

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        Reader(body, "HelloRequest").end()
        return cls()


@dataclass(frozen=True, slots=True)
class NewSessionTicket12:
    """RFC 5077, 3.3: struct { uint32 ticket_lifetime_hint; opaque ticket<0..2^16-1>; } NewSessionTicket;

    The hint is in seconds, 0 leaves the lifetime to the client. A server that promised a ticket and then has none sends an empty one."""

    kind: ClassVar[HandshakeType] = HandshakeType.new_session_ticket
    lifetime_hint: int
    ticket: bytes

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, u32(self.lifetime_hint) + vec16(self.ticket))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "NewSessionTicket")
        message = cls(reader.u32("ticket_lifetime_hint"), reader.vec16("ticket"))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class Certificate12:
    """RFC 5246, 7.4.2: opaque ASN.1Cert<1..2^24-1>; struct { ASN.1Cert certificate_list<0..2^24-1>; } Certificate; the leaf comes first."""

    kind: ClassVar[HandshakeType] = HandshakeType.certificate
    chain: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, vec24(b"".join(map(vec24, self.chain))))

    @classmethod
    def decode(cls, body: bytes, max_certificates: int = MAX_CERTIFICATES) -> Self:
        """Read the message without its header. Raises LimitExceeded when the chain has more than max_certificates."""
        reader = Reader(body, "Certificate")
        certificates = Reader(reader.vec24("certificate_list"), "Certificate")
        reader.end()
        chain: list[bytes] = []
        while certificates.remaining:
            if len(chain) == max_certificates:
                raise LimitExceeded(
                    f"Certificate: the chain has more than {max_certificates} certificates",
                    what="certificate chain",
                    limit=max_certificates,
                )
            chain.append(certificates.vec24("certificate", 1))
        return cls(tuple(chain))


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    """RFC 6066, 8: the struct that stands in a TLS 1.3 CertificateEntry (bodies.py), as a message of its own; the response is DER."""

    kind: ClassVar[HandshakeType] = HandshakeType.certificate_status
    ocsp_response: bytes

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, bodies.CertificateStatus.encode(self.ocsp_response))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header. Raises IllegalParameter for a status_type other than ocsp."""
        return cls(bodies.CertificateStatus.decode(body))


@dataclass(frozen=True, slots=True)
class ServerKeyExchange:
    """RFC 8422, 5.4, for ECDHE_ECDSA and ECDHE_RSA.

    struct {
        ECCurveType curve_type = named_curve;
        NamedCurve namedcurve;
        opaque point<1..2^8-1>;
    } ServerECDHParams;
    struct {
        ServerECDHParams params;
        SignatureAndHashAlgorithm algorithm;
        opaque signature<0..2^16-1>;
    } ServerKeyExchange;
    """

    kind: ClassVar[HandshakeType] = HandshakeType.server_key_exchange
    group: int
    public: bytes
    algorithm: int
    signature: bytes

    @property
    def params(self) -> bytes:
        """ServerECDHParams on the wire: what is signed, behind the two randoms. One value has one encoding, so it is also what the peer signed."""
        return u8(NAMED_CURVE) + u16(self.group) + vec8(self.public)

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, self.params + u16(self.algorithm) + vec16(self.signature))

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "ServerKeyExchange")
        curve_type = reader.u8("curve_type")
        # RFC 8422, 5.4: named_curve is the only type left, and what follows another type cannot be read.
        if curve_type != NAMED_CURVE:
            raise IllegalParameter(
                f"ServerKeyExchange: curve_type is {curve_type}, only named_curve (3) is used (RFC 8422, 5.4)",
                curve_type=curve_type,
            )
        group = reader.u16("namedcurve")
        public = reader.vec8("point", 1)
        message = cls(group, public, reader.u16("algorithm"), reader.vec16("signature"))
        reader.end()
        return message


@dataclass(frozen=True, slots=True)
class CertificateRequest12:
    """RFC 5246, 7.4.4; the bounds of the algorithms are those of 7.4.1.4.1.

    opaque DistinguishedName<1..2^16-1>;
    struct {
        ClientCertificateType certificate_types<1..2^8-1>;
        SignatureAndHashAlgorithm supported_signature_algorithms<2..2^16-2>;
        DistinguishedName certificate_authorities<0..2^16-1>;
    } CertificateRequest;
    """

    kind: ClassVar[HandshakeType] = HandshakeType.certificate_request
    certificate_types: bytes
    signature_algorithms: tuple[int, ...]
    certificate_authorities: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        """Write the message with its header."""
        body = (
            vec8(self.certificate_types)
            + vec16(u16_list(self.signature_algorithms))
            + vec16(b"".join(map(vec16, self.certificate_authorities)))
        )
        return frame(self.kind, body)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        reader = Reader(body, "CertificateRequest")
        types = reader.vec8("certificate_types", 1)
        algorithms = reader.vec16("supported_signature_algorithms", 2, 0xFFFE)
        names = Reader(reader.vec16("certificate_authorities"), "CertificateRequest")
        reader.end()
        authorities = []
        while names.remaining:
            authorities.append(names.vec16("distinguished_name", 1))
        what = "CertificateRequest: supported_signature_algorithms"
        return cls(types, u16_tuple(algorithms, what), tuple(authorities))


@dataclass(frozen=True, slots=True)
class ServerHelloDone:
    """RFC 5246, 7.4.5: struct { } ServerHelloDone;"""

    kind: ClassVar[HandshakeType] = HandshakeType.server_hello_done

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, b"")

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        Reader(body, "ServerHelloDone").end()
        return cls()


@dataclass(frozen=True, slots=True)
class ClientKeyExchange:
    """RFC 5246, 7.4.7: its form hangs on the cipher suite, so the body is kept, and the flow that knows the suite reads it by one of the methods.

    struct { opaque point<1..2^8-1>; } ClientECDiffieHellmanPublic;                     (RFC 8422, 5.7)
    struct { opaque pre_master_secret<0..2^16-1>; } EncryptedPreMasterSecret;           (RFC 5246, 7.4.7.1: as a vector, unlike in SSL 3.0)
    """

    kind: ClassVar[HandshakeType] = HandshakeType.client_key_exchange
    exchange_keys: bytes

    @classmethod
    def ecdhe(cls, public: bytes) -> Self:
        """Make the message of an ECDHE suite."""
        return cls(vec8(public))

    @classmethod
    def rsa(cls, encrypted: bytes) -> Self:
        """Make the message of a static RSA suite."""
        return cls(vec16(encrypted))

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, self.exchange_keys)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Keep the message without its header, whatever it is."""
        return cls(body)

    def ecdhe_public(self) -> bytes:
        """Read the body as that of an ECDHE suite. Raises DecodeError: an implicit public value (RFC 8422, 5.7) is not for ephemeral keys."""
        reader = Reader(self.exchange_keys, "ClientKeyExchange")
        public = reader.vec8("point", 1)
        reader.end()
        return public

    def encrypted_premaster(self) -> bytes:
        """Read the body as that of a static RSA suite; its length is for the decryption to judge. Raises DecodeError."""
        reader = Reader(self.exchange_keys, "ClientKeyExchange")
        encrypted = reader.vec16("pre_master_secret")
        reader.end()
        return encrypted


@dataclass(frozen=True, slots=True)
class Finished12:
    """RFC 5246, 7.4.9: struct { opaque verify_data[verify_data_length]; } Finished;"""

    kind: ClassVar[HandshakeType] = HandshakeType.finished
    verify_data: bytes

    def encode(self) -> bytes:
        """Write the message with its header."""
        return frame(self.kind, self.verify_data)

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message without its header."""
        if len(body) != VERIFY_DATA_LENGTH:
            raise DecodeError(
                f"Finished: verify_data has {len(body)} bytes, in TLS 1.2 it has 12", what="Finished", length=len(body)
            )
        return cls(body)
