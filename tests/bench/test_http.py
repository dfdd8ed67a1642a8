"""The benchmark's HTTP client against a real server, with responses in pieces."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from deploy.local.ports import LOOPBACK
from tests.bench.http import ConnectionPool, connect
from tests.bench.load import AcceptedReports, ReportRefusedError, flood

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """Yields its port; ends once every connection has ended."""
    serving: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        await serve(reader, writer)
        writer.close()
        await writer.wait_closed()

    running = await asyncio.start_server(accept, LOOPBACK, 0)
    try:
        yield running.sockets[0].getsockname()[1]
    finally:
        running.close()
        await asyncio.wait(serving)


def answering(*pieces: bytes) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            for piece in pieces:
                writer.write(piece)
                await writer.drain()

    return serve


async def test_an_answer_is_put_together_from_its_pieces() -> None:
    async with server(answering(b"HTTP/1.1 202 Acc", b"epted\r\nContent-Length: 4\r\n\r", b"\nab", b"cd")) as port:
        connection = await connect(port)
        assert await connection.call(b"x\n") == (202, b"abcd")
        connection.close()


async def test_a_connection_is_used_again() -> None:
    async with server(answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")) as port:
        pool = ConnectionPool(port, 1)
        assert [await pool.call(b"x\n") for _ in range(2)] == [(200, b"ok")] * 2
        pool.close()


async def test_a_connection_that_ends_raises_an_error() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()

    async with server(hang_up) as port:
        connection = await connect(port)
        with pytest.raises(ConnectionError):
            await connection.call(b"x\n")
        connection.close()


async def test_a_flood_stops_at_the_first_refusal_and_says_it() -> None:
    async with server(answering(b"HTTP/1.1 409 Conflict\r\nContent-Length: 5\r\n\r\ntaken")) as port:
        with pytest.raises(ReportRefusedError, match="409: taken"):
            await flood(port, [b"x\n"] * 10, 2)


def test_an_accepted_report_is_noted_by_its_id() -> None:
    accepted = AcceptedReports()
    accepted.record((202, b'{"issue_id": "i-1"}'), 1.0)
    assert accepted.due == {"i-1": 1.0}
