"""Which lots and products look like clusters now: pure, from what is known of one product.

A lot that has a cluster already is not found again, and no longer counts towards its product: else one bad lot would
be told twice. Once a human has refused or ended a cluster, what was counted until then counts as known, and only what
came after it can make another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import reduce
from operator import add

from libs.common.decisions.ids import derived_id
from libs.common.events.values import Reason
from services.intake.insights.clusters import Cluster, ClusterFound, Status
from services.intake.insights.policy import Policy
from services.intake.insights.sequential import Counts, Day, Verdict, base_rate, judge_lot, judge_product


@dataclass(frozen=True, slots=True)
class Lot:
    """One lot of a product (empty: pieces of no known lot): days of arrival, and orders reported by reason."""

    lot: str
    days: tuple[Day, ...]
    reasons: Mapping[Reason, int]

    @property
    def counts(self) -> Counts:
        return _total(self.days)


@dataclass(frozen=True, slots=True)
class Product:
    sku: str
    lots: tuple[Lot, ...]
    clusters: tuple[Cluster, ...] = ()

    @property
    def counts(self) -> Counts:
        return reduce(add, (lot.counts for lot in self.lots), Counts())

    def clusters_of(self, lot: str) -> list[Cluster]:
        return [one for one in self.clusters if one.lot == lot]


def suspects(product: Product, shop: Counts, policy: Policy, today: date) -> list[ClusterFound]:
    """What is found now. `shop` are the counts of all products together; `today` is the shop's day."""
    others = shop - product.counts
    found = [_lot_found(product, lot, others, policy) for lot in product.lots if lot.lot]
    clusters = [one for one in found if one]
    apart = {one.lot for one in clusters} | {one.lot for one in product.clusters}
    rest = [lot for lot in product.lots if not lot.lot or lot.lot not in apart]
    whole = _product_found(product, rest, others, policy, today)
    return [*clusters, *([whole] if whole else [])]


def _lot_found(product: Product, lot: Lot, others: Counts, policy: Policy) -> ClusterFound | None:
    before = product.clusters_of(lot.lot)
    if any(one.status in (Status.PROPOSED, Status.ACTING) for one in before):
        return None
    known = reduce(add, (Counts(one.pieces, one.orders) for one in before), Counts())
    bad = {one.lot for one in product.clusters if one.lot}
    good = (one.counts for one in product.lots if one.lot != lot.lot and one.lot not in bad)
    rate = base_rate(reduce(add, good, Counts()), others, policy.base)
    verdict = judge_lot(lot.counts - known, rate, policy.lot)
    return _found(product.sku, lot.lot, len(before), [lot], verdict, policy) if verdict.cluster else None


def _product_found(
    product: Product, lots: Iterable[Lot], others: Counts, policy: Policy, today: date
) -> ClusterFound | None:
    before, lots = product.clusters_of(""), list(lots)
    if any(one.status in (Status.PROPOSED, Status.ACTING) for one in before):
        return None
    first = today - timedelta(days=policy.product.recent_days)
    days = _together(day for lot in lots for day in lot.days)
    rate = base_rate(_total(day for day in days if day.day < first), others, policy.base)
    settled = max((one.detected_at.date() for one in before), default=date.min)
    recent = [day for day in days if day.day >= first and day.day > settled]
    verdict = judge_product(recent, rate, policy.product)
    return _found(product.sku, "", len(before), lots, verdict, policy) if verdict.cluster else None


def _found(sku: str, lot: str, number: int, lots: Iterable[Lot], verdict: Verdict, policy: Policy) -> ClusterFound:
    counts = {reason: sum(one.reasons.get(reason, 0) for one in lots) for reason in policy.reasons}
    order = sorted(policy.reasons, key=lambda reason: (-counts[reason], policy.reasons.index(reason)))
    return ClusterFound(
        cluster_id=derived_id("cluster", sku, lot, number),
        sku=sku,
        lot=lot,
        reasons=tuple(reason for reason in order if counts[reason]) or policy.reasons[:1],
        pieces=verdict.counts.pieces,
        orders=verdict.counts.orders,
        expected=verdict.expected,
        since=verdict.since,
    )


def _together(days: Iterable[Day]) -> list[Day]:
    """One entry per day over all lots."""
    counts: dict[date, Counts] = {}
    for one in days:
        counts[one.day] = counts.get(one.day, Counts()) + one.counts
    return [Day(day, count) for day, count in sorted(counts.items())]


def _total(days: Iterable[Day]) -> Counts:
    return reduce(add, (one.counts for one in days), Counts())
