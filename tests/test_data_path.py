# SPDX-License-Identifier: Apache-2.0
"""The short way that most data takes, sealed by seal() and opened whole by receive_data: it does all that the long way does."""

from __future__ import annotations

import threading

import pytest
from pair import client_config, make_pair, received, server_config, shake

import tlsfast
from tlsfast import DataReceived, KeysUpdated, PeerClosed, TLSVersion, record
from tlsfast.errors import BadRecordMac
from tlsfast.record import PIECE

VERSIONS = pytest.mark.parametrize("version", [TLSVersion.TLSv1_3, TLSVersion.TLSv1_2], ids=["1.3", "1.2"])


def shaken(version: TLSVersion) -> object:
    return shake(client_config(versions=[version]), server_config(versions=[version]))


@VERSIONS
@pytest.mark.parametrize("size", [0, 1, 64, 16384, 16385, PIECE, PIECE + 1, 3 * PIECE])
def test_any_length_comes_out_whole(version: TLSVersion, size: int) -> None:
    pair = shaken(version)
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for form in (data, bytearray(data), memoryview(data)):
        assert received(pair.server.receive_data(pair.client.seal(form))) == data
    assert not pair.client.send_pending


@VERSIONS
@pytest.mark.parametrize("size", [0, 1, 64, 16384, 16385, PIECE, PIECE + 1])
def test_buffers_of_the_caller(version: TLSVersion, size: int) -> None:
    pair = shaken(version)
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    wire, plain = bytearray(pair.client.sealed_size(size) + 8), bytearray(size + 17_000)
    for form in (data, bytearray(data), memoryview(data)):
        wire[:] = b"\xc3" * len(wire)
        length = pair.client.seal_into(form, wire)
        assert wire[length:] == b"\xc3" * (len(wire) - length)
        got, events = pair.server.receive_into(memoryview(wire)[:length], plain)
        assert (got, events) == (size, []) and plain[:size] == data
    assert not pair.client.send_pending


def test_a_buffer_too_small_is_refused_before_anything_is_sealed() -> None:
    pair = shake()
    for length in (0, 10, 31):
        with pytest.raises(tlsfast.ApiMisuse, match="sealed_size"):
            pair.client.seal_into(b"0123456789", bytearray(length))
    with pytest.raises(tlsfast.ApiMisuse, match="can be written"):
        pair.client.seal_into(b"data", bytes(100))  # type: ignore[arg-type]  # the mistake
    with pytest.raises(tlsfast.ApiMisuse, match="can be written"):
        pair.server.receive_into(b"data", memoryview(bytes(100)))
    assert received(pair.server.receive_data(pair.client.seal(b"next"))) == b"next"


def test_buffers_that_overlap_are_no_harm() -> None:
    pair = shake()
    data = bytes(range(256)) * 40
    room = bytearray(40_000)
    for at in (0, 3, 1000, 20_000):
        room[at : at + len(data)] = data
        length = pair.client.seal_into(memoryview(room)[at : at + len(data)], room)
        wire = bytes(room[:length])
        room[at : at + length] = wire
        size, events = pair.server.receive_into(memoryview(room)[at : at + length], room)
        assert bytes(room[:size]) + received(events) == data


def test_views_count_in_bytes() -> None:
    pair = shake()
    data = bytes(range(256)) * 4
    wire = bytearray(4000)
    length = pair.client.seal_into(memoryview(data).cast("I"), wire)
    plain = bytearray(4000)
    size, events = pair.server.receive_into(memoryview(wire)[:length].cast("H"), plain)
    assert (bytes(plain[:size]), events) == (data, [])
    with pytest.raises(TypeError):
        pair.server.receive_into(memoryview(bytes(100))[::2], plain)
    assert received(pair.server.receive_data(pair.client.seal(b"alive"))) == b"alive"


def test_what_is_queued_goes_into_the_buffer_first() -> None:
    pair = shake()
    pair.client.send_data(b"first ")
    pair.client.update_keys()
    pair.client._writer.set_usage_limit(2)
    wire = bytearray(pair.client.sealed_size(40_000))
    length = pair.client.seal_into(b"x" * 40_000, wire)
    assert received(pair.server.receive_data(wire[:length])) == b"first " + b"x" * 40_000


def test_what_finds_no_room_comes_as_events() -> None:
    pair = shake()
    wire = pair.client.seal(b"a" * 16384) + pair.client.seal(b"b" * 16384)
    plain = bytearray(17_000)
    size, events = pair.server.receive_into(wire, plain)
    assert bytes(plain[:size]) + received(events) == b"a" * 16384 + b"b" * 16384 and size == 16384


def test_data_in_the_buffer_then_what_follows_it() -> None:
    pair = shake()
    wire = pair.client.seal(b"a")
    pair.client.update_keys(request_peer=False)
    wire += pair.client.seal(b"b")
    plain = bytearray(20_000)
    assert pair.server.receive_into(wire[:10], plain) == (0, [])
    size, events = pair.server.receive_into(wire[10:], plain)
    assert bytes(plain[:size]) + received(events) == b"ab" and size == 1
    assert [type(event) for event in events] == [KeysUpdated, DataReceived]
    wire = bytearray(pair.client.seal(b"good") + pair.client.seal(b"bad"))
    wire[-1] ^= 1
    size, events = pair.server.receive_into(wire, plain)
    assert (bytes(plain[:size]), events) == (b"good", [])
    with pytest.raises(BadRecordMac):
        pair.server.receive_into(b"", plain)


def test_a_handshake_may_arrive_by_receive_into() -> None:
    pair = make_pair()
    plain = bytearray(20_000)
    for _ in range(2):
        pair.server.receive_into(pair.client.data_to_send(), plain)
        pair.client.receive_into(pair.server.data_to_send(), plain)
    assert pair.complete


def test_what_waits_in_the_queue_goes_first() -> None:
    pair = shake()
    pair.client.send_data(b"first ")
    pair.client.update_keys()
    wire = pair.client.seal(b"second")
    events = pair.server.receive_data(wire)
    assert received(events) == b"first second"
    assert [type(event) for event in events] == [DataReceived, KeysUpdated, DataReceived]


def test_data_and_other_records_in_one_call() -> None:
    pair = shake()
    wire = pair.client.seal(b"a")
    pair.client.update_keys(request_peer=False)
    wire += pair.client.seal(b"b")
    pair.client.close()
    wire += pair.client.data_to_send() + b"in the clear"
    events = pair.server.receive_data(wire)
    assert received(events) == b"ab" and isinstance(events[-1], PeerClosed)
    assert pair.server.trailing_data == b"in the clear"
    assert pair.server.receive_data(b"more") == []


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 20, 80])
def test_a_record_in_two_calls_and_what_follows(cut: int) -> None:
    pair = shake()
    wire = pair.client.seal(b"x" * 64) + pair.client.seal(b"y" * 64)
    assert pair.server.receive_data(wire[:cut]) == []
    assert received(pair.server.receive_data(wire[cut:])) == b"x" * 64 + b"y" * 64
    assert received(pair.server.receive_data(pair.client.seal(b"z"))) == b"z"


@VERSIONS
def test_the_fault_comes_after_the_data_before_it(version: TLSVersion) -> None:
    pair = shaken(version)
    wire = bytearray(pair.client.seal(b"good") + pair.client.seal(b"bad"))
    wire[-1] ^= 1
    assert pair.server.receive_data(bytes(wire)) == [DataReceived(b"good")]
    assert isinstance(pair.server.failure, BadRecordMac)
    with pytest.raises(BadRecordMac):
        pair.server.receive_data(b"")
    pair = shaken(version)
    with pytest.raises(BadRecordMac):
        pair.server.receive_data(bytes(wire[:-1]) + b"?")


def test_the_usage_limit_changes_the_key() -> None:
    pair = shake()
    pair.client._writer.set_usage_limit(3)
    data = b"".join(bytes([number]) * 20_000 for number in range(9))
    events = [
        event
        for start in range(0, len(data), 20_000)
        for event in pair.server.receive_data(pair.client.seal(data[start : start + 20_000]))
    ]
    assert received(events) == data
    assert sum(isinstance(event, KeysUpdated) for event in events) >= 5


def test_refusals_are_those_of_send_data() -> None:
    fresh = tlsfast.ClientConnection(client_config(), "server.test")
    with pytest.raises(tlsfast.ApiMisuse, match="after HandshakeCompleted"):
        fresh.seal(b"early")
    pair = shake()
    pair.client.close()
    with pytest.raises(tlsfast.ConnectionClosed):
        pair.client.seal(b"late")
    with pytest.raises(BadRecordMac):
        pair.server.receive_data(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(BadRecordMac):
        pair.server.seal(b"dead")


def test_an_interrupt_leaves_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened but not handed out is lost: the connection must not go on as if nothing were missing."""
    pair = shake()

    def interrupted(*arguments: object) -> object:
        raise KeyboardInterrupt

    wire = pair.client.seal(b"data")
    with monkeypatch.context() as patch:
        patch.setattr(record, "_record_open_data", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pair.server.receive_data(wire)
    with pytest.raises(tlsfast.TLSError, match="interrupted"):
        pair.server.receive_data(wire)


def test_a_second_reader_is_told() -> None:
    pair = shake()
    with pair.server._receiving, pytest.raises(tlsfast.ApiMisuse, match="one thread reads"):
        pair.server.receive_data(pair.client.seal(b"data"))


def test_threads_that_seal_never_reuse_or_reorder_a_record() -> None:
    """Each thread's record is handed over under one lock with its sealing, here as a transport must do it."""
    pair, lock, wire = shake(), threading.Lock(), bytearray()

    def send(letter: bytes) -> None:
        for _ in range(300):
            with lock:
                wire.extend(pair.client.seal(letter * 40))

    threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for _ in range(20):
        with lock:
            pair.client.update_keys(request_peer=False)
            wire.extend(pair.client.data_to_send())
    for thread in threads:
        thread.join()
    assert sorted(received(pair.server.receive_data(bytes(wire)))) == sorted(b"a" * 12_000 + b"b" * 12_000)
