"""Control of running consumers: held batches, records of one partition, and what the services count."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer, TopicPartition

from libs.common.events.registry import AnyEvent
from libs.common.postgres.pool import Connection
from tests.common import sample_service, wire
from tests.running import Live, eventually


def shares(*lives: Live) -> list[int]:
    """Return how many partitions each has."""
    found = [live.service.kafka.health for live in lives]
    return [len(health.consumer.assignment()) if health and health.consumer else 0 for health in found]


def counted(live: Live, name: str, reason: str) -> int:
    return live.service.counters.values[name, reason]


class Held(sample_service.Tallies):
    """Aggregate whose loads wait until released: a consumer that hangs inside its transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go = asyncio.Event(), asyncio.Event()

    async def load(
        self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]
    ) -> dict[str, sample_service.Tally]:
        self.inside.set()
        await self.go.wait()
        return await super().load(conn, keys, events)


async def marks_are_waited_for(live: Live) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(await live.service.pool.fetchval(waiting))


async def write_to(kafka: str, place: TopicPartition, records: Sequence[wire.Wanted]) -> None:
    """Write to this partition regardless of keys; wait until its metadata is known."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:

        async def known() -> bool:
            await producer.client.force_metadata_update()
            return place.partition in await producer.partitions_for(place.topic)

        await eventually(known, f"{place} is known")
        for _, key, value, _ in records:
            await producer.send_and_wait(place.topic, value, key=(key or "").encode(), partition=place.partition)
    finally:
        await producer.stop()
