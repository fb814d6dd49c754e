# SPDX-License-Identifier: Apache-2.0
"""What is measured: each case is the same work for every stack of peers.py that can do it, both ends in one process where it says pair."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from peers import SUITES, Cannot, Stack, Terms, stacks

import tlsfast
from tlsfast import crypto, keyshare

SIZES = {"64 B": 64, "1,350 B": 1350, "16 KiB": 16384, "256 KiB": 262144}
SLOW = {"tlslite-ng": 1350}  # the largest records of a stack whose AEAD is Python: seconds each beyond
HKDF_LABEL = b"\x00\x20\x0dtls13 derived\x20" + bytes(32)
BULK_CALLS = 64


@dataclass(frozen=True)
class Work:
    """One call of `once` is what is timed. With `prepare`, each call takes one of the inputs that it made beforehand."""

    once: Callable[..., object]
    prepare: Callable[[int], list[bytes]] | None = None
    most_calls: int = 1 << 20  # in one turn: inputs take room


@dataclass(frozen=True)
class Case:
    """make: for each side's name what sets its work up, or raises Cannot. bytes: payload a call, 0 where a rate makes no sense.

    in_readme: one of the rows that the README shows; the others are in docs/bench.md."""

    name: str
    make: dict[str, Callable[[], Work]]
    bytes: int = 0
    in_readme: bool = False

    def sides(self) -> tuple[dict[str, Work], dict[str, str]]:
        """The sides that can, set up; and why the others cannot."""
        works: dict[str, Work] = {}
        left_out = dict(stacks()[1])
        for name, make in self.make.items():
            try:
                works[name] = make()
            except Cannot as reason:
                left_out[name] = str(reason)
        return works, left_out


# ---- Records ----


def check_size(stack: Stack, size: int) -> None:
    if size > SLOW.get(stack.name, size):
        raise Cannot(f"{stack.name} takes seconds for a call of this size")


def seal(stack: Stack, terms: Terms, size: int) -> Work:
    check_size(stack, size)
    return Work(stack.shaker(terms)().sealer(bytes(size)))


def open_(stack: Stack, terms: Terms, size: int) -> Work:
    check_size(stack, size)
    joined = stack.shaker(terms)()
    once, opened = joined.sealer(bytes(size)), joined.opener()
    return Work(opened, lambda calls: [once() for _ in range(calls)], max(BULK_CALLS, (1 << 22) // size))


def seal_into(stack: Stack, terms: Terms, size: int) -> Work:
    check_size(stack, size)
    joined = stack.shaker(terms)()
    return Work((joined.sealer_into or joined.sealer)(bytes(size)))


def open_into(stack: Stack, terms: Terms, size: int) -> Work:
    check_size(stack, size)
    joined = stack.shaker(terms)()
    once, opened = joined.sealer(bytes(size)), (joined.opener_into or joined.opener)()
    return Work(opened, lambda calls: [once() for _ in range(calls)], max(BULK_CALLS, (1 << 22) // size))


def pair(stack: Stack, terms: Terms, size: int) -> Work:
    check_size(stack, size)
    joined = stack.shaker(terms)()
    once, opened = joined.sealer(bytes(size)), joined.opener()
    return Work(lambda: opened(once()))


def every_stack(do: Callable[[Stack], Work]) -> dict[str, Callable[[], Work]]:
    return {name: lambda stack=stack: do(stack) for name, stack in stacks()[0].items()}  # type: ignore[misc]


def record_cases() -> Iterator[Case]:
    for suite in SUITES:
        terms = Terms(suite)
        for what, do in (("seal", seal), ("open", open_), ("seal and open", pair)):
            for label, size in SIZES.items():
                yield Case(
                    f"{suite}: {what} {label}",
                    every_stack(lambda stack, do=do, size=size, terms=terms: do(stack, terms, size)),
                    size,
                    suite == "AES-256-GCM" or label == "256 KiB",
                )
        for what, do in (("seal", seal_into), ("open", open_into)):
            yield Case(
                f"{suite}: {what} 256 KiB, into the caller's buffer",
                every_stack(lambda stack, do=do, terms=terms: do(stack, terms, SIZES["256 KiB"])),
                SIZES["256 KiB"],
                True,
            )
    terms = Terms(version="1.2")
    for label, size in SIZES.items():
        yield Case(
            f"TLS 1.2, AES-256-GCM: seal and open {label}",
            every_stack(lambda stack, size=size, terms=terms: pair(stack, terms, size)),
            size,
        )


# ---- Handshakes ----


def full(stack: Stack, terms: Terms) -> Work:
    if stack.name == "cryptography":
        raise Cannot("cryptography has no TLS")
    shake = stack.shaker(terms)
    shake()
    return Work(shake)


def resumed(stack: Stack, terms: Terms) -> Work:
    if stack.name == "cryptography":
        raise Cannot("cryptography has no TLS")
    return Work(stack.resumer(terms))


def handshake_cases() -> Iterator[Case]:
    hybrid = Terms(group="X25519MLKEM768")
    rows = [
        ("full handshake", full, Terms(), True),
        ("full handshake, chain cache on", full, Terms(chain_cache=True), True),
        ("full handshake, AES-128-GCM", full, Terms("AES-128-GCM"), False),
        ("full handshake, RSA-2048 certificate", full, Terms(key="rsa2048"), True),
        ("full handshake, X25519MLKEM768", full, hybrid, True),
        ("resumed handshake", resumed, Terms(), True),
        ("resumed handshake, X25519MLKEM768", resumed, hybrid, False),
        ("TLS 1.2: full handshake", full, Terms(version="1.2"), True),
        ("TLS 1.2: full handshake, RSA-2048 certificate", full, Terms(version="1.2", key="rsa2048"), False),
        ("TLS 1.2: resumed handshake", resumed, Terms(version="1.2"), True),
    ]
    for name, do, terms, in_readme in rows:
        make = every_stack(lambda stack, do=do, terms=terms: do(stack, terms))
        yield Case(name, make, in_readme=in_readme)


# ---- Primitives ----


def our_x25519() -> Work:
    group = tlsfast.NamedGroup.x25519
    peer = keyshare.KeyShare(group).public
    return Work(lambda: keyshare.KeyShare(group).agree(peer))


def their_x25519() -> Work:
    peer = X25519PrivateKey.generate().public_key()

    def once() -> object:
        private = X25519PrivateKey.generate()
        private.public_key().public_bytes_raw()
        return private.exchange(peer)

    return Work(once)


def our_expand_label() -> Work:
    secret, context = crypto.Secret.random(32), bytes(32)
    return Work(lambda: crypto.expand_label(crypto.SHA256, secret, b"derived", context, 32))


def their_expand_label() -> Work:
    secret, sha256 = bytes(32), hashes.SHA256()
    return Work(lambda: HKDFExpand(sha256, 32, HKDF_LABEL).derive(secret))


def cases() -> Iterator[Case]:
    """All cases, in the order of the tables."""
    yield from record_cases()
    yield from handshake_cases()
    x25519 = {"tlsfast": our_x25519, "cryptography": their_x25519}
    yield Case("X25519 key pair and exchange", x25519, in_readme=True)
    expand = {"tlsfast": our_expand_label, "cryptography": their_expand_label}
    yield Case("HKDF-Expand-Label, SHA-256", expand, in_readme=True)
