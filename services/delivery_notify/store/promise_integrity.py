"""SQL of the promise integrity: one row per day, replaced by each audit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection


@dataclass(frozen=True, slots=True)
class IntegrityOfDay:
    """Number of promises of one day by outcome."""

    day: date
    kept: int
    announced_before: int
    silent: int
    released: int
    open: int


# An older audit that comes late changes nothing.
_SAVE = """
    INSERT INTO promise_integrity AS known (day, kept, announced_before, silent, released, open, audited_at)
    SELECT d.*, $7 FROM unnest($1::date[], $2::int[], $3::int[], $4::int[], $5::int[], $6::int[]) AS d
    ON CONFLICT (day) DO UPDATE SET (kept, announced_before, silent, released, open, audited_at) = (
        excluded.kept, excluded.announced_before, excluded.silent, excluded.released, excluded.open,
        excluded.audited_at)
    WHERE known.audited_at <= excluded.audited_at"""

_JUDGED = """
    SELECT sum(kept) AS kept, sum(announced_before) AS announced_before, sum(silent) AS silent,
           sum(released) AS released, sum(open) AS open
    FROM promise_integrity WHERE day > $1"""
JUDGED_DAYS = timedelta(days=30)


async def judged_promises(conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
    """Return the audited promises of the last 30 days by outcome; nothing before the first audit."""
    row = await conn.fetchrow(_JUDGED, (now - JUDGED_DAYS).date())
    return {(name,): float(count) for name, count in row.items() if count is not None} if row else {}


async def save_integrity(conn: Connection, days: Sequence[IntegrityOfDay], audited_at: datetime) -> None:
    if days:
        rows = [(each.day, each.kept, each.announced_before, each.silent, each.released, each.open) for each in days]
        await conn.execute(_SAVE, *columns(rows), audited_at)


async def list_integrity(conn: Connection, first: date, last: date) -> list[Mapping[str, object]]:
    """Return the days of this span that were audited, oldest first."""
    rows = await conn.fetch(
        """SELECT day, kept + announced_before + silent + released + open AS made, kept, announced_before, silent,
                  released, open, audited_at
           FROM promise_integrity WHERE day BETWEEN $1 AND $2 ORDER BY day""",
        first,
        last,
    )
    return [dict(row) for row in rows]
