# SPDX-License-Identifier: Apache-2.0
"""Chains and keys load from wherever people keep them, what cannot work is refused in words, and signatures are the schemes' own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pki
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding
from cryptography.hazmat.primitives.serialization import pkcs12

from tlsfast.credentials import Credential, verify_signature
from tlsfast.errors import (
    ApiMisuse,
    BadCertificate,
    ConfigurationError,
    DecryptError,
    IllegalParameter,
    UnsupportedCertificate,
)
from tlsfast.registry import SignatureScheme as Scheme

ROOT = pki.make_ca("Test Root")
MIDDLE = pki.make_ca("Test Intermediate", issuer=ROOT)
LEAF = pki.make_leaf(MIDDLE, ["www.example.com"])
OTHER = pki.make_leaf(MIDDLE, ["other.example.com"])

RSAE = (Scheme.rsa_pss_rsae_sha256, Scheme.rsa_pss_rsae_sha384, Scheme.rsa_pss_rsae_sha512)
PSS = (Scheme.rsa_pss_pss_sha256, Scheme.rsa_pss_pss_sha384, Scheme.rsa_pss_pss_sha512)
SCHEMES = {
    "p256": (Scheme.ecdsa_secp256r1_sha256,),
    "p384": (Scheme.ecdsa_secp384r1_sha384,),
    "rsa2048": RSAE,
    "rsapss2048": PSS,
    "ed25519": (Scheme.ed25519,),
}


@pytest.fixture(scope="module")
def entities() -> dict[str, pki.Entity]:
    return {key: pki.make_leaf(MIDDLE, ["www.example.com"], key=key) for key in SCHEMES}


def check(credential: Credential, entity: pki.Entity = LEAF) -> None:
    """The credential holds the entity's chain, and signs with its key."""
    assert credential.chain == entity.chain
    assert credential.leaf == entity.cert
    for scheme in credential.schemes:
        verify_signature(credential.chain[0], scheme, credential.sign(scheme, b"transcript"), b"transcript")


# loading


@pytest.mark.parametrize("key", SCHEMES)
def test_kinds_of_keys(entities: dict[str, pki.Entity], key: str) -> None:
    entity = entities[key]
    credential = Credential.load(entity.pem, entity.key_pem)
    assert credential.schemes == SCHEMES[key]
    assert credential.signature_schemes_in_chain == (Scheme.ecdsa_secp256r1_sha256,)
    assert credential.fingerprint == entity.cert.fingerprint(hashes.SHA256())
    check(credential, entity)


@pytest.mark.parametrize(("digest", "index"), [("sha256", 0), ("sha384", 1), ("sha512", 2)])
def test_pss_key_with_parameters(digest: str, index: int) -> None:
    """RFC 8446, 4.2.3: the parameters of an id-RSASSA-PSS key leave one scheme."""
    plain = pki.make_leaf(MIDDLE, ["www.example.com"], key="rsapss2048")
    entity = pki.with_pss_parameters(plain, digest)
    credential = Credential.load(entity.pem, entity.key_pem)
    assert credential.schemes == (PSS[index],)
    check(credential, entity)
    short = pki.with_pss_parameters(plain, digest, salt_length=20)
    assert Credential.load(short.pem, short.key_pem).schemes == (PSS[index],)
    long = pki.with_pss_parameters(plain, digest, salt_length=120)
    with pytest.raises(ConfigurationError, match="fits no scheme"):
        Credential.load(long.pem, long.key_pem)


def test_sources(tmp_path: Path) -> None:
    chain, key = LEAF.write(tmp_path)
    der_key = LEAF.key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    both = tmp_path / "both.pem"
    both.write_bytes(LEAF.key_pem + LEAF.pem)
    for credential in (
        Credential.load(str(chain), str(key)),
        Credential.load(chain, key),
        Credential.load(LEAF.pem, LEAF.key_pem),
        Credential.load(LEAF.pem.decode(), LEAF.key_pem.decode()),
        Credential.load(bytearray(LEAF.pem), memoryview(LEAF.key_pem)),
        Credential.load(LEAF.pem.replace(b"\n", b"\r\n"), LEAF.key_pem.replace(b"\n", b"\r\n")),
        Credential.load(LEAF.certs, LEAF.key),
        Credential.load(LEAF.chain, der_key),
        Credential.load(both),
        Credential.load(LEAF.pem + LEAF.key_pem),
        Credential.load(b"Bag Attributes\n  friendlyName: x\n" + LEAF.pem + b"some words\n" + LEAF.key_pem),
    ):
        check(credential)
    alone = Credential.load(LEAF.der, LEAF.key)
    assert alone.chain == (LEAF.der,)
    assert Credential.load(LEAF.cert, LEAF.key).chain == (LEAF.der,)


@pytest.mark.parametrize("key", ["p256", "rsa2048"])
def test_traditional_keys(entities: dict[str, pki.Entity], key: str) -> None:
    """-----BEGIN EC PRIVATE KEY-----, also behind EC PARAMETERS as `openssl ecparam -genkey` writes it."""
    entity = entities[key]
    form = serialization.PrivateFormat.TraditionalOpenSSL
    text = entity.key.private_bytes(pki.PEM, form, serialization.NoEncryption())
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    check(Credential.load(entity.pem, parameters + text), entity)
    locked = entity.key.private_bytes(pki.PEM, form, serialization.BestAvailableEncryption(b"secret"))
    check(Credential.load(entity.pem, locked, password=b"secret"), entity)


@pytest.mark.parametrize("password", [b"secret", "secret"])
def test_encrypted_key(password: bytes | str) -> None:
    locked = LEAF.encrypted_key_pem(b"secret")
    check(Credential.load(LEAF.pem, locked, password=password))
    check(Credential.load(LEAF.pem + locked, password=password))
    check(Credential.load(LEAF.pem, LEAF.key_pem, password=password))  # a password that is not needed does no harm
    with pytest.raises(ConfigurationError, match="is encrypted: give its password"):
        Credential.load(LEAF.pem, locked)
    with pytest.raises(ConfigurationError, match="password is wrong"):
        Credential.load(LEAF.pem, locked, password="guess")


@pytest.mark.parametrize("password", [None, b"secret"])
def test_pkcs12(tmp_path: Path, password: bytes | None) -> None:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    data = pkcs12.serialize_key_and_certificates(b"name", LEAF.key, LEAF.cert, [MIDDLE.cert], lock)
    path = tmp_path / "bundle.p12"
    path.write_bytes(data)
    check(Credential.load(data, password=password))
    check(Credential.load(path, password=password))
    if password:
        with pytest.raises(ConfigurationError, match="needs a password"):
            Credential.load(path)
        with pytest.raises(ConfigurationError, match="password is wrong"):
            Credential.load(path, password="guess")
    empty = pkcs12.serialize_key_and_certificates(b"name", None, LEAF.cert, None, serialization.NoEncryption())
    with pytest.raises(ConfigurationError, match="holds no private key"):
        Credential.load(empty)


def test_openssl_writes_what_we_read(tmp_path: Path) -> None:
    """A key and a certificate made by the OpenSSL command line."""
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = "openssl req -x509 -newkey rsa-pss -pkeyopt rsa_keygen_bits:2048 -nodes -days 1 -subj /CN=x -addext subjectAltName=DNS:x"
    try:
        subprocess.run([*made.split(), "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl program")
    credential = Credential.load(certificate, key)
    assert credential.schemes == PSS and credential.serves("x")


# order of the chain


def test_order_is_mended() -> None:
    low = pki.make_ca("Low", issuer=MIDDLE)
    entity = pki.make_leaf(low, ["www.example.com"])
    assert Credential.load([entity.cert, MIDDLE.cert, low.cert], entity.key).chain == entity.chain
    assert Credential.load([MIDDLE.cert, low.cert, entity.cert], entity.key).chain == entity.chain
    with_root = [ROOT.cert, entity.cert, entity.cert, low.cert, MIDDLE.cert]
    assert Credential.load(with_root, entity.key).chain == (*entity.chain, ROOT.der)


def test_cross_certificates_are_kept() -> None:
    other = pki.make_ca("Other Root")
    crossed = pki.make_ca("Test Intermediate", issuer=other, key=MIDDLE.key)
    credential = Credential.load([LEAF.cert, crossed.cert, MIDDLE.cert], LEAF.key)
    assert set(credential.chain) == {LEAF.der, crossed.der, MIDDLE.der} and credential.chain[0] == LEAF.der


def test_stranger_in_the_chain() -> None:
    stranger = pki.make_ca("Stranger")
    with pytest.raises(ConfigurationError, match="CN=Stranger does not belong to the chain of CN=www.example.com"):
        Credential.load([*LEAF.certs, stranger.cert], LEAF.key)
    with pytest.raises(ConfigurationError, match="certificate of CN=Test Intermediate between them is missing"):
        Credential.load([LEAF.cert, ROOT.cert], LEAF.key)


# what cannot work


def request() -> bytes:
    builder = x509.CertificateSigningRequestBuilder(pki.distinguished_name("x"))
    return builder.sign(LEAF.key, hashes.SHA256()).public_bytes(pki.PEM)


PUBLIC = LEAF.key.public_key().public_bytes(pki.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
DSA = dsa.generate_private_key(2048)
DSA_PEM = DSA.private_bytes(pki.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@pytest.mark.parametrize(
    ("chain", "key", "words"),
    [
        ("no/such/file.pem", LEAF.key_pem, "file no/such/file.pem does not exist"),
        (LEAF.pem, "no/such/file.pem", "private key file no/such/file.pem does not exist"),
        (".", LEAF.key_pem, "is a directory"),
        (b"", LEAF.key_pem, "the certificate chain is empty"),
        (b"  \n", LEAF.key_pem, "the certificate chain is empty"),
        ([], LEAF.key_pem, "the certificate chain is empty"),
        (b"hello", LEAF.key_pem, "neither PEM (no -----BEGIN line) nor DER"),
        (LEAF.pem[:-30], LEAF.key_pem, "no matching -----END CERTIFICATE-----"),
        (LEAF.pem.replace(b"MII", b"M!!", 1), LEAF.key_pem, "certificate 1 is not valid base64"),
        (LEAF.pem.replace(b"MII", b"AII", 1), LEAF.key_pem, "certificate 1 cannot be parsed"),
        (LEAF.der[:-4], LEAF.key_pem, "certificate 1 cannot be parsed"),
        ([LEAF.der, "x"], LEAF.key_pem, "certificate 2 of the chain is a str"),
        (request(), LEAF.key_pem, "it holds: CERTIFICATE REQUEST. A request (CSR)"),
        (LEAF.key_pem, LEAF.pem, "it holds: PRIVATE KEY. Chain and key may be swapped"),
        (LEAF.pem, LEAF.pem, "holds no private key; it holds: CERTIFICATE. Chain and key may be swapped"),
        (LEAF.pem, PUBLIC, "it holds: PUBLIC KEY. A public key cannot sign"),
        (LEAF.pem, None, "there is no private key"),
        (LEAF.der, None, "there is no private key"),
        (LEAF.pem, b"", "the private key is empty"),
        (LEAF.pem, b"\x30\x03\x02\x01\x00", "the private key cannot be parsed"),
        (
            LEAF.pem,
            OTHER.key_pem,
            "the private key does not belong to the certificate CN=www.example.com (EC secp256r1)",
        ),
        (LEAF.pem, DSA_PEM, "a private key of kind DSA cannot sign here"),
        (LEAF.pem, DSA, "a DSAPrivateKey is no private key"),
        (LEAF.pem, 7, "a int is no private key"),
    ],
)
def test_what_cannot_work(chain: object, key: object, words: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        Credential.load(chain, key)  # type: ignore[arg-type]  # that is the point


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may read every file")
def test_file_that_may_not_be_read(tmp_path: Path) -> None:
    chain, key = LEAF.write(tmp_path)
    key.chmod(0)
    with pytest.raises(ConfigurationError, match="may not be read"):
        Credential.load(chain, key)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("rsa1024", "a key that is too small (1024 bits"),
        ("p521", "fits no scheme"),
        ("p224", "unsupported kind (EC secp224r1)"),
        ("ed448", "unsupported kind (Ed448)"),
    ],
)
def test_keys_that_are_refused(key: str, words: str) -> None:
    entity = pki.make_leaf(MIDDLE, ["www.example.com"], key=key)
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        Credential.external(entity.pem)
    assert "RSA of 2048 bits or more" in str(caught.value)


def test_nothing_secret_is_told() -> None:
    locked = LEAF.encrypted_key_pem(b"correct horse")
    with pytest.raises(ConfigurationError) as caught:
        Credential.load(LEAF.pem, locked, password=b"battery staple")
    assert "staple" not in str(caught.value)
    text = repr(Credential.load(LEAF.pem, LEAF.key_pem))
    assert text == "<Credential CN=www.example.com [EC secp256r1] for www.example.com>"


def test_a_key_given_for_a_path_is_not_told() -> None:
    """The base64 of a key without its PEM lines is not a path, and must not stand in a message."""
    body = "".join(LEAF.key_pem.decode().splitlines()[1:-1])
    for text in (body, LEAF.key_pem.decode().replace("-----", "")):
        with pytest.raises(ConfigurationError, match="PEM needs its -----BEGIN") as caught:
            Credential.load(LEAF.pem, text)
        assert body[20:60] not in str(caught.value)


def test_chain_signed_with_sha1() -> None:
    entity = pki.make_leaf(MIDDLE, ["www.example.com"], signature_hash=hashes.SHA1())
    with pytest.raises(ConfigurationError, match="SHA1, which TLS 1.3 peers refuse: have it reissued with SHA-256"):
        Credential.load(entity.pem, entity.key)


# schemes in the chain


def test_schemes_in_chain() -> None:
    rsa_root = pki.make_ca("RSA Root", key="rsa2048")
    p384 = pki.make_ca("P-384", issuer=rsa_root, key="p384")
    pss = pki.make_ca("PSS", issuer=p384, key="rsa2048")
    leaf = pki.make_leaf(pss, ["x"], key="ed25519", pss_signature=True)
    schemes = (Scheme.rsa_pss_rsae_sha256, Scheme.ecdsa_secp384r1_sha384, Scheme.rsa_pkcs1_sha256)
    assert Credential.load(leaf.pem, leaf.key).signature_schemes_in_chain == schemes
    assert Credential.load([*leaf.certs, rsa_root.cert], leaf.key).signature_schemes_in_chain == schemes
    alone = pki.make_leaf(None, ["x"], signature_hash=hashes.SHA1())
    assert Credential.load(alone.pem, alone.key).signature_schemes_in_chain == ()


# external signers


def test_external_signer() -> None:
    asked: list[Scheme] = []

    def sign(scheme: Scheme, data: bytes) -> bytes:
        asked.append(scheme)
        assert isinstance(LEAF.key, ec.EllipticCurvePrivateKey)
        return LEAF.key.sign(data, ec.ECDSA(hashes.SHA256()))

    check(Credential.external(LEAF.pem, sign))
    assert asked == [Scheme.ecdsa_secp256r1_sha256]
    waiting = Credential.external(LEAF.pem)
    assert waiting.signer is None
    with pytest.raises(ApiMisuse, match="Sign event"):
        waiting.sign(Scheme.ecdsa_secp256r1_sha256, b"")
    with pytest.raises(ApiMisuse, match="cannot sign with"):
        waiting.sign(Scheme.ed25519, b"")


def test_schemes_can_be_narrowed(entities: dict[str, pki.Entity]) -> None:
    chain = entities["rsa2048"].pem
    assert Credential.external(chain, schemes=[Scheme.rsa_pss_rsae_sha384]).schemes == (Scheme.rsa_pss_rsae_sha384,)
    for wrong in ([], [Scheme.ed25519], [Scheme.rsa_pss_pss_sha256]):
        with pytest.raises(ConfigurationError, match="must be among rsa_pss_rsae_sha256"):
            Credential.external(chain, schemes=wrong)


# names, staples, immutability


@pytest.mark.parametrize(
    ("names", "yes", "no"),
    [
        (["www.example.com"], ["www.example.com", "WWW.example.com."], ["example.com", "a.www.example.com", ""]),
        (["*.example.com"], ["a.example.com"], ["example.com", "a.b.example.com", ".example.com", "*.example.com"]),
        (["127.0.0.1", "::1"], ["127.0.0.1", "::1", "[::1]"], ["127.0.0.2", "localhost"]),
        ([], [], ["leaf", "www.example.com"]),
    ],
)
def test_serves(names: Sequence[str], yes: Sequence[str], no: Sequence[str]) -> None:
    entity = pki.make_leaf(MIDDLE, names)
    credential = Credential.load(entity.pem, entity.key)
    assert all(credential.serves(name) for name in yes)
    assert not any(credential.serves(name) for name in no)


def test_ocsp_response() -> None:
    response = pki.ocsp_response(LEAF)
    assert Credential.load(LEAF.pem, LEAF.key, ocsp_response=response).ocsp_response == response
    for wrong, words in (
        (b"junk", "cannot be parsed"),
        (b"\x30\x03\x0a\x01\x03", "TRY_LATER"),
        (pki.ocsp_response(OTHER), "is not for the certificate CN=www.example.com"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            Credential.load(LEAF.pem, LEAF.key, ocsp_response=wrong)


def test_it_never_changes() -> None:
    credential = Credential.load(LEAF.pem, LEAF.key)
    with pytest.raises(AttributeError):
        credential.chain = ()  # type: ignore[misc]  # that is the point
    with pytest.raises((AttributeError, TypeError)):
        credential.extra = 1  # type: ignore[attr-defined]  # that is the point


# handshake signatures (RFC 8446, 4.4.3)


@pytest.mark.parametrize("key", [*SCHEMES, "p521"])
def test_wrong_signatures(key: str) -> None:
    entity = pki.make_leaf(MIDDLE, ["x"], key=key)
    if key == "p521":
        assert isinstance(entity.key, ec.EllipticCurvePrivateKey)
        scheme, good = Scheme.ecdsa_secp521r1_sha512, entity.key.sign(b"data", ec.ECDSA(hashes.SHA512()))
    else:
        credential = Credential.load(entity.pem, entity.key)
        scheme = credential.schemes[-1]
        good = credential.sign(scheme, b"data")
    verify_signature(entity.der, scheme, good, b"data")
    flipped = bytes([good[0], good[1], *good[2:-1], good[-1] ^ 1])
    for signature, data in (
        (flipped, b"data"),
        (good, b"Data"),
        (b"", b"data"),
        (good[:-1], b"data"),
        (good + b"\0", b"data"),
    ):
        with pytest.raises(DecryptError, match="does not verify"):
            verify_signature(entity.der, scheme, signature, data)


def test_scheme_must_fit_the_key(entities: dict[str, pki.Entity]) -> None:
    """RFC 8446, 4.2.3: curve and scheme belong together, rsae to rsaEncryption and pss to id-RSASSA-PSS; PKCS#1 v1.5 is for certificates."""
    for key, fitting in SCHEMES.items():
        for scheme in (*Scheme, 0x0201, 0x0303, 0xFFFF):
            if scheme in fitting:
                continue
            with pytest.raises(IllegalParameter, match="fits"):
                verify_signature(entities[key].der, scheme, b"\0" * 64, b"data")


def test_salt_length_is_the_digests(entities: dict[str, pki.Entity]) -> None:
    entity = entities["rsa2048"]
    key = pki.rsa_key(entity)
    for length in (0, 20, 31, 33):
        signature = key.sign(b"data", padding.PSS(padding.MGF1(hashes.SHA256()), length), hashes.SHA256())
        with pytest.raises(DecryptError):
            verify_signature(entity.der, Scheme.rsa_pss_rsae_sha256, signature, b"data")
    pkcs1 = key.sign(b"data", padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(DecryptError):
        verify_signature(entity.der, Scheme.rsa_pss_rsae_sha256, pkcs1, b"data")


def test_parameters_of_a_pss_key_bind_the_peer() -> None:
    entity = pki.with_pss_parameters(pki.make_leaf(MIDDLE, ["x"], key="rsapss2048"), "sha384")
    with pytest.raises(IllegalParameter, match="fits rsa_pss_pss_sha384"):
        verify_signature(entity.der, Scheme.rsa_pss_pss_sha256, b"\0" * 256, b"data")


@pytest.mark.parametrize(("key", "words"), [("ed448", "Ed448"), ("rsa1024", "1024 bits"), ("p224", "secp224r1")])
def test_key_of_an_unsupported_kind(key: str, words: str) -> None:
    entity = pki.make_leaf(MIDDLE, ["x"], key=key)
    with pytest.raises(UnsupportedCertificate, match=words):
        verify_signature(entity.der, Scheme.ed25519, b"", b"")


@pytest.mark.parametrize("junk", [b"", b"junk", LEAF.der[:-1]])
def test_certificate_that_cannot_be_parsed(junk: bytes) -> None:
    with pytest.raises(BadCertificate, match="cannot be parsed"):
        verify_signature(junk, Scheme.ed25519, b"", b"")
