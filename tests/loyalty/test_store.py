"""The ledger on a real Postgres: what the constraints refuse, and random histories in random batches."""

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
from services.loyalty.domain.decision_context import Terms
from services.loyalty.ledger.accounts import Account, Entry, Membership, Purse
from services.loyalty.store import ledger as store
from services.loyalty.store import queries
from services.loyalty.store.ledger import Ledger, Orders
from tests.conftest import as_owner
from tests.examples import examples
from tests.ledger import assert_balances_equal_sums
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
    NOON,
    RULES,
    Book,
    adjust,
    cancelled,
    commit,
    delivered,
    give_back,
    hold_over,
    order_changed,
    placed,
    refunded,
    release,
    reopened,
    reserve,
    resolved,
)
from tests.running import eventually

T = TypeVar("T")

LEDGER = Ledger(Terms(RULES.model_copy(update={"limits": None})))
"""Without the governor, which would stop the many issues of these tests."""
ORDERS = Orders()


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


async def take(conn: Connection, events: Sequence[AnyEvent], now: datetime = NOON) -> list[Record]:
    """One batch, as the shell does it."""
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
    """Pending, and what is final."""
    held = await queries.balance_of(conn, customer_id)
    return held["pending"], held["available"] + held["reserved"]


async def test_a_grant_is_in_the_balance(conn: Connection) -> None:
    await take(conn, [resolved()])
    assert await balance(conn) == (549, 0)


async def test_a_customer_without_points_has_none(conn: Connection) -> None:
    assert await balance(conn, "C-nobody") == (0, 0)


async def test_a_grant_of_an_earlier_batch_is_not_made_again(conn: Connection) -> None:
    await take(conn, [resolved()])
    assert await take(conn, [resolved()]) == []


async def test_a_cancellation_of_an_earlier_batch_withholds_the_grant(conn: Connection) -> None:
    await take(conn, [cancelled()])
    assert await take(conn, [resolved()]) == []


async def test_a_grant_of_an_earlier_batch_becomes_final(conn: Connection) -> None:
    await take(conn, [resolved()])
    await take(conn, [hold_over()])
    assert await balance(conn) == (0, 549)


@pytest.mark.parametrize("change", [300, -300])
async def test_an_adjustment_of_an_earlier_batch_is_not_made_again(conn: Connection, change: int) -> None:
    await take(conn, [resolved(), hold_over(), adjust(50, 7)])
    await take(conn, [adjust(change, 1)])
    assert await balance(conn) == (0, 599 + change)
    assert await take(conn, [adjust(change, 1), adjust(change, 1)]) == []
    assert await balance(conn) == (0, 599 + change)


async def test_a_redemption_is_remembered_from_batch_to_batch(conn: Connection) -> None:
    for one in (resolved(), hold_over(), reserve(100), commit(), give_back(), reserve(549, 2), release(2)):
        await take(conn, [one])
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
    for one in (resolved(), hold_over(), reserve(500), commit(), reopened()):
        await take(conn, [one])
    assert (await queries.balance_of(conn, CUSTOMER))["debt"] == -500
    for one in (resolved(resolution=2), hold_over(resolution=2)):
        await take(conn, [one])
    held = await queries.balance_of(conn, CUSTOMER)
    assert (held["debt"], held["available"]) == (0, 49)


async def test_a_tier_and_what_was_told_are_remembered(conn: Connection) -> None:
    book = Book().bought("200000").take(order_changed()).wait(HOLD)
    await LEDGER.save(conn, {}, [fact for facts in book.outcomes for fact in facts if isinstance(fact, Record)])
    [account] = (await LEDGER.load(conn, [CUSTOMER], [order_changed()])).values()
    assert (account.membership, account.purse) == (book.account.membership, book.account.purse)


async def test_a_refund_that_overtakes_the_delivery_leaves_nothing_to_earn(conn: Connection) -> None:
    await take(conn, [refunded()])
    await _told(conn, placed(), delivered())
    await take(conn, [order_changed()])
    assert await balance(conn) == (0, 0)


async def test_buy_refund_keep_does_not_work(conn: Connection) -> None:
    await _told(conn, placed(), delivered())
    await take(conn, [order_changed()])
    assert await balance(conn) == (49, 0)
    await take(conn, [refunded()])
    assert await balance(conn) == (0, 0)


async def test_an_order_wakes_the_ledger_of_its_customer(conn: Connection) -> None:
    await _told(conn, placed(birthday="02-29"), delivered())
    rows = await conn.fetch("SELECT aggregate, key, name FROM timers ORDER BY name")
    assert [tuple(row) for row in rows] == [
        ("ledger", CUSTOMER, "birthday:02-29"),
        ("ledger", CUSTOMER, "purchase:1:A-1"),
    ]


async def test_no_name_and_no_address_is_kept(conn: Connection) -> None:
    await _told(conn, placed(), delivered())
    assert not await conn.fetchval("SELECT count(*) FROM orders WHERE body::text LIKE ANY('{%Hanako%,%Shibuya%}')")


async def _told(conn: Connection, *events: AnyEvent) -> None:
    """What the storefront says about an order, an event per batch."""
    for event in events:
        key = ORDERS.key_of(event) or ""
        async with conn.transaction():
            kept, facts = ORDERS.decide((await ORDERS.load(conn, [key], [event])).get(key), event, NOON)
            await ORDERS.save(conn, {key: kept}, [fact for fact in facts if isinstance(fact, Record)])


async def test_two_first_entries_of_a_customer_at_the_same_time_meet_in_a_conflict(conn: Connection) -> None:
    first = Book().take(resolved()).entries
    second = Book().take(resolved(issue_id=UUID(int=7))).entries
    await LEDGER.save(conn, {}, first)
    with pytest.raises(ConflictError):
        await LEDGER.save(conn, {}, second)


async def test_a_customer_whose_ledger_grows_is_locked(conn: Connection, database_url: str) -> None:
    await take(conn, [resolved()])
    other = await asyncpg.connect(database_url)
    async with conn.transaction():
        await LEDGER.load(conn, [CUSTOMER], [resolved()])
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute("SELECT FROM balances WHERE customer_id = $1 FOR UPDATE NOWAIT", CUSTOMER)
    await other.close()


@dataclass
class Meanwhile:
    """Another transaction on the same ledger, which comes while the first is not committed."""

    conn: Connection
    seen_from: Connection

    async def begins(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Returns when this is done, or waits for the first."""
        pid = self.conn.get_server_pid()
        task = asyncio.create_task(work)

        async def settled() -> bool:
            waits = await self.seen_from.fetchval("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1", pid)
            return task.done() or waits == "Lock"

        await eventually(settled, "the other transaction is done or waits for a lock")
        return task


@pytest.fixture
async def meanwhile(database_url: str) -> AsyncIterator[Meanwhile]:
    first, second = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    yield Meanwhile(first, second)
    await first.close()
    await second.close()


@pytest.mark.parametrize(("earlier", "later"), [(order_changed(), refunded()), (refunded(), order_changed())])
async def test_a_refund_meets_the_points_of_a_customer_who_had_none(
    conn: Connection, meanwhile: Meanwhile, earlier: AnyEvent, later: AnyEvent
) -> None:
    await _told(conn, placed(), delivered())
    async with conn.transaction():
        await take(conn, [earlier])
        other = await meanwhile.begins(take(meanwhile.conn, [later]))
    await other
    assert await balance(conn) == (0, 0)


async def test_a_tier_is_seen_by_whoever_waited_for_it(conn: Connection, meanwhile: Meanwhile) -> None:
    """Else a change of the tier would be undone, or told twice."""

    async def tier() -> str:
        async with meanwhile.conn.transaction():
            [account] = (await LEDGER.load(meanwhile.conn, [CUSTOMER], [resolved()])).values()
        return account.member().tier

    await take(conn, [resolved()])
    async with conn.transaction():
        await LEDGER.load(conn, [CUSTOMER], [resolved()])
        await LEDGER.save(conn, {}, [Membership(CUSTOMER, "gold", NOON, NOON + HOLD)])
        other = await meanwhile.begins(tier())
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
    await take(owner, [resolved()])
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await owner.execute(statement)


@pytest.mark.parametrize("table", ["balances", "lots"])
@pytest.mark.parametrize("change", ["UPDATE {} SET pending = pending + 1, issued = issued - 1", "DELETE FROM {}"])
async def test_sums_are_changed_by_the_ledger_only(owner: Connection, table: str, change: str) -> None:
    await take(owner, [resolved()])
    with pytest.raises(asyncpg.RestrictViolationError, match="follows from the ledger"):
        await owner.execute(change.format(table))


async def test_a_balance_that_is_not_the_sum_would_be_found(owner: Connection, database_url: str) -> None:
    """By the service's own statement, and by what is asked of every database of loyalty after its test."""
    await take(owner, [resolved()])
    await owner.execute("ALTER TABLE balances DISABLE TRIGGER balances_follow")
    await owner.execute("UPDATE balances SET spent = 1, pending = pending - 1")
    assert await store.unbalanced(owner) == [CUSTOMER]
    with pytest.raises(AssertionError, match="does not sum to the balance"):
        await assert_balances_equal_sums(database_url)
    await owner.execute("UPDATE balances SET spent = 0, pending = pending + 1")


async def test_a_cause_that_was_granted_to_another_customer_is_refused_for_good(conn: Connection) -> None:
    await take(conn, [resolved()])
    with pytest.raises(asyncpg.UniqueViolationError):
        await take(conn, [resolved(customer_id="C-other")])


def wrong(**change: Any) -> Entry:
    """The second entry of a customer, changed so that it no longer fits."""
    entry = Book().take(resolved(), resolved(issue_id=UUID(int=9))).entries[1]
    return replace(entry, **change)


FIRST = Book().take(resolved()).entries[0]
ON_FIRST: dict[str, Any] = {"lot_id": FIRST.lot_id, "entry_id": UUID(int=77)}


@pytest.mark.parametrize(
    ("entry", "constraint"),
    [
        (wrong(number=1), "entries_do_not_fork"),
        (wrong(number=0), "entries_are_numbered_from_one"),
        (wrong(points=0), "entries_move_something"),
        (wrong(points=-5), "entries_move_something"),
        (wrong(kind="gift"), "entries_move_as_their_kind"),
        (wrong(kind="vest"), "entries_move_as_their_kind"),
        (wrong(to_account="spent"), "entries_move_as_their_kind"),
        (wrong(to_account="nowhere"), "entries_move_as_their_kind"),
        (wrong(rule=None), "grants_say_what_they_are"),
        (wrong(legal_basis=None), "grants_say_what_they_are"),
        (wrong(entry_id=UUID(int=77)), "grants_say_what_they_are"),
        (replace(FIRST, number=2, entry_id=UUID(int=77), lot_id=UUID(int=77)), "entries_one_grant_per_cause"),
        (wrong(kind="vest", from_account="pending", to_account="available", points=550, **ON_FIRST), "lots_never"),
        (wrong(kind="redeem", from_account="reserved", to_account="spent", **ON_FIRST), "lots_never_below_nothing"),
        (wrong(kind="adjust", from_account="available", to_account="issued", **ON_FIRST), "says_by_whom_and_why"),
        (wrong(kind="reverse", from_account="debt", to_account="issued", points=550, **ON_FIRST), "lots_never_below"),
    ],
)
async def test_an_entry_that_does_not_fit_is_refused(conn: Connection, entry: Entry, constraint: str) -> None:
    await take(conn, [resolved()])
    with pytest.raises((asyncpg.IntegrityConstraintViolationError, ConflictError)) as refused:
        await LEDGER.save(conn, {}, [entry])
    assert constraint in f"{refused.value} {refused.value.__cause__}"


async def test_five_hundred_events_take_six_statements(conn: Connection) -> None:
    await take(conn, [resolved()])  # asyncpg asks for the types of a new connection first
    statements: list[str] = []
    conn.add_query_logger(lambda query: statements.append(query.query))
    await take(conn, [resolved(issue_id=UUID(int=n), customer_id=f"C-{n % 400}") for n in range(500)])
    assert len([one for one in statements if not one.upper().startswith(("BEGIN", "COMMIT"))]) == 6


numbers = st.integers(1, 3)
customers = {UUID(int=n): f"C-{n % 2}" for n in range(1, 5)}
both = st.sampled_from(["C-0", "C-1"])


@st.composite
def _of_an_issue(draw: st.DrawFn) -> AnyEvent:
    issue_id, customer_id = draw(st.sampled_from(sorted(customers.items())))
    if draw(st.integers(0, 5)) == 0:
        return cancelled(issue_id, customer_id)
    make = draw(st.sampled_from([resolved, resolved, reopened, hold_over]))
    return make(issue_id, draw(numbers), customer_id)


def _own(make: Callable[..., AnyEvent], number: int, customer_id: str, **more: Any) -> AnyEvent:
    """A redemption or an adjustment has a customer, as its number is derived from theirs."""
    return make(**more, **{_NUMBER[make]: number + (10 if customer_id == "C-1" else 0)}, customer_id=customer_id)


_NUMBER: dict[Callable[..., AnyEvent], str] = {
    adjust: "number",
    **dict.fromkeys((reserve, commit, release, give_back), "redemption"),
}
some_events = st.one_of(
    _of_an_issue(),
    st.builds(partial(_own, reserve), numbers, both, points=st.integers(1, 600)),
    st.builds(partial(_own, commit), numbers, both),
    st.builds(partial(_own, release), numbers, both),
    st.builds(partial(_own, give_back), numbers, both),
    st.builds(partial(_own, adjust), numbers, both, change=st.integers(1, 300)),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60), deadline=None)
@given(batches=st.lists(st.lists(some_events, min_size=1, max_size=12), min_size=1, max_size=5))
async def test_any_history_in_any_batches_keeps_the_ledger(conn: Connection, batches: list[list[AnyEvent]]) -> None:
    """Sums are balances, no cause moves twice, and cutting the history into batches changes nothing."""
    books = {customer: Book(Account(customer), terms=LEDGER.terms) for customer in customers.values()}
    transaction = conn.transaction()
    await transaction.start()
    try:
        for batch in batches:
            await take(conn, batch)
            for event in batch:
                books[_customer(event)].take(event)
        assert await store.unbalanced(conn) == []
        for customer, book in books.items():
            held = await queries.balance_of(conn, customer)
            assert Purse(**held) == book.account.purse == book.sums()
            assert await queries.balance_of(conn, customer, NOON) == held
    finally:
        await transaction.rollback()


def _customer(event: AnyEvent) -> str:
    return LEDGER.key_of(event) or event.subject or ""


async def test_concurrent_batches_of_one_customer_lose_nothing(conn: Connection, database_url: str) -> None:
    """Four writers, forty issues, each taken by two of them; a conflict is done again, as the consumer does."""
    batches = [[resolved(issue_id=UUID(int=100 + n % 40)) for n in range(10 * w, 10 * w + 20)] for w in range(4)]
    connections = [await asyncpg.connect(database_url) for _ in batches]
    await asyncio.gather(*(_until_done(one, batch) for one, batch in zip(connections, batches, strict=True)))
    for connection in connections:
        await connection.close()
    assert await balance(conn) == (40 * 549, 0)
    assert await store.unbalanced(conn) == []


async def _until_done(conn: Connection, batch: Sequence[AnyEvent]) -> None:
    while True:
        try:
            await take(conn, batch)
        except (ConflictError, asyncpg.UniqueViolationError):
            continue
        return


async def test_points_are_spent_once_however_many_reserve_at_once(conn: Connection, database_url: str) -> None:
    """Twelve checkouts of 100 points at a time, and 549 points: five of them get theirs."""
    await take(conn, [resolved(), hold_over()])
    connections = [await asyncpg.connect(database_url) for _ in range(12)]
    reservations = [take(one, [reserve(100, n)]) for n, one in enumerate(connections)]
    outcomes = await asyncio.gather(*reservations)
    held = await queries.balance_of(conn, CUSTOMER)
    assert sum(map(bool, outcomes)) == 5
    assert (held["available"], held["reserved"]) == (49, 500)
    both_ends = [take(one, [(commit if n % 2 else release)(n)]) for n, one in enumerate(connections)]
    await asyncio.gather(*both_ends)
    for connection in connections:
        await connection.close()
    held = await queries.balance_of(conn, CUSTOMER)
    assert held["reserved"] == 0
    assert held["available"] + held["spent"] == 549
    assert await store.unbalanced(conn) == []
