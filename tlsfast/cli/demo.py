# SPDX-License-Identifier: Apache-2.0
"""tlsfast demo: a handshake and a resumed one on loopback, step by step, then their cost and that of bulk data beside the standard ssl module."""

from __future__ import annotations

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

import tlsfast
from tlsfast import crypto
from tlsfast.cli.authority import Authority, make_authority
from tlsfast.cli.measure import RESUMED_BY, STACKS, Rates, Server, measure
from tlsfast.cli.trace import Trace, summary

_HOST = "localhost"


def demo(size: int, handshakes: int, rounds: int, console: Console) -> None:
    """Run the command."""
    authority = make_authority()
    with Server("tlsfast", authority) as ours, Server("ssl", authority) as theirs:
        show_handshakes(ours.address, authority, console)
        console.print(Rule("cost", align="left"))
        console.print(
            Text(
                f"{rounds} rounds, the two libraries in turns, medians; client and server are two processes on loopback; "
                f"TLS 1.3, {_suite()}, a P-256 certificate that the client verifies. On this processor tlsfast uses "
                f"{', '.join(crypto.implementations().values())}.",
                "dim",
            )
        )
        servers = {"tlsfast": ours.address, "ssl": theirs.address}
        show_rates(measure(servers, authority, size << 20, handshakes, rounds, console), size, console)


def _suite() -> str:
    return tlsfast.CipherSuite.TLS_AES_256_GCM_SHA384.name


def show_handshakes(address: tuple[str, int], authority: Authority, console: Console) -> None:
    """A full handshake as the client sees it, a few bytes of data, and a second handshake with the ticket of the first."""
    config = tlsfast.ClientConfig(trust=tlsfast.TrustStore.from_pem(authority.ca), observer=Trace(console))
    for title in ("a full handshake, as the client sees it", "the same again, resumed with a ticket"):
        console.print(Rule(title, align="left"))
        with tlsfast.connect(address, config, server_name=_HOST, timeout=30) as stream:
            console.print(Text(summary(stream.info), "bold green"))
            stream.sendall(b"P")
            answer = stream.recv(1)
            console.print(Text(f"1 byte there, {len(answer)} back"))
            stream.send_eof()
            stream.recv(1)
        console.print()


def show_rates(rates: dict[str, Rates], size: int, console: Console) -> None:
    """A table: a row each measurement, the two libraries and their ratio."""
    table = Table(box=None, pad_edge=False)
    for name in ("", *(STACKS[each] for each in rates), "ratio"):
        table.add_column(name, justify="right" if name else "left")
    rows = (
        (f"client to server, {size} MiB", "MiB/s", [each.upload for each in rates.values()]),
        (f"server to client, {size} MiB", "MiB/s", [each.download for each in rates.values()]),
        ("full handshakes", "a second", [each.full for each in rates.values()]),
        ("resumed handshakes", "a second", [each.resumed for each in rates.values()]),
    )
    for name, unit, (ours, theirs) in rows:
        table.add_row(name, f"{ours:,.0f} {unit}", f"{theirs:,.0f} {unit}", f"{ours / theirs:.2f}")
    console.print(table)
    console.print(Text(RESUMED_BY, "dim"))
