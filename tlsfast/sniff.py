# SPDX-License-Identifier: Apache-2.0
"""Names the protocol that is spoken where TLS should be: the words of NotTLS, and the refusal of SSLv2 hellos."""

from __future__ import annotations

from tlsfast.errors import NotTLS, PeerError, VersionError
from tlsfast.registry import TLSVersion

_SERVER_GREETINGS: tuple[tuple[bytes, str, str], ...] = (
    (b"HTTP/", "HTTP", "this port speaks plain HTTP: use http://, or the port that speaks TLS"),
    (b"<!DOCTYPE", "HTTP", "this port speaks plain HTTP: use http://, or the port that speaks TLS"),
    (b"<html", "HTTP", "this port speaks plain HTTP: use http://, or the port that speaks TLS"),
    (b"220", "SMTP or FTP", "this port wants STARTTLS (SMTP) or AUTH TLS (FTP) first"),
    (b"554", "SMTP", "the mail server refuses to talk to us"),
    (b"421", "SMTP", "the mail server refuses to talk to us for now"),
    (b"* OK", "IMAP", "this port wants STARTTLS first"),
    (b"+OK", "POP3", "this port wants STLS first"),
    (b"SSH-", "SSH", "this is an SSH server, which does not speak TLS"),
    (b"E\x00\x00\x00", "PostgreSQL", "PostgreSQL wants an SSLRequest first"),
    (
        b"-ERR",
        "Redis or POP3",
        "the server answered with an error of its own protocol: TLS is not enabled on this port",
    ),
)
_CLIENT_OPENINGS = (b"GET ", b"POST", b"HEAD", b"PUT ", b"DELE", b"OPTI", b"CONN", b"PATC", b"PRI ", b"TRAC")


def foreign_protocol(error: NotTLS, *, server: bool) -> PeerError:
    """The error to raise for what the peer sent in place of TLS: fact `seen` holds its first bytes, `protocol` the guess."""
    seen: bytes = error.facts.get("seen", b"")
    text = _printable(seen)
    if server:
        if any(seen.startswith(opening) for opening in _CLIENT_OPENINGS):
            message = f"the client said {text}: it speaks plain HTTP to a TLS port; use https://"
            return NotTLS(message, seen=seen, protocol="HTTP")
        # RFC 5246, E.2: an SSLv2-format hello: a length with its top bit set, message type 1, the version
        if len(seen) >= 5 and seen[0] & 0x80 and seen[2] == 1:
            version = int.from_bytes(seen[3:5])
            named = f"offers {TLSVersion(version)}" if version in set(TLSVersion) else f"offers version 0x{version:04x}"
            message = f"the client sent an SSLv2-format hello, which {named}: disable SSLv2Hello in the client"
            return VersionError(message, version=TLSVersion.SSLv2, seen=seen)
        return NotTLS(f"the client said {text}, which is not TLS", seen=seen, protocol="unknown")
    for greeting, protocol, mend in _SERVER_GREETINGS:
        if seen.startswith(greeting):
            return NotTLS(f"the server said {text}: {mend}", seen=seen, protocol=protocol)
    return NotTLS(f"the server said {text}, which is not TLS: is this the right port?", seen=seen, protocol="unknown")


def _printable(seen: bytes) -> str:
    """The first line of what was seen, if it is text, else hexadecimal."""
    line = seen.split(b"\n", 1)[0].rstrip(b"\r")
    if line and all(32 <= byte < 127 for byte in line):
        return f"`{line.decode('ascii')}`"
    return seen[:16].hex(" ") or "nothing"
