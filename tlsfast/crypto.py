# SPDX-License-Identifier: Apache-2.0
"""The typed face of the C core: secrets, hashes, the key schedules, sealed tickets. Key agreement is in keyshare.py, record protection in record.py.

Sources: RFC 8446, 7 (key schedule), RFC 5869 (HKDF)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from tlsfast._native import ffi, lib
from tlsfast.errors import ApiMisuse, BadRecordMac, InternalError
from tlsfast.registry import CipherSuite

SHA256: Final = 1
SHA384: Final = 2
SHA512: Final = 3

_LENGTHS: Final = {SHA256: 32, SHA384: 48, SHA512: 64}

_secret_new = lib.tf_secret_new
_secret_free = lib.tf_secret_free
_gc = ffi.gc
_new = ffi.new
_unpack = ffi.buffer


@dataclass(frozen=True, slots=True)
class Suite:
    """What a TLS 1.3 cipher suite names: its AEAD and its hash, as the C core numbers them."""

    aead: int
    hash: int
    hash_length: int


SUITES: Final[dict[int, Suite]] = {
    CipherSuite.TLS_AES_128_GCM_SHA256: Suite(1, SHA256, 32),
    CipherSuite.TLS_AES_256_GCM_SHA384: Suite(2, SHA384, 48),
    CipherSuite.TLS_CHACHA20_POLY1305_SHA256: Suite(3, SHA256, 32),
}


@dataclass(frozen=True, slots=True)
class Suite12:
    """What a TLS 1.2 cipher suite names. exchange: "ecdhe" or "rsa" (key transport); auth: "ecdsa" or "rsa"; lengths in bytes."""

    aead: int
    hash: int
    key_length: int
    iv_length: int
    exchange: Literal["ecdhe", "rsa"]
    auth: Literal["ecdsa", "rsa"]


_AES_128_GCM, _AES_256_GCM, _CHACHA20 = (1, SHA256, 16, 4), (2, SHA384, 32, 4), (3, SHA256, 32, 12)
SUITES12: Final[dict[int, Suite12]] = {
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: Suite12(*_AES_128_GCM, "ecdhe", "ecdsa"),
    CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: Suite12(*_AES_256_GCM, "ecdhe", "ecdsa"),
    CipherSuite.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: Suite12(*_CHACHA20, "ecdhe", "ecdsa"),
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: Suite12(*_AES_128_GCM, "ecdhe", "rsa"),
    CipherSuite.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384: Suite12(*_AES_256_GCM, "ecdhe", "rsa"),
    CipherSuite.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: Suite12(*_CHACHA20, "ecdhe", "rsa"),
    CipherSuite.TLS_RSA_WITH_AES_128_GCM_SHA256: Suite12(*_AES_128_GCM, "rsa", "rsa"),
    CipherSuite.TLS_RSA_WITH_AES_256_GCM_SHA384: Suite12(*_AES_256_GCM, "rsa", "rsa"),
}


def check(code: int, what: str) -> None:
    """Raise for a negative answer of the C core that only a fault of ours can cause."""
    if code == 0:
        return
    if code == lib.TF_ERR_RANDOM:
        raise InternalError("the kernel's random source failed: no key can be made")
    raise InternalError(f"{what} failed in the C core (error {code})")


def owned(made: Any, free: Any) -> Any:
    """What a *_new of the C core made, freed with its last reference; MemoryError for its NULL."""
    if not made:
        raise MemoryError("no memory for a context of the C core")
    return _gc(made, free)


class Secret:
    """A secret in C memory: key, shared secret, traffic secret. It is wiped when the last reference dies, or by wipe()."""

    __slots__ = ("handle",)

    def __init__(self) -> None:
        self.handle = owned(_secret_new(), _secret_free)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray) -> Self:
        """Copy data, at most 256 bytes, into a new secret; the caller's copy stays the caller's to wipe."""
        secret = cls()
        check(lib.tf_secret_set(secret.handle, ffi.from_buffer(data), len(data)), "Secret.from_bytes")
        return secret

    @classmethod
    def random(cls, length: int) -> Self:
        """Draw length bytes from the kernel inside C."""
        secret = cls()
        check(lib.tf_secret_random(secret.handle, length), "Secret.random")
        return secret

    @classmethod
    def join(cls, first: Secret, second: Secret) -> Self:
        """One secret after the other, at most 256 bytes together."""
        secret = cls()
        check(lib.tf_secret_join(secret.handle, first.handle, second.handle), "Secret.join")
        return secret

    def __len__(self) -> int:
        return int(lib.tf_secret_length(self.handle))

    def __repr__(self) -> str:
        return f"<Secret of {len(self)} bytes>"

    def reveal(self) -> bytes:
        """Copy the secret out as bytes: for key logs, exporters, traces and tests alone."""
        length = len(self)
        out = bytearray(length)
        check(lib.tf_secret_reveal(self.handle, ffi.from_buffer(out), length), "Secret.reveal")
        return bytes(out)

    def wipe(self) -> None:
        """Zero the secret now; its length is 0 after."""
        lib.tf_secret_wipe(self.handle)


def random_bytes(length: int) -> bytes:
    """Draw public random bytes (hello.random, session ids) from the kernel."""
    out = bytearray(length)
    check(lib.tf_random(ffi.from_buffer(out), length), "random_bytes")
    return bytes(out)


def equal(a: bytes, b: bytes) -> bool:
    """Compare in constant time; the lengths are public."""
    return len(a) == len(b) and bool(lib.tf_equal(a, b, len(a)))


class Hash:
    """A running hash (FIPS 180-4) whose digest can be taken at any point."""

    __slots__ = ("_state", "algorithm", "length")

    def __init__(self, algorithm: int, state: Any = None) -> None:
        self._state = owned(lib.tf_hash_new(algorithm) if state is None else state, lib.tf_hash_free)
        self.algorithm = algorithm
        self.length = _LENGTHS[algorithm]

    def update(self, data: bytes) -> None:
        check(lib.tf_hash_update(self._state, data, len(data)), "Hash.update")

    def digest(self) -> bytes:
        """The digest of everything added so far; the hash goes on."""
        out = _new("uint8_t[64]")
        check(lib.tf_hash_digest(self._state, out), "Hash.digest")
        return bytes(_unpack(out, self.length))

    def update_digest(self, data: bytes) -> bytes:
        """update, then digest, in one call."""
        out = _new("uint8_t[64]")
        check(lib.tf_hash_update_digest(self._state, out, data, len(data)), "Hash.update_digest")
        return bytes(_unpack(out, self.length))

    def clone(self) -> Hash:
        return Hash(self.algorithm, lib.tf_hash_clone(self._state))


def hash_once(algorithm: int, data: bytes) -> bytes:
    out = _new("uint8_t[64]")
    check(lib.tf_hash_once(algorithm, out, data, len(data)), "hash_once")
    return bytes(_unpack(out, _LENGTHS[algorithm]))


# ---- The key schedule (RFC 8446, 7.1) ----


def early_secret(algorithm: int, psk: Secret | None) -> Secret:
    """HKDF-Extract(0, psk); without a PSK a string of zeros takes its place."""
    early = Secret()
    check(lib.tf_early_secret(algorithm, early.handle, ffi.NULL if psk is None else psk.handle), "early_secret")
    return early


def expand_label(algorithm: int, secret: Secret, label: bytes, context: bytes, length: int) -> Secret:
    """HKDF-Expand-Label(secret, label, context, length); label without its "tls13 " (RFC 8446, 7.1)."""
    out = Secret()
    code = lib.tf_hkdf_expand_label(
        algorithm, out.handle, length, secret.handle, label, len(label), context, len(context)
    )
    check(code, "expand_label")
    return out


def derive_secret(algorithm: int, secret: Secret, label: bytes, transcript_hash: bytes) -> Secret:
    """Derive-Secret, given the transcript hash itself."""
    return expand_label(algorithm, secret, label, transcript_hash, _LENGTHS[algorithm])


def binder(algorithm: int, psk: Secret, transcript_hash: bytes) -> bytes:
    """The binder of a resumption PSK (RFC 8446, 4.2.11.2)."""
    out = _new("uint8_t[64]")
    check(lib.tf_binder(algorithm, out, psk.handle, transcript_hash), "binder")
    return bytes(_unpack(out, _LENGTHS[algorithm]))


def finished(algorithm: int, base_key: Secret, transcript_hash: bytes) -> bytes:
    """verify_data of Finished (RFC 8446, 4.4.4)."""
    out = _new("uint8_t[64]")
    check(lib.tf_finished(algorithm, out, base_key.handle, transcript_hash), "finished")
    return bytes(_unpack(out, _LENGTHS[algorithm]))


CLIENT_HANDSHAKE: Final = lib.TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET
SERVER_HANDSHAKE: Final = lib.TF_SERVER_HANDSHAKE_TRAFFIC_SECRET
CLIENT_APPLICATION: Final = lib.TF_CLIENT_APPLICATION_TRAFFIC_SECRET
SERVER_APPLICATION: Final = lib.TF_SERVER_APPLICATION_TRAFFIC_SECRET
EXPORTER: Final = lib.TF_EXPORTER_MASTER_SECRET
RESUMPTION: Final = lib.TF_RESUMPTION_MASTER_SECRET
STAGE: Final = lib.TF_STAGE_SECRET


class KeySchedule:
    """The secrets of one connection (RFC 8446, 7.1), all in C memory that is wiped with the last reference, or by wipe().

    A call for each step, in order, derives all its secrets, keys and IVs; RecordReader.use and RecordWriter.use take theirs by the numbers above."""

    __slots__ = ("handle", "suite")

    def __init__(self, suite: Suite) -> None:
        self.handle = owned(lib.tf_schedule_new(suite.aead, suite.hash), lib.tf_schedule_free)
        self.suite = suite

    def handshake(self, psk: Secret | None, shared: Secret, transcript_hash: bytes) -> None:
        """At ClientHello..ServerHello, from the PSK, if any, and the (EC)DHE secret, which is wiped: the handshake traffic secrets."""
        psk_handle = ffi.NULL if psk is None else psk.handle
        check(lib.tf_schedule_handshake(self.handle, shared.handle, psk_handle, transcript_hash), "handshake secrets")

    def application(self, transcript_hash: bytes) -> None:
        """At ClientHello..server Finished: the application traffic secrets and the exporter master secret."""
        check(lib.tf_schedule_application(self.handle, transcript_hash), "application secrets")

    def resumption(self, transcript_hash: bytes) -> None:
        """At ClientHello..client Finished: the resumption master secret. Only that and the exporter's is left: the rest is wiped."""
        check(lib.tf_schedule_resumption(self.handle, transcript_hash), "resumption_master_secret")

    def finished(self, base_key: int, transcript_hash: bytes) -> bytes:
        """verify_data of the Finished of CLIENT_HANDSHAKE or SERVER_HANDSHAKE (RFC 8446, 4.4.4)."""
        out = _new("uint8_t[64]")
        check(lib.tf_schedule_finished(self.handle, out, base_key, transcript_hash), "finished")
        return bytes(_unpack(out, self.suite.hash_length))

    def secret(self, number: int) -> Secret:
        """A copy of one secret: for observers, key logs, exporters and tests alone."""
        out = Secret()
        check(lib.tf_schedule_secret(self.handle, out.handle, number), "a secret that is not there")
        return out

    def resumption_psk(self, ticket_nonce: bytes) -> Secret:
        """The PSK of one ticket (RFC 8446, 4.6.1)."""
        psk = Secret()
        code = lib.tf_schedule_resumption_psk(self.handle, psk.handle, ticket_nonce, len(ticket_nonce))
        check(code, "resumption_psk")
        return psk

    def forget_resumption(self) -> None:
        """Wipe the resumption master secret: a server has made its tickets."""
        lib.tf_schedule_forget_resumption(self.handle)

    def __len__(self) -> int:
        """How many secrets it holds now."""
        return int(lib.tf_schedule_held(self.handle)).bit_count()

    def wipe(self) -> None:
        """Zero every secret now; no step may follow."""
        lib.tf_schedule_wipe(self.handle)


def _check_export(label: bytes, length: int) -> None:
    if not 1 <= length <= lib.TF_SECRET_MAX:
        raise ApiMisuse(f"export_keying_material gives 1 to {lib.TF_SECRET_MAX} bytes, not {length}")
    if not 1 <= len(label) <= 249:
        raise ApiMisuse(f"an exporter label has 1 to 249 bytes, not {len(label)}")


# RFC 5705, 4: MUST NOT be used as exporter labels
_RESERVED_LABELS: Final = (b"client finished", b"server finished", b"master secret", b"key expansion")


def export(algorithm: int, exporter_master: Secret, label: bytes, context: bytes, length: int) -> bytes:
    """TLS-Exporter (RFC 8446, 7.5). length 1..256 bytes, label at most 249."""
    _check_export(label, length)
    derived = derive_secret(algorithm, exporter_master, label, hash_once(algorithm, b""))
    return expand_label(algorithm, derived, b"exporter", hash_once(algorithm, context), length).reveal()


# ---- TLS 1.2 (RFC 5246, 5, 8.1) ----


def prf12(algorithm: int, secret: Secret, label: bytes, seed: bytes, length: int) -> Secret:
    """The first length bytes, at most 256, of PRF(secret, label, seed)."""
    out = Secret()
    code = lib.tf_prf12(algorithm, out.handle, length, secret.handle, label, len(label), seed, len(seed))
    check(code, "prf12")
    return out


def finished12(algorithm: int, master: Secret, label: bytes, transcript_hash: bytes) -> bytes:
    """The 12 bytes of verify_data (RFC 5246, 7.4.9)."""
    out = _new("uint8_t[12]")
    check(lib.tf_finished12(algorithm, out, master.handle, label, len(label), transcript_hash), "finished12")
    return bytes(_unpack(out, 12))


def export12(algorithm: int, master: Secret, label: bytes, seed: bytes, length: int) -> bytes:
    """RFC 5705, 4: length 1..256 bytes; seed is both randoms and the context, if any, with its length."""
    _check_export(label, length)
    if label in _RESERVED_LABELS:
        raise ApiMisuse(f"the label {label.decode()!r} is TLS 1.2's own (RFC 5705, 4): choose another")
    return prf12(algorithm, master, label, seed, length).reveal()


def rsa_premaster(client_version: int) -> bytes:
    """A client's premaster secret for RSA key transport: the version offered, then 46 random bytes. It must be bytes: cryptography encrypts it."""
    return client_version.to_bytes(2) + random_bytes(46)


def premaster_select(decrypted: bytes, client_version: int, random_premaster: Secret) -> Secret:
    """RFC 5246, 7.4.7.1: decrypted if it is well formed, else random_premaster; chosen in C, in constant time."""
    premaster = Secret()
    readable = decrypted + bytes(48)  # C reads 48 bytes whatever the length is, which must not show
    code = lib.tf_premaster_select(premaster.handle, readable, len(decrypted), client_version, random_premaster.handle)
    check(code, "premaster_select")
    return premaster


# ---- Tickets ----


def ticket_seal(name: bytes, key: Secret, psk: Secret, state: bytes) -> bytes:
    """Seal psk and state under key; the ticket begins with the 16-byte name. The PSK never leaves C."""
    out = bytearray(lib.TF_TICKET_OVERHEAD + len(psk) + len(state))
    code = lib.tf_ticket_seal(ffi.from_buffer(out), len(out), name, key.handle, psk.handle, state, len(state))
    check(code, "ticket_seal")
    return bytes(out)


def ticket_open(key: Secret, ticket: bytes) -> tuple[Secret, bytes]:
    """The psk and the state of a ticket sealed under key. BadRecordMac for any other."""
    psk = Secret()
    state = bytearray(len(ticket))
    length = _new("size_t *")
    code = lib.tf_ticket_open(psk.handle, ffi.from_buffer(state), len(state), length, key.handle, ticket, len(ticket))
    if code == lib.TF_ERR_BAD_RECORD_MAC:
        raise BadRecordMac("the ticket is not ours")
    check(code, "ticket_open")
    return psk, bytes(state[: length[0]])


# ---- What runs here ----


def implementations() -> dict[str, str]:
    """The C implementation that new contexts get on this CPU, by primitive."""
    names = {
        "AES-GCM": 0,
        "ChaCha20-Poly1305": 1,
        "SHA-256": 2,
        "SHA-512": 3,
        "X25519": 4,
        "ML-KEM-768": 5,
        "Keccak": 6,
    }
    return {name: ffi.string(lib.tf_implementation(number)).decode() for name, number in names.items()}


def has_aes() -> bool:
    """True when this CPU has AES instructions that the core uses."""
    return bool(lib.tf_cpu_features() & (lib.TF_CPU_AESNI | lib.TF_CPU_ARM_AES))
