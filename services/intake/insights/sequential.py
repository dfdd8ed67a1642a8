"""Sequential tests of reported orders against delivered units, with bounded error rates; pure.

Null hypothesis: each delivered unit leads to a report with at most the base rate `p`, independently per order. After
`r` reported orders among `n` units, the likelihood ratio of a rate `k` times as high is, in Poisson form,

    L = k^r * exp(-(k - 1) * p * n)

Lots: faulty or faultless from the first unit, so Wald's sequential probability ratio test with one boundary. Under the
base rate L is a non-negative supermartingale (for one unit, E[L] = (1 + p(k-1)) exp(-(k-1)p) <= 1), so by Ville's
inequality it ever reaches 1/alpha with probability alpha at most, over the whole life of the lot and any number of
evaluations. A mean of such ratios over several `k` is a supermartingale too, and detects small and large deviations.
Units delivered yesterday count at once although nobody could report them yet: this only lowers the false alarm rate.

Products: the rate may change on any day, so Page's CUSUM over days of delivery. A report counts on the day of delivery,
not of the report; otherwise late reports of a peak season would meet the few units of a slow week. Lorden: with the
boundary ln(m), the mean time to a false alarm is at least m days.

A. Wald, "Sequential tests of statistical hypotheses", Ann. Math. Statist. 16 (1945), 117-186. J. Ville, "Etude critique
de la notion de collectif" (1939). H. Robbins, "Statistical methods related to the law of the iterated logarithm", Ann.
Math. Statist. 41 (1970), 1397-1409 (mixtures). E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954),
100-115. G. Lorden, "Procedures for reacting to a change in distribution", Ann. Math. Statist. 42 (1971), 1897-1908.

Rejected: a fixed-size test repeated after every report, whose error rate grows with the number of evaluations. To be
reconsidered if reports of one product turn out to be dependent (a video seen by many buyers).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from math import exp, log

from services.intake.policy.detection_policy import BaseRatePolicy, LotTest, ProductTest


@dataclass(frozen=True, slots=True)
class Counts:
    """Delivered units, and reported orders among them."""

    units: int = 0
    orders: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.units + other.units, self.orders + other.orders)

    def __sub__(self, other: "Counts") -> "Counts":
        return Counts(max(0, self.units - other.units), max(0, self.orders - other.orders))


@dataclass(frozen=True, slots=True)
class DailyCounts:
    """Counts of the units delivered on one day."""

    day: date
    counts: Counts


@dataclass(frozen=True, slots=True)
class SequentialTestResult:
    """Test result. `log_likelihood_ratio` and `threshold` are natural logs; `since` is the first day of the run."""

    log_likelihood_ratio: float
    threshold: float
    counts: Counts
    expected: float
    is_cluster: bool
    since: date | None = None


def base_rate(product: Counts, shop: Counts, base: BaseRatePolicy) -> float:
    """Return reported orders per faultless unit: the product's history, shrunk towards the shop's, shrunk towards the
    default rate. None of the counts may include the units under test.

    Gamma-Poisson shrinkage: each prior rate has the weight of `prior_units`.
    """
    shop_rate = _shrink(shop, base.default_rate, base.prior_units)
    return max(base.min_rate, min(_shrink(product, shop_rate, base.prior_units), 1.0))


def _shrink(counts: Counts, rate: float, prior_units: float) -> float:
    return (rate * prior_units + counts.orders) / (prior_units + counts.units)


def mixture_log_ratio(counts: Counts, rate: float, multiples: Sequence[float]) -> float:
    """Return the logarithm of the mean likelihood ratio over all rate multiples."""
    ratios = [_log_ratio(counts, rate, k) for k in multiples]
    most = max(ratios)
    return most + log(sum(exp(ratio - most) for ratio in ratios) / len(ratios))


def _log_ratio(counts: Counts, rate: float, multiple: float) -> float:
    return counts.orders * log(multiple) - (multiple - 1) * rate * counts.units


def evaluate_lot(counts: Counts, rate: float, test: LotTest) -> SequentialTestResult:
    """Test whether the lot's rate exceeds the base rate."""
    found = mixture_log_ratio(counts, rate, test.rate_multiples)
    cluster = found >= test.threshold and counts.orders >= test.min_orders
    return SequentialTestResult(found, test.threshold, counts, rate * counts.units, cluster)


def evaluate_product(days: Iterable[DailyCounts], rate: float, test: ProductTest) -> SequentialTestResult:
    """Test whether some run of days exceeds the base rate: the maximum of the CUSUM."""
    best = SequentialTestResult(0.0, test.threshold, Counts(), 0.0, is_cluster=False)
    height, run, since = 0.0, Counts(), None
    for daily in sorted(days, key=lambda daily: daily.day):
        if height <= 0:
            height, run, since = 0.0, Counts(), daily.day
        height += _log_ratio(daily.counts, rate, test.rate_multiple)
        run += daily.counts
        if height > best.log_likelihood_ratio:
            cluster = height >= test.threshold and run.orders >= test.min_orders
            best = SequentialTestResult(height, test.threshold, run, rate * run.units, cluster, since)
    return best
