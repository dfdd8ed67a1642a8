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

from deploy.demo.quiescence import QuiescenceProbe, Snapshot
from libs.common.decisions.clock import SharedClock

REPLAY_SPEED = 1.0
"""Simulated seconds a second while work is under way: on a slow machine too, no promise breaks meanwhile. Whoever waits
for a moment of the shop wakes up when the clock is put forward (`libs.common.decisions.clock.pause`)."""

NOTICE_LEAD = timedelta(seconds=45)
"""So long before a promise is spoken of, everybody catches up: a shipment that is just being told is known by then."""

POLL_SECONDS = 0.01
MAX_WAIT_SECONDS = 60.0
"""After this long without quiet, time moves on all the same: something may wait for a deadline of its own."""


class AdjustableClock(SharedClock):
    """The shared clock with the one right that only the conductor has: to put the hands forward."""

    def set_time(self, moment: datetime, speed: float) -> None:
        self._write(moment, speed)


class ClockDriver:
    """`impatient` counts the times that it went on although somebody was busy; `waited` are seconds, by who was."""

    def __init__(self, clock: AdjustableClock, probe: QuiescenceProbe) -> None:
        self.clock = clock
        self.probe = probe
        self.timeouts = 0
        self.steps = 0
        self.wait_seconds: defaultdict[str, float] = defaultdict(float)

    async def wait_until_idle(self) -> Snapshot:
        """Look around until nobody has anything to do at this moment."""
        began = time.monotonic()
        while True:
            polled_at = time.monotonic()
            snapshot = await self.probe.take_snapshot()
            if not snapshot.busy:
                self.wait_seconds["nobody"] += time.monotonic() - polled_at
                return snapshot
            if time.monotonic() - began > MAX_WAIT_SECONDS:
                self.timeouts += 1
                return await self.probe.take_snapshot(complete=True)
            await asyncio.sleep(POLL_SECONDS)
            self.wait_seconds[next(iter(snapshot.busy))] += time.monotonic() - polled_at

    def advance(self, snapshot: Snapshot, step: timedelta) -> None:
        """Move on to the next moment at which anything is due and by `most` beyond it, for all that is due by then; but
        stop at the next word to a customer, and, where somebody speaks until then, a little before it."""
        now = self.clock.now()
        target = max(now, snapshot.next_at or now) + step
        partner_first = (
            snapshot.next_notice_at
            and snapshot.next_partner_event_at
            and snapshot.next_partner_event_at <= snapshot.next_notice_at
        )
        if snapshot.next_notice_at and partner_first and snapshot.next_notice_at - NOTICE_LEAD > now:
            target = min(target, snapshot.next_notice_at - NOTICE_LEAD)
        elif snapshot.next_notice_at:
            target = min(target, snapshot.next_notice_at)
        self.clock.set_time(max(now, target), REPLAY_SPEED)
        self.steps += 1
