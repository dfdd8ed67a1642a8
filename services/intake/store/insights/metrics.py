"""All reading of figures, over rows that batches keep (see `gathering`) and sums of whole months (see `tallies`).

Rejected and cancelled reports do not count about products; they count in how fast the shop answers.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from libs.common.decisions.intervals import share
from libs.common.postgres.pool import Connection
from services.intake.insights.intervals import nps
from services.intake.insights.schemas import (
    DailyMetrics,
    DurationStats,
    HourCount,
    MetricsQuery,
    NpsGroup,
    ProductMetrics,
    ReasonCount,
    Summary,
)
from services.intake.store.insights.monthly_rollups import Row, midnight, read_sums
from services.intake.store.insights.queries import RollupKind

_TIMES = """
    WITH chosen AS (
        SELECT date_part('epoch', answered_at - reported_at) / 3600 AS answered,
               date_part('epoch', ordered_at - reported_at) / 3600 AS ordered,
               CASE WHEN resolved_at >= COALESCE(reopened_at, '-infinity')
                    THEN date_part('epoch', resolved_at - reported_at) / 3600 END AS resolved,
               contacts
        FROM issue_metrics
        WHERE reported_at >= $1 AND reported_at < $2
              AND ($3::text IS NULL OR issue_id IN (
                  SELECT issue_id FROM reported_lines WHERE sku = $3 AND ($4::text IS NULL OR lot = $4)))
    )
    SELECT count(*) AS issues, count(answered) AS answered, count(ordered) AS ordered, count(resolved) AS resolved,
           count(resolved) FILTER (WHERE contacts = 0) AS at_first_contact,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY answered) AS answered_hours,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY ordered) AS ordered_hours,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY resolved) AS resolved_hours
    FROM chosen"""
_DAYS = """
    SELECT a.day, a.units, COALESCE(r.orders, 0) AS orders
    FROM (SELECT day, sum(units) AS units FROM delivered_per_day
          WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR sku = $3) AND ($4::text IS NULL OR lot = $4)
          GROUP BY day) a
    LEFT JOIN (SELECT delivered_on AS day, count(DISTINCT order_id) AS orders FROM reported_lines
               WHERE is_valid AND delivered_on BETWEEN $1 AND $2 AND ($3::text IS NULL OR sku = $3)
                     AND ($4::text IS NULL OR lot = $4)
               GROUP BY delivered_on) r USING (day)
    ORDER BY a.day"""


async def read_summary(conn: Connection, query: MetricsQuery) -> Summary:
    """Return counts, rates and times of the reports of these days."""
    times = await conn.fetchrow(_TIMES, *_moments(query))
    assert times
    sums = await read_sums(conn, query, RollupKind.REPORTS, RollupKind.REPEATS)
    repeats = next(((lines, again) for *_, lines, again, _ in sums[RollupKind.REPEATS]), (0, 0))
    return Summary(
        issues=times["issues"],
        to_first_response=_hours(times["answered"], times["answered_hours"]),
        to_replacement_order=_hours(times["ordered"], times["ordered_hours"]),
        to_resolution=_hours(times["resolved"], times["resolved_hours"]),
        resolved_at_first_contact=share(times["at_first_contact"], times["resolved"]),
        repeat_reports=share(repeats[1], repeats[0]),
        reasons=_reasons(sums[RollupKind.REPORTS]),
        peak_hours=_peak_hours(sums[RollupKind.REPORTS]),
    )


async def read_products(conn: Connection, query: MetricsQuery) -> list[ProductMetrics]:
    """Every product and lot of which something arrived or was reported, the worst first."""
    sums = await read_sums(conn, query, RollupKind.LINES, RollupKind.DELIVERED)
    arrived = {(sku, lot): units for sku, lot, _, units, _, _ in sums[RollupKind.DELIVERED]}
    reported: dict[tuple[str, str], list[Row]] = {}
    for row in sums[RollupKind.LINES]:
        reported.setdefault((row[0], row[1]), []).append(row)
    found = [_product(one, arrived.get(one, 0), reported.get(one, [])) for one in {**arrived, **reported}]
    return sorted(found, key=lambda one: (-one.rate.low, -one.reported_units, one.sku, one.lot or ""))


async def read_days(conn: Connection, query: MetricsQuery) -> list[DailyMetrics]:
    """Day by day: what arrived, and how much of it was reported since. Days on which nothing arrived are absent."""
    return [DailyMetrics(row["day"], row["units"], row["orders"]) for row in await conn.fetch(_DAYS, *_days(query))]


async def read_nps_by_reason(conn: Connection, query: MetricsQuery) -> list[NpsGroup]:
    """The shop's score from the ratings of these days, first over all (`all`), then by reason."""
    rows = (await read_sums(conn, query, RollupKind.SCORES))[RollupKind.SCORES]
    up, passive, down = (sum(scores) for scores in zip(*(row[3:] for row in rows), strict=True)) if rows else (0, 0, 0)
    return [NpsGroup("all", nps(up, passive, down)), *(_nps(row) for row in rows if row[0])]


async def read_nps_by_product(conn: Connection, query: MetricsQuery) -> list[NpsGroup]:
    """The score by product; an issue about two products counts for both."""
    return [_nps(row) for row in (await read_sums(conn, query, RollupKind.PRODUCT_SCORES))[RollupKind.PRODUCT_SCORES]]


def _days(query: MetricsQuery) -> tuple[Any, ...]:
    return query.first, query.last, query.sku, query.lot


def _moments(query: MetricsQuery) -> tuple[Any, ...]:
    """From the beginning of the first day to the end of the last, in the shop's time zone."""
    end = midnight(query.last + timedelta(days=1), query.zone)
    return midnight(query.first, query.zone), end, query.sku, query.lot


def _hours(issues: int, found: Sequence[float] | None) -> DurationStats:
    return DurationStats(issues, *found) if found else DurationStats(issues, None, None)


def _reasons(rows: Sequence[Row]) -> tuple[ReasonCount, ...]:
    counts: Counter[str] = Counter()
    for reason, _, _, reports, _, _ in rows:
        counts[reason] += reports
    return tuple(ReasonCount(*one) for one in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _peak_hours(rows: Sequence[Row]) -> tuple[HourCount, ...]:
    counts: Counter[int] = Counter()
    for _, hour, _, reports, _, _ in rows:
        counts[int(hour)] += reports
    return tuple(HourCount(*divmod(hour, 24), count) for hour, count in sorted(counts.items()))


def _product(product: tuple[str, str], arrived: int, reported: Sequence[Row]) -> ProductMetrics:
    sku, lot = product
    orders = sum(count for *_, count, _ in reported)
    return ProductMetrics(
        sku=sku,
        lot=lot or None,
        delivered_units=arrived,
        reported_units=sum(units for *_, units, _, _ in reported),
        # what was lost is reported, but never arrived
        rate=share(min(orders, arrived), arrived),
        reasons=tuple(ReasonCount(row[2], row[4]) for row in sorted(reported, key=lambda row: (-row[4], row[2]))),
    )


def _nps(row: Row) -> NpsGroup:
    name, _, _, promoters, passives, detractors = row
    return NpsGroup(name, nps(promoters, passives, detractors))
