"""`make bench`: a flood of the running system on Apache Kafka and a durable Postgres, and its throughput.

    python -m tests.bench.run

`ISSUES` is the number of reports in the flood, `CONNECTIONS` the number of concurrent calls, and `REPORT=<file>` writes
the metrics as JSON. Everything listens on loopback and is stopped at the end, on Ctrl-C and on any failure.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import uvloop
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.demo.system import Infrastructure, prepare
from deploy.local import kafka, postgres
from deploy.local.command_line import exit_on_error
from deploy.local.paths import LOGS, run_folder
from deploy.local.process_guard import exit_on_signals
from deploy.local.processes import Supervisor
from libs.common.events.topics import LOYALTY
from libs.common.runtime.in_flight import ConsumerLag
from tests.bench import baseline_plan, baseline_run
from tests.bench.baseline_plan import RowCounts
from tests.bench.completion import (
    FINAL_SUBSCRIPTIONS,
    Completion,
    DatabaseProbe,
    wait_until_complete,
    wait_until_orders_are_known,
    wait_until_purchases_have_points,
)
from tests.bench.latency import latencies_ms, readable
from tests.bench.load import AcceptedReports, flood, publish_orders, steady_load
from tests.bench.metrics import BenchMetrics, FloodMetrics
from tests.bench.options import BenchOptions
from tests.bench.orders import report_call
from tests.bench.report import show
from tests.bench.resource_usage import ResourceUsage, machine_cpu_seconds
from tests.bench.system import BenchSystem, start

STEADY_SECONDS = 20.0
BENCH_LOGS = LOGS / "bench"


@dataclass
class Bench:
    """One run."""

    console: Console
    options: BenchOptions
    infrastructure: Infrastructure
    databases: Mapping[str, str]
    supervisor: Supervisor

    @property
    def _servers(self) -> str:
        return self.infrastructure.broker.bootstrap_servers

    async def run(self) -> BenchMetrics:
        with self.console.status("starting the services"):
            system = await asyncio.to_thread(start, self.supervisor, self.infrastructure, self.databases)
        pids = {**system.pids(), "kafka": self.infrastructure.broker.pid, "postgres": self.infrastructure.postgres.pid}
        usage = ResourceUsage({**pids, "driver": os.getpid()})
        probe = await DatabaseProbe.open(self.databases)
        lag = ConsumerLag(self._servers, self.infrastructure.topic_prefix, FINAL_SUBSCRIPTIONS)
        try:
            async with usage.sampling():
                return await self._measure(system, usage, probe, lag)
        finally:
            await lag.close()
            await probe.close()

    async def _measure(
        self, system: BenchSystem, usage: ResourceUsage, probe: DatabaseProbe, lag: ConsumerLag
    ) -> BenchMetrics:
        before = await self._preload(probe)
        counts_before = await baseline_plan.topic_lengths(self._servers, self.infrastructure.topic_prefix)
        flood_metrics = await self._flood(system, usage, probe, lag)
        steady_rate = flood_metrics.per_second / 2
        cpu, begin = usage.cpu_seconds(), time.perf_counter()
        accepted, seen = await self._steady(system, probe, lag, steady_rate)
        took = time.perf_counter() - begin
        steady_cores = {name: (seconds - cpu[name]) / took for name, seconds in usage.cpu_seconds().items()}
        counts_after = await baseline_plan.topic_lengths(self._servers, self.infrastructure.topic_prefix)
        counts = {topic: count - counts_before[topic] for topic, count in counts_after.items()}
        lifecycles = flood_metrics.issues + len(accepted.at)
        peaks = dict(usage.peak_mb)
        with self.console.status("planning the baseline"):
            await asyncio.sleep(2)  # Postgres' statistics lag
            parts = await baseline_run.plan(self.infrastructure, self.databases, before, counts, lifecycles)
        await probe.close()
        await asyncio.to_thread(self.supervisor.stop)
        with self.console.status("running the baseline"):
            rounds = await baseline_run.run(self.supervisor, self.infrastructure, parts, self.options.issues)
        changes = {f"{part.name}.{t.name}": t.inserts + t.updates + t.deletes for part in parts for t in part.tables}
        return BenchMetrics(
            flood=flood_metrics,
            connections=self.options.connections,
            steady_per_second=steady_rate,
            steady_cores=steady_cores,
            latencies_ms=latencies_ms(accepted.at, seen),
            latencies_from_schedule_ms=latencies_ms(accepted.due, seen),
            peak_rss_mb=peaks,
            baseline_per_second=[each.per_second for each in rounds],
            baseline_cpu_ms=[each.cpu_ms for each in rounds],
            records={topic: count / lifecycles for topic, count in counts.items() if count},
            row_changes=changes,
            broker="Apache Kafka" if self.infrastructure.broker.kind == "apache" else self.infrastructure.broker.kind,
        )

    async def _preload(self, probe: DatabaseProbe) -> dict[str, RowCounts]:
        count = self.options.issues + self.options.steady_issues
        with self.console.status(f"publishing {count:,} orders"):
            begin = time.perf_counter()
            await publish_orders(self._servers, self.infrastructure.topic_prefix, count)
            readers = ("intake", "returns", "delivery_notify", "loyalty")
            await wait_until_orders_are_known(self._servers, self.infrastructure.topic_prefix, readers)
            await wait_until_purchases_have_points(probe)
            took = time.perf_counter() - begin
        self.console.print(f"{count:,} orders known after {took:.1f} s ({3 * count / took:,.0f} order events/s)")
        return {name: await baseline_plan.row_counts_after_preload(url) for name, url in self.databases.items()}

    async def _flood(
        self, system: BenchSystem, usage: ResourceUsage, probe: DatabaseProbe, lag: ConsumerLag
    ) -> FloodMetrics:
        calls = [report_call(n, system.intake_port, system.api_key) for n in range(self.options.issues)]
        granted_before = await lag.length([LOYALTY])
        cpu, begin = _cpu_spent(usage), time.perf_counter()
        accepted = await flood(system.intake_port, calls, self.options.connections)
        accept_seconds = time.perf_counter() - begin
        completion = await self._complete(probe, lag, accepted, granted_before, "flood", lambda: _cpu_spent(usage))
        spent = {name: seconds - cpu[name] for name, seconds in completion.cpu.items()}
        machine = spent.pop(MACHINE)
        return FloodMetrics(len(calls), completion.at - begin, accept_seconds, spent, machine, await probe.notices())

    async def _steady(
        self, system: BenchSystem, probe: DatabaseProbe, lag: ConsumerLag, rate: float
    ) -> tuple[AcceptedReports, dict[str, float]]:
        count = min(self.options.steady_issues, max(50, int(rate * STEADY_SECONDS)))
        first = self.options.issues
        calls = [report_call(n, system.intake_port, system.api_key) for n in range(first, first + count)]
        accepted, granted_before = AcceptedReports(), await lag.length([LOYALTY])
        async with readable(self._servers, self.infrastructure.topic_prefix) as seen:
            with self.console.status(f"{count:,} reports at {rate:,.0f}/s"):
                await steady_load(system.intake_port, calls, rate, self.options.connections, accepted)
            await self._complete(probe, lag, accepted, granted_before, "steady")
        return accepted, seen

    async def _complete(
        self,
        probe: DatabaseProbe,
        lag: ConsumerLag,
        accepted: AcceptedReports,
        before: int,
        what: str,
        spent: Callable[[], Mapping[str, float]] = dict,
    ) -> Completion:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(f"{what}: points granted", total=len(accepted.at))
            return await wait_until_complete(
                probe, lag, accepted.at, before, spent, lambda granted: progress.update(task, completed=granted)
            )


MACHINE = "the whole machine"


def _cpu_spent(usage: ResourceUsage) -> dict[str, float]:
    return {**usage.cpu_seconds(), MACHINE: machine_cpu_seconds()}


def main() -> None:
    console = Console()
    with exit_on_error("bench"):
        options = BenchOptions.from_environment()
        with exit_on_signals(), ExitStack() as stack:
            metrics = _run(console, options, stack)
        document = metrics.document()
        show(console, document)
        if options.report:
            options.report.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _run(console: Console, options: BenchOptions, stack: ExitStack) -> BenchMetrics:
    with console.status("starting Apache Kafka and Postgres, making databases and topics"):
        choice = kafka.choose("apache")
        infrastructure = Infrastructure(
            broker=stack.enter_context(kafka.broker(choice.kind, log=BENCH_LOGS / "kafka.log")),
            postgres=stack.enter_context(postgres.server(log=BENCH_LOGS / "postgres.log", environ={})),
            folder=stack.enter_context(run_folder("bench")),
            prefix="",
        )
        databases = asyncio.run(prepare(infrastructure))
    supervisor = stack.enter_context(Supervisor(BENCH_LOGS))
    bench = Bench(console, options, infrastructure, databases, supervisor)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bench.run())


if __name__ == "__main__":
    main()
