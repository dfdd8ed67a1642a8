"""Driver of the fast clock: idle hours are skipped, and time stands still while work is in flight.

With a fixed speed, simulated days would pass while a backlog is processed, and promises would break by the speed of the
machine. The driver waits until no work is in flight (`quiescence`), then advances to the next due time. Nothing is
skipped: the services run their usual code. Since time stands still meanwhile, the times of events do not depend on the
machine either, and the same seed makes the same run.
"""

import asyncio
import time
from collections import defaultdict
from datetime import datetime, timedelta

from deploy.demo.quiescence import DETECTION, QuiescenceProbe, Snapshot
from libs.common.decisions.clock import SharedClock

NOTICE_LEAD = timedelta(seconds=45)
"""The pause before a notice about a promise: shipments published until then are consumed first."""

POLL_SECONDS = 0.01
MAX_WAIT_SECONDS = 60.0
"""The clock advances after this time without quiescence: work may be waiting for a deadline."""


class AdjustableClock(SharedClock):
    """The shared clock with the right to set the time; only drivers of a run use it."""

    def set_time(self, moment: datetime, speed: float) -> None:
        self._write(moment, speed)


class ClockDriver:
    """`timeouts` counts advances while work was in flight; `wait_seconds` are the seconds waited, by owner of
    the work."""

    def __init__(self, clock: AdjustableClock, probe: QuiescenceProbe) -> None:
        self.clock = clock
        self.probe = probe
        self.timeouts = 0
        self.steps = 0
        self.wait_seconds: defaultdict[str, float] = defaultdict(float)

    async def wait_until_idle(self) -> Snapshot:
        """Poll until no work is due at the present time."""
        began = time.monotonic()
        while True:
            polled_at = time.monotonic()
            snapshot = await self.probe.take_snapshot()
            if not snapshot.busy:
                self.wait_seconds["polling"] += time.monotonic() - polled_at
                return snapshot
            if snapshot.busy.keys() == {DETECTION}:
                self.clock.set_time(self.clock.now(), 0)  # detection starts at once, at the same time in each run
            if time.monotonic() - began > MAX_WAIT_SECONDS:
                self.timeouts += 1
                return await self.probe.take_snapshot(complete=True)
            await asyncio.sleep(POLL_SECONDS)
            self.wait_seconds[next(iter(snapshot.busy))] += time.monotonic() - polled_at

    def advance(self, snapshot: Snapshot, step: timedelta, ends_at: datetime | None = None) -> None:
        """Move to the next due time and `step` beyond it, but stop at the next notice and, where a partner publishes
        before that, a little before it; and at the end of the run.
        """
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
        self.clock.set_time(max(now, min(target, ends_at or target)), 0)
        self.steps += 1
