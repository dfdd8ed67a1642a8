"""Metrics of a service's database: connections, outbox, timers, dead letters, and queries that a service adds.

Rows are counted by a loop every 15 s, not at export: a slow database must not delay an export, and two exporters must
not count twice.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from libs.common.messaging.dead_letters import DeadLetterReason
from libs.common.postgres.pool import Connection, Pool
from libs.common.telemetry.metrics import Kind, Label, Metric, Metrics

log = logging.getLogger(__name__)

READ_SECONDS = 15.0

Query = Callable[[Connection, datetime], Awaitable[Mapping[Label, float]]]
"""Reads the values of one gauge, by the values of its attributes; the time is now, by the service's clock."""

CONNECTIONS = Metric(
    "db.client.connection.count",
    Kind.GAUGE,
    "{connection}",
    "Open connections of the pool.",
    ("db.client.connection.state",),
)
MAX_CONNECTIONS = Metric("db.client.connection.max", Kind.GAUGE, "{connection}", "Maximum connections of the pool.")
CONNECTION_WAIT = Metric(
    "db.client.connection.wait_time",
    Kind.HISTOGRAM,
    "s",
    "Time until a connection of the pool was free or opened.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
)
OUTBOX_DEPTH = Metric("sakidashi.outbox.depth", Kind.GAUGE, "{record}", "Records that wait for the relay.")
OUTBOX_AGE = Metric("sakidashi.outbox.age", Kind.GAUGE, "s", "Age of the oldest record that waits for the relay.")
TIMERS_DUE = Metric("sakidashi.timers.due", Kind.GAUGE, "{timer}", "Due timers that have not fired.")
TIMERS_LATE = Metric("sakidashi.timers.late", Kind.GAUGE, "s", "Time since the oldest due timer should have fired.")
DEAD_LETTERS = Metric(
    "sakidashi.dead_letters.open", Kind.GAUGE, "{record}", "Dead letters that nobody settled, by reason.", ("reason",)
)

_ROWS = """
    SELECT (SELECT coalesce(sum(coalesce(cardinality(topics), 1)), 0) FROM outbox) AS outbox,
           (SELECT extract(epoch FROM now() - created_at) FROM outbox ORDER BY id LIMIT 1) AS outbox_age,
           (SELECT count(*) FROM timers WHERE due_at <= $1) AS due,
           (SELECT extract(epoch FROM $1 - min(due_at)) FROM timers WHERE due_at <= $1) AS late"""
_COLUMNS = {OUTBOX_DEPTH: "outbox", OUTBOX_AGE: "outbox_age", TIMERS_DUE: "due", TIMERS_LATE: "late"}
_DEAD_LETTERS = "SELECT reason, count(*) AS count FROM dead_letters WHERE state = 'open' GROUP BY reason"


@dataclass
class DatabaseMetrics:
    """Values of the last reading; `queries` are those of the service."""

    now: Callable[[], datetime]
    queries: dict[Metric, Query] = field(default_factory=dict)
    _values: dict[str, Mapping[Label, float]] = field(default_factory=dict)

    def add_to(self, metrics: Metrics, pool: Callable[[], Pool | None], pool_size: int) -> None:
        metrics.gauge(CONNECTIONS, lambda: _connections(pool()))
        metrics.gauge(MAX_CONNECTIONS, lambda: {(): float(pool_size)})
        for metric in (*_COLUMNS, DEAD_LETTERS):
            self._export(metrics, metric)

    def add_query(self, metrics: Metrics, metric: Metric, query: Query) -> None:
        """Export a gauge of the service's own tables."""
        self.queries[metric] = query
        self._export(metrics, metric)

    async def run(self, pool: Pool) -> None:
        """Read all values every `READ_SECONDS`; while the database does not answer the last ones stay."""
        while True:
            try:
                async with pool.acquire() as conn:
                    await self.read(conn)
            except Exception as error:
                log.warning("failed to read metrics error=%s; retrying", type(error).__name__)
            await asyncio.sleep(READ_SECONDS)

    async def read(self, conn: Connection) -> None:
        now = self.now()
        row = await conn.fetchrow(_ROWS, now)
        assert row is not None, "a SELECT without FROM returns one row"
        values: dict[str, Mapping[Label, float]] = {
            metric.name: {(): float(row[column] or 0)} for metric, column in _COLUMNS.items()
        }
        dead_letters: dict[Label, float] = {(str(reason),): 0.0 for reason in DeadLetterReason}
        dead_letters |= {(each["reason"],): float(each["count"]) for each in await conn.fetch(_DEAD_LETTERS)}
        values[DEAD_LETTERS.name] = dead_letters
        for metric, query in self.queries.items():
            values[metric.name] = await query(conn, now)
        self._values = values  # all at once: an export shows one reading

    def _export(self, metrics: Metrics, metric: Metric) -> None:
        metrics.gauge(metric, lambda: self._values.get(metric.name, {}))


def _connections(pool: Pool | None) -> dict[Label, float]:
    if pool is None:
        return {}
    idle = pool.get_idle_size()
    return {("idle",): float(idle), ("used",): float(pool.get_size() - idle)}
