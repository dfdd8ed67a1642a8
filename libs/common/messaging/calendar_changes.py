"""Changes of the calendar file: every open state is looked at again, once per change.

A timer named `calendar` is set for each state that has one of the watched timers, with the trace of such a timer. The
statement is repeated by every process that starts, and changes nothing while the file is the same.
"""

from collections.abc import Sequence
from datetime import datetime

from libs.common.decisions.calendars import CALENDAR_TIMER
from libs.common.postgres.pool import Connection

_SCHEDULE = """
    WITH changed AS (
        INSERT INTO calendar_in_force AS known (aggregate, fingerprint, since) VALUES ($1, $2, $4)
        ON CONFLICT (aggregate) DO UPDATE SET fingerprint = excluded.fingerprint, since = excluded.since
        WHERE known.fingerprint <> excluded.fingerprint
        RETURNING true)
    INSERT INTO timers (aggregate, key, name, due_at, trace)
    SELECT t.aggregate, t.key, $5, $4, max(t.trace) FROM timers t CROSS JOIN changed
    WHERE t.aggregate = $1 AND t.name = ANY($3)
    GROUP BY t.aggregate, t.key
    ON CONFLICT DO NOTHING"""


async def schedule_review_of_dates(
    conn: Connection, aggregate: str, fingerprint: str, watched: Sequence[str], now: datetime
) -> None:
    """Set the timer where the calendar is another one than at the last start."""
    await conn.execute(_SCHEDULE, aggregate, fingerprint, list(watched), now, CALENDAR_TIMER)
