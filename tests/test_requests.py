# SPDX-License-Identifier: Apache-2.0
"""The questions of a handshake: put to plain callables, or as events that the caller answers in its own time; and what threads may do meanwhile."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from pair import (
    NAME,
    Pair,
    client_config,
    client_credential,
    credential,
    make_pair,
    received,
    server_config,
    shake,
    trust,
)
from rogue import deliver, forge, records

from tlsfast import (
    ASK,
    AlertDescription,
    AlertReceived,
    ApiMisuse,
    ClientConfig,
    ClientConnection,
    Credential,
    DataReceived,
    HandshakeCompleted,
    PeerClosed,
    ServerConfig,
    ServerConnection,
    SignatureScheme,
    TLSError,
    TLSVersion,
    Truncated,
)
from tlsfast.connection import MAX_WAITING, Connection
from tlsfast.errors import AccessDenied, CertificateRevoked, InternalError, PeerError, UnknownCA, UnrecognizedName
from tlsfast.events import AlertSeen, ChooseConfig, Event, KeysUpdated, MessageSeen, Request, Sign, VerifyChain
from tlsfast.messages.handshake import ClientHello, KeyUpdate
from tlsfast.registry import ContentType

VERSIONS = [TLSVersion.TLSv1_3]


def outside(made: Credential | None = None, **options: Any) -> Credential:
    """A credential whose key is elsewhere: the connection asks for each signature."""
    return Credential.external((made or credential()).chain, **options)


def signed(request: Request, made: Credential | None = None) -> bytes:
    assert isinstance(request, Sign)
    return (made or credential()).sign(request.scheme, request.data)


def pair_of(client: dict[str, Any] | None = None, server: dict[str, Any] | None = None, **options: Any) -> Pair:
    return make_pair(
        client_config(versions=VERSIONS, **(client or {})),
        server_config(versions=VERSIONS, **(server or {})),
        **options,
    )


def asked(pair: Pair, who: str) -> Any:
    """Run until one side asks; the question, which came out as its newest event."""
    pair.run()
    side: Connection = getattr(pair, who)
    question = getattr(pair, f"{who}_events")[-1]
    assert isinstance(question, Request)
    assert side.question is question
    assert side.expecting == ()
    assert side.failure is None
    return question


def answer(pair: Pair, who: str, question: Request, value: object) -> list[Event]:
    events = getattr(pair, who).answer(question, value)
    getattr(pair, f"{who}_events").extend(events)
    pair.run()
    return events


def complete(pair: Pair) -> None:
    assert pair.complete, (pair.client.failure, pair.server.failure)
    assert pair.client.question is pair.server.question is None
    pair.client.send_data(b"up")
    pair.server.send_data(b"down")
    pair.run()
    assert (received(pair.server_events)[-2:], received(pair.client_events)[-4:]) == (b"up", b"down")


# ---- Sign ----


def test_a_server_asks_for_its_signature() -> None:
    pair = pair_of(server={"credentials": [outside()]})
    question = asked(pair, "server")
    assert isinstance(question, Sign)
    assert question.scheme is SignatureScheme.ecdsa_secp256r1_sha256
    assert question.data.startswith(b" " * 64 + b"TLS 1.3, server CertificateVerify\0")
    assert question.credential.chain == credential().chain
    assert question.data.hex() not in repr(question)
    assert pair.client.handshake is None
    answer(pair, "server", question, signed(question))
    assert pair.client_completed().peer_chain == credential().chain
    complete(pair)


def test_a_client_asks_for_its_signature() -> None:
    mine = client_credential()
    pair = pair_of({"credentials": [outside(mine)]}, {"client_auth": "required", "trust": trust()})
    question = asked(pair, "client")
    assert question.data.startswith(b" " * 64 + b"TLS 1.3, client CertificateVerify\0")
    answer(pair, "client", question, signed(question, mine))
    assert pair.server_completed().peer_chain == mine.chain
    complete(pair)


def test_both_sides_ask_all_they_can() -> None:
    mine = client_credential()
    pair = pair_of(
        {"credentials": [outside(mine)], "verify": ASK},
        {
            "credentials": [outside()],
            "client_auth": "required",
            "trust": trust(),
            "verify": ASK,
            "on_client_hello": ASK,
        },
    )
    order: list[tuple[str, str]] = []
    for _ in range(10):
        pair.run()
        for who in ("client", "server"):
            question = getattr(pair, who).question
            if question is None:
                continue
            order.append((who, type(question).__name__))
            value = signed(question, mine if who == "client" else None) if isinstance(question, Sign) else None
            answer(pair, who, question, value)
    # The server's first messages leave while it waits for its signature.
    assert order == [
        ("server", "ChooseConfig"),
        ("client", "VerifyChain"),
        ("server", "Sign"),
        ("client", "Sign"),
        ("server", "VerifyChain"),
    ]
    complete(pair)


def test_a_signer_that_is_called() -> None:
    calls: list[SignatureScheme] = []

    def sign(scheme: SignatureScheme, data: bytes) -> bytes:
        calls.append(scheme)
        return credential("rsa2048").sign(scheme, data)

    schemes = [SignatureScheme.rsa_pss_rsae_sha384]
    pair = pair_of(server={"credentials": [outside(credential("rsa2048"), sign=sign, schemes=schemes)]}).run()
    assert calls == schemes
    assert pair.client_completed().signature_scheme is SignatureScheme.rsa_pss_rsae_sha384
    complete(pair)


def failing(error: BaseException) -> Callable[..., Any]:
    def hook(*_: object) -> None:
        raise error

    return hook


def told(pair: Pair, who: str, alert: AlertDescription) -> None:
    """This side died of its own fault or decision, and the other was told."""
    side, other = (pair.client, pair.server) if who == "client" else (pair.server, pair.client)
    assert isinstance(side.failure, PeerError | InternalError)
    assert side.failure.alert is alert
    assert isinstance(other.failure, AlertReceived)
    assert other.failure.description is alert
    assert side.question is None
    assert side.handshake is None
    for call in (lambda: side.receive_data(b"x"), lambda: side.send_data(b"x")):
        with pytest.raises(type(side.failure)):
            call()


@pytest.mark.parametrize("value", [None, "a string", 7, bytearray(70), ["list"], False])
def test_an_answer_that_is_no_signature(value: object) -> None:
    pair = pair_of(server={"credentials": [outside()]})
    question = asked(pair, "server")
    with pytest.raises(InternalError, match=type(value).__name__):
        pair.server.answer(question, value)
    told(pair.run(), "server", AlertDescription.internal_error)


@pytest.mark.parametrize("signature", [b"", b"nonsense", bytes(72)])
def test_a_signature_that_is_wrong(signature: bytes) -> None:
    pair = pair_of(server={"credentials": [outside()]})
    answer(pair, "server", asked(pair, "server"), signature)
    told(pair, "client", AlertDescription.decrypt_error)


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize(
    ("error", "kind", "alert"),
    [
        (OSError("the HSM is gone"), InternalError, AlertDescription.internal_error),
        (KeyboardInterrupt(), InternalError, AlertDescription.internal_error),
        (ApiMisuse("no such slot"), InternalError, AlertDescription.internal_error),
        (AccessDenied("not for you", check="policy", depth=0), AccessDenied, AlertDescription.access_denied),
    ],
)
def test_a_signature_that_is_refused(
    who: str, error: BaseException, kind: type[TLSError], alert: AlertDescription
) -> None:
    mine = client_credential()
    pair = (
        pair_of(server={"credentials": [outside()]})
        if who == "server"
        else pair_of({"credentials": [outside(mine)]}, {"client_auth": "required", "trust": trust()})
    )
    question = asked(pair, who)
    with pytest.raises(kind) as caught:
        getattr(pair, who).answer(question, error)
    assert str(error) in str(caught.value)
    assert caught.value is not error
    assert error.__traceback__ is None, "the caller's exception keeps no frame of ours"
    told(pair.run(), who, alert)


def test_a_signer_that_raises() -> None:
    pair = pair_of(server={"credentials": [outside(sign=failing(OSError("the HSM is gone")))]})
    deliver(pair, "server", pair.client.data_to_send())
    assert isinstance(pair.server.failure, InternalError)
    assert "OSError: the HSM is gone" in str(pair.server.failure)
    told(pair.run(), "server", AlertDescription.internal_error)


# ---- ChooseConfig ----


def test_a_configuration_chosen_by_the_hello() -> None:
    other = credential(name="other.test")
    seen: list[object] = []
    chosen = server_config(
        versions=VERSIONS, credentials=[other], alpn=["h2"], observer=seen.append, on_client_hello=ASK
    )
    pair = make_pair(
        client_config(versions=VERSIONS, alpn=["h2"]),
        server_config(versions=VERSIONS, on_client_hello=ASK),
        "other.test",
    )
    question = asked(pair, "server")
    assert isinstance(question, ChooseConfig)
    assert isinstance(question.client_hello, ClientHello)
    assert question.client_hello.extensions.server_name == "other.test"
    answer(pair, "server", question, chosen)
    assert pair.client_completed().peer_chain == other.chain
    assert pair.client_completed().alpn == "h2"
    assert any(isinstance(each, MessageSeen) and each.sent for each in seen)  # its observer sees what follows
    complete(pair)


@pytest.mark.parametrize("hook", [ASK, lambda hello: None], ids=["asked", "called"])
def test_none_keeps_the_configuration(hook: Any) -> None:
    pair = pair_of(server={"on_client_hello": hook})
    if hook is ASK:
        answer(pair, "server", asked(pair, "server"), None)
    complete(pair.run())


@pytest.mark.parametrize("value", [7, "other", object(), client_config(), False])
@pytest.mark.parametrize("called", [True, False])
def test_what_is_no_server_configuration(value: object, called: bool) -> None:
    pair = pair_of(server={"on_client_hello": (lambda hello: value) if called else ASK})
    if called:
        pair.run()
    else:
        question = asked(pair, "server")
        with pytest.raises(InternalError, match=type(value).__name__):
            pair.server.answer(question, value)
    told(pair.run(), "server", AlertDescription.internal_error)


@pytest.mark.parametrize("called", [True, False])
@pytest.mark.parametrize(
    ("error", "alert"),
    [
        (UnrecognizedName("nobody of that name", name=NAME), AlertDescription.unrecognized_name),
        (LookupError("the database is gone"), AlertDescription.internal_error),
    ],
)
def test_a_hello_that_is_refused(error: Exception, alert: AlertDescription, called: bool) -> None:
    pair = pair_of(server={"on_client_hello": failing(error) if called else ASK})
    if called:
        pair.run()
    else:
        with pytest.raises(TLSError):
            pair.server.answer(asked(pair, "server"), error)
    told(pair.run(), "server", alert)
    assert str(error) in str(pair.server.failure)


def test_no_configuration_has_a_credential() -> None:
    config = ServerConfig(on_client_hello=ASK, keylog=None, versions=VERSIONS)
    pair = Pair(ClientConnection(client_config(versions=VERSIONS), NAME), ServerConnection(config))
    with pytest.raises(PeerError, match="on_client_hello chose no configuration"):
        pair.server.answer(asked(pair, "server"), None)
    told(pair.run(), "server", AlertDescription.handshake_failure)


# ---- VerifyChain ----


def test_a_client_asks_whether_to_accept() -> None:
    pair = pair_of({"verify": ASK})
    question = asked(pair, "client")
    assert isinstance(question, VerifyChain)
    assert question.chain == credential().chain
    assert question.name == NAME
    assert question.verified[0] == credential().chain[0]
    assert len(question.verified) == 2
    assert pair.client.handshake is None
    answer(pair, "client", question, None)
    complete(pair)


def test_without_verification_the_question_says_so() -> None:
    pair = pair_of({"verify": ASK, "insecure_skip_verification": True})
    question = asked(pair, "client")
    assert question.verified == ()
    answer(pair, "client", question, None)
    complete(pair)


def test_what_fails_verification_is_not_asked_about() -> None:
    calls: list[object] = []
    pair = make_pair(client_config(verify=calls.append), server_config(), "wrong.test").run()
    assert isinstance(pair.client.failure, PeerError)
    assert calls == []


REFUSALS: list[tuple[BaseException, type[TLSError], AlertDescription]] = [
    (ValueError("not on the list"), AccessDenied, AlertDescription.access_denied),
    (
        CertificateRevoked("by the list", check="own list", subject="", depth=0),
        CertificateRevoked,
        AlertDescription.certificate_revoked,
    ),
    (UnknownCA("pinned to another", check="pin", subject="", depth=0), UnknownCA, AlertDescription.unknown_ca),
    (InternalError("the list cannot be read"), InternalError, AlertDescription.internal_error),
]


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize("called", [True, False])
@pytest.mark.parametrize(("error", "kind", "alert"), REFUSALS)
def test_a_peer_that_is_refused(
    who: str, called: bool, error: BaseException, kind: type[TLSError], alert: AlertDescription
) -> None:
    """A hook that raises and an answer that is an exception mean the same."""
    verify = failing(error) if called else ASK
    client: dict[str, Any] = {"credentials": [client_credential()]}
    server: dict[str, Any] = {"client_auth": "required", "trust": trust()}
    (client if who == "client" else server)["verify"] = verify
    pair = pair_of(client, server)
    if called:
        pair.run()
    else:
        question = asked(pair, who)
        assert question.name == (NAME if who == "client" else None)
        with pytest.raises(kind):
            getattr(pair, who).answer(question, error)
        pair.run()
    side: Connection = getattr(pair, who)
    assert type(side.failure) is kind
    assert str(error) in str(side.failure)
    told(pair, who, alert)


@pytest.mark.parametrize("called", [True, False])
def test_false_is_a_refusal(called: bool) -> None:
    """Verify callbacks of other libraries answer with a truth value: False must not let anybody in."""
    pair = pair_of({"verify": (lambda question: False) if called else ASK})
    if called:
        pair.run()
    else:
        with pytest.raises(AccessDenied):
            pair.client.answer(asked(pair, "client"), False)
    told(pair.run(), "client", AlertDescription.access_denied)


def test_a_resumed_session_asks_the_server_again() -> None:
    client = client_config(versions=VERSIONS, credentials=[client_credential()])
    server = server_config(versions=VERSIONS, client_auth="required", trust=trust(), verify=ASK)
    pair = make_pair(client, server)
    answer(pair, "server", asked(pair, "server"), None)
    complete(pair)
    pair = make_pair(client, server)
    question = asked(pair, "server")
    assert question.chain == client_credential().chain
    answer(pair, "server", question, None)
    assert pair.server_completed().resumed
    complete(pair)
    pair = make_pair(client, server)
    with pytest.raises(AccessDenied):
        pair.server.answer(asked(pair, "server"), ValueError("no longer"))
    told(pair.run(), "server", AlertDescription.access_denied)


# ---- Answers that nobody waits for ----


def test_an_answer_to_no_question() -> None:
    pair = pair_of(server={"credentials": [outside()]})
    stray = Sign(SignatureScheme.ed25519, b"data")
    for side in (pair.client, pair.server):
        with pytest.raises(ApiMisuse):
            side.answer(stray, b"")
    question = asked(pair, "server")
    alike = Sign(question.scheme, question.data, question.credential)
    for request in (stray, alike):
        with pytest.raises(ApiMisuse):
            pair.server.answer(request, signed(question))
    with pytest.raises(ApiMisuse):
        pair.client.answer(question, signed(question))
    # The connection is unharmed.
    answer(pair, "server", question, signed(question))
    with pytest.raises(ApiMisuse):
        pair.server.answer(question, signed(question))
    complete(pair)


def test_a_second_answer_while_the_next_question_waits() -> None:
    pair = pair_of(server={"credentials": [outside()], "on_client_hello": ASK})
    first = asked(pair, "server")
    (second,) = answer(pair, "server", first, None)
    assert isinstance(second, Sign)
    with pytest.raises(ApiMisuse):
        pair.server.answer(first, None)
    answer(pair, "server", second, signed(second))
    complete(pair)


def test_an_answer_to_a_dead_connection() -> None:
    pair = pair_of({"verify": ASK})
    question = asked(pair, "client")
    with pytest.raises(Truncated):
        pair.client.receive_eof()
    for _ in range(2):
        with pytest.raises(Truncated):
            pair.client.answer(question, None)


def test_an_answer_after_close() -> None:
    """The flow would go on with keys that close has wiped."""
    for who, pair in (("client", pair_of({"verify": ASK})), ("server", pair_of(server={"on_client_hello": ASK}))):
        question = asked(pair, who)
        side: Connection = getattr(pair, who)
        side.close()
        assert side.answer(question, None) == []
        assert side.failure is None
        assert side.receive_data(b"whatever comes") == []
        pair.run()
        assert "close_notify" in str(pair.server.failure if who == "client" else pair.client.failure)


# ---- What comes meanwhile ----


def test_bytes_that_come_while_a_question_waits_are_kept() -> None:
    """One byte at a time; the rest of the flight, and data behind it, come out after the answer, in order."""
    pair = pair_of({"credentials": [client_credential()]}, {"client_auth": "required", "trust": trust(), "verify": ASK})
    deliver(pair, "server", pair.client.data_to_send())
    deliver(pair, "client", pair.server.data_to_send())
    pair.client.send_data(b"the first words")
    wire = pair.client.data_to_send()
    events: list[Event] = []
    for place in range(len(wire)):
        events += pair.server.receive_data(wire[place : place + 1])
    (question,) = events
    assert isinstance(question, VerifyChain)
    assert not pair.server.send_pending
    events = pair.server.answer(question, None)
    assert [type(event) for event in events] == [HandshakeCompleted, DataReceived]
    assert received(events) == b"the first words"


def test_what_is_wrong_in_bytes_that_were_kept_is_found_after_the_answer() -> None:
    def spoil(who: str, data: bytes) -> bytes:
        return data if who == "client" else data[:-1] + bytes((data[-1] ^ 1,))

    pair = pair_of({"verify": ASK, "record_size_limit": 500}, change=spoil)  # the flight takes several records
    question = asked(pair, "client")
    with pytest.raises(PeerError):
        pair.client.answer(question, None)
    told(pair.run(), "client", AlertDescription.bad_record_mac)


def test_a_close_that_was_kept_is_seen_after_the_answer() -> None:
    pair = pair_of({"verify": ASK})
    question = asked(pair, "client")
    pair.server.close()
    pair.run()
    assert pair.client.failure is None
    events = pair.client.answer(question, None)
    assert [type(event) for event in events] == [HandshakeCompleted, PeerClosed]


def test_bytes_that_wait_for_an_answer_are_bounded() -> None:
    """What is refused is not kept: asking again and again takes no memory, and the connection goes on unharmed."""
    pair = pair_of({"verify": ASK}, {"tickets": None})
    question = asked(pair, "client")
    held = pair.client._reader.buffered
    for _ in range(8):
        with pytest.raises(ApiMisuse, match="give these bytes again"):
            pair.client.receive_data(bytes(MAX_WAITING - held + 1))
    assert pair.client._reader.buffered == held < 1024
    # At the bound they are taken; here they are what the server goes on to send.
    pair.client.answer(question, None)
    deliver(pair, "server", pair.client.data_to_send())
    assert pair.complete
    pair = pair_of({"verify": ASK}, {"tickets": None})
    question = asked(pair, "client")
    held = pair.client._reader.buffered
    assert pair.client.receive_data(bytes(MAX_WAITING - held)) == []
    assert pair.client._reader.buffered == MAX_WAITING


# ---- Hooks that misbehave ----


def test_a_hook_that_closes_the_connection() -> None:
    """As another thread may: what the flow then finds wiped is no fault of ours."""
    client: list[ClientConnection] = []
    pair = pair_of({"verify": lambda _: client[0].close()})
    client.append(pair.client)
    pair.run()
    assert pair.client.failure is None
    assert pair.client.handshake is None
    assert "close_notify" in str(pair.server.failure)


@pytest.mark.parametrize("call", ["receive_data", "receive_eof", "answer"])
def test_a_hook_that_receives(call: str) -> None:
    """From inside a receiving call there is no second one."""
    caught: list[BaseException] = []
    client: list[ClientConnection] = []

    def verify(question: VerifyChain) -> None:
        arguments = {"receive_data": (b"x",), "receive_eof": (), "answer": (question, None)}[call]
        try:
            getattr(client[0], call)(*arguments)
        except ApiMisuse as error:
            caught.append(error)

    pair = pair_of({"verify": verify})
    client.append(pair.client)
    complete(pair.run())
    assert len(caught) == 1


def test_an_interrupt_while_receiving_ends_the_connection() -> None:
    """What was opened but not given out is lost: going on would leave a hole in the data."""

    def observe(seen: object) -> None:
        if isinstance(seen, MessageSeen) and isinstance(seen.message, KeyUpdate) and not seen.sent:
            raise KeyboardInterrupt

    pair = pair_of(server={"observer": observe}).run()
    pair.client.send_data(b"a line")
    pair.client.update_keys()
    pair.client.send_data(b"and another")
    with pytest.raises(KeyboardInterrupt):
        pair.server.receive_data(pair.client.data_to_send())
    for call in (lambda: pair.server.receive_data(b""), lambda: pair.server.send_data(b"x")):
        with pytest.raises(InternalError, match="KeyboardInterrupt"):
            call()
    pair.run()
    assert isinstance(pair.client.failure, AlertReceived)
    assert pair.client.failure.description is AlertDescription.internal_error


def test_an_observer_that_raises_is_our_fault_and_keys_are_wiped_all_the_same() -> None:
    def observe(seen: object) -> None:
        raise ValueError("the disk is full")

    pair = pair_of(server={"observer": observe})
    with pytest.raises((InternalError, ValueError)):
        pair.server.receive_data(pair.client.data_to_send())
    assert isinstance(pair.server.failure, InternalError)
    pair.run()
    assert isinstance(pair.client.failure, AlertReceived)


@pytest.mark.parametrize("how", ["close", "die"])
def test_an_observer_that_raises_at_an_alert(how: str) -> None:
    def observe(seen: object) -> None:
        if isinstance(seen, AlertSeen) and seen.sent:
            raise ValueError("the disk is full")

    pair = pair_of(server={"observer": observe}).run()
    with pytest.raises(ValueError, match="disk"):
        if how == "close":
            pair.server.close()
        else:
            pair.server.receive_data(forge(pair.server, b"nonsense\x63"))
    pair.server.close()
    assert len(pair.server._writer.traffic_secret or b"") == 0
    assert len(records(pair.server.data_to_send())) == 1
    with pytest.raises(TLSError):
        pair.server.send_data(b"x")


# ---- Key updates ----


def test_several_requests_are_answered_once() -> None:
    """RFC 8446, 4.6.3: one answer, before the next data record; a peer that asks again and again while we are silent gets no more."""
    pair = pair_of(server={"tickets": None}).run()
    for _ in range(5):
        pair.client._writer.send(ContentType.handshake, KeyUpdate(1).encode())
        pair.client._writer.update_key()
    pair.client.send_data(b"and data")
    events = pair.server.receive_data(pair.client.data_to_send())
    assert [each for each in events if isinstance(each, KeysUpdated)] == [KeysUpdated(True)] * 5
    wire = pair.server.data_to_send()
    assert len(records(wire)) == 1
    pair.server.send_data(b"under the new key")
    events = pair.client.receive_data(wire + pair.server.data_to_send())
    assert events == [KeysUpdated(False), DataReceived(b"under the new key")]


def test_our_own_request_is_not_repeated_before_its_answer() -> None:
    """RFC 9846, 4.7.3."""
    pair = pair_of(server={"tickets": None}).run()
    for _ in range(3):
        pair.client.update_keys()
    events = pair.server.receive_data(pair.client.data_to_send())
    assert events == [KeysUpdated(True), KeysUpdated(False), KeysUpdated(False)]
    pair.client.receive_data(pair.server.data_to_send())
    pair.client.update_keys()
    assert pair.server.receive_data(pair.client.data_to_send()) == [KeysUpdated(True)]
    pair.client.update_keys(request_peer=False)
    assert pair.server.receive_data(pair.client.data_to_send()) == [KeysUpdated(False)]


def test_no_answer_after_close() -> None:
    pair = pair_of(server={"tickets": None}).run()
    pair.server.close()
    pair.server.data_to_send()
    pair.client.update_keys()
    assert pair.server.receive_data(pair.client.data_to_send()) == [KeysUpdated(True)]
    assert not pair.server.send_pending


# ---- Threads ----


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_one_thread_sends_while_another_receives_key_updates() -> None:
    """Wire order is sequence order: the peer opens everything, and each of its requests was answered."""
    pair = pair_of(server={"tickets": None}).run()
    pieces = [bytes((n % 251,)) * (1 + n * 37 % 20_000) for n in range(300)]
    errors: list[BaseException] = []

    def send() -> None:
        try:
            for piece in pieces:
                pair.client.send_data(piece)
        except BaseException as error:
            errors.append(error)

    sender = in_thread(send)
    arrived: list[bytes] = []
    requests, answered, fresh = 0, 0, False
    for _ in range(100_000):
        alive = sender.is_alive()
        wire = pair.client.data_to_send()
        if wire:
            for event in pair.server.receive_data(wire):
                if isinstance(event, DataReceived):
                    arrived.append(event.data)
                    fresh = True
                answered += isinstance(event, KeysUpdated)
            if fresh and answered == requests:  # no more requests than there is data between them: they are bounded
                fresh = False
                pair.server.update_keys()
                pair.server.send_data(b"news")
                requests += 1
        pair.client.receive_data(pair.server.data_to_send())
        if not alive and not wire and not pair.client.send_pending:
            break
    sender.join(30)
    assert errors == []
    assert b"".join(arrived) == b"".join(pieces)
    assert requests > 0
    assert answered == requests


def test_several_threads_send() -> None:
    pair = pair_of(server={"tickets": None}).run()

    def send(number: int) -> None:
        for count in range(50):
            pair.client.send_data(bytes((number,)) * 100)
            if count % 10 == 0:
                pair.client.update_keys(request_peer=False)

    threads = [in_thread(functools.partial(send, number)) for number in range(4)]
    for thread in threads:
        thread.join(30)
    events = pair.server.receive_data(pair.client.data_to_send())
    data = received(events)
    assert len(data) == 4 * 50 * 100
    assert [data.count(number) for number in range(4)] == [5000] * 4
    assert all(len(set(data[start : start + 100])) == 1 for start in range(0, len(data), 100))


@pytest.mark.parametrize("call", ["receive_data", "receive_eof", "answer"])
def test_a_second_receiver_is_told_so(call: str) -> None:
    entered, leave = threading.Event(), threading.Event()

    def verify(question: VerifyChain) -> None:
        entered.set()
        assert leave.wait(30)

    pair = pair_of({"verify": verify})
    deliver(pair, "server", pair.client.data_to_send())
    flight = pair.server.data_to_send()
    first = in_thread(lambda: deliver(pair, "client", flight))
    assert entered.wait(30)
    question = VerifyChain((), None)
    arguments = {"receive_data": (b"x",), "receive_eof": (), "answer": (question, None)}[call]
    with pytest.raises(ApiMisuse, match="another thread"):
        getattr(pair.client, call)(*arguments)
    # Sending has its own lock: here it is too early, but it does not wait.
    with pytest.raises(ApiMisuse, match="HandshakeCompleted"):
        pair.client.send_data(b"x")
    leave.set()
    first.join(30)
    assert pair.client.failure is None
    complete(pair.run())


def test_another_thread_closes_in_mid_handshake() -> None:
    entered, leave = threading.Event(), threading.Event()

    def verify(question: VerifyChain) -> None:
        entered.set()
        assert leave.wait(30)

    pair = pair_of({"verify": verify})
    deliver(pair, "server", pair.client.data_to_send())
    flight = pair.server.data_to_send()
    first = in_thread(lambda: deliver(pair, "client", flight))
    assert entered.wait(30)
    pair.client.close()
    leave.set()
    first.join(30)
    assert pair.client.failure is None
    assert pair.client.handshake is None
    pair.run()
    assert "close_notify" in str(pair.server.failure)


def test_a_connection_fails_under_a_sending_thread() -> None:
    """The sender learns why; nothing is sealed after the alert."""
    for _ in range(20):
        fail_under_a_sending_thread(pair_of(server={"tickets": None}).run())


def fail_under_a_sending_thread(pair: Pair) -> None:
    raised: list[BaseException] = []
    started = threading.Event()

    def send() -> None:
        try:
            for _ in range(100_000):
                pair.client.send_data(b"x" * 500)
                started.set()
        except BaseException as error:
            raised.append(error)

    sender = in_thread(send)
    assert started.wait(30)
    with pytest.raises(PeerError):
        pair.client.receive_data(forge(pair.client, bytes(8)))
    sender.join(30)
    assert [type(error) for error in raised] == [type(pair.client.failure)]
    pair.run()
    assert isinstance(pair.server.failure, AlertReceived)
    assert pair.server.failure.description is AlertDescription.unexpected_message
    assert set(received(pair.server_events)) == {ord("x")}


def test_configurations_are_shared_by_threads() -> None:
    client, server = client_config(versions=VERSIONS), server_config(versions=VERSIONS)
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                complete(shake(client, server))
        except BaseException as error:
            failed.append(error)

    threads = [in_thread(work) for _ in range(4)]
    for thread in threads:
        thread.join(60)
    assert failed == []


def test_the_types_of_configurations_are_checked() -> None:
    with pytest.raises(ApiMisuse):
        ClientConnection(server_config(), NAME)
    with pytest.raises(ApiMisuse):
        ServerConnection(client_config())
    assert isinstance(client_config(), ClientConfig)
