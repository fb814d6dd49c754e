# SPDX-License-Identifier: Apache-2.0
"""Wrong premaster secrets in every way there is: what an attacker on a padding oracle would send (RFC 5246, 7.4.7.1; ROBOT)."""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.asymmetric import padding, rsa


def _raw(key: rsa.RSAPublicKey, block: bytes) -> bytes:
    """RSA without padding: block must be as long as the modulus."""
    numbers = key.public_numbers()
    return pow(int.from_bytes(block), numbers.e, numbers.n).to_bytes(len(block))


def _block(size: int, head: bytes, zero_at: int | None, tail: bytes) -> bytes:
    """A padded block: head, non-zero filling, a zero byte before the tail (none: zero_at is None)."""
    filling = bytes(1 + byte % 255 for byte in os.urandom(size - len(head) - len(tail) - 1))
    return head + filling + (b"\0" if zero_at is not None else b"\1") + tail


def variants(key: rsa.RSAPublicKey, premaster: bytes) -> dict[str, bytes]:
    """Ciphertexts by name; "right" is the only one that a server may go on with."""
    size = key.key_size // 8
    pkcs1 = padding.PKCS1v15()
    modulus = key.public_numbers().n
    return {
        "right": key.encrypt(premaster, pkcs1),
        "wrong first byte": _raw(key, _block(size, b"\x00\x01", 0, premaster)),
        "no zero byte": _raw(key, _block(size, b"\x00\x02", None, premaster)),
        "zero byte in the padding": _raw(key, b"\x00\x02\x00" + os.urandom(size - 3)),
        "too short": key.encrypt(premaster[:47], pkcs1),
        "too long": key.encrypt(premaster + b"\1", pkcs1),
        "empty": key.encrypt(b"", pkcs1),
        "wrong version, major": key.encrypt(b"\x02" + premaster[1:], pkcs1),
        "wrong version, minor": key.encrypt(premaster[:1] + b"\x02" + premaster[2:], pkcs1),
        "another premaster": key.encrypt(premaster[:2] + os.urandom(46), pkcs1),
        "ciphertext 0": bytes(size),
        "ciphertext 1": b"\1".rjust(size, b"\0"),
        "not below the modulus": modulus.to_bytes(size),
        "a byte too few": os.urandom(size - 1),
        "a byte too many": bytes(1) + key.encrypt(premaster, pkcs1),
        "no ciphertext": b"",
    }
