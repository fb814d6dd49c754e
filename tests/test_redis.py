# SPDX-License-Identifier: Apache-2.0
"""Ticket keys and sessions in a real Redis: two server processes, rotation, one winner a period, Redis killed, stopped and empty again."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pki
import pytest
from pair import NAME, client_config, server_config, shake

import tlsfast
from tlsfast import ConfigurationError, TLSVersion
from tlsfast.crypto import Secret
from tlsfast.events import Decided, Observation

redis = pytest.importorskip("redis", reason="pip install 'tlsfast[redis]'")
from tlsfast.redis import OUTAGE, RedisAway, RedisKeyring, RedisSessionStore  # noqa: E402  # after the skip

LIFETIME = 3600
WRAPPING = secrets.token_bytes(32)
FAR = 86400.0  # a refresh by the thread that never comes
PSK = bytes(range(32))

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="no redis-server: apt install redis-server"),
]


class RedisServer:
    """A redis-server on loopback that keeps nothing on disk; start() again finds it empty, on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(["redis-server", *options], cwd=self.folder, stdout=subprocess.DEVNULL)
        client = self.client()
        for _ in range(500):
            try:
                client.ping()
                return self
            except redis.RedisError:
                time.sleep(0.02)
        raise AssertionError("redis-server does not answer")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=5)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path).start()
    yield running
    running.kill()


class Clock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000_000 * LIFETIME + 10.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def make(server: RedisServer) -> Iterator[Callable[..., RedisKeyring]]:
    """Makes keyrings on the server, each as another process would have it."""
    made: list[RedisKeyring] = []

    def make_one(clock: Clock | None = None, **changes: object) -> RedisKeyring:
        arguments = {"lifetime": LIFETIME, "refresh": FAR, "timeout": 0.5, "clock": clock or Clock(), **changes}
        made.append(RedisKeyring(server.url, arguments.pop("wrapping_key", WRAPPING), **arguments))
        return made[-1]

    yield make_one
    for keyring in made:
        keyring.close()


def ticket(keyring: RedisKeyring) -> bytes:
    return keyring.seal(Secret.from_bytes(PSK), b"state")


def opens(keyring: RedisKeyring, sealed: bytes) -> bool:
    opened = keyring.open(sealed)
    assert opened is None or (opened[0].reveal(), opened[1]) == (PSK, b"state")
    return opened is not None


# ---- Keys ----


def test_keyrings_on_one_redis_agree(make: Callable[..., RedisKeyring]) -> None:
    one, other = make(), make()
    assert opens(other, ticket(one)) and opens(one, ticket(other))
    assert one.lifetime_hint == LIFETIME


def test_rotation(make: Callable[..., RedisKeyring]) -> None:
    """Each period has another key, the same for all, made a period ahead; a ticket opens through the next period and no longer."""
    clock = Clock()
    one, other = make(clock), make(clock)
    first = ticket(one)
    clock.now += LIFETIME
    second = ticket(one)  # the key was there before its period, and nobody has asked Redis since
    assert second[:16] != first[:16]
    assert opens(other, first) and opens(other, second)
    assert one.refresh() and other.refresh()
    clock.now += LIFETIME
    assert not opens(other, first) and not opens(one, first) and opens(other, second)
    assert ticket(one)[:16] == ticket(other)[:16] not in (first[:16], second[:16])


def test_one_rotation_for_each_period(make: Callable[..., RedisKeyring], server: RedisServer) -> None:
    """Whoever comes first: eight at once, for three periods."""
    clock = Clock()
    keyrings = [make(clock) for _ in range(8)]
    for _ in range(3):
        barrier = threading.Barrier(len(keyrings))

        def refresh(keyring: RedisKeyring, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            assert keyring.refresh()

        threads = [threading.Thread(target=refresh, args=(keyring,)) for keyring in keyrings]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({ticket(keyring)[:16] for keyring in keyrings}) == 1
        clock.now += LIFETIME
    assert len(server.client().keys("tlsfast:ticket-key:*")) == 4  # three periods, and the one ahead


def test_what_lies_in_redis_is_wrapped_and_expires(make: Callable[..., RedisKeyring], server: RedisServer) -> None:
    keyring = make()
    client = server.client()
    assert len(client.keys("*")) == 2
    for key in keyring._keys.values():
        for place in client.keys("*"):
            assert key.secret.reveal() not in client.get(place)
            assert LIFETIME < client.ttl(place) <= 4 * LIFETIME


def test_another_wrapping_key_shares_nothing_and_says_so(
    make: Callable[..., RedisKeyring], caplog: pytest.LogCaptureFixture
) -> None:
    one, stranger = make(), make(wrapping_key=secrets.token_bytes(32))
    assert "was not wrapped for this place under a wrapping key that is known here" in caplog.text
    assert not opens(one, ticket(stranger)) and not opens(stranger, ticket(one))
    assert opens(stranger, ticket(stranger))  # under keys of its own
    assert not stranger.refresh()


def test_the_wrapping_key_changes_server_by_server(make: Callable[..., RedisKeyring]) -> None:
    new = secrets.token_bytes(32)
    old_one = make(wrapping_key=[WRAPPING, new])
    new_one = make(wrapping_key=[new, WRAPPING])
    assert opens(new_one, ticket(old_one))


def test_a_key_moved_to_another_period_does_not_unwrap(make: Callable[..., RedisKeyring], server: RedisServer) -> None:
    clock = Clock()
    make(clock)
    client = server.client()
    this, following = sorted(client.keys("*"))
    client.set(following, client.get(this))
    late = make(clock)
    assert not late.refresh()
    assert [key.last for key in late._keys.values()] == [clock.now // LIFETIME]  # the one in its place was taken


def test_rings_with_other_prefixes_and_lifetimes_are_others(make: Callable[..., RedisKeyring]) -> None:
    sealed = ticket(make())
    assert not opens(make(prefix="other"), sealed)
    assert not opens(make(lifetime=LIFETIME * 2), sealed)


# ---- Redis away ----


def test_while_redis_is_away_the_keys_in_memory_serve(
    make: Callable[..., RedisKeyring], server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    one, other = make(clock), make(clock)
    server.kill()
    assert not one.refresh() and not one.refresh()
    assert caplog.text.count("goes on with the ticket keys it has") == 1  # once for each time that it goes away
    for periods in range(OUTAGE // LIFETIME):
        assert opens(other, ticket(one)), periods  # the newest key that both have, past its period too
        clock.now += LIFETIME
    clock.now += 3 * LIFETIME
    assert not opens(other, ticket(one)) and opens(one, ticket(one))  # a day later each has keys of its own
    server.start()
    kept = ticket(one)
    assert one.refresh() and other.refresh()
    assert "shares ticket keys with the other servers again" in caplog.text
    assert opens(other, kept)  # what one server had is now everyone's
    assert opens(other, ticket(one)) and opens(one, ticket(other))


def test_a_redis_that_came_back_empty_gets_the_same_keys(
    make: Callable[..., RedisKeyring], server: RedisServer
) -> None:
    one = make()
    before = ticket(one)
    server.kill()
    server.start()
    assert server.client().keys("*") == []
    assert one.refresh()
    late = make()  # a server that starts now
    assert opens(late, before) and ticket(late)[:16] == before[:16]


def test_a_server_that_starts_without_redis(make: Callable[..., RedisKeyring], server: RedisServer) -> None:
    one = make()
    server.kill()
    late = make()
    own = ticket(late)
    assert opens(late, own) and not opens(late, ticket(one))
    server.start()
    assert one.refresh() and late.refresh()
    assert opens(late, ticket(one)) and opens(one, ticket(late))
    assert opens(late, own)  # still


def test_a_redis_that_hangs_holds_up_no_ticket(make: Callable[..., RedisKeyring], server: RedisServer) -> None:
    """While the thread waits for an answer, sealing and opening go on."""
    keyring = make(timeout=30)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    waiting = threading.Thread(target=keyring.refresh)
    waiting.start()
    for _ in range(100):
        assert opens(keyring, ticket(keyring))
    assert waiting.is_alive()
    server.process.send_signal(signal.SIGCONT)
    waiting.join(30)
    assert not waiting.is_alive()


def test_the_thread_asks_by_itself_and_ends_with_the_keyring(
    make: Callable[..., RedisKeyring], server: RedisServer
) -> None:
    keyring = RedisKeyring(server.url, WRAPPING, lifetime=LIFETIME, refresh=0.02, clock=Clock())
    server.client().flushall()
    for _ in range(500):
        if server.client().keys("*"):
            break
        time.sleep(0.02)
    assert opens(make(), ticket(keyring))
    threads = [each for each in threading.enumerate() if each.name == "tlsfast ticket keys"]
    stop = keyring._stop
    assert stop is not None
    ours = [each for each in threads if stop in each._args]
    del keyring
    for thread in ours:
        thread.join(10)
    assert len(ours) == 1 and not ours[0].is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_across_fork(make: Callable[..., RedisKeyring]) -> None:
    """A child has the keys and a thread of its own, even where the lock was held as it was made."""
    keyring = make()
    sealed = ticket(keyring)
    with keyring._lock:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(30)  # a child that hangs must not outlive the test
            os._exit(0 if opens(keyring, sealed) and keyring.refresh() and keyring._stop is not None else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_what_could_not_work_is_refused(server: RedisServer) -> None:
    for arguments, words in (
        ({"wrapping_key": b"short"}, "32 to 256 random bytes"),
        ({"wrapping_key": []}, "needs a wrapping key"),
        ({"lifetime": 0}, "RFC 8446, 4.6.1"),
        ({"refresh": 0}, "refresh"),
        ({"timeout": 0}, "timeout"),
        ({"server": "http://nowhere"}, "address of the Redis server"),
        ({"server": redis.Redis(port=server.port, decode_responses=True)}, "decode_responses"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            RedisKeyring(**{"server": server.url, "wrapping_key": WRAPPING, **arguments})


def test_no_secret_in_a_repr(make: Callable[..., RedisKeyring]) -> None:
    keyring = make()
    assert repr(keyring) == "<RedisKeyring lifetime=3600 prefix='tlsfast'>"
    assert all("Secret" not in repr(key) for key in keyring._keys.values())


# ---- Sessions by id ----


def test_sessions_resume_on_another_server(make: Callable[..., RedisKeyring], server: RedisServer) -> None:
    """TLS 1.2 by session id: the client takes no tickets from servers that have none to give."""
    versions = [TLSVersion.TLSv1_2]
    store = RedisSessionStore(server.url)
    configs = [
        server_config(versions=versions, tickets=make(), ticket_count=0, session_store=each)
        for each in (store, RedisSessionStore(server.url))
    ]
    client = client_config(versions=versions)
    store.put(b"id", b"sealed", 100)
    assert store.get(b"id") == b"sealed" and 0 < server.client().ttl("tlsfast:session:6964") <= 100
    store.discard(b"id")
    assert store.get(b"id") is None
    for number, resumed in enumerate((False, True, True)):
        assert shake(client, configs[number % 2]).client_completed().resumed is resumed


def test_a_store_that_is_away_costs_the_resumption(make: Callable[..., RedisKeyring], server: RedisServer) -> None:
    now = [0.0]
    seen: list[Observation] = []
    store = RedisSessionStore(server.url, timeout=0.2, pause=10, clock=lambda: now[0])
    keyring = make()
    config = server_config(
        versions=[TLSVersion.TLSv1_2], tickets=keyring, ticket_count=0, session_store=store, observer=seen.append
    )
    client = client_config(versions=[TLSVersion.TLSv1_2])
    shake(client, config)
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)  # it hangs: worse than being gone
    assert not shake(client, config).client_completed().resumed
    faults = [each.value for each in seen if isinstance(each, Decided) and each.what == "session store failed"]
    assert isinstance(faults[0], redis.TimeoutError)
    assert all(isinstance(each, RedisAway) for each in faults[1:]) and len(faults) >= 2
    server.process.send_signal(signal.SIGCONT)
    with pytest.raises(RedisAway):
        store.get(b"id")
    now[0] = 10
    assert store.get(b"id") is None
    shake(client, config)
    assert shake(client, config).client_completed().resumed


# ---- Two processes ----


class Process:
    """tests/redis_process.py, told what to do line by line."""

    def __init__(self, folder: Path, url: str) -> None:
        arguments = [folder / "chain.pem", folder / "key.pem", url, WRAPPING.hex(), str(LIFETIME)]
        script = Path(__file__).parent / "redis_process.py"
        environment = {**os.environ, "PYTHONPATH": str(Path(tlsfast.__file__).parent.parent)}
        self.process = subprocess.Popen(
            [sys.executable, script, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.port = int(self.line())

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, command: str) -> str:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)
        return self.line()

    def connect(self, config: tlsfast.ClientConfig) -> str:
        """ "resumed" or "full", as the server says."""
        with (
            socket.create_connection(("127.0.0.1", self.port), 30) as raw,
            tlsfast.wrap_socket(raw, config, server_name=NAME) as stream,
        ):
            return bytes(stream.recv(100)).decode()


@contextmanager
def two_processes(folder: Path, url: str) -> Generator[tuple[Process, Process]]:
    processes: list[Process] = []
    try:
        for _ in range(2):
            processes.append(Process(folder, url))
        yield processes[0], processes[1]
    finally:
        for each in processes:
            each.process.kill()
            each.process.communicate()


@pytest.mark.parametrize("version", [TLSVersion.TLSv1_3, TLSVersion.TLSv1_2], ids=str)
def test_two_processes(server: RedisServer, tmp_path: Path, version: TLSVersion) -> None:
    """A ticket from one resumes on the other: at first, over a rotation, while Redis is gone, and after it came back empty."""
    authority = pki.make_ca("redis CA")
    leaf = pki.make_leaf(authority, [NAME])
    (tmp_path / "chain.pem").write_bytes(leaf.pem)
    (tmp_path / "key.pem").write_bytes(leaf.key_pem)
    client = client_config(trust=tlsfast.TrustStore([authority.cert]), versions=[version])
    with two_processes(tmp_path, server.url) as (one, other):

        def back_and_forth() -> list[str]:
            return [each.connect(client) for each in (other, one, other)]

        assert one.connect(client) == "full"
        assert back_and_forth() == ["resumed"] * 3
        assert one.tell(f"advance {LIFETIME}") == "ok"  # rotates alone; the other one's clock is behind
        assert one.tell("refresh") == "ok"
        assert back_and_forth() == ["resumed"] * 3
        assert other.tell(f"advance {LIFETIME}") == other.tell("refresh") == "ok"
        assert back_and_forth() == ["resumed"] * 3
        server.kill()
        assert one.tell("refresh") == other.tell("refresh") == "away"
        assert back_and_forth() == ["resumed"] * 3
        for each in (one, other):
            assert each.tell(f"advance {2 * LIFETIME}") == "ok"  # past the keys that were made ahead
        assert one.connect(client) == "full"  # the ticket's key has gone
        assert back_and_forth() == ["resumed"] * 3
        server.start()
        assert one.tell("refresh") == other.tell("refresh") == "ok"
        assert back_and_forth() == ["resumed"] * 3
        assert len(server.client().keys("tlsfast:ticket-key:*")) == 2
