"""Monthly rollups: they equal a scan of all rows, also when a month that is over changes later."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.values import Reason
from libs.common.postgres.pool import Connection
from services.intake.domain.delivered_units import DeliveryKey, UnitsDelivered
from services.intake.domain.projections.metrics import metric_records
from services.intake.insights.schemas import MetricsQuery
from services.intake.store.insights import metrics
from services.intake.store.insights.metric_ingest import record_deliveries, record_reports
from services.intake.store.insights.monthly_rollups import days_to_scan, midnight, next_month, update_rollups
from tests.intake.event_builders import NOON, event
from tests.intake.insights.test_metrics import ZONE, about, accepted, add, rated

TODAY = date(2026, 7, 10)
YEAR = MetricsQuery(date(2025, 8, 20), date(2026, 7, 5), ZONE)
READS = (metrics.read_summary, metrics.read_products, metrics.read_nps_by_reason, metrics.read_nps_by_product)


@pytest.fixture
async def conn(database: Callable[[str], Awaitable[str]]) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("intake"))
    yield connection
    await connection.close()


async def all_figures(conn: Connection, asked: MetricsQuery) -> list[Any]:
    return [await read(conn, asked) for read in READS]


async def scanned(conn: Connection, asked: MetricsQuery) -> list[Any]:
    """Return the same metrics without rollups."""
    transaction = conn.transaction(isolation="repeatable_read")
    await transaction.start()
    try:
        await conn.execute("DELETE FROM rollup_months")
        return await all_figures(conn, asked)
    finally:
        await transaction.rollback()


def something(draw: random.Random, number: int) -> list[Payload]:
    """Draw part of the life of an issue; times gather around the ends of months, customers come back."""
    month = midnight(date(2026, draw.randint(1, 6), 1), ZONE)
    at = month + timedelta(hours=draw.choice([-13, -9, -1, 0, 1, 8, 10, 300, 500]))
    customer, sku, lot = f"C-{draw.randint(1, 3)}", draw.choice(["KYUSU", "DONABE"]), draw.choice(["A", None])
    begun = accepted(number, sku, lot, reason=draw.choice(list(Reason)), at=at, customer=customer)
    day = at.astimezone(ZONE).date() - timedelta(days=draw.choice([0, 9, 200]))
    begun = begun.model_copy(update={"delivered_on": day, "order_id": f"O-{number // 2}"})
    scores = [rated(number, draw.randint(0, 10), at + timedelta(days=draw.choice([1, 30, 200]))) for _ in range(2)]
    fell = issues.IssueCancelled(**about(number), cause="found it", cancelled_at=at + timedelta(days=1))
    return [begun, *scores[: draw.randint(0, 2)], *([fell] if draw.random() < 0.3 else [])]


@pytest.mark.parametrize("seed", range(3))
async def test_a_figure_is_the_same_whether_months_were_added_up_or_not(conn: Connection, seed: int) -> None:
    """Facts arrive in any order, with or without a rollup between them."""
    draw = random.Random(seed)
    facts = [fact for number in range(1, 25) for fact in something(draw, number)]
    draw.shuffle(facts)
    for number, fact in enumerate(facts):
        if draw.random() < 0.2:
            arrived = DeliveryKey("1", "KYUSU", "A", date(2026, draw.randint(1, 6), draw.choice([1, 15, 28])))
            await record_deliveries(conn, [UnitsDelivered(f"O-{number}", "C", arrived, draw.randint(1, 9))])
        else:
            await record_reports(conn, metric_records(event(fact), ZONE))
        assert await all_figures(conn, YEAR) == await scanned(conn, YEAR)
        if draw.random() < 0.7:
            await update_rollups(conn, TODAY, ZONE)


async def test_a_month_that_is_over_is_not_scanned_again(conn: Connection) -> None:
    await add(conn, accepted(1), rated(1, 9))
    await update_rollups(conn, TODAY, ZONE)
    before = await all_figures(conn, YEAR)
    await conn.execute("DELETE FROM reported_lines")
    await conn.execute("UPDATE issue_metrics SET reason = 'wrong_item', score = 0")
    summary, *others = await all_figures(conn, YEAR)
    assert (summary.reasons, summary.repeat_reports) == (before[0].reasons, before[0].repeat_reports)
    assert others == before[1:]


async def test_a_report_that_falls_is_no_repeat_any_more_however_long_ago_its_pieces_arrived(conn: Connection) -> None:
    again = accepted(2, customer="C", at=NOON).model_copy(update={"delivered_on": date(2025, 8, 1)})
    await add(conn, accepted(1, customer="C", at=NOON - timedelta(days=1)), again)
    await update_rollups(conn, TODAY, ZONE)
    assert (await metrics.read_summary(conn, YEAR)).repeat_reports.part == 1
    await add(conn, issues.IssueCancelled(**about(2), cause="found it", cancelled_at=NOON))
    assert (await metrics.read_summary(conn, YEAR)).repeat_reports.part == 0


async def test_the_month_that_is_going_on_is_scanned(conn: Connection) -> None:
    assert await update_rollups(conn, date(2026, 3, 31), ZONE) > 0
    assert not await conn.fetchval("SELECT count(*) FROM rollup_months WHERE month >= '2026-03-01'")
    await add(conn, accepted(1))
    assert (await metrics.read_summary(conn, YEAR)).reasons[0].issues == 1


async def test_a_batch_that_commits_while_months_are_added_up_is_in_the_figures(
    conn: Connection, database: Callable[[str], Awaitable[str]]
) -> None:
    """The transaction begins before the rollup and commits after it, so that the snapshot lacks its rows."""
    url = await database("intake")
    writer, keeper = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with writer.transaction():
            await add(writer, accepted(1), rated(1, 10))
            await update_rollups(keeper, TODAY, ZONE)
        assert await all_figures(keeper, YEAR) == await scanned(keeper, YEAR)
        assert (await metrics.read_summary(keeper, YEAR)).reasons
        await update_rollups(keeper, TODAY, ZONE)
        assert await all_figures(keeper, YEAR) == await scanned(keeper, YEAR)
    finally:
        await writer.close()
        await keeper.close()


async def test_two_processes_do_not_add_up_at_once(database: Callable[[str], Awaitable[str]]) -> None:
    url = await database("intake")
    first, second = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        async with first.transaction(isolation="repeatable_read"):
            assert await update_rollups(first, TODAY, ZONE) > 0
            assert await update_rollups(second, TODAY, ZONE) == 0
    finally:
        await first.close()
        await second.close()


async def test_days_that_begin_elsewhere_are_added_up_again(conn: Connection) -> None:
    await add(conn, accepted(1, at=midnight(date(2026, 3, 1), ZONE)))
    await update_rollups(conn, TODAY, ZONE)
    utc = MetricsQuery(date(2026, 2, 1), date(2026, 2, 28), ZoneInfo("UTC"))
    assert (await metrics.read_summary(conn, utc)).reasons[0].issues == 1
    await update_rollups(conn, TODAY, ZoneInfo("UTC"))
    assert (await metrics.read_summary(conn, utc)).reasons[0].issues == 1


def test_what_is_left_to_scan_are_the_days_outside_of_the_months() -> None:
    months = [date(2026, 2, 1), date(2026, 4, 1)]
    asked = MetricsQuery(date(2026, 1, 30), date(2026, 5, 2), ZONE)
    assert days_to_scan(asked, months) == [
        (date(2026, 1, 30), date(2026, 1, 31)),
        (date(2026, 3, 1), date(2026, 3, 31)),
        (date(2026, 5, 1), date(2026, 5, 2)),
    ]
    assert days_to_scan(MetricsQuery(date(2026, 2, 1), date(2026, 2, 28), ZONE), months[:1]) == []
    assert next_month(date(2026, 12, 1)) == date(2027, 1, 1)
