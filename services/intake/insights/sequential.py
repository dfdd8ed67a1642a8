"""A cluster or chance? Sequential tests of reported orders against arrived pieces; pure, with stated error rates.

What is tested: that each arrived piece leads to a report with the base rate `p` at most, each order on its own. After
`r` reported orders among `n` pieces, the likelihood ratio of a rate `k` times as high is, in Poisson form,

    L = k^r * exp(-(k - 1) * p * n)

For a lot: bad or good from its first piece, so Wald's sequential probability ratio test with one border. With the
base rate L is a non-negative supermartingale (of one piece, E[L] = (1 + p(k-1)) exp(-(k-1)p) <= 1), so by Ville's
inequality the probability that it ever reaches 1/alpha is alpha at most: over the whole life of the lot, looked at
after every report. A mean of such ratios over several `k` is one too: a little worse and a lot worse are found alike.
Pieces that arrived yesterday count at once though nobody could report them yet: that makes a false alarm only rarer.

For a product: it may turn bad on any day, so Page's CUSUM, here the best run of days of arrival. A report counts on the
day its piece arrived, not the day it was written: else the late reports of a big season would meet the few pieces of a
slow week. Lorden: with the border ln(m) there are m days or more, on average, before a false alarm.

A. Wald, "Sequential tests of statistical hypotheses", Ann. Math. Statist. 16 (1945), 117-186. J. Ville, "Etude critique
de la notion de collectif" (1939). H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann.
Math. Statist. 41 (1970), 1397-1409 (mixtures). E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954),
100-115. G. Lorden, "Procedures for reacting to a change in distribution", Ann. Math. Statist. 42 (1971), 1897-1908.

A fixed-size test repeated after every report was left aside: looked at often enough, it always finds something. To look
at again when reports of one product are seen to depend on each other (a video that many buyers saw).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, log

from services.intake.insights.policy import Base, LotTest, ProductTest


@dataclass(frozen=True, slots=True)
class Counts:
    """Pieces that arrived, and the orders among them that were reported."""

    pieces: int = 0
    orders: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.pieces + other.pieces, self.orders + other.orders)

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(max(0, self.pieces - other.pieces), max(0, self.orders - other.orders))


@dataclass(frozen=True, slots=True)
class Day:
    """What arrived on one day, and what of it was reported since."""

    day: date
    counts: Counts


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test found. `evidence` and `threshold` are natural logarithms; `since` is the first day of a bad run."""

    evidence: float
    threshold: float
    counts: Counts
    expected: float
    cluster: bool
    since: date | None = None


def base_rate(product: Counts, shop: Counts, base: Base) -> float:
    """Reported orders per piece where nothing is wrong: the product's own history, the shop's where that is short, and
    the usual rate of shops where that is short too. None of them should hold what is being tested.

    Gamma-Poisson shrinkage: what stands in for a history counts like `prior_pieces` of it.
    """
    of_shop = _shrunk(shop, base.usual_rate, base.prior_pieces)
    return max(base.least_rate, min(_shrunk(product, of_shop, base.prior_pieces), 1.0))


def _shrunk(counts: Counts, rate: float, prior_pieces: float) -> float:
    return (rate * prior_pieces + counts.orders) / (prior_pieces + counts.pieces)


def evidence(counts: Counts, rate: float, times: Sequence[float]) -> float:
    """The logarithm of the likelihood ratio, the mean over all `times`."""
    ratios = [_log_ratio(counts, rate, k) for k in times]
    most = max(ratios)
    return most + log(sum(exp(ratio - most) for ratio in ratios) / len(ratios))


def _log_ratio(counts: Counts, rate: float, times: float) -> float:
    return counts.orders * log(times) - (times - 1) * rate * counts.pieces


def judge_lot(counts: Counts, rate: float, test: LotTest) -> Verdict:
    """Whether the whole lot is worse than the base rate."""
    found = evidence(counts, rate, test.times)
    cluster = found >= test.threshold and counts.orders >= test.least_orders
    return Verdict(found, test.threshold, counts, rate * counts.pieces, cluster)


def judge_product(days: Iterable[Day], rate: float, test: ProductTest) -> Verdict:
    """Whether some run of days of arrival is worse than the base rate: the highest point of the CUSUM."""
    best = Verdict(0.0, test.threshold, Counts(), 0.0, cluster=False)
    height, run, since = 0.0, Counts(), None
    for one in sorted(days, key=lambda one: one.day):
        if height <= 0:
            height, run, since = 0.0, Counts(), one.day
        height += _log_ratio(one.counts, rate, test.times)
        run += one.counts
        if height > best.evidence:
            cluster = height >= test.threshold and run.orders >= test.least_orders
            best = Verdict(height, test.threshold, run, rate * run.pieces, cluster, since)
    return best
