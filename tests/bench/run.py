"""`make bench`: the running system on Apache Kafka and a durable Postgres, every metric beside its target.

    make bench [QUICK=1] [AGAINST=<revision>] [REPORT=<file>] [PARTS=flood,latency] [ISSUES=3000] [PAST=100000]

Parts: a flood of reports; latency at rest and at half load; the bare loop; the cost of tracing and of replicas; a peer;
past issues in the databases; a profile. `AGAINST` compares with another revision. `REPORT` writes the metrics as JSON;
what the run did not measure is null there, and the table says why. Everything listens on loopback and is stopped at the
end, on Ctrl-C and on any failure.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import uvloop
from rich.console import Console

from deploy.demo.system import Infrastructure
from deploy.local import postgres
from deploy.local.command_line import exit_on_error
from deploy.local.process_guard import exit_on_signals
from tests.bench import against, baseline_run, history, peer, profiling, replicas, report, tracing_cost
from tests.bench.environment import LoadedSystem, loaded_system, servers
from tests.bench.metrics import BenchMetrics, interpreter, million_strings_per_second
from tests.bench.options import PARTS, BenchOptions

IDLE_PER_SECOND, IDLE_REPORTS = 5.0, 100
MILLION = 1_000_000
HALF_LOAD_SECONDS, REST_SECONDS = 15.0, 10.0


@dataclass
class Bench:
    """One run on one set of servers."""

    console: Console
    options: BenchOptions
    infrastructure: Infrastructure
    metrics: BenchMetrics = field(default_factory=BenchMetrics)
    speeds: list[float] = field(default_factory=list)

    async def run(self) -> None:
        parts: dict[str, Callable[[], Awaitable[None]]] = {
            "tracing": self._tracing,
            "replicas": self._replicas,
            "peer": self._peer,
            "profile": self._profile,
        }
        await self._timed("flood", self._main_system)
        for name in PARTS:
            if name in self.options.parts and name in parts:
                await self._timed(name, parts[name])
        self.metrics.interpreter = interpreter(self.speeds)

    async def _timed(self, name: str, part: Callable[[], Awaitable[None]]) -> None:
        begin = time.perf_counter()
        self.speeds.append(million_strings_per_second())
        await part()
        self.speeds.append(million_strings_per_second())
        self.console.print(f"part {name}: {time.perf_counter() - begin:.0f} s", highlight=False)

    async def _main_system(self) -> None:
        """Flood a fresh system, then measure the latency; then the bare loop, then past issues below it."""
        options, metrics = self.options, self.metrics
        wanted = set(options.parts)
        async with self._system() as system:
            await system.preload(options.issues + options.steady_issues)
            metrics.seconds_to_ready = system.seconds_to_ready
            metrics.flood = await system.flood(options.issues)
            if "latency" in wanted:
                await self._latency(system)
            metrics.peak_rss_mb = dict(system.usage.peak_mb)
            if "past" in wanted:
                await self._past(system)
        if "baseline" in wanted:
            with self.console.status("running the bare loop"):
                metrics.baseline_cpu_ms = await baseline_run.cpu_ms(self.infrastructure, options.issues)

    def _system(self) -> "contextlib.AbstractAsyncContextManager[LoadedSystem]":
        return loaded_system(self.console, self.infrastructure, "", connections=self.options.connections, in_turn=True)

    async def _latency(self, system: LoadedSystem) -> None:
        assert self.metrics.flood is not None
        self.metrics.cores_at_rest = await system.cores_at_rest(REST_SECONDS)
        self.metrics.idle_ms = await system.steady(IDLE_REPORTS, IDLE_PER_SECOND)
        rate = self.metrics.flood.per_second / 2
        count = min(self.options.steady_issues, max(50, int(rate * HALF_LOAD_SECONDS)))
        self.metrics.half_load_ms = await system.steady(count, rate)

    async def _past(self, system: LoadedSystem) -> None:
        """CPU per lifecycle with past issues in the databases, as a ratio to the same flood before."""
        each = self.options.issues // 2
        before = await system.flood(each)
        names, admin = system.databases, self.infrastructure.postgres.admin_url
        owners = {name: postgres.url_of(admin, database=postgres.name_of(url)) for name, url in names.items()}
        begin = time.perf_counter()
        with self.console.status(f"writing {self.options.past:,} past issues"):
            written = await history.make(owners, max(1, self.options.past // system.first))
        self.console.print(f"{written:,} rows of history in {time.perf_counter() - begin:.0f} s", highlight=False)
        await system.flood(each // 4)  # plans and caches after the load
        ratio = (await system.flood(each)).cpu_ms()["total"] / before.cpu_ms()["total"]
        if self.options.past >= MILLION:
            self.metrics.past_million = ratio
        else:
            self.metrics.missing["past_million"] = f"{ratio:.2f} with {self.options.past:,}; set PAST={MILLION}"

    async def _tracing(self) -> None:
        self.metrics.tracing = await tracing_cost.measure(self.console, self.infrastructure, self.options.issues)

    async def _replicas(self) -> None:
        self.metrics.replicas = await replicas.measure(self.console, self.infrastructure, 2 * self.options.issues)

    async def _peer(self) -> None:
        if reason := peer.missing():
            self.metrics.missing["peer"] = reason
            return
        issues = max(100, self.options.issues // 20)  # more than run at once
        slow = await peer.lifecycles_per_second(self.console, self.infrastructure, issues)
        assert self.metrics.flood is not None
        self.metrics.peer = (peer.name(), self.metrics.flood.per_second / slow)
        self.console.print(f"peer: {slow:.1f} lifecycles/s of {peer.STEPS} transactions", highlight=False)

    async def _profile(self) -> None:
        profiling.show(
            self.console, await profiling.measure(self.console, self.infrastructure, self.options.issues // 3)
        )


def main() -> None:
    console = Console()
    with exit_on_error("bench"):
        options = BenchOptions.from_environment(dict(os.environ))
        with exit_on_signals():
            metrics = _run(console, options)
        report.show(console, metrics)
        if options.report:
            options.report.write_text(json.dumps(metrics.document(), indent=2) + "\n", encoding="utf-8")


def _run(console: Console, options: BenchOptions) -> BenchMetrics:
    with console.status("starting Apache Kafka and Postgres"), servers() as infrastructure:
        bench = Bench(console, options, infrastructure)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bench.run())
    if options.against:
        ratios = against.compare(console, options.against, options.issues)
        bench.metrics.cpu_against, bench.metrics.speed_against = ratios
    else:
        bench.metrics.missing["cpu_against"] = f"name a revision: AGAINST={report.BASE}"
    return bench.metrics


if __name__ == "__main__":
    main()
