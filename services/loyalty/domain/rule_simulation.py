"""Simulation of other award rules on past awards, recalculated from their stored inputs.

Rate limits are applied in the order of events, per customer. Not simulated: tiers (each award keeps the customer's
tier of that day), staff decisions, and later reversals, which do not depend on the rules.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.common.events.loyalty import GrantKind
from libs.common.events.values import Fault, Reason
from services.loyalty.domain.award import (
    Award,
    IncidentImpact,
    apology_award,
    purchase_award,
    purchase_points,
    purchase_rate,
)
from services.loyalty.policy.award_rules import AwardRules


@dataclass(frozen=True, slots=True)
class RecordedAward:
    """One past application of the rules: its inputs and its points (0 if nothing was granted)."""

    customer_id: str
    at: datetime
    cause: str
    kind: GrantKind
    rule: str
    points: int
    inputs: Mapping[str, Any]
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class SimulatedAward:
    recorded: RecordedAward
    rule: str
    points: int

    @property
    def change(self) -> int:
        return self.points - self.recorded.points


@dataclass(slots=True)
class RuleComparison:
    """Every recorded award under both rules. `skipped` counts awards without stored inputs."""

    version: str
    awards: list[SimulatedAward] = field(default_factory=list)
    skipped: int = 0

    def points_before(self) -> int:
        return sum(award.recorded.points for award in self.awards)

    def points_after(self) -> int:
        return sum(award.points for award in self.awards)

    def changed(self) -> list[SimulatedAward]:
        """Return the awards that differ, largest difference first."""
        different = [award for award in self.awards if award.change]
        return sorted(different, key=lambda award: (-abs(award.change), award.recorded.cause))

    def by_rule(self) -> dict[str, tuple[int, int]]:
        """Return points before and after per rule name."""
        before, after = Counter[str](), Counter[str]()
        for award in self.awards:
            before[award.recorded.rule] += award.recorded.points
            after[award.rule] += award.points
        return {rule: (before[rule], after[rule]) for rule in sorted(before.keys() | after.keys())}


def simulate(rules: AwardRules, recorded_awards: Iterable[RecordedAward]) -> RuleComparison:
    """Recalculate every award; `recorded_awards` may come in any order."""
    comparison = RuleComparison(rules.version)
    granted: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
    orders: dict[str, _SimulatedOrder] = {}
    for recorded in sorted(recorded_awards, key=lambda award: (award.at, award.cause)):
        if "amount" not in recorded.inputs:
            comparison.skipped += 1
        elif recorded.kind is GrantKind.PURCHASE:
            comparison.awards.append(_simulate_purchase(rules, recorded, orders))
        else:
            comparison.awards.append(_simulate_apology(rules, recorded, granted[recorded.customer_id]))
    return comparison


def _simulate_apology(
    rules: AwardRules, recorded: RecordedAward, granted: list[tuple[datetime, int]]
) -> SimulatedAward:
    award = _award(rules, recorded.inputs)
    points = 0 if recorded.held_out else _cap_to_limit(rules, award.points, recorded.at, granted)
    if points:
        granted.append((recorded.at, points))
    return SimulatedAward(recorded, award.rule, points)


def _award(rules: AwardRules, inputs: Mapping[str, Any]) -> Award:
    impact = IncidentImpact(
        Fault(inputs["fault"]),
        Reason(inputs["reason"]),
        Decimal(inputs["amount"]),
        inputs["currency"],
        inputs["waited_days"],
        inputs["promises_broken"],
    )
    return apology_award(rules, impact, inputs["tier"], date.fromisoformat(inputs["day"]))


def _cap_to_limit(rules: AwardRules, points: int, at: datetime, granted: Sequence[tuple[datetime, int]]) -> int:
    """Apply the rate limits; an award that would need a review counts as 0 points."""
    limits = rules.limits
    if limits is None:
        return points
    recent = [earlier for granted_at, earlier in granted if granted_at > at - timedelta(days=limits.days)]
    if limits.max_grants is not None and len(recent) >= limits.max_grants:
        return 0
    return points if limits.max_points is None else max(0, min(points, limits.max_points - sum(recent)))


@dataclass(slots=True)
class _SimulatedOrder:
    """An order in the simulation: its first delivery, which fixes the rate, and the points granted so far."""

    tier: str
    day: date
    points: int = 0


def _simulate_purchase(
    rules: AwardRules, recorded: RecordedAward, orders: dict[str, _SimulatedOrder]
) -> SimulatedAward:
    """Simulate the order's points up to this award, less those of its earlier deliveries."""
    inputs, day = recorded.inputs, date.fromisoformat(recorded.inputs["day"])
    amount, currency = Decimal(inputs["amount"]), inputs["currency"]
    order = orders.setdefault(recorded.cause.rpartition(":")[0], _SimulatedOrder(inputs["tier"], day))
    points = 0
    if rules.purchase is not None:
        per_unit = purchase_rate(rules, currency, order.tier, order.day)
        due = purchase_award(rules, purchase_points(amount, per_unit), amount, currency, order.tier, day, per_unit)
        points = max(0, due.points - order.points)
    order.points += points
    return SimulatedAward(recorded, "purchase", points)
