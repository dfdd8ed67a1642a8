"""SQL of the forecast of lateness: past first dates with their delays, promises due on a day, and times of checks."""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from libs.common.events.notices import PromiseSubject
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.lateness import DuePromise, FirstDate, Party
from services.delivery_notify.domain.promise_accuracy import Dimension
from services.delivery_notify.store.promise_accuracy import RELEASED

MAX_DUE = 20_000
"""Promises of one day that are looked at, by the order in which they were made."""

_SUBJECTS = [PromiseSubject.LINE.value, PromiseSubject.DELIVERY.value, PromiseSubject.REPLACEMENT.value]

# First dates before $2, and those of that day that were kept. One that was given up in time is no measure of its party;
# one that was missed first counts until it was done or given up: the longest delays end so.
_HISTORY = f"""
    SELECT CASE f.subject WHEN 'delivery' THEN 'carrier' ELSE 'warehouse' END AS dimension,
           coalesce(CASE f.subject WHEN 'delivery' THEN o.carrier ELSE o.warehouse END, 'unknown') AS name,
           f.day, (coalesce(o.done_at, o.ended_at) AT TIME ZONE $4)::date AS ended_on
    FROM first_dates f JOIN promise_outcomes o USING (order_id, subject, subject_id)
    WHERE f.day BETWEEN $1 AND $2 AND f.subject = ANY ($3)
      AND (o.done_at IS NOT NULL OR f.day < $2)
      AND ((o.done_at AT TIME ZONE $4)::date <= f.day OR {RELEASED} IS NOT TRUE)"""  # noqa: S608 - text of the store
_DUE = """
    SELECT CASE p.subject WHEN 'delivery' THEN 'carrier' ELSE 'warehouse' END AS dimension,
           coalesce(CASE p.subject WHEN 'delivery' THEN o.carrier ELSE o.warehouse END, 'unknown') AS name,
           p.order_id, p.day, (c.body ->> 'essential_date')::date AS useful_until
    FROM promises p
    JOIN promise_outcomes o USING (order_id, subject, subject_id)
    JOIN conversations c ON c.key = p.order_id
    WHERE p.day = $1 AND p.subject IN ('line', 'delivery', 'replacement') AND o.done_at IS NULL AND o.ended_at IS NULL
      AND NOT EXISTS (
          SELECT FROM promises q WHERE (q.order_id, q.subject, q.subject_id) = (p.order_id, p.subject, p.subject_id)
            AND q.version > p.version)
    ORDER BY p.promised_at, p.order_id, p.subject, p.subject_id LIMIT $2"""

_PLAN_CHECKS = """
    INSERT INTO lateness_checks (dimension, due_at) SELECT * FROM unnest($1::text[], $2::timestamptz[])
    ON CONFLICT (dimension) DO NOTHING"""


async def read_history(conn: Connection, since: date, today: date, zone: ZoneInfo) -> list[FirstDate]:
    """Return the first dates of these days that were kept or missed so far."""
    rows = await conn.fetch(_HISTORY, since, today, _SUBJECTS, zone.key)
    return [FirstDate(Party(Dimension(row["dimension"]), row["name"]), row["day"], row["ended_on"]) for row in rows]


async def read_due(conn: Connection, today: date) -> list[DuePromise]:
    """Return the promises of this day that are not kept yet, each with the day until which the order is useful."""
    rows = await conn.fetch(_DUE, today, MAX_DUE)
    return [
        DuePromise(Party(Dimension(row["dimension"]), row["name"]), row["order_id"], row["day"], row["useful_until"])
        for row in rows
    ]


async def due_checks(conn: Connection, planned: Mapping[Dimension, datetime], now: datetime) -> list[Dimension]:
    """Return the kinds of party whose check is due, locked; a kind without a row gets its planned time."""
    await conn.execute(_PLAN_CHECKS, *columns([(each.value, due_at) for each, due_at in sorted(planned.items())]))
    rows = await conn.fetch(
        "SELECT dimension FROM lateness_checks WHERE due_at <= $1 ORDER BY dimension FOR UPDATE", now
    )
    return [Dimension(row["dimension"]) for row in rows]


async def plan_checks(conn: Connection, planned: Mapping[Dimension, datetime]) -> None:
    """Set the times of the next checks."""
    rows = [(each.value, due_at) for each, due_at in sorted(planned.items())]
    await conn.execute(
        """UPDATE lateness_checks AS c SET due_at = new.due_at
           FROM unnest($1::text[], $2::timestamptz[]) AS new (dimension, due_at)
           WHERE c.dimension = new.dimension""",
        *columns(rows),
    )
