"""The conductor of the fast clock: hours pass in a blink while nobody has anything to do, and time goes on at the pace
of life while somebody has.

With a fixed speed, simulated days would pass while a real backlog is worked off, and every promise would break by the
slowness of the machine. So the conductor waits until everybody has caught up (`demo_look`), and then moves on to the
next moment at which anything is due. Nothing is skipped: the services run the code they always run.
"""

import asyncio
import time
from collections import defaultdict
from datetime import datetime, timedelta

from deploy.demo.quiescence import Look, Onlooker
from libs.common.decisions.clock import SharedClock

SPEED = 1.0
"""Simulated seconds a second while work is under way: on a slow machine too, no promise breaks meanwhile. Whoever waits
for a moment of the shop wakes up when the clock is put forward (`libs.common.decisions.clock.pause`)."""

BEFORE = timedelta(seconds=45)
"""So long before a promise is spoken of, everybody catches up: a shipment that is just being told is known by then."""

LOOK_SECONDS = 0.01
PATIENCE_SECONDS = 60.0
"""After this long without quiet, time moves on all the same: something may wait for a deadline of its own."""


class ConductedClock(SharedClock):
    """The shared clock with the one right that only the conductor has: to put the hands forward."""

    def move_to(self, moment: datetime, speed: float) -> None:
        self._write(moment, speed)


class Conductor:
    """`impatient` counts the times that it went on although somebody was busy; `waited` are seconds, by who was."""

    def __init__(self, clock: ConductedClock, onlooker: Onlooker) -> None:
        self.clock = clock
        self.onlooker = onlooker
        self.impatient = 0
        self.steps = 0
        self.waited: defaultdict[str, float] = defaultdict(float)

    async def until_quiet(self) -> Look:
        """Look around until nobody has anything to do at this moment."""
        began = time.monotonic()
        while True:
            looked_at = time.monotonic()
            look = await self.onlooker.look()
            if not look.busy:
                self.waited["nobody"] += time.monotonic() - looked_at
                return look
            if time.monotonic() - began > PATIENCE_SECONDS:
                self.impatient += 1
                return await self.onlooker.look(whole=True)
            await asyncio.sleep(LOOK_SECONDS)
            self.waited[next(iter(look.busy))] += time.monotonic() - looked_at

    def step(self, look: Look, most: timedelta) -> None:
        """Move on to the next moment at which anything is due and by `most` beyond it, for all that is due by then; but
        stop at the next word to a customer, and, where somebody speaks until then, a little before it."""
        now = self.clock.now()
        target = max(now, look.next_at or now) + most
        spoken = look.stop_at and look.told_at and look.told_at <= look.stop_at
        if look.stop_at and spoken and look.stop_at - BEFORE > now:
            target = min(target, look.stop_at - BEFORE)
        elif look.stop_at:
            target = min(target, look.stop_at)
        self.clock.move_to(max(now, target), SPEED)
        self.steps += 1
