"""Random histories of merged accounts on a real Postgres: no point is lost, doubled or left behind."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import CustomerMerged
from libs.common.messaging.decision_runner import Incoming
from libs.common.postgres.pool import Connection
from services.loyalty.app import create_app
from services.loyalty.settings import LoyaltySettings
from services.loyalty.store import queries
from tests.conftest import MakeDatabase
from tests.examples import examples
from tests.loyalty.histories import (
    NOON,
    adjust,
    commit,
    event,
    hold_ended,
    refunded,
    release,
    reopened,
    reserve,
    resolved,
    return_points,
)
from tests.running import Live, running

CUSTOMERS = ("a", "b", "c", "d")
SUMS = """
    SELECT sum(issued) AS issued, sum(pending) AS pending, sum(available + debt) AS available,
        sum(reserved) AS reserved, sum(spent) AS spent, sum(expired) AS expired FROM balances"""

customers = st.sampled_from(CUSTOMERS)


def merged(former: str, remaining: str) -> AnyEvent:
    return event(CustomerMerged(customer_id=remaining, merged_customer_id=former, merged_at=NOON))


def own(number: int) -> dict[str, Any]:
    """Return the first owner of an issue, a redemption or an adjustment."""
    return {"customer_id": CUSTOMERS[number % 4]}


def of_issue(make: Any, number: int) -> AnyEvent:
    made: AnyEvent = make(UUID(int=number + 1), **own(number))
    return made


def of_redemption(make: Any, number: int) -> AnyEvent:
    more = {"points": 120 + number} if make is reserve else {}
    made: AnyEvent = make(redemption=number, **more, **own(number))
    return made


numbers = st.integers(0, 7)
steps = st.one_of(
    st.builds(merged, customers, customers),
    st.builds(of_issue, st.sampled_from([resolved, resolved, hold_ended, reopened]), numbers),
    st.builds(of_redemption, st.sampled_from([reserve, reserve, commit, release, return_points]), numbers),
    st.builds(lambda number: adjust(200, number, **own(number)), numbers),
    st.builds(lambda number: refunded("300", number, f"A-{number}", **own(number)), numbers),
)


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with running(create_app, LoyaltySettings, database=await database("loyalty")) as live:
        yield live


async def apply(live: Live, conn: Connection, step: AnyEvent) -> None:
    name = "customer_merges" if isinstance(step.data, CustomerMerged) else "ledger"
    await live.service.decisions.apply(conn, live.service.aggregates[name], [Incoming(step)])


async def sums(conn: Connection) -> dict[str, int]:
    row = await conn.fetchrow(SUMS)
    assert row is not None
    return {name: int(value or 0) for name, value in row.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60), deadline=None)
@given(history=st.lists(steps, min_size=3, max_size=25))
async def test_merges_keep_every_point_in_whatever_order_they_come(live: Live, history: list[AnyEvent]) -> None:
    async with live.service.pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        try:
            for step in history:
                before = await sums(conn)
                await apply(live, conn, step)
                if isinstance(step.data, CustomerMerged):
                    assert await sums(conn) == before
            assert await queries.unbalanced_customers(conn) == []
            behind = "SELECT count(*) FROM balances JOIN merged_customers ON former_id = balances.customer_id"
            assert await conn.fetchval(behind) == 0
        finally:
            await transaction.rollback()
