"""SQL of intake's metrics: open issues by status, and the work of the desk."""

from collections.abc import Mapping
from datetime import datetime

from libs.common.postgres.pool import Connection

_OPEN_ISSUES = "SELECT status, count(*) AS count FROM issues WHERE is_open GROUP BY status"
_OLDEST = "SELECT status, extract(epoch FROM $1 - min(reported_at)) AS age FROM issues WHERE is_open GROUP BY status"
_WORK = """
    SELECT kind, count(*) AS open, count(*) FILTER (WHERE due_at < $1) AS overdue
    FROM (SELECT kind, due_at FROM work_queue
          UNION ALL SELECT 'unmatched', due_at FROM anomalies WHERE settled_at IS NULL) work GROUP BY kind"""
_DELAY = """
    SELECT extract(epoch FROM $1 - min(decide_by)) FROM issues
    WHERE is_open AND decided_at IS NULL AND decide_by < $1"""
_UNDECIDED = """
    SELECT count(*) AS open, count(*) FILTER (WHERE decide_by < $1) AS overdue
    FROM issues WHERE is_open AND decided_at IS NULL"""


async def open_issues(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    """Return the open issues by status."""
    return {(row["status"],): float(row["count"]) for row in await conn.fetch(_OPEN_ISSUES)}


async def oldest_issues(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    """Return the age of the oldest open issue by status, in seconds."""
    return {(row["status"],): max(0.0, float(row["age"])) for row in await conn.fetch(_OLDEST, now)}


async def undecided_issues(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    """Return the issues without a decision by state against the deadline of the decision."""
    row = await conn.fetchrow(_UNDECIDED, now)
    assert row is not None, "an aggregate without GROUP BY returns one row"
    return {("in_time",): float(row["open"] - row["overdue"]), ("overdue",): float(row["overdue"])}


async def open_work(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    """Return the work items of the desk by kind and state: `due`, or `overdue`."""
    found: dict[tuple[str, ...], float] = {}
    for row in await conn.fetch(_WORK, now):
        found[row["kind"], "overdue"] = float(row["overdue"])
        found[row["kind"], "due"] = float(row["open"] - row["overdue"])
    return found


async def decision_delay(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    """Return for how many seconds the oldest decision is overdue, 0 where none is."""
    return {(): float(await conn.fetchval(_DELAY, now) or 0)}
