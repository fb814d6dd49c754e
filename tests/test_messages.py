# SPDX-License-Identifier: Apache-2.0
"""The handshake messages: round trips, the traces of RFC 8448, every cut and appended byte, mutations, GREASE, each rule and its fault."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsfast.errors import ApiMisuse, DecodeError, IllegalParameter, LimitExceeded, PeerError, UnexpectedMessage
from tlsfast.messages import bodies, bodies13, extensions
from tlsfast.messages.codec import u8, u16, u24, u32, vec8, vec16, vec24
from tlsfast.messages.extensions import (
    CertificateEntryExtensions,
    CertificateRequestExtensions,
    ClientHelloExtensions,
    EncryptedExtensionsBlock,
    ExtensionBlock,
    HelloRetryRequestExtensions,
    KeyShareEntry,
    NewSessionTicketExtensions,
    OfferedPsks,
    PskIdentity,
    ServerHelloExtensions,
    encode_binders,
)
from tlsfast.messages.handshake import (
    HELLO_RETRY_RANDOM,
    MAX_CERTIFICATES,
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    HelloRetryRequest,
    KeyUpdate,
    Message,
    NewSessionTicket,
    ServerHello,
    decode_message,
    truncate,
)
from tlsfast.messages.shapes import Extension, Flag, Raw
from tlsfast.registry import ExtensionType, HandshakeType

# ---- RFC 8448: the octets of its traces ----

# Section 3, simple 1-RTT handshake.
CLIENT_HELLO_3 = bytes.fromhex(
    "010000c00303cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7000006130113031302010000910000000b0009000006736572766572"
    "ff01000100000a00140012001d0017001800190100010101020103010400230000003300260024001d002099381de560e4bd43d23d8e435a7dbafeb3c06e51c13cae"
    "4d5413691e529aaf2c002b0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c00024001"
)
SERVER_HELLO_3 = bytes.fromhex(
    "020000560303a6af06a4121860dc5e6e60249cd34c95930c8ac5cb1434dac155772ed3e2692800130100002e00330024001d0020c9828876112095fe66762bdbf7c6"
    "72e156d6cc253b833df1dd69b1b04e751f0f002b00020304"
)
ENCRYPTED_EXTENSIONS_3 = bytes.fromhex(
    "080000240022000a00140012001d00170018001901000101010201030104001c0002400100000000"
)
NEW_SESSION_TICKET_3 = bytes.fromhex(
    "040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883c9367c09a2be785abc55"
    "cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2"
    "677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934ae4d3570008002a"
    "000400000400"
)
# Section 4, resumed 0-RTT handshake: the whole ClientHello, with a padding extension (21) that we do not know, and its binder.
CLIENT_HELLO_4 = bytes.fromhex(
    "010001fc03031bc3ceb6bbe39cff938355b5a50adb6db21b7a6af649d7b4bc419d7876487d95000006130113031302010001cd0000000b0009000006736572766572"
    "ff01000100000a00140012001d00170018001901000101010201030104003300260024001d0020e4ffb68ac05f8d96c99da26698346c6be16482badddafe051a66b4"
    "f18d668f0b002a0000002b0003020304000d0020001e040305030603020308040805080604010501060102010402050206020202002d00020101001c000240010015"
    "0057"
    + "00"
    * 0x57
    + "002900dd00b800b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb33fa90bf1b0070ad3c498883c9367c09a2be78"
    "5abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64e861be7fd61d2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea7052951"
    "3e3da2677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f7de6505e5bfbc388e93343694093934ae4d357"
    "fad6aacb0021203add4fb2d8fdf822a0ca3cf7678ef5e88dae990141c5924d57bb6fa31b9e5f9d"
)
# Section 5, HelloRetryRequest.
HELLO_RETRY_REQUEST_5 = bytes.fromhex(
    "020000ac0303cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c001301000084003300020017002c0074007271dcd04bb88bc3189119"
    "398a00000000eefafc76c146b823b096f8aacad365dd0030953f4edf625636e5f21bb2e23fcc654b1b5b40318d10d137abcbb87574e36e8a1f025f7dfa5d6e50781b"
    "5eda4aa15b0c8be778257d16aa3030e9e7841dd9e4c0342267e8ca0caf571fb2b7cff0f934b0002b00020304"
)
SERVER_HELLO_5 = bytes.fromhex(
    "020000770303bb341d847fd789c47c387172dc0c9bf147fccacb5043d86ca4c598d3ff571b9800130100004f003300450017004104583e054b7a66672ae020ad9d26"
    "86fcc85b5ad41a134a0f03ee72b893052bd85b4c8de6776f5b04ac07d83540eab3e3d9c547bc6528c4317d294686093a6cad7d002b00020304"
)
TRACES = {
    "ClientHello, 3": CLIENT_HELLO_3,
    "ServerHello, 3": SERVER_HELLO_3,
    "EncryptedExtensions, 3": ENCRYPTED_EXTENSIONS_3,
    "NewSessionTicket, 3": NEW_SESSION_TICKET_3,
    "ClientHello, 4": CLIENT_HELLO_4,
    "HelloRetryRequest, 5": HELLO_RETRY_REQUEST_5,
    "ServerHello, 5": SERVER_HELLO_5,
}


@pytest.mark.parametrize("name", TRACES)
def test_traces_of_rfc8448_replay(name: str) -> None:
    """Decoded and written again they are the same bytes: our order of extensions is theirs."""
    assert decode_message(TRACES[name]).encode() == TRACES[name]


def test_rfc8448_client_hello_fields() -> None:
    hello = decode_message(CLIENT_HELLO_3)
    assert isinstance(hello, ClientHello)
    assert hello.random.hex() == "cb34ecb1e78163ba1c38c6dacb196a6dffa21a8d9912ec18a2ef6283024dece7"
    assert hello.cipher_suites == (0x1301, 0x1303, 0x1302)
    assert (hello.legacy_version, hello.legacy_session_id, hello.legacy_compression_methods) == (0x0303, b"", b"\0")
    offered = hello.extensions
    assert offered.server_name == "server"
    assert offered.supported_groups == (0x1D, 0x17, 0x18, 0x19, 0x100, 0x101, 0x102, 0x103, 0x104)
    assert offered.supported_versions == (0x0304,)
    assert offered.psk_key_exchange_modes == (1,)
    assert offered.record_size_limit == 0x4001
    assert (offered.renegotiation_info, offered.session_ticket) == (b"", b"")
    assert offered.key_share is not None and [share.group for share in offered.key_share] == [0x1D]
    assert offered.order == (0, 65281, 10, 35, 51, 43, 13, 45, 28)
    assert (offered.alpn, offered.cookie, offered.pre_shared_key, offered.early_data) == (None, None, None, False)


def test_rfc8448_server_flight_fields() -> None:
    hello, encrypted, ticket = map(decode_message, (SERVER_HELLO_3, ENCRYPTED_EXTENSIONS_3, NEW_SESSION_TICKET_3))
    assert (
        isinstance(hello, ServerHello)
        and isinstance(encrypted, EncryptedExtensions)
        and isinstance(ticket, NewSessionTicket)
    )
    assert hello.cipher_suite == 0x1301 and hello.extensions.supported_versions == 0x0304
    assert hello.extensions.key_share == KeyShareEntry(0x1D, SERVER_HELLO_3[-38:-6])
    assert encrypted.extensions.server_name is True and encrypted.extensions.record_size_limit == 0x4001
    assert (ticket.ticket_lifetime, ticket.ticket_age_add, ticket.ticket_nonce) == (30, 0xFAD6AAC5, b"\0\0")
    assert len(ticket.ticket) == 178 and ticket.extensions.early_data == 1024


def test_rfc8448_binders() -> None:
    """Section 4 prints the ClientHello prefix of 477 octets that the binder covers."""
    hello = decode_message(CLIENT_HELLO_4)
    assert isinstance(hello, ClientHello)
    offered = hello.extensions.pre_shared_key
    assert (
        offered is not None
        and len(offered.identities) == 1
        and offered.identities[0].obfuscated_ticket_age == 0xFAD6AACB
    )
    assert hello.extensions.unknown == ((21, bytes(0x57)),) and hello.extensions.early_data is True
    assert hello.binders_length == 2 + 1 + 32
    assert truncate(CLIENT_HELLO_4, hello) == CLIENT_HELLO_4[:477]
    assert truncate(CLIENT_HELLO_4, hello) + encode_binders(offered.binders) == CLIENT_HELLO_4
    blank = hello.with_binders((bytes(32),))
    assert blank.encode() == CLIENT_HELLO_4[:-32] + bytes(32)
    assert blank.with_binders(offered.binders) == hello
    for wrong in ((), (bytes(31),), (bytes(32), bytes(32))):
        with pytest.raises(ApiMisuse):
            hello.with_binders(wrong)
    without = decode_message(CLIENT_HELLO_3)
    assert isinstance(without, ClientHello)
    assert without.binders_length == 0 and truncate(CLIENT_HELLO_3, without) == CLIENT_HELLO_3
    with pytest.raises(ApiMisuse):
        without.with_binders(())


def test_rfc8448_hello_retry_request() -> None:
    retry = decode_message(HELLO_RETRY_REQUEST_5)
    assert isinstance(retry, HelloRetryRequest)
    assert retry.kind is HandshakeType.server_hello and retry.random == HELLO_RETRY_RANDOM
    assert (
        retry.extensions.key_share == 0x17
        and retry.extensions.cookie is not None
        and len(retry.extensions.cookie) == 114
    )
    with pytest.raises(DecodeError, match="random"):
        HelloRetryRequest.decode(SERVER_HELLO_5[4:])


# ---- Round trips ----

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
RECOGNISED = {int(number) for number in ExtensionType}
U16S = st.lists(U16, min_size=1, max_size=20).map(tuple)
LABEL = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1, max_size=63)
HOST = st.lists(LABEL, min_size=1, max_size=4).map(lambda labels: ".".join(labels)[:255].rstrip(".")).filter(bool)


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def opaque(low: int, high: int = 300) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=low, max_size=high)


UNKNOWN = st.dictionaries(U16.filter(lambda number: number not in RECOGNISED), opaque(0, 40), max_size=4).map(
    lambda d: tuple(d.items())
)
SHARE = st.builds(KeyShareEntry, U16, opaque(1, 100))
SHARES = st.lists(SHARE, max_size=4, unique_by=lambda share: share.group).map(tuple)
PSKS = st.integers(1, 3).flatmap(
    lambda n: st.builds(
        OfferedPsks,
        st.lists(st.builds(PskIdentity, opaque(1), U32), min_size=n, max_size=n).map(tuple),
        st.lists(opaque(32, 255), min_size=n, max_size=n).map(tuple),
    )
)
NAMES = st.lists(opaque(1, 80), min_size=1, max_size=4).map(tuple)
FIELDS: dict[type[Extension], st.SearchStrategy[Any]] = {
    bodies.ServerName: HOST,
    bodies.ServerNameAck: st.booleans(),
    bodies.MaxFragmentLength: st.integers(1, 4),
    bodies.StatusRequest: st.booleans(),
    bodies.StatusRequestFlag: st.booleans(),
    bodies.CertificateStatus: opaque(1),
    bodies.SupportedGroups: U16S,
    bodies.SignatureAlgorithms: U16S,
    bodies.AlpnOffer: st.lists(opaque(1, 255), min_size=1, max_size=5).map(tuple),
    bodies.AlpnAnswer: opaque(1, 255),
    bodies.SignedCertificateTimestamp: opaque(0),
    bodies.RecordSizeLimit: st.integers(64, 0xFFFF),
    bodies.EcPointFormats: st.lists(U8, min_size=1, max_size=5).map(tuple),
    bodies.ExtendedMasterSecret: st.booleans(),
    bodies.SessionTicket: opaque(0),
    bodies.RenegotiationInfo: opaque(0, 255),
    bodies13.PreSharedKeyOffer: PSKS,
    bodies13.PreSharedKeyAnswer: U16,
    bodies13.PskKeyExchangeModes: st.lists(U8, min_size=1, max_size=5).map(tuple),
    bodies13.EarlyData: st.booleans(),
    bodies13.EarlyDataTicket: U32,
    bodies13.SupportedVersionsOffer: U16S,
    bodies13.SupportedVersionsAnswer: U16,
    bodies13.Cookie: opaque(1),
    bodies13.CertificateAuthorities: NAMES,
    bodies13.OidFilters: opaque(0),
    bodies13.PostHandshakeAuth: st.booleans(),
    bodies13.KeyShareOffer: SHARES,
    bodies13.KeyShareAnswer: SHARE,
    bodies13.KeyShareRetry: U16,
    bodies13.SignatureAlgorithmsCert: U16S,
}


def block(
    cls: type[ExtensionBlock], table: tuple[type[Extension], ...], **fixed: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    fields = {
        kind.field: FIELDS[kind] if issubclass(kind, Flag | bodies.StatusRequest) else optional(FIELDS[kind])
        for kind in table
    }
    return st.builds(cls, unknown=UNKNOWN, **(fields | fixed))


CLIENT_BLOCK = block(ClientHelloExtensions, extensions.CLIENT_HELLO)
SERVER_BLOCK = block(ServerHelloExtensions, extensions.SERVER_HELLO_13, supported_versions=U16) | block(
    ServerHelloExtensions, extensions.SERVER_HELLO_12
)
TICKET_BLOCK = block(NewSessionTicketExtensions, extensions.NEW_SESSION_TICKET)
ENTRY = st.builds(CertificateEntry, opaque(1, 400), block(CertificateEntryExtensions, extensions.CERTIFICATE_ENTRY))
SESSION_ID = opaque(0, 32)
MESSAGES: dict[str, st.SearchStrategy[Message]] = {
    "ClientHello": st.builds(
        ClientHello,
        random=opaque(32, 32),
        legacy_session_id=SESSION_ID,
        cipher_suites=U16S,
        extensions=CLIENT_BLOCK,
        legacy_version=U16,
        legacy_compression_methods=opaque(1, 4),
    ),
    "ServerHello": st.builds(
        ServerHello,
        random=opaque(32, 32).filter(lambda random: random != HELLO_RETRY_RANDOM),
        legacy_session_id_echo=SESSION_ID,
        cipher_suite=U16,
        extensions=SERVER_BLOCK,
        legacy_version=U16,
        legacy_compression_method=U8,
    ),
    "HelloRetryRequest": st.builds(
        HelloRetryRequest,
        legacy_session_id_echo=SESSION_ID,
        cipher_suite=U16,
        extensions=block(HelloRetryRequestExtensions, extensions.HELLO_RETRY_REQUEST),
    ),
    "EncryptedExtensions": st.builds(
        EncryptedExtensions, block(EncryptedExtensionsBlock, extensions.ENCRYPTED_EXTENSIONS)
    ),
    "CertificateRequest": st.builds(
        CertificateRequest,
        opaque(0, 255),
        block(CertificateRequestExtensions, extensions.CERTIFICATE_REQUEST, signature_algorithms=U16S),
    ),
    "Certificate": st.builds(Certificate, opaque(0, 255), st.lists(ENTRY, max_size=5).map(tuple)),
    "CertificateVerify": st.builds(CertificateVerify, U16, opaque(0, 600)),
    "Finished": st.builds(Finished, opaque(32, 32) | opaque(48, 48)),
    "EndOfEarlyData": st.builds(EndOfEarlyData),
    "NewSessionTicket": st.builds(
        NewSessionTicket, st.integers(0, 604800), U32, opaque(0, 255), opaque(1, 400), TICKET_BLOCK
    ),
    "KeyUpdate": st.builds(KeyUpdate, st.integers(0, 1)),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_round_trip(name: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(MESSAGES[name])
    def check(message: Message) -> None:
        raw = message.encode()
        assert raw[0] == message.kind and int.from_bytes(raw[1:4], "big") == len(raw) - 4
        decoded = decode_message(raw)
        assert decoded == message and type(decoded) is type(message)
        assert decoded.encode() == raw

    check()


def test_every_message_is_frozen_and_slotted() -> None:
    for raw in (message.encode() for message in SPECIMENS.values()):
        message = decode_message(raw)
        assert not hasattr(message, "__dict__")
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            message.extensions = None  # type: ignore[union-attr, misc]


# ---- One rich specimen of each message and extension, for cuts and mutations ----

VALUES: dict[type[Extension], Any] = {
    bodies.ServerName: "www.example.com",
    bodies.ServerNameAck: True,
    bodies.MaxFragmentLength: 3,
    bodies.StatusRequest: True,
    bodies.StatusRequestFlag: True,
    bodies.CertificateStatus: b"an OCSP response",
    bodies.SupportedGroups: (0x1D, 0x17, 0x0A0A),
    bodies.SignatureAlgorithms: (0x0403, 0x0804),
    bodies.AlpnOffer: (b"h2", b"http/1.1"),
    bodies.AlpnAnswer: b"h2",
    bodies.SignedCertificateTimestamp: b"\0\4list",
    bodies.RecordSizeLimit: 16385,
    bodies.EcPointFormats: (0, 1),
    bodies.ExtendedMasterSecret: True,
    bodies.SessionTicket: b"a ticket",
    bodies.RenegotiationInfo: b"verify",
    bodies13.PreSharedKeyOffer: OfferedPsks(
        (PskIdentity(b"one", 1), PskIdentity(b"another", 2)), (b"\1" * 32, b"\2" * 48)
    ),
    bodies13.PreSharedKeyAnswer: 1,
    bodies13.PskKeyExchangeModes: (1, 0),
    bodies13.EarlyData: True,
    bodies13.EarlyDataTicket: 16384,
    bodies13.SupportedVersionsOffer: (0x0304, 0x0303),
    bodies13.SupportedVersionsAnswer: 0x0304,
    bodies13.Cookie: b"cookie",
    bodies13.CertificateAuthorities: (b"0\0first", b"0\0second"),
    bodies13.OidFilters: b"\0\0",
    bodies13.PostHandshakeAuth: True,
    bodies13.KeyShareOffer: (KeyShareEntry(0x1D, b"x" * 32), KeyShareEntry(0x17, b"p" * 65)),
    bodies13.KeyShareAnswer: KeyShareEntry(0x1D, b"x" * 32),
    bodies13.KeyShareRetry: 0x17,
    bodies13.SignatureAlgorithmsCert: (0x0401, 0x0804),
}
TABLES: dict[str, tuple[type[ExtensionBlock], tuple[type[Extension], ...]]] = {
    "ClientHello": (ClientHelloExtensions, extensions.CLIENT_HELLO),
    "ServerHello 1.3": (ServerHelloExtensions, extensions.SERVER_HELLO_13),
    "ServerHello 1.2": (ServerHelloExtensions, extensions.SERVER_HELLO_12),
    "HelloRetryRequest": (HelloRetryRequestExtensions, extensions.HELLO_RETRY_REQUEST),
    "EncryptedExtensions": (EncryptedExtensionsBlock, extensions.ENCRYPTED_EXTENSIONS),
    "CertificateRequest": (CertificateRequestExtensions, extensions.CERTIFICATE_REQUEST),
    "CertificateEntry": (CertificateEntryExtensions, extensions.CERTIFICATE_ENTRY),
    "NewSessionTicket": (NewSessionTicketExtensions, extensions.NEW_SESSION_TICKET),
}
GREASE_EXTENSION = (0x3A3A, b"grease")


def full(name: str) -> Any:
    cls, table = TABLES[name]
    fields: dict[str, Any] = {kind.field: VALUES[kind] for kind in table}
    return cls(unknown=(GREASE_EXTENSION,), **fields)


SPECIMENS: dict[str, Message] = {
    "ClientHello": ClientHello(
        random=bytes(range(32)),
        legacy_session_id=b"s" * 32,
        cipher_suites=(0x1301, 0x5A5A),
        extensions=full("ClientHello"),
    ),
    "ServerHello 1.3": ServerHello(
        random=bytes(range(32)),
        legacy_session_id_echo=b"s" * 32,
        cipher_suite=0x1301,
        extensions=full("ServerHello 1.3"),
    ),
    "ServerHello 1.2": ServerHello(
        random=bytes(range(32)), legacy_session_id_echo=b"s", cipher_suite=0xC02F, extensions=full("ServerHello 1.2")
    ),
    "HelloRetryRequest": HelloRetryRequest(
        legacy_session_id_echo=b"s" * 32, cipher_suite=0x1302, extensions=full("HelloRetryRequest")
    ),
    "EncryptedExtensions": EncryptedExtensions(full("EncryptedExtensions")),
    "CertificateRequest": CertificateRequest(b"context", full("CertificateRequest")),
    "Certificate": Certificate(
        b"context", (CertificateEntry(b"leaf", full("CertificateEntry")), CertificateEntry(b"issuer"))
    ),
    "CertificateVerify": CertificateVerify(0x0403, b"signature"),
    "Finished": Finished(b"f" * 32),
    "EndOfEarlyData": EndOfEarlyData(),
    "NewSessionTicket": NewSessionTicket(7200, 0xDEADBEEF, b"\0", b"ticket", full("NewSessionTicket")),
    "KeyUpdate": KeyUpdate(1),
}
EXTENSIONS = {(name, kind): kind for name, (_, table) in TABLES.items() for kind in table}


def test_every_extension_has_a_specimen() -> None:
    assert set(VALUES) == set(FIELDS) == set(EXTENSIONS.values())
    assert {int(kind.number) for kind in VALUES} == RECOGNISED == extensions.RECOGNISED


@pytest.mark.parametrize("name", SPECIMENS)
def test_specimens_round_trip(name: str) -> None:
    raw = SPECIMENS[name].encode()
    assert decode_message(raw) == SPECIMENS[name]


def framed(kind: int, body: bytes) -> bytes:
    return u8(kind) + u24(len(body)) + body


@pytest.mark.parametrize("name", SPECIMENS)
def test_every_truncation_is_a_decode_error(name: str) -> None:
    """Cut with the header as it was, and cut with a header that agrees. Only the hellos may end early: before their extensions, as in TLS 1.2."""
    message = SPECIMENS[name]
    raw = message.encode()
    may_end_at = set()
    if isinstance(message, ClientHello | ServerHello | HelloRetryRequest):
        may_end_at = {len(raw) - 4 - len(message.extensions.encode())}
    for length in range(len(raw)):
        with pytest.raises(DecodeError):
            decode_message(raw[:length])
    for length in range(len(raw) - 4):
        if length in may_end_at:
            ended = decode_message(framed(raw[0], raw[4 : 4 + length]))
            assert isinstance(ended, ClientHello | ServerHello | HelloRetryRequest)
            assert ended.extensions == type(ended.extensions)() and ended.extensions.order == ()
            continue
        with pytest.raises(DecodeError):
            decode_message(framed(raw[0], raw[4 : 4 + length]))


@pytest.mark.parametrize("name", SPECIMENS)
def test_one_byte_appended_is_a_decode_error(name: str) -> None:
    raw = SPECIMENS[name].encode()
    for extra in (b"\0", b"\xff"):
        with pytest.raises(DecodeError):
            decode_message(raw + extra)
        with pytest.raises(DecodeError):
            decode_message(framed(raw[0], raw[4:] + extra))


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.__name__)
def test_every_extension_cut_or_with_a_byte_appended(kind: type[Extension]) -> None:
    body = kind.encode(VALUES[kind])
    assert kind.decode(body) == VALUES[kind]
    if issubclass(kind, Raw):
        return
    for length in range(len(body)):
        with pytest.raises(DecodeError, match=kind.field):
            kind.decode(body[:length])
    for extra in (b"\0", b"\xff"):
        with pytest.raises(DecodeError, match=kind.field):
            kind.decode(body + extra)


@pytest.mark.parametrize("name", TABLES)
def test_a_cut_block_is_a_decode_error(name: str) -> None:
    """The list's own length agrees with the cut: between two extensions it is a shorter list, elsewhere it is an error."""
    cls, _ = TABLES[name]
    content = full(name).encode()[2:]
    boundaries, position = set(), 0
    while position < len(content):
        boundaries.add(position)
        position += 4 + int.from_bytes(content[position + 2 : position + 4], "big")
    for length in range(len(content)):
        if length in boundaries:
            continue
        with pytest.raises(DecodeError):
            cls.decode(content[:length])


# ---- Mutations: whatever a peer sends, nothing but a PeerError comes of it ----


def judge(raw: bytes) -> None:
    for version13 in (True, False):
        try:
            message = decode_message(raw, version13)
        except PeerError:
            continue
        again = decode_message(message.encode(), version13)
        assert again == message and again.encode() == message.encode()


@pytest.mark.parametrize("name", SPECIMENS)
def test_every_byte_changed(name: str) -> None:
    raw = bytearray(SPECIMENS[name].encode())
    for place in range(len(raw)):
        for change in (0x01, 0x02, 0x10, 0x80, 0xFF):
            raw[place] ^= change
            judge(bytes(raw))
            raw[place] ^= change


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(SPECIMENS)),
    st.lists(st.tuples(st.integers(4, 1000), st.sampled_from(["set", "insert", "delete"]), U8), min_size=1, max_size=6),
)
def test_random_mutations(name: str, changes: list[tuple[int, str, int]]) -> None:
    raw = bytearray(SPECIMENS[name].encode())
    for place, how, value in changes:
        place = min(place, len(raw))
        if how == "insert":
            raw.insert(place, value)
        elif place < len(raw):
            if how == "set":
                raw[place] = value
            else:
                del raw[place]
    judge(framed(raw[0], bytes(raw[4:])))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(int(kind) for kind in HandshakeType)), st.binary(max_size=200))
def test_noise(kind: int, body: bytes) -> None:
    judge(framed(kind, body))


# ---- decode_message ----


def test_types_that_do_not_belong() -> None:
    with pytest.raises(UnexpectedMessage, match=r"type hello_request \(0\)"):
        decode_message(framed(0, b""))
    with pytest.raises(UnexpectedMessage, match=r"type message_hash \(254\)"):
        decode_message(framed(254, bytes(32)))
    with pytest.raises(UnexpectedMessage, match=r"type 99 \(unknown\)"):
        decode_message(framed(99, b""))
    with pytest.raises(UnexpectedMessage, match="encrypted_extensions"):
        decode_message(ENCRYPTED_EXTENSIONS_3, version13=False)
    assert decode_message(SERVER_HELLO_3, version13=False) == decode_message(SERVER_HELLO_3)


def test_the_header_length_is_the_length() -> None:
    for raw in (b"", b"\x14", b"\x14\0\0", b"\x05\0\0\1", b"\x05\0\0\0\0"):
        with pytest.raises(DecodeError, match="length that its header says"):
            decode_message(raw)


# ---- Rules of blocks ----


def extension(number: int, body: bytes) -> bytes:
    return u16(number) + vec16(body)


@pytest.mark.parametrize("name", TABLES)
def test_the_same_extension_twice(name: str) -> None:
    """RFC 8446, 4.2: known or unknown, there MUST NOT be more than one of a type in a block."""
    cls, table = TABLES[name]
    for kind in table:
        one = extension(kind.number, kind.encode(VALUES[kind]))
        with pytest.raises(IllegalParameter, match="twice"):
            cls.decode(one + one)
    with pytest.raises(IllegalParameter, match="twice"):
        cls.decode(extension(0x3A3A, b"") + extension(0x4A4A, b"") + extension(0x3A3A, b"other"))


@pytest.mark.parametrize("name", [name for name in TABLES if name != "ServerHello 1.2"])
def test_an_extension_in_the_wrong_message(name: str) -> None:
    """RFC 8446, 4.2: every recognised extension that the message's table has not earns "illegal_parameter"."""
    cls, table = TABLES[name]
    before = extension(43, b"\3\4") if name == "ServerHello 1.3" else b""
    legal = {int(kind.number) for kind in table}
    # A TLS 1.2 hello is told from a 1.3 one at the end of its list, so what stands there must be well formed.
    forms = {kind.number: kind for kind in (*VALUES, *extensions.SERVER_HELLO_12)}
    for kind in forms.values() if before else VALUES:
        if kind.number in legal:
            continue
        with pytest.raises(IllegalParameter, match=f"{kind.number.name} does not belong in this message"):
            cls.decode(before + extension(kind.number, kind.encode(VALUES[kind])))


def test_a_tls12_server_hello_has_no_extension_of_tls13() -> None:
    for kind in (bodies13.PreSharedKeyAnswer, bodies13.KeyShareAnswer):
        one = extension(kind.number, kind.encode(VALUES[kind]))
        with pytest.raises(IllegalParameter, match="does not belong"):
            ServerHelloExtensions.decode(one)
        assert ServerHelloExtensions.decode(one + extension(43, b"\3\4")).supported_versions == 0x0304


def test_pre_shared_key_is_last() -> None:
    """RFC 8446, 4.2.11: anything behind it, GREASE included, earns "illegal_parameter"."""
    psk = extension(41, bodies13.PreSharedKeyOffer.encode(VALUES[bodies13.PreSharedKeyOffer]))
    assert ClientHelloExtensions.decode(extension(0x3A3A, b"") + psk).pre_shared_key is not None
    for behind in (extension(0x3A3A, b""), extension(23, b""), extension(0xFFFF, b"x")):
        with pytest.raises(IllegalParameter, match="not the last extension"):
            ClientHelloExtensions.decode(psk + behind)


def test_unknown_extensions_and_their_order_are_kept() -> None:
    content = extension(0x0A0A, b"") + extension(23, b"") + extension(17, b"raw") + extension(0xDADA, b"\0")
    offered = ClientHelloExtensions.decode(content)
    assert offered.unknown == ((0x0A0A, b""), (17, b"raw"), (0xDADA, b"\0"))
    assert offered.order == (0x0A0A, 23, 17, 0xDADA)
    assert offered.encode() == vec16(
        extension(23, b"") + extension(0x0A0A, b"") + extension(17, b"raw") + extension(0xDADA, b"\0")
    )
    for name in TABLES:
        cls, _ = TABLES[name]
        assert cls.decode(extension(0x0A0A, b"?")).unknown == ((0x0A0A, b"?"),)


def test_unknown_extensions_stand_before_pre_shared_key() -> None:
    offered = full("ClientHello")
    decoded = ClientHelloExtensions.decode(offered.encode()[2:])
    assert decoded == offered and decoded.order[-2:] == (GREASE_EXTENSION[0], 41)


def test_grease_everywhere_is_tolerated() -> None:
    """RFC 8701: reserved values in every list that a ClientHello has."""
    grease = 0x8A8A
    hello = ClientHello(
        random=bytes(32),
        cipher_suites=(grease, 0x1301),
        extensions=ClientHelloExtensions(
            supported_groups=(grease, 0x1D),
            signature_algorithms=(grease, 0x0403),
            supported_versions=(grease, 0x0304),
            psk_key_exchange_modes=(0x0B, 1),
            alpn=(b"\x8a\x8a", b"h2"),
            key_share=(KeyShareEntry(grease, b"\0"), KeyShareEntry(0x1D, bytes(32))),
            unknown=((grease, b""), (0xFAFA, b"\0")),
        ),
    )
    assert decode_message(hello.encode()) == hello


def test_a_hundred_thousand_bytes_of_extensions_are_no_work() -> None:
    """As many empty extensions as 65,535 bytes hold; a search through a list for each would run into the time limit."""
    numbers = [number for number in range(0x10000) if number not in RECOGNISED][: 0xFFFF // 4]
    content = b"".join(extension(number, b"") for number in numbers)
    assert ClientHelloExtensions.decode(content).order == tuple(numbers)


# ---- Rules of single extensions: what is sent, the fault, and a word of its message ----


def host(name: bytes, kind: int = 0) -> bytes:
    return u8(kind) + vec16(name)


def psks(identities: list[bytes], binders: list[int]) -> bytes:
    return vec16(b"".join(vec16(name) + u32(0) for name in identities)) + vec16(
        b"".join(vec8(bytes(size)) for size in binders)
    )


BAD: list[tuple[type[Extension], bytes, type[PeerError], str]] = [
    (bodies.ServerName, vec16(b""), DecodeError, "server_name_list has 0 bytes"),
    (bodies.ServerName, vec16(host(b"")), DecodeError, "name has 0 bytes"),
    (bodies.ServerName, vec16(host(b"a") + host(b"b")), IllegalParameter, "two names of type 0"),
    (bodies.ServerName, vec16(host(b"a") + host(b"b", 7) + host(b"c", 7)), IllegalParameter, "two names of type 7"),
    (bodies.ServerName, vec16(host(b"b", 7)), IllegalParameter, "no host_name"),
    (bodies.ServerName, vec16(host(b"a.example.")), IllegalParameter, "not a DNS host name"),
    (bodies.ServerName, vec16(host(b".")), IllegalParameter, "not a DNS host name"),
    (bodies.ServerName, vec16(host(b"a\0b")), IllegalParameter, "not a DNS host name"),
    (bodies.ServerName, vec16(host(b"a b")), IllegalParameter, "not a DNS host name"),
    (bodies.ServerName, vec16(host(b"a\nb")), IllegalParameter, "not a DNS host name"),
    (bodies.ServerName, vec16(host(b"a\x7f")), IllegalParameter, "not a DNS host name"),
    (bodies.ServerName, vec16(host("müller".encode())), IllegalParameter, "not a DNS host name"),
    (bodies.ServerName, vec16(host(b"a" * 256)), IllegalParameter, "not a DNS host name"),
    (bodies.MaxFragmentLength, b"\0", IllegalParameter, "0 is not one of"),
    (bodies.MaxFragmentLength, b"\5", IllegalParameter, "5 is not one of"),
    (bodies.StatusRequest, b"", DecodeError, "status_type needs"),
    (bodies.StatusRequest, b"\1\0\0", DecodeError, "request_extensions needs"),
    (bodies.CertificateStatus, u8(2) + vec24(b"x"), IllegalParameter, "type 2"),
    (bodies.CertificateStatus, u8(1) + vec24(b""), DecodeError, "response has 0 bytes"),
    (bodies.SupportedGroups, vec16(b""), DecodeError, "list has 0 bytes"),
    (bodies.SupportedGroups, vec16(b"\0\1\2"), DecodeError, "odd length"),
    (bodies.SignatureAlgorithms, vec16(b""), DecodeError, "list has 0 bytes"),
    (bodies13.SignatureAlgorithmsCert, vec16(b"\4\3\4"), DecodeError, "odd length"),
    (bodies.AlpnOffer, vec16(b""), DecodeError, "protocol_name_list has 0 bytes"),
    (bodies.AlpnOffer, vec16(b"\0"), DecodeError, "protocol_name_list has 1 bytes"),
    (bodies.AlpnOffer, vec16(b"\2h2\0"), DecodeError, "protocol_name has 0 bytes"),
    (bodies.AlpnAnswer, vec16(b"\2h2\2h3"), DecodeError, "2 protocols"),
    (bodies.RecordSizeLimit, u16(63), IllegalParameter, "63 is below 64"),
    (bodies.RecordSizeLimit, u16(0), IllegalParameter, "0 is below 64"),
    (bodies.EcPointFormats, vec8(b""), DecodeError, "list has 0 bytes"),
    (bodies.ServerNameAck, b"\0\0", DecodeError, "2 bytes follow"),
    (bodies13.KeyShareOffer, vec16(u16(29) + vec16(b"")), DecodeError, "key_exchange has 0 bytes"),
    (bodies13.KeyShareOffer, vec16((u16(29) + vec16(b"a")) * 2), IllegalParameter, "two shares for the group 0x001d"),
    (bodies13.KeyShareAnswer, u16(29) + vec16(b""), DecodeError, "key_exchange has 0 bytes"),
    (bodies13.SupportedVersionsOffer, vec8(b""), DecodeError, "versions has 0 bytes"),
    (bodies13.SupportedVersionsOffer, vec8(b"\3\4\3"), DecodeError, "odd length"),
    (bodies13.SupportedVersionsOffer, vec8(bytes(255)), DecodeError, "versions has 255 bytes"),
    (bodies13.PskKeyExchangeModes, vec8(b""), DecodeError, "list has 0 bytes"),
    (bodies13.Cookie, vec16(b""), DecodeError, "cookie has 0 bytes"),
    (bodies13.CertificateAuthorities, vec16(b""), DecodeError, "authorities has 0 bytes"),
    (bodies13.CertificateAuthorities, vec16(vec16(b"") * 2), DecodeError, "distinguished_name has 0 bytes"),
    (bodies13.EarlyData, b"\0", DecodeError, "1 bytes follow"),
    (bodies13.EarlyDataTicket, b"", DecodeError, "max_early_data_size needs"),
    (bodies13.PreSharedKeyOffer, psks([], []), DecodeError, "identities has 0 bytes"),
    (bodies13.PreSharedKeyOffer, psks([b"a"], []), DecodeError, "binders has 0 bytes"),
    (bodies13.PreSharedKeyOffer, psks([b"a"], [31, 31]), DecodeError, "binder has 31 bytes"),
    (bodies13.PreSharedKeyOffer, psks([b"a", b""], [32, 32]), DecodeError, "identity has 0 bytes"),
    (bodies13.PreSharedKeyOffer, psks([b"a", b"b"], [32]), IllegalParameter, "2 identities but 1 binders"),
    (bodies13.PreSharedKeyOffer, psks([b"a"], [32, 32]), IllegalParameter, "1 identities but 2 binders"),
]


@pytest.mark.parametrize(("kind", "body", "fault", "says"), BAD, ids=lambda value: getattr(value, "__name__", None))
def test_bad_extensions(kind: type[Extension], body: bytes, fault: type[PeerError], says: str) -> None:
    with pytest.raises(PeerError, match=says) as caught:
        kind.decode(body)
    assert type(caught.value) is fault


GOOD: list[tuple[type[Extension], bytes, Any]] = [
    (bodies.ServerName, vec16(host(b"other", 7) + host(b"a_b.example")), "a_b.example"),
    (bodies.ServerName, vec16(host(b"a" * 255)), "a" * 255),
    (bodies.StatusRequest, b"\2whatever", False),
    (bodies.StatusRequest, u8(1) + vec16(b"ids") + vec16(b"extensions"), True),
    (bodies.RecordSizeLimit, u16(64), 64),
    (bodies13.KeyShareOffer, vec16(b""), ()),
    (bodies13.PreSharedKeyOffer, psks([b"a"], [255]), OfferedPsks((PskIdentity(b"a", 0),), (bytes(255),))),
    (bodies13.SupportedVersionsOffer, vec8(b"\3\4" * 127), (0x0304,) * 127),
]


@pytest.mark.parametrize(("kind", "body", "value"), GOOD, ids=lambda value: getattr(value, "__name__", None))
def test_good_extensions(kind: type[Extension], body: bytes, value: Any) -> None:
    assert kind.decode(body) == value


# ---- Rules of messages ----


def client_hello(
    session_id: bytes = b"", suites: bytes = b"\x13\x01", compression: bytes = b"\0", rest: bytes = b""
) -> bytes:
    return framed(1, u16(0x0303) + bytes(32) + vec8(session_id) + vec16(suites) + vec8(compression) + rest)


def test_client_hello_structure() -> None:
    assert decode_message(client_hello(bytes(32), b"\0\0" * 3, b"\1\0"))
    for raw, says in [
        (client_hello(session_id=bytes(33)), "legacy_session_id has 33 bytes"),
        (client_hello(suites=b""), "cipher_suites has 0 bytes"),
        (client_hello(suites=b"\x13\x01\x13"), "cipher_suites: .* odd length"),
        (client_hello(compression=b""), "legacy_compression_methods has 0 bytes"),
        (client_hello(rest=b"\0"), "extensions needs 2 bytes"),
        (client_hello(rest=b"\0\0\0"), "1 bytes follow"),
        (client_hello(rest=vec16(b"\0\x17\0")), "header is cut off"),
        (client_hello(rest=vec16(b"\0\x17\0\1")), "extension 23 runs past the end"),
    ]:
        with pytest.raises(DecodeError, match=says):
            decode_message(raw)


def test_a_client_hello_without_extensions() -> None:
    """RFC 5246, 7.4.1.2: a TLS 1.2 client may leave the whole block out."""
    for rest in (b"", b"\0\0"):
        hello = decode_message(client_hello(rest=rest))
        assert isinstance(hello, ClientHello) and hello.extensions == ClientHelloExtensions()


def test_server_hello_structure() -> None:
    start = u16(0x0303) + bytes(32)
    with pytest.raises(DecodeError, match="legacy_session_id_echo has 33 bytes"):
        decode_message(framed(2, start + vec8(bytes(33)) + u16(0x1301) + b"\0"))
    hello = decode_message(framed(2, start + vec8(b"") + u16(0xC02F) + b"\1"))
    assert (
        isinstance(hello, ServerHello)
        and hello.legacy_compression_method == 1
        and hello.extensions == ServerHelloExtensions()
    )


def test_a_tls12_server_hello_with_alpn_decodes() -> None:
    """A client that has TLS 1.3 only must be able to say "protocol_version", so this is no decode error."""
    hello = ServerHello(
        random=bytes(32), cipher_suite=0xC02F, extensions=ServerHelloExtensions(alpn=b"h2", renegotiation_info=b"")
    )
    assert decode_message(hello.encode()) == hello


def test_certificate_limits() -> None:
    entry = CertificateEntry(b"der")
    at_limit = Certificate(b"", (entry,) * MAX_CERTIFICATES)
    assert decode_message(at_limit.encode()) == at_limit
    with pytest.raises(LimitExceeded) as caught:
        decode_message(Certificate(b"", (entry,) * (MAX_CERTIFICATES + 1)).encode())
    assert caught.value.facts == {"what": "certificate chain", "limit": 16}
    assert len(Certificate.decode(Certificate(b"", (entry,) * 3).encode()[4:], 3).entries) == 3
    with pytest.raises(LimitExceeded):
        Certificate.decode(Certificate(b"", (entry,) * 4).encode()[4:], 3)
    with pytest.raises(DecodeError, match="cert_data has 0 bytes"):
        decode_message(framed(11, vec8(b"") + vec24(vec24(b"") + vec16(b""))))
    assert decode_message(framed(11, vec8(b"") + vec24(b""))) == Certificate()


def test_certificate_request_needs_extensions() -> None:
    with pytest.raises(DecodeError, match="extensions has 0 bytes"):
        decode_message(framed(13, vec8(b"") + vec16(b"")))


def test_key_update_values() -> None:
    for value in (0, 1):
        assert decode_message(framed(24, u8(value))) == KeyUpdate(value)
    for value in (2, 255):
        with pytest.raises(IllegalParameter, match=f"request_update is {value}"):
            decode_message(framed(24, u8(value)))


def test_finished_lengths() -> None:
    for length in range(65):
        if length in (32, 48):
            assert decode_message(framed(20, bytes(length))) == Finished(bytes(length))
        else:
            with pytest.raises(DecodeError, match="verify_data"):
                decode_message(framed(20, bytes(length)))


def test_new_session_ticket_rules() -> None:
    def ticket(lifetime: int, content: bytes) -> bytes:
        return framed(4, u32(lifetime) + u32(0) + vec8(b"") + vec16(content) + vec16(b""))

    assert decode_message(ticket(604800, b"t"))
    with pytest.raises(IllegalParameter, match="604801 s is over seven days"):
        decode_message(ticket(604801, b"t"))
    with pytest.raises(DecodeError, match="ticket has 0 bytes"):
        decode_message(ticket(0, b""))


# ---- Writing ----

TOO_LONG: list[Callable[[], bytes]] = [
    ClientHello(
        random=bytes(32), legacy_session_id=bytes(256), cipher_suites=(1,), extensions=ClientHelloExtensions()
    ).encode,
    ClientHello(random=bytes(32), cipher_suites=(0x10000,), extensions=ClientHelloExtensions()).encode,
    EncryptedExtensions(EncryptedExtensionsBlock(alpn=bytes(256))).encode,
    Certificate(b"", (CertificateEntry(bytes(1 << 24)),)).encode,
    ClientHelloExtensions(session_ticket=bytes(65536)).encode,
    ClientHelloExtensions(session_ticket=bytes(40000), cookie=bytes(40000)).encode,
    NewSessionTicket(-1, 0, b"", b"t").encode,
]


@pytest.mark.parametrize("encode", TOO_LONG)
def test_what_does_not_fit_is_our_callers_fault(encode: Callable[[], bytes]) -> None:
    with pytest.raises(ApiMisuse, match="does not fit|not a list"):
        encode()


def test_order_is_not_written_nor_compared() -> None:
    decoded = decode_message(CLIENT_HELLO_3)
    assert isinstance(decoded, ClientHello)
    plain = dataclasses.replace(decoded, extensions=dataclasses.replace(decoded.extensions, order=()))
    assert plain == decoded and plain.encode() == CLIENT_HELLO_3
