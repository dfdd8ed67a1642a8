"""Circuit breaker per channel: opens while the server is unavailable. Wall clock; state of this process only.

Notices that wait for an open channel keep their attempts. After an interval a few messages probe the channel; one
success closes the circuit. A channel with a long outage is the last choice for new notices.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.delivery_notify.channels.channel import SendOutcome, SendStatus
from services.delivery_notify.sending.retry_policy import backoff

PROBE_QUOTA = 10
"""Messages sent as a probe after an open interval."""

MAX_PROBE_INTERVAL = timedelta(minutes=1)
"""Longest open interval, unless the server asked for a longer one."""

LONG_OUTAGE = timedelta(minutes=10)


@dataclass
class _OpenCircuit:
    opened_at: float
    failures: int = 0
    probe_at: float = 0.0


@dataclass
class CircuitBreaker:
    """`clock` returns monotonic seconds of the wall clock."""

    clock: Callable[[], float]
    _open: dict[str, _OpenCircuit] = field(default_factory=dict)

    def remaining(self, channel: str) -> timedelta:
        """Return the time until the next probe of this channel; zero if it may be used."""
        circuit = self._open.get(channel)
        return timedelta(seconds=max(0.0, circuit.probe_at - self.clock())) if circuit else timedelta(0)

    def probe_quota(self, channel: str) -> int | None:
        """Return how many messages may be sent now; None for no limit."""
        if channel not in self._open:
            return None
        return 0 if self.remaining(channel) else PROBE_QUOTA

    def open_for_long(self) -> frozenset[str]:
        """Return the channels whose outage is longer than `LONG_OUTAGE`."""
        limit = self.clock() - LONG_OUTAGE.total_seconds()
        return frozenset(name for name, circuit in self._open.items() if circuit.opened_at < limit)

    def next_probe_in(self) -> timedelta | None:
        """Return the time until the next probe of any channel; None if all circuits are closed."""
        return min(map(self.remaining, self._open), default=None)

    def record(self, channel: str, outcomes: Sequence[SendOutcome]) -> None:
        """Open, extend or close the circuit; the interval grows with consecutive failed batches."""
        statuses = {outcome.status for outcome in outcomes}
        if SendStatus.CHANNEL_UNAVAILABLE in statuses:
            circuit = self._open.setdefault(channel, _OpenCircuit(opened_at=self.clock()))
            circuit.failures = 1 if SendStatus.SENT in statuses else circuit.failures + 1
            requested = max((outcome.retry_after or 0.0 for outcome in outcomes), default=0.0)
            interval = min(MAX_PROBE_INTERVAL, backoff(circuit.failures, random.random()))  # noqa: S311
            circuit.probe_at = self.clock() + max(requested, interval.total_seconds())
        elif statuses - {SendStatus.NOT_ATTEMPTED}:
            self._open.pop(channel, None)
