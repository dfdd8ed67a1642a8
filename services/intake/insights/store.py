"""All reading of figures: one statement each, over rows that batches keep (see `gathering`). Quick with 100,000 issues.

Rejected and cancelled reports do not count about products; they count in how fast the shop answers.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from libs.common.db import Connection
from services.intake.insights.intervals import nps, share
from services.intake.insights.results import (
    Asked,
    DayFigures,
    HourCount,
    Hours,
    NpsOf,
    ProductFigures,
    ReasonCount,
    Summary,
)

REPEAT_WITHIN = timedelta(days=90)
"""Another report of the same customer about the same product within this time is a repeat."""

_OF_PRODUCT = """($3::text IS NULL OR issue_id IN (
        SELECT issue_id FROM reported_lines WHERE sku = $3 AND ($4::text IS NULL OR lot = $4)))"""
_TIMES = f"""
    WITH chosen AS (
        SELECT extract(epoch FROM answered_at - reported_at) / 3600 AS answered,
               extract(epoch FROM ordered_at - reported_at) / 3600 AS ordered,
               CASE WHEN resolved_at >= COALESCE(reopened_at, '-infinity')
                    THEN extract(epoch FROM resolved_at - reported_at) / 3600 END AS resolved,
               contacts
        FROM issue_figures WHERE reported_at >= $1 AND reported_at < $2 AND {_OF_PRODUCT}
    )
    SELECT count(*) AS issues, count(answered) AS answered, count(ordered) AS ordered, count(resolved) AS resolved,
           count(resolved) FILTER (WHERE contacts = 0) AS at_first_contact,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY answered) AS answered_hours,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY ordered) AS ordered_hours,
           percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY resolved) AS resolved_hours
    FROM chosen"""  # noqa: S608 - no value is part of the text
_REASONS_AND_HOURS = f"""
    SELECT reason, extract(isodow FROM reported_at AT TIME ZONE $5)::int AS weekday,
           extract(hour FROM reported_at AT TIME ZONE $5)::int AS hour, count(*) AS issues
    FROM issue_figures WHERE reported_at >= $1 AND reported_at < $2 AND reason IS NOT NULL AND {_OF_PRODUCT}
    GROUP BY 1, 2, 3"""  # noqa: S608 - no value is part of the text
_REPEATS = """
    SELECT count(*) FILTER (WHERE reported_at >= $1) AS lines,
           count(*) FILTER (WHERE reported_at >= $1 AND reported_at - before <= $5) AS repeats
    FROM (SELECT reported_at, lag(reported_at) OVER (PARTITION BY customer_id, sku ORDER BY reported_at) AS before
          FROM reported_lines
          WHERE stands AND reported_at >= $1::timestamptz - $5::interval AND reported_at < $2
                AND ($3::text IS NULL OR sku = $3) AND ($4::text IS NULL OR lot = $4)) AS l"""
_PRODUCTS = """
    WITH arrived AS (
        SELECT sku, lot, sum(pieces) AS pieces FROM arrived_per_day
        WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR sku = $3) AND ($4::text IS NULL OR lot = $4)
        GROUP BY sku, lot
    ), reported AS (
        SELECT sku, lot, reason, sum(pieces) AS pieces, count(DISTINCT order_id) AS orders
        FROM reported_lines
        WHERE stands AND arrived_on BETWEEN $1 AND $2 AND ($3::text IS NULL OR sku = $3)
              AND ($4::text IS NULL OR lot = $4)
        GROUP BY sku, lot, reason
    )
    SELECT sku, lot, COALESCE(a.pieces, 0) AS arrived, r.reason, r.pieces AS reported, r.orders
    FROM arrived a FULL JOIN reported r USING (sku, lot) ORDER BY sku, lot, r.orders DESC, r.reason"""
_DAYS = """
    SELECT a.day, a.pieces, COALESCE(r.orders, 0) AS orders
    FROM (SELECT day, sum(pieces) AS pieces FROM arrived_per_day
          WHERE day BETWEEN $1 AND $2 AND ($3::text IS NULL OR sku = $3) AND ($4::text IS NULL OR lot = $4)
          GROUP BY day) a
    LEFT JOIN (SELECT arrived_on AS day, count(DISTINCT order_id) AS orders FROM reported_lines
               WHERE stands AND arrived_on BETWEEN $1 AND $2 AND ($3::text IS NULL OR sku = $3)
                     AND ($4::text IS NULL OR lot = $4)
               GROUP BY arrived_on) r USING (day)
    ORDER BY a.day"""
_SCORES = """
    count(*) FILTER (WHERE score >= 9) AS promoters, count(*) FILTER (WHERE score BETWEEN 7 AND 8) AS passives,
    count(*) FILTER (WHERE score <= 6) AS detractors"""
_NPS_BY_REASON = f"""
    SELECT COALESCE(reason, 'all') AS name, {_SCORES}
    FROM issue_figures WHERE rated_at >= $1 AND rated_at < $2 AND {_OF_PRODUCT}
    GROUP BY GROUPING SETS ((), (reason)) HAVING GROUPING(reason) = 1 OR reason IS NOT NULL
    ORDER BY GROUPING(reason) DESC, name"""  # noqa: S608 - no value is part of the text
_NPS_BY_PRODUCT = f"""
    SELECT l.sku AS name, {_SCORES}
    FROM issue_figures f JOIN (SELECT DISTINCT issue_id, sku FROM reported_lines
                               WHERE ($3::text IS NULL OR sku = $3) AND ($4::text IS NULL OR lot = $4)) l
         USING (issue_id)
    WHERE rated_at >= $1 AND rated_at < $2 GROUP BY l.sku ORDER BY l.sku"""  # noqa: S608 - no value is part of the text


async def read_summary(conn: Connection, asked: Asked) -> Summary:
    """How the shop answered the reports of these days."""
    chosen = _moments(asked)
    times = await conn.fetchrow(_TIMES, *chosen)
    counts = await conn.fetch(_REASONS_AND_HOURS, *chosen, asked.zone.key)
    repeats = await conn.fetchrow(_REPEATS, *chosen, REPEAT_WITHIN)
    assert times
    assert repeats
    return Summary(
        issues=times["issues"],
        to_first_response=_hours(times["answered"], times["answered_hours"]),
        to_replacement_order=_hours(times["ordered"], times["ordered_hours"]),
        to_resolution=_hours(times["resolved"], times["resolved_hours"]),
        resolved_at_first_contact=share(times["at_first_contact"], times["resolved"]),
        repeat_reports=share(repeats["repeats"], repeats["lines"]),
        reasons=_reasons(counts),
        peak_hours=_peak_hours(counts),
    )


async def read_products(conn: Connection, asked: Asked) -> list[ProductFigures]:
    """Every product and lot of which something arrived or was reported, the worst first."""
    rows: dict[tuple[str, str], list[Any]] = {}
    for row in await conn.fetch(_PRODUCTS, *_days(asked)):
        rows.setdefault((row["sku"], row["lot"]), []).append(row)
    found = [_product(sku, lot, group) for (sku, lot), group in rows.items()]
    return sorted(found, key=lambda one: (-one.rate.low, -one.reported_pieces, one.sku, one.lot or ""))


async def read_days(conn: Connection, asked: Asked) -> list[DayFigures]:
    """Day by day: what arrived, and how much of it was reported since. Days on which nothing arrived are absent."""
    return [DayFigures(row["day"], row["pieces"], row["orders"]) for row in await conn.fetch(_DAYS, *_days(asked))]


async def read_nps_by_reason(conn: Connection, asked: Asked) -> list[NpsOf]:
    """The shop's score from the ratings of these days, first over all (`all`), then by reason."""
    return [_nps(row) for row in await conn.fetch(_NPS_BY_REASON, *_moments(asked))]


async def read_nps_by_product(conn: Connection, asked: Asked) -> list[NpsOf]:
    """The score by product; an issue about two products counts for both."""
    return [_nps(row) for row in await conn.fetch(_NPS_BY_PRODUCT, *_moments(asked))]


def _days(asked: Asked) -> tuple[Any, ...]:
    return asked.first, asked.last, asked.sku, asked.lot


def _moments(asked: Asked) -> tuple[Any, ...]:
    """From the beginning of the first day to the end of the last, in the shop's time zone."""
    begin = datetime.combine(asked.first, datetime.min.time(), asked.zone)
    end = datetime.combine(asked.last + timedelta(days=1), datetime.min.time(), asked.zone)
    return begin, end, asked.sku, asked.lot


def _hours(issues: int, found: Sequence[float] | None) -> Hours:
    return Hours(issues, *found) if found else Hours(issues, None, None)


def _reasons(rows: Sequence[Any]) -> tuple[ReasonCount, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["reason"]] = counts.get(row["reason"], 0) + row["issues"]
    return tuple(ReasonCount(*one) for one in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _peak_hours(rows: Sequence[Any]) -> tuple[HourCount, ...]:
    counts: dict[tuple[int, int], int] = {}
    for row in rows:
        hour = (row["weekday"], row["hour"])
        counts[hour] = counts.get(hour, 0) + row["issues"]
    return tuple(HourCount(*hour, count) for hour, count in sorted(counts.items()))


def _product(sku: str, lot: str, rows: Sequence[Any]) -> ProductFigures:
    arrived = int(rows[0]["arrived"])
    told = [row for row in rows if row["reason"] is not None]
    orders = sum(row["orders"] for row in told)
    return ProductFigures(
        sku=sku,
        lot=lot or None,
        arrived_pieces=arrived,
        reported_pieces=sum(int(row["reported"]) for row in told),
        # what was lost is reported, but never arrived
        rate=share(min(orders, arrived), arrived),
        reasons=tuple(ReasonCount(row["reason"], row["orders"]) for row in told),
    )


def _nps(row: Any) -> NpsOf:
    return NpsOf(row["name"], nps(row["promoters"], row["passives"], row["detractors"]))
