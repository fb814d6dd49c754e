# SPDX-License-Identifier: Apache-2.0
"""What a handshake flow is made of: expect() and ask(), which yield to the driver, and Handshake, through which a flow acts on the connection."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload

from tlsfast import crypto
from tlsfast.config import ASK, Config
from tlsfast.crypto import KeySchedule, Secret, Suite
from tlsfast.errors import InternalError, UnexpectedMessage
from tlsfast.events import (
    ChangeCipherSpecSeen,
    Decided,
    HandshakeCompleted,
    KeysChanged,
    MessageSeen,
    Observation,
    Request,
    SecretDerived,
)
from tlsfast.handshake.transcript import Transcript
from tlsfast.messages.handshake import Expected, Message
from tlsfast.messages.joiner import HandshakeJoiner
from tlsfast.record import CHANGE_CIPHER_SPEC, RecordReader, RecordWriter
from tlsfast.registry import CipherSuite, ContentType, SignatureScheme, TLSVersion

M = TypeVar("M", bound=Expected)
N = TypeVar("N", bound=Expected)

Wanted = tuple[type[Expected], ...] | Request


class Exporter(Protocol):
    """Gives keying material bound to the connection."""

    def export(self, label: bytes, context: bytes | None, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Established:
    """What outlives a handshake: the flow's return value."""

    completed: HandshakeCompleted
    exporter: Exporter
    server_certificate: bytes | None


@dataclass(frozen=True, slots=True)
class Established13(Established):
    """What outlives a TLS 1.3 handshake: tickets need the resumption master secret."""

    schedule: KeySchedule
    chain_expires_at: float | None


@dataclass(frozen=True, slots=True)
class Established12(Established):
    """What outlives a TLS 1.2 handshake: first_finished is the verify_data of tls-unique (RFC 5929, 3)."""

    first_finished: bytes
    extended: bool  # extended_master_secret was used


Flow = Generator[Wanted, Any, Established]
T = TypeVar("T")
Step = Generator[Wanted, Any, T]


@overload
def expect(kind: type[M], /) -> Step[M]: ...
@overload
def expect(kind: type[M], other: type[N], /) -> Step[M | N]: ...
@overload
def expect(*kinds: type[Any]) -> Step[Any]: ...
def expect(*kinds: type[Any]) -> Step[Any]:
    """Wait for one of these messages; the driver refuses any other and adds it to the transcript."""
    return (yield kinds)


def ask(request: Request) -> Step[Any]:
    """Put a question to the configuration's callable, or through an event to the caller; the answer comes back."""
    return (yield request)


def asks(hook: object) -> bool:
    """Whether a hook's answer comes from outside: ASK, or a coroutine function, which only a caller with an event loop can run."""
    return (
        hook is ASK
        or inspect.iscoroutinefunction(hook)
        or (callable(hook) and inspect.iscoroutinefunction(type(hook).__call__))
    )


class Handshake:
    """A flow's hands: it sends messages, changes keys and tells the observer. The driver (driver.py) makes one a connection."""

    __slots__ = (
        "_flight",
        "_undo",
        "client_random",
        "client_scheme",
        "config",
        "early_change_cipher_spec",
        "joiner",
        "observers",
        "reader",
        "server_name",
        "transcript",
        "version",
        "writer",
    )

    def __init__(self, config: Config, reader: RecordReader, writer: RecordWriter, joiner: HandshakeJoiner) -> None:
        self.config = config
        self.reader = reader
        self.writer = writer
        self.joiner = joiner
        self.transcript = Transcript()
        self.observers: tuple[Callable[[Observation], object], ...] | None = config.observers or None
        self.client_random = b""
        self.client_scheme: SignatureScheme | None = None  # by which the client showed that it holds its key
        self.server_name: str | None = None
        self.version: TLSVersion | None = None
        self.early_change_cipher_spec = False  # one came before the version was known
        self._flight: list[bytes] = []
        self._undo: list[Callable[[], object]] = []

    def use_config(self, config: Config) -> None:
        """Go on with another configuration, chosen by on_client_hello."""
        if not isinstance(config, type(self.config)):
            raise InternalError(f"on_client_hello answered {type(config).__name__}, not a {type(self.config).__name__}")
        self.config = config
        self.observers = config.observers or None

    # ---- What a failure takes back ----

    def kept(self, undo: Callable[[], object]) -> None:
        """A session of this connection was kept; undo forgets it."""
        self._undo.append(undo)

    def forget_sessions(self) -> None:
        """RFC 5246, 7.2.2: any connection terminated with a fatal alert MUST NOT be resumed; RFC 8446, 6: tickets' PSKs SHOULD be discarded."""
        undo, self._undo = self._undo, []
        for each in undo:
            try:
                each()
            except Exception as error:  # a store on another machine that is away: the alert goes out all the same
                self.decided("session store failed", error)

    # ---- Sending ----

    def send(self, message: Message) -> None:
        """Encode a message, add it to the transcript and to the flight, which leaves coalesced (RFC 8446, 5.1)."""
        self.send_encoded(message, message.encode())

    def send_encoded(self, message: Message, raw: bytes) -> None:
        self.transcript.add(raw)
        self._flight.append(raw)
        if self.observers is not None:
            self.observe(MessageSeen(True, message, raw))

    def send_unhashed(self, message: Message) -> None:
        """Send a post-handshake message, which is no part of the transcript."""
        raw = message.encode()
        self._flight.append(raw)
        if self.observers is not None:
            self.observe(MessageSeen(True, message, raw))

    def flush(self) -> None:
        """Put the flight into records under the present key."""
        if self._flight:
            flight, self._flight = self._flight, []
            self.writer.send(ContentType.handshake, b"".join(flight))

    def send_change_cipher_spec(self) -> None:
        """RFC 8446, D.4: a dummy ChangeCipherSpec makes the handshake look like a resumed TLS 1.2 one to middleboxes."""
        self.flush()
        self.writer.queue(CHANGE_CIPHER_SPEC)
        if self.observers is not None:
            self.observe(ChangeCipherSpecSeen(True))

    # ---- Keys ----

    def read_with(self, schedule: KeySchedule, secret: int, epoch: str) -> None:
        """Receive under this traffic secret of the schedule from the next record on."""
        # RFC 8446, 5.1: Handshake messages MUST NOT span key changes ... MUST terminate the connection with an "unexpected_message" alert
        if not self.joiner.empty:
            raise UnexpectedMessage("a handshake message follows, in the same record, one after which the keys change")
        self.reader.use(schedule, secret)
        self._keys_changed(False, epoch, schedule.suite)

    def write_with(self, schedule: KeySchedule, secret: int, epoch: str) -> None:
        """Send under this traffic secret of the schedule from here on: alerts too."""
        self.flush()
        self.writer.use(schedule, secret)
        self._keys_changed(True, epoch, schedule.suite)

    def read_with12(self, number: CipherSuite, key_block: Secret, *, client: bool) -> None:
        """TLS 1.2, at the peer's ChangeCipherSpec: receive under its keys of the key block."""
        if not self.joiner.empty:
            raise UnexpectedMessage("ChangeCipherSpec came in the middle of a handshake message")
        self.reader.set_key12(crypto.SUITES12[number].aead, key_block, client=client)
        if self.observers is not None:
            self.observe(KeysChanged(False, "application", number))

    def write_with12(self, number: CipherSuite, key_block: Secret, *, client: bool) -> None:
        """TLS 1.2, after our ChangeCipherSpec: send under our keys of the key block."""
        self.flush()
        self.writer.set_key12(crypto.SUITES12[number].aead, key_block, client=client)
        if self.observers is not None:
            self.observe(KeysChanged(True, "application", number))

    def keys_updated(self, sending: bool) -> None:
        """TLS 1.3: the next generation of one side's application key."""
        suite = self.writer.suite if sending else self.reader.suite
        if suite is not None:
            self._keys_changed(sending, "application", suite)

    def _keys_changed(self, sending: bool, epoch: str, suite: Suite) -> None:
        if self.observers is not None:
            number = next(number for number, each in crypto.SUITES.items() if each == suite)
            self.observe(KeysChanged(sending, epoch, CipherSuite(number)))

    def use_version(self, version: TLSVersion) -> None:
        """The version is known: messages are decoded as its own from here on."""
        if version is TLSVersion.TLSv1_2 and self.early_change_cipher_spec:
            # CVE-2014-0224: in TLS 1.2 a ChangeCipherSpec may come at one point only
            raise UnexpectedMessage("a ChangeCipherSpec came before the keys were agreed on")
        self.version = version

    # ---- Telling the observer ----

    def observe(self, seen: Observation) -> None:
        for observer in self.observers or ():
            observer(seen)

    def derived(self, label: str, secret: Secret) -> None:
        if self.observers is not None:
            self.observe(SecretDerived(label, secret, self.client_random))

    def decided(self, what: str, value: object) -> None:
        if self.observers is not None:
            self.observe(Decided(what, value))
