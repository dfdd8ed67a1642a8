"""SIGTERM during a batch: the process finishes it, commits its offsets, and exits."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.local.ports import free_port
from deploy.local.processes import ServiceProcess, Supervisor
from libs.common.events.topics import consumer_group
from tests.common import wire
from tests.common.test_consumer import cancelled
from tests.common.test_traps_of_writers import WAITS
from tests.conftest import as_owner
from tests.deploy.compose_rules import DRAIN_SECONDS
from tests.running import API_KEYS, eventually

ENDED_BY_SIGTERM = (0, -signal.SIGTERM)


@pytest.fixture
def process(tally_database: str, kafka: str, topics: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    settings = {
        "database_url": tally_database,
        "kafka_bootstrap_servers": kafka,
        "kafka_topic_prefix": topics,
        "api_keys": API_KEYS,
        "kafka_session_timeout_ms": "6000",
    }
    environ = {name.upper(): str(value) for name, value in settings.items()}
    with Supervisor(tmp_path) as supervisor:
        yield supervisor.start(
            "tally", ["-m", "libs.common.runtime", "tests.common.sample_service"], environ, port=free_port()
        )


async def test_a_process_that_gets_sigterm_finishes_its_batch_acknowledges_it_and_ends_within_its_grace(
    process: ServiceProcess, tally_database: str, kafka: str, topics: str
) -> None:
    topic, owner = topics + "storefront.orders", await asyncpg.connect(as_owner(tally_database))

    async def started() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{process.url}/health/started")).status_code == 200
        except httpx.TransportError:
            return False

    async def under_way() -> bool:
        return bool(await owner.fetchval(WAITS) == "tallies")

    async def shutting_down() -> bool:
        return "Waiting for application shutdown" in process.child.log.read_text(encoding="utf-8")

    await eventually(started, "the process has its partitions", seconds=60)
    async with owner.transaction():
        await owner.execute("LOCK TABLE tallies IN EXCLUSIVE MODE")
        _, key, value, headers = cancelled("a", "one")
        await wire.publish(kafka, [(topic, key, value, headers)])
        await eventually(under_way, "the batch is in the middle of its transaction")
        os.kill(process.pid, signal.SIGTERM)
        await eventually(shutting_down, "the process shuts down")
        assert await under_way()
    assert await asyncio.to_thread(process.child.wait, DRAIN_SECONDS) in ENDED_BY_SIGTERM
    assert await owner.fetchval("SELECT body -> 'causes' FROM tallies WHERE key = 'a'") == '["one"]'
    assert await _acknowledged(kafka, consumer_group("loyalty", topics), topic) == 1
    await owner.close()


async def _acknowledged(kafka: str, group: str, topic: str) -> int:
    """Return the number of records of the topic that this group has committed."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in range(6)]
        consumer.assign(places)
        return sum([await consumer.committed(place) or 0 for place in places])
    finally:
        await consumer.stop()
