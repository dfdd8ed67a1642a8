"""The second part of `make bench`: the same flood in scenarios, each as a ratio to the plain one of this run.

    python -m tests.bench.scenarios

- **traced**: every span to a collector that discards it;
- **history**: the databases hold `HISTORY` further issues;
- **overload**: reports at the maximum rate, over more connections than intake accepts;
- **replicas**: one, two and four processes of intake drain the same backlog of order events.

`SCENARIO_ISSUES` is the number of reports of each flood. On two cores with Kafka and Postgres more replicas can only
use idle time; on more cores they gain more.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from deploy.demo.system import Infrastructure, prepare
from deploy.local import kafka, postgres
from deploy.local.command_line import exit_on_error
from deploy.local.environment import integer, output_file
from deploy.local.paths import LOGS, run_folder
from deploy.local.ports import free_port
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor
from libs.common.events.topics import LOYALTY, SERVICES
from libs.common.runtime.in_flight import ConsumerLag
from tests.bench import history
from tests.bench.completion import FINAL_SUBSCRIPTIONS, DatabaseProbe, wait_until_complete, wait_until_orders_are_known
from tests.bench.completion import wait_until_purchases_have_points as wait_for_points
from tests.bench.http import connect
from tests.bench.load import flood, publish_orders
from tests.bench.orders import report_call
from tests.bench.resource_usage import ResourceUsage
from tests.bench.system import BenchSystem, common_settings, start, start_service, wait_until_started

SCENARIO_LOGS = LOGS / "bench-scenarios"
CONNECTIONS = 64
SAMPLE_ONE_IN_TEN = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
MANY_CONNECTIONS = 900
"""More than a service accepts (`HTTP_CONNECTIONS`, 500), fewer than those it answers with an error."""


@dataclass(frozen=True, slots=True)
class FloodResult:
    """CPU milliseconds per lifecycle by process, lifecycles and reports per second, peak memory by process."""

    cpu_ms: Mapping[str, float]
    per_second: float
    accepted_per_second: float
    peak_mb: Mapping[str, float]

    def of(self, names: Sequence[str]) -> float:
        return sum(self.cpu_ms[name] for name in names)


@dataclass
class BenchEnvironment:
    """A broker, a server and fresh databases for one scenario."""

    infrastructure: Infrastructure
    databases: Mapping[str, str]
    supervisor: Supervisor
    first: int = 0

    async def flood(self, system: BenchSystem, issues: int) -> FloodResult:
        """Publish orders, report each of them, and wait for the last points."""
        pids = {**system.pids(), "kafka": self.infrastructure.broker.pid, "postgres": self.infrastructure.postgres.pid}
        usage, probe = ResourceUsage(pids), await DatabaseProbe.open(self.databases)
        try:
            await self.publish_orders(probe, issues)
            calls = [report_call(n, system.intake_port, system.api_key) for n in range(self.first, self.first + issues)]
            async with usage.sampling(), self.topic_lag() as lag:
                granted_before = await lag.length([LOYALTY])
                before, begin = usage.cpu_seconds(), time.perf_counter()
                accepted = await flood(system.intake_port, calls, CONNECTIONS)
                took = time.perf_counter() - begin
                completion = await wait_until_complete(probe, lag, accepted.at, granted_before, usage.cpu_seconds)
                spent = {name: 1000 * (now - before[name]) / issues for name, now in completion.cpu.items()}
        finally:
            await probe.close()
        self.first += issues
        return FloodResult(spent, issues / (completion.at - begin), issues / took, dict(usage.peak_mb))

    @asynccontextmanager
    async def topic_lag(self) -> AsyncIterator[ConsumerLag]:
        servers, prefix = self.infrastructure.broker.bootstrap_servers, self.infrastructure.topic_prefix
        lag = ConsumerLag(servers, prefix, FINAL_SUBSCRIPTIONS)
        try:
            yield lag
        finally:
            await lag.close()

    async def publish_orders(self, probe: DatabaseProbe, count: int) -> None:
        servers, prefix = self.infrastructure.broker.bootstrap_servers, self.infrastructure.topic_prefix
        await publish_orders(servers, prefix, count, self.first)
        await wait_until_orders_are_known(servers, prefix, SERVICES)
        await wait_for_points(probe)


@contextlib.contextmanager
def bench_environment() -> Iterator[BenchEnvironment]:
    with ExitStack() as stack:
        infrastructure = Infrastructure(
            broker=stack.enter_context(kafka.broker(kafka.choose("apache").kind, log=SCENARIO_LOGS / "kafka.log")),
            postgres=stack.enter_context(postgres.server(log=SCENARIO_LOGS / "postgres.log", environ={})),
            folder=stack.enter_context(run_folder("bench")),
            prefix="",
        )
        databases = asyncio.run(prepare(infrastructure))
        yield BenchEnvironment(infrastructure, databases, stack.enter_context(Supervisor(SCENARIO_LOGS)))


@dataclass
class Scenarios:
    """Runs all scenarios in order; `rows` is the table so far."""

    console: Console
    issues: int
    history: int
    rows: dict[str, str] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        with (
            self.console.status("the same flood: plain, then overload, then with history"),
            bench_environment() as environment,
        ):
            plain = _loop(self._plain_overload_and_history(environment))
        with self.console.status("the same flood, traced"):
            self._traced(plain)
        with self.console.status("one, two and four replicas"):
            self._replicas()

    async def _plain_overload_and_history(self, environment: BenchEnvironment) -> FloodResult:
        system = await asyncio.to_thread(
            start, environment.supervisor, environment.infrastructure, environment.databases
        )
        await environment.flood(system, self.issues // 4)  # warm-up: query plans and caches
        plain = await environment.flood(system, self.issues)
        self._add_row(
            "plain", f"{plain.per_second:,.0f} lifecycles/s, {total_cpu_ms(plain):.2f} ms CPU each", total_cpu_ms(plain)
        )
        await self._overload(environment, system, plain)
        issues = environment.first
        owners = {
            name: postgres.url_of(environment.infrastructure.postgres.admin_url, database=name)
            for name in environment.databases
        }
        begin = time.perf_counter()
        written = await history.make(owners, max(1, self.history // issues))
        self.console.print(f"{written:,} rows of history written in {time.perf_counter() - begin:.0f} s")
        old = await environment.flood(system, self.issues)
        ratio = total_cpu_ms(old) / total_cpu_ms(plain)
        self._add_row(f"CPU with {self.history:,} issues of history", f"{ratio:.2f} of plain", ratio)
        return plain

    async def _overload(self, environment: BenchEnvironment, system: BenchSystem, plain: FloodResult) -> None:
        """Send many more reports than intake can process, as fast as the connections allow."""
        count = 20 * self.issues
        probe = await DatabaseProbe.open(environment.databases)
        usage = ResourceUsage(system.pids())
        try:
            await environment.publish_orders(probe, self.issues)
            async with usage.sampling(), environment.topic_lag() as lag:
                granted_before = await lag.length([LOYALTY])
                begin = time.perf_counter()
                answers, accepted = await _overload(system, environment.first, self.issues, count)
                took = time.perf_counter() - begin
                completion = await wait_until_complete(probe, lag, accepted, granted_before)
                drained = completion.at - begin - took
        finally:
            await probe.close()
        environment.first += self.issues
        offered = count / took / plain.per_second
        summary = ", ".join(f"{number:,} {what}" for what, number in sorted(answers.items()))
        self._add_row(f"{count:,} reports at {offered:.1f} times what the plain rate", summary, dict(answers))
        self._add_row("drained after", f"{drained:.1f} s", round(drained, 1))
        memory = {name: usage.peak_mb[name] / plain.peak_mb[name] for name in SERVICES}
        self._add_row(
            "memory during overload, ratio to plain",
            ", ".join(f"{name} {ratio:.2f}" for name, ratio in memory.items()),
            memory,
        )

    def _traced(self, plain: FloodResult) -> None:
        for what, sampler in (("every trace kept", {}), ("one trace in ten kept", SAMPLE_ONE_IN_TEN)):
            with bench_environment() as environment:
                sink = environment.supervisor.start("trace-sink", ["-m", "tests.bench.trace_sink"], {}, free_port())
                sink.wait_ready()
                traced = _loop(self._with_spans(environment, {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.url, **sampler}))
            ratio = traced.of(SERVICES) / plain.of(SERVICES)
            self._add_row(f"CPU of the services, {what}", f"{ratio:.2f} of plain", ratio)

    async def _with_spans(self, environment: BenchEnvironment, tracing: Mapping[str, str]) -> FloodResult:
        system = await asyncio.to_thread(
            start, environment.supervisor, environment.infrastructure, environment.databases, tracing
        )
        await environment.flood(system, self.issues // 4)
        return await environment.flood(system, self.issues)

    def _replicas(self) -> None:
        paces: dict[int, float] = {}
        for replicas in (1, 2, 4):
            with bench_environment() as environment:
                paces[replicas] = _loop(self._backlog(environment, replicas))
        self._add_row("order events a second, one replica of intake", f"{paces[1]:,.0f}", round(paces[1]))
        for replicas in (2, 4):
            ratio = paces[replicas] / paces[1]
            self._add_row(f"{replicas} replicas", f"{ratio:.2f} of one", ratio)

    async def _backlog(self, environment: BenchEnvironment, replicas: int) -> float:
        """All replicas have joined and are frozen while the backlog is written; measured from their resumption."""
        orders = 10 * self.issues
        servers, prefix = environment.infrastructure.broker.bootstrap_servers, environment.infrastructure.topic_prefix
        common = {
            **common_settings(environment.infrastructure, "k" * 32),
            "DATABASE_URL": environment.databases["intake"],
        }
        processes = [
            start_service(environment.supervisor, environment.infrastructure, "intake", common, f"-{number}")
            for number in range(replicas)
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

    def _add_row(self, name: str, text: str, value: object) -> None:
        self.rows[name], self.document[name] = text, value


async def _overload(system: BenchSystem, first: int, orders: int, count: int) -> tuple[Counter[str], dict[str, float]]:
    """Send calls whatever the answers are. An accepted caller keeps its connection, a refused one reconnects at once.
    Reports are repeated, as by impatient clients: one in progress is answered 409, an accepted one 202 again.
    """
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
                answers["aborted"] += 1
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
    with exit_on_error("bench"):
        issues = integer("SCENARIO_ISSUES", 1_000, 100, 50_000)
        scenarios = Scenarios(console, issues, integer("HISTORY", 50_000, issues, 2_000_000))
        report = output_file("SCENARIOS_REPORT")
        with exit_on_signals():
            scenarios.run()
        table = Table(title=f"Scenarios: {issues:,} issues each", show_header=False)
        for name, text in scenarios.rows.items():
            table.add_row(name, text)
        console.print(table)
        if report:
            report.write_text(json.dumps(scenarios.document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
