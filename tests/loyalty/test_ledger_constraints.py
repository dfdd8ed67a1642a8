"""Constraints of the ledger in its database, also against the owner of the tables."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from libs.common.postgres.pool import ConflictError, Connection
from services.loyalty.ledger.entries import Entry
from services.loyalty.store import queries
from tests.conftest import as_owner
from tests.ledger import assert_balances_equal_sums
from tests.loyalty.histories import CUSTOMER, InMemoryLedger, resolved
from tests.loyalty.ledger_calls import LEDGER, apply_batch


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(as_owner(database_url))
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET points = points + 1",
        "UPDATE entries SET rule = 'another'",
        "DELETE FROM entries",
        "TRUNCATE entries CASCADE",
    ],
)
async def test_the_ledger_is_append_only_even_for_its_owner(owner: Connection, statement: str) -> None:
    await apply_batch(owner, [resolved()])
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await owner.execute(statement)


@pytest.mark.parametrize("table", ["balances", "lots"])
@pytest.mark.parametrize("change", ["UPDATE {} SET pending = pending + 1, issued = issued - 1", "DELETE FROM {}"])
async def test_sums_are_changed_by_the_ledger_only(owner: Connection, table: str, change: str) -> None:
    await apply_batch(owner, [resolved()])
    with pytest.raises(asyncpg.RestrictViolationError, match="is derived from the ledger"):
        await owner.execute(change.format(table))


async def test_a_balance_that_is_not_the_sum_would_be_found(owner: Connection, database_url: str) -> None:
    """By the query of the service, and by the check that runs on every database of loyalty after its test."""
    await apply_batch(owner, [resolved()])
    await owner.execute("ALTER TABLE balances DISABLE TRIGGER balances_reject_direct_change")
    await owner.execute("UPDATE balances SET spent = 1, pending = pending - 1")
    assert await queries.unbalanced_customers(owner) == [CUSTOMER]
    with pytest.raises(AssertionError, match="does not sum to the balance"):
        await assert_balances_equal_sums(database_url)
    await owner.execute("UPDATE balances SET spent = 0, pending = pending + 1")


def wrong(**change: Any) -> Entry:
    """Return the second entry of a customer, changed to be invalid."""
    entry = InMemoryLedger().apply(resolved(), resolved(issue_id=UUID(int=9))).entries[1]
    return replace(entry, **change)


FIRST = InMemoryLedger().apply(resolved()).entries[0]
ON_FIRST: dict[str, Any] = {"lot_id": FIRST.lot_id, "entry_id": UUID(int=77)}


@pytest.mark.parametrize(
    ("entry", "constraint"),
    [
        (wrong(number=1), "entries_number_unique"),
        (wrong(number=0), "entries_number_positive"),
        (wrong(points=0), "entries_points_positive"),
        (wrong(points=-5), "entries_points_positive"),
        (wrong(kind="gift"), "entries_accounts_match_kind"),
        (wrong(kind="vest"), "entries_accounts_match_kind"),
        (wrong(to_account="spent"), "entries_accounts_match_kind"),
        (wrong(to_account="nowhere"), "entries_accounts_match_kind"),
        (wrong(rule=None), "grants_are_complete"),
        (wrong(legal_basis=None), "grants_are_complete"),
        (wrong(entry_id=UUID(int=77)), "grants_are_complete"),
        (replace(FIRST, number=2, entry_id=UUID(int=77), lot_id=UUID(int=77)), "entries_one_grant_per_cause"),
        (
            wrong(kind="vest", from_account="pending", to_account="available", points=550, **ON_FIRST),
            "lots_not_negative",
        ),
        (wrong(kind="redeem", from_account="reserved", to_account="spent", **ON_FIRST), "lots_not_negative"),
        (
            wrong(kind="adjust", from_account="available", to_account="issued", **ON_FIRST),
            "adjustments_name_staff_and_note",
        ),
        (wrong(kind="reverse", from_account="debt", to_account="issued", points=550, **ON_FIRST), "lots_not_negative"),
    ],
)
async def test_an_invalid_entry_is_refused(conn: Connection, entry: Entry, constraint: str) -> None:
    await apply_batch(conn, [resolved()])
    with pytest.raises((asyncpg.IntegrityConstraintViolationError, ConflictError)) as refused:
        await LEDGER.save(conn, {}, [entry])
    assert constraint in f"{refused.value} {refused.value.__cause__}"
