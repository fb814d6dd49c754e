# SPDX-License-Identifier: Apache-2.0
"""What a test must leave behind: no connection, descriptor or thread more than before, and in a loop no task, timer or registered descriptor."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import ssl
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

from tlsfast import ClientConnection, ServerConnection, TLSSocket
from tlsfast.aio import TLSTransport
from tlsfast.aio.protocol import TLSProtocol
from tlsfast.ssl.engine import Engine

KINDS = (ClientConnection, ServerConnection, TLSSocket, TLSTransport, TLSProtocol, Engine, ssl.SSLSocket, ssl.SSLObject)


def descriptors() -> int:
    """How many this process has open; 0 where nothing tells."""
    return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0


def census() -> Counter[str]:
    """What exists of those kinds that must not pile up."""
    gc.collect()
    found = Counter(type(each).__name__ for each in gc.get_objects() if isinstance(each, KINDS))
    found["descriptors"], found["threads"] = descriptors(), threading.active_count()
    return found


@contextlib.contextmanager
def nothing_left(seconds: float = 10.0) -> Iterator[None]:
    """Around work that must end with all that it began; threads and sockets get that long to go."""
    before, end = census(), time.monotonic() + seconds
    yield
    while (more := census() - before) and time.monotonic() < end:
        time.sleep(0.02)
    assert not more, f"left behind: {dict(more)}"


def _held(loop: Any) -> tuple[int, int, int]:
    """Tasks, timers that were not cancelled, and descriptors that the selector watches. uvloop tells tasks alone."""
    timers = sum(not handle.cancelled() for handle in getattr(loop, "_scheduled", ()))
    watched = len(loop._selector.get_map()) if hasattr(loop, "_selector") else 0
    return len(asyncio.all_tasks(loop)), timers, watched


@contextlib.asynccontextmanager
async def quiet(seconds: float = 10.0) -> AsyncIterator[None]:
    """Around work after which the loop must have nothing more to do than before."""
    loop = asyncio.get_running_loop()
    before, end = _held(loop), time.monotonic() + seconds
    yield
    while _held(loop) != before and time.monotonic() < end:
        await asyncio.sleep(0.005)
    assert _held(loop) == before, f"tasks, timers, descriptors: {before} before, {_held(loop)} after"
