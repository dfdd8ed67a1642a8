"""Waits until nothing is under way any more, and then lets days pass until every timer that is due has rung."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from tests.faults.consumer_lag import ConsumerLag
from tests.faults.replica import Replica
from tests.faults.system import FaultSystem

_WORK = """
    SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT min(due_at) FROM timers) AS next_at,
           (SELECT count(*) FROM dead_letters WHERE state = 'replaying') AS replaying"""
# A notice whose sender died is leased for minutes of the wall clock, and those of its order wait behind it: for
# `let_days_pass`, not for calm.
_NOTICES = """
    SELECT min(n.due_at) FROM notices n WHERE n.settled_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM notices e
        WHERE e.order_id = n.order_id AND e.settled_at IS NULL AND e.wait_until > clock_timestamp())"""
_END_LEASES = "UPDATE notices SET wait_until = clock_timestamp() WHERE wait_until > clock_timestamp()"

MAX_PATIENCE_FACTOR = 10
"""Work that goes on moving is waited for so many times as long as work that stands still: the machine may be slow."""

UNREAD, UNREAD_SECONDS = ": unread", 30.0

QUIET_POLLS = 3
POLL_SECONDS, STEP_SECONDS = 0.15, 120.0
MAX_STEP = timedelta(hours=8)
RAMP_STEPS = 4


class NotQuiescentError(Exception):
    """The system did not come to rest in time; the message says what was still under way."""


@dataclass
class PendingWork:
    """What one look around found."""

    counts: dict[str, int] = field(default_factory=dict)
    next_at: datetime | None = None

    @property
    def only_unread(self) -> bool:
        return bool(self.counts) and all(what.endswith(UNREAD) for what in self.counts)

    def note(self, what: str, count: int) -> None:
        if count:
            self.counts[what] = count

    def due(self, what: str, moment: datetime | None, now: datetime) -> None:
        if moment is not None and moment <= now:
            self.note(what, 1)
        elif moment is not None and (self.next_at is None or moment < self.next_at):
            self.next_at = moment


@dataclass
class Quiescence:
    """`others` tells of work outside the services, by name; `unread` has the last word."""

    system: FaultSystem
    external_work: dict[str, Callable[[], int]]
    consumer_lag: ConsumerLag

    async def wait(self, patience: float) -> PendingWork:
        """Until some looks in a row found nothing. Raises `NeverCalmError` if nothing moves for `patience` s."""
        begin = moved = time.monotonic()
        calm, before = 0, dict[str, int]()
        async with httpx.AsyncClient(timeout=5) as http:
            while calm < QUIET_POLLS:
                look = await self.poll(http)
                if not look.counts and (before or calm == QUIET_POLLS - 1):
                    await self._poll_topics(look)
                now = time.monotonic()
                moved = moved if look.counts == before else now
                calm, before = 0 if look.counts else calm + 1, look.counts
                if look.only_unread and now - moved > UNREAD_SECONDS:
                    return look  # taken, and the acknowledgement was lost: whether it was taken, the audit says
                if before and (now - moved > patience or now - begin > patience * MAX_PATIENCE_FACTOR):
                    raise NotQuiescentError(_describe(before, now - moved))
                await asyncio.sleep(POLL_SECONDS)
        return look

    async def advance_days(self, days: int, real_seconds: float) -> timedelta:
        """Move on from one due moment to the next, calm in between; gives how far it came until either limit."""
        await self._end_leases()
        begin, deadline = self.system.clock.now(), time.monotonic() + real_seconds
        while time.monotonic() < deadline and self.system.clock.now() - begin < timedelta(days=days):
            look = await self.wait(STEP_SECONDS)
            now = self.system.clock.now()
            if look.next_at is None:
                break
            await self._advance(now, min(max(now + MAX_STEP, look.next_at), begin + timedelta(days=days, minutes=1)))
        # Time stands still from here on: a timer that rang while topics and databases are read, one after the other,
        # would be in the one and not in the other.
        self.system.set_time(self.system.clock.now(), 0)
        await self.wait(STEP_SECONDS)
        return self.system.clock.now() - begin

    async def _end_leases(self) -> None:
        """In the days that are about to pass, every lease on the wall clock would end too."""
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
        look = PendingWork()
        for what, count in self.external_work.items():
            look.note(what, count())
        await asyncio.gather(
            *(self._poll_database(look, service) for service in self.system.databases),
            *(self._poll_process(look, http, replica) for replica in self.system.all_replicas()),
        )
        return look

    async def _poll_topics(self, look: PendingWork) -> None:
        try:
            for group, count in (await self.consumer_lag.count()).items():
                look.note(f"{group}{UNREAD}", count)
        except (KafkaError, OSError):
            look.note("kafka: no answer", 1)

    async def _poll_database(self, look: PendingWork, service: str) -> None:
        try:
            conn = await asyncpg.connect(self.system.databases[service], timeout=5)
        except (OSError, asyncpg.PostgresError, TimeoutError):
            look.note(f"{service}: no database", 1)
            return
        try:
            row = await conn.fetchrow(_WORK)
            assert row is not None, "a query without FROM gives a row"
            now = self.system.clock.now()
            look.note(f"{service}: outbox", row["outbox"])
            look.note(f"{service}: replaying", row["replaying"])
            look.due(f"{service}: timer due", row["next_at"], now)
            if service == "delivery_notify":
                look.due(f"{service}: notice due", await conn.fetchval(_NOTICES), now)
        finally:
            with suppress(Exception):  # what it told us stands
                await conn.close(timeout=2)

    async def _poll_process(self, look: PendingWork, http: httpx.AsyncClient, replica: Replica) -> None:
        name = replica.process.name + replica.path
        try:
            answer = await http.get(f"{replica.url}/health/started")
            look.note(f"{name}: not joined", int(answer.status_code != 200))
            look.note(f"{name}: lag", sum(answer.json()["lag"].values()))
        except httpx.HTTPError:
            look.note(f"{name}: no answer", 1)


def _describe(under_way: dict[str, int], still: float) -> str:
    what = ", ".join(f"{what}: {count}" for what, count in under_way.items())
    return f"{what}; the same for {still:.0f} s"
