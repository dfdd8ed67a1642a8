"""The listener of a fault run goes on after its broker died, and reads partitions that are added."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import kafka
from deploy.local.kafka import Broker
from libs.common.events import topics
from libs.common.messaging.create_topics import create_topics
from tests.faults.listener import Listener
from tests.faults.publisher import OutgoingRecord, RetryingPublisher
from tests.faults.server_faults import add_partition_to
from tests.running import eventually

pytestmark = [pytest.mark.apache, pytest.mark.timeout(300), pytest.mark.xdist_group("faults")]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with kafka.broker("apache", log=tmp_path / "kafka.log") as running:
        yield running


def record(number: int) -> OutgoingRecord:
    event = {"source": "/test", "id": str(number), "type": "any.v1", "data": {}}
    return OutgoingRecord("issues", f"C-{number}".encode(), json.dumps(event).encode())


async def test_every_event_is_received_once_after_a_crash_and_with_an_added_partition(broker: Broker) -> None:
    await create_topics(broker.bootstrap_servers, "", partitions=2)
    listener = Listener(broker.bootstrap_servers, "", [topics.ISSUES, topics.NOTICES])
    publisher, received = RetryingPublisher(broker.bootstrap_servers, ""), list[int]()

    async def listen() -> None:
        async for event in listener.listen():
            received.append(int(event.id))

    async def publish(numbers: range) -> None:
        for number in numbers:
            await publisher.publish(record(number))

        async def complete() -> bool:
            return sorted(received) == list(range(numbers.stop))

        await eventually(complete, f"{numbers.stop} events are received", seconds=60, every=0.2)

    listening = asyncio.create_task(listen())
    await publish(range(5))
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    await publish(range(5, 10))
    assert await add_partition_to(broker.bootstrap_servers, "issues")
    await publisher.stop()  # a new producer knows the new partition
    await publish(range(10, 40))
    assert not listening.done()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await publisher.stop()
