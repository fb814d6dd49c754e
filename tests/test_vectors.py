# SPDX-License-Identifier: Apache-2.0
"""Published vectors against every implementation of every primitive: Wycheproof, NIST CAVP, RFC 4231, 5869, 7748 and 8439.

Wycheproof is read from ../shared/vectors beside the repository; NIST's and the RFCs' come with the package cryptography-vectors. A vector that the
core's interface cannot take (a nonce of another length than 12, AES-192) is left out, and each test says how many it must have run."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import backends
import cryptography_vectors
import pytest
from backends import AES_GCM, CHACHA20_POLY1305, SHA256, SHA512, X25519, ffi, lib

from tlsfast.crypto import Secret

WYCHEPROOF = Path(__file__).resolve().parents[1] / ".." / "shared" / "vectors" / "wycheproof"
needs_wycheproof = pytest.mark.skipif(not WYCHEPROOF.is_dir(), reason="../shared/vectors/wycheproof is not here")

HASHES = {"SHA-256": (lib.TF_SHA256, 32), "SHA-384": (lib.TF_SHA384, 48), "SHA-512": (lib.TF_SHA512, 64)}
# Which primitive stands behind which hash.
BEHIND = {"SHA-256": SHA256, "SHA-384": SHA512, "SHA-512": SHA512}
GCM_BY_KEY = {16: lib.TF_AES_128_GCM, 32: lib.TF_AES_256_GCM}


def with_each(primitive: int) -> pytest.MarkDecorator:
    """Each implementation of one primitive."""
    rows = backends.names(primitive)
    return pytest.mark.parametrize("backend", rows, indirect=True, ids=[name for _, name in rows])


aes_gcm = with_each(AES_GCM)
chacha20_poly1305 = with_each(CHACHA20_POLY1305)
x25519 = with_each(X25519)


def with_hash(*hashes: str) -> pytest.MarkDecorator:
    """Each hash with each implementation of what stands behind it."""
    rows = [(row, name) for name in hashes for row in backends.names(BEHIND[name])]
    return pytest.mark.parametrize(
        ("backend", "hash_name"), rows, indirect=["backend"], ids=[f"{row[1]}-{name}" for row, name in rows]
    )


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Generator[str]:
    """Limit the processor's bits to those that select this implementation; all show again after."""
    primitive, name = request.param
    with backends.cpu(backends.masks(primitive)[name]):
        assert backends.implementation(primitive) == name
        yield name


# ---- The core's calls ----


def seal(aead: int, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
    out = bytearray(len(plaintext) + 16)
    code = lib.tf_test_aead_seal(
        aead, ffi.from_buffer(out), key, nonce, aad, len(aad), ffi.from_buffer(plaintext), len(plaintext)
    )
    assert code == 0
    return bytes(out)


def open_(aead: int, key: bytes, nonce: bytes, aad: bytes, sealed: bytes) -> bytes | None:
    """The plaintext; None when it does not authenticate, and then the output must be zero."""
    out = bytearray(b"\xa5" * (len(sealed) - 16))
    code = lib.tf_test_aead_open(
        aead, ffi.from_buffer(out), key, nonce, aad, len(aad), ffi.from_buffer(sealed), len(sealed)
    )
    if code == lib.TF_ERR_BAD_RECORD_MAC:
        assert not any(out), "what does not authenticate must not come out"
        return None
    assert code == 0
    return bytes(out)


def check_aead(aead: int, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes, sealed: bytes) -> None:
    """Seal and open give each other, also in place."""
    assert seal(aead, key, nonce, aad, plaintext) == sealed
    assert open_(aead, key, nonce, aad, sealed) == plaintext
    buffer = bytearray(plaintext + bytes(16))
    place = ffi.from_buffer(buffer)
    assert lib.tf_test_aead_seal(aead, place, key, nonce, aad, len(aad), place, len(plaintext)) == 0
    assert buffer == sealed
    assert lib.tf_test_aead_open(aead, place, key, nonce, aad, len(aad), place, len(sealed)) == 0
    assert buffer[: len(plaintext)] == plaintext


def digest(number: int, length: int, message: bytes) -> bytes:
    out = bytearray(length)
    assert lib.tf_hash_once(number, ffi.from_buffer(out), message, len(message)) == 0
    return bytes(out)


def hmac(number: int, length: int, key: bytes, message: bytes) -> bytes:
    out = bytearray(length)
    assert lib.tf_hmac(number, ffi.from_buffer(out), key, len(key), message, len(message)) == 0
    return bytes(out)


def hkdf(number: int, ikm: bytes, salt: bytes, info: bytes, length: int) -> tuple[bytes, bytes | None]:
    """The PRK, and the OKM or None where the core refuses the length."""
    prk, okm = Secret(), Secret()
    salted = Secret.from_bytes(salt) if salt else None
    code = lib.tf_hkdf_extract(
        number, prk.handle, ffi.NULL if salted is None else salted.handle, Secret.from_bytes(ikm).handle
    )
    assert code == 0
    code = lib.tf_hkdf_expand(number, okm.handle, length, prk.handle, info, len(info))
    if code:
        assert (code, len(okm)) == (lib.TF_ERR_ARGUMENT, 0)
        return prk.reveal(), None
    return prk.reveal(), okm.reveal()


def exchange(private: bytes, public: bytes) -> bytes | None:
    """X25519; None for a shared secret of zeros."""
    shared = Secret()
    code = lib.tf_x25519_exchange(shared.handle, Secret.from_bytes(private).handle, public)
    if code == lib.TF_ERR_PEER_KEY:
        assert len(shared) == 0
        return None
    assert code == 0
    return shared.reveal()


def public_key(private: bytes) -> bytes:
    out = bytearray(32)
    assert lib.tf_x25519_public(ffi.from_buffer(out), Secret.from_bytes(private).handle) == 0
    return bytes(out)


# ---- Wycheproof ----


@cache
def wycheproof(name: str) -> tuple[tuple[dict[str, Any], dict[str, Any]], ...]:
    """(group, vector) of each vector of one file."""
    groups = json.loads((WYCHEPROOF / f"{name}_test.json").read_text())["testGroups"]
    return tuple((group, vector) for group in groups for vector in group["tests"])


def unhex(vector: dict[str, Any], *fields: str) -> list[bytes]:
    return [bytes.fromhex(vector[field]) for field in fields]


def run_wycheproof_aead(name: str, aeads: dict[int, int]) -> tuple[int, int]:
    """How many valid and how many invalid vectors ran."""
    valid = invalid = 0
    for _, vector in wycheproof(name):
        key, nonce, aad, plaintext, ciphertext, tag = unhex(vector, "key", "iv", "aad", "msg", "ct", "tag")
        if len(nonce) != 12 or len(key) not in aeads or len(tag) != 16:
            continue
        if vector["result"] == "valid":
            check_aead(aeads[len(key)], key, nonce, aad, plaintext, ciphertext + tag)
            valid += 1
        else:
            assert open_(aeads[len(key)], key, nonce, aad, ciphertext + tag) is None, vector["tcId"]
            invalid += 1
    return valid, invalid


@needs_wycheproof
@aes_gcm
def test_wycheproof_aes_gcm(backend: str) -> None:
    valid, invalid = run_wycheproof_aead("aes_gcm", GCM_BY_KEY)
    assert valid >= 79 and invalid >= 54, (valid, invalid)


@needs_wycheproof
@chacha20_poly1305
def test_wycheproof_chacha20_poly1305(backend: str) -> None:
    valid, invalid = run_wycheproof_aead("chacha20_poly1305", {32: lib.TF_CHACHA20_POLY1305})
    assert valid >= 250 and invalid >= 50, (valid, invalid)


@needs_wycheproof
@with_hash("SHA-256", "SHA-384")
def test_wycheproof_hmac(backend: str, hash_name: str) -> None:
    """Some tags are cut short: then ours must begin as they do."""
    number, length = HASHES[hash_name]
    ran = 0
    for group, vector in wycheproof(f"hmac_{hash_name.replace('-', '').lower()}"):
        key, message, tag = unhex(vector, "key", "msg", "tag")
        ours = hmac(number, length, key, message)[: group["tagSize"] // 8]
        assert (ours == tag) == (vector["result"] == "valid"), vector["tcId"]
        ran += 1
    assert ran >= 174


@needs_wycheproof
@with_hash("SHA-256", "SHA-384")
def test_wycheproof_hkdf(backend: str, hash_name: str) -> None:
    """A secret holds 256 bytes: of longer output the core must give the beginning when asked for that much, and refuse the whole."""
    number, _ = HASHES[hash_name]
    ran = 0
    for _, vector in wycheproof(f"hkdf_{hash_name.replace('-', '').lower()}"):
        ikm, salt, info, okm = unhex(vector, "ikm", "salt", "info", "okm")
        if vector["size"] > lib.TF_SECRET_MAX:
            assert hkdf(number, ikm, salt, info, vector["size"])[1] is None
        if vector["result"] == "valid":
            size = min(vector["size"], lib.TF_SECRET_MAX)
            assert hkdf(number, ikm, salt, info, size)[1] == okm[:size], vector["tcId"]
        ran += 1
    assert ran >= 83


@needs_wycheproof
@x25519
def test_wycheproof_x25519(backend: str) -> None:
    """Points on the twist and non-canonical ones give what the vectors say; those that give zero are refused (RFC 8446, 7.4.2)."""
    ran = zeros = 0
    for _, vector in wycheproof("x25519"):
        public, private, shared = unhex(vector, "public", "private", "shared")
        if any(shared):
            assert exchange(private, public) == shared, vector["tcId"]
        else:
            assert exchange(private, public) is None, vector["tcId"]
            zeros += 1
        ran += 1
    assert ran >= 518 and zeros >= 31, (ran, zeros)


# ---- NIST CAVP, and the RFCs' own vectors, by cryptography-vectors ----


@cache
def blocks(*path: str) -> tuple[dict[str, str], ...]:
    """The records of "name = value" lines of one file, names in lower case, each with the [section] values that hold for it. A name that comes again
    begins the next record; blank lines mean nothing."""
    found: list[dict[str, str]] = []
    section: dict[str, str] = {}
    current: dict[str, str] = {}
    with cryptography_vectors.open_vector_file("/".join(path), "r") as file:
        for line in file:
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            name, _, value = (part.strip() for part in text.strip("[]").partition("="))
            if current and (name.lower() in current or text.startswith("[")):
                found.append({**section, **current})
                current = {}
            (section if text.startswith("[") else current)[name.lower()] = value
    return (*found, {**section, **current})


def cavp_gcm(kind: str, bits: int) -> Iterator[tuple[dict[str, str], bytes, bytes, bytes]]:
    """Those with a 12-byte nonce: the block, key, nonce and AAD."""
    for block in blocks("ciphers", "AES", "GCM", f"gcm{kind}{bits}.rsp"):
        if block["ivlen"] == "96":
            yield block, bytes.fromhex(block["key"]), bytes.fromhex(block["iv"]), bytes.fromhex(block["aad"])


@pytest.mark.parametrize("bits", [128, 256])
@aes_gcm
def test_cavp_aes_gcm_encrypt(backend: str, bits: int) -> None:
    """A tag that was cut short must be the beginning of ours."""
    ran = 0
    for block, key, nonce, aad in cavp_gcm("EncryptExtIV", bits):
        plaintext, ciphertext, tag = (bytes.fromhex(block[name]) for name in ("pt", "ct", "tag"))
        sealed = seal(GCM_BY_KEY[bits // 8], key, nonce, aad, plaintext)
        assert sealed[: len(ciphertext) + len(tag)] == ciphertext + tag, block
        ran += 1
    assert ran >= 2_500, ran


@pytest.mark.parametrize("bits", [128, 256])
@aes_gcm
def test_cavp_aes_gcm_decrypt(backend: str, bits: int) -> None:
    """Only whole tags can be opened; of the others, the good ones are sealed again."""
    opened = refused = 0
    for block, key, nonce, aad in cavp_gcm("Decrypt", bits):
        ciphertext, tag = bytes.fromhex(block["ct"]), bytes.fromhex(block["tag"])
        if "fail" not in block:
            sealed = seal(GCM_BY_KEY[bits // 8], key, nonce, aad, bytes.fromhex(block["pt"]))
            assert sealed[: len(ciphertext) + len(tag)] == ciphertext + tag, block
            assert open_(GCM_BY_KEY[bits // 8], key, nonce, aad, sealed) == bytes.fromhex(block["pt"])
            opened += 1
        elif len(tag) == 16:
            assert open_(GCM_BY_KEY[bits // 8], key, nonce, aad, ciphertext + tag) is None, block
            refused += 1
    assert opened >= 1_000 and refused >= 150, (opened, refused)


@with_hash("SHA-256", "SHA-384", "SHA-512")
def test_cavp_sha2(backend: str, hash_name: str) -> None:
    """Short and long messages."""
    number, length = HASHES[hash_name]
    ran = 0
    for kind in ("Short", "Long"):
        for block in blocks("hashes", "SHA2", f"{hash_name.replace('-', '')}{kind}Msg.rsp"):
            message = bytes.fromhex(block["msg"])[: int(block["len"]) // 8]
            assert digest(number, length, message).hex() == block["md"], block["len"]
            ran += 1
    assert ran >= 128, ran


@with_hash("SHA-256", "SHA-384", "SHA-512")
def test_cavp_sha2_monte_carlo(backend: str, hash_name: str) -> None:
    """SHAVS, 6.4: a hundred checkpoints, each after a thousand digests of the last three."""
    number, length = HASHES[hash_name]
    checkpoints = blocks("hashes", "SHA2", f"{hash_name.replace('-', '')}Monte.rsp")
    seed = bytes.fromhex(checkpoints[0]["seed"])
    for block in checkpoints:
        a = b = c = seed
        for _ in range(1000):
            a, b, c = b, c, digest(number, length, a + b + c)
        seed = c
        assert seed.hex() == block["md"], block["count"]
    assert len(checkpoints) == 100


@with_hash("SHA-256", "SHA-384", "SHA-512")
def test_rfc4231_hmac(backend: str, hash_name: str) -> None:
    number, length = HASHES[hash_name]
    ran = 0
    for block in blocks("HMAC", f"rfc-4231-{hash_name.replace('-', '').lower()}.txt"):
        assert hmac(number, length, bytes.fromhex(block["key"]), bytes.fromhex(block["msg"])).hex() == block["md"]
        ran += 1
    assert ran >= 6


@with_hash("SHA-256")
def test_rfc5869_hkdf(backend: str, hash_name: str) -> None:
    number, _ = HASHES[hash_name]
    ran = 0
    for block in blocks("KDF", "rfc-5869-HKDF-SHA256.txt"):
        ikm, salt, info = (bytes.fromhex(block[name]) for name in ("ikm", "salt", "info"))
        prk, okm = hkdf(number, ikm, salt, info, int(block["l"]))
        assert okm is not None
        assert (prk.hex(), okm.hex()) == (block["prk"], block["okm"])
        ran += 1
    assert ran == 3


def text_or_hex(value: str) -> bytes:
    return value.strip('"').encode() if value.startswith('"') else bytes.fromhex(value)


@chacha20_poly1305
def test_chacha20_poly1305_vectors(backend: str) -> None:
    """RFC 8439, 2.8.2 and A.5 are the first of these files; then BoringSSL's, of every length and alignment."""
    ran = 0
    for block in blocks("ciphers", "ChaCha20Poly1305", "boringssl.txt"):
        key, nonce, aad, plaintext, ciphertext, tag = (
            text_or_hex(block[name]) for name in ("key", "nonce", "ad", "in", "ct", "tag")
        )
        check_aead(lib.TF_CHACHA20_POLY1305, key, nonce, aad, plaintext, ciphertext + tag)
        ran += 1
    for block in blocks("ciphers", "ChaCha20Poly1305", "openssl.txt"):
        key, nonce, aad, plaintext, ciphertext, tag = (
            bytes.fromhex(block[name]) for name in ("key", "iv", "aad", "plaintext", "ciphertext", "tag")
        )
        if len(nonce) != 12:
            continue
        if "result" in block:
            assert open_(lib.TF_CHACHA20_POLY1305, key, nonce, aad, ciphertext + tag) is None
        else:
            check_aead(lib.TF_CHACHA20_POLY1305, key, nonce, aad, plaintext, ciphertext + tag)
        ran += 1
    assert ran >= 70, ran


@x25519
def test_rfc7748_x25519(backend: str) -> None:
    """RFC 7748, 5.2: two exchanges."""
    ran = 0
    for block in blocks("asymmetric", "X25519", "rfc7748.txt"):
        scalar, u = bytes.fromhex(block["input_scalar"]), bytes.fromhex(block["input_u"])
        assert exchange(scalar, u) == bytes.fromhex(block["output_u"])
        ran += 1
    assert ran == 3


@x25519
def test_rfc7748_x25519_iterated(backend: str) -> None:
    """RFC 7748, 5.2: the result of each round is the next scalar, the scalar the next point."""
    k = u = b"\x09" + bytes(31)
    expected = {
        1: "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079",
        1000: "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51",
    }
    for count in range(1, 1001):
        result = exchange(k, u)
        assert result is not None
        k, u = result, k
        if count in expected:
            assert k.hex() == expected[count]


@x25519
def test_rfc7748_diffie_hellman(backend: str) -> None:
    """RFC 7748, 6.1: both key pairs and the secret they share."""
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    assert public_key(alice).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert public_key(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    for private, peer in ((alice, public_key(bob)), (bob, public_key(alice))):
        result = exchange(private, peer)
        assert result is not None and result.hex() == shared
