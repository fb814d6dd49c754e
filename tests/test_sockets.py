# SPDX-License-Identifier: Apache-2.0
"""Blocking sockets: against themselves and against the standard ssl module, with time limits, threads, half-closes and peers that hang up."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pki
import pytest

import tlsfast
from tlsfast import (
    AlertReceived,
    ApiMisuse,
    ClientConfig,
    ConnectionClosed,
    HandshakeTimeout,
    ServerConfig,
    TLSSocket,
    Truncated,
)
from tlsfast.errors import NotTLS, UnknownCA
from tlsfast.handshake import post
from tlsfast.wire import Wire

CA = pki.make_ca("tests")
LEAF = pki.make_leaf(CA, ("localhost", "127.0.0.1"))
PERSON = pki.make_leaf(CA, ("person.test",))
TRUST = tlsfast.TrustStore.from_pem(CA.cert_pem)
CREDENTIAL = tlsfast.Credential.load(LEAF.pem, LEAF.key_pem)
SERVER = ServerConfig(credentials=[CREDENTIAL])
CLIENT = ClientConfig(trust=TRUST)
LENGTHS = (0, 1, 16384, 16385, 3_000_000)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


class Pair:
    """A client's and a server's stream over a pair of connected sockets."""

    def __init__(
        self, pool: ThreadPoolExecutor, client: ClientConfig = CLIENT, server: ServerConfig = SERVER, **options: Any
    ) -> None:
        near, far = socket.socketpair()
        waiting = pool.submit(tlsfast.wrap_socket, far, server)
        self.client = tlsfast.wrap_socket(near, client, server_name="localhost", **options)
        self.server = waiting.result(10)

    def __enter__(self) -> tuple[TLSSocket, TLSSocket]:
        return self.client, self.server

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.server.close()


def read_all(stream: TLSSocket, size: int = 65536) -> bytes:
    parts = []
    while part := stream.recv(size):
        parts.append(part)
    return b"".join(parts)


def read_exactly(stream: TLSSocket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = stream.recv(min(65536, length - len(data)))
        assert part, "the stream ended early"
        data += part
    return bytes(data)


def noise(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


def listener(pool: ThreadPoolExecutor, serve: Callable[[socket.socket], Any]) -> tuple[tuple[str, int], Future[Any]]:
    """Listen on loopback for one connection and serve it on another thread."""
    ear = socket.create_server(("127.0.0.1", 0))

    def accept() -> Any:
        with ear:
            ear.settimeout(10)
            accepted, _ = ear.accept()
        with accepted:
            accepted.settimeout(10)
            return serve(accepted)

    return ear.getsockname(), pool.submit(accept)


def echoed(peer: ssl.SSLSocket, data: bytes) -> bool:
    """Send data piece by piece through one thread (an ssl.SSLSocket takes no two at a time) and compare what comes back."""
    received = bytearray()
    for start in range(0, len(data), 50_000):
        piece = data[start : start + 50_000]
        peer.sendall(piece)
        while len(received) < start + len(piece):
            received += peer.recv(65536)
    return received == data


def ssl_server(tmp_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*LEAF.write(tmp_path))
    return context


def ssl_client() -> ssl.SSLContext:
    return ssl.create_default_context(cadata=CA.cert_pem.decode())


# ---- Data, both ways, with both sides ours and with the standard library on either side ----


def test_echo_both_ways(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        for length in LENGTHS:
            data = noise(length)
            sent = pool.submit(client.sendall, data)
            echoed = pool.submit(lambda size=length: server.sendall(read_exactly(server, size)))
            assert read_exactly(client, length) == data
            sent.result(10)
            echoed.result(10)
        assert client.info.version == tlsfast.TLSVersion.TLSv1_3
        assert client.export_keying_material("EXPORTER-x", b"c", 32) == server.export_keying_material(
            "EXPORTER-x", b"c", 32
        )


def test_client_of_the_standard_library(pool: ThreadPoolExecutor) -> None:
    def serve(accepted: socket.socket) -> None:
        with tlsfast.wrap_socket(accepted, SERVER) as stream:
            while data := stream.recv(10_000):
                stream.sendall(data)

    address, served = listener(pool, serve)
    with ssl_client().wrap_socket(socket.create_connection(address, 10), server_hostname="localhost") as peer:
        for length in LENGTHS:
            assert echoed(peer, noise(length))
        peer.unwrap().close()
    served.result(10)


def test_server_of_the_standard_library(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    def serve(accepted: socket.socket) -> None:
        with ssl_server(tmp_path).wrap_socket(accepted, server_side=True) as peer:
            while data := peer.recv(65536):
                peer.sendall(data)
            peer.unwrap()

    address, served = listener(pool, serve)
    with tlsfast.connect(address, CLIENT, timeout=10) as stream:
        for length in LENGTHS:
            data = noise(length)
            sent = pool.submit(stream.sendall, data)
            assert read_exactly(stream, length) == data
            sent.result(10)
        stream.send_eof()
        assert stream.recv(1) == b""
    served.result(10)


def test_small_reads_and_recv_into(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        server.sendall(b"abcdefgh")
        assert (client.recv(0), client.recv(1), client.recv(2)) == (b"", b"a", b"bc")
        assert client.pending() == 5
        room = bytearray(b"....")
        with pytest.raises(ApiMisuse, match="can be written"):
            client.recv_into(memoryview(b"...."))  # and nothing is lost
        assert client.recv_into(room, 2) == 2 and room == b"de.."
        assert client.recv_into(memoryview(room)) == 3 and room == b"fgh."
        taken = pool.submit(read_exactly, client, 256 * 1024)
        assert server.send(noise(300_000)) == 256 * 1024
        assert taken.result(10) == noise(256 * 1024)


def test_memory_of_any_shape_is_sent(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        client.sendall(memoryview(struct.pack("3I", 1, 2, 3)).cast("I"))
        assert read_exactly(server, 12) == struct.pack("3I", 1, 2, 3)


def test_unread_data_stays_with_the_peer(pool: ThreadPoolExecutor) -> None:
    """Back-pressure: a reader that takes one byte holds little, and the writer waits."""
    with Pair(pool) as (client, server):
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.sendall(bytes(64 << 20))
        assert client.recv(1) == b"\0"
        assert client.pending() <= 512 * 1024


# ---- Time ----


def test_a_read_that_times_out_leaves_the_stream_usable(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        client.settimeout(0.05)
        assert client.gettimeout() == 0.05
        with pytest.raises(TimeoutError):
            client.recv(1)
        server.sendall(b"late")
        client.settimeout(10)
        assert client.recv(10) == b"late"


def test_a_write_that_times_out_goes_on_with_the_next(pool: ThreadPoolExecutor) -> None:
    """Sealed records cannot be taken back: what was left over leaves first, in order."""
    with Pair(pool) as (client, server):
        client.settimeout(0.2)
        data = noise(8 << 20)
        with pytest.raises(TimeoutError):
            client.sendall(data)
        client.settimeout(10)
        taken = pool.submit(read_all, server)
        client.sendall(b"after")
        client.send_eof()
        received = taken.result(10)
        assert received.endswith(b"after") and data.startswith(received[:-5]) and len(received) > 5


@pytest.mark.parametrize("dribble", [False, True])
@pytest.mark.parametrize("limit", ["handshake", "socket"])
def test_a_peer_that_takes_too_long(pool: ThreadPoolExecutor, dribble: bool, limit: str) -> None:
    """Neither silence nor one byte now and then keeps a handshake open past its limit; a socket's timeout ends a silent wait sooner."""
    near, far = socket.socketpair()
    stop = threading.Event()

    def hold() -> None:
        hello = b"\x16\x03\x03\x40\x00\x02"
        for byte in hello + bytes(200):
            if stop.wait(0.02) or not dribble:
                return
            far.send(bytes((byte,)))

    holding = pool.submit(hold)
    if limit == "socket":
        near.settimeout(0.01)
    with far, pytest.raises(HandshakeTimeout, match="ServerHello"):
        tlsfast.wrap_socket(
            near, CLIENT, server_name="localhost", handshake_timeout=0.2 if limit == "handshake" else 10
        )
    stop.set()
    holding.cancel()
    assert near.fileno() == -1


def test_timeouts_that_are_none_of_a_blocking_stream(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, _), pytest.raises(ApiMisuse, match="timeout"):
        client.settimeout(0)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        with pytest.raises(ApiMisuse, match="does not block"):
            tlsfast.wrap_socket(near, CLIENT, server_name="localhost")


# ---- Threads ----


def test_one_reads_while_another_writes_and_keys_change(pool: ThreadPoolExecutor) -> None:
    """Both directions at once, each side asking for new keys in between: every byte arrives in order."""
    data = noise(12 << 20)

    def pour(stream: TLSSocket) -> None:
        for start in range(0, len(data), 1 << 20):
            stream.sendall(data[start : start + (1 << 20)])
            stream.connection.update_keys(request_peer=True)
        stream.send_eof()

    with Pair(pool) as (client, server):
        pours = [pool.submit(pour, stream) for stream in (client, server)]
        reads = [pool.submit(read_all, stream) for stream in (client, server)]
        for read in reads:
            assert read.result(60) == data
        for poured in pours:
            poured.result(10)


def test_a_reader_that_must_answer_does_not_wait_to_write(pool: ThreadPoolExecutor) -> None:
    """The client's writer is stuck, since the server reads nothing; the client's reader still takes the KeyUpdate and the data after it."""
    with Pair(pool) as (client, server):
        data = noise(24 << 20)
        stuck = pool.submit(client.sendall, data)
        time.sleep(0.1)
        server.connection.update_keys(request_peer=True)
        server.sendall(b"news")
        client.settimeout(10)
        assert client.recv(10) == b"news"
        assert not stuck.done()
        assert read_exactly(server, len(data)) == data
        stuck.result(10)
        client.sendall(b"end")
        assert server.recv(10) == b"end"


def test_an_answer_that_did_not_fit_leaves_with_a_later_read(pool: ThreadPoolExecutor) -> None:
    """The client has no writer: its answer to KeyUpdate waits until the server reads, and goes out while the client only reads."""
    with Pair(pool) as (client, server):
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.sendall(noise(24 << 20))
        client.settimeout(10)
        server.connection.update_keys(request_peer=True)
        server.sendall(b"one")
        assert client.recv(10) == b"one"
        reading = pool.submit(client.recv, 10)
        server.settimeout(0.5)
        with pytest.raises(TimeoutError):
            while server.recv(1 << 18):
                pass
        assert not client.connection.send_pending
        server.sendall(b"two")
        assert reading.result(10) == b"two"


def test_writers_take_turns(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        blocks = [bytes((letter,)) * 700_000 for letter in b"ABCD"]
        sent = [pool.submit(client.sendall, block) for block in blocks[:3]]
        received = read_exactly(server, 3 * 700_000)
        for each in sent:
            each.result(10)
        assert sorted(received[start : start + 700_000] for start in range(0, len(received), 700_000)) == blocks[:3]


def test_a_second_reader_is_told(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        first = pool.submit(client.recv, 10)
        time.sleep(0.1)
        with pytest.raises(ApiMisuse, match="one thread reads at a time"):
            client.recv(10)
        server.sendall(b"x")
        assert first.result(10) == b"x"


def test_close_wakes_a_reader(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, _):
        waiting = pool.submit(client.recv, 10)
        time.sleep(0.1)
        client.close()
        with pytest.raises(ConnectionClosed):
            waiting.result(10)


# ---- Ends ----


def test_half_close(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        client.sendall(b"question")
        client.send_eof()
        assert read_all(server) == b"question"
        server.sendall(b"answer")
        server.close()
        assert read_all(client) == b"answer"
        with pytest.raises(ConnectionClosed):
            client.sendall(b"more")


def test_closed_here(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        client.close()
        client.close()
        assert client.fileno() == -1 and "closed" in repr(client)
        for call in (lambda: client.recv(1), lambda: client.sendall(b"x"), client.send_eof):
            with pytest.raises(ConnectionClosed):
                call()
        assert server.recv(1) == b""


@pytest.mark.parametrize("allowed", [False, True])
def test_truncation_is_told_from_a_close(pool: ThreadPoolExecutor, tmp_path: Path, allowed: bool) -> None:
    def serve(accepted: socket.socket) -> None:
        peer = ssl_server(tmp_path).wrap_socket(accepted, server_side=True)
        peer.sendall(b"part of it")
        peer.close()  # the standard library sends no close_notify here

    address, served = listener(pool, serve)
    with tlsfast.connect(address, CLIENT, timeout=10, allow_truncation=allowed) as stream:
        assert stream.recv(100) == b"part of it"
        served.result(10)
        if allowed:
            assert stream.recv(100) == stream.recv(100) == b""
        else:
            for _ in range(2):
                with pytest.raises(Truncated):
                    stream.recv(100)


def test_leaving_by_an_exception_does_not_say_that_all_was_sent(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        with pytest.raises(ZeroDivisionError), client:
            client.sendall(b"half")
            raise ZeroDivisionError
        assert server.recv(10) == b"half"
        with pytest.raises(Truncated):
            server.recv(10)


def test_closing_on_unread_tickets_loses_no_data(pool: ThreadPoolExecutor) -> None:
    """A client that writes and closes has never read its tickets; a reset would cost the server what it has not read yet."""
    greeted, gate = threading.Event(), threading.Event()

    def serve(accepted: socket.socket) -> bytes:
        with tlsfast.wrap_socket(accepted, SERVER) as stream:
            greeted.set()
            gate.wait(10)
            return read_all(stream)

    config = ClientConfig(trust=TRUST)
    address, served = listener(pool, serve)
    data = noise(100_000)
    with tlsfast.connect(address, config, timeout=10) as stream:
        stream.sendall(data)
        greeted.wait(10)
    gate.set()
    assert served.result(10) == data
    address, served = listener(pool, serve)
    with tlsfast.connect(address, config, timeout=10) as stream:
        assert stream.info.resumed, "the tickets were not kept"
    served.result(10)


def test_unwrap_gives_the_socket_back(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        client.settimeout(5)
        server.settimeout(7)
        other = pool.submit(server.unwrap)
        raw, far = client.unwrap(), other.result(10)
        with raw, far:
            assert (raw.gettimeout(), far.gettimeout()) == (5, 7)
            raw.sendall(b"in the clear")
            assert far.recv(100) == b"in the clear"
        with pytest.raises(ConnectionClosed):
            client.recv(1)


def test_makefile(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        lines = client.makefile("r", encoding="utf-8", newline="\n")
        with server.makefile("wb") as out:
            out.write("grün\nblau\n".encode())
        client.close()  # the file holds the stream open
        assert lines.readline() == "grün\n"
        server.close()
        assert lines.read() == "blau\n"
        lines.close()
        assert client.fileno() == -1
    with pytest.raises(ApiMisuse):
        client.makefile("x")


def test_makefile_reads_and_writes(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        with client.makefile("rwb") as both, server.makefile("rwb", buffering=0) as raw:
            both.write(b"ping")
            both.flush()
            assert raw.read(4) == b"ping"
            raw.write(b"pong")
            assert both.read(4) == b"pong"


def test_an_exhausted_key_of_tls12_ends_with_close_notify(pool: ThreadPoolExecutor) -> None:
    """TLS 1.2 has no KeyUpdate: what was sealed arrives, the peer sees an orderly end, and the sender is told."""
    older = CLIENT.replace(cipher_suites=[tlsfast.CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256], versions=())
    with Pair(pool, older) as (client, server):
        client.connection._writer.set_usage_limit(20)
        data = noise(500_000)
        received = pool.submit(read_all, server)
        with pytest.raises(ConnectionClosed) as caught:
            client.sendall(data)
        arrived = received.result(10)
        assert len(arrived) == caught.value.facts["sent"] > 256 * 1024
        assert data.startswith(arrived)


# ---- Handshakes that fail ----


def test_the_alert_leaves_before_the_error_is_raised(pool: ThreadPoolExecutor, tmp_path: Path) -> None:
    def serve(accepted: socket.socket) -> str:
        with pytest.raises(ssl.SSLError) as caught:
            ssl_server(tmp_path).wrap_socket(accepted, server_side=True)
        return str(caught.value.reason)

    address, served = listener(pool, serve)
    other = ClientConfig(trust=tlsfast.TrustStore.from_pem(pki.make_ca("another").cert_pem))
    with pytest.raises(UnknownCA):
        tlsfast.connect(address, other, timeout=10)
    assert served.result(10) == "TLSV1_ALERT_UNKNOWN_CA"


def test_the_server_tells_the_client_why(pool: ThreadPoolExecutor) -> None:
    """Both sides ours: the server refuses every ALPN protocol of the client; the client reads the alert, on a socket that the server closes."""

    def serve(accepted: socket.socket) -> None:
        with pytest.raises(tlsfast.PeerError):
            tlsfast.wrap_socket(accepted, SERVER.replace(alpn=["h2"]))
        assert accepted.fileno() == -1

    address, served = listener(pool, serve)
    with pytest.raises(AlertReceived) as caught:
        tlsfast.connect(address, CLIENT.replace(alpn=["smtp"]), timeout=10)
    assert caught.value.description == tlsfast.AlertDescription.no_application_protocol
    served.result(10)


def test_a_missing_client_certificate_is_told_by_reading_and_by_writing(pool: ThreadPoolExecutor) -> None:
    """In TLS 1.3 the client's handshake is complete before the server can refuse it: the alert comes with the first call after it."""
    strict = SERVER.replace(client_auth="required", trust=TRUST)

    def serve(accepted: socket.socket) -> None:
        with pytest.raises(tlsfast.PeerError):
            tlsfast.wrap_socket(accepted, strict)

    for write in (False, True):
        address, served = listener(pool, serve)
        with tlsfast.connect(address, CLIENT, timeout=10) as stream:
            served.result(10)
            with pytest.raises(AlertReceived) as caught:
                for _ in range(100):
                    stream.sendall(bytes(65536)) if write else stream.recv(1)
            assert caught.value.description == tlsfast.AlertDescription.certificate_required


def test_client_certificate(pool: ThreadPoolExecutor) -> None:
    strict = SERVER.replace(client_auth="required", trust=TRUST)
    config = CLIENT.replace(credentials=[tlsfast.Credential.load(PERSON.pem, PERSON.key_pem)])
    with Pair(pool, config, strict) as (client, server):
        client.sendall(b"hello")
        assert server.recv(10) == b"hello"
        assert server.info.peer_chain == PERSON.chain


@pytest.mark.parametrize(("said", "error", "words"), [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", NotTLS, "HTTP"),
    (b"220 mx.test ESMTP\r\n", NotTLS, "STARTTLS"),
    (b"", Truncated, "ServerHello"),
    (b"\x16\x03\x03\x00\x40\x02", Truncated, "ServerHello"),
])  # fmt: skip
def test_a_peer_that_is_no_server(pool: ThreadPoolExecutor, said: bytes, error: type[Exception], words: str) -> None:
    def serve(accepted: socket.socket) -> None:
        accepted.recv(65536)
        accepted.sendall(said)
        accepted.shutdown(socket.SHUT_WR)
        while accepted.recv(65536):
            pass

    address, served = listener(pool, serve)
    with pytest.raises(error, match=words):
        tlsfast.connect(address, CLIENT, timeout=10)
    served.result(10)


def test_a_reset_in_mid_handshake(pool: ThreadPoolExecutor) -> None:
    def serve(accepted: socket.socket) -> None:
        accepted.recv(1)  # the rest stays unread, so that closing resets
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    address, served = listener(pool, serve)
    with pytest.raises(Truncated, match="cut the connection in mid-handshake, while we waited for ServerHello"):
        tlsfast.connect(address, CLIENT, timeout=10)
    served.result(10)


def test_a_question_without_a_callable(pool: ThreadPoolExecutor) -> None:
    """The caller gets a sentence, the peer an alert."""
    near, far = socket.socketpair()
    answered = pool.submit(tlsfast.wrap_socket, far, SERVER)
    with pytest.raises(ApiMisuse, match="VerifyChain.*plain callable"):
        tlsfast.wrap_socket(near, CLIENT.replace(verify=tlsfast.ASK), server_name="localhost")
    with pytest.raises(AlertReceived) as caught:
        answered.result(10)
    assert caught.value.description == tlsfast.AlertDescription.internal_error
    assert near.fileno() == far.fileno() == -1


def test_a_fault_after_good_data(pool: ThreadPoolExecutor) -> None:
    """The data is given first, then the fault for ever; the peer reads the alert."""
    near, far = socket.socketpair()
    relay, end = socket.socketpair()
    waiting = pool.submit(tlsfast.wrap_socket, end, SERVER)
    client = pool.submit(tlsfast.wrap_socket, near, CLIENT, server_name="localhost")

    def shovel(source: socket.socket, sink: socket.socket) -> None:
        while data := source.recv(65536):
            sink.sendall(data)

    with far, relay:
        back = pool.submit(shovel, relay, far)
        far.settimeout(10)
        while not (waiting.done() and client.done()):
            far.settimeout(0.05)
            try:
                relay.sendall(far.recv(65536))
            except TimeoutError:
                continue
        server, stream = waiting.result(10), client.result(10)
        stream.sendall(b"good")
        far.settimeout(10)
        relay.sendall(far.recv(65536) + b"\x17\x03\x03\x00\x20" + bytes(32))
        assert server.recv(100) == b"good"
        for _ in range(2):
            with pytest.raises(tlsfast.PeerError):
                server.recv(100)
        with pytest.raises(AlertReceived) as caught:
            stream.recv(100)
        assert caught.value.description == tlsfast.AlertDescription.bad_record_mac
        stream.close()
        far.shutdown(socket.SHUT_RDWR)
        relay.shutdown(socket.SHUT_RDWR)
        server.close()
        back.result(10)


def test_a_refused_peer_is_heard_out(pool: ThreadPoolExecutor) -> None:
    """What it still sends is read for a moment: closing on unread bytes would reset the connection, and could cost it the alert."""

    def serve(accepted: socket.socket) -> None:
        with pytest.raises(tlsfast.PeerError):
            tlsfast.wrap_socket(accepted, SERVER)

    address, served = listener(pool, serve)
    with socket.create_connection(address, 10) as raw:
        raw.sendall(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00")
        alert = bytes((tlsfast.AlertDescription.decode_error,))
        assert raw.recv(100) == b"\x15\x03\x03\x00\x02\x02" + alert
        time.sleep(0.2)
        for _ in range(10):
            raw.sendall(bytes(100_000))
        raw.shutdown(socket.SHUT_WR)
        assert raw.recv(100) == b""
    served.result(10)


# ---- The wire beneath ----


class Queue:
    """A connection's outgoing side."""

    def __init__(self) -> None:
        self.waiting = [b""]

    @property
    def send_pending(self) -> bool:
        return any(self.waiting)

    def data_to_send(self) -> bytes:
        data, self.waiting = b"".join(self.waiting), []
        return data


def test_an_answer_queued_while_another_sends_leaves_all_the_same() -> None:
    near, far = socket.socketpair()
    queue = Queue()
    wire = Wire(near, queue)

    def step() -> None:
        wire.send_queued(None)
        # Now, as the sender is done but has the lock still, a reader queues its answer.
        queue.waiting.append(b"answer")
        wire.send_if_free()
        assert queue.send_pending

    with near, far:
        wire.exclusively(None, step)
        far.settimeout(5)
        assert far.recv(100) == b"answer"


def test_a_deadline_that_is_past_does_not_wait() -> None:
    near, far = socket.socketpair()
    with near, far, pytest.raises(TimeoutError):
        Wire(near, Queue()).read(time.monotonic() - 1)


def test_a_sender_waits_for_another_no_longer_than_its_deadline(pool: ThreadPoolExecutor) -> None:
    with Pair(pool) as (client, server):
        client.settimeout(0.3)
        stuck = pool.submit(client.sendall, bytes(64 << 20))
        time.sleep(0.05)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError, match="another thread is sending"):
            client.sendall(b"x")
        assert isinstance(stuck.exception(10), TimeoutError)


def test_closing_while_the_reader_answers_a_key_update(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer and the close come one after the other, in either order."""
    real = post.send_key_update
    with Pair(pool) as (client, server):

        def meanwhile(*arguments: Any) -> None:
            closing = threading.Thread(target=client.connection.close)
            closing.start()
            closing.join(0.2)
            real(*arguments)

        server.connection.update_keys(request_peer=True)
        server.sendall(b"data")
        monkeypatch.setattr(post, "send_key_update", meanwhile)
        assert client.recv(10) == b"data"


# ---- Misuse ----


def test_what_cannot_be_wrapped() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, pytest.raises(ApiMisuse, match="stream socket"):
        tlsfast.wrap_socket(datagrams, CLIENT, server_name="localhost")
    near, far = socket.socketpair()
    with near, far:
        with pytest.raises(ApiMisuse, match="server_name"):
            tlsfast.wrap_socket(near, CLIENT)
        with pytest.raises(ApiMisuse, match="server_name"):
            tlsfast.wrap_socket(near, SERVER, server_name="localhost")
        assert near.fileno() >= 0, "misuse leaves the caller's socket alone"


def test_a_refused_connection_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = gone.getsockname()
    with pytest.raises(ConnectionRefusedError):
        tlsfast.connect(address, CLIENT, timeout=10)
