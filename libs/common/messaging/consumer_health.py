"""Consumer liveness by progress.

A FastStream consumer can be dead while its connection is healthy: the fetch task, the heartbeat or the consume loop has
ended. aiokafka does not report that, so its tasks are inspected; a version without them counts as healthy.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from aiokafka import TopicPartition

from libs.common.messaging.rebalance import DrainingListener

STALLED_AFTER = 120.0
"""Seconds without progress, with records waiting, after which a topic is stalled."""


@dataclass
class ConsumerHealth:
    """Health of the consumer of one service; `topics` without prefix."""

    topics: Collection[str]
    listener: DrainingListener
    _moved: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By topic the sum of positions and the time at which it last changed."""

    @property
    def consumer(self) -> Any:
        return self.listener.consumer

    def unassigned(self) -> list[str]:
        """Return the topics whose share is not known yet; a share may be empty where other processes have it all."""
        if not self.consumer:
            return list(self.topics)
        if self.listener.joined:
            return [topic for topic in self.topics if not self.consumer.partitions_for_topic(self._prefixed(topic))]
        assigned = {partition.topic for partition in self.consumer.assignment()}
        return [topic for topic in self.topics if self._prefixed(topic) not in assigned]

    def lag(self) -> dict[str, int]:
        """Return by topic the number of records between position and high watermark."""
        lags, positions = dict.fromkeys(self.topics, 0), dict.fromkeys(self.topics, 0)
        for partition, (position, written) in self.positions().items():
            topic = partition.topic.removeprefix(self.listener.prefix)
            positions[topic] += position
            lags[topic] += max(0, written - position)
        now = time.monotonic()
        for topic, position in positions.items():
            if not lags[topic] or self._moved.get(topic, (-1, 0.0))[0] != position:
                self._moved[topic] = (position, now)
        return lags

    def positions(self) -> dict[TopicPartition, tuple[int, int]]:
        """Return by assigned partition the next offset to process and the next one to be written, as far as known."""
        found: dict[TopicPartition, tuple[int, int]] = {}
        for partition in self.consumer.assignment() if self.consumer else ():
            state = self.consumer._subscription.subscription.assignment.state_value(partition)
            if state.has_valid_position:
                position = self.listener.next_offset(partition, state.position)
                found[partition] = (position, self.consumer.highwater(partition) or 0)
        return found

    def processed_offsets(self) -> dict[str, dict[int, int]]:
        """Return by topic and partition the next offset after the last processed record."""
        offsets: dict[str, dict[int, int]] = {topic: {} for topic in self.topics}
        for partition, offset in self.listener.processed.items():
            offsets[partition.topic.removeprefix(self.listener.prefix)][partition.partition] = offset
        return offsets

    def faults(self, halted: Collection[str] = ()) -> list[str]:
        """Return the faults of a dead consumer; a halted topic makes no progress on purpose."""
        if not self.consumer:
            return []
        fetcher = getattr(self.consumer, "_fetcher", None)
        coordinator = getattr(self.consumer, "_coordinator", None)
        found = []
        for owner, name in ((fetcher, "_fetch_task"), (coordinator, "_coordination_task")):
            task = getattr(owner, name, None)
            if task is not None and task.done():
                found.append(f"{name.strip('_').replace('_', ' ')} has ended")
        if any(task.done() for task in getattr(self.listener.subscriber, "tasks", ())):
            found.append("consume loop has ended")
        waiting = [topic for topic, lag in self.lag().items() if lag and topic not in halted]
        stalled = [topic for topic in waiting if time.monotonic() - self._moved[topic][1] > STALLED_AFTER]
        return found + [f"{topic}: no progress for {STALLED_AFTER:.0f} s" for topic in stalled]

    def _prefixed(self, topic: str) -> str:
        return self.listener.prefix + topic
