# SPDX-License-Identifier: Apache-2.0
"""The TLS stacks that are compared, each behind the same three questions: shake hands, seal, open. Both ends in this process, over memory.

Equal work: the same suite, group and certificate, a chain of one certificate under one root that every client verifies anew, two tickets after a
full handshake. What a stack cannot be told is said in words (Cannot) and the row is left without it."""

from __future__ import annotations

import ctypes
import errno
import importlib
import ssl
import sys
import sysconfig
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tlsfast
from tlsfast import crypto

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
import pki  # the certificates of the tests; tests/ is no package

NAME = "server.test"
SUITES = {
    "AES-128-GCM": ("TLS_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
    "AES-256-GCM": ("TLS_AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
    "ChaCha20-Poly1305": ("TLS_CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
}
MANY = 1 << 20
PIECE = 16384  # rustls stops taking plaintext when 64 KiB wait to be sent


class Cannot(Exception):
    """Why a stack has no place in a row."""


@dataclass(frozen=True)
class Terms:
    """What a handshake agrees on. chain_cache: tlsfast may remember that it verified the chain, which no other stack here does."""

    suite: str = "AES-256-GCM"
    version: str = "1.3"
    group: str = "x25519"
    key: str = "p256"
    chain_cache: bool = False

    @property
    def more_groups(self) -> tuple[str, ...]:
        return ("secp256r1",) if self.version == "1.2" else ()

    @property
    def openssl_suite12(self) -> str:
        return f"ECDHE-{'RSA' if self.key.startswith('rsa') else 'ECDSA'}-{SUITES[self.suite][1]}"


@dataclass(frozen=True)
class Joined:
    """Two ends after a handshake. sealer(data) and opener() make what is timed: wire bytes of data, and what becomes of them.

    sealer_into and opener_into do it in a buffer of the caller's that is used again and again, where a stack has that."""

    sealer: Callable[[bytes], Callable[[], bytes]]
    opener: Callable[[], Callable[[bytes], object]]
    keep: Any = None  # the ends, alive
    sealer_into: Callable[[bytes], Callable[[], object]] | None = None
    opener_into: Callable[[], Callable[[bytes], object]] | None = None


class Stack(ABC):
    """A library. shaker and resumer prepare what lasts (contexts, a session) and return what makes one handshake."""

    name = ""

    @abstractmethod
    def shaker(self, terms: Terms) -> Callable[[], Joined]: ...

    def resumer(self, terms: Terms) -> Callable[[], Joined]:
        raise Cannot(f"{self.name} does not resume")


@cache
def folder(key: str) -> Path:
    """Certificates as files, because most stacks take nothing else."""
    place = Path(tempfile.mkdtemp(prefix="tlsfast-bench-"))
    authority = pki.make_ca("bench CA")
    leaf = pki.make_leaf(authority, [NAME], key=key)
    (place / "ca.pem").write_bytes(authority.cert_pem)
    (place / "ca.der").write_bytes(authority.der)
    (place / "chain.pem").write_bytes(leaf.pem)
    (place / "key.pem").write_bytes(leaf.key_pem)
    return place


def payload(wire: bytes) -> int:
    """At least so many bytes come out of these records, and less than a record more: for ends that do not tell when they have given all."""
    return len(wire) - 40 * (1 + len(wire) // (PIECE + 22))


# ---- tlsfast ----


@dataclass(frozen=True)
class Tlsfast(Stack):
    name = "tlsfast"

    def configs(self, terms: Terms) -> tuple[tlsfast.ClientConfig, tlsfast.ServerConfig]:
        place = folder(terms.key)
        try:
            # In TLS 1.2 the curve of the certificate must be among the groups too (RFC 8422, 5.1).
            groups = [tlsfast.NamedGroup[name] for name in (terms.group, *terms.more_groups)]
        except KeyError:
            raise Cannot(f"tlsfast has no {terms.group} in this version") from None
        name13, name12 = SUITES[terms.suite][0], f"TLS_{terms.openssl_suite12.replace('-', '_')}"
        if terms.version == "1.2":
            name12 = name12.replace("AES128", "WITH_AES_128").replace("AES256", "WITH_AES_256")
            suite = tlsfast.CipherSuite[name12.replace("_CHACHA20_POLY1305", "_WITH_CHACHA20_POLY1305_SHA256")]
        else:
            suite = tlsfast.CipherSuite[name13]
        common = {"cipher_suites": [suite], "groups": groups, "keylog": None}
        changes: dict[str, Any] = {} if terms.chain_cache else {"chain_cache": None}
        trust = tlsfast.TrustStore.from_file(place / "ca.pem")
        credential = tlsfast.Credential.load(place / "chain.pem", place / "key.pem")
        try:
            return (
                tlsfast.ClientConfig(trust=trust, **common, **changes),
                tlsfast.ServerConfig(credentials=[credential], **common),
            )
        except tlsfast.ConfigurationError as error:
            raise Cannot(str(error)) from None

    def join(self, client: tlsfast.ClientConfig, server: tlsfast.ServerConfig) -> Joined:
        ours, theirs = tlsfast.ClientConnection(client, NAME), tlsfast.ServerConnection(server)
        theirs.receive_data(ours.data_to_send())
        ours.receive_data(theirs.data_to_send())
        theirs.receive_data(ours.data_to_send())
        ours.receive_data(theirs.data_to_send())  # takes the tickets

        def sealer(data: bytes) -> Callable[[], bytes]:
            return lambda: ours.seal(data)

        def sealer_into(data: bytes) -> Callable[[], object]:
            buffer = bytearray(ours.sealed_size(len(data)))
            return lambda: ours.seal_into(data, buffer)

        def opener_into() -> Callable[[bytes], object]:
            buffer = bytearray(MANY)
            return lambda wire: theirs.receive_into(wire, buffer)

        return Joined(sealer, lambda: theirs.receive_data, (ours, theirs), sealer_into, opener_into)

    def shaker(self, terms: Terms) -> Callable[[], Joined]:
        client, server = self.configs(terms)
        sessions = tlsfast.SessionCache()
        client = client.replace(session_cache=sessions)

        def shake() -> Joined:
            sessions.clear()  # each handshake is full, and ends with its tickets taken
            return self.join(client, server)

        return shake

    def resumer(self, terms: Terms) -> Callable[[], Joined]:
        client, server = self.configs(terms)
        self.join(client, server)

        def shake() -> Joined:
            joined = self.join(client, server)
            if not joined.keep[0].handshake.resumed:
                raise AssertionError("not resumed")
            return joined

        return shake


# ---- ssl, and rtls, which has its interface ----


def _set_suite13(context: ssl.SSLContext, suite: str) -> None:
    """ssl can name the suites of TLS 1.3 from Python 3.15 on; before, OpenSSL is asked beneath it. That it worked is seen in the handshake."""
    if hasattr(context, "set_ciphersuites"):
        context.set_ciphersuites(suite)
        return
    path = getattr(importlib.import_module("_ssl"), "__file__", None)
    if path is None or sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        raise Cannot("ssl has no way to choose a suite of TLS 1.3 before Python 3.15")
    library = ctypes.CDLL(path)
    # PySSLContext begins with the object's head and the SSL_CTX pointer.
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    library.SSL_CTX_set_ciphersuites.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    if library.SSL_CTX_set_ciphersuites(pointer.value, suite.encode()) != 1:
        raise Cannot(f"OpenSSL does not take {suite}")


class StandardSsl(Stack):
    name = "ssl"
    module: Any = ssl

    def contexts(self, terms: Terms) -> tuple[Any, Any]:
        if terms.group != "x25519":
            raise Cannot(f"{ssl.OPENSSL_VERSION} has no {terms.group}")
        client = ssl.create_default_context(cafile=str(folder(terms.key) / "ca.pem"))
        server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        server.load_cert_chain(folder(terms.key) / "chain.pem", folder(terms.key) / "key.pem")
        for context in (client, server):
            if terms.version == "1.2":
                context.maximum_version = ssl.TLSVersion.TLSv1_2
                context.set_ciphers(terms.openssl_suite12)
            elif terms.suite != "AES-256-GCM":  # what it takes by itself
                _set_suite13(context, SUITES[terms.suite][0])
        return client, server

    def join(self, contexts: tuple[Any, Any], terms: Terms, session: Any = None) -> Joined:
        client_context, server_context = contexts
        module = self.module
        to_server, to_client = module.MemoryBIO(), module.MemoryBIO()
        more = {} if session is None else {"session": session}
        client = client_context.wrap_bio(to_client, to_server, server_hostname=NAME, **more)
        server = server_context.wrap_bio(to_server, to_client, server_side=True)
        for end in (client, server, client, server, client):
            try:
                end.do_handshake()
            except module.SSLWantReadError:
                pass
        try:
            client.read(1)  # takes the tickets
        except module.SSLWantReadError:
            pass
        agreed = SUITES[terms.suite][0] if terms.version == "1.3" else terms.openssl_suite12
        if client.cipher()[0] != agreed:
            raise Cannot(f"{self.name} chose {client.cipher()[0]}: it cannot be told another")

        def sealer(data: bytes) -> Callable[[], bytes]:
            write, read = client.write, to_server.read

            def seal() -> bytes:
                write(data)
                return read()

            return seal

        def opener() -> Callable[[bytes], object]:
            feed, read, pending = to_server.write, server.read, to_server

            def take(wire: bytes) -> object:
                feed(wire)
                data = read(MANY)
                while pending.pending:  # ssl gives one record at a time
                    data = read(MANY)
                return data

            return take

        def opener_into() -> Callable[[bytes], object]:
            feed, read, pending, buffer = to_server.write, server.read, to_server, bytearray(MANY)

            def take(wire: bytes) -> object:
                feed(wire)
                size = read(MANY, buffer)
                while pending.pending:
                    size = read(MANY, buffer)
                return size

            return take

        return Joined(sealer, opener, (client, server), opener_into=opener_into)

    def shaker(self, terms: Terms) -> Callable[[], Joined]:
        contexts = self.contexts(terms)
        self.join(contexts, terms)
        return lambda: self.join(contexts, terms)

    def resumer(self, terms: Terms) -> Callable[[], Joined]:
        contexts = self.contexts(terms)
        session = [self.join(contexts, terms).keep[0].session]

        def shake() -> Joined:
            joined = self.join(contexts, terms, session[0])
            if not joined.keep[0].session_reused:
                raise AssertionError("not resumed")
            if terms.version == "1.3":
                session[0] = joined.keep[0].session
            return joined

        return shake


class Rtls(StandardSsl):
    name = "rtls"

    def __init__(self) -> None:
        self.module = importlib.import_module("rtls")

    def contexts(self, terms: Terms) -> tuple[Any, Any]:
        if terms.group != "x25519":
            raise Cannot("rtls has no choice of groups: its client sends a share of X25519")
        rtls, place = self.module, folder(terms.key)
        client, server = rtls.SSLContext(rtls.PROTOCOL_TLS_CLIENT), rtls.SSLContext(rtls.PROTOCOL_TLS_SERVER)
        client.load_verify_locations(str(place / "ca.pem"))
        server.load_cert_chain(str(place / "chain.pem"), str(place / "key.pem"))
        version = rtls.TLSVersion.TLSv1_2 if terms.version == "1.2" else rtls.TLSVersion.TLSv1_3
        for context in (client, server):
            context.minimum_version = context.maximum_version = version
            if terms.version == "1.2":
                context.set_ciphers(terms.openssl_suite12)
        return client, server

    def join(self, contexts: tuple[Any, Any], terms: Terms, session: Any = None) -> Joined:
        joined = super().join(contexts, terms, session)
        client, server = joined.keep
        to_server = server._incoming if hasattr(server, "_incoming") else None

        def sealer(data: bytes) -> Callable[[], bytes]:
            once = joined.sealer(data)
            if len(data) <= PIECE:
                return once
            pieces = [joined.sealer(data[start : start + PIECE]) for start in range(0, len(data), PIECE)]
            return lambda: b"".join([seal() for seal in pieces])

        def opener() -> Callable[[bytes], object]:
            if to_server is None:
                raise Cannot("this rtls keeps its buffers to itself")
            feed, read = to_server.write, server.read

            def take(wire: bytes) -> object:
                feed(wire)
                left = payload(wire)
                while left > 0:
                    left -= len(read(MANY))
                return left

            return take

        return Joined(sealer, opener, joined.keep)

    def resumer(self, terms: Terms) -> Callable[[], Joined]:
        raise Cannot("rtls makes a new configuration for each connection: it does not resume")


# ---- pyOpenSSL ----


class PyOpenSsl(Stack):
    name = "pyOpenSSL"

    def __init__(self) -> None:
        self.SSL = importlib.import_module("OpenSSL.SSL")

    def contexts(self, terms: Terms) -> tuple[Any, Any]:
        SSL, place = self.SSL, folder(terms.key)
        client, server = SSL.Context(SSL.TLS_CLIENT_METHOD), SSL.Context(SSL.TLS_SERVER_METHOD)
        client.load_verify_locations(str(place / "ca.pem"))
        client.set_verify(SSL.VERIFY_PEER)
        server.use_certificate_chain_file(str(place / "chain.pem"))
        server.use_privatekey_file(str(place / "key.pem"))
        for context in (client, server):
            if terms.version == "1.2":
                context.set_max_proto_version(SSL.TLS1_2_VERSION)
                context.set_cipher_list(terms.openssl_suite12.encode())
            else:
                context.set_min_proto_version(SSL.TLS1_3_VERSION)
                context.set_tls13_ciphersuites(SUITES[terms.suite][0].encode())
            # pyOpenSSL itself has no name for this one
            groups = ":".join([terms.group.upper(), *("P-256" for _ in terms.more_groups)])
            if SSL._lib.SSL_CTX_set1_curves_list(context._context, groups.encode()) != 1:
                raise Cannot(f"pyOpenSSL's OpenSSL has no {terms.group}")
        return client, server

    def join(self, contexts: tuple[Any, Any], terms: Terms, session: Any = None) -> Joined:
        SSL = self.SSL
        client, server = (SSL.Connection(context, None) for context in contexts)
        client.set_connect_state()
        client.set_tlsext_host_name(NAME.encode())
        server.set_accept_state()
        if session is not None:
            client.set_session(session)

        def move(sender: Any, receiver: Any) -> None:
            try:
                receiver.bio_write(sender.bio_read(MANY))
            except SSL.WantReadError:
                pass

        for end, other in ((client, server), (server, client), (client, server), (server, client)):
            try:
                end.do_handshake()
            except SSL.WantReadError:
                pass
            move(end, other)
        for end in (client, server):
            try:
                end.recv(1)
            except SSL.WantReadError:
                pass
        wanted = SUITES[terms.suite][0] if terms.version == "1.3" else terms.openssl_suite12
        if client.get_cipher_name() != wanted:
            raise Cannot(f"pyOpenSSL chose {client.get_cipher_name()}")

        def sealer(data: bytes) -> Callable[[], bytes]:
            room = len(data) + 64 * (1 + len(data) // PIECE)

            def seal() -> bytes:
                client.sendall(data)
                wire: bytes = client.bio_read(room)
                return wire

            return seal

        def opener() -> Callable[[bytes], object]:
            feed, read = server.bio_write, server.recv

            def take(wire: bytes) -> object:
                feed(wire)
                left = payload(wire)
                while left > 0:
                    left -= len(read(PIECE))
                return left

            return take

        return Joined(sealer, opener, (client, server))

    def shaker(self, terms: Terms) -> Callable[[], Joined]:
        contexts = self.contexts(terms)
        self.join(contexts, terms)
        return lambda: self.join(contexts, terms)

    def resumer(self, terms: Terms) -> Callable[[], Joined]:
        contexts = self.contexts(terms)
        contexts[1].set_session_id(b"bench")

        def quietly(joined: Joined) -> Joined:
            """OpenSSL spoils the session of a connection that is freed before it is shut down."""
            for end in joined.keep:
                end.set_shutdown(self.SSL.SENT_SHUTDOWN | self.SSL.RECEIVED_SHUTDOWN)
            return joined

        session = [quietly(self.join(contexts, terms)).keep[0].get_session()]

        def shake() -> Joined:
            joined = quietly(self.join(contexts, terms, session[0]))
            if not self.SSL._lib.SSL_session_reused(joined.keep[0]._ssl):
                raise AssertionError("not resumed")
            if terms.version == "1.3":
                session[0] = joined.keep[0].get_session()
            return joined

        return shake


# ---- pyrtls ----


class Pyrtls(Stack):
    name = "pyrtls"

    def __init__(self) -> None:
        self.module = importlib.import_module("pyrtls")

    def configs(self, terms: Terms) -> tuple[Any, Any]:
        if terms != Terms(key=terms.key, chain_cache=terms.chain_cache):
            raise Cannot("pyrtls can choose no suite, version or group: it takes TLS 1.3, AES-256-GCM and X25519")
        place = folder(terms.key)
        chain = [(place / "chain.pem").read_text(encoding="ascii")]
        server = self.module.ServerConfig(chain, (place / "key.pem").read_text(encoding="ascii"))
        return self.client(terms), server

    def client(self, terms: Terms) -> Any:
        roots = [(folder(terms.key) / "ca.der").read_bytes()]
        return self.module.ClientConfig(platform_verifier=False, custom_roots=roots)

    def join(self, client_config: Any, server_config: Any) -> Joined:
        client = self.module.ClientConnection(client_config, NAME)
        server = self.module.ServerConnection(server_config)
        room = bytearray(1 << 17)
        view = memoryview(room)

        def drain(sender: Any) -> bytes:
            wire = []
            while sender.writable():
                wire.append(bytes(view[: sender.write_tls_into(room)]))
            return b"".join(wire)

        def feed(receiver: Any, wire: bytes) -> int:
            at, got = 0, 0
            while at < len(wire):
                at += receiver.read_tls(wire[at : at + PIECE + 64])
                while receiver.process_new_packets().plaintext_bytes_to_read:
                    got += receiver.read_into(room)
            return got

        feed(server, hello := drain(client))
        feed(client, answer := drain(server))
        # RFC 8446, 4.1.2-4.1.3: a share of ML-KEM-768 makes a long hello; the suite stands behind the session id
        if len(hello) > 1000 or answer[76:78] != b"\x13\x02":
            raise Cannot("this pyrtls takes another suite or group by itself, and can be told none")
        feed(server, drain(client))
        feed(client, drain(server))

        def sealer(data: bytes) -> Callable[[], bytes]:
            pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]

            def seal() -> bytes:
                wire = []
                for piece in pieces:
                    client.write(piece)
                    while client.writable():
                        wire.append(bytes(view[: client.write_tls_into(room)]))
                return wire[0] if len(wire) == 1 else b"".join(wire)

            return seal

        return Joined(sealer, lambda: lambda wire: feed(server, wire), (client, server, len(answer)))

    def shaker(self, terms: Terms) -> Callable[[], Joined]:
        _, server = self.configs(terms)
        # A client configuration remembers sessions and has no switch for it: one each is what a full handshake takes.
        roots = [(folder(terms.key) / "ca.der").read_bytes()]
        make = self.module.ClientConfig
        return lambda: self.join(make(platform_verifier=False, custom_roots=roots), server)

    def resumer(self, terms: Terms) -> Callable[[], Joined]:
        client, server = self.configs(terms)
        full = self.join(client, server)

        def shake() -> Joined:
            joined = self.join(client, server)
            if joined.keep[2] > full.keep[2] / 2:  # it does not tell; a flight without certificates is short
                raise AssertionError("not resumed")
            return joined

        return shake


# ---- tlslite-ng ----


class MemorySocket:
    """What tlslite-ng takes for a socket: one direction's bytes each."""

    def __init__(self, incoming: bytearray, outgoing: bytearray) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    def send(self, data: bytes) -> int:
        self.outgoing += data
        return len(data)

    def sendall(self, data: bytes) -> None:
        self.outgoing += data

    def recv(self, size: int) -> bytes:
        if not self.incoming:
            raise OSError(errno.EWOULDBLOCK, "nothing is there")
        data = bytes(self.incoming[:size])
        del self.incoming[:size]
        return data


class TlsliteNg(Stack):
    """It verifies no chain: its handshakes do less than the others'."""

    name = "tlslite-ng"

    def __init__(self) -> None:
        self.api = importlib.import_module("tlslite.api")

    def settings(self, terms: Terms) -> Any:
        if terms.group != "x25519":
            raise Cannot(f"tlslite-ng's {terms.group} needs another package")
        settings = self.api.HandshakeSettings()
        settings.minVersion = settings.maxVersion = (3, 4) if terms.version == "1.3" else (3, 3)
        settings.cipherNames = [
            {"AES-128-GCM": "aes128gcm", "AES-256-GCM": "aes256gcm"}.get(terms.suite, "chacha20-poly1305")
        ]
        settings.eccCurves = ["x25519", "secp256r1"]
        settings.keyShares = ["x25519"]
        return settings

    def join(self, terms: Terms, chain: Any, key: Any) -> Joined:
        to_server, to_client = bytearray(), bytearray()
        client = self.api.TLSConnection(MemorySocket(to_client, to_server))
        server = self.api.TLSConnection(MemorySocket(to_server, to_client))
        shaking = [
            client.handshakeClientCert(settings=self.settings(terms), serverName=NAME, async_=True),
            server.handshakeServerAsync(certChain=chain, privateKey=key, settings=self.settings(terms)),
        ]
        while shaking:
            shaking = [each for each in shaking if next(each, None) is not None]

        def sealer(data: bytes) -> Callable[[], bytes]:
            def seal() -> bytes:
                client.write(data)
                wire = bytes(to_server)
                to_server.clear()
                return wire

            return seal

        def opener() -> Callable[[bytes], object]:
            def take(wire: bytes) -> object:
                to_server.extend(wire)
                data = None
                while to_server:
                    data = server.read(max=None, min=1)
                return data

            return take

        return Joined(sealer, opener, (client, server))

    def shaker(self, terms: Terms) -> Callable[[], Joined]:
        place = folder(terms.key)
        chain = self.api.X509CertChain()
        chain.parsePemList((place / "chain.pem").read_text(encoding="ascii"))
        key = self.api.parsePEMKey((place / "key.pem").read_text(encoding="ascii"), private=True)
        return lambda: self.join(terms, chain, key)

    def resumer(self, terms: Terms) -> Callable[[], Joined]:
        raise Cannot("tlslite-ng is left out of the rows of resumption")


# ---- cryptography: no TLS, the AEAD alone ----


class Cryptography(Stack):
    """One call of the AEAD for each record: what sealing costs without any TLS around it."""

    name = "cryptography"

    def shaker(self, terms: Terms) -> Callable[[], Joined]:
        aead = importlib.import_module("cryptography.hazmat.primitives.ciphers.aead")
        kind = aead.ChaCha20Poly1305 if terms.suite == "ChaCha20-Poly1305" else aead.AESGCM
        cipher = kind(bytes(16 if terms.suite == "AES-128-GCM" else 32))
        nonce, aad = bytes(12), b"\x17\x03\x03\x40\x11"

        def sealer(data: bytes) -> Callable[[], bytes]:
            pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
            encrypt = cipher.encrypt
            return lambda: b"".join([encrypt(nonce, piece, aad) for piece in pieces])

        def opener() -> Callable[[bytes], object]:
            decrypt, record = cipher.decrypt, PIECE + 16

            def take(wire: bytes) -> object:
                return [decrypt(nonce, wire[at : at + record], aad) for at in range(0, len(wire), record)]

            return take

        return lambda: Joined(sealer, opener)


STACKS: dict[str, Callable[[], Stack]] = {
    "tlsfast": Tlsfast,
    "ssl": StandardSsl,
    "pyOpenSSL": PyOpenSsl,
    "pyrtls": Pyrtls,
    "rtls": Rtls,
    "tlslite-ng": TlsliteNg,
    "cryptography": Cryptography,
}


@cache
def stacks() -> tuple[dict[str, Stack], dict[str, str]]:
    """What is installed, and in words what is not."""
    found: dict[str, Stack] = {}
    missing: dict[str, str] = {}
    for name, make in STACKS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # theirs
                found[name] = make()
        except ImportError as error:
            missing[name] = f'{name} cannot be imported here ({error}): pip install "tlsfast[bench]"'
    return found, missing


def implementations() -> Iterable[str]:
    return crypto.implementations().values()
