# SPDX-License-Identifier: Apache-2.0
"""Which implementation each set of processor bits selects, and that every one of them is the portable one at any length and alignment."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator

import backends
import pytest
from backends import (
    AES_GCM,
    ALL_BITS,
    CHACHA20_POLY1305,
    KECCAK_X4,
    ML_KEM_768,
    PRIMITIVES,
    SHA256,
    SHA512,
    X25519,
    ffi,
    lib,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tlsfast import crypto
from tlsfast.crypto import SUITES, Secret
from tlsfast.record import RecordReader, RecordWriter
from tlsfast.registry import CipherSuite, ContentType

PORTABLE = 0
GUARD = b"\xc3" * 32
AEADS = {
    "AES-128-GCM": (AES_GCM, lib.TF_AES_128_GCM, 16),
    "AES-256-GCM": (AES_GCM, lib.TF_AES_256_GCM, 32),
    "ChaCha20-Poly1305": (CHACHA20_POLY1305, lib.TF_CHACHA20_POLY1305, 32),
}
HASHES = {
    "SHA-256": (SHA256, lib.TF_SHA256, 32),
    "SHA-384": (SHA512, lib.TF_SHA384, 48),
    "SHA-512": (SHA512, lib.TF_SHA512, 64),
}

with_aead = pytest.mark.parametrize(
    ("name", "backend"), [(name, each) for name, row in AEADS.items() for each in backends.masks(row[0])]
)
with_hash = pytest.mark.parametrize(
    ("name", "backend"), [(name, each) for name, row in HASHES.items() for each in backends.masks(row[0])]
)
offsets = st.integers(0, 31)
# Around the block sizes of every technique, around a record, and anything.
lengths = st.one_of(st.integers(0, 1025), st.sampled_from([2047, 2048, 2049, 4095, 16383, 16384, 16385]))


# ---- Which one is chosen ----

AVX2 = {CHACHA20_POLY1305: "chacha20_poly1305_avx2"}
X86 = {
    0: {},
    lib.TF_CPU_AVX2 | lib.TF_CPU_AVX512: AVX2,
    lib.TF_CPU_AESNI: {AES_GCM: "aes_gcm_aesni"},
    lib.TF_CPU_SHANI: {SHA256: "sha256_shani"},
    lib.TF_CPU_AVX2: AVX2,
    lib.TF_CPU_AVX512: {},
    lib.TF_CPU_IFMA: {},
    lib.TF_CPU_AVX512 | lib.TF_CPU_IFMA: {X25519: "x25519_ifma"},
    lib.TF_CPU_IFMA | lib.TF_CPU_ZMM: {},
    lib.TF_CPU_AVX512 | lib.TF_CPU_ZMM: {},
    lib.TF_CPU_AVX512 | lib.TF_CPU_IFMA | lib.TF_CPU_ZMM: {
        X25519: "x25519_ifma512",
        CHACHA20_POLY1305: "chacha20_poly1305_avx512",
    },
    lib.TF_CPU_AVX2 | lib.TF_CPU_AVX512 | lib.TF_CPU_IFMA: {X25519: "x25519_ifma", **AVX2},
    lib.TF_CPU_AESNI | lib.TF_CPU_SHANI: {AES_GCM: "aes_gcm_aesni", SHA256: "sha256_shani"},
    # What processors have of the bits that vectors of AES need: no AVX-512, no VAES, a clock that 512-bit vectors lower; all.
    lib.TF_CPU_AESNI | lib.TF_CPU_VAES: {AES_GCM: "aes_gcm_aesni"},
    lib.TF_CPU_AESNI | lib.TF_CPU_AVX2: {AES_GCM: "aes_gcm_aesni", **AVX2},
    lib.TF_CPU_AESNI | lib.TF_CPU_AVX2 | lib.TF_CPU_VAES: {AES_GCM: "aes_gcm_vaes256", **AVX2},
    lib.TF_CPU_AESNI | lib.TF_CPU_AVX2 | lib.TF_CPU_VAES | lib.TF_CPU_AVX512: {AES_GCM: "aes_gcm_vaes256", **AVX2},
    lib.TF_CPU_AESNI | lib.TF_CPU_AVX512: {AES_GCM: "aes_gcm_aesni"},
    lib.TF_CPU_AESNI | lib.TF_CPU_AVX512 | lib.TF_CPU_ZMM: {AES_GCM: "aes_gcm_aesni"},
    lib.TF_CPU_AESNI | lib.TF_CPU_VAES | lib.TF_CPU_AVX512: {AES_GCM: "aes_gcm_aesni"},
    lib.TF_CPU_AESNI | lib.TF_CPU_VAES | lib.TF_CPU_AVX512 | lib.TF_CPU_ZMM: {AES_GCM: "aes_gcm_vaes512"},
    # The scalar rounds of SHA-512 need BMI2, its schedule the encoding of AVX2; AVX-512 alone is not enough.
    lib.TF_CPU_AVX2 | lib.TF_CPU_BMI2: {SHA512: "sha512_avx2", **AVX2},
    lib.TF_CPU_AVX512 | lib.TF_CPU_BMI2: {},
    lib.TF_CPU_AVX512 | lib.TF_CPU_AVX2 | lib.TF_CPU_BMI2: {SHA512: "sha512_avx512vl", **AVX2},
}
ARM = {
    lib.TF_CPU_ARM_AES: {AES_GCM: "aes_gcm_armv8"},
    lib.TF_CPU_ARM_SHA2: {SHA256: "sha256_armv8"},
    lib.TF_CPU_ARM_AES | lib.TF_CPU_ARM_SHA2: {AES_GCM: "aes_gcm_armv8", SHA256: "sha256_armv8"},
    lib.TF_CPU_ARM_SHA512: {SHA512: "sha512_armv8"},
    lib.TF_CPU_ARM_NEON: {CHACHA20_POLY1305: "chacha20_poly1305_neon"},
}
SELECTED = X86 | ARM
PORTABLE_NAMES = {
    AES_GCM: "aes_gcm_portable",
    CHACHA20_POLY1305: "chacha20_poly1305_portable",
    SHA256: "sha256_portable",
    SHA512: "sha512_portable",
    X25519: "x25519_portable",
    ML_KEM_768: "mlkem768_portable",
    KECCAK_X4: "keccak_x4_portable",
}


def mlkem(bits: int) -> dict[int, str]:
    """ML-KEM's two parts, which need one bit each and no other."""
    found = {}
    if bits & lib.TF_CPU_AVX2:
        found |= {ML_KEM_768: "mlkem768_avx2", KECCAK_X4: "keccak_x4_avx2"}
    if bits & lib.TF_CPU_AVX512:
        found[KECCAK_X4] = "keccak_x4_avx512vl"
    return found


@pytest.mark.parametrize("mask", SELECTED)
def test_each_mask_selects_its_implementations(mask: int) -> None:
    """A mask that names bits this processor lacks selects what is left."""
    with backends.cpu(ALL_BITS):
        present = mask & lib.tf_cpu_features()
    assert present in SELECTED
    expected = {**PORTABLE_NAMES, **SELECTED[present], **mlkem(present)}
    with backends.cpu(mask):
        assert lib.tf_cpu_features() == present
        assert {primitive: backends.implementation(primitive) for primitive in PRIMITIVES} == expected
        assert sorted(crypto.implementations().values()) == sorted(expected.values())
        assert crypto.has_aes() == bool(present & (lib.TF_CPU_AESNI | lib.TF_CPU_ARM_AES))
    assert lib.tf_implementation(len(PRIMITIVES)) == ffi.NULL


def test_with_all_bits_the_portable_one_is_the_last_choice() -> None:
    """Where a better implementation can be selected at all, all bits together select no portable one."""
    for primitive in PRIMITIVES:
        found = backends.masks(primitive)
        assert next(iter(found)) == PORTABLE_NAMES[primitive]
        with backends.cpu(ALL_BITS):
            assert (backends.implementation(primitive) == PORTABLE_NAMES[primitive]) == (len(found) == 1)


def test_hidden_bits_stay_hidden_until_shown() -> None:
    with backends.cpu(ALL_BITS):
        features = lib.tf_cpu_features()
    with backends.cpu(~features & ALL_BITS):
        assert lib.tf_cpu_features() == 0
    assert lib.tf_cpu_features() == features


# ---- AEAD ----


def reference_seal(aead: int, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
    """The portable implementation, in buffers of their own."""
    out = bytearray(len(plaintext) + 16)
    with backends.cpu(PORTABLE):
        code = lib.tf_test_aead_seal(
            aead, ffi.from_buffer(out), key, nonce, aad, len(aad), ffi.from_buffer(plaintext), len(plaintext)
        )
    assert code == 0
    return bytes(out)


def placed(content: bytes, offset: int, room: int = 0) -> tuple[bytearray, object]:
    """Content at an odd place between guards, with room behind it, and a pointer to it, which is good while the buffer is kept."""
    buffer = bytearray(GUARD + GUARD[:offset] + content + bytes(room) + GUARD)
    return buffer, ffi.from_buffer(buffer) + len(GUARD) + offset


def unplaced(buffer: bytearray, offset: int) -> bytes:
    """The content; the guards must stand as they stood."""
    start = len(GUARD) + offset
    assert buffer[:start] == GUARD + GUARD[:offset] and buffer[-len(GUARD) :] == GUARD, "written past the buffer"
    return bytes(buffer[start : -len(GUARD)])


def check_aead(name: str, backend: str, fill: bytes, aad: bytes, plaintext: bytes, at: tuple[int, int, int]) -> None:
    """Seal and open with the backend at these offsets of input, output and AAD: the portable bytes, and nothing of a changed message."""
    primitive, aead, key_length = AEADS[name]
    key, nonce = fill[:key_length], fill[32:44]
    expected = reference_seal(aead, key, nonce, aad, plaintext)
    in_at, out_at, aad_at = at
    keep_aad, aad_place = placed(aad, aad_at)
    keep_source, source = placed(plaintext, in_at)
    sealed, sealed_place = placed(b"", out_at, len(expected))
    opened, opened_place = placed(b"", in_at, len(plaintext))
    with backends.cpu(backends.masks(primitive)[backend]):
        call = (key, nonce, aad_place, len(aad))
        assert lib.tf_test_aead_seal(aead, sealed_place, *call, source, len(plaintext)) == 0
        assert unplaced(sealed, out_at) == expected
        assert lib.tf_test_aead_open(aead, opened_place, *call, sealed_place, len(expected)) == 0
        assert unplaced(opened, in_at) == plaintext
        flipped = bytearray(expected)
        flipped[fill[44] % len(flipped)] ^= 1 << fill[45] % 8
        keep_changed, changed_place = placed(bytes(flipped), out_at)
        code = lib.tf_test_aead_open(aead, opened_place, *call, changed_place, len(expected))
        assert code == lib.TF_ERR_BAD_RECORD_MAC
        assert not any(unplaced(opened, in_at))
        place, inside = placed(plaintext, in_at, 16)
        assert lib.tf_test_aead_seal(aead, inside, *call, inside, len(plaintext)) == 0
        assert unplaced(place, in_at) == expected
    assert unplaced(keep_aad, aad_at) == aad and unplaced(keep_source, in_at) == plaintext
    assert unplaced(keep_changed, out_at) == flipped


@with_aead
@settings(max_examples=100, deadline=None)
@given(
    fill=st.binary(min_size=46, max_size=46),
    aad=st.binary(max_size=300),
    length=lengths,
    at=st.tuples(offsets, offsets, offsets),
)
@example(fill=b"\xff" * 46, aad=b"\xff" * 16, length=1024, at=(1, 3, 5))
def test_aead_is_the_portable_one(
    name: str, backend: str, fill: bytes, aad: bytes, length: int, at: tuple[int, int, int]
) -> None:
    check_aead(name, backend, fill, aad, noise(fill, length), at)


@with_aead
def test_aead_is_the_portable_one_at_every_length(name: str, backend: str) -> None:
    for length in range(1026):
        fill = noise(length.to_bytes(2), 46)
        check_aead(name, backend, fill, fill[: length % 47], noise(fill, length), (length % 31, length % 7, length % 3))


def noise(seed: bytes, length: int) -> bytes:
    """Repeatable bytes, from another implementation of another primitive."""
    return hashlib.shake_128(seed).digest(length)


# ---- Records: a key that is used again and again ----

SUITE_OF = {
    "AES-128-GCM": SUITES[CipherSuite.TLS_AES_128_GCM_SHA256],
    "AES-256-GCM": SUITES[CipherSuite.TLS_AES_256_GCM_SHA384],
    "ChaCha20-Poly1305": SUITES[CipherSuite.TLS_CHACHA20_POLY1305_SHA256],
}


def sealed_by(mask: int, name: str, secret: bytes, contents: list[bytes], mask_after: int | None = None) -> bytes:
    """What a writer of these processor bits makes of these contents; mask_after shows it other bits once it has its key."""
    writer = RecordWriter()
    with backends.cpu(mask):
        writer.set_key13(SUITE_OF[name], Secret.from_bytes(secret))
        with backends.cpu(mask if mask_after is None else mask_after):
            for content in contents:
                assert writer.send(ContentType.application_data, content) == len(content)
    return writer.take()


def opened_by(mask: int, name: str, secret: bytes, wire: bytes) -> bytes:
    reader = RecordReader()
    with backends.cpu(mask):
        reader.set_key13(SUITE_OF[name], Secret.from_bytes(secret))
        reader.feed(wire)
        data = b""
        while (opened := reader.open()) is not None:
            data += opened[0]
    return data


@with_aead
@settings(max_examples=25, deadline=None)
@given(seed=st.binary(min_size=4, max_size=4), sizes=st.lists(st.integers(1, 40_000), min_size=1, max_size=4))
def test_records_are_the_portable_ones(name: str, backend: str, seed: bytes, sizes: list[int]) -> None:
    mask = backends.masks(AEADS[name][0])[backend]
    secret = noise(seed, SUITE_OF[name].hash_length)
    contents = [noise(seed + bytes((at,)), size) for at, size in enumerate(sizes)]
    wire = sealed_by(PORTABLE, name, secret, contents)
    assert sealed_by(mask, name, secret, contents) == wire
    assert opened_by(mask, name, secret, wire) == b"".join(contents)


@with_aead
def test_a_context_keeps_the_implementation_it_was_keyed_with(name: str, backend: str) -> None:
    """Processor bits that hide, or show, while a key is in use change nothing of what it makes."""
    mask = backends.masks(AEADS[name][0])[backend]
    secret, contents = bytes(SUITE_OF[name].hash_length), [bytes(100), noise(b"", 5000)]
    wire = sealed_by(PORTABLE, name, secret, contents)
    assert sealed_by(mask, name, secret, contents, mask_after=PORTABLE) == wire
    assert sealed_by(PORTABLE, name, secret, contents, mask_after=mask) == wire


# ---- Hashes ----


def cut(message: bytes, sizes: list[int]) -> Iterator[bytes]:
    """The message in pieces of these sizes, and the rest."""
    at = 0
    for size in sizes:
        yield message[at : at + size]
        at += size
    yield message[at:]


@with_hash
@settings(max_examples=100, deadline=None)
@given(
    seed=st.binary(min_size=4, max_size=4),
    length=st.one_of(st.integers(0, 1025), st.integers(0, 20_000)),
    sizes=st.lists(st.integers(0, 300), max_size=8),
    offset=offsets,
)
def test_hash_is_the_portable_one(
    name: str, backend: str, seed: bytes, length: int, sizes: list[int], offset: int
) -> None:
    """In pieces of any size, at any alignment, with a clone and a digest taken on the way."""
    primitive, number, size = HASHES[name]
    message = noise(seed, length)
    expected, out = bytearray(size), bytearray(size)
    with backends.cpu(PORTABLE):
        assert lib.tf_hash_once(number, ffi.from_buffer(expected), message, length) == 0
    assert expected == hashlib.new(name.replace("-", "").lower(), message).digest()
    with backends.cpu(backends.masks(primitive)[backend]):
        state = ffi.gc(lib.tf_hash_new(number), lib.tf_hash_free)
        for piece in cut(message, sizes):
            keep, place = placed(piece, offset)
            assert lib.tf_hash_update(state, place, len(piece)) == 0
            assert lib.tf_hash_digest(state, ffi.from_buffer(out)) == 0
            state = ffi.gc(lib.tf_hash_clone(state), lib.tf_hash_free)
        assert lib.tf_hash_digest(state, ffi.from_buffer(out)) == 0
        assert out == expected
        keep, place = placed(message, offset)
        assert lib.tf_hash_once(number, ffi.from_buffer(out), place, length) == 0
        assert out == expected
        assert unplaced(keep, offset) == message


@with_hash
def test_hash_is_the_portable_one_at_every_length(name: str, backend: str) -> None:
    primitive, number, size = HASHES[name]
    message, out = noise(b"every length", 1025), bytearray(size)
    with backends.cpu(backends.masks(primitive)[backend]):
        for length in range(1026):
            assert lib.tf_hash_once(number, ffi.from_buffer(out), message, length) == 0
            assert out == hashlib.new(name.replace("-", "").lower(), message[:length]).digest(), length


# ---- X25519 ----


@pytest.mark.parametrize("backend", backends.masks(X25519))
@settings(max_examples=50, deadline=None)
@given(private=st.binary(min_size=32, max_size=32), public=st.binary(min_size=32, max_size=32))
def test_x25519_is_the_portable_one(backend: str, private: bytes, public: bytes) -> None:
    """On any 32 bytes: points of the curve and of its twist, canonical or not."""
    results = []
    for mask in (PORTABLE, backends.masks(X25519)[backend]):
        with backends.cpu(mask):
            shared, own = Secret(), bytearray(32)
            code = lib.tf_x25519_exchange(shared.handle, Secret.from_bytes(private).handle, public)
            assert lib.tf_x25519_public(ffi.from_buffer(own), Secret.from_bytes(private).handle) == 0
            results.append((code, shared.reveal(), bytes(own)))
    assert results[0] == results[1]


@with_hash
@settings(max_examples=60)
@given(st.integers(0, 200), st.integers(0, 300), st.binary(min_size=8, max_size=8))
@example(32, 55, b"12345678")
@example(48, 111, b"12345678")
@example(64, 112, b"12345678")
def test_hmac_is_python_s(name: str, backend: str, key_length: int, length: int, seed: bytes) -> None:
    """Both pads, or two messages, go side by side where the backend can: a short message is one block, a longer one several."""
    primitive, number, digest_length = HASHES[name]
    key, message = noise(b"key" + seed, key_length), noise(seed, length)
    out = bytearray(digest_length)
    with backends.cpu(backends.masks(primitive)[backend]):
        assert lib.tf_hmac(number, ffi.from_buffer(out), key, key_length, message, length) == 0
    assert out == hmac.digest(key, message, name.replace("-", "").lower())


@with_hash
def test_the_key_schedule_is_the_portable_one(name: str, backend: str) -> None:
    """Its derivations go two at a time: client and server."""
    primitive, number, length = HASHES[name]
    if number == lib.TF_SHA512:
        return
    suite = next(suite for suite in SUITES.values() if suite.hash == number)
    labels = range(lib.TF_CLIENT_HANDSHAKE_TRAFFIC_SECRET, lib.TF_RESUMPTION_MASTER_SECRET)
    found = []
    for mask in (backends.masks(primitive)[backend], PORTABLE):
        with backends.cpu(mask):
            schedule = crypto.KeySchedule(suite)
            schedule.handshake(
                Secret.from_bytes(noise(b"psk", length)), Secret.from_bytes(noise(b"dhe", 32)), bytes(48)
            )
            both = [schedule.finished(base, bytes(48)) for base in (crypto.CLIENT_HANDSHAKE, crypto.SERVER_HANDSHAKE)]
            schedule.application(noise(b"application", 48))
            both += [schedule.secret(each).reveal() for each in labels]
            for each in (crypto.CLIENT_APPLICATION, crypto.SERVER_HANDSHAKE):
                writer = RecordWriter()
                writer.use(schedule, each)
                writer.send(ContentType.handshake, bytes(100))
                both.append(writer.take())
            schedule.resumption(noise(b"resumption", 48))
            both += [schedule.resumption_psk(b"nonce").reveal(), schedule.secret(crypto.EXPORTER).reveal()]
            found.append(both)
    assert found[0] == found[1]
