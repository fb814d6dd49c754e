# SPDX-License-Identifier: Apache-2.0
"""`make ct-rsa`: does the server's time show what RSA decryption gave? Welch's t over a few thousand of each variant: a report.

usage: python tests/ct_rsa.py [--each N]

A real server receives a ClientKeyExchange of each variant in random order; the clock runs while it works on that one record. |t| below 4.5 against
the right premaster secret is the usual threshold for "no difference seen"; on a shared machine run it again before believing a larger one."""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from pair import NAME, client_config, server_config
from rsa_variants import variants
from test_handshake12 import STATIC_RSA, V12, transport_credential

from tlsfast import ClientConnection, ServerConnection
from tlsfast.messages.handshake12 import ClientKeyExchange

VARIANTS = (
    "right",
    "wrong first byte",
    "no zero byte",
    "too short",
    "too long",
    "wrong version, major",
    "another premaster",
)
THRESHOLD = 4.5


def sample(client: ClientConnection, server: ServerConnection, ciphertext: bytes) -> float:
    """Seconds in which the server takes one ClientKeyExchange."""
    server.receive_data(client.data_to_send())
    body = ClientKeyExchange.rsa(ciphertext).encode()
    record = b"\x16\x03\x03" + len(body).to_bytes(2) + body
    start = time.perf_counter()
    server.receive_data(record)
    return time.perf_counter() - start


def welch(a: list[float], b: list[float]) -> float:
    """Welch's t of two samples."""
    spread = statistics.variance(a) / len(a) + statistics.variance(b) / len(b)
    return (statistics.fmean(a) - statistics.fmean(b)) / math.sqrt(spread)


def cropped(times: dict[str, list[float]]) -> dict[str, list[float]]:
    """Without what lies above the 70th percentile of all variants together: other work of the machine (as dudect crops)."""
    everything = sorted(time for each in times.values() for time in each)
    limit = everything[len(everything) * 7 // 10]
    return {name: [time for time in each if time <= limit] for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=3000)
    each = parser.parse_args().each
    shared = {"versions": V12, "cipher_suites": [STATIC_RSA[0]]}
    client = client_config(**shared, session_cache=None)
    server = server_config(**shared, credentials=[transport_credential()])
    key = x509.load_der_x509_certificate(transport_credential().chain[0]).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise SystemExit("the credential has no RSA key")
    order = [name for name in VARIANTS for _ in range(each)]
    random.shuffle(order)
    times: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for done, name in enumerate(order):
        ciphertext = variants(key, b"\x03\x03" + random.randbytes(46))[name]
        times[name].append(sample(ClientConnection(client, NAME), ServerConnection(server), ciphertext))
        if done % 2000 == 1999:
            print(f"{done + 1} of {len(order)}", flush=True)
    kept_times = cropped(times)
    right = kept_times["right"]
    print(f"{'variant':24} {'median us':>10} {'mean us':>10} {'t against right':>16}")
    for name, kept in kept_times.items():
        t = welch(kept, right) if name != "right" else 0.0
        verdict = "" if abs(t) < THRESHOLD else "  <- differs"
        print(
            f"{name:24} {statistics.median(kept) * 1e6:10.2f} {statistics.fmean(kept) * 1e6:10.2f} {t:16.2f}{verdict}"
        )


if __name__ == "__main__":
    main()
