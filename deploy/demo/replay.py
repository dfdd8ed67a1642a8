"""The replay: the clock advances from one due time to the next, and a line shows how far it is."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.demo.clock_driver import AdjustableClock, ClockDriver
from deploy.demo.data.orders import OrderDataset
from deploy.demo.quiescence import QuiescenceProbe, Snapshot
from deploy.demo.system import DemoSystem, Infrastructure
from deploy.local.processes import Supervisor

MAX_TAIL = timedelta(days=45)
"""The time after the last event of given orders in which cases may end and points may vest."""

STORY_TAIL = timedelta(days=6)
"""The bundled orders end this long after the last one was placed: in the middle of the story."""

QUIET_TIME = timedelta(hours=48)

LINE_SECONDS = 3.0
"""Interval of progress lines where the output is no terminal."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of the clock, and the end of the story, None where everything scheduled has to happen."""

    step: timedelta
    starts_at: datetime
    ends_at: datetime | None

    @property
    def quiet_from(self) -> datetime | None:
        """From then on customers and staff leave what comes for the person who looks at the demo."""
        return self.ends_at - QUIET_TIME if self.ends_at else None

    @classmethod
    def of(cls, dataset: OrderDataset, *, whole: bool) -> "Schedule":
        """Two hours for a few months of orders, up to twelve for years of them; notices are never skipped."""
        first, last = dataset.orders[0].placed_at, dataset.orders[-1].placed_at
        step = min(timedelta(hours=12), max(timedelta(hours=2), (last - first) / 720))
        ends_at = (last + STORY_TAIL).replace(hour=15, minute=0, second=0, microsecond=0)
        return cls(step, first - timedelta(minutes=30), None if whole else ends_at)


@dataclass
class ProgressLine:
    """A bar in a terminal, else a line every few seconds."""

    console: Console
    bar: Progress
    task: TaskID
    _next_line: float = field(default_factory=lambda: time.monotonic() + LINE_SECONDS)

    def update(self, share: float, text: str) -> None:
        self.bar.update(self.task, completed=share, description=text)
        if not self.console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + LINE_SECONDS
            self.console.print(f"{share:4.0%}  {text}", highlight=False)


@contextmanager
def progress_line(console: Console) -> Iterator[ProgressLine]:
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=4, disable=not console.is_terminal) as bar:
        yield ProgressLine(console, bar, bar.add_task("replay", total=1.0))


@dataclass
class Replay:
    """One run of the clock over these orders."""

    console: Console
    clock: AdjustableClock
    supervisor: Supervisor
    dataset: OrderDataset
    schedule: Schedule

    async def run(self, infrastructure: Infrastructure, system: DemoSystem) -> ClockDriver:
        """Advance the clock to the end of the story; returns the driver with its counts."""
        services = {name: process.url for name, process in system.services.items()}
        broker = infrastructure.broker.bootstrap_servers, infrastructure.topic_prefix
        probe = QuiescenceProbe(self.clock, system.databases, services, system.simulator_url, system.mail_url, *broker)
        driver = ClockDriver(self.clock, probe)
        await probe.open()
        try:
            with progress_line(self.console) as line:
                await self._advance_to_end(driver, probe, line)
        finally:
            await probe.close()
        return driver

    async def _advance_to_end(self, driver: ClockDriver, probe: QuiescenceProbe, line: ProgressLine) -> None:
        last_event_at: datetime | None = None
        while True:
            self.supervisor.check()
            snapshot = await driver.wait_until_idle()
            now = self.clock.now()
            line.update(self._share(snapshot), self._text(snapshot))
            if self.schedule.ends_at:
                if now >= self.schedule.ends_at:
                    return
            elif snapshot.partners["storefront"]["published"] >= snapshot.partners["storefront"]["scheduled"]:
                last_event_at = last_event_at or now
                if now >= last_event_at + MAX_TAIL or not (snapshot.busy or await probe.open_timers()):
                    return
            driver.advance(snapshot, self.schedule.step, self.schedule.ends_at)

    def _share(self, snapshot: Snapshot) -> float:
        if self.schedule.ends_at:
            return min(
                1.0, (self.clock.now() - self.schedule.starts_at) / (self.schedule.ends_at - self.schedule.starts_at)
            )
        storefront = snapshot.partners["storefront"]
        return min(1.0, float(storefront["published"] / max(1, storefront["scheduled"])))

    def _text(self, snapshot: Snapshot) -> str:
        now = self.clock.now().astimezone(self.dataset.zone)
        storefront, mails = snapshot.partners["storefront"], snapshot.partners["mail"]["mails"]
        return f"{now:%Y-%m-%d %H:%M}  {storefront['reports']} reports  {mails} mails"
