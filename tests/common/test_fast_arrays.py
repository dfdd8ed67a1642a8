"""Array parameters of statements: every container that the stores pass, and the shortcut of asyncpg's checks."""

from collections import UserList, deque
from collections.abc import AsyncIterator, Iterable

import asyncpg
import pytest

from libs.common.postgres.pool import Pool, create_pool
from tests.conftest import MakeDatabase

NAMES = {"b": "b", "a": "a"}


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("loyalty"), size=1, application_name="arrays")
    yield pool
    await pool.close()


@pytest.mark.parametrize(
    "names",
    [list(NAMES), tuple(NAMES), set(NAMES), frozenset(NAMES), deque(NAMES), NAMES.keys(), NAMES.values()],
)
async def test_a_container_is_sent_as_an_array(pool: Pool, names: Iterable[str]) -> None:
    assert sorted(await pool.fetchval("SELECT $1::text[]", names)) == ["a", "b"]


async def test_elements_may_be_absent(pool: Pool) -> None:
    assert await pool.fetchval("SELECT $1::text[]", ["a", None]) == ["a", None]


async def test_an_array_of_arrays_has_two_dimensions(pool: Pool) -> None:
    assert await pool.fetchval("SELECT array_ndims($1::int[])", [[1, 2], [3, 4]]) == 2


async def test_no_abstract_class_is_asked_about_an_element(pool: Pool) -> None:
    with pytest.raises(asyncpg.DataError, match="expected str, got UserList"):
        await pool.fetchval("SELECT $1::text[]", [UserList(["a"])])
