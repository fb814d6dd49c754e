# SPDX-License-Identifier: Apache-2.0
"""Names in certificates: whether one is for the peer that is meant, and how it is called in a message (RFC 9525, RFC 5280)."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tlsfast.errors import ApiMisuse

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")
# Text from a peer's certificate goes into messages and logs: bounded, and without what a terminal would obey.
_TEXT_LIMIT = 200
_NAMES_LISTED = 8


@functools.lru_cache(maxsize=1024)
def parse_name(name: str) -> str | IPAddress:
    """Bring a server's name into the form that is compared: lower case without a trailing dot, or an address. ApiMisuse if it is neither."""
    literal = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    try:
        # An IPv6 zone says which of our interfaces leads there; no certificate holds one.
        return ipaddress.ip_address(literal.partition("%")[0])
    except ValueError:
        pass
    if not name.isascii():
        raise ApiMisuse(
            f"the server name {printable(name)} is not ASCII: give its A-label (xn--...), as idna.encode makes it",
            name=name,
        )
    dns = name.lower().removesuffix(".")
    if not is_dns_name(dns):
        raise ApiMisuse(
            f"{printable(name) or 'an empty string'} is neither a DNS name nor an IP address: it can't name a server",
            name=name,
        )
    return dns


def is_dns_name(name: str) -> bool:
    """Tell whether name, in lower case, is written as a host name: labels of 1 to 63 octets, 253 in all, the last not a number (RFC 1123, 2.1)."""
    labels = name.split(".")
    well_formed = all(0 < len(label) <= 63 and _LABEL_CHARACTERS.issuperset(label) for label in labels)
    return (
        well_formed
        and len(name) <= 253
        and not labels[-1].isdigit()
        and not any(x[0] == "-" or x[-1] == "-" for x in labels)
    )


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """The names in a certificate's subjectAltName; present is False without the extension."""

    dns: tuple[str, ...] = ()
    addresses: tuple[IPAddress, ...] = ()
    present: bool = False

    @classmethod
    def of(cls, certificate: x509.Certificate) -> CertificateNames:
        """Read the names; ValueError when the extensions cannot be parsed."""
        try:
            extensions = certificate.extensions
        except (TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            raise ValueError(str(error)) from None
        for item in extensions:
            if type(item.value) is x509.SubjectAlternativeName:
                names = list(item.value)
                dns = tuple(name.value.lower() for name in names if type(name) is x509.DNSName)
                addresses = (name.value for name in names if type(name) is x509.IPAddress)
                return cls(dns, tuple(address for address in addresses if isinstance(address, IPAddress)), True)
        return cls()

    def match(self, name: str | IPAddress) -> bool:
        """Tell whether a name, as parse_name returned it, is among these. The subject's common name is never asked (RFC 9525, 2)."""
        if not isinstance(name, str):
            return name in self.addresses
        # RFC 9525, 6.3: a wildcard is the whole left-most label, and stands for exactly one label.
        _, dot, rest = name.partition(".")
        return name in self.dns or (dot == "." and f"*.{rest}" in self.dns)

    def __str__(self) -> str:
        names = [d if _is_name_of_host(d) else f"{d} (written as a DNS name)" for d in self.dns]
        names += map(str, self.addresses)
        listed = ", ".join(printable(n) for n in names[:_NAMES_LISTED])
        return listed + (f" and {len(names) - _NAMES_LISTED} more" if len(names) > _NAMES_LISTED else "")


def _is_name_of_host(name: str) -> bool:
    return is_dns_name(name.removeprefix("*."))


def within_domain(name: str, constraint: str) -> bool:
    """Tell whether a DNS name lies in the subtree of a name constraint (RFC 5280, 4.2.1.10): labels may be added on the left."""
    base = constraint.lower().removeprefix(".")
    return not base or name == base or name.endswith("." + base)


def within_mailboxes(mail: str, constraint: str) -> bool:
    """Tell whether a mailbox lies in the subtree of a name constraint: a mailbox, a host, or with a leading dot a domain (RFC 5280, 4.2.1.10)."""
    local, _, host = mail.rpartition("@")
    base = constraint.rpartition("@")
    if base[1]:
        return local == base[0] and host.lower() == base[2].lower()
    return host.lower().endswith(base[2].lower()) if base[2].startswith(".") else host.lower() == base[2].lower()


def within_directory(name: x509.Name, base: x509.Name) -> bool:
    """Tell whether a distinguished name lies in the subtree of another: its first RDNs are the base's (RFC 5280, 7.1)."""
    if len(base.rdns) > len(name.rdns):
        return False
    return all(_rdn(ours) == _rdn(theirs) for ours, theirs in zip(name.rdns, base.rdns, strict=False))


def _rdn(rdn: x509.RelativeDistinguishedName) -> frozenset[tuple[str, str]]:
    # RFC 5280, 7.1: compared without regard to case and to runs of white space.
    return frozenset((a.oid.dotted_string, " ".join(str(a.value).split()).casefold()) for a in rdn)


def common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the subject's common names, in lower case."""
    return tuple(str(a.value).lower() for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))


def mailboxes(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the subject's e-mail addresses."""
    return tuple(str(a.value) for a in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS))


def describe_subject(certificate: x509.Certificate) -> str:
    """Name a certificate in a message: its subject, else its alternative names."""
    try:
        text = certificate.subject.rfc4514_string() or str(CertificateNames.of(certificate))
    except ValueError:
        text = ""
    return printable(text) or "(without a name)"


def describe_oid(oid: x509.ObjectIdentifier) -> str:
    """Name an object identifier, or give its number."""
    if oid == ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE:
        return "anyExtendedKeyUsage"
    return oid._name if oid._name != "Unknown OID" else oid.dotted_string


def describe_name(name: x509.Name) -> str:
    return printable(name.rfc4514_string()) or "(an empty name)"


def printable(text: str) -> str:
    """Make text from a peer fit for a message: escape what is not printable, and cut it."""
    shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[:_TEXT_LIMIT])
    return shown + ("..." if len(text) > _TEXT_LIMIT else "")
