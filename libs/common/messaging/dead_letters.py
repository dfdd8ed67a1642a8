"""Parked records: what could not be taken, kept whole with the reason, to be seen, mended and replayed.

An event that was understood but could not be applied *blocks* its key: later events of the same Kafka key are parked
behind it, so that order per issue holds. Bytes that are no event, and types the contract does not know, block nothing:
there is no order in which they could have been applied.

Replay goes through the service itself, not through Kafka: other services have taken the record already, and a
replayed one must come before those that wait behind it.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import asyncpg
from aiokafka import ConsumerRecord

from libs.common.messaging.outbox import MAX_BYTES, OutboxRow
from libs.common.postgres.pool import Connection


class DeadLetterReason(StrEnum):
    UNDECODABLE = "undecodable"
    UNKNOWN_TYPE = "unknown_type"
    FAILED = "failed"
    BEHIND = "behind"

    @property
    def blocks(self) -> bool:
        return self in (DeadLetterReason.FAILED, DeadLetterReason.BEHIND)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record to park, for one aggregate."""

    record: "ConsumerRecord[Any, Any]"
    reason: DeadLetterReason
    error: str


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A parked row as it is listed and replayed."""

    id: int
    aggregate: str
    topic: str
    partition: int
    offset: int
    key: str | None
    value: bytes | None
    headers: dict[str, str]
    reason: str
    error: str
    state: str
    attempts: int
    stored_at: datetime

    def as_dict(self) -> dict[str, Any]:
        """As ops sees it; bytes that are no text are shown in base64."""
        try:
            value = (self.value or b"").decode()
        except UnicodeDecodeError:
            value = "base64:" + base64.b64encode(self.value or b"").decode()
        return {
            "id": self.id,
            "aggregate": self.aggregate,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "key": self.key,
            "reason": self.reason,
            "error": self.error,
            "state": self.state,
            "attempts": self.attempts,
            "stored_at": self.stored_at.isoformat(),
            "value": value,
        }


def text_key(record: "ConsumerRecord[Any, Any]") -> str:
    """The record's key as text; "" for none, unreadable bytes in base64."""
    return "" if record.key is None else _text(record.key)


def text_headers(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Kafka headers as text: nothing for null, base64 with a mark for what is not UTF-8."""
    return {name: "" if value is None else _text(value) for name, value in headers}


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
    return text.replace("\x00", "\\0")  # Postgres text holds no NUL


_INSERT = """
    INSERT INTO dead_letters (
        aggregate, topic, "partition", "offset", written_at, key, value, headers, reason, error, blocks, state)
    SELECT $1, p.*, CASE WHEN p.reason = 'behind' AND (
               SELECT bool_and(q.state = 'replaying') FROM dead_letters q
               WHERE q.blocks AND q.state IN ('open', 'replaying')
               AND (q.aggregate, q.topic, q.key) = ($1, p.topic, p.key)) THEN 'replaying' ELSE 'open' END
    FROM unnest($2::text[], $3::int[], $4::bigint[], $5::timestamptz[], $6::text[], $7::bytea[],
                               $8::jsonb[], $9::text[], $10::text[], $11::bool[])
        AS p (topic, "partition", "offset", written_at, key, value, headers, reason, error, blocks)
    ON CONFLICT DO NOTHING"""


async def store(conn: Connection, aggregate: str, parkings: Sequence[DeadLetter]) -> None:
    """Keep these records, in this order; a record that is parked already stays as it is.

    One that comes behind records which are being replayed joins them, or it would wait for somebody to ask again.
    """
    if not parkings:
        return
    records = [parking.record for parking in parkings]
    await conn.execute(
        _INSERT,
        aggregate,
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [datetime.fromtimestamp(record.timestamp / 1000, UTC) for record in records],
        [text_key(record) for record in records],
        [record.value for record in records],
        [json.dumps(text_headers(record.headers)) for record in records],
        [parking.reason for parking in parkings],
        [parking.error[:2000].replace("\x00", "\\0") for parking in parkings],
        [parking.reason.blocks for parking in parkings],
    )


def outbox_row(topic: str, service: str, aggregate: str, parking: DeadLetter) -> OutboxRow:
    """The record for `<service>.dead-letters`: its value untouched, the reason in headers; key and headers as text.

    One that is too large to be published again is told without value and headers; the row in `parked` has them.
    """
    record = parking.record
    why = {
        "dlq.reason": parking.reason,
        "dlq.error": parking.error[:500],
        "dlq.service": service,
        "dlq.aggregate": aggregate,
        "dlq.topic": record.topic,
        "dlq.partition": str(record.partition),
        "dlq.offset": str(record.offset),
    }
    key = text_key(record)[:1000] or None
    whole = OutboxRow(topic, key, record.value or b"", {**text_headers(record.headers), **why})
    return whole if whole.size <= MAX_BYTES else OutboxRow(topic, key, b"", {**why, "dlq.too_large": "true"})


_COLUMNS = 'id, aggregate, topic, "partition", "offset", key, value, headers, reason, error, state, attempts, stored_at'


def _stored(row: asyncpg.Record) -> StoredDeadLetter:
    return StoredDeadLetter(**{**dict(row), "headers": json.loads(row["headers"])})


async def list_dead_letters(
    conn: Connection, *, state: str = "open", after: int = 0, limit: int = 50
) -> list[StoredDeadLetter]:
    """Parked records in the order in which they were parked, those after id `after`."""
    query = f"SELECT {_COLUMNS} FROM dead_letters WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3"  # noqa: S608
    return [_stored(row) for row in await conn.fetch(query, state, after, limit)]


async def get_dead_letter(conn: Connection, dead_letter_id: int) -> StoredDeadLetter | None:
    row = await conn.fetchrow(f"SELECT {_COLUMNS} FROM dead_letters WHERE id = $1", dead_letter_id)  # noqa: S608
    return _stored(row) if row else None


async def request_replay(conn: Connection, dead_letter_id: int | None, by: str) -> int:
    """Mark one record (None: all) for replay, with those of its key that stand before or behind it; gives how many."""
    status = await conn.execute(
        """
        UPDATE dead_letters p SET state = 'replaying', settled_by = $2 WHERE p.state = 'open' AND (
            $1::bigint IS NULL OR p.id = $1 OR EXISTS (
                SELECT 1 FROM dead_letters q WHERE q.id = $1 AND q.blocks AND p.blocks
                AND (q.aggregate, q.topic, q.key) = (p.aggregate, p.topic, p.key)))""",
        dead_letter_id,
        by,
    )
    return int(status.rsplit(" ", 1)[1])


async def discard(conn: Connection, dead_letter_id: int, by: str) -> bool:
    """Give a record up, with who did it; those behind it are then free to be replayed. Its content is forgotten."""
    status = await conn.execute(
        """
        UPDATE dead_letters SET state = 'discarded', settled_at = now(), settled_by = $2, value = NULL, headers = '{}'
        WHERE id = $1 AND state = 'open'""",
        dead_letter_id,
        by,
    )
    return status == "UPDATE 1"


async def next_to_replay(conn: Connection, aggregate: str) -> StoredDeadLetter | None:
    """The oldest record marked for replay whose key has nothing parked before it, locked for this transaction."""
    query = f"""
        SELECT {_COLUMNS} FROM dead_letters p WHERE p.aggregate = $1 AND p.state = 'replaying' AND NOT EXISTS (
            SELECT 1 FROM dead_letters q WHERE p.blocks AND q.blocks AND q.state IN ('open', 'replaying')
            AND (q.aggregate, q.topic, q.key) = (p.aggregate, p.topic, p.key) AND q.id < p.id)
        ORDER BY p.id LIMIT 1 FOR UPDATE OF p SKIP LOCKED"""  # noqa: S608
    row = await conn.fetchrow(query, aggregate)
    return _stored(row) if row else None


async def settle_replay(conn: Connection, dead_letter_id: int, error: str | None) -> None:
    """Record how a replay went: done, its content forgotten; or parked again with the new error."""
    await conn.execute(
        """
        UPDATE dead_letters SET state = CASE WHEN $2::text IS NULL THEN 'replayed' ELSE 'open' END,
            attempts = attempts + 1, error = coalesce($2, error),
            settled_at = CASE WHEN $2::text IS NULL THEN now() END,
            value = CASE WHEN $2::text IS NULL THEN NULL ELSE value END
        WHERE id = $1""",
        dead_letter_id,
        error,
    )
