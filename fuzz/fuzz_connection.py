# SPDX-License-Identifier: Apache-2.0
"""Fuzzes whole connections: a real client against a hostile server, or a real server against a hostile client, as the input's script says.

The hostile side is a connection of ours that goes on with the right keys while its messages and records are altered (hostile.py); or it is honest
and only the network is hostile. What must hold of the victim stands in guard.py; what must hold of the two together, here."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any, Literal

sys.path.insert(0, str(Path(__file__).parent))

import flights
from engine import Script, run
from flights import BY_ID, CLIENT, CREDENTIALS, GOOD, NAME, RING, TRUST, VERSIONS, WATCH_BY_ID, well
from guard import Guard
from hostile import Hostile

from tlsfast import (
    ASK,
    ChooseConfig,
    ClientConfig,
    ClientConnection,
    HandshakeCompleted,
    ServerConfig,
    ServerConnection,
    SessionCache,
    TLSError,
    VerifyChain,
    crypto,
)
from tlsfast.connection import Connection
from tlsfast.errors import (
    AccessDenied,
    BadRecordMac,
    ConnectionClosed,
    DecodeError,
    DecryptError,
    IllegalParameter,
    NotTLS,
    RecordOverflow,
    Truncated,
    UnexpectedMessage,
)

MAX_LEN = 512
MAX_STEPS = 48
MAX_PIECES = 700
SOME_VERSIONS = (VERSIONS, *((version,) for version in VERSIONS))
SUITES: tuple[dict[str, Any], ...] = (
    {},
    {"cipher_suites": ("TLS_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")},
    {"cipher_suites": ("TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256")},
    {"cipher_suites": ("TLS_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_128_GCM_SHA256")},
)
CLIENT_GROUPS: tuple[dict[str, Any], ...] = (
    {},
    {"groups": ("x25519", "secp256r1", "secp384r1"), "key_shares": ("secp256r1", "x25519")},
    {"groups": ("secp256r1",)},
)
# The last two ask most of these clients to try again (RFC 8446, 4.1.4).
SERVER_GROUPS: tuple[dict[str, Any], ...] = (
    {},
    {"groups": ("secp256r1", "x25519"), "retry_cookie": True},
    {"groups": ("secp384r1",)},
    {"groups": ("secp256r1",), "retry_cookie": True},
)
CLIENT_AUTH: tuple[Literal["optional", "required"] | None, ...] = (None, "optional", "required")
SESSIONS = (None, *flights.sessions())
# Only a record or a message that was changed on its way earns these.
DAMAGE = (BadRecordMac, DecodeError, DecryptError, IllegalParameter, NotTLS, RecordOverflow, UnexpectedMessage)


def client_config(script: Script, observer: Any) -> ClientConfig:
    """A client of the script's choice."""
    session, verify = script.pick(SESSIONS), script.below(4)
    config = ClientConfig(
        trust=TRUST,
        keylog=None,
        observer=observer,
        versions=script.pick(SOME_VERSIONS),
        alpn=script.pick(((), ("h2", "http/1.1"))),
        credentials=script.pick(((), (CLIENT,))),
        verify=ASK if verify == 1 else None,
        insecure_skip_verification=verify == 2,
        record_size_limit=script.pick((None, 64, 1000)),
        middlebox_compatibility=not script.below(2),
        request_ocsp=not script.below(2),
        require_extended_master_secret=not script.below(2),
        max_handshake_size=script.pick((128 * 1024, 2048)),
        session_cache=SessionCache(),
        fallback_scsv=script.below(8) == 7,
        **script.pick(SUITES),
        **script.pick(CLIENT_GROUPS),
    )
    if session is not None and config.sessions is not None:
        config.sessions.put(config.session_key(NAME), session)
    return config


def server_config(script: Script, observer: Any) -> tuple[ServerConfig, str]:
    """A server of the script's choice, and which credential it has."""
    if script.below(8) == 7:
        WATCH_BY_ID.to = observer
        return BY_ID, "staple"
    shown = script.pick(tuple(CREDENTIALS))
    client_auth = script.pick(CLIENT_AUTH)
    config = ServerConfig(
        credentials=(CREDENTIALS[shown],),
        trust=TRUST if client_auth else None,
        client_auth=client_auth,
        keylog=None,
        observer=observer,
        versions=script.pick(SOME_VERSIONS),
        alpn=script.pick(((), ("h2",))),
        verify=script.pick((None, ASK)),
        on_client_hello=script.pick((None, ASK)),
        record_size_limit=script.pick((None, 64, 1000)),
        tickets=script.pick((RING, None)),
        ticket_count=script.pick((2, 0)),
        strict_sni=bool(script.below(2)),
        early_data_budget=script.pick((16 * 1024, 300)),
        require_extended_master_secret=not script.below(2),
        max_handshake_size=script.pick((128 * 1024, 2048)),
        **script.pick(SUITES),
        **script.pick(SERVER_GROUPS),
    )
    return config, shown


class Play:
    """One run of a script."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.client_is_victim = not script.below(2)
        keys = not script.below(3)
        self.guard = guard = Guard(self._trusted)
        self.client = client_config(script, guard.note if self.client_is_victim else None)
        self.server, self.shown = server_config(script, None if self.client_is_victim else guard.note)

        def client() -> ClientConnection:
            return ClientConnection(self.client, NAME)

        def server() -> ServerConnection:
            return ServerConnection(self.server)

        guard.connection = client() if self.client_is_victim else server()
        self.hostile = Hostile(server if self.client_is_victim else client, script, keys=keys)

    def _trusted(self, seen: HandshakeCompleted) -> bool:
        """Whether the victim may complete with what it found."""
        config = self.client if self.client_is_victim else self.server
        if seen.version not in config.versions or seen.cipher_suite not in config.cipher_suites:
            return False
        if not self.client_is_victim:
            known = seen.peer_chain[:1] in ((), CLIENT.chain[:1])
            return known and (bool(seen.peer_chain) or self.server.client_auth != "required")
        if self.client.insecure_skip_verification:
            return True
        # A resumed session shows the server that it was made with; that it can be resumed is the proof.
        leaf = seen.peer_chain[0]
        shown = seen.resumed or (self.shown in GOOD and leaf == CREDENTIALS[self.shown].chain[0])
        return shown and seen.verified_chain[0] == leaf and seen.verified_chain[-1] == flights.CA.der

    # ---- Steps ----

    def play(self) -> None:
        """Follow the script, let both sides end what they can, and look at what came of it."""
        steps = (
            self.deliver,
            self.deliver,
            self.deliver_some,
            self.back,
            lambda: self.hostile.alter_message(self.script),
            lambda: self.hostile.edit_record(self.script),
            lambda: self.hostile.inject_plain(self.script),
            lambda: self.hostile.inject_protected(self.script),
            self.act_hostile,
            self.act_victim,
            self.answer,
            self.both,
        )
        for _ in range(MAX_STEPS):
            if not self.script.more:
                break
            self.script.pick(steps)()
        self.finish()

    def deliver(self) -> None:
        """Give the victim all that is on its way, in pieces of a size."""
        self.hostile.collect()
        wire, self.hostile.pending = b"".join(self.hostile.pending), []
        self._feed(wire, self.script.pick((0, 0, 1, 5, 100, 1024)))

    def deliver_some(self) -> None:
        """Give the victim a part."""
        self.hostile.collect()
        wire = b"".join(self.hostile.pending)
        size = self.script.below(1024)
        self.hostile.pending = [wire[size:]] if wire[size:] else []
        self._feed(wire[:size], 0)

    def _feed(self, wire: bytes, size: int) -> None:
        """In pieces of a size, 0 for all at once."""
        size = max(size or len(wire), len(wire) // MAX_PIECES + 1)
        for start in range(0, len(wire), size):
            self.guard.receive(wire[start : start + size])
            if self.guard.connection.failure is not None:  # once more, for good measure, but not a thousand times
                return self.guard.receive(wire[start + size :])
        return None

    def back(self) -> None:
        """Give the hostile side what the victim says."""
        self.hostile.receive(self.guard.take())

    def both(self) -> None:
        """A round trip."""
        self.back()
        self.deliver()
        self.back()

    def act_hostile(self) -> None:
        """The hostile side uses its connection as an application would."""
        theirs, kind = self.hostile.connection, self.script.below(5)
        if kind == 0:
            self.hostile.act(theirs.send_data, bytes(range(256)) * self.script.pick((1, 4, 70, 300)))
        elif kind == 1:
            self.hostile.act(theirs.send_data, self.script.text())
        elif kind == 2:
            for _ in range(self.script.pick((1, 2, 31, 32, 33, 40))):
                self.hostile.act(theirs.update_keys)
        elif kind == 3:
            self.hostile.act(theirs.close)
        else:
            self.hostile.touched = True
            self.guard.call(self.guard.connection.receive_eof)

    def act_victim(self) -> None:
        """The victim's application does something."""
        victim, guard, kind = self.guard.connection, self.guard, self.script.below(6)
        if kind == 0:
            guard.send(self.script.text())
        elif kind == 1:
            guard.send(bytes(self.script.pick((0, 1, 16384, 16385, 70000))))
        elif kind == 2:
            guard.call(victim.update_keys)
        elif kind == 3:
            guard.call(victim.close)
        elif kind == 4:
            guard.call(victim.export_keying_material, "EXPORTER-fuzz", None, 32)
        else:
            guard.call(victim.channel_binding, self.script.pick(("tls-exporter", "tls-server-end-point", "tls-unique")))

    def answer(self) -> None:
        """Answer the victim's question: well, or by refusing, or with what is no answer."""
        question, kind = self.guard.connection.question, self.script.below(4)
        if question is None:
            return
        if kind == 0 and isinstance(question, ChooseConfig):
            self.guard.answer(self.server.replace(ticket_count=1, record_size_limit=512))
        elif kind == 0:
            self.guard.answer(well(question))
        elif kind == 1:
            self.guard.answer(AccessDenied("refused by the script", check="fuzz", depth=0))
        else:
            # Of a VerifyChain nothing but an exception is an answer, and any exception refuses.
            self.guard.hook_failed |= not isinstance(question, VerifyChain)
            self.guard.answer(ValueError("a hook that fails") if kind == 2 else object())

    # ---- The end ----

    def finish(self) -> None:
        """Both sides go on by themselves until they are silent."""
        guard, victim = self.guard, self.guard.connection
        for _ in range(16):
            if victim.question is not None:
                guard.answer(well(victim.question))
            self.hostile.collect()
            wire = guard.take()
            if not wire and not self.hostile.pending and victim.question is None:
                break
            if wire:
                self.hostile.receive(wire)
            self.deliver()
        else:
            raise AssertionError("the two sides never fall silent")
        self.check_together()
        if victim.failure is None:
            guard.call(victim.receive_eof)
            closed = guard.closed_by_peer or (victim._closed and victim.handshake is None)
            assert closed or isinstance(victim.failure, Truncated), "a cut that is taken for a close"
        guard.check_dead()

    def check_together(self) -> None:
        """What the victim took is what its peer sent; and without keys a hostile network can break a connection, never bend it."""
        guard, hostile = self.guard, self.hostile
        assert hostile.writer.data.startswith(guard.received), "data that the peer did not send"
        if hostile.keys:
            return
        ours, theirs = guard.connection, hostile.connection
        if not hostile.touched and not guard.hook_failed:
            assert not isinstance(ours.failure, DAMAGE), f"{ours.failure!r}, and nothing was altered"
            refusal = theirs.failure
            assert not isinstance(refusal, DAMAGE), f"{refusal!r}, and nothing was altered"
        if ours.handshake is None or theirs.handshake is None:
            return
        for name in ("version", "cipher_suite", "group", "alpn", "resumed"):
            one, other = getattr(ours.handshake, name), getattr(theirs.handshake, name)
            assert one == other, f"{name}: {one} here, {other} there"
        best = next(each for each in self.server.versions if each in self.client.versions)
        assert ours.handshake.version is best, "talked down to an older version"
        secrets = [exported(each) for each in (ours, theirs)]
        assert None in secrets or secrets[0] == secrets[1], "the two sides have different secrets"


def exported(connection: Connection) -> bytes | None:
    """What it shares with its peer; None once it has forgotten."""
    try:
        return connection.export_keying_material("EXPORTER-fuzz", b"context", 32)
    except TLSError as error:
        assert connection.failure is not None or isinstance(error, ConnectionClosed), error
        return None


class _Random:
    """In place of the kernel's, for what is public: the same in each run, different in each call."""

    def __init__(self, seed: bytes) -> None:
        self.seed, self.count = seed, 0

    def __call__(self, length: int) -> bytes:
        self.count += 1
        return hashlib.shake_128(self.seed + self.count.to_bytes(4)).digest(length)


def one_input(data: bytes) -> None:
    """Play one script."""
    real, crypto.random_bytes = crypto.random_bytes, _Random(data)
    try:
        Play(Script(data)).play()
    finally:
        crypto.random_bytes = real


if __name__ == "__main__":
    run(one_input, max_len=MAX_LEN)
