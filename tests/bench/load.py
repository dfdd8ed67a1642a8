"""Two kinds of load: a flood over a bounded number of connections, and a steady rate."""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer

from deploy.local.command_line import CommandError
from libs.common.events.topics import STOREFRONT_ORDERS
from tests.bench.http import ConnectionPool, connect
from tests.bench.orders import order_records


class ReportRefusedError(CommandError):
    """Intake refused a valid report; the message is its answer."""


@dataclass
class AcceptedReports:
    """Issue ids with the time of their 202 and that of their schedule (`time.perf_counter`)."""

    at: dict[str, float] = field(default_factory=dict)
    due: dict[str, float] = field(default_factory=dict)

    def record(self, answer: tuple[int, bytes], due: float) -> None:
        status, body = answer
        moment = time.perf_counter()
        if status != 202:
            raise ReportRefusedError(f"POST /v1/issues answered {status}: {body.decode(errors='replace')[:500]}")
        issue_id = json.loads(body)["issue_id"]
        self.at[issue_id], self.due[issue_id] = moment, due


async def publish_orders(bootstrap_servers: str, prefix: str, count: int, first: int = 0) -> None:
    """Publish `count` orders, each placed, shipped and delivered, pipelined."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", max_batch_size=512 * 1024)
    await producer.start()
    try:
        for begin in range(first, first + count, 500):
            numbers = range(begin, min(begin + 500, first + count))
            topic = prefix + STOREFRONT_ORDERS.name
            sent = [await producer.send(topic, value, key=key) for key, value in order_records(numbers)]
            await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def flood(port: int, calls: Iterable[bytes], connections: int) -> AcceptedReports:
    """Each connection sends its next call after its last answer. Raises `ReportRefusedError`."""
    accepted, todo = AcceptedReports(), iter(calls)

    async def work() -> None:
        connection = await connect(port)
        try:
            for call in todo:
                due = time.perf_counter()
                accepted.record(await connection.call(call), due)
        finally:
            connection.close()

    with _first_error():
        async with asyncio.TaskGroup() as workers:
            for _ in range(connections):
                workers.create_task(work())
    return accepted


async def steady_load(
    port: int, calls: Iterable[bytes], per_second: float, connections: int, accepted: AcceptedReports
) -> None:
    """Open loop: each call leaves at its time, however long earlier ones take. Raises `ReportRefusedError`."""
    pool = ConnectionPool(port, connections)
    begin = time.perf_counter()

    async def send(call: bytes, due: float) -> None:
        accepted.record(await pool.call(call), due)

    try:
        with _first_error():
            async with asyncio.TaskGroup() as sending:
                for number, call in enumerate(calls):
                    due = begin + number / per_second
                    await asyncio.sleep(max(0.0, due - time.perf_counter()))
                    sending.create_task(send(call, due))
    finally:
        pool.close()


@contextmanager
def _first_error() -> Iterator[None]:
    """Raise the first error of a group."""
    try:
        yield
    except ExceptionGroup as group:
        raise group.exceptions[0] from group
