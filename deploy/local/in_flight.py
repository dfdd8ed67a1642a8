"""Work in flight, read from outside: unread records per topic and group, outbox rows, due timers, pending notices.

The demo's clock, the fault tests and the benchmark wait on it; none of them trusts a service's own view alone.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from libs.common.events.topics import Topic

Offsets = Mapping[str, Mapping[str, int]]
"""By topic and partition (as text, as JSON has it) the next offset; partitions at 0 are left out."""

LOCAL_BROKER_ID = 1
KAFKA_SECONDS, CLOSE_SECONDS = 10.0, 3.0

_DATABASE_WORK = """
    SELECT (SELECT count(*) FROM outbox) AS outbox,
           (SELECT count(*) FROM dead_letters WHERE state = 'replaying') AS replaying,
           (SELECT min(due_at) FROM timers) AS next_timer"""
_NEXT_NOTICE = """
    SELECT min(CASE WHEN n.withdrawn_cause IS NOT NULL
                      OR EXISTS (SELECT 1 FROM contacts c WHERE c.order_id = n.order_id)
               THEN n.due_at ELSE n.contact_by END)
    FROM notices n WHERE n.settled_at IS NULL AND ($1 OR NOT EXISTS (
        SELECT 1 FROM notices leased
        WHERE leased.order_id = n.order_id AND leased.settled_at IS NULL AND leased.wait_until > clock_timestamp()))"""
_OPEN_ISSUE_NOTICES = "SELECT EXISTS (SELECT FROM notices WHERE settled_at IS NULL AND issue_id IS NOT NULL)"
_NEXT_PROMISE = "SELECT min(due_at) FROM timers WHERE name = 'overdue'"
_PURCHASE_TIMERS = "SELECT count(*) FROM timers WHERE name LIKE 'purchase:%'"
_OPEN_TIMERS = "SELECT count(*) FROM timers WHERE split_part(name, ':', 1) <> ALL($1)"
_PERMANENT_TIMERS = ["expiry", "tier", "birthday"]
"""Timers of loyalty that are always set, months ahead."""


@dataclass
class PendingWork:
    """`busy` counts work that is due now, by owner; `next_at` is the time of the next due work."""

    now: datetime
    busy: dict[str, int] = field(default_factory=dict)
    next_at: datetime | None = None

    def add(self, owner: str, count: int) -> None:
        if count:
            self.busy[owner] = self.busy.get(owner, 0) + count

    def due(self, owner: str, moment: datetime | None) -> None:
        if moment is None:
            return
        if moment <= self.now:
            self.add(owner, 1)
        elif self.next_at is None or moment < self.next_at:
            self.next_at = moment


# --- databases ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DatabaseWork:
    """Open work in the tables that every service has."""

    outbox: int
    replaying: int
    next_timer: datetime | None


async def database_work(conn: Any) -> DatabaseWork:
    row = await conn.fetchrow(_DATABASE_WORK)
    return DatabaseWork(row["outbox"], row["replaying"], row["next_timer"])


async def next_notice(conn: Any, *, include_leased: bool = True) -> datetime | None:
    """The due time of the next pending notice of delivery_notify.

    A notice without a known contact is due when its wait for the contact ends. A sender that died leaves its notice
    leased for minutes of wall-clock time; notices behind such a lease are left out unless `include_leased`.
    """
    due: datetime | None = await conn.fetchval(_NEXT_NOTICE, include_leased)
    return due


async def next_promise(conn: Any) -> datetime | None:
    """The time at which delivery_notify handles the next overdue promise."""
    due: datetime | None = await conn.fetchval(_NEXT_PROMISE)
    return due


async def has_open_issue_notices(conn: Any) -> bool:
    return bool(await conn.fetchval(_OPEN_ISSUE_NOTICES))


async def purchase_timers(conn: Any) -> int:
    """Purchases whose points loyalty has not granted yet."""
    return int(await conn.fetchval(_PURCHASE_TIMERS))


async def open_timers(conn: Any) -> int:
    """Timers of cases and points that will still fire; permanent ones are left out."""
    return int(await conn.fetchval(_OPEN_TIMERS, _PERMANENT_TIMERS))


# --- topics ---------------------------------------------------------------------------------------------------


def unread_records(ends: Offsets, processed: Offsets, prefix: str = "") -> int:
    """Records behind the processed offsets of a reader that reports one for each of its topics."""
    return sum(
        max(0, end - partitions.get(partition, 0))
        for topic, partitions in processed.items()
        for partition, end in ends.get(prefix + topic, {}).items()
    )


async def end_offsets(consumer: Any, partitions: Sequence[TopicPartition]) -> Offsets:
    ends: dict[str, dict[str, int]] = {}
    for partition, end in (await consumer.end_offsets(partitions)).items():
        if end:
            ends.setdefault(partition.topic, {})[str(partition.partition)] = end
    return ends


def partitions_of(topics: Iterable[Topic], prefix: str) -> list[TopicPartition]:
    return [TopicPartition(prefix + topic.name, number) for topic in topics for number in range(topic.partitions)]


@dataclass
class ConsumerLag:
    """Lag of consumer groups by the broker's offsets; `subscribed` are pairs of service and topic.

    A consumer learns of a record only when it fetches it, so that its own lag is 0 for a while on a slow machine. The
    clients are opened by the first call; `close` ends them.
    """

    servers: str
    prefix: str
    subscribed: Sequence[tuple[str, str]] = ()
    _consumer: Any = None
    _admin: Any = None
    _partitions: dict[str, list[TopicPartition]] = field(default_factory=dict)

    async def count(self) -> dict[str, int]:
        """Unread records by consumer group. Raises `KafkaError` or `OSError`."""
        try:
            async with asyncio.timeout(KAFKA_SECONDS):
                await self._open()
                ends = await self._consumer.end_offsets([each for group in self._partitions.values() for each in group])
                counts = await asyncio.gather(*(self._lag(group, ends) for group in self._partitions))
        except (KafkaError, OSError):
            await self.close()
            raise
        return dict(zip(self._partitions, counts, strict=True))

    async def length(self, topics: Iterable[Topic]) -> int:
        """The number of records that were ever written to these topics."""
        await self._open()
        ends: dict[TopicPartition, int] = await self._consumer.end_offsets(partitions_of(topics, self.prefix))
        return sum(ends.values())

    async def _open(self) -> None:
        if self._consumer is not None:
            return
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self.servers)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        await self._consumer.start()
        await self._admin.start()
        for service, topic in dict.fromkeys(self.subscribed):
            name = self.prefix + topic
            numbers = self._consumer.partitions_for_topic(name) or await self._described_partitions(name)
            self._partitions[f"{self.prefix}{service}.{topic}"] = [TopicPartition(name, n) for n in sorted(numbers)]

    async def _described_partitions(self, topic: str) -> set[int]:
        (description,) = await self._admin.describe_topics([topic])
        return {partition["partition"] for partition in description["partitions"]}

    async def _lag(self, group: str, ends: Mapping[TopicPartition, int]) -> int:
        committed = await self._admin.list_consumer_group_offsets(group, LOCAL_BROKER_ID)
        return sum(
            ends[each] - max(0, committed[each].offset if each in committed else 0) for each in self._partitions[group]
        )

    async def close(self) -> None:
        """Idempotent; the next call opens new clients."""
        clients, self._consumer, self._admin = (self._consumer, self._admin), None, None
        for client, close in zip(clients, ("stop", "close"), strict=True):
            with suppress(Exception):  # the client may be in any state and is discarded
                if client is not None:
                    async with asyncio.timeout(CLOSE_SECONDS):
                        await getattr(client, close)()
