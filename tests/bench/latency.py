"""Latency from the 202 until the order to the warehouse can be read from its topic.

Both ends are observed by the benchmark's process, so one clock measures. A record may be readable before the 202 was
read, which counts as 0. Each partition has its own consumer: a single one would leave a partition out of the fetch in
progress, and measure its own wait.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from math import ceil

from aiokafka import AIOKafkaConsumer

from libs.common.events.topics import WAREHOUSE_ORDERS
from libs.common.messaging.partitions import partitions_of


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value with at least this share of values up to it (nearest rank)."""
    if not values:
        raise ValueError("values: empty; a percentile needs at least one")
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def latencies_ms(since: Mapping[str, float], until: Mapping[str, float]) -> list[float]:
    """Milliseconds between both times, for every id with both."""
    return [max(0.0, until[key] - moment) * 1000 for key, moment in since.items() if key in until]


@contextlib.asynccontextmanager
async def readable(bootstrap_servers: str, prefix: str) -> AsyncIterator[dict[str, float]]:
    """Yields a mapping, kept up to date, of the first read of each issue's order to the warehouse."""
    seen: dict[str, float] = {}
    async with contextlib.AsyncExitStack() as stack:
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap_servers) as consumer:
            partitions = await partitions_of(consumer, [WAREHOUSE_ORDERS], prefix)
        for partition in partitions:
            consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=None)
            consumer.assign([partition])
            await consumer.start()
            stack.push_async_callback(consumer.stop)
            await consumer.seek_to_end(partition)
            stack.push_async_callback(_cancel, asyncio.create_task(_read(consumer, seen)))
        yield seen


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _read(consumer: AIOKafkaConsumer, seen: dict[str, float]) -> None:
    while True:
        batches = await consumer.getmany(timeout_ms=1_000)
        moment = time.perf_counter()
        for records in batches.values():
            for record in records:
                seen.setdefault(json.loads(record.value)["subject"], moment)
