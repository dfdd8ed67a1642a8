"""Rebalance listener that drains the running batch, detects gaps from retention, and contains leaked cancellations.

aiokafka revokes partitions without waiting for the running batch. The inbox makes that harmless; the wait here avoids
double work. After a downtime longer than the topic's retention, Kafka silently continues at the earliest record that is
left, so the first record after each assignment is compared with the committed offset.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition

from libs.common.messaging.throttle import MinInterval
from libs.common.telemetry.counters import Counters

log = logging.getLogger(__name__)

Records = Sequence["ConsumerRecord[Any, Any]"]
HandleBatch = Callable[[Records], Awaitable[None]]

SECONDS_BETWEEN_BATCHES = 0.01
"""See `throttle`."""

DRAIN_SECONDS = 20.0
"""Maximum time for which a rebalance waits for the running batch; well below the group's rebalance timeout."""


@dataclass(eq=False)
class DrainingListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Listener and batch handler of one subscription. `subscriber` is set after FastStream created it."""

    topic: str
    handle_batch: HandleBatch
    counters: Counters
    subscriber: Any = None
    processed: dict[TopicPartition, int] = field(default_factory=dict)
    """Next offset after the last processed record, by partition."""
    joined: bool = False
    """True once partitions are assigned; none where there are more processes than partitions."""
    interval: MinInterval = field(default_factory=lambda: MinInterval(SECONDS_BETWEEN_BATCHES))
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _fresh: set[TopicPartition] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._idle.set()

    @property
    def consumer(self) -> Any:
        return getattr(self.subscriber, "consumer", None)

    async def handle(self, records: Records) -> None:
        """Process a batch, then wait for the minimum interval (see `throttle`).

        A leaked cancellation is turned into an error; it would end the consume loop.
        """
        self._idle.clear()
        self.interval.start()
        try:
            if self._fresh:
                await self._detect_gaps(records)
            await self.handle_batch(records)
            lasts = {each.partition: each for each in records}
            self.processed.update({TopicPartition(each.topic, part): each.offset + 1 for part, each in lasts.items()})
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise RuntimeError(f"{self.topic}: a cancelled inner task leaked out of the handler") from None
        finally:
            self._idle.set()
        await self.interval.wait()

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Wait for the running batch before the partitions are revoked."""
        self.joined = False
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.warning("batch still running at rebalance topic=%s; its records may be redelivered", self.topic)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._fresh = set(assigned)
        self.joined = True

    async def _detect_gaps(self, records: Records) -> None:
        """Log and count records that retention deleted before they were read."""
        firsts: dict[TopicPartition, int] = {}
        for record in records:
            firsts.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for partition in self._fresh.intersection(firsts):
            self._fresh.discard(partition)
            committed = await self.subscriber.consumer.committed(partition)
            if committed is not None and firsts[partition] > committed:
                count = firsts[partition] - committed
                self.counters.add("lost_to_retention", self.topic, count)
                log.error("lost records to retention partition=%s count=%d; retention is too short", partition, count)
