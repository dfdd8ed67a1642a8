"""Rollups of past months: a metric is the sum of monthly rollups and of a scan of the remaining days.

Each kind of metric here is a sum over days: the rollup of a month is what the same statement returns for its days, so
both ways to a metric are equal. A batch that changes a past month appends it to `rollup_queue` in its own transaction.
Queued months are scanned until the job has computed them again; it works on one snapshot and deletes only the queue
rows that the snapshot shows, so that a batch which commits meanwhile keeps its row.

Rejected: counters maintained by the batches (all batches would contend for the same rows, and a withdrawn or late
report would have to be subtracted), a materialized view (stale until refreshed, and refreshed as a whole), a cache of
one minute (stale, and no faster on the first read). Durations are not here: a median is not a sum.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.postgres.pool import Connection
from services.intake.insights.schemas import MetricsQuery
from services.intake.store.insights.queries import BY_DAY, QUERIES, REPEAT_WITHIN, RollupKind

ROLLUP_MONTHS = 37
"""Number of past months that are rolled up: the longest period of a query."""


Row = tuple[str, str, str, int, int, int]

# A queued month affects itself, a day around it (days begin elsewhere in UTC), and the months that count repeats of it.
_TOUCHED = f"""EXISTS (
    SELECT FROM rollup_queue n WHERE n.month <= t.month + interval '1 month 1 day'
        AND n.month + interval '1 month {REPEAT_WITHIN.days + 2} days' >= t.month)"""
_FRESH = f"""
    SELECT t.month FROM rollup_months t
    WHERE t.month >= $1 AND t.month + interval '1 month' <= $2::date + 1 AND t.zone = $3 AND NOT {_TOUCHED}
    ORDER BY t.month"""  # noqa: S608 - no value is part of the text
_ROLLUPS = """
    SELECT kind, month, dimension_1, dimension_2, dimension_3, value_1, value_2, value_3
    FROM monthly_rollups WHERE month = ANY($1) AND kind = ANY($2)"""
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtext('intake rollups'))"
_QUEUED = "SELECT id FROM rollup_queue"
_DELETE_STALE = f"""
    WITH stale AS (DELETE FROM rollup_months t WHERE t.zone <> $1 OR {_TOUCHED} RETURNING month)
    DELETE FROM monthly_rollups WHERE month IN (SELECT month FROM stale)"""  # noqa: S608 - no value is part of the text
_DEQUEUE = "DELETE FROM rollup_queue WHERE id = ANY($1)"
_MISSING = "SELECT month FROM unnest($1::date[]) AS m (month) WHERE month NOT IN (SELECT month FROM rollup_months)"
_MARK_DONE = "INSERT INTO rollup_months (month, zone) SELECT month, $2 FROM unnest($1::date[]) AS m (month)"
_INSERTS = {
    kind: f"""INSERT INTO monthly_rollups
        (kind, month, dimension_1, dimension_2, dimension_3, value_1, value_2, value_3)
    SELECT '{kind}', s.* FROM ({statement}) AS s"""  # noqa: S608 - no value is part of the text
    for kind, statement in QUERIES.items()
}


async def read_sums(conn: Connection, query: MetricsQuery, *kinds: RollupKind) -> dict[RollupKind, list[Row]]:
    """Return the sums of these kinds over the period, in one snapshot."""
    sums: dict[RollupKind, dict[tuple[str, str, str], tuple[int, int, int]]] = {kind: {} for kind in kinds}
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        months = await _fresh_months(conn, query)
        stored = await conn.fetch(_ROLLUPS, months, list(kinds)) if months else []
        rows = [(RollupKind(kind), values) for kind, *values in stored]
        ranges = days_to_scan(query, months)
        for kind in kinds if ranges else ():
            rows += [(kind, list(row)) for row in await conn.fetch(QUERIES[kind], *_arguments(kind, query, ranges))]
    for kind, (_, *dimensions, value_1, value_2, value_3) in rows:
        key = (dimensions[0], dimensions[1], dimensions[2])
        sum_1, sum_2, sum_3 = sums[kind].get(key, (0, 0, 0))
        sums[kind][key] = (sum_1 + int(value_1), sum_2 + int(value_2), sum_3 + int(value_3))
    return {kind: [(*key, *values) for key, values in sorted(found.items())] for kind, found in sums.items()}


async def _fresh_months(conn: Connection, query: MetricsQuery) -> list[date]:
    """Return the months of the period that need no scan. Queries about one product use its index instead."""
    if query.sku:
        return []
    return [row["month"] for row in await conn.fetch(_FRESH, query.first, query.last, query.zone.key)]


def days_to_scan(query: MetricsQuery, months: Iterable[date]) -> list[tuple[date, date]]:
    """Return the ranges of days of the period outside these months (which are in order)."""
    ranges, begin = [], query.first
    for month in months:
        if begin < month:
            ranges.append((begin, month - timedelta(days=1)))
        begin = next_month(month)
    return [*ranges, (begin, query.last)] if begin <= query.last else ranges


def next_month(month: date) -> date:
    """Return the first day of the next month."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)


def _arguments(kind: RollupKind, query: MetricsQuery, ranges: Sequence[tuple[date, date]]) -> tuple[Any, ...]:
    first, last = [begin for begin, _ in ranges], [end for _, end in ranges]
    zone = (query.zone.key,) if kind == RollupKind.REPORTS else ()
    if kind in BY_DAY:
        return first, last, query.sku, query.lot, first, *zone
    begins = [midnight(day, query.zone) for day in first]
    ends = [midnight(day + timedelta(days=1), query.zone) for day in last]
    return begins, ends, query.sku, query.lot, first, *zone


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone)


async def update_rollups(conn: Connection, today: date, zone: ZoneInfo) -> int:
    """Roll up past months that are missing or changed; returns their number. One process at a time does it."""
    async with conn.transaction(isolation="repeatable_read"):
        if not await conn.fetchval(_TRY_LOCK):
            return 0
        queued = [row["id"] for row in await conn.fetch(_QUEUED)]
        await conn.execute(_DELETE_STALE, zone.key)
        await conn.execute(_DEQUEUE, queued)
        months = [row["month"] for row in await conn.fetch(_MISSING, _past_months(today))]
        if months:
            ranges = [(month, next_month(month) - timedelta(days=1)) for month in months]
            for kind, insert in _INSERTS.items():
                await conn.execute(insert, *_arguments(kind, MetricsQuery(today, today, zone), ranges))
            await conn.execute(_MARK_DONE, months, zone.key)
        return len(months)


def _past_months(today: date) -> list[date]:
    """Return the months before today's, newest first."""
    months, month = [], today.replace(day=1)
    for _ in range(ROLLUP_MONTHS):
        month = (month - timedelta(days=1)).replace(day=1)
        months.append(month)
    return months
