"""The ledger on a real Postgres: constraints, locks, and random histories in random batches."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Record
from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import ConflictError, Connection
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.ledger.accounts import Balances, PointsAccount
from services.loyalty.ledger.entries import Entry, Membership
from services.loyalty.store import queries
from services.loyalty.store.ledger import LedgerStore
from services.loyalty.store.orders import OrderStore
from tests.conftest import as_owner
from tests.examples import examples
from tests.ledger import assert_balances_equal_sums
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
    NOON,
    RULES,
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
from tests.running import eventually

T = TypeVar("T")

LEDGER = LedgerStore(LedgerRules(RULES.model_copy(update={"limits": None})))
"""Without rate limits, which would withhold most apologies of these tests."""
ORDERS = OrderStore()


@pytest.fixture
async def database_url(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("loyalty")


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(as_owner(database_url))
    yield connection
    await connection.close()


async def apply_batch(conn: Connection, events: Sequence[AnyEvent], now: datetime = NOON) -> list[Record]:
    """Apply one batch in a transaction and return its records."""
    keys = [_customer(event) for event in events]
    records: list[Record] = []
    async with conn.transaction():
        accounts = await LEDGER.load(conn, sorted(set(keys)), events)
        for key, event in zip(keys, events, strict=True):
            accounts[key], facts = LEDGER.decide(accounts[key], event, now)
            records += [fact for fact in facts if isinstance(fact, Record)]
        await LEDGER.save(conn, accounts, records)
    return records


async def balance(conn: Connection, customer_id: str = CUSTOMER) -> tuple[int, int]:
    """Return pending and final points."""
    points = await queries.balance_of(conn, customer_id)
    return points["pending"], points["available"] + points["reserved"]


async def test_a_grant_is_in_the_balance(conn: Connection) -> None:
    await apply_batch(conn, [resolved()])
    assert await balance(conn) == (549, 0)


async def test_a_customer_without_points_has_none(conn: Connection) -> None:
    assert await balance(conn, "C-nobody") == (0, 0)


async def test_a_grant_of_an_earlier_batch_is_not_made_again(conn: Connection) -> None:
    await apply_batch(conn, [resolved()])
    assert await apply_batch(conn, [resolved()]) == []


async def test_a_cancellation_of_an_earlier_batch_withholds_the_grant(conn: Connection) -> None:
    await apply_batch(conn, [cancelled()])
    assert await apply_batch(conn, [resolved()]) == []


async def test_a_grant_of_an_earlier_batch_becomes_final(conn: Connection) -> None:
    await apply_batch(conn, [resolved()])
    await apply_batch(conn, [hold_ended()])
    assert await balance(conn) == (0, 549)


@pytest.mark.parametrize("change", [300, -300])
async def test_an_adjustment_of_an_earlier_batch_is_not_made_again(conn: Connection, change: int) -> None:
    await apply_batch(conn, [resolved(), hold_ended(), adjust(50, 7)])
    await apply_batch(conn, [adjust(change, 1)])
    assert await balance(conn) == (0, 599 + change)
    assert await apply_batch(conn, [adjust(change, 1), adjust(change, 1)]) == []
    assert await balance(conn) == (0, 599 + change)


async def test_a_redemption_is_loaded_by_later_batches(conn: Connection) -> None:
    for event in (resolved(), hold_ended(), reserve(100), commit(), return_points(), reserve(549, 2), release(2)):
        await apply_batch(conn, [event])
    assert [row["kind"] for row in reversed(await queries.page_of(conn, CUSTOMER, 2**62, 9))] == [
        "grant",
        "vest",
        "reserve",
        "redeem",
        "return",
        "reserve",
        "release",
    ]
    assert await balance(conn) == (0, 549)


async def test_a_debt_of_an_earlier_batch_is_paid_by_a_later_grant(conn: Connection) -> None:
    for event in (resolved(), hold_ended(), reserve(500), commit(), reopened()):
        await apply_batch(conn, [event])
    assert (await queries.balance_of(conn, CUSTOMER))["debt"] == -500
    for event in (resolved(resolution=2), hold_ended(resolution=2)):
        await apply_batch(conn, [event])
    points = await queries.balance_of(conn, CUSTOMER)
    assert (points["debt"], points["available"]) == (0, 49)


async def test_a_membership_is_loaded_by_later_batches(conn: Connection) -> None:
    ledger = InMemoryLedger().with_purchase("200000").apply(order_changed()).advance(HOLD)
    await LEDGER.save(conn, {}, [fact for facts in ledger.decisions for fact in facts if isinstance(fact, Record)])
    [account] = (await LEDGER.load(conn, [CUSTOMER], [order_changed()])).values()
    assert (account.membership, account.balances) == (ledger.account.membership, ledger.account.balances)


async def test_a_refund_that_overtakes_the_delivery_leaves_nothing_to_earn(conn: Connection) -> None:
    await apply_batch(conn, [refunded()])
    await _apply_to_orders(conn, placed(), delivered())
    await apply_batch(conn, [order_changed()])
    assert await balance(conn) == (0, 0)


async def test_buy_refund_keep_does_not_work(conn: Connection) -> None:
    await _apply_to_orders(conn, placed(), delivered())
    await apply_batch(conn, [order_changed()])
    assert await balance(conn) == (49, 0)
    await apply_batch(conn, [refunded()])
    assert await balance(conn) == (0, 0)


async def test_an_order_sets_timers_of_its_customers_ledger(conn: Connection) -> None:
    await _apply_to_orders(conn, placed(birthday="02-29"), delivered())
    rows = await conn.fetch("SELECT aggregate, key, name FROM timers ORDER BY name")
    assert [tuple(row) for row in rows] == [
        ("ledger", CUSTOMER, "birthday:02-29"),
        ("ledger", CUSTOMER, "purchase:1:A-1"),
    ]


async def test_no_name_and_no_address_is_kept(conn: Connection) -> None:
    await _apply_to_orders(conn, placed(), delivered())
    assert not await conn.fetchval("SELECT count(*) FROM orders WHERE body::text LIKE ANY('{%Hanako%,%Shibuya%}')")


async def _apply_to_orders(conn: Connection, *events: AnyEvent) -> None:
    """Apply storefront events of an order, one per batch."""
    for event in events:
        key = ORDERS.key_of(event) or ""
        async with conn.transaction():
            kept, facts = ORDERS.decide((await ORDERS.load(conn, [key], [event])).get(key), event, NOON)
            await ORDERS.save(conn, {key: kept}, [fact for fact in facts if isinstance(fact, Record)])


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
    await _apply_to_orders(conn, placed(), delivered())
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


async def test_a_cause_that_was_granted_to_another_customer_is_refused_for_good(conn: Connection) -> None:
    await apply_batch(conn, [resolved()])
    with pytest.raises(asyncpg.UniqueViolationError):
        await apply_batch(conn, [resolved(customer_id="C-other")])


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


async def test_five_hundred_events_take_six_statements(conn: Connection) -> None:
    await apply_batch(conn, [resolved()])  # asyncpg asks for the types of a new connection first
    statements: list[str] = []
    conn.add_query_logger(lambda query: statements.append(query.query))
    await apply_batch(conn, [resolved(issue_id=UUID(int=n), customer_id=f"C-{n % 400}") for n in range(500)])
    assert len([text for text in statements if not text.upper().startswith(("BEGIN", "COMMIT"))]) == 6


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
                ledgers[_customer(event)].apply(event)
        assert await queries.unbalanced_customers(conn) == []
        for customer, ledger in ledgers.items():
            points = await queries.balance_of(conn, customer)
            assert Balances(**points) == ledger.account.balances == ledger.summed_entries()
            assert await queries.balance_of(conn, customer, NOON) == points
    finally:
        await transaction.rollback()


def _customer(event: AnyEvent) -> str:
    return LEDGER.key_of(event) or event.subject or ""


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
