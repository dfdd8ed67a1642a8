"""The price of replicas: one, two and four processes of intake drain the same backlog of order events.

Compared is the CPU per event of the replicas, Kafka and Postgres together. Throughput would say how many cores the
machine has.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace

from rich.console import Console

from deploy.demo.system import Infrastructure, prepare
from deploy.local.processes import Supervisor
from libs.common.messaging.create_topics import PARTITIONS
from tests.bench.completion import wait_until_orders_are_known
from tests.bench.environment import BENCH_LOGS
from tests.bench.load import publish_orders
from tests.bench.resource_usage import ResourceUsage
from tests.bench.system import bench_environment, start_service, wait_until_started

ROUNDS = (1, 2, 4, 4, 2, 1)

WARM_UP = 300
"""Orders before the measurement: the first events of a process cost it query plans and decoders."""


async def measure(console: Console, infrastructure: Infrastructure, orders: int) -> Mapping[str, float]:
    """CPU per event with two and with four replicas, as ratios to that with one."""
    spent = dict.fromkeys(ROUNDS, 0.0)
    for number, count in enumerate(ROUNDS):
        own = replace(infrastructure, prefix=f"replicas{number}")
        cpu, seconds = await _drain(own, count, orders)
        console.print(f"{count} of intake: {3 * orders / seconds:,.0f} order events/s", highlight=False)
        spent[count] += cpu
    return {str(count): spent[count] / spent[1] for count in (2, 4)}


async def _drain(infrastructure: Infrastructure, count: int, orders: int) -> tuple[float, float]:
    """CPU and elapsed seconds. The replicas have joined and are frozen while the backlog is written."""
    databases = await prepare(infrastructure, PARTITIONS)
    servers, prefix = infrastructure.broker.bootstrap_servers, infrastructure.topic_prefix
    environment, database = bench_environment(infrastructure, "k" * 32), databases["intake"]
    with Supervisor(BENCH_LOGS / infrastructure.prefix) as supervisor:
        replicas = [start_service(supervisor, environment, "intake", database, replica=f"-{n}") for n in range(count)]
        for process in replicas:
            await asyncio.to_thread(wait_until_started, process)
        await publish_orders(servers, prefix, WARM_UP)
        await wait_until_orders_are_known(servers, prefix, ("intake",))
        for process in replicas:
            await asyncio.to_thread(process.child.pause)
        await publish_orders(servers, prefix, orders, WARM_UP)
        pids = {process.name: process.pid for process in replicas}
        usage = ResourceUsage({**pids, "kafka": infrastructure.broker.pid, "postgres": infrastructure.postgres.pid})
        cpu, begin = sum(usage.cpu_seconds().values()), time.perf_counter()
        for process in replicas:
            process.child.resume()
        await wait_until_orders_are_known(servers, prefix, ("intake",))
        result = sum(usage.cpu_seconds().values()) - cpu, time.perf_counter() - begin
        await asyncio.to_thread(supervisor.stop)
    return result
