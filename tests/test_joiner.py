# SPDX-License-Identifier: Apache-2.0
"""The joiner: any cut of a stream of messages gives the same messages, and a length past the limit is refused at its header."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tlsfast.errors import MessageTooLong
from tlsfast.messages.joiner import MAX_CLIENT_HELLO, MAX_MESSAGE, HandshakeJoiner
from tlsfast.registry import HandshakeType


def header(kind: int, length: int) -> bytes:
    return bytes([kind]) + length.to_bytes(3, "big")


def message(kind: int, body: bytes) -> bytes:
    return header(kind, len(body)) + body


def drain(joiner: HandshakeJoiner) -> list[bytes]:
    out = []
    while (raw := joiner.next()) is not None:
        out.append(raw)
    return out


MESSAGES = st.lists(st.builds(message, st.integers(0, 255), st.binary(max_size=300)), max_size=8)


@given(MESSAGES, st.lists(st.integers(0, 2400), max_size=12))
def test_any_cut_gives_the_same_messages(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(messages)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    joiner, out = HandshakeJoiner(), []
    for start, stop in zip(places, places[1:], strict=False):
        joiner.add(stream[start:stop])
        out += drain(joiner)
        whole = sum(map(len, out))
        assert joiner.empty is (whole == stop)
    assert out == messages
    assert all(type(raw) is bytes for raw in out)
    assert joiner.empty


def test_empty() -> None:
    joiner = HandshakeJoiner()
    assert joiner.empty and joiner.next() is None
    joiner.add(b"")
    assert joiner.empty
    joiner.add(b"\x14")
    assert not joiner.empty and joiner.next() is None
    joiner.add(b"\x00\x00\x01A\x18")
    assert joiner.next() == b"\x14\x00\x00\x01A"
    assert not joiner.empty
    assert joiner.next() is None


def test_the_largest_message_one_byte_at_a_time() -> None:
    """Quadratic copying would move 8 GiB here and run into the suite's time limit."""
    raw = message(HandshakeType.certificate, bytes(MAX_MESSAGE))
    joiner = HandshakeJoiner()
    for place in range(len(raw) - 1):
        joiner.add(raw[place : place + 1])
        assert joiner.next() is None
    joiner.add(raw[-1:])
    assert joiner.next() == raw
    assert joiner.empty


def test_many_small_messages_at_once() -> None:
    messages = [message(HandshakeType.key_update, bytes([i & 1])) for i in range(100_000)]
    joiner = HandshakeJoiner()
    joiner.add(b"".join(messages))
    assert drain(joiner) == messages


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        (HandshakeType.client_hello, MAX_CLIENT_HELLO),
        (HandshakeType.certificate, MAX_MESSAGE),
        (HandshakeType.server_hello, MAX_MESSAGE),
        (99, MAX_MESSAGE),
    ],
)
def test_limit_at_the_fourth_byte(kind: int, limit: int) -> None:
    allowed = HandshakeJoiner()
    allowed.add(header(kind, limit))
    assert allowed.next() is None
    allowed.add(bytes(limit))
    assert allowed.next() == message(kind, bytes(limit))

    refused = HandshakeJoiner()
    for place in range(3):
        refused.add(header(kind, limit + 1)[place : place + 1])
        assert refused.next() is None
    refused.add(header(kind, limit + 1)[3:])
    for _ in range(2):  # and it stays refused
        with pytest.raises(MessageTooLong) as caught:
            refused.next()
        assert caught.value.facts == {"kind": kind, "length": limit + 1, "limit": limit}


def test_limits_are_configurable() -> None:
    joiner = HandshakeJoiner(1000, 100)
    joiner.add(header(HandshakeType.client_hello, 101))
    with pytest.raises(MessageTooLong, match=r"client_hello \(1\) with 101 bytes; 100 are taken"):
        joiner.next()
    joiner = HandshakeJoiner(1000)
    joiner.add(message(HandshakeType.finished, b"ok") + header(HandshakeType.client_hello, 1001))
    assert joiner.next() == message(HandshakeType.finished, b"ok")
    with pytest.raises(MessageTooLong, match="1000 are taken"):
        joiner.next()
