"""Reads topics from their beginning despite broker faults, and yields each event once."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from libs.common.events.envelope import TRACE_HEADERS
from libs.common.events.topics import Topic
from libs.common.messaging.partitions import partitions_of

ASSIGN_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class TopicEvent:
    """An event as JSON, its trace headers, and the key of its record."""

    type: str
    data: dict[str, Any]
    id: str
    trace: list[tuple[str, bytes | None]]
    key: bytes | None = None


@dataclass
class Listener:
    """`lag` counts unread records, as of the last fetch."""

    servers: str
    prefix: str
    topics: Sequence[Topic]
    lag: int = 0
    _offsets: dict[TopicPartition, int] = field(default_factory=dict)
    _assign_at: float = 0.0
    _seen: set[tuple[str, str]] = field(default_factory=set)

    async def listen(self) -> AsyncIterator[TopicEvent]:
        """Yield events without end; a broken consumer is replaced and continues at its offset."""
        while True:
            consumer = AIOKafkaConsumer(
                bootstrap_servers=self.servers, auto_offset_reset="earliest", enable_auto_commit=False
            )
            try:
                await consumer.start()
                while True:
                    await self._assign_new(consumer)
                    for event in await self._fetch(consumer):
                        yield event
            except (KafkaError, OSError, asyncio.CancelledError):
                _raise_if_cancelled()
                await asyncio.sleep(0.3)
            finally:
                with suppress(Exception, asyncio.CancelledError):  # it may be in any state and is discarded
                    await consumer.stop()
            _raise_if_cancelled()

    async def _assign_new(self, consumer: Any) -> None:
        """Assign all partitions, and again when there are more; asks the broker every `ASSIGN_SECONDS`."""
        now = time.monotonic()
        if consumer.assignment() and now < self._assign_at:
            return
        self._assign_at = now + ASSIGN_SECONDS
        found = await partitions_of(consumer, self.topics, self.prefix)
        if set(found) != consumer.assignment():
            consumer.assign(found)
            for partition, offset in self._offsets.items():
                consumer.seek(partition, offset)

    async def _fetch(self, consumer: Any) -> list[TopicEvent]:
        batches = await consumer.getmany(timeout_ms=200)
        events = []
        for partition, records in batches.items():
            self._offsets[partition] = records[-1].offset + 1
            events += [event for record in records if (event := self._read(record))]
        self.lag = sum(
            (consumer.highwater(partition) or 0) - self._offsets.get(partition, 0)
            for partition in consumer.assignment()
        )
        return events

    def _read(self, record: Any) -> TopicEvent | None:
        try:
            event = json.loads(record.value or b"")
            name = event["source"], event["id"]
            topic_event = TopicEvent(
                event["type"].removesuffix(".v1"), event["data"], event["id"], _trace(record), record.key
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if name in self._seen:
            return None
        self._seen.add(name)
        return topic_event


def _raise_if_cancelled() -> None:
    """Raise `CancelledError` if this task is to end: aiokafka raises it also where a connection was lost."""
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError


def _trace(record: Any) -> list[tuple[str, bytes | None]]:
    return [(name, value) for name, value in record.headers if name in TRACE_HEADERS]
