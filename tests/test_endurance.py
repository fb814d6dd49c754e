# SPDX-License-Identifier: Apache-2.0
"""Thousands of handshakes with flat memory: measured, not guessed (SECURITY-BAR: leaks and load)."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from pair import client_config, make_pair, server_config, trust

HANDSHAKES = int(os.environ.get("TLSFAST_ENDURANCE", "20000"))
WARM_UP = 2000


def resident_kib() -> int:
    """Resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_memory_is_flat_over_many_handshakes() -> None:
    """Full, resumed and failed ones in turn; after the warm-up the process may not grow by more than a byte or two a handshake."""
    client, server = client_config(), server_config()
    refusing = server_config(client_auth="required", trust=trust())
    fresh = client_config(session_cache=None)

    def handshakes(count: int) -> None:
        for number in range(count):
            if number % 10 == 9:
                assert make_pair(fresh, refusing).run().server_error is not None
            else:
                pair = make_pair(client if number % 2 else fresh, server).run()
                assert pair.complete
                pair.client.send_data(b"x" * 100)
                pair.client.close()
                pair.run()

    handshakes(WARM_UP)
    gc.collect()
    before = resident_kib()
    handshakes(HANDSHAKES)
    gc.collect()
    grown = resident_kib() - before
    print(f"resident memory grew by {grown} KiB over {HANDSHAKES} handshakes")
    # A leak of one 288-byte secret a handshake would be 5,600 KiB.
    assert grown < 2048
