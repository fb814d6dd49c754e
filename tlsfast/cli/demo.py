# SPDX-License-Identifier: Apache-2.0
"""tlsfast demo: four handshakes on loopback step by step, from static RSA to a resumed TLS 1.3, then their cost beside the standard ssl module."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

import tlsfast
from tlsfast import crypto
from tlsfast.cli.authority import Authority, make_authority
from tlsfast.cli.measure import RESUMED_BY, RSA_SUITE, STACKS, Rates, Server, measure
from tlsfast.cli.trace import Trace, summary

_HOST = "localhost"
_ECDHE_SUITE = tlsfast.CipherSuite.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256


def demo(size: int, handshakes: int, rounds: int, console: Console) -> None:
    """Run the command."""
    authority = make_authority()
    with Server("tlsfast", authority) as ours, Server("ssl", authority) as theirs:
        show_nine_steps(console)
        show_handshakes(ours.address, authority, console)
        console.print(Rule("cost", align="left"))
        console.print(
            Text(
                f"{rounds} round{'s' if rounds > 1 else ''}, the two libraries in turns, medians; client and server are two processes on loopback; "
                f"TLS 1.3, {_suite()}, a P-256 certificate that the client verifies. On this processor tlsfast uses "
                f"{', '.join(crypto.implementations().values())}.",
                "dim",
            )
        )
        servers = {"tlsfast": ours.address, "ssl": theirs.address}
        show_rates(measure(servers, authority, size << 20, handshakes, rounds, console), size, console)


def _suite() -> str:
    return tlsfast.CipherSuite.TLS_AES_256_GCM_SHA384.name


def show_nine_steps(console: Console) -> None:
    """TLS 1.2 with static RSA: the handshake that most explanations tell, which a configuration must ask for by name."""
    authority = make_authority(key_transport=True)
    try:
        config = client_config(authority, console, cipher_suites=(RSA_SUITE,))
    except tlsfast.ConfigurationError as refused:
        console.print(Text(f"static RSA is left out: {refused}"))
        return
    with Server("static RSA", authority) as server:
        show("TLS 1.2 with static RSA, the nine steps (off by default)", server.address, config, console)


def show_handshakes(address: tuple[str, int], authority: Authority, console: Console) -> None:
    """What took its place; the last resumes with the ticket of the one before."""
    older = client_config(authority, console, cipher_suites=(_ECDHE_SUITE,))
    show("TLS 1.2 with fresh keys (ECDHE)", address, older, console)
    config = client_config(authority, console)
    show("TLS 1.3", address, config, console)
    show("TLS 1.3, resumed with a ticket", address, config, console)


def client_config(authority: Authority, console: Console, **more: Any) -> tlsfast.ClientConfig:
    trust = tlsfast.TrustStore.from_pem(authority.ca)
    return tlsfast.ClientConfig(trust=trust, observer=Trace(console), **more)


def show(title: str, address: tuple[str, int], config: tlsfast.ClientConfig, console: Console) -> None:
    """One handshake as the client sees it, a byte each way, and the close."""
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
