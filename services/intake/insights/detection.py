"""Detection of clusters among the lots of one product; pure.

A lot with a cluster is not detected again and does not count towards its product, or one faulty lot would be reported
twice. After a cluster was refused or released, its counts are known; only later reports can form another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta, tzinfo
from functools import reduce
from operator import add

from libs.common.decisions.ids import derived_id
from libs.common.events.values import Reason
from services.intake.insights.clusters import Cluster, ClusterFound, ClusterStatus
from services.intake.insights.sequential import (
    Counts,
    DailyCounts,
    SequentialTestResult,
    base_rate,
    evaluate_lot,
    evaluate_product,
)
from services.intake.policy.detection_policy import DetectionPolicy


@dataclass(frozen=True, slots=True)
class LotHistory:
    """Deliveries by day and reported orders by reason of one lot; `lot` is empty for units of unknown lots."""

    lot: str
    days: tuple[DailyCounts, ...]
    reasons: Mapping[Reason, int]

    @property
    def counts(self) -> Counts:
        return _total(self.days)


@dataclass(frozen=True, slots=True)
class ProductHistory:
    sku: str
    lots: tuple[LotHistory, ...]
    clusters: tuple[Cluster, ...] = ()

    @property
    def counts(self) -> Counts:
        return reduce(add, (lot.counts for lot in self.lots), Counts())

    def clusters_of(self, lot: str) -> list[Cluster]:
        return [cluster for cluster in self.clusters if cluster.lot == lot]


def detect_clusters(
    product: ProductHistory, shop: Counts, policy: DetectionPolicy, today: date, zone: tzinfo
) -> list[ClusterFound]:
    """Return the new clusters of one product. `shop` counts all products; days are the shop's, in `zone`."""
    others = shop - product.counts
    found = [_detect_lot(product, lot, others, policy) for lot in product.lots if lot.lot]
    clusters = [cluster for cluster in found if cluster]
    clustered = {cluster.lot for cluster in clusters} | {cluster.lot for cluster in product.clusters}
    unclustered = [lot for lot in product.lots if not lot.lot or lot.lot not in clustered]
    of_product = _detect_product(product, unclustered, others, policy, today, zone)
    return [*clusters, *([of_product] if of_product else [])]


def _detect_lot(
    product: ProductHistory, lot: LotHistory, others: Counts, policy: DetectionPolicy
) -> ClusterFound | None:
    before = product.clusters_of(lot.lot)
    if any(cluster.status in (ClusterStatus.PROPOSED, ClusterStatus.ACTING) for cluster in before):
        return None
    known = reduce(add, (Counts(cluster.units, cluster.orders) for cluster in before), Counts())
    faulty = {cluster.lot for cluster in product.clusters if cluster.lot}
    faultless = (other.counts for other in product.lots if other.lot != lot.lot and other.lot not in faulty)
    rate = base_rate(reduce(add, faultless, Counts()), others, policy.base)
    result = evaluate_lot(lot.counts - known, rate, policy.lot)
    return _command(product.sku, lot.lot, len(before), [lot], result, policy) if result.is_cluster else None


def _detect_product(
    product: ProductHistory,
    lots: Iterable[LotHistory],
    others: Counts,
    policy: DetectionPolicy,
    today: date,
    zone: tzinfo,
) -> ClusterFound | None:
    before, lots = product.clusters_of(""), list(lots)
    if any(cluster.status in (ClusterStatus.PROPOSED, ClusterStatus.ACTING) for cluster in before):
        return None
    first = today - timedelta(days=policy.product.recent_days)
    days = _merge(day for lot in lots for day in lot.days)
    rate = base_rate(_total(day for day in days if day.day < first), others, policy.base)
    settled = max((cluster.detected_at.astimezone(zone).date() for cluster in before), default=date.min)
    recent = [day for day in days if day.day >= first and day.day > settled]
    result = evaluate_product(recent, rate, policy.product)
    return _command(product.sku, "", len(before), lots, result, policy) if result.is_cluster else None


def _command(
    sku: str, lot: str, number: int, lots: Iterable[LotHistory], result: SequentialTestResult, policy: DetectionPolicy
) -> ClusterFound:
    counts = {reason: sum(lot_history.reasons.get(reason, 0) for lot_history in lots) for reason in policy.reasons}
    order = sorted(policy.reasons, key=lambda reason: (-counts[reason], policy.reasons.index(reason)))
    return ClusterFound(
        cluster_id=derived_id("cluster", sku, lot, number),
        sku=sku,
        lot=lot,
        reasons=tuple(reason for reason in order if counts[reason]) or policy.reasons[:1],
        units=result.counts.units,
        orders=result.counts.orders,
        expected=result.expected,
        since=result.since,
    )


def _merge(days: Iterable[DailyCounts]) -> list[DailyCounts]:
    """Merge lots into one entry per day."""
    counts: dict[date, Counts] = {}
    for entry in days:
        counts[entry.day] = counts.get(entry.day, Counts()) + entry.counts
    return [DailyCounts(day, count) for day, count in sorted(counts.items())]


def _total(days: Iterable[DailyCounts]) -> Counts:
    return reduce(add, (entry.counts for entry in days), Counts())
