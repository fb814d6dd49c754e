# SPDX-License-Identifier: Apache-2.0
"""What demo measures: bulk data both ways and handshakes over loopback, by this library and by the standard ssl module, in turns."""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import statistics
import tempfile
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console

import tlsfast
from tlsfast.cli.authority import Authority

STACKS = {"tlsfast": "tlsfast", "ssl": f"ssl ({' '.join(ssl.OPENSSL_VERSION.split()[:2])})"}
_PIECE = 256 * 1024
_NAME = "localhost"
# The standard library has no say in its TLS 1.3 suite and takes this one: so do we here.
_SUITE = tlsfast.CipherSuite.TLS_AES_256_GCM_SHA384
RSA_SUITE = tlsfast.CipherSuite.TLS_RSA_WITH_AES_128_GCM_SHA256


class Stream(Protocol):
    """What both libraries' sockets can do."""

    def sendall(self, data: bytes, /) -> object: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> object: ...


# ---- The server, in a process of its own ----


class Server:
    """A process that serves one connection after the other: "tlsfast", "ssl", or "static RSA" (tlsfast with that suite alone)."""

    def __init__(self, stack: str, authority: Authority) -> None:
        self._pipe, end = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process: BaseProcess = context.Process(target=_serve, args=(stack, authority, end), daemon=True)
        self._process.start()
        end.close()
        try:
            self.address: tuple[str, int] = self._pipe.recv()
        except EOFError:
            raise RuntimeError("the server's process did not start: what it said stands above") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        self._process.terminate()
        self._process.join()


def _serve(stack: str, authority: Authority, pipe: Connection) -> None:
    wrap = _server_side(stack, authority)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pipe.send(listener.getsockname())
        # The parent's end of the pipe closes with it, however it ends.
        threading.Thread(target=_end_with_parent, args=(pipe, listener), daemon=True).start()
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with accepted:
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                accepted.settimeout(60)
                try:
                    stream = wrap(accepted)
                    _obey(stream)
                    stream.close()
                except (OSError, tlsfast.TLSError):
                    continue


def _end_with_parent(pipe: Connection, listener: socket.socket) -> None:
    try:
        pipe.recv()
    except EOFError:
        pass
    listener.shutdown(socket.SHUT_RDWR)


def _obey(stream: Stream) -> None:
    """P: one byte back. U and a length: take that much, then one byte back. D and a length: send that much."""
    while command := stream.recv(1):
        length = 0 if command == b"P" else int.from_bytes(_take(stream, 8), "big")
        if command == b"U":
            _discard(stream, length)
        elif command == b"D":
            _pour(stream, length)
            continue
        stream.sendall(b"k")


def _take(stream: Stream, length: int) -> bytes:
    data = b""
    while len(data) < length:
        part = stream.recv(length - len(data))
        if not part:
            raise EOFError("the peer closed early")
        data += part
    return data


def _discard(stream: Stream, length: int) -> None:
    while length:
        part = stream.recv(min(_PIECE, length))
        if not part:
            raise EOFError("the peer closed early")
        length -= len(part)


def _pour(stream: Stream, length: int) -> None:
    block = bytes(_PIECE)
    while length:
        piece = block if length >= _PIECE else block[:length]
        stream.sendall(piece)
        length -= len(piece)


def _server_side(stack: str, authority: Authority) -> Callable[[socket.socket], Stream]:
    if stack in ("tlsfast", "static RSA"):
        suites: dict[str, Any] = {"cipher_suites": (RSA_SUITE,)} if stack == "static RSA" else {}
        config = tlsfast.ServerConfig(credentials=(tlsfast.Credential.load(authority.chain, authority.key),), **suites)
        return lambda accepted: tlsfast.wrap_socket(accepted, config)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.TemporaryDirectory() as folder:
        # The standard library takes keys from files alone.
        both = Path(folder) / "both.pem"
        both.touch(0o600)
        both.write_bytes(authority.chain + authority.key)
        context.load_cert_chain(both)
    return lambda accepted: context.wrap_socket(accepted, server_side=True)


# ---- The client ----


class Client(Protocol):
    """One library's client, which remembers a session to resume."""

    def open(self, address: tuple[str, int], *, resume: bool) -> Stream: ...
    def keep(self, stream: Any) -> None: ...
    def resumed(self, stream: Any) -> bool: ...


class Ours:
    """tlsfast's client: the session cache keeps sessions by itself, and full handshakes have none."""

    def __init__(self, authority: Authority) -> None:
        self._full = tlsfast.ClientConfig(
            trust=tlsfast.TrustStore.from_pem(authority.ca),
            cipher_suites=(_SUITE,),
            session_cache=None,
            request_ocsp=False,
        )
        self._resuming = self._full.replace(session_cache=tlsfast.SessionCache())

    def open(self, address: tuple[str, int], *, resume: bool) -> tlsfast.TLSSocket:
        return tlsfast.connect(address, self._resuming if resume else self._full, server_name=_NAME, timeout=60)

    def keep(self, stream: Any) -> None:
        pass

    def resumed(self, stream: tlsfast.TLSSocket) -> bool:
        return stream.info.resumed


class Theirs:
    """The standard library's client."""

    def __init__(self, authority: Authority) -> None:
        self._context = ssl.create_default_context(cadata=authority.ca.decode())
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._session: ssl.SSLSession | None = None

    def open(self, address: tuple[str, int], *, resume: bool) -> ssl.SSLSocket:
        raw = socket.create_connection(address, 60)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._context.wrap_socket(raw, server_hostname=_NAME, session=self._session if resume else None)

    def keep(self, stream: ssl.SSLSocket) -> None:
        self._session = stream.session

    def resumed(self, stream: ssl.SSLSocket) -> bool:
        return bool(stream.session_reused)


RESUMED_BY = "each handshake: TCP, TLS, one byte there and back, close; resumed ones take a ticket that is used once"


@dataclass(slots=True)
class Rates:
    """Medians: MiB a second up and down, handshakes a second full and resumed."""

    upload: float = 0.0
    download: float = 0.0
    full: float = 0.0
    resumed: float = 0.0
    samples: dict[str, list[float]] = field(default_factory=dict)


def measure(
    servers: dict[str, tuple[str, int]], authority: Authority, size: int, handshakes: int, rounds: int, console: Console
) -> dict[str, Rates]:
    """Run all measurements, in turns, so that what else the machine does meets both alike."""
    clients: dict[str, Client] = {"tlsfast": Ours(authority), "ssl": Theirs(authority)}
    rates = {stack: Rates() for stack in clients}
    kinds: dict[str, Callable[[Client, tuple[str, int]], float]] = {
        "upload": lambda client, address: _bulk(client, address, b"U", size),
        "download": lambda client, address: _bulk(client, address, b"D", size),
        "full": lambda client, address: _handshakes(client, address, handshakes, resume=False),
        "resumed": lambda client, address: _handshakes(client, address, handshakes, resume=True),
    }
    with console.status("measuring"):
        for _ in range(rounds):
            for kind, run in kinds.items():
                for stack, client in clients.items():
                    rates[stack].samples.setdefault(kind, []).append(run(client, servers[stack]))
    for rate in rates.values():
        for kind, samples in rate.samples.items():
            setattr(rate, kind, statistics.median(samples))
    return rates


def _bulk(client: Client, address: tuple[str, int], command: bytes, size: int) -> float:
    """MiB a second of one direction, from the first byte of the command to the last of the answer."""
    with closing(client.open(address, resume=False)) as stream:
        started = perf_counter()
        stream.sendall(command + size.to_bytes(8, "big"))
        if command == b"U":
            _pour(stream, size)
            _take(stream, 1)
        else:
            _discard(stream, size)
        return size / (1 << 20) / (perf_counter() - started)


def _handshakes(client: Client, address: tuple[str, int], count: int, *, resume: bool) -> float:
    """Handshakes a second, one after the other. One more goes before them: it brings the session that the first of them resumes."""
    _exchange(client, address, resume)
    started = perf_counter()
    for _ in range(count):
        if _exchange(client, address, resume) is not resume:
            raise RuntimeError(f"a handshake that should{'' if resume else ' not'} have been a resumed one was not so")
    return count / (perf_counter() - started)


def _exchange(client: Client, address: tuple[str, int], resume: bool) -> bool:
    """One connection with one byte there and back; whether it was a resumed one."""
    with closing(client.open(address, resume=resume)) as stream:
        stream.sendall(b"P")
        _take(stream, 1)
        client.keep(stream)
        return client.resumed(stream)
