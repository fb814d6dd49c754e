# SPDX-License-Identifier: Apache-2.0
"""Key agreement over the C core and, for the NIST curves, cryptography: ephemeral key shares of either side. Above crypto.py, beneath the flows.

Sources: RFC 8446, 4.2.8 and 7.4, RFC 7748 (X25519), NIST SP 800-186 (the curves)."""

from __future__ import annotations

from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tlsfast._native import ffi, lib
from tlsfast.crypto import Secret, check
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
GROUPS: Final = (NamedGroup.x25519, NamedGroup.secp256r1, NamedGroup.secp384r1)


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
    share = KeyShare(group)
    return share.public, share.agree(peer)
