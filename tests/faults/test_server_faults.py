"""Faults of servers really hit: each fsync of a real Postgres waits and is counted, and Kafka gets a partition."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import postgres
from tests.faults.server_faults import add_partition_to
from tests.faults.slow_fsync import NoCompilerError, SlowFsync
from tests.running import eventually

WAIT_SECONDS = 0.3


@pytest.fixture
def slow() -> Iterator[SlowFsync]:
    try:
        built = SlowFsync.build()
    except NoCompilerError as error:
        pytest.skip(str(error))
    yield built
    built.remove()


async def commit_seconds(url: str) -> float:
    conn = await asyncpg.connect(url)
    try:
        begin = time.monotonic()
        await conn.execute("CREATE TABLE IF NOT EXISTS rows (); INSERT INTO rows DEFAULT VALUES")
        return time.monotonic() - begin
    finally:
        await conn.close()


@pytest.mark.timeout(120)
async def test_commits_wait_for_a_slow_fsync_and_each_wait_is_counted(slow: SlowFsync, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(postgres.server(log=tmp_path / "postgres.log", environ={}))
        server.own_process.env.update(slow.environ)
        server.stop()
        server.start()
        await commit_seconds(server.admin_url)
        assert slow.waited == 0
        slow.wait(WAIT_SECONDS)
        assert await commit_seconds(server.admin_url) >= WAIT_SECONDS
        assert slow.waited > 0
        slow.wait(0)
        waited = slow.waited
        await commit_seconds(server.admin_url)
        assert slow.waited == waited


@pytest.mark.apache
async def test_a_topic_gets_one_partition_more(kafka: str, topics: str) -> None:
    name = f"{topics}warehouse.events"
    before = await partitions(kafka, name)
    assert await add_partition_to(kafka, name)

    async def has_one_more() -> bool:
        return await partitions(kafka, name) == before + 1

    await eventually(has_one_more, "the partition is known", seconds=20, every=0.2)


async def test_no_partition_is_added_where_kafka_does_not_answer() -> None:
    assert not await add_partition_to("127.0.0.1:1", "warehouse.events")


async def partitions(servers: str, name: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        [found] = await admin.describe_topics([name])
        return len(found["partitions"])
    finally:
        await admin.close()
