"""A service on a real socket, and a client that sends raw bytes."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import FastAPI

from libs.common.config.settings import ServiceSettings
from libs.common.http.connection_limits import ConnectionLimits
from libs.common.runtime.server import http_server
from tests.running import eventually


@dataclass(frozen=True)
class RawClient:
    """Client that sends raw bytes to a port."""

    port: int
    _open: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection and send these bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._open.append(writer)
        writer.write(data)
        await writer.drain()
        return reader, writer

    async def exchange(self, *data: bytes) -> bytes:
        """Send these bytes and return everything received until the server closes the connection."""
        reader, writer = await self.connect()
        with contextlib.suppress(ConnectionError):
            for piece in data:
                writer.write(piece)
                await writer.drain()
        return await rest_of(reader)

    async def close(self) -> None:
        for writer in self._open:
            writer.close()
        for writer in self._open:
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def rest_of(reader: asyncio.StreamReader) -> bytes:
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := await reader.read(65_536):
            data += piece
    return data


@contextlib.asynccontextmanager
async def listening(
    app: FastAPI, settings: ServiceSettings, limits: ConnectionLimits | None = None
) -> AsyncIterator[RawClient]:
    """Serve an app, whose lifespan runs already, exactly as `libs.common.runtime` does."""
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        server = http_server(app, settings, limits)
        server.config.lifespan = "off"
        running = asyncio.create_task(server.serve([listener]))
        await eventually(lambda: _started(server), "the server listens")
        client = RawClient(listener.getsockname()[1])
        try:
            yield client
        finally:
            await client.close()
            server.should_exit = True
            await running


async def _started(server: object) -> bool:
    return bool(getattr(server, "started", False))


def status_and_code(answer: bytes) -> tuple[int, str]:
    """Return status and code of the last answer received."""
    head, _, body = answer[answer.rindex(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), str(json.loads(body)["code"])
