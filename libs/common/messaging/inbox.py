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


Place = tuple[str, str, str]
"""Aggregate, topic and Kafka key of a record; a dead letter blocks later records of the same place."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A consumed event: its inbox key and its place."""

    event_key: bytes
    place: Place


@dataclass(frozen=True, slots=True)
class Admission:
    """Inbox result for a batch: the new events, and the places blocked by a dead letter."""

    fresh: set[bytes]
    blocked: set[Place]


# One round trip: an event whose key is blocked by a dead letter must not enter the inbox.
_ADMIT = """
    WITH arrivals AS (
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[]) AS e (event_key, aggregate, topic, key)),
    blocked AS (
        SELECT DISTINCT p.aggregate, p.topic, p.key FROM dead_letters p
        WHERE p.key = ANY($4) AND p.blocks AND p.state IN ('open', 'replaying')),
    fresh AS (
        INSERT INTO inbox (event_key)
        SELECT e.event_key FROM arrivals e
        WHERE NOT EXISTS (
            SELECT 1 FROM blocked b WHERE (b.aggregate, b.topic, b.key) = (e.aggregate, e.topic, e.key))
        ORDER BY e.event_key
        ON CONFLICT DO NOTHING
        RETURNING event_key)
    SELECT event_key, NULL AS aggregate, NULL AS topic, NULL AS key FROM fresh
    UNION ALL SELECT NULL, aggregate, topic, key FROM blocked"""


async def admit(conn: Connection, arrivals: Sequence[Arrival]) -> Admission:
    """Insert these events. A concurrent transaction with the same event waits here and then sees a duplicate."""
    places = [arrival.place for arrival in arrivals]
    rows = await conn.fetch(
        _ADMIT,
        [arrival.event_key for arrival in arrivals],
        [aggregate for aggregate, _, _ in places],
        [topic for _, topic, _ in places],
        [key for _, _, key in places],
    )
    return Admission(
        fresh={row["event_key"] for row in rows if row["event_key"] is not None},
        blocked={(row["aggregate"], row["topic"], row["key"]) for row in rows if row["aggregate"] is not None},
    )


async def admit_replayed(conn: Connection, key: bytes) -> bool:
    """Insert one replayed event, regardless of blocked keys; return False for a duplicate."""
    status = await conn.execute("INSERT INTO inbox (event_key) VALUES ($1) ON CONFLICT DO NOTHING", key)
    return status == "INSERT 0 1"
