"""Lookup of merged accounts: what a batch asks the database for."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from libs.common.decisions.facts import TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueRated
from libs.common.events.registry import AnyEvent, event_class
from libs.common.postgres.pool import Connection
from libs.common.privacy.customer_merges import CurrentCustomers, customer_of
from tests.conftest import MakeDatabase, as_owner

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)
MERGED = "INSERT INTO merged_customers (former_id, customer_id, passes) VALUES ('C-OLD', 'C-NEW', 1)"
_LAST = "SELECT 'last'"


@pytest.fixture
async def conn(database: MakeDatabase) -> AsyncIterator[Connection]:
    conn = await asyncpg.connect(as_owner(await database("loyalty")))
    yield conn
    await conn.close()


def event(payload: Payload) -> AnyEvent:
    return event_class(type(payload)).model_construct(id="1", source="/test", type="test", time=NOON, data=payload)


def rated(customer_id: str) -> AnyEvent:
    return event(IssueRated(issue_id=UUID(int=1), order_id="O-1", customer_id=customer_id, score=5, rated_at=NOON))


async def statements_of(conn: Connection, customers: CurrentCustomers, *events: AnyEvent) -> list[str]:
    asked: list[str] = []
    conn.add_query_logger(lambda query: asked.append(query.query))
    await customers.attribute(conn, events)
    await conn.fetchval(_LAST)  # statements are logged in the next turn of the event loop
    return [statement for statement in asked if statement != _LAST]


async def test_without_merges_a_batch_asks_for_no_customer(conn: Connection) -> None:
    asked = await statements_of(conn, CurrentCustomers(), rated("C-1"), rated("C-2"))
    assert asked == ["SELECT EXISTS (SELECT FROM merged_customers)"]


async def test_a_batch_that_names_no_customer_asks_for_nothing(conn: Connection) -> None:
    fired = event(TimerFired(name="t", due_at=NOON))
    assert await statements_of(conn, CurrentCustomers(), fired) == []


async def test_a_merge_by_another_process_counts_for_the_next_batch(conn: Connection) -> None:
    customers = CurrentCustomers()
    before = [rated("C-OLD")]
    assert await customers.attribute(conn, before) is before
    await conn.execute(MERGED)
    [after] = await customers.attribute(conn, before)
    assert customer_of(after.data) == "C-NEW"


async def test_once_accounts_were_merged_a_batch_asks_for_its_customers_alone(conn: Connection) -> None:
    customers = CurrentCustomers()
    await conn.execute(MERGED)
    await customers.attribute(conn, [rated("C-1")])
    [asked] = await statements_of(conn, customers, rated("C-1"))
    assert "ANY($1)" in asked
