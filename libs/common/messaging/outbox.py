"""Transactional outbox: events written in the transaction of their change, and published by the relay.

A row holds all records of one write, as arrays. Measured in batches of 60: a fifth of the write-ahead log of a row per
record and a third less CPU of Postgres; the records of a batch resemble each other and are compressed together.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.decisions.facts import CancelTimer, SetTimer
from libs.common.messaging.timers import TimerChanges
from libs.common.postgres.column_keys import keys_of
from libs.common.postgres.pool import Connection
from libs.common.telemetry.trace_context import Carrier

MAX_BYTES = 900_000
"""Maximum size of key, value and headers; below Kafka's default of 1 MiB, so that every row can be sent."""

ROW_BYTES = 256 * 1024
"""Size from which a write is split into several rows, so that the relay can bound what it reads at a time."""


class EventTooLargeError(ValueError):
    """An event exceeds Kafka's maximum record size; shorten its longest field."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One record to publish: topic with prefix, key, value, trace context, and other headers as text.

    `type` is the event type, for the span that covers the write; it is not stored. The value of a `personal` record is
    encrypted while it waits, if the service has column keys.
    """

    topic: str
    key: str | None
    value: bytes | None
    trace: Carrier | None = None
    headers: dict[str, str] | None = None
    type: str = ""
    personal: bool = False

    @property
    def size(self) -> int:
        """Size in bytes, approximately as Kafka counts it."""
        headers = sum(len(name) + len(value.encode()) for name, value in (self.headers or {}).items())
        return len(self.value or b"") + len((self.key or "").encode()) + headers


async def write(conn: Connection, rows: Sequence[OutboxRow]) -> None:
    """Write records in this order. Raises `EventTooLargeError` before anything is written."""
    await write_effects(conn, rows)


# One round trip for timers and outbox. The id is assigned after the states of these events were locked, so id order is
# right per key.
_EFFECTS = """
    WITH cancelled AS (
        DELETE FROM timers t USING unnest($6::text[], $7::text[]) AS c (key, name)
        WHERE t.aggregate = $5 AND t.key = c.key AND t.name = c.name),
    moved AS (
        INSERT INTO timers (aggregate, key, name, due_at, trace)
        SELECT $5, * FROM unnest($8::text[], $9::text[], $10::timestamptz[], $11::text[])
        ON CONFLICT (aggregate, key, name) DO UPDATE SET due_at = excluded.due_at, trace = excluded.trace)
    INSERT INTO outbox (topics, keys, payloads, record_headers, traces)
    SELECT $1::text[], $2::text[], $3::bytea[], $4::jsonb[], $12::text[] WHERE cardinality($1::text[]) > 0"""


async def write_effects(
    conn: Connection, rows: Sequence[OutboxRow], aggregate: str = "", timers: TimerChanges | None = None
) -> None:
    """Write outbox records and change timers of states locked by this transaction, in one statement."""
    if not rows and not timers:
        return
    first, *others = _split(rows)
    await _write_row(conn, first, aggregate, timers or {})
    for part in others:
        await _write_row(conn, part, aggregate, {})


async def _write_row(conn: Connection, rows: Sequence[OutboxRow], aggregate: str, changes: TimerChanges) -> None:
    cancelled = [timer for timer, (fact, _) in changes.items() if isinstance(fact, CancelTimer)]
    moved = [(*timer, fact.due_at, trace) for timer, (fact, trace) in changes.items() if isinstance(fact, SetTimer)]
    await conn.execute(
        _EFFECTS,
        [row.topic for row in rows],
        [row.key for row in rows],
        _values(conn, rows),
        _null_if_all_null([json.dumps(row.headers) if row.headers else None for row in rows]),
        aggregate,
        [key for key, _ in cancelled],
        [name for _, name in cancelled],
        [key for key, _, _, _ in moved],
        [name for _, name, _, _ in moved],
        [due_at for _, _, due_at, _ in moved],
        _null_if_all_null([trace for _, _, _, trace in moved]),
        _null_if_all_null([row.trace for row in rows]),
    )


TABLE = "outbox"


def _values(conn: Connection, rows: Sequence[OutboxRow]) -> list[bytes | None]:
    seal = keys_of(conn).seal
    return [seal(TABLE, row.value) if row.personal and row.value is not None else row.value for row in rows]


def _null_if_all_null(texts: list[str | None]) -> list[str | None] | None:
    """Return None for an array of NULLs only: `unnest` pads the column, and asyncpg encodes each element slowly."""
    return texts if any(texts) else None


def _split(rows: Sequence[OutboxRow]) -> list[Sequence[OutboxRow]]:
    """Return the records of each row to write, in order; one part, empty, without records."""
    parts: list[Sequence[OutboxRow]] = []
    first = size = 0
    for n, row in enumerate(rows):
        if row.size > MAX_BYTES:
            raise EventTooLargeError(
                f"{row.topic} {row.key}: {row.size} bytes, limit {MAX_BYTES}; shorten the longest field"
            )
        size += row.size
        if size > ROW_BYTES and n > first:
            parts.append(rows[first:n])
            first, size = n, row.size
    return [*parts, rows[first:]]
