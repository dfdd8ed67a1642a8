"""Exponential backoff: the one formula of every retry; pure."""

from math import inf

MAX_DOUBLINGS = 30


def backoff_seconds(first: float, attempt: int, *, longest: float = inf, jitter: float = 1.0) -> float:
    """Return the seconds to wait before retry number `attempt` (from 0): `first`, doubled each time up to `longest`.

    `jitter` is a random number from 0 to 1: 0 halves the wait, 1 keeps it.
    """
    interval: float = min(longest, first * 2 ** min(attempt, MAX_DOUBLINGS))
    return interval * (0.5 + jitter / 2)
