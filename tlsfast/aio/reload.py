# SPDX-License-Identifier: Apache-2.0
"""watch(): gives a running server a new configuration when its files change; certificates renewed on disk are in use without a restart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from logging import getLogger
from typing import Final

from tlsfast.aio.server import Server
from tlsfast.config import ServerConfig

logger: Final = getLogger("tlsfast.aio")

Path = str | os.PathLike[str]
# What tells one state of a file from another: renewals replace files, or the links that lead to them.
_State = tuple[int, int, int] | None


async def watch(
    server: Server, paths: Iterable[Path], load: Callable[[], ServerConfig], *, interval: float = 5.0
) -> None:
    """Call load() and server.reload() with what it returns whenever one of the files has changed. Runs until it is cancelled: make it a task.

    load runs in a thread. While it raises (a new chain is there, its key is not yet) the server keeps what it has, the reason goes to the log
    "tlsfast.aio", and load is called again after each interval. Let load reuse one TicketKeyring, and tickets outlive the change."""
    files = tuple(paths)
    seen = await asyncio.to_thread(_look, files)
    pending = False
    while True:
        await asyncio.sleep(interval)
        now = await asyncio.to_thread(_look, files)
        if now == seen and not pending:
            continue
        seen, pending = now, True
        try:
            config = await asyncio.to_thread(load)
            server.reload(config)
        except Exception as error:
            logger.warning("the new configuration was not taken, the server keeps the one it has: %s", error)
        else:
            pending = False
            logger.info("a new configuration was taken")


def _look(files: tuple[Path, ...]) -> tuple[_State, ...]:
    return tuple(map(_state, files))


def _state(path: Path) -> _State:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
