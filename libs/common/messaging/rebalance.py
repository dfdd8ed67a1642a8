"""Reader of one service: handles a batch, commits its offsets, gives records back, and drains before a rebalance.

aiokafka revokes partitions without waiting for the running batch. The inbox makes that harmless; the wait here avoids
double work. After a downtime longer than the topic's retention, Kafka silently continues at the earliest record that is
left, so the first record after each assignment is compared with the committed offset.

Offsets are committed here and not by FastStream, which commits the positions of all assigned partitions after each
batch, and waits for the answer before the next poll. Here a commit follows within `COMMIT_SECONDS`, beside the next
batches; records repeated after a crash are known to the inbox.
"""

import asyncio
import logging
import time
from collections import Counter
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

SETTLED_SECONDS = 1.0
"""Time without a batch after which nothing that was fetched can still wait to be processed."""

LATE_SECONDS = 10.0
"""Age of a record from which its processing counts as late, in the service level of processing."""

COMMIT_SECONDS = 0.2
"""Maximum time between a batch and the commit of its offsets."""

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
    consumed: Counter[str] = field(default_factory=Counter)
    """Processed records by topic, with prefix."""
    late: Counter[str] = field(default_factory=Counter)
    """Those that were processed later than `LATE_SECONDS` after they were written."""
    closing: bool = False
    """True once the service stops: offsets are then committed before a batch ends."""
    joined: bool = False
    """True once partitions are assigned; none where there are more processes than partitions."""
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _idle_since: float = field(default_factory=time.monotonic)
    _fresh: set[TopicPartition] = field(default_factory=set)
    _uncommitted: dict[TopicPartition, int] = field(default_factory=dict)
    _committing: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self._idle.set()

    @property
    def consumer(self) -> Any:
        return getattr(self.subscriber, "consumer", None)

    def next_offset(self, partition: TopicPartition, position: int) -> int:
        """Return the next offset to process; `position` is that of the next fetch, which may be a batch ahead.

        After an assignment, and while no batch runs, the position is right: another process may have read on since this
        one lost the partition, and a batch from before the loss may have been recorded since.
        """
        settled = self._idle.is_set() and time.monotonic() - self._idle_since > SETTLED_SECONDS
        return position if settled or partition in self._fresh else self.processed.get(partition, position)

    async def handle(self, records: Records) -> None:
        """Process a batch; its offsets are committed soon, except for records that were given back."""
        self._idle.clear()
        try:
            if self._fresh:
                await self._detect_gaps(records)
            given_back = await self._handle(records)
            done = {TopicPartition(each.topic, each.partition): each.offset + 1 for each in records}
            done |= {each.partition: each.offset for each in given_back}
            self.processed.update(done)
            in_time = (time.time() - LATE_SECONDS) * 1000
            self.consumed.update([each.topic for each in records])
            self.late.update([each.topic for each in records if each.timestamp < in_time])
            self._give_back(given_back)
            self._uncommitted.update(done)
            if self.closing:
                await self.commit()
            elif not self._committing or self._committing.done():
                self._committing = asyncio.create_task(self._commit_soon(), name="offsets")
        except Exception:
            self._give_back([GivenBack(place, offset, RETRY_SECONDS) for place, offset in _firsts(records).items()])
            raise
        finally:
            self._idle_since = time.monotonic()
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

    async def close(self) -> None:
        """Commit what was processed, and from now on before each batch ends."""
        self.closing = True
        if self._committing:
            self._committing.cancel()
            await asyncio.wait([self._committing])
        await self.commit()

    async def _commit_soon(self) -> None:
        while self._uncommitted:
            await asyncio.sleep(COMMIT_SECONDS)
            await self.commit()

    async def commit(self) -> None:
        """Commit the offsets of processed records; if that fails, they are committed with the next ones."""
        offsets, self._uncommitted, consumer = self._uncommitted, {}, self.consumer
        try:
            if consumer and (mine := {each: at for each, at in offsets.items() if each in consumer.assignment()}):
                await consumer.commit(mine)
        except asyncio.CancelledError:
            self._uncommitted = offsets | self._uncommitted
            raise
        except KafkaError as error:
            self._uncommitted = offsets | self._uncommitted
            self.counters.add("commit_failed", type(error).__name__)
            log.warning("failed to commit offsets error=%s; retrying", type(error).__name__)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Wait for the running batch and commit before the partitions are revoked."""
        self.joined = False
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.warning("batch still running at rebalance; its records may be redelivered")
        await self.commit()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._fresh = set(assigned)
        self._uncommitted = {}
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
