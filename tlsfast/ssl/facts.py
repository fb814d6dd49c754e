# SPDX-License-Identifier: Apache-2.0
"""What an engine tells about its connection, in the standard module's words: cipher, version, certificates, protocol."""

from __future__ import annotations

from typing import Any

from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.events import HandshakeCompleted
from tlsfast.registry import CipherSuite, TLSVersion
from tlsfast.ssl import settings
from tlsfast.ssl.certs import Certificate, decode
from tlsfast.ssl.session import SSLSession

_VERSIONS = {TLSVersion.TLSv1_2: "TLSv1.2", TLSVersion.TLSv1_3: "TLSv1.3"}


class Facts:
    """The part of the engine that only answers questions."""

    def __init__(self, context: Any, *, server_side: bool, server_hostname: str | None) -> None:
        self._context = context
        self._config: Any = None
        self._connection: ClientConnection | ServerConnection | None = None
        self._handshake: HandshakeCompleted | None = None
        self._session: SSLSession | None = None
        self._offered: tuple[int, ...] | None = None  # the client's cipher suites, at the server
        self.server_side = server_side
        self.server_hostname = server_hostname

    @property
    def session_reused(self) -> bool | None:
        return self._handshake is not None and self._handshake.resumed

    def version(self) -> str | None:
        return None if self._handshake is None else _VERSIONS[self._handshake.version]

    def cipher(self) -> tuple[str, str, int] | None:
        return None if self._handshake is None else settings.described(self._handshake.cipher_suite)

    def shared_ciphers(self) -> list[tuple[str, str, int]] | None:
        """What client and server have in common, in the client's order; None for a client."""
        if self._offered is None:
            return None
        ours = frozenset(self._config.cipher_suites)
        return [settings.described(CipherSuite(suite)) for suite in self._offered if suite in ours]

    def compression(self) -> None:
        """TLS compression is never used."""
        return None

    def selected_alpn_protocol(self) -> str | None:
        return None if self._handshake is None else self._handshake.alpn

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate: None if it sent none, {} if it was not verified, else as a dictionary; or as DER."""
        if self._handshake is None:
            raise ValueError("handshake not done yet")
        chain = self._handshake.peer_chain
        if not chain:
            return None
        if binary_form:
            return chain[0]
        return decode(chain[0]) if self._handshake.verified_chain else {}

    def get_verified_chain(self) -> list[Certificate] | None:
        """The path that was verified, leaf first; None without one."""
        return self._certificates(self._handshake.verified_chain if self._handshake is not None else ())

    def get_unverified_chain(self) -> list[Certificate] | None:
        """What the peer sent, leaf first; None if it sent nothing."""
        return self._certificates(self._handshake.peer_chain if self._handshake is not None else ())

    def _certificates(self, chain: tuple[bytes, ...]) -> list[Certificate] | None:
        return [Certificate(der) for der in chain] or None

    # ---- The names of Python 3.15, on every version ----

    def group(self) -> str | None:
        """The group of the key agreement."""
        agreed = self._handshake.group if self._handshake is not None else None
        return None if agreed is None else agreed.name

    def client_sigalg(self) -> str | None:
        """The scheme by which the client showed that it holds its key; None where it was not asked."""
        connection = self._connection
        scheme = connection._hs.client_scheme if connection is not None and self._handshake is not None else None
        return None if scheme is None else scheme.name

    def server_sigalg(self) -> str | None:
        """The scheme by which the server did; None in a resumed session."""
        scheme = self._handshake.signature_scheme if self._handshake is not None else None
        return None if scheme is None else scheme.name

    def uses_ktls_for_send(self) -> bool:
        return False

    def uses_ktls_for_recv(self) -> bool:
        return False
