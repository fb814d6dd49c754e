# SPDX-License-Identifier: Apache-2.0
"""CPython's ssl module as the peer, both roles: every cell of the matrix in memory, the rest of TLS 1.3 one by one, and data over sockets."""

from __future__ import annotations

import pytest
from memory import StandardSSL
from shared import InMemory

pytestmark = pytest.mark.interop


class TestStandardSSL(InMemory):
    peer = StandardSSL()
