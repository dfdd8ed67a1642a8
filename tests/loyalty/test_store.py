"""The ledger on a real Postgres: what the constraints refuse, and random histories in random batches."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.db import ConflictError, Connection
from libs.common.decision import Record
from libs.common.events.registry import AnyEvent
from services.loyalty import store
from services.loyalty.domain import Account, Entry
from services.loyalty.store import Ledger
from tests.loyalty.histories import CUSTOMER, ISSUE, NOON, RULES, Book, cancelled, hold_over, reopened, resolved

LEDGER = Ledger(RULES)


@pytest.fixture
async def database_url(database: Callable[[str], Awaitable[str]]) -> str:
    return await database("loyalty")


@pytest.fixture
async def conn(database_url: str) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(database_url)
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


async def test_a_grant_is_in_the_balance(conn: Connection) -> None:
    await take(conn, [resolved()])
    assert await store.balance_of(conn, CUSTOMER) == (549, 0)


async def test_a_customer_without_points_has_none(conn: Connection) -> None:
    assert await store.balance_of(conn, "C-nobody") == (0, 0)


async def test_a_grant_of_an_earlier_batch_is_not_made_again(conn: Connection) -> None:
    await take(conn, [resolved()])
    assert await take(conn, [resolved()]) == []


async def test_a_cancellation_of_an_earlier_batch_withholds_the_grant(conn: Connection) -> None:
    await take(conn, [cancelled()])
    assert await take(conn, [resolved()]) == []


async def test_a_grant_of_an_earlier_batch_becomes_final(conn: Connection) -> None:
    await take(conn, [resolved()])
    await take(conn, [hold_over()])
    assert await store.balance_of(conn, CUSTOMER) == (0, 549)


async def test_a_page_of_entries_is_newest_first(conn: Connection) -> None:
    await take(conn, [resolved(), hold_over(), reopened()])
    assert [row["kind"] for row in await store.page_of(conn, CUSTOMER, 2**62, 2)] == ["reverse", "finalise"]


async def test_the_next_page_goes_on_below(conn: Connection) -> None:
    await take(conn, [resolved(), hold_over(), reopened()])
    assert [row["kind"] for row in await store.page_of(conn, CUSTOMER, 2, 2)] == ["grant"]


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
        await LEDGER.load(conn, [CUSTOMER], [])
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.execute("SELECT FROM balances WHERE customer_id = $1 FOR UPDATE NOWAIT", CUSTOMER)
    await other.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET pending = pending + 1",
        "UPDATE entries SET rule = 'another'",
        "DELETE FROM entries",
        "TRUNCATE entries CASCADE",
    ],
)
async def test_the_ledger_is_append_only(conn: Connection, statement: str) -> None:
    await take(conn, [resolved()])
    with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
        await conn.execute(statement)


@pytest.mark.parametrize("change", ["final = final + 1", "pending = pending - 1", "number = number + 1"])
async def test_a_balance_that_the_ledger_does_not_say_is_refused(conn: Connection, change: str) -> None:
    await take(conn, [resolved()])
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="balances_are_what_the_ledger_says"):
        await conn.execute(f"UPDATE balances SET {change}")


async def test_a_balance_that_is_not_the_sum_would_be_found(conn: Connection) -> None:
    await take(conn, [resolved()])
    await conn.execute("ALTER TABLE balances DROP CONSTRAINT balances_are_what_the_ledger_says")
    await conn.execute("UPDATE balances SET final = 1")
    assert await store.unbalanced(conn) == [CUSTOMER]


async def test_a_cause_that_was_granted_to_another_customer_is_refused_for_good(conn: Connection) -> None:
    await take(conn, [resolved()])
    with pytest.raises(asyncpg.UniqueViolationError):
        await take(conn, [resolved(customer_id="C-other")])


def wrong(**change: Any) -> Entry:
    """The second entry of a customer, changed so that it no longer fits."""
    entry = Book().take(resolved(), resolved(issue_id=UUID(int=9))).entries[1]
    return replace(entry, **change)


@pytest.mark.parametrize(
    ("entry", "constraint"),
    [
        (wrong(pending_after=1000), "entries_follow_each_other"),
        (wrong(number=3), "entries_follow_each_other"),
        (wrong(number=1), "entries_start_at_nothing"),
        (wrong(kind="finalise"), "entries_move_as_their_kind"),
        (wrong(kind="gift"), "entries_move_as_their_kind"),
        (wrong(pending=-1, pending_after=548), "entries_move_as_their_kind"),
        (wrong(kind="reverse", pending=-600, pending_after=-51), "entries_never_below_nothing"),
        (wrong(rule=None), "grants_name_their_rule"),
        (wrong(cause=f"issue:{ISSUE}:1"), "entries_once_per_cause"),
    ],
)
async def test_an_entry_that_does_not_fit_is_refused(conn: Connection, entry: Entry, constraint: str) -> None:
    await take(conn, [resolved()])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match=constraint):
        await LEDGER.save(conn, {}, [entry])


async def test_five_hundred_events_take_four_statements(conn: Connection) -> None:
    await take(conn, [resolved()])  # asyncpg asks for the types of a new connection first
    statements: list[str] = []
    conn.add_query_logger(lambda query: statements.append(query.query))
    await take(conn, [resolved(issue_id=UUID(int=n), customer_id=f"C-{n % 400}") for n in range(500)])
    assert len([one for one in statements if not one.upper().startswith(("BEGIN", "COMMIT"))]) == 4


numbers = st.integers(1, 2)
customers = {UUID(int=n): f"C-{n % 2}" for n in range(1, 5)}


@st.composite
def _event(draw: st.DrawFn) -> AnyEvent:
    issue_id, customer_id = draw(st.sampled_from(sorted(customers.items())))
    if draw(st.integers(0, 5)) == 0:
        return cancelled(issue_id, customer_id)
    make = draw(st.sampled_from([resolved, resolved, reopened, hold_over]))
    return make(issue_id, draw(numbers), customer_id)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(batches=st.lists(st.lists(_event(), min_size=1, max_size=12), min_size=1, max_size=4))
async def test_any_history_in_any_batches_keeps_the_ledger(conn: Connection, batches: list[list[AnyEvent]]) -> None:
    """Sums are balances, no cause moves twice, and cutting the history into batches changes nothing."""
    books = {customer: Book(Account(customer)) for customer in customers.values()}
    transaction = conn.transaction()
    await transaction.start()
    try:
        for batch in batches:
            await take(conn, batch)
            for event in batch:
                books[_customer(event)].take(event)
        assert await store.unbalanced(conn) == []
        moves = Counter((row["cause"], row["kind"]) for row in await conn.fetch("SELECT cause, kind FROM entries"))
        assert set(moves.values()) <= {1}
        for customer, book in books.items():
            assert await store.balance_of(conn, customer) == book.balances()
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
    assert await store.balance_of(conn, CUSTOMER) == (40 * 549, 0)


async def _until_done(conn: Connection, batch: Sequence[AnyEvent]) -> None:
    while True:
        try:
            await take(conn, batch)
        except (ConflictError, asyncpg.UniqueViolationError):
            continue
        return
