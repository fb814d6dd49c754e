# SPDX-License-Identifier: Apache-2.0
"""Channel bindings of a connection: tls-exporter (RFC 9266), tls-server-end-point and tls-unique (RFC 5929)."""

from __future__ import annotations

from cryptography.hazmat.primitives import hashes

from tlsfast.certificates.signatures import MALFORMED, load_certificate
from tlsfast.errors import ApiMisuse
from tlsfast.handshake.flow import Established, Established12


def channel_binding(established: Established, kind: str) -> bytes:
    """The binding of this kind; ApiMisuse where the connection has none that is safe."""
    if kind == "tls-exporter":
        return established.exporter.export(b"EXPORTER-Channel-Binding", b"", 32)
    if kind == "tls-server-end-point":
        return server_end_point(established.server_certificate)
    if kind == "tls-unique":
        if not isinstance(established, Established12):
            raise ApiMisuse("tls-unique is not defined for TLS 1.3: use tls-exporter (RFC 9266)")
        if not established.extended:
            # RFC 7627: without it two connections can be made to have the same one (the triple handshake)
            raise ApiMisuse(
                "tls-unique needs extended_master_secret, which the peer does not have: use tls-server-end-point"
            )
        return established.first_finished
    raise ApiMisuse(f"{kind!r} is no channel binding: tls-exporter, tls-server-end-point and tls-unique are")


def server_end_point(certificate: bytes | None) -> bytes:
    """RFC 5929, 4.1: the certificate hashed with its signature's hash, SHA-256 in place of MD5 and SHA-1."""
    if certificate is None:
        raise ApiMisuse("the server's certificate is not known")
    try:
        algorithm = load_certificate(certificate).signature_hash_algorithm
    except MALFORMED:
        algorithm = None
    if algorithm is None:
        raise ApiMisuse(
            "tls-server-end-point is not defined for this certificate, whose signature names no hash (RFC 5929, 4.1)"
        )
    digest = hashes.Hash(hashes.SHA256() if algorithm.name in ("md5", "sha1") else algorithm)
    digest.update(certificate)
    return digest.finalize()
