# SPDX-License-Identifier: Apache-2.0
"""The handshake step by step: an observer that prints each message, its size and what it means, and each change of keys."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from cryptography import x509
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tlsfast.events import (
    AlertSeen,
    ChangeCipherSpecSeen,
    Decided,
    HandshakeCompleted,
    KeysChanged,
    MessageSeen,
    Observation,
)
from tlsfast.messages.handshake import (
    Certificate,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    Finished,
    HelloRetryRequest,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
)
from tlsfast.registry import AlertDescription, CipherSuite, KeyUpdateRequest, NamedGroup, SignatureScheme, TLSVersion


class Trace:
    """Prints what a connection's observer is told. Give it as `observer` to a configuration; one connection at a time."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, seen: Observation) -> None:
        if isinstance(seen, MessageSeen):
            name = type(seen.message).__name__
            self._line(seen.sent, name, f"{len(seen.raw)} bytes", meaning(seen.message, len(seen.raw)))
        elif isinstance(seen, KeysChanged):
            way = "what we send" if seen.sending else "what we receive"
            self._line(None, "keys", "", f"{way} is now under the {seen.epoch} keys, {seen.cipher_suite.name}", "green")
        elif isinstance(seen, AlertSeen):
            self._line(seen.sent, "Alert", "", name_of(AlertDescription, seen.description), "red")
        elif isinstance(seen, ChangeCipherSpecSeen):
            self._line(seen.sent, "ChangeCipherSpec", "1 byte", "means nothing in TLS 1.3; it calms middleboxes", "dim")
        elif isinstance(seen, Decided) and seen.what in _DECISIONS and seen.value:
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
        done.group.name if done.group is not None else "no key exchange",
    ]
    if done.signature_scheme is not None:
        parts.append(done.signature_scheme.name)
    parts.append("resumed" if done.resumed else "full handshake")
    if done.alpn is not None:
        parts.append(f"ALPN {done.alpn}")
    return ", ".join(parts)


def name_of(kind: type[IntEnum], number: int) -> str:
    """The registry's name for a number that a peer sent, which may have none."""
    try:
        return kind(number).name
    except ValueError:
        return f"0x{number:04x}"


def _version(number: int) -> str:
    return str(TLSVersion(number)) if number in set(TLSVersion) else f"version 0x{number:04x}"


def names_of(kind: type[IntEnum], numbers: Iterable[int] | None) -> str:
    return ", ".join(name_of(kind, number) for number in numbers or ())


def meaning(message: object, size: int) -> str:
    """Say what a handshake message does."""
    if isinstance(message, ClientHello):
        return _client_hello(message)
    if isinstance(message, ServerHello):
        return _server_hello(message)
    if isinstance(message, HelloRetryRequest):
        wanted = message.extensions.key_share
        return "asks for another hello" + (f" with a key share for {name_of(NamedGroup, wanted)}" if wanted else "")
    if isinstance(message, EncryptedExtensions):
        alpn = message.extensions.alpn
        return "the first message under keys" + (
            f"; chooses ALPN {_text(alpn)}" if alpn else "; nothing more to agree on"
        )
    if isinstance(message, CertificateRequest):
        return "asks the client for a certificate"
    if isinstance(message, Certificate):
        return _certificate(message)
    if isinstance(message, CertificateVerify):
        scheme = name_of(SignatureScheme, message.algorithm)
        return f"signs the transcript with {scheme}: the sender holds the certificate's private key"
    if isinstance(message, Finished):
        return "a MAC over all messages so far: nobody changed them"
    if isinstance(message, NewSessionTicket):
        return f"a ticket to resume this session with, good for {message.ticket_lifetime} s"
    if isinstance(message, KeyUpdate):
        both = message.request_update == KeyUpdateRequest.update_requested
        return "the sender's next record is under its next key" + (", and it asks for the same" if both else "")
    return f"a message of {size} bytes"


def _client_hello(hello: ClientHello) -> str:
    extensions = hello.extensions
    parts = [
        f"offers {', '.join(map(_version, extensions.supported_versions or (hello.legacy_version,)))}",
        names_of(CipherSuite, hello.cipher_suites),
        f"groups {names_of(NamedGroup, extensions.supported_groups)}",
    ]
    if extensions.key_share:
        parts.append(f"key share {names_of(NamedGroup, (share.group for share in extensions.key_share))}")
    if extensions.server_name:
        parts.append(f"name {printable(extensions.server_name)}")
    if extensions.alpn:
        parts.append(f"ALPN {', '.join(map(_text, extensions.alpn))}")
    if extensions.pre_shared_key:
        parts.append("a ticket to resume")
    return "; ".join(parts)


def _server_hello(hello: ServerHello) -> str:
    extensions = hello.extensions
    version = extensions.supported_versions or hello.legacy_version
    parts = [_version(version), name_of(CipherSuite, hello.cipher_suite)]
    if extensions.key_share is not None:
        parts.append(f"key share {name_of(NamedGroup, extensions.key_share.group)}")
    if extensions.pre_shared_key is not None:
        parts.append("the ticket is taken")
    return "chooses " + ", ".join(parts)


def _certificate(message: Certificate) -> str:
    if not message.entries:
        return "empty: the sender has no certificate to show"
    subjects = [subject_of(entry.cert_data) for entry in message.entries]
    staple = ", with an OCSP response" if message.entries[0].extensions.status_request else ""
    return f"{len(subjects)} certificate{'s' if len(subjects) > 1 else ''}: {' <- '.join(subjects)}{staple}"


def subject_of(der: bytes) -> str:
    """A certificate's subject in words; the peer may have sent anything."""
    try:
        return printable(x509.load_der_x509_certificate(der).subject.rfc4514_string()) or "(empty subject)"
    except ValueError:
        return "(unreadable)"


def printable(text: str) -> str:
    """Text that a peer had a say in, without what would move a terminal's cursor."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def _text(data: bytes) -> str:
    return printable(data.decode("utf-8", "backslashreplace"))
