"""Inbox: ids of consumed events. It, and not Kafka's offsets, makes effects exactly-once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection


def event_key(consumer: str, event: AnyEvent) -> bytes:
    """Return the 16-byte inbox key of this event for this consumer, from `source` and `id`.

    An id that ends in a counter, as ours do, keeps it: ten bytes of digest and six bytes of counter. Keys of one
    producer are then adjacent in the index, and a batch touches few pages. Any other id is digested whole.

    A change here invalidates all stored keys: deploy it only on drained consumers.
    """
    prefix, dot, number = event.id.rpartition(".")
    if dot and len(number) <= 14 and number.isdecimal() and number.isascii() and str(int(number)) == number:
        return _digest(consumer, event.source, prefix, 10) + int(number).to_bytes(6, "big")
    return _digest(consumer, event.source, event.id, 16)


@lru_cache(maxsize=4096)
def _digest(consumer: str, source: str, text: str, size: int) -> bytes:
    return hashlib.blake2b(f"{consumer}\x1f{source}\x1f{text}".encode(), digest_size=size).digest()


@dataclass(frozen=True, slots=True)
class Admission:
    """Inbox result for a batch: the new events, and the Kafka keys blocked by a dead letter."""

    fresh: set[bytes]
    blocked_keys: set[str]


# One round trip: an event whose key is blocked by a dead letter must not enter the inbox.
_ADMIT = """
    WITH blocked AS (
        SELECT DISTINCT p.key FROM dead_letters p
        WHERE p.aggregate = $3 AND p.topic = $4 AND p.key = ANY($2)
          AND p.blocks AND p.state IN ('open', 'replaying')),
    fresh AS (
        INSERT INTO inbox (event_key)
        SELECT e.event_key FROM unnest($1::bytea[], $2::text[]) AS e (event_key, key)
        WHERE e.key NOT IN (SELECT key FROM blocked)
        ORDER BY e.event_key
        ON CONFLICT DO NOTHING
        RETURNING event_key)
    SELECT event_key, NULL AS blocked FROM fresh UNION ALL SELECT NULL, key FROM blocked"""


async def admit(
    conn: Connection, aggregate: str, topic: str, event_keys: Sequence[bytes], kafka_keys: Sequence[str]
) -> Admission:
    """Insert these events. A concurrent transaction with the same event waits here and then sees a duplicate."""
    rows = await conn.fetch(_ADMIT, event_keys, kafka_keys, aggregate, topic)
    return Admission(
        fresh={row["event_key"] for row in rows if row["event_key"] is not None},
        blocked_keys={row["blocked"] for row in rows if row["blocked"] is not None},
    )


async def admit_replayed(conn: Connection, key: bytes) -> bool:
    """Insert one replayed event, regardless of blocked keys; return False for a duplicate."""
    status = await conn.execute("INSERT INTO inbox (event_key) VALUES ($1) ON CONFLICT DO NOTHING", key)
    return status == "INSERT 0 1"
