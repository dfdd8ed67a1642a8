"""Work in flight: unread records of a consumer group, and unfinished work in a service's database.

A system is idle when, looked at in this order, nothing is found: end offsets of the topics, unread records, open
commands of the processes, database work, and the same end offsets again. Work moves from a topic into a database and
back: a look at the receiver before the sender could miss it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.common.events.topics import Topic
from libs.common.postgres.pool import Connection

Offsets = Mapping[TopicPartition, int]

_WORK = """
    SELECT (SELECT count(*) FROM outbox) AS outbox,
           (SELECT count(*) FROM dead_letters WHERE state = 'replaying') AS replaying,
           (SELECT count(*) FROM timers WHERE due_at <= $1) AS due_timers,
           (SELECT min(due_at) FROM timers WHERE due_at > $1) AS next_timer_at"""


@dataclass(frozen=True, slots=True)
class DatabaseWork:
    """Unfinished work in a service's database. `next_timer_at` is the next timer after now, None without one."""

    outbox: int
    replaying: int
    due_timers: int
    next_timer_at: datetime | None

    @classmethod
    async def read(cls, conn: Connection, now: datetime) -> "DatabaseWork":
        row = await conn.fetchrow(_WORK, now)
        assert row is not None, "a SELECT without FROM returns one row"
        return cls(**dict(row))

    def counts(self) -> dict[str, int]:
        return {"outbox": self.outbox, "replaying": self.replaying, "due_timers": self.due_timers}


def partitions_of(topics: Iterable[Topic], prefix: str = "") -> list[TopicPartition]:
    """Return all partitions of these topics of the contract."""
    return [TopicPartition(prefix + topic.name, number) for topic in topics for number in range(topic.partitions)]


async def end_offsets(consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> Offsets:
    """Return for each partition the offset that the next record gets."""
    offsets: dict[TopicPartition, int] = await consumer.end_offsets(list(partitions))
    return offsets


async def committed_offsets(admin: AIOKafkaAdminClient, group: str) -> Offsets:
    """Return the committed offsets of a consumer group; partitions without a commit are absent."""
    committed = await admin.list_consumer_group_offsets(group)
    return {partition: found.offset for partition, found in committed.items() if found.offset >= 0}


def unread(ends: Offsets, read: Offsets, partitions: Iterable[TopicPartition] | None = None) -> int:
    """Return how many records lie between `read` and `ends`, in these partitions or in all of `ends`.

    `read` may be committed offsets or the processed offsets of `/health/started`.
    """
    return sum(max(0, ends[each] - read.get(each, 0)) for each in (ends if partitions is None else partitions))


def consumer_group(service: str, topic: str, prefix: str = "") -> str:
    """Return the consumer group in which a service reads a topic."""
    return f"{prefix}{service}.{topic}"
