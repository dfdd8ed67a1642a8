"""Metrics of the outbox relay: records that Kafka acknowledged, and the process that sends them."""

from dataclasses import dataclass

from libs.common.messaging.relay import Relay
from libs.common.telemetry.metrics import Kind, Label, Metric, Metrics

SENT = Metric(
    "messaging.client.sent.messages",
    Kind.COUNTER,
    "{message}",
    "Records of the outbox that Kafka acknowledged.",
    ("messaging.destination.name",),
)
ACTIVE = Metric(
    "sakidashi.relay.active",
    Kind.GAUGE,
    "{relay}",
    "1 in the process whose relay publishes the outbox; the others are standby.",
)


@dataclass
class RelayMetrics:
    """Reads the relay at each export; there is one while the service runs."""

    topic_prefix: str
    relay: Relay | None = None

    def add_to(self, metrics: Metrics) -> None:
        metrics.count_from(SENT, self._sent)
        metrics.gauge(ACTIVE, lambda: {(): float(self.relay is not None and self.relay.active)})

    def _sent(self) -> dict[Label, float]:
        sent = self.relay.sent.copy() if self.relay else {}
        return {(topic.removeprefix(self.topic_prefix),): float(count) for topic, count in sent.items()}
