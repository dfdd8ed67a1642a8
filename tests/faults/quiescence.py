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

from tests.faults.consumer_lag import Unread
from tests.faults.replica import Replica
from tests.faults.system import System

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

LONGEST_PATIENCE = 10
"""Work that goes on moving is waited for so many times as long as work that stands still: the machine may be slow."""

UNREAD, UNREAD_SECONDS = ": unread", 30.0

CALM_LOOKS = 3
LOOK_SECONDS, STEP_SECONDS = 0.15, 120.0
LONGEST_STEP = timedelta(hours=8)
RAMP = 4


class NeverCalmError(Exception):
    """The system did not come to rest in time; the message says what was still under way."""


@dataclass
class Look:
    """What one look around found."""

    under_way: dict[str, int] = field(default_factory=dict)
    next_at: datetime | None = None

    @property
    def only_unread(self) -> bool:
        return bool(self.under_way) and all(what.endswith(UNREAD) for what in self.under_way)

    def note(self, what: str, count: int) -> None:
        if count:
            self.under_way[what] = count

    def due(self, what: str, moment: datetime | None, now: datetime) -> None:
        if moment is not None and moment <= now:
            self.note(what, 1)
        elif moment is not None and (self.next_at is None or moment < self.next_at):
            self.next_at = moment


@dataclass
class Calm:
    """`others` tells of work outside the services, by name; `unread` has the last word.

    Connections to the databases are kept from look to look: to open one takes longer than to look.
    """

    system: System
    others: dict[str, Callable[[], int]]
    unread: Unread
    _connections: "dict[str, asyncpg.Connection[asyncpg.Record]]" = field(default_factory=dict)

    async def wait(self, patience: float) -> Look:
        """Until some looks in a row found nothing. Raises `NeverCalmError` if nothing moves for `patience` s."""
        try:
            return await self._wait(patience)
        finally:
            await self._close()

    async def _wait(self, patience: float) -> Look:
        begin = moved = time.monotonic()
        calm, before = 0, dict[str, int]()
        async with httpx.AsyncClient(timeout=5) as http:
            while calm < CALM_LOOKS:
                look = await self.look(http)
                if not look.under_way and (before or calm == CALM_LOOKS - 1):
                    await self._look_at_topics(look)
                now = time.monotonic()
                moved = moved if look.under_way == before else now
                calm, before = 0 if look.under_way else calm + 1, look.under_way
                if look.only_unread and now - moved > UNREAD_SECONDS:
                    return look  # taken, and the acknowledgement was lost: whether it was taken, the audit says
                if before and (now - moved > patience or now - begin > patience * LONGEST_PATIENCE):
                    raise NeverCalmError(_told(before, now - moved))
                await asyncio.sleep(LOOK_SECONDS)
        return look

    async def let_days_pass(self, days: int, real_seconds: float) -> timedelta:
        """Move on from one due moment to the next, calm in between; gives how far it came until either limit."""
        await self._end_leases()
        try:
            return await self._let_days_pass(days, real_seconds)
        finally:
            await self._close()

    async def _let_days_pass(self, days: int, real_seconds: float) -> timedelta:
        begin, deadline = self.system.clock.now(), time.monotonic() + real_seconds
        while time.monotonic() < deadline and self.system.clock.now() - begin < timedelta(days=days):
            look = await self._wait(STEP_SECONDS)
            now = self.system.clock.now()
            if look.next_at is None:
                break
            await self._move(now, min(max(now + LONGEST_STEP, look.next_at), begin + timedelta(days=days, minutes=1)))
        # Time stands still from here on: a timer that rang while topics and databases are read, one after the other,
        # would be in the one and not in the other.
        self.system.show_time(self.system.clock.now(), 0)
        await self._wait(STEP_SECONDS)
        return self.system.clock.now() - begin

    async def _end_leases(self) -> None:
        """In the days that are about to pass, every lease on the wall clock would end too."""
        conn = await asyncpg.connect(self.system.databases["delivery_notify"])
        try:
            await conn.execute(_END_LEASES)
        finally:
            await conn.close()

    async def _move(self, now: datetime, target: datetime) -> None:
        for part in range(1, RAMP + 1):
            self.system.show_time(now + (target - now) * part / RAMP, 1)
            await asyncio.sleep(0.002)

    async def look(self, http: httpx.AsyncClient) -> Look:
        look = Look()
        for what, count in self.others.items():
            look.note(what, count())
        await asyncio.gather(
            *(self._look_at_database(look, service) for service in self.system.databases),
            *(self._look_at_process(look, http, replica) for replica in self.system.all_replicas()),
        )
        return look

    async def _look_at_topics(self, look: Look) -> None:
        try:
            for group, count in (await self.unread.count()).items():
                look.note(f"{group}{UNREAD}", count)
        except (KafkaError, OSError):
            look.note("kafka: no answer", 1)

    async def _look_at_database(self, look: Look, service: str) -> None:
        try:
            conn = self._connections.get(service)
            if conn is None or conn.is_closed():
                conn = await asyncpg.connect(self.system.databases[service], timeout=5, command_timeout=5)
                self._connections[service] = conn
            row = await conn.fetchrow(_WORK)
            next_notice = await conn.fetchval(_NOTICES) if service == "delivery_notify" else None
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            look.note(f"{service}: no database", 1)
            await self._close(service)
            return
        assert row is not None, "a query without FROM gives a row"
        now = self.system.clock.now()
        look.note(f"{service}: outbox", row["outbox"])
        look.note(f"{service}: replaying", row["replaying"])
        look.due(f"{service}: timer due", row["next_at"], now)
        look.due(f"{service}: notice due", next_notice, now)

    async def _close(self, *services: str) -> None:
        """The connections of these services, of all if none is named."""
        for service in services or list(self._connections):
            if (conn := self._connections.pop(service, None)) is not None:
                with suppress(Exception):  # what it told us stands
                    await conn.close(timeout=2)

    async def _look_at_process(self, look: Look, http: httpx.AsyncClient, replica: Replica) -> None:
        name = replica.process.name + replica.path
        try:
            answer = await http.get(f"{replica.url}/health/started")
            look.note(f"{name}: not joined", int(answer.status_code != 200))
            look.note(f"{name}: lag", sum(answer.json()["lag"].values()))
        except httpx.HTTPError:
            look.note(f"{name}: no answer", 1)


def _told(under_way: dict[str, int], still: float) -> str:
    what = ", ".join(f"{what}: {count}" for what, count in under_way.items())
    return f"{what}; the same for {still:.0f} s"
