# SPDX-License-Identifier: Apache-2.0
"""TLS 1.2: a row for each rule that names an alert, broken by a peer that goes on and reads it; then every cut, flip and disorder."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as default
from unittest import mock

import pki
import pytest
from pair import Pair, by, client_config, client_credential, credential, make_pair, server_config, trust
from rogue import Alter, against, at, body, deliver, ext, field, plus, record, records
from test_handshake12 import BOTH, ECDHE, STATIC_RSA, V12, configs

from tlsfast import AlertDescription as A
from tlsfast import AlertReceived, PeerError, TLSError
from tlsfast.handshake.flow import Handshake
from tlsfast.messages.handshake import CertificateVerify, ClientHello, ServerHello
from tlsfast.messages.handshake12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ClientKeyExchange,
    Finished12,
    HelloRequest,
    NewSessionTicket12,
    ServerHelloDone,
    ServerKeyExchange,
)

MUTUAL = {"client_auth": "required", "trust": trust()}
WITH_CERTIFICATE = {"credentials": [client_credential()]}


@dataclass(frozen=True)
class Row:
    victim: str
    rule: str
    what: str
    alter: Alter
    alert: A
    client: dict[str, object] = default(default_factory=dict)
    server: dict[str, object] = default(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.victim}-{self.rule}-{self.what}-{self.alert.name}".replace(" ", "_")


def drop(kind: type) -> Alter:
    return at(kind, lambda message: ())


def twice(kind: type) -> Alter:
    return at(kind, lambda message: (message, message))


def random_ending(ending: bytes) -> Alter:
    return at(ServerHello, lambda hello: field(random=hello.random[:24] + ending)(hello))


P256 = {"groups": ["secp256r1"]}
HELLO, SHELLO = ClientHello, ServerHello
SERVER_ROWS = [
    ("RFC 7627 5.3", "no extended_master_secret", at(HELLO, ext(extended_master_secret=False)), A.handshake_failure),
    (
        "RFC 5746 3.6",
        "renegotiation_info of a renegotiation",
        at(HELLO, ext(renegotiation_info=b"x" * 12)),
        A.handshake_failure,
    ),
    (
        "RFC 5246 7.4.1.2",
        "no null compression",
        at(HELLO, field(legacy_compression_methods=b"\1")),
        A.illegal_parameter,
    ),
    ("RFC 5246 7.4.1.2", "no suite in common", at(HELLO, field(cipher_suites=(0x002F, 0xC013))), A.handshake_failure),
    ("RFC 5246 7.4.1.2", "TLS 1.3 suites alone", at(HELLO, field(cipher_suites=(0x1301,))), A.handshake_failure),
    ("RFC 8422 5.1.1", "no group in common", at(HELLO, ext(supported_groups=(0x0100,))), A.handshake_failure),
    (
        "RFC 5246 7.4.1.4.1",
        "no signature scheme in common",
        at(HELLO, ext(signature_algorithms=(0x0201,))),
        A.handshake_failure,
    ),
    (
        "RFC 5246 7.4.1.4.1",
        "no signature_algorithms: SHA-1",
        at(HELLO, ext(signature_algorithms=None)),
        A.handshake_failure,
    ),
    ("RFC 5246 E.1", "TLS 1.1", at(HELLO, field(legacy_version=0x0302)), A.protocol_version),
    ("RFC 5246 E.1", "TLS 1.0", at(HELLO, field(legacy_version=0x0301)), A.protocol_version),
    ("RFC 8446 D.5", "SSLv3", at(HELLO, field(legacy_version=0x0300)), A.protocol_version),
    (
        "RFC 5246 7.4",
        "bytes after ClientKeyExchange's key",
        at(ClientKeyExchange, body(lambda b: b + b"\0")),
        A.decode_error,
    ),
    ("RFC 8422 5.7", "an empty point", at(ClientKeyExchange, body(lambda b: b"\0")), A.decode_error),
    (
        "RFC 8422 5.11",
        "an all-zero shared secret",
        at(ClientKeyExchange, body(lambda b: b"\x20" + bytes(32))),
        A.illegal_parameter,
    ),
    ("RFC 8422 5.7", "a key of 31 bytes", at(ClientKeyExchange, body(lambda b: b"\x1f" + b[2:])), A.illegal_parameter),
    ("RFC 5246 7.4", "no ClientKeyExchange", drop(ClientKeyExchange), A.unexpected_message),
    ("RFC 5246 7.4", "two ClientKeyExchange", twice(ClientKeyExchange), A.unexpected_message),
    ("RFC 5246 7.4.9", "Finished of other bytes", at(Finished12, field(verify_data=bytes(12))), A.decrypt_error),
    ("RFC 5246 7.4.9", "Finished of 11 bytes", at(Finished12, body(lambda b: b[:11])), A.decode_error),
    ("RFC 5246 7.4.1.2", "two ClientHello", twice(HELLO), A.unexpected_message),
    (
        "RFC 5246 7.4.1.1",
        "a HelloRequest from a client",
        at(ClientKeyExchange, lambda m: (HelloRequest(), m)),
        A.unexpected_message,
    ),
    (
        "RFC 5246 7.4.2",
        "a Certificate that was not asked for",
        at(ClientKeyExchange, lambda m: (Certificate12(()), m)),
        A.unexpected_message,
    ),
]
MUTUAL_ROWS = [
    ("RFC 5246 7.4.6", "no certificate", at(Certificate12, field(chain=())), A.handshake_failure),
    (
        "RFC 5246 7.2.2",
        "an unknown authority",
        at(Certificate12, field(chain=pki.make_leaf(pki.make_ca("other"), ["x"]).chain)),
        A.unknown_ca,
    ),
    ("RFC 5246 7.2.2", "no DER", at(Certificate12, field(chain=(b"not DER",))), A.bad_certificate),
    (
        "RFC 5246 7.4.8",
        "a signature of other bytes",
        at(CertificateVerify, field(signature=b"x" * 70)),
        A.decrypt_error,
    ),
    ("RFC 5246 7.4.8", "a scheme with SHA-1", at(CertificateVerify, field(algorithm=0x0203)), A.illegal_parameter),
    ("RFC 5246 7.4.8", "a scheme of another key", at(CertificateVerify, field(algorithm=0x0804)), A.illegal_parameter),
    ("RFC 5246 7.4.8", "no CertificateVerify", drop(CertificateVerify), A.unexpected_message),
    ("RFC 5246 7.4.8", "two CertificateVerify", twice(CertificateVerify), A.unexpected_message),
    ("RFC 5246 7.4.6", "no Certificate message", drop(Certificate12), A.unexpected_message),
]
SKE = ServerKeyExchange
CLIENT_ROWS = [
    ("RFC 5246 7.4.1.3", "a suite that was not offered", at(SHELLO, field(cipher_suite=0xC014)), A.illegal_parameter),
    ("RFC 5246 7.4.1.3", "compression", at(SHELLO, field(legacy_compression_method=1)), A.illegal_parameter),
    ("RFC 5246 E.1", "TLS 1.1", at(SHELLO, field(legacy_version=0x0302)), A.protocol_version),
    ("RFC 5246 E.1", "TLS 1.0", at(SHELLO, field(legacy_version=0x0301)), A.protocol_version),
    ("RFC 5246 E.1", "SSLv3", at(SHELLO, field(legacy_version=0x0300)), A.protocol_version),
    ("RFC 8446 4.1.3", "the sentinel of TLS 1.1", random_ending(b"DOWNGRD\0"), A.illegal_parameter),
    ("RFC 5746 3.4", "no renegotiation_info", at(SHELLO, ext(renegotiation_info=None)), A.handshake_failure),
    (
        "RFC 5746 3.4",
        "renegotiation_info of a renegotiation",
        at(SHELLO, ext(renegotiation_info=b"x" * 24)),
        A.handshake_failure,
    ),
    ("RFC 7627 5.3", "no extended_master_secret", at(SHELLO, ext(extended_master_secret=False)), A.handshake_failure),
    ("RFC 5246 7.4.1.4", "an extension that was not offered", at(SHELLO, plus((4660, b""))), A.unsupported_extension),
    ("RFC 7301 3.1", "ALPN that was not offered", at(SHELLO, ext(alpn=b"h2")), A.unsupported_extension),
    ("RFC 8422 5.1.2", "no uncompressed points", at(SHELLO, ext(ec_point_formats=(1,))), A.illegal_parameter),
    ("RFC 5246 7.4.2", "an empty Certificate", at(Certificate12, field(chain=())), A.decode_error),
    ("RFC 5246 7.4.2", "no DER", at(Certificate12, field(chain=(b"not DER",))), A.bad_certificate),
    (
        "RFC 5246 7.4.2",
        "a key that the suite has no use for",
        at(Certificate12, field(chain=credential("rsa2048").chain)),
        A.unsupported_certificate,
    ),
    ("RFC 5246 7.4.2", "no Certificate", drop(Certificate12), A.unexpected_message),
    ("RFC 8422 5.4", "a group that was not offered", at(SKE, field(group=25)), A.illegal_parameter),
    ("RFC 10024", "a hybrid, which is for TLS 1.3 alone", at(SKE, field(group=0x11EC)), A.illegal_parameter),
    ("RFC 8422 5.4", "an explicit curve", at(SKE, body(lambda b: b"\1" + b[1:])), A.illegal_parameter),
    ("RFC 8422 5.4", "other parameters than were signed", at(SKE, field(public=bytes(31) + b"\x09")), A.decrypt_error),
    ("RFC 8422 5.4", "a signature of other bytes", at(SKE, field(signature=b"x" * 70)), A.decrypt_error),
    ("RFC 5246 7.4.3", "a scheme with SHA-1", at(SKE, field(algorithm=0x0203)), A.illegal_parameter),
    ("RFC 5246 7.4.3", "a scheme of the other kind of suite", at(SKE, field(algorithm=0x0804)), A.illegal_parameter),
    ("RFC 5246 7.4.3", "no ServerKeyExchange", drop(SKE), A.unexpected_message),
    ("RFC 5246 7.4.3", "two ServerKeyExchange", twice(SKE), A.unexpected_message),
    ("RFC 5246 7.4.5", "ServerHelloDone with a content", at(ServerHelloDone, body(lambda b: b"\0")), A.decode_error),
    ("RFC 5246 7.4.5", "two ServerHelloDone", twice(ServerHelloDone), A.unexpected_message),
    (
        "RFC 6066 8",
        "CertificateStatus that was not promised",
        at(SKE, lambda m: (CertificateStatus(b"x"), m)),
        A.unexpected_message,
    ),
    (
        "RFC 5246 7.4.4",
        "CertificateRequest after ServerHelloDone",
        at(ServerHelloDone, lambda m: (m, CertificateRequest12(b"\1", (1027,), ()))),
        A.unexpected_message,
    ),
    ("RFC 5077 3.3", "no ticket though one was promised", drop(NewSessionTicket12), A.unexpected_message),
    ("RFC 5077 3.3", "two tickets", twice(NewSessionTicket12), A.unexpected_message),
    ("RFC 5246 7.4.9", "Finished of other bytes", at(Finished12, field(verify_data=bytes(12))), A.decrypt_error),
    ("RFC 5246 7.4.9", "Finished of 13 bytes", at(Finished12, body(lambda b: b + b"\0")), A.decode_error),
    ("RFC 5246 7.4.1.3", "two ServerHello", twice(SHELLO), A.unexpected_message),
]
ROWS = (
    [Row("server", *row) for row in SERVER_ROWS]
    + [Row("server", *row, client=WITH_CERTIFICATE, server=MUTUAL) for row in MUTUAL_ROWS]
    + [Row("client", *row) for row in CLIENT_ROWS]
    + [
        Row("server", "RFC 7507 3", "a fallback that was not needed", at(HELLO, lambda m: m), A.inappropriate_fallback,
            {"fallback_scsv": True}, {"versions": BOTH, "cipher_suites": ["TLS_AES_128_GCM_SHA256", ECDHE[0]]}),
        Row("client", "RFC 8446 4.1.3", "the sentinel of TLS 1.2", random_ending(b"DOWNGRD\1"), A.illegal_parameter,
            {"versions": BOTH, "cipher_suites": ["TLS_AES_128_GCM_SHA256", ECDHE[0]]}),
        Row("client", "RFC 5246 7.4.1.3", "a session that was not offered", at(SHELLO, lambda m: m), A.illegal_parameter,
            {"versions": BOTH, "cipher_suites": ["TLS_AES_128_GCM_SHA256", ECDHE[0]]}),
        Row("server", "RFC 8422 5.7", "a point off the curve", at(ClientKeyExchange, body(lambda b: b[:2] + bytes(64))), A.illegal_parameter, P256),
        Row("server", "RFC 8422 5.7", "a compressed point", at(ClientKeyExchange, body(lambda b: b"\x21\2" + b[2:34])), A.illegal_parameter, P256),
        Row("server", "RFC 7301 3.2", "no ALPN in common", at(HELLO, lambda m: m), A.no_application_protocol, {"alpn": ["h2"]}, {"alpn": ["imap"]}),
        Row("client", "RFC 7301 3.1", "another ALPN", at(SHELLO, ext(alpn=b"x")), A.illegal_parameter, {"alpn": ["h2"]}, {"alpn": ["h2"]}),
    ]
)  # fmt: skip


def run_row(row: Row) -> Pair:
    client, server = configs(client=row.client, server=row.server)
    alter = row.alter
    if row.what == "a session that was not offered":
        hello: list[ClientHello] = []
        alter = at(SHELLO, lambda message: field(legacy_session_id_echo=hello[0].legacy_session_id)(message))
        pair = against(row.victim, alter, client, server)
        hello.append(ClientHello.decode(pair.client.data_to_send()[9:]))
        return against_same(pair, client, server, hello[0])
    return against(row.victim, alter, client, server).run()


def against_same(pair: Pair, client: object, server: object, hello: ClientHello) -> Pair:
    """The client's hello was looked at: give it to the server by hand."""
    body_ = hello.encode()
    deliver(pair, "server", record(22, body_, 0x0301))
    return pair.run()


# The client's keys are on when it meets these, and the rogue's transcript, and so its keys, are no longer the same: it can't read the alert.
TOO_LATE_TO_READ = ("two ServerHelloDone", "CertificateRequest after ServerHelloDone")


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_alert(row: Row) -> None:
    pair = run_row(row)
    ours, theirs = (
        (pair.server_error, pair.client_error) if row.victim == "server" else (pair.client_error, pair.server_error)
    )
    assert isinstance(ours, PeerError), ours
    assert ours.alert is row.alert, ours
    if row.what not in TOO_LATE_TO_READ:
        assert isinstance(theirs, AlertReceived), theirs
        assert theirs.description is row.alert
    assert (pair.server if row.victim == "server" else pair.client).handshake is None


def test_static_rsa_has_no_key_exchange_message() -> None:
    unasked = ServerKeyExchange(29, bytes(32), 0x0403, b"x")
    alter = at(ServerHelloDone, lambda message: (unasked, message))
    pair = against("client", alter, *configs(STATIC_RSA[0])).run()
    assert isinstance(pair.client_error, PeerError)
    assert pair.client_error.alert is A.unexpected_message


# ---- ChangeCipherSpec (CVE-2014-0224 and its kin) ----

CCS = record(20, b"\1")


@pytest.mark.parametrize("victim", ["client", "server"])
@pytest.mark.parametrize("versions", [V12, BOTH], ids=["1.2", "both"])
def test_change_cipher_spec_before_the_keys_are_agreed_on(victim: str, versions: list[object]) -> None:
    suites = [*ECDHE] if versions == V12 else ["TLS_AES_128_GCM_SHA256", *ECDHE]
    pair = make_pair(
        client_config(versions=versions, cipher_suites=suites), server_config(versions=V12, cipher_suites=ECDHE)
    )
    hello = pair.client.data_to_send()
    if victim == "client":
        error = deliver(pair, "client", CCS)
        deliver(pair, "server", hello)
        error = error or deliver(pair, "client", pair.server.data_to_send())
    else:
        deliver(pair, "server", hello)
        error = deliver(pair, "server", CCS)
    assert isinstance(error, PeerError)
    assert error.alert is A.unexpected_message
    pair.run()
    assert not pair.complete


@pytest.mark.parametrize("victim", ["client", "server"])
@pytest.mark.parametrize("content", [b"", b"\0", b"\2", b"\1\1"], ids=repr)
def test_change_cipher_spec_of_another_content(victim: str, content: bytes) -> None:
    pair = make_pair(
        *configs(), change=lambda who, wire: wire if who == victim else wire.replace(CCS, record(20, content))
    ).run()
    error = getattr(pair, f"{victim}_error")
    assert isinstance(error, PeerError)
    assert error.alert is A.unexpected_message


@pytest.mark.parametrize("victim", ["client", "server"])
def test_change_cipher_spec_twice(victim: str) -> None:
    pair = make_pair(*configs(), change=lambda who, wire: wire if who == victim else wire.replace(CCS, CCS + CCS)).run()
    assert isinstance(getattr(pair, f"{victim}_error"), PeerError)
    assert not getattr(pair, victim).handshake


@pytest.mark.parametrize("victim", ["client", "server"])
def test_finished_without_change_cipher_spec(victim: str) -> None:
    """Finished in the clear, where ChangeCipherSpec is awaited."""

    def without(who: str, wire: bytes) -> bytes:
        return wire if who == victim else wire.replace(CCS, b"")

    pair = make_pair(*configs(), change=without).run()
    error = getattr(pair, f"{victim}_error")
    assert isinstance(error, PeerError)
    assert error.alert in (A.unexpected_message, A.decode_error, A.illegal_parameter)
    assert not getattr(pair, victim).handshake


@pytest.mark.parametrize("victim", ["client", "server"])
def test_finished_in_the_clear_before_change_cipher_spec(victim: str) -> None:
    """The rogue never encrypts: Finished comes as plaintext, with the right content."""

    def skip(self: Handshake, *args: object, **kwargs: object) -> None:
        self.flush()

    pair = make_pair(*configs())
    rogue = pair.client if victim == "server" else pair.server
    for name in ("write_with12", "send_change_cipher_spec"):
        mock.patch.object(type(rogue._hs), name, autospec=True)
    rogue._hs.__class__ = type(
        "Plain", (Handshake,), {"__slots__": (), "write_with12": skip, "send_change_cipher_spec": skip}
    )
    pair.run()
    error = getattr(pair, f"{victim}_error")
    assert isinstance(error, PeerError)
    assert error.alert is A.unexpected_message
    assert not getattr(pair, victim).handshake


@pytest.mark.parametrize("victim", ["client", "server"])
def test_change_cipher_spec_inside_a_handshake_message(victim: str) -> None:
    def split(who: str, wire: bytes) -> bytes:
        out = b""
        for each in records(wire):
            if who != victim and each[0] == 22 and len(each) > 12 and CCS not in out:
                out += record(22, each[5:9]) + CCS + record(22, each[9:])
            else:
                out += each
        return out

    pair = make_pair(*configs(), change=split).run()
    error = getattr(pair, f"{victim}_error")
    assert isinstance(error, PeerError)
    assert error.alert is A.unexpected_message


@pytest.mark.parametrize("victim", ["client", "server"])
def test_change_cipher_spec_after_the_handshake(victim: str) -> None:
    pair = make_pair(*configs()).run()
    rogue = pair.server if victim == "client" else pair.client
    rogue._writer.queue(CCS)
    pair.run()
    assert isinstance(getattr(pair, f"{victim}_error"), PeerError)


# ---- Renegotiation ----


def test_renegotiation_is_refused_by_both_sides() -> None:
    for asks, message in (("server", HelloRequest().encode()), ("client", None)):
        pair = make_pair(*configs())
        hello = pair.client.data_to_send()
        deliver(pair, "server", hello)
        pair.run()
        assert pair.complete
        side = getattr(pair, asks)
        side._writer.send(22, message if message is not None else hello[5:])
        pair.run()
        other = pair.client if asks == "server" else pair.server
        assert other.failure is None
        pair.client.send_data(b"still here")
        pair.run()
        assert pair.server_events[-1].data == b"still here"  # type: ignore[union-attr]  # the last event is data


def test_renegotiation_without_end_is_bounded() -> None:
    pair = make_pair(*configs()).run()
    for _ in range(40):
        pair.server._writer.send(22, HelloRequest().encode())
    pair.run()
    assert isinstance(pair.client_error, PeerError)


# ---- Every cut, every flip, every message out of place ----


def flights() -> list[tuple[str, int]]:
    """(sender, length) of each flight of a full handshake."""
    seen: list[tuple[str, int]] = []

    def note(who: str, wire: bytes) -> bytes:
        seen.append((who, len(wire)))
        return wire

    make_pair(*quiet(), change=note).run()
    return seen


def quiet() -> tuple[object, object]:
    return configs(client={"session_cache": None})


@pytest.mark.parametrize("flight", range(4))
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_every_byte_flipped(flight: int, bit: int) -> None:
    """An alert or an error on at least one side, and never two sides that believe in different handshakes."""
    who, length = flights()[flight]
    client, server = quiet()
    for place in range(0, length, 3 if length > 300 else 1):
        count = -1

        def flip(sender: str, wire: bytes, place: int = place) -> bytes:
            nonlocal count
            count += 1
            if count != flight or place >= len(wire):
                return wire
            return wire[:place] + bytes((wire[place] ^ bit,)) + wire[place + 1 :]

        pair = make_pair(client, server, change=flip).run()  # type: ignore[arg-type]  # configs gives the two configurations
        if pair.complete:
            # The version of a record's header is not looked at in the clear (RFC 5246, E.1): nothing else may pass.
            assert pair.client.export_keying_material("x", b"", 32) == pair.server.export_keying_material("x", b"", 32)
        else:
            # At least one side says why; or it still waits for bytes that a length now promises.
            assert pair.client_error or pair.server_error or pair.client.expecting or pair.server.expecting
        for error in (pair.client_error, pair.server_error):
            assert error is None or type(error).__name__ != "InternalError", error


@pytest.mark.parametrize("flight", range(4))
def test_every_flight_cut_short_and_ended(flight: int) -> None:
    who, length = flights()[flight]
    client, server = quiet()
    for keep in range(0, length, 7):
        count = -1

        def cut(sender: str, wire: bytes, keep: int = keep) -> bytes:
            nonlocal count
            count += 1
            return wire[:keep] if count == flight else (b"" if count > flight else wire)

        pair = make_pair(client, server, change=cut)  # type: ignore[arg-type]  # configs gives the two configurations
        pair.run()
        receiver = pair.server if who == "client" else pair.client
        if receiver.handshake is None:
            with pytest.raises(TLSError):
                receiver.receive_eof()


@pytest.mark.parametrize("victim", ["client", "server"])
def test_fragmented_and_dribbled(victim: str) -> None:
    """Each handshake record cut into records of one byte, where keys allow it."""

    def fragment(who: str, wire: bytes) -> bytes:
        out, clear = b"", True
        for each in records(wire):
            clear = clear and each[0] != 20
            out += (
                b"".join(record(22, each[at_ : at_ + 1]) for at_ in range(5, len(each)))
                if clear and each[0] == 22 and who != victim
                else each
            )
        return out

    pair = make_pair(*configs(), change=fragment, chunks=by(3)).run()
    assert pair.complete, (pair.client_error, pair.server_error)


def test_every_message_where_it_is_not_expected() -> None:
    """Every TLS 1.2 message, in the clear, in place of each flight of the peer."""
    kinds = [0, 1, 2, 4, 11, 12, 13, 14, 15, 16, 20, 22, 8, 24, 5, 99]
    for victim in ("client", "server"):
        for stage in range(2):
            for kind in kinds:
                pair = make_pair(*configs())
                hello = pair.client.data_to_send()
                if victim == "server" and stage == 1:
                    deliver(pair, "server", hello)
                    pair.server.data_to_send()
                if victim == "client" and stage == 1:
                    deliver(pair, "server", hello)
                    flight = records(pair.server.data_to_send())
                    first = flight[0][5:]
                    deliver(pair, "client", record(22, first[: 4 + int.from_bytes(first[1:4])]))
                side = getattr(pair, victim)
                wanted = {each.__name__ for each in side.expecting}
                error = deliver(pair, victim, record(22, bytes((kind, 0, 0, 0))))
                ignored = kind == 0 and victim == "client" and stage == 1  # HelloRequest
                assert ignored or isinstance(error, PeerError), (victim, stage, kind, wanted)
                if isinstance(error, PeerError):
                    assert error.alert in (A.unexpected_message, A.decode_error)


def test_a_name_that_no_credential_serves_is_refused_where_strict() -> None:
    client, server = configs(server={"strict_sni": True, "credentials": [credential()]})
    pair = make_pair(client, server, "other.test").run()
    assert isinstance(pair.client_error, AlertReceived)
    assert pair.client_error.description is A.unrecognized_name


def test_plain_errors_name_the_version() -> None:
    for version, name in ((0x0302, "TLS 1.1"), (0x0301, "TLS 1.0"), (0x0300, "SSLv3")):
        pair = against("server", at(HELLO, field(legacy_version=version)), *configs()).run()
        assert name in str(pair.server_error)
        pair = against("client", at(SHELLO, field(legacy_version=version)), *configs()).run()
        assert name in str(pair.client_error)


def test_an_sslv2_hello_is_named() -> None:
    hello = bytes.fromhex("802e0103010015000000100100800300800700c0060040020080040080000004fedf") + bytes(16)
    pair = make_pair(*configs())
    error = deliver(pair, "server", hello)
    assert error is not None
    assert "SSLv2" in str(error)
    assert isinstance(error, PeerError)
    assert error.alert is A.protocol_version
