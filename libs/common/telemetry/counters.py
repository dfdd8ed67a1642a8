"""Outcome counters: read at `/ops/counters`, and exported as the metric `sakidashi.outcomes`."""

from collections import Counter

from opentelemetry.metrics import Meter


class Counters:
    """Counts by outcome and reason, both metric labels."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.values: Counter[tuple[str, str]] = Counter()
        self._counter = meter.create_counter("sakidashi.outcomes") if meter else None

    def add(self, name: str, reason: str, amount: int = 1) -> None:
        self.values[name, reason] += amount
        if self._counter:
            self._counter.add(amount, {"outcome": name, "reason": reason})
