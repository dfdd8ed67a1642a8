"""When a lifecycle counts: seen in the services' databases, from the outside, at little cost to what is measured.

Points granted in loyalty; every notice about the issue settled in delivery_notify, the one of its resolution, which is
the last, among them; and intake's timeline tells of the resolution, the points and each of those notices.

While the flood runs only Kafka is asked, how many points were told of. Once all were, it is asked too how far topics
were read, and the databases whether anything waits to be sent. When nothing does, the moment is noted and what was
spent until then, and only then are the tables read, whole. Chosen over counts in the databases: with 50,000 issues in
the past they made a flood look a third dearer than it was.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from libs.common.events.topics import ISSUES, LOYALTY, NOTICES, STOREFRONT_ORDERS, TOPICS, Topic

LAST_READERS = {"intake": (ISSUES, NOTICES, LOYALTY), "delivery_notify": (ISSUES, LOYALTY)}
"""Who reads what comes last in a lifecycle."""

_POINTS_OUTSTANDING = (
    "SELECT (SELECT count(*) FROM timers WHERE name LIKE 'purchase:%') + (SELECT count(*) FROM outbox)"
)
_OPEN_NOTICES = "SELECT EXISTS (SELECT FROM notices WHERE settled_at IS NULL AND issue_id IS NOT NULL)"
_OUTBOX_NOT_EMPTY = "SELECT EXISTS (SELECT FROM outbox)"
_GRANTED = "SELECT issue_id::text FROM entries WHERE kind = 'grant' AND issue_id IS NOT NULL"
_NOTICES = """
    SELECT issue_id::text, count(*) AS told FROM notices WHERE issue_id IS NOT NULL
    GROUP BY issue_id HAVING bool_or(kind = 'issue_resolved') AND bool_and(status NOT IN ('pending', 'sending'))"""
_TIMELINES = """
    SELECT issue_id::text, count(*) FILTER (WHERE type LIKE 'notice.%') AS told
    FROM timeline GROUP BY issue_id
    HAVING bool_or(type = 'issue.resolved.v1') AND bool_or(type = 'points.granted.v1')"""

POLL_SECONDS = 0.1
STALLED_SECONDS = 30.0


class StalledError(Exception):
    """Nothing was completed for a long time; the message says how far it got."""


@dataclass(frozen=True, slots=True)
class DatabaseProbe:
    """A connection to the databases that tell of the end of a lifecycle."""

    intake: "asyncpg.Connection[asyncpg.Record]"
    delivery_notify: "asyncpg.Connection[asyncpg.Record]"
    loyalty: "asyncpg.Connection[asyncpg.Record]"

    @classmethod
    async def open(cls, databases: Mapping[str, str]) -> "DatabaseProbe":
        names = ("intake", "delivery_notify", "loyalty")
        return cls(**{name: await asyncpg.connect(databases[name]) for name in names})

    async def close(self) -> None:
        for conn in (self.intake, self.delivery_notify, self.loyalty):
            await conn.close()

    async def is_settled(self) -> bool:
        """Whether no notice about an issue and no event waits to be sent: cheap to ask, for there are few that do."""
        if await self.delivery_notify.fetchval(_OPEN_NOTICES):
            return False
        return not any(
            [await conn.fetchval(_OUTBOX_NOT_EMPTY) for conn in (self.intake, self.delivery_notify, self.loyalty)]
        )

    async def count_complete(self, issues: Collection[str]) -> int:
        """How many of these issues are complete. Reads whole tables."""
        granted = {row["issue_id"] for row in await self.loyalty.fetch(_GRANTED)}
        notices = {row["issue_id"]: row["told"] for row in await self.delivery_notify.fetch(_NOTICES)}
        stories = {row["issue_id"]: row["told"] for row in await self.intake.fetch(_TIMELINES)}
        done = granted & stories.keys()
        return sum(issue in done and 0 < notices.get(issue, 0) <= stories[issue] for issue in issues)

    async def notices(self) -> Counter[str]:
        """How many notices about issues there are, by status."""
        rows = await self.delivery_notify.fetch(
            "SELECT status, count(*) AS n FROM notices WHERE issue_id IS NOT NULL GROUP BY status"
        )
        return Counter({row["status"]: row["n"] for row in rows})


@dataclass(frozen=True, slots=True)
class TopicLag:
    """How long topics are, and how far they were read."""

    prefix: str
    consumer: AIOKafkaConsumer
    admin: AIOKafkaAdminClient

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, bootstrap_servers: str, prefix: str) -> AsyncIterator["TopicLag"]:
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=None)
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        await consumer.start()
        try:
            await admin.start()
            try:
                yield cls(prefix, consumer, admin)
            finally:
                await admin.close()
        finally:
            await consumer.stop()

    async def length(self, *topics: Topic) -> int:
        """How many records these topics ever got."""
        return sum((await self._ends(*topics)).values())

    async def unread(self) -> dict[str, int]:
        """How many records the last readers of a lifecycle have still to read; empty where they have read all."""
        left: dict[str, int] = {}
        for service, topics in LAST_READERS.items():
            for topic in topics:
                ends, group = await self._ends(topic), f"{self.prefix}{service}.{topic.name}"
                done = await self.admin.list_consumer_group_offsets(group)
                count = sum(end - (done[place].offset if place in done else 0) for place, end in ends.items())
                if count:
                    left[group] = count
        return left

    async def _ends(self, *topics: Topic) -> dict[TopicPartition, int]:
        places = [TopicPartition(self.prefix + topic.name, n) for topic in topics for n in range(topic.partitions)]
        ends: dict[TopicPartition, int] = await self.consumer.end_offsets(places)
        return ends


@dataclass(frozen=True, slots=True)
class Completion:
    """When all was complete (`time.perf_counter`), and the CPU seconds that each process had spent until then."""

    at: float
    cpu: Mapping[str, float]


async def wait_until_complete(
    probe: DatabaseProbe,
    lag: TopicLag,
    issues: Collection[str],
    before: int,
    cpu_seconds: Callable[[], Mapping[str, float]] = dict,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Completion:
    """Returns once all these issues are complete, `before` records of `loyalty` ago; each adds one to them.

    `spent` is asked for the CPU of each process, `told` hears how many were granted so far. Raises `StalledError` when
    nothing moves any more.
    """
    length, moved_at = 0, time.perf_counter()
    while True:
        granted = await lag.length(LOYALTY) - before
        on_progress(granted)
        if granted >= len(issues) and await probe.is_settled() and not await lag.unread():
            ended = Completion(time.perf_counter(), cpu_seconds())
            if await probe.count_complete(issues) == len(issues):
                return ended
        if time.perf_counter() - moved_at > STALLED_SECONDS:
            last, length, moved_at = length, await lag.length(*TOPICS), time.perf_counter()
            if length == last:
                raise StalledError(await _describe_stall(probe, lag, issues, granted))
        await asyncio.sleep(POLL_SECONDS)


async def _describe_stall(probe: DatabaseProbe, lag: TopicLag, issues: Collection[str], granted: int) -> str:
    waiting = "nothing" if await probe.is_settled() else "something"
    return (
        f"{granted:,} of {len(issues):,} issues have points, {await probe.count_complete(issues):,} are complete, then "
        f"nothing moved; {waiting} waits to be sent, notices are {dict(await probe.notices())}, "
        f"unread: {await lag.unread()}"
    )


async def wait_until_purchases_have_points(probe: DatabaseProbe) -> None:
    """Returns when loyalty has given and told the points for all orders that it knows."""
    while await probe.loyalty.fetchval(_POINTS_OUTSTANDING):
        await asyncio.sleep(POLL_SECONDS)


async def wait_until_orders_are_known(bootstrap_servers: str, prefix: str, services: Collection[str]) -> None:
    """Returns when the services' groups have committed all of the order topic."""
    partitions = [TopicPartition(prefix + STOREFRONT_ORDERS.name, n) for n in range(STOREFRONT_ORDERS.partitions)]
    for service in services:
        group = f"{prefix}{service}.{STOREFRONT_ORDERS.name}"
        consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False)
        consumer.assign(partitions)
        await consumer.start()
        try:
            await _wait_until_committed(consumer, partitions, service)
        finally:
            await consumer.stop()


async def _wait_until_committed(consumer: AIOKafkaConsumer, partitions: list[TopicPartition], service: str) -> None:
    ends = await consumer.end_offsets(partitions)
    last, moved_at = -1, time.perf_counter()
    while True:
        done = sum([await consumer.committed(partition) or 0 for partition in partitions])
        if done >= sum(ends.values()):
            return
        if done != last:
            last, moved_at = done, time.perf_counter()
        elif time.perf_counter() - moved_at > STALLED_SECONDS:
            raise StalledError(f"{service} has taken {done:,} of {sum(ends.values()):,} records about orders")
        await asyncio.sleep(POLL_SECONDS)
