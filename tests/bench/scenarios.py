"""The second half of `make bench`: the same flood under conditions, each as a ratio to the plain one of this run.

    python -m tests.bench.scenarios

- **traced**: every span to a collector that throws it away;
- **with a past**: the databases hold `HISTORY` issues more;
- **overrun**: reports as fast as they can be thrown, over more connections than it takes; the table says how fast;
- **replicas**: one, two and four processes of intake work off the same backlog of order events.

`SCENARIO_ISSUES` is how many reports each flood has. On two cores that also carry Kafka and Postgres more replicas
can only use what one left idle; on more cores they show more.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from deploy.demo.system import Infrastructure, prepare
from deploy.local import kafka, postgres
from deploy.local.paths import LOGS, run_folder
from deploy.local.ports import free_port
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor
from libs.common.events.topics import LOYALTY, SERVICES
from tests.bench import history
from tests.bench.completion import DatabaseProbe, TopicLag, wait_until_complete, wait_until_orders_are_known
from tests.bench.completion import wait_until_purchases_have_points as wait_for_points
from tests.bench.http import connect
from tests.bench.load import flood, publish_orders
from tests.bench.options import whole_number
from tests.bench.orders import report_call
from tests.bench.resource_usage import ResourceUsage
from tests.bench.run import FAILURES
from tests.bench.system import BenchSystem, common_settings, start, start_service, wait_until_started

SCENARIO_LOGS = LOGS / "bench-scenarios"
CONNECTIONS = 64
SAMPLE_ONE_IN_TEN = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
MANY_CONNECTIONS = 900
"""More than a service takes (`HTTP_CONNECTIONS`, 500), fewer than those it answers at all."""


@dataclass(frozen=True, slots=True)
class FloodResult:
    """CPU milliseconds per lifecycle by process, lifecycles and reports a second, the most memory by process."""

    cpu_ms: Mapping[str, float]
    per_second: float
    accepted_per_second: float
    peak_mb: Mapping[str, float]

    def of(self, names: Sequence[str]) -> float:
        return sum(self.cpu_ms[name] for name in names)


@dataclass
class BenchEnvironment:
    """A broker, a server and fresh databases for one condition; the services run in it."""

    given: Infrastructure
    databases: Mapping[str, str]
    supervisor: Supervisor
    first: int = 0

    async def flood(self, system: BenchSystem, issues: int) -> FloodResult:
        """Tell of as many orders, report each of them, and wait for the last point."""
        ours = {**system.pids(), "kafka": self.given.broker.pid, "postgres": self.given.postgres.pid}
        usage, books = ResourceUsage(ours), await DatabaseProbe.open(self.databases)
        try:
            await self.publish_orders(books, issues)
            calls = [report_call(n, system.intake_port, system.api_key) for n in range(self.first, self.first + issues)]
            async with usage.sampling(), self.topic_lag() as tide:
                given = await tide.length(LOYALTY)
                before, begin = usage.cpu_seconds(), time.perf_counter()
                accepted = await flood(system.intake_port, calls, CONNECTIONS)
                took = time.perf_counter() - begin
                ended = await wait_until_complete(books, tide, accepted.at, given, usage.cpu_seconds)
                spent = {name: 1000 * (now - before[name]) / issues for name, now in ended.cpu.items()}
        finally:
            await books.close()
        self.first += issues
        return FloodResult(spent, issues / (ended.at - begin), issues / took, dict(usage.peak_mb))

    def topic_lag(self) -> AbstractAsyncContextManager[TopicLag]:
        return TopicLag.open(self.given.broker.bootstrap_servers, self.given.topic_prefix)

    async def publish_orders(self, books: DatabaseProbe, count: int) -> None:
        servers, prefix = self.given.broker.bootstrap_servers, self.given.topic_prefix
        await publish_orders(servers, prefix, count, self.first)
        await wait_until_orders_are_known(servers, prefix, SERVICES)
        await wait_for_points(books)


@contextlib.contextmanager
def bench_environment() -> Iterator[BenchEnvironment]:
    with ExitStack() as stack:
        given = Infrastructure(
            broker=stack.enter_context(kafka.broker(kafka.choose("apache").kind, log=SCENARIO_LOGS / "kafka.log")),
            postgres=stack.enter_context(postgres.server(log=SCENARIO_LOGS / "postgres.log", environ={})),
            folder=stack.enter_context(run_folder("bench")),
            prefix="",
        )
        databases = asyncio.run(prepare(given))
        yield BenchEnvironment(given, databases, stack.enter_context(Supervisor(SCENARIO_LOGS)))


@dataclass
class Scenarios:
    """All of them, one after the other; `rows` is the table so far."""

    console: Console
    issues: int
    past: int
    rows: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        with self.console.status("the same flood: plain, then overrun, then with a past"), bench_environment() as here:
            plain = _loop(self._plain_overload_and_history(here))
        with self.console.status("the same flood, traced"):
            self._traced(plain)
        with self.console.status("one, two and four replicas"):
            self._replicas()

    async def _plain_overload_and_history(self, here: BenchEnvironment) -> FloodResult:
        system = await asyncio.to_thread(start, here.supervisor, here.given, here.databases)
        await here.flood(system, self.issues // 4)  # warm: plans made, pages read
        plain = await here.flood(system, self.issues)
        self._add_row(
            "plain", f"{plain.per_second:,.0f} lifecycles/s, {total_cpu_ms(plain):.2f} ms CPU each", total_cpu_ms(plain)
        )
        await self._overload(here, system, plain)
        issues = here.first
        owners = {name: postgres.url_of(here.given.postgres.admin_url, database=name) for name in here.databases}
        begin = time.perf_counter()
        written = await history.make(owners, max(1, self.past // issues))
        self.console.print(f"{written:,} rows of the past written in {time.perf_counter() - begin:.0f} s")
        old = await here.flood(system, self.issues)
        ratio = total_cpu_ms(old) / total_cpu_ms(plain)
        self._add_row(f"CPU with {self.past:,} issues in the past", f"{ratio:.2f} of plain", ratio)
        return plain

    async def _overload(self, here: BenchEnvironment, system: BenchSystem, plain: FloodResult) -> None:
        """Many more reports than it can carry, as fast as the connections let them through."""
        count = 20 * self.issues
        books = await DatabaseProbe.open(here.databases)
        usage = ResourceUsage(system.pids())
        try:
            await here.publish_orders(books, self.issues)
            async with usage.sampling(), here.topic_lag() as tide:
                given = await tide.length(LOYALTY)
                begin = time.perf_counter()
                answers, accepted = await _overload(system, here.first, self.issues, count)
                took = time.perf_counter() - begin
                ended = await wait_until_complete(books, tide, accepted, given)
                drained = ended.at - begin - took
        finally:
            await books.close()
        here.first += self.issues
        offered = count / took / plain.per_second
        told = ", ".join(f"{number:,} {what}" for what, number in sorted(answers.items()))
        self._add_row(f"{count:,} reports at {offered:.1f} times what it carries", told, dict(answers))
        self._add_row("worked off after", f"{drained:.1f} s", round(drained, 1))
        memory = {name: usage.peak_mb[name] / plain.peak_mb[name] for name in SERVICES}
        self._add_row(
            "memory then, of plain", ", ".join(f"{name} {ratio:.2f}" for name, ratio in memory.items()), memory
        )

    def _traced(self, plain: FloodResult) -> None:
        for what, sampler in (("every trace kept", {}), ("one trace in ten kept", SAMPLE_ONE_IN_TEN)):
            with bench_environment() as here:
                sink = here.supervisor.start("trace-sink", ["-m", "tests.bench.trace_sink"], {}, free_port())
                sink.wait_ready()
                traced = _loop(self._with_spans(here, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, **sampler}))
            ratio = traced.of(SERVICES) / plain.of(SERVICES)
            self._add_row(f"CPU of the services, {what}", f"{ratio:.2f} of plain", ratio)

    async def _with_spans(self, here: BenchEnvironment, tracing: Mapping[str, str]) -> FloodResult:
        system = await asyncio.to_thread(start, here.supervisor, here.given, here.databases, tracing)
        await here.flood(system, self.issues // 4)
        return await here.flood(system, self.issues)

    def _replicas(self) -> None:
        paces: dict[int, float] = {}
        for replicas in (1, 2, 4):
            with bench_environment() as here:
                paces[replicas] = _loop(self._backlog(here, replicas))
        self._add_row("order events a second, one replica of intake", f"{paces[1]:,.0f}", round(paces[1]))
        for replicas in (2, 4):
            ratio = paces[replicas] / paces[1]
            self._add_row(f"{replicas} replicas", f"{ratio:.2f} of one", ratio)

    async def _backlog(self, here: BenchEnvironment, replicas: int) -> float:
        """All have joined and stand still while the backlog is written; the clock runs from when they go on."""
        orders = 10 * self.issues
        servers, prefix = here.given.broker.bootstrap_servers, here.given.topic_prefix
        common = {**common_settings(here.given, "k" * 32), "DATABASE_URL": here.databases["intake"]}
        processes = [
            start_service(here.supervisor, here.given, "intake", common, f"-{number}") for number in range(replicas)
        ]
        for process in processes:
            await asyncio.to_thread(wait_until_started, process)
            await asyncio.to_thread(process.child.pause)
        await publish_orders(servers, prefix, orders)
        begin = time.perf_counter()
        for process in processes:
            process.child.resume()
        await wait_until_orders_are_known(servers, prefix, ("intake",))
        return 3 * orders / (time.perf_counter() - begin)

    def _add_row(self, what: str, said: str, figure: object) -> None:
        self.rows[what], self.document[what] = said, figure


async def _overload(system: BenchSystem, first: int, orders: int, count: int) -> tuple[Counter[str], dict[str, float]]:
    """So many at a time, whatever the answers are; who is let in keeps the connection, who is not comes back at once on
    another. The same report comes again and again, as impatient callers send it: what is still under way is answered
    409, what was accepted 202 once more."""
    answers: Counter[str] = Counter()
    accepted: dict[str, float] = {}
    numbers = iter(range(count))

    async def work() -> None:
        connection = None
        for number in numbers:
            call = report_call(first + number % orders, system.intake_port, system.api_key)
            try:
                connection = connection or await connect(system.intake_port)
                status, body = await connection.call(call)
            except ConnectionError:
                answers["broken off"] += 1
                connection = None
                continue
            if status == 202:
                accepted.setdefault(json.loads(body)["issue_id"], time.perf_counter())
            silent = status in (429, 503) and not connection.retry_after
            answers[f"answered {status}{' without Retry-After' if silent else ''}"] += 1
            if status == 503:
                connection.close()
                connection = None
        if connection:
            connection.close()

    await asyncio.gather(*(work() for _ in range(MANY_CONNECTIONS)))
    return answers, accepted


def total_cpu_ms(flooded: FloodResult) -> float:
    """CPU of the services, Kafka and Postgres, in ms per lifecycle."""
    return flooded.of((*SERVICES, "kafka", "postgres"))


def _loop(work: Any) -> Any:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def main() -> None:
    console = Console()
    try:
        issues = whole_number("SCENARIO_ISSUES", 1_000, 100, 50_000)
        conditions = Scenarios(console, issues, whole_number("HISTORY", 50_000, issues, 2_000_000))
        with exit_on_signals():
            conditions.run()
    except FAILURES as error:
        console.print(f"[red]bench failed:[/red] {error}", highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(130)
    table = Table(title=f"Under conditions: {issues:,} issues each", show_header=False)
    for what, said in conditions.rows.items():
        table.add_row(what, said)
    console.print(table)
    if report := os.environ.get("SCENARIOS_REPORT"):
        with open(report, "w", encoding="utf-8") as file:
            json.dump(conditions.document, file, indent=2)


if __name__ == "__main__":
    main()
