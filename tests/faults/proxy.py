"""A TCP proxy with toxics, between a service and its Kafka or Postgres: cut, slow, half-open.

Half-open means that the server's responses are lost while the connection stays up, as when a router drops one
direction: a COMMIT may have been executed without an answer. Connections that lost data are aborted when the link
heals.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from deploy.local.ports import LOOPBACK

_CHUNK = 65_536


@dataclass(eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    lost_data: bool = False

    def abort(self) -> None:
        for writer in (self.client, self.server):
            with suppress(Exception):  # it may be closed already
                writer.transport.abort()


@dataclass
class Proxy:
    """Listens on `port` and forwards to `target`, both on loopback. `delay` is in seconds, per chunk of data."""

    name: str
    port: int
    target: int
    refuses_connections: bool = False
    drops_responses: bool = False
    delay: float = 0.0
    _connections: set[_Connection] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        self._abort(self._connections)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Abort every connection, and every new one."""
        self.refuses_connections = True
        self._abort(self._connections)

    def slow(self, delay: float) -> None:
        self.delay = delay

    def half_open(self) -> None:
        """Drop the server's responses from now on."""
        self.drops_responses = True

    def heal(self) -> None:
        """Remove all toxics; connections that lost data are aborted."""
        self.refuses_connections, self.drops_responses, self.delay = False, False, 0.0
        self._abort({connection for connection in self._connections if connection.lost_data})

    def _abort(self, connections: set[_Connection]) -> None:
        for connection in list(connections):
            connection.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "the server runs us as a task"
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await self._connect(reader, writer)
        writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses_connections:
            return
        answers, server = await asyncio.open_connection(LOOPBACK, self.target)
        connection = _Connection(writer, server)
        self._connections.add(connection)
        directions = [
            asyncio.create_task(self._forward(reader, server, connection, answers=False)),
            asyncio.create_task(self._forward(answers, writer, connection, answers=True)),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            connection.abort()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if answers and self.drops_responses:
                    connection.lost_data = True
                    continue
                writer.write(data)
                await writer.drain()
