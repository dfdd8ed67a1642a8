"""What stands between a FastStream subscriber and a consumer: rebalances that wait, gaps that are told, leaks that are
stopped.

aiokafka hands partitions over without waiting for the batch under way. The inbox keeps that from doing harm; the wait
here keeps it from doing work twice. Where a consumer was away for longer than its topic is kept, Kafka goes on with
the earliest record that is left, without a word: so the first record after each assignment is held against the offset
that was committed.
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
"""See `pace`."""

DRAIN_SECONDS = 20.0
"""How long a rebalance is held up for a batch under way; well below the group's rebalance timeout."""


@dataclass(eq=False)
class DrainingListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Of one subscription. `subscriber` is set once there is one."""

    topic: str
    handle_batch: HandleBatch
    counters: Counters
    subscriber: Any = None
    processed: dict[TopicPartition, int] = field(default_factory=dict)
    """The offset behind the last record of each partition that was taken, to its end."""
    joined: bool = False
    """Whether the group has told it its share, which is empty where there are more processes than partitions."""
    interval: MinInterval = field(default_factory=lambda: MinInterval(SECONDS_BETWEEN_BATCHES))
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _fresh: set[TopicPartition] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._idle.set()

    @property
    def consumer(self) -> Any:
        return getattr(self.subscriber, "consumer", None)

    async def handle(self, records: Records) -> None:
        """Take a batch, and ask for the next in a while where it was a small one (see `pace`).

        Of a leaked cancellation an error is made, for it would end the consume loop for ever.
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
        """Finish the batch under way before somebody else gets these."""
        self.joined = False
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            log.warning("%s: a batch under way outlived a rebalance; it may be taken by somebody else too", self.topic)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self._fresh = set(assigned)
        self.joined = True

    async def _detect_gaps(self, records: Records) -> None:
        """Say loudly what retention took before we came to it; nobody can bring it back."""
        firsts: dict[TopicPartition, int] = {}
        for record in records:
            firsts.setdefault(TopicPartition(record.topic, record.partition), record.offset)
        for place in self._fresh.intersection(firsts):
            self._fresh.discard(place)
            committed = await self.subscriber.consumer.committed(place)
            if committed is not None and firsts[place] > committed:
                count = firsts[place] - committed
                self.counters.add("lost_to_retention", self.topic, count)
                log.error("%s: %d records were gone before they were read; retention is too short", place, count)
