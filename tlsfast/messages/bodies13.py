# SPDX-License-Identifier: Apache-2.0
"""The extensions that TLS 1.3 brought, each encoder and decoder under its struct; extensions.py says where they may stand (RFC 8446, 4.2)."""

from __future__ import annotations

from dataclasses import dataclass

from tlsfast.errors import IllegalParameter
from tlsfast.messages.codec import Reader, u16, u16_list, u16_tuple, u32, vec8, vec16
from tlsfast.messages.shapes import Extension, Flag, List8, List16, Number16, Raw
from tlsfast.registry import ExtensionType


@dataclass(frozen=True, slots=True)
class PskIdentity:
    """RFC 8446, 4.2.11: struct { opaque identity<1..2^16-1>; uint32 obfuscated_ticket_age; } PskIdentity;"""

    identity: bytes
    obfuscated_ticket_age: int


@dataclass(frozen=True, slots=True)
class OfferedPsks:
    """RFC 8446, 4.2.11: the client's identities, and a binder for each in the same order."""

    identities: tuple[PskIdentity, ...]
    binders: tuple[bytes, ...]


def encode_binders(binders: tuple[bytes, ...]) -> bytes:
    """Write PskBinderEntry binders<33..2^16-1>, its length included: what a ClientHello with PSKs ends with, and a binder does not cover."""
    return vec16(b"".join(map(vec8, binders)))


class PreSharedKeyOffer(Extension):
    """RFC 8446, 4.2.11.

    opaque PskBinderEntry<32..255>;
    struct { PskIdentity identities<7..2^16-1>; PskBinderEntry binders<33..2^16-1>; } OfferedPsks;
    """

    number = ExtensionType.pre_shared_key
    field = "pre_shared_key"

    @classmethod
    def encode(cls, value: OfferedPsks, /) -> bytes:
        identities = b"".join([vec16(psk.identity) + u32(psk.obfuscated_ticket_age) for psk in value.identities])
        return vec16(identities) + encode_binders(value.binders)

    @classmethod
    def read(cls, reader: Reader, /) -> OfferedPsks:
        list1 = Reader(reader.vec16("identities", 7), cls.field)
        list2 = Reader(reader.vec16("binders", 33), cls.field)
        identities, binders = [], []
        while list1.remaining:
            identities.append(PskIdentity(list1.vec16("identity", 1), list1.u32("obfuscated_ticket_age")))
        while list2.remaining:
            binders.append(list2.vec8("binder", 32))
        if len(identities) != len(binders):
            raise IllegalParameter(
                f"pre_shared_key: {len(identities)} identities but {len(binders)} binders (RFC 8446, 4.2.11)",
                identities=len(identities),
                binders=len(binders),
            )
        return OfferedPsks(tuple(identities), tuple(binders))


class PreSharedKeyAnswer(Number16):
    """RFC 8446, 4.2.11: uint16 selected_identity;"""

    number = ExtensionType.pre_shared_key
    field = "pre_shared_key"


class PskKeyExchangeModes(List8):
    """RFC 8446, 4.2.9: struct { PskKeyExchangeMode ke_modes<1..255>; } PskKeyExchangeModes;"""

    number = ExtensionType.psk_key_exchange_modes
    field = "psk_key_exchange_modes"


class EarlyData(Flag):
    """RFC 8446, 4.2.10: empty in ClientHello and EncryptedExtensions."""

    number = ExtensionType.early_data
    field = "early_data"


class EarlyDataTicket(Extension):
    """RFC 8446, 4.2.10: in a NewSessionTicket, uint32 max_early_data_size;"""

    number = ExtensionType.early_data
    field = "early_data"

    @classmethod
    def encode(cls, value: int, /) -> bytes:
        return u32(value)

    @classmethod
    def read(cls, reader: Reader, /) -> int:
        return reader.u32("max_early_data_size")


class SupportedVersionsOffer(Extension):
    """RFC 8446, 4.2.1: ProtocolVersion versions<2..254>;"""

    number = ExtensionType.supported_versions
    field = "supported_versions"
    repeats = True

    @classmethod
    def encode(cls, value: tuple[int, ...], /) -> bytes:
        return vec8(u16_list(value))

    @classmethod
    def read(cls, reader: Reader, /) -> tuple[int, ...]:
        return u16_tuple(reader.vec8("versions", 2, 254), cls.field)


class SupportedVersionsAnswer(Number16):
    """RFC 8446, 4.2.1: ProtocolVersion selected_version;"""

    number = ExtensionType.supported_versions
    field = "supported_versions"


class Cookie(Extension):
    """RFC 8446, 4.2.2: struct { opaque cookie<1..2^16-1>; } Cookie;"""

    number = ExtensionType.cookie
    field = "cookie"

    @classmethod
    def encode(cls, value: bytes, /) -> bytes:
        return vec16(value)

    @classmethod
    def read(cls, reader: Reader, /) -> bytes:
        return reader.vec16("cookie", 1)


class CertificateAuthorities(Extension):
    """RFC 8446, 4.2.4: opaque DistinguishedName<1..2^16-1>; struct { DistinguishedName authorities<3..2^16-1>; } CertificateAuthoritiesExtension;"""

    number = ExtensionType.certificate_authorities
    field = "certificate_authorities"

    @classmethod
    def encode(cls, value: tuple[bytes, ...], /) -> bytes:
        return vec16(b"".join(map(vec16, value)))

    @classmethod
    def read(cls, reader: Reader, /) -> tuple[bytes, ...]:
        names = Reader(reader.vec16("authorities", 3), cls.field)
        authorities = []
        while names.remaining:
            authorities.append(names.vec16("distinguished_name", 1))
        return tuple(authorities)


class OidFilters(Raw):
    """RFC 8446, 4.2.5: OIDFilter filters<0..2^16-1>. RFC 8446, 4.2.5: clients MUST ignore filters of OIDs that they do not know: not read."""

    number = ExtensionType.oid_filters
    field = "oid_filters"


class PostHandshakeAuth(Flag):
    """RFC 8446, 4.2.6: struct {} PostHandshakeAuth;"""

    number = ExtensionType.post_handshake_auth
    field = "post_handshake_auth"


@dataclass(frozen=True, slots=True)
class KeyShareEntry:
    """RFC 8446, 4.2.8: struct { NamedGroup group; opaque key_exchange<1..2^16-1>; } KeyShareEntry;"""

    group: int
    key_exchange: bytes


class KeyShareOffer(Extension):
    """RFC 8446, 4.2.8: struct { KeyShareEntry client_shares<0..2^16-1>; } KeyShareClientHello;"""

    number = ExtensionType.key_share
    field = "key_share"

    @classmethod
    def encode(cls, value: tuple[KeyShareEntry, ...], /) -> bytes:
        return vec16(b"".join([u16(share.group) + vec16(share.key_exchange) for share in value]))

    @classmethod
    def read(cls, reader: Reader, /) -> tuple[KeyShareEntry, ...]:
        shares = Reader(reader.vec16("client_shares"), cls.field)
        entries: dict[int, KeyShareEntry] = {}
        while shares.remaining:
            group = shares.u16("group")
            # RFC 8446, 4.2.8: MUST NOT offer multiple KeyShareEntry values for the same group; servers MAY abort with "illegal_parameter".
            if group in entries:
                raise IllegalParameter(
                    f"key_share: two shares for the group 0x{group:04x} (RFC 8446, 4.2.8)", group=group
                )
            entries[group] = KeyShareEntry(group, shares.vec16("key_exchange", 1))
        return tuple(entries.values())


class KeyShareAnswer(Extension):
    """RFC 8446, 4.2.8: struct { KeyShareEntry server_share; } KeyShareServerHello;"""

    number = ExtensionType.key_share
    field = "key_share"

    @classmethod
    def encode(cls, value: KeyShareEntry, /) -> bytes:
        return u16(value.group) + vec16(value.key_exchange)

    @classmethod
    def read(cls, reader: Reader, /) -> KeyShareEntry:
        share = KeyShareEntry(reader.u16("group"), reader.vec16("key_exchange", 1))
        return share


class KeyShareRetry(Number16):
    """RFC 8446, 4.2.8: struct { NamedGroup selected_group; } KeyShareHelloRetryRequest;"""

    number = ExtensionType.key_share
    field = "key_share"


class SignatureAlgorithmsCert(List16):
    """RFC 8446, 4.2.3: the same SignatureSchemeList, for signatures in certificates."""

    number = ExtensionType.signature_algorithms_cert
    field = "signature_algorithms_cert"
