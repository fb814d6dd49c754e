# SPDX-License-Identifier: Apache-2.0
"""Key agreement over the C core and, for the NIST curves, cryptography: ephemeral key shares of either side. Above crypto.py, beneath the flows.

Sources: RFC 8446, 4.2.8 and 7.4, RFC 7748 (X25519), NIST SP 800-186 (the curves), FIPS 203 (ML-KEM), RFC 9954 and RFC 10024 (hybrids)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tlsfast._native import ffi, lib
from tlsfast.crypto import Secret, check, owned
from tlsfast.errors import IllegalParameter, InternalError
from tlsfast.registry import NamedGroup

_new = ffi.new
_unpack = ffi.buffer

# X25519 key pairs that no handshake has had yet. Any thread may take one, and a forked child finds none (csrc/x25519_pool.c).
_pool: Final = lib.tf_x25519_pool_new()


class KeyShare:
    """Our half of a key agreement: `public` goes into a key_share, agree() takes the peer's. It serves one handshake."""

    __slots__ = ("_private", "group", "public")

    def __init__(self, group: int) -> None:
        self.group = group
        self._private: Any
        if group == NamedGroup.x25519:
            self._private = Secret()
            out = _new("uint8_t[32]")
            check(lib.tf_x25519_take(_pool, self._private.handle, out), "X25519 key generation")
            self.public = bytes(_unpack(out, 32))
        else:
            self._private = ec.generate_private_key(_CURVES[group])
            self.public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def agree(self, peer: bytes) -> Secret:
        """The shared secret. IllegalParameter for a public key that is malformed, off the curve or of small order."""
        private, self._private = self._private, None
        if private is None:
            raise InternalError("an ephemeral key serves one handshake")
        if self.group == NamedGroup.x25519:
            return _agree_x25519(private, peer)
        # RFC 8446, 4.2.8.2: only the uncompressed form; peers MUST validate the point, which cryptography does
        if len(peer) != len(self.public) or peer[:1] != b"\x04":
            raise IllegalParameter(f"the key_share for {NamedGroup(self.group).name} is not an uncompressed point")
        try:
            point = ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[self.group], peer)
            shared = bytearray(private.exchange(ec.ECDH(), point))
        except (ValueError, UnsupportedAlgorithm):
            raise IllegalParameter(f"the key_share for {NamedGroup(self.group).name} is not on the curve") from None
        secret = Secret.from_bytes(shared)
        shared[:] = bytes(len(shared))
        return secret


_CURVES: Final[dict[int, ec.EllipticCurve]] = {
    NamedGroup.secp256r1: ec.SECP256R1(),
    NamedGroup.secp384r1: ec.SECP384R1(),
}

# ---- Hybrids (RFC 10024): ML-KEM-768 beside a curve, one of which is enough to keep the secret ----

_EK: Final = lib.TF_MLKEM768_EK
_CT: Final = lib.TF_MLKEM768_CT
# The curve of each, and whether its part comes first, in key_exchange and in the secret.
_HYBRIDS: Final[dict[int, tuple[NamedGroup, bool]]] = {
    NamedGroup.X25519MLKEM768: (NamedGroup.x25519, False),
    NamedGroup.SecP256r1MLKEM768: (NamedGroup.secp256r1, True),
}
_PUBLIC_LENGTHS: Final[dict[int, int]] = {NamedGroup.x25519: 32, NamedGroup.secp256r1: 65}

GROUPS: Final = (
    NamedGroup.X25519MLKEM768,
    NamedGroup.x25519,
    NamedGroup.SecP256r1MLKEM768,
    NamedGroup.secp256r1,
    NamedGroup.secp384r1,
)
# What TLS 1.2 knows, too.
CURVES: Final = frozenset(GROUPS) - _HYBRIDS.keys()


class HybridKeyShare(KeyShare):
    """The client's half of a hybrid: a key share of its curve and a decapsulation key, which stays in C and is wiped with its last reference."""

    __slots__ = ("_curve",)

    def __init__(self, group: int, curve: KeyShare | None = None) -> None:
        self.group = group
        self._curve = KeyShare(_HYBRIDS[group][0]) if curve is None else curve
        self._private = owned(lib.tf_mlkem768_key_new(), lib.tf_mlkem768_key_free)
        ek = _new("uint8_t[]", _EK)
        check(lib.tf_mlkem768_generate(self._private, ek), "ML-KEM key generation")
        self.public = _joined(group, bytes(_unpack(ek, _EK)), self._curve.public)

    def agree(self, peer: bytes) -> Secret:
        private, self._private = self._private, None
        if private is None:
            raise InternalError("an ephemeral key serves one handshake")
        # RFC 10024: the client MUST check the length of the ciphertext, else "illegal_parameter"; nothing else of it can be wrong (FIPS 203, 7.3)
        ciphertext, point = _parted(self.group, peer, _CT)
        shared = Secret()
        of_curve = self._curve.agree(point)
        check(lib.tf_mlkem768_decapsulate(shared.handle, private, ciphertext), "ML-KEM decapsulation")
        return _joined_secret(self.group, shared, of_curve)


def _joined(group: int, kem: bytes, curve: bytes) -> bytes:
    return curve + kem if _HYBRIDS[group][1] else kem + curve


def _joined_secret(group: int, kem: Secret, curve: Secret) -> Secret:
    joined = Secret.join(curve, kem) if _HYBRIDS[group][1] else Secret.join(kem, curve)
    kem.wipe()
    curve.wipe()
    return joined


def _parted(group: int, key_exchange: bytes, kem_length: int) -> tuple[bytes, bytes]:
    """ML-KEM's part of the peer's key_exchange, of this length, and the curve's."""
    curve, curve_first = _HYBRIDS[group]
    curve_length = _PUBLIC_LENGTHS[curve]
    if len(key_exchange) != kem_length + curve_length:
        raise IllegalParameter(
            f"the key_share for {NamedGroup(group).name} has {len(key_exchange)} bytes, not {kem_length + curve_length}"
        )
    if curve_first:
        return key_exchange[curve_length:], key_exchange[:curve_length]
    return key_exchange[:kem_length], key_exchange[kem_length:]


def _answer_hybrid(group: int, peer: bytes) -> tuple[bytes, Secret]:
    ek, point = _parted(group, peer, _EK)
    public, of_curve = answer_key_share(_HYBRIDS[group][0], point)
    shared, ciphertext = Secret(), _new("uint8_t[]", _CT)
    code = lib.tf_mlkem768_encapsulate(shared.handle, ciphertext, ek)
    if code == lib.TF_ERR_PEER_KEY:
        # RFC 10024: the server MUST perform the encapsulation key check of FIPS 203, 7.2, else "illegal_parameter"
        raise IllegalParameter(
            f"the key_share for {NamedGroup(group).name} has no ML-KEM key: a coefficient is too large"
        )
    check(code, "ML-KEM encapsulation")
    return _joined(group, bytes(_unpack(ciphertext, _CT)), public), _joined_secret(group, shared, of_curve)


# ---- Either side ----


def key_shares(groups: Iterable[int]) -> dict[int, KeyShare]:
    """A client's shares, in this order. A hybrid's curve has the same key pair as the share of the curve alone, as RFC 9954, 3.2 allows within one
    ClientHello: at most one of them is used."""
    wanted = tuple(groups)
    made = {group: KeyShare(group) for group in wanted if group not in _HYBRIDS}
    return {
        group: HybridKeyShare(group, made.get(_HYBRIDS[group][0])) if group in _HYBRIDS else made[group]
        for group in wanted
    }


def default_key_shares(groups: Iterable[NamedGroup]) -> tuple[NamedGroup, ...]:
    """The first of a client's groups; beside a hybrid, for servers that know none, the first that is not one."""
    listed = tuple(groups)
    beside = [group for group in listed if group not in _HYBRIDS] if listed[0] in _HYBRIDS else []
    return *listed[:1], *beside[:1]


def _agree_x25519(private: Secret, peer: bytes) -> Secret:
    if len(peer) != 32:
        raise IllegalParameter(f"the key_share for x25519 has {len(peer)} bytes, not 32")
    shared = Secret()
    code = lib.tf_x25519_exchange(shared.handle, private.handle, peer)
    private.wipe()
    if code == lib.TF_ERR_PEER_KEY:
        # RFC 8446, 7.4.2: MUST check whether the computed shared secret is the all-zero value and abort if so
        raise IllegalParameter("the x25519 key_share is a point of small order")
    check(code, "X25519")
    return shared


def answer_key_share(group: int, peer: bytes) -> tuple[bytes, Secret]:
    """The server's side: our public value for the peer's, and the shared secret."""
    if group in _HYBRIDS:
        return _answer_hybrid(group, peer)
    share = KeyShare(group)
    return share.public, share.agree(peer)
