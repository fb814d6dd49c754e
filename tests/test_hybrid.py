# SPDX-License-Identifier: Apache-2.0
"""The hybrids of ML-KEM-768 and a curve (RFC 10024): each side against primitives of another make, what is offered, retries, what TLS 1.2 sees."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pair import NAME, client_config, make_pair, server_config, shake

from tlsfast import ClientConnection, ConfigurationError, NamedGroup, TLSVersion, keyshare
from tlsfast.errors import IllegalParameter, InternalError, PeerError
from tlsfast.events import MessageSeen
from tlsfast.keyshare import KeyShare, answer_key_share, key_shares
from tlsfast.messages.handshake import ClientHello, ServerHello

X25519, P256 = NamedGroup.x25519, NamedGroup.secp256r1
HYBRIDS = [NamedGroup.X25519MLKEM768, NamedGroup.SecP256r1MLKEM768]
EK, CT = 1184, 1088
BOTH = [TLSVersion.TLSv1_3, TLSVersion.TLSv1_2]

# A peer's key of the curve: its public form, and what gives the secret it shares with ours.
Curve = tuple[bytes, Callable[[bytes], bytes]]


def their_curve(group: NamedGroup) -> Curve:
    if group is NamedGroup.X25519MLKEM768:
        x25519 = X25519PrivateKey.generate()
        return x25519.public_key().public_bytes_raw(), lambda peer: x25519.exchange(
            X25519PublicKey.from_public_bytes(peer)
        )
    p256 = ec.generate_private_key(ec.SECP256R1())
    public = p256.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return public, lambda peer: p256.exchange(
        ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), peer)
    )


def in_order(group: NamedGroup, kem: bytes, curve: bytes) -> bytes:
    """RFC 10024: X25519MLKEM768 has ML-KEM first, SecP256r1MLKEM768 the curve; in shares and in the secret alike."""
    return kem + curve if group is NamedGroup.X25519MLKEM768 else curve + kem


def parted(group: NamedGroup, key_exchange: bytes, kem_length: int) -> tuple[bytes, bytes]:
    if group is NamedGroup.X25519MLKEM768:
        return key_exchange[:kem_length], key_exchange[kem_length:]
    return key_exchange[-kem_length:], key_exchange[:-kem_length]


def only(group: NamedGroup) -> KeyShare:
    return key_shares([group])[group]


# ---- Shares and secrets ----


@pytest.mark.parametrize(("group", "length"), [(HYBRIDS[0], 1216), (HYBRIDS[1], 1249)])
def test_client_against_other_primitives(group: NamedGroup, length: int) -> None:
    share = only(group)
    assert len(share.public) == length
    ek, point = parted(group, share.public, EK)
    public, exchange = their_curve(group)
    of_kem, ciphertext = MLKEM768PublicKey.from_public_bytes(ek).encapsulate()
    secret = share.agree(in_order(group, ciphertext, public))
    assert secret.reveal() == in_order(group, of_kem, exchange(point))


@pytest.mark.parametrize(("group", "length"), [(HYBRIDS[0], 1120), (HYBRIDS[1], 1153)])
def test_server_against_other_primitives(group: NamedGroup, length: int) -> None:
    key, (public, exchange) = MLKEM768PrivateKey.generate(), their_curve(group)
    answer, secret = answer_key_share(group, in_order(group, key.public_key().public_bytes_raw(), public))
    assert len(answer) == length
    ciphertext, point = parted(group, answer, CT)
    assert secret.reveal() == in_order(group, key.decapsulate(ciphertext), exchange(point))


@pytest.mark.parametrize("group", HYBRIDS)
def test_a_changed_ciphertext_gives_another_secret_and_no_error(group: NamedGroup) -> None:
    share = only(group)
    answer, secret = answer_key_share(group, share.public)
    ciphertext, point = parted(group, answer, CT)
    changed = bytes([ciphertext[0] ^ 1]) + ciphertext[1:]
    ours = share.agree(in_order(group, changed, point)).reveal()
    assert len(ours) == len(secret) == 64
    kem, curve = parted(group, ours, 32)
    their_kem, their_curve_secret = parted(group, secret.reveal(), 32)
    assert curve == their_curve_secret and kem != their_kem


@pytest.mark.parametrize("group", HYBRIDS)
def test_what_a_server_refuses(group: NamedGroup) -> None:
    good = only(group).public
    ek, point = parted(group, good, EK)
    bad_points = [bytes(32)] if len(point) == 32 else [b"\x04" + bytes(64), b"\x02" + point[1:], b"\x04" + b"\1" * 64]
    refused = [
        b"",
        good[:-1],
        good + b"\0",
        good[: CT + len(point)],
        in_order(group, b"\xff" + ek[1:2] + ek[2:], point),
    ]
    refused[-1] = in_order(group, bytes([0x01, ek[1] & 0xF0 | 0x0D]) + ek[2:], point)  # q, the least that is too large
    refused += [in_order(group, ek, bad) for bad in bad_points]
    for peer in refused:
        with pytest.raises(IllegalParameter):
            answer_key_share(group, peer)
    largest = in_order(group, bytes([0x00, ek[1] & 0xF0 | 0x0D]) + ek[2:], point)
    assert len(answer_key_share(group, largest)[1]) == 64


@pytest.mark.parametrize("group", HYBRIDS)
def test_what_a_client_refuses(group: NamedGroup) -> None:
    good, _ = answer_key_share(group, only(group).public)
    ciphertext, point = parted(group, good, CT)
    bad_points = [bytes(32)] if len(point) == 32 else [b"\x04" + bytes(64), b"\x02" + point[1:]]
    for peer in (
        b"",
        good[:-1],
        good + b"\0",
        ciphertext,
        point,
        *(in_order(group, ciphertext, bad) for bad in bad_points),
    ):
        with pytest.raises(IllegalParameter):
            only(group).agree(peer)


@pytest.mark.parametrize("group", HYBRIDS)
def test_a_share_serves_once(group: NamedGroup) -> None:
    share = only(group)
    answer, _ = answer_key_share(group, share.public)
    share.agree(answer)
    with pytest.raises(InternalError):
        share.agree(answer)


def test_one_key_pair_of_the_curve_for_both_shares() -> None:
    """RFC 9954, 3.2; whichever of them is used, the key serves no second time."""
    shares = key_shares([NamedGroup.X25519MLKEM768, X25519, NamedGroup.SecP256r1MLKEM768])
    assert list(shares) == [NamedGroup.X25519MLKEM768, X25519, NamedGroup.SecP256r1MLKEM768]
    hybrid, alone = shares[NamedGroup.X25519MLKEM768], shares[X25519]
    assert hybrid.public[EK:] == alone.public
    answer, secret = answer_key_share(X25519, alone.public)
    assert alone.agree(answer).reveal() == secret.reveal()
    with pytest.raises(InternalError):
        hybrid.agree(answer_key_share(NamedGroup.X25519MLKEM768, hybrid.public)[0])


# ---- What is offered and chosen ----


def hello_of(**options: object) -> ClientHello:
    seen: list[ClientHello] = []

    def observe(observation: object) -> None:
        if isinstance(observation, MessageSeen) and isinstance(observation.message, ClientHello):
            seen.append(observation.message)

    ClientConnection(client_config(observer=observe, **options), server_name=NAME).data_to_send()
    return seen[0]


def test_the_default_offer() -> None:
    """The hybrid first and preferred, X25519 beside it; more than a packet, less than any limit."""
    extensions = hello_of().extensions
    assert extensions.supported_groups == keyshare.GROUPS
    assert extensions.key_share is not None
    assert [(entry.group, len(entry.key_exchange)) for entry in extensions.key_share] == [(0x11EC, 1216), (0x001D, 32)]
    pair = shake()
    assert pair.client_completed().group is pair.server_completed().group is NamedGroup.X25519MLKEM768


def test_shares_follow_the_groups() -> None:
    def offered(groups: list[NamedGroup]) -> tuple[NamedGroup, ...]:
        return tuple(client_config(groups=groups).key_shares or ())

    assert offered([P256, NamedGroup.X25519MLKEM768]) == (P256,)
    assert offered([NamedGroup.SecP256r1MLKEM768, NamedGroup.X25519MLKEM768, P256]) == (
        NamedGroup.SecP256r1MLKEM768,
        P256,
    )
    assert offered([NamedGroup.X25519MLKEM768]) == (NamedGroup.X25519MLKEM768,)


@pytest.mark.parametrize("group", HYBRIDS)
@pytest.mark.parametrize("cookie", [False, True])
def test_a_retry_asks_for_a_hybrid(group: NamedGroup, cookie: bool) -> None:
    client = client_config(groups=[X25519, *HYBRIDS])
    pair = shake(client, server_config(groups=[group], retry_cookie=cookie))
    assert pair.client_completed().group is pair.server_completed().group is group
    again = shake(client, server_config(groups=[group], retry_cookie=cookie))
    assert again.client_completed().group is group


def test_a_server_without_hybrids_takes_the_share_beside() -> None:
    seen: list[object] = []
    client = client_config(observer=lambda observation: seen.append(getattr(observation, "message", None)))
    pair = shake(client, server_config(groups=[X25519, P256]))
    assert pair.client_completed().group is X25519
    assert [type(message) for message in seen if isinstance(message, ClientHello | ServerHello)] == [
        ClientHello,
        ServerHello,
    ]


@pytest.mark.parametrize("group", HYBRIDS)
def test_resumption_agrees_anew(group: NamedGroup) -> None:
    client, server = client_config(groups=[group]), server_config()
    shake(client, server)
    again = shake(client, server)
    assert again.client_completed().resumed and again.client_completed().group is group


# ---- TLS 1.2 knows no hybrids ----


def test_tls12_alone_offers_and_takes_curves() -> None:
    versions = [TLSVersion.TLSv1_2]
    assert hello_of(versions=versions).extensions.supported_groups == (X25519, P256, NamedGroup.secp384r1)
    for client, server in (
        (client_config(versions=versions), server_config(versions=BOTH)),
        (client_config(versions=BOTH), server_config(versions=versions)),
    ):
        pair = shake(client, server)
        assert pair.client_completed().version is TLSVersion.TLSv1_2
        assert pair.client_completed().group is X25519
    with pytest.raises(ConfigurationError, match="add a curve"):
        client_config(versions=versions, groups=HYBRIDS)


def test_tls12_has_nothing_in_common_with_hybrids_alone() -> None:
    pair = make_pair(client_config(groups=HYBRIDS, versions=BOTH), server_config(versions=[TLSVersion.TLSv1_2])).run()
    assert isinstance(pair.server_error, PeerError) and "nothing in common for TLS 1.2" in str(pair.server_error)
