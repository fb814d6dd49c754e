# SPDX-License-Identifier: Apache-2.0
"""Key shares, and the pool that X25519's come from: each pair serves once, in one process, whoever takes it and however the process forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import backends
import pytest
from backends import ALL_BITS, X25519, ffi, lib

from tlsfast import keyshare
from tlsfast.crypto import Secret
from tlsfast.errors import IllegalParameter, InternalError
from tlsfast.keyshare import CURVES, KeyShare
from tlsfast.registry import NamedGroup

x25519 = NamedGroup.x25519
BATCH = 8


def private_of(share: KeyShare) -> Secret:
    private = share._private
    assert isinstance(private, Secret)
    return private


@pytest.mark.parametrize("group", sorted(CURVES))
def test_both_sides_find_the_same_secret_once(group: NamedGroup) -> None:
    ours, theirs = KeyShare(group), KeyShare(group)
    secret = ours.agree(theirs.public)
    assert secret.reveal() == theirs.agree(ours.public).reveal() != bytes(len(secret))
    with pytest.raises(InternalError, match="one handshake"):
        ours.agree(theirs.public)


@pytest.mark.parametrize("backend", backends.masks(X25519))
def test_pairs_are_pairs(backend: str) -> None:
    """Of three batches and what lies between, with and without the processor bits that a pool needs: each public value is its private key's."""
    seen = set()
    for mask in (backends.masks(X25519)[backend], ALL_BITS, backends.masks(X25519)[backend]):
        with backends.cpu(mask):
            for _ in range(BATCH + 3):
                share, public = KeyShare(x25519), bytearray(32)
                with backends.cpu(0):
                    assert lib.tf_x25519_public(ffi.from_buffer(public), private_of(share).handle) == 0
                assert bytes(public) == share.public
                seen.add(share.public)
    assert len(seen) == 3 * (BATCH + 3)


def test_the_private_key_is_wiped_by_its_use() -> None:
    for peer in (KeyShare(x25519).public, bytes(32)):
        share = KeyShare(x25519)
        private = private_of(share)
        assert len(private) == 32
        try:
            share.agree(peer)
        except IllegalParameter:
            assert peer == bytes(32)
        assert len(private) == 0


def test_there_is_a_pool_on_linux() -> None:
    if sys.platform == "linux":
        assert keyshare._pool != ffi.NULL


def test_threads_share_no_pair() -> None:
    """And no thread gets a pair that another's batch has half overwritten."""
    found: list[list[KeyShare]] = [[] for _ in range(4)]
    start = threading.Barrier(len(found))

    def take(shares: list[KeyShare]) -> None:
        start.wait()
        shares.extend(KeyShare(x25519) for _ in range(2000))

    threads = [threading.Thread(target=take, args=(shares,)) for shares in found]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)
    shares = [share for each in found for share in each]
    assert len({share.public for share in shares}) == 8000
    public = bytearray(32)
    for share in shares:
        assert lib.tf_x25519_public(ffi.from_buffer(public), private_of(share).handle) == 0
        assert public == share.public


# Prints the public values of a parent and of children forked from it at any moment, with threads inside the pool or not, by os.fork or by the C
# library's, which Python does not see.
FORKS = """
import ctypes, os, sys, threading
from tlsfast.keyshare import KeyShare
from tlsfast.registry import NamedGroup

def take(count):
    os.write(1, b"".join(KeyShare(NamedGroup.x25519).public.hex().encode() + b"\\n" for _ in range(count)))

fork = os.fork if sys.argv[1] == "os" else ctypes.CDLL(None).fork
go_on = True
def hammer():
    while go_on:
        take(3)
threads = [threading.Thread(target=hammer) for _ in range(int(sys.argv[2]))]
for thread in threads:
    thread.start()
for number in range(12):
    take(1 + number % 8)
    child = fork()
    if child == 0:
        take(9)
        os._exit(0)
    take(9)
    assert os.waitpid(child, 0)[1] == 0
go_on = False
for thread in threads:
    thread.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(("fork", "threads"), [("os", 0), ("os", 2), ("libc", 0)])
def test_a_forked_child_has_no_pair_of_its_parent(fork: str, threads: int) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKS, fork, str(threads)]
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    publics = done.stdout.decode().split()
    assert len(publics) >= 12 * 18 + sum(1 + number % 8 for number in range(12))
    assert {len(public) for public in publics} == {64} and len(set(publics)) == len(publics)
