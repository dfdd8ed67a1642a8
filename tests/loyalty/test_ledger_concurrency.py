"""The ledger under concurrent batches, and random histories in random batches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import ConflictError, Connection
from services.loyalty.ledger.accounts import Balances, PointsAccount
from services.loyalty.ledger.entries import Membership
from services.loyalty.store import queries
from tests.examples import examples
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
    NOON,
    InMemoryLedger,
    adjust,
    cancelled,
    commit,
    delivered,
    hold_ended,
    order_changed,
    placed,
    refunded,
    release,
    reopened,
    reserve,
    resolved,
    return_points,
)
from tests.loyalty.ledger_calls import LEDGER, apply_batch, apply_to_orders, balance, customer_of
from tests.running import eventually

T = TypeVar("T")


async def test_two_first_entries_of_a_customer_at_the_same_time_meet_in_a_conflict(conn: Connection) -> None:
    first = InMemoryLedger().apply(resolved()).entries
    second = InMemoryLedger().apply(resolved(issue_id=UUID(int=7))).entries
    await LEDGER.save(conn, {}, first)
    with pytest.raises(ConflictError):
        await LEDGER.save(conn, {}, second)


async def test_a_customer_whose_ledger_grows_is_locked(conn: Connection, database_url: str) -> None:
    await apply_batch(conn, [resolved()])
    other = await asyncpg.connect(database_url)
    async with conn.transaction():
        await LEDGER.load(conn, [CUSTOMER], [resolved()])
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute("SELECT FROM balances WHERE customer_id = $1 FOR UPDATE NOWAIT", CUSTOMER)
    await other.close()


@dataclass
class ConcurrentTransaction:
    """A concurrent transaction on the same ledger while the first is not committed."""

    conn: Connection
    seen_from: Connection

    async def start(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Start `work`; return when it is done or waits for a lock of the first transaction."""
        pid = self.conn.get_server_pid()
        task = asyncio.create_task(work)

        async def done_or_waiting() -> bool:
            waits = await self.seen_from.fetchval("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1", pid)
            return task.done() or waits == "Lock"

        await eventually(done_or_waiting, "the other transaction is done or waits for a lock")
        return task


@pytest.fixture
async def concurrent(database_url: str) -> AsyncIterator[ConcurrentTransaction]:
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    yield ConcurrentTransaction(first, second)
    await first.close()
    await second.close()


@pytest.mark.parametrize(("earlier", "later"), [(order_changed(), refunded()), (refunded(), order_changed())])
async def test_a_refund_meets_the_points_of_a_customer_who_had_none(
    conn: Connection, concurrent: ConcurrentTransaction, earlier: AnyEvent, later: AnyEvent
) -> None:
    await apply_to_orders(conn, placed(), delivered())
    async with conn.transaction():
        await apply_batch(conn, [earlier])
        other = await concurrent.start(apply_batch(concurrent.conn, [later]))
    await other
    assert await balance(conn) == (0, 0)


async def test_a_tier_is_seen_by_a_transaction_that_waited_for_the_lock(
    conn: Connection, concurrent: ConcurrentTransaction
) -> None:
    """Otherwise a tier change would be overwritten or announced twice."""

    async def tier() -> str:
        async with concurrent.conn.transaction():
            [account] = (await LEDGER.load(concurrent.conn, [CUSTOMER], [resolved()])).values()
        return account.current_membership().tier

    await apply_batch(conn, [resolved()])
    async with conn.transaction():
        await LEDGER.load(conn, [CUSTOMER], [resolved()])
        await LEDGER.save(conn, {}, [Membership(CUSTOMER, "gold", NOON, NOON + HOLD)])
        other = await concurrent.start(tier())
    assert await other == "gold"


numbers = st.integers(1, 3)
customers = {UUID(int=n): f"C-{n % 2}" for n in range(1, 5)}
both = st.sampled_from(["C-0", "C-1"])


@st.composite
def _issue_event(draw: st.DrawFn) -> AnyEvent:
    issue_id, customer_id = draw(st.sampled_from(sorted(customers.items())))
    if draw(st.integers(0, 5)) == 0:
        return cancelled(issue_id, customer_id)
    make = draw(st.sampled_from([resolved, resolved, reopened, hold_ended]))
    return make(issue_id, draw(numbers), customer_id)


def _with_own_id(make: Callable[..., AnyEvent], number: int, customer_id: str, **more: Any) -> AnyEvent:
    """Give each customer ids of their own: redemption and adjustment ids are derived from the customer."""
    return make(**more, **{_NUMBER[make]: number + (10 if customer_id == "C-1" else 0)}, customer_id=customer_id)


_NUMBER: dict[Callable[..., AnyEvent], str] = {
    adjust: "number",
    **dict.fromkeys((reserve, commit, release, return_points), "redemption"),
}
some_events = st.one_of(
    _issue_event(),
    st.builds(partial(_with_own_id, reserve), numbers, both, points=st.integers(1, 600)),
    st.builds(partial(_with_own_id, commit), numbers, both),
    st.builds(partial(_with_own_id, release), numbers, both),
    st.builds(partial(_with_own_id, return_points), numbers, both),
    st.builds(partial(_with_own_id, adjust), numbers, both, change=st.integers(1, 300)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60), deadline=None)
@given(batches=st.lists(st.lists(some_events, min_size=1, max_size=12), min_size=1, max_size=5))
async def test_any_history_in_any_batches_keeps_the_ledger(conn: Connection, batches: list[list[AnyEvent]]) -> None:
    """Sums equal balances, no cause moves twice, and the batch boundaries change nothing."""
    ledgers = {customer: InMemoryLedger(PointsAccount(customer), rules=LEDGER.rules) for customer in customers.values()}
    transaction = conn.transaction()
    await transaction.start()
    try:
        for batch in batches:
            await apply_batch(conn, batch)
            for event in batch:
                ledgers[customer_of(event)].apply(event)
        assert await queries.unbalanced_customers(conn) == []
        for customer, ledger in ledgers.items():
            points = await queries.balance_of(conn, customer)
            assert Balances(**points) == ledger.account.balances == ledger.summed_entries()
            assert await queries.balance_of(conn, customer, NOON) == points
    finally:
        await transaction.rollback()


async def test_concurrent_batches_of_one_customer_lose_nothing(conn: Connection, database_url: str) -> None:
    """Four writers, forty issues, each decided by two of them; conflicts are retried, as by the consumer."""
    batches = [[resolved(issue_id=UUID(int=100 + n % 40)) for n in range(10 * w, 10 * w + 20)] for w in range(4)]
    connections = [await asyncpg.connect(database_url) for _ in batches]
    await asyncio.gather(
        *(_retry_until_done(connection, batch) for connection, batch in zip(connections, batches, strict=True))
    )
    for connection in connections:
        await connection.close()
    assert await balance(conn) == (40 * 549, 0)
    assert await queries.unbalanced_customers(conn) == []


async def _retry_until_done(conn: Connection, batch: Sequence[AnyEvent]) -> None:
    while True:
        try:
            await apply_batch(conn, batch)
        except (ConflictError, asyncpg.UniqueViolationError):
            continue
        return


async def test_points_are_spent_once_however_many_reserve_at_once(conn: Connection, database_url: str) -> None:
    """Twelve concurrent checkouts of 100 points each, and 549 points: five succeed."""
    await apply_batch(conn, [resolved(), hold_ended()])
    connections = [await asyncpg.connect(database_url) for _ in range(12)]
    reservations = [apply_batch(connection, [reserve(100, n)]) for n, connection in enumerate(connections)]
    outcomes = await asyncio.gather(*reservations)
    points = await queries.balance_of(conn, CUSTOMER)
    assert sum(map(bool, outcomes)) == 5
    assert (points["available"], points["reserved"]) == (49, 500)
    endings = [apply_batch(connection, [(commit if n % 2 else release)(n)]) for n, connection in enumerate(connections)]
    await asyncio.gather(*endings)
    for connection in connections:
        await connection.close()
    points = await queries.balance_of(conn, CUSTOMER)
    assert points["reserved"] == 0
    assert points["available"] + points["spent"] == 549
    assert await queries.unbalanced_customers(conn) == []
