# SPDX-License-Identifier: Apache-2.0
"""The command line: its own server and client, the standard library as peer, and each error as one sentence with its exit code."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pki
import pytest

import tlsfast
from tlsfast.cli import app
from tlsfast.cli.authority import make_authority
from tlsfast.cli.connect import parse_target, unescape
from tlsfast.cli.words import meaning, printable
from tlsfast.errors import ApiMisuse, UnknownCA

COMMAND = [sys.executable, "-m", "tlsfast.cli"]
ENVIRONMENT = {**os.environ, "COLUMNS": "200", "PYTHONIOENCODING": "utf-8"}


def tls(*arguments: object, stdin: bytes = b"", code: int = 0) -> tuple[bytes, str]:
    """Run the command line as a program; what it wrote, and what it said."""
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=ENVIRONMENT, timeout=60, check=False
    )
    assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr.decode()[-2000:])
    return done.stdout, done.stderr.decode()


class Serving:
    """A running `tlsfast serve`."""

    def __init__(self, process: subprocess.Popen[str], port: int, ca: Path, seen: list[str]) -> None:
        self.process, self.port, self.ca, self._seen = process, port, ca, seen

    def output(self) -> str:
        """Wait for its end; all that it said."""
        assert self.process.stderr is not None
        self._seen += self.process.stderr.readlines()
        assert self.process.wait(30) == 0
        return "".join(self._seen)


@contextmanager
def serving(folder: Path, *arguments: object) -> Iterator[Serving]:
    ca = folder / "ca.pem"
    command = [*COMMAND, "serve", "--port", "0", "--ca-out", str(ca), *map(str, arguments)]
    seen: list[str] = []
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=ENVIRONMENT, text=True) as process:
        try:
            assert process.stderr is not None
            while not (found := re.search(r"listening on \S+ port (\d+)", seen[-1] if seen else "")):
                seen.append(process.stderr.readline())
                assert seen[-1], seen
            yield Serving(process, int(found[1]), ca, seen)
        finally:
            process.terminate()


@contextmanager
def saying(text: bytes, *, hold: bool = False) -> Iterator[int]:
    """A server on loopback that is no TLS server: it says this to whoever comes; hold: and then keeps silent."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with accepted:
                accepted.sendall(text)
                accepted.settimeout(10)
                if hold:
                    done.wait(10)
                accepted.shutdown(socket.SHUT_WR)
                while accepted.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join(10)


def one_sentence(said: str) -> str:
    assert said.startswith("tlsfast: ") and said.count("\n") == 1, said
    return said


# ---- connect and serve ----


def test_echo_with_the_handshake_shown(tmp_path: Path) -> None:
    with serving(tmp_path, "--count", 1) as server:
        data = os.urandom(300_000)
        out, said = tls("connect", f"localhost:{server.port}", "--ca", server.ca, stdin=data)
        assert out == data
        steps = ["ClientHello", "ServerHello", "EncryptedExtensions", "Certificate", "CertificateVerify", "Finished", "NewSessionTicket"]  # fmt: skip
        places = [said.index(step) for step in steps]
        assert places == sorted(places)
        for words in (
            "-> ClientHello",
            "<- ServerHello",
            "what we send is now under the application keys",
            "CN=localhost, verified",
        ):
            assert words in said
        assert "full handshake" in server.output()


def test_quiet_shows_the_data_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert tls("connect", f"localhost:{server.port}", "--ca", server.ca, "-q", stdin=b"x") == (b"x", "")


def test_nothing_to_say(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        assert tls("connect", f"localhost:{server.port}", "--ca", server.ca)[0] == b""


def test_options_reach_the_handshake(tmp_path: Path) -> None:
    with serving(tmp_path, "--alpn", "http/1.1", "--www") as server:
        keylog = tmp_path / "keys"
        choices = [
            "--alpn",
            "h2",
            "--alpn",
            "http/1.1",
            "--group",
            "secp384r1",
            "--suite",
            "TLS_CHACHA20_POLY1305_SHA256",
        ]
        request = r"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
        target = ["connect", f"127.0.0.1:{server.port}", "--ca", server.ca]
        out, said = tls(*target, *choices, "--servername", "localhost", "--keylog", keylog, "--request", request)
        for words in (b"secp384r1", b"TLS_CHACHA20_POLY1305_SHA256", b"http/1.1", b"localhost"):
            assert words in out
        assert "ALPN http/1.1" in said
        assert "CLIENT_TRAFFIC_SECRET_0 " in keylog.read_text()


def test_the_older_version(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        choice = ["--suite", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
        out, said = tls("connect", f"localhost:{server.port}", "--ca", server.ca, *choice, "--resume", stdin=b"x")
        assert out == b"x"
        first, _, second = said.partition(", full handshake")
        for step in ("ServerKeyExchange", "ServerHelloDone", "ClientKeyExchange", "what follows is under the new keys"):
            assert step in first
        assert "resumed" in second and "means nothing" not in said


def test_resume(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        _, said = tls("connect", f"localhost:{server.port}", "--ca", server.ca, "--resume")
        assert said.count("-> ClientHello") == 2
        assert said.index("full handshake") < said.index("X25519MLKEM768, resumed")


def test_a_page_for_the_standard_library(tmp_path: Path) -> None:
    with serving(tmp_path, "--www") as server:
        context = ssl.create_default_context(cafile=str(server.ca))
        with urllib.request.urlopen(f"https://localhost:{server.port}/", context=context, timeout=10) as answer:
            page = answer.read().decode()
        assert "TLS 1.3" in page and "localhost" in page


def test_client_certificates(tmp_path: Path) -> None:
    ca = pki.make_ca("people")
    (tmp_path / "people.pem").write_bytes(ca.cert_pem)
    chain, key = pki.make_leaf(ca, ("someone.test",)).write(tmp_path, "someone")
    with serving(tmp_path, "--client-auth", tmp_path / "people.pem", "--count", 2) as server:
        target = ["connect", f"localhost:{server.port}", "--ca", server.ca, "-q"]
        assert "certificate_required" in one_sentence(tls(*target, code=1)[1])
        assert tls(*target, "--cert", chain, "--key", key, stdin=b"me") == (b"me", "")
        said = server.output()
        assert "client CN=someone.test" in said and "certificate" in said


def test_no_more_connections_at_a_time_than_allowed(tmp_path: Path) -> None:
    with serving(tmp_path, "--connections", 1, "--count", 2) as server:
        config = tlsfast.ClientConfig(trust=tlsfast.TrustStore.from_file(server.ca))
        with tlsfast.connect(("127.0.0.1", server.port), config, server_name="localhost", timeout=10):
            with pytest.raises(tlsfast.HandshakeTimeout):
                tlsfast.connect(("127.0.0.1", server.port), config, server_name="localhost", handshake_timeout=0.3)
        server.output()


def test_a_server_goes_on_after_a_bad_client(tmp_path: Path) -> None:
    with serving(tmp_path, "--count", 2) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as raw:
            raw.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert raw.recv(100)[:1] == b"\x15"
        tls("connect", f"localhost:{server.port}", "--ca", server.ca, "-q", stdin=b"x")
        assert "HTTP" in server.output()


def test_who_reads_our_output_may_leave(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        command = [*COMMAND, "connect", f"localhost:{server.port}", "--ca", str(server.ca), "-q"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT
        ) as process:
            assert process.stdin is not None and process.stdout is not None and process.stderr is not None
            process.stdout.close()
            process.stdin.write(bytes(100_000))
            process.stdin.flush()
            assert process.wait(20) == 0
            assert process.stderr.read() == b""


# ---- Errors ----


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = app.run([str(each) for each in arguments])
    return code, one_sentence(capsys.readouterr().err)


def test_unknown_authority(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(tmp_path) as server:
        other = tmp_path / "other.pem"
        other.write_bytes(pki.make_ca("other").cert_pem)
        code, said = run(capsys, "connect", f"localhost:{server.port}", "-q", "--ca", other)
        assert code == 1 and "--ca FILE trusts another authority, --insecure goes on" in said
        code, said = run(
            capsys, "connect", f"localhost:{server.port}", "-q", "--ca", server.ca, "--servername", "other.test"
        )
        assert code == 1 and "other.test" in said
        assert tls("connect", f"localhost:{server.port}", "--insecure", stdin=b"x")[0] == b"x"


def test_a_server_that_speaks_something_else(capsys: pytest.CaptureFixture[str]) -> None:
    with saying(b"220 mx.test ESMTP\x1b[31m\r\n") as port:
        code, said = run(capsys, "connect", f"127.0.0.1:{port}", "-q", "--insecure")
    assert code == 1 and "STARTTLS" in said and "\x1b" not in said


def test_a_server_that_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with saying(b"", hold=True) as port:
        code, said = run(capsys, "connect", f"127.0.0.1:{port}", "-q", "--insecure", "--timeout", "0.2")
    assert code == 3 and "--timeout" in said


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    code, said = run(capsys, "connect", f"127.0.0.1:{port}")
    assert code == 3 and "nobody listens" in said


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = run(capsys, "serve", "-q", "--port", taken.getsockname()[1])
    assert code == 3 and "in use" in said


@pytest.mark.parametrize(("arguments", "words"), [
    (["connect", "https://example.com/"], "leave out the scheme"),
    (["connect", "localhost:http"], "the port is a number"),
    (["connect", "localhost", "--ca", "/no/such/file"], "/no/such/file"),
    (["connect", "localhost", "--group", "x448"], "x448"),
    (["connect", "localhost", "--suite", "TLS_NULL"], "TLS_NULL"),
    (["connect", "localhost", "--timeout", "0"], "--timeout"),
    (["connect"], "HOST"),
    (["connect", "localhost", "--no-such-option"], "--no-such-option"),
    (["fetch"], "fetch"),
    (["serve", "--echo", "--www"], "--echo and --www exclude each other"),
    (["serve", "--cert", "/no/such/file"], "/no/such/file"),
    (["serve", "--connections", "0"], "--connections"),
])  # fmt: skip
def test_what_cannot_work(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run(capsys, *arguments)
    assert code == 2 and words in said


def test_what_an_error_becomes() -> None:
    assert app.explain(socket.gaierror(-2, "Name or service not known")) == (
        3,
        "the host was not found: Name or service not known: check its name",
    )
    assert app.explain(ZeroDivisionError()) is None, "a fault of ours keeps its traceback"
    told = app.explain(UnknownCA("no chain\x1b[2J"))
    assert told is not None and told[0] == 1 and "\x1b" not in told[1]


def test_without_the_extra() -> None:
    script = "import sys; sys.modules['typer'] = None; from tlsfast.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert 'pip install "tlsfast[cli]"' in one_sentence(done.stderr)


@pytest.mark.parametrize("command", ["connect", "serve", "demo"])
def test_help_has_examples(command: str) -> None:
    out, _ = tls(command, "--help")
    assert f"tlsfast {command} " in out.decode().partition("Example")[2]
    assert b"Exit codes" in tls("--help")[0]


# ---- The parts ----


@pytest.mark.parametrize(("target", "address"), [
    ("example.com", ("example.com", 443)),
    ("example.com:8443", ("example.com", 8443)),
    ("[::1]:8443", ("::1", 8443)),
    ("[::1]", ("::1", 443)),
    ("::1", ("::1", 443)),
    ("192.0.2.1:1", ("192.0.2.1", 1)),
])  # fmt: skip
def test_targets(target: str, address: tuple[str, int]) -> None:
    assert parse_target(target) == address


@pytest.mark.parametrize("target", ["", ":443", "host:", "host:0", "host:65536", "host:-1", "host:٣", "a/b"])
def test_targets_that_are_none(target: str) -> None:
    with pytest.raises(ApiMisuse):
        parse_target(target)


@pytest.mark.parametrize(("typed", "sent"), [
    (r"GET /\r\n\r\n", b"GET /\r\n\r\n"),
    (r"a\\nb", rb"a\nb"),
    (r"a\tb\x", b"a\tb\\x"),
    ("end\\", b"end\\"),
    ("", b""),
])  # fmt: skip
def test_requests_as_typed(typed: str, sent: bytes) -> None:
    assert unescape(typed) == sent


def test_nothing_moves_the_cursor() -> None:
    assert printable("a\x1b[2J\r\nü\x9b") == "a\\x1b[2J\\r\\nü\\x9b"
    assert meaning(object(), 7) == "a message of 7 bytes"


def test_the_throwaway_authority_satisfies_both_verifiers() -> None:
    made = make_authority()
    chain = tuple(tlsfast.Credential.load(made.chain, made.key).chain)
    store = tlsfast.TrustStore.from_pem(made.ca)
    for name in ("localhost", "127.0.0.1", "::1"):
        store.verify_server(chain, name)
    with pytest.raises(tlsfast.CertificateError):
        store.verify_server(chain, "example.com")


# ---- The demonstration ----


def test_demo() -> None:
    """Small, but all of it: the handshakes shown, four measurements of both libraries."""
    out, said = tls("demo", "--size", 1, "--handshakes", 2, "--rounds", 1)
    text = out.decode()
    assert said == ""
    static, ecdhe, newer, resumed, cost = re.split(r"^\S.* ─+$", text, flags=re.MULTILINE)[1:]
    assert (
        "TLS_RSA_WITH_AES_128_GCM_SHA256, no ephemeral key, full handshake" in static
        and "ServerKeyExchange" not in static
    )
    assert "ServerKeyExchange" in ecdhe and "TLS 1.2, TLS_ECDHE_ECDSA" in ecdhe
    assert "CertificateVerify" in newer and ", full handshake" in newer
    assert "CertificateVerify" not in resumed and "X25519MLKEM768, resumed" in resumed
    for row in ("client to server, 1 MiB", "server to client, 1 MiB", "full handshakes", "resumed handshakes"):
        assert re.search(row + r" +[\d,]+ \S+( second)? +[\d,]+ \S+( second)? +\d+\.\d\d", cost), cost
