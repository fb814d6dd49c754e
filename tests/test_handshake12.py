# SPDX-License-Identifier: Apache-2.0
"""TLS 1.2 handshakes between two real connections in memory; and both versions in one configuration (RFC 5246, 5077, 7627)."""

from __future__ import annotations

import time
from functools import cache

import pki
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
from tlsfast import (
    ApiMisuse,
    CipherSuite,
    ConnectionClosed,
    Credential,
    NamedGroup,
    SignatureScheme,
    TLSVersion,
    Truncated,
    crypto,
)
from tlsfast.events import ChangeCipherSpecSeen, FindSession, KeepSession, KeysChanged, MessageSeen, SecretDerived
from tlsfast.handshake import server12
from tlsfast.handshake.flow import Handshake
from tlsfast.messages.handshake import HELLO_RETRY_RANDOM, decode_message
from tlsfast.messages.handshake12 import CertificateStatus, NewSessionTicket12
from tlsfast.sessions import MemorySessionStore

V12, V13 = [TLSVersion.TLSv1_2], [TLSVersion.TLSv1_3]
BOTH = V13 + V12
STATIC_RSA = [CipherSuite.TLS_RSA_WITH_AES_128_GCM_SHA256, CipherSuite.TLS_RSA_WITH_AES_256_GCM_SHA384]
ECDHE = [suite for suite in crypto.SUITES12 if suite not in STATIC_RSA]
GROUPS = [NamedGroup.x25519, NamedGroup.secp256r1, NamedGroup.secp384r1]


@cache
def transport_credential() -> Credential:
    """An RSA certificate that may encipher keys."""
    usage = pki.key_usage(digital_signature=True, key_encipherment=True)
    leaf = pki.make_leaf(authority(), [NAME], key="rsa2048", usage=usage)
    return Credential.load(leaf.pem, leaf.key_pem)


def credential_for(suite: CipherSuite) -> Credential:
    if suite in STATIC_RSA:
        return transport_credential()
    return credential("rsa2048" if crypto.SUITES12[suite].auth == "rsa" else "p256")


def configs(
    suite: CipherSuite = ECDHE[0], client: dict[str, object] | None = None, server: dict[str, object] | None = None
) -> tuple[tlsfast.ClientConfig, tlsfast.ServerConfig]:
    shared: dict[str, object] = {"versions": V12, "cipher_suites": [suite]}
    return (
        client_config(**{**shared, **(client or {})}),
        server_config(**{**shared, "credentials": [credential_for(suite)], **(server or {})}),
    )


def exchange(pair: Pair, up: bytes = b"u" * 40_000, down: bytes = b"d" * 40_000) -> None:
    pair.client.send_data(up)
    pair.server.send_data(down)
    pair.run()
    assert received(pair.server_events).endswith(up)
    assert received(pair.client_events).endswith(down)


@pytest.mark.parametrize("suite", ECDHE)
@pytest.mark.parametrize("group", GROUPS)
def test_every_ecdhe_suite_and_group(suite: CipherSuite, group: NamedGroup) -> None:
    # RFC 8422, 5.3: the client must name the curve of the certificate, too
    named = list(dict.fromkeys((group, NamedGroup.secp256r1)))
    pair = shake(*configs(suite, {"groups": named}, {"groups": [group]}))
    for completed in (pair.client_completed(), pair.server_completed()):
        assert (completed.version, completed.cipher_suite, completed.group) == (TLSVersion.TLSv1_2, suite, group)
        assert completed.server_name == NAME
    assert pair.client_completed().verified_chain[-1] == authority().der
    exchange(pair)


def test_a_certificate_on_a_curve_that_the_client_does_not_name_is_not_chosen() -> None:
    """RFC 8422, 5.1: unable to restrict itself to the enumerated curves, a server MUST NOT negotiate an ECC suite with it."""
    client = client_config(versions=V12, groups=["x25519", "secp256r1"])
    both = [credential("p384"), credential("rsa2048")]
    pair = shake(client, server_config(versions=V12, credentials=both))
    assert crypto.SUITES12[pair.client_completed().cipher_suite].auth == "rsa"
    assert not make_pair(client, server_config(versions=V12, credentials=both[:1])).run().complete
    shake(client, server_config(versions=V12, credentials=[credential("ed25519")]))


def test_the_scheme_that_the_server_signed_with_is_told_to_both() -> None:
    server = server_config(versions=V12, credentials=[credential("p384")], client_auth="required", trust=trust())
    pair = shake(client_config(versions=V12, credentials=[client_credential("rsa2048")]), server)
    for completed in (pair.client_completed(), pair.server_completed()):
        assert completed.signature_scheme is SignatureScheme.ecdsa_secp384r1_sha384


@pytest.mark.parametrize("suite", STATIC_RSA)
def test_static_rsa(suite: CipherSuite) -> None:
    pair = shake(*configs(suite))
    assert pair.client_completed().cipher_suite is suite
    assert pair.client_completed().group is None
    exchange(pair)


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048", "rsapss2048", "ed25519"])
@pytest.mark.parametrize("mode", ["required", "optional"])
def test_every_key_and_client_certificate(key: str, mode: str) -> None:
    server = server_config(versions=V12, credentials=[credential(key)], client_auth=mode, trust=trust())
    client = client_config(versions=V12, credentials=[client_credential(key)])
    pair = shake(client, server)
    assert pair.server_completed().peer_chain == client_credential(key).chain
    exchange(pair)
    again = shake(client, server)
    assert again.server_completed().resumed
    assert again.server_completed().peer_chain == client_credential(key).chain


def test_optional_and_required_without_a_certificate() -> None:
    shake(client_config(versions=V12), server_config(versions=V12, client_auth="optional", trust=trust()))
    server = server_config(versions=V12, client_auth="required", trust=trust())
    pair = make_pair(client_config(versions=V12), server).run()
    assert isinstance(pair.client_error, tlsfast.AlertReceived)
    assert pair.client_error.description is tlsfast.AlertDescription.handshake_failure


@pytest.mark.parametrize("size", [1, 5, 100])
def test_any_chunking(size: int) -> None:
    exchange(shake(*configs(), chunks=by(size)), b"a" * 20_000, b"b" * 20_000)


@pytest.mark.parametrize("client", [V12, V13, BOTH])
@pytest.mark.parametrize("server", [V12, V13, BOTH])
def test_the_newest_version_in_common(client: list[TLSVersion], server: list[TLSVersion]) -> None:
    pair = make_pair(client_config(versions=client), server_config(versions=server)).run()
    common = [version for version in client if version in server]
    if not common:
        assert isinstance(pair.client_error, tlsfast.TLSError)
        assert "protocol_version" in str(pair.client_error)
        return
    assert pair.complete
    assert pair.client_completed().version is max(common)


# ---- Resumption ----


@pytest.mark.parametrize("suite", [ECDHE[0], STATIC_RSA[0]])
def test_resumption_by_ticket(suite: CipherSuite) -> None:
    client, server = configs(suite)
    first = shake(client, server)
    for _ in range(3):
        again = shake(client, server)
        assert again.client_completed().resumed
        assert again.server_completed().resumed
        assert again.client_completed().verified_chain == first.client_completed().verified_chain
        exchange(again)


def test_resumption_by_session_id() -> None:
    client, server = configs(server={"tickets": None})
    assert not shake(client, server).client_completed().resumed
    for _ in range(3):
        again = shake(client, server)
        assert again.client_completed().resumed
        exchange(again)


def test_no_ticket_and_no_store_no_resumption() -> None:
    client, server = configs(server={"tickets": None, "session_store": None})
    shake(client, server)
    assert not shake(client, server).client_completed().resumed


def test_the_store_is_bounded_and_forgets() -> None:
    now = [0.0]
    store = MemorySessionStore(size=2, clock=lambda: now[0])
    for number in range(3):
        store.put(bytes([number]), b"sealed", 10)
    assert store.get(b"\0") is None
    assert store.get(b"\2") == b"sealed"
    now[0] = 10
    assert store.get(b"\2") is None


def test_a_store_may_be_asked_by_an_event() -> None:
    """What KeepSession gave to keep, FindSession asks for: a session then resumes by its id."""
    client, server = configs(server={"tickets": None, "session_store": tlsfast.ASK})
    kept: dict[bytes, bytes] = {}
    for resumed in (False, True, True):
        pair = make_pair(client, server).run()
        while isinstance(request := pair.server.question, KeepSession | FindSession):
            if isinstance(request, KeepSession):
                assert 0 < request.lifetime <= 7200
                kept[request.session_id] = request.sealed
            found = kept.get(request.session_id) if isinstance(request, FindSession) else None
            pair.server_events += pair.server.answer(request, found)
            pair.run()
        assert pair.complete and len(kept) == 1
        assert pair.client_completed().resumed is pair.server_completed().resumed is resumed
        exchange(pair)


@pytest.mark.parametrize("answer", [None, b"", b"not what was kept", bytes(300)], ids=repr)
def test_a_store_that_answers_something_else_makes_a_full_handshake(answer: bytes | None) -> None:
    client, server = configs(server={"tickets": None, "session_store": tlsfast.ASK})
    for _ in range(2):
        pair = make_pair(client, server).run()
        while isinstance(request := pair.server.question, KeepSession | FindSession):
            pair.server_events += pair.server.answer(request, answer if isinstance(request, FindSession) else None)
            pair.run()
        assert pair.complete and not pair.server_completed().resumed


def test_the_lifetime_hint_of_a_renewed_ticket_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewed ticket keeps its session's time of issue: the whole lifetime would promise more than the server keeps."""
    client, server = configs()
    hints: list[int] = []
    now = time.time()
    for elapsed in (0, 3000, 7000):
        monkeypatch.setattr(time, "time", lambda elapsed=elapsed: now + elapsed)
        seen: list[object] = []
        shake(client.replace(observer=seen.append, session_cache=client.sessions), server)
        tickets = [
            each.message
            for each in seen
            if isinstance(each, MessageSeen) and isinstance(each.message, NewSessionTicket12)
        ]
        hints.append(tickets[0].lifetime_hint)
    assert hints == [7200, 4200, 200]


def test_sessions_do_not_cross_versions() -> None:
    """A TLS 1.3 ticket in a TLS 1.2 ClientHello, and the reverse, is no ticket."""
    client, keys = client_config(versions=BOTH), tlsfast.TicketKeyring()
    old, new = server_config(versions=V12, tickets=keys), server_config(versions=V13, tickets=keys)
    for first, second in ((old, new), (new, old)):
        shake(client, first)
        assert not shake(client, second).client_completed().resumed
        assert client.sessions is not None
        client.sessions.clear()


def test_a_session_does_not_cross_virtual_hosts_of_one_keyring() -> None:
    keys = tlsfast.TicketKeyring()
    shared = {"versions": V12, "tickets": keys}
    strict = server_config(**shared, client_auth="required", trust=trust())
    client = client_config(versions=V12)
    shake(client, server_config(**shared))
    pair = make_pair(client, strict).run()
    assert not pair.complete


# ---- Extended master secret, renegotiation, exporters ----


def test_extended_master_secret_is_required_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = configs()
    lax_client = client.replace(require_extended_master_secret=False)
    lax_server = server.replace(require_extended_master_secret=False)
    without_extended_master_secret(monkeypatch)
    assert isinstance(make_pair(client, server).run().server_error, tlsfast.PeerError)
    pair = shake(lax_client, lax_server)
    exchange(pair)
    with pytest.raises(ApiMisuse, match="extended_master_secret"):
        pair.client.export_keying_material("label", b"", 32)
    assert shake(lax_client, lax_server).client_completed().resumed


def without_extended_master_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client from before RFC 7627."""
    import dataclasses

    from tlsfast.handshake import offer

    real = offer.hello_extensions
    monkeypatch.setattr(
        offer, "hello_extensions", lambda *given: dataclasses.replace(real(*given), extended_master_secret=False)
    )


def test_resuming_an_extended_session_without_the_extension_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    client, server = configs(
        client={"require_extended_master_secret": False}, server={"require_extended_master_secret": False}
    )
    shake(client, server)
    without_extended_master_secret(monkeypatch)
    pair = make_pair(client, server).run()
    assert isinstance(pair.client_error, tlsfast.AlertReceived)
    assert pair.client_error.description is tlsfast.AlertDescription.handshake_failure


def test_exporters_agree_and_a_context_differs_from_none() -> None:
    pair = shake(*configs())
    ours = pair.client.export_keying_material("EXPORTER-test", b"", 48)
    assert ours == pair.server.export_keying_material("EXPORTER-test", b"", 48)
    assert ours != pair.client.export_keying_material("EXPORTER-test", None, 48)


@pytest.mark.parametrize("kind", ["tls-unique", "tls-exporter", "tls-server-end-point"])
def test_channel_bindings_agree(kind: str) -> None:
    client, server = configs()
    for _ in range(2):  # a full handshake, then a resumed one
        pair = shake(client, server)
        binding = pair.client.channel_binding(kind)
        assert binding == pair.server.channel_binding(kind)
        assert len(binding) >= 12


def test_keys_cannot_be_updated() -> None:
    with pytest.raises(ApiMisuse):
        shake(*configs()).client.update_keys()


def test_the_usage_limit_ends_the_connection_in_an_orderly_way() -> None:
    pair = shake(*configs())
    pair.client._writer.set_usage_limit(3)
    with pytest.raises(ConnectionClosed, match="usage limit"):
        pair.client.send_data(b"x" * 16384 * 5)
    pair.run()
    assert any(isinstance(event, tlsfast.PeerClosed) for event in pair.server_events)


def test_close_is_answered_and_truncation_is_told() -> None:
    pair = shake(*configs())
    pair.client.close()
    pair.run()
    assert tlsfast.PeerClosed(clean=True) in pair.server_events
    assert tlsfast.PeerClosed(clean=True) in pair.client_events
    with pytest.raises(Truncated):
        shake(*configs()).server.receive_eof()


# ---- What is seen ----


def test_the_observer_sees_the_nine_steps() -> None:
    seen: list[object] = []
    client, server = configs(STATIC_RSA[0], {"observer": seen.append, "session_cache": None})
    shake(client, server)
    names = [type(each.message).__name__ for each in seen if isinstance(each, MessageSeen)]
    assert names == [
        "ClientHello",
        "ServerHello",
        "Certificate12",
        "ServerHelloDone",
        "ClientKeyExchange",
        "Finished12",
        "Finished12",
    ]
    assert [each.label for each in seen if isinstance(each, SecretDerived)] == ["CLIENT_RANDOM"]
    assert [each.sending for each in seen if isinstance(each, KeysChanged)] == [True, False]
    assert [each.sent for each in seen if isinstance(each, ChangeCipherSpecSeen)] == [True, False]


def test_key_log_lines_of_both_sides_are_the_same() -> None:
    ours: list[str] = []
    theirs: list[str] = []
    shake(*configs(client={"keylog": ours.append}, server={"keylog": theirs.append}))
    assert ours == theirs
    assert ours[0].split(" ")[0] == "CLIENT_RANDOM"
    assert len(bytes.fromhex(ours[0].split(" ")[2])) == 48


def test_record_size_limit_both_ways() -> None:
    pair = shake(*configs(client={"record_size_limit": 100}, server={"record_size_limit": 200}))
    exchange(pair, b"u" * 5000, b"d" * 5000)


def test_ocsp_staple_is_served_and_checked() -> None:
    leaf = pki.make_leaf(authority(), [NAME], must_staple=True)
    response = pki.ocsp_response(leaf)
    stapled = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=response)
    shake(*configs(server={"credentials": [stapled]}))
    pair = make_pair(*configs(server={"credentials": [Credential.load(leaf.pem, leaf.key_pem)]})).run()
    assert isinstance(pair.server_error, tlsfast.AlertReceived)
    assert pair.server_error.description is tlsfast.AlertDescription.bad_certificate_status_response


@pytest.mark.parametrize("client_auth", [None, "required"])
@pytest.mark.parametrize("stapled", [True, False])
def test_ocsp_staple_with_static_rsa(client_auth: str | None, stapled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no ServerKeyExchange that it could stand before; and a server that promised a staple need not send it (RFC 6066, 8)."""
    usage = pki.key_usage(digital_signature=True, key_encipherment=True)
    leaf = pki.make_leaf(authority(), [NAME], key="rsa2048", usage=usage)
    mine = Credential.load(leaf.pem, leaf.key_pem, ocsp_response=pki.ocsp_response(leaf))
    if not stapled:
        send = Handshake.send
        monkeypatch.setattr(Handshake, "send", lambda hs, m: None if isinstance(m, CertificateStatus) else send(hs, m))
    staples: list[bytes | None] = []
    server = {"credentials": [mine], "client_auth": client_auth, "trust": trust()}
    client = {"credentials": [client_credential()], "verify": lambda question: staples.append(question.ocsp_response)}
    pair = shake(*configs(STATIC_RSA[0], client, server))
    assert staples == [mine.ocsp_response if stapled else None]
    assert bool(pair.server_completed().peer_chain) is (client_auth is not None)
    exchange(pair)


def test_a_client_certificate_is_of_a_type_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5246, 7.4.6: its key MUST be compatible with certificate_types, whatever the signature algorithms are."""
    monkeypatch.setattr(server12, "CERTIFICATE_TYPES", b"\x01")
    client, server = configs(
        client={"credentials": [client_credential("p256"), client_credential("rsa2048")]},
        server={"client_auth": "required", "trust": trust()},
    )
    assert shake(client, server).server_completed().peer_chain == client_credential("rsa2048").chain


def test_a_session_without_extended_master_secret_is_not_offered_by_who_requires_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 7627, 5.2. The cache may be shared; the server would make a full handshake of it at best."""
    client, server = configs()
    lax = client.replace(require_extended_master_secret=False, session_cache=client.sessions)
    with monkeypatch.context() as patch:
        without_extended_master_secret(patch)
        shake(lax, server.replace(require_extended_master_secret=False, tickets=server.keyring))
    pair = make_pair(client, server)
    assert not decode_message(pair.client.data_to_send()[5:]).extensions.session_ticket


def test_a_client_of_tls_1_2_alone_was_answered_with_tls_1_3() -> None:
    """RFC 8446, 4.2: supported_versions was not offered."""
    for random in (bytes(32), HELLO_RETRY_RANDOM):
        client = tlsfast.ClientConnection(client_config(versions=V12), NAME)
        client.data_to_send()
        extensions = b"\x00\x2b\x00\x02\x03\x04"
        body = b"\x03\x03" + random + b"\x00" + b"\x13\x01\x00" + len(extensions).to_bytes(2) + extensions
        message = b"\x02" + len(body).to_bytes(3) + body
        with pytest.raises(tlsfast.errors.UnsupportedExtension, match="supported_versions"):
            client.receive_data(b"\x16\x03\x03" + len(message).to_bytes(2) + message)


def test_a_certificate_must_allow_the_exchange() -> None:
    """RFC 5246, 7.4.2: keyEncipherment for static RSA, digitalSignature for ECDHE."""
    signing = pki.make_leaf(authority(), [NAME], key="rsa2048", usage=pki.key_usage(digital_signature=True))
    loaded = Credential.load(signing.pem, signing.key_pem)
    pair = make_pair(*configs(STATIC_RSA[0], server={"credentials": [loaded]})).run()
    assert not pair.complete
    enciphering = pki.make_leaf(authority(), [NAME], key="rsa2048", usage=pki.key_usage(key_encipherment=True))
    loaded = Credential.load(enciphering.pem, enciphering.key_pem)
    assert not make_pair(*configs(ECDHE[3], server={"credentials": [loaded]})).run().complete
    shake(*configs(STATIC_RSA[0], server={"credentials": [loaded]}))


def test_static_rsa_is_never_on_by_default() -> None:
    assert not set(STATIC_RSA) & set(tlsfast.ClientConfig(trust=trust()).cipher_suites)


def test_a_version_without_a_suite_is_refused_if_named() -> None:
    with pytest.raises(ApiMisuse, match="no suite"):
        client_config(versions=BOTH, cipher_suites=["TLS_AES_128_GCM_SHA256"])
    assert tlsfast.ClientConfig(trust=trust(), cipher_suites=["TLS_AES_128_GCM_SHA256"]).versions == (V13[0],)


def test_sessions_end_with_the_chain() -> None:
    client, server = configs()
    shake(client, server)
    assert client.sessions is not None
    session = client.sessions.take(client.session_key(NAME), time.time())
    assert session is not None
    assert session.chain_expires_at is not None
    assert session.expires_at <= session.chain_expires_at
