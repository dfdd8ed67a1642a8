"""The auditor itself, proven: in small aimed runs each mutant must be found out, and the right plumbing must not.

    python -m tests.faults.checker_mutation_test proof.json

A mutant is aimed at: the process dies at the very step, or the moment is provoked, at which that mutant differs.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import typer

from deploy.local.ports import kept_port
from deploy.local.process_guard import ending_on_signals
from deploy.verification.verdict import Verdict
from libs.common.decisions.ids import derived_id
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.topics import SERVICES
from libs.common.events.values import LineQuantity, Reason
from tests.faults import workload
from tests.faults.asyncio_noise import expect_leftovers
from tests.faults.checker import read_evidence, verdicts
from tests.faults.consumer_lag import Unread
from tests.faults.partners import Partners
from tests.faults.publisher import Mouth, Said, record_of
from tests.faults.quiescence import Calm
from tests.faults.replica import Replica
from tests.faults.run import ZONE, monday_morning
from tests.faults.subscriptions import wiring
from tests.faults.system import Ground, System, ground, system
from tests.faults.workload import Purchase

SEED, ORDERS = 1, 3
AT_ONCE = 3
"""So many systems run side by side; each is one process, or two."""

CALM_SECONDS, DEATH_SECONDS = 60.0, 45.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """`mutant` is empty for the right plumbing. `dies_at`: the step at which the process ends once."""

    name: str
    mutant: str = ""
    caught_by: str = ""
    provocations: tuple[str, ...] = ()
    dies_at: str = ""
    processes: int = 1
    tells_twice: bool = False


SCENARIOS = (
    Scenario("right", provocations=("failing_first", "slow_relay"), processes=2, tells_twice=True),
    Scenario("inbox_off", "inbox_off", "one_entitlement_per_unit", tells_twice=True),
    Scenario("offsets_first", "offsets_first", "taken_once", dies_at="before_commit:5"),
    Scenario("outbox_outside", "outbox_outside", "nothing_lost", dies_at="outbox_outside:2"),
    Scenario("two_relays", "relay_without_lock", "no_repeats", ("slow_relay",), processes=2),
    Scenario("unordered", "unordered_retry", "in_order_per_issue", ("failing_first",)),
)


async def prove(given: Ground, scenario: Scenario, zone: ZoneInfo = ZONE) -> list[Verdict]:
    """Run a scenario on topics and databases of its own; gives what the auditor says of it."""
    now = monday_morning(datetime.now(UTC))
    async with system(given, now, 1, f"{scenario.name}.", links=False) as running:
        for _ in range(scenario.processes):
            _start_together(running, scenario)
        await running.joined()
        taken = wiring()
        mouth, unread = Mouth(running.servers, running.prefix), Unread(running.servers, running.prefix, taken)
        partners = Partners(running, mouth, SEED, zone, calm=True)
        listening = asyncio.create_task(partners.run())
        try:
            calm = Calm(running, {"answers": lambda: partners.under_way}, unread)
            ledger = await _tell_story(running, mouth, calm, scenario)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await mouth.stop()
            await unread.close()
        evidence = await read_evidence(running, zone, ledger, taken, undisturbed=not scenario.dies_at)
        return await asyncio.to_thread(verdicts, evidence)


def _start_together(running: System, scenario: Scenario) -> None:
    """One process with all services in it; its replicas differ by their path."""
    running.started += 1
    port = kept_port()
    clock_file = running.ground.folder / f"{running.prefix}true.clock"
    environments = {
        name: {**environment, "CLOCK_FILE": str(clock_file)} for name, environment in running.environments.items()
    }
    changes = [*scenario.provocations, *filter(None, [scenario.mutant])]
    asked = json.dumps({"port": port, "environments": environments, "changes": changes})
    env = {"TOGETHER": asked, **({"FAILPOINT": scenario.dies_at} if scenario.dies_at else {})}
    name = f"together-{running.started}"
    process = running.supervisor.start(name, ["-m", "tests.faults.single_process"], env, port)
    for service in SERVICES:
        replica = Replica(service, process, running.clock, path=f"/{service}")
        running.replicas.setdefault(service, []).append(replica)


async def _tell_story(running: System, mouth: Mouth, calm: Calm, scenario: Scenario) -> list[dict[str, object]]:
    """Some orders and their reports by Kafka, through one death where that is aimed at. Gives the ledger."""
    for number in range(ORDERS):
        for said in _life(running, number):
            await mouth.say(said)
    if scenario.dies_at:
        await _die_and_come_back(running)
    await calm.wait(CALM_SECONDS)
    return [await _tell_twice(running, mouth, calm)] if scenario.tells_twice else []


async def _tell_twice(running: System, mouth: Mouth, calm: Calm) -> dict[str, object]:
    """An arrival of one piece of two is told twice, then both are reported."""
    *news, arrived = _half_arrived(running, ORDERS)
    for said in (*news, arrived):
        await mouth.say(said)
    await calm.wait(CALM_SECONDS)
    await mouth.say(arrived)
    await calm.wait(CALM_SECONDS)
    entry = await _report_too_much(running, ORDERS)
    await calm.wait(CALM_SECONDS)
    return entry


def _bought(number: int) -> Purchase:
    return Purchase(number, 2, Reason.DEFECTIVE, 1, late=False, by_kafka=True, twice=False, again=False)


def _life(running: System, number: int) -> Sequence[Said]:
    bought, now = _bought(number), running.clock.now()
    submitted = IssueSubmitted.model_validate({**workload.report(bought), "reference": f"R-{bought.order_id}"})
    told = [*workload.news(bought, now, ZONE), ("submitted", submitted)]
    return [record_of(payload, _id(bought, name), "/faults/shop", now) for name, payload in told]


def _half_arrived(running: System, number: int) -> Sequence[Said]:
    bought, now = _bought(number), running.clock.now()
    told = dict(workload.news(bought, now, ZONE))
    one = {"lines": (LineQuantity(line_id="1", quantity=1),)}
    told |= {name: told[name].model_copy(update=one) for name in ("shipped", "delivered")}
    return [record_of(payload, _id(bought, name), "/faults/shop", now) for name, payload in told.items()]


def _id(bought: Purchase, name: str) -> str:
    return str(derived_id("proof", bought.order_id, name))


async def _die_and_come_back(running: System) -> None:
    """Wait until the process has died at its step, and start it again without."""
    replica = running.replicas["intake"][0]
    async with asyncio.timeout(DEATH_SECONDS):
        while replica.alive:
            await asyncio.sleep(0.05)
    replica.start()
    await running.joined()


async def _report_too_much(running: System, number: int) -> dict[str, object]:
    bought = _bought(number)
    key = f"R-{bought.order_id}"
    headers = {"Authorization": f"Bearer {running.keys['storefront']}", "Idempotency-Key": key}
    async with httpx.AsyncClient(timeout=30) as http:
        url = running.replicas["intake"][0].url + "/v1/issues"
        answer = await http.post(url, json=workload.report(bought, quantity=2), headers=headers)
    return {"key": key, "status": answer.status_code, "issue_id": answer.json().get("issue_id")}


async def prove_all(given: Ground) -> dict[str, dict[str, list[str]]]:
    """Every scenario, some at a time: what the auditor found, by scenario and check."""
    expect_leftovers()
    room = asyncio.Semaphore(AT_ONCE)

    async def one(scenario: Scenario) -> dict[str, list[str]]:
        async with room:
            found = await prove(given, scenario)
        return {verdict.name: [each.what for each in verdict.violations] for verdict in found if verdict.violations}

    found = await asyncio.gather(*map(one, SCENARIOS))
    return {scenario.name: told for scenario, told in zip(SCENARIOS, found, strict=True)}


def main(report: Path) -> None:
    """Run every scenario and write to REPORT what was found."""
    with ending_on_signals(), ground(disk=False) as given:
        found = asyncio.run(prove_all(given))
    report.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
