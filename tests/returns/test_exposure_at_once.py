"""Exposure ledger under concurrency, on a real Postgres: cases of one customer decided at once."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.storefront import OrderDelivered
from libs.common.events.values import LineQuantity, Reason
from libs.common.messaging.decision_runner import Incoming
from libs.common.postgres.pool import ConflictError, Pool, create_pool
from services.returns.store.case_queries import find_customer_exposure
from services.returns.store.order_snapshots import OrderSnapshots, address_hashes
from tests.conftest import MakeDatabase
from tests.returns.cases import TUESDAY, accepted, event_of, line
from tests.returns.test_store import CASES, RUNNER, learn, placed

REPORTS = 6
EACH = "20000"
"""Price of each case: the cap of a new customer, 60000, allows three."""


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("returns"), size=REPORTS, application_name="test")
    yield pool
    await pool.close()


def report(number: int) -> UUID:
    return derived_id("issue", "at once", number)


async def take(pool: Pool, *numbers: int) -> None:
    """Apply these reports in one transaction, retried after conflicts as the consumer does."""
    events = [
        Incoming(event_of(accepted(Reason.DEFECTIVE, line(price=EACH), issue_id=report(n), order_id=f"O-{n}")))
        for n in numbers
    ]
    for _ in range(20):
        try:
            async with pool.acquire() as conn, conn.transaction():
                await RUNNER.apply(conn, CASES, events)
            return
        except (ConflictError, asyncpg.DeadlockDetectedError):
            continue
    raise AssertionError("twenty conflicts in a row")


async def held_back(pool: Pool) -> int:
    async with pool.acquire() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM cases WHERE in_review"))


@pytest.mark.parametrize("batches", [[[n] for n in range(REPORTS)], [[0, 1, 2], [3, 4, 5]], [list(range(REPORTS))]])
async def test_however_they_arrive_only_what_the_cap_carries_leaves(pool: Pool, batches: list[list[int]]) -> None:
    await learn(pool, *(placed(f"O-{n}") for n in range(REPORTS)))
    await asyncio.gather(*(take(pool, *batch) for batch in batches))
    assert await held_back(pool) == REPORTS - 3
    async with pool.acquire() as conn:
        customer = await find_customer_exposure(conn, "C-1")
    assert customer
    assert len(customer.recent_reports) == REPORTS


async def test_what_was_delivered_to_them_carries_more(pool: Pool) -> None:
    orders = [placed(f"O-{n}") for n in range(REPORTS)]
    await learn(pool, *orders)
    expensive = placed("O-expensive")
    price = expensive.lines[0].unit_price.model_copy(update={"amount": 40000})
    expensive = expensive.model_copy(update={"lines": (expensive.lines[0].model_copy(update={"unit_price": price}),)})
    there = OrderDelivered(order_id="O-expensive", lines=(LineQuantity(line_id="1", quantity=1),), delivered_at=TUESDAY)
    async with pool.acquire() as conn, conn.transaction():
        await RUNNER.apply(conn, OrderSnapshots(), [Incoming(event_of(expensive)), Incoming(event_of(there))])
    await take(pool, *range(REPORTS))
    assert await held_back(pool) == REPORTS - 4


KEY, ANOTHER_KEY = b"a key of sixteen bytes", b"another key, as long"


async def learn_shared_address(pool: Pool) -> None:
    """Store an order of each of six customers at one address."""
    shared = [placed(f"O-{n}").model_copy(update={"customer_id": f"C-{n}"}) for n in range(REPORTS)]
    async with pool.acquire() as conn, conn.transaction():
        await RUNNER.apply(conn, OrderSnapshots((KEY,)), [Incoming(event_of(order)) for order in shared])


async def test_one_address_is_distinguished_from_another_by_a_keyed_hash_only(pool: Pool) -> None:
    await learn_shared_address(pool)
    stored = await pool.fetch("SELECT DISTINCT address_hash FROM order_snapshots")
    address = placed("O-0").ship_to
    assert [row["address_hash"] for row in stored] == list(address_hashes((KEY,), address))
    assert address_hashes((KEY,), address) != address_hashes((ANOTHER_KEY,), address)


async def test_a_report_about_an_address_that_many_customers_share_is_reviewed(pool: Pool) -> None:
    await learn_shared_address(pool)
    await take(pool, 0)
    reviews = await pool.fetchval("SELECT body::jsonb #>> '{reviews,0,cause}' FROM cases")
    assert reviews == "shared_address"
