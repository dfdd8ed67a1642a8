"""Months that are over are added up once; a figure is the sum of such tallies and of a scan of the other days.

Every kind of figure here is a sum over days: the tally of a month is what the scan of its days gives, by the same
statement, so that both ways to a figure are equal. A batch that changes something appends the month to `to_tally`, in
its own transaction. A month with such a mark is scanned, until the keeper has added it up again; it does so in one
snapshot and deletes only the marks that the snapshot shows, so that a batch which commits meanwhile leaves its mark.

Rejected: counters kept by the batches (all of them would wait for the same rows, and a report that falls, or is told of
late, would have to be taken out again), a materialized view (wrong until it is refreshed, and always as a whole),
answers kept for a minute (as old as that, and the first one as slow as before). Times until something are not here: a
median is no sum.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.postgres.pool import Connection
from services.intake.insights.schemas import MetricsQuery
from services.intake.store.insights.queries import BY_DAY, REPEAT_WITHIN, SCANS, Kind

MONTHS = 37
"""So many months back are added up: the longest period that may be asked for."""


Row = tuple[str, str, str, int, int, int]

# A mark touches its month, a day around it (days begin elsewhere in UTC), and what repeats may look back from.
_TOUCHED = f"""EXISTS (
    SELECT FROM to_tally n WHERE n.month <= t.month + interval '1 month 1 day'
        AND n.month + interval '1 month {REPEAT_WITHIN.days + 2} days' >= t.month)"""
_FRESH = f"""
    SELECT t.month FROM tallied t
    WHERE t.month >= $1 AND t.month + interval '1 month' <= $2::date + 1 AND t.zone = $3 AND NOT {_TOUCHED}
    ORDER BY t.month"""  # noqa: S608 - no value is part of the text
_KEPT = """
    SELECT kind, a, b, c, sum(x)::bigint AS x, sum(y)::bigint AS y, sum(z)::bigint AS z
    FROM tallies WHERE month = ANY($1) AND kind = ANY($2) GROUP BY kind, a, b, c"""
_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('intake tallies'))"
_MARKS = "SELECT n FROM to_tally"
_STALE = f"""
    WITH stale AS (DELETE FROM tallied t WHERE t.zone <> $1 OR {_TOUCHED} RETURNING month)
    DELETE FROM tallies WHERE month IN (SELECT month FROM stale)"""  # noqa: S608 - no value is part of the text
_DONE = "DELETE FROM to_tally WHERE n = ANY($1)"
_MISSING = "SELECT month FROM unnest($1::date[]) AS m (month) WHERE month NOT IN (SELECT month FROM tallied)"
_TALLIED = "INSERT INTO tallied (month, zone) SELECT month, $2 FROM unnest($1::date[]) AS m (month)"


async def add_up(conn: Connection, asked: MetricsQuery, *kinds: Kind) -> dict[Kind, list[Row]]:
    """The sums of these kinds over the days that are asked for, in one snapshot."""
    found: dict[Kind, dict[tuple[str, str, str], tuple[int, int, int]]] = {kind: {} for kind in kinds}
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        months = await _fresh(conn, asked)
        rows = [(Kind(row["kind"]), row) for row in await conn.fetch(_KEPT, months, list(kinds))] if months else []
        left = days_left(asked, months)
        for kind in kinds if left else ():
            rows += [(kind, row) for row in await conn.fetch(SCANS[kind], *_bound(kind, asked, left))]
    for kind, row in rows:
        key = (row["a"], row["b"], row["c"])
        x, y, z = found[kind].get(key, (0, 0, 0))
        found[kind][key] = (x + int(row["x"]), y + int(row["y"]), z + int(row["z"]))
    return {kind: [(*key, *sums) for key, sums in sorted(some.items())] for kind, some in found.items()}


async def _fresh(conn: Connection, asked: MetricsQuery) -> list[date]:
    """Months of the period that need no scan. What is asked about one product is found by its index instead."""
    if asked.sku:
        return []
    return [row["month"] for row in await conn.fetch(_FRESH, asked.first, asked.last, asked.zone.key)]


def days_left(asked: MetricsQuery, months: Iterable[date]) -> list[tuple[date, date]]:
    """The days of the period, first and last of each range, that are not in these months (which are in order)."""
    left, begin = [], asked.first
    for month in months:
        if begin < month:
            left.append((begin, month - timedelta(days=1)))
        begin = after(month)
    return [*left, (begin, asked.last)] if begin <= asked.last else left


def after(month: date) -> date:
    """The first day of the next month."""
    return (month.replace(day=1) + timedelta(days=31)).replace(day=1)


def _bound(kind: Kind, asked: MetricsQuery, ranges: Sequence[tuple[date, date]]) -> tuple[Any, ...]:
    first, last = [one for one, _ in ranges], [one for _, one in ranges]
    narrowed = (asked.sku, asked.lot, first, *((asked.zone.key,) if kind == Kind.REPORTS else ()))
    if kind in BY_DAY:
        return first, last, *narrowed
    return [midnight(day, asked.zone) for day in first], [midnight(_next(day), asked.zone) for day in last], *narrowed


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone)


def _next(day: date) -> date:
    return day + timedelta(days=1)


async def keep(conn: Connection, today: date, zone: ZoneInfo) -> int:
    """Add up what is over and not added up, or changed since; gives how many months. One process at a time does it."""
    async with conn.transaction(isolation="repeatable_read"):
        if not await conn.fetchval(_ALONE):
            return 0
        marks = [row["n"] for row in await conn.fetch(_MARKS)]
        await conn.execute(_STALE, zone.key)
        await conn.execute(_DONE, marks)
        months = [row["month"] for row in await conn.fetch(_MISSING, _over(today))]
        if months:
            ranges = [(month, after(month) - timedelta(days=1)) for month in months]
            for kind, scan in SCANS.items():
                insert = f"INSERT INTO tallies (kind, month, a, b, c, x, y, z) SELECT '{kind}', s.* FROM ({scan}) AS s"  # noqa: S608 - no value is part of the text
                await conn.execute(insert, *_bound(kind, MetricsQuery(today, today, zone), ranges))
            await conn.execute(_TALLIED, months, zone.key)
        return len(months)


def _over(today: date) -> list[date]:
    """The months before today's, the newest first."""
    months, month = [], today.replace(day=1)
    for _ in range(MONTHS):
        month = (month - timedelta(days=1)).replace(day=1)
        months.append(month)
    return months
