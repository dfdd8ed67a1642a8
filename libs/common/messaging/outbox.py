"""The outbox: events written in the same transaction as the change they tell of. The relay publishes them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.decisions.facts import CancelTimer, SetTimer
from libs.common.messaging.timers import TimerChanges
from libs.common.postgres.pool import Connection

MAX_BYTES = 900_000
"""Of key, value and headers: below Kafka's default of 1 MiB, so that no row is ever written that could not be sent."""


class TooLargeError(ValueError):
    """An event is larger than Kafka takes; shorten its longest field."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One record to be: topic with its prefix, key, value, and headers as text."""

    topic: str
    key: str | None
    value: bytes | None
    headers: dict[str, str] | None = None

    @property
    def size(self) -> int:
        """Bytes, about as Kafka counts them."""
        headers = sum(len(name) + len(value.encode()) for name, value in (self.headers or {}).items())
        return len(self.value or b"") + len((self.key or "").encode()) + headers


async def write(conn: Connection, rows: Sequence[OutboxRow]) -> None:
    """Write rows in this order, one statement. Raises `TooLargeError` before anything is written."""
    await write_effects(conn, rows)


# Timers and outbox in one round trip, since every decision leaves both. The ids are drawn in row order, and after the
# states of these events were locked: id order is right per key.
_EFFECTS = """
    WITH cancelled AS (
        DELETE FROM timers t USING unnest($6::text[], $7::text[]) AS c (key, name)
        WHERE t.aggregate = $5 AND t.key = c.key AND t.name = c.name),
    moved AS (
        INSERT INTO timers (aggregate, key, name, due_at, trace)
        SELECT $5, * FROM unnest($8::text[], $9::text[], $10::timestamptz[], $11::jsonb[])
        ON CONFLICT (aggregate, key, name) DO UPDATE SET due_at = excluded.due_at, trace = excluded.trace)
    INSERT INTO outbox (topic, key, value, headers)
    SELECT topic, key, value, headers
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::jsonb[]) WITH ORDINALITY AS r (topic, key, value, headers, n)
    ORDER BY n"""


async def write_effects(
    conn: Connection, rows: Sequence[OutboxRow], aggregate: str = "", timers: TimerChanges | None = None
) -> None:
    """Write outbox rows and change timers of states that this transaction has locked, in one statement."""
    if not rows and not timers:
        return
    _check_sizes(rows)
    changes = timers or {}
    cancelled = [at for at, (fact, _) in changes.items() if isinstance(fact, CancelTimer)]
    moved = [(*at, fact.due_at, trace) for at, (fact, trace) in changes.items() if isinstance(fact, SetTimer)]
    await conn.execute(
        _EFFECTS,
        [row.topic for row in rows],
        [row.key for row in rows],
        [row.value for row in rows],
        _or_nothing([json.dumps(row.headers) if row.headers else None for row in rows]),
        aggregate,
        [key for key, _ in cancelled],
        [name for _, name in cancelled],
        [key for key, _, _, _ in moved],
        [name for _, name, _, _ in moved],
        [due_at for _, _, due_at, _ in moved],
        _or_nothing([json.dumps(trace) if trace else None for _, _, _, trace in moved]),
    )


def _or_nothing(texts: list[str | None]) -> list[str | None] | None:
    """No array where all of it would be NULL: `unnest` fills the column up, and asyncpg looks at each element long."""
    return texts if any(texts) else None


def _check_sizes(rows: Sequence[OutboxRow]) -> None:
    for row in rows:
        if row.size > MAX_BYTES:
            raise TooLargeError(f"{row.topic} {row.key}: {row.size} bytes, {MAX_BYTES} are the most")
