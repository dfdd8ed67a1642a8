"""Requests that test a client's rights on Kafka: each names every topic, and the broker answers for each."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, NoError, for_code
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

Ask = Callable[[Any], Awaitable[Any]]
"""Sends one request and returns the broker's answer."""


@asynccontextmanager
async def requests(servers: str, options: Mapping[str, Any]) -> AsyncIterator[Ask]:
    client = AIOKafkaClient(bootstrap_servers=servers, **options)
    await client.bootstrap()
    try:
        yield lambda request: client.send(client.get_random_node(), request)
    finally:
        await client.close()


async def try_to_write(ask: Ask, names: list[str]) -> dict[str, type[Exception]]:
    batch = DefaultRecordBatchBuilder(2, 0, False, -1, -1, 0, 10_000)
    batch.append(0, None, b"key", b"value", [])
    records = bytes(batch.build())
    answer = await ask(ProduceRequest(None, -1, 5_000, [(name, [(0, records)]) for name in names]))
    return {name: for_code(parts[0][1]) for name, parts in answer.topics}


async def try_to_read(ask: Ask, names: list[str]) -> dict[str, type[Exception]]:
    answer = await ask(FetchRequest(0, 0, 1_000_000, 0, [(name, [(0, 0, 1_000_000)]) for name in names]))
    return {name: for_code(parts[0][1]) for name, parts in answer.topics}


async def may_join(ask: Ask, group: str) -> bool:
    """The broker may still have to create its topic of offsets, and reports that to clients with the right."""
    error = for_code((await ask(FindCoordinatorRequest(group, 0))).error_code)
    assert error in (NoError, CoordinatorNotAvailableError, GroupAuthorizationFailedError)
    return error is not GroupAuthorizationFailedError
