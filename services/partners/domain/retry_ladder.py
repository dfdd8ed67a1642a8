"""Outcome of one attempt to send a webhook: delivered, next attempt, given up, or the end of its subscription.

The delays are those that Standard Webhooks recommends. Each event has a ladder of its own, and events of other keys go
on meanwhile; after several failures in succession the whole subscription is tried with one event at a time.
"""

from datetime import timedelta

from libs.common.decisions.backoff import backoff_seconds
from libs.common.decisions.fast_dataclass import dataclass

DELAYS = tuple(timedelta(seconds=seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400))
"""Delay after each failed attempt; after the last one the event is given up."""

JITTER = 0.2
"""Largest share that is added to a delay, so that events of an outage do not return together."""

MAX_RETRY_AFTER = timedelta(hours=1)

PROBE_AFTER_FAILURES = 5
"""Failures in succession after which a subscription is tried with one event at a time."""

_FIRST_QUIET, _LONGEST_QUIET = 2.0, 300.0

GONE = 410
_BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """Answer to one attempt: its status, or the error without an answer; `retry_after` as the receiver asked for."""

    status: int | None = None
    error: str | None = None
    excerpt: str = ""
    retry_after: timedelta | None = None
    seconds: float = 0.0

    @property
    def is_delivered(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def next_delay(attempt: int, result: AttemptResult, jitter: float) -> timedelta | None:
    """Return the delay after failed attempt number `attempt` (from 1), or None if the event is given up.

    `jitter` is a random number from 0 to 1.
    """
    if attempt > len(DELAYS):
        return None
    delay = DELAYS[attempt - 1] * (1 + JITTER * jitter)
    if result.retry_after is not None and result.status in _BUSY:
        delay = max(delay, min(result.retry_after, MAX_RETRY_AFTER))
    return delay


def quiet_seconds(failures: int, jitter: float) -> float | None:
    """Return for how long a subscription rests after so many failures in succession; None while it does not."""
    if failures < PROBE_AFTER_FAILURES:
        return None
    return backoff_seconds(_FIRST_QUIET, failures - PROBE_AFTER_FAILURES, longest=_LONGEST_QUIET, jitter=jitter)
