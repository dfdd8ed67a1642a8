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

from deploy.demo.clock_driver import ConductedClock, Conductor
from deploy.demo.data.order_sources import open_book
from deploy.demo.data.orders import OrderBook
from deploy.demo.example_links import hire_staff, status_page
from deploy.demo.quiescence import Onlooker
from deploy.demo.report import Outcome, count, show
from deploy.demo.system import Replay, Surroundings, System, prepare, start
from deploy.local import kafka, postgres
from deploy.local.managed_process import NotReadyError
from deploy.local.paths import LOGS, run_folder
from deploy.local.process_guard import ending_on_signals
from deploy.local.processes import Supervisor
from deploy.verification.auditor import audit, read_history
from deploy.verification.evidence import History
from deploy.verification.promise_accuracy import confusion

LONGEST_TAIL = timedelta(days=45)
"""How long after the last order event the clock runs on, for cases to end and points to become final."""

SHARE_BUNDLED, SHARE_OTHERS = 0.25, 0.08
"""How many delivered orders get a report: the few bundled ones more, so that there is something to see."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the environment asks for."""

    orders: Path | None
    report: Path | None
    leave: bool
    seed: int

    @classmethod
    def from_environment(cls) -> "Wanted":
        orders, report = os.environ.get("ORDERS"), os.environ.get("REPORT")
        leave = os.environ.get("EXIT", "") not in ("", "0", "false")
        seed = int(os.environ.get("SEED", "1"))
        return cls(Path(orders).resolve() if orders else None, Path(report) if report else None, leave, seed)


def main() -> None:
    console = Console()
    wanted = Wanted.from_environment()
    try:
        with ending_on_signals(), ExitStack() as stack:
            sys.exit(_run(console, wanted, stack))
    except (NotReadyError, FileNotFoundError, kafka.BrokerUnavailableError) as error:
        console.print(f"[red]demo failed:[/red] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)


def _run(console: Console, wanted: Wanted, stack: ExitStack) -> int:
    book = open_book(wanted.orders, wanted.seed)
    console.print(f"{len(book.orders):,} orders, {book.orders[0].placed_at:%Y-%m-%d} to {book.orders[-1].placed_at:%F}")
    given = _surroundings(console, wanted, stack)
    clock_file = given.folder / "clock"
    clock = ConductedClock.create(clock_file, book.orders[0].placed_at - timedelta(minutes=30), 0)
    assert isinstance(clock, ConductedClock), "create() makes the class it is called on"
    share = SHARE_OTHERS if wanted.orders else SHARE_BUNDLED
    replay = Replay(wanted.orders, wanted.seed, share, book.zone.key, clock_file)
    with console.status("preparing databases and topics, starting services and partners"):
        databases = asyncio.run(prepare(given))
        supervisor = stack.enter_context(Supervisor())
        system = start(supervisor, given, replay, databases)
    seconds = asyncio.run(_replay(console, clock, given, system, supervisor, book))
    outcome = asyncio.run(_judge(console, given, system, clock.now(), book, seconds))
    show(console, outcome, seconds)
    if wanted.report:
        wanted.report.write_text(json.dumps(outcome.as_json(), indent=2) + "\n", encoding="utf-8")
    if not wanted.leave:
        _stay(console, system, supervisor, clock)
    return 1 if outcome.violated else 0


def _surroundings(console: Console, wanted: Wanted, stack: ExitStack) -> Surroundings:
    asked = os.environ.get("BROKER") or None
    if asked is None and wanted.orders is None and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        asked = "embedded"  # up in a moment; years of orders go faster with Apache Kafka, where that can run
    choice = kafka.choose(asked)
    shared = choice.kind == "given" or bool(os.environ.get("DATABASE_URL"))
    with console.status("starting Postgres and Kafka"):
        folder = stack.enter_context(run_folder("demo"))
        server = stack.enter_context(postgres.server())
        broker = stack.enter_context(kafka.broker(choice.kind))
    console.print(f"Kafka: {broker.kind} ({choice.reason}) at {broker.bootstrap_servers}")
    return Surroundings(broker, server, folder, f"demo{secrets.token_hex(3)}" if shared else "")


async def _replay(
    console: Console,
    clock: ConductedClock,
    given: Surroundings,
    system: System,
    supervisor: Supervisor,
    book: OrderBook,
) -> float:
    """Let the time pass until everything that was to happen has happened; gives the seconds it took."""
    services = {name: process.url for name, process in system.services.items()}
    broker = given.broker.bootstrap_servers
    onlooker = Onlooker(clock, system.databases, services, system.town_url, system.mail_url, broker, given.topic_prefix)
    conductor = Conductor(clock, onlooker)
    await onlooker.open()
    began = time.monotonic()
    step = _step_of(book)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, refresh_per_second=4) as progress:
            task = progress.add_task("replay")
            over_at: datetime | None = None
            while True:
                supervisor.check()
                look = await conductor.until_quiet()
                story = look.story["storefront"]
                mails = look.story["mail"]["mails"]
                told = f"{clock.now().astimezone(book.zone):%Y-%m-%d %H:%M}  {mails} mails"
                progress.update(task, completed=story["told"], total=story["to_tell"] + 1, description=told)
                if story["told"] >= story["to_tell"]:
                    over_at = over_at or clock.now() + LONGEST_TAIL
                    if clock.now() >= over_at or not (look.busy or await onlooker.open_timers()):
                        break
                conductor.step(look, step)
            progress.update(task, completed=story["to_tell"] + 1)
    finally:
        await onlooker.close()
    _tell_of(console, conductor)
    return time.monotonic() - began


def _tell_of(console: Console, conductor: Conductor) -> None:
    waited = sorted(conductor.waited.items(), key=lambda each: -each[1])
    longest = ", ".join(f"{who} {seconds:.0f} s" for who, seconds in waited[:6])
    console.print(f"{conductor.steps:,} steps of the clock; waited for {longest}", highlight=False)
    if conductor.impatient:
        console.print(f"[yellow]{conductor.impatient} times the clock went on although work was under way[/yellow]")


def _step_of(book: OrderBook) -> timedelta:
    """Two hours for a few months of orders, up to twelve for years of them; no word to a customer is passed over."""
    span = book.orders[-1].placed_at - book.orders[0].placed_at
    return min(timedelta(hours=12), max(timedelta(hours=2), span / 720))


async def _judge(
    console: Console, given: Surroundings, system: System, now: datetime, book: OrderBook, seconds: float
) -> Outcome:
    with console.status("auditing topics, databases, mails and logs"):
        history = await read_history(
            given.broker.bootstrap_servers, given.topic_prefix, system.databases, book.zone, now
        )
        await _add_witnesses(history, system)
        return count(history, audit(history), seconds, confusion(book, history))


async def _add_witnesses(history: History, system: System) -> None:
    """What the partners saw, and what the services logged."""
    async with httpx.AsyncClient(timeout=60) as http:
        history.ledger = (await http.get(f"{system.town_url}/storefront/ledger")).json()
        history.mails = (await http.get(f"{system.mail_url}/api/mails?heads=1")).json()
    names = [f"{name}.log" for name in system.services]
    history.logs = {name: (LOGS / name).read_text("utf-8", "replace") for name in names}


def _stay(console: Console, system: System, supervisor: Supervisor, clock: ConductedClock) -> None:
    """Everything stays up, at the pace of life, until Ctrl-C."""
    clock.set_speed(1)
    for name, process in system.services.items():
        console.print(f"{name:16} {process.url}/docs")
    console.print(f"{'mails':16} {system.mail_url}/")
    _show_pages(console, system, clock)
    ledger = httpx.get(f"{system.town_url}/storefront/ledger", timeout=30).json()
    issue = next((entry["issue_id"] for entry in ledger if entry.get("status") == 202), None)
    if issue:
        url = f"{system.service_url('intake')}/v1/issues/{issue}"
        console.print("\nthe story of one issue:", highlight=False)
        console.print(f"curl -H 'Authorization: Bearer {system.keys['storefront']}' {url}", soft_wrap=True)
    console.print("\nCtrl-C stops everything")
    while True:
        supervisor.check()
        time.sleep(0.5)


def _show_pages(console: Console, system: System, clock: ConductedClock) -> None:
    """The desk with somebody who may sign in, and the pages of one customer."""
    desk = system.service_url("intake") + "/desk"
    password = hire_staff(system, "demo")
    console.print(f"{'desk':16} {desk}   (sign in as demo, password {password})", highlight=False)
    page = asyncio.run(status_page(system, clock.now()))
    if page:
        console.print(f"{'a status page':16} {page}", soft_wrap=True)


if __name__ == "__main__":
    main()
