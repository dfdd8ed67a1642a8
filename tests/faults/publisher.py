"""A Kafka publisher that retries: an unacknowledged record is sent again under the same event id."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from libs.common.events.envelope import Payload
from libs.common.events.registry import encode, event_class, schema_name

SEND_SECONDS = 20.0
Headers = Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, slots=True)
class OutgoingRecord:
    """A record: topic without its prefix, key, value, headers."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def record_of(
    payload: Payload, event_id: str, source: str, time: object, headers: Headers = (), key: bytes | None = None
) -> OutgoingRecord:
    """The record of an event; `key` is that of the record it answers, or its own."""
    event = event_class(type(payload)).model_validate(
        {
            "id": event_id,
            "source": source,
            "type": payload.TYPE,
            "subject": payload.subject,
            "time": time,
            "dataschema": schema_name(type(payload)),
            "data": payload,
        }
    )
    return OutgoingRecord(payload.TOPIC.name, key or payload.key.encode(), encode(event), headers)


class RetryingPublisher:
    """One producer for all; a broken one is replaced."""

    def __init__(self, servers: str, prefix: str) -> None:
        self._servers, self._prefix = servers, prefix
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self.retries = 0

    async def publish(self, record: OutgoingRecord) -> None:
        """Retry until acknowledged; the record may then be on the topic twice."""
        while True:
            producer = await self._open()
            try:
                async with asyncio.timeout(SEND_SECONDS):
                    acknowledged = await producer.send(
                        self._prefix + record.topic, record.value, key=record.key, headers=list(record.headers)
                    )
                    await acknowledged
                return
            except (KafkaError, OSError, TimeoutError):
                self.retries += 1
                await self._close(producer)

    async def _open(self) -> AIOKafkaProducer:
        async with self._lock:
            while self._producer is None:
                producer = AIOKafkaProducer(bootstrap_servers=self._servers, acks="all", request_timeout_ms=10_000)
                try:
                    await producer.start()
                    self._producer = producer
                except (KafkaError, OSError):
                    await producer.stop()
                    await asyncio.sleep(0.5)
            return self._producer

    async def _close(self, broken: AIOKafkaProducer) -> None:
        async with self._lock:
            is_in_use = self._producer is broken
            if is_in_use:
                self._producer = None
                with suppress(Exception):  # it may be in any state and is discarded
                    async with asyncio.timeout(3):
                        await broken.stop()
        await asyncio.sleep(0.2)

    async def stop(self) -> None:
        if self._producer is not None:
            await self._close(self._producer)
