"""The ledger on a real Postgres: what a batch writes is what later batches load."""

from uuid import UUID

import asyncpg
import pytest

from libs.common.decisions.facts import Record
from libs.common.postgres.pool import Connection
from services.loyalty.store import queries
from tests.loyalty.histories import (
    CUSTOMER,
    HOLD,
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
from tests.loyalty.ledger_calls import LEDGER, apply_batch, apply_to_orders, balance


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
    await apply_to_orders(conn, placed(), delivered())
    await apply_batch(conn, [order_changed()])
    assert await balance(conn) == (0, 0)


async def test_buy_refund_keep_does_not_work(conn: Connection) -> None:
    await apply_to_orders(conn, placed(), delivered())
    await apply_batch(conn, [order_changed()])
    assert await balance(conn) == (49, 0)
    await apply_batch(conn, [refunded()])
    assert await balance(conn) == (0, 0)


async def test_an_order_sets_timers_of_its_customers_ledger(conn: Connection) -> None:
    await apply_to_orders(conn, placed(birthday="02-29"), delivered())
    rows = await conn.fetch("SELECT aggregate, key, name FROM timers ORDER BY name")
    assert [tuple(row) for row in rows] == [
        ("ledger", CUSTOMER, "birthday:02-29"),
        ("ledger", CUSTOMER, "purchase:1:A-1"),
    ]


async def test_no_name_and_no_address_is_kept(conn: Connection) -> None:
    await apply_to_orders(conn, placed(), delivered())
    assert not await conn.fetchval("SELECT count(*) FROM orders WHERE body::text LIKE ANY('{%Hanako%,%Shibuya%}')")


async def test_a_cause_that_was_granted_to_another_customer_is_refused_for_good(conn: Connection) -> None:
    await apply_batch(conn, [resolved()])
    with pytest.raises(asyncpg.UniqueViolationError):
        await apply_batch(conn, [resolved(customer_id="C-other")])


async def test_five_hundred_events_take_six_statements(conn: Connection) -> None:
    await apply_batch(conn, [resolved()])  # asyncpg asks for the types of a new connection first
    statements: list[str] = []
    conn.add_query_logger(lambda query: statements.append(query.query))
    await apply_batch(conn, [resolved(issue_id=UUID(int=n), customer_id=f"C-{n % 400}") for n in range(500)])
    assert len([text for text in statements if not text.upper().startswith(("BEGIN", "COMMIT"))]) == 6
