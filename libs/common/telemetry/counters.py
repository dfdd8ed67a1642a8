"""Outcome counters: read at `/ops/counters`, and exported as the metric `sakidashi.outcomes`."""

from collections import Counter

from libs.common.telemetry.metrics import Kind, Label, Metric, Metrics

OUTCOMES = Metric(
    "sakidashi.outcomes",
    Kind.COUNTER,
    "{outcome}",
    "Outcomes of events, records, notices and loops.",
    ("outcome", "reason"),
)


class Counters:
    """Counts by outcome and reason, both attributes of the metric."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.values: Counter[tuple[str, str]] = Counter()
        if metrics:
            metrics.count_from(OUTCOMES, self._floats)

    def _floats(self) -> dict[Label, float]:
        return {label: float(count) for label, count in self.values.copy().items()}

    def add(self, name: str, reason: str, amount: int = 1) -> None:
        self.values[name, reason] += amount
