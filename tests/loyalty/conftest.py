"""A database of loyalty, and a connection to it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from libs.common.postgres.pool import Connection


@pytest.fixture
async def database_url(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("loyalty")


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()
