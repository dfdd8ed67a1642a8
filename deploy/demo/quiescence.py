"""Snapshots of all work in flight in a demo run, taken in an order in which no hand-over can be missed.

Work moves: a partner publishes, a service consumes and commits, the relay publishes its outbox, the mail server accepts
a mail and a customer reads it. A poll of the receiver before the sender could find both idle during a hand-over, so a
snapshot follows the work: partners, ends of the topics, services, databases, mails, ends of the topics again. A record
is processed when its transaction is over; the effects are in the database or, once published, move the end of a topic.
A snapshot that finds nothing, with equal ends before and after, therefore proves quiescence.

A snapshot stops at the first place with work.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.demo.status_poll import StatusClient
from deploy.local.pending_work import PendingWork, next_notice, next_promise
from libs.common.decisions.clock import SharedClock
from libs.common.events.topics import TOPICS
from libs.common.messaging.partitions import partitions_of
from libs.common.postgres.pool import Pool
from libs.common.runtime.in_flight import DatabaseWork, Offsets, end_offsets, unread_by_reader

_OPEN_TIMERS = "SELECT count(*) FROM timers WHERE split_part(name, ':', 1) <> ALL($1)"
_LATENESS_CHECKS = "SELECT due_at FROM lateness_checks"
_QUEUED_FOR_DETECTION = "SELECT count(*) FROM detection_queue"
DETECTION = "detection"
"""Owner of products that wait for the detection of clusters, which runs at intervals and when the clock is set."""

_PERMANENT_TIMERS = ("expiry", "tier", "birthday")
"""Timers of loyalty that are always set, months ahead."""


@dataclass
class Snapshot(PendingWork):
    """Pending work of the whole demo; incomplete if `busy` is not empty.

    `next_notice_at` is the time of the next notice or check for lateness: the clock stops there, since a promise breaks
    soon after it.
    `partners` are the status answers of the partners, and `next_partner_event_at` the time of their next event.
    """

    next_notice_at: datetime | None = None
    next_partner_event_at: datetime | None = None
    partners: dict[str, Any] = field(default_factory=dict)


class QuiescenceProbe:
    """Polls services and databases by service name, the partner simulator, the mail server and the broker."""

    def __init__(
        self,
        clock: SharedClock,
        databases: Mapping[str, str],
        services: Mapping[str, str],
        simulator: str | None = None,
        mail: str | None = None,
        bootstrap_servers: str | None = None,
        topic_prefix: str = "",
    ) -> None:
        self._clock, self._databases, self._servers, self._prefix = clock, databases, bootstrap_servers, topic_prefix
        self._services = {name: StatusClient(f"{url}/health/started") for name, url in services.items()}
        self._simulator, self._mail = (StatusClient(f"{url}/status") if url else None for url in (simulator, mail))
        self._pools: dict[str, Pool] = {}
        self._consumer: AIOKafkaConsumer[bytes, bytes] | None = None
        self._partitions: list[TopicPartition] = []

    async def open(self) -> None:
        for service, url in self._databases.items():
            self._pools[service] = await asyncpg.create_pool(url, min_size=1, max_size=1)
        if self._servers:
            self._consumer = AIOKafkaConsumer(bootstrap_servers=self._servers)
            await self._consumer.start()
            self._partitions = await partitions_of(self._consumer, TOPICS, self._prefix)

    async def close(self) -> None:
        for client in (*self._services.values(), self._simulator, self._mail):
            if client:
                client.close()
        for pool in self._pools.values():
            pool.terminate()
        if self._consumer:
            await self._consumer.stop()

    async def take_snapshot(self, *, complete: bool = False) -> Snapshot:
        """`complete`: poll every place, even after work was found."""
        snapshot = Snapshot(self._clock.now())
        await self._poll_partners(snapshot)
        if snapshot.busy and not complete:
            return snapshot
        before = await self._ends()
        for poll in (self._poll_partner_lag, self._poll_services, self._poll_databases):
            await poll(snapshot, before)
            if snapshot.busy and not complete:
                return snapshot
        await self._poll_mail(snapshot)
        if not snapshot.busy and await self._ends() != before:
            snapshot.add("topics", 1)
        return snapshot

    async def open_timers(self) -> int:
        """Return how many timers of cases and points will still fire."""
        pools = [self._pools[service] for service in ("returns", "loyalty")]
        return sum([await pool.fetchval(_OPEN_TIMERS, _PERMANENT_TIMERS) for pool in pools])

    async def _ends(self) -> Offsets:
        return await end_offsets(self._consumer, self._partitions) if self._consumer else {}

    async def _poll_partners(self, snapshot: Snapshot) -> None:
        snapshot.partners = await self._simulator.get() if self._simulator else {}
        for name, status in snapshot.partners.items():
            next_at = datetime.fromisoformat(status["next_at"]) if status["next_at"] else None
            snapshot.add(name, status["backlog"] + status.get("open_tasks", 0))
            snapshot.due(name, next_at)
            if next_at:
                snapshot.next_partner_event_at = min(next_at, snapshot.next_partner_event_at or next_at)

    async def _poll_partner_lag(self, snapshot: Snapshot, ends: Offsets) -> None:
        """Count records that were written before `ends` was read and that a partner had not handled yet."""
        for name, status in snapshot.partners.items():
            snapshot.add(name, unread_by_reader(ends, status.get("processed", {})))

    async def _poll_services(self, snapshot: Snapshot, ends: Offsets) -> None:
        statuses = await asyncio.gather(*(client.get() for client in self._services.values()))
        for name, status in zip(self._services, statuses, strict=True):
            snapshot.add(
                name, sum(status["lag"].values()) + unread_by_reader(ends, status["processed_offsets"], self._prefix)
            )

    async def _poll_databases(self, snapshot: Snapshot, ends: Offsets) -> None:
        await asyncio.gather(*(self._poll_database(snapshot, name, pool) for name, pool in self._pools.items()))

    async def _poll_database(self, snapshot: Snapshot, name: str, pool: Pool) -> None:
        work = await DatabaseWork.read(pool, snapshot.now)
        snapshot.add(f"outbox of {name}", work.outbox)
        snapshot.add(f"dead letters of {name}", work.replaying)
        snapshot.add(f"timers of {name}", work.due_timers)
        snapshot.due(f"timers of {name}", work.next_timer_at)
        if name == "intake":
            snapshot.add(DETECTION, await pool.fetchval(_QUEUED_FOR_DETECTION))
        if name == "delivery_notify":
            notice, promise = await next_notice(pool), await next_promise(pool)
            checks = await pool.fetch(_LATENESS_CHECKS)
            due = [row["due_at"] for row in checks]
            snapshot.due("notices", notice)
            snapshot.add("lateness checks", sum(each <= snapshot.now for each in due))
            moments = (notice, promise, *due)
            snapshot.next_notice_at = min((each for each in moments if each and each > snapshot.now), default=None)

    async def _poll_mail(self, snapshot: Snapshot) -> None:
        """Compare the mails received until now with those that the customers had read."""
        if self._mail and "customers" in snapshot.partners:
            snapshot.partners["mail"] = await self._mail.get()
            snapshot.add("mails", snapshot.partners["mail"]["mails"] - snapshot.partners["customers"]["mails_read"])
