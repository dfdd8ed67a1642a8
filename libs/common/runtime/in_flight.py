"""Work in flight: unread records of the services, and unfinished work in a service's database.

A system is idle when, looked at in this order, nothing is found: end offsets of the topics, unread records, open
commands of the processes, database work, and the same end offsets again. Work moves from a topic into a database and
back: a look at the receiver before the sender could miss it.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from libs.common.events.topics import TOPICS, Topic, consumer_group
from libs.common.messaging.partitions import partitions_of
from libs.common.postgres.pool import Connection, Pool

Offsets = Mapping[TopicPartition, int]

KAFKA_SECONDS, CLOSE_SECONDS = 10.0, 3.0

_WORK = """
    SELECT (SELECT coalesce(sum(coalesce(cardinality(topics), 1)), 0) FROM outbox) AS outbox,
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
    async def read(cls, conn: Connection | Pool, now: datetime) -> "DatabaseWork":
        row = await conn.fetchrow(_WORK, now)
        assert row is not None, "a SELECT without FROM returns one row"
        return cls(**dict(row))

    def counts(self) -> dict[str, int]:
        return {"outbox": self.outbox, "replaying": self.replaying, "due_timers": self.due_timers}


async def end_offsets(consumer: Any, partitions: Sequence[TopicPartition]) -> Offsets:
    """Return for each partition the offset that the next record gets."""
    offsets: dict[TopicPartition, int] = await consumer.end_offsets(list(partitions))
    return offsets


async def committed_offsets(admin: Any, group: str) -> Offsets:
    """Return the committed offsets of a consumer group; partitions without a commit are absent."""
    try:
        committed = await admin.list_consumer_group_offsets(group)
    except GroupCoordinatorNotAvailableError:  # a new broker, before its first consumer group; all records are unread
        return {}
    return {partition: found.offset for partition, found in committed.items() if found.offset >= 0}


def unread(ends: Offsets, read: Offsets, partitions: Iterable[TopicPartition] | None = None) -> int:
    """Return how many records lie between `read` and `ends`, in these partitions or in all of `ends`."""
    return sum(max(0, ends[each] - read.get(each, 0)) for each in (ends if partitions is None else partitions))


def unread_by_reader(ends: Offsets, processed: Mapping[str, Mapping[str, int]], prefix: str = "") -> int:
    """Return the unread records of a reader that reports processed offsets by topic and partition.

    `taken` of `/health/started` has this form: each topic of the reader, with the partitions of which it processed any.
    """
    read = {
        TopicPartition(prefix + topic, int(number)): offset
        for topic, partitions in processed.items()
        for number, offset in partitions.items()
    }
    topics = {prefix + topic for topic in processed}
    return unread(ends, read, [each for each in ends if each.topic in topics])


@dataclass
class ConsumerLag:
    """Lag of services by the broker's offsets; `subscribed` are pairs of service and topic.

    A consumer learns of a record only when it fetches it, so that its own lag is 0 for a while on a slow machine. The
    clients are opened by the first call; `close` ends them.
    """

    servers: str
    prefix: str
    subscribed: Iterable[tuple[str, str]] = ()
    _consumer: Any = None
    _admin: Any = None
    _topics: dict[str, list[TopicPartition]] = field(default_factory=dict)

    async def count(self) -> dict[str, int]:
        """Return the unread records by service and topic, `returns.issues`. Raises `KafkaError` or `OSError`."""
        subscribed = list(dict.fromkeys(self.subscribed))
        services = list(dict.fromkeys(service for service, _ in subscribed))
        groups = [consumer_group(service, self.prefix) for service in services]
        try:
            async with asyncio.timeout(KAFKA_SECONDS):
                await self._open()
                partitions = {each for _, topic in subscribed for each in self._topics.get(topic, ())}
                ends = await end_offsets(self._consumer, sorted(partitions))
                committed = await asyncio.gather(*(committed_offsets(self._admin, group) for group in groups))
        except (KafkaError, OSError):
            await self.close()
            raise
        read = dict(zip(services, committed, strict=True))
        return {
            f"{service}.{topic}": unread(ends, read[service], self._topics.get(topic, ()))
            for service, topic in subscribed
        }

    async def length(self, topics: Iterable[Topic]) -> int:
        """Return the number of records that were ever written to these topics."""
        await self._open()
        partitions = await partitions_of(self._consumer, topics, self.prefix)
        return sum((await end_offsets(self._consumer, partitions)).values())

    async def _open(self) -> None:
        if self._consumer is not None:
            return
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self.servers)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await self._consumer.start()
        await self._admin.start()
        self._topics = {}
        for each in await partitions_of(self._consumer, TOPICS, self.prefix):
            self._topics.setdefault(each.topic.removeprefix(self.prefix), []).append(each)

    async def close(self) -> None:
        """Close the clients; the next call opens new ones."""
        clients, self._consumer, self._admin = (self._consumer, self._admin), None, None
        for client, close in zip(clients, ("stop", "close"), strict=True):
            with suppress(Exception):  # the client may be in any state and is discarded
                if client is not None:
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await getattr(client, close)()
