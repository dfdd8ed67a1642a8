"""Works out what a rule gives, and keeps what it looked at, so that any grant can be worked out again."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from libs.common.events.loyalty import GrantKind, LegalBasis
from libs.common.events.values import Fault, Reason
from services.loyalty.policy.award_rules import AwardRule, AwardRules

NOTHING = Decimal(0)


@dataclass(frozen=True)
class Award:
    """What a rule gives: points (0 for none), the rule and version that say so, and on what."""

    points: int
    rule: str
    version: str
    legal_basis: LegalBasis = LegalBasis.AFTER_SERVICE
    counts_for_tier: bool = False
    hold_days: int = 0
    validity_days: int = 365
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def inputs_text(self) -> str:
        return json.dumps(self.inputs, ensure_ascii=False, sort_keys=True)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an issue was to the customer. `waited_days` and `promises_broken` are 0 where nobody says."""

    fault: Fault
    reason: Reason
    amount: Decimal
    currency: str
    waited_days: int = 0
    promises_broken: int = 0


def apology(rules: AwardRules, trouble: Trouble, tier: str, day: date) -> Award:
    """Points for an issue: base, share of value, waiting and broken promises, times tier and season, under the cap."""
    rule = rules.rule_for(trouble.fault, trouble.reason)
    factor = _factor(rules, GrantKind.APOLOGY, tier, day)
    raw = (rule.points + _share(rules, rule, trouble) + _extra(rules, trouble)) * factor if _gives(rule) else NOTHING
    points = _rounded(rules, raw)
    points = points if rule.cap is None else min(points, rule.cap)
    return Award(
        _lawful(rules, rule.legal_basis, points, trouble.amount, trouble.currency),
        rule.name,
        rules.version,
        rule.legal_basis,
        rule.counts_for_tier,
        rules.hold_days,
        rules.validity_days,
        {
            "fault": trouble.fault.value,
            "reason": trouble.reason.value,
            "amount": str(trouble.amount),
            "currency": trouble.currency,
            "waited_days": trouble.waited_days,
            "promises_broken": trouble.promises_broken,
            "tier": tier,
            "factor": str(factor),
            "day": day.isoformat(),
        },
    )


def rate(rules: AwardRules, currency: str, tier: str, day: date) -> Decimal:
    """Points per unit of money for a purchase on that day: fixed for an order by its first delivery."""
    if rules.purchase is None:
        return NOTHING
    factor = _factor(rules, GrantKind.PURCHASE, tier, day)
    return rules.purchase.share * rules.points_per_unit.get(currency, NOTHING) * factor


def purchased(rules: AwardRules, amount: Decimal, per_unit: Decimal) -> int:
    """Points that goods of this price earn at that rate; always rounded down, so that parts never earn more."""
    return int((max(amount, NOTHING) * per_unit).to_integral_value(ROUND_FLOOR))


def for_purchase(
    rules: AwardRules, points: int, amount: Decimal, currency: str, tier: str, day: date, per_unit: Decimal
) -> Award:
    rule = rules.purchase
    assert rule is not None, "without a rule a purchase earns nothing"
    return Award(
        _lawful(rules, rule.legal_basis, points, amount, currency),
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


def birthday(rules: AwardRules, day: date) -> Award | None:
    rule = rules.birthday
    if rule is None:
        return None
    inputs = {"day": day.isoformat()}
    return Award(rule.points, "birthday", rules.version, rule.legal_basis, False, 0, rule.validity_days, inputs)


def _gives(rule: AwardRule) -> bool:
    """A rule of nothing stays nothing, however long the customer waited."""
    return bool(rule.points or rule.share_of_value)


def _share(rules: AwardRules, rule: AwardRule, trouble: Trouble) -> Decimal:
    """A share of the value; in a currency without a rate rather nothing than a wrong number."""
    worth = trouble.amount * rules.points_per_unit.get(trouble.currency, NOTHING)
    return max(worth * rule.share_of_value, NOTHING)


def _extra(rules: AwardRules, trouble: Trouble) -> int:
    days = max(0, trouble.waited_days - rules.waiting.free_days)
    waited = min(days * rules.waiting.points_per_day, rules.waiting.most)
    return waited + min(trouble.promises_broken * rules.broken_promises.points, rules.broken_promises.most)


def _factor(rules: AwardRules, kind: GrantKind, tier: str, day: date) -> Decimal:
    found = rules.tier(tier)
    factor = found.factor if found else Decimal(1)
    for season in rules.seasons(kind, day):
        factor *= season.factor
    return factor


def _rounded(rules: AwardRules, raw: Decimal) -> int:
    return int((raw / rules.round_to).to_integral_value(rules.rounding.mode)) * rules.round_to


def _lawful(rules: AwardRules, basis: LegalBasis, points: int, amount: Decimal, currency: str) -> int:
    """A gift stays under what the law allows in this currency; a repair or a lower price is no gift."""
    limit = rules.premium_limit(currency) if basis is LegalBasis.PREMIUM else None
    if limit is None:
        return points
    worth = limit.worth(amount) * rules.points_per_unit.get(currency, Decimal(1))
    return min(points, int(worth.to_integral_value(ROUND_FLOOR)))
