"""Which channels are left alone for a while, because their server is away. By the wall clock, in this process only.

What waits for such a channel keeps its attempts: somebody will mend that. After a rest some messages are tried, and all
again once one has gone through. A channel that has been away for long is the last to be chosen for what is new.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.delivery_notify.channels.channel import SendOutcome, SendStatus
from services.delivery_notify.sending.retry_policy import backoff

PROBE_QUOTA = 10
"""How many messages are tried after a rest."""

MAX_PROBE_INTERVAL = timedelta(minutes=1)
"""A server that is away is asked again after this at the latest, unless it asked for more itself."""

LONG_OUTAGE = timedelta(minutes=10)


@dataclass
class _OpenCircuit:
    failures: int = 0
    opened_at: float = 0.0
    probe_at: float = 0.0


@dataclass
class CircuitBreaker:
    """`clock` gives seconds of the wall clock that never jump."""

    clock: Callable[[], float]
    _open: dict[str, _OpenCircuit] = field(default_factory=dict)

    def remaining(self, channel: str) -> timedelta:
        """How long this channel still rests."""
        rest = self._open.get(channel)
        return timedelta(seconds=max(0.0, rest.probe_at - self.clock())) if rest else timedelta(0)

    def probe_quota(self, channel: str) -> int | None:
        """How many messages may be tried now; None for all."""
        if channel not in self._open:
            return None
        return 0 if self.remaining(channel) else PROBE_QUOTA

    def open_for_long(self) -> frozenset[str]:
        early = self.clock() - LONG_OUTAGE.total_seconds()
        return frozenset(name for name, rest in self._open.items() if rest.opened_at < early)

    def next_probe_in(self) -> timedelta | None:
        """When the first of them is over; None where none rests."""
        return min(map(self.remaining, self._open), default=None)

    def record(self, channel: str, outcomes: Sequence[SendOutcome]) -> None:
        """Count the batches in a row for which its server was away, and let it rest accordingly."""
        verdicts = {outcome.status for outcome in outcomes}
        if SendStatus.CHANNEL_UNAVAILABLE in verdicts:
            rest = self._open.setdefault(channel, _OpenCircuit(opened_at=self.clock()))
            rest.failures = 1 if SendStatus.SENT in verdicts else rest.failures + 1
            asked = max((each.retry_after or 0.0 for each in outcomes), default=0.0)
            usual = min(MAX_PROBE_INTERVAL, backoff(rest.failures, random.random()))  # noqa: S311
            rest.probe_at = self.clock() + max(asked, usual.total_seconds())
        elif verdicts - {SendStatus.NOT_ATTEMPTED}:
            self._open.pop(channel, None)
