"""Metrics of consumption, by topic: unread records, and the age of the oldest one."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from libs.common.runtime.kafka_reader import KafkaReader
from libs.common.telemetry.metrics import Kind, Label, Metric, Metrics

_TOPIC = ("messaging.destination.name",)

LAG = Metric("sakidashi.consumer.lag", Kind.GAUGE, "{record}", "Unread records.", _TOPIC)
OLDEST_UNREAD = Metric(
    "sakidashi.consumer.oldest_unread",
    Kind.GAUGE,
    "s",
    "Time since which the oldest unread record is known to wait; exact to the interval between two exports.",
    _TOPIC,
)
CONSUMED = Metric("messaging.client.consumed.messages", Kind.COUNTER, "{message}", "Processed records.", _TOPIC)
LATE = Metric(
    "sakidashi.consumer.late_messages",
    Kind.COUNTER,
    "{message}",
    "Records that were processed later than 10 s after they were written.",
    _TOPIC,
)
HALTED = Metric(
    "sakidashi.consumer.halted",
    Kind.GAUGE,
    "{topic}",
    "1 for a topic that is halted because most of its records fail.",
    _TOPIC,
)
ASSIGNED = Metric("sakidashi.consumer.partitions", Kind.GAUGE, "{partition}", "Partitions assigned to this process.")


@dataclass
class WaitingTime:
    """Age of the oldest unread record of one partition, from samples of the offset that was written last.

    A record is at least as old as the first sample in which it had been written.
    """

    clock: Callable[[], float] = time.monotonic
    _samples: deque[tuple[float, int]] = field(default_factory=deque)

    def update(self, position: int, written: int) -> float:
        """Add a sample and return the age in seconds, 0 where nothing waits."""
        now = self.clock()
        if not self._samples or written > self._samples[-1][1]:
            self._samples.append((now, written))
        while self._samples and self._samples[0][1] <= position:
            self._samples.popleft()
        return now - self._samples[0][0] if self._samples else 0.0


@dataclass
class ConsumerMetrics:
    """Reads the state of a service's consumer at each export."""

    kafka: KafkaReader
    _waiting: dict[TopicPartition, WaitingTime] = field(default_factory=dict)

    def add_to(self, metrics: Metrics) -> None:
        metrics.gauge(LAG, lambda: _by_topic(self.kafka.lag()))
        metrics.gauge(OLDEST_UNREAD, self.oldest_unread)
        metrics.count_from(CONSUMED, lambda: _by_topic(self.kafka.consumed()))
        metrics.count_from(LATE, lambda: _by_topic(self.kafka.late()))
        metrics.gauge(HALTED, lambda: {(each,): float(each in self.kafka.halted) for each in self.kafka.topics})
        metrics.gauge(ASSIGNED, lambda: {(): float(len(self.kafka.positions()))})

    def oldest_unread(self) -> Mapping[Label, float]:
        """Return the age in seconds of the oldest unread record, by topic."""
        positions = self.kafka.positions()
        self._waiting = {each: self._waiting.get(each) or WaitingTime() for each in positions}
        ages = dict.fromkeys(self.kafka.topics, 0.0)
        for partition, (position, written) in positions.items():
            topic = self.kafka.unprefixed(partition.topic)
            ages[topic] = max(ages[topic], self._waiting[partition].update(position, written))
        return _by_topic(ages)


def _by_topic(amounts: Mapping[str, float]) -> dict[Label, float]:
    return {(topic,): float(amount) for topic, amount in amounts.items()}
