# SPDX-License-Identifier: Apache-2.0
"""smtplib, imaplib, poplib and ftplib over our contexts, implicit TLS and STARTTLS, against small servers on the standard module's own TLS."""

from __future__ import annotations

import contextlib
import ftplib
import imaplib
import io
import poplib
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import LIMIT, LOOPBACK, Certificates, lines, payload
from libraries import MANY, VERSIONS, Witness, client_context, server_context, stranger_context

import tlsfast.ssl
from tlsfast import TLSVersion

pytestmark = pytest.mark.interop

NAME = "localhost"
BODY = 1_000_000  # a mail of this many bytes in lines
#: Whose TLS the servers have: that of the standard module, or ours at both ends.
SERVERS = pytest.mark.parametrize("theirs", [True, False], ids=["openssl_server", "our_server"])


def standard_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates.ca)
    context.load_cert_chain(certificates.server().chain, certificates.server().key)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def context_for(certificates: Certificates, theirs: bool) -> ssl.SSLContext:
    return standard_context(certificates) if theirs else server_context(certificates)


class Talk:
    """One connection of a server that speaks in lines, in the clear until tls() is called."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        sock.settimeout(LIMIT)
        self.sock, self.context = sock, context
        self.file: Any = sock.makefile("rb")
        self.certificate = False

    def tls(self) -> None:
        self.file.close()
        self.sock = self.context.wrap_socket(self.sock, server_side=True)
        self.certificate = bool(self.sock.getpeercert(True))
        self.file = self.sock.makefile("rb")

    def say(self, *words: bytes) -> None:
        self.sock.sendall(b"".join(word + b"\r\n" for word in words))

    def hear(self) -> bytes:
        line: bytes = self.file.readline()
        return line.rstrip(b"\r\n")

    def until_dot(self) -> bytes:
        """What comes until a line with a dot alone, with the dots at the begin of lines undone (RFC 5321, 4.5.2)."""
        heard = bytearray()
        while (line := self.file.readline()) not in (b".\r\n", b""):
            heard += line[1:] if line.startswith(b".") else line
        return bytes(heard)

    def close(self) -> None:
        self.file.close()
        self.sock.close()


@contextlib.contextmanager
def serving(context: ssl.SSLContext, speak: Callable[[Talk], object], implicit: bool) -> Iterator[int]:
    """The port of a server for one connection after another; what it did wrong is raised at the end."""
    faults: list[Exception] = []
    stopping = False

    def run() -> None:
        while not stopping:
            try:
                accepted, _ = listener.accept()
            except TimeoutError:
                continue
            talk = Talk(accepted, context)
            try:
                if implicit:
                    talk.tls()
                speak(talk)
            except (OSError, ValueError) as error:  # clients that refuse us hang up
                if not isinstance(error, ssl.SSLError | ConnectionError):
                    faults.append(error)
            finally:
                talk.close()
                accepted.close()

    with socket.create_server((LOOPBACK, 0)) as listener:
        listener.settimeout(0.05)
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            stopping = True
            thread.join(LIMIT)
    assert not faults


def check(seen: Witness, version: TLSVersion, theirs: bool, connections: int = 1) -> None:
    assert [each.version for each in seen.seen] == [version] * connections * (1 if theirs else 2)


def is_ours(sock: Any) -> bool:
    return type(sock) is ssl.SSLSocket and type(sock._sslobj).__module__.startswith("tlsfast.")


# ---- SMTP ----


def speak_smtp(mails: list[bytes]) -> Callable[[Talk], None]:
    def speak(talk: Talk) -> None:
        talk.say(b"220 here")
        while word := talk.hear():
            match word.upper().split()[0]:
                case b"EHLO":
                    secret = isinstance(talk.sock, ssl.SSLSocket)
                    talk.say(b"250-here", b"250 8BITMIME" if secret else b"250 STARTTLS")
                case b"STARTTLS":
                    talk.say(b"220 go ahead")
                    talk.tls()
                case b"DATA":
                    talk.say(b"354 go on")
                    mails.append(talk.until_dot())
                    talk.say(b"250 kept")
                case b"QUIT":
                    return talk.say(b"221 bye")
                case _:
                    talk.say(b"250 ok")

    return speak


def send_mails(client: smtplib.SMTP, mails: list[bytes]) -> None:
    body = lines(BODY).replace(b"\n", b"\r\n")
    for number in range(3):
        client.sendmail("a@here.test", ["b@there.test"], b"Subject: %d\r\n\r\n" % number + body)
    assert is_ours(client.sock)
    assert mails == [b"Subject: %d\r\n\r\n" % number + body for number in range(3)]


@SERVERS
@VERSIONS
def test_smtp(certificates: Certificates, version: TLSVersion, theirs: bool) -> None:
    mails: list[bytes] = []
    server = serving(context_for(certificates, theirs), speak_smtp(mails), True)
    with Witness() as seen, server as port:
        with smtplib.SMTP_SSL(NAME, port, context=client_context(certificates, version), timeout=LIMIT) as client:
            send_mails(client, mails)
    check(seen, version, theirs)


@SERVERS
@VERSIONS
def test_smtp_starttls(certificates: Certificates, version: TLSVersion, theirs: bool) -> None:
    mails: list[bytes] = []
    server = serving(context_for(certificates, theirs), speak_smtp(mails), False)
    with Witness() as seen, server as port:
        with smtplib.SMTP(NAME, port, timeout=LIMIT) as client:
            client.starttls(context=client_context(certificates, version))
            send_mails(client, mails)
    check(seen, version, theirs)


def test_smtp_starttls_that_makes_its_own_context(certificates: Certificates) -> None:
    """Without a context smtplib makes one by itself, ours after inject()."""
    mails: list[bytes] = []
    server = serving(standard_context(certificates), speak_smtp(mails), False)
    tlsfast.ssl.inject()
    try:
        with Witness() as seen, server as port, smtplib.SMTP(NAME, port, timeout=LIMIT) as client:
            client.starttls()
            send_mails(client, mails)
    finally:
        tlsfast.ssl.extract()
    check(seen, TLSVersion.TLSv1_3, True)


def test_smtp_refuses(certificates: Certificates) -> None:
    with serving(standard_context(certificates), speak_smtp([]), True) as port:
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            smtplib.SMTP_SSL(NAME, port, context=stranger_context(), timeout=LIMIT)
        assert refused.value.reason == "CERTIFICATE_VERIFY_FAILED"
    with serving(standard_context(certificates), speak_smtp([]), False) as port:
        client = smtplib.SMTP(NAME, port, timeout=LIMIT)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=stranger_context())
        client.close()


# ---- IMAP ----


def speak_imap(mails: list[bytes]) -> Callable[[Talk], None]:
    def speak(talk: Talk) -> None:
        talk.say(b"* OK here")
        while heard := talk.hear():
            tag, command, *rest = heard.split(b" ")
            match command.upper():
                case b"CAPABILITY":
                    talk.say(b"* CAPABILITY IMAP4REV1 STARTTLS")
                case b"STARTTLS":
                    talk.say(tag + b" OK done")
                    talk.tls()
                    continue
                case b"APPEND":
                    talk.say(b"+ go on")
                    mails.append(talk.file.read(int(rest[-1][1:-1])))
                    assert talk.hear() == b""
                case b"SELECT":
                    talk.say(b"* %d EXISTS" % len(mails))
                case b"FETCH":
                    for number, mail in enumerate(mails, 1):
                        talk.say(b"* %d FETCH (RFC822 {%d}" % (number, len(mail)))
                        talk.sock.sendall(mail)
                        talk.say(b")")
                case b"LOGOUT":
                    return talk.say(b"* BYE bye", tag + b" OK done")
            talk.say(tag + b" OK done")

    return speak


def use_imap(client: imaplib.IMAP4, sent: bytes) -> None:
    assert is_ours(client.sock)
    client.login("user", "secret")
    for _ in range(3):
        assert client.append("INBOX", "", None, sent)[0] == "OK"  # type: ignore[arg-type]
    assert client.select()[1] == [b"3"]
    answer = client.fetch("1:3", "(RFC822)")[1]
    assert [part[1] for part in answer if isinstance(part, tuple)] == [sent] * 3


@SERVERS
@VERSIONS
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "starttls"])
def test_imap(certificates: Certificates, version: TLSVersion, theirs: bool, implicit: bool) -> None:
    context = client_context(certificates, version)
    server = serving(context_for(certificates, theirs), speak_imap([]), implicit)
    with Witness() as seen, server as port:
        if implicit:
            client: imaplib.IMAP4 = imaplib.IMAP4_SSL(NAME, port, ssl_context=context, timeout=LIMIT)
        else:
            client = imaplib.IMAP4(NAME, port, timeout=LIMIT)
            client.starttls(context)
        with client:
            use_imap(client, lines(BODY).replace(b"\n", b"\r\n"))
    check(seen, version, theirs)


def test_imap_refuses(certificates: Certificates) -> None:
    with serving(standard_context(certificates), speak_imap([]), True) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            imaplib.IMAP4_SSL(NAME, port, ssl_context=stranger_context(), timeout=LIMIT)


# ---- POP3 ----


@VERSIONS
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "stls"])
def test_pop(certificates: Certificates, version: TLSVersion, implicit: bool) -> None:
    body = lines(BODY).split(b"\n")[:-1]

    def speak(talk: Talk) -> None:
        talk.say(b"+OK here")
        while heard := talk.hear():
            match heard.split()[0]:
                case b"CAPA":
                    talk.say(b"+OK", b"STLS", b".")
                case b"STLS":
                    talk.say(b"+OK")
                    talk.tls()
                case b"RETR":
                    talk.say(b"+OK", *body, b".")
                case b"QUIT":
                    return talk.say(b"+OK")

    context = client_context(certificates, version)
    with Witness() as seen, serving(standard_context(certificates), speak, implicit) as port:
        if implicit:
            client: poplib.POP3 = poplib.POP3_SSL(NAME, port, context=context, timeout=LIMIT)
        else:
            client = poplib.POP3(NAME, port, timeout=LIMIT)
            client.stls(context)
        assert is_ours(client.sock)
        for _ in range(3):
            assert client.retr(1)[1] == body
        client.quit()
    check(seen, version, True)


# ---- FTP ----


def speak_ftp(files: dict[bytes, bytes], certificates_shown: list[bool]) -> Callable[[Talk], None]:
    """RFC 4217: AUTH TLS on the control connection, PROT P for data connections, each with a handshake of its own."""

    def transfer(talk: Talk, listener: socket.socket, command: bytes, name: bytes) -> None:
        talk.say(b"150 go")
        accepted, _ = listener.accept()
        listener.close()
        data = Talk(accepted, talk.context)
        data.tls()
        if command == b"STOR":
            files[name] = data.file.read()
        else:
            data.sock.sendall(files[name])
        data.file.close()
        data.sock.unwrap().close()
        talk.say(b"226 done")

    def speak(talk: Talk) -> None:
        listener = None
        talk.say(b"220 here")
        while heard := talk.hear():
            command, _, argument = heard.partition(b" ")
            match command:
                case b"AUTH":
                    talk.say(b"234 go ahead")
                    talk.tls()
                    certificates_shown.append(talk.certificate)
                case b"USER":
                    talk.say(b"331 and?")
                case b"PASS":
                    talk.say(b"230 in")
                case b"EPSV" | b"PASV":
                    listener = socket.create_server((LOOPBACK, 0))
                    listener.settimeout(LIMIT)
                    high, low = divmod(listener.getsockname()[1], 256)
                    talk.say(b"227 =127,0,0,1,%d,%d" % (high, low))
                case b"STOR" | b"RETR":
                    assert listener is not None
                    transfer(talk, listener, command, argument)
                case b"QUIT":
                    return talk.say(b"221 bye")
                case _:
                    talk.say(b"200 ok")

    return speak


@SERVERS
@VERSIONS
def test_ftp(certificates: Certificates, version: TLSVersion, theirs: bool) -> None:
    """Data there and back on protected connections, whose end is TLS's own."""
    context, shown = client_context(certificates, version, shown=True), []
    server = serving(context_for(certificates, theirs), speak_ftp({}, shown), False)
    with Witness() as seen, server as port:
        with ftplib.FTP_TLS(context=context, timeout=LIMIT) as client:
            client.connect(NAME, port)
            client.login("user", "secret")
            assert is_ours(client.sock)
            client.prot_p()
            for size in (0, 1, MANY):
                client.storbinary("STOR file", io.BytesIO(payload(size)))
                back = bytearray()
                client.retrbinary("RETR file", back.extend)
                assert back == payload(size)
    check(seen, version, theirs, connections=7)
    assert shown == [True]


def test_ftp_refuses(certificates: Certificates) -> None:
    with serving(standard_context(certificates), speak_ftp({}, []), False) as port:
        client = ftplib.FTP_TLS(context=stranger_context(), timeout=LIMIT)
        client.connect(NAME, port)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.login("user", "secret")
        client.close()
