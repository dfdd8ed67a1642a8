"""A ledger of the first version becomes one in double entry, with everything it said."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg

from services.loyalty.store import ledger, queries
from tests.conftest import as_owner

MIGRATIONS = Path(ledger.__file__).parents[1] / "migrations"

OLD = """
    INSERT INTO entries (entry_id, customer_id, number, kind, cause, issue_id, pending, final,
                         pending_after, final_after, rule, rule_version, at) VALUES
    ('00000000-0000-0000-0000-000000000001', 'C', 1, 'grant', 'issue:00000000-0000-0000-0000-0000000000aa:1',
     '00000000-0000-0000-0000-0000000000aa', 300, 0, 300, 0, 'our_product', '2026-11', '2026-11-01T00:00Z'),
    ('00000000-0000-0000-0000-000000000002', 'C', 2, 'vest', 'issue:00000000-0000-0000-0000-0000000000aa:1',
     '00000000-0000-0000-0000-0000000000aa', -300, 300, 0, 300, NULL, NULL, '2026-11-15T00:00Z'),
    ('00000000-0000-0000-0000-000000000003', 'C', 3, 'grant', 'issue:00000000-0000-0000-0000-0000000000bb:1',
     '00000000-0000-0000-0000-0000000000bb', 200, 0, 200, 300, 'our_product', '2026-11', '2026-11-16T00:00Z'),
    ('00000000-0000-0000-0000-000000000004', 'C', 4, 'reverse', 'issue:00000000-0000-0000-0000-0000000000bb:1',
     '00000000-0000-0000-0000-0000000000bb', -200, 0, 0, 300, NULL, NULL, '2026-11-17T00:00Z');
    INSERT INTO balances VALUES ('C', 4, 0, 300);
    INSERT INTO withheld VALUES ('issue:00000000-0000-0000-0000-0000000000bb:1', 'C',
                                 '00000000-0000-0000-0000-0000000000bb', '2026-11-17T00:00Z')"""


async def test_what_was_booked_before_stands_in_the_new_books(database: Callable[[str], Awaitable[str]]) -> None:
    conn = await asyncpg.connect(as_owner(await database("loyalty")))
    async with conn.transaction():
        await conn.execute("CREATE SCHEMA earlier")
        await conn.execute("SET LOCAL search_path = earlier, public")
        await conn.execute((MIGRATIONS / "0001_ledger.sql").read_text())
        await conn.execute(OLD)
        await conn.execute((MIGRATIONS / "0002_double_entry.sql").read_text())
        held = await queries.balance_of(conn, "C")
        assert (held["available"], held["pending"], held["issued"]) == (300, 0, -300)
        assert await ledger.unbalanced(conn) == []
        assert [row["kind"] for row in await queries.page_of(conn, "C", 99, 9)] == [
            "reverse",
            "grant",
            "vest",
            "grant",
        ]
        assert await conn.fetchval("SELECT name FROM timers") == "expiry"
    await conn.close()
