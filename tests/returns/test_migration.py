"""Cases of the version before are read by this one, and that version goes on while this one's schema is there."""

from pathlib import Path

import asyncpg

from services.returns.domain.case_status import Headline
from services.returns.store import cases as store
from services.returns.store.cases import CASE, CaseFilter, list_cases
from tests.conftest import MakeDatabase, as_owner
from tests.returns.cases import story

MIGRATIONS = Path(store.__file__).parents[1] / "migrations"

SAVED_BEFORE = """
    INSERT INTO cases AS old (key, version, body, headline, in_review)
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::jsonb[], $4::text[], $5::boolean[])
    ON CONFLICT (key) DO UPDATE
    SET version = excluded.version, body = excluded.body, headline = excluded.headline,
        in_review = excluded.in_review
    WHERE old.version = excluded.version - 1"""


async def test_cases_of_the_version_before_are_read_and_it_can_still_write(database: MakeDatabase) -> None:
    case = story().known
    body = CASE.dump_json(case, exclude_defaults=True).decode()
    conn = await asyncpg.connect(as_owner(await database("returns")))
    async with conn.transaction():
        await conn.execute("CREATE SCHEMA earlier")
        await conn.execute("SET LOCAL search_path = earlier, public")
        for name in ("0001_cases.sql", "0002_customers.sql", "0003_erasure.sql"):
            await conn.execute((MIGRATIONS / name).read_text())
        await conn.execute(
            SAVED_BEFORE, ["a", "b"], [1, 1], [body] * 2, ["replacement_ordered", "resolved"], [False] * 2
        )
        await conn.execute((MIGRATIONS / "0004_whole_cases.sql").read_text())
        assert await list_cases(conn, CaseFilter(headline=Headline.REPLACEMENT_ORDERED)) == [case]
        assert await list_cases(conn, CaseFilter(headline=Headline.RESOLVED)) == [case]
        await conn.execute(SAVED_BEFORE, ["a", "c"], [2, 1], [body] * 2, ["collecting"] * 2, [False] * 2)
        rows = await conn.fetch("SELECT key, version, order_id, is_open FROM cases ORDER BY key")
    await conn.close()
    assert [tuple(row) for row in rows] == [("a", 2, "O-1", True), ("b", 1, "O-1", False), ("c", 1, "O-1", True)]
