# SPDX-License-Identifier: Apache-2.0
"""What is measured: each case is the same work done by tlsfast and by what Python programs use today, both ends in one process where it says pair."""

from __future__ import annotations

import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

import tlsfast
from tlsfast import crypto
from tlsfast.keyshare import KeyShare

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import pki  # the certificates of the tests; tests/ is no package

Work = Callable[[], object]
OurConfigs = tuple[tlsfast.ClientConfig, tlsfast.ServerConfig]
Contexts = tuple[ssl.SSLContext, ssl.SSLContext]
NAME = "server.test"
RECORD_SIZES = {"64 B": 64, "1350 B": 1350, "16 KiB": 16384, "1 MiB": 1 << 20}
HKDF_LABEL = b"\x00\x20\x0dtls13 derived\x20" + bytes(32)


@dataclass(frozen=True)
class Case:
    """ours and theirs make the work to be timed: a call does it once. bytes: payload a call, 0 where a rate makes no sense."""

    name: str
    peer: str
    ours: Callable[[], Work]
    theirs: Callable[[], Work]
    bytes: int = 0


# ---- The two sides ----


@cache
def folder() -> Path:
    """Certificates as files, because ssl takes nothing else."""
    place = Path(tempfile.mkdtemp(prefix="tlsfast-bench-"))
    authority = pki.make_ca("bench CA")
    leaf = pki.make_leaf(authority, [NAME])
    (place / "ca.pem").write_bytes(authority.cert_pem)
    (place / "chain.pem").write_bytes(leaf.pem)
    (place / "key.pem").write_bytes(leaf.key_pem)
    return place


@cache
def configs() -> OurConfigs:
    trust = tlsfast.TrustStore.from_file(folder() / "ca.pem")
    credential = tlsfast.Credential.load(folder() / "chain.pem", folder() / "key.pem")
    # AES-256-GCM is what ssl picks by itself: the same suite on both sides.
    suites = [tlsfast.CipherSuite.TLS_AES_256_GCM_SHA384]
    return (
        tlsfast.ClientConfig(trust=trust, keylog=None, cipher_suites=suites),
        tlsfast.ServerConfig(credentials=[credential], keylog=None, cipher_suites=suites),
    )


@cache
def contexts() -> Contexts:
    return make_contexts()


def make_contexts() -> Contexts:
    client = ssl.create_default_context(cafile=str(folder() / "ca.pem"))
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder() / "chain.pem", folder() / "key.pem")
    return client, server


@cache
def configs12() -> OurConfigs:
    """TLS 1.2 with the suite that ssl picks for a P-256 certificate."""
    suites = {"cipher_suites": [tlsfast.CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384], "versions": ()}
    return configs()[0].replace(**suites), configs()[1].replace(**suites)


@cache
def contexts12() -> Contexts:
    client, server = make_contexts()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    return client, server


def our_pair(
    client: tlsfast.ClientConfig, server: tlsfast.ServerConfig | None = None
) -> tuple[tlsfast.ClientConnection, tlsfast.ServerConnection]:
    """A full handshake, every chain verified anew."""
    ours, theirs = tlsfast.ClientConnection(client, NAME), tlsfast.ServerConnection(server or configs()[1])
    theirs.receive_data(ours.data_to_send())
    ours.receive_data(theirs.data_to_send())
    theirs.receive_data(ours.data_to_send())
    ours.receive_data(theirs.data_to_send())
    return ours, theirs


@dataclass
class SslPair:
    """Two ssl.SSLObjects over memory, as asyncio drives them."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    to_server: ssl.MemoryBIO
    to_client: ssl.MemoryBIO


def ssl_pair(session: ssl.SSLSession | None = None, using: Contexts | None = None) -> SslPair:
    client, server = using or contexts()
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    pair = SslPair(
        client.wrap_bio(to_client, to_server, server_hostname=NAME, session=session),
        server.wrap_bio(to_server, to_client, server_side=True),
        to_server,
        to_client,
    )
    for end in (pair.client, pair.server, pair.client, pair.server, pair.client):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass
    try:
        pair.client.read(1)  # takes the tickets
    except ssl.SSLWantReadError:
        pass
    return pair


# ---- Records ----


def our_seal(size: int) -> Callable[[], Work]:
    def make() -> Work:
        client, _ = our_pair(configs()[0])
        data = bytes(size)

        def work() -> object:
            client.send_data(data)
            return client.data_to_send()

        return work

    return make


def ssl_seal(size: int) -> Callable[[], Work]:
    def make() -> Work:
        pair, data = ssl_pair(), bytes(size)

        def work() -> object:
            pair.client.write(data)
            return pair.to_server.read()

        return work

    return make


def our_pair_of_ends(size: int, using: Callable[[], OurConfigs] = configs) -> Callable[[], Work]:
    def make() -> Work:
        client, server = our_pair(*using())
        data = bytes(size)

        def work() -> object:
            client.send_data(data)
            return server.receive_data(client.data_to_send())

        return work

    return make


def ssl_pair_of_ends(size: int, using: Callable[[], Contexts] = contexts) -> Callable[[], Work]:
    def make() -> Work:
        pair, data = ssl_pair(using=using()), bytes(size)

        def work() -> object:
            pair.client.write(data)
            taken = 0
            while taken < size:
                taken += len(pair.server.read(262144))
            return taken

        return work

    return make


# ---- Handshakes ----


def our_full() -> Work:
    client = configs()[0].replace(session_cache=None)
    return lambda: our_pair(client)


def our_resumed() -> Work:
    client = configs()[0].replace()
    our_pair(client)

    def work() -> object:
        pair = our_pair(client)
        if not pair[0].handshake.resumed:  # type: ignore[union-attr]  # complete: our_pair shook hands
            raise AssertionError("not resumed")
        return pair

    return work


def ssl_resumed() -> Work:
    sessions: list[Any] = [ssl_pair().client.session]

    def work() -> object:
        pair = ssl_pair(sessions[0])
        if not pair.client.session_reused:
            raise AssertionError("not resumed")
        sessions[0] = pair.client.session
        return pair

    return work


# ---- TLS 1.2 ----


def our_full12() -> Work:
    client = configs12()[0].replace(session_cache=None)
    return lambda: our_pair(client, configs12()[1])


def our_resumed12() -> Work:
    client, server = configs12()[0].replace(), configs12()[1]
    our_pair(client, server)

    def work() -> object:
        pair = our_pair(client, server)
        if not pair[0].handshake.resumed:  # type: ignore[union-attr]  # complete: our_pair shook hands
            raise AssertionError("not resumed")
        return pair

    return work


def ssl_resumed12() -> Work:
    session = ssl_pair(using=contexts12()).client.session

    def work() -> object:
        pair = ssl_pair(session, contexts12())
        if not pair.client.session_reused:
            raise AssertionError("not resumed")
        return pair

    return work


# ---- Primitives ----


def our_x25519() -> Work:
    peer = KeyShare(tlsfast.NamedGroup.x25519).public
    return lambda: KeyShare(tlsfast.NamedGroup.x25519).agree(peer)


def their_x25519() -> Work:
    peer = X25519PrivateKey.generate().public_key()

    def work() -> object:
        private = X25519PrivateKey.generate()
        private.public_key().public_bytes_raw()
        return private.exchange(peer)

    return work


def our_expand_label() -> Work:
    secret, context = crypto.Secret.random(32), bytes(32)
    return lambda: crypto.expand_label(crypto.SHA256, secret, b"derived", context, 32)


def their_expand_label() -> Work:
    secret, sha256 = bytes(32), hashes.SHA256()
    return lambda: HKDFExpand(sha256, 32, HKDF_LABEL).derive(secret)


def cases() -> Iterator[Case]:
    """All cases, in the order of the README's table."""
    for label, size in RECORD_SIZES.items():
        yield Case(f"seal {label}", "ssl", our_seal(size), ssl_seal(size), size)
    for label, size in RECORD_SIZES.items():
        yield Case(f"seal and open {label}, pair", "ssl", our_pair_of_ends(size), ssl_pair_of_ends(size), size)
    yield Case("full handshake, pair", "ssl", our_full, lambda: ssl_pair)
    yield Case("resumed handshake, pair", "ssl", our_resumed, ssl_resumed)
    yield Case(
        "TLS 1.2: seal and open 16 KiB, pair",
        "ssl",
        our_pair_of_ends(16384, configs12),
        ssl_pair_of_ends(16384, contexts12),
        16384,
    )
    yield Case("TLS 1.2: full handshake, pair", "ssl", our_full12, lambda: lambda: ssl_pair(using=contexts12()))
    yield Case("TLS 1.2: resumed handshake, pair", "ssl", our_resumed12, ssl_resumed12)
    yield Case("X25519 key pair and exchange", "cryptography", our_x25519, their_x25519)
    yield Case("HKDF-Expand-Label, SHA-256", "cryptography", our_expand_label, their_expand_label)
