"""Durable timers: every open state has a next deadline (invariant 6).

A timer belongs to one state. It is claimed after the state is locked, by deleting exactly the row that was read as due:
a timer moved or cancelled meanwhile does not fire, and two processes never fire the same one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.common.decisions.facts import CancelTimer, SetTimer
from libs.common.postgres.pool import Connection
from libs.common.telemetry.trace_context import Carrier


@dataclass(frozen=True, slots=True)
class DueTimer:
    key: str
    name: str
    due_at: datetime
    trace: Carrier | None


TimerChanges = Mapping[tuple[str, str], tuple[SetTimer | CancelTimer, Carrier | None]]
"""Last change of each timer by state key and timer name, with its trace; see `outbox.write_effects`."""

_DUE = """
    SELECT key, name, due_at, trace FROM timers
    WHERE aggregate = $1 AND due_at <= $2 ORDER BY due_at LIMIT $3"""
_CLAIM = """
    DELETE FROM timers t USING unnest($2::text[], $3::text[], $4::timestamptz[]) AS c (key, name, due_at)
    WHERE t.aggregate = $1 AND t.key = c.key AND t.name = c.name AND t.due_at = c.due_at
    RETURNING t.key, t.name"""


async def due(conn: Connection, aggregate: str, now: datetime, limit: int) -> list[DueTimer]:
    """Return due timers, oldest first, without claiming them."""
    return [
        DueTimer(row["key"], row["name"], row["due_at"], row["trace"])
        for row in await conn.fetch(_DUE, aggregate, now, limit)
    ]


async def claim(conn: Connection, aggregate: str, timers: Sequence[DueTimer]) -> set[tuple[str, str]]:
    """Claim these timers, whose states are locked; return (key, name) of those that are unchanged."""
    rows = await conn.fetch(
        _CLAIM, aggregate, [t.key for t in timers], [t.name for t in timers], [t.due_at for t in timers]
    )
    return {(row["key"], row["name"]) for row in rows}


async def postpone(conn: Connection, aggregate: str, timer: DueTimer, until: datetime) -> None:
    """Move one timer if it is unchanged."""
    await conn.execute(
        "UPDATE timers SET due_at = $4 WHERE (aggregate, key, name) = ($1, $2, $3) AND due_at = $5",
        aggregate,
        timer.key,
        timer.name,
        until,
        timer.due_at,
    )
