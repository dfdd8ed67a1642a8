"""The conductor of the fast clock: hours pass in a blink while nobody has anything to do, and time all but stands still
while somebody has.

With a fixed speed, simulated days would pass while a real backlog is worked off, and every promise would break by the
slowness of the machine. So the conductor moves on by a step at a time, waits until everybody has caught up (outboxes
empty, no timer or notice due, no record unread, no partner with something to say), and then moves on to the next moment
at which anything is due. Nothing is skipped: the services run the code they always run.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

import asyncpg

from deploy.local.demo_peek import Peek
from libs.common.clock import SharedClock
from libs.common.db import Pool

SPEED = 20.0
"""Simulated seconds a second while work is under way: time all but stands still. Whoever waits for a moment of the shop
wakes up when the clock is put forward (`libs.common.clock.pause`), not when its sleep on the wall is over."""

BEFORE = timedelta(seconds=45)
"""So long before a promise is spoken of, everybody catches up: a shipment that is just being told is known by then."""

LOOK_SECONDS = 0.02
PATIENCE_SECONDS = 20.0
"""After this long without quiet, time moves on all the same: something may wait for a deadline of its own."""

_WORK = """
    SELECT (SELECT count(*) FROM outbox) AS outbox, (SELECT min(due_at) FROM timers) AS next_at,
           (SELECT count(*) FROM timers WHERE split_part(name, ':', 1) <> ALL($1)) AS timers"""
_LASTING = ["expiry", "tier", "birthday"]
"""Timers of loyalty that are always set, for things that are months away."""
_PROMISES = """
    SELECT (SELECT min(due_at) FROM notices WHERE status IN ('pending', 'sending')) AS notice,
           (SELECT min(due_at) FROM timers WHERE name = 'overdue') AS promise"""


class ConductedClock(SharedClock):
    """The shared clock with the one right that only the conductor has: to put the hands forward."""

    def move_to(self, moment: datetime, speed: float) -> None:
        self._write(moment, speed)


@dataclass
class Look:
    """What one look around found: how much is under way, when the next thing is due, and when the next word to a
    customer is: those moments are not passed over, for a promise breaks soon after. `told_at`: a partner speaks next.
    """

    backlog: int = 0
    next_at: datetime | None = None
    stop_at: datetime | None = None
    told_at: datetime | None = None
    open_timers: int = 0
    story: dict[str, Any] = field(default_factory=dict)

    def due(self, moment: datetime | None, now: datetime) -> None:
        if moment is None:
            return
        if moment <= now:
            self.backlog += 1
        elif self.next_at is None or moment < self.next_at:
            self.next_at = moment


class Conductor:
    """`databases` by service; `partners` and `services` are addresses."""

    def __init__(
        self, clock: ConductedClock, databases: Mapping[str, str], services: list[str], partners: Mapping[str, str]
    ) -> None:
        self.clock = clock
        self.databases = databases
        self.impatient = 0
        self.steps = 0
        self._services = [Peek(f"{url}/health/started") for url in services]
        self._partners = {name: Peek(f"{url}/status") for name, url in partners.items()}
        self._pools: dict[str, Pool] = {}

    async def open(self) -> None:
        for service, url in self.databases.items():
            self._pools[service] = await asyncpg.create_pool(url, min_size=1, max_size=1)

    async def close(self) -> None:
        for peek in (*self._services, *self._partners.values()):
            peek.close()
        for pool in self._pools.values():
            pool.terminate()

    async def look(self) -> Look:
        """One look around at everybody."""
        look = Look()
        await asyncio.gather(
            *(self._look_at_database(look, service) for service in self._pools),
            *(self._look_at_service(look, peek) for peek in self._services),
            *(self._look_at_partner(look, name) for name in self._partners),
        )
        return look

    async def _look_at_database(self, look: Look, service: str) -> None:
        row = cast("asyncpg.Record", await self._pools[service].fetchrow(_WORK, _LASTING))
        now = self.clock.now()
        look.backlog += row["outbox"]
        look.due(row["next_at"], now)
        if service in ("returns", "loyalty"):
            look.open_timers += row["timers"]
        if service == "delivery_notify":
            promises = cast("asyncpg.Record", await self._pools[service].fetchrow(_PROMISES))
            look.due(promises["notice"], now)
            look.stop_at = min((moment for moment in promises if moment and moment > now), default=None)

    async def _look_at_service(self, look: Look, peek: Peek) -> None:
        answer = await peek.ask()
        look.backlog += sum(answer["lag"].values())  # added after the wait: others add to it meanwhile

    async def _look_at_partner(self, look: Look, name: str) -> None:
        answer = await self._partners[name].ask()
        look.backlog += answer["backlog"] + answer.get("in_hand", 0)
        if answer["next_at"]:
            next_at = datetime.fromisoformat(answer["next_at"])
            look.due(next_at, self.clock.now())
            look.told_at = min(next_at, look.told_at or next_at)
        look.story[name] = answer

    async def until_quiet(self) -> Look:
        """Wait until looks in a row find nothing under way: two; four after work, which may still be on its way."""
        began = time.monotonic()
        calm, enough = 0, 2
        while True:
            look = await self.look()
            calm, enough = (0, 4) if look.backlog else (calm + 1, enough)
            if calm >= enough:
                return look
            waited = time.monotonic() - began
            if waited > PATIENCE_SECONDS:
                self.impatient += 1
                return look
            await asyncio.sleep(LOOK_SECONDS)

    def step(self, look: Look, most: timedelta) -> None:
        """Move on by `most`, or to the next moment at which anything is due where that is later; but stop at the next
        word to a customer, and, where somebody speaks until then, a little before it."""
        now = self.clock.now()
        target = max(now + most, look.next_at or now)
        spoken = look.stop_at and look.told_at and look.told_at <= look.stop_at
        if look.stop_at and spoken and look.stop_at - BEFORE > now:
            target = min(target, look.stop_at - BEFORE)
        elif look.stop_at:
            target = min(target, look.stop_at)
        self.clock.move_to(max(now, target), SPEED)
        self.steps += 1
