"""The inbox: which events were already taken. This, not Kafka's offsets, is what keeps effects single."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection


def event_key(consumer: str, event: AnyEvent) -> bytes:
    """16 bytes that stand for this event at this consumer: `source` and `id` together are unique.

    Ids that end in a counter, as ours do, keep it: ten bytes for what stands before it and six for the number. So the
    marks of one producer lie side by side in the index however many there are, and a batch touches a few pages of it
    rather than one each. Any other id is a digest of its own.

    Whoever changes this makes all marks unknown: a version with another key may only start on drained consumers.
    """
    before, dot, number = event.id.rpartition(".")
    if dot and len(number) <= 14 and number.isdecimal() and number.isascii() and str(int(number)) == number:
        return _digest(consumer, event.source, before, 10) + int(number).to_bytes(6, "big")
    return _digest(consumer, event.source, event.id, 16)


@lru_cache(maxsize=4096)
def _digest(consumer: str, source: str, text: str, size: int) -> bytes:
    return hashlib.blake2b(f"{consumer}\x1f{source}\x1f{text}".encode(), digest_size=size).digest()


@dataclass(frozen=True, slots=True)
class Admission:
    """What the inbox says of a batch: the events that are new, and the Kafka keys that are held back."""

    fresh: set[bytes]
    blocked_keys: set[str]


# One round trip: an event whose key is held back by a parked one must not be marked as taken.
_ADMIT = """
    WITH held AS (
        SELECT DISTINCT p.key FROM dead_letters p
        WHERE p.aggregate = $3 AND p.topic = $4 AND p.key = ANY($2)
          AND p.blocks AND p.state IN ('open', 'replaying')),
    fresh AS (
        INSERT INTO inbox (event_key)
        SELECT e.event_key FROM unnest($1::bytea[], $2::text[]) AS e (event_key, key)
        WHERE e.key NOT IN (SELECT key FROM held)
        ORDER BY e.event_key
        ON CONFLICT DO NOTHING
        RETURNING event_key)
    SELECT event_key, NULL AS held FROM fresh UNION ALL SELECT NULL, key FROM held"""


async def admit(
    conn: Connection, aggregate: str, topic: str, event_keys: Sequence[bytes], kafka_keys: Sequence[str]
) -> Admission:
    """Mark these events as taken; whoever comes second for the same event waits here and then finds it taken."""
    rows = await conn.fetch(_ADMIT, event_keys, kafka_keys, aggregate, topic)
    return Admission(
        fresh={row["event_key"] for row in rows if row["event_key"] is not None},
        blocked_keys={row["held"] for row in rows if row["held"] is not None},
    )


async def admit_replayed(conn: Connection, key: bytes) -> bool:
    """Mark one dead letter as taken, whatever is held back behind it; False where it was taken before."""
    status = await conn.execute("INSERT INTO inbox (event_key) VALUES ($1) ON CONFLICT DO NOTHING", key)
    return status == "INSERT 0 1"
