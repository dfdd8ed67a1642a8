"""Columns that the migration of a later release adds while this one runs: the ledger reads what it knows by name."""

import asyncpg
import pytest

from libs.common.postgres.pool import Connection
from tests.conftest import as_owner
from tests.faults.next_release import add_columns
from tests.loyalty.histories import NOON, cancelled, delivered, placed, refunded, reopened, resolved
from tests.loyalty.ledger_calls import LEDGER, apply_batch, apply_to_orders


@pytest.fixture
async def conn(database_url: str) -> Connection:
    await add_columns(as_owner(database_url), "of_next_release")
    return await asyncpg.connect(database_url)


async def test_accounts_are_loaded_from_tables_with_more_columns(conn: Connection) -> None:
    await apply_to_orders(conn, placed(), delivered())
    await apply_batch(conn, [reopened(resolution=2), refunded(), resolved()])
    await conn.execute("INSERT INTO memberships (customer_id, tier) VALUES ('C-1001', 'gold')")
    await apply_batch(conn, [resolved(resolution=2), refunded("100", refund=2), cancelled()])
    account = await LEDGER.read_account(conn, "C-1001", NOON)
    await conn.close()
    assert account.membership
    assert account.membership.tier == "gold"
