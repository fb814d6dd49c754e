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

from tlsfast import HandshakeCompleted, TLSVersion

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


def run_as_client(program: Program, certificates: Certificates, row: dict[str, Any], sizes: Sequence[int]) -> None:
    """Our client at their server."""
    seen: list[Any] = []
    config = our_client(certificates, row, alpn=ALPN, observer=seen.append)
    server = certificates.server(row["key"])
    rounds = (False, True) if row["resume"] else (False,)
    options = {
        "role": "server",
        "ca": certificates.ca,
        "chain": server.chain,
        "key": server.key,
        "client_auth": row["client_auth"],
        "connections": len(rounds),
        "groups": [row["group"].name],
    }
    with listening(lambda port: argv(program, port=port, **options)) as (peer, port):
        for resumed in rounds:
            seen.clear()
            check_ours(echo_client(port, config, sizes), row, resumed, seen)
        told = facts(peer)
    given = certificates.client(row["key"]).entity.der if row["client_auth"] == "required" else None
    for line, resumed in zip(told, rounds, strict=True):
        check_theirs(line, row, resumed, given)
        assert line["name"] == NAME


def run_as_server(program: Program, certificates: Certificates, row: dict[str, Any], sizes: Sequence[int]) -> None:
    """Their client at our server."""
    seen: list[Any] = []
    client = certificates.client(row["key"]) if row["client_auth"] == "required" else None
    rounds = (False, True) if row["resume"] else (False,)
    group = row["group"].name
    with Server(our_server(certificates, row, alpn=ALPN, observer=seen.append), connections=len(rounds)) as server:
        command = argv(
            program,
            role="client",
            port=server.port,
            name=NAME,
            ca=certificates.ca,
            chain=client and client.chain,
            key=client and client.key,
            connections=len(rounds),
            sizes=",".join(map(str, sizes)),
            groups=[*([program.beside[group]] if row["retry"] else []), group],
        )
        with Peer(command) as peer:
            told = facts(peer)
        served = [ended_well(server.served(number), sizes) for number in range(len(rounds))]
    for line, info, resumed in zip(told, served, rounds, strict=True):
        check_ours(info, row, resumed, seen)
        assert info.server_name == NAME
        assert info.peer_chain == (client.entity.chain if client else ())
        check_theirs(line, row, resumed, certificates.server(row["key"]).entity.der)


def ended_well(served: Served, sizes: Sequence[int]) -> HandshakeCompleted:
    assert served.error is None and served.info is not None, served.error
    assert (served.received, served.clean) == (sum(sizes), True)
    return served.info


def check_ours(info: HandshakeCompleted, row: dict[str, Any], resumed: bool, seen: Sequence[Any]) -> None:
    assert info.version is TLSVersion.TLSv1_3
    assert (info.cipher_suite, info.group, info.resumed) == (row["suite"], row["group"], resumed)
    assert info.alpn == ALPN[0]
    assert saw_retry(seen) is row["retry"]


def check_theirs(told: dict[str, str], row: dict[str, Any], resumed: bool, certificate: bytes | None) -> None:
    """What the peer's library cannot tell, it leaves out."""
    expected = {
        "version": "TLSv1.3",
        "suite": row["suite"].name,
        "group": row["group"].name,
        "resumed": str(resumed).lower(),
        "retried": str(row["retry"]).lower(),
        "alpn": ALPN[0],
        "peer": sha256(certificate).hexdigest() if certificate else "",
    }
    assert {name: told[name] for name in expected if name in told} == {
        name: value for name, value in expected.items() if name in told
    }
    assert {"version", "suite", "alpn", "peer"} <= told.keys()
