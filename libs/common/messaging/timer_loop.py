"""Loop that fires due timers. A due timer is decided on like any other event."""

import asyncio
import logging
import random
from datetime import timedelta
from typing import Any

from libs.common.decisions.facts import Facts, TimerFired
from libs.common.events.registry import AnyEvent, event_class
from libs.common.messaging import timers
from libs.common.messaging.decision_runner import Aggregate, DecisionRunner, Incoming
from libs.common.messaging.failpoints import failpoint
from libs.common.messaging.signal import WakeSignal
from libs.common.messaging.timers import DueTimer
from libs.common.postgres.pool import Connection, Pool, is_transient, strip_row_values
from libs.common.telemetry import log_context

log = logging.getLogger(__name__)

BATCH = 300
POSTPONE_BY = timedelta(minutes=5)

POLL = timedelta(minutes=1)
MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.02, 0.5
"""Due timers are looked for once a minute of the shop's time, within these bounds in real seconds; and at once when
the clock is set, or when a decision of this process set a timer that is due already.
"""


class TimerLoop:
    """Fires the timers of one aggregate. Any number of processes may run it at the same time."""

    def __init__(self, runner: DecisionRunner, pool: Pool, aggregate: Aggregate[Any], wake_relay: WakeSignal) -> None:
        self._runner, self._pool, self._aggregate, self._wake_relay = runner, pool, aggregate, wake_relay
        self._wake = WakeSignal()

    async def run(self) -> None:
        self._runner.clock.on_set(self._wake)
        self._wake_relay.follow(self._on_commit)
        while True:
            try:
                fired = await self.fire_due()
            except Exception as error:
                strip_row_values(error)
                log.exception("failed timers aggregate=%s; retrying", self._aggregate.name)
                fired = 0
                await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311
            if not fired:
                seconds = self._runner.clock.real_seconds(POLL)
                await self._wake.wait(min(MAX_POLL_SECONDS, max(MIN_POLL_SECONDS, seconds)))

    def _on_commit(self) -> None:
        if self._aggregate.name in self._runner.due_at_once:
            self._runner.due_at_once.discard(self._aggregate.name)
            self._wake()

    async def fire_due(self) -> int:
        """Fire at most one batch of due timers; return how many. A timer that fails is postponed, not lost."""
        async with self._pool.acquire() as conn:
            due = await timers.due(conn, self._aggregate.name, self._runner.clock.now(), BATCH)
        if due:
            await self._fire(due)
        return len(due)

    async def _fire(self, due: list[DueTimer]) -> None:
        try:
            async with self._pool.acquire() as conn, conn.transaction():
                outcomes = await self._decide(conn, due)
                failpoint("timer_before_commit")
            failpoint("timer_after_commit")
        except Exception as error:
            if is_transient(error):
                raise
            strip_row_values(error)
            if len(due) == 1:
                await self._postpone(due[0])
            else:
                for timer in due:
                    await self._fire([timer])
            return
        self._wake_relay()
        self._runner.committed(outcomes)

    async def _postpone(self, timer: DueTimer) -> None:
        """Postpone a timer that fails, so that it does not block the others."""
        with log_context.about(_event(timer, self._runner.service), timer.trace):
            log.exception("postponed timer name=%s aggregate=%s key=%s", timer.name, self._aggregate.name, timer.key)
        self._runner.counters.add("timer_failed", timer.name)
        async with self._pool.acquire() as conn:
            await timers.postpone(conn, self._aggregate.name, timer, self._runner.clock.now() + POSTPONE_BY)

    async def _decide(self, conn: Connection, due: list[DueTimer]) -> list[Facts]:
        async def claim(conn: Connection) -> Any:
            claimed = await timers.claim(conn, self._aggregate.name, due)
            return lambda event: (event.subject, event.data.name) in claimed

        incoming = [Incoming(_event(timer, self._runner.service), timer.trace) for timer in due]
        return await self._runner.apply(conn, self._aggregate, incoming, claim)


def _event(timer: DueTimer, service: str) -> AnyEvent:
    fired = TimerFired(name=timer.name, due_at=timer.due_at)
    return event_class(TimerFired).model_construct(
        id=f"{timer.key}/{timer.name}/{timer.due_at.isoformat()}",
        source=f"/{service}/timers",
        type=TimerFired.TYPE,
        subject=timer.key,
        time=timer.due_at,
        data=fired,
    )
