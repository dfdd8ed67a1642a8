"""The broker's process: `python -m deploy.local.embedded_kafka HOST PORT`."""

import asyncio
import io
import sys
from contextlib import suppress
from struct import Struct
from typing import Any

from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.api import RequestHeader_v1, ResponseHeader_v0

from deploy.local.embedded_kafka.server import EmbeddedBroker, Handler

_SIZE = Struct(">i")
MAX_REQUEST_BYTES = 64 * 1024 * 1024
UNSUPPORTED_VERSION = 35


class Connections:
    """Answers the requests of each connection one after the other, as Kafka does."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._requests: dict[tuple[int, int], tuple[Any, Handler]] = {
            (kind.API_KEY, kind.API_VERSION): (kind, handler)  # type: ignore[attr-defined]
            for kind, handler in broker.handlers().items()
        }
        self._versions = [(key, version, version) for key, version in self._requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it goes, or until it sends what is no request of ours."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                (size,) = _SIZE.unpack(await reader.readexactly(_SIZE.size))
                if not 0 < size <= MAX_REQUEST_BYTES:
                    break
                answer = await self._answer(io.BytesIO(await reader.readexactly(size)))
                if answer is None:
                    break
                writer.write(_SIZE.pack(len(answer)) + answer)
                await writer.drain()
        writer.close()

    async def _answer(self, request: io.BytesIO) -> bytes | None:
        key, version, correlation_id = [field.decode(request) for field in RequestHeader_v1.SCHEMA.fields[:3]]
        head: bytes = ResponseHeader_v0(correlation_id).encode()
        if (key, version) not in self._requests:
            # From this answer a client learns the version to ask again with; to other requests there is none.
            return (
                head + ApiVersionResponse_v0(UNSUPPORTED_VERSION, self._versions).encode()
                if key == ApiVersionResponse_v0.API_KEY
                else None
            )
        RequestHeader_v1.SCHEMA.fields[3].decode(request)
        kind, handle = self._requests[key, version]
        answer: bytes = kind.RESPONSE_TYPE(*await handle(kind.decode(request))).encode()
        return head + answer


async def main(host: str, port: int) -> None:
    broker = EmbeddedBroker(host, port)
    server = await asyncio.start_server(Connections(broker).serve, host, port, limit=MAX_REQUEST_BYTES)
    async with server, asyncio.TaskGroup() as tasks:
        tasks.create_task(broker.coordinator.expire_members())
        tasks.create_task(server.serve_forever())


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1], int(sys.argv[2])))
