"""How sure a figure is: intervals for shares and for a net promoter score, 95 % unless told otherwise.

Shares: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212.
Net promoter score: the difference of two shares of one sample, put together from their Wilson intervals with the
correlation that shares of one sample have: R. G. Newcombe, "Improved confidence intervals for the difference between
binomial proportions based on paired data", Statistics in Medicine 17 (1998), 2635-2650. Chosen over the plain normal
interval, which is a single point when everybody answers alike.
"""

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole`, with its interval. Without any whole the share is None and the interval says nothing."""

    part: int
    whole: int
    share: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Nps:
    """Net promoter score, from -100 to 100, with its interval. Scores 9 and 10 promote, 0 to 6 detract."""

    promoters: int
    passives: int
    detractors: int
    score: float | None
    low: float
    high: float


def share(part: int, whole: int, z: float = Z_95) -> Share:
    """The share with its Wilson interval. Raises `ValueError` where part is not between 0 and whole."""
    if not 0 <= part <= whole:
        raise ValueError(f"part: {part} is not between 0 and {whole}")
    if not whole:
        return Share(0, 0, None, 0.0, 1.0)
    found, weight = part / whole, z * z / whole
    middle = (found + weight / 2) / (1 + weight)
    spread = z / (1 + weight) * sqrt(found * (1 - found) / whole + weight / (4 * whole))
    return Share(part, whole, found, max(0.0, min(middle - spread, found)), min(1.0, max(middle + spread, found)))


def nps(promoters: int, passives: int, detractors: int, z: float = Z_95) -> Nps:
    """The score with its interval, in points."""
    whole = promoters + passives + detractors
    if not whole:
        return Nps(0, 0, 0, None, -100.0, 100.0)
    up, down = share(promoters, whole, z), share(detractors, whole, z)
    p, d = promoters / whole, detractors / whole
    together = _correlation(p, d)
    below = _reach(p - up.low, down.high - d, together)
    above = _reach(up.high - p, d - down.low, together)
    return Nps(promoters, passives, detractors, 100 * (p - d), 100 * (p - d - below), 100 * (p - d + above))


def _correlation(p: float, d: float) -> float:
    """Of two shares of one sample: who promotes cannot detract."""
    return -sqrt(p * d / ((1 - p) * (1 - d))) if 0 < p < 1 and 0 < d < 1 else 0.0


def _reach(one: float, other: float, together: float) -> float:
    return sqrt(max(0.0, one * one - 2 * together * one * other + other * other))
