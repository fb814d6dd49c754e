# SPDX-License-Identifier: Apache-2.0
"""Fuzzes every decoder of bytes that a peer controls: only PeerErrors come out, and what decodes encodes to bytes that decode to the same.

The first byte of an input chooses the decoder, the rest is what it reads (for the framed messages: the type, then the body)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import flights
from engine import Script, run
from vary import Varier

from tlsfast.errors import NotTLS, PeerError
from tlsfast.messages import bodies, bodies13, extensions
from tlsfast.messages.codec import Reader
from tlsfast.messages.handshake import decode_message
from tlsfast.messages.handshake12 import ClientKeyExchange
from tlsfast.messages.joiner import HandshakeJoiner
from tlsfast.messages.shapes import Extension
from tlsfast.sessions import TicketState
from tlsfast.sniff import foreign_protocol

MAX_LEN = 8192
# A peer's bytes may be quoted in an error, for logs: never without bound.
MAX_WORDS = 4096


class Decoder(NamedTuple):
    """decode: bytes to a value, None for none. encode: back, None where there is no way back."""

    name: str
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes | None] | None = None


def framed(version13: bool) -> Decoder:
    """A message whose header's length is right, so that its body is what is fuzzed."""

    def decode(data: bytes) -> Any:
        return decode_message(data[:1] + len(data[1:]).to_bytes(3) + data[1:], version13)

    def encode(value: Any) -> bytes:
        encoded: bytes = value.encode()
        return encoded[:1] + encoded[4:]

    return Decoder(f"framed message, {'1.3' if version13 else '1.2'}", decode, encode)


def block(kind: type[extensions.ExtensionBlock]) -> Decoder:
    return Decoder(kind.__name__, kind.decode, lambda value: value.encode()[2:])


def exchange(read: Callable[[ClientKeyExchange], bytes], make: Callable[[bytes], ClientKeyExchange]) -> Decoder:
    return Decoder(
        f"ClientKeyExchange {make.__name__}",
        lambda data: read(ClientKeyExchange.decode(data)),
        lambda value: make(value).exchange_keys,
    )


def read_all(data: bytes) -> None:
    """Reader against a model of its own: every field where it must be, and nothing read past the end."""
    script = Script(data[:64])
    rest = body = data[64:]
    reader = Reader(body, "fuzz")
    while script.more:
        size = script.below(4)
        prefix = int.from_bytes(rest[:size])
        if script.below(2):  # a vector
            if size == 0:
                reader.end() if not rest else None
                continue
            low, high = script.below(4), 0xFFFFFF if script.below(2) else script.number()
            got = (reader.vec8, reader.vec16, reader.vec24)[size - 1]("vector", low, high)
            assert low <= len(got) <= high and len(got) == prefix
            assert got == rest[size : size + prefix]
            rest = rest[size + prefix :]
        else:
            number = (reader.u8, reader.u16, reader.u24, reader.u32)[size]("number")
            assert len(rest) > size and number == int.from_bytes(rest[: size + 1])
            rest = rest[size + 1 :]
        assert reader.remaining == len(rest)
    taken = reader.take(reader.remaining, "rest")
    assert taken == rest
    reader.end()


def join(data: bytes) -> None:
    """HandshakeJoiner: what goes in comes out, cut at the lengths, in any pieces, and no more than the limit is kept."""
    script = Script(data[:16])
    wire = data[16:]
    limit = 1 << script.below(13)
    joiner = HandshakeJoiner(limit, limit // 2)
    out, at, pieces = [], 0, 0
    while at < len(wire):
        piece = wire[at : at + 1 + script.below(64)] if script.more else wire[at:]
        at, pieces = at + len(piece), pieces + 1
        joiner.add(piece)
        while (message := joiner.next()) is not None:
            assert len(message) == 4 + int.from_bytes(message[1:4]) <= 4 + limit
            out.append(message)
        # what waits is less than one message
        waits = at - sum(map(len, out))
        assert joiner.empty is (waits == 0)
        assert waits < 4 + limit
    assert wire.startswith(b"".join(out))


def foreign(data: bytes) -> None:
    """The words for a peer that speaks something else."""
    error = foreign_protocol(NotTLS("not TLS", seen=data[1:65]), server=bool(data[:1] > b"\x7f"))
    assert isinstance(error, PeerError)
    raise error


BLOCKS = (
    extensions.ClientHelloExtensions,
    extensions.ServerHelloExtensions,
    extensions.HelloRetryRequestExtensions,
    extensions.EncryptedExtensionsBlock,
    extensions.CertificateRequestExtensions,
    extensions.CertificateEntryExtensions,
    extensions.NewSessionTicketExtensions,
)
SINGLE = [
    kind
    for module in (bodies, bodies13)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Extension) and "number" in vars(kind)
]
DECODERS: tuple[Decoder, ...] = (
    framed(True),
    framed(False),
    Decoder("message, 1.3", decode_message, lambda value: value.encode()),
    Decoder("message, 1.2", lambda data: decode_message(data, False), lambda value: value.encode()),
    *map(block, BLOCKS),
    Decoder("ticket state", TicketState.decode, lambda value: value.encode()),
    exchange(ClientKeyExchange.ecdhe_public, ClientKeyExchange.ecdhe),
    exchange(ClientKeyExchange.encrypted_premaster, ClientKeyExchange.rsa),
    Decoder("reader", read_all),
    Decoder("joiner", join),
    Decoder("foreign protocol", foreign),
    *(Decoder(kind.__name__, kind.decode, kind.encode) for kind in SINGLE),
)


def one_input(data: bytes) -> None:
    """Decode one input. Anything but a PeerError, and any difference after encoding, is a finding."""
    if not data:
        return
    decoder = DECODERS[data[0] % len(DECODERS)]
    try:
        value = decoder.decode(data[1:])
    except PeerError as error:
        text = str(error)
        assert len(text) <= MAX_WORDS, f"{len(text)} characters for a log: {text[:200]}"
        assert text.isprintable(), f"not for a terminal: {text!r}"
        assert str(error.fresh()) == text and error.alert
        return
    if value is None or value is False or decoder.encode is None:
        return  # a flag that is False is an extension that is absent: it is never written
    encoded = decoder.encode(value)
    if encoded is None:
        return
    again = decoder.decode(encoded)
    assert again == value, f"{decoder.name}: {value!r} comes back as {again!r}"
    assert decoder.encode(again) == encoded


VARIER = Varier(message for _, message, _ in flights.messages())


def vary(data: bytes, max_size: int, seed: int) -> bytes:
    """A variant of an input that decodes: one field of the decoded value changed, absent ones filled."""
    script = Script(Random(seed).randbytes(64))
    decoder = DECODERS[data[0] % len(DECODERS)] if data else DECODERS[0]
    if not data or decoder.encode is None:
        return data + script.take(8)
    try:
        value = decoder.decode(data[1:])
        VARIER.learn(value)
        for _ in range(1 + script.below(3)):
            value = VARIER.vary(value, script)
        encoded = decoder.encode(value)
    except Exception:  # an input that does not decode, or a variant that does not encode: mutated as bytes another time
        encoded = None
    return data[:1] + (encoded if encoded is not None else script.take(32) + data[1:])


if __name__ == "__main__":
    run(one_input, max_len=MAX_LEN, vary=vary)
