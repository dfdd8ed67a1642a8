"""Query plans: every read of a decision uses an index, whenever it was planned."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from libs.common.postgres.pool import Connection
from services.loyalty.store import ledger
from tests.conftest import MakeDatabase
from tests.query_plans import by, plan_of

MANY = """
    INSERT INTO entries (entry_id, customer_id, number, kind, cause, lot_id, from_account, to_account, points, at, text,
                         grant_kind, rule, rule_version, legal_basis, counts_for_tier, expires_on, inputs)
    SELECT id, 'C-' || n % 2000, n / 2000 + 1, 'grant', 'cause-' || n, id, 'issued', 'pending', 10, now(), 'sorry',
           'apology', 'sorry', '1', 'goodwill', false, now() + interval '1 year', '{}'
    FROM (SELECT n, gen_random_uuid() AS id FROM generate_series(1, 10000) AS n) AS grants;
    ANALYZE"""

READS = {
    "customers without a balance": (ledger._LOCK_NEW_CUSTOMERS, by("balances_pkey")),
    "lock of balances": (ledger._LOCK_BALANCES, by("balances_pkey")),
    "memberships": (ledger._MEMBERSHIPS, by("memberships_pkey")),
    "lots": (ledger._LOTS, by("lots_of_customer", "entries_pkey", "entries_once_per_cause")),
    "withheld grants": (ledger._WITHHELD, by("withheld_grants_of_issue")),
    "points spent on an order": (ledger._SPENDING, by("entries_spent_on_order", "entries_once_per_cause")),
    "redemptions": (ledger._REDEMPTIONS, by("entries_once_per_cause")),
    "purchases": (ledger._PURCHASES, by("orders_pkey")),
}


@pytest.fixture
async def conn(database: MakeDatabase) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("loyalty"))
    yield connection
    await connection.close()


@pytest.mark.parametrize("name", READS)
async def test_with_ten_thousand_entries_each_read_is_by_its_indexes(conn: Connection, name: str) -> None:
    await conn.execute(MANY)
    query, expected = READS[name]
    assert await plan_of(conn, query) == expected


@pytest.mark.parametrize("name", READS)
async def test_a_plan_made_before_the_first_entry_reads_by_the_same_indexes(conn: Connection, name: str) -> None:
    query, expected = READS[name]
    assert await plan_of(conn, query) == expected
