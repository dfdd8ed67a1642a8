"""Order ledgers on a real Postgres: the shop's dealings with an order reach its cases, in any order of arrival."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from libs.common.decisions.facts import Facts, TimerFired
from libs.common.events.carrier import ParcelScanned
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCancelled, IssueReviewRequested
from libs.common.events.payment import PaymentChargedBack, RefundRequested
from libs.common.events.storefront import OrderCancelled, OrderDelivered, OrderRefunded
from libs.common.events.values import LineQuantity, Money, MovedLine, RawStatus, Reason, Remedy
from libs.common.events.warehouse import ReplacementCancelled
from libs.common.messaging.decision_runner import Incoming
from libs.common.postgres.pool import Pool, create_pool
from services.returns.domain.decide import SUBSCRIBES
from services.returns.store.order_snapshots import OrderSnapshots
from services.returns.store.orders import KnownOrders
from tests.conftest import MakeDatabase
from tests.returns.cases import ISSUE, TUESDAY, accepted, event_of, line
from tests.returns.test_store import CASES, RUNNER, placed

CANCELLED = OrderCancelled(order_id="O-1", cancelled_at=TUESDAY, cause="refunded")
REFUNDED = OrderRefunded(
    order_id="O-1",
    refund_id="R-1",
    refunded_at=TUESDAY,
    amount=Money.model_validate({"amount": "500", "currency": "JPY"}),
)
CHARGED_BACK = PaymentChargedBack(
    order_id="O-1",
    transaction_id="cb-1",
    amount=Money.model_validate({"amount": "1200", "currency": "JPY"}),
    charged_back_at=TUESDAY,
)


@pytest.fixture
async def pool(database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await create_pool(await database("returns"), size=4, application_name="test")
    yield pool
    await pool.close()


async def storefront(pool: Pool, *payloads: Payload) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await RUNNER.apply(conn, KnownOrders(OrderSnapshots()), [Incoming(event_of(each)) for each in payloads])


async def take(pool: Pool, *payloads: Payload, subject: str | None = None) -> Sequence[Facts]:
    async with pool.acquire() as conn, conn.transaction():
        return await RUNNER.apply(conn, CASES, [Incoming(event_of(each, subject=subject)) for each in payloads])


async def fire_order_timers(pool: Pool) -> list[object]:
    """Fire the timers by which changes of the order reach its cases; return the facts."""
    async with pool.acquire() as conn:
        rows = await conn.fetch("DELETE FROM timers WHERE aggregate = 'cases' AND name LIKE 'order:%' RETURNING *")
    found: list[object] = []
    for row in rows:
        for facts in await take(pool, TimerFired(name=row["name"], due_at=row["due_at"]), subject=row["key"]):
            found += facts
    return found


async def test_a_cancelled_order_stops_the_replacement_of_its_case(pool: Pool) -> None:
    await storefront(pool, placed())
    await take(pool, accepted(Reason.LOST_IN_TRANSIT))
    await storefront(pool, CANCELLED)
    found = await fire_order_timers(pool)
    kinds = [fact.TYPE for fact in found if isinstance(fact, ReplacementCancelled | IssueReviewRequested)]
    assert kinds == ["replacement.cancelled.v1", "issue.review_requested.v1"]


async def test_the_same_cancellation_a_second_time_wakes_no_case(pool: Pool) -> None:
    await storefront(pool, placed())
    await take(pool, accepted(Reason.LOST_IN_TRANSIT))
    await storefront(pool, CANCELLED)
    assert await fire_order_timers(pool)
    await storefront(pool, CANCELLED)
    assert await fire_order_timers(pool) == []


async def test_a_case_that_opens_after_the_cancellation_finds_it(pool: Pool) -> None:
    await storefront(pool, CANCELLED, placed())
    (facts,) = await take(pool, accepted(Reason.LOST_IN_TRANSIT))
    assert [fact.cause for fact in facts if isinstance(fact, IssueReviewRequested)] == ["order_cancelled"]


async def test_a_chargeback_arrives_on_the_topic_of_payments(pool: Pool) -> None:
    assert PaymentChargedBack in SUBSCRIBES
    await storefront(pool, placed())
    await take(pool, accepted(Reason.DEFECTIVE))
    await take(pool, CHARGED_BACK)
    causes = [fact.cause for fact in await fire_order_timers(pool) if isinstance(fact, IssueReviewRequested)]
    assert causes == ["charged_back"]


async def test_what_was_lost_and_is_delivered_after_all_ends_its_case(pool: Pool) -> None:
    await storefront(pool, placed())
    await take(pool, accepted(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND))
    delivered = OrderDelivered(order_id="O-1", lines=(MovedLine(line_id="1", quantity=1),), delivered_at=TUESDAY)
    await storefront(pool, delivered)
    causes = [fact.cause for fact in await fire_order_timers(pool) if isinstance(fact, IssueReviewRequested)]
    assert causes == ["parcel_found"]


@pytest.mark.parametrize(
    ("delivered_at", "expected"), [(TUESDAY + timedelta(days=9), ["parcel_found"]), (TUESDAY - timedelta(days=9), [])]
)
async def test_a_delivery_after_the_report_counts_also_where_it_is_read_before_the_case_opens(
    pool: Pool, delivered_at: datetime, expected: list[str]
) -> None:
    delivered = OrderDelivered(order_id="O-1", lines=(MovedLine(line_id="1", quantity=1),), delivered_at=delivered_at)
    await storefront(pool, placed(), delivered)
    (facts,) = await take(pool, accepted(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND))
    assert [fact.cause for fact in facts if isinstance(fact, IssueReviewRequested | IssueCancelled)] == expected


@pytest.mark.parametrize(
    ("known", "expected"), [((), ["parcel_found"]), ((LineQuantity(line_id="1", quantity=1),), [])]
)
@pytest.mark.parametrize("skew", [timedelta(days=-9), timedelta(days=9)])
async def test_a_delivery_is_late_if_intake_had_not_read_it_whatever_the_clocks_say(
    pool: Pool, known: tuple[LineQuantity, ...], expected: list[str], skew: timedelta
) -> None:
    lines = (MovedLine(line_id="1", quantity=1),)
    await storefront(pool, placed(), OrderDelivered(order_id="O-1", lines=lines, delivered_at=TUESDAY + skew))
    report = accepted(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND, delivered_before=known)
    (facts,) = await take(pool, report)
    assert [fact.cause for fact in facts if isinstance(fact, IssueReviewRequested | IssueCancelled)] == expected


async def test_a_refund_of_the_shop_is_not_repeated_and_counts_once(pool: Pool) -> None:
    await storefront(pool, placed(), REFUNDED, REFUNDED)
    (facts,) = await take(pool, accepted(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND))
    assert [fact.amount.amount for fact in facts if isinstance(fact, RefundRequested)] == [700]


async def test_a_scan_of_an_order_parcel_is_kept_by_its_number(pool: Pool) -> None:
    raw = RawStatus(source="sagawa", code="輸送中")
    await take(pool, ParcelScanned(order_id="O-1", tracking_number="4000-1111", raw=raw, scanned_at=TUESDAY))
    async with pool.acquire() as conn:
        body = json.loads(await conn.fetchval("SELECT body FROM order_ledgers WHERE key = 'O-1'"))
    assert body["scans"]["40001111"]["status"] == "in_transit"


async def test_two_cases_of_one_order_in_one_batch_refund_it_once(pool: Pool) -> None:
    await storefront(pool, placed())
    other = UUID(int=ISSUE.int + 1)
    reports = (
        accepted(Reason.LOST_IN_TRANSIT, line(), requested_remedy=Remedy.REFUND, issue_id=issue_id)
        for issue_id in (ISSUE, other)
    )
    outcomes = await take(pool, *reports)
    amounts = [fact.amount.amount for facts in outcomes for fact in facts if isinstance(fact, RefundRequested)]
    assert amounts == [1200]
