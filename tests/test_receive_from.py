# SPDX-License-Identifier: Apache-2.0
"""receive_from: records opened straight from a buffer that a transport shares among connections, as receive_data would have opened them."""

from __future__ import annotations

import pytest
from pair import client_config, make_pair, received, server_config, shake

from tlsfast import ASK, DataReceived, PeerClosed, TLSError
from tlsfast.connection import Connection
from tlsfast.events import ChooseConfig, Event
from tlsfast.record import ReceiveBuffer


def deliver(receiver: Connection, wire: bytes, buffer: ReceiveBuffer, size: int) -> list[Event]:
    """Hand wire over as a transport does: in reads of up to size bytes behind what waits; others write over the buffer in between."""
    events: list[Event] = []
    start = 0
    while start < len(wire):
        waiting = receiver.copy_waiting(buffer.view)
        room = min(size, len(buffer.view) - waiting)
        piece = wire[start : start + room]
        buffer.view[waiting : waiting + len(piece)] = piece
        events += receiver.receive_from(buffer, waiting + len(piece), waiting)
        buffer.view[:] = bytes(len(buffer.view))
        start += len(piece)
    return events


@pytest.mark.parametrize("size", [1, 7, 1000, 16384, 40_000])
def test_handshake_and_data_in_reads_of_any_size(size: int) -> None:
    pair = make_pair()
    buffer = ReceiveBuffer(40_000)
    client_events: list[Event] = []
    server_events: list[Event] = []
    for _ in range(3):
        server_events += deliver(pair.server, pair.client.data_to_send(), buffer, size)
        client_events += deliver(pair.client, pair.server.data_to_send(), buffer, size)
    assert pair.complete
    sent = bytes(range(256)) * 400
    wire = pair.client.seal(sent) + pair.client.seal(b"end")
    pair.client.close()
    server_events += deliver(pair.server, wire + pair.client.data_to_send(), buffer, size)
    assert received(server_events) == sent + b"end"
    assert server_events[-1] == PeerClosed()


def test_a_whole_buffer_comes_out_as_one_piece() -> None:
    pair = shake()
    buffer = ReceiveBuffer(128 * 1024)
    sent = bytes(100_000)
    assert deliver(pair.server, pair.client.seal(sent), buffer, 128 * 1024) == [DataReceived(sent)]


def test_bytes_that_wait_for_an_answer_are_kept() -> None:
    pair = make_pair(client_config(), server_config(on_client_hello=ASK))
    buffer = ReceiveBuffer(4096)
    hello = pair.client.data_to_send()
    events = deliver(pair.server, hello, buffer, 4096)
    assert isinstance(events[-1], ChooseConfig)
    assert pair.server.copy_waiting(buffer.view) == 0
    assert deliver(pair.server, b"\x14\x03\x03\x00\x01\x01", buffer, 3) == []
    pair.server.answer(events[-1], None)
    pair.run()
    assert pair.complete


def test_a_fault_in_the_shared_buffer_is_raised_after_what_was_good() -> None:
    pair = shake()
    buffer = ReceiveBuffer(4096)
    wire = bytearray(pair.client.seal(b"good") + pair.client.seal(b"bad"))
    wire[-1] ^= 1
    assert deliver(pair.server, bytes(wire), buffer, 4096) == [DataReceived(b"good")]
    assert pair.server.failure is not None
    with pytest.raises(TLSError, match="did not authenticate"):
        pair.server.receive_from(buffer, 1)
