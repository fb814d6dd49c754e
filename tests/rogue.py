# SPDX-License-Identifier: Apache-2.0
"""Peers that misbehave on purpose: real connections whose messages are altered as they leave, and records forged under the victim's own keys."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from pair import NAME, Pair, client_config, server_config

from tlsfast import ClientConfig, ClientConnection, ServerConfig, ServerConnection, TLSError, crypto
from tlsfast.connection import Connection
from tlsfast.handshake.flow import Handshake
from tlsfast.messages.codec import u16, u24, vec16
from tlsfast.messages.handshake import Message
from tlsfast.registry import ContentType

# What may leave in place of a message: itself changed, raw bytes, several of these, or nothing.
Altered = Message | bytes | Sequence[Message | bytes]
Alter = Callable[[Any], Altered]
Cut = Callable[[bytes], Sequence[tuple[int, bytes]]]


class RogueHandshake(Handshake):
    """Sends what `alter` makes of each message, in the records that `cut` makes of each flight: their types and contents.

    The transcript follows what was sent, so that keys, signatures and Finished stay right."""

    __slots__ = ("alter", "cut")
    alter: Alter
    cut: Cut

    def send_encoded(self, message: Message, raw: bytes) -> None:
        for each, encoded in self._altered(message, raw):
            super().send_encoded(each, encoded)

    def send_unhashed(self, message: Message) -> None:
        for _, encoded in self._altered(message, message.encode()):
            self._flight.append(encoded)

    def flush(self) -> None:
        flight, self._flight = self._flight, []
        for kind, content in self.cut(b"".join(flight)) if flight else ():
            if self.writer.traffic_secret is None and kind != ContentType.handshake:
                self.writer.queue(record(kind, content))  # our writer would not send some of these in the clear
            else:
                self.writer.send(kind, content)

    def _altered(self, message: Message, raw: bytes) -> Iterator[tuple[Message, bytes]]:
        out = self.alter(message)
        if out is message:
            yield message, raw
            return
        for each in [out] if isinstance(out, bytes) or not isinstance(out, Sequence) else out:
            yield message, each if isinstance(each, bytes) else each.encode()


def untouched(message: Message) -> Altered:
    return message


def one_record(flight: bytes) -> Sequence[tuple[int, bytes]]:
    return [(ContentType.handshake, flight)]


@contextlib.contextmanager
def rogue(alter: Alter = untouched, cut: Cut = one_record) -> Iterator[None]:
    """The connections that are made inside are rogues."""

    def make(*args: Any) -> RogueHandshake:
        handshake = RogueHandshake(*args)
        handshake.alter, handshake.cut = alter, cut
        return handshake

    with mock.patch("tlsfast.driver.Handshake", make):
        yield


def at(kind: type[Any], change: Alter, nth: int | None = None) -> Alter:
    """Alter messages of one kind; nth (from 0): that one alone."""
    count = -1

    def alter(message: Message) -> Altered:
        nonlocal count
        if not isinstance(message, kind):
            return message
        count += 1
        return change(message) if nth is None or count == nth else message

    return alter


def against(
    victim: str,
    alter: Alter,
    client: ClientConfig | None = None,
    server: ServerConfig | None = None,
    name: str = NAME,
) -> Pair:
    """A pair whose other side alters what it sends to the victim."""
    client, server = client or client_config(), server or server_config()
    if victim == "server":
        with rogue(alter):
            theirs = ClientConnection(client, name)
        return Pair(theirs, ServerConnection(server))
    with rogue(alter):
        ours = ServerConnection(server)
    return Pair(ClientConnection(client, name), ours)


# ---- Changes to messages ----


def ext(**changes: Any) -> Alter:
    """Change fields of a message's extension block."""
    return lambda message: dataclasses.replace(message, extensions=dataclasses.replace(message.extensions, **changes))


def field(**changes: Any) -> Alter:
    """Change fields of a message."""
    return lambda message: dataclasses.replace(message, **changes)


def plus(*extensions: tuple[int, bytes], **changes: Any) -> Alter:
    """Write these extensions, number and body, after those that are there."""
    return ext(unknown=extensions, **changes)


def body(change: Callable[[bytes], bytes]) -> Alter:
    """Change the encoded body; the header's length follows."""
    return lambda message: framed(message.encode()[0], change(message.encode()[4:]))


def framed(kind: int, content: bytes) -> bytes:
    return bytes((kind,)) + u24(len(content)) + content


def raw_extension(number: int, content: bytes) -> bytes:
    return u16(number) + vec16(content)


# ---- Records ----


def record(kind: int, content: bytes, version: int = 0x0303) -> bytes:
    """A record in the clear."""
    return bytes((kind,)) + u16(version) + vec16(content)


def records(wire: bytes) -> list[bytes]:
    """Cut wire bytes into whole records."""
    found, at_ = [], 0
    while at_ < len(wire):
        end = at_ + 5 + int.from_bytes(wire[at_ + 3 : at_ + 5])
        found.append(wire[at_:end])
        at_ = end
    return found


def forge(victim: Connection, inner: bytes, sequence: int = 0, length: int | None = None) -> bytes:
    """A protected record that the victim opens: inner is the whole TLSInnerPlaintext. Made by another AEAD than ours, which checks nothing of it."""
    suite, secret = victim._reader.suite, victim._reader.traffic_secret
    assert suite is not None
    assert secret is not None
    key_length = 16 if suite.aead == 1 else 32
    key = crypto.expand_label(suite.hash, secret, b"key", b"", key_length).reveal()
    iv = crypto.expand_label(suite.hash, secret, b"iv", b"", 12).reveal()
    nonce = (int.from_bytes(iv) ^ sequence).to_bytes(12)
    header = bytes((ContentType.application_data, 3, 3)) + u16(len(inner) + 16 if length is None else length)
    aead = ChaCha20Poly1305(key) if suite.aead == 3 else AESGCM(key)
    return header + aead.encrypt(nonce, inner, header)


# ---- Driving a pair by hand ----


def deliver(pair: Pair, to: str, wire: bytes) -> TLSError | None:
    """Give bytes to one side; its events and its first error are kept in the pair."""
    side: Connection = getattr(pair, to)
    try:
        getattr(pair, f"{to}_events").extend(side.receive_data(wire))
    except TLSError as error:
        if getattr(pair, f"{to}_error") is None:
            setattr(pair, f"{to}_error", error)
        return error
    return None


def to_flight(pair: Pair, victim: str) -> Pair:
    """Bring the victim to where it waits for the peer's first protected message: the server for the client's flight, the client for
    EncryptedExtensions."""
    deliver(pair, "server", pair.client.data_to_send())
    if victim == "client":
        flight = records(pair.server.data_to_send())
        clear = [each for each in flight if each[0] != ContentType.application_data]
        deliver(pair, "client", b"".join(clear))
    return pair


@dataclass
class Tap:
    """Keeps what each side sends on its way: Pair(change=Tap())."""

    client: bytes = b""
    server: bytes = b""

    def __call__(self, who: str, wire: bytes) -> bytes:
        setattr(self, who, getattr(self, who) + wire)
        return wire
