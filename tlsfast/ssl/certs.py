# SPDX-License-Identifier: Apache-2.0
"""Certificates as the standard module shows them: the dictionary of getpeercert, and the objects of get_verified_chain."""

from __future__ import annotations

import base64
import ipaddress
import textwrap
import warnings
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from tlsfast.certificates.checks import extension
from tlsfast.certificates.signatures import MALFORMED

ENCODING_PEM: Final = 1  # as _ssl numbers them
ENCODING_DER: Final = 2

_MONTHS: Final = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
# Where OpenSSL's long name of an attribute is not the one that cryptography has.
_LONG_NAMES: Final = {
    "0.9.2342.19200300.100.1.1": "userId",
    "2.5.4.45": "x500UniqueIdentifier",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.8": "unstructuredAddress",
}


def decode(der: bytes) -> dict[str, Any]:
    """A certificate as the dictionary that SSLSocket.getpeercert documents."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # serial number 0, and the like
        return _decode(x509.load_der_x509_certificate(der))


def is_authority(der: bytes) -> bool:
    """Whether OpenSSL would count a certificate as that of a CA (X509_check_ca)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        certificate = x509.load_der_x509_certificate(der)
    if certificate.version is x509.Version.v1:
        return certificate.subject == certificate.issuer
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is not None:
        return constraints.value.ca
    usage = extension(certificate, x509.KeyUsage)
    return usage is not None and usage.value.key_cert_sign


def _decode(certificate: x509.Certificate) -> dict[str, Any]:
    serial = f"{certificate.serial_number:X}"
    shown: dict[str, Any] = {
        "subject": _name(certificate.subject),
        "issuer": _name(certificate.issuer),
        "version": certificate.version.value + 1,
        "serialNumber": serial.zfill(len(serial) + len(serial) % 2),
        "notBefore": _time(certificate.not_valid_before_utc),
        "notAfter": _time(certificate.not_valid_after_utc),
    }
    try:
        extensions = list(certificate.extensions)
    except MALFORMED:
        return shown
    for item in extensions:
        value = item.value
        if isinstance(value, x509.SubjectAlternativeName):
            shown["subjectAltName"] = tuple(map(_general_name, value))
        elif isinstance(value, x509.AuthorityInformationAccess):
            for key, method in (
                ("OCSP", AuthorityInformationAccessOID.OCSP),
                ("caIssuers", AuthorityInformationAccessOID.CA_ISSUERS),
            ):
                urls = _urls(each.access_location for each in value if each.access_method == method)
                if urls:
                    shown[key] = urls
        elif isinstance(value, x509.CRLDistributionPoints):
            urls = _urls(name for point in value for name in point.full_name or ())
            if urls:
                shown["crlDistributionPoints"] = urls
    return shown


def _name(name: x509.Name) -> tuple[tuple[tuple[str, str], ...], ...]:
    return tuple(tuple((_long_name(part.oid), _text(part.value)) for part in rdn) for rdn in name.rdns)


def _long_name(oid: x509.ObjectIdentifier) -> str:
    known = _LONG_NAMES.get(oid.dotted_string)
    return known or (oid._name if oid._name != "Unknown OID" else oid.dotted_string)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _time(moment: datetime) -> str:
    return f"{_MONTHS[moment.month - 1]} {moment.day:2d} {moment:%H:%M:%S} {moment.year} GMT"


def _general_name(name: x509.GeneralName) -> tuple[str, Any]:
    if isinstance(name, x509.DNSName):
        return "DNS", name.value
    if isinstance(name, x509.RFC822Name):
        return "email", name.value
    if isinstance(name, x509.UniformResourceIdentifier):
        return "URI", name.value
    if isinstance(name, x509.IPAddress):
        return "IP Address", _address(name.value)
    if isinstance(name, x509.DirectoryName):
        return "DirName", _name(name.value)
    if isinstance(name, x509.RegisteredID):
        return "Registered ID", name.value.dotted_string
    return "othername", "<unsupported>"


def _address(address: Any) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return ":".join(f"{int(group, 16):X}" for group in address.exploded.split(":"))
    return str(address)


def _urls(names: Any) -> tuple[str, ...]:
    return tuple(name.value for name in names if isinstance(name, x509.UniformResourceIdentifier))


class Certificate:
    """One certificate of a chain, with the methods of the standard module's own (which nobody else can make)."""

    __slots__ = ("_der",)

    def __init__(self, der: bytes) -> None:
        self._der = der

    def public_bytes(self, format: int = ENCODING_PEM) -> str | bytes:
        """The certificate as PEM text or as DER."""
        if format == ENCODING_DER:
            return self._der
        if format != ENCODING_PEM:
            raise ValueError("Unsupported format")
        body = "\n".join(textwrap.wrap(base64.b64encode(self._der).decode(), 64))
        return f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"

    def get_info(self) -> dict[str, Any]:
        """The certificate as getpeercert shows it."""
        return decode(self._der)

    def __eq__(self, other: object) -> bool:
        return self._der == other._der if isinstance(other, Certificate) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._der)

    def __repr__(self) -> str:
        names = [f"{key}={value}" for rdn in self.get_info()["subject"] for key, value in rdn]
        short = ", ".join(name.replace("commonName", "CN") for name in names)
        return f"<tlsfast.ssl.Certificate '{short}'>"
