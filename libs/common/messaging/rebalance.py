"""Reader of one service: handles a batch, commits its offsets, gives records back, and drains before a rebalance.

aiokafka revokes partitions without waiting for the running batch. The inbox makes that harmless; the wait here avoids
double work. After a downtime longer than the topic's retention, Kafka silently continues at the earliest record that is
left, so the first record after each assignment is compared with the committed offset.

Offsets are committed here and not by FastStream, which commits the positions of all assigned partitions after each
batch: with all topics of a service in one consumer that were hundreds of offsets for a batch of one record.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from libs.common.telemetry.counters import Counters

log = logging.getLogger(__name__)

Records = Sequence["ConsumerRecord[Any, Any]"]


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Records of a partition, from `offset` on, to be fetched again after `seconds`; None: not by this process."""

    partition: TopicPartition
    offset: int
    seconds: float | None


HandleBatch = Callable[[Records], Awaitable[Collection[GivenBack]]]

DRAIN_SECONDS = 20.0
"""Maximum time for which a rebalance waits for the running batch; well below the group's rebalance timeout."""

RETRY_SECONDS = 1.0
"""Pause of the partitions of a batch whose handler raised, which it does on a programming error only."""


@dataclass(eq=False)
class DrainingListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Listener and batch handler of one subscription. `subscriber` is set after FastStream created it."""

    prefix: str
    handle_batch: HandleBatch
    counters: Counters
    subscriber: Any = None
    processed: dict[TopicPartition, int] = field(default_factory=dict)
    """Next offset after the last processed record, by partition."""
    joined: bool = False
    """True once partitions are assigned; none where there are more processes than partitions."""
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _fresh: set[TopicPartition] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._idle.set()

    @property
    def consumer(self) -> Any:
        return getattr(self.subscriber, "consumer", None)

    async def handle(self, records: Records) -> None:
        """Process a batch and commit its offsets, except for records that were given back."""
        self._idle.clear()
        try:
            if self._fresh:
                await self._detect_gaps(records)
            given_back = await self._handle(records)
            done = {TopicPartition(each.topic, each.partition): each.offset + 1 for each in records}
            done |= {each.partition: each.offset for each in given_back}
            self.processed.update(done)
            self._give_back(given_back)
            await self._commit(done)
        except Exception:
            self._give_back([GivenBack(place, offset, RETRY_SECONDS) for place, offset in _firsts(records).items()])
            raise
        finally:
            self._idle.set()

    async def _handle(self, records: Records) -> Collection[GivenBack]:
        """Turn a leaked cancellation into an error; it would end the consume loop."""
        try:
            return await self.handle_batch(records)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise RuntimeError("a cancelled inner task leaked out of the handler") from None

    def _give_back(self, given_back: Collection[GivenBack]) -> None:
        """Seek back and pause these partitions; the others go on."""
        for each in given_back:
            if self.consumer and each.partition in self.consumer.assignment():
                self.consumer.seek(each.partition, each.offset)
                self.consumer.pause(each.partition)
                if each.seconds is not None:
                    asyncio.get_running_loop().call_later(each.seconds, self._resume, each.partition)

    def _resume(self, partition: TopicPartition) -> None:
        if self.consumer and partition in self.consumer.assignment():
            self.consumer.resume(partition)

    async def _commit(self, offsets: dict[TopicPartition, int]) -> None:
        """Commit offsets of partitions that are still assigned; a failed commit only means redelivery."""
        consumer = self.consumer
        try:
            if consumer and (mine := {each: at for each, at in offsets.items() if each in consumer.assignment()}):
                await consumer.commit(mine)
        except KafkaError as error:
            self.counters.add("commit_failed", type(error).__name__)
            log.warning("failed to commit offsets error=%s; the records will be redelivered", type(error).__name__)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Wait for the running batch before the partitions are revoked."""
        self.joined = False
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.warning("batch still running at rebalance; its records may be redelivered")

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._fresh = set(assigned)
        self.joined = True

    async def _detect_gaps(self, records: Records) -> None:
        """Log and count records that retention deleted before they were read."""
        firsts = _firsts(records)
        for partition in self._fresh.intersection(firsts):
            self._fresh.discard(partition)
            committed = await self.consumer.committed(partition)
            if committed is not None and firsts[partition] > committed:
                count = firsts[partition] - committed
                self.counters.add("lost_to_retention", partition.topic.removeprefix(self.prefix), count)
                log.error("lost records to retention partition=%s count=%d; retention is too short", partition, count)


def _firsts(records: Records) -> dict[TopicPartition, int]:
    """Return the first offset of each partition."""
    firsts: dict[TopicPartition, int] = {}
    for record in records:
        firsts.setdefault(TopicPartition(record.topic, record.partition), record.offset)
    return firsts
