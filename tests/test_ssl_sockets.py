# SPDX-License-Identifier: Apache-2.0
"""tlsfast.ssl over sockets: what is left for select(), time limits, partial writes, STARTTLS and back, two threads on one connection."""

from __future__ import annotations

import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from ssl_pairs import NAME, OURS, STANDARD, Pair, client_context, over_sockets, paired, server_context

SIDES = [(OURS, OURS), (OURS, STANDARD), (STANDARD, OURS)]


def readable(sock: socket.socket, seconds: float = 5.0) -> bool:
    return bool(select.select([sock], [], [], seconds)[0])


@pytest.fixture
def connected() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as one:
        two, _ = listener.accept()
        with two:
            for sock in (one, two):
                sock.settimeout(20)
            yield one, two


def receive(stream: Any, length: int) -> bytes:
    data = bytearray()
    while len(data) < length and (piece := stream.recv(min(262144, length - len(data)))):
        data += piece
    return bytes(data)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("client", "server"), SIDES)
def test_every_pair_talks(client: Any, server: Any, version: ssl.TLSVersion) -> None:
    data = os.urandom(3_000_001)

    def serve(stream: ssl.SSLSocket) -> None:
        got = receive(stream, len(data))
        stream.sendall(got)
        assert stream.recv(1) == b""
        stream.unwrap().close()

    def talk(stream: ssl.SSLSocket) -> None:
        assert type(stream) is ssl.SSLSocket
        assert stream.send(data) == len(data)
        assert receive(stream, len(data)) == data
        assert stream.version() == version.name.replace("_", ".")
        stream.unwrap().close()

    assert over_sockets(client_context(client, maximum_version=version), server_context(server), serve, talk) == []


# ---- What stays in the socket ----


def feeding(connected: tuple[socket.socket, socket.socket], **more: Any) -> tuple[Pair, socket.socket, Any]:
    """A server over a socket whose client is in memory, so that a test says which bytes lie in the socket together."""
    raw, accepted = connected
    client = client_context(STANDARD)
    pair = Pair(client, server_context())
    stream = server_context(**more).wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
    return pair, raw, stream


def shake_hands_with_data_behind(pair: Pair, raw: socket.socket, stream: Any, behind: bytes) -> None:
    """The client's Finished and its first request come in one segment."""
    with pytest.raises(ssl.SSLWantReadError):
        pair.client.do_handshake()
    raw.sendall(pair.from_client.read())
    thread = threading.Thread(target=stream.do_handshake, daemon=True)
    thread.start()
    while True:
        pair.to_client.write(raw.recv(65536))
        try:
            pair.client.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
    if behind:
        pair.client.write(behind)
    raw.sendall(pair.from_client.read())
    thread.join(20)
    assert not thread.is_alive()


def test_the_first_request_after_finished_can_be_selected(connected: Any) -> None:
    pair, raw, stream = feeding(connected)
    with stream:
        shake_hands_with_data_behind(pair, raw, stream, b"GET / HTTP/1.0")
        assert stream.pending() == 0 and readable(stream)
        assert stream.recv(100) == b"GET / HTTP/1.0"
        assert not readable(stream, 0.05)


def test_close_notify_behind_data_can_be_selected(connected: Any) -> None:
    """A peer that says close_notify and waits for ours: a program that selects must learn of it."""
    pair, raw, stream = feeding(connected)
    with stream:
        shake_hands_with_data_behind(pair, raw, stream, b"")
        for size in (10, 16384, 40_000):
            pair.client.write(bytes(size))
        with pytest.raises(ssl.SSLWantReadError):
            pair.client.unwrap()
        raw.sendall(pair.from_client.read() + b"in the clear")
        assert receive(stream, 10 + 16384 + 40_000) == bytes(10 + 16384 + 40_000)
        assert stream.pending() == 0 and readable(stream)
        assert stream.recv(65536) == b""
        clear = stream.unwrap()
        assert readable(clear) and clear.recv(100) == b"in the clear"


def test_small_reads_of_large_records_show_what_waits(connected: Any) -> None:
    pair, raw, stream = feeding(connected)
    with stream:
        shake_hands_with_data_behind(pair, raw, stream, b"")
        pair.client.write(bytes(16384))
        raw.sendall(pair.from_client.read())
        assert stream.recv(100) == bytes(100)
        assert stream.pending() == 16284


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_records_that_dribble(connected: Any, chunk: int) -> None:
    pair, raw, stream = feeding(connected)
    with stream:
        shake_hands_with_data_behind(pair, raw, stream, b"")
        data = os.urandom(2000 if chunk < 100 else 60_000)
        pair.client.write(data)
        wire = pair.from_client.read()

        def dribble() -> None:
            for start in range(0, len(wire), chunk):
                raw.sendall(wire[start : start + chunk])

        thread = threading.Thread(target=dribble, daemon=True)
        thread.start()
        assert receive(stream, len(data)) == data
        thread.join(20)


def test_without_blocking(connected: Any) -> None:
    pair, raw, stream = feeding(connected)
    with stream:
        shake_hands_with_data_behind(pair, raw, stream, b"")
        stream.setblocking(False)
        with pytest.raises(ssl.SSLWantReadError):
            stream.recv(10)
        pair.client.write(b"x" * 5000)
        wire = pair.from_client.read()
        for part in (wire[:3], wire[3:5], wire[5:2000]):
            raw.sendall(part)
            assert readable(stream)
            with pytest.raises(ssl.SSLWantReadError):
                stream.recv(10_000)
        raw.sendall(wire[2000:])
        assert readable(stream) and stream.recv(10_000) == b"x" * 5000


def test_a_write_that_blocks_is_repeated(connected: Any) -> None:
    pair, raw, stream = feeding(connected)
    with stream:
        shake_hands_with_data_behind(pair, raw, stream, b"")
        stream.setblocking(False)
        data = os.urandom(20_000_000)
        read = bytearray()
        tries = 0
        while True:
            try:
                assert stream.send(data) == len(data)
                break
            except ssl.SSLWantWriteError:
                tries += 1
                with pytest.raises(ssl.SSLError, match="BAD_WRITE_RETRY"):
                    stream.send(b"other")
                pair.to_client.write(raw.recv(1 << 20))
                read += pair.client.read(1 << 20)
        assert tries
        stream.setblocking(True)
        while len(read) < len(data):
            try:
                read += pair.client.read(1 << 20)
            except ssl.SSLWantReadError:
                pair.to_client.write(raw.recv(1 << 20))
        assert read == data


# ---- Time limits ----


def test_a_peer_that_dribbles_meets_the_limit(connected: Any) -> None:
    """Each byte comes well within the limit, the record does not: the limit is that of the call."""
    pair, raw, stream = feeding(connected)
    with stream:
        shake_hands_with_data_behind(pair, raw, stream, b"")
        pair.client.write(bytes(1000))
        wire, stop = pair.from_client.read(), threading.Event()

        def dribble() -> None:
            for byte in wire[:-1]:
                raw.sendall(bytes((byte,)))
                if stop.wait(0.03):
                    return

        thread = threading.Thread(target=dribble, daemon=True)
        stream.settimeout(0.3)
        thread.start()
        with pytest.raises(TimeoutError, match="The read operation timed out"):
            stream.recv(100)
        stop.set()
        thread.join(20)


def test_the_handshake_has_the_limit_too(connected: Any) -> None:
    raw, accepted = connected
    accepted.settimeout(0.1)
    with pytest.raises(TimeoutError, match="handshake operation timed out"):
        server_context().wrap_socket(accepted, server_side=True)


def test_a_failed_handshake_tells_the_peer(connected: Any) -> None:
    one, two = connected
    pair = Pair(client_context(), server_context(STANDARD))
    stream = OURS(ssl.PROTOCOL_TLS_CLIENT).wrap_socket(one, server_hostname=NAME, do_handshake_on_connect=False)

    def serve() -> None:
        while not reasons:
            pair.to_server.write(two.recv(65536))
            try:
                pair.server.do_handshake()
            except ssl.SSLWantReadError:
                two.sendall(pair.from_server.read())
            except ssl.SSLError as error:
                reasons.append(error.reason)

    reasons: list[str] = []
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with stream, pytest.raises(ssl.SSLCertVerificationError):
        stream.do_handshake()
    thread.join(20)
    assert reasons == ["TLSV1_ALERT_UNKNOWN_CA"]


def test_an_answer_of_the_reading_thread_waits_for_no_later_call(
    connected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was queued while the writing thread held the socket, and after that one's last look."""
    one, two = connected

    def serve() -> None:
        with server_context(OURS).wrap_socket(two, server_side=True) as peer:
            peer.recv(4)

    thread = threading.Thread(target=serve)
    thread.start()
    stream = client_context(OURS).wrap_socket(one, server_hostname=NAME)
    engine: Any = stream._sslobj
    flush, calls = type(engine)._flush, []

    def last_look(self: Any, deadline: float | None) -> None:
        flush(self, deadline)
        calls.append(deadline)
        if len(calls) == 2:
            engine._connection.update_keys(request_peer=False)

    monkeypatch.setattr(type(engine), "_flush", last_look)
    stream.sendall(b"data")
    assert len(calls) == 2 and not engine._connection.send_pending
    thread.join(20)
    stream.close()


@pytest.mark.parametrize("server", [OURS, STANDARD])
def test_closing_with_tickets_unread_is_no_reset(server: Any, connected: Any) -> None:
    one, two = connected
    got: list[bytes] = []
    sent, closed = threading.Event(), threading.Event()

    def serve() -> None:
        with server_context(server).wrap_socket(two, server_side=True) as stream:
            sent.set()  # the tickets too
            assert closed.wait(20)
            got.append(stream.recv(100))
            got.append(stream.recv(100))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    stream = client_context().wrap_socket(one, server_hostname=NAME)
    assert sent.wait(20) and readable(stream)
    stream.sendall(b"all I have to say")
    stream.close()
    closed.set()
    thread.join(20)
    assert got == [b"all I have to say", b""]


# ---- In the clear and back ----


@pytest.mark.parametrize(("client", "server"), SIDES)
def test_starttls_and_back(client: Any, server: Any, connected: Any) -> None:
    one, two = connected
    faults: list[BaseException] = []

    def serve() -> None:
        try:
            assert two.recv(100) == b"STARTTLS"
            two.sendall(b"OK")
            stream = server_context(server).wrap_socket(two, server_side=True)
            stream.sendall(stream.recv(100))
            with stream.unwrap() as clear:
                clear.sendall(b"clear: " + clear.recv(100))
        except BaseException as fault:
            faults.append(fault)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    one.sendall(b"STARTTLS")
    assert one.recv(100) == b"OK"
    stream = client_context(client).wrap_socket(one, server_hostname=NAME)
    stream.sendall(b"secret")
    assert stream.recv(100) == b"secret"
    with stream.unwrap() as clear:
        clear.sendall(b"again")
        assert clear.recv(100) == b"clear: again"
    thread.join(20)
    assert not faults, faults


# ---- Threads ----


def test_one_thread_reads_while_another_writes() -> None:
    up, down = os.urandom(6_000_000), os.urandom(5_000_000)
    got: dict[str, bytes] = {}

    def both_ways(stream: ssl.SSLSocket, send: bytes, expect: int, name: str) -> None:
        def write() -> None:
            for start in range(0, len(send), 50_000):
                stream.sendall(send[start : start + 50_000])

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        got[name] = receive(stream, expect)
        thread.join(30)
        assert not thread.is_alive()

    faults = over_sockets(
        client_context(),
        server_context(),
        lambda stream: both_ways(stream, down, len(up), "server"),
        lambda stream: both_ways(stream, up, len(down), "client"),
    )
    assert faults == [] and got == {"server": up, "client": down}


def test_no_reference_cycle_keeps_a_socket() -> None:
    import gc
    import weakref

    gc.disable()
    try:
        pair = paired()
        reference = weakref.ref(pair.client)
        del pair
        assert reference() is None
    finally:
        gc.enable()
