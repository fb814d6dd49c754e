# SPDX-License-Identifier: Apache-2.0
"""The messages of TLS 1.2: octets written by hand, those of OpenSSL, round trips, every cut and appended byte, mutations, each rule and its fault."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Callable
from pathlib import Path

import pki
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsfast.errors import ApiMisuse, DecodeError, IllegalParameter, LimitExceeded, PeerError, UnexpectedMessage
from tlsfast.handshake.flow import Step, expect
from tlsfast.messages.codec import u8, u16, u24, u32, vec8, vec16, vec24
from tlsfast.messages.extensions import (
    ClientHelloExtensions,
    EncryptedExtensionsBlock,
    HelloRetryRequestExtensions,
    ServerHelloExtensions,
)
from tlsfast.messages.handshake import (
    MAX_CERTIFICATES,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    HelloRetryRequest,
    KeyUpdate,
    Message,
    ServerHello,
    decode_message,
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
from tlsfast.messages.joiner import HandshakeJoiner
from tlsfast.registry import HandshakeType


def decode12(raw: bytes) -> Message:
    return decode_message(raw, version13=False)


def framed(kind: int, body: bytes) -> bytes:
    return u8(kind) + u24(len(body)) + body


# ---- Octets written by hand from the structs of the RFCs ----

OCTETS: dict[str, tuple[str, Message]] = {
    "HelloRequest": ("00 000000", HelloRequest()),
    "NewSessionTicket": ("04 00000a 00001c20 0004 7469636b", NewSessionTicket12(7200, b"tick")),
    "NewSessionTicket, empty": ("04 000006 00000000 0000", NewSessionTicket12(0, b"")),
    "Certificate": ("0b 000009 000006 000003 6c6561", Certificate12((b"lea",))),
    "Certificate, chain": ("0b 00000e 00000b 000003 6c6561 000002 6361", Certificate12((b"lea", b"ca"))),
    "Certificate, empty": ("0b 000003 000000", Certificate12(())),
    "ServerKeyExchange": (
        "0c 00000e 03 001d 03 010203 0403 0003 736967",
        ServerKeyExchange(0x1D, b"\1\2\3", 0x0403, b"sig"),
    ),
    "CertificateRequest": (
        "0d 000012 02 0140 0004 0403 0804 0007 0002 3000 0001 30",
        CertificateRequest12(b"\1\x40", (0x0403, 0x0804), (b"0\0", b"0")),
    ),
    "CertificateRequest, no authority": ("0d 000008 01 40 0002 0401 0000", CertificateRequest12(b"\x40", (0x0401,))),
    "ServerHelloDone": ("0e 000000", ServerHelloDone()),
    "CertificateVerify": ("0f 000007 0804 0003 736967", CertificateVerify(0x0804, b"sig")),
    "ClientKeyExchange, ECDHE": ("10 000004 03 010203", ClientKeyExchange.ecdhe(b"\1\2\3")),
    "ClientKeyExchange, RSA": ("10 000005 0003 010203", ClientKeyExchange.rsa(b"\1\2\3")),
    "Finished": ("14 00000c 000102030405060708090a0b", Finished12(bytes(range(12)))),
    "CertificateStatus": ("16 000007 01 000003 646572", CertificateStatus(b"der")),
}


@pytest.mark.parametrize("name", OCTETS)
def test_octets(name: str) -> None:
    text, message = OCTETS[name]
    raw = bytes.fromhex(text)
    assert message.encode() == raw
    assert decode12(raw) == message and type(decode12(raw)) is type(message)
    assert raw[0] == message.kind


# ---- A real peer: both sides are OpenSSL, what is plain between them is read here ----


def plain_messages(stream: bytes) -> list[bytes]:
    """The handshake messages in the records before the first ChangeCipherSpec."""
    joiner, messages = HandshakeJoiner(), []
    while stream and stream[0] == 22:
        end = 5 + int.from_bytes(stream[3:5], "big")
        joiner.add(stream[5:end])
        stream = stream[end:]
        while (message := joiner.next()) is not None:
            messages.append(message)
    assert joiner.empty and stream[0] == 20
    return messages


def openssl_handshake(folder: Path, key: str, suite: str) -> tuple[pki.Entity, list[Message], list[Message]]:
    """A TLS 1.2 handshake with a client certificate: the certificate of both, and the plain messages of the client and of the server."""
    ca = pki.make_ca()
    leaf = pki.make_leaf(ca, key=key, usage=pki.key_usage(digital_signature=True, key_encipherment=True))
    chain, private = leaf.write(folder)

    def context(purpose: int) -> ssl.SSLContext:
        made = ssl.SSLContext(purpose)
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(suite)
        made.set_alpn_protocols(["h2"])
        made.load_verify_locations(cadata=ca.cert_pem.decode())
        made.load_cert_chain(chain, private)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_out, client_out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(to_client, client_out, server_hostname="localhost")
    server = context(ssl.PROTOCOL_TLS_SERVER).wrap_bio(to_server, server_out, server_side=True)
    streams = {"client": b"", "server": b""}
    for _ in range(3):
        for name, side, out, there in (
            ("client", client, client_out, to_server),
            ("server", server, server_out, to_client),
        ):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            sent = out.read()
            streams[name] += sent
            there.write(sent)
    assert client.version() == server.version() == "TLSv1.2"
    sent_by_client, sent_by_server = ([*map(decode12, plain_messages(streams[name]))] for name in ("client", "server"))
    for name, messages in (("client", sent_by_client), ("server", sent_by_server)):
        # OpenSSL's order of extensions in a hello is not ours; all else is written again octet by octet.
        again = [message.encode() for message in messages[1:]]
        assert again == plain_messages(streams[name])[1:]
    return leaf, sent_by_client, sent_by_server


def test_openssl_ecdhe(tmp_path: Path) -> None:
    leaf, from_client, from_server = openssl_handshake(tmp_path, "p256", "ECDHE-ECDSA-AES128-GCM-SHA256")
    hello, certificate, key_exchange, verify = from_client
    answer, chain, params, request, done, ticket = from_server
    assert isinstance(hello, ClientHello) and isinstance(answer, ServerHello)
    offered, chosen = hello.extensions, answer.extensions
    assert (offered.supported_versions, offered.extended_master_secret, offered.session_ticket) == (None, True, b"")
    assert offered.renegotiation_info == b"" or 0x00FF in hello.cipher_suites  # RFC 5746, 3.3: SCSV in its place
    assert offered.ec_point_formats is not None and 0 in offered.ec_point_formats
    assert (answer.legacy_version, answer.cipher_suite) == (0x0303, 0xC02B)
    assert (chosen.renegotiation_info, chosen.extended_master_secret, chosen.session_ticket) == (b"", True, b"")
    assert (chosen.alpn, chosen.supported_versions, chosen.unknown) == (b"h2", None, ())
    # OpenSSL adds the root that it finds in its own list.
    assert certificate == chain == Certificate12((leaf.der, leaf.root.der))
    assert isinstance(leaf.key, ec.EllipticCurvePrivateKey) and isinstance(params, ServerKeyExchange)
    # RFC 8422, 5.4: the signature is over ClientHello.random + ServerHello.random + ServerECDHParams.
    signed = hello.random + answer.random + params.params
    assert params.algorithm == 0x0403
    leaf.key.public_key().verify(params.signature, signed, ec.ECDSA(hashes.SHA256()))
    assert isinstance(request, CertificateRequest12) and 64 in request.certificate_types
    assert 0x0403 in request.signature_algorithms
    assert request.certificate_authorities == ()  # this peer names none
    assert done == ServerHelloDone()
    assert isinstance(key_exchange, ClientKeyExchange)
    assert len(key_exchange.ecdhe_public()) == len(params.public)
    assert isinstance(verify, CertificateVerify) and verify.algorithm == 0x0403
    assert isinstance(ticket, NewSessionTicket12) and ticket.lifetime_hint > 0 and len(ticket.ticket) > 100


def test_openssl_static_rsa(tmp_path: Path) -> None:
    leaf, from_client, from_server = openssl_handshake(tmp_path, "rsa2048", "AES128-GCM-SHA256")
    kinds = [type(message) for message in from_server]
    assert kinds == [ServerHello, Certificate12, CertificateRequest12, ServerHelloDone, NewSessionTicket12]
    key_exchange = from_client[2]
    assert isinstance(key_exchange, ClientKeyExchange) and isinstance(leaf.key, rsa.RSAPrivateKey)
    # RFC 5246, 7.4.7.1: client_version, then 46 random bytes.
    premaster = leaf.key.decrypt(key_exchange.encrypted_premaster(), padding.PKCS1v15())
    assert len(premaster) == 48 and premaster[:2] == b"\3\3"


# ---- Round trips ----

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def opaque(low: int, high: int = 300) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=low, max_size=high)


def some(strategy: st.SearchStrategy[bytes], least: int = 0) -> st.SearchStrategy[tuple[bytes, ...]]:
    return st.lists(strategy, min_size=least, max_size=6).map(tuple)


MESSAGES: dict[str, st.SearchStrategy[Message]] = {
    "HelloRequest": st.builds(HelloRequest),
    "NewSessionTicket": st.builds(NewSessionTicket12, U32, opaque(0, 600)),
    "Certificate": st.builds(Certificate12, some(opaque(1, 400))),
    "CertificateStatus": st.builds(CertificateStatus, opaque(1, 600)),
    "ServerKeyExchange": st.builds(ServerKeyExchange, U16, opaque(1, 255), U16, opaque(0, 600)),
    "CertificateRequest": st.builds(
        CertificateRequest12,
        opaque(1, 255),
        st.lists(U16, min_size=1, max_size=20).map(tuple),
        some(opaque(1, 100)),
    ),
    "ServerHelloDone": st.builds(ServerHelloDone),
    "CertificateVerify": st.builds(CertificateVerify, U16, opaque(0, 600)),
    "ClientKeyExchange": st.builds(ClientKeyExchange, opaque(0, 600)),
    "Finished": st.builds(Finished12, opaque(12, 12)),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_round_trip(name: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(MESSAGES[name])
    def check(message: Message) -> None:
        raw = message.encode()
        assert raw[0] == message.kind and int.from_bytes(raw[1:4], "big") == len(raw) - 4
        decoded = decode12(raw)
        assert decoded == message and type(decoded) is type(message)
        assert decoded.encode() == raw

    check()


@settings(max_examples=60, deadline=None)
@given(opaque(1, 255), opaque(0, 600))
def test_client_key_exchange_round_trip(public: bytes, encrypted: bytes) -> None:
    assert ClientKeyExchange.ecdhe(public).ecdhe_public() == public
    assert ClientKeyExchange.rsa(encrypted).encrypted_premaster() == encrypted


def test_every_message_is_frozen_and_slotted() -> None:
    for _, message in OCTETS.values():
        assert not hasattr(message, "__dict__")
        with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
            message.signature = b""  # type: ignore[union-attr, misc]


# ---- Cuts, appended bytes, mutations ----

# A ClientKeyExchange is not read before the suite is known: its cuts are below.
READ_AT_ONCE = [name for name in OCTETS if not name.startswith("ClientKeyExchange")]


@pytest.mark.parametrize("name", READ_AT_ONCE)
def test_every_truncation_is_a_decode_error(name: str) -> None:
    """Cut with the header as it was, and cut with a header that agrees."""
    raw = OCTETS[name][1].encode()
    for length in range(len(raw)):
        with pytest.raises(DecodeError):
            decode12(raw[:length])
    for length in range(len(raw) - 4):
        with pytest.raises(DecodeError):
            decode12(framed(raw[0], raw[4 : 4 + length]))


@pytest.mark.parametrize("name", READ_AT_ONCE)
def test_one_byte_appended_is_a_decode_error(name: str) -> None:
    raw = OCTETS[name][1].encode()
    for extra in (b"\0", b"\xff"):
        with pytest.raises(DecodeError):
            decode12(raw + extra)
        with pytest.raises(DecodeError):
            decode12(framed(raw[0], raw[4:] + extra))


def test_client_key_exchange_cut_or_with_a_byte_appended() -> None:
    readers: list[tuple[bytes, Callable[[ClientKeyExchange], bytes]]] = [
        (vec8(bytes(65)), ClientKeyExchange.ecdhe_public),
        (vec16(bytes(256)), ClientKeyExchange.encrypted_premaster),
    ]
    for body, read in readers:
        for wrong in [*(body[:length] for length in range(len(body))), body + b"\0", body + b"\xff"]:
            message = decode12(framed(16, wrong))
            assert isinstance(message, ClientKeyExchange) and message.exchange_keys == wrong
            with pytest.raises(DecodeError, match="ClientKeyExchange"):
                read(message)


def judge(raw: bytes) -> None:
    """Whatever a peer sends, nothing but a PeerError comes of it, and what is taken is one encoding of one value."""
    try:
        message = decode12(raw)
    except PeerError:
        return
    assert isinstance(message, ClientHello | ServerHello | HelloRetryRequest) or message.encode() == raw


@pytest.mark.parametrize("name", OCTETS)
def test_every_byte_changed(name: str) -> None:
    raw = bytearray(OCTETS[name][1].encode())
    for place in range(len(raw)):
        for change in (0x01, 0x02, 0x10, 0x80, 0xFF):
            raw[place] ^= change
            judge(bytes(raw))
            raw[place] ^= change


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(OCTETS)),
    st.lists(st.tuples(st.integers(4, 60), st.sampled_from(["set", "insert", "delete"]), U8), min_size=1, max_size=6),
)
def test_random_mutations(name: str, changes: list[tuple[int, str, int]]) -> None:
    raw = bytearray(OCTETS[name][1].encode())
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


# ---- decode_message: which version has which type ----

ONLY_12 = {HelloRequest, CertificateStatus, ServerKeyExchange, ServerHelloDone, ClientKeyExchange}
ONLY_13: list[Message] = [EncryptedExtensions(EncryptedExtensionsBlock()), EndOfEarlyData(), KeyUpdate(0)]


def test_types_of_tls12_alone() -> None:
    met = set()
    for _, message in OCTETS.values():
        if type(message) in ONLY_12:
            met.add(type(message))
            with pytest.raises(
                UnexpectedMessage, match=rf"type {message.kind.name} \({message.kind}\) is not expected"
            ):
                decode_message(message.encode())
    assert met == ONLY_12


@pytest.mark.parametrize("message", ONLY_13, ids=lambda message: type(message).__name__)
def test_types_of_tls13_alone(message: Message) -> None:
    assert decode_message(message.encode()) == message
    with pytest.raises(UnexpectedMessage, match=rf"type {message.kind.name} \({message.kind}\) is not expected"):
        decode12(message.encode())


def test_types_of_neither() -> None:
    # 3 is hello_verify_request (DTLS), 21 and 23 were certificate_url and supplemental_data, 254 never comes off the wire.
    for kind in sorted(set(range(256)) - {int(kind) for kind in HandshakeType} | {254}):
        with pytest.raises(UnexpectedMessage):
            decode12(framed(kind, b""))


def test_types_of_both_are_read_by_version() -> None:
    for name in ("NewSessionTicket", "Certificate", "CertificateRequest", "Finished"):
        raw = OCTETS[name][1].encode()
        with pytest.raises((DecodeError, IllegalParameter)):
            decode_message(raw)
    with pytest.raises(DecodeError):
        decode12(Finished(bytes(32)).encode())
    both = CertificateVerify(0x0403, b"sig").encode()
    assert decode12(both) == decode_message(both)


# ---- Rules of messages ----


def test_certificate_limits() -> None:
    at_limit = Certificate12((b"der",) * MAX_CERTIFICATES)
    assert decode12(at_limit.encode()) == at_limit
    with pytest.raises(LimitExceeded) as caught:
        decode12(Certificate12((b"der",) * (MAX_CERTIFICATES + 1)).encode())
    assert caught.value.facts == {"what": "certificate chain", "limit": 16}
    body = Certificate12((b"der",) * 3).encode()[4:]
    assert len(Certificate12.decode(body, 3).chain) == 3
    with pytest.raises(LimitExceeded):
        Certificate12.decode(body, 2)


def key_exchange(
    curve_type: int = 3, group: int = 29, point: bytes = b"p", algorithm: int = 0x0403, signature: bytes = b"s"
) -> bytes:
    return framed(12, u8(curve_type) + u16(group) + vec8(point) + u16(algorithm) + vec16(signature))


def request(types: bytes = b"\1", algorithms: bytes = b"\4\3", names: bytes = b"") -> bytes:
    return framed(13, vec8(types) + vec16(algorithms) + vec16(names))


BAD: list[tuple[bytes, type[PeerError], str]] = [
    (framed(0, b"\0"), DecodeError, "HelloRequest: 1 bytes follow"),
    (framed(14, b"\0"), DecodeError, "ServerHelloDone: 1 bytes follow"),
    (framed(4, u32(0)), DecodeError, "NewSessionTicket: ticket needs"),
    (framed(11, vec24(vec24(b""))), DecodeError, "Certificate: certificate has 0 bytes"),
    (framed(11, vec24(vec24(b"a") + vec24(b""))), DecodeError, "Certificate: certificate has 0 bytes"),
    (framed(11, vec24(u24(4) + b"abc")), DecodeError, "Certificate: certificate needs 4 bytes, 3 are left"),
    (key_exchange(curve_type=1), IllegalParameter, "curve_type is 1, only named_curve"),
    (key_exchange(curve_type=2), IllegalParameter, "curve_type is 2, only named_curve"),
    (key_exchange(curve_type=0), IllegalParameter, "curve_type is 0, only named_curve"),
    (key_exchange(curve_type=248), IllegalParameter, "curve_type is 248, only named_curve"),
    # RFC 5246, 7.4.3: a ServerKeyExchange of finite-field DHE begins with dh_p and so ends here too.
    (framed(12, vec16(b"p" * 256) + vec16(b"g") + vec16(b"y")), IllegalParameter, "curve_type is 1"),
    (key_exchange(point=b""), DecodeError, "ServerKeyExchange: point has 0 bytes"),
    (framed(12, u8(3) + u16(29) + u8(33) + bytes(32)), DecodeError, "point needs 34 bytes"),
    (framed(12, u8(3) + u16(29) + vec8(b"p")), DecodeError, "algorithm needs 2 bytes"),
    (request(types=b""), DecodeError, "certificate_types has 0 bytes"),
    (request(algorithms=b""), DecodeError, "supported_signature_algorithms has 0 bytes"),
    (request(algorithms=b"\4\3\4"), DecodeError, "supported_signature_algorithms: .* odd length"),
    (request(algorithms=bytes(65535)), DecodeError, "supported_signature_algorithms has 65535 bytes"),
    (request(names=vec16(b"")), DecodeError, "distinguished_name has 0 bytes"),
    (request(names=vec16(b"a") + b"\0"), DecodeError, "distinguished_name needs 2 bytes"),
    (framed(22, u8(2) + vec24(b"x")), IllegalParameter, "status of type 2"),  # RFC 6961: ocsp_multi
    (framed(22, u8(0) + vec24(b"x")), IllegalParameter, "status of type 0"),
    (framed(22, u8(1) + vec24(b"")), DecodeError, "response has 0 bytes"),
    (framed(22, u8(1) + u24(9) + b"short"), DecodeError, "response needs 9 bytes"),
]


@pytest.mark.parametrize(("raw", "fault", "says"), BAD, ids=lambda value: value if isinstance(value, str) else "")
def test_bad_messages(raw: bytes, fault: type[PeerError], says: str) -> None:
    with pytest.raises(PeerError, match=says) as caught:
        decode12(raw)
    assert type(caught.value) is fault


def test_finished_lengths() -> None:
    for length in range(65):
        if length == 12:
            assert decode12(framed(20, bytes(length))) == Finished12(bytes(length))
        else:
            with pytest.raises(DecodeError, match=f"verify_data has {length} bytes, in TLS 1.2 it has 12"):
                decode12(framed(20, bytes(length)))


def test_client_key_exchange_rules() -> None:
    for body, says in [(b"", "point needs 1 bytes"), (b"\0", "point has 0 bytes")]:
        with pytest.raises(DecodeError, match=says):
            ClientKeyExchange(body).ecdhe_public()
    # RFC 5246, 7.4.7.1: the length stands before the ciphertext; SSL 3.0 left it out.
    with pytest.raises(DecodeError, match="pre_master_secret"):
        ClientKeyExchange(b"\x7f" * 256).encrypted_premaster()
    # A wrong length of the ciphertext is for the decryption to judge, which ends like wrong padding.
    assert ClientKeyExchange(vec16(b"")).encrypted_premaster() == b""
    largest = ClientKeyExchange.rsa(bytes(65535))
    assert decode12(largest.encode()) == largest and len(largest.encrypted_premaster()) == 65535


def test_the_largest_and_the_smallest_are_taken() -> None:
    for message in (
        NewSessionTicket12(0xFFFFFFFF, bytes(65535)),  # RFC 5077, 3.3 sets no bound, unlike RFC 8446, 4.6.1
        ServerKeyExchange(0xFFFF, bytes(255), 0xFFFF, bytes(65535)),
        ServerKeyExchange(0, b"p", 0, b""),
        CertificateRequest12(bytes(255), (0,) * 32767, (bytes(65533),)),
        CertificateRequest12(b"\1", (0,), (b"n",) * 21845),
        Certificate12((bytes(100_000),)),
        CertificateStatus(bytes(100_000)),
    ):
        assert decode12(message.encode()) == message


def test_grease_and_unknown_numbers_are_kept() -> None:
    """RFC 8701, and RFC 5246, 7.4.4: who asks may name types and algorithms that we have never heard of; what is chosen is for the flow to judge."""
    grease = 0x8A8A
    for message in (
        CertificateRequest12(b"\x8a\1\x40\xff", (grease, 0x0403, 0x0201, 0xFE00), (b"0\0",)),
        ServerKeyExchange(grease, b"\0", grease, b""),
        CertificateVerify(grease, b""),
    ):
        assert decode12(message.encode()) == message


def test_server_params_are_what_stands_on_the_wire() -> None:
    message = ServerKeyExchange(0x17, b"\4" + bytes(64), 0x0401, bytes(256))
    assert message.params == bytes.fromhex("03 0017 41 04") + bytes(64)
    assert message.encode()[4:].startswith(message.params)
    assert message.encode()[4 + len(message.params) :] == bytes.fromhex("0401 0100") + bytes(256)


# ---- The hellos ----

TLS12_OFFER = ClientHello(
    random=bytes(range(32)),
    legacy_session_id=b"i" * 32,
    cipher_suites=(
        0x8A8A,
        0xC02B,
        0x5600,
        0x00FF,
    ),  # GREASE, a suite, TLS_FALLBACK_SCSV, TLS_EMPTY_RENEGOTIATION_INFO_SCSV
    extensions=ClientHelloExtensions(
        server_name="www.example.com",
        renegotiation_info=b"v" * 12,
        extended_master_secret=True,
        ec_point_formats=(0, 1, 2),
        supported_groups=(0x1D, 0x17),
        session_ticket=b"",
        alpn=(b"h2",),
        status_request=True,
        signature_algorithms=(0x0403, 0x0401, 0x0203),
        record_size_limit=16384,
        unknown=((22, b""), (0x3A3A, b"\0")),  # 22: encrypt_then_mac (RFC 7366)
    ),
)
TLS12_ANSWER = ServerHello(
    random=bytes(range(32)),
    legacy_session_id_echo=b"i" * 32,
    cipher_suite=0xC02B,
    extensions=ServerHelloExtensions(
        server_name=True,
        renegotiation_info=b"c" * 12 + b"s" * 12,
        extended_master_secret=True,
        ec_point_formats=(0,),
        session_ticket=b"",
        alpn=b"h2",
        status_request=True,
        record_size_limit=64,
    ),
)


@pytest.mark.parametrize("hello", [TLS12_OFFER, TLS12_ANSWER], ids=["ClientHello", "ServerHello"])
def test_hellos_without_supported_versions(hello: ClientHello | ServerHello) -> None:
    """An empty session_ticket is there, and not the same as an absent one; the hellos are read alike in both versions."""
    raw = hello.encode()
    assert decode12(raw) == decode_message(raw) == hello
    decoded = decode12(raw)
    assert isinstance(decoded, ClientHello | ServerHello)
    assert decoded.extensions.supported_versions is None and decoded.extensions.session_ticket == b""
    bare = dataclasses.replace(hello.extensions, session_ticket=None, extended_master_secret=False)
    again = decode12(dataclasses.replace(hello, extensions=bare).encode())  # type: ignore[arg-type]
    assert isinstance(again, ClientHello | ServerHello) and again.extensions == bare


def test_renegotiation_info_holds_up_to_255_bytes() -> None:
    for length in (0, 255):
        answer = dataclasses.replace(TLS12_ANSWER, extensions=ServerHelloExtensions(renegotiation_info=bytes(length)))
        assert decode12(answer.encode()) == answer
    with pytest.raises(ApiMisuse):
        ServerHelloExtensions(renegotiation_info=bytes(256)).encode()
    for wrong in (b"", b"\1", b"\0\0", b"\2v"):
        with pytest.raises(DecodeError, match="renegotiation_info"):
            ServerHelloExtensions.decode(u16(0xFF01) + vec16(wrong))


@pytest.mark.parametrize(
    "number", [0, 5, 22, 23], ids=["server_name", "status_request", "encrypt_then_mac", "extended_master_secret"]
)
def test_answers_without_content(number: int) -> None:
    block = ServerHelloExtensions.decode(u16(number) + vec16(b""))
    assert block.order == (number,)
    if number != 22:
        with pytest.raises(DecodeError):
            ServerHelloExtensions.decode(u16(number) + vec16(b"\0"))


def test_a_retry_is_a_retry_in_both_versions() -> None:
    """Its random may not pass for that of a TLS 1.2 server: the flow has no HelloRetryRequest to wait for."""
    retry = HelloRetryRequest(cipher_suite=0x1301, extensions=HelloRetryRequestExtensions(supported_versions=0x0304))
    assert decode12(retry.encode()) == retry == decode_message(retry.encode())
    assert isinstance(decode12(retry.encode()), HelloRetryRequest)


# ---- ChangeCipherSpec ----


def test_change_cipher_spec_is_waited_for_like_a_message() -> None:
    def flow() -> Step[ChangeCipherSpec | NewSessionTicket12]:
        return (yield from expect(NewSessionTicket12, ChangeCipherSpec))

    waiting = flow()
    assert next(waiting) == (NewSessionTicket12, ChangeCipherSpec)
    with pytest.raises(StopIteration) as stopped:
        waiting.send(ChangeCipherSpec())
    assert stopped.value.value == ChangeCipherSpec()


def test_change_cipher_spec_is_no_handshake_message() -> None:
    assert not hasattr(ChangeCipherSpec, "kind") and not hasattr(ChangeCipherSpec, "encode")
    # Its record's content inside a handshake record is no message: 1 is the type of a ClientHello, and 20 that of a Finished.
    for raw in (b"\1", framed(20, b"\1")):
        with pytest.raises(DecodeError):
            decode12(raw)


# ---- Writing ----

TOO_LONG: list[Message] = [
    NewSessionTicket12(1 << 32, b""),
    NewSessionTicket12(-1, b""),
    NewSessionTicket12(0, bytes(65536)),
    Certificate12((bytes(1 << 24),)),
    CertificateStatus(bytes(1 << 24)),
    ServerKeyExchange(0x10000, b"p", 0, b""),
    ServerKeyExchange(29, bytes(256), 0, b""),
    ServerKeyExchange(29, b"p", 0, bytes(65536)),
    CertificateRequest12(bytes(256), (1,)),
    CertificateRequest12(b"\1", (0x10000,)),
    CertificateRequest12(b"\1", (1,), (bytes(40000), bytes(40000))),
]


@pytest.mark.parametrize("message", TOO_LONG, ids=lambda message: type(message).__name__)
def test_what_does_not_fit_is_our_callers_fault(message: Message) -> None:
    with pytest.raises(ApiMisuse, match="does not fit|not a list"):
        message.encode()


def test_a_key_exchange_that_does_not_fit_is_our_callers_fault() -> None:
    for make, size in ((ClientKeyExchange.ecdhe, 256), (ClientKeyExchange.rsa, 65536)):
        with pytest.raises(ApiMisuse, match="does not fit"):
            make(bytes(size))
