"""One run: load and faults for so many seconds, then healing, calm, the passing of days, and the judgement."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from deploy.verification.verdict import Verdict
from libs.common.events.topics import SERVICES
from libs.common.messaging.failpoints import STEPS
from tests.faults import smoke_schedule
from tests.faults.checker import Evidence, read_evidence, verdicts
from tests.faults.consumer_lag import Unread
from tests.faults.driver import Driver
from tests.faults.nemesis import Nemesis
from tests.faults.options import Options
from tests.faults.partners import Partners
from tests.faults.poison import Poisoner
from tests.faults.publisher import Mouth
from tests.faults.quiescence import Calm, NeverCalmError
from tests.faults.schedule import Breakable, plan
from tests.faults.smoke_schedule import SHORT
from tests.faults.subscriptions import wiring
from tests.faults.system import System

COMMANDED = ("intake", "returns")
OWN_STEPS = {"delivery_notify": ("notices_claimed", "notices_sent", "notices_recording", "notices_recorded")}
STEPS_OF = {
    name: tuple(step for step in STEPS if name in COMMANDED or not step.startswith("command")) + OWN_STEPS.get(name, ())
    for name in SERVICES
}
"""The steps that a service comes to: commands over HTTP, in a run, are for two of them only; one of them sends."""

ZONE = ZoneInfo("Asia/Tokyo")
SPEED = 60.0
RECOVERY_SECONDS = 180.0
DAYS, DAYS_SECONDS = 40, 90.0

Tell = Callable[[str], None]


def monday_morning(today: datetime) -> datetime:
    """Nine in the morning of the next Monday in the shop's zone: a working week lies ahead."""
    local = today.astimezone(ZONE)
    day = local + timedelta(days=(7 - local.weekday()) % 7 or 7)
    return day.replace(hour=9, minute=0, second=0, microsecond=0).astimezone(UTC)


@dataclass
class Outcome:
    """What came of a run."""

    seed: int
    seconds: float
    done: dict[str, int]
    not_done: dict[str, str]
    accepted: int
    effects: int
    recovery_seconds: float | None
    verdicts: list[Verdict]
    never_calm: str = ""
    took: dict[str, float] = field(default_factory=dict)
    evidence: Evidence | None = field(default=None, repr=False)

    @property
    def violations(self) -> dict[str, int]:
        counted = {verdict.name: len(verdict.violations or ()) for verdict in self.verdicts}
        return {**counted, "recovered": int(bool(self.never_calm))}


@dataclass
class Watch:
    """How long each part of a run took, in seconds."""

    laps: dict[str, float] = field(default_factory=dict)
    _begin: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._begin, 1)
        self._begin = now


async def run(system: System, options: Options, tell: Tell) -> Outcome:
    """Break the system for so long, heal it, wait for it, and judge it."""
    seconds = smoke_schedule.SECONDS if options.short else options.seconds
    watch = Watch()
    for service in SERVICES:
        system.add_replica(service)
    await system.joined()
    watch.lap("starting")
    taken = wiring()
    mouth, unread = Mouth(system.servers, system.prefix), Unread(system.servers, system.prefix, taken)
    partners = Partners(system, mouth, options.seed, ZONE)
    driver = Driver(system, mouth, options.seed, ZONE, options.per_second)
    poisoner = Poisoner(mouth, options.seed)
    nemesis, over = Nemesis(system, tell), asyncio.Event()
    there = Breakable(STEPS_OF, disk=system.ground.disk.path is not None)
    if not there.disk:
        nemesis.not_done["disk_full"] = system.ground.disk.reason
    try:
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(partners.run())
            poisoning = tasks.create_task(poisoner.run())
            driving = tasks.create_task(driver.run(seconds, over))
            if options.short:
                await nemesis.run(SHORT, math.inf)
            else:
                await nemesis.run(plan(options.seed, seconds, there), seconds)
            over.set()
            poisoning.cancel()
            watch.lap("faults")
            tell("healing")
            await nemesis.heal()
            partners.calm = True
            others = {"answers": lambda: partners.under_way, "calls": lambda: driver.under_way}
            calm = Calm(system, {**others, "reports to come": lambda: int(not driving.done())}, unread)
            recovered, trouble = await _recover(
                calm, tell, smoke_schedule.DAYS_SECONDS if options.short else DAYS_SECONDS
            )
            watch.lap("healing and draining")
            listening.cancel()
            driving.cancel()
    finally:
        await mouth.stop()
        await unread.close()
    tell("judging")
    evidence = await read_evidence(system, ZONE, driver.ledger, taken)
    judged = await asyncio.to_thread(verdicts, evidence)
    watch.lap("judging")
    done = nemesis.done + driver.done + partners.done
    done["poisons"] = sum(poisoner.done.values())
    return Outcome(
        seed=options.seed,
        seconds=seconds,
        done=dict(done),
        not_done=nemesis.not_done,
        accepted=len(_accepted(evidence)),
        effects=len(_effects(evidence) & _accepted(evidence)),
        recovery_seconds=recovered,
        verdicts=judged,
        never_calm=trouble,
        took=watch.laps,
        evidence=evidence,
    )


async def _recover(calm: Calm, tell: Tell, days_seconds: float) -> tuple[float | None, str]:
    begin = time.monotonic()
    try:
        await calm.wait(RECOVERY_SECONDS)
        recovered = time.monotonic() - begin
        tell(f"recovered after {recovered:.1f} s; letting days pass")
        passed = await calm.let_days_pass(DAYS, days_seconds)
        tell(f"{passed.days} days passed")
    except NeverCalmError as error:
        tell(f"never calm: {error}")
        return None, str(error)
    return recovered, ""


def _accepted(evidence: Evidence) -> set[str]:
    history = evidence.history
    answered = {str(entry["issue_id"]) for entry in history.ledger if entry.get("status") == 202}
    return answered | {fact.issue for fact in history.of("issue.accepted")}


def _effects(evidence: Evidence) -> set[str]:
    acted = ("replacement.ordered", "refund.requested", "collection.requested")
    held = ("issue.review_requested", "issue.details_requested")
    return {fact.issue for fact in evidence.history.of(*acted, *held)}
