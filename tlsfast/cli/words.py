# SPDX-License-Identifier: Apache-2.0
"""What a handshake message does, in words: the text of the trace. Whatever a peer had a say in is made printable here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import Any

from cryptography import x509

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
from tlsfast.messages.handshake12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ClientKeyExchange,
    Finished12,
    NewSessionTicket12,
    ServerHelloDone,
    ServerKeyExchange,
)
from tlsfast.registry import CipherSuite, KeyUpdateRequest, NamedGroup, SignatureScheme, TLSVersion


def meaning(message: object, size: int) -> str:
    """Say what a handshake message of size bytes does."""
    words = _MEANINGS.get(type(message))
    return words(message) if words is not None else f"a message of {size} bytes"


def name_of(kind: type[IntEnum], number: int) -> str:
    """The registry's name for a number that a peer sent, which may have none."""
    try:
        return kind(number).name
    except ValueError:
        return f"0x{number:04x}"


def printable(text: str) -> str:
    """Text that a peer had a say in, without what would move a terminal's cursor."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def subject_of(der: bytes) -> str:
    """A certificate's subject; the peer may have sent anything."""
    try:
        return printable(x509.load_der_x509_certificate(der).subject.rfc4514_string()) or "(empty subject)"
    except ValueError:
        return "(unreadable)"


def _names(kind: type[IntEnum], numbers: Iterable[int] | None) -> str:
    return ", ".join(name_of(kind, number) for number in numbers or ())


def _version(number: int) -> str:
    return str(TLSVersion(number)) if number in set(TLSVersion) else f"version 0x{number:04x}"


def _text(data: bytes) -> str:
    return printable(data.decode("utf-8", "backslashreplace"))


def _client_hello(hello: ClientHello) -> str:
    extensions = hello.extensions
    parts = [
        f"offers {', '.join(map(_version, extensions.supported_versions or (hello.legacy_version,)))}",
        _names(CipherSuite, hello.cipher_suites),
        f"groups {_names(NamedGroup, extensions.supported_groups)}",
    ]
    if extensions.key_share:
        parts.append(f"key share {_names(NamedGroup, (share.group for share in extensions.key_share))}")
    if extensions.server_name:
        parts.append(f"name {printable(extensions.server_name)}")
    if extensions.alpn:
        parts.append(f"ALPN {', '.join(map(_text, extensions.alpn))}")
    if extensions.pre_shared_key or extensions.session_ticket:
        parts.append("a ticket to resume")
    return "; ".join(parts)


def _server_hello(hello: ServerHello) -> str:
    extensions = hello.extensions
    parts = [_version(extensions.supported_versions or hello.legacy_version), name_of(CipherSuite, hello.cipher_suite)]
    if extensions.key_share is not None:
        parts.append(f"key share {name_of(NamedGroup, extensions.key_share.group)}")
    if extensions.pre_shared_key is not None:
        parts.append("the ticket is taken")
    if extensions.alpn is not None:
        parts.append(f"ALPN {_text(extensions.alpn)}")
    return "chooses " + ", ".join(parts)


def _hello_retry_request(message: HelloRetryRequest) -> str:
    wanted = message.extensions.key_share
    return "asks for another hello" + (f" with a key share for {name_of(NamedGroup, wanted)}" if wanted else "")


def _encrypted_extensions(message: EncryptedExtensions) -> str:
    alpn = message.extensions.alpn
    return "the first message under keys; " + (f"chooses ALPN {_text(alpn)}" if alpn else "nothing more to agree on")


def _certificate(message: Certificate) -> str:
    staple = bool(message.entries) and message.entries[0].extensions.status_request is not None
    return _chain([entry.cert_data for entry in message.entries]) + (", with an OCSP response" if staple else "")


def _chain(chain: Iterable[bytes]) -> str:
    subjects = [subject_of(der) for der in chain]
    if not subjects:
        return "empty: the sender has no certificate to show"
    return f"{len(subjects)} certificate{'s' if len(subjects) > 1 else ''}: {' <- '.join(subjects)}"


def _certificate_verify(message: CertificateVerify) -> str:
    scheme = name_of(SignatureScheme, message.algorithm)
    return f"signs all messages so far with {scheme}: the sender holds the certificate's private key"


def _server_key_exchange(message: ServerKeyExchange) -> str:
    scheme = name_of(SignatureScheme, message.algorithm)
    return f"a key share for {name_of(NamedGroup, message.group)}, signed with {scheme}: the server holds the certificate's key"


def _client_key_exchange(message: ClientKeyExchange) -> str:
    # The suite is not in the message, but no point of a curve is as long as an RSA ciphertext.
    if len(message.exchange_keys) > 200:
        return "the premaster secret, encrypted with the server's public key: both sides can make the session keys"
    return "the client's key share: both sides can make the session keys"


def _key_update(message: KeyUpdate) -> str:
    both = message.request_update == KeyUpdateRequest.update_requested
    return "the sender's next record is under its next key" + (", and it asks for the same" if both else "")


def _ticket(lifetime: int) -> str:
    return f"a ticket to resume this session with, good for {lifetime} s"


_FINISHED = "a MAC over all messages so far: nobody changed them"

_MEANINGS: dict[type[object], Callable[[Any], str]] = {
    ClientHello: _client_hello,
    ServerHello: _server_hello,
    HelloRetryRequest: _hello_retry_request,
    EncryptedExtensions: _encrypted_extensions,
    CertificateRequest: lambda _: "asks the client for a certificate",
    Certificate: _certificate,
    CertificateVerify: _certificate_verify,
    Finished: lambda _: _FINISHED,
    NewSessionTicket: lambda message: _ticket(message.ticket_lifetime),
    KeyUpdate: _key_update,
    Certificate12: lambda message: _chain(message.chain),
    CertificateStatus: lambda _: "an OCSP response for the certificate",
    ServerKeyExchange: _server_key_exchange,
    CertificateRequest12: lambda _: "asks the client for a certificate",
    ServerHelloDone: lambda _: "the server's turn ends",
    ClientKeyExchange: _client_key_exchange,
    NewSessionTicket12: lambda message: _ticket(message.lifetime_hint),
    Finished12: lambda _: _FINISHED,
}
