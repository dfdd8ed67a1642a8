"""A connection to an empty database of one service."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.postgres.pool import Connection
from tests.conftest import MakeDatabase


@pytest.fixture
async def conn(database: MakeDatabase, request: pytest.FixtureRequest) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database(getattr(request, "param", "loyalty")))
    yield connection
    await connection.close()
