# SPDX-License-Identifier: Apache-2.0
"""Peers that are programs of ours over another stack, in peers/: an echo server and its client, told by flags, that print a line a connection."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from harness import NAME, Certificates, Peer, Served, Server, echo_client, listening
from memory import our_client, our_server, saw_retry
from tls12 import SUITES12, check_ours12, client_groups, our_client12, our_server12, rounds, server_identity

from tlsfast import ClientConfig, HandshakeCompleted, ServerConfig, TLSVersion

PEERS = Path(__file__).parent / "peers"
ALPN = ("echo/1", "h2")


@dataclass(frozen=True)
class Program:
    """command: what runs it, given the groups it shall support. beside: for a group, the one that its client must support too so that it sends a
    share of that one, and is led to the other by a HelloRetryRequest; a group that is missing cannot be reached so."""

    command: Callable[[Sequence[str]], Sequence[str]]
    beside: Mapping[str, str]


def path_with_environment() -> str:
    """The PATH, after the scripts of the environment whose Python runs us: a test's peers come from there first."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def argv(program: Program, *, groups: Sequence[str], **options: object) -> list[str]:
    """The command line: an option that is empty is left out."""
    given = {"ca": None, "groups": ",".join(groups), "alpn": ",".join(ALPN), **options}
    return [*program.command(groups), *(f"-{name.replace('_', '-')}={value}" for name, value in given.items() if value)]


def facts(peer: Peer) -> list[dict[str, str]]:
    """What it printed: one line of name=value for each connection, in order. It must have ended well."""
    assert peer.finish() == 0, peer.report()
    lines = peer.out.decode().splitlines()
    assert not any(line.startswith("error") for line in lines), peer.report()
    return [dict(word.split("=", 1) for word in line.split(" ")) for line in lines]


def is12(row: dict[str, Any]) -> bool:
    return row["suite"] in SUITES12


def times(row: dict[str, Any]) -> tuple[bool, ...]:
    """Of each connection, whether it is resumed."""
    if is12(row):
        return rounds(row)
    return (False, True) if row["resume"] else (False,)


def config_of(role: str, certificates: Certificates, row: dict[str, Any], **changes: Any) -> Any:
    """Our side of a row, of either version."""
    make: dict[tuple[str, bool], Callable[..., ClientConfig | ServerConfig]] = {
        ("client", False): our_client,
        ("server", False): our_server,
        ("client", True): our_client12,
        ("server", True): our_server12,
    }
    return make[role, is12(row)](certificates, row, **changes)


def version_options(row: dict[str, Any]) -> dict[str, Any]:
    """What tells the peer to speak TLS 1.2, and how: the suite is named, for static RSA is on nowhere unless it is."""
    if not is12(row):
        return {}
    return {
        "version": "TLSv1.2",
        "suites": row["suite"].name,
        "sessions": row["resume"] or "none",
    }


def run_as_client(program: Program, certificates: Certificates, row: dict[str, Any], sizes: Sequence[int]) -> None:
    """Our client at their server."""
    seen: list[Any] = []
    config = config_of("client", certificates, row, alpn=ALPN, observer=seen.append)
    server = server_identity(certificates, row)
    options = {
        "role": "server",
        "ca": certificates.ca,
        "chain": server.chain,
        "key": server.key,
        "client_auth": row["client_auth"],
        "connections": len(times(row)),
        "groups": [group.name for group in config.groups] if is12(row) else [row["group"].name],
        **version_options(row),
    }
    with listening(lambda port: argv(program, port=port, **options)) as (peer, port):
        for resumed in times(row):
            seen.clear()
            check_ours(echo_client(port, config, sizes), row, resumed, seen)
        told = facts(peer)
    given = certificates.client(row["key"]).entity.der if row["client_auth"] == "required" else None
    for line, resumed in zip(told, times(row), strict=True):
        check_theirs(line, row, resumed, given)
        assert line["name"] == NAME


def run_as_server(program: Program, certificates: Certificates, row: dict[str, Any], sizes: Sequence[int]) -> None:
    """Their client at our server."""
    seen: list[Any] = []
    client = certificates.client(row["key"]) if row["client_auth"] == "required" else None
    if is12(row):
        groups = [group.name for group in client_groups(row)]
    else:
        groups = [*([program.beside[row["group"].name]] if row["retry"] else []), row["group"].name]
    config = config_of("server", certificates, row, alpn=ALPN, observer=seen.append)
    with Server(config, connections=len(times(row))) as server:
        command = argv(
            program,
            role="client",
            port=server.port,
            name=NAME,
            ca=certificates.ca,
            chain=client and client.chain,
            key=client and client.key,
            connections=len(times(row)),
            sizes=",".join(map(str, sizes)),
            groups=groups,
            **version_options(row),
        )
        with Peer(command) as peer:
            told = facts(peer)
        served = [ended_well(server.served(number), sizes) for number in range(len(times(row)))]
    for line, info, resumed in zip(told, served, times(row), strict=True):
        check_ours(info, row, resumed, seen)
        assert info.server_name == NAME
        assert info.peer_chain == (client.entity.chain if client else ())
        check_theirs(line, row, resumed, server_identity(certificates, row).entity.der)


def ended_well(served: Served, sizes: Sequence[int]) -> HandshakeCompleted:
    assert served.error is None and served.info is not None, served.error
    assert (served.received, served.clean) == (sum(sizes), True)
    return served.info


def check_ours(info: HandshakeCompleted, row: dict[str, Any], resumed: bool, seen: Sequence[Any]) -> None:
    assert info.alpn == ALPN[0]
    if is12(row):
        check_ours12(info, row, resumed)
        return
    assert info.version is TLSVersion.TLSv1_3
    assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], row["group"], resumed)
    assert saw_retry(seen) is row["retry"]


def check_theirs(told: dict[str, str], row: dict[str, Any], resumed: bool, certificate: bytes | None) -> None:
    """What the peer's library cannot tell, it leaves out."""
    expected = {
        "version": "TLSv1.2" if is12(row) else "TLSv1.3",
        "suite": row["suite"].name,
        "group": row["group"].name if row["group"] and not (is12(row) and resumed) else None,
        "resumed": str(resumed).lower(),
        "retried": str(row.get("retry", False)).lower(),
        "alpn": ALPN[0],
        "peer": sha256(certificate).hexdigest() if certificate else "",
    }
    assert {"version", "suite", "alpn", "peer"} <= told.keys()
    for name, value in expected.items():
        if value is not None and name in told:
            assert told[name] == value, name
