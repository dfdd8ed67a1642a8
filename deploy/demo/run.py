"""`make demo`: the whole system with real parts, a replay of orders and reports on a fast clock, and an audit of it.

    python -m deploy.demo.run

Set `EXIT=1` to stop at the end, `ORDERS=<folder>` to replay other orders, `REPORT=<file>` to write the figures as JSON,
`BROKER=apache` for Apache Kafka, `KAFKA_BOOTSTRAP_SERVERS` and `DATABASE_URL` to use what runs already, `SEED` for
another story. The exit code is 0 only where everything ran and no invariant was violated.
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
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.demo.clock_driver import AdjustableClock, ClockDriver
from deploy.demo.data.order_sources import load_orders
from deploy.demo.data.orders import OrderDataset
from deploy.demo.example_links import create_staff_login, status_page_url
from deploy.demo.promise_accuracy import measure_accuracy
from deploy.demo.quiescence import QuiescenceProbe
from deploy.demo.report import DemoResult, show, summarize
from deploy.demo.system import DemoSystem, Infrastructure, ReplaySettings, prepare, start
from deploy.local import kafka, postgres
from deploy.local.managed_process import NotReadyError
from deploy.local.paths import LOGS, run_folder
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor
from deploy.verification.auditor import audit, read_history
from deploy.verification.evidence import History

MAX_TAIL = timedelta(days=45)
"""How long after the last order event the clock runs on, for cases to end and points to become final."""

REPORT_SHARE_BUNDLED, REPORT_SHARE_OTHERS = 0.25, 0.08
"""How many delivered orders get a report: the few bundled ones more, so that there is something to see."""


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the environment asks for."""

    orders: Path | None
    report: Path | None
    exit_at_end: bool
    seed: int

    @classmethod
    def from_environment(cls) -> "DemoOptions":
        orders, report = os.environ.get("ORDERS"), os.environ.get("REPORT")
        leave = os.environ.get("EXIT", "") not in ("", "0", "false")
        seed = int(os.environ.get("SEED", "1"))
        return cls(Path(orders).resolve() if orders else None, Path(report) if report else None, leave, seed)


def main() -> None:
    console = Console()
    wanted = DemoOptions.from_environment()
    try:
        with exit_on_signals(), ExitStack() as stack:
            sys.exit(_run(console, wanted, stack))
    except (NotReadyError, FileNotFoundError, kafka.BrokerUnavailableError) as error:
        console.print(f"[red]demo failed:[/red] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)


def _run(console: Console, wanted: DemoOptions, stack: ExitStack) -> int:
    book = load_orders(wanted.orders, wanted.seed)
    console.print(f"{len(book.orders):,} orders, {book.orders[0].placed_at:%Y-%m-%d} to {book.orders[-1].placed_at:%F}")
    given = _start_infrastructure(console, wanted, stack)
    clock_file = given.folder / "clock"
    clock = AdjustableClock.create(clock_file, book.orders[0].placed_at - timedelta(minutes=30), 0)
    assert isinstance(clock, AdjustableClock), "create() makes the class it is called on"
    share = REPORT_SHARE_OTHERS if wanted.orders else REPORT_SHARE_BUNDLED
    replay = ReplaySettings(wanted.orders, wanted.seed, share, book.zone.key, clock_file)
    with console.status("preparing databases and topics, starting services and partners"):
        databases = asyncio.run(prepare(given))
        supervisor = stack.enter_context(Supervisor())
        system = start(supervisor, given, replay, databases)
    seconds = asyncio.run(_replay(console, clock, given, system, supervisor, book))
    outcome = asyncio.run(_audit(console, given, system, clock.now(), book, seconds))
    show(console, outcome, seconds)
    if wanted.report:
        wanted.report.write_text(json.dumps(outcome.as_json(), indent=2) + "\n", encoding="utf-8")
    if not wanted.exit_at_end:
        _serve_until_interrupted(console, system, supervisor, clock)
    return 1 if outcome.violated else 0


def _start_infrastructure(console: Console, wanted: DemoOptions, stack: ExitStack) -> Infrastructure:
    asked = os.environ.get("BROKER") or None
    if asked is None and wanted.orders is None and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        asked = "embedded"  # up in a moment; years of orders go faster with Apache Kafka, where that can run
    choice = kafka.choose(asked)
    shared = choice.kind == "external" or bool(os.environ.get("DATABASE_URL"))
    with console.status("starting Postgres and Kafka"):
        folder = stack.enter_context(run_folder("demo"))
        server = stack.enter_context(postgres.server())
        broker = stack.enter_context(kafka.broker(choice.kind))
    console.print(f"Kafka: {broker.kind} ({choice.reason}) at {broker.bootstrap_servers}")
    return Infrastructure(broker, server, folder, f"demo{secrets.token_hex(3)}" if shared else "")


async def _replay(
    console: Console,
    clock: AdjustableClock,
    given: Infrastructure,
    system: DemoSystem,
    supervisor: Supervisor,
    book: OrderDataset,
) -> float:
    """Let the time pass until everything that was to happen has happened; gives the seconds it took."""
    services = {name: process.url for name, process in system.services.items()}
    broker = given.broker.bootstrap_servers
    onlooker = QuiescenceProbe(
        clock, system.databases, services, system.simulator_url, system.mail_url, broker, given.topic_prefix
    )
    conductor = ClockDriver(clock, onlooker)
    await onlooker.open()
    began = time.monotonic()
    step = _step_for(book)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, refresh_per_second=4) as progress:
            task = progress.add_task("replay")
            over_at: datetime | None = None
            while True:
                supervisor.check()
                look = await conductor.wait_until_idle()
                storefront = look.partners["storefront"]
                mails = look.partners["mail"]["mails"]
                told = f"{clock.now().astimezone(book.zone):%Y-%m-%d %H:%M}  {mails} mails"
                progress.update(
                    task, completed=storefront["published"], total=storefront["scheduled"] + 1, description=told
                )
                if storefront["published"] >= storefront["scheduled"]:
                    over_at = over_at or clock.now() + MAX_TAIL
                    if clock.now() >= over_at or not (look.busy or await onlooker.open_timers()):
                        break
                conductor.advance(look, step)
            progress.update(task, completed=storefront["scheduled"] + 1)
    finally:
        await onlooker.close()
    _print_wait_times(console, conductor)
    return time.monotonic() - began


def _print_wait_times(console: Console, conductor: ClockDriver) -> None:
    waited = sorted(conductor.wait_seconds.items(), key=lambda each: -each[1])
    longest = ", ".join(f"{who} {seconds:.0f} s" for who, seconds in waited[:6])
    console.print(f"{conductor.steps:,} steps of the clock; waited for {longest}", highlight=False)
    if conductor.timeouts:
        console.print(f"[yellow]{conductor.timeouts} times the clock went on although work was under way[/yellow]")


def _step_for(book: OrderDataset) -> timedelta:
    """Two hours for a few months of orders, up to twelve for years of them; no word to a customer is passed over."""
    span = book.orders[-1].placed_at - book.orders[0].placed_at
    return min(timedelta(hours=12), max(timedelta(hours=2), span / 720))


async def _audit(
    console: Console, given: Infrastructure, system: DemoSystem, now: datetime, book: OrderDataset, seconds: float
) -> DemoResult:
    with console.status("auditing topics, databases, mails and logs"):
        history = await read_history(
            given.broker.bootstrap_servers, given.topic_prefix, system.databases, book.zone, now
        )
        await _add_partner_records(history, system)
        return summarize(history, audit(history), seconds, measure_accuracy(book, history))


async def _add_partner_records(history: History, system: DemoSystem) -> None:
    """What the partners saw, and what the services logged."""
    async with httpx.AsyncClient(timeout=60) as http:
        history.ledger = (await http.get(f"{system.simulator_url}/storefront/ledger")).json()
        history.mails = (await http.get(f"{system.mail_url}/api/mails?summary=1")).json()
    names = [f"{name}.log" for name in system.services]
    history.logs = {name: (LOGS / name).read_text("utf-8", "replace") for name in names}


def _serve_until_interrupted(
    console: Console, system: DemoSystem, supervisor: Supervisor, clock: AdjustableClock
) -> None:
    """Everything stays up, at the pace of life, until Ctrl-C."""
    clock.set_speed(1)
    for name, process in system.services.items():
        console.print(f"{name:16} {process.url}/docs")
    console.print(f"{'mails':16} {system.mail_url}/")
    _show_pages(console, system, clock)
    ledger = httpx.get(f"{system.simulator_url}/storefront/ledger", timeout=30).json()
    issue = next((entry["issue_id"] for entry in ledger if entry.get("status") == 202), None)
    if issue:
        url = f"{system.service_url('intake')}/v1/issues/{issue}"
        console.print("\nthe story of one issue:", highlight=False)
        console.print(f"curl -H 'Authorization: Bearer {system.keys['storefront']}' {url}", soft_wrap=True)
    console.print("\nCtrl-C stops everything")
    while True:
        supervisor.check()
        time.sleep(0.5)


def _show_pages(console: Console, system: DemoSystem, clock: AdjustableClock) -> None:
    """The desk with somebody who may sign in, and the pages of one customer."""
    desk = system.service_url("intake") + "/desk"
    password = create_staff_login(system, "demo")
    console.print(f"{'desk':16} {desk}   (sign in as demo, password {password})", highlight=False)
    page = asyncio.run(status_page_url(system, clock.now()))
    if page:
        console.print(f"{'a status page':16} {page}", soft_wrap=True)


if __name__ == "__main__":
    main()
