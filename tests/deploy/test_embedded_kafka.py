"""The embedded broker keeps what clients of Kafka rely on; the same tests run on Apache Kafka, which is right."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from deploy.local.kafka import broker

PARTITIONS = 6


@pytest.fixture(scope="module", params=[pytest.param("apache", marks=pytest.mark.apache), "embedded"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(request.param, heap_mb=256, log=tmp_path_factory.mktemp("logs") / "kafka.log") as running:
        yield running.bootstrap_servers


@pytest.fixture
async def topic(servers: str) -> str:
    name = f"test-{uuid4().hex[:8]}"
    async with admin_of(servers) as admin:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    return name


@asynccontextmanager
async def admin_of(servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@asynccontextmanager
async def producer_of(servers: str, **options: Any) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all", **options)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@asynccontextmanager
async def consumer_of(servers: str, *topics: str, **options: Any) -> AsyncIterator["AIOKafkaConsumer[bytes, bytes]"]:
    consumer: AIOKafkaConsumer[bytes, bytes] = AIOKafkaConsumer(
        *topics, bootstrap_servers=servers, auto_offset_reset="earliest", **options
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def send(servers: str, topic: str, numbers: range, **options: Any) -> None:
    async with producer_of(servers, **options) as producer:
        sent = [await producer.send(topic, b"%d" % each, key=b"key-%d" % (each % 10)) for each in numbers]
        await asyncio.gather(*sent)


async def read(consumer: "AIOKafkaConsumer[bytes, bytes]", count: int) -> list[Any]:
    """The next records, as soon as there are so many."""
    found: list[Any] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
    return found


@pytest.mark.parametrize("options", [{}, {"compression_type": "lz4"}, {"enable_idempotence": True}], ids=str)
async def test_every_record_is_read_once_and_in_order_per_key(
    servers: str, topic: str, options: dict[str, Any]
) -> None:
    async with consumer_of(servers, topic, group_id=f"{topic} {options}") as consumer:
        for start in range(0, 500, 100):
            await send(servers, topic, range(start, start + 100), **options)
        records = await read(consumer, 500)
    for key in range(10):
        mine = [int(record.value) for record in records if record.key == b"key-%d" % key]
        assert mine == list(range(key, 500, 10))


async def test_a_waiting_consumer_gets_a_record_long_before_its_wait_is_over(servers: str, topic: str) -> None:
    async with consumer_of(servers, topic, fetch_max_wait_ms=20_000) as consumer:
        await consumer.getmany(timeout_ms=200)
        await send(servers, topic, range(1))
        assert len(await read(consumer, 1)) == 1


async def test_a_group_goes_on_from_what_it_committed(servers: str, topic: str) -> None:
    await send(servers, topic, range(100))
    async with consumer_of(servers, topic, group_id=topic, enable_auto_commit=False) as first:
        await read(first, 100)
        await first.commit()
    await send(servers, topic, range(100, 150))
    async with consumer_of(servers, topic, group_id=topic, enable_auto_commit=False) as second:
        values = sorted(int(record.value) for record in await read(second, 50))
    assert values == list(range(100, 150))
    async with admin_of(servers) as admin:
        committed = await admin.list_consumer_group_offsets(topic)
    assert sum(found.offset for found in committed.values()) == 100


async def test_members_of_a_group_share_the_partitions_and_a_leaving_one_hands_its_own_over(
    servers: str, topic: str
) -> None:
    quick = {"group_id": topic, "heartbeat_interval_ms": 100, "metadata_max_age_ms": 1_000}
    async with consumer_of(servers, topic, **quick) as stays:
        async with consumer_of(servers, topic, **quick) as leaves:
            async with asyncio.timeout(20):
                while len(stays.assignment()) != PARTITIONS / 2 or len(leaves.assignment()) != PARTITIONS / 2:
                    await asyncio.gather(stays.getmany(timeout_ms=50), leaves.getmany(timeout_ms=50))
            assert not stays.assignment() & leaves.assignment()
        async with asyncio.timeout(20):
            while len(stays.assignment()) < PARTITIONS:
                await stays.getmany(timeout_ms=50)


async def test_offsets_are_found_by_their_end_their_beginning_and_their_time(servers: str, topic: str) -> None:
    await send(servers, topic, range(60))
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    async with consumer_of(servers) as consumer:
        assert sum((await consumer.end_offsets(partitions)).values()) == 60
        assert set((await consumer.beginning_offsets(partitions)).values()) == {0}
        written = await consumer.offsets_for_times(dict.fromkeys(partitions, 1))
        assert {found.offset for found in written.values() if found} == {0}
        assert set((await consumer.offsets_for_times(dict.fromkeys(partitions, 2**42))).values()) == {None}


async def test_a_topic_exists_once_and_is_gone_when_it_was_deleted(servers: str, topic: str) -> None:
    async with admin_of(servers) as admin:
        answer = await admin.create_topics([NewTopic(topic, 1, 1)])
        assert for_code(answer.topic_errors[0][1]) is TopicAlreadyExistsError
        await admin.delete_topics([topic])
        async with asyncio.timeout(10):
            while topic in await admin.list_topics():
                await asyncio.sleep(0.05)
