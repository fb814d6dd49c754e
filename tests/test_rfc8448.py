# SPDX-License-Identifier: Apache-2.0
"""RFC 8448 replayed byte for byte: the key schedule, every message, every record both ways, and our client's flow against each server's bytes.

The traces were made by a client that sent early data in section 4. Ours sends none, so there its own Finished must differ: up to the server's
Finished, and in all secrets, that trace is followed too. The RSA keys of the traces have 1,024 bits, which we refuse: see below."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tlsfast import (
    CipherSuite,
    ClientConfig,
    ClientConnection,
    Credential,
    DataReceived,
    HandshakeCompleted,
    NamedGroup,
    PeerClosed,
    SignatureScheme,
    TicketReceived,
    crypto,
)
from tlsfast.crypto import SUITES, Secret
from tlsfast.errors import UnsupportedCertificate
from tlsfast.events import Observation, SecretDerived
from tlsfast.handshake import auth, client
from tlsfast.handshake.flow import Handshake
from tlsfast.handshake.offer import Offer
from tlsfast.keyshare import KeyShare
from tlsfast.messages.handshake import (
    Certificate,
    CertificateVerify,
    ClientHello,
    EndOfEarlyData,
    Finished,
    HelloRetryRequest,
    Message,
    NewSessionTicket,
    ServerHello,
    decode_message,
    truncate,
)
from tlsfast.record import RecordReader, RecordWriter
from tlsfast.registry import ContentType
from tlsfast.sessions import Session, SessionCache

TRACES: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "rfc8448.json").read_text())["sections"]
SUITE = SUITES[CipherSuite.TLS_AES_128_GCM_SHA256]
SHA256 = crypto.SHA256
EMPTY = crypto.hash_once(SHA256, b"")
NAME = "server"

each_trace = pytest.mark.parametrize("section", TRACES)


def records(section: str) -> Iterator[tuple[str, str, ContentType, bytes, bytes]]:
    """(sender, epoch, type, payload, the record on the wire), in order."""
    for row in TRACES[section]["records"]:
        payload, wire = bytes.fromhex(row["payload"]), bytes.fromhex(row["record"])
        yield row["from"], row["epoch"], ContentType[row["type"]], payload, wire


def wire_of(section: str, sender: str, epoch: str, *types: str) -> bytes:
    """The records of one side and epoch, of these types or of any."""
    rows = TRACES[section]["records"]
    return b"".join(
        bytes.fromhex(row["record"])
        for row in rows
        if (row["from"], row["epoch"]) == (sender, epoch) and (not types or row["type"] in types)
    )


def secret(section: str, name: str) -> Secret:
    return Secret.from_bytes(bytes.fromhex(TRACES[section]["secrets"][name]))


@cache
def messages(section: str) -> tuple[tuple[str, bytes], ...]:
    """(sender, message) of each handshake message, in order."""
    found = []
    for sender, _, kind, payload, _ in records(section):
        while kind is ContentType.handshake and payload:
            length = 4 + int.from_bytes(payload[1:4])
            found.append((sender, payload[:length]))
            payload = payload[length:]
    return tuple(found)


def find(section: str, kind: type[Message], number: int = 0) -> bytes:
    """The message of this kind, as it is on the wire."""
    return [raw for _, raw in messages(section) if isinstance(decode_message(raw), kind)][number]


# ---- Messages ----


@each_trace
def test_every_message_decodes_and_encodes_to_the_same_bytes(section: str) -> None:
    for _, raw in messages(section):
        assert decode_message(raw).encode() == raw
    assert len(messages(section)) >= 6


# ---- The key schedule ----


def share(group: NamedGroup, private: str) -> KeyShare:
    """Our half of a key agreement with a private key of the trace."""
    key = KeyShare(group)
    if group is NamedGroup.x25519:
        key._private = Secret.from_bytes(bytes.fromhex(private))
    else:
        key._private = ec.derive_private_key(int(private, 16), ec.SECP256R1())
    return key


def shared_secrets(section: str) -> Iterator[Secret]:
    """The (EC)DHE secret as the client finds it, then as the server does."""
    hello, answer = (decode_message(find(section, kind, at)) for kind, at in ((ClientHello, -1), (ServerHello, 0)))
    assert isinstance(hello, ClientHello) and isinstance(answer, ServerHello)
    theirs = answer.extensions.key_share
    assert theirs is not None
    (ours,) = (entry for entry in hello.extensions.key_share or () if entry.group == theirs.group)
    trace = TRACES[section]
    group = NamedGroup(theirs.group)
    yield share(group, trace.get("client_private_retry", trace["client_private"])).agree(theirs.key_exchange)
    yield share(group, trace["server_private"]).agree(ours.key_exchange)


def derived(section: str, psk: Secret | None) -> dict[str, bytes]:
    """Every secret of the trace, from its private keys, its PSK and its messages alone."""
    found: dict[str, Secret] = {}
    transcript = b""
    early = found["early"] = crypto.early_secret(SHA256, psk)
    schedule = crypto.KeySchedule(SUITE)

    def take(name: str, number: int) -> None:
        found[name] = schedule.secret(number)

    for _, raw in messages(section):
        message = decode_message(raw)
        if isinstance(message, HelloRetryRequest):
            transcript = b"\xfe\x00\x00\x20" + crypto.hash_once(SHA256, transcript)
        before = crypto.hash_once(SHA256, transcript)
        if not isinstance(message, NewSessionTicket):
            transcript += raw
        digest = crypto.hash_once(SHA256, transcript)
        if isinstance(message, ClientHello) and psk is not None:
            found["res binder"] = crypto.derive_secret(SHA256, early, b"res binder", EMPTY)
            truncated = crypto.hash_once(SHA256, truncate(raw, message))
            binder = crypto.binder(SHA256, psk, truncated)
            assert binder == crypto.finished(SHA256, found["res binder"], truncated)
            found["binder"] = Secret.from_bytes(binder)
            found["c e traffic"] = crypto.derive_secret(SHA256, early, b"c e traffic", digest)
            found["e exp master"] = crypto.derive_secret(SHA256, early, b"e exp master", digest)
        elif isinstance(message, ServerHello):
            found["shared"], as_server = shared_secrets(section)
            assert found["shared"].reveal() == as_server.reveal()
            schedule.handshake(psk, as_server, digest)
            assert len(as_server) == 0
            take("handshake", crypto.STAGE)
            take("c hs traffic", crypto.CLIENT_HANDSHAKE)
            take("s hs traffic", crypto.SERVER_HANDSHAKE)
        elif isinstance(message, Finished) and "master" not in found:
            verify_data = schedule.finished(crypto.SERVER_HANDSHAKE, before)
            assert message.verify_data == verify_data == crypto.finished(SHA256, found["s hs traffic"], before)
            schedule.application(digest)
            take("master", crypto.STAGE)
            take("c ap traffic", crypto.CLIENT_APPLICATION)
            take("s ap traffic", crypto.SERVER_APPLICATION)
            take("exp master", crypto.EXPORTER)
        elif isinstance(message, Finished):
            verify_data = schedule.finished(crypto.CLIENT_HANDSHAKE, before)
            assert message.verify_data == verify_data == crypto.finished(SHA256, found["c hs traffic"], before)
            schedule.resumption(digest)
            take("res master", crypto.RESUMPTION)
        elif isinstance(message, NewSessionTicket):
            found["resumption"] = schedule.resumption_psk(message.ticket_nonce)
    traffic = {"c e": "client early", "c hs": "client handshake", "s hs": "server handshake"}
    for short, name in {**traffic, "c ap": "client application", "s ap": "server application"}.items():
        if f"{short} traffic" in found:
            found[f"{name} key"] = crypto.expand_label(SHA256, found[f"{short} traffic"], b"key", b"", 16)
            found[f"{name} iv"] = crypto.expand_label(SHA256, found[f"{short} traffic"], b"iv", b"", 12)
    return {name: value.reveal() for name, value in found.items()}


@each_trace
def test_key_schedule(section: str) -> None:
    """All secrets, traffic keys and ivs, the PSK that section 3 gives section 4 and its binder; both Finished values on the way."""
    psk = secret("3", "resumption") if section == "4" else None
    ours = derived(section, psk)
    published = {name: bytes.fromhex(value) for name, value in TRACES[section]["secrets"].items()}
    assert {name: ours[name] for name in published} == published
    assert len(published) >= 16
    if psk is not None:
        hello = decode_message(find(section, ClientHello))
        assert isinstance(hello, ClientHello) and hello.extensions.pre_shared_key is not None
        assert hello.extensions.pre_shared_key.binders == (published["binder"],)


@each_trace
def test_certificate_verify(section: str) -> None:
    """Each signature is over what we would have signed."""
    transcript, leaf, verified = b"", b"", 0
    for sender, raw in messages(section):
        message = decode_message(raw)
        if isinstance(message, HelloRetryRequest):
            transcript = b"\xfe\x00\x00\x20" + crypto.hash_once(SHA256, transcript)
        if isinstance(message, Certificate):
            leaf = message.entries[0].cert_data
        if isinstance(message, CertificateVerify):
            signer = auth.CLIENT if sender == "client" else auth.SERVER
            content = auth.signed_content(signer, crypto.hash_once(SHA256, transcript))
            verify_any_size(leaf, message.algorithm, message.signature, content)
            verified += 1
        transcript += raw
    assert verified == {"4": 0, "6": 2}.get(section, 1)


def verify_any_size(certificate_der: bytes, scheme: int, signature: bytes, data: bytes) -> None:
    """What verify_signature checks, but for the size of the key: the traces' RSA keys have 1,024 bits."""
    key = x509.load_der_x509_certificate(certificate_der).public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        assert scheme == SignatureScheme.ecdsa_secp256r1_sha256
        key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
    else:
        assert isinstance(key, rsa.RSAPublicKey) and scheme == SignatureScheme.rsa_pss_rsae_sha256
        key.verify(signature, data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())


# ---- Records ----

TRAFFIC = {
    ("client", "early"): "c e traffic",
    ("client", "handshake"): "c hs traffic",
    ("server", "handshake"): "s hs traffic",
    ("client", "application"): "c ap traffic",
    ("server", "application"): "s ap traffic",
}


@each_trace
def test_records_open_and_seal_byte_for_byte(section: str) -> None:
    """One reader and one writer for each side, their keys changed where the trace changes them."""
    readers = {"client": RecordReader(), "server": RecordReader()}
    writers = {"client": RecordWriter(), "server": RecordWriter()}
    epochs = {"client": "clear", "server": "clear"}
    writers["client"].set_version(0x0301)
    for sender, epoch, kind, payload, wire in records(section):
        reader, writer = readers[sender], writers[sender]
        if epoch not in ("clear", epochs[sender]):
            traffic_secret = secret(section, TRAFFIC[sender, epoch])
            reader.set_key13(SUITE, traffic_secret)
            writer.set_key13(SUITE, traffic_secret)
            epochs[sender] = epoch
        reader.feed(wire)
        data, opened_type, content, protected = reader.open() or (b"", 0, b"", False)
        if kind is ContentType.application_data:
            assert (data, opened_type) == (payload, 0)
        else:
            assert (data, opened_type, content, protected) == (b"", kind, payload, epoch != "clear")
        assert writer.send(kind, payload) == len(payload)
        assert writer.take() == wire
        writer.set_version(0x0303)


def test_records_of_the_traces() -> None:
    """That the loop above saw every kind of record and epoch."""
    seen = {(sender, epoch, kind.name) for section in TRACES for sender, epoch, kind, _, _ in records(section)}
    assert {(sender, epoch) for sender, epoch, _ in seen} == {*TRAFFIC, ("client", "clear"), ("server", "clear")}
    assert {kind for _, _, kind in seen} == {"handshake", "application_data", "alert", "change_cipher_spec"}
    assert sum(1 for section in TRACES for _ in records(section)) == 41


# ---- Our client against the traces' servers ----


def replay_offers(monkeypatch: pytest.MonkeyPatch, section: str, session: Session | None = None) -> None:
    """Let our client say the trace's hellos, with the trace's private keys behind them."""
    trace = TRACES[section]

    def offer(hs: Handshake, number: int, group: NamedGroup, private: str) -> Offer:
        raw = find(section, ClientHello, number)
        hello = decode_message(raw)
        assert isinstance(hello, ClientHello)
        hs.client_random = hello.random
        hs.send_encoded(hello, raw)
        return Offer(hello, {group: share(group, private)}, session, retried=number > 0)

    def first(hs: Handshake, config: ClientConfig) -> Offer:
        hs.writer.set_version(0x0301)
        said = offer(hs, 0, NamedGroup.x25519, trace["client_private"])
        hs.flush()
        hs.writer.set_version(0x0303)
        return said

    def second(hs: Handshake, *_: object) -> Offer:
        return offer(hs, 1, NamedGroup.secp256r1, trace["client_private_retry"])

    monkeypatch.setattr(client, "first_offer", first)
    monkeypatch.setattr(client, "second_offer", second)


def connect(**changes: Any) -> tuple[ClientConnection, dict[str, bytes]]:
    """A client that takes any certificate, as the traces' are long expired and for the name "rsa", and the secrets it derives."""
    seen: dict[str, bytes] = {}

    def observe(fact: Observation) -> None:
        if isinstance(fact, SecretDerived):
            seen[fact.label] = fact.secret.reveal()

    options: dict[str, Any] = {"insecure_skip_verification": True, "keylog": None, "observer": observe, **changes}
    return ClientConnection(ClientConfig(**options), NAME), seen


def check_secrets(section: str, seen: dict[str, bytes]) -> None:
    """What the connection derived, by the labels of the key log, is what the trace has."""
    labels = {
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET": "c hs traffic",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET": "s hs traffic",
        "CLIENT_TRAFFIC_SECRET_0": "c ap traffic",
        "SERVER_TRAFFIC_SECRET_0": "s ap traffic",
        "EXPORTER_SECRET": "exp master",
    }
    published = TRACES[section]["secrets"]
    assert {label: value.hex() for label, value in seen.items()} == {
        label: published[name] for label, name in labels.items()
    }


def signer_of(section: str) -> Credential:
    """The trace's client certificate: its key is not published, so the signer gives the trace's signature, for the trace's content alone."""
    certificate = decode_message(find(section, Certificate, 1))
    verify = decode_message(find(section, CertificateVerify, 1))
    assert isinstance(certificate, Certificate) and isinstance(verify, CertificateVerify)
    (entry,) = certificate.entries

    def sign(scheme: SignatureScheme, content: bytes) -> bytes:
        verify_any_size(entry.cert_data, scheme, verify.signature, content)
        return verify.signature

    return Credential(
        chain=(entry.cert_data,),
        leaf=x509.load_der_x509_certificate(entry.cert_data),
        schemes=(SignatureScheme(verify.algorithm),),
        signature_schemes_in_chain=(),
        ocsp_response=None,
        signer=sign,
        fingerprint=b"",
    )


@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
@pytest.mark.parametrize("section", ["3", "5", "6", "7"])
def test_our_client_writes_the_records_of_the_trace(monkeypatch: pytest.MonkeyPatch, section: str, chunk: int) -> None:
    """Given the trace's hellos and its server's bytes, everything our client sends is the trace's client's, to the last alert."""
    replay_offers(monkeypatch, section)
    monkeypatch.setattr(auth, "verify_signature", verify_any_size)
    cache_of_sessions = SessionCache()
    credentials = [signer_of(section)] if section == "6" else []
    conn, seen = connect(session_cache=cache_of_sessions, credentials=credentials)
    config = conn._hs.config
    assert isinstance(config, ClientConfig)
    sent, events = conn.data_to_send(), []
    expected = b""
    for sender, epoch, kind, payload, wire in records(section):
        if sender == "server":
            for start in range(0, len(wire), chunk):
                events += conn.receive_data(wire[start : start + chunk])
            continue
        if epoch == "application" and kind is ContentType.application_data:
            conn.send_data(payload)
        elif epoch == "application":
            conn.close()
        expected += wire
        sent += conn.data_to_send()
        assert sent.startswith(expected)
    assert sent == expected and conn.data_to_send() == b""
    check_secrets(section, seen)
    assert isinstance(events[0], HandshakeCompleted)
    assert events[0].cipher_suite is CipherSuite.TLS_AES_128_GCM_SHA256
    assert events[-1] == PeerClosed()
    if section == "3":
        assert [type(event) for event in events[1:-1]] == [TicketReceived, DataReceived]
        assert events[2] == DataReceived(bytes(range(50)))
        session = cache_of_sessions.take(config.session_key(NAME), time.time())
        assert session is not None and session.psk.reveal() == secret("3", "resumption").reveal()


@pytest.mark.parametrize("section", ["3", "6"])
def test_the_keys_of_the_traces_are_too_small_for_us(monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    """The RSA key of section 3 is refused; the P-256 key of section 6 is not, and all of that handshake is checked as any other."""
    replay_offers(monkeypatch, section)
    conn, _ = connect(credentials=[signer_of(section)] if section == "6" else [])
    flight = wire_of(section, "server", "clear") + wire_of(section, "server", "handshake")
    if section == "3":
        with pytest.raises(UnsupportedCertificate, match="1024"):
            conn.receive_data(flight)
    else:
        assert isinstance(conn.receive_data(flight)[0], HandshakeCompleted)


def test_our_client_follows_the_resumption_of_section_4(monkeypatch: pytest.MonkeyPatch) -> None:
    """The PSK, every secret, the server's Finished and its data; our Finished covers no EndOfEarlyData, which the trace's client sent."""
    now = time.time()
    hello = decode_message(find("4", ClientHello))
    assert isinstance(hello, ClientHello) and hello.extensions.pre_shared_key is not None
    (identity,) = hello.extensions.pre_shared_key.identities
    session = Session.from_ticket(
        cipher_suite=CipherSuite.TLS_AES_128_GCM_SHA256,
        psk=secret("3", "resumption"),
        ticket=identity.identity,
        lifetime=30,
        age_add=0,
        received_at=now,
    )
    replay_offers(monkeypatch, "4", session)
    conn, seen = connect()
    assert conn.data_to_send() == wire_of("4", "client", "clear")
    events = conn.receive_data(wire_of("4", "server", "clear") + wire_of("4", "server", "handshake"))
    assert isinstance(events[0], HandshakeCompleted) and events[0].resumed
    check_secrets("4", seen)
    assert isinstance(decode_message(find("4", EndOfEarlyData)), EndOfEarlyData)
    ours = conn.data_to_send()
    assert len(ours) == len(wire_of("4", "client", "handshake")) and ours != wire_of("4", "client", "handshake")
    (data,) = conn.receive_data(wire_of("4", "server", "application", "application_data"))
    assert data == DataReceived(bytes(range(50)))


@pytest.mark.parametrize("section", ["3", "5", "6", "7"])
def test_a_changed_byte_of_the_trace_ends_the_connection(monkeypatch: pytest.MonkeyPatch, section: str) -> None:
    """The replays above can fail: one bit of the server's protected flight, and nothing completes."""
    replay_offers(monkeypatch, section)
    monkeypatch.setattr(auth, "verify_signature", verify_any_size)
    conn, _ = connect(credentials=[signer_of(section)] if section == "6" else [])
    conn.receive_data(wire_of(section, "server", "clear"))
    flight = bytearray(wire_of(section, "server", "handshake"))
    flight[100] ^= 1
    with pytest.raises(Exception, match="did not authenticate"):
        conn.receive_data(bytes(flight))
    assert conn.handshake is None
