# SPDX-License-Identifier: Apache-2.0
"""ML-KEM-768 against Wycheproof's and NIST's vectors and the package cryptography, on every implementation of it and of Keccak."""

from __future__ import annotations

import hashlib
import json
import runpy
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import backends
import cryptography_vectors
import pytest
from backends import ALL_BITS, KECCAK_X4, ML_KEM_768, ffi, lib
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from tlsfast.crypto import Secret

ROOT = Path(__file__).resolve().parents[1]
WYCHEPROOF = ROOT / ".." / "shared" / "vectors" / "wycheproof"
needs_wycheproof = pytest.mark.skipif(not WYCHEPROOF.is_dir(), reason="../shared/vectors/wycheproof is not here")
table = runpy.run_path(str(ROOT / "tools" / "mlkem_table.py"))

Q = 3329
EK, CT = 1184, 1088


def selections() -> dict[str, int]:
    """Processor bits that select each implementation of either part, by the names of both."""
    found = {}
    for mask in (*backends.masks(ML_KEM_768).values(), *backends.masks(KECCAK_X4).values(), ALL_BITS):
        with backends.cpu(mask):
            found[f"{backends.implementation(ML_KEM_768)}-{backends.implementation(KECCAK_X4)}"] = mask
    return found


@pytest.fixture(params=selections().values(), ids=selections())
def backend(request: pytest.FixtureRequest) -> Generator[int]:
    with backends.cpu(request.param):
        yield request.param


# ---- The core's calls ----


def generate(seed: bytes) -> tuple[Any, bytes]:
    key, ek = ffi.gc(lib.tf_mlkem768_key_new(), lib.tf_mlkem768_key_free), bytearray(EK)
    assert lib.tf_test_mlkem768_generate(key, ffi.from_buffer(ek), seed) == 0
    return key, bytes(ek)


def encapsulate(ek: bytes, m: bytes) -> tuple[bytes, bytes] | None:
    """The ciphertext and the secret; None for a key that is refused."""
    shared, ct = Secret(), bytearray(b"\xa5" * CT)
    code = lib.tf_test_mlkem768_encapsulate(shared.handle, ffi.from_buffer(ct), ek, m)
    if code == lib.TF_ERR_PEER_KEY:
        assert len(shared) == 0 and not any(ct)
        return None
    assert code == 0
    return bytes(ct), shared.reveal()


def decapsulate(key: Any, ct: bytes) -> bytes:
    shared = Secret()
    assert lib.tf_mlkem768_decapsulate(shared.handle, key, ct) == 0
    return shared.reveal()


# ---- Wycheproof. What has another length never reaches the core: keyshare.py refuses it, and tests/test_hybrid.py shows that ----


def wycheproof(name: str) -> Iterator[dict[str, Any]]:
    for group in json.loads((WYCHEPROOF / f"mlkem_768_{name}test.json").read_text())["testGroups"]:
        yield from group["tests"]


@needs_wycheproof
def test_wycheproof_key_generation(backend: int) -> None:
    ran = 0
    for vector in wycheproof("keygen_seed_"):
        _, ek = generate(bytes.fromhex(vector["seed"]))
        assert ek.hex() == vector["ek"], vector["tcId"]
        ran += 1
    assert ran == 100


@needs_wycheproof
def test_wycheproof_encapsulation(backend: int) -> None:
    valid = refused = wrong_length = 0
    for vector in wycheproof("encaps_"):
        ek = bytes.fromhex(vector["ek"])
        if len(ek) != EK:
            assert vector["result"] == "invalid"
            wrong_length += 1
            continue
        result = encapsulate(ek, bytes.fromhex(vector["m"]))
        if vector["result"] == "valid":
            assert result == (bytes.fromhex(vector["c"]), bytes.fromhex(vector["K"])), vector["tcId"]
            valid += 1
        else:
            assert result is None, vector["tcId"]
            refused += 1
    assert (valid, refused + wrong_length) == (133, 132) and refused >= 12, (valid, refused, wrong_length)


@needs_wycheproof
def test_wycheproof_decapsulation(backend: int) -> None:
    """Ciphertexts of other keys, changed ones, and the one that a strcmp would take for ours: each gives the secret that the vector says."""
    ran = 0
    for vector in wycheproof(""):
        seed, ct = bytes.fromhex(vector["seed"]), bytes.fromhex(vector["c"])
        if len(seed) != 64 or len(ct) != CT:
            assert vector["result"] == "invalid"
            continue
        key, ek = generate(seed)
        assert vector["result"] == "valid" and ek.hex() == vector["ek"], vector["tcId"]
        assert decapsulate(key, ct).hex() == vector["K"], vector["tcId"]
        ran += 1
    assert ran == 153, ran


# ---- NIST's, by cryptography-vectors ----


@cache
def known_answers() -> tuple[dict[str, bytes], ...]:
    found: list[dict[str, bytes]] = []
    with cryptography_vectors.open_vector_file("asymmetric/MLKEM/kat_MLKEM_768.rsp", "r") as file:
        for line in file:
            name, _, value = line.strip().partition(" = ")
            if name == "count":
                found.append({})
            elif value:
                found[-1][name] = bytes.fromhex(value)
    return tuple(found)


def test_known_answers(backend: int) -> None:
    """Key, ciphertext and secret; and of a ciphertext that is not ours, the secret of implicit rejection, which is J(z | c)."""
    for count, answer in enumerate(known_answers()[::4]):
        key, ek = generate(answer["d"] + answer["z"])
        assert ek == answer["pk"], count
        assert encapsulate(ek, answer["msg"]) == (answer["ct"], answer["ss"]), count
        assert decapsulate(key, answer["ct"]) == answer["ss"], count
        assert decapsulate(key, answer["ct_n"]) == answer["ss_n"], count
        assert answer["ss_n"] == hashlib.shake_256(answer["z"] + answer["ct_n"]).digest(32), count
    assert count == 249


# ---- cryptography ----


@settings(max_examples=30, deadline=None)
@given(seed=st.binary(min_size=64, max_size=64), flip=st.integers(0, 8 * CT - 1))
def test_cryptography_agrees(seed: bytes, flip: int) -> None:
    """Both ways, and on what a ciphertext with one bit changed decapsulates to."""
    for mask in selections().values():
        with backends.cpu(mask):
            key, ek = generate(seed)
            theirs = MLKEM768PrivateKey.from_seed_bytes(seed)
            assert theirs.public_key().public_bytes_raw() == ek
            shared, ct = MLKEM768PublicKey.from_public_bytes(ek).encapsulate()
            assert decapsulate(key, ct) == shared
            encapsulated = encapsulate(ek, seed[:32])
            assert encapsulated is not None and theirs.decapsulate(encapsulated[0]) == encapsulated[1]
            changed = bytearray(ct)
            changed[flip // 8] ^= 1 << flip % 8
            rejected = hashlib.shake_256(seed[32:] + changed).digest(32)
            assert decapsulate(key, bytes(changed)) == theirs.decapsulate(bytes(changed)) == rejected != shared


def test_fresh_keys_and_messages_differ() -> None:
    key, ek = ffi.gc(lib.tf_mlkem768_key_new(), lib.tf_mlkem768_key_free), bytearray(EK)
    seen = set()
    for _ in range(3):
        assert lib.tf_mlkem768_generate(key, ffi.from_buffer(ek)) == 0
        for _ in range(3):
            shared, ct = Secret(), bytearray(CT)
            assert lib.tf_mlkem768_encapsulate(shared.handle, ffi.from_buffer(ct), bytes(ek)) == 0
            assert decapsulate(key, bytes(ct)) == shared.reveal()
            seen |= {bytes(ek), bytes(ct), shared.reveal()}
    assert len(seen) == 3 + 9 + 9


# ---- The table ----


def test_the_table_is_what_the_script_makes() -> None:
    assert (ROOT / "csrc" / "mlkem768_table.h").read_text(encoding="utf-8") == table["render"]()


def test_zeta_is_a_root_of_unity_of_order_256() -> None:
    """FIPS 203, 4.3: so x^256 + 1 falls into the factors x^2 - zeta^(2 BitRev7(i) + 1)."""
    assert pow(17, 128, Q) == Q - 1
    assert len({pow(17, 2 * table["bit_reversed"](i) + 1, Q) for i in range(128)}) == 128
    assert all(
        value * pow(2**16, -1, Q) % Q == pow(17, table["bit_reversed"](i), Q)
        for i, value in enumerate(table["zetas"]())
    )
