"""One run: load and faults for a while, then healing, quiescence, simulated days, and the audit."""

import asyncio
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from deploy.verification.verdict import Verdict
from libs.common.events.topics import ALL_SERVICES
from libs.common.messaging.failpoints import STEPS
from libs.common.runtime.in_flight import ConsumerLag
from tests.faults import smoke_schedule
from tests.faults.checker import FaultEvidence, read_evidence, verdicts
from tests.faults.driver import LoadDriver
from tests.faults.nemesis import Nemesis
from tests.faults.options import FaultOptions
from tests.faults.partner_service import PartnerClient
from tests.faults.partners import FaultPartners
from tests.faults.poison import Poisoner
from tests.faults.publisher import RetryingPublisher
from tests.faults.quiescence import NotQuiescentError, Quiescence
from tests.faults.schedule import FaultTargets, plan
from tests.faults.smoke_schedule import SMOKE_SCHEDULE
from tests.faults.subscriptions import all_subscriptions
from tests.faults.system import FaultSystem

SERVICES_WITH_COMMANDS = ("intake", "returns")
SERVICES_WITHOUT_TIMERS = ("partners",)
SERVICE_STEPS = {
    "delivery_notify": ("notices_claimed", "notices_sent", "notices_recording", "notices_recorded"),
    "partners": ("webhooks_claimed", "webhook_sent", "webhook_recorded"),
}
STEPS_BY_SERVICE = {
    name: tuple(
        step
        for step in STEPS
        if (name in SERVICES_WITH_COMMANDS or not step.startswith("command"))
        and (name not in SERVICES_WITHOUT_TIMERS or not step.startswith("timer"))
    )
    + SERVICE_STEPS.get(name, ())
    for name in ALL_SERVICES
}
"""The failpoints that each service reaches: a run sends commands over HTTP to two of them, one sends notices, and one
webhooks."""

ZONE = ZoneInfo("Asia/Tokyo")
SPEED = 60.0
RECOVERY_SECONDS = 180.0
DAYS, DAYS_SECONDS = 40, 90.0

Log = Callable[[str], None]


def next_monday_morning(today: datetime) -> datetime:
    """Nine o'clock of the next Monday in the shop's zone, before a working week."""
    local = today.astimezone(ZONE)
    day = local + timedelta(days=(7 - local.weekday()) % 7 or 7)
    return day.replace(hour=9, minute=0, second=0, microsecond=0).astimezone(UTC)


@dataclass
class FaultResult:
    """The result of a run."""

    seed: int
    seconds: float
    injected: dict[str, int]
    skipped: dict[str, str]
    accepted: int
    effects: int
    recovery_seconds: float | None
    verdicts: list[Verdict]
    not_quiescent: str = ""
    phase_seconds: dict[str, float] = field(default_factory=dict)
    evidence: FaultEvidence | None = field(default=None, repr=False)

    @property
    def violations(self) -> dict[str, int]:
        counted = {verdict.name: len(verdict.violations or ()) for verdict in self.verdicts}
        return {**counted, "recovered": int(bool(self.not_quiescent))}


@dataclass
class Stopwatch:
    """Seconds of each phase of a run."""

    laps: dict[str, float] = field(default_factory=dict)
    _begin: float = field(default_factory=time.monotonic)

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name] = round(now - self._begin, 1)
        self._begin = now


async def run(system: FaultSystem, options: FaultOptions, log: Log) -> FaultResult:
    """Inject faults, heal the system, wait for quiescence, and audit it."""
    seconds = smoke_schedule.SECONDS if options.short else options.seconds
    watch = Stopwatch()
    for service in ALL_SERVICES:
        system.add_replica(service)
    await system.wait_until_joined()
    watch.lap("starting")
    subscribed = all_subscriptions()
    publisher = RetryingPublisher(system.servers, system.prefix)
    lag = ConsumerLag(system.servers, system.prefix, [(each.service, each.topic) for each in subscribed])
    over_http = PartnerClient(system)
    await over_http.subscribe()
    partners = FaultPartners(system, publisher, options.seed, ZONE, over_http=over_http)
    driver = LoadDriver(system, publisher, options.seed, ZONE, options.per_second, options.burst)
    poisoner = Poisoner(publisher, options.seed)
    nemesis, over = Nemesis(system, log), asyncio.Event()
    place = system.infrastructure
    there = FaultTargets(STEPS_BY_SERVICE, disk=place.disk.path is not None, slow_fsync=place.slow_fsync is not None)
    if not there.disk:
        nemesis.skipped["disk_full"] = place.disk.reason
    if not there.slow_fsync:
        nemesis.skipped["slow_fsync"] = place.not_slow
    try:
        async with asyncio.TaskGroup() as tasks:
            listening = tasks.create_task(partners.run())
            poisoning = tasks.create_task(poisoner.run())
            driving = tasks.create_task(driver.run(seconds, over))
            if options.quiet:
                await asyncio.sleep(seconds)
            elif options.short:
                await nemesis.run(SMOKE_SCHEDULE, math.inf)
            else:
                await nemesis.run(plan(options.seed, seconds, there), seconds)
            over.set()
            poisoning.cancel()
            watch.lap("faults")
            log("healing")
            await nemesis.heal()
            partners.orderly = True
            await over_http.resume()
            others = {"answers": lambda: partners.in_flight, "calls": lambda: driver.in_flight}
            quiescence = Quiescence(system, {**others, "reports to come": lambda: int(not driving.done())}, lag)
            recovered, trouble = await _recover(
                quiescence, log, smoke_schedule.DAYS_SECONDS if options.short else DAYS_SECONDS
            )
            watch.lap("healing and draining")
            listening.cancel()
            driving.cancel()
    finally:
        await publisher.stop()
        await lag.close()
    log("auditing")
    evidence = await read_evidence(
        system,
        ZONE,
        driver.ledger,
        subscribed,
        taken=over_http.taken,
        photos=driver.photos,
        warned_clusters=partners.warned_clusters,
        rests=quiescence.rests,
    )
    judged = await asyncio.to_thread(verdicts, evidence)
    watch.lap("auditing")
    done = nemesis.injected + driver.counts + partners.counts
    done["poisons"] = sum(poisoner.counts.values())
    return FaultResult(
        seed=options.seed,
        seconds=seconds,
        injected=dict(done),
        skipped=nemesis.skipped,
        accepted=len(_accepted(evidence)),
        effects=len(_effects(evidence) & _accepted(evidence)),
        recovery_seconds=recovered,
        verdicts=judged,
        not_quiescent=trouble,
        phase_seconds=watch.laps,
        evidence=evidence,
    )


async def _recover(quiescence: Quiescence, log: Log, days_seconds: float) -> tuple[float | None, str]:
    begin = time.monotonic()
    try:
        await quiescence.wait(RECOVERY_SECONDS)
        recovered = time.monotonic() - begin
        log(f"recovered after {recovered:.1f} s; advancing days")
        passed = await quiescence.advance_days(DAYS, days_seconds)
        log(f"{passed.days} days passed")
    except NotQuiescentError as error:
        log(f"not quiescent: {error}")
        return None, str(error)
    return recovered, ""


def _accepted(evidence: FaultEvidence) -> set[str]:
    history = evidence.history
    answered = {str(entry["issue_id"]) for entry in history.ledger if entry.get("status") == 202}
    return answered | {fact.issue for fact in history.of("issue.accepted")}


def _effects(evidence: FaultEvidence) -> set[str]:
    acted = ("replacement.ordered", "refund.requested", "collection.requested")
    held = ("issue.review_requested", "issue.details_requested")
    ended = ("issue.cancelled",)  # taken back by the customer, or its order was cancelled, before anything left
    return {fact.issue for fact in evidence.history.of(*acted, *held, *ended)}
