"""Pool behaviour for sessions that Postgres ended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from libs.common.postgres.pool import create_pool, is_transient
from tests.conftest import MakeDatabase, as_owner
from tests.faults.next_release import add_columns


@asynccontextmanager
async def over_a_link_that_hides_the_end(url: str) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Proxy that forwards all data but delays the end of the connection until the event is set."""
    there, links, ended = urlsplit(url), set[asyncio.StreamWriter](), asyncio.Event()

    async def carry(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            to.write(data)
            await to.drain()
        ended.set()

    async def link(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, back = await asyncio.open_connection(there.hostname, there.port)
        links.update({writer, back})
        await asyncio.gather(carry(reader, back), carry(further, writer), return_exceptions=True)

    server = await asyncio.start_server(link, "127.0.0.1", 0)
    try:
        place = f"{there.netloc.rpartition(':')[0]}:{server.sockets[0].getsockname()[1]}"
        yield there._replace(netloc=place).geturl(), ended
    finally:
        server.close()
        for writer in links:
            writer.close()


async def test_a_session_that_was_ended_without_its_end_being_heard_passes_and_is_replaced(
    database: MakeDatabase,
) -> None:
    url = await database("returns")
    admin = await asyncpg.connect(url)
    async with over_a_link_that_hides_the_end(url) as (through, ended):
        pool = await create_pool(through, size=1, application_name="test")
        async with pool.acquire() as conn:
            session = conn.get_server_pid()
        ended.clear()  # of the connection that asked for TLS first
        await admin.execute("SELECT pg_terminate_backend($1)", session)
        await ended.wait()
        for _ in range(3):  # the last words have been handed on; the loop reads them in its next turn
            await asyncio.sleep(0)
        with pytest.raises(asyncpg.InternalClientError, match="cannot switch to state") as caught:
            async with pool.acquire() as conn, conn.transaction():
                pass
        assert is_transient(caught.value)
        assert await pool.fetchval("SELECT 1") == 1
        pool.terminate()  # in order it would wait for the end
    await admin.close()


async def test_a_statement_prepared_before_a_migration_is_tried_again(database: MakeDatabase) -> None:
    url = await database("loyalty")
    pool = await create_pool(url, size=1, application_name="test")
    query = "SELECT * FROM memberships"
    await pool.fetch(query)
    await add_columns(as_owner(url), "of_next_release")
    with pytest.raises(asyncpg.InvalidCachedStatementError) as caught:
        async with pool.acquire() as conn, conn.transaction():
            await conn.fetch(query)
    assert is_transient(caught.value)
    assert await pool.fetch(query) == []
    await pool.close()


def test_a_lack_of_memory_passes() -> None:
    assert is_transient(MemoryError())


async def test_several_hosts_of_which_none_takes_writes_yet_pass(database: MakeDatabase) -> None:
    url = await database("returns")
    pool = await create_pool(f"{url}?target_session_attrs=standby", size=1, application_name="test")
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched) as caught:
        await pool.fetch("SELECT 1")
    assert is_transient(caught.value)
    await pool.close()
