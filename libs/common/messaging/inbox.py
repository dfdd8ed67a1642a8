"""Inbox: ids of consumed events. It, and not Kafka's offsets, makes effects exactly-once.

A mark holds the topic, too: what an event does never depends on records of topics that its author may not write
(invariant 16). For an event of a partner it also holds a digest of the payload: a second event with the same id and
another payload is not a duplicate but a fault of its author, which must not pass silently. The ids of our own events
are random and written once, so that a digest could find nothing; it took 3 % of the CPU of the services.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import asyncpg

from libs.common.events.envelope import Payload
from libs.common.events.registry import AnyEvent
from libs.common.events.topics import Direction
from libs.common.postgres.pool import ConflictError, Connection


@dataclass(frozen=True, slots=True)
class Mark:
    """Inbox row of an event: its key, and a digest of its payload, 0 for an event that no partner may write.

    The digest has four bytes: the row stays as small as without it, and a dump of it cannot confirm a guessed address.
    """

    key: bytes
    content: int

    @property
    def of_other_content(self) -> "Mark":
        """The mark under which an event is applied whose id was used before for another payload."""
        content = self.content.to_bytes(4, "big", signed=True)
        return Mark(hashlib.blake2b(self.key + content, digest_size=16).digest(), self.content)


def mark_of(consumer: str, event: AnyEvent) -> Mark:
    """Return the inbox mark of this event for this consumer."""
    partners = event.data.TOPIC.direction is Direction.IN
    return Mark(event_key(consumer, event), _content_of(event.data) if partners else 0)


def _content_of(payload: Payload) -> int:
    data = payload.__pydantic_serializer__.to_json(payload)
    return int.from_bytes(hashlib.blake2b(data, digest_size=4).digest(), "big", signed=True)


def event_key(consumer: str, event: AnyEvent) -> bytes:
    """Return the 16-byte inbox key of this event for this consumer, from topic, `source` and `id`.

    The topic is that of the event's type: `source_fault` refuses an event on any other.

    Keys of one author with a UUID of version 7, as ours, are adjacent in the index by time, so that a batch touches few
    pages: four bytes of the author, six of time, six of digest. Any other id is digested whole.

    A change here invalidates all stored keys: deploy it only on drained consumers.
    """
    return key_of(consumer, event.data.TOPIC.name, event.source, event.id)


def key_of(consumer: str, topic: str, source: str, id: str) -> bytes:
    """Return the inbox key of an event of which only these are known."""
    author = f"{consumer}\x1f{topic}\x1f{source}"
    whole = hashlib.blake2b(f"{author}\x1f{id}".encode(), digest_size=16).digest()
    time = _time_of(id)
    if time is None:
        return whole
    return _digest_of_author(author) + time + whole[:6]


@lru_cache(maxsize=1024)
def _digest_of_author(author: str) -> bytes:
    return hashlib.blake2b(author.encode(), digest_size=4).digest()


def _time_of(id: str) -> bytes | None:
    """Return the six bytes of time of a UUID of version 7; None for another id."""
    if len(id) != 36 or id[8] != "-" or id[14] != "7":
        return None
    try:
        time = bytes.fromhex(id[:8] + id[9:13])
    except ValueError:
        return None
    return time if len(time) == 6 else None


Place = tuple[str, str, str]
"""Aggregate, topic and Kafka key of a record; a dead letter blocks later records of the same place."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A consumed event: its inbox mark and its place."""

    mark: Mark
    place: Place


@dataclass(frozen=True, slots=True)
class Admission:
    """Inbox result for a batch: the keys of new events, the contents of known ones, the places blocked by a dead
    letter."""

    fresh: set[bytes]
    known: Mapping[bytes, int]
    blocked: set[Place]


# One round trip: an event whose key is blocked by a dead letter must not enter the inbox. Without ON CONFLICT, which
# writes a second log record for each row; `(SELECT ...) IS NULL` is an index lookup in every plan, NOT EXISTS is not.
_ADMIT = """
    WITH arrivals AS (
        SELECT * FROM unnest($1::bytea[], $2::text[], $3::text[], $4::text[], $5::int[]) WITH ORDINALITY
            AS e (event_key, aggregate, topic, key, content, n)),
    blocked AS (
        SELECT DISTINCT p.aggregate, p.topic, p.key FROM dead_letters p
        WHERE p.key = ANY($4) AND p.blocks AND p.state IN ('open', 'replaying')),
    fresh AS (
        INSERT INTO inbox (event_key, content)
        SELECT DISTINCT ON (e.event_key) e.event_key, e.content FROM arrivals e
        WHERE (SELECT true FROM inbox i WHERE i.event_key = e.event_key) IS NULL
          AND NOT EXISTS (
            SELECT 1 FROM blocked b WHERE (b.aggregate, b.topic, b.key) = (e.aggregate, e.topic, e.key))
        ORDER BY e.event_key, e.n
        RETURNING event_key)
    SELECT event_key, NULL AS aggregate, NULL AS topic, NULL AS key FROM fresh
    UNION ALL SELECT NULL, aggregate, topic, key FROM blocked"""
_KNOWN = "SELECT event_key, content FROM inbox WHERE event_key = ANY($1)"


async def admit(conn: Connection, arrivals: Sequence[Arrival]) -> Admission:
    """Insert these events. A concurrent transaction with the same event waits here, and is repeated to see a duplicate.

    Raises `ConflictError` then.
    """
    places = [arrival.place for arrival in arrivals]
    keys = [arrival.mark.key for arrival in arrivals]
    try:
        rows = await conn.fetch(
            _ADMIT,
            keys,
            [aggregate for aggregate, _, _ in places],
            [topic for _, topic, _ in places],
            [key for _, _, key in places],
            [arrival.mark.content for arrival in arrivals],
        )
    except asyncpg.UniqueViolationError:
        raise ConflictError("another process applied an event of this batch") from None
    fresh = {row["event_key"] for row in rows if row["event_key"] is not None}
    known = await conn.fetch(_KNOWN, keys) if len(fresh) < len(keys) else []  # duplicates are rare
    return Admission(
        fresh=fresh,
        known={row["event_key"]: row["content"] for row in known},
        blocked={(row["aggregate"], row["topic"], row["key"]) for row in rows if row["aggregate"] is not None},
    )


async def known_keys(conn: Connection, keys: Sequence[bytes]) -> set[bytes]:
    """Return those of these keys whose events were applied."""
    return {row["event_key"] for row in await conn.fetch(_KNOWN, keys)}


async def admit_replayed(conn: Connection, mark: Mark) -> bool:
    """Insert one replayed event, regardless of blocked keys; return False for a duplicate."""
    statement = "INSERT INTO inbox (event_key, content) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    return await conn.execute(statement, mark.key, mark.content) == "INSERT 0 1"
