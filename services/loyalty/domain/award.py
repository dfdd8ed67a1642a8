"""Award calculation. The inputs are stored with each grant, so that it can be recalculated under other rules."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from libs.common.events.loyalty import GrantKind, LegalBasis
from libs.common.events.values import Fault, Reason
from services.loyalty.policy.award_rules import AwardRule, AwardRules

ZERO = Decimal(0)


@dataclass(frozen=True)
class Award:
    """Result of a rule: points (0 for none), rule name and version, the inputs of the calculation, and campaigns."""

    points: int
    rule: str
    version: str
    legal_basis: LegalBasis = LegalBasis.AFTER_SERVICE
    counts_for_tier: bool = False
    hold_days: int = 0
    validity_days: int = 365
    inputs: Mapping[str, Any] = field(default_factory=dict)
    campaigns: tuple[str, ...] = ()

    def inputs_text(self) -> str:
        return json.dumps(self.inputs, ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True, slots=True)
class IncidentImpact:
    """Impact of an issue on the customer. `waited_days` and `promises_broken` are 0 if the event lacks them."""

    fault: Fault
    reason: Reason
    amount: Decimal
    currency: str
    waited_days: int = 0
    promises_broken: int = 0


def apology_award(rules: AwardRules, impact: IncidentImpact, tier: str, day: date) -> Award:
    """Calculate apology points: base, share of value, delays and broken promises, times tier and campaign, capped."""
    rule = rules.rule_for(impact.fault, impact.reason)
    factor = _factor(rules, GrantKind.APOLOGY, tier, day)
    raw = ZERO
    if _grants_points(rule):
        raw = (rule.points + _value_share(rules, rule, impact) + _hardship_points(rules, impact)) * factor
    points = _rounded(rules, raw)
    points = points if rule.cap is None else min(points, rule.cap)
    return Award(
        _cap_to_premium_limit(rules, rule.legal_basis, points, impact.amount, impact.currency),
        rule.name,
        rules.version,
        rule.legal_basis,
        rule.counts_for_tier,
        rules.hold_days,
        rules.validity_days,
        {
            "fault": impact.fault.value,
            "reason": impact.reason.value,
            "amount": str(impact.amount),
            "currency": impact.currency,
            "waited_days": impact.waited_days,
            "promises_broken": impact.promises_broken,
            "tier": tier,
            "factor": str(factor),
            "day": day.isoformat(),
        },
    )


def purchase_rate(rules: AwardRules, currency: str, tier: str, day: date) -> Decimal:
    """Return points per unit of money on that day; fixed for an order by its first delivery."""
    if rules.purchase is None:
        return ZERO
    factor = _factor(rules, GrantKind.PURCHASE, tier, day)
    return rules.purchase.share * rules.points_per_unit.get(currency, ZERO) * factor


def purchase_points(amount: Decimal, per_unit: Decimal) -> int:
    """Return the points of goods at this price, rounded down so that partial deliveries never earn more."""
    return int((max(amount, ZERO) * per_unit).to_integral_value(ROUND_FLOOR))


def purchase_award(
    rules: AwardRules, points: int, amount: Decimal, currency: str, tier: str, day: date, per_unit: Decimal
) -> Award:
    rule = rules.purchase
    assert rule is not None, "callers check that the rules have a purchase section"
    return Award(
        _cap_to_premium_limit(rules, rule.legal_basis, points, amount, currency),
        "purchase",
        rules.version,
        rule.legal_basis,
        rule.counts_for_tier,
        rule.hold_days,
        rules.validity_days,
        {
            "amount": str(amount),
            "currency": currency,
            "rate": str(per_unit),
            "tier": tier,
            "day": day.isoformat(),
        },
    )


def birthday_award(rules: AwardRules, day: date) -> Award | None:
    rule = rules.birthday
    if rule is None:
        return None
    inputs = {"day": day.isoformat()}
    return Award(rule.points, "birthday", rules.version, rule.legal_basis, False, 0, rule.validity_days, inputs)


def _grants_points(rule: AwardRule) -> bool:
    """A rule without points stays at zero, however long the customer waited."""
    return bool(rule.points or rule.share_of_value)


def _value_share(rules: AwardRules, rule: AwardRule, impact: IncidentImpact) -> Decimal:
    """Return the share of the value in points; zero in a currency without a rate."""
    worth = impact.amount * rules.points_per_unit.get(impact.currency, ZERO)
    return max(worth * rule.share_of_value, ZERO)


def _hardship_points(rules: AwardRules, impact: IncidentImpact) -> int:
    days = max(0, impact.waited_days - rules.waiting.grace_days)
    waiting = min(days * rules.waiting.points_per_day, rules.waiting.max_points)
    return waiting + min(impact.promises_broken * rules.broken_promises.points, rules.broken_promises.max_points)


def _factor(rules: AwardRules, kind: GrantKind, tier: str, day: date) -> Decimal:
    current = rules.tier(tier)
    factor = current.factor if current else Decimal(1)
    for campaign in rules.active_campaigns(kind, day):
        factor *= campaign.factor
    return factor


def _rounded(rules: AwardRules, raw: Decimal) -> int:
    return int((raw / rules.round_to).to_integral_value(rules.rounding.mode)) * rules.round_to


def _cap_to_premium_limit(rules: AwardRules, basis: LegalBasis, points: int, amount: Decimal, currency: str) -> int:
    """Cap a gift at the legal limit of its currency; after-service and discounts are not gifts."""
    limit = rules.premium_limit(currency) if basis is LegalBasis.PREMIUM else None
    if limit is None:
        return points
    max_points = limit.max_value(amount) * rules.points_per_unit.get(currency, Decimal(1))
    return min(points, int(max_points.to_integral_value(ROUND_FLOOR)))
