# SPDX-License-Identifier: Apache-2.0
"""Static RSA shows nothing of what decryption gave: the same alert at the same point for every wrong premaster secret (RFC 5246, 7.4.7.1)."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from pair import NAME, client_config, make_pair, server_config, shake
from rsa_variants import variants
from test_handshake12 import STATIC_RSA, V12, transport_credential

import tlsfast
from tlsfast import AlertDescription, CipherSuite, ConfigurationError, Credential, crypto
from tlsfast.crypto import Secret
from tlsfast.events import AlertSeen, ChangeCipherSpecSeen, DecryptPremaster, MessageSeen
from tlsfast.handshake import client12

NAMES = [name for name in variants(rsa.generate_private_key(65537, 2048).public_key(), bytes(48)) if name != "right"]


def outcome(name: str, monkeypatch: pytest.MonkeyPatch, suite: CipherSuite = STATIC_RSA[0]) -> list[object]:
    """What a client sees that sends this ciphertext, and what the server says of it."""

    def encrypt(der: bytes, premaster: bytes) -> bytes:
        key = x509.load_der_x509_certificate(der).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        return variants(key, premaster)[name]

    monkeypatch.setattr(client12, "encrypt_premaster", encrypt)
    seen: list[object] = []
    client = client_config(versions=V12, cipher_suites=[suite], session_cache=None)
    server = server_config(
        versions=V12, cipher_suites=[suite], credentials=[transport_credential()], observer=seen.append
    )
    pair = make_pair(client, server).run()
    said: list[object] = [
        type(each.message).__name__ if isinstance(each, MessageSeen) else each
        for each in seen
        if isinstance(each, MessageSeen | AlertSeen | ChangeCipherSpecSeen)
    ]
    return [*said, pair.complete, str(pair.server_error), str(pair.client_error)]


def test_a_right_premaster_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert True in outcome("right", monkeypatch)


@pytest.mark.parametrize("suite", STATIC_RSA)
def test_every_wrong_premaster_ends_alike(suite: CipherSuite, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {name: outcome(name, monkeypatch, suite) for name in NAMES}
    first = ends["another premaster"]
    assert AlertSeen(True, AlertDescription.bad_record_mac) in first
    assert False in first
    for name, end in ends.items():
        assert end == first, name


@pytest.mark.parametrize("length", [0, 1, 2, 46, 47, 49, 64, 245, 1024])
def test_premaster_select_takes_48_bytes_of_the_right_version_alone(length: int) -> None:
    random = Secret.random(48)
    for version in (0x0303, 0x0302):
        given = version.to_bytes(2) + bytes(range(2, 48)) + bytes(2000)
        chosen = crypto.premaster_select(given[:length], 0x0303, random)
        assert chosen.reveal() == random.reveal()
        whole = crypto.premaster_select(given[:48], 0x0303, random).reveal()
        assert whole == (given[:48] if version == 0x0303 else random.reveal())


@pytest.mark.parametrize("answer", [b"", b"x" * 48, ValueError("padding"), "not bytes"], ids=repr)
def test_a_key_elsewhere_is_no_oracle_either(answer: object) -> None:
    """DecryptPremaster as an event: whatever is answered, an exception too, the handshake goes on to Finished."""
    external = Credential.external([x509.load_der_x509_certificate(der) for der in transport_credential().chain])
    shared = {"versions": V12, "cipher_suites": [STATIC_RSA[0]]}
    pair = make_pair(client_config(**shared), server_config(**shared, credentials=[external])).run()
    (question,) = [event for event in pair.server_events if isinstance(event, DecryptPremaster)]
    with pytest.raises(tlsfast.PeerError, match="did not authenticate"):
        pair.server.answer(question, answer)


def test_a_key_elsewhere_decrypts() -> None:
    own = transport_credential()
    external = Credential.external([x509.load_der_x509_certificate(der) for der in own.chain])
    shared = {"versions": V12, "cipher_suites": [STATIC_RSA[0]]}
    pair = make_pair(client_config(**shared), server_config(**shared, credentials=[external])).run()
    (question,) = [event for event in pair.server_events if isinstance(event, DecryptPremaster)]
    pair.server_events += pair.server.answer(question, own.decrypt(question.ciphertext))
    assert pair.run().complete


def test_an_old_openssl_cannot_enable_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where wrong padding raises, the suites are refused in one sentence; here such a build is imitated."""
    from tlsfast.certificates import signatures12

    def explicit(key: object, ciphertext: bytes) -> bytes:
        raise ValueError("Decryption failed")

    monkeypatch.setattr(signatures12, "decrypt_premaster", explicit)
    with pytest.raises(ConfigurationError, match="OpenSSL is older than 3.2"):
        server_config(versions=V12, cipher_suites=STATIC_RSA, credentials=[transport_credential()])
    server_config(versions=V12, credentials=[transport_credential()])


def test_shakes_hands_by_name_only() -> None:
    shared = {"versions": V12, "cipher_suites": [STATIC_RSA[1]]}
    pair = shake(client_config(**shared), server_config(**shared, credentials=[transport_credential()]), NAME)
    assert pair.client_completed().signature_scheme is None
