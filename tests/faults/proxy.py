"""A TCP proxy with toxics, between a service and its Kafka or Postgres: cut, slow, half-open.

Half-open means that the server's answers are lost while the connection stays up, as when a router forgets one
direction: a COMMIT may have been carried out and nobody hears so. What was spoilt is broken off when the link heals.
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
    spoilt: bool = False

    def break_off(self) -> None:
        for writer in (self.client, self.server):
            with suppress(Exception):  # it may be gone already
                writer.transport.abort()


@dataclass
class Proxy:
    """Listens on `port` and hands on to `target`, both on loopback. `delay` is in seconds, per piece of data."""

    name: str
    port: int
    target: int
    refuses: bool = False
    loses_answers: bool = False
    delay: float = 0.0
    _connections: set[_Connection] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, self.port)

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        self._break_off(self._connections)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Break every connection off, and every new one."""
        self.refuses = True
        self._break_off(self._connections)

    def slow(self, delay: float) -> None:
        self.delay = delay

    def half_open(self) -> None:
        """Lose what the server answers from now on."""
        self.loses_answers = True

    def heal(self) -> None:
        """As it should be; connections that lost something are broken off."""
        self.refuses, self.loses_answers, self.delay = False, False, 0.0
        self._break_off({one for one in self._connections if one.spoilt})

    @property
    def is_well(self) -> bool:
        return not (self.refuses or self.loses_answers or self.delay)

    def _break_off(self, connections: set[_Connection]) -> None:
        for one in list(connections):
            one.break_off()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "the server runs us as a task"
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer)
        writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuses:
            return
        answers, server = await asyncio.open_connection(LOOPBACK, self.target)
        connection = _Connection(writer, server)
        self._connections.add(connection)
        ways = [
            asyncio.create_task(self._hand_on(reader, server, connection, answers=False)),
            asyncio.create_task(self._hand_on(answers, writer, connection, answers=True)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._connections.discard(connection)
            connection.break_off()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _hand_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: _Connection, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if answers and self.loses_answers:
                    connection.spoilt = True
                    continue
                writer.write(data)
                await writer.drain()
