"""Holdout experiment: a stable random share of customers gets apologies without points (the control arm).

Assignment follows from a keyed hash of the customer id: random, stable, and not predictable from the id. Off unless
configured. Analysis is by assigned arm (intention to treat), whatever was granted in the end; customers excluded by
another rule are in neither arm.

The interval for the difference of two shares is Newcombe's hybrid score interval (method 10 of R. G. Newcombe,
"Interval estimation for the difference between independent proportions: comparison of eleven methods", Statistics in
Medicine 17, 1998, 873-890), built from Wilson intervals (E. B. Wilson, JASA 22, 1927, 209-212). The normal
approximation would be far too narrow for small arms.
"""

import hashlib
import hmac
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

CONTROL = "control"
TREATMENT = "treatment"
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Holdout:
    """`share` of customers (0 to 0.5) in the control arm; `key` keeps the assignment secret."""

    share: float = 0.0
    key: bytes = b""
    experiment: str = ""

    @property
    def enabled(self) -> bool:
        return self.share > 0

    def arm(self, customer_id: str) -> str:
        """Return `control` or `treatment`: stable per customer, experiment and key."""
        digest = hmac.digest(self.key, f"{self.experiment}\x1f{customer_id}".encode(), hashlib.sha256)
        return CONTROL if int.from_bytes(digest[:8], "big") < self.share * 2**64 else TREATMENT


NO_HOLDOUT = Holdout()


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def wilson_interval(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the bounds of a share; 0 to 1 without observations."""
    if not total:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / total
    middle = share + z * z / (2 * total)
    width = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low, high = (middle - width) / scale, (middle + width) / scale
    return Interval(0.0 if successes == 0 else max(0.0, low), 1.0 if successes == total else min(1.0, high))


def newcombe_interval(first: tuple[int, int], second: tuple[int, int], confidence: float = CONFIDENCE) -> Interval:
    """Return the bounds of the first share minus the second, each as (successes, total)."""
    if not first[1] or not second[1]:
        return Interval(-1.0, 1.0)
    p1, p2 = first[0] / first[1], second[0] / second[1]
    bounds1, bounds2 = wilson_interval(*first, confidence), wilson_interval(*second, confidence)
    return Interval(
        p1 - p2 - sqrt((p1 - bounds1.low) ** 2 + (bounds2.high - p2) ** 2),
        p1 - p2 + sqrt((bounds1.high - p1) ** 2 + (p2 - bounds2.low) ** 2),
    )
