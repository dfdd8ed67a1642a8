"""`make demo`: the whole system with real parts, a replay of orders and reports on a fast clock, and an audit of it.

    python -m deploy.demo.run

`EXIT=1` stops at the end, `ORDERS_COUNT=300` replays all bundled orders, `ORDERS=<folder>` other orders,
`REPORT=<file>` writes the results as JSON, `BROKER=apache` selects Apache Kafka, `KAFKA_BOOTSTRAP_SERVERS` and
`DATABASE_URL` select running servers, and `SEED` selects other reports and partner behaviour. The exit code is 0 where
no invariant was violated, 1 where one was, and 2 where the run could not be made.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from pydantic import ValidationError
from rich.console import Console

from deploy.demo.clock_driver import AdjustableClock
from deploy.demo.data.csv_table import OrderFileError
from deploy.demo.data.order_sources import load_orders
from deploy.demo.data.orders import OrderDataset
from deploy.demo.open_work import find_open_work, newest_status_link, send_broken_event, trace_link
from deploy.demo.partners.order_lifecycle import placed_event
from deploy.demo.promise_accuracy import measure_accuracy
from deploy.demo.replay import Replay, Schedule
from deploy.demo.report import DemoResult, summarize
from deploy.demo.screen import show, show_addresses, show_commands, show_links
from deploy.demo.snippets import write_snippets
from deploy.demo.staff_login import create_staff_login
from deploy.demo.system import DemoSystem, Infrastructure, ReplaySettings, prepare, start
from deploy.local import kafka, postgres
from deploy.local.command_line import CommandError, exit_on_error
from deploy.local.environment import flag, input_folder, integer, output_file
from deploy.local.paths import LOGS, run_folder
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor
from deploy.verification.auditor import audit, read_history
from deploy.verification.evidence import History
from libs.common.events.faults import fault_texts

BUNDLED_ORDERS, MAX_ORDERS = 60, 1_000_000
"""The first bundled orders, which show every feature; all of a given folder."""

REPORT_SHARE_BUNDLED, REPORT_SHARE_OTHERS = 0.4, 0.08
"""The share of delivered orders with a report; larger for the few bundled orders."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Settings of a demo run, from the environment."""

    orders: Path | None
    report: Path | None
    exit_at_end: bool
    seed: int
    broker: kafka.BrokerChoice
    orders_count: int

    @classmethod
    def from_environment(cls) -> "DemoOptions":
        """Raises `CommandError` with the name of the wrong variable."""
        orders = input_folder("ORDERS")
        return cls(
            orders,
            output_file("REPORT"),
            flag("EXIT"),
            integer("SEED", 1),
            _choose_broker(orders),
            integer("ORDERS_COUNT", BUNDLED_ORDERS if orders is None else MAX_ORDERS, 1),
        )


def _choose_broker(orders: Path | None) -> kafka.BrokerChoice:
    requested = os.environ.get("BROKER") or None
    if requested is None and orders is None and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        requested = "embedded"  # starts faster; years of orders replay faster on Apache Kafka
    return kafka.choose(requested)


def main() -> None:
    console = Console()
    with exit_on_error("demo"):
        options = DemoOptions.from_environment()
        dataset = read_orders(options)
        with exit_on_signals(), ExitStack() as stack:
            violated = _run(console, options, dataset, stack)
    sys.exit(1 if violated else 0)


def read_orders(options: DemoOptions) -> OrderDataset:
    """The orders of the replay, checked against the contract. Raises `CommandError`."""
    try:
        dataset = load_orders(options.orders, options.seed, options.orders_count)
    except OrderFileError as error:
        raise CommandError(f"ORDERS: {error}") from error
    for order in dataset.orders:
        try:
            placed_event(order)
        except ValidationError as error:
            fault = fault_texts(error, "the order")[0]
            raise CommandError(f"ORDERS: order {order.order_id}, {fault}; correct the files") from error
    return dataset


def _run(console: Console, options: DemoOptions, dataset: OrderDataset, stack: ExitStack) -> bool:
    orders = dataset.orders
    console.print(f"{len(orders):,} orders, {orders[0].placed_at:%Y-%m-%d} to {orders[-1].placed_at:%F}")
    schedule = Schedule.of(dataset, whole=options.orders is not None)
    infrastructure = _start_infrastructure(console, options, stack)
    clock_file = infrastructure.folder / "clock"
    clock = AdjustableClock.create(clock_file, schedule.starts_at, 0)
    assert isinstance(clock, AdjustableClock), "create() returns an instance of the class that it is called on"
    share = REPORT_SHARE_OTHERS if options.orders else REPORT_SHARE_BUNDLED
    settings = ReplaySettings(
        options.orders, options.seed, share, dataset.zone.key, clock_file, options.orders_count, schedule.quiet_from
    )
    with console.status("preparing databases and topics, starting services and partners"):
        databases = asyncio.run(prepare(infrastructure))
        supervisor = stack.enter_context(Supervisor())
        system = start(supervisor, infrastructure, settings, databases)
    show_addresses(console, system, create_staff_login(system, "demo"))
    began = time.monotonic()
    driver = asyncio.run(Replay(console, clock, supervisor, dataset, schedule).run(infrastructure, system))
    seconds = time.monotonic() - began
    result = asyncio.run(_audit(console, infrastructure, system, clock.now(), dataset, seconds))
    show(console, result, seconds, driver)
    if options.report:
        options.report.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
    if not options.exit_at_end:
        asyncio.run(_show_open_work(console, infrastructure, system, clock))
        _serve_until_interrupted(console, infrastructure, system, supervisor, clock)
    return result.violated


def _start_infrastructure(console: Console, options: DemoOptions, stack: ExitStack) -> Infrastructure:
    shared = options.broker.kind == "external" or bool(os.environ.get("DATABASE_URL"))
    with console.status("starting Postgres and Kafka"):
        folder = stack.enter_context(run_folder("demo"))
        server = stack.enter_context(postgres.server())
        broker = stack.enter_context(kafka.broker(options.broker.kind))
    console.print(f"Kafka: {broker.kind} ({options.broker.reason}) at {broker.bootstrap_servers}", highlight=False)
    return Infrastructure(broker, server, folder, f"demo{secrets.token_hex(3)}" if shared else "")


async def _show_open_work(
    console: Console, infrastructure: Infrastructure, system: DemoSystem, clock: AdjustableClock
) -> None:
    """After the audit, so that the broken event is not judged."""
    clock.set_speed(1)
    await send_broken_event(infrastructure, system, clock.now())
    links = await find_open_work(system, clock.now())
    if page := await newest_status_link(system, clock.now()):
        links.append(("the status page of the newest issue", page))
    async with httpx.AsyncClient(timeout=60) as http:
        ledger = (await http.get(f"{system.simulator_url}/storefront/ledger")).json()
    if trace := trace_link(system, ledger):
        links.append(("the trace of one report", trace))
    show_links(console, "The story is open. To look at:", links)


async def _audit(
    console: Console,
    infrastructure: Infrastructure,
    system: DemoSystem,
    now: datetime,
    dataset: OrderDataset,
    seconds: float,
) -> DemoResult:
    with console.status("auditing topics, databases, mails and logs"):
        servers, prefix = infrastructure.broker.bootstrap_servers, infrastructure.topic_prefix
        history = await read_history(servers, prefix, system.databases, dataset.zone, now)
        await _add_partner_records(history, system)
        warnings = await _lateness_warnings(system)
        return summarize(history, audit(history), seconds, measure_accuracy(dataset, history), warnings)


async def _lateness_warnings(system: DemoSystem) -> list[dict[str, Any]]:
    """The warnings that staff were given before the cutoff of a day, oldest first."""
    headers = {"Authorization": f"Bearer {system.keys['ops']}"}
    async with httpx.AsyncClient(timeout=60, headers=headers) as http:
        answer = await http.get(f"{system.service_url('delivery_notify')}/v1/promises/forecast")
    found: list[dict[str, Any]] = answer.raise_for_status().json()["warnings"]
    return found[::-1]


async def _add_partner_records(history: History, system: DemoSystem) -> None:
    """Add the storefront's ledger, the mails and the services' logs."""
    async with httpx.AsyncClient(timeout=60) as http:
        history.ledger = (await http.get(f"{system.simulator_url}/storefront/ledger")).json()
        history.mails = (await http.get(f"{system.mail_url}/api/mails?summary=1")).json()
    names = [f"{name}.log" for name in system.services]
    history.logs = {name: (LOGS / name).read_text("utf-8", "replace") for name in names}


def _serve_until_interrupted(
    console: Console, infrastructure: Infrastructure, system: DemoSystem, supervisor: Supervisor, clock: AdjustableClock
) -> None:
    """Keep everything running in real time until Ctrl-C."""
    show_commands(console, write_snippets(infrastructure, system))
    console.print("\nCtrl-C stops everything")
    while True:
        supervisor.check()
        time.sleep(0.5)


if __name__ == "__main__":
    main()
