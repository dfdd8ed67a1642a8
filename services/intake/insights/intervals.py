"""Confidence interval of net promoter scores, 95 % by default.

The score is the difference of two shares of one sample, combined from their Wilson intervals with the correlation of
shares of one sample: R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions
based on paired data", Statistics in Medicine 17 (1998), 2635-2650. Chosen over the normal interval, which degenerates
to a point if all answers are equal.
"""

from dataclasses import dataclass
from math import sqrt

from libs.common.decisions.intervals import Z_95, share


@dataclass(frozen=True, slots=True)
class Nps:
    """Net promoter score, from -100 to 100, with its interval. Scores 9 and 10 promote, 0 to 6 detract."""

    promoters: int
    passives: int
    detractors: int
    score: float | None
    low: float
    high: float


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
