# SPDX-License-Identifier: Apache-2.0
"""open_connection and start_server: asyncio's streams over TLS, with half-close, and with data handed to a waiting read() as it came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from tlsfast.aio.connect import create_connection, create_server
from tlsfast.aio.server import Server
from tlsfast.config import ClientConfig, ServerConfig
from tlsfast.errors import Truncated

_LIMIT: Final = 64 * 1024

ClientConnected = Callable[["StreamReader", asyncio.StreamWriter], Awaitable[None] | None]


class StreamReader(asyncio.StreamReader):
    """asyncio's StreamReader, of whose parts it uses those declared here. A stream that was cut short gives what came, then raises Truncated."""

    _buffer: bytearray
    _eof: bool
    _exception: Exception | None
    _waiter: asyncio.Future[None] | None
    _wakeup_waiter: Callable[[], None]
    _wait_for_data: Callable[[str], Awaitable[None]]

    def __init__(self, limit: int = _LIMIT, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__(limit, loop) if loop is not None else super().__init__(limit)
        self._direct = False  # read() waits, with nothing buffered: the next data is its answer
        self._chunk: bytes | None = None
        self._cut: Truncated | None = None

    def feed_data(self, data: Any) -> None:
        if self._direct and not self._eof and data:
            self._direct, self._chunk = False, data
            self._wakeup_waiter()
            return
        self._spill()
        super().feed_data(data)

    def feed_eof(self) -> None:
        self._direct = False
        super().feed_eof()

    def set_exception(self, exc: Exception) -> None:
        if isinstance(exc, Truncated) and self._exception is None:
            self._cut = exc
            self.feed_eof()
        else:
            super().set_exception(exc)

    def exception(self) -> Any:
        return self._exception if self._exception is not None else self._cut

    def at_eof(self) -> bool:
        return super().at_eof() and self._chunk is None

    def _spill(self) -> None:
        """What was meant for a read() that has not come to take it goes to the buffer."""
        if self._chunk is not None:
            chunk, self._chunk = self._chunk, None
            self._buffer.extend(chunk)

    async def read(self, n: int = -1) -> bytes:
        if n > 0 and not (self._buffer or self._eof or self._exception is not None or self._waiter is not None):
            self._direct = True
            try:
                await self._wait_for_data("read")
                chunk = self._chunk
                if chunk is not None and not self._buffer:
                    self._chunk = None
                    if len(chunk) > n:
                        self._buffer.extend(memoryview(chunk)[n:])
                        chunk = chunk[:n]
                    return chunk
            finally:
                self._direct = False
                self._spill()
        data = await super().read(n)
        if not data and n != 0 and self._cut is not None:
            raise self._cut.fresh()
        return data

    async def readexactly(self, n: int) -> bytes:
        try:
            return await super().readexactly(n)
        except asyncio.IncompleteReadError as error:
            if self._cut is not None and not error.partial:
                raise self._cut.fresh() from None
            raise

    async def readuntil(self, separator: Any = b"\n") -> bytes:
        try:
            return await super().readuntil(separator)
        except asyncio.IncompleteReadError as error:
            if self._cut is not None and not error.partial:
                raise self._cut.fresh() from None
            raise


class StreamReaderProtocol(asyncio.StreamReaderProtocol):
    """Between transport and stream. The peer's close leaves our direction open, as over plain TCP."""

    def eof_received(self) -> bool:
        super().eof_received()
        return True


async def open_connection(
    host: str | None = None,
    port: int | None = None,
    config: ClientConfig | None = None,
    *,
    limit: int = _LIMIT,
    **options: Any,
) -> tuple[StreamReader, asyncio.StreamWriter]:
    """asyncio.open_connection with TLS; the options are those of tlsfast.aio.create_connection."""
    loop = asyncio.get_running_loop()
    reader = StreamReader(limit, loop)
    protocol = StreamReaderProtocol(reader, loop=loop)
    transport, _ = await create_connection(lambda: protocol, host, port, config, **options)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def start_server(
    client_connected_cb: ClientConnected,
    host: str | Sequence[str] | None = None,
    port: int | None = None,
    config: ServerConfig | None = None,
    *,
    limit: int = _LIMIT,
    **options: Any,
) -> Server:
    """asyncio.start_server with TLS: client_connected_cb(reader, writer) is called, or run as a task, when a handshake is done.

    The options are those of tlsfast.aio.create_server; the server has reload(config)."""
    loop = asyncio.get_running_loop()

    def make() -> StreamReaderProtocol:
        return StreamReaderProtocol(StreamReader(limit, loop), client_connected_cb, loop=loop)  # type: ignore[arg-type]

    return await create_server(make, host, port, config, **options)
