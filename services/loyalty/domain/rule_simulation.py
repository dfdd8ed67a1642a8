"""What other rules would have given for what has happened: each case worked out again on the inputs that were kept.

Limits are applied anew, in the order of events and per customer. Left as they were: tiers (a case keeps the tier that
the customer had), what ops decided by hand, and what was taken back later, since that does not hang on the rules.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from libs.common.events.loyalty import GrantKind
from libs.common.events.values import Fault, Reason
from services.loyalty.domain.award import Award, Trouble, apology, for_purchase, purchased, rate
from services.loyalty.policy.award_rules import AwardRules


@dataclass(frozen=True, slots=True)
class Case:
    """One time that rules were asked: what they looked at, and what came of it (0 points: nothing, or words only)."""

    customer_id: str
    at: datetime
    cause: str
    what: GrantKind
    rule: str
    points: int
    inputs: Mapping[str, Any]
    held_out: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    case: Case
    rule: str
    points: int

    @property
    def change(self) -> int:
        return self.points - self.case.points


@dataclass(slots=True)
class Comparison:
    """Every case under both rules; `unknown` are from before inputs were kept, and left out."""

    version: str
    outcomes: list[Outcome] = field(default_factory=list)
    unknown: int = 0

    def before(self) -> int:
        return sum(outcome.case.points for outcome in self.outcomes)

    def after(self) -> int:
        return sum(outcome.points for outcome in self.outcomes)

    def changed(self) -> list[Outcome]:
        """Cases that come out differently, the largest difference first."""
        different = [outcome for outcome in self.outcomes if outcome.change]
        return sorted(different, key=lambda outcome: (-abs(outcome.change), outcome.case.cause))

    def by_rule(self) -> dict[str, tuple[int, int]]:
        """Points before and after, by the name of the rule."""
        before, after = Counter[str](), Counter[str]()
        for outcome in self.outcomes:
            before[outcome.case.rule] += outcome.case.points
            after[outcome.rule] += outcome.points
        return {rule: (before[rule], after[rule]) for rule in sorted(before.keys() | after.keys())}


def replay(rules: AwardRules, cases: Iterable[Case]) -> Comparison:
    """Work every case out anew; `cases` in any order."""
    comparison = Comparison(rules.version)
    given: defaultdict[str, list[tuple[datetime, int]]] = defaultdict(list)
    per_order = Counter[str]()
    for case in sorted(cases, key=lambda case: (case.at, case.cause)):
        if "amount" not in case.inputs:
            comparison.unknown += 1
        elif case.what is GrantKind.PURCHASE:
            comparison.outcomes.append(_purchase(rules, case, per_order))
        else:
            comparison.outcomes.append(_apology(rules, case, given[case.customer_id]))
    return comparison


def _apology(rules: AwardRules, case: Case, given: list[tuple[datetime, int]]) -> Outcome:
    award = _award(rules, case.inputs)
    points = 0 if case.held_out else _within(rules, award.points, case.at, given)
    if points:
        given.append((case.at, points))
    return Outcome(case, award.rule, points)


def _award(rules: AwardRules, inputs: Mapping[str, Any]) -> Award:
    trouble = Trouble(
        Fault(inputs["fault"]),
        Reason(inputs["reason"]),
        Decimal(inputs["amount"]),
        inputs["currency"],
        inputs["waited_days"],
        inputs["promises_broken"],
    )
    return apology(rules, trouble, inputs["tier"], date.fromisoformat(inputs["day"]))


def _within(rules: AwardRules, points: int, at: datetime, given: Sequence[tuple[datetime, int]]) -> int:
    """What the governor leaves of it; a review is taken for words."""
    limits = rules.limits
    if limits is None:
        return points
    recent = [each for moment, each in given if moment > at - timedelta(days=limits.days)]
    if limits.most_grants is not None and len(recent) >= limits.most_grants:
        return 0
    return points if limits.most_points is None else max(0, min(points, limits.most_points - sum(recent)))


def _purchase(rules: AwardRules, case: Case, per_order: Counter[str]) -> Outcome:
    """An order's points by now, less those that earlier parts of it earned."""
    order = case.cause.rpartition(":")[0]
    inputs, day = case.inputs, date.fromisoformat(case.inputs["day"])
    amount, currency, tier = Decimal(inputs["amount"]), inputs["currency"], inputs["tier"]
    points = 0
    if rules.purchase is not None:
        per_unit = rate(rules, currency, tier, day)
        due = for_purchase(rules, purchased(rules, amount, per_unit), amount, currency, tier, day, per_unit)
        points = max(0, due.points - per_order[order])
    per_order[order] += points
    return Outcome(case, "purchase", points)
