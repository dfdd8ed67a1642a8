"""Servers of a benchmark run, and systems of four services on them, each with its own topics and databases."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace

import asyncpg
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from deploy.demo.system import Infrastructure, prepare
from deploy.local import kafka, postgres
from deploy.local.paths import LOGS, run_folder
from deploy.local.processes import Supervisor
from deploy.local.service_environment import RUNTIME
from libs.common.events.topics import LOYALTY, SERVICES
from libs.common.messaging.create_topics import PARTITIONS
from libs.common.runtime.in_flight import ConsumerLag
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
from tests.bench.metrics import FloodMetrics
from tests.bench.orders import report_call
from tests.bench.resource_usage import ResourceUsage, machine_cpu_seconds
from tests.bench.system import BenchSystem, start

BENCH_LOGS = LOGS / "bench"


@contextmanager
def servers() -> Iterator[Infrastructure]:
    """Apache Kafka and a durable Postgres, for the length of the block."""
    choice = kafka.choose("apache")
    with ExitStack() as stack:
        yield Infrastructure(
            broker=stack.enter_context(kafka.broker(choice.kind, log=BENCH_LOGS / "kafka.log")),
            postgres=stack.enter_context(postgres.server(log=BENCH_LOGS / "postgres.log", environ={})),
            folder=stack.enter_context(run_folder("bench")),
            prefix="",
        )


@dataclass
class LoadedSystem:
    """Four running services under load; `first` is the number of the next order."""

    console: Console
    infrastructure: Infrastructure
    databases: Mapping[str, str]
    system: BenchSystem
    usage: ResourceUsage
    probe: DatabaseProbe
    lag: ConsumerLag
    first: int = 0
    known: int = 0
    connections: int = 64
    seconds_to_ready: float = field(default=0.0)

    async def preload(self, count: int) -> None:
        """Publish orders for the next `count` reports, and wait until every service knows them."""
        servers, prefix = self.infrastructure.broker.bootstrap_servers, self.infrastructure.topic_prefix
        with self.console.status(f"publishing {count:,} orders"):
            await publish_orders(servers, prefix, count, self.known)
            await wait_until_orders_are_known(servers, prefix, SERVICES)
            await wait_until_purchases_have_points(self.probe)
        self.known += count

    async def flood(self, issues: int) -> FloodMetrics:
        """Report the next `issues` orders as fast as the connections allow, and wait for the last points."""
        await self.preload(max(0, self.first + issues - self.known))
        calls, granted_before = self._next_calls(issues), await self.lag.length([LOYALTY])
        cpu, wal, begin = self._cpu(), await self._wal_bytes(), time.perf_counter()
        accepted = await flood(self.system.intake_port, calls, self.connections)
        accept_seconds = time.perf_counter() - begin
        completion = await self._complete(accepted, granted_before, "flood", self._cpu)
        wal = await self._wal_bytes() - wal
        spent = {name: seconds - cpu[name] for name, seconds in completion.cpu.items()}
        machine = spent.pop(_MACHINE)
        return FloodMetrics(issues, completion.at - begin, accept_seconds, spent, machine, wal)

    async def steady(self, count: int, per_second: float) -> list[float]:
        """Report the next `count` orders at this rate; return the latencies in milliseconds."""
        await self.preload(max(0, self.first + count - self.known))
        calls, granted_before = self._next_calls(count), await self.lag.length([LOYALTY])
        servers, prefix = self.infrastructure.broker.bootstrap_servers, self.infrastructure.topic_prefix
        accepted = AcceptedReports()
        async with readable(servers, prefix) as seen:
            with self.console.status(f"{count:,} reports at {per_second:,.0f}/s"):
                await steady_load(self.system.intake_port, calls, per_second, self.connections, accepted)
            await self._complete(accepted, granted_before, "steady")
        return latencies_ms(accepted.at, seen)

    async def cores_at_rest(self, seconds: float) -> float:
        """Cores that services, Kafka and Postgres use while nothing happens."""
        await asyncio.sleep(2)
        before, begin = self.usage.cpu_seconds(), time.perf_counter()
        await asyncio.sleep(seconds)
        spent = FloodMetrics(1, time.perf_counter() - begin, 1, _minus(self.usage.cpu_seconds(), before), 0, 0)
        return spent.cpu_ms()["total"] / 1000 / spent.seconds

    def _next_calls(self, count: int) -> list[bytes]:
        numbers = range(self.first, self.first + count)
        self.first += count
        return [report_call(n, self.system.intake_port, self.system.api_key) for n in numbers]

    def _cpu(self) -> dict[str, float]:
        return {**self.usage.cpu_seconds(), _MACHINE: machine_cpu_seconds()}

    async def _wal_bytes(self) -> int:
        conn = await asyncpg.connect(self.infrastructure.postgres.admin_url)
        try:
            return int(await conn.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"))
        finally:
            await conn.close()

    async def _complete(
        self,
        accepted: AcceptedReports,
        before: int,
        what: str,
        spent: Callable[[], Mapping[str, float]] = dict,
    ) -> Completion:
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task(f"{what}: points granted", total=len(accepted.at))
            return await wait_until_complete(
                self.probe, self.lag, accepted.at, before, spent, lambda done: progress.update(task, completed=done)
            )


_MACHINE = "the whole machine"


def _minus(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: value - before[name] for name, value in after.items()}


@asynccontextmanager
async def loaded_system(
    console: Console,
    infrastructure: Infrastructure,
    prefix: str,
    *,
    tracing: Mapping[str, str] | None = None,
    connections: int = 64,
    launcher: str = RUNTIME,
    in_turn: bool = False,
) -> AsyncIterator[LoadedSystem]:
    """Start four services and the partner on topics and databases of this prefix, for the length of the block."""
    own = replace(infrastructure, prefix=prefix)
    urls = await prepare(own, PARTITIONS)
    with Supervisor(BENCH_LOGS / (prefix or "main")) as supervisor:
        system = await asyncio.to_thread(lambda: start(supervisor, own, urls, tracing, launcher, in_turn=in_turn))
        servers = {"kafka": own.broker.pid, "postgres": own.postgres.pid}
        usage = ResourceUsage({**system.pids(), **servers, "driver": os.getpid()})
        probe = await DatabaseProbe.open(urls)
        lag = ConsumerLag(own.broker.bootstrap_servers, own.topic_prefix, FINAL_SUBSCRIPTIONS)
        try:
            async with usage.sampling():
                loaded = LoadedSystem(console, own, urls, system, usage, probe, lag, connections=connections)
                loaded.seconds_to_ready = system.seconds_to_ready
                yield loaded
        finally:
            await lag.close()
            await probe.close()
            await asyncio.to_thread(supervisor.stop)
