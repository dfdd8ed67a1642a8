"""Consumer liveness by progress.

A FastStream consumer can be dead while its connection is healthy: the fetch task, the heartbeat or the consume loop has
ended. aiokafka does not report that, so its tasks are inspected; a version without them counts as healthy.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from libs.common.messaging.rebalance import DrainingListener

STALLED_AFTER = 120.0
"""Seconds without progress, with records waiting, after which a consumer is stalled."""


@dataclass
class ConsumerHealth:
    """Health of one FastStream subscriber."""

    topic: str
    listener: DrainingListener
    _position: int = -1
    _moved_at: float = field(default_factory=time.monotonic)

    @property
    def consumer(self) -> Any:
        return self.listener.consumer

    def is_assigned(self) -> bool:
        """Return whether partitions are assigned; possibly none, where other processes have them all."""
        if not self.consumer:
            return False
        return bool(self.consumer.assignment()) or (self.listener.joined and self._has_metadata())

    def _has_metadata(self) -> bool:
        """Return whether topic metadata has arrived; an empty assignment means nothing before that."""
        return all(map(self.consumer.partitions_for_topic, self.consumer.subscription()))

    def lag(self) -> int:
        """Return the number of records between position and high watermark."""
        lag, position = 0, 0
        for partition in self.consumer.assignment() if self.consumer else ():
            state = self.consumer._subscription.subscription.assignment.state_value(partition)
            if not state.has_valid_position:
                continue
            position += state.position
            lag += max(0, (self.consumer.highwater(partition) or 0) - state.position)
        if position != self._position or not lag:
            self._position, self._moved_at = position, time.monotonic()
        return lag

    def processed_offsets(self) -> dict[int, int]:
        """Return the next offset after the last processed record by partition; fetched records do not count."""
        return {partition.partition: offset for partition, offset in self.listener.processed.items()}

    def fault(self) -> str | None:
        """Return the fault of a dead consumer, or None."""
        if not self.consumer:
            return None
        fetcher = getattr(self.consumer, "_fetcher", None)
        coordinator = getattr(self.consumer, "_coordinator", None)
        for owner, name in ((fetcher, "_fetch_task"), (coordinator, "_coordination_task")):
            task = getattr(owner, name, None)
            if task is not None and task.done():
                return f"{self.topic}: {name.strip('_').replace('_', ' ')} has ended"
        if any(task.done() for task in getattr(self.listener.subscriber, "tasks", ())):
            return f"{self.topic}: consume loop has ended"
        if self.lag() and time.monotonic() - self._moved_at > STALLED_AFTER:
            return f"{self.topic}: no progress for {STALLED_AFTER:.0f} s"
        return None
