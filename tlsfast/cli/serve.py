# SPDX-License-Identifier: Apache-2.0
"""tlsfast serve: a TLS server that echoes or shows a page, a thread a connection, so many at a time and no more."""

from __future__ import annotations

import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

import tlsfast
from tlsfast.cli.authority import make_authority
from tlsfast.cli.trace import summary
from tlsfast.cli.words import printable, subject_of

# Bytes of an HTTP request's head that are read.
_MAX_HEAD = 16 * 1024


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The options of the command, as given."""

    host: str
    port: int
    cert: Path | None
    key: Path | None
    ca_out: Path | None
    www: bool
    client_auth: Path | None
    alpn: list[str]
    connections: int
    count: int | None
    timeout: float


def serve(options: ServeOptions, console: Console) -> None:
    """Run the command until it is interrupted, or until --count connections were served."""
    with tempfile.TemporaryDirectory(prefix="tlsfast-") as folder:
        credential = own_credential(options, Path(folder), console)
        authorities = tlsfast.TrustStore.from_file(options.client_auth) if options.client_auth is not None else None
        config = tlsfast.ServerConfig(
            credentials=(credential,),
            trust=authorities,
            client_auth="required" if authorities is not None else None,
            alpn=tuple(options.alpn),
        )
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        with socket.create_server((options.host, options.port), family=family) as listener:
            host, port = listener.getsockname()[:2]
            console.print(Text(f"listening on {host} port {port}; Control-C ends"))
            accept_all(listener, config, options, console)


def own_credential(options: ServeOptions, folder: Path, console: Console) -> tlsfast.Credential:
    """The credential given, or a throwaway one, whose authority is written where a client can find it."""
    if options.cert is not None:
        return tlsfast.Credential.load(options.cert, options.key)
    made = make_authority()
    ca = options.ca_out if options.ca_out is not None else folder / "ca.pem"
    ca.write_bytes(made.ca)
    console.print(Text(f"made a certificate for localhost; clients need its authority: --ca {ca}"))
    return tlsfast.Credential.load(made.chain, made.key)


def accept_all(listener: socket.socket, config: tlsfast.ServerConfig, options: ServeOptions, console: Console) -> None:
    """Accept while there is room for another connection: the rest wait in the listener's queue."""
    room = threading.BoundedSemaphore(options.connections)
    threads: list[threading.Thread] = []
    served = 0
    try:
        while options.count is None or served < options.count:
            room.acquire()
            accepted, peer = listener.accept()
            served += 1
            who = f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
            thread = threading.Thread(target=handle, args=(accepted, who, config, options, console, room), daemon=True)
            thread.start()
            threads = [each for each in threads if each.is_alive()] + [thread]
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        console.print("stopped")


def handle(
    accepted: socket.socket,
    who: str,
    config: tlsfast.ServerConfig,
    options: ServeOptions,
    console: Console,
    room: threading.BoundedSemaphore,
) -> None:
    """One connection, from handshake to close; what goes wrong with it is a line on the console."""
    try:
        with accepted:
            accepted.settimeout(options.timeout)
            with tlsfast.wrap_socket(accepted, config, handshake_timeout=options.timeout) as stream:
                info = stream.info
                client = f", client {subject_of(info.peer_chain[0])}" if info.peer_chain else ""
                console.print(Text(f"{who}: {summary(info)}{client}"))
                if options.www:
                    answer_http(stream)
                else:
                    while data := stream.recv(65536):
                        stream.sendall(data)
    except (OSError, tlsfast.TLSError) as error:
        console.print(Text(f"{who}: {printable(str(error))}", "red"))
    finally:
        room.release()


def answer_http(stream: tlsfast.TLSSocket) -> None:
    """Answer one HTTP/1.1 request with what the handshake agreed on."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < _MAX_HEAD:
        part = stream.recv(4096)
        if not part:
            return
        head += part
    if b"\r\n\r\n" not in head:
        status, text = "431 Request Header Fields Too Large", f"the request's head has more than {_MAX_HEAD} bytes\n"
    elif not head.startswith((b"GET ", b"HEAD ")):
        status, text = "405 Method Not Allowed", "this server answers GET and HEAD\n"
    else:
        status, text = "200 OK", page(stream.info)
    body = text.encode()
    fields = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    stream.sendall(fields.encode() + (b"" if head.startswith(b"HEAD ") else body))


def page(info: tlsfast.HandshakeCompleted) -> str:
    """The facts of a connection, a line each."""
    facts = {
        "version": str(info.version),
        "cipher suite": info.cipher_suite.name,
        "group": info.group.name if info.group is not None else "none",
        "signature": info.signature_scheme.name if info.signature_scheme is not None else "none (resumed)",
        "resumed": "yes" if info.resumed else "no",
        "server name": info.server_name or "none sent",
        "ALPN": info.alpn or "none",
        "client certificate": subject_of(info.peer_chain[0]) if info.peer_chain else "none",
    }
    return "tlsfast\n\n" + "".join(f"{name + ':':20}{value}\n" for name, value in facts.items())
