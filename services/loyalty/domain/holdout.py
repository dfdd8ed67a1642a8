"""An honest look at whether points bring customers back: a stable share of customers gets words only.

Who is in it follows from a keyed hash of the customer id, so it is random, the same for ever, and nobody can read it
off the id. Off unless the shop's settings say so. Everybody is compared by the arm they were drawn for, whatever they
were given in the end; who was excluded by another rule is in neither.

The interval for the difference of two shares is Newcombe's hybrid score interval (method 10 of R. G. Newcombe,
"Interval estimation for the difference between independent proportions: comparison of eleven methods", Statistics in
Medicine 17, 1998, 873-890), made of Wilson's intervals for each (E. B. Wilson, JASA 22, 1927, 209-212). Chosen over
the usual normal interval, which is far too narrow where few customers are in an arm.
"""

import hashlib
import hmac
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

WORDS = "words"
POINTS = "points"
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Holdout:
    """`share` of customers (0 to 0.5) are held out of apology points; `key` keeps the draw secret."""

    share: float = 0.0
    key: bytes = b""
    experiment: str = ""

    @property
    def on(self) -> bool:
        return self.share > 0

    def arm(self, customer_id: str) -> str:
        """`words` or `points`: always the same for a customer, an experiment and a key."""
        digest = hmac.digest(self.key, f"{self.experiment}\x1f{customer_id}".encode(), hashlib.sha256)
        return WORDS if int.from_bytes(digest[:8], "big") < self.share * 2**64 else POINTS


NOBODY = Holdout()


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def wilson(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """Bounds of a share; without anybody it can be anything."""
    if not total:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / total
    middle = share + z * z / (2 * total)
    width = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    low, high = (middle - width) / scale, (middle + width) / scale
    return Interval(0.0 if successes == 0 else max(0.0, low), 1.0 if successes == total else min(1.0, high))


def difference(first: tuple[int, int], second: tuple[int, int], confidence: float = CONFIDENCE) -> Interval:
    """Bounds of the first share minus the second, each given as (successes, total)."""
    if not first[1] or not second[1]:
        return Interval(-1.0, 1.0)
    one, other = first[0] / first[1], second[0] / second[1]
    a, b = wilson(*first, confidence), wilson(*second, confidence)
    return Interval(
        one - other - sqrt((one - a.low) ** 2 + (b.high - other) ** 2),
        one - other + sqrt((a.high - one) ** 2 + (other - b.low) ** 2),
    )
