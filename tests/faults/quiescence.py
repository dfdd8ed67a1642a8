"""Waits until no work is in flight, then advances the clock until every due timer has fired."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from deploy.local.pending_work import PendingWork, next_notice
from libs.common.events.topics import GATEWAY
from libs.common.runtime.in_flight import ConsumerLag, DatabaseWork
from tests.faults.partner_directory import pending_webhooks
from tests.faults.replica import Replica
from tests.faults.system import FaultSystem

_END_LEASES = "UPDATE notices SET wait_until = clock_timestamp() WHERE wait_until > clock_timestamp()"

MAX_PATIENCE_FACTOR = 10
"""Work that still moves is waited for so many times longer than work that does not: the machine may be slow."""

UNREAD, UNREAD_SECONDS = ": unread", 30.0

QUIET_POLLS = 3
POLL_SECONDS, STEP_SECONDS = 0.15, 120.0
MAX_STEP = timedelta(hours=8)
RAMP_STEPS = 4


class NotQuiescentError(Exception):
    """Work was still in flight after the time limit; the message lists it."""


@dataclass
class Quiescence:
    """`external_work` counts work outside the services, by name; `consumer_lag` is read last."""

    system: FaultSystem
    external_work: dict[str, Callable[[], int]]
    consumer_lag: ConsumerLag
    rests: list[float] = field(default_factory=list)
    """Times at which nothing was left to read or to do, in seconds as records are stamped."""

    async def wait(self, patience: float) -> PendingWork:
        """Return after several polls without work. Raises `NotQuiescentError` if nothing moves for `patience` s."""
        begin = moved = time.monotonic()
        quiet, before = 0, dict[str, int]()
        async with httpx.AsyncClient(timeout=5) as http:
            while quiet < QUIET_POLLS:
                polled_at = time.time()
                work = await self.poll(http)
                if not work.busy and (before or quiet == QUIET_POLLS - 1):
                    await self._poll_topics(work)
                now = time.monotonic()
                moved = moved if work.busy == before else now
                quiet, before = 0 if work.busy else quiet + 1, work.busy
                if _only_unread(work) and now - moved > UNREAD_SECONDS:
                    return work  # consumed with its commit lost: the audit decides whether it was consumed
                if before and (now - moved > patience or now - begin > patience * MAX_PATIENCE_FACTOR):
                    raise NotQuiescentError(_describe(before, now - moved))
                await asyncio.sleep(POLL_SECONDS)
        self.rests.append(polled_at)
        return work

    async def advance_days(self, days: int, real_seconds: float) -> timedelta:
        """Move from one due time to the next, quiescent in between; returns the time covered until either limit."""
        await self._end_leases()
        begin, deadline = self.system.clock.now(), time.monotonic() + real_seconds
        while time.monotonic() < deadline and self.system.clock.now() - begin < timedelta(days=days):
            work = await self.wait(STEP_SECONDS)
            now = self.system.clock.now()
            if work.next_at is None:
                break
            await self._advance(now, min(max(now + MAX_STEP, work.next_at), begin + timedelta(days=days, minutes=1)))
        # The clock stops here: a timer that fired between the reads of the topics and of the databases would be in one
        # of them only.
        self.system.set_time(self.system.clock.now(), 0)
        await self.wait(STEP_SECONDS)
        return self.system.clock.now() - begin

    async def _end_leases(self) -> None:
        """End leases on wall-clock time, as the simulated days would."""
        conn = await asyncpg.connect(self.system.databases["delivery_notify"])
        try:
            await conn.execute(_END_LEASES)
        finally:
            await conn.close()

    async def _advance(self, now: datetime, target: datetime) -> None:
        for part in range(1, RAMP_STEPS + 1):
            self.system.set_time(now + (target - now) * part / RAMP_STEPS, 1)
            await asyncio.sleep(0.002)

    async def poll(self, http: httpx.AsyncClient) -> PendingWork:
        work = PendingWork(self.system.clock.now())
        for name, count in self.external_work.items():
            work.add(name, count())
        await asyncio.gather(
            *(self._poll_database(work, service) for service in self.system.databases),
            *(self._poll_process(work, http, replica) for replica in self.system.all_replicas()),
        )
        return work

    async def _poll_topics(self, work: PendingWork) -> None:
        try:
            for group, count in (await self.consumer_lag.count()).items():
                work.add(f"{group}{UNREAD}", count)
        except (KafkaError, OSError):
            work.add("kafka: no answer", 1)

    async def _poll_database(self, work: PendingWork, service: str) -> None:
        try:
            conn = await asyncpg.connect(self.system.databases[service], timeout=5)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            work.add(f"{service}: no database", 1)
            return
        try:
            open_work = await DatabaseWork.read(conn, work.now)
            work.add(f"{service}: outbox", open_work.outbox)
            work.add(f"{service}: replaying", open_work.replaying)
            work.add(f"{service}: timer due", open_work.due_timers)
            work.due(f"{service}: timer due", open_work.next_timer_at)
            if service == GATEWAY:
                work.add(f"{service}: webhooks", await pending_webhooks(conn))
            if service == "delivery_notify":
                work.due(f"{service}: notice due", await next_notice(conn, include_leased=False))
        finally:
            with suppress(Exception):  # the rows were read; a failing close changes nothing
                await conn.close(timeout=2)

    async def _poll_process(self, work: PendingWork, http: httpx.AsyncClient, replica: Replica) -> None:
        name = replica.process.name + replica.path
        try:
            answer = await http.get(f"{replica.url}/health/started")
            work.add(f"{name}: not joined", int(answer.status_code != 200))
            work.add(f"{name}: lag", sum(answer.json()["lag"].values()))
        except httpx.HTTPError:
            work.add(f"{name}: no answer", 1)


def _only_unread(work: PendingWork) -> bool:
    return bool(work.busy) and all(name.endswith(UNREAD) for name in work.busy)


def _describe(busy: dict[str, int], still: float) -> str:
    counts = ", ".join(f"{name}: {count}" for name, count in busy.items())
    return f"{counts}; unchanged for {still:.0f} s"
