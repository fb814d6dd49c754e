# SPDX-License-Identifier: Apache-2.0
"""The IANA numbers of TLS as enums: what every other module names and no module writes as a literal (RFC 8446, B; IANA TLS registries)."""

from __future__ import annotations

from enum import IntEnum


class TLSVersion(IntEnum):
    """ProtocolVersion: what a hello offers or selects. Versions before TLS 1.2 are here to be recognised and refused."""

    SSLv2 = 0x0002
    SSLv3 = 0x0300
    TLSv1_0 = 0x0301
    TLSv1_1 = 0x0302
    TLSv1_2 = 0x0303
    TLSv1_3 = 0x0304

    def __str__(self) -> str:
        return self.name.replace("TLSv", "TLS ").replace("_", ".")


class ContentType(IntEnum):
    """RFC 8446, 5.1."""

    change_cipher_spec = 20
    alert = 21
    handshake = 22
    application_data = 23


class HandshakeType(IntEnum):
    """RFC 8446, 4; RFC 5246, 7.4. A HelloRetryRequest is a ServerHello on the wire; the decoder tells them apart."""

    hello_request = 0
    client_hello = 1
    server_hello = 2
    new_session_ticket = 4
    end_of_early_data = 5
    encrypted_extensions = 8
    certificate = 11
    server_key_exchange = 12
    certificate_request = 13
    server_hello_done = 14
    certificate_verify = 15
    client_key_exchange = 16
    finished = 20
    certificate_status = 22
    key_update = 24
    message_hash = 254


class ExtensionType(IntEnum):
    """RFC 8446, 4.2, and the IANA registry: those that this library reads or writes."""

    server_name = 0
    max_fragment_length = 1
    status_request = 5
    supported_groups = 10
    ec_point_formats = 11
    signature_algorithms = 13
    application_layer_protocol_negotiation = 16
    signed_certificate_timestamp = 18
    extended_master_secret = 23
    record_size_limit = 28
    session_ticket = 35
    pre_shared_key = 41
    early_data = 42
    supported_versions = 43
    cookie = 44
    psk_key_exchange_modes = 45
    certificate_authorities = 47
    oid_filters = 48
    post_handshake_auth = 49
    signature_algorithms_cert = 50
    key_share = 51
    renegotiation_info = 65281


class CipherSuite(IntEnum):
    """RFC 8446, B.4, and the AEAD suites of TLS 1.2. What each names: crypto.SUITES and crypto.SUITES12."""

    TLS_AES_128_GCM_SHA256 = 0x1301
    TLS_AES_256_GCM_SHA384 = 0x1302
    TLS_CHACHA20_POLY1305_SHA256 = 0x1303

    # TLS 1.2 (RFC 5289, 7905, 5288): those with a fresh key agreement, then static RSA, which is never on by default.
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xC02B
    TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xC02C
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA9
    TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xC02F
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xC030
    TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA8
    TLS_RSA_WITH_AES_128_GCM_SHA256 = 0x009C
    TLS_RSA_WITH_AES_256_GCM_SHA384 = 0x009D


class SignallingSuite(IntEnum):
    """Numbers in a cipher suite list that are no suites (RFC 5746, 3.3; RFC 7507, 2)."""

    TLS_EMPTY_RENEGOTIATION_INFO_SCSV = 0x00FF
    TLS_FALLBACK_SCSV = 0x5600


class NamedGroup(IntEnum):
    """RFC 8446, 4.2.7; RFC 10024 (the hybrids, which are for TLS 1.3 alone)."""

    secp256r1 = 0x0017
    secp384r1 = 0x0018
    x25519 = 0x001D
    SecP256r1MLKEM768 = 0x11EB
    X25519MLKEM768 = 0x11EC

    # The names people write.
    P256 = 0x0017
    P384 = 0x0018
    X25519 = 0x001D


class SignatureScheme(IntEnum):
    """RFC 8446, 4.2.3. The rsa_pkcs1 schemes are for signatures inside certificates (and TLS 1.2) alone."""

    rsa_pkcs1_sha256 = 0x0401
    rsa_pkcs1_sha384 = 0x0501
    rsa_pkcs1_sha512 = 0x0601
    ecdsa_secp256r1_sha256 = 0x0403
    ecdsa_secp384r1_sha384 = 0x0503
    ecdsa_secp521r1_sha512 = 0x0603
    rsa_pss_rsae_sha256 = 0x0804
    rsa_pss_rsae_sha384 = 0x0805
    rsa_pss_rsae_sha512 = 0x0806
    ed25519 = 0x0807
    rsa_pss_pss_sha256 = 0x0809
    rsa_pss_pss_sha384 = 0x080A
    rsa_pss_pss_sha512 = 0x080B


class PskKeyExchangeMode(IntEnum):
    """RFC 8446, 4.2.9."""

    psk_ke = 0
    psk_dhe_ke = 1


class KeyUpdateRequest(IntEnum):
    """RFC 8446, 4.6.3."""

    update_not_requested = 0
    update_requested = 1


class AlertDescription(IntEnum):
    """RFC 8446, 6; RFC 9846, 6 (general_error); RFC 5246, 7.2; RFC 7301, 3.2; RFC 7507, 2."""

    close_notify = 0
    unexpected_message = 10
    bad_record_mac = 20
    decryption_failed = 21
    record_overflow = 22
    decompression_failure = 30
    handshake_failure = 40
    no_certificate = 41
    bad_certificate = 42
    unsupported_certificate = 43
    certificate_revoked = 44
    certificate_expired = 45
    certificate_unknown = 46
    illegal_parameter = 47
    unknown_ca = 48
    access_denied = 49
    decode_error = 50
    decrypt_error = 51
    export_restriction = 60
    protocol_version = 70
    insufficient_security = 71
    internal_error = 80
    inappropriate_fallback = 86
    user_canceled = 90
    no_renegotiation = 100
    missing_extension = 109
    unsupported_extension = 110
    certificate_unobtainable = 111
    unrecognized_name = 112
    bad_certificate_status_response = 113
    bad_certificate_hash_value = 114
    unknown_psk_identity = 115
    certificate_required = 116
    general_error = 117
    no_application_protocol = 120


class AlertLevel(IntEnum):
    """RFC 8446, 6."""

    warning = 1
    fatal = 2
