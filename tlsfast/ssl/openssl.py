# SPDX-License-Identifier: Apache-2.0
"""SSLContext(fallback="openssl"): gives OpenSSL the trust, certificates and keys that the context has, when it must take over a connection."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tlsfast.credentials import Credential
from tlsfast.ssl.errors import unsupported
from tlsfast.ssl.trust import Anchors


def hand_over(context: Any, base: Any, anchors: Anchors, credentials: Sequence[Credential]) -> None:
    """Load into the base class's OpenSSL context what was loaded here since the last time."""
    state = (anchors.revision, tuple(each.fingerprint for each in credentials))
    if getattr(context, "_handed_over", None) == state:
        return
    ders = anchors.listed()
    if ders:
        base.load_verify_locations(context, cadata=b"".join(ders))
    for directory in anchors.directories:
        base.load_verify_locations(context, capath=directory)
    for crl in anchors.crls:
        _with_file(crl.public_bytes(serialization.Encoding.PEM), lambda path: base.load_verify_locations(context, path))
    for credential in credentials:
        _hand_over_key(context, base, credential)
    context._handed_over = state


def _hand_over_key(context: Any, base: Any, credential: Credential) -> None:
    """OpenSSL reads keys from files alone: one that only we can read, with the key encrypted, for the moment of the call."""
    key = credential._private
    if key is None:
        raise unsupported("a fallback to OpenSSL with a key that is elsewhere")
    password = secrets.token_bytes(24).hex().encode()
    pem = b"".join(
        x509.load_der_x509_certificate(der).public_bytes(serialization.Encoding.PEM) for der in credential.chain
    ) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password),
    )
    _with_file(pem, lambda path: base.load_cert_chain(context, path, password=password))


def _with_file(content: bytes, use: Any) -> None:
    descriptor, path = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        use(path)
    finally:
        os.unlink(path)
