# SPDX-License-Identifier: Apache-2.0
"""The README's examples run as they stand, against a server on loopback; its commands exist."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from pathlib import Path

import pytest

import tlsfast
from tlsfast.cli import app
from tlsfast.cli.authority import make_authority
from tlsfast.cli.serve import answer_http

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CLIENT, SERVER, BENEATH, AIO, MEMORY = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the examples name, in the working directory."""
    made = make_authority()
    for name, content in (("ca.pem", made.ca), ("chain.pem", made.chain), ("key.pem", made.key)):
        (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(example: str) -> None:
    exec(compile(example, "README.md", "exec"), {})


def test_without_io(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(MEMORY)
    assert capsys.readouterr().out == "DataReceived(data=b'hello')\n"


def test_asyncio(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    run(on_a_free_port(AIO, "4434", free))
    assert capsys.readouterr().out == "b'hello'\n"


def www(listener: socket.socket) -> None:
    """What `tlsfast serve --www` does with one connection."""
    config = tlsfast.ServerConfig(credentials=(tlsfast.Credential.load("chain.pem", "key.pem"),))
    accepted, _ = listener.accept()
    with accepted, tlsfast.wrap_socket(accepted, config) as stream:
        answer_http(stream)


def on_a_free_port(example: str, port: str, free: int) -> str:
    assert port in example
    return example.replace(port, str(free))


def test_beneath_the_standard_library(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=www, args=(listener,))
        thread.start()
        run(on_a_free_port(BENEATH, "8443", listener.getsockname()[1]))
        thread.join()
    assert capsys.readouterr().out == "200\n"


def test_a_client(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=www, args=(listener,))
        thread.start()
        run(on_a_free_port(CLIENT, "8443", listener.getsockname()[1]))
        thread.join(10)
    out = capsys.readouterr().out
    assert out.startswith("TLS 1.3 TLS_") and "cipher suite:" in out


def test_the_command_line(files: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=www, args=(listener,))
        thread.start()
        command = re.search(r"^tlsfast (connect .*)'(.*)'$", README, re.MULTILINE)
        assert command is not None
        typed = on_a_free_port(command[1], "8443", listener.getsockname()[1]).split()
        assert app.run([*typed, command[2]]) == 0
        thread.join(10)
    assert "HTTP/1.1 200 OK" in capfd.readouterr().out


def test_a_server(files: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    thread = threading.Thread(target=run, args=(on_a_free_port(SERVER, "4433", port),))
    thread.start()
    context = ssl.create_default_context(cafile="ca.pem")
    for _ in range(100):
        try:
            raw = socket.create_connection(("127.0.0.1", port), 10)
            break
        except ConnectionRefusedError:
            thread.join(0.05)
    with context.wrap_socket(raw, server_hostname="localhost") as peer:
        peer.sendall(b"hello")
        assert peer.recv(100) == b"hello"
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_make_target_named_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert phony is not None
    named = set(re.findall(r"(?:^    |`)(?:[A-Z]+=\S+ )?make ([a-z-]+)", text, re.MULTILINE))
    assert named and named <= set(phony[1].split())


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_every_file_named_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https)([^)]+)\)", text)
    for path in linked + re.findall(r"`((?:csrc|tlsfast|tests|fuzz|bench|tools)/[^\s`]*)`", text):
        assert (ROOT / path).exists(), path
