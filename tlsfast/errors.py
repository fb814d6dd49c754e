# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as named facts. The alert that a peer's fault earns is derived here and nowhere else (RFC 8446, 6.2)."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from tlsfast.registry import AlertDescription


class TLSError(Exception):
    """The root of all errors of this library. `facts` holds what it is about, by name; the message says what happened and what to do."""

    def __init__(self, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    def fresh(self) -> Self:
        """Make the same error anew, without the traceback (and so without the frames' locals) of this one."""
        return type(self)(self.message, **self.facts)


class ApiMisuse(TLSError):
    """The caller asked for what cannot be done; the connection, if there is one, is unharmed."""


class ConfigurationError(ApiMisuse):
    """A configuration, certificate, key or trust store that cannot work."""


class MissingDependency(TLSError):
    """An optional package is not installed; the message names the extra that brings it."""


class ConnectionClosed(TLSError):
    """A call that needs an open connection came after it was closed in an orderly way."""


class Truncated(TLSError):
    """The peer's stream ended without close_notify: data may have been cut off (RFC 8446, 6.1)."""


class HandshakeTimeout(TLSError, TimeoutError):
    """The handshake did not end within its time limit."""


class InternalError(TLSError):
    """A fault of ours, not of the peer."""

    alert: ClassVar[AlertDescription] = AlertDescription.internal_error


class AlertReceived(TLSError):
    """The peer ended the connection with an alert: facts `description` (AlertDescription, or int if unknown) and `waited` (what we waited for)."""

    @property
    def description(self) -> AlertDescription | int:
        value: AlertDescription | int = self.facts["description"]
        return value


class PeerError(TLSError):
    """The peer broke the protocol or failed a check. `alert` is what it is told."""

    alert: ClassVar[AlertDescription] = AlertDescription.internal_error


class DecodeError(PeerError):
    """A message that cannot be parsed: a length out of range, trailing bytes."""

    alert = AlertDescription.decode_error


class UnexpectedMessage(PeerError):
    """A message or record of a kind that may not come here."""

    alert = AlertDescription.unexpected_message


class IllegalParameter(PeerError):
    """A field that parses but contradicts another or the standard."""

    alert = AlertDescription.illegal_parameter


class MissingExtension(PeerError):
    """An extension that is mandatory here is not there (RFC 8446, 9.2)."""

    alert = AlertDescription.missing_extension


class UnsupportedExtension(PeerError):
    """The peer answered an extension that was not offered (RFC 8446, 4.2)."""

    alert = AlertDescription.unsupported_extension


class HandshakeFailure(PeerError):
    """No parameters in common: suites, groups, signature schemes. Facts say what was offered and what is supported."""

    alert = AlertDescription.handshake_failure


class VersionError(PeerError):
    """The peer speaks no TLS version that is enabled here; fact `version` names what it spoke."""

    alert = AlertDescription.protocol_version


class NotTLS(PeerError):
    """The peer speaks another protocol; fact `seen` holds its first bytes, `protocol` the guess."""

    alert = AlertDescription.unexpected_message


class BadRecordMac(PeerError):
    """A record that did not authenticate (RFC 8446, 5.2)."""

    alert = AlertDescription.bad_record_mac


class RecordOverflow(PeerError):
    """A record longer than allowed (RFC 8446, 5.1, 5.2; RFC 8449, 4)."""

    alert = AlertDescription.record_overflow


class DecryptError(PeerError):
    """A handshake signature, Finished value or binder that does not verify."""

    alert = AlertDescription.decrypt_error


class LimitExceeded(PeerError):
    """The peer sends without end what is bounded here: key updates, empty records, warnings, tickets. Facts `what` and `limit`."""

    alert = AlertDescription.unexpected_message


class MessageTooLong(PeerError):
    """A handshake message longer than max_handshake_size. Facts `kind`, `length` and `limit`."""

    alert = AlertDescription.illegal_parameter


class InappropriateFallback(PeerError):
    """The client came back with an older version than both sides have: someone broke its first attempt (RFC 7507, 3)."""

    alert = AlertDescription.inappropriate_fallback


class NoApplicationProtocol(PeerError):
    """No ALPN protocol in common (RFC 7301, 3.2)."""

    alert = AlertDescription.no_application_protocol


class UnrecognizedName(PeerError):
    """The server has no credentials for the name asked for and was told to be strict (RFC 6066, 3)."""

    alert = AlertDescription.unrecognized_name


class CertificateRequired(PeerError):
    """The client sent no certificate although one is required (RFC 8446, 4.4.2.4)."""

    alert = AlertDescription.certificate_required


class CertificateError(PeerError):
    """A certificate was not accepted. Facts: `check` (which check failed), `subject` (which certificate), `depth` (0 is the leaf)."""

    alert = AlertDescription.certificate_unknown


class BadCertificate(CertificateError):
    """A certificate that is malformed, or whose signature does not verify, or that breaks the profile."""

    alert = AlertDescription.bad_certificate


class NameMismatch(BadCertificate):
    """The certificate is not for the name or address that was asked for."""


class UnsupportedCertificate(CertificateError):
    """A certificate of the wrong type, key or extended key usage."""

    alert = AlertDescription.unsupported_certificate


class CertificateExpired(CertificateError):
    """A certificate that is expired."""

    alert = AlertDescription.certificate_expired


class CertificateNotYetValid(BadCertificate):
    """A certificate whose validity begins in the future; or our clock is wrong."""


class CertificateRevoked(CertificateError):
    """The issuer revoked a certificate of the chain."""

    alert = AlertDescription.certificate_revoked


class UnknownCA(CertificateError):
    """No chain to a trusted root."""

    alert = AlertDescription.unknown_ca


class BadCertificateStatus(CertificateError):
    """The stapled OCSP response is missing where it must be there, malformed, stale or forged (RFC 6066, 8)."""

    alert = AlertDescription.bad_certificate_status_response


class AccessDenied(CertificateError):
    """The verify hook of the configuration refused a valid certificate."""

    alert = AlertDescription.access_denied
