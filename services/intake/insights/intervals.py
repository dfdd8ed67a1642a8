"""Confidence intervals of shares and of net promoter scores, 95 % by default.

Shares: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), 209-212.
Net promoter score: the difference of two shares of one sample, combined from their Wilson intervals with the
correlation of shares of one sample: R. G. Newcombe, "Improved confidence intervals for the difference between
binomial proportions based on paired data", Statistics in Medicine 17 (1998), 2635-2650. Chosen over the normal
interval, which degenerates to a point if all answers are equal.
"""

from dataclasses import dataclass
from math import sqrt

Z_95 = 1.959963984540054
"""The two-sided 95 % point of the normal distribution."""


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `whole` with its interval. For an empty whole the share is None and the interval is [0, 1]."""

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
    """Return the share with its Wilson interval. Raises `ValueError` if part is not between 0 and whole."""
    if not 0 <= part <= whole:
        raise ValueError(f"part: {part} is not between 0 and {whole}")
    if not whole:
        return Share(0, 0, None, 0.0, 1.0)
    proportion, weight = part / whole, z * z / whole
    center = (proportion + weight / 2) / (1 + weight)
    spread = z / (1 + weight) * sqrt(proportion * (1 - proportion) / whole + weight / (4 * whole))
    return Share(
        part, whole, proportion, max(0.0, min(center - spread, proportion)), min(1.0, max(center + spread, proportion))
    )


def nps(promoters: int, passives: int, detractors: int, z: float = Z_95) -> Nps:
    """Return the score with its interval, in points."""
    whole = promoters + passives + detractors
    if not whole:
        return Nps(0, 0, 0, None, -100.0, 100.0)
    up, down = share(promoters, whole, z), share(detractors, whole, z)
    p, d = promoters / whole, detractors / whole
    correlation = _correlation(p, d)
    below = _margin(p - up.low, down.high - d, correlation)
    above = _margin(up.high - p, d - down.low, correlation)
    return Nps(promoters, passives, detractors, 100 * (p - d), 100 * (p - d - below), 100 * (p - d + above))


def _correlation(p: float, d: float) -> float:
    """Correlation of promoters and detractors: disjoint shares of one sample."""
    return -sqrt(p * d / ((1 - p) * (1 - d))) if 0 < p < 1 and 0 < d < 1 else 0.0


def _margin(first: float, second: float, correlation: float) -> float:
    return sqrt(max(0.0, first * first - 2 * correlation * first * second + second * second))
