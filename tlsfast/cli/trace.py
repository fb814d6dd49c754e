# SPDX-License-Identifier: Apache-2.0
"""The handshake step by step: an observer that prints each message, its size and what it means, and each change of keys."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlsfast.cli.words import meaning, name_of
from tlsfast.events import (
    AlertSeen,
    ChangeCipherSpecSeen,
    Decided,
    HandshakeCompleted,
    KeysChanged,
    MessageSeen,
    Observation,
)
from tlsfast.registry import AlertDescription, TLSVersion


class Trace:
    """Prints what a connection's observer is told. Give it as `observer` to a configuration; one connection at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._version = TLSVersion.TLSv1_3

    def __call__(self, seen: Observation) -> None:
        if isinstance(seen, MessageSeen):
            name = type(seen.message).__name__.removesuffix("12")  # the messages of TLS 1.2 with a form of their own
            self._line(seen.sent, name, f"{len(seen.raw)} bytes", meaning(seen.message, len(seen.raw)))
        elif isinstance(seen, KeysChanged):
            way = "what we send" if seen.sending else "what we receive"
            self._line(None, "keys", "", f"{way} is now under the {seen.epoch} keys, {seen.cipher_suite.name}", "green")
        elif isinstance(seen, AlertSeen):
            self._line(seen.sent, "Alert", "", name_of(AlertDescription, seen.description), "red")
        elif isinstance(seen, ChangeCipherSpecSeen):
            older = self._version is TLSVersion.TLSv1_2
            text = "what follows is under the new keys" if older else "means nothing in TLS 1.3; it calms middleboxes"
            self._line(seen.sent, "ChangeCipherSpec", "1 byte", text, "" if older else "dim")
        elif isinstance(seen, Decided):
            if seen.what == "version":
                self._version = seen.value
            if seen.what in _DECISIONS and seen.value:
                self._line(None, "decided", "", _DECISIONS[seen.what], "green")

    def _line(self, sent: bool | None, name: str, size: str, text: str, style: str = "") -> None:
        row = Table.grid(padding=(0, 1))
        row.add_column(width=2)
        row.add_column(width=20)
        row.add_column(width=11, justify="right")
        row.add_column(ratio=1)
        arrow = "" if sent is None else "->" if sent else "<-"
        row.add_row(arrow, Text(name, style or "bold"), size, Text(text, style))
        self._console.print(row)


_DECISIONS = {
    "hello_retry": "the first hello lacked a key share or cookie that the server wants: a second one follows",
    "resumption": "the session is resumed: its pre-shared key stands for the certificates",
    "server_certificate": "the server's certificate was accepted",
    "client_certificate": "the client's certificate is taken",
}


def summary(done: HandshakeCompleted) -> str:
    """One line that says what a handshake agreed on."""
    parts = [
        str(done.version),
        done.cipher_suite.name,
        done.group.name if done.group is not None else "no ephemeral key",
    ]
    if done.signature_scheme is not None:
        parts.append(done.signature_scheme.name)
    parts.append("resumed" if done.resumed else "full handshake")
    if done.alpn is not None:
        parts.append(f"ALPN {done.alpn}")
    return ", ".join(parts)
