# SPDX-License-Identifier: Apache-2.0
"""load_cert_chain without OpenSSL: certificates and keys from paths, bytes or cryptography objects, with the standard module's exceptions."""

from __future__ import annotations

import dataclasses
import errno
import os
import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tlsfast.credentials import Credential
from tlsfast.errors import ConfigurationError
from tlsfast.ssl.errors import make
from tlsfast.ssl.trust import pem_error

# PEM_BUFSIZE of OpenSSL less its end: longer passwords are refused as the standard module refuses them.
_MOST_PASSWORD = 1023
_LONGEST = 8  # certificates in a chain that is completed here

Password = str | bytes | bytearray | Callable[[], str | bytes | bytearray] | None


def load(certfile: Any, keyfile: Any, password: Password) -> Credential:
    """The credential of load_cert_chain's arguments."""
    chain, key = _source(certfile, "certfile"), None if keyfile is None else _source(keyfile, "keyfile")
    secret = None if callable(password) else _checked(password, "password should be a string or callable")
    try:
        return _load(chain, key, secret, password)
    except ConfigurationError as error:
        raise _translated(error) from None


def _load(chain: Any, key: Any, secret: bytes | None, password: Password) -> Credential:
    try:
        return Credential.load(chain, key, password=secret)
    except ConfigurationError as error:
        if not callable(password) or "encrypted" not in error.message:
            raise
    # A callable is asked only where a password is needed.
    return Credential.load(chain, key, password=_checked(password(), "password callback must return a string"))


def with_issuers(credential: Credential, known: Iterable[x509.Certificate]) -> Credential:
    """A credential whose chain is its certificate alone, with those of its issuers that are known behind it."""
    chain = [credential.leaf]
    by_name = {each.subject: each for each in known}
    while len(credential.chain) == 1 and chain[-1].issuer != chain[-1].subject and len(chain) < _LONGEST:
        issuer = by_name.get(chain[-1].issuer)
        if issuer is None:
            break
        chain.append(issuer)
    if len(chain) == 1:
        return credential
    ders = tuple(each.public_bytes(Encoding.DER) for each in chain)
    return dataclasses.replace(credential, chain=ders, issuers=tuple(each.issuer.public_bytes() for each in chain))


def _source(given: Any, what: str) -> Any:
    """A path stays a path, which must be there; PEM or DER in bytes, and objects of cryptography, go through as they are."""
    if isinstance(given, bytes | bytearray | memoryview):
        data = bytes(given)
        if b"-----BEGIN" in data or data[:1] == b"\x30" and b"\0" in data:
            return data
        given = os.fsdecode(data)
    if isinstance(given, str) and "-----BEGIN" in given:
        return given.encode()
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        if not path.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return path
    if isinstance(given, x509.Certificate | list | tuple) or hasattr(given, "private_bytes"):
        return given
    raise TypeError(f"{what} should be a valid filesystem path, bytes or cryptography objects")


def _checked(password: Any, complaint: str) -> bytes | None:
    if password is None:
        return None
    if isinstance(password, str):
        password = password.encode()
    if not isinstance(password, bytes | bytearray):
        raise TypeError(complaint)
    if len(password) > _MOST_PASSWORD:
        raise ValueError(f"password cannot be longer than {_MOST_PASSWORD} bytes")
    return bytes(password)


def _translated(error: ConfigurationError) -> ssl.SSLError:
    words = error.message
    if "does not belong" in words or "not the key" in words or "another key" in words:
        text = f"[X509: KEY_VALUES_MISMATCH] key values mismatch ({words})"
        return make(ssl.SSLError, ssl.SSL_ERROR_SSL, text, "X509", "KEY_VALUES_MISMATCH")
    if "bits" in words and "RSA" in words and "parsed" not in words:
        text = f"[SSL: EE_KEY_TOO_SMALL] ee key too small ({words})"
        return make(ssl.SSLError, ssl.SSL_ERROR_SSL, text, "SSL", "EE_KEY_TOO_SMALL")
    return pem_error(words)
