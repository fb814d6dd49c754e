# SPDX-License-Identifier: Apache-2.0
"""The standard module's functions that make contexts, and those that make sockets of them, with ours in place of its own."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from typing import Any

from tlsfast.ssl.context import SSLContext


def create_default_context(
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH, *, cafile: Any = None, capath: Any = None, cadata: Any = None
) -> SSLContext:
    """A context with the standard module's defaults. All such contexts of a process share one parsed store of the system's roots."""
    context = _of_purpose(purpose, None)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    _trust_and_log(context, purpose, cafile, capath, cadata)
    return context


def _create_unverified_context(
    protocol: int | None = None,
    *,
    cert_reqs: int | None = ssl.CERT_NONE,
    check_hostname: bool = False,
    purpose: ssl.Purpose = ssl.Purpose.SERVER_AUTH,
    certfile: Any = None,
    keyfile: Any = None,
    cafile: Any = None,
    capath: Any = None,
    cadata: Any = None,
) -> SSLContext:
    """A context that verifies nothing unless it is told to, for the standard library's modules."""
    context = _of_purpose(purpose, protocol)
    context.check_hostname = check_hostname
    if cert_reqs is not None:
        context.verify_mode = cert_reqs
    if check_hostname:
        context.check_hostname = True
    if keyfile and not certfile:
        raise ValueError("certfile must be specified")
    if certfile or keyfile:
        context.load_cert_chain(certfile, keyfile)
    _trust_and_log(context, purpose, cafile, capath, cadata)
    return context


_create_default_https_context = create_default_context
_create_stdlib_context = _create_unverified_context


def _of_purpose(purpose: ssl.Purpose, protocol: int | None) -> SSLContext:
    if not isinstance(purpose, ssl._ASN1Object):
        raise TypeError(purpose)
    defaults = {ssl.Purpose.SERVER_AUTH: ssl.PROTOCOL_TLS_CLIENT, ssl.Purpose.CLIENT_AUTH: ssl.PROTOCOL_TLS_SERVER}
    if purpose not in defaults:
        raise ValueError(purpose)
    return SSLContext(defaults[purpose] if protocol is None else protocol)


def _trust_and_log(context: SSLContext, purpose: ssl.Purpose, cafile: Any, capath: Any, cadata: Any) -> None:
    if cafile or capath or cadata:
        context.load_verify_locations(cafile, capath, cadata)
    elif context.verify_mode != ssl.CERT_NONE:
        context.load_default_certs(purpose)
    path = os.environ.get("SSLKEYLOGFILE")
    if path and not sys.flags.ignore_environment:
        context.keylog_filename = path


def get_server_certificate(
    addr: tuple[str, int], ssl_version: int = ssl.PROTOCOL_TLS_CLIENT, ca_certs: Any = None, timeout: Any = None
) -> str:
    """The certificate of the server at addr as PEM, verified if ca_certs names roots."""
    context = _create_unverified_context(
        ssl_version, cert_reqs=ssl.CERT_NONE if ca_certs is None else ssl.CERT_REQUIRED, cafile=ca_certs
    )
    limit = {} if timeout is None else {"timeout": timeout}
    with socket.create_connection(addr, **limit) as sock, context.wrap_socket(sock, server_hostname=addr[0]) as stream:
        der = stream.getpeercert(True)
    if der is None:
        raise ValueError("the server sent no certificate")
    return ssl.DER_cert_to_PEM_cert(der)


def wrap_socket(
    sock: socket.socket,
    keyfile: Any = None,
    certfile: Any = None,
    server_side: bool = False,
    cert_reqs: int = ssl.CERT_NONE,
    ssl_version: int = ssl.PROTOCOL_TLS,
    ca_certs: Any = None,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    ciphers: str | None = None,
) -> ssl.SSLSocket:
    """The function of Python 3.11 and older; a context's wrap_socket is what to use."""
    if server_side and not certfile:
        raise ValueError("certfile must be specified for server-side operations")
    if keyfile and not certfile:
        raise ValueError("certfile must be specified")
    context = SSLContext(ssl_version)
    context.verify_mode = cert_reqs
    if ca_certs:
        context.load_verify_locations(ca_certs)
    if certfile:
        context.load_cert_chain(certfile, keyfile)
    if ciphers:
        context.set_ciphers(ciphers)
    return context.wrap_socket(
        sock=sock,
        server_side=server_side,
        do_handshake_on_connect=do_handshake_on_connect,
        suppress_ragged_eofs=suppress_ragged_eofs,
    )
