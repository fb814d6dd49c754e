# SPDX-License-Identifier: Apache-2.0
"""tlsfast connect: a handshake shown step by step, then standard input and output joined to the server."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console
from rich.text import Text

import tlsfast
from tlsfast.cli.trace import Trace, summary
from tlsfast.cli.words import subject_of
from tlsfast.errors import ApiMisuse

# How long a first connection waits for the ticket that the second is to resume with.
_TICKET_WAIT = 2.0
# How long an empty input waits for the server: an alert about our certificate comes after the handshake.
_GRACE = 1.0


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """The options of the command, as given."""

    target: str
    ca: Path | None
    cert: Path | None
    key: Path | None
    alpn: list[str]
    groups: list[str]
    suites: list[str]
    server_name: str | None
    insecure: bool
    keylog: Path | None
    timeout: float
    resume: bool
    request: str | None


def connect(options: ConnectOptions, console: Console) -> None:
    """Run the command; what the server sends goes to standard output, the rest to the console."""
    address = parse_target(options.target)
    config = make_config(options, console)
    if options.resume:
        take_ticket(options, address, config, console)
    with open_stream(options, address, config, console) as stream:
        if options.resume and not stream.info.resumed:
            console.print("the server did not resume the session: this was a full handshake again")
        if options.request is not None:
            stream.settimeout(options.timeout)
            stream.sendall(unescape(options.request))
            copy_out(stream)
        else:
            stream.settimeout(None)
            converse(stream, options.timeout)


def parse_target(target: str) -> tuple[str, int]:
    """HOST, HOST:PORT, [IPv6]:PORT or an IPv6 address."""
    if "/" in target:
        raise ApiMisuse(f"{target!r} is no HOST[:PORT]: leave out the scheme and the path")
    host, colon, port = target.rpartition(":")
    if not colon or target.endswith("]") or (":" in host and not host.startswith("[")):
        host, port = target, "443"
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise ApiMisuse(f"{target!r} is no HOST[:PORT]: the port is a number from 1 to 65535")
    return host.removeprefix("[").removesuffix("]"), int(port)


def unescape(request: str) -> bytes:
    """Text as typed in a shell, with backslash and r, n, t or another backslash understood."""
    signs = {"r": "\r", "n": "\n", "t": "\t", "\\": "\\"}
    parts = iter(request.split("\\"))
    text = next(parts)
    for part in parts:
        if not part:  # a backslash was doubled
            text += "\\" + next(parts, "")
        else:
            text += signs.get(part[0], "\\" + part[0]) + part[1:]
    return text.encode()


def make_config(options: ConnectOptions, console: Console) -> tlsfast.ClientConfig:
    """The configuration that the options say; what they leave out keeps its default."""
    given: dict[str, Any] = {
        "credentials": options.cert and (tlsfast.Credential.load(options.cert, options.key),),
        "trust": options.ca and tlsfast.TrustStore.from_file(options.ca),
        "observer": None if console.quiet else Trace(console),
        "alpn": options.alpn,
        "groups": options.groups,
        "cipher_suites": options.suites,
        "keylog": options.keylog,
        "insecure_skip_verification": options.insecure,
    }
    return tlsfast.ClientConfig(**{name: value for name, value in given.items() if value})


@contextmanager
def open_stream(
    options: ConnectOptions, address: tuple[str, int], config: tlsfast.ClientConfig, console: Console
) -> Iterator[tlsfast.TLSSocket]:
    """Connect, and show what was agreed on."""
    started = monotonic()
    with tlsfast.connect(
        address, config, server_name=options.server_name, timeout=options.timeout, handshake_timeout=options.timeout
    ) as stream:
        console.print(Text(f"{summary(stream.info)}, after {(monotonic() - started) * 1000:.0f} ms", "bold green"))
        if stream.info.peer_chain:
            verified = "NOT verified" if options.insecure else "verified"
            console.print(Text(f"server: {subject_of(stream.info.peer_chain[0])}, {verified}"))
        yield stream


def take_ticket(
    options: ConnectOptions, address: tuple[str, int], config: tlsfast.ClientConfig, console: Console
) -> None:
    """Make a first connection for the ticket it brings; it lands in the configuration's session cache."""
    sessions = config.sessions
    with open_stream(options, address, config, console) as stream:
        stream.settimeout(0.05)
        deadline = monotonic() + _TICKET_WAIT
        while sessions is not None and not len(sessions) and monotonic() < deadline:
            try:
                if not stream.recv(65536):
                    break
            except TimeoutError:
                continue
    if sessions is None or not len(sessions):
        console.print("the server sent no ticket: it does not resume sessions")


def copy_out(stream: tlsfast.TLSSocket) -> int:
    """Write what the server sends to standard output until it closes, or nobody reads there; how many bytes came."""
    received = 0
    while data := stream.recv(65536):
        received += len(data)
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the interpreter complains as it ends
            break
    return received


class Input(threading.Thread):
    """Sends standard input until it ends, then closes our direction and gives the server some time for its last answer."""

    def __init__(self, stream: tlsfast.TLSSocket, timeout: float) -> None:
        super().__init__(daemon=True)
        self.stream, self.timeout = stream, timeout
        self.sent = 0
        self.late = False
        self.answered = threading.Event()

    def run(self) -> None:
        try:
            # The descriptor, not sys.stdin: a daemon thread that waits inside a buffered file disturbs the interpreter's end.
            while data := os.read(0, 65536):
                self.stream.sendall(data)
                self.sent += len(data)
            self.stream.send_eof()
        except (OSError, tlsfast.TLSError):
            return  # the reading side says what happened
        if not self.answered.wait(self.timeout if self.sent else min(_GRACE, self.timeout)):
            self.late = True
            self.stream.close()


def converse(stream: tlsfast.TLSSocket, timeout: float) -> None:
    """Join standard input and output to the stream. With an empty input nothing was asked, so no answer is missed."""
    typed = Input(stream, timeout)
    typed.start()
    try:
        copy_out(stream)
    except tlsfast.ConnectionClosed:
        if not typed.late:
            raise
        if typed.sent:
            raise TimeoutError(f"the server did not close within {timeout:g} s of the end of our input") from None
    except tlsfast.Truncated:
        if typed.sent:
            raise
    finally:
        typed.answered.set()
