# SPDX-License-Identifier: Apache-2.0
"""What every interop test stands on: certificates as files, peers as processes with time limits, our client and server, an echo, and the matrix."""

from __future__ import annotations

import itertools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import IO, Any, Self

import pki
import pytest

import tlsfast
from tlsfast import CipherSuite, ClientConfig, Credential, NamedGroup, ServerConfig, TLSSocket, TrustStore
from tlsfast.events import HandshakeCompleted

LOOPBACK = "127.0.0.1"
NAME = "server.test"  # what every server certificate is for, besides localhost and 127.0.0.1
CLIENT_NAME = "client.test"
LIMIT = 30.0  # seconds for any one step: far more than it takes, so that only what hangs is cut

SUITES = (
    CipherSuite.TLS_AES_128_GCM_SHA256,
    CipherSuite.TLS_AES_256_GCM_SHA384,
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256,
)
GROUPS = (NamedGroup.x25519, NamedGroup.secp256r1, NamedGroup.secp384r1)
KEYS = ("p256", "p384", "rsa2048", "rsapss2048", "ed25519")
CLIENT_AUTH = (None, "optional", "required")

#: Data that is echoed: around the edges of a record, and enough to cross every buffer.
SMALL = (0, 1, 16384, 16385)
BIG = 16 * 1024 * 1024
SIZES = (*SMALL, BIG)


def require(program: str, mend: str) -> str:
    """The path of a peer's program, or a skip that names the command that brings it."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed: {mend}")
    return path


# ---- Certificates ----


@dataclass(frozen=True)
class Identity:
    """A certificate chain with its key: as files for a peer, as a Credential for us."""

    entity: pki.Entity
    chain: Path
    key: Path
    credential: Credential


class Certificates:
    """One root, one intermediate, and leaves of each key type, made when first asked for. Fixture `certificates`: one for the whole session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = pki.make_ca("tlsfast interop root")
        self.intermediate = pki.make_ca("tlsfast interop intermediate", issuer=self.root)
        self.stranger = pki.make_ca("a root that nobody trusts")
        self.ca = self._file("ca.pem", self.root.cert_pem)
        self.between = self._file("between.pem", self.intermediate.cert_pem)  # what a chain holds besides the leaf
        self.trust = TrustStore([self.root.cert])
        self._made: dict[str, Identity] = {}

    def _file(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content)
        return path

    def server(self, key: str = "p256") -> Identity:
        """A good server certificate; key as in KEYS."""
        return self.named(f"server-{key}", lambda: self.leaf([NAME, "localhost", LOOPBACK], key=key))

    def client(self, key: str = "p256") -> Identity:
        return self.named(f"client-{key}", lambda: self.leaf([CLIENT_NAME], key=key))

    def leaf(self, names: Sequence[str] = (NAME,), **options: Any) -> pki.Entity:
        """A leaf of the intermediate, with options of pki.make_leaf."""
        return pki.make_leaf(self.intermediate, names, **options)

    def named(self, stem: str, make: Callable[[], pki.Entity]) -> Identity:
        """The identity of this name, made and written on first use."""
        if stem not in self._made:
            entity = make()
            chain, key = entity.write(self.folder, stem)
            key.chmod(0o600)
            self._made[stem] = Identity(entity, chain, key, Credential.load(entity.pem, entity.key_pem))
        return self._made[stem]

    # ---- Our configurations over these certificates ----

    def server_config(self, key: str = "p256", **changes: Any) -> ServerConfig:
        """A ServerConfig with the certificate of this key type; client_auth brings its trust along."""
        options: dict[str, Any] = {"credentials": [self.server(key).credential], "keylog": None}
        if changes.get("client_auth") is not None:
            options["trust"] = self.trust
        return ServerConfig(**{**options, **changes})

    def client_config(self, **changes: Any) -> ClientConfig:
        return ClientConfig(**{"trust": self.trust, "keylog": None, **changes})


# Certificates that must be refused: how to make them, and the alert that says so.
BAD: dict[str, tuple[Callable[[Certificates, str], pki.Entity], str]] = {
    "expired": (
        lambda certificates, name: certificates.leaf([name], not_after=pki.now() - timedelta(hours=1)),
        "certificate_expired",
    ),
    "unknown_ca": (lambda certificates, name: pki.make_leaf(certificates.stranger, [name]), "unknown_ca"),
    "not_yet_valid": (
        lambda certificates, name: certificates.leaf([name], not_before=pki.now() + timedelta(hours=1)),
        "bad_certificate",
    ),
}
# And for servers whose client checks the name.
BAD_SERVERS: dict[str, tuple[Callable[[Certificates, str], pki.Entity], str]] = {
    **BAD,
    "wrong_name": (lambda certificates, name: certificates.leaf(["other.test"]), "bad_certificate"),
}


def bad(certificates: Certificates, case: str, name: str) -> Identity:
    """A bad certificate for this name."""
    make, _ = BAD_SERVERS[case]
    return certificates.named(f"{case}-{name}", lambda: make(certificates, name))


# ---- Ports and processes ----


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def is_listening(port: int) -> bool:
    """Whether anything listens on this port, found without connecting: a probe would use up a peer's accept."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            local, state = row.split()[1], row.split()[3]
            if state == "0A" and int(local.rsplit(":", 1)[1], 16) == port:
                return True
    return False


class Peer:
    """A peer's process in a group of its own. Its output is kept as it comes; a watchdog ends it at its time limit; leaving the block ends it."""

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        limit: float = 2 * LIMIT,
        env: dict[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        on_output: Callable[[Peer, bytes], object] | None = None,
    ) -> None:
        self.argv = [os.fspath(each) for each in argv]
        self.out = bytearray()
        self.err = bytearray()
        self._changed = threading.Condition()
        self._on_output = on_output
        surroundings = {key: value for key, value in os.environ.items() if key != "SSLKEYLOGFILE"}
        self.process = subprocess.Popen(
            self.argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env={**surroundings, **(env or {})},
            cwd=cwd,
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stdout, self.out, on_output), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.err, None), daemon=True),
        ]
        self._watchdog = threading.Timer(limit, self._kill)
        self._watchdog.daemon = True
        for thread in (*self._readers, self._watchdog):
            thread.start()

    def _read(self, pipe: IO[bytes], into: bytearray, then: Callable[[Peer, bytes], object] | None) -> None:
        while chunk := os.read(pipe.fileno(), 65536):
            with self._changed:
                into += chunk
                self._changed.notify_all()
            if then is not None:
                then(self, chunk)
            if len(chunk) < 64:
                time.sleep(0.001)  # some peers write byte by byte: let more come together
        with self._changed:
            self._changed.notify_all()

    # ---- Talking to it ----

    def send(self, data: bytes) -> None:
        """Write to its standard input; a peer that is gone shows in what is expected next."""
        stdin = self.process.stdin
        assert stdin is not None
        view = memoryview(data)
        try:
            while view:
                view = view[stdin.write(view) or 0 :]
        except (BrokenPipeError, ValueError):
            pass

    def send_eof(self) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass

    def expect(self, pattern: str, *, limit: float = LIMIT) -> re.Match[bytes]:
        """Wait until its output or its error output matches."""
        found: list[re.Match[bytes]] = []

        def look() -> bool:
            for stream in (self.out, self.err):
                match = re.search(pattern.encode(), bytes(stream))
                if match:
                    found.append(match)
                    return True
            return False

        self.wait(look, limit, f"its output to match {pattern!r}")
        return found[0]

    def expect_output(self, length: int, *, start: int = 0, limit: float = LIMIT) -> bytes:
        """Wait until it has printed so many bytes (or more) to standard output; return those from start on."""
        self.wait(lambda: len(self.out) >= length, limit, f"{length} bytes of output")
        return bytes(self.out[start:])

    def wait_until_listening(self, port: int, *, limit: float = LIMIT) -> None:
        deadline = time.monotonic() + limit
        while not is_listening(port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the peer does not listen on {port}\n{self.report()}")
            time.sleep(0.01)

    def finish(self, *, limit: float = LIMIT) -> int:
        """Wait until it ends by itself; return its exit status."""
        try:
            status = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the peer did not end within {limit} s\n{self.report()}") from None
        for reader in self._readers:
            reader.join(LIMIT)
        return status

    def wait(self, met: Callable[[], bool], limit: float, what: str) -> None:
        """Wait until met() says so, looked at after each output; fail at the limit, or when the process is over."""
        deadline = time.monotonic() + limit
        with self._changed:
            while not met():
                over = not any(reader.is_alive() for reader in self._readers)
                if over or time.monotonic() > deadline:
                    raise AssertionError(f"waited in vain for {what}\n{self.report()}")
                self._changed.wait(0.1)

    def report(self) -> str:
        """What it was and what it said, for an assertion's message."""
        out, err = (bytes(each[-2000:]).decode("ascii", "replace") for each in (self.out, self.err))
        return (
            f"$ {' '.join(self.argv)}\nexit status: {self.process.poll()}\n--- output\n{out}\n--- error output\n{err}"
        )

    # ---- Its end ----

    def _kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        try:
            os.killpg(self.process.pid, number)  # its own group, made by start_new_session: itself and its children
        except ProcessLookupError:
            pass

    def stop(self) -> None:
        self._watchdog.cancel()
        self._signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            pass
        self._kill()
        self.process.wait(5)
        for reader in self._readers:
            reader.join(5)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            try:
                pipe.close()
            except BrokenPipeError:
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def listening(argv: Callable[[int], Sequence[str | os.PathLike[str]]], **options: Any) -> Iterator[tuple[Peer, int]]:
    """A server process: argv is made for a free port, and the block begins when it listens there. Options as for Peer."""
    for attempt in range(3):
        port = free_port()
        with Peer(argv(port), **options) as peer:
            try:
                peer.wait_until_listening(port)
            except AssertionError:
                if attempt == 2:  # else another process may have taken the port in between
                    raise
                continue
            yield peer, port
            return


# ---- Our server ----


@dataclass
class Served:
    """One connection to our server: what was agreed, or why it failed, and how many bytes came."""

    info: HandshakeCompleted | None = None
    error: Exception | None = None
    received: int = 0
    clean: bool = False  # the peer ended it with close_notify


def echo_back(stream: TLSSocket, served: Served) -> None:
    """Send back what comes until the peer closes."""
    while data := stream.recv(65536):
        served.received += len(data)
        stream.sendall(data)


class Server:
    """Our server on a loopback port: one thread accepts, one serves each connection, at most `connections` of them.

    handler(stream, served) runs after the handshake; by default it echoes. What became of each connection is kept: served(0) waits for the first."""

    def __init__(
        self,
        config: ServerConfig,
        handler: Callable[[TLSSocket, Served], object] = echo_back,
        *,
        connections: int = 16,
        allow_truncation: bool = False,
    ) -> None:
        self._config = config
        self._handler = handler
        self._allow_truncation = allow_truncation
        self._left = connections
        self._stopping = False
        self._done: dict[int, Served] = {}
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server((LOOPBACK, 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self) -> None:
        while self._left and not self._stopping:
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            self._left -= 1
            thread = threading.Thread(target=self._serve, args=(sock, len(self._threads)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        served = Served()
        try:
            with sock:
                sock.settimeout(LIMIT)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with tlsfast.wrap_socket(
                    sock, self._config, allow_truncation=self._allow_truncation, handshake_timeout=LIMIT
                ) as stream:
                    served.info = stream.info
                    self._handler(stream, served)
                    served.clean = True
        except Exception as error:  # the test looks at it
            served.error = error
        with self._changed:
            self._done[number] = served
            self._changed.notify_all()

    def served(self, number: int = 0, *, limit: float = LIMIT) -> Served:
        """Wait for the end of the connection of this number; return what became of it."""
        with self._changed:
            if not self._changed.wait_for(lambda: number in self._done, limit):
                raise AssertionError(f"connection {number} to our server did not end (ended: {sorted(self._done)})")
            return self._done[number]

    def completed(self, number: int = 0, *, limit: float = LIMIT) -> HandshakeCompleted:
        """The same for a connection that must have gone well."""
        served = self.served(number, limit=limit)
        if served.error is not None:
            raise AssertionError(f"connection {number} to our server failed: {served.error!r}") from served.error
        assert served.info is not None
        return served.info

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self._acceptor.join(LIMIT)
        self._listener.close()
        for thread in self._threads:
            thread.join(LIMIT)


# ---- Our client ----


def connect(port: int, config: ClientConfig, *, name: str = NAME, **options: Any) -> TLSSocket:
    """Our client, connected to a loopback port, with time limits."""
    return tlsfast.connect(
        (LOOPBACK, port), config, server_name=name, **{"timeout": LIMIT, "handshake_timeout": LIMIT, **options}
    )


def echo_client(
    port: int, config: ClientConfig, sizes: Sequence[int] = SMALL, *, name: str = NAME, **options: Any
) -> HandshakeCompleted:
    """Connect to an echo server, have data of these sizes echoed and compared, close; return what was agreed."""
    with connect(port, config, name=name, **options) as stream:
        for size in sizes:
            exchange(stream, payload(size))
        return stream.info


@cache
def payload(size: int) -> bytes:
    """Bytes that look random and are the same each time."""
    return random.Random(size).randbytes(size)


@cache
def lines(size: int) -> bytes:
    """The same as lines of text, for peers that read lines: size bytes, of which the last is a line feed."""
    letters = bytes(b"abcdefghijklmnopqrstuvwxyz0123456789"[value % 36] for value in range(256))
    text = bytearray(random.Random(size).randbytes(size).translate(letters))
    text[79::80] = b"\n" * len(text[79::80])
    if size:
        text[-1] = 0x0A
    return bytes(text)


def exchange(stream: TLSSocket, data: bytes) -> None:
    """Send data and read as much back while it is being sent; it must be the same."""
    if len(data) <= 65536:
        stream.sendall(data)
        back = read_exactly(stream, len(data))
    else:
        failures: list[Exception] = []
        thread = threading.Thread(target=_send, args=(stream, data, failures), daemon=True)
        thread.start()
        try:
            back = read_exactly(stream, len(data))
        finally:
            thread.join(LIMIT)
        assert not failures, failures
    assert back == data, f"{len(data)} bytes came back changed"


def _send(stream: TLSSocket, data: bytes, failures: list[Exception]) -> None:
    try:
        stream.sendall(data)
    except Exception as error:  # shown by the thread that reads
        failures.append(error)


def read_exactly(stream: Any, size: int) -> bytes:
    """Read so many bytes from anything that has recv."""
    back = bytearray()
    while len(back) < size:
        chunk = stream.recv(min(size - len(back), 1 << 20))
        assert chunk, f"the stream ended after {len(back)} of {size} bytes"
        back += chunk
    return bytes(back)


# ---- The matrix ----


def covering(_unable: Callable[[dict[str, Any]], bool] | None = None, /, **axes: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows in which each pair of values of any two axes occurs at least once (unless _unable rules out every row with it).

    Greedy and deterministic: of all rows take the one with the most pairs not yet seen, until none is left."""
    names = list(axes)
    rows = [dict(zip(names, values, strict=True)) for values in itertools.product(*axes.values())]
    rows = [row for row in rows if _unable is None or not _unable(row)]
    pairs = [frozenset(itertools.combinations(row.items(), 2)) for row in rows]
    missing = set().union(*pairs)
    chosen = []
    while missing:
        best = max(range(len(rows)), key=lambda index: len(pairs[index] & missing))
        chosen.append(rows[best])
        missing -= pairs[best]
    return chosen


def product(_unable: Callable[[dict[str, Any]], bool] | None = None, /, **axes: Sequence[Any]) -> list[dict[str, Any]]:
    """All rows, less those that _unable rules out."""
    rows = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    return [row for row in rows if _unable is None or not _unable(row)]


def label(row: dict[str, Any]) -> str:
    """A test's id: the values, enums by their names, True as the axis' name."""
    parts = []
    for name, value in row.items():
        if value is True:
            parts.append(name)
        elif value is not False:
            parts.append(str(getattr(value, "name", value)).removeprefix("TLS_").lower() if value else f"no_{name}")
    return "-".join(parts)


def matrix(rows: Sequence[dict[str, Any]]) -> pytest.MarkDecorator:
    """Parametrize a test by `row`."""
    return pytest.mark.parametrize("row", rows, ids=label)
