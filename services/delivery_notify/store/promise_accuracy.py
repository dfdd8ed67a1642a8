"""SQL of the accuracy of promises: the first dates that customers were given, with what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from time import perf_counter
from zoneinfo import ZoneInfo

from libs.common.postgres.pool import Connection
from services.delivery_notify.domain.promise_accuracy import (
    SUBJECTS,
    Dimension,
    FirstDateOutcome,
    OutcomeCount,
    limit_names,
)

COUNTED_DAYS = timedelta(days=30)
"""Days whose first dates the metric counts."""

MAX_NAMES = 20
"""Names of one dimension that the metric shows by themselves."""

# Whether a first date `f` with its outcome `o` was given up by the end of its day, by a cancellation or by the choice
# of a later day; $4 is the time zone.
RELEASED = """(o.ended_at < ((f.day + 1)::timestamp AT TIME ZONE $4) OR EXISTS (
                       SELECT FROM promises q
                       WHERE (q.order_id, q.subject, q.subject_id) = (f.order_id, f.subject, f.subject_id)
                         AND q.version > f.version AND q.source = 'customer.decided' AND q.day > f.day
                         AND q.promised_at < ((f.day + 1)::timestamp AT TIME ZONE $4)))"""
# $1 and $2 are the days, $3 the subjects, $4 is the time zone, $5 the present day, $6 the dimension.
_OUTCOMES = f"""
    WITH judged AS (
        SELECT f.subject,
               coalesce(CASE $6 WHEN 'warehouse' THEN o.warehouse WHEN 'carrier' THEN o.carrier
                                ELSE o.product_group END, 'unknown') AS name,
               CASE
                   WHEN o.order_id IS NULL THEN 'unknown'
                   WHEN (o.done_at AT TIME ZONE $4)::date <= f.day THEN 'kept'
                   WHEN {RELEASED} THEN 'released'
                   WHEN o.done_at IS NULL AND f.day >= $5 THEN 'open'
                   ELSE 'missed'
               END AS outcome
        FROM first_dates f LEFT JOIN promise_outcomes o USING (order_id, subject, subject_id)
        WHERE f.day BETWEEN $1 AND $2 AND f.subject = ANY ($3))
    SELECT subject, name, outcome, count(*) AS dates FROM judged GROUP BY subject, name, outcome"""  # noqa: S608 - text of this module


async def count_outcomes(
    conn: Connection, dimension: Dimension, since: date, until: date, today: date, zone: ZoneInfo
) -> list[OutcomeCount]:
    """Return the first dates of these days by subject, name and outcome."""
    subjects = [subject.value for subject in SUBJECTS[dimension]]
    rows = await conn.fetch(_OUTCOMES, since, until, subjects, zone.key, today, dimension.value)
    return [
        OutcomeCount(row["subject"], row["name"], FirstDateOutcome(row["outcome"]), row["dates"])
        for row in sorted(rows, key=lambda row: (row["subject"], row["name"], row["outcome"]))
    ]


@dataclass
class FirstDateGauge:
    """Query of the metric of first dates. It reads weeks of promises, so it is repeated at a fiftieth of the time."""

    zone: ZoneInfo
    minimum_pause: float = 60.0
    _values: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    _next: float = 0.0

    async def __call__(self, conn: Connection, now: datetime) -> Mapping[tuple[str, ...], float]:
        started = perf_counter()
        if started >= self._next:
            self._values = await self._read(conn, now.astimezone(self.zone).date())
            self._next = perf_counter() + max(self.minimum_pause, 50 * (perf_counter() - started))
        return self._values

    async def _read(self, conn: Connection, today: date) -> Mapping[tuple[str, ...], float]:
        values: dict[tuple[str, ...], float] = {}
        for dimension in Dimension:
            counts = await count_outcomes(conn, dimension, today - COUNTED_DAYS, today, today, self.zone)
            for each in limit_names(counts, MAX_NAMES):
                values[dimension, each.subject, each.name, each.outcome] = float(each.dates)
        return values
