# SPDX-License-Identifier: Apache-2.0
"""Fuzzes what reads certificates, keys, OCSP responses and CRLs: only the errors that are promised come out, and what was changed is not trusted.

An input is a script: which door, which template of the tests' PKI, which edits of its DER, and whether its issuer signs it again."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import der
import flights
import pki
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import SignatureAlgorithmOID
from engine import Script, run
from flights import p256
from vary import edit

from tlsfast import ApiMisuse, CertificateError, ConfigurationError, Credential, PeerError, SignatureScheme, TrustStore
from tlsfast.certificates import signatures, signatures12
from tlsfast.certificates.names import parse_name
from tlsfast.errors import TLSError
from tlsfast.trust import VerifiedChain

MAX_LEN = 256
MAX_EDITS = 6
WORDS = 4096
NAME, ADDRESS = "www.example.com", "192.0.2.1"
NOW = pki.now()


@dataclass(frozen=True)
class Template:
    """A chain to start from."""

    leaf: pki.Entity
    trust: TrustStore


def _leaf(ca: pki.Entity, key: str | pki.Key, **more: object) -> Template:
    entity = pki.make_leaf(ca, [NAME, "*.example.com", ADDRESS], key=key, **more)  # type: ignore[arg-type]  # make_leaf's own keywords
    return Template(entity, TrustStore([ca.root.cert]))


def _rich() -> list[tuple[x509.ExtensionType, bool]]:
    """Extensions that a leaf may have beside the usual."""
    url = x509.UniformResourceIdentifier("http://ca.example/list.crl")
    policy = x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), ["http://ca.example/policy"])
    return [
        (x509.CertificatePolicies([policy]), False),
        (x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)]), False),
        (x509.SubjectInformationAccess([]), False),
    ]


ROOT = pki.make_ca("fuzz root", key=p256(0x100))
MIDDLE = pki.make_ca("fuzz middle", issuer=ROOT, key=p256(0x101), path_length=1)
BOUND = pki.make_ca(
    "fuzz bound",
    issuer=ROOT,
    key=p256(0x102),
    permitted=[x509.DNSName("example.com"), x509.DirectoryName(pki.distinguished_name(NAME))],
    excluded=[x509.DNSName("bad.example.com")],
    eku=[pki.SERVER_AUTH, pki.CLIENT_AUTH],
)
EDWARDS = pki.make_ca("fuzz Ed25519", key=ed25519.Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
RSA = pki.make_ca("fuzz RSA", key="rsa2048")
RESPONDER = pki.make_responder(MIDDLE, key=p256(0x103))
TEMPLATES = (
    _leaf(MIDDLE, p256(0x110), extra=_rich(), aia="http://ca.example/middle.cer"),
    _leaf(BOUND, p256(0x111)),
    _leaf(ROOT, p256(0x112), must_staple=True),
    _leaf(MIDDLE, "rsapss2048"),
    _leaf(MIDDLE, "rsa2048"),
    _leaf(RSA, p256(0x113), pss_signature=True),
    _leaf(RSA, "p521"),
    _leaf(EDWARDS, ed25519.Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)),
)
LEAF, TRUST = TEMPLATES[0].leaf, TEMPLATES[0].trust
RESPONSES = tuple(
    pki.ocsp_response(LEAF, status=status, responder=responder)
    for status in ("good", "revoked", "unknown")
    for responder in (None, RESPONDER)
)
CRLS = tuple(pki.make_crl(MIDDLE, revoked).public_bytes(pki.DER) for revoked in ((), (RESPONDER,), (LEAF, RESPONDER)))
P12 = pkcs12.serialize_key_and_certificates(
    b"fuzz",
    LEAF.key,
    LEAF.cert,
    [MIDDLE.cert],
    serialization.NoEncryption(),
)
KEYS = tuple(
    TEMPLATES[each].leaf.key.private_bytes(pki.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for each in (0, 4, 7)
)
NAMES = (NAME, ADDRESS, "under_score.example.com", "other.test", "2001:db8::1")


# ---- Making inputs ----


def changed(original: bytes, script: Script, sign: Callable[[bytes], bytes] | None = None) -> bytes:
    """Edited DER. sign: makes the signature of the first element, which stands last."""
    tree = der.parse(original)
    for _ in range(script.below(MAX_EDITS)):
        if der.places(tree):
            der.edit_tree(tree, script)
    if sign is not None and tree and tree[0].children and tree[0].header is None:
        body = tree[0].children
        body[2:3] = [der.Node(0x03, b"\0" + sign(body[0].encode()))]
    return b"".join(node.encode() for node in tree)


def signer(entity: pki.Entity, *, pss: bool = False) -> Callable[[bytes], bytes]:
    """Signs as the entity's certificates are signed."""
    key = entity.key

    def sign(data: bytes) -> bytes:
        if isinstance(key, ec.EllipticCurvePrivateKey):
            return key.sign(data, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        if isinstance(key, rsa.RSAPrivateKey):
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if pss else padding.PKCS1v15()
            return key.sign(data, scheme, hashes.SHA256())
        return key.sign(data)

    return sign


def certificate(entity: pki.Entity, script: Script, *, again: bool) -> bytes:
    """An edited certificate; again: its issuer vouches for it."""
    pss = entity.cert.signature_algorithm_oid == SignatureAlgorithmOID.RSASSA_PSS
    return changed(entity.der, script, signer(entity.issuer or entity, pss=pss) if again else None)


def response(original: bytes, script: Script, by: pki.Entity | None) -> bytes:
    """An edited OCSP response: the outer layers and, signed again, BasicOCSPResponse (RFC 6960, 4.2.1)."""
    if by is None:
        # What a forger would change first: certStatus, which is good [0], revoked [1] with a time, or unknown [2].
        status = script.pick((b"", b"", b"\x80\x00", b"\x82\x00"))
        return changed(restated(original, status) if status else original, script)
    outer = pki.elements(original)
    basic = pki.elements(pki.elements(pki.elements(outer[1])[0])[1])[0]
    kind = pki.elements(pki.elements(outer[1])[0])[0]
    inner = changed(basic, script, signer(by))
    return pki.tlv(0x30, outer[0], pki.tlv(0xA0, pki.tlv(0x30, kind, pki.tlv(0x04, inner))))


def restated(original: bytes, status: bytes) -> bytes:
    """An OCSP response with another certStatus, which stands behind the certID."""
    tree = der.parse(original)
    for place in der.places(tree):
        node = place.siblings[place.index]
        if place.index == 1 and node.tag in (0x80, 0x82, 0xA1) and place.siblings[0].tag == 0x30:
            place.siblings[1] = der.Node(0, header=status)
            break
    return b"".join(node.encode() for node in tree)


# ---- The doors ----


REFUSED = object()


def judged(allowed: type[TLSError], door: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """Call a door: what it raises is of this class, in words that a log can take. Its answer, REFUSED after an error."""
    try:
        return door(*args, **more)
    except allowed as error:
        text = str(error)
        assert len(text) <= WORDS, f"{len(text)} characters: {text[:200]}"
        assert text.isprintable(), f"not for a terminal: {text!r}"
        assert text == str(error.fresh())
        return REFUSED


def chain(script: Script) -> None:
    """A peer's chain, edited, judged as a server's or a client's."""
    template = script.pick(TEMPLATES)
    again = bool(script.below(2))
    entities = [template.leaf]
    while entities[-1].issuer is not None:
        entities.append(entities[-1].issuer)
    sent = [certificate(each, script, again=again) if script.below(3) == 0 else each.der for each in entities]
    for _ in range(script.below(3)):
        sent.insert(script.below(len(sent) + 1), script.pick(sent))
    if script.below(4):
        sent = sent[: max(1, len(sent) - script.below(2))]
    name, at = script.pick(NAMES), NOW + timedelta(days=script.pick((0, 0, 0, 400, -400)))
    if script.below(3) == 0:
        found = judged(CertificateError, template.trust.verify_client, sent, at=at)
    else:
        found = judged(CertificateError, template.trust.verify_server, sent, name, at=at)
    if isinstance(found, VerifiedChain) and not again:
        known = {pki.elements(each.der)[0] for each in entities}
        assert {pki.elements(each)[0] for each in found.path} <= known, "a certificate that no one signed was trusted"


def staple(script: Script) -> None:
    """A server's OCSP response, edited."""
    number, by = script.below(len(RESPONSES)), script.pick((None, MIDDLE, RESPONDER))
    stapled = response(RESPONSES[number], script, by)
    found = judged(CertificateError, TRUST.verify_server, LEAF.chain, NAME, ocsp_response=stapled, at=NOW)
    # Who may sign may say what it likes; nobody else can turn "revoked" or "unknown" into "good".
    assert found is REFUSED or by is not None or number < 2, "a response that no one signed was believed"


def lists(script: Script) -> None:
    """Our own list of revoked certificates, edited."""
    crl = changed(script.pick(CRLS), script, signer(MIDDLE) if script.below(2) else None)
    store = judged(ConfigurationError, TrustStore, [ROOT.cert], crls=[crl])
    if isinstance(store, TrustStore):
        judged(CertificateError, store.verify_server, LEAF.chain, NAME, at=NOW)


def roots(script: Script) -> None:
    """Roots of our own, edited, and a peer that has one of them."""
    own = certificate(script.pick((ROOT, MIDDLE, LEAF, RSA, EDWARDS)), script, again=bool(script.below(2)))
    data = pem("CERTIFICATE", own, script) if script.below(2) else own
    store = judged(ConfigurationError, TrustStore.from_pem, data, preset=script.pick(("webpki", "compat")))
    if isinstance(store, TrustStore):
        assert len(store.subjects) == 1 and len(store.digest) == 32
        for sent in (LEAF.chain, [own]):
            judged(CertificateError, store.verify_server, sent, NAME, at=NOW)


def pem(label: str, body: bytes, script: Script) -> bytes:
    """PEM, which may be damaged too."""
    text: bytes = pki._pem(label, body)
    return edit(text, script) if script.below(3) == 0 else text


def credential(script: Script) -> None:
    """What a server is configured with: chain, key and PKCS#12."""
    own, key = certificate(LEAF, script, again=True), changed(script.pick(KEYS), script)
    password = script.pick((None, "secret"))
    kind = script.below(4)
    if kind == 0:
        made = judged(ConfigurationError, Credential.load, changed(P12, script), password=password)
    elif kind == 1:
        both = pem("CERTIFICATE", own, script) + pem("PRIVATE KEY", key, script)
        made = judged(ConfigurationError, Credential.load, both, password=password)
    elif kind == 2:
        made = judged(ConfigurationError, Credential.load, [own, MIDDLE.der], key, password=password)
    else:
        stapled = response(RESPONSES[0], script, MIDDLE) if script.below(2) else None
        made = judged(ConfigurationError, Credential.external, [own, MIDDLE.der], ocsp_response=stapled)
    if isinstance(made, Credential):
        assert made.schemes and repr(made).isprintable()
        made.serves(NAME)
        if made.signer is not None:
            scheme = made.schemes[0]
            signatures.verify_signature(made.chain[0], scheme, made.sign(scheme, b"data"), b"data")


def proof(script: Script) -> None:
    """The signature of a handshake, by an edited certificate."""
    leaf = certificate(script.pick(TEMPLATES).leaf, script, again=True)
    scheme = script.pick((*SignatureScheme, 0, 0x0201, script.number(2)))
    signature = script.text()
    for verify in (signatures.verify_signature, signatures12.verify_signature12):
        assert judged(PeerError, verify, leaf, scheme, signature, b"data") is REFUSED
    auth, exchange = script.pick((("ecdsa", "ecdhe"), ("rsa", "ecdhe"), ("rsa", "rsa")))
    fits = judged(PeerError, signatures12.check_allows, leaf, auth, exchange) is not REFUSED
    if fits and exchange == "rsa":
        judged(PeerError, signatures12.encrypt_premaster, leaf, bytes(48))


def names(script: Script) -> None:
    """A name to connect to."""
    text = script.take(200).decode("utf-8", "surrogateescape" if script.below(2) else "replace")
    parsed = judged(ApiMisuse, parse_name, text)
    if parsed is not REFUSED:
        assert parse_name(str(parsed)) == parsed
        judged(CertificateError, TRUST.verify_server, LEAF.chain, text, at=NOW)


DOORS: Sequence[Callable[[Script], None]] = (chain, chain, staple, lists, roots, credential, proof, names)


def one_input(data: bytes) -> None:
    """Play one script."""
    script = Script(data)
    script.pick(DOORS)(script)


__all__ = ["flights", "one_input"]


if __name__ == "__main__":
    run(one_input, max_len=MAX_LEN)
