"""Records written and read as by a partner: plain aiokafka, plain JSON."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from libs.common.events.envelope import Payload
from libs.common.events.registry import encode, event_class

Headers = list[tuple[str, bytes | None]]
Wanted = tuple[str, str | None, bytes | None, Headers]


def event_bytes(payload: Payload, event_id: str | None = None, source: str = "/test") -> bytes:
    """Return one event in its wire format."""
    event = event_class(type(payload)).model_validate(
        {"id": event_id or str(uuid4()), "source": source, "type": payload.TYPE, "time": datetime.now(UTC),
         "data": payload}
    )  # fmt: skip
    return encode(event)


async def publish(kafka: str, records: Sequence[Wanted]) -> None:
    """Write records in order: topic, key, value, headers."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        sent = [
            await producer.send(topic, value, key=key.encode() if key else None, headers=headers)
            for topic, key, value, headers in records
        ]
        for one in sent:
            await one
    finally:
        await producer.stop()


async def read_all(kafka: str, topic: str) -> list[Any]:
    """Return every record of a topic up to now, in order per partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        found: list[Any] = []
        partitions = [TopicPartition(topic, number) for number in await consumer_partitions(consumer, topic)]
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning(*partitions)
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(records)
        return found
    finally:
        await consumer.stop()


async def consumer_partitions(consumer: Any, topic: str) -> set[int]:
    await consumer._client.force_metadata_update()
    return consumer.partitions_for_topic(topic) or {0}


async def read_json(kafka: str, topic: str) -> list[dict[str, Any]]:
    return [json.loads(record.value) for record in await read_all(kafka, topic)]
