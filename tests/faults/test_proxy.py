"""The proxy's toxics, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from deploy.local.ports import LOOPBACK, free_port
from tests.faults.proxy import Proxy


@asynccontextmanager
async def echoing() -> AsyncIterator[tuple[Proxy, list[bytes], "Connect"]]:
    """An echo server behind a proxy: yields the proxy, the data that the server received, and a function
    that connects."""
    received: list[bytes] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                received.append(line)
                writer.write(line)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(echo, LOOPBACK, 0)
    proxy = Proxy("test", free_port(), server.sockets[0].getsockname()[1])
    await proxy.start()
    clients: list[Client] = []

    async def connect() -> Client:
        clients.append(Client(*await asyncio.open_connection(LOOPBACK, proxy.port)))
        return clients[-1]

    try:
        yield proxy, received, connect
    finally:
        for client in clients:
            client.writer.transport.abort()
        await proxy.stop()
        server.close()


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, text: bytes, seconds: float = 5) -> bytes:
        """The answer; empty where the connection has ended. Raises `TimeoutError`."""
        self.writer.write(text + b"\n")
        async with asyncio.timeout(seconds):
            try:
                return (await self.reader.readline()).strip()
            except ConnectionError:
                return b""


Connect = Callable[[], Awaitable[Client]]


async def test_a_well_link_hands_on_both_ways() -> None:
    async with echoing() as (_, _, connect):
        assert await (await connect()).ask(b"hello") == b"hello"


async def test_a_cut_link_breaks_off_what_is_open_and_what_comes_new_until_it_heals() -> None:
    async with echoing() as (proxy, _, connect):
        before = await connect()
        assert await before.ask(b"one") == b"one"
        proxy.cut()
        assert await before.ask(b"two") == b""
        assert await (await connect()).ask(b"three") == b""
        proxy.heal()
        assert await (await connect()).ask(b"four") == b"four"


async def test_a_half_open_link_lets_the_question_through_loses_the_answer_and_breaks_off_when_it_heals() -> None:
    async with echoing() as (proxy, received, connect):
        caller = await connect()
        assert await caller.ask(b"one") == b"one"
        proxy.half_open()
        with pytest.raises(TimeoutError):
            await caller.ask(b"commit", seconds=0.2)
        assert received == [b"one\n", b"commit\n"]
        proxy.heal()
        assert await caller.ask(b"two") == b""


async def test_a_slow_link_takes_its_time_both_ways() -> None:
    async with echoing() as (proxy, _, connect):
        caller = await connect()
        proxy.slow(0.1)
        begin = asyncio.get_running_loop().time()
        assert await caller.ask(b"hello") == b"hello"
        assert asyncio.get_running_loop().time() - begin >= 0.2
