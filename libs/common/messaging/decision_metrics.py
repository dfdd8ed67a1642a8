"""Metrics of the decision runner: batches, decisions and published events."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from libs.common.decisions.facts import Facts
from libs.common.events.envelope import Payload
from libs.common.telemetry.metrics import Kind, Metric, Metrics

P = TypeVar("P", bound=Payload)

BATCH_DURATION = Metric(
    "sakidashi.batch.duration",
    Kind.HISTOGRAM,
    "s",
    "Time in which one aggregate decides on a batch and writes its effects, without COMMIT.",
    ("aggregate",),
    (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
BATCH_SIZE = Metric(
    "sakidashi.batch.size",
    Kind.HISTOGRAM,
    "{event}",
    "Events per batch.",
    ("aggregate",),
    (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
)
DECISION_DURATION = Metric(
    "sakidashi.decision.duration",
    Kind.HISTOGRAM,
    "s",
    "Time from the first to the last decision of a batch, pauses for other work included.",
    ("aggregate",),
    (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
PUBLISHED = Metric(
    "sakidashi.events.published",
    Kind.COUNTER,
    "{event}",
    "Events that committed transactions wrote to the outbox, by type.",
    ("event.type",),
)


class DecisionMetrics:
    """Measurements of the decision runner; `observers` are called for each payload of their type, once committed."""

    def __init__(self, metrics: Metrics) -> None:
        self._duration = metrics.histogram(BATCH_DURATION)
        self._size = metrics.histogram(BATCH_SIZE)
        self._decision = metrics.histogram(DECISION_DURATION)
        self._published = metrics.counter(PUBLISHED)
        self._observers: dict[type[Payload], Callable[[Payload], None]] = {}

    def observe(self, payload_type: type[P], observer: Callable[[P], None]) -> None:
        """Call `observer` with each committed payload of this type. One observer per type."""
        self._observers[payload_type] = observer  # type: ignore[assignment]  # called with payloads of its type only

    def batch(self, aggregate: str, events: int, seconds: float, deciding: float) -> None:
        self._size.record(events, aggregate)
        self._duration.record(seconds, aggregate)
        self._decision.record(deciding, aggregate)

    def committed(self, outcomes: Iterable[Facts]) -> None:
        """Count the published events of a transaction, after its COMMIT: a transaction that is retried counts once."""
        values, observers = self._published.values, self._observers
        for facts in outcomes:
            for fact in facts:
                if not hasattr(fact, "TOPIC"):  # faster than `isinstance` with pydantic's classes
                    continue
                payload: Any = fact
                values[(payload.TYPE,)] += 1
                if observer := observers.get(type(payload)):
                    observer(payload)
