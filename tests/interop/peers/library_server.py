# SPDX-License-Identifier: Apache-2.0
"""One of Python's HTTP servers, unmodified, over tlsfast's contexts: run as a program by libraries.py. It prints its port, and answers

GET /tls with what its handshakes were, GET /size/N with N bytes, POST /echo with the body, GET / with a page whose script asks for more."""

from __future__ import annotations

import argparse
import asyncio
import http.server
import json
import random
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from typing import Any

PAGE = b"<!doctype html><title>page</title><p id=said>nothing</p><script src=/script.js></script>"
# Adler-32 of what came (RFC 1950, 8.2), and whether what went came back.
SCRIPT = b"""
const ask = (method, path, body) => {
    const asked = new XMLHttpRequest();
    asked.open(method, path, false);
    asked.overrideMimeType("text/plain; charset=x-user-defined");
    asked.send(body);
    return asked.responseText;
};
const sum = text => {
    let a = 1, b = 0;
    for (let i = 0; i < text.length; i++) { a = (a + (text.charCodeAt(i) & 255)) % 65521; b = (b + a) % 65521; }
    return b * 65536 + a;
};
const sent = "to and fro".repeat(20000);
const back = ask("POST", "/echo", sent) === sent ? sent.length : "changed";
const tls = JSON.parse(ask("GET", "/tls", null));
document.getElementById("said").textContent = [tls.version, tls.alpn, tls.group].join(" ") +
    ", sums " + [1, 300000, 2].map(size => sum(ask("GET", "/size/" + size, null))).join(" ") + ", echo " + back;
"""


@cache
def content(size: int) -> bytes:
    """The same bytes as harness.payload: the test knows what must come."""
    return random.Random(size).randbytes(size)


class Witness:
    """Counts the handshakes that tlsfast completes in this process, keeps what the last one agreed, and tells how many connections went through the
    standard module's SSLSocket or SSLObject: with tlsfast.aio's transport none does."""

    def __init__(self) -> None:
        from tlsfast.events import HandshakeCompleted
        from tlsfast.ssl.engine import Engine

        self.count = self.resumed = self.engines = 0
        self.last: Any = None
        made = HandshakeCompleted.__init__

        def note(completed: Any, *args: Any, **more: Any) -> None:
            made(completed, *args, **more)
            self.count += 1
            self.resumed += completed.resumed
            self.last = completed

        HandshakeCompleted.__init__ = note  # type: ignore[method-assign]
        engine = Engine.__init__

        def note_engine(*args: Any) -> None:
            engine(*args)
            self.engines += 1

        Engine.__init__ = note_engine  # type: ignore[method-assign]

    def facts(self) -> dict[str, Any]:
        last = self.last
        return {
            "handshakes": self.count,
            "resumed": self.resumed,
            "engines": self.engines,
            "version": last.version.name,
            "alpn": last.alpn,
            "group": last.group and last.group.name,
            "client_certificate": len(last.peer_chain) > 0,
        }


def respond(witness: Witness, method: str, path: str, body: bytes) -> tuple[int, str, bytes]:
    """Status, content type and body."""
    if (method, path) == ("POST", "/echo"):
        return 200, "application/octet-stream", body
    if path == "/tls":
        return 200, "application/json", json.dumps(witness.facts()).encode()
    if path.startswith("/size/"):
        return 200, "application/octet-stream", content(int(path.removeprefix("/size/")))
    if path == "/script.js":
        return 200, "text/javascript", SCRIPT
    return (200, "text/html", PAGE) if path == "/" else (404, "text/plain", b"")


def asgi(witness: Witness, install: bool) -> Callable[..., Awaitable[None]]:
    """install: with tlsfast.aio beneath, set up where applications set up what they need, before the server listens."""

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            if install:
                import tlsfast.aio

                tlsfast.aio.install()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        assert scope["scheme"] == "https"
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, kind, answer = respond(witness, scope["method"], scope["path"], body)
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer[:1000], "more_body": True})
        await send({"type": "http.response.body", "body": answer[1000:]})

    return app


def wsgi(witness: Witness) -> Callable[..., Iterable[bytes]]:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        assert environ["wsgi.url_scheme"] == "https"
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length) if length else b""
        status, kind, answer = respond(witness, environ["REQUEST_METHOD"], environ["PATH_INFO"], body)
        headers = [("Content-Type", kind), ("Content-Length", str(len(answer)))]
        start_response(f"{status} {'OK' if status == 200 else 'Not Found'}", headers)
        return [answer[:1000], answer[1000:]]

    return app


# ---- The servers: each is given a listening socket ----


def run_uvicorn(given: argparse.Namespace, listener: socket.socket, witness: Witness) -> None:
    import uvicorn

    options: dict[str, Any] = {"loop": given.loop, "log_level": "warning"}
    if given.way == "context":
        options["ssl_context_factory"] = lambda config, default: context_of(given, ["http/1.1"])
    else:
        options.update(ssl_certfile=given.chain, ssl_keyfile=given.key, ssl_ca_certs=given.ca)
        options["ssl_cert_reqs"] = ssl.CERT_OPTIONAL
    config = uvicorn.Config(asgi(witness, given.install), **options)
    uvicorn.Server(config).run(sockets=[listener])


def run_hypercorn(given: argparse.Namespace, listener: socket.socket, witness: Witness) -> None:
    from hypercorn.config import Config

    class OverContext(Config):
        def create_ssl_context(self) -> ssl.SSLContext:
            return context_of(given, self.alpn_protocols)

    config = OverContext() if given.way == "context" else Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.certfile, config.keyfile, config.ca_certs = given.chain, given.key, given.ca
    config.verify_mode = ssl.CERT_OPTIONAL
    if given.loop == "trio":
        import trio
        from hypercorn.trio import serve as serve_in_trio

        trio.run(serve_in_trio, asgi(witness, given.install), config)
        return
    from hypercorn.asyncio import serve

    factory = None
    if given.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(asgi(witness, given.install), config))  # type: ignore[arg-type]


def run_gunicorn(given: argparse.Namespace, listener: socket.socket, witness: Witness) -> None:
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            self.cfg.set("bind", f"fd://{listener.detach()}")
            self.cfg.set("worker_class", given.loop)
            self.cfg.set("workers", 1)
            self.cfg.set("threads", 8 if given.loop == "gthread" else 1)
            self.cfg.set("certfile", given.chain)
            self.cfg.set("keyfile", given.key)
            self.cfg.set("ca_certs", given.ca)
            self.cfg.set("cert_reqs", int(ssl.CERT_OPTIONAL))
            if given.way == "context":
                self.cfg.set("ssl_context", lambda config, default: context_of(given, ["http/1.1"]))

        def load(self) -> Any:
            return wsgi(witness)

    Application().run()


def run_http_server(given: argparse.Namespace, listener: socket.socket, witness: Witness) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind, answer = respond(witness, self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    # Handshakes in the threads: a client that says nothing must not hold up the others.
    server.socket = context_of(given, ["http/1.1"]).wrap_socket(
        listener, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


def context_of(given: argparse.Namespace, alpn: list[str]) -> ssl.SSLContext:
    """A context of tlsfast, made and handed over by the program."""
    import tlsfast.ssl

    context = tlsfast.ssl.create_default_context(tlsfast.ssl.Purpose.CLIENT_AUTH, cafile=given.ca)
    context.load_cert_chain(given.chain, given.key)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(alpn)
    if given.maximum:
        context.maximum_version = ssl.TLSVersion[given.maximum]
    return context


SERVERS = {
    "uvicorn": run_uvicorn,
    "hypercorn": run_hypercorn,
    "gunicorn": run_gunicorn,
    "http.server": run_http_server,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server", choices=SERVERS)
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--way", choices=("context", "inject"), default="context")
    parser.add_argument("--maximum", default="")
    parser.add_argument("--install", action="store_true")
    for name in ("--chain", "--key", "--ca"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    if given.loop == "gevent":
        from gevent import monkey

        monkey.patch_all()
    if given.way == "inject":
        import tlsfast.ssl

        tlsfast.ssl.inject()
    witness = Witness()
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        listener.set_inheritable(True)
        print(f"port {listener.getsockname()[1]}", flush=True)
        SERVERS[given.server](given, listener, witness)


if __name__ == "__main__":
    sys.exit(main())
