# SPDX-License-Identifier: Apache-2.0
"""What get_extra_info tells of a connection, in the words of asyncio's documentation and of ssl.SSLObject."""

from __future__ import annotations

from typing import Any

from tlsfast.aio.protocol import TLSProtocol
from tlsfast.connection import ClientConnection, ServerConnection
from tlsfast.errors import ApiMisuse, ConnectionClosed
from tlsfast.events import HandshakeCompleted
from tlsfast.registry import CipherSuite, TLSVersion

_VERSIONS = {TLSVersion.TLSv1_3: "TLSv1.3", TLSVersion.TLSv1_2: "TLSv1.2"}


class TLSObject:
    """Answers the questions of ssl.SSLObject (version, cipher, ALPN, certificates) about a connection; it does no I/O."""

    def __init__(self, connection: ClientConnection | ServerConnection, context: object) -> None:
        self._connection = connection
        self.context = context
        self.server_side = isinstance(connection, ServerConnection)

    @property
    def _completed(self) -> HandshakeCompleted:
        completed = self._connection.handshake
        if completed is None:
            raise ApiMisuse("the handshake is not complete")
        return completed

    @property
    def server_hostname(self) -> str | None:
        return None if self.server_side else self._completed.server_name

    @property
    def session_reused(self) -> bool:
        return self._completed.resumed

    def version(self) -> str:
        """ "TLSv1.3" or "TLSv1.2"."""
        return _VERSIONS[self._completed.version]

    def cipher(self) -> tuple[str, str, int]:
        """The suite's name (that of the standard, as IANA writes it), the protocol version, and the bits of its key."""
        suite = self._completed.cipher_suite
        return suite.name, self.version(), _key_bits(suite)

    def compression(self) -> None:
        """None: there is none in TLS 1.3, and ours never has it."""
        return None

    def selected_alpn_protocol(self) -> str | None:
        return self._completed.alpn

    def selected_npn_protocol(self) -> None:
        return None

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate, DER or as the dictionary of ssl.SSLSocket.getpeercert(): {} if it was not verified. None where it sent none."""
        chain = self._completed.peer_chain
        if not chain:
            return None
        if binary_form:
            return chain[0]
        from tlsfast.ssl.certs import decode  # here, because the drop-in takes longer to load than all of this package

        return decode(chain[0]) if self._completed.verified_chain else {}

    def get_unverified_chain(self) -> list[bytes]:
        """The chain as the peer sent it, DER, leaf first."""
        return list(self._completed.peer_chain)

    def get_verified_chain(self) -> list[bytes]:
        """The chain that was verified, DER, leaf to root."""
        return list(self._completed.verified_chain)

    def get_channel_binding(self, cb_type: str = "tls-unique") -> bytes | None:
        """The channel binding of this type, None where there is none that is safe."""
        try:
            return self._connection.channel_binding(cb_type)
        except (ApiMisuse, ConnectionClosed):
            return None


def _key_bits(suite: CipherSuite) -> int:
    return 128 if "AES_128" in suite.name else 256


def extra_info(tls: TLSProtocol, name: str, default: Any) -> Any:
    """The value of a name: of TLS, else what the transport beneath knows."""
    completed = tls.connection.handshake
    if name == "sslcontext":
        return tls.settings.context
    if completed is not None and name in _ASKED:
        make = tls.settings.ssl_object
        asked = make(tls) if make is not None else TLSObject(tls.connection, tls.settings.context)
        return _ASKED[name](asked, completed)
    return default if tls.wire is None else tls.wire.get_extra_info(name, default)


_ASKED: dict[str, Any] = {
    "handshake": lambda _, completed: completed,
    "ssl_object": lambda asked, _: asked,
    "peercert": lambda asked, _: asked.getpeercert(),
    "cipher": lambda asked, _: asked.cipher(),
    "compression": lambda asked, _: asked.compression(),
}
