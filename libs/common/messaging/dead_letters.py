"""Dead letters: full records that could not be processed, with the reason, for inspection and replay.

A decoded event that failed *blocks* its key: later events of the same Kafka key become dead letters, too, so that the
order per key holds. Faults of the author (undecodable, unknown type, forbidden source, reused id) block nothing.

Replay runs inside the service, not through Kafka: other services have consumed the record already, and a replayed
record must precede those that it blocks.
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

from libs.common.events.faults import Fault
from libs.common.messaging.outbox import MAX_BYTES, OutboxRow
from libs.common.postgres.batch import row_count
from libs.common.postgres.column_keys import ColumnKeys, keys_of
from libs.common.postgres.key_register import require
from libs.common.postgres.pool import Connection


class DeadLetterReason(StrEnum):
    UNDECODABLE = "undecodable"
    UNKNOWN_TYPE = "unknown_type"
    FORBIDDEN_SOURCE = "forbidden_source"
    ID_REUSED = "id_reused"
    FAILED = "failed"
    BLOCKED = "blocked"

    @property
    def blocks(self) -> bool:
        return self in (DeadLetterReason.FAILED, DeadLetterReason.BLOCKED)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record to be stored as a dead letter of one aggregate; `faults` by field, where its content is at fault."""

    record: "ConsumerRecord[Any, Any]"
    reason: DeadLetterReason
    error: str
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredDeadLetter:
    """A row of `dead_letters`."""

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
        """Return the row as JSON values; a value that is not UTF-8 is shown in base64."""
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
    """Return the record's key as text: "" for null, base64 for bytes that are not UTF-8."""
    return "" if record.key is None else _text(record.key)


def text_headers(headers: Sequence[tuple[str, bytes | None]]) -> dict[str, str]:
    """Return Kafka headers as text: "" for null, marked base64 for bytes that are not UTF-8."""
    return {_storable(name): "" if value is None else _text(value) for name, value in headers}


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "base64:" + base64.b64encode(value).decode()
    return _storable(text)


def _storable(text: str) -> str:
    return text.replace("\x00", "\\0")  # Postgres text cannot hold NUL


# A blocked record behind records in replay is replayed, too; behind none (their replay ended since the inbox saw them)
# likewise, unless this statement stores the failed record that blocks it.
_INSERT = """
    WITH p AS (
        SELECT * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::timestamptz[], $6::text[], $7::bytea[],
                             $8::jsonb[], $9::text[], $10::text[], $11::bool[])
            WITH ORDINALITY
            AS p (topic, "partition", "offset", written_at, key, value, headers, reason, error, blocks, ord))
    INSERT INTO dead_letters (
        aggregate, topic, "partition", "offset", written_at, key, value, headers, reason, error, blocks, state)
    SELECT $1, p.topic, p."partition", p."offset", p.written_at, p.key, p.value, p.headers, p.reason, p.error, p.blocks,
           CASE WHEN p.reason = 'blocked' AND coalesce(
               (SELECT bool_and(q.state = 'replaying') FROM dead_letters q
                WHERE q.blocks AND q.state IN ('open', 'replaying')
                AND (q.aggregate, q.topic, q.key) = ($1, p.topic, p.key)),
               NOT EXISTS (SELECT FROM p f WHERE f.reason = 'failed' AND (f.topic, f.key) = (p.topic, p.key)))
           THEN 'replaying' ELSE 'open' END
    FROM p ORDER BY p.ord
    ON CONFLICT DO NOTHING"""


async def store(conn: Connection, aggregate: str, letters: Sequence[DeadLetter]) -> None:
    """Store these records in this order; a record stored before is left unchanged.

    A record that no open dead letter blocks is marked for replay; otherwise it would need another request.
    """
    if not letters:
        return
    records, keys = [letter.record for letter in letters], keys_of(conn)
    await conn.execute(
        _INSERT,
        aggregate,
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [datetime.fromtimestamp(record.timestamp / 1000, UTC) for record in records],
        [text_key(record) for record in records],
        [record.value if record.value is None else keys.seal(TABLE, record.value) for record in records],
        [json.dumps(text_headers(record.headers)) for record in records],
        [letter.reason for letter in letters],
        [_storable(letter.error[:2000]) for letter in letters],
        [letter.reason.blocks for letter in letters],
    )


def outbox_row(topic: str, service: str, aggregate: str, letter: DeadLetter) -> OutboxRow:
    """Return the record for `<service>.dead-letters`: the value unchanged, the reason in headers.

    A record too large to be published again is published without value and headers; the table has them.
    """
    record = letter.record
    reason = {
        "dlq.reason": letter.reason,
        "dlq.error": _storable(letter.error[:500]),
        "dlq.service": service,
        "dlq.aggregate": aggregate,
        "dlq.topic": record.topic,
        "dlq.partition": str(record.partition),
        "dlq.offset": str(record.offset),
    }
    key = text_key(record)[:1000] or None
    headers = {**text_headers(record.headers), **reason}
    whole = OutboxRow(topic, key, record.value or b"", headers=headers, personal=True)
    return whole if whole.size <= MAX_BYTES else OutboxRow(topic, key, b"", headers={**reason, "dlq.too_large": "true"})


_COLUMNS = 'id, aggregate, topic, "partition", "offset", key, value, headers, reason, error, state, attempts, stored_at'


TABLE = "dead_letters"


def _stored(row: asyncpg.Record, keys: ColumnKeys) -> StoredDeadLetter:
    value = row["value"] if row["value"] is None else keys.reveal(TABLE, row["value"])
    return StoredDeadLetter(**{**dict(row), "value": value, "headers": json.loads(row["headers"])})


async def list_dead_letters(
    conn: Connection, *, state: str = "open", after: int = 0, limit: int = 50
) -> list[StoredDeadLetter]:
    """Return dead letters in the order in which they were stored, those after id `after`."""
    query = f"SELECT {_COLUMNS} FROM dead_letters WHERE state = $1 AND id > $2 ORDER BY id LIMIT $3"  # noqa: S608
    keys = keys_of(conn)
    return [_stored(row, keys) for row in await conn.fetch(query, state, after, limit)]


async def get_dead_letter(conn: Connection, dead_letter_id: int) -> StoredDeadLetter | None:
    row = await conn.fetchrow(f"SELECT {_COLUMNS} FROM dead_letters WHERE id = $1", dead_letter_id)  # noqa: S608
    return _stored(row, keys_of(conn)) if row else None


async def request_replay(conn: Connection, dead_letter_id: int | None, by: str) -> int:
    """Mark one record (None: all) for replay, with the blocking ones of its key; return how many."""
    status = await conn.execute(
        """
        UPDATE dead_letters p SET state = 'replaying', settled_by = $2 WHERE p.state = 'open' AND (
            $1::bigint IS NULL OR p.id = $1 OR EXISTS (
                SELECT 1 FROM dead_letters q WHERE q.id = $1 AND q.blocks AND p.blocks
                AND (q.aggregate, q.topic, q.key) = (p.aggregate, p.topic, p.key)))""",
        dead_letter_id,
        by,
    )
    return row_count(status)


async def discard(conn: Connection, dead_letter_id: int, by: str) -> bool:
    """Discard a record and delete its content; the records that it blocks can then be replayed."""
    status = await conn.execute(
        """
        UPDATE dead_letters SET state = 'discarded', settled_at = now(), settled_by = $2, value = NULL, headers = '{}'
        WHERE id = $1 AND state = 'open'""",
        dead_letter_id,
        by,
    )
    return status == "UPDATE 1"


async def next_to_replay(conn: Connection, aggregate: str) -> StoredDeadLetter | None:
    """Return the oldest record marked for replay that no earlier one blocks, locked for this transaction."""
    query = f"""
        SELECT {_COLUMNS} FROM dead_letters p WHERE p.aggregate = $1 AND p.state = 'replaying' AND NOT EXISTS (
            SELECT 1 FROM dead_letters q WHERE p.blocks AND q.blocks AND q.state IN ('open', 'replaying')
            AND (q.aggregate, q.topic, q.key) = (p.aggregate, p.topic, p.key) AND q.id < p.id)
        ORDER BY p.id LIMIT 1 FOR UPDATE OF p SKIP LOCKED"""  # noqa: S608
    row = await conn.fetchrow(query, aggregate)
    if row is None:
        return None
    await require(conn, keys_of(conn), [row["value"]])
    return _stored(row, keys_of(conn))


async def settle_replay(conn: Connection, dead_letter_id: int, error: str | None) -> None:
    """Record the result of a replay: done, with its content deleted; or open again with the new error."""
    await conn.execute(
        """
        UPDATE dead_letters SET state = CASE WHEN $2::text IS NULL THEN 'replayed' ELSE 'open' END,
            attempts = attempts + 1, error = coalesce($2, error),
            settled_at = CASE WHEN $2::text IS NULL THEN now() END,
            value = CASE WHEN $2::text IS NULL THEN NULL ELSE value END
        WHERE id = $1""",
        dead_letter_id,
        None if error is None else _storable(error),
    )
