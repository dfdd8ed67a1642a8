"""A minimal HTTP/1.1 client over kept connections, so that the benchmark uses little CPU.

Requests are prepared bytes; of a response only status and body are read. httpx costs about as much CPU per call as the
service that answers it.
"""

import asyncio
from dataclasses import dataclass, field
from typing import cast

from deploy.local.ports import LOOPBACK


class HttpConnection(asyncio.Protocol):
    """One connection, one call at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self.retry_after = False  # whether the last response had the header

    async def call(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. Raises `ConnectionError` if the connection ends first."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("intake closed the connection")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_exception(ConnectionError(f"intake aborted the connection: {exc}"))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_ends = self._buffer.find(b"\r\n\r\n")
        if head_ends < 0:
            return
        body_begins = head_ends + 4
        body_ends = body_begins + _content_length(bytes(self._buffer[:head_ends]))
        if len(self._buffer) >= body_ends and self._answer and not self._answer.done():
            self.retry_after = b"\r\nretry-after:" in self._buffer[:body_begins].lower()
            status, body = int(self._buffer[9:12]), bytes(self._buffer[body_begins:body_ends])
            del self._buffer[:body_ends]
            self._answer.set_result((status, body))


def _content_length(head: bytes) -> int:
    return int(head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0] or 0)


async def connect(port: int) -> HttpConnection:
    _, connection = await asyncio.get_running_loop().create_connection(HttpConnection, LOOPBACK, port)
    return connection


@dataclass
class ConnectionPool:
    """Idle connections; up to `most` are opened when all are busy."""

    port: int
    most: int
    _free: list[HttpConnection] = field(default_factory=list)
    _room: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.most)

    async def call(self, request: bytes) -> tuple[int, bytes]:
        async with self._room:
            connection = self._free.pop() if self._free else await connect(self.port)
            try:
                answer = await connection.call(request)
            except ConnectionError:  # idle for too long; the Idempotency-Key makes a retry safe
                connection = await connect(self.port)
                answer = await connection.call(request)
            self._free.append(connection)
            return answer

    def close(self) -> None:
        for connection in self._free:
            connection.close()
        self._free.clear()
