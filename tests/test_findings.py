# SPDX-License-Identifier: Apache-2.0
"""What fuzzing found, each as a test of its own: the inputs in fuzz/corpus mean something only as long as the targets read them so."""

from __future__ import annotations

import dataclasses
from typing import Any

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from pair import NAME, client_config, make_pair, server_config
from rogue import against, at

from tlsfast import ASK, ApiMisuse, ClientConnection, ConfigurationError, Credential, PeerError, TLSVersion, TrustStore
from tlsfast.connection import MAX_WAITING
from tlsfast.errors import HandshakeFailure, NoApplicationProtocol, UnknownCA, UnsupportedCertificate
from tlsfast.events import VerifyChain
from tlsfast.messages.handshake import ClientHello


def asked() -> tuple[ClientConnection, VerifyChain]:
    """A client that waits for the answer to a question, the rest of the server's flight at hand."""
    pair = make_pair(client_config(verify=ASK), server_config())
    pair.server.receive_data(pair.client.data_to_send())
    (question,) = pair.client.receive_data(pair.server.data_to_send())
    assert isinstance(question, VerifyChain)
    return pair.client, question


def test_answer_after_close() -> None:
    """The flow would go on with keys that close has wiped."""
    client, question = asked()
    client.close()
    assert client.answer(question, None) == []
    assert client.failure is None
    assert client.receive_data(b"whatever comes") == []


def test_a_hook_that_closes_the_connection() -> None:
    """As another thread may: what the flow then finds wiped is no fault of ours."""
    client: list[ClientConnection] = []
    pair = make_pair(client_config(verify=lambda _: client[0].close()), server_config())
    client.append(pair.client)
    pair.run()
    assert pair.client_error is None and pair.client.failure is None
    assert "close_notify" in str(pair.server_error)


def test_bytes_that_wait_for_an_answer_are_bounded() -> None:
    """What is refused is not kept: asking again and again takes no memory, and the connection goes on unharmed."""
    client, question = asked()
    for _ in range(8):
        with pytest.raises(ApiMisuse, match="give these bytes again"):
            client.receive_data(bytes(MAX_WAITING + 1))
    assert client._reader.buffered < 1024
    client.answer(question, None)
    assert client.handshake is not None and client.handshake.server_name == NAME


@pytest.mark.parametrize(
    ("many", "kind"),
    [
        ({"cipher_suites": tuple(range(0x2000, 0x6000))}, HandshakeFailure),
        ({"extensions": {"alpn": (b"\x1b[2J" * 50,) * 99}}, NoApplicationProtocol),
        ({"extensions": {"supported_groups": tuple(range(0x2000, 0x6000)), "key_share": ()}}, HandshakeFailure),
        ({"extensions": {"signature_algorithms": tuple(range(0x2000, 0x6000))}}, HandshakeFailure),
    ],
)
@pytest.mark.parametrize("version", list(TLSVersion)[-2:])
def test_an_error_does_not_list_all_that_a_client_offers(
    version: TLSVersion, many: dict[str, Any], kind: type[PeerError]
) -> None:
    """A hello of 64 KiB would fill a log with several times as much, for each connection."""

    def alter(hello: ClientHello) -> ClientHello:
        changed = dataclasses.replace(hello.extensions, **many.get("extensions", {}))
        return dataclasses.replace(hello, **{**many, "extensions": changed})

    server = server_config(versions=[version], alpn=["h2"])
    pair = against("server", at(ClientHello, alter), client_config(versions=[version]), server).run()
    assert type(pair.server_error) is kind
    assert len(str(pair.server_error)) < 2048 and str(pair.server_error).isprintable()


# ---- Certificates ----


def with_subject(entity: pki.Entity, subject: bytes) -> bytes:
    """The certificate with another subject, signed again by its own key."""
    fields = pki.elements(entity.cert.tbs_certificate_bytes)
    fields[5] = subject
    return pki.sign_again(entity.cert, pki.tlv(0x30, *fields), entity.key)


def name_of(tag: int, text: bytes) -> bytes:
    """A name of one attribute, commonName."""
    attribute = pki.tlv(0x30, bytes.fromhex("0603550403"), pki.tlv(tag, text))
    return pki.tlv(0x30, pki.tlv(0x31, attribute))


def test_a_root_whose_name_cannot_be_read() -> None:
    """It is told when the store is made: a server would stumble over it in each handshake, where it names its authorities."""
    root = with_subject(pki.make_ca(), name_of(0x0C, b"\xc3\x28"))
    with pytest.raises(ConfigurationError, match="certificate 1 cannot be used"):
        TrustStore.from_pem(root)
    with pytest.raises(ConfigurationError, match="a root is malformed"):
        TrustStore([x509.load_der_x509_certificate(root)])


def test_what_cryptography_only_warns_of() -> None:
    """An empty attribute in a name: these tests turn the warning into an exception, as a careful program does."""
    entity = pki.make_leaf(None, ["server.test"])
    odd = with_subject(entity, name_of(0x0C, b""))
    with pytest.raises(UnknownCA):
        TrustStore([pki.make_ca().cert]).verify_server([odd], "server.test")
    assert TrustStore.from_pem(odd).verify_server([odd], "server.test").path == (odd,)


def test_a_key_that_openssl_refuses() -> None:
    """An Ed25519 key that is too short: cryptography calls that an internal error, and to be reported."""
    leaf = pki.make_leaf(None, ["server.test"], key="ed25519")
    short = pki.tlv(
        0x30, b"\x02\x01\x00", pki.tlv(0x30, b"\x06\x03\x2b\x65\x70"), pki.tlv(0x04, pki.tlv(0x04, bytes(5)))
    )
    with pytest.raises(ConfigurationError, match="the private key is damaged"):
        Credential.load(leaf.pem, short)


@pytest.mark.parametrize(
    "damaged", [b"-----BEGIN CERT\xc3FICATE-----\n", b"-----BEGIN", b"0-----BEGIN CERTIFICATE----\n"]
)
def test_a_first_line_that_is_no_first_line(damaged: bytes) -> None:
    """Neither PEM nor DER, with a word of PEM in it."""
    for load in (TrustStore.from_pem, Credential.load, Credential.external):
        with pytest.raises(ConfigurationError, match="cut off or damaged"):
            load(damaged)


def test_pkcs12_in_ber() -> None:
    """An indefinite length (X.690, 8.1.3.6): some systems write their bundles so, and cryptography warns of it."""
    leaf = pki.make_leaf(None, ["server.test"])
    assert isinstance(leaf.key, ec.EllipticCurvePrivateKey)
    plain = serialization.NoEncryption()
    bundle = pkcs12.serialize_key_and_certificates(None, leaf.key, leaf.cert, None, plain)
    header = 2 + (bundle[1] & 0x7F)
    assert Credential.load(b"\x30\x80" + bundle[header:] + b"\0\0").chain == (leaf.der,)


def test_a_signature_without_the_parameters_it_needs() -> None:
    """RSASSA-PSS (RFC 4055, 3.1), in a chain that is refused: the words for it stumbled over them."""
    ca = pki.make_ca(key="rsa2048")
    leaf = pki.make_leaf(ca, ["server.test"], pss_signature=True)
    parts = pki.elements(leaf.der)
    fields = pki.elements(parts[0])
    fields[2] = pki.pss_algorithm()
    broken = pki.tlv(0x30, pki.tlv(0x30, *fields), pki.pss_algorithm(), parts[2])
    with pytest.raises(UnsupportedCertificate, match="is signed with"):
        TrustStore([ca.cert]).verify_server([broken], "server.test")
