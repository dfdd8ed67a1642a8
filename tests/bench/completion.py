"""Completion of lifecycles, seen in the services' databases from outside at little cost to the measurement.

A lifecycle is complete when loyalty has granted its points, delivery_notify has settled every notice about the issue
with that of its resolution among them, and intake's timeline shows the resolution, the points and each of those
notices.

During the flood only the length of the loyalty topic is polled. Once it holds all grants, consumer lag and the open
rows of the databases are polled too. When nothing is open, time and CPU are recorded, and only then whole tables are
read: with 50,000 issues in the past, counts in the databases made a flood look a third more expensive than it was.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
from aiokafka.errors import KafkaError

from deploy.local.command_line import CommandError
from libs.common.events.topics import ISSUES, LOYALTY, NOTICES, STOREFRONT_ORDERS, TOPICS
from libs.common.postgres.pool import Connection
from libs.common.runtime.in_flight import ConsumerLag, DatabaseWork

FINAL_SUBSCRIPTIONS = (
    ("intake", ISSUES.name),
    ("intake", NOTICES.name),
    ("intake", LOYALTY.name),
    ("delivery_notify", ISSUES.name),
    ("delivery_notify", LOYALTY.name),
)
"""Services and the topics that they read at the end of a lifecycle."""

_GRANTED = "SELECT issue_id::text FROM entries WHERE kind = 'grant' AND issue_id IS NOT NULL"
_NOTICES = """
    SELECT issue_id::text, count(*) AS notices FROM notices WHERE issue_id IS NOT NULL
    GROUP BY issue_id HAVING bool_or(kind = 'issue_resolved') AND bool_and(status NOT IN ('pending', 'sending'))"""
_TIMELINES = """
    SELECT issue_id::text, count(*) FILTER (WHERE type LIKE 'notice.%') AS notices
    FROM timeline GROUP BY issue_id
    HAVING bool_or(type = 'issue.resolved.v1') AND bool_or(type = 'points.granted.v1')"""
_OPEN_NOTICES = "SELECT EXISTS (SELECT FROM notices WHERE settled_at IS NULL AND issue_id IS NOT NULL)"
_PURCHASE_TIMERS = "SELECT EXISTS (SELECT FROM timers WHERE name LIKE 'purchase:%')"

POLL_SECONDS = 0.1
STALLED_SECONDS = 30.0


class StalledError(CommandError):
    """Nothing was completed for a long time; the message contains the progress."""


@dataclass(frozen=True, slots=True)
class DatabaseProbe:
    """Connections to the databases that show the end of a lifecycle."""

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
        """Return true if no notice about an issue and no event is unsent; cheap, since few rows are open."""
        if await self.delivery_notify.fetchval(_OPEN_NOTICES):
            return False
        return not any([await _outbox(conn) for conn in (self.intake, self.delivery_notify, self.loyalty)])

    async def has_points_outstanding(self) -> bool:
        """Return true if loyalty has points of a purchase to grant or to publish."""
        return bool(await self.loyalty.fetchval(_PURCHASE_TIMERS) or await _outbox(self.loyalty))

    async def count_complete(self, issues: Collection[str]) -> int:
        """The number of these issues that are complete. Reads whole tables."""
        granted = {row["issue_id"] for row in await self.loyalty.fetch(_GRANTED)}
        notices = {row["issue_id"]: row["notices"] for row in await self.delivery_notify.fetch(_NOTICES)}
        timelines = {row["issue_id"]: row["notices"] for row in await self.intake.fetch(_TIMELINES)}
        done = granted & timelines.keys()
        return sum(issue in done and 0 < notices.get(issue, 0) <= timelines[issue] for issue in issues)

    async def notices(self) -> Counter[str]:
        """Notices about issues, by status."""
        rows = await self.delivery_notify.fetch(
            "SELECT status, count(*) AS n FROM notices WHERE issue_id IS NOT NULL GROUP BY status"
        )
        return Counter({row["status"]: row["n"] for row in rows})


async def _outbox(conn: Connection) -> int:
    return (await DatabaseWork.read(conn, datetime.now(UTC))).outbox


@dataclass(frozen=True, slots=True)
class Completion:
    """The time of completion (`time.perf_counter`) and the CPU seconds of each process until then."""

    at: float
    cpu: Mapping[str, float]


async def wait_until_complete(
    probe: DatabaseProbe,
    lag: ConsumerLag,
    issues: Collection[str],
    before: int,
    cpu_seconds: Callable[[], Mapping[str, float]] = dict,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Completion:
    """Return once all these issues are complete; `before` is the earlier length of the loyalty topic.

    `on_progress` receives the number of grants so far. Raises `StalledError` when nothing moves any more.
    """
    length, moved_at = 0, time.perf_counter()
    while True:
        granted = await lag.length([LOYALTY]) - before
        on_progress(granted)
        if granted >= len(issues) and await probe.is_settled() and await _unread(lag) == {}:
            completion = Completion(time.perf_counter(), cpu_seconds())
            if await probe.count_complete(issues) == len(issues):
                return completion
        if time.perf_counter() - moved_at > STALLED_SECONDS:
            last, length, moved_at = length, await lag.length(TOPICS), time.perf_counter()
            if length == last:
                raise StalledError(await _describe_stall(probe, lag, issues, granted))
        await asyncio.sleep(POLL_SECONDS)


async def _describe_stall(probe: DatabaseProbe, lag: ConsumerLag, issues: Collection[str], granted: int) -> str:
    settled = "no row is open" if await probe.is_settled() else "rows are open"
    unread = await _unread(lag)
    return (
        f"stalled: {granted:,} of {len(issues):,} issues have points, {await probe.count_complete(issues):,} are "
        f"complete; {settled}, notices: {dict(await probe.notices())}, unread: {unread}; read .local/logs/bench"
    )


async def _unread(lag: ConsumerLag) -> dict[str, int] | None:
    """Return the groups with unread records; None where a broker on a busy machine does not answer in time."""
    try:
        return {group: count for group, count in (await lag.count()).items() if count}
    except (KafkaError, TimeoutError):
        return None


async def wait_until_purchases_have_points(probe: DatabaseProbe) -> None:
    while await probe.has_points_outstanding():
        await asyncio.sleep(POLL_SECONDS)


async def wait_until_orders_are_known(bootstrap_servers: str, prefix: str, services: Collection[str]) -> None:
    """Return when these services have committed the whole order topic. Raises `StalledError`."""
    lag = ConsumerLag(bootstrap_servers, prefix, [(service, STOREFRONT_ORDERS.name) for service in services])
    last: dict[str, int] | None = {}
    moved_at = time.perf_counter()
    try:
        while (unread := await _unread(lag)) != {}:
            if unread != last:
                last, moved_at = unread, time.perf_counter()
            elif time.perf_counter() - moved_at > STALLED_SECONDS:
                raise StalledError(f"stalled: unread records about orders: {unread}; read .local/logs/bench")
            await asyncio.sleep(POLL_SECONDS)
    finally:
        await lag.close()
