# SPDX-License-Identifier: Apache-2.0
"""The standard module's exceptions for our named facts: type, args[0], library, reason, verify_code and verify_message as OpenSSL gives them.

The text begins as OpenSSL's does, because programs look for it, and ends with our explanation in parentheses."""

from __future__ import annotations

import ssl
from typing import Final

from tlsfast.errors import (
    AlertReceived,
    ApiMisuse,
    BadRecordMac,
    CertificateError,
    CertificateExpired,
    CertificateNotYetValid,
    CertificateRequired,
    CertificateRevoked,
    ConnectionClosed,
    DecodeError,
    DecryptError,
    HandshakeFailure,
    IllegalParameter,
    InappropriateFallback,
    MessageTooLong,
    MissingExtension,
    NameMismatch,
    NoApplicationProtocol,
    NotTLS,
    RecordOverflow,
    TLSError,
    Truncated,
    UnexpectedMessage,
    UnknownCA,
    UnsupportedCertificate,
    UnsupportedExtension,
    VersionError,
)

# What OpenSSL calls an alert that came: SSLV3 for those that SSL 3.0 had, TLSV1 and TLSV13 for what each brought.
_SSL3_ALERTS: Final = {
    10: "UNEXPECTED_MESSAGE",
    20: "BAD_RECORD_MAC",
    30: "DECOMPRESSION_FAILURE",
    40: "HANDSHAKE_FAILURE",
    41: "NO_CERTIFICATE",
    42: "BAD_CERTIFICATE",
    43: "UNSUPPORTED_CERTIFICATE",
    44: "CERTIFICATE_REVOKED",
    45: "CERTIFICATE_EXPIRED",
    46: "CERTIFICATE_UNKNOWN",
    47: "ILLEGAL_PARAMETER",
}
_TLS1_ALERTS: Final = {
    21: "ALERT_DECRYPTION_FAILED",
    22: "ALERT_RECORD_OVERFLOW",
    48: "ALERT_UNKNOWN_CA",
    49: "ALERT_ACCESS_DENIED",
    50: "ALERT_DECODE_ERROR",
    51: "ALERT_DECRYPT_ERROR",
    60: "ALERT_EXPORT_RESTRICTION",
    70: "ALERT_PROTOCOL_VERSION",
    71: "ALERT_INSUFFICIENT_SECURITY",
    80: "ALERT_INTERNAL_ERROR",
    86: "ALERT_INAPPROPRIATE_FALLBACK",
    90: "ALERT_USER_CANCELLED",
    100: "ALERT_NO_RENEGOTIATION",
    110: "UNSUPPORTED_EXTENSION",
    111: "CERTIFICATE_UNOBTAINABLE",
    112: "UNRECOGNIZED_NAME",
    113: "BAD_CERTIFICATE_STATUS_RESPONSE",
    114: "BAD_CERTIFICATE_HASH_VALUE",
    115: "ALERT_UNKNOWN_PSK_IDENTITY",
    120: "ALERT_NO_APPLICATION_PROTOCOL",
}
_TLS13_ALERTS: Final = {109: "MISSING_EXTENSION", 116: "CERTIFICATE_REQUIRED"}

# Named facts in OpenSSL's words, the most particular first.
_REASONS: Final[tuple[tuple[type[TLSError], str], ...]] = (
    (NotTLS, "WRONG_VERSION_NUMBER"),
    (VersionError, "UNSUPPORTED_PROTOCOL"),
    (HandshakeFailure, "NO_SHARED_CIPHER"),
    (BadRecordMac, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"),
    (RecordOverflow, "PACKET_LENGTH_TOO_LONG"),
    (UnexpectedMessage, "UNEXPECTED_MESSAGE"),
    (MessageTooLong, "EXCESSIVE_MESSAGE_SIZE"),
    (DecodeError, "LENGTH_MISMATCH"),
    (IllegalParameter, "BAD_EXTENSION"),
    (MissingExtension, "MISSING_SIGALGS_EXTENSION"),
    (UnsupportedExtension, "UNSOLICITED_EXTENSION"),
    (DecryptError, "DIGEST_CHECK_FAILED"),
    (InappropriateFallback, "INAPPROPRIATE_FALLBACK"),
    (NoApplicationProtocol, "NO_APPLICATION_PROTOCOL"),
    (CertificateRequired, "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
    (ConnectionClosed, "PROTOCOL_IS_SHUTDOWN"),
)

# X509_V_ERR_* by our check, else by the class of the fact.
_VERIFY_CHECKS: Final = {
    "self-signed": (18, "self-signed certificate"),
    "CRL missing": (3, "unable to get certificate CRL"),
    "CRL": (3, "unable to get certificate CRL"),
    "signature": (7, "certificate signature failure"),
    "signature algorithm": (68, "CA signature digest algorithm too weak"),
    "issuer key": (20, "unable to get local issuer certificate"),
    "basicConstraints": (79, "invalid CA certificate"),
    "path length": (25, "path length constraint exceeded"),
    "keyUsage": (26, "unsuitable certificate purpose"),
    "extendedKeyUsage": (26, "unsuitable certificate purpose"),
    "critical extension": (34, "unhandled critical extension"),
    "name constraints": (47, "permitted subtree violation"),
    "chain length": (22, "certificate chain too long"),
    "key size": (66, "EE certificate key too weak"),
}
_VERIFY_KINDS: Final[tuple[tuple[type[TLSError], tuple[int, str]], ...]] = (
    (CertificateExpired, (10, "certificate has expired")),
    (CertificateNotYetValid, (9, "certificate is not yet valid")),
    (CertificateRevoked, (23, "certificate revoked")),
    (UnknownCA, (20, "unable to get local issuer certificate")),
    (UnsupportedCertificate, (26, "unsuitable certificate purpose")),
    (CertificateError, (1, "unspecified certificate verification error")),
)


def make(
    kind: type[ssl.SSLError], number: int, text: str, library: str | None = None, reason: str | None = None
) -> ssl.SSLError:
    """Make an exception of the standard module with the attributes that its C code gives."""
    error = kind(number, text)
    error.library = library or ""
    error.reason = reason or ""
    if library is None:
        error.library = None  # type: ignore[assignment]  # None is what the C code gives, whatever the stubs say
        error.reason = None  # type: ignore[assignment]
    return error


def protocol_error(reason: str, explanation: str, number: int = ssl.SSL_ERROR_SSL) -> ssl.SSLError:
    """An SSLError of library SSL: "[SSL: REASON] reason (explanation)"."""
    words = reason.lower().replace("_", " ")
    return make(ssl.SSLError, number, f"[SSL: {reason}] {words} ({explanation})", "SSL", reason)


def unsupported(what: str) -> ssl.SSLError:
    """What this library does not do, by name."""
    return protocol_error(
        "UNSUPPORTED", f'tlsfast does not do {what}; SSLContext(fallback="openssl") goes on with OpenSSL'
    )


def want_read() -> ssl.SSLError:
    return make(ssl.SSLWantReadError, ssl.SSL_ERROR_WANT_READ, "The operation did not complete (read)")


def want_write() -> ssl.SSLError:
    return make(ssl.SSLWantWriteError, ssl.SSL_ERROR_WANT_WRITE, "The operation did not complete (write)")


def zero_return() -> ssl.SSLError:
    text = "TLS/SSL connection has been closed (EOF)"
    return make(ssl.SSLZeroReturnError, ssl.SSL_ERROR_ZERO_RETURN, text)


def translate(error: TLSError, name: str | None = None) -> Exception:
    """The standard exception for a fact of ours. name: the server that was meant, for the words of a mismatch."""
    if isinstance(error, Truncated):
        text = f"[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol ({error.message})"
        return make(ssl.SSLEOFError, ssl.SSL_ERROR_EOF, text, "SSL", "UNEXPECTED_EOF_WHILE_READING")
    if isinstance(error, AlertReceived):
        return protocol_error(_alert_reason(error), error.message)
    if isinstance(error, CertificateError) and "check" in error.facts and error.facts["check"] != "verify hook":
        return _verification_error(error, name)
    if isinstance(error, ApiMisuse):
        return ValueError(error.message)
    if isinstance(error, NotTLS) and "HTTP" in str(error.facts.get("protocol", "")):
        return protocol_error("HTTP_REQUEST", error.message)
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return protocol_error(reason, error.message)
    return protocol_error("INTERNAL_ERROR", error.message)


def _alert_reason(error: AlertReceived) -> str:
    number = int(error.description)
    if number in _SSL3_ALERTS:
        return f"SSLV3_ALERT_{_SSL3_ALERTS[number]}"
    if number in _TLS13_ALERTS:
        return f"TLSV13_ALERT_{_TLS13_ALERTS[number]}"
    return f"TLSV1_{_TLS1_ALERTS.get(number, f'ALERT_{number}')}"


def _verification_error(error: CertificateError, name: str | None) -> ssl.SSLCertVerificationError:
    code, message = _verify_result(error, name)
    text = f"[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {message} ({error.message})"
    made = make(ssl.SSLCertVerificationError, ssl.SSL_ERROR_SSL, text, "SSL", "CERTIFICATE_VERIFY_FAILED")
    assert isinstance(made, ssl.SSLCertVerificationError)
    made.verify_code = code
    made.verify_message = message
    return made


def _verify_result(error: CertificateError, name: str | None) -> tuple[int, str]:
    if isinstance(error, NameMismatch):
        address = name is not None and (":" in name or name.rpartition(".")[2].isdigit())
        what, code = ("IP address", 64) if address else ("Hostname", 62)
        return code, f"{what} mismatch, certificate is not valid for '{name}'."
    check, depth = error.facts.get("check", ""), error.facts.get("depth", 0)
    if isinstance(error, UnknownCA) and depth and error.facts.get("what", "").startswith("ends the chain"):
        return 19, "self-signed certificate in certificate chain"
    if check in _VERIFY_CHECKS and not isinstance(error, CertificateExpired | CertificateNotYetValid):
        return _VERIFY_CHECKS[check]
    return next(result for kind, result in _VERIFY_KINDS if isinstance(error, kind))
