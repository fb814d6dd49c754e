# SPDX-License-Identifier: Apache-2.0
"""Each MUST that names an alert: one row with its citation, a peer that breaks it, and the alert that this earns, as that peer reads it.

A citation without a name is of RFC 8446; where its revision, RFC 9846, changed a rule, that one is cited. The peer is a connection of ours that
goes on with the right keys, so it decrypts the alert: the right one, in the right epoch, and no other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pki
import pytest
from cryptography.hazmat.primitives import hashes
from pair import (
    NAME,
    Pair,
    authority,
    client_config,
    client_credential,
    credential,
    make_pair,
    received,
    server_config,
    shake,
    trust,
)
from rogue import (
    Alter,
    Tap,
    against,
    at,
    body,
    deliver,
    ext,
    field,
    forge,
    framed,
    plus,
    raw_extension,
    record,
    records,
    to_flight,
)

from tlsfast import (
    AlertReceived,
    CipherSuite,
    ClientConfig,
    Credential,
    NamedGroup,
    ServerConfig,
    SignatureScheme,
    TrustStore,
    crypto,
)
from tlsfast.errors import PeerError
from tlsfast.events import AlertSeen
from tlsfast.messages.codec import u16, u32, vec8, vec16, vec24
from tlsfast.messages.extensions import (
    CertificateEntryExtensions,
    CertificateRequestExtensions,
    HelloRetryRequestExtensions,
    KeyShareEntry,
    OfferedPsks,
    PskIdentity,
)
from tlsfast.messages.handshake import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    ClientHello,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    HelloRetryRequest,
    KeyUpdate,
    NewSessionTicket,
    ServerHello,
)
from tlsfast.registry import AlertDescription as A
from tlsfast.registry import ContentType, ExtensionType, TLSVersion

Options = Callable[[], Mapping[str, Any]]
Observer = Callable[[object], object]
Play = Callable[[Observer, list[TLSVersion]], Pair]

CLEAR = (ClientHello, ServerHello, HelloRetryRequest)
X25519, SECP256R1, SECP384R1 = NamedGroup.x25519, NamedGroup.secp256r1, NamedGroup.secp384r1
HYBRID = NamedGroup.X25519MLKEM768
# What is wrong with a client's share, ML-KEM's 1,184 bytes and a point, and with a server's, 1,088 bytes and a point.
HYBRID_SHARES = {
    "of 1,215 bytes": b"\1" * 1215,
    "of 1,217 bytes": b"\1" * 1217,
    "of a ciphertext's length": b"\1" * 1120,
    "without its point": b"\1" * 1184,
    "with a coefficient of q": b"\x01\x0d" + b"\1" * 1214,
    "with a coefficient of 4095": b"\1" * 1149 + b"\xf1\xff" + b"\1" * 65,
    "with a point of small order": b"\1" * 1184 + bytes(32),
}
HYBRID_ANSWERS = {
    "of 1,119 bytes": b"\1" * 1119,
    "of 1,121 bytes": b"\1" * 1121,
    "of a client's length": b"\1" * 1216,
    "with a point of small order": b"\1" * 1088 + bytes(32),
}
SUITES = [suite for suite in CipherSuite if suite in crypto.SUITES]
SUITES12 = [suite for suite in CipherSuite if suite in crypto.SUITES12 and "ECDHE" in suite.name]
SUITE_128, SUITE_256 = CipherSuite.TLS_AES_128_GCM_SHA256, CipherSuite.TLS_AES_256_GCM_SHA384
CCS, ALERT, HANDSHAKE, DATA = (int(kind) for kind in ContentType)


@dataclass(frozen=True)
class Row:
    """victim: who is attacked. clear: its alert leaves before it has keys. play: make the pair, up to where it runs by itself.

    only13: where TLS 1.2 is enabled too, it is no fault."""

    victim: str
    cite: str
    fault: str
    alert: A
    clear: bool
    play: Play
    only13: bool

    def __str__(self) -> str:
        return f"{self.victim}: {self.cite}: {self.fault}"


ROWS: list[Row] = []


def add(victim: str, cite: str, fault: str, alert: A, clear: bool, play: Play, only13: bool = False) -> None:
    ROWS.append(Row(victim, cite if "RFC" in cite else f"RFC 8446, {cite}", fault, alert, clear, play, only13))


def nothing() -> Mapping[str, Any]:
    return {}


def p256() -> Mapping[str, Any]:
    """A server without the client's first group: it asks again by a HelloRetryRequest."""
    return {"groups": [SECP256R1]}


def p256_cookie() -> Mapping[str, Any]:
    return {"groups": [SECP256R1], "retry_cookie": True}


def p256_first() -> Mapping[str, Any]:
    """A client whose share is for P-256."""
    return {"groups": [SECP256R1, X25519]}


def with_certificate() -> Mapping[str, Any]:
    return {"credentials": [client_credential()]}


def requiring() -> Mapping[str, Any]:
    return {"client_auth": "required", "trust": trust()}


def asking() -> Mapping[str, Any]:
    return {"client_auth": "optional", "trust": trust()}


def options(**given: Any) -> Options:
    return lambda: given


def configs(
    victim: str, observer: Observer, versions: list[TLSVersion], client: Options, server: Options, resume: bool
) -> tuple[ClientConfig, ServerConfig]:
    ours = {"versions": versions, **({} if resume else {"session_cache": None}), **client()}
    theirs = {"versions": versions, **({} if resume else {"tickets": None}), **server()}
    if TLSVersion.TLSv1_2 in versions:
        for each in (ours, theirs):
            each["cipher_suites"] = (*each.get("cipher_suites", SUITES), *SUITES12)
    (ours if victim == "client" else theirs)["observer"] = observer
    return client_config(**ours), server_config(**theirs)


def tampered(
    victim: str,
    kind: type[Any],
    cite: str,
    fault: str,
    alert: A,
    change: Alter,
    *,
    client: Options = nothing,
    server: Options = nothing,
    nth: int | None = None,
    name: str = NAME,
    resume: bool = False,
    only13: bool = False,
) -> None:
    """The victim's peer changes its messages of this kind; resume: in a handshake that offers a ticket."""

    def play(observer: Observer, versions: list[TLSVersion]) -> Pair:
        ours, theirs = configs(victim, observer, versions, client, server, resume)
        if resume:
            shake(ours, theirs, name)
        return against(victim, at(kind, change, nth), ours, theirs, name)

    where = kind.__name__ if nth is None else f"{kind.__name__} {nth + 1}"
    add(victim, cite, f"{where}: {fault}", alert, kind in CLEAR, play, only13)


def forged(
    victim: str,
    stage: str,
    cite: str,
    fault: str,
    alert: A,
    make: Callable[[Any], bytes],
    *,
    client: Options = nothing,
    server: Options = nothing,
) -> None:
    """Bytes come to the victim from elsewhere. Stages: "first", in place of its peer's first flight; "flight", where it waits for its peer's
    first protected message; "end", after the handshake."""

    def play(observer: Observer, versions: list[TLSVersion]) -> Pair:
        pair = make_pair(*configs(victim, observer, versions, client, server, False))
        if stage == "end":
            pair.run()
        elif stage == "flight":
            to_flight(pair, victim)
        elif victim == "server":
            pair.client.data_to_send()
        else:
            deliver(pair, "server", pair.client.data_to_send())
            pair.server.data_to_send()
        deliver(pair, victim, make(getattr(pair, victim)))
        return pair

    add(victim, cite, f"{stage}: {fault}", alert, stage == "first", play)


def honest(
    victim: str,
    cite: str,
    fault: str,
    alert: A,
    *,
    client: Options = nothing,
    server: Options = nothing,
    clear: bool = False,
) -> None:
    """Nobody lies; what the two are configured with does not fit."""

    def play(observer: Observer, versions: list[TLSVersion]) -> Pair:
        return make_pair(*configs(victim, observer, versions, client, server, False))

    add(victim, cite, fault, alert, clear, play)


# ==== ClientHello (4.1.1, 4.1.2, 4.2, 9.2) ====


def shares(*entries: tuple[int, bytes]) -> Alter:
    return ext(key_share=tuple(KeyShareEntry(*entry) for entry in entries))


def psks(identities: tuple[PskIdentity, ...], binders: tuple[bytes, ...], **more: Any) -> Alter:
    return ext(**{"psk_key_exchange_modes": (1,), "pre_shared_key": OfferedPsks(identities, binders), **more})


def psk_not_last(message: ClientHello) -> Any:
    offered = vec16(vec16(b"ticket") + u32(0)) + vec16(vec8(bytes(32)))
    return plus((41, offered), (0x1234, b""), psk_key_exchange_modes=(1,))(message)


def rebound(length: int) -> Alter:
    def change(message: ClientHello) -> Any:
        offered = message.extensions.pre_shared_key
        assert offered is not None
        return psks(offered.identities, (bytes(length),))(message)

    return change


def names(*listed: bytes) -> Alter:
    return plus((0, vec16(b"".join(listed))), server_name=None)


def host(name: bytes) -> bytes:
    return b"\0" + vec16(name)


def odd_suites(content: bytes) -> bytes:
    at_ = 35 + content[34]
    length = int.from_bytes(content[at_ : at_ + 2])
    return content[:at_] + vec16(content[at_ + 2 : at_ + 1 + length]) + content[at_ + 2 + length :]


PSK = PskIdentity(b"ticket", 0)
BINDER = bytes(32)
# u-coordinates whose shared secret is all zero (RFC 7748, 6.1): 0, 1, -1 and their like beyond the field.
SMALL_ORDER = {"0": 0, "1": 1, "-1": 2**255 - 20, "p": 2**255 - 19, "p + 1": 2**255 - 18}
POINTS = {
    "off the curve": b"\4" + bytes(64),
    "compressed": b"\2" + b"\x6b" * 32,
    "cut": b"\4" + bytes(63),
    "at infinity": b"\0",
    "in hybrid form": b"\6" + b"\x11" * 64,
    "beyond the field": b"\4" + b"\xff" * 64,
}

in_hello = functools.partial(tampered, "server", ClientHello)
in_second = functools.partial(in_hello, nth=1, server=p256)

# One row a line.
# fmt: off
honest("server", "4.1.1", "no cipher suite in common", A.handshake_failure,
       client=options(cipher_suites=[SUITE_128]), server=options(cipher_suites=[SUITE_256]), clear=True)
honest("server", "4.1.1", "no group in common", A.handshake_failure, client=options(groups=[X25519]), server=p256, clear=True)
honest("server", "4.1.1", "no signature scheme in common", A.handshake_failure,
       client=options(signature_schemes=[SignatureScheme.ed25519]), clear=True)
in_hello("4.1.1", "suites that nobody knows", A.handshake_failure, field(cipher_suites=(0x0A0A, 0x1304)))
for version in (0x0304, 0x0302, 0x0301, 0x0300, 0x0002, 0x7F1C, 0):
    in_hello("RFC 9846, 4.2.2", f"legacy_version 0x{version:04x}", A.protocol_version, field(legacy_version=version))
in_hello("4.1.2", "a session id of 33 bytes", A.decode_error, field(legacy_session_id=bytes(33)))
in_hello("4.1.2", "no cipher suites", A.decode_error, field(cipher_suites=()))
in_hello("4.1.2", "an odd list of cipher suites", A.decode_error, body(odd_suites))
in_hello("4.1.2", "compression besides null", A.illegal_parameter, field(legacy_compression_methods=b"\1\0"))
in_hello("4.1.2", "null compression twice", A.illegal_parameter, field(legacy_compression_methods=b"\0\0"))
in_hello("4.1.2", "another compression", A.illegal_parameter, field(legacy_compression_methods=b"\1"))
in_hello("4.1.2", "no compression method", A.decode_error, field(legacy_compression_methods=b""))
in_hello("4.1.2", "bytes after the extensions", A.decode_error, body(lambda b: b + b"\0"))
in_hello("4.1.2", "cut", A.decode_error, body(lambda b: b[:-1]))
in_hello("4", "Finished first", A.unexpected_message, lambda m: Finished(bytes(32)))
in_hello("4", "an unknown type", A.unexpected_message, lambda m: framed(77, b""))
tampered("server", Finished, "4.1.2", "a ClientHello at another time", A.unexpected_message, lambda m: hello())

in_hello("4.2", "an extension twice", A.illegal_parameter, plus((43, b"\2\3\4")))
in_hello("4.2", "an unknown extension twice", A.illegal_parameter, plus((0x1234, b""), (0x1234, b"")))
in_hello("4.2", "an extension of another message", A.illegal_parameter, plus((48, b"\0\0")))
in_hello("RFC 9846, 4.3", "bytes after an extension's struct", A.decode_error, plus((45, b"\1\1\0"), psk_key_exchange_modes=None))
in_hello("4.2", "an extension that passes the list's end", A.decode_error, lambda m: body(lambda b: b[:-1] + b"\1")(plus((0x1234, b""))(m)))
in_hello("4.2", "a list that ends in an extension's header", A.decode_error,
         lambda m: body(lambda b: b.replace(m.extensions.encode(), vec16(m.extensions.encode()[2:] + b"\x12\x34\0")))(m))

in_hello("4.2.1", "no supported_versions", A.protocol_version, ext(supported_versions=None), only13=True)
in_hello("4.2.1", "TLS 1.1 and older alone", A.protocol_version, ext(supported_versions=(0x0302, 0x0301)))
in_hello("4.2.1", "TLS 1.2 alone", A.protocol_version, ext(supported_versions=(0x0303,)), only13=True)
in_hello("4.2.1", "unknown versions alone", A.protocol_version, ext(supported_versions=(0x0A0A, 0x0305)))
in_hello("4.2.1", "an empty list of versions", A.decode_error, ext(supported_versions=()))
in_hello("4.2.1", "half a version", A.decode_error, plus((43, b"\3\3\4\3"), supported_versions=None))
in_hello("4.2.2", "an empty cookie", A.decode_error, plus((44, b"\0\0")))
in_hello("4.2.3", "no signature_algorithms", A.missing_extension, ext(signature_algorithms=None))
in_hello("4.2.3", "empty signature_algorithms", A.decode_error, ext(signature_algorithms=()))
in_hello("4.2.3", "empty signature_algorithms_cert", A.decode_error, ext(signature_algorithms_cert=()))
in_hello("4.2.4", "empty certificate_authorities", A.decode_error, plus((47, b"\0\0")))
in_hello("4.2.4", "an empty name among the authorities", A.decode_error, plus((47, vec16(vec16(b"") * 2))))
in_hello("4.2.6", "post_handshake_auth with content", A.decode_error, plus((49, b"\0")))
in_hello("4.2.7", "empty supported_groups", A.decode_error, ext(supported_groups=()))
in_hello("9.2", "no supported_groups", A.missing_extension, ext(supported_groups=None))
in_hello("9.2", "no key_share", A.missing_extension, ext(key_share=None))
in_hello("9.2", "neither supported_groups nor key_share", A.missing_extension, ext(supported_groups=None, key_share=None))
in_hello("4.2.8", "a share for a group that is not listed", A.illegal_parameter, shares((X25519, bytes(32)), (0x1234, b"1")))
in_hello("4.2.8", "two shares for a group", A.illegal_parameter, shares((X25519, b"1" * 32), (X25519, b"2" * 32)))
in_hello("4.2.8", "an empty share", A.decode_error, shares((X25519, b"")))
in_hello("4.2.8.2", "an x25519 share of 31 bytes", A.illegal_parameter, shares((X25519, b"1" * 31)))
in_hello("4.2.8.2", "an x25519 share of 33 bytes", A.illegal_parameter, shares((X25519, b"1" * 33)))
for what, number in SMALL_ORDER.items():
    in_hello("7.4.2", f"the x25519 share {what}", A.illegal_parameter, shares((X25519, number.to_bytes(32, "little"))))
for what, key_exchange in HYBRID_SHARES.items():
    in_hello("RFC 10024", f"an X25519MLKEM768 share {what}", A.illegal_parameter, shares((HYBRID, key_exchange)))
for what, point in POINTS.items():
    in_hello("4.2.8.2", f"a P-256 share {what}", A.illegal_parameter, shares((SECP256R1, point)), client=p256_first)
in_hello("4.2.9", "an empty list of key exchange modes", A.decode_error, plus((45, b"\0")))
in_hello("4.2.10", "early_data with content", A.decode_error, plus((42, b"\0")))
in_hello("4.2.9", "tickets without psk_key_exchange_modes", A.missing_extension, psks((PSK,), (BINDER,), psk_key_exchange_modes=None))
in_hello("4.2.3", "an unknown ticket, no signature_algorithms", A.missing_extension, psks((PSK,), (BINDER,), signature_algorithms=None))
in_hello("9.2", "a ticket, supported_groups without key_share", A.missing_extension, psks((PSK,), (BINDER,), key_share=None))
in_hello("9.2", "a ticket, key_share without supported_groups", A.missing_extension, psks((PSK,), (BINDER,), supported_groups=None))
in_hello("4.1.1", "a ticket for PSK-only key exchange alone", A.handshake_failure,
         psks((PSK,), (BINDER,), psk_key_exchange_modes=(0,), supported_groups=None, key_share=None))
in_hello("4.2.11", "pre_shared_key is not the last extension", A.illegal_parameter, psk_not_last)
in_hello("4.2.11", "more identities than binders", A.illegal_parameter, psks((PSK, PSK), (BINDER,)))
in_hello("4.2.11", "more binders than identities", A.illegal_parameter, psks((PSK,), (BINDER, BINDER)))
in_hello("4.2.11", "no binder", A.decode_error, psks((PSK,), ()))
in_hello("4.2.11", "no identity", A.decode_error, psks((), (BINDER,)))
in_hello("4.2.11", "an empty identity", A.decode_error, psks((PskIdentity(b"", 0), PSK), (BINDER, BINDER)))
in_hello("4.2.11", "a binder of 31 bytes", A.decode_error, psks((PSK, PSK), (bytes(31), BINDER)))
in_hello("4.2.11.2", "a binder that does not verify", A.decrypt_error, rebound(32), resume=True)
in_hello("4.2.11.2", "a binder of another hash's length", A.decrypt_error, rebound(48), resume=True)
in_hello("4.2.11.2", "a binder over another hello", A.decrypt_error, field(random=bytes(32)), resume=True)
in_hello("RFC 6066, 3", "two host names", A.illegal_parameter, names(host(b"a.test"), host(b"b.test")))
in_hello("RFC 6066, 3", "no host name", A.illegal_parameter, names(b"\1" + vec16(b"a.test")))
in_hello("RFC 6066, 3", "an empty list of names", A.decode_error, names())
in_hello("RFC 6066, 3", "an empty name", A.decode_error, names(host(b"")))
in_hello("RFC 6066, 3", "a name that is not ASCII", A.illegal_parameter, names(host(b"\xc3\xa9.test")))
in_hello("RFC 6066, 3", "a name with a trailing dot", A.illegal_parameter, names(host(b"server.test.")))
in_hello("RFC 6066, 3", "a name with a zero byte", A.illegal_parameter, names(host(b"server.test\0.evil")))
in_hello("RFC 6066, 3", "a name not served here", A.unrecognized_name, ext(server_name="other.test"), server=options(strict_sni=True))
in_hello("RFC 6066, 3", "a name that is none", A.unrecognized_name, ext(server_name="-..$"), server=options(strict_sni=True))
in_hello("RFC 6066, 4", "max_fragment_length 5", A.illegal_parameter, plus((1, b"\5")))
in_hello("RFC 6066, 4", "max_fragment_length 0", A.illegal_parameter, plus((1, b"\0")))
in_hello("RFC 6066, 8", "status_request cut", A.decode_error, plus((5, b"\1\0\0\0"), status_request=False))
in_hello("RFC 7301, 3.1", "an empty list of protocols", A.decode_error, plus((16, b"\0\0")))
in_hello("RFC 7301, 3.1", "an empty protocol name", A.decode_error, plus((16, vec16(vec8(b"h2") + vec8(b"")))))
in_hello("RFC 7301, 3.2", "no protocol in common", A.no_application_protocol, ext(alpn=(b"spdy/1",)), server=options(alpn=["h2"]))
in_hello("RFC 8449, 4", "record_size_limit 63", A.illegal_parameter, plus((28, u16(63))))
in_hello("RFC 8449, 4", "record_size_limit of one byte", A.decode_error, plus((28, b"\xff")))
in_hello("RFC 8422, 5.1.2", "an empty list of point formats", A.decode_error, plus((11, b"\0"), ec_point_formats=None))

# ==== The second ClientHello (4.1.2, 4.1.4) ====

in_second("4.1.2", "another random", A.illegal_parameter, field(random=bytes(32)))
in_second("4.1.2", "another session id", A.illegal_parameter, field(legacy_session_id=b"other"))
in_second("4.1.2", "other suites", A.illegal_parameter, field(cipher_suites=(SUITE_128,)))
in_second("4.1.2", "other groups", A.illegal_parameter, ext(supported_groups=(SECP256R1,)))
in_second("4.1.2", "other signature schemes", A.illegal_parameter, ext(signature_algorithms=(0x0403,)))
in_second("4.1.2", "another name", A.illegal_parameter, ext(server_name="other.test"))
in_second("4.1.2", "other protocols", A.illegal_parameter, ext(alpn=(b"h2",)))
in_second("4.1.2", "no supported_versions", A.illegal_parameter, ext(supported_versions=None))
in_second("4.1.2", "another legacy_version", A.illegal_parameter, field(legacy_version=0x0302))
in_second("4.1.2", "compression", A.illegal_parameter, field(legacy_compression_methods=b"\1\0"))
in_second("4.2.10", "early_data again", A.illegal_parameter, ext(early_data=True))
in_second("4.2.8", "no key share", A.illegal_parameter, ext(key_share=()))
in_second("9.2", "no key_share extension", A.missing_extension, ext(key_share=None))
in_second("4.2.8", "a share for another group", A.illegal_parameter, shares((X25519, b"1" * 32)))
in_second("4.2.8", "a share more", A.illegal_parameter, lambda m: ext(key_share=(*m.extensions.key_share, KeyShareEntry(X25519, b"1" * 32)))(m))
in_second("4.2.8.2", "a share off the curve", A.illegal_parameter, shares((SECP256R1, POINTS["off the curve"])))
in_second("4.2.2", "a cookie that nobody gave", A.illegal_parameter, ext(cookie=b"here"))
in_second("4.2.2", "no cookie", A.illegal_parameter, ext(cookie=None), server=p256_cookie)
in_second("4.2.2", "another cookie", A.illegal_parameter, ext(cookie=bytes(32)), server=p256_cookie)
in_second("4.2.9", "a ticket without psk_key_exchange_modes", A.missing_extension, psks((PSK,), (BINDER,), psk_key_exchange_modes=None))
in_second("4.2.11.2", "a binder that does not verify", A.decrypt_error, rebound(32), resume=True)
in_second("4", "Finished in place of the second ClientHello", A.unexpected_message, lambda m: Finished(bytes(32)))
# fmt: on

# ==== ServerHello (4.1.3) and HelloRetryRequest (4.1.4) ====


def old_version(legacy_version: int = 0x0303, sentinel: bytes = bytes(8)) -> Alter:
    """A ServerHello of an older version, as RFC 8446, 4.2.1 knows it: without supported_versions."""
    older = ext(supported_versions=None, key_share=None)
    return lambda m: replace(older(m), legacy_version=legacy_version, random=bytes(24) + sentinel)


def share(group: int, key_exchange: bytes) -> Alter:
    return ext(key_share=KeyShareEntry(group, key_exchange))


def second_retry(message: ServerHello) -> HelloRetryRequest:
    extensions = HelloRetryRequestExtensions(key_share=SECP384R1, supported_versions=TLSVersion.TLSv1_3)
    return HelloRetryRequest(
        legacy_session_id_echo=message.legacy_session_id_echo, cipher_suite=message.cipher_suite, extensions=extensions
    )


in_answer = functools.partial(tampered, "client", ServerHello)
in_retry = functools.partial(tampered, "client", HelloRetryRequest, server=p256)
after_retry = functools.partial(tampered, "client", ServerHello, server=p256)
one_suite = options(cipher_suites=[SUITE_128])
h2 = options(alpn=["h2"])

# One row a line.
# fmt: off
for version in (0x0304, 0x0302, 0x0300, 0):
    in_answer("RFC 9846, 4.2.3", f"legacy_version 0x{version:04x}", A.protocol_version, field(legacy_version=version))
    in_retry("RFC 9846, 4.2.4", f"legacy_version 0x{version:04x}", A.protocol_version, field(legacy_version=version))
in_answer("4.1.3", "another session id", A.illegal_parameter, field(legacy_session_id_echo=bytes(32)))
in_answer("4.1.3", "no session id", A.illegal_parameter, field(legacy_session_id_echo=b""))
in_answer("4.1.3", "a session id of 33 bytes", A.decode_error, field(legacy_session_id_echo=bytes(33)))
in_answer("4.1.3", "a suite that was not offered", A.illegal_parameter, field(cipher_suite=SUITE_256), client=one_suite)
in_answer("4.1.3", "a suite that nobody knows", A.illegal_parameter, field(cipher_suite=0x1304))
in_answer("4.1.3", "compression", A.illegal_parameter, field(legacy_compression_method=1))
in_answer("4.1.3", "bytes after the extensions", A.decode_error, body(lambda b: b + b"\0"))
in_answer("4.1.3", "cut", A.decode_error, body(lambda b: b[:-1]))
in_answer("4.2", "an extension that was not offered", A.unsupported_extension, plus((0x1234, b"")))
in_answer("4.2", "an extension of EncryptedExtensions", A.illegal_parameter, plus((16, vec16(vec8(b"h2")))), client=h2)
in_answer("4.2", "a cookie", A.illegal_parameter, plus((44, vec16(b"cookie"))))
in_answer("4.2", "signature_algorithms", A.illegal_parameter, plus((13, vec16(b"\4\3"))))
in_answer("4.2", "supported_versions twice", A.illegal_parameter, plus((43, b"\3\4")))
in_answer("4.2.1", "TLS 1.2 in supported_versions", A.illegal_parameter, ext(supported_versions=0x0303))
in_answer("4.2.1", "an unknown version in supported_versions", A.illegal_parameter, ext(supported_versions=0x0305))
in_answer("4.2.1", "supported_versions of three bytes", A.decode_error, plus((43, b"\3\4\3"), supported_versions=None))
in_answer("D.1", "TLS 1.2 chosen", A.protocol_version, old_version(), only13=True)
in_answer("D.1", "TLS 1.1 chosen", A.protocol_version, old_version(0x0302))
in_answer("D.5", "SSL 3.0 chosen", A.protocol_version, old_version(0x0300))
in_answer("4.1.3", "TLS 1.2 chosen, with its sentinel", A.illegal_parameter, old_version(sentinel=b"DOWNGRD\1"))
in_answer("4.1.3", "TLS 1.1 chosen, with its sentinel", A.illegal_parameter, old_version(0x0302, b"DOWNGRD\0"))
in_answer("4.1.3", "TLS 1.2 chosen, with the older sentinel", A.illegal_parameter, old_version(sentinel=b"DOWNGRD\0"))
in_answer("9.2", "no key_share", A.missing_extension, ext(key_share=None))
in_answer("4.2.8", "a share for another group", A.illegal_parameter, share(SECP256R1, POINTS["off the curve"]))
in_answer("4.2.8", "a share for a group that nobody knows", A.illegal_parameter, share(0x1234, b"1"))
in_answer("4.2.8", "an empty share", A.decode_error, share(X25519, b""))
in_answer("4.2.8.2", "an x25519 share of 31 bytes", A.illegal_parameter, share(X25519, b"1" * 31))
for what, number in SMALL_ORDER.items():
    in_answer("7.4.2", f"the x25519 share {what}", A.illegal_parameter, share(X25519, number.to_bytes(32, "little")))
for what, key_exchange in HYBRID_ANSWERS.items():
    in_answer("RFC 10024", f"an X25519MLKEM768 share {what}", A.illegal_parameter, share(HYBRID, key_exchange))
for what, point in POINTS.items():
    in_answer("4.2.8.2", f"a P-256 share {what}", A.illegal_parameter, share(SECP256R1, point), client=p256_first)
in_answer("4.2", "pre_shared_key that was not offered", A.unsupported_extension, ext(pre_shared_key=0))
in_answer("4.2.11", "an identity out of range", A.illegal_parameter, ext(pre_shared_key=1), resume=True)
in_answer("4.2.11", "a PSK of another hash", A.illegal_parameter, field(cipher_suite=SUITE_256), resume=True)
in_answer("4.2.11", "a PSK without key_share", A.illegal_parameter, ext(key_share=None), resume=True)
in_answer("5.1", "a message after ServerHello in its record", A.unexpected_message, lambda m: [m, EncryptedExtensions()])
in_answer("5.1", "part of a message after ServerHello in its record", A.unexpected_message, lambda m: [m, b"\x08"])
in_answer("4", "Finished in place of ServerHello", A.unexpected_message, lambda m: Finished(bytes(32)))
in_answer("4", "a ClientHello in place of ServerHello", A.unexpected_message, lambda m: hello())

in_retry("4.1.4", "another session id", A.illegal_parameter, field(legacy_session_id_echo=b"other"))
in_retry("4.1.4", "a suite that was not offered", A.illegal_parameter, field(cipher_suite=SUITE_256), client=one_suite)
in_retry("4.1.4", "compression", A.illegal_parameter, field(legacy_compression_method=1))
in_retry("4.1.4", "no supported_versions", A.missing_extension, ext(supported_versions=None))
in_retry("4.2.1", "TLS 1.2 in supported_versions", A.illegal_parameter, ext(supported_versions=0x0303))
in_retry("4.1.4", "nothing that would change", A.illegal_parameter, ext(key_share=None))
in_retry("4.2.8", "a group that was not offered", A.illegal_parameter, ext(key_share=0x1234))
in_retry("4.2.8", "a group for which a share was sent", A.illegal_parameter, ext(key_share=X25519))
in_retry("4.1.4", "an extension that was not offered", A.unsupported_extension, plus((0x1234, b"")))
in_retry("4.2", "an extension of another message", A.illegal_parameter, plus((0, b"")))
in_retry("4.2", "an extension twice", A.illegal_parameter, plus((51, u16(SECP256R1))))
in_retry("4.2.2", "an empty cookie", A.decode_error, ext(cookie=b""))
in_retry("4.2.8", "key_share of three bytes", A.decode_error, plus((51, bytes(3)), key_share=None))
in_retry("4.1.4", "cut", A.decode_error, body(lambda b: b[:-1]))
after_retry("4.1.4", "a second HelloRetryRequest", A.unexpected_message, second_retry)
after_retry("4.1.4", "another suite than the HelloRetryRequest", A.illegal_parameter, field(cipher_suite=SUITE_256))
after_retry("4.1.4", "another version than the HelloRetryRequest", A.illegal_parameter, ext(supported_versions=0x0305))
after_retry("4.1.4", "no version after the HelloRetryRequest", A.illegal_parameter, old_version())
after_retry("4.2.8", "another group than the HelloRetryRequest", A.illegal_parameter, share(X25519, b"1" * 32))
after_retry("9.2", "no key_share after the HelloRetryRequest", A.missing_extension, ext(key_share=None))
after_retry("4.1.3", "another session id after the HelloRetryRequest", A.illegal_parameter, field(legacy_session_id_echo=b"other"))
# fmt: on

# ==== EncryptedExtensions (4.3.1) and CertificateRequest (4.3.2) ====


def address() -> Mapping[str, Any]:
    return {"credentials": [leaf(names=(NAME, "192.0.2.1"))]}


REQUEST = CertificateRequest(b"", CertificateRequestExtensions(signature_algorithms=(0x0403,)))
in_encrypted = functools.partial(tampered, "client", EncryptedExtensions)
in_request = functools.partial(tampered, "client", CertificateRequest, client=with_certificate, server=requiring)

# One row a line.
# fmt: off
for number in (43, 51, 41, 44, 13, 47, 5, 18):
    name = ExtensionType(number).name
    in_encrypted("4.3.1", f"the forbidden extension {name}", A.illegal_parameter, plus((number, b"\0\0\0\0")))
in_encrypted("4.2", "an unknown extension", A.unsupported_extension, plus((0x1234, b"")))
in_encrypted("4.2", "ALPN that was not offered", A.unsupported_extension, ext(alpn=b"h2"))
in_encrypted("4.2.10", "early_data that was not offered", A.unsupported_extension, ext(early_data=True))
in_encrypted("4.2", "record_size_limit that was not offered", A.unsupported_extension, ext(record_size_limit=1000))
in_encrypted("4.2", "max_fragment_length that was not offered", A.unsupported_extension, ext(max_fragment_length=1))
in_encrypted("4.2", "server_name that was not offered", A.unsupported_extension, ext(server_name=True), name="192.0.2.1", server=address)
in_encrypted("4.2", "an extension twice", A.illegal_parameter, plus((10, vec16(b"\0\x1d")), (10, vec16(b"\0\x1d"))))
in_encrypted("RFC 6066, 3", "server_name with content", A.decode_error, plus((0, b"\0"), server_name=False))
in_encrypted("RFC 7301, 3.1", "a protocol that was not offered", A.illegal_parameter, ext(alpn=b"h3"), client=h2)
in_encrypted("RFC 7301, 3.1", "two protocols", A.decode_error, plus((16, vec16(vec8(b"h2") * 2))), client=h2)
in_encrypted("RFC 7301, 3.1", "an empty list of protocols", A.decode_error, plus((16, b"\0\0")), client=h2)
in_encrypted("RFC 8449, 4", "record_size_limit 63", A.illegal_parameter, ext(record_size_limit=63), client=options(record_size_limit=64))
in_encrypted("4.3.1", "bytes after the extensions", A.decode_error, body(lambda b: b + b"\0"))
in_encrypted("4.3.1", "an empty body", A.decode_error, body(lambda b: b""))
in_encrypted("4", "no EncryptedExtensions", A.unexpected_message, lambda m: [])
in_encrypted("4", "EncryptedExtensions twice", A.unexpected_message, lambda m: [m, m])
in_encrypted("4.5", "EndOfEarlyData from a server", A.unexpected_message, lambda m: EndOfEarlyData())
in_encrypted("4.3.2", "CertificateRequest beside a PSK", A.unexpected_message, lambda m: [m, REQUEST], resume=True)
in_encrypted("2.2", "Certificate beside a PSK", A.unexpected_message, lambda m: [m, Certificate(b"", (CertificateEntry(b"x"),))], resume=True)

in_request("4.3.2", "no signature_algorithms", A.missing_extension, ext(signature_algorithms=None))
in_request("4.3.2", "empty signature_algorithms", A.decode_error, ext(signature_algorithms=()))
in_request("4.3.2", "a context in the handshake", A.illegal_parameter, field(certificate_request_context=b"context"))
in_request("4.2", "an extension of another message", A.illegal_parameter, plus((43, b"\3\4")))
in_request("4.2", "an extension twice", A.illegal_parameter, plus((0x1234, b""), (0x1234, b"")))
in_request("4.3.2", "a list of extensions of one byte", A.decode_error, body(lambda b: b"\0\0\1\0"))
in_request("4.3.2", "no extensions at all", A.decode_error, body(lambda b: b"\0\0\0"))
in_request("4.3.2", "bytes after the extensions", A.decode_error, body(lambda b: b + b"\0"))
in_request("4", "CertificateRequest twice", A.unexpected_message, lambda m: [m, m])
tampered("client", Certificate, "4", "CertificateRequest after Certificate", A.unexpected_message, lambda m: [m, REQUEST])
# fmt: on

# ==== Certificate (4.4.2) ====

DAY = timedelta(days=1)


def leaf(names: tuple[str, ...] = (NAME,), **wrong: Any) -> Credential:
    """A credential of the test authority with something wrong in its certificate."""
    made = pki.make_leaf(authority(), names, **wrong)
    return Credential.load(made.pem, made.key_pem)


def foreign(name: str = NAME) -> Credential:
    made = pki.make_leaf(pki.make_ca("somebody else"), [name])
    return Credential.load(made.pem, made.key_pem)


def self_signed() -> Credential:
    made = pki.make_leaf(None, [NAME])
    return Credential.load(made.pem, made.key_pem)


def stapled(must_staple: bool = False, **response: Any) -> Credential:
    made = pki.make_leaf(authority(), [NAME], must_staple=must_staple)
    return Credential.load(
        made.pem, made.key_pem, ocsp_response=pki.ocsp_response(made, **response) if response else None
    )


def sha1() -> bytes:
    return pki.make_leaf(authority(), [NAME], signature_hash=hashes.SHA1()).der


@functools.cache
def rsa_authority() -> pki.Entity:
    return pki.make_ca("RSA authority", key="rsa2048")


def trusting_rsa() -> Mapping[str, Any]:
    return {"trust": TrustStore([rsa_authority().cert])}


def md5() -> bytes:
    """sha256WithRSAEncryption replaced by md5WithRSAEncryption in a certificate of an RSA authority."""
    made = pki.make_leaf(rsa_authority(), [NAME])
    oid = bytes.fromhex("2a864886f70d0101")
    assert made.der.count(oid + b"\x0b") == 2
    return made.der.replace(oid + b"\x0b", oid + b"\x04")


def refuse(question: object) -> None:
    raise ValueError("not today")


def entry(**changes: Any) -> Alter:
    """Change the entries of a Certificate."""
    return lambda m: replace(m, entries=tuple(replace(each, **changes) for each in m.entries))


def entry_extension(number: int, content: bytes) -> Alter:
    return entry(extensions=CertificateEntryExtensions(unknown=((number, content),)))


def status(content: bytes, kind: bytes = b"\1") -> Alter:
    return entry_extension(5, kind + vec24(content))


in_certificate = functools.partial(tampered, "client", Certificate)
in_client_certificate = functools.partial(tampered, "server", Certificate, client=with_certificate, server=requiring)


def presents(cite: str, fault: str, alert: A, make: Callable[[], Credential], client: Options = nothing) -> None:
    """A server shows this credential."""
    honest("client", cite, fault, alert, client=client, server=lambda: {"credentials": [make()]})


def client_presents(cite: str, fault: str, alert: A, make: Callable[[], Credential], **more: Any) -> None:
    honest(
        "server", cite, fault, alert, client=lambda: {"credentials": [make()]}, server=lambda: {**requiring(), **more}
    )


# One row a line.
# fmt: off
in_certificate("4.4.2.4", "an empty list", A.decode_error, field(entries=()))
in_certificate("4.4.2", "a context", A.illegal_parameter, field(certificate_request_context=b"x"))
in_certificate("4.4.2", "an empty certificate", A.decode_error, entry(cert_data=b""))
in_certificate("6.2", "a certificate that is no DER", A.bad_certificate, entry(cert_data=b"no certificate"))
in_certificate("6.2", "a certificate cut", A.bad_certificate, lambda m: entry(cert_data=m.entries[0].cert_data[:-1])(m))
in_certificate("6.2", "a certificate with a byte after it", A.bad_certificate, lambda m: entry(cert_data=m.entries[0].cert_data + b"\0")(m))
in_certificate("4.4.2.4", "a certificate signed with SHA-1", A.bad_certificate, lambda m: entry(cert_data=sha1())(m))
in_certificate("4.4.2.4", "a certificate signed with MD5", A.bad_certificate, lambda m: entry(cert_data=md5())(m), client=trusting_rsa)
in_certificate("4.4.2", "bytes after the list", A.decode_error, body(lambda b: b + b"\0"))
in_certificate("4.4.2", "a list that ends in an entry", A.decode_error, body(lambda b: b"\0" + vec24(b[4:-1])))
in_certificate("4.4.2", "an unknown extension", A.unsupported_extension, entry_extension(0x1234, b""))
in_certificate("4.4.2", "timestamps that were not asked for", A.unsupported_extension, entry_extension(18, b"x"))
in_certificate("4.4.2", "a staple that was not asked for", A.unsupported_extension, status(b"x"), client=options(request_ocsp=False))
in_certificate("4.2", "an extension of another message", A.illegal_parameter, entry_extension(43, b"\3\4"))
in_certificate("4.2", "an extension twice", A.illegal_parameter, entry(extensions=CertificateEntryExtensions(unknown=((0x1234, b""),) * 2)))
in_certificate("4.4.2.1", "a status of an unknown type", A.illegal_parameter, status(b"x", b"\2"))
in_certificate("4.4.2.1", "an empty OCSP response", A.decode_error, status(b""))
in_certificate("RFC 6066, 8", "a staple that is no OCSP response", A.bad_certificate_status_response, status(b"nonsense"))
in_certificate("4", "no Certificate", A.unexpected_message, lambda m: [])
in_certificate("4", "Certificate twice", A.unexpected_message, lambda m: [m, m])
presents("6.2", "a certificate for another name", A.bad_certificate, lambda: leaf(names=("other.test",)))
presents("6.2", "an expired certificate", A.certificate_expired, lambda: leaf(not_before=pki.now() - 9 * DAY, not_after=pki.now() - DAY))
presents("6.2", "a certificate of tomorrow", A.bad_certificate, lambda: leaf(not_before=pki.now() + DAY))
presents("6.2", "a certificate of an unknown authority", A.unknown_ca, foreign)
presents("6.2", "a self-signed certificate", A.unknown_ca, self_signed)
presents("4.4.2.2", "a certificate for clients", A.unsupported_certificate, lambda: leaf(eku=(pki.CLIENT_AUTH,)))
presents("4.4.2.2", "a key that may not sign", A.unsupported_certificate, lambda: leaf(usage=pki.key_usage(key_agreement=True)))
presents("6.2", "a revoked certificate", A.certificate_revoked, lambda: stapled(status="revoked"))
presents("RFC 7633, 4.2.3", "no staple where one must be", A.bad_certificate_status_response, lambda: stapled(must_staple=True))
presents("RFC 6066, 8", "a forged staple", A.bad_certificate_status_response, lambda: stapled(signed_by=pki.make_key("p256")))
honest("client", "6.2", "the verify hook refuses", A.access_denied, client=options(verify=refuse))

honest("server", "4.4.2.4", "no certificate where one is required", A.certificate_required, server=requiring)
in_client_certificate("4.4.2", "a context that was not given", A.illegal_parameter, field(certificate_request_context=b"x"))
in_client_certificate("6.2", "a certificate that is no DER", A.bad_certificate, entry(cert_data=b"no certificate"))
in_client_certificate("4.4.2.4", "a certificate signed with SHA-1", A.bad_certificate, lambda m: entry(cert_data=sha1())(m))
in_client_certificate("4.4.2", "an unknown extension", A.unsupported_extension, entry_extension(0x1234, b""))
in_client_certificate("4.4.2", "a staple that was not asked for", A.unsupported_extension, status(b"x"))
in_client_certificate("4.4.2", "bytes after the list", A.decode_error, body(lambda b: b + b"\0"))
in_client_certificate("4", "no Certificate", A.unexpected_message, lambda m: [])
in_client_certificate("4", "Finished in place of Certificate", A.unexpected_message, lambda m: Finished(bytes(32)))
in_client_certificate("4.4.2.4", "an empty list and a CertificateVerify", A.unexpected_message, field(entries=()), server=asking)
client_presents("6.2", "a certificate of an unknown authority", A.unknown_ca, lambda: foreign("client.test"))
client_presents("6.2", "an expired certificate", A.certificate_expired, lambda: leaf(not_before=pki.now() - 9 * DAY, not_after=pki.now() - DAY))
client_presents("4.4.2.2", "a certificate for servers", A.unsupported_certificate, lambda: leaf(eku=(pki.SERVER_AUTH,)))
client_presents("6.2", "the verify hook refuses", A.access_denied, client_credential, verify=refuse)
tampered("server", Finished, "4", "a Certificate that nobody asked for", A.unexpected_message, lambda m: [Certificate(), m])
# fmt: on

# ==== CertificateVerify (4.4.3) and Finished (4.4.4) ====

for victim, client, server in (("client", nothing, nothing), ("server", with_certificate, requiring)):
    in_verify = functools.partial(tampered, victim, CertificateVerify, client=client, server=server)
    # One row a line.
    # fmt: off
    in_verify("4.4.3", "an empty signature", A.decrypt_error, field(signature=b""))
    in_verify("4.4.3", "one bit of the signature changed", A.decrypt_error,
              lambda m: replace(m, signature=m.signature[:-1] + bytes((m.signature[-1] ^ 1,))))
    in_verify("4.4.3", "a signature with a byte after it", A.decrypt_error, lambda m: replace(m, signature=m.signature + b"\0"))
    in_verify("4.4.3", "a scheme that may not sign a handshake", A.illegal_parameter, field(algorithm=SignatureScheme.rsa_pkcs1_sha256))
    in_verify("4.4.3", "a scheme that nobody knows", A.illegal_parameter, field(algorithm=0x0A0A))
    in_verify("4.4.3", "SHA-1", A.illegal_parameter, field(algorithm=0x0203))
    in_verify("4.4.3", "a scheme for another curve", A.illegal_parameter, field(algorithm=SignatureScheme.ecdsa_secp384r1_sha384))
    in_verify("4.4.3", "a scheme for another kind of key", A.illegal_parameter, field(algorithm=SignatureScheme.rsa_pss_rsae_sha256))
    in_verify("4.4.3", "bytes after the signature", A.decode_error, body(lambda b: b + b"\0"))
    in_verify("4.4.3", "cut", A.decode_error, body(lambda b: b[:-1]))
    in_verify("4", "no CertificateVerify", A.unexpected_message, lambda m: [])
    in_verify("4", "CertificateVerify twice", A.unexpected_message, lambda m: [m, m])
    # fmt: on
tampered(
    "client",
    CertificateVerify,
    "4.4.3",
    "an rsae scheme with an RSASSA-PSS key",
    A.illegal_parameter,
    field(algorithm=SignatureScheme.rsa_pss_rsae_sha256),
    server=lambda: {"credentials": [credential("rsapss2048")]},
)
honest(
    "client",
    "4.4.3",
    "a signature over something else",
    A.decrypt_error,
    server=lambda: {
        "credentials": [
            Credential.external(credential().chain, lambda scheme, data: credential().sign(scheme, data + b"!"))
        ]
    },
)

SHA256_ONLY = [SignatureScheme.ecdsa_secp256r1_sha256, SignatureScheme.rsa_pss_rsae_sha256]


def sha512(made: Credential) -> Credential:
    """Signs with SHA-512 whatever it is asked for, and signs well."""
    return Credential.external(made.chain, lambda scheme, data: made.sign(SignatureScheme.rsa_pss_rsae_sha512, data))


for victim, client, server in (
    (
        "client",
        options(signature_schemes=SHA256_ONLY),
        lambda: {"credentials": [sha512(credential("rsa2048"))]},
    ),
    (
        "server",
        lambda: {"credentials": [sha512(client_credential("rsa2048"))]},
        lambda: {**requiring(), "signature_schemes": SHA256_ONLY},
    ),
):
    tampered(
        victim,
        CertificateVerify,
        "4.4.3",
        "a good signature with a scheme that was not offered",
        A.illegal_parameter,
        field(algorithm=SignatureScheme.rsa_pss_rsae_sha512),
        client=client,
        server=server,
    )

for victim, where, client, server in (
    ("client", "", nothing, nothing),
    ("server", "", nothing, nothing),
    ("server", " after a client certificate", with_certificate, requiring),
):
    in_finished = functools.partial(tampered, victim, Finished, client=client, server=server)
    # One row a line.
    # fmt: off
    in_finished("4.4.4", f"another verify_data{where}", A.decrypt_error, field(verify_data=bytes(32)))
    in_finished("4.4.4", f"one bit changed{where}", A.decrypt_error, lambda m: Finished(bytes((m.verify_data[0] ^ 128,)) + m.verify_data[1:]))
    in_finished("4.4.4", f"31 bytes{where}", A.decode_error, lambda m: framed(20, m.verify_data[:31]))
    in_finished("4.4.4", f"33 bytes{where}", A.decode_error, lambda m: framed(20, m.verify_data + b"\0"))
    in_finished("4.4.4", f"another hash's length{where}", A.decode_error, lambda m: Finished(m.verify_data + bytes(16)))
    in_finished("4.4.4", f"an empty Finished{where}", A.decode_error, lambda m: framed(20, b""))
    in_finished("5.1", f"a message after Finished in its record{where}", A.unexpected_message, lambda m: [m, KeyUpdate(0)])
    in_finished("5.1", f"part of a message after Finished in its record{where}", A.unexpected_message, lambda m: [m, b"\x18"])
    in_finished("4.6.3", f"KeyUpdate before Finished{where}", A.unexpected_message, lambda m: KeyUpdate(0))
    in_finished("4.6.1", f"a ticket before Finished{where}", A.unexpected_message, lambda m: NewSessionTicket(1, 1, b"", b"x"))
    in_finished("4.5", f"EndOfEarlyData without early data{where}", A.unexpected_message, lambda m: [EndOfEarlyData(), m])
    # fmt: on

# ==== After the handshake (4.6) ====

TICKET = NewSessionTicket(7200, 1, b"", b"ticket")


def after(victim: str, cite: str, fault: str, alert: A, content: bytes) -> None:
    """A handshake record after the handshake."""
    forged(victim, "end", cite, fault, alert, lambda side: forge(side, content + b"\x16"))


def ticket_with(extensions: bytes) -> bytes:
    return framed(4, TICKET.encode()[4:-2] + vec16(extensions))


for victim in ("client", "server"):
    # One row a line.
    # fmt: off
    after(victim, "4.6.3", "request_update 2", A.illegal_parameter, framed(24, b"\2"))
    after(victim, "4.6.3", "request_update 255", A.illegal_parameter, framed(24, b"\xff"))
    after(victim, "4.6.3", "an empty KeyUpdate", A.decode_error, framed(24, b""))
    after(victim, "4.6.3", "a KeyUpdate of two bytes", A.decode_error, framed(24, b"\0\0"))
    after(victim, "5.1", "a message after KeyUpdate in its record", A.unexpected_message, KeyUpdate(0).encode() * 2)
    after(victim, "5.1", "part of a message after KeyUpdate in its record", A.unexpected_message, KeyUpdate(0).encode() + b"\4")
    after(victim, "4", "Finished again", A.unexpected_message, Finished(bytes(32)).encode())
    after(victim, "4.1.2", "HelloRequest", A.unexpected_message, framed(0, b""))
    after(victim, "4", "an unknown message type", A.unexpected_message, framed(99, b"?"))
    # fmt: on
# One row a line.
# fmt: off
after("server", "4.1.2", "renegotiation", A.unexpected_message, framed(1, b"\3\3" + bytes(33) + vec16(b"\x13\1") + b"\1\0"))
after("server", "4.6.1", "a ticket from a client", A.unexpected_message, TICKET.encode())
after("server", "4.6.2", "a Certificate that nobody asked for", A.unexpected_message, Certificate().encode())
after("client", "4.6.2", "CertificateRequest without post_handshake_auth", A.unexpected_message, REQUEST.encode())
after("client", "4.6.1", "a ticket for eight days", A.illegal_parameter, replace(TICKET, ticket_lifetime=691200).encode())
after("client", "4.6.1", "an empty ticket", A.decode_error, replace(TICKET, ticket=b"").encode())
after("client", "4.6.1", "a ticket with bytes after it", A.decode_error, framed(4, TICKET.encode()[4:] + b"\0"))
after("client", "4.2.10", "early_data of three bytes in a ticket", A.decode_error, ticket_with(raw_extension(42, bytes(3))))
after("client", "4.2", "an extension twice in a ticket", A.illegal_parameter, ticket_with(raw_extension(0x1234, b"") * 2))
after("client", "4.2", "an extension of another message in a ticket", A.illegal_parameter, ticket_with(raw_extension(43, b"\3\4")))
# fmt: on

# ==== Records (5) ====

for victim in ("client", "server"):

    def plain(cite: str, fault: str, alert: A, wire: bytes, victim: str = victim) -> None:
        """The victim has seen nothing of its peer yet."""
        forged(victim, "first", cite, fault, alert, lambda side: wire)

    # One row a line.
    # fmt: off
    plain("5", "a record of type 24", A.unexpected_message, record(24, b"\1\0\0"))
    plain("5", "a record of type 99", A.unexpected_message, record(99, b"x"))
    plain("5.1", "application data in the clear", A.unexpected_message, record(DATA, b"x"))
    plain("5.1", "a record of 2^14 + 1 bytes", A.record_overflow, b"\x16\3\3" + u16(2**14 + 1))
    plain("5.1", "a record of 2^16 - 1 bytes", A.record_overflow, b"\x16\3\3\xff\xff")
    plain("5.1", "an empty handshake record", A.unexpected_message, record(HANDSHAKE, b""))
    plain("5.1", "an alert between the parts of a message", A.unexpected_message, record(HANDSHAKE, b"\1\0") + record(ALERT, b"\2\50"))
    plain("5.1", "a ChangeCipherSpec between the parts of a message", A.unexpected_message, record(HANDSHAKE, b"\1") + record(CCS, b"\1"))
    plain("5.1", "an empty alert", A.unexpected_message, record(ALERT, b""))
    plain("5.1", "half an alert", A.decode_error, record(ALERT, b"\2"))
    plain("5.1", "two alerts in a record", A.decode_error, record(ALERT, b"\1\x5a\1\x5a"))
    plain("5", "a ChangeCipherSpec of another value", A.unexpected_message, record(CCS, b"\2"))
    plain("5", "a ChangeCipherSpec of two bytes", A.unexpected_message, record(CCS, b"\1\1"))
    plain("5", "an empty ChangeCipherSpec", A.unexpected_message, record(CCS, b""))
    # fmt: on

    for stage in ("flight", "end"):

        def protected(
            cite: str,
            fault: str,
            alert: A,
            make: Callable[[Any], bytes],
            victim: str = victim,
            stage: str = stage,
        ) -> None:
            forged(victim, stage, cite, fault, alert, make)

        # One row a line.
        # fmt: off
        protected("5.2", "a record that does not authenticate", A.bad_record_mac, lambda side: record(DATA, bytes(64)))
        protected("5.2", "a record too short for a tag", A.bad_record_mac, lambda side: record(DATA, bytes(15)))
        protected("5.2", "an empty ciphertext", A.bad_record_mac, lambda side: record(DATA, b""))
        protected("5.2", "a record of another length", A.bad_record_mac, lambda side: forge(side, b"x\x17", length=19) + b"\0")
        protected("5.3", "a record of another sequence number", A.bad_record_mac, lambda side: forge(side, b"x\x17", sequence=1))
        protected("5.2", "a ciphertext of 2^14 + 257 bytes", A.record_overflow, lambda side: b"\x17\3\3" + u16(2**14 + 257))
        protected("5.4", "a plaintext of 2^14 + 1 bytes", A.record_overflow, lambda side: forge(side, bytes(2**14 + 1) + b"\x17"))
        protected("5.4", "padding beyond 2^14 + 1 bytes", A.record_overflow, lambda side: forge(side, b"x\x17" + bytes(2**14)))
        protected("5.4", "nothing but zeros", A.unexpected_message, lambda side: forge(side, bytes(8)))
        protected("5.4", "no plaintext at all", A.unexpected_message, lambda side: forge(side, b""))
        protected("5.4", "an empty handshake record", A.unexpected_message, lambda side: forge(side, b"\x16"))
        protected("5.4", "an empty, padded handshake record", A.unexpected_message, lambda side: forge(side, b"\x16\0\0"))
        protected("5.4", "an empty alert", A.unexpected_message, lambda side: forge(side, b"\x15"))
        protected("5", "a protected ChangeCipherSpec", A.unexpected_message, lambda side: forge(side, b"\1\x14"))
        protected("5", "a protected record of type 24", A.unexpected_message, lambda side: forge(side, b"\1\0\0\x18"))
        protected("5", "a protected record of type 99", A.unexpected_message, lambda side: forge(side, b"x\x63"))
        protected("5", "a handshake record in the clear", A.unexpected_message, lambda side: record(HANDSHAKE, framed(20, bytes(32))))
        protected("5", "a record of type 24 in the clear", A.unexpected_message, lambda side: record(24, b"\1\0\0"))
        protected("5", "a ChangeCipherSpec of another value", A.unexpected_message, lambda side: record(CCS, b"\2"))
        protected("5.1", "half an alert", A.decode_error, lambda side: forge(side, b"\2\x15"))
        protected("5.1", "two alerts in a record", A.decode_error, lambda side: forge(side, b"\1\x5a\1\x5a\x15"))
        protected("5.1", "data between the parts of a message", A.unexpected_message,
                  lambda side: forge(side, b"\x18\0\x16") + forge(side, b"x\x17", 1))
        protected("5.1", "an alert between the parts of a message", A.unexpected_message,
                  lambda side: forge(side, b"\x18\0\x16") + forge(side, b"\2\50\x15", 1))
        # fmt: on

    # One row a line.
    # fmt: off
    forged(victim, "end", "5", "a ChangeCipherSpec after Finished", A.unexpected_message, lambda side: record(CCS, b"\1"))
    forged(victim, "end", "5", "an alert in the clear after the handshake", A.unexpected_message, lambda side: record(ALERT, b"\2\50"))
    forged(victim, "flight", "2", "application data before Finished", A.unexpected_message, lambda side: forge(side, b"early\x17"))
    forged(victim, "flight", "2", "empty application data before Finished", A.unexpected_message, lambda side: forge(side, b"\x17"))
    # fmt: on

# One row a line.
# fmt: off
forged("server", "first", "5", "a ChangeCipherSpec before the ClientHello", A.unexpected_message, lambda side: record(CCS, b"\1"))
forged("server", "end", "RFC 8449, 4", "a record over our record_size_limit", A.record_overflow,
       lambda side: forge(side, bytes(1000) + b"\x17"), client=options(record_size_limit=16385), server=options(record_size_limit=1000))
forged("client", "end", "RFC 8449, 4", "a record over our record_size_limit", A.record_overflow,
       lambda side: forge(side, bytes(1000) + b"\x17"), client=options(record_size_limit=1000))
# fmt: on


@functools.cache
def hello() -> bytes:
    """A ClientHello that somebody else sent."""
    return make_pair().client.data_to_send()[5:]


ONLY13, BOTH = [TLSVersion.TLSv1_3], [TLSVersion.TLSv1_3, TLSVersion.TLSv1_2]
CASES = [(row, ONLY13) for row in ROWS] + [(row, BOTH) for row in ROWS if not row.only13]


@pytest.mark.parametrize(
    ("row", "versions"), CASES, ids=[f"{row}{' (TLS 1.2 too)' if versions is BOTH else ''}" for row, versions in CASES]
)
def test_alert(row: Row, versions: list[TLSVersion]) -> None:
    seen: list[object] = []
    pair = row.play(seen.append, versions)
    wire = pair.change = Tap()
    pair.run()
    victim, peer = (pair.client, pair.server) if row.victim == "client" else (pair.server, pair.client)
    error = victim.failure
    assert isinstance(error, PeerError), f"{error!r}; the peer: {peer.failure!r}"
    assert error.alert is row.alert, repr(error)
    # The peer can read it, and it comes in the right epoch.
    assert isinstance(peer.failure, AlertReceived), f"the peer: {peer.failure!r}"
    assert peer.failure.description is row.alert
    assert records(getattr(wire, row.victim))[-1][0] == (
        ContentType.alert if row.clear else ContentType.application_data
    )
    # It is the only one; the victim is dead, and nothing of what came reached anybody.
    assert [each.description for each in seen if isinstance(each, AlertSeen) and each.sent] == [row.alert]
    assert victim.expecting == ()
    assert victim.data_to_send() == b""
    assert received(getattr(pair, f"{row.victim}_events")) == b""
    for call in (lambda: victim.receive_data(b"more"), lambda: victim.send_data(b"more"), victim.receive_eof):
        with pytest.raises(type(error)):
            call()


@pytest.mark.parametrize("client", [nothing, p256_first, with_certificate])
@pytest.mark.parametrize("server", [nothing, p256_cookie, requiring, asking])
@pytest.mark.parametrize("victim", ["client", "server"])
def test_a_peer_that_changes_nothing_is_welcome(victim: str, client: Options, server: Options) -> None:
    """The bench itself: what the rows break is whole without them."""
    if server is requiring and client is not with_certificate:
        return
    seen: list[object] = []
    ours, theirs = configs(victim, seen.append, BOTH, client, server, True)
    for resumed in (False, True):
        pair = against(victim, lambda message: message, ours, theirs).run()
        assert pair.client_completed().resumed is pair.server_completed().resumed is resumed
        pair.client.send_data(b"up")
        pair.server.send_data(b"down")
        pair.run()
        assert (received(pair.server_events), received(pair.client_events)) == (b"up", b"down")
    assert not [each for each in seen if isinstance(each, AlertSeen)]


def test_the_table_has_each_alert_that_the_library_sends() -> None:
    def below(kind: type[PeerError]) -> set[type[PeerError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    elsewhere = {
        A.internal_error,  # ours, not the peer's
        A.certificate_unknown,  # of the root class, which is never raised itself
        A.insufficient_security,  # TLS 1.2
        A.inappropriate_fallback,  # TLS 1.2
    }
    assert {row.alert for row in ROWS} == {kind.alert for kind in below(PeerError)} - elsewhere
    assert len({str(row) for row in ROWS}) == len(ROWS), "two rows of one name"
