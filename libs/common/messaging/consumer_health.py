"""Whether a consumer is alive, judged by its progress and not by its ping.

A FastStream consumer can be dead while the connection is well: the fetch task has ended, the heartbeat was lost, or the
consume loop is gone. aiokafka does not tell, so its tasks are looked at; a version without them counts as healthy.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from libs.common.messaging.rebalance import DrainingListener

STALLED_AFTER = 120.0
"""Seconds without movement, with records waiting, after which a consumer counts as stuck."""


@dataclass
class ConsumerHealth:
    """Watches one FastStream subscriber, through the reader before its handler."""

    topic: str
    listener: DrainingListener
    _position: int = -1
    _moved_at: float = field(default_factory=time.monotonic)

    @property
    def consumer(self) -> Any:
        return self.listener.consumer

    def is_assigned(self) -> bool:
        """Whether it has its share of the partitions, which is none where other processes have them all."""
        if not self.consumer:
            return False
        return bool(self.consumer.assignment()) or (self.listener.joined and self._is_there())

    def _is_there(self) -> bool:
        """Whether the consumer knows of its topic; a share of none says nothing before that."""
        return all(map(self.consumer.partitions_for_topic, self.consumer.subscription()))

    def lag(self) -> int:
        """Records known to the consumer and not yet taken."""
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
        """By partition the offset behind the last record that was taken to its end; what was only fetched is not."""
        return {place.partition: offset for place, offset in self.listener.processed.items()}

    def fault(self) -> str | None:
        """Why this consumer is not alive any more, or None."""
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
