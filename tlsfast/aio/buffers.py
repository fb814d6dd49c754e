# SPDX-License-Identifier: Apache-2.0
"""The receive buffer: one for each event loop, whatever the number of its connections."""

from __future__ import annotations

import asyncio
from typing import Final
from weakref import WeakKeyDictionary

from tlsfast.record import ReceiveBuffer

# One read: large enough that a call of the engine opens many records, small enough to stay in the processor's cache.
SIZE: Final = 256 * 1024

_buffers: WeakKeyDictionary[asyncio.AbstractEventLoop, ReceiveBuffer] = WeakKeyDictionary()


def receive_buffer(loop: asyncio.AbstractEventLoop) -> ReceiveBuffer:
    """The loop's buffer, made on first use; it goes with the loop."""
    buffer = _buffers.get(loop)
    if buffer is None:
        buffer = _buffers[loop] = ReceiveBuffer(SIZE)
    return buffer
