# SPDX-License-Identifier: Apache-2.0
"""The commands with their options, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tlsfast.cli.connect import ConnectOptions, connect
from tlsfast.cli.demo import demo
from tlsfast.cli.serve import ServeOptions, serve
from tlsfast.cli.words import printable
from tlsfast.errors import ApiMisuse, CertificateError, MissingDependency, TLSError, UnknownCA

CODES = """Exit codes: 0 all went well; 1 the handshake or the connection failed; 2 an option, file or key that cannot work; 3 the network: no such
host, nobody listens, no answer in time."""

app = typer.Typer(
    name="tlsfast",
    help="TLS connections from the command line, shown step by step.",
    epilog=CODES,
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def run(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    try:
        code = app(arguments, standalone_mode=False)
    except KeyboardInterrupt:
        return 130
    except typer.Abort:
        return 130
    except Exception as error:
        told = explain(error)
        if told is None:
            raise
        code, sentence = told
        print(f"tlsfast: {sentence}", file=sys.stderr)
    return int(code or 0)


def explain(error: Exception) -> tuple[int, str] | None:
    """The exit code and the sentence of an error; None for one that is a fault of ours."""
    if isinstance(error, ApiMisuse | MissingDependency):
        return 2, printable(str(error))
    if isinstance(error, TimeoutError):
        return 3, f"no answer in time: {printable(str(error))} (--timeout gives it longer)"
    if isinstance(error, TLSError):
        hint = ""
        if isinstance(error, UnknownCA):
            hint = " (--ca FILE trusts another authority, --insecure goes on without verification)"
        elif isinstance(error, CertificateError):
            hint = " (--insecure goes on without verification)"
        return 1, printable(str(error)) + hint
    if isinstance(error, socket.gaierror):
        return 3, f"the host was not found: {error.strerror}: check its name"
    if isinstance(error, ConnectionRefusedError):
        return 3, "nobody listens there: the connection was refused; check the port, and that the server runs"
    if isinstance(error, OSError):
        at = f"{error.filename}: " if error.filename else ""
        return (2 if error.filename else 3), f"{at}{error.strerror or error}"
    show = getattr(error, "format_message", None)  # typer's own usage errors
    if show is not None:
        return 2, f"{show()} (tlsfast --help lists commands and options)"
    return None


def _console(quiet: bool) -> Console:
    return Console(stderr=True, quiet=quiet, highlight=False)


@app.command("connect")
def connect_command(
    target: Annotated[
        str, typer.Argument(metavar="HOST[:PORT]", help="Where to connect; the port is 443 if not given.")
    ],
    ca: Annotated[Path | None, typer.Option(help="Trust the authorities in this PEM file, not the system's.")] = None,
    cert: Annotated[
        Path | None, typer.Option(help="Our certificate chain, PEM or PKCS#12, for a server that asks.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, where it is not in the same file.")] = None,
    alpn: Annotated[list[str] | None, typer.Option(help="Offer this application protocol; repeat for more.")] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="Offer this group alone, such as x25519; repeat for more.")
    ] = None,
    suite: Annotated[list[str] | None, typer.Option(help="Offer this cipher suite alone; repeat for more.")] = None,
    servername: Annotated[
        str | None, typer.Option(help="The name to ask for and to verify; HOST if not given.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Accept any certificate: anyone in between can read along.")
    ] = False,
    keylog: Annotated[
        Path | None, typer.Option(help="Append the session's secrets to this file, for a packet analyser.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.01, help="Seconds for connecting, for the handshake and for the last answer.")
    ] = 10.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Connect twice, the second time with the ticket of the first.")
    ] = False,
    request: Annotated[
        str | None, typer.Option(help="Send this in place of standard input; \\r and \\n are understood.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show what the server sends, nothing else.")] = False,
) -> None:
    """Connect to a server, show the handshake, then join standard input and output to it.

    \b
    Examples:
      tlsfast connect example.com < /dev/null
      tlsfast connect example.com --request 'GET / HTTP/1.0\\r\\nHost: example.com\\r\\n\\r\\n'
      tlsfast connect localhost:8443 --ca ca.pem --resume
    """  # fmt: skip
    connect(
        ConnectOptions(
            target,
            ca,
            cert,
            key,
            alpn or [],
            group or [],
            suite or [],
            servername,
            insecure,
            keylog,
            timeout,
            resume,
            request,
        ),
        _console(quiet),
    )


@app.command("serve")
def serve_command(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen on this port; 0 takes any that is free.")] = 8443,
    host: Annotated[
        str, typer.Option(help="Listen on this address; 0.0.0.0 takes connections from everywhere.")
    ] = "127.0.0.1",
    cert: Annotated[
        Path | None, typer.Option(help="Certificate chain, PEM or PKCS#12; made for localhost if not given.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key, where it is not in the same file.")] = None,
    ca_out: Annotated[Path | None, typer.Option(help="Where the throwaway authority's certificate is written.")] = None,
    echo: Annotated[bool, typer.Option("--echo", help="Send back what comes (this is the default).")] = False,
    www: Annotated[bool, typer.Option("--www", help="Answer HTTP requests with a page about the connection.")] = False,
    client_auth: Annotated[
        Path | None, typer.Option(help="Require client certificates of the authorities in this PEM file.")
    ] = None,
    alpn: Annotated[list[str] | None, typer.Option(help="Choose this application protocol; repeat for more.")] = None,
    connections: Annotated[int, typer.Option(min=1, help="Serve at most so many connections at a time.")] = 64,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many connections.")] = None,
    timeout: Annotated[
        float, typer.Option(min=0.01, help="Seconds for a handshake, and for a client that says nothing.")
    ] = 60.0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not show the handshakes.")] = False,
) -> None:
    """Serve TLS connections, with a certificate of your own or a throwaway one.

    \b
    Examples:
      tlsfast serve --www
      tlsfast serve --cert chain.pem --key key.pem --port 8443 --alpn http/1.1
    """  # fmt: skip
    if echo and www:
        raise ApiMisuse("--echo and --www exclude each other: choose one")
    options = ServeOptions(host, port, cert, key, ca_out, www, client_auth, alpn or [], connections, count, timeout)
    serve(options, _console(quiet))


@app.command("demo")
def demo_command(
    size: Annotated[int, typer.Option(min=1, help="MiB to move each way.")] = 256,
    handshakes: Annotated[int, typer.Option(min=1, help="Handshakes of each kind in a round.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each number shown is their median.")] = 3,
) -> None:
    """Show handshakes on loopback step by step, from the nine steps of static RSA to TLS 1.3, then what they and bulk data cost beside ssl.

    \b
    Example:
      tlsfast demo --size 64
    """
    demo(size, handshakes, rounds, Console(highlight=False))
