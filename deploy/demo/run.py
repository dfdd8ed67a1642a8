"""`make demo`: the whole system with real parts, a replay of orders and reports on a fast clock, and an audit of it.

    python -m deploy.demo.run

`EXIT=1` stops at the end, `ORDERS=<folder>` replays other orders, `REPORT=<file>` writes the results as JSON,
`BROKER=apache` selects Apache Kafka, `KAFKA_BOOTSTRAP_SERVERS` and `DATABASE_URL` select running servers, and `SEED`
selects other reports and partner behaviour. The exit code is 0 where no invariant was violated, 1 where one was, and 2
where the run could not be made.
"""

import asyncio
import json
import os
import secrets
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.demo.clock_driver import AdjustableClock, ClockDriver
from deploy.demo.data.csv_table import OrderFileError
from deploy.demo.data.order_sources import load_orders
from deploy.demo.data.orders import OrderDataset
from deploy.demo.example_links import create_staff_login, status_page_url
from deploy.demo.partners.order_lifecycle import placed_event
from deploy.demo.promise_accuracy import measure_accuracy
from deploy.demo.quiescence import QuiescenceProbe
from deploy.demo.report import DemoResult, show, summarize
from deploy.demo.system import DemoSystem, Infrastructure, ReplaySettings, prepare, start
from deploy.local import kafka, postgres
from deploy.local.command_line import CommandError, exit_on_error
from deploy.local.environment import flag, input_folder, integer, output_file
from deploy.local.paths import LOGS, run_folder
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor
from deploy.verification.auditor import audit, read_history
from deploy.verification.evidence import History

MAX_TAIL = timedelta(days=45)
"""The time after the last order event in which cases may end and points may vest."""

REPORT_SHARE_BUNDLED, REPORT_SHARE_OTHERS = 0.25, 0.08
"""The share of delivered orders with a report; larger for the few bundled orders."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """Settings of a demo run, from the environment."""

    orders: Path | None
    report: Path | None
    exit_at_end: bool
    seed: int
    broker: kafka.BrokerChoice
    orders_count: int = 60

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
            integer("ORDERS_COUNT", 60 if orders is None else 1_000_000, 1),
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
            fault = error.errors()[0]
            field = ".".join(map(str, fault["loc"]))
            raise CommandError(f"ORDERS: order {order.order_id}, {field}: {fault['msg']}; correct the files") from error
    return dataset


def _run(console: Console, options: DemoOptions, dataset: OrderDataset, stack: ExitStack) -> bool:
    orders = dataset.orders
    console.print(f"{len(orders):,} orders, {orders[0].placed_at:%Y-%m-%d} to {orders[-1].placed_at:%F}")
    infrastructure = _start_infrastructure(console, options, stack)
    clock_file = infrastructure.folder / "clock"
    clock = AdjustableClock.create(clock_file, orders[0].placed_at - timedelta(minutes=30), 0)
    assert isinstance(clock, AdjustableClock), "create() returns an instance of the class that it is called on"
    share = REPORT_SHARE_OTHERS if options.orders else REPORT_SHARE_BUNDLED
    replay = ReplaySettings(options.orders, options.seed, share, dataset.zone.key, clock_file, options.orders_count)
    with console.status("preparing databases and topics, starting services and partners"):
        databases = asyncio.run(prepare(infrastructure))
        supervisor = stack.enter_context(Supervisor())
        system = start(supervisor, infrastructure, replay, databases)
    seconds = asyncio.run(_replay(console, clock, infrastructure, system, supervisor, dataset))
    result = asyncio.run(_audit(console, infrastructure, system, clock.now(), dataset, seconds))
    show(console, result, seconds)
    if options.report:
        options.report.write_text(json.dumps(result.as_json(), indent=2) + "\n", encoding="utf-8")
    if not options.exit_at_end:
        _serve_until_interrupted(console, system, supervisor, clock)
    return result.violated


def _start_infrastructure(console: Console, options: DemoOptions, stack: ExitStack) -> Infrastructure:
    shared = options.broker.kind == "external" or bool(os.environ.get("DATABASE_URL"))
    with console.status("starting Postgres and Kafka"):
        folder = stack.enter_context(run_folder("demo"))
        server = stack.enter_context(postgres.server())
        broker = stack.enter_context(kafka.broker(options.broker.kind))
    console.print(f"Kafka: {broker.kind} ({options.broker.reason}) at {broker.bootstrap_servers}")
    return Infrastructure(broker, server, folder, f"demo{secrets.token_hex(3)}" if shared else "")


async def _replay(
    console: Console,
    clock: AdjustableClock,
    infrastructure: Infrastructure,
    system: DemoSystem,
    supervisor: Supervisor,
    dataset: OrderDataset,
) -> float:
    """Advance the clock until everything scheduled has happened; returns the seconds of the replay."""
    services = {name: process.url for name, process in system.services.items()}
    broker, prefix = infrastructure.broker.bootstrap_servers, infrastructure.topic_prefix
    probe = QuiescenceProbe(clock, system.databases, services, system.simulator_url, system.mail_url, broker, prefix)
    driver = ClockDriver(clock, probe)
    await probe.open()
    began = time.monotonic()
    try:
        await _advance_to_end(console, driver, probe, supervisor, dataset)
    finally:
        await probe.close()
    _print_wait_times(console, driver)
    return time.monotonic() - began


async def _advance_to_end(
    console: Console, driver: ClockDriver, probe: QuiescenceProbe, supervisor: Supervisor, dataset: OrderDataset
) -> None:
    clock, step = driver.clock, _step_for(dataset)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        task = progress.add_task("replay")
        end_at: datetime | None = None
        while True:
            supervisor.check()
            snapshot = await driver.wait_until_idle()
            storefront, mails = snapshot.partners["storefront"], snapshot.partners["mail"]["mails"]
            published, scheduled = storefront["published"], storefront["scheduled"]
            text = f"{clock.now().astimezone(dataset.zone):%Y-%m-%d %H:%M}  {mails} mails"
            progress.update(task, completed=published, total=scheduled + 1, description=text)
            if published >= scheduled:
                end_at = end_at or clock.now() + MAX_TAIL
                if clock.now() >= end_at or not (snapshot.busy or await probe.open_timers()):
                    break
            driver.advance(snapshot, step)
        progress.update(task, completed=scheduled + 1)


def _print_wait_times(console: Console, driver: ClockDriver) -> None:
    longest = sorted(driver.wait_seconds.items(), key=lambda each: -each[1])[:6]
    text = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in longest)
    console.print(f"{driver.steps:,} steps of the clock; waited for {text}", highlight=False)
    if driver.timeouts:
        console.print(f"[yellow]{driver.timeouts} times the clock advanced while work was in flight[/yellow]")


def _step_for(dataset: OrderDataset) -> timedelta:
    """Two hours for a few months of orders, up to twelve for years of them; notices are never skipped."""
    span = dataset.orders[-1].placed_at - dataset.orders[0].placed_at
    return min(timedelta(hours=12), max(timedelta(hours=2), span / 720))


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
        return summarize(history, audit(history), seconds, measure_accuracy(dataset, history))


async def _add_partner_records(history: History, system: DemoSystem) -> None:
    """Add the storefront's ledger, the mails and the services' logs."""
    async with httpx.AsyncClient(timeout=60) as http:
        history.ledger = (await http.get(f"{system.simulator_url}/storefront/ledger")).json()
        history.mails = (await http.get(f"{system.mail_url}/api/mails?summary=1")).json()
    names = [f"{name}.log" for name in system.services]
    history.logs = {name: (LOGS / name).read_text("utf-8", "replace") for name in names}


def _serve_until_interrupted(
    console: Console, system: DemoSystem, supervisor: Supervisor, clock: AdjustableClock
) -> None:
    """Keep everything running in real time until Ctrl-C."""
    clock.set_speed(1)
    for name, process in system.services.items():
        console.print(f"{name:16} {process.url}/docs")
    console.print(f"{'mails':16} {system.mail_url}/")
    console.print(f"{'traces':16} {system.traces_url}/")
    _print_pages(console, system, clock)
    ledger = httpx.get(f"{system.simulator_url}/storefront/ledger", timeout=30).json()
    issue = next((entry["issue_id"] for entry in ledger if entry.get("status") == 202), None)
    if issue:
        url = f"{system.service_url('intake')}/v1/issues/{issue}"
        console.print("\nthe timeline of one issue:", highlight=False)
        console.print(f"curl -H 'Authorization: Bearer {system.keys['storefront']}' {url}", soft_wrap=True)
    console.print("\nCtrl-C stops everything")
    while True:
        supervisor.check()
        time.sleep(0.5)


def _print_pages(console: Console, system: DemoSystem, clock: AdjustableClock) -> None:
    desk = system.service_url("intake") + "/desk"
    password = create_staff_login(system, "demo")
    console.print(f"{'desk':16} {desk}   (sign in as demo, password {password})", highlight=False)
    page = asyncio.run(status_page_url(system, clock.now()))
    if page:
        console.print(f"{'a status page':16} {page}", soft_wrap=True)


if __name__ == "__main__":
    main()
