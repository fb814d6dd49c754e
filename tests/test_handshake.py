# SPDX-License-Identifier: Apache-2.0
"""TLS 1.3 handshakes between two real connections in memory: every parameter, any chunking, what each side learns (RFC 8446)."""

from __future__ import annotations

import pytest
from pair import (
    NAME,
    Pair,
    authority,
    by,
    client_config,
    client_credential,
    credential,
    make_pair,
    received,
    server_config,
    shake,
    trust,
)

import tlsfast
from tlsfast import ApiMisuse, CipherSuite, ConnectionClosed, DataReceived, NamedGroup, PeerClosed, Truncated, crypto
from tlsfast.events import ChangeCipherSpecSeen, Decided, KeysChanged, MessageSeen, SecretDerived

SUITES = list(crypto.SUITES)
GROUPS = list(NamedGroup)
KEYS = ["p256", "p384", "rsa2048", "rsapss2048", "ed25519"]


def exchange(pair: Pair, up: bytes = b"from the client", down: bytes = b"from the server") -> None:
    """Data both ways, compared."""
    pair.client.send_data(up)
    pair.server.send_data(down)
    pair.run()
    assert received(pair.server_events).endswith(up)
    assert received(pair.client_events).endswith(down)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("key", KEYS)
def test_every_suite_group_and_key(suite: CipherSuite, group: NamedGroup, key: str) -> None:
    config = client_config(cipher_suites=[suite], groups=[group])
    pair = shake(config, server_config(credentials=[credential(key)]))
    for completed in (pair.client_completed(), pair.server_completed()):
        assert completed.cipher_suite is suite
        assert completed.group is group
        assert not completed.resumed
        assert completed.server_name == NAME
    assert pair.client_completed().peer_chain == credential(key).chain
    assert pair.client_completed().verified_chain[-1] == authority().der
    exchange(pair)


@pytest.mark.parametrize("size", [1, 2, 7, 100, 1000])
def test_any_chunking(size: int) -> None:
    pair = shake(chunks=by(size))
    exchange(pair, b"a" * 20_000, b"b" * 20_000)


@pytest.mark.parametrize("length", [0, 1, 16384, 16385, 300_000, 1_000_000])
def test_data_of_every_length(length: int) -> None:
    exchange(shake(), b"u" * length, b"d" * length)


@pytest.mark.parametrize("group", [NamedGroup.secp256r1, NamedGroup.secp384r1, NamedGroup.SecP256r1MLKEM768])
@pytest.mark.parametrize("cookie", [False, True])
def test_hello_retry_request(group: NamedGroup, cookie: bool) -> None:
    pair = shake(server=server_config(groups=[group], retry_cookie=cookie))
    assert pair.client_completed().group is group
    exchange(pair)


def test_resumption_uses_each_ticket_once() -> None:
    client, server = client_config(), server_config()
    first = shake(client, server)
    assert not first.client_completed().resumed
    for _ in range(4):
        again = shake(client, server)
        assert again.client_completed().resumed
        assert again.server_completed().resumed
        assert again.client_completed().verified_chain == first.client_completed().verified_chain
        exchange(again)


def test_resumption_after_hello_retry_request() -> None:
    client, server = client_config(), server_config(groups=[NamedGroup.secp256r1])
    shake(client, server)
    again = shake(client, server)
    assert again.client_completed().resumed
    assert again.client_completed().group is NamedGroup.secp256r1


def test_no_session_cache_no_resumption() -> None:
    client, server = client_config(session_cache=None), server_config()
    shake(client, server)
    assert not shake(client, server).client_completed().resumed


@pytest.mark.parametrize("mode", ["required", "optional"])
@pytest.mark.parametrize("key", KEYS)
def test_mutual_tls(mode: str, key: str) -> None:
    client = client_config(credentials=[client_credential(key)])
    server = server_config(client_auth=mode, trust=trust())
    pair = shake(client, server)
    assert pair.server_completed().peer_chain == client_credential(key).chain
    again = shake(client, server)
    assert again.server_completed().resumed
    assert again.server_completed().peer_chain == client_credential(key).chain


def test_optional_client_certificate_may_be_absent() -> None:
    pair = shake(server=server_config(client_auth="optional", trust=trust()))
    assert pair.server_completed().peer_chain == ()


def test_required_client_certificate_is_required() -> None:
    pair = make_pair(server=server_config(client_auth="required", trust=trust())).run()
    assert isinstance(pair.server_error, tlsfast.PeerError)
    assert "certificate" in str(pair.server_error)
    assert isinstance(pair.client_error, tlsfast.AlertReceived)
    assert pair.client_error.description is tlsfast.AlertDescription.certificate_required


def test_alpn() -> None:
    pair = shake(client_config(alpn=["h2", "http/1.1"]), server_config(alpn=["http/1.1", "h2"]))
    assert pair.client_completed().alpn == pair.server_completed().alpn == "http/1.1"


def test_no_alpn_in_common() -> None:
    pair = make_pair(client_config(alpn=["h2"]), server_config(alpn=["imap"])).run()
    assert isinstance(pair.client_error, tlsfast.AlertReceived)
    assert pair.client_error.description is tlsfast.AlertDescription.no_application_protocol


@pytest.mark.parametrize("limit", [64, 100, 1000, 16385])
def test_record_size_limit(limit: int) -> None:
    sizes: list[int] = []

    def measure(who: str, wire: bytes) -> bytes:
        if who == "server":
            sizes.extend(record_lengths(wire))
        return wire

    pair = make_pair(client_config(record_size_limit=limit), change=measure).run()
    assert pair.complete, pair.client_error
    sizes.clear()
    exchange(pair, b"u" * 5000, b"d" * 5000)
    assert sizes
    assert max(sizes) <= limit + 16


def record_lengths(wire: bytes) -> list[int]:
    lengths, at = [], 0
    while at < len(wire):
        lengths.append(int.from_bytes(wire[at + 3 : at + 5]))
        at += 5 + lengths[-1]
    return lengths


def test_key_updates_both_ways() -> None:
    pair = shake()
    for _ in range(3):
        pair.client.update_keys()
        pair.server.update_keys(request_peer=False)
        exchange(pair)
    kinds = [type(event).__name__ for event in pair.server_events]
    assert kinds.count("KeysUpdated") == 3
    assert [type(event).__name__ for event in pair.client_events].count("KeysUpdated") == 6


def test_several_key_update_requests_are_answered_once() -> None:
    pair = shake()
    for _ in range(5):
        pair.client.update_keys()
    pair.run()
    assert [type(event).__name__ for event in pair.client_events].count("KeysUpdated") == 1


def test_usage_limit_changes_the_key_inside_send_data() -> None:
    pair = shake()
    pair.client._writer.set_usage_limit(3)
    exchange(pair, b"x" * (16384 * 10))
    assert [type(event).__name__ for event in pair.server_events].count("KeysUpdated") == 3


def test_exporters_agree_and_differ() -> None:
    pair = shake()
    ours = pair.client.export_keying_material("EXPORTER-test", b"context", 64)
    assert ours == pair.server.export_keying_material("EXPORTER-test", b"context", 64)
    assert ours != pair.client.export_keying_material("EXPORTER-test", b"other", 64)
    assert ours != shake().client.export_keying_material("EXPORTER-test", b"context", 64)
    assert pair.client.export_keying_material("e", None, 32) == pair.client.export_keying_material("e", b"", 32)


def test_half_close() -> None:
    pair = shake()
    pair.client.close()
    pair.run()
    assert PeerClosed(clean=True) in pair.server_events
    with pytest.raises(ConnectionClosed):
        pair.client.send_data(b"too late")
    pair.server.send_data(b"still going")
    pair.run()
    assert received(pair.client_events) == b"still going"
    pair.server.close()
    pair.run()
    assert pair.client.receive_eof() == []
    assert pair.server.receive_eof() == []


def test_truncation_is_told_from_a_close() -> None:
    pair = shake()
    with pytest.raises(Truncated):
        pair.client.receive_eof()
    with pytest.raises(Truncated):
        pair.client.send_data(b"dead")


def test_end_of_stream_in_mid_handshake_says_what_was_awaited() -> None:
    client = tlsfast.ClientConnection(client_config(), NAME)
    with pytest.raises(Truncated, match="ServerHello"):
        client.receive_eof()


def test_no_data_before_the_handshake_is_complete() -> None:
    client = tlsfast.ClientConnection(client_config(), NAME)
    with pytest.raises(ApiMisuse):
        client.send_data(b"early")


def test_expecting_shows_where_the_flow_stands() -> None:
    pair = make_pair()
    assert [kind.__name__ for kind in pair.client.expecting] == ["ServerHello", "HelloRetryRequest"]
    assert [kind.__name__ for kind in pair.server.expecting] == ["ClientHello"]
    pair.run()
    assert pair.client.expecting == pair.server.expecting == ()


def test_the_observer_sees_everything_in_order() -> None:
    seen: list[object] = []
    shake(client_config(observer=seen.append, session_cache=None))
    names = [type(each.message).__name__ for each in seen if isinstance(each, MessageSeen)]
    assert names == [
        "ClientHello",
        "ServerHello",
        "EncryptedExtensions",
        "Certificate",
        "CertificateVerify",
        "Finished",
        "Finished",
    ]
    labels = [each.label for each in seen if isinstance(each, SecretDerived)]
    assert labels == [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ]
    assert [(each.sending, each.epoch) for each in seen if isinstance(each, KeysChanged)] == [
        (False, "handshake"),
        (True, "handshake"),
        (False, "application"),
        (True, "application"),
    ]
    assert any(isinstance(each, ChangeCipherSpecSeen) and each.sent for each in seen)
    assert any(isinstance(each, ChangeCipherSpecSeen) and not each.sent for each in seen)
    assert {each.what for each in seen if isinstance(each, Decided)} >= {"version", "cipher_suite", "group"}


def test_key_log_lines_of_both_sides_are_the_same() -> None:
    ours: list[str] = []
    theirs: list[str] = []
    shake(client_config(keylog=ours.append), server_config(keylog=theirs.append))
    assert sorted(ours) == sorted(theirs)
    assert len(ours) == 5
    label, random, secret = ours[0].split(" ")
    assert label == "CLIENT_HANDSHAKE_TRAFFIC_SECRET"
    assert len(bytes.fromhex(random)) == 32
    assert len(bytes.fromhex(secret)) in (32, 48)


def test_without_middlebox_compatibility() -> None:
    seen: list[object] = []
    shake(client_config(middlebox_compatibility=False, observer=seen.append))
    assert not any(isinstance(each, ChangeCipherSpecSeen) for each in seen)


def test_data_received_is_bytes() -> None:
    pair = shake()
    pair.server.send_data(bytearray(b"one"))
    pair.server.send_data(memoryview(b"two"))
    pair.run()
    assert all(type(event.data) is bytes for event in pair.client_events if isinstance(event, DataReceived))
    assert received(pair.client_events) == b"onetwo"


def test_the_clients_second_flight_leaves_whole() -> None:
    """RFC 8446, D.4. A ChangeCipherSpec sent alone, on ServerHello, would make Finished wait for its acknowledgement (Nagle)."""
    pair = make_pair()
    pair.server.receive_data(pair.client.data_to_send())
    flight = pair.server.data_to_send()
    first = 5 + int.from_bytes(flight[3:5])
    pair.client.receive_data(flight[:first])
    assert not pair.client.send_pending
    pair.client.receive_data(flight[first:])
    assert pair.client.handshake is not None
    assert pair.client.data_to_send()[:7] == b"\x14\x03\x03\x00\x01\x01\x17"
