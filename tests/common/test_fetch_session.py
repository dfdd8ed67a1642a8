"""Fetch sessions of a consumer on a real broker: what is asked, what is answered, and a session that is lost."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v4, FetchRequest_v11

from deploy.local import kafka as brokers
from libs.common.messaging.create_topics import create_topics
from libs.common.messaging.fetch_session import FetchSession, use_fetch_sessions
from tests.running import eventually

PARTITIONS = 6
TOPICS = ("storefront.orders", "warehouse.events")


@dataclass
class Traffic:
    """A consumer of two topics with all fetches that it sent, as they went over the wire, and their answers."""

    consumer: Any
    producer: Any
    prefix: str
    asked: list[Any] = field(default_factory=list)
    answered: list[Any] = field(default_factory=list)
    sent: int = 0

    def observe(self) -> None:
        right = self.consumer._client.send

        async def send(node_id: int, request: Any, **options: Any) -> Any:
            if isinstance(request, FetchRequest):
                build = request.build

                def built(struct: Any) -> Any:
                    self.asked.append(build(struct))
                    return self.asked[-1]

                request.build = built
            response = await right(node_id, request, **options)
            if isinstance(request, FetchRequest):
                self.answered.append(response)
            return response

        self.consumer._client.send = send

    async def publish(self, count: int, topic: str = TOPICS[0], partition: int = 0) -> list[bytes]:
        values = [str(self.sent + number).encode() for number in range(count)]
        self.sent += count
        for value in values:
            await self.producer.send_and_wait(self.prefix + topic, value, partition=partition)
        return values

    async def read(self, values: Iterable[bytes]) -> list[bytes]:
        """Read until as many records came; fails after the test's time limit."""
        wanted, found = list(values), list[bytes]()
        while len(found) < len(wanted):
            polled = await self.consumer.getmany(timeout_ms=500)
            found += [record.value for records in polled.values() for record in records]
        return sorted(found, key=int)


@asynccontextmanager
async def traffic(servers: str, prefix: str) -> AsyncIterator[Traffic]:
    async with (
        AIOKafkaProducer(bootstrap_servers=servers) as producer,
        AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", fetch_max_wait_ms=100) as consumer,
    ):
        consumer.assign([TopicPartition(prefix + topic, n) for topic in TOPICS for n in range(PARTITIONS)])
        observed = Traffic(consumer, producer, prefix)
        observed.observe()
        use_fetch_sessions(consumer)
        yield observed


@pytest.fixture
async def fetching(kafka: str, topics: str) -> AsyncIterator[Traffic]:
    """A consumer that has read a record of each topic within its session."""
    async with traffic(kafka, topics) as observed:
        for topic in TOPICS:
            values = await observed.publish(1, topic)
            assert await observed.read(values) == values
        observed.asked.clear()
        observed.answered.clear()
        yield observed


def partitions(topics: Any) -> int:
    return sum(len(named) for _, named in topics)


pytestmark = [pytest.mark.apache, pytest.mark.timeout(60)]


async def test_requests_and_answers_name_only_partitions_with_news(fetching: Traffic) -> None:
    assert await fetching.read(await fetching.publish(1)) == [b"2"]
    assert max(partitions(request.topics) for request in fetching.asked) <= 1
    assert max(partitions(response.topics) for response in fetching.answered) == 1


async def test_every_record_of_every_partition_arrives(fetching: Traffic) -> None:
    values: list[bytes] = []
    for turn in range(5):
        for topic in TOPICS:
            for partition in range(PARTITIONS):
                values += await fetching.publish(1 + turn % 2, topic, partition)
        assert await fetching.read(values) == values
        values.clear()


async def test_a_paused_partition_is_forgotten_and_read_from_where_it_stood(fetching: Traffic) -> None:
    async def is_forgotten() -> bool:
        return any(partitions(request.forgotten_topics_data) for request in fetching.asked)

    known = await fetching.publish(1)
    assert await fetching.read(known) == known
    paused = TopicPartition(fetching.prefix + TOPICS[0], 0)
    fetching.consumer.pause(paused)
    waiting = await fetching.publish(2)
    others = await fetching.publish(1, partition=1)
    assert await fetching.read(others) == others
    await eventually(is_forgotten, "a request names the paused partition as forgotten")
    fetching.consumer.resume(paused)
    assert await fetching.read(waiting) == waiting


async def test_records_are_read_again_after_a_seek(fetching: Traffic) -> None:
    values = await fetching.publish(3)
    assert await fetching.read(values) == values
    place = TopicPartition(fetching.prefix + TOPICS[0], 0)
    fetching.consumer.seek(place, 1)
    assert await fetching.read(values) == values


@pytest.mark.parametrize("field", ["session_id", "epoch"])
async def test_a_session_that_the_broker_does_not_know_is_replaced(
    fetching: Traffic, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[int] = []
    right = FetchSession.fetch

    async def fetch(self: FetchSession, *arguments: Any) -> Any:
        if not lost and self.session_id:
            lost.append(self.session_id)
            setattr(self, field, 77)
        return await right(self, *arguments)

    monkeypatch.setattr(FetchSession, "fetch", fetch)
    values = [*await fetching.publish(2), *await fetching.publish(2, TOPICS[1])]
    assert await fetching.read(values) == values
    assert any(response.error_code for response in fetching.answered)
    assert lost


async def test_a_fetch_that_fails_is_followed_by_a_full_one() -> None:
    session, request = FetchSession(), FetchRequest(500, 1, 1024, 0, [("orders", [(0, 5, 1024), (1, 7, 1024)])])

    async def unreachable(incremental: FetchRequest) -> Any:
        incremental.build(FetchRequest_v11)
        raise ConnectionError

    for _ in range(2):
        with pytest.raises(ConnectionError):
            await session.fetch(unreachable, request)
        assert (session.epoch, session.known) == (0, {})


async def test_a_broker_without_sessions_is_sent_every_partition() -> None:
    topics = [("orders", [(0, 5, 1024), (1, 7, 1024)])]
    session, sent = FetchSession(), list[Any]()

    async def send(incremental: FetchRequest) -> Any:
        sent.append(incremental.build(FetchRequest_v4))
        return object()

    for _ in range(2):
        await session.fetch(send, FetchRequest(500, 1, 1024, 0, topics))
    assert [request.topics for request in sent] == [topics, topics]


async def test_the_embedded_broker_which_has_no_sessions_is_read(tmp_path: Path) -> None:
    with brokers.broker("embedded", log=tmp_path / "kafka.log") as embedded:
        await create_topics(embedded.bootstrap_servers, partitions=PARTITIONS)
        async with traffic(embedded.bootstrap_servers, "") as observed:
            values = [*await observed.publish(2), *await observed.publish(1, TOPICS[1], 3)]
            assert await observed.read(values) == values
