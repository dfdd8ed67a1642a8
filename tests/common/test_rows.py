"""Constraint errors of Postgres contain row values: these are never logged or stored."""

import asyncpg
import pytest

from libs.common.postgres.pool import strip_row_values
from tests.common.leaks import leaks
from tests.conftest import MakeDatabase, as_owner


async def test_an_error_shows_no_values_of_the_row_that_caused_it(database: MakeDatabase) -> None:
    conn = await asyncpg.connect(as_owner(await database("returns")))
    try:
        await conn.execute("CREATE TABLE people (name text, CONSTRAINT short CHECK (length(name) < 3))")
        with pytest.raises(asyncpg.CheckViolationError) as caught:
            await conn.execute("INSERT INTO people VALUES ($1)", "山田 花子")
    finally:
        await conn.close()
    wrapped = RuntimeError("the batch failed")
    wrapped.__cause__ = caught.value
    assert leaks(str(caught.value)), "else there is nothing to take out"
    strip_row_values(wrapped)
    assert leaks(str(caught.value)) == []
    assert '"short"' in str(caught.value), "which constraint it was is still said"
