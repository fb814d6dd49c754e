# SPDX-License-Identifier: Apache-2.0
"""What outlives what: secrets after a close, a cancel and a failure; sessions after a failure; verification through renewals; hooks with connections
of their own."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator

import pytest
from pair import Pair, client_config, client_credential, make_pair, server_config, shake, trust

import tlsfast
from tlsfast import ASK, TLSVersion, crypto, keyshare, record
from tlsfast.connection import Connection
from tlsfast.errors import AccessDenied, AlertReceived, ConnectionClosed, InternalError, NotTLS, TLSError, Truncated
from tlsfast.events import KeysChanged, MessageSeen, SecretDerived, VerifyChain
from tlsfast.messages.handshake import ClientHello, KeyUpdate
from tlsfast.messages.handshake12 import HelloRequest
from tlsfast.registry import AlertDescription, ContentType
from tlsfast.sessions import SEVEN_DAYS, MemorySessionStore, SessionCache, TicketKeyring

V12, V13 = [TLSVersion.TLSv1_2], [TLSVersion.TLSv1_3]
VERSIONS = pytest.mark.parametrize("versions", [V12, V13], ids=["1.2", "1.3"])


@pytest.fixture
def alive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """How many Secrets and key schedules made in this test are alive and hold something."""
    made: list[weakref.ref[Tracked] | weakref.ref[TrackedSchedule]] = []

    class Tracked(crypto.Secret):
        __slots__ = ("__weakref__",)

        def __init__(self) -> None:
            super().__init__()
            made.append(weakref.ref(self))

    class TrackedSchedule(crypto.KeySchedule):
        __slots__ = ("__weakref__",)

        def __init__(self, suite: crypto.Suite) -> None:
            super().__init__(suite)
            made.append(weakref.ref(self))

    monkeypatch.setattr(crypto, "Secret", Tracked)
    monkeypatch.setattr(keyshare, "Secret", Tracked)
    monkeypatch.setattr(crypto, "KeySchedule", TrackedSchedule)

    def count() -> int:
        gc.collect()
        return sum(secret is not None and len(secret) > 0 for secret in (each() for each in made))

    yield count


def without_resumption(
    versions: list[TLSVersion], **client: object
) -> tuple[tlsfast.ClientConfig, tlsfast.ServerConfig]:
    return (
        client_config(versions=versions, session_cache=None, **client),
        server_config(versions=versions, tickets=None, session_store=None),
    )


# ---- Secrets ----


@VERSIONS
def test_no_secret_outlives_the_close_of_both_sides(versions: list[TLSVersion], alive: Callable[[], int]) -> None:
    pair = shake(*without_resumption(versions))
    before = alive()
    assert before > 0
    pair.client.close()
    pair.server.close()
    pair.run()
    kept = [pair.client, pair.server]
    assert alive() == 0
    for side in kept:
        assert side.handshake is not None
        with pytest.raises(ConnectionClosed, match="wiped"):
            side.export_keying_material("label", b"", 32)
        with pytest.raises(ConnectionClosed, match="wiped"):
            side.channel_binding("tls-exporter")


def test_a_half_closed_connection_still_exports() -> None:
    pair = shake()
    pair.client.close()
    pair.run()
    assert pair.client.export_keying_material("l", b"", 32) == pair.server.export_keying_material("l", b"", 32)


@VERSIONS
@pytest.mark.parametrize("who", ["client", "server"])
def test_no_secret_outlives_a_close_in_mid_handshake(
    versions: list[TLSVersion], who: str, alive: Callable[[], int]
) -> None:
    client, server = without_resumption(versions, **({"verify": ASK} if who == "client" else {}))
    pair = make_pair(client, server)
    pair.server.receive_data(pair.client.data_to_send())
    if who == "client":
        pair.client.receive_data(pair.server.data_to_send())
        assert isinstance(pair.client.question, VerifyChain)
    side: Connection = getattr(pair, who)
    del pair
    assert alive() > 0 or (who, versions) == ("client", V12)  # which has none before the key exchange
    side.close()
    assert alive() == 0 and side.expecting == ()
    assert side.receive_data(b"whatever comes") == [] and side.receive_eof() == []
    assert side.failure is None


def test_a_close_by_a_hook_in_mid_handshake_leaves_no_secret() -> None:
    """The flow is at work and cannot be closed: the call that receives does it as it ends."""
    sides: list[Connection] = []
    client = client_config(verify=lambda _: sides[0].close())
    pair = make_pair(client, server_config())
    sides.append(pair.client)
    pair.run()
    assert pair.client._flow is None and pair.client.failure is None


@VERSIONS
def test_an_error_of_a_hook_keeps_no_secret(versions: list[TLSVersion], alive: Callable[[], int]) -> None:
    """It is raised with its cause, whose traceback holds the frames of the flow: they hold nothing any more."""

    def fails(seen: object) -> None:
        if isinstance(seen, SecretDerived):
            raise ValueError("a bug of the observer")

    client, server = without_resumption(versions, observer=fails)
    pair = make_pair(client, server)
    with pytest.raises(InternalError) as caught:
        for _ in range(2):
            pair.server.receive_data(pair.client.data_to_send())
            pair.client.receive_data(pair.server.data_to_send())
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__cause__.__traceback__ is not None
    with pytest.raises(AlertReceived):
        pair.server.receive_data(pair.client.data_to_send())
    assert alive() == 0


def test_the_transcript_ends_with_the_handshake() -> None:
    """TLS 1.2 keeps the messages themselves for CertificateVerify: an idle connection has no more use of them."""
    pair = shake(client_config(versions=V12), server_config(versions=V12))
    for side in (pair.client, pair.server):
        assert side._hs.transcript._messages is None and side._hs.transcript._hash is None


# ---- Sessions of a connection that failed ----


def spoil(pair: Pair, who: str) -> None:
    """A record that does not open: one side alerts, the other hears it."""
    receiver: Connection = getattr(pair, who)
    with pytest.raises(TLSError):
        receiver.receive_data(bytes((ContentType.application_data, 3, 3, 0, 40)) + bytes(40))
    pair.run()
    assert pair.client.failure is not None and pair.server.failure is not None


@VERSIONS
@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize("resumed", [False, True])
def test_a_fatal_alert_ends_the_session(versions: list[TLSVersion], who: str, resumed: bool) -> None:
    """RFC 5246, 7.2.2: any connection terminated with a fatal alert MUST NOT be resumed; RFC 8446, 6."""
    client, server = client_config(versions=versions), server_config(versions=versions)
    shake(client, server)
    assert client.sessions is not None
    if not resumed:
        client.sessions.clear()
    pair = shake(client, server)
    assert pair.client_completed().resumed is resumed
    others = len(client.sessions) - (2 if versions is V13 and not resumed else 1)
    assert others == (1 if versions is V13 and resumed else 0)  # TLS 1.3: the first connection's second ticket
    spoil(pair, who)
    assert len(client.sessions) == others


@pytest.mark.parametrize("resumed", [False, True])
def test_the_servers_store_forgets_the_session_too(resumed: bool) -> None:
    store = MemorySessionStore()
    client, server = client_config(versions=V12), server_config(versions=V12, tickets=None, session_store=store)
    pair = shake(client, server)
    if resumed:
        pair = shake(client, server)
        assert pair.server_completed().resumed
    assert len(store._kept) == 1
    spoil(pair, "server")
    assert len(store._kept) == 0


def test_a_session_id_alone_does_not_make_the_server_forget() -> None:
    """Whoever saw it on the wire could end other people's sessions."""
    store = MemorySessionStore()
    client, server = client_config(versions=V12), server_config(versions=V12, tickets=None, session_store=store)
    shake(client, server)
    thief = make_pair(client, server)
    thief.server.receive_data(thief.client.data_to_send())
    with pytest.raises(TLSError):
        thief.server.receive_data(bytes((ContentType.handshake, 3, 3, 0, 4)) + bytes((99, 0, 0, 0)))
    assert len(store._kept) == 1


@VERSIONS
def test_a_cut_does_not_end_the_session(versions: list[TLSVersion]) -> None:
    """No alert was sent: the network's faults are not the peer's."""
    client, server = client_config(versions=versions), server_config(versions=versions)
    pair = shake(client, server)
    with pytest.raises(Truncated):
        pair.client.receive_eof()
    assert shake(client, server).client_completed().resumed


def test_who_may_take_a_session_out_does_not_keep_it_alive() -> None:
    cache = SessionCache()
    client = client_config(session_cache=cache)
    pair = shake(client, server_config(ticket_count=1))
    (taken,) = [cache.take(client.session_key("server.test"), time.time())]
    reference = weakref.ref(taken)
    del taken
    gc.collect()
    assert reference() is None and pair.client.failure is None


# ---- Verification ----


@VERSIONS
@pytest.mark.parametrize("who", ["client", "server"])
def test_the_hook_sees_resumed_sessions_too(versions: list[TLSVersion], who: str) -> None:
    """A resumed session skips no check that a full one makes; what the hook says may change."""
    asked: list[VerifyChain] = []
    refuse: list[bool] = []

    def verify(question: VerifyChain) -> None:
        asked.append(question)
        if refuse:
            raise ValueError("revoked meanwhile")

    client: dict[str, object] = {"credentials": [client_credential()]}
    server: dict[str, object] = {"client_auth": "required", "trust": trust()}
    (client if who == "client" else server)["verify"] = verify
    configs = client_config(versions=versions, **client), server_config(versions=versions, **server)
    shake(*configs)
    assert shake(*configs).client_completed().resumed
    first, again = asked
    assert (first.resumed, again.resumed) == (False, True)
    assert (first.chain, first.verified, first.name) == (again.chain, again.verified, again.name)
    refuse.append(True)
    pair = make_pair(*configs).run()
    assert isinstance(getattr(pair, who).failure, AccessDenied)
    other = pair.server if who == "client" else pair.client
    assert isinstance(other.failure, AlertReceived)
    assert other.failure.description is AlertDescription.access_denied


@pytest.mark.parametrize("answer", [False, 0, "", "yes", PermissionError, 1.0], ids=repr)
@pytest.mark.parametrize("called", [True, False])
def test_only_none_and_true_accept_a_peer(answer: object, called: bool) -> None:
    """An exception's class, given where one of its instances belongs, is the mistake that must not pass."""
    pair = make_pair(client_config(verify=(lambda _: answer) if called else ASK), server_config()).run()
    if not called:
        assert pair.client.question is not None
        with pytest.raises(AccessDenied):
            pair.client.answer(pair.client.question, answer)
    assert isinstance(pair.client.failure, AccessDenied)


@pytest.mark.parametrize("mutual", [False, True])
def test_a_verification_stands_for_seven_days_however_often_it_is_renewed(
    mutual: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RFC 8446, 4.6.1: it is RECOMMENDED to limit the total lifetime of keying material that began with one CertificateVerify.

    In TLS 1.2 a renewed ticket keeps its session's time of issue, so it never lives longer than the first."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    client = client_config(credentials=[client_credential()])
    server = server_config(
        tickets=TicketKeyring(SEVEN_DAYS // 2, lambda: now[0]),
        **({"client_auth": "required", "trust": trust()} if mutual else {}),
    )
    resumed = []
    for _ in range(6):
        resumed.append(shake(client, server).client_completed().resumed)
        now[0] += SEVEN_DAYS // 3
    assert resumed == [False, True, True, False, True, True] or resumed == [False, True, True, True, False, True]


# ---- Hooks that have connections of their own ----


@pytest.mark.parametrize(
    "error",
    [
        AlertReceived("theirs", description=AlertDescription.unknown_ca, waited=""),
        Truncated("theirs"),
        NotTLS("theirs", seen=b"220 mx"),
        tlsfast.HandshakeTimeout("theirs"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_hook_whose_own_connection_fails(error: TLSError) -> None:
    """What the peer of a hook did is not what our peer did: ours is told, and the error says that it was the hook."""

    def hook(_: object) -> None:
        raise error

    pair = make_pair(client_config(), server_config(on_client_hello=hook)).run()
    assert isinstance(pair.server.failure, InternalError) and "hook" in str(pair.server.failure)
    assert isinstance(pair.client.failure, AlertReceived)
    assert pair.client.failure.description is AlertDescription.internal_error


# ---- What the observer sees of key updates ----


def test_an_observer_sees_key_updates_both_ways() -> None:
    ours: list[object] = []
    theirs: list[object] = []
    pair = shake(client_config(observer=ours.append), server_config(observer=theirs.append))
    ours.clear(), theirs.clear()
    pair.client.update_keys()
    pair.run()
    for seen, first in ((ours, True), (theirs, False)):
        updates = [each for each in seen if isinstance(each, MessageSeen) and isinstance(each.message, KeyUpdate)]
        assert [each.sent for each in updates] == [first, not first]
        assert [each.sending for each in seen if isinstance(each, KeysChanged)] == [first, not first]


@pytest.mark.parametrize("step", ["update_keys", "send_data", "receive_data"])
def test_an_observer_that_raises_at_a_key_update_ends_the_connection(step: str) -> None:
    armed: list[bool] = []

    def observer(seen: object) -> None:
        if armed and isinstance(seen, KeysChanged) and seen.sending:
            raise ValueError("a bug of the observer")

    pair = shake(client_config(observer=observer), server_config())
    pair.client._writer.set_usage_limit(1)
    armed.append(True)
    if step == "receive_data":
        pair.server.update_keys()
        pair.server.send_data(b"before the answer")
        events = pair.client.receive_data(pair.server.data_to_send())
        assert tlsfast.DataReceived(b"before the answer") in events
    else:
        with pytest.raises(InternalError, match="a bug of the observer"):
            pair.client.update_keys() if step == "update_keys" else pair.client.send_data(bytes(40_000))
    assert isinstance(pair.client.failure, InternalError)
    pair.run()
    assert isinstance(pair.server.failure, AlertReceived)


# ---- TLS 1.2: who asks to renegotiate ----


@pytest.mark.parametrize("who", ["client", "server"])
def test_only_the_peers_own_message_asks_to_renegotiate(who: str) -> None:
    """A HelloRequest is a server's, a ClientHello a client's: the other way round it is no request that a warning would answer."""
    pair = shake(client_config(versions=V12), server_config(versions=V12))
    sender, receiver = (pair.client, pair.server) if who == "client" else (pair.server, pair.client)
    wrong = (
        HelloRequest()
        if who == "client"
        else ClientHello(random=bytes(32), cipher_suites=(1,), extensions=NO_EXTENSIONS)
    )
    sender._writer.send(ContentType.handshake, wrong.encode())
    with pytest.raises(tlsfast.errors.UnexpectedMessage):
        receiver.receive_data(sender.data_to_send())


NO_EXTENSIONS = tlsfast.messages.extensions.ClientHelloExtensions()


# ---- One buffer a thread, many connections ----


@pytest.mark.parametrize("step", ["open", "open_data", "seal", "seal_data"])
def test_a_finalizer_may_use_another_connection_at_any_point(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector may run one, and a signal handler may come, between a call of the core and the copy of what it wrote."""
    pair, other = shake(), shake()
    wire = b""
    if step.startswith("open"):
        wire = pair.client.seal(b"for the server alone")
    name = f"_record_{step}"
    call = getattr(record, name)

    def interrupted(*arguments: object) -> object:
        code = call(*arguments)
        monkeypatch.setattr(record, name, call)
        other.client.send_data(b"X" * 1000)
        other.run()
        return code

    monkeypatch.setattr(record, name, interrupted)
    if step == "open":
        events = pair.server.receive_data(memoryview(wire))
    elif step == "open_data":
        events = pair.server.receive_data(wire)
    elif step == "seal":
        events = pair.server.receive_data(pair.client.seal(bytearray(b"for the server alone")))
    else:
        events = pair.server.receive_data(pair.client.seal(b"for the server alone"))
    assert events == [tlsfast.DataReceived(b"for the server alone")]
    assert getattr(record, name) is call
    assert tlsfast.DataReceived(b"X" * 1000) in other.server_events


# ---- Exporters, and what else is asked of a connection ----


@VERSIONS
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("", b"", 32), "label"),
        (("l" * 250, b"", 32), "label"),
        (("läbel", b"", 32), "ASCII"),
        (("label", b"", 0), "1 to 256"),
        (("label", b"", 257), "1 to 256"),
    ],
    ids=["empty", "long", "not ASCII", "nothing", "too much"],
)
def test_exporters_refuse_what_they_cannot_do(
    versions: list[TLSVersion], arguments: tuple[str, bytes, int], words: str
) -> None:
    pair = shake(client_config(versions=versions), server_config(versions=versions))
    with pytest.raises(tlsfast.ApiMisuse, match=words):
        pair.client.export_keying_material(*arguments)
    assert pair.client.export_keying_material("label", b"", 256) == pair.server.export_keying_material(
        "label", b"", 256
    )


def test_exporters_of_tls_1_2_refuse_its_own_labels_and_a_long_context() -> None:
    pair = shake(client_config(versions=V12), server_config(versions=V12))
    for label in ("client finished", "server finished", "master secret", "key expansion"):
        with pytest.raises(tlsfast.ApiMisuse, match="RFC 5705"):
            pair.client.export_keying_material(label, None, 32)
    with pytest.raises(tlsfast.ApiMisuse, match="65535"):
        pair.client.export_keying_material("label", bytes(65536), 32)


@VERSIONS
def test_what_follows_close_notify_is_kept(versions: list[TLSVersion]) -> None:
    """A protocol that goes on in the clear may begin in the same segment."""
    pair = shake(client_config(versions=versions), server_config(versions=versions))
    pair.server.close()
    events = pair.client.receive_data(pair.server.data_to_send() + b"226 in the clear\r\n")
    assert events == [tlsfast.PeerClosed()] and pair.client.trailing_data == b"226 in the clear\r\n"
    pair.client.close()
    assert pair.client.trailing_data == b"226 in the clear\r\n"


def test_a_number_is_not_data() -> None:
    """bytes(5) is five zeros."""
    pair = make_pair()
    with pytest.raises(TypeError):
        pair.server.receive_data(5)
    assert pair.run().complete
