# SPDX-License-Identifier: Apache-2.0
"""The PRF of TLS 1.2 and the extended master secret: published vectors, a second implementation, OpenSSL's key log (RFC 5246, 5; RFC 7627)."""

from __future__ import annotations

import hashlib
import hmac
import ssl
from pathlib import Path

import pki
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pair import NAME, authority, client_config

from tlsfast import ClientConnection, crypto
from tlsfast.crypto import SHA256, SHA384, Secret

# Published with the TLS 1.2 PRF on the IETF's TLS list: P_hash with SHA-256, 100 bytes, and with SHA-384, 148 bytes.
VECTORS = [
    (
        SHA256,
        "9bbe436ba940f017b17652849a71db35",
        "a0ba9f936cda311827a6f796ffd5198c",
        "e3f229ba727be17b8d122620557cd453c2aab21d07c3d495329b52d4e61edb5a6b301791e90d35c9c9a46b4e14baf9af0fa022f7077def17abfd3797c0564bab"
        "4fbc91666e9def9b97fce34f796789baa48082d122ee42c5a72e5a5110fff70187347b66",
    ),
    (
        SHA384,
        "b80b733d6ceefcdc71566ea48e5567df",
        "cd665cf6a8447dd6ff8b27555edb7465",
        "7b0c18e9ced410ed1804f2cfa34a336a1c14dffb4900bb5fd7942107e81c83cde9ca0faa60be9fe34f82b1233c9146a0e534cb400fed2700884f9dc236f80edd"
        "8bfa961144c9e8d792eca722a7b32fc3d416d473ebc2c5fd4abfdad05d9184259b5bf8cd4d90fa0d31e2dec479e4f1a26066f2eea9a69236a3e52655c9e9aee6"
        "91c8f3a26854308d5eaa3be85e0990703d73e56f",
    ),
]
HASHES = {SHA256: "sha256", SHA384: "sha384"}


def reference(algorithm: int, secret: bytes, seed: bytes, length: int) -> bytes:
    """P_hash as RFC 5246, 5 writes it, over the standard library."""
    out, a = b"", seed
    while len(out) < length:
        a = hmac.digest(secret, a, HASHES[algorithm])
        out += hmac.digest(secret, a + seed, HASHES[algorithm])
    return out[:length]


@pytest.mark.parametrize(("algorithm", "secret", "seed", "output"), VECTORS, ids=["SHA-256", "SHA-384"])
def test_published_vectors(algorithm: int, secret: str, seed: str, output: str) -> None:
    expected = bytes.fromhex(output)
    made = crypto.prf12(
        algorithm, Secret.from_bytes(bytes.fromhex(secret)), b"test label", bytes.fromhex(seed), len(expected)
    )
    assert made.reveal() == expected


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([SHA256, SHA384]),
    st.binary(min_size=1, max_size=200),
    st.binary(max_size=40),
    st.binary(max_size=200),
    st.integers(1, 256),
)
def test_like_a_second_implementation(algorithm: int, secret: bytes, label: bytes, seed: bytes, length: int) -> None:
    made = crypto.prf12(algorithm, Secret.from_bytes(secret), label, seed, length).reveal()
    assert made == reference(algorithm, secret, label + seed, length)


@pytest.mark.parametrize("algorithm", [SHA256, SHA384])
def test_finished(algorithm: int) -> None:
    master, digest = bytes(range(48)), hashlib.new(HASHES[algorithm], b"transcript").digest()
    made = crypto.finished12(algorithm, Secret.from_bytes(master), b"client finished", digest)
    assert made == reference(algorithm, master, b"client finished" + digest, 12)


@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"])
def test_the_extended_master_secret_is_openssls(tmp_path: Path, ciphers: str) -> None:
    """Both sides log the same master secret under the same client random: the session hash is right, with either hash."""
    leaf = pki.make_leaf(authority(), [NAME])
    chain, key = leaf.write(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers)
    context.keylog_filename = str(tmp_path / "keys")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(to_server, to_client, server_side=True)
    lines: list[str] = []
    client = ClientConnection(client_config(versions=["TLSv1_2"], keylog=lines.append), NAME)
    for _ in range(3):
        to_server.write(client.data_to_send())
        try:
            server.do_handshake()
        except ssl.SSLWantReadError:
            pass
        client.receive_data(to_client.read())
    assert client.handshake is not None
    logged = [line for line in (tmp_path / "keys").read_text().splitlines() if line.startswith("CLIENT_RANDOM")]
    assert [line.lower() for line in logged] == [line.lower() for line in lines]
