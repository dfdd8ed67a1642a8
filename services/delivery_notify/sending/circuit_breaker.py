"""Which channels are left alone for a while, because their server is away. By the wall clock, in this process only.

What waits for such a channel keeps its attempts: somebody will mend that. After a rest some messages are tried, and all
again once one has gone through. A channel that has been away for long is the last to be chosen for what is new.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from services.delivery_notify.channels.channel import Outcome, Verdict
from services.delivery_notify.sending.retry_policy import pause_after

PROBE = 10
"""How many messages are tried after a rest."""

LONGEST_ABSENCE = timedelta(minutes=1)
"""A server that is away is asked again after this at the latest, unless it asked for more itself."""

LONG = timedelta(minutes=10)


@dataclass
class _Rest:
    failures: int = 0
    since: float = 0.0
    until: float = 0.0


@dataclass
class Rests:
    """`clock` gives seconds of the wall clock that never jump."""

    clock: Callable[[], float]
    _rests: dict[str, _Rest] = field(default_factory=dict)

    def left(self, channel: str) -> timedelta:
        """How long this channel still rests."""
        rest = self._rests.get(channel)
        return timedelta(seconds=max(0.0, rest.until - self.clock())) if rest else timedelta(0)

    def may_try(self, channel: str) -> int | None:
        """How many messages may be tried now; None for all."""
        if channel not in self._rests:
            return None
        return 0 if self.left(channel) else PROBE

    def long_away(self) -> frozenset[str]:
        early = self.clock() - LONG.total_seconds()
        return frozenset(name for name, rest in self._rests.items() if rest.since < early)

    def soonest(self) -> timedelta | None:
        """When the first of them is over; None where none rests."""
        return min(map(self.left, self._rests), default=None)

    def heed(self, channel: str, outcomes: Sequence[Outcome]) -> None:
        """Count the batches in a row for which its server was away, and let it rest accordingly."""
        verdicts = {outcome.verdict for outcome in outcomes}
        if Verdict.AWAY in verdicts:
            rest = self._rests.setdefault(channel, _Rest(since=self.clock()))
            rest.failures = 1 if Verdict.SENT in verdicts else rest.failures + 1
            asked = max((each.retry_after or 0.0 for each in outcomes), default=0.0)
            usual = min(LONGEST_ABSENCE, pause_after(rest.failures, random.random()))  # noqa: S311
            rest.until = self.clock() + max(asked, usual.total_seconds())
        elif verdicts - {Verdict.NOT_TRIED}:
            self._rests.pop(channel, None)
