"""Mutation test of the checker: in small targeted runs each mutant must be detected, and correct code must not.

    python -m tests.faults.checker_mutation_test report.json

Each scenario brings about the step or the moment at which its mutant differs from correct code.
"""

import asyncio
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import typer

from deploy.local.ports import kept_port
from deploy.local.process_guard import exit_on_signals
from deploy.verification.verdict import Verdict
from libs.common.decisions.ids import derived_id
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.topics import ALL_SERVICES, STOREFRONT_ISSUES
from libs.common.events.values import LineQuantity, Reason
from libs.common.runtime.in_flight import ConsumerLag
from tests.faults import workload
from tests.faults.asyncio_noise import silence_disconnect_errors
from tests.faults.checker import read_evidence, verdicts
from tests.faults.corrections import Correction, NamedEvent
from tests.faults.customers import photo_of
from tests.faults.partner_service import PartnerClient
from tests.faults.partners import FaultPartners
from tests.faults.publisher import OutgoingRecord, RetryingPublisher, record_of
from tests.faults.quiescence import Quiescence
from tests.faults.replica import Replica
from tests.faults.run import ZONE, next_monday_morning
from tests.faults.subscriptions import all_subscriptions
from tests.faults.system import FaultInfrastructure, FaultSystem, fault_infrastructure, fault_system
from tests.faults.workload import LostParcel, SimulatedPurchase

SEED, ORDERS, FAULTY_ORDERS = 1, 3, 14
PARALLEL_SYSTEMS = 3
"""Systems that run in parallel; each is one or two processes."""

QUIESCENCE_SECONDS, DEATH_SECONDS = 60.0, 45.0
LATER_DAYS = 3


class OrderKind(StrEnum):
    """Kind of all orders of a scenario: a lost parcel that arrives later, a late order that its customer decides about,
    a faulty lot of which every second buyer reports.
    """

    PLAIN = "plain"
    LOST = "lost"
    ASKED = "asked"
    FAULTY = "faulty"


@dataclass(frozen=True, slots=True)
class MutationScenario:
    """`mutant` is empty for correct code. `dies_at` is the step at which the process ends once.

    `over_http`: the payment provider answers over HTTP, a customer adds a photo, and all partners get webhooks at the
    end, of which the first are refused.
    """

    name: str
    mutant: str = ""
    caught_by: str = ""
    provocations: tuple[str, ...] = ()
    dies_at: str = ""
    processes: int = 1
    repeats_delivery: bool = False
    reason: Reason = Reason.DEFECTIVE
    correction: Correction = Correction.NONE
    over_http: bool = False
    kind: OrderKind = OrderKind.PLAIN
    orders: int = ORDERS
    reports_later: bool = False
    """Reports come once every service has read the orders and their corrections."""


SCENARIOS = (
    MutationScenario("right", provocations=("failing_first", "slow_relay"), processes=2, repeats_delivery=True),
    MutationScenario("right_changed", correction=Correction.ONE_LESS),
    MutationScenario("right_refunded", reason=Reason.CHANGED_MIND, correction=Correction.UNIT_REFUNDED),
    MutationScenario("inbox_off", "inbox_off", "consumed_once", repeats_delivery=True),
    MutationScenario("offsets_first", "offsets_first", "consumed_once", dies_at="before_commit:5"),
    MutationScenario("outbox_outside", "outbox_outside", "nothing_lost", dies_at="outbox_outside"),
    MutationScenario("two_relays", "relay_without_lock", "no_duplicates", ("slow_relay",), processes=2),
    MutationScenario("changes", "changes_ignored", "corrections_count", correction=Correction.ONE_LESS),
    MutationScenario("right_readdressed", correction=Correction.OLD_ADDRESS, reports_later=True),
    MutationScenario(
        "addresses",
        "addresses_ignored",
        "corrections_count",
        correction=Correction.OLD_ADDRESS,
        reports_later=True,
    ),
    MutationScenario(
        "shop_refunds",
        "shop_refunds_ignored",
        "refunded_within_paid",
        reason=Reason.CHANGED_MIND,
        correction=Correction.UNIT_REFUNDED,
    ),
    MutationScenario("unsubscribed", "refund_unsubscribed", "consumed_once", correction=Correction.UNIT_REFUNDED),
    MutationScenario("right_over_http", reason=Reason.CHANGED_MIND, over_http=True),
    MutationScenario("webhooks_unordered", "webhooks_unordered", "webhooks_delivered", over_http=True),
    MutationScenario("webhooks_lost", "webhooks_never_repeated", "webhooks_delivered", over_http=True),
    MutationScenario(
        "taken_lost", "taken_unpublished", "taken_events_published", reason=Reason.CHANGED_MIND, over_http=True
    ),
    MutationScenario("photos_lost", "photos_unwritten", "photos_kept", over_http=True),
    MutationScenario("right_lost", kind=OrderKind.LOST),
    MutationScenario("lost", "arrivals_ignored", "found_parcels_count", kind=OrderKind.LOST),
    MutationScenario("right_asked", kind=OrderKind.ASKED),
    MutationScenario("asked", "answers_ignored", "wishes_have_outcomes", kind=OrderKind.ASKED),
    MutationScenario("right_faulty", kind=OrderKind.FAULTY, orders=FAULTY_ORDERS),
    MutationScenario("faulty", "buyers_forgotten", "buyers_warned", kind=OrderKind.FAULTY, orders=FAULTY_ORDERS),
    MutationScenario("unordered", "unordered_retry", "in_order_per_issue", ("failing_first",)),
)


async def run_scenario(
    infrastructure: FaultInfrastructure, scenario: MutationScenario, zone: ZoneInfo = ZONE
) -> list[Verdict]:
    """Run a scenario on its own topics and databases; returns the verdicts."""
    now = next_monday_morning(datetime.now(UTC))
    async with fault_system(infrastructure, now, 1, f"{scenario.name}.", links=False) as running:
        for _ in range(scenario.processes):
            _start_single_process(running, scenario)
        await running.wait_until_joined()
        subscribed = all_subscriptions()
        publisher = RetryingPublisher(running.servers, running.prefix)
        lag = ConsumerLag(running.servers, running.prefix, [(each.service, each.topic) for each in subscribed])
        client = PartnerClient(running) if scenario.over_http else None
        partners = FaultPartners(
            running,
            publisher,
            SEED,
            zone,
            orderly=True,
            plain=True,
            over_http=client,
            reads_mails=scenario.kind == OrderKind.ASKED,
            purchases=lambda number: _purchase(number, scenario),
        )
        listening = asyncio.create_task(partners.run())
        try:
            quiescence = Quiescence(running, {"answers": lambda: partners.in_flight}, lag)
            ledger = await _publish_workload(running, publisher, quiescence, scenario)
            photos = await _use_http(client, quiescence) if client else ()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await publisher.stop()
            await lag.close()
        evidence = await read_evidence(
            running,
            zone,
            ledger,
            subscribed,
            fault_free=not scenario.dies_at,
            taken=client.taken if client else (),
            photos=photos,
            webhooks=scenario.over_http,
            warned_clusters=partners.warned_clusters,
            rests=quiescence.rests,
        )
        return await asyncio.to_thread(verdicts, evidence)


async def _use_http(client: PartnerClient, quiescence: Quiescence) -> Collection[str]:
    """Send all webhooks, which are refused at first, and a photo; returns the hashes of the photos that were taken."""
    running = client.system
    receiver = running.infrastructure.webhooks
    receiver.refuse(True, only=running.name)
    await client.subscribe(after=0)
    async with asyncio.timeout(QUIESCENCE_SECONDS):
        while not receiver.refused_at(running.name):
            await asyncio.sleep(0.1)
    receiver.refuse(False, only=running.name)
    await client.resume()
    await quiescence.wait(QUIESCENCE_SECONDS)
    async with httpx.AsyncClient(timeout=30) as http:
        url = f"{running.replicas['intake'][0].url}/v1/photos"
        files = {"photos": ("photo.jpg", photo_of(1), "image/jpeg")}
        headers = {"Authorization": f"Bearer {running.keys['storefront']}"}
        answer = await http.post(url, files=files, headers=headers)
    if answer.status_code != 201:
        raise RuntimeError(f"the photo was refused: {answer.text}")
    return [each["sha256"] for each in answer.json()["photos"]]


def _start_single_process(running: FaultSystem, scenario: MutationScenario) -> None:
    """One process with all services in it; its replicas differ by their path."""
    running.started += 1
    port = kept_port()
    clock_file = running.infrastructure.folder / f"{running.prefix}true.clock"
    environments = {
        name: {**environment, "CLOCK_FILE": str(clock_file)} for name, environment in running.environments.items()
    }
    changes = [*scenario.provocations, *filter(None, [scenario.mutant])]
    request = json.dumps({"port": port, "environments": environments, "changes": changes})
    env = {"SINGLE_PROCESS": request, **({"FAILPOINT": scenario.dies_at} if scenario.dies_at else {})}
    name = f"single-process-{running.started}"
    process = running.supervisor.start(name, ["-m", "tests.faults.single_process"], env, port)
    for service in ALL_SERVICES:
        replica = Replica(service, process, running.clock, path=f"/{service}")
        running.replicas.setdefault(service, []).append(replica)


async def _publish_workload(
    running: FaultSystem, publisher: RetryingPublisher, quiescence: Quiescence, scenario: MutationScenario
) -> list[dict[str, object]]:
    """Publish orders and their reports, through one process death where the scenario has one. Returns the ledger."""
    records = [each for number in range(scenario.orders) for each in _purchase_records(running, number, scenario)]
    reports = [each for each in records if scenario.reports_later and each.topic == STOREFRONT_ISSUES.name]
    for record in (each for each in records if each not in reports):
        await publisher.publish(record)
    if reports:
        await quiescence.wait(QUIESCENCE_SECONDS)
    for record in reports:
        await publisher.publish(record)
    if scenario.dies_at:
        await _restart_after_failpoint(running)
    await quiescence.wait(QUIESCENCE_SECONDS)
    if scenario.kind != OrderKind.PLAIN:
        await _play_later_days(running, publisher, quiescence, scenario)
    return [await _repeat_delivery(running, publisher, quiescence)] if scenario.repeats_delivery else []


async def _play_later_days(
    running: FaultSystem, publisher: RetryingPublisher, quiescence: Quiescence, scenario: MutationScenario
) -> None:
    """Publish what the shop states later, and let some days pass."""
    now = running.clock.now()
    for bought in (_purchase(number, scenario) for number in range(scenario.orders)):
        for event in workload.later_events(bought, now, ZONE):
            await publisher.publish(record_of(event.payload, _id(bought, event.name), "/faults/shop", now))
    await quiescence.wait(QUIESCENCE_SECONDS)
    await quiescence.advance_days(LATER_DAYS, QUIESCENCE_SECONDS)


async def _repeat_delivery(
    running: FaultSystem, publisher: RetryingPublisher, quiescence: Quiescence
) -> dict[str, object]:
    """Publish the delivery of one unit of two twice, then report both units."""
    *news, arrived = _partial_delivery(running, ORDERS)
    for record in (*news, arrived):
        await publisher.publish(record)
    await quiescence.wait(QUIESCENCE_SECONDS)
    await publisher.publish(arrived)
    await quiescence.wait(QUIESCENCE_SECONDS)
    entry = await _report_two_units(running, ORDERS)
    await quiescence.wait(QUIESCENCE_SECONDS)
    return entry


def _purchase(number: int, scenario: MutationScenario | None = None) -> SimulatedPurchase:
    """An order of two units, one of them reported, or both after a correction of a change of mind."""
    corrected = scenario or MutationScenario("")
    is_lost, is_asked = corrected.kind == OrderKind.LOST, corrected.kind == OrderKind.ASKED
    return SimulatedPurchase(
        number,
        quantity=2,
        reason=Reason.LOST_IN_TRANSIT if is_lost else corrected.reason,
        reported=2 if is_lost or corrected.reason == Reason.CHANGED_MIND else 1,
        late=is_asked,
        asked=is_asked,
        faulty=corrected.kind == OrderKind.FAULTY,
        lost=LostParcel.DELIVERED_LATER if is_lost else LostParcel.NONE,
        by_kafka=True,
        twice=False,
        again=False,
        correction=corrected.correction,
    )


def _purchase_records(running: FaultSystem, number: int, scenario: MutationScenario) -> Sequence[OutgoingRecord]:
    bought, now = _purchase(number, scenario), running.clock.now()
    events = workload.order_events(bought, now, ZONE)
    if bought.is_reported:
        report = {**workload.report_body(bought), "reference": f"R-{bought.order_id}"}
        events.append(NamedEvent("submitted", IssueSubmitted.model_validate(report)))
    return [record_of(event.payload, _id(bought, event.name), "/faults/shop", now) for event in events]


def _partial_delivery(running: FaultSystem, number: int) -> Sequence[OutgoingRecord]:
    bought, now = _purchase(number), running.clock.now()
    events = {event.name: event.payload for event in workload.order_events(bought, now, ZONE)}
    one_unit = {"lines": (LineQuantity(line_id="1", quantity=1),)}
    events |= {name: events[name].model_copy(update=one_unit) for name in ("shipped", "delivered")}
    return [record_of(payload, _id(bought, name), "/faults/shop", now) for name, payload in events.items()]


def _id(bought: SimulatedPurchase, name: str) -> str:
    return str(derived_id("proof", bought.order_id, name))


async def _restart_after_failpoint(running: FaultSystem) -> None:
    """Wait until the process has died at its step, and restart it without."""
    replica = running.replicas["intake"][0]
    async with asyncio.timeout(DEATH_SECONDS):
        while replica.alive:
            await asyncio.sleep(0.05)
    replica.start()
    await running.wait_until_joined()


async def _report_two_units(running: FaultSystem, number: int) -> dict[str, object]:
    bought = _purchase(number)
    key = f"R-{bought.order_id}"
    headers = {"Authorization": f"Bearer {running.keys['storefront']}", "Idempotency-Key": key}
    async with httpx.AsyncClient(timeout=30) as http:
        url = running.replicas["intake"][0].url + "/v1/issues"
        answer = await http.post(url, json=workload.report_body(bought, quantity=2), headers=headers)
    return {"key": key, "status": answer.status_code, "issue_id": answer.json().get("issue_id")}


async def run_all(infrastructure: FaultInfrastructure) -> dict[str, dict[str, list[str]]]:
    """Run every scenario, some in parallel; returns the violations by scenario and check."""
    silence_disconnect_errors()
    room = asyncio.Semaphore(PARALLEL_SYSTEMS)

    async def one(scenario: MutationScenario) -> dict[str, list[str]]:
        async with room:
            results = await run_scenario(infrastructure, scenario)
        return {
            verdict.name: [each.description for each in verdict.violations] for verdict in results if verdict.violations
        }

    results = await asyncio.gather(*map(one, SCENARIOS))
    return {scenario.name: found for scenario, found in zip(SCENARIOS, results, strict=True)}


def main(report: Path) -> None:
    """Run every scenario and write the violations to REPORT."""
    with exit_on_signals(), fault_infrastructure(disk=False) as infrastructure:
        results = asyncio.run(run_all(infrastructure))
    report.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
