"""Migrations run once, in order, and refuse changes that would make two databases differ."""

import asyncio

import asyncpg
import pytest

from libs.common.postgres.migrate import Migration, MigrationError, migrate, pending
from tests.conftest import MakeDatabase, as_owner

ONE = Migration("returns", 1, "0001_one.sql", "SELECT 1")
TWO = Migration("returns", 2, "0002_two.sql", "SELECT 2")


def test_what_is_not_applied_yet_is_pending_in_order() -> None:
    assert pending([ONE, TWO], {}) == [ONE, TWO]
    assert pending([ONE, TWO], {("returns", 1): ONE.checksum}) == [TWO]


def test_a_file_that_was_changed_after_it_was_applied_is_refused_by_name() -> None:
    with pytest.raises(MigrationError, match=r"0001_one\.sql: changed after"):
        pending([ONE], {("returns", 1): "another checksum"})


def test_a_file_that_comes_before_an_applied_one_is_refused() -> None:
    with pytest.raises(MigrationError, match=r"0001_one\.sql: number is below"):
        pending([ONE, TWO], {("returns", 2): TWO.checksum})


async def test_running_them_again_changes_nothing(database: MakeDatabase) -> None:
    conn = await asyncpg.connect(as_owner(await database("loyalty")))
    assert await migrate(conn, "loyalty") == []
    await conn.close()


async def test_two_runs_at_once_do_not_meet(database: MakeDatabase) -> None:
    url = as_owner(await database("loyalty"))
    connections = [await asyncpg.connect(url) for _ in range(4)]
    assert await asyncio.gather(*(migrate(conn, "loyalty") for conn in connections)) == [[], [], [], []]
    for conn in connections:
        await conn.close()
