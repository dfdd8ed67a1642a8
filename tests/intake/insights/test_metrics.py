"""Metrics from the life of issues on a real Postgres, and their speed with 100,000 issues."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, datetime, timedelta
from time import perf_counter
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from libs.common.decisions.facts import Record
from libs.common.events import issues, notices
from libs.common.events.envelope import Payload
from libs.common.events.values import Fault, IssueLine, Language, Money, Reason, Remedy
from libs.common.postgres.pool import Connection
from services.intake.domain.delivered_units import DeliveryKey, UnitsDelivered
from services.intake.domain.projections.metrics import metric_records
from services.intake.insights.schemas import DurationStats, MetricsQuery, ReasonCount
from services.intake.store.insights import metrics
from services.intake.store.insights.metric_ingest import record_deliveries, record_reports
from services.intake.store.insights.monthly_rollups import update_rollups
from tests.intake.event_builders import NOON, event

ZONE = ZoneInfo("Asia/Tokyo")
TODAY = date(2026, 3, 10)
ASKED = MetricsQuery(date(2026, 3, 1), date(2026, 3, 31), ZONE)
HOUR = timedelta(hours=1)
YEN = Money(amount="4980", currency="JPY")


@pytest.fixture
async def conn(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("intake"))
    yield connection
    await connection.close()


def about(number: int, customer: str | None = None) -> dict[str, object]:
    return {"issue_id": UUID(int=number), "order_id": f"O-{number}", "customer_id": customer or f"C-{number}"}


def accepted(
    number: int,
    sku: str = "KYUSU",
    lot: str | None = "A",
    *,
    reason: Reason = Reason.DEFECTIVE,
    at: datetime = NOON,
    customer: str | None = None,
) -> Payload:
    line = IssueLine(line_id="1", quantity=1, sku=sku, name="急須", unit_price=YEN, lot=lot)
    return issues.IssueAccepted(
        **about(number, customer), reason=reason, lines=(line,), delivered_on=TODAY, reported_at=at, accepted_at=at
    )


def noticed(number: int, at: datetime, kind: notices.NoticeKind = notices.NoticeKind.ISSUE_ACCEPTED) -> Payload:
    return notices.NoticeSent(
        **about(number), notice_id=UUID(int=number), kind=kind, channel="mail", language=Language.JA, sent_at=at
    )


def ordered(number: int, at: datetime) -> Payload:
    return issues.IssueReplacementOrdered(
        **about(number),
        replacement_id=UUID(int=number),
        remedy=Remedy.REPLACEMENT,
        lines=({"line_id": "1", "quantity": 1},),
        promised_ship_date=TODAY,
        ordered_at=at,
    )


def resolved(number: int, at: datetime, resolution: int = 1) -> Payload:
    return issues.IssueResolved(
        **about(number),
        remedy=Remedy.REPLACEMENT,
        reason=Reason.DEFECTIVE,
        fault=Fault.MERCHANT,
        value=YEN,
        resolution=resolution,
        resolved_at=at,
    )


def rated(number: int, score: int, at: datetime = NOON) -> Payload:
    return issues.IssueRated(**about(number), score=score, rated_at=at)


async def add(conn: Connection, *payloads: Payload, together: bool = True) -> None:
    """Save the metric records of these payloads in one batch, or in a batch each."""
    batches = [metric_records(event(payload), ZONE) for payload in payloads]
    for batch in [[record for records in batches for record in records]] if together else batches:
        await record_reports(conn, batch)


def pieces(lot: str, count: int, order: str = "O-1", sku: str = "KYUSU") -> Record:
    return UnitsDelivered(order, "C", DeliveryKey("1", sku, lot, TODAY), count)


LIFE = (
    accepted(1),
    noticed(1, NOON + HOUR),
    noticed(1, NOON + 2 * HOUR, notices.NoticeKind.REPLACEMENT_SHIPPED),
    ordered(1, NOON + 3 * HOUR),
    resolved(1, NOON + 48 * HOUR),
    rated(1, 9),
)


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("backwards", [True, False])
async def test_the_times_of_an_issue_are_the_same_in_whatever_batches_and_order_they_come(
    conn: Connection, together: bool, backwards: bool
) -> None:
    await add(conn, *(reversed(LIFE) if backwards else LIFE), together=together)
    found = await metrics.read_summary(conn, ASKED)
    assert found.to_first_response == DurationStats(1, 1.0, 1.0)
    assert found.to_replacement_order == DurationStats(1, 3.0, 3.0)
    assert found.to_resolution == DurationStats(1, 48.0, 48.0)
    assert (found.resolved_at_first_contact.part, found.resolved_at_first_contact.whole) == (1, 1)
    assert found.reasons == (ReasonCount("defective", 1),)
    assert [(hour.weekday, hour.hour, hour.issues) for hour in found.peak_hours] == [(2, 12, 1)]
    assert [result.group for result in await metrics.read_nps_by_reason(conn, ASKED)] == ["all", "defective"]
    assert [(result.group, result.nps.score) for result in await metrics.read_nps_by_product(conn, ASKED)] == [
        ("KYUSU", 100)
    ]


async def test_an_issue_that_goes_on_is_not_resolved_and_one_that_asked_for_more_not_at_first_contact(
    conn: Connection,
) -> None:
    again = issues.IssueReopened(**about(1), cause="still broken", reopened_at=NOON + 50 * HOUR)
    asked = issues.IssueDetailsRequested(**about(2), missing=("photo",), due_at=NOON + HOUR)
    await add(conn, *LIFE, again, accepted(2), asked, resolved(2, NOON + HOUR))
    found = await metrics.read_summary(conn, ASKED)
    assert found.issues == 2
    assert (found.resolved_at_first_contact.part, found.resolved_at_first_contact.whole) == (0, 1)
    await add(conn, resolved(1, NOON + 60 * HOUR, 2))
    assert (await metrics.read_summary(conn, ASKED)).to_resolution.issues == 2


async def test_a_second_report_about_the_same_product_is_a_repeat(conn: Connection) -> None:
    day = 24 * HOUR
    await add(
        conn,
        accepted(1, customer="C"),
        accepted(2, customer="C", at=NOON + 3 * day),
        accepted(3, "OTHER", customer="C", at=NOON + 4 * day),
        accepted(4, customer="D", at=NOON + 5 * day),
    )
    found = (await metrics.read_summary(conn, ASKED)).repeat_reports
    assert (found.part, found.whole) == (1, 4)


async def test_reports_are_counted_by_product_lot_and_period_against_what_arrived(conn: Connection) -> None:
    await record_deliveries(conn, [pieces("A", 30), pieces("B", 50, "O-2"), pieces("", 20, "O-3", "DONABE")])
    await add(conn, accepted(1), accepted(2), accepted(3, lot="B", reason=Reason.MISSING_PART), accepted(4, "NEW"))
    found = await metrics.read_products(conn, ASKED)
    assert [(product.sku, product.lot, product.delivered_units, product.reported_units) for product in found] == [
        ("KYUSU", "A", 30, 2),
        ("KYUSU", "B", 50, 1),
        ("NEW", "A", 0, 1),
        ("DONABE", None, 20, 0),
    ]
    assert found[0].rate.share == pytest.approx(2 / 30)
    assert found[1].reasons == (ReasonCount("missing_part", 1),)
    only = MetricsQuery(ASKED.first, ASKED.last, ZONE, sku="KYUSU", lot="B")
    assert [product.lot for product in await metrics.read_products(conn, only)] == ["B"]
    assert (await metrics.read_summary(conn, only)).issues == 1
    assert [(day.day, day.delivered_units, day.reported_orders) for day in await metrics.read_days(conn, only)] == [
        (TODAY, 50, 1)
    ]
    later = MetricsQuery(date(2026, 4, 1), date(2026, 4, 30), ZONE)
    assert await metrics.read_products(conn, later) == []
    assert (await metrics.read_summary(conn, later)).issues == 0


async def test_a_report_that_fell_counts_no_more_about_its_product(conn: Connection) -> None:
    fell = issues.IssueCancelled(**about(1), cause="found it", cancelled_at=NOON)
    await add(conn, accepted(1), fell)
    await add(conn, accepted(2), accepted(3))
    await add(conn, issues.IssueRejected(**about(2), code="no", message="no", rejected_at=NOON))
    assert [product.reported_units for product in await metrics.read_products(conn, ASKED)] == [1]


async def test_what_is_learnt_later_corrects_what_was_counted(conn: Connection) -> None:
    """The delivery arrives before the shipment that names the lot."""
    await record_deliveries(conn, [pieces("", 2)])
    await record_deliveries(conn, [pieces("", -2), pieces("A", 2)])
    found = await metrics.read_products(conn, ASKED)
    assert {(product.lot, product.delivered_units) for product in found} == {("A", 2), (None, 0)}


_FILL = (
    """INSERT INTO issue_metrics (issue_id, reason, reported_at, answered_at, ordered_at, resolved_at, contacts, score,
                                   rated_at)
       SELECT md5(n::text)::uuid, (ARRAY['defective', 'missing_part', 'wrong_item'])[1 + n % 3], at, at + '1h',
              at + '2h', at + '48h', n % 2, n % 11, at + '60h'
       FROM (SELECT n, timestamptz '2026-03-01 00:00+09' + n * interval '25 seconds' AS at
             FROM generate_series(1, 100000) n) i""",
    """INSERT INTO reported_lines (issue_id, line_id, order_id, customer_id, sku, lot, reason, units, delivered_on,
                                    reported_at)
       SELECT issue_id, '1', issue_id::text, left(issue_id::text, 4), 'SKU-' || left(issue_id::text, 2),
              right(issue_id::text, 1), reason, 1, reported_at::date, reported_at FROM issue_metrics""",
    """INSERT INTO delivered_per_day (sku, lot, day, units)
       SELECT sku, lot, delivered_on, 40 * count(*) FROM reported_lines GROUP BY 1, 2, 3""",
    "ANALYZE",
)


async def test_figures_are_quick_with_a_hundred_thousand_issues(conn: Connection) -> None:
    for statement in _FILL:
        await conn.execute(statement)
    await update_rollups(conn, date(2026, 4, 1), ZONE)
    whole = MetricsQuery(date(2026, 3, 1), date(2026, 3, 31), ZONE)
    of_product = MetricsQuery(whole.first, whole.last, ZONE, sku="SKU-7f")
    for asked, seconds in ((whole, 5.0), (of_product, 1.0)):
        for read in (metrics.read_summary, metrics.read_products, metrics.read_days, metrics.read_nps_by_product):
            began = perf_counter()
            assert await read(conn, asked)
            took = perf_counter() - began
            print(f"{read.__name__} {asked.sku}: {took:.3f} s")
            assert took < seconds, read.__name__
