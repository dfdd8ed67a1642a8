"""When a lifecycle counts: seen in the services' databases, from the outside.

Points granted in loyalty; every notice about the issue settled in delivery_notify, the one of its resolution, which is
the last, among them; and intake's timeline tells of the resolution, the points and each of those notices. Cheap counts
are looked at while the flood runs; the whole check is made once they say that it may hold.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from libs.common.events.topics import STOREFRONT_ORDERS

_GRANTED = "SELECT count(*) FROM entries WHERE kind = 'grant' AND issue_id IS NOT NULL"
_OWED = "SELECT (SELECT count(*) FROM timers WHERE name LIKE 'purchase:%') + (SELECT count(*) FROM outbox)"
_OPEN = "SELECT count(*) FROM notices WHERE issue_id IS NOT NULL AND status IN ('pending', 'sending')"
_NOTICES = """
    SELECT issue_id::text, count(*) AS told FROM notices WHERE issue_id IS NOT NULL
    GROUP BY issue_id HAVING bool_or(kind = 'issue_resolved') AND bool_and(status NOT IN ('pending', 'sending'))"""
_STORIES = """
    SELECT issue_id::text, count(*) FILTER (WHERE type LIKE 'notice.%') AS told
    FROM timeline GROUP BY issue_id
    HAVING bool_or(type = 'issue.resolved.v1') AND bool_or(type = 'points.granted.v1')"""

LOOK_SECONDS = 0.3
STALLED_SECONDS = 30.0


class StalledError(Exception):
    """Nothing was completed for a long time; the message says how far it got."""


@dataclass(frozen=True, slots=True)
class Books:
    """A connection to the database of each service."""

    intake: "asyncpg.Connection[asyncpg.Record]"
    delivery_notify: "asyncpg.Connection[asyncpg.Record]"
    loyalty: "asyncpg.Connection[asyncpg.Record]"

    @classmethod
    async def open(cls, databases: Mapping[str, str]) -> "Books":
        names = ("intake", "delivery_notify", "loyalty")
        return cls(**{name: await asyncpg.connect(databases[name]) for name in names})

    async def close(self) -> None:
        for conn in (self.intake, self.delivery_notify, self.loyalty):
            await conn.close()

    async def complete(self, issues: Collection[str]) -> int:
        """How many of these issues are complete."""
        granted: int = await self.loyalty.fetchval(_GRANTED)
        if granted < len(issues) or await self.delivery_notify.fetchval(_OPEN):
            return 0
        notices = {row["issue_id"]: row["told"] for row in await self.delivery_notify.fetch(_NOTICES)}
        stories = {row["issue_id"]: row["told"] for row in await self.intake.fetch(_STORIES)}
        return sum(issue in stories and 0 < notices.get(issue, 0) <= stories[issue] for issue in issues)

    async def granted(self) -> int:
        count: int = await self.loyalty.fetchval(_GRANTED)
        return count

    async def progress(self) -> tuple[int, Counter[str], int]:
        """Points, notices and facts in timelines so far: the same twice means that nothing moves."""
        return await self.granted(), await self.notices(), await self.intake.fetchval("SELECT count(*) FROM timeline")

    async def notices(self) -> Counter[str]:
        """How many notices about issues there are, by status."""
        rows = await self.delivery_notify.fetch(
            "SELECT status, count(*) AS n FROM notices WHERE issue_id IS NOT NULL GROUP BY status"
        )
        return Counter({row["status"]: row["n"] for row in rows})


async def wait_until_complete(
    books: Books, issues: Collection[str], before: int, told: Callable[[int], None] = lambda _: None
) -> float:
    """Returns the moment (`time.perf_counter`) at which all were seen to be complete, `before` grants ago.

    `told` hears how many were granted so far. Raises `StalledError` when nothing moves any more.
    """
    progress, moved_at = await books.progress(), time.perf_counter()
    while True:
        granted = await books.granted() - before
        told(granted)
        if granted >= len(issues) and await books.complete(issues) == len(issues):
            return time.perf_counter()
        if time.perf_counter() - moved_at > STALLED_SECONDS:
            last, progress, moved_at = progress, await books.progress(), time.perf_counter()
            if progress == last:
                raise StalledError(f"{granted:,} of {len(issues):,} issues have points, then nothing moved: {progress}")
        await asyncio.sleep(LOOK_SECONDS)


async def wait_until_purchases_have_points(books: Books) -> None:
    """Returns when loyalty has given and told the points for all orders that it knows."""
    while await books.loyalty.fetchval(_OWED):
        await asyncio.sleep(LOOK_SECONDS)


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
        await asyncio.sleep(LOOK_SECONDS)
