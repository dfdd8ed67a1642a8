"""Award rules: how many points an issue earns, as data (`award.toml`), checked as a whole before the service starts.

The first rule that fits counts. A set of rules must answer every fault and reason, so that no case is forgotten, and
must not hold a rule that can never count. A share of the value counts only in a currency that `points_per_unit`
knows: rather too few points than a wrong rate.
"""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from itertools import product
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from libs.common.events.issues import IssueResolved
from libs.common.events.values import Currency, Fault, Reason

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Share = Annotated[Decimal, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Award:
    """What a rule gives: points (0 for none), and the rule and version that say so."""

    points: int
    rule: str
    version: str


class AwardRule(BaseModel):
    """`points` and a share of the value of the reported units, together at most `cap`; fits any of `reasons`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    fault: Fault
    reasons: frozenset[Reason] = frozenset(Reason)
    points: Annotated[int, Field(ge=0, le=1_000_000)]
    share_of_value: Share = Decimal(0)
    cap: Annotated[int, Field(ge=0, le=1_000_000)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.share_of_value and self.cap is None:
            raise ValueError("cap: a share of the value needs one, else one dear item empties the points budget")
        if self.cap is not None and self.cap < self.points:
            raise ValueError(f"cap: {self.cap} is less than points ({self.points}); raise it or leave it out")
        if self.fault is Fault.CUSTOMER and (self.points or self.share_of_value):
            raise ValueError("points: nothing went wrong on the shop's side where the fault is the customer's; write 0")
        return self

    def cases(self) -> set[tuple[Fault, Reason]]:
        return {(self.fault, reason) for reason in self.reasons}


class AwardRules(BaseModel):
    """One version of the rules. `hold_days` is how long points stay pending before they may be spent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Name
    hold_days: Annotated[int, Field(ge=0, le=365)]
    points_per_unit: dict[Currency, Annotated[Decimal, Field(gt=0)]] = Field(default_factory=dict)
    rules: tuple[AwardRule, ...]

    @model_validator(mode="after")
    def _check(self) -> Self:
        open_cases = set(product(Fault, Reason))
        for rule in self.rules:
            if not rule.cases() & open_cases:
                raise ValueError(f"rules: {rule.name!r} can never count, an earlier rule takes all its cases")
            open_cases -= rule.cases()
        if open_cases:
            fault, reason = min(open_cases)
            raise ValueError(f"rules: none says what fault {fault.value!r} with reason {reason.value!r} earns")
        if len({rule.name for rule in self.rules}) < len(self.rules):
            raise ValueError("rules: two have the same name; a grant could not say which made it")
        return self

    def award(self, resolved: IssueResolved) -> Award:
        rule = next(rule for rule in self.rules if (resolved.fault, resolved.reason) in rule.cases())
        worth = resolved.value.amount * self.points_per_unit.get(resolved.value.currency, Decimal(0))
        share = int((worth * rule.share_of_value).to_integral_value(ROUND_FLOOR))
        points = rule.points + max(share, 0)
        return Award(points if rule.cap is None else min(points, rule.cap), rule.name, self.version)
