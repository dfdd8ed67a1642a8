"""The rules of points as data (`award.toml`), checked as a whole before the service starts.

For an issue the first rule that fits counts. A set of rules must answer every fault and reason, so that no case is
forgotten, and must not hold a rule that can never count. `award.py` works them out. Sections that are left out give
nothing: no points for purchases, no tiers, no limits.
"""

from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from itertools import pairwise, product
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from libs.common.events.loyalty import GrantKind, LegalBasis
from libs.common.events.values import Currency, Fault, Reason

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Share = Annotated[Decimal, Field(ge=0, le=1)]
Factor = Annotated[Decimal, Field(ge=0, le=100)]
Amount = Annotated[int, Field(ge=0, le=1_000_000)]
Days = Annotated[int, Field(ge=0, le=3650)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rounding(StrEnum):
    DOWN = "down"
    UP = "up"
    HALF_UP = "half_up"

    @property
    def mode(self) -> str:
        return {"down": ROUND_FLOOR, "up": ROUND_CEILING, "half_up": ROUND_HALF_UP}[self]


class AwardRule(Section):
    """`points` and a share of the value of the reported units, together at most `cap`; fits any of `reasons`.

    What waiting and broken promises add, and the factors of tier and campaign, are under the same cap.
    """

    name: Name
    fault: Fault
    reasons: frozenset[Reason] = frozenset(Reason)
    points: Amount
    share_of_value: Share = Decimal(0)
    cap: Amount | None = None
    legal_basis: LegalBasis = LegalBasis.AFTER_SERVICE
    counts_for_tier: bool = False

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


class Waiting(Section):
    """Each day that the customer waited beyond `free_days` earns `points_per_day`, `most` in all."""

    free_days: Days = 0
    points_per_day: Amount = 0
    most: Amount = 0


class BrokenPromises(Section):
    """Each date that was told and not kept earns `points`, `most` in all."""

    points: Amount = 0
    most: Amount = 0


class Limits(Section):
    """The apology governor: points without end teach complaints.

    Within `days` a customer gets at most `most_grants` apologies in points, and at most `most_points`. Over it a human
    decides within `review_days`, or the customer gets words only; either way it is recorded why.
    """

    days: Annotated[int, Field(ge=1, le=730)]
    most_grants: Annotated[int, Field(ge=1)] | None = None
    most_points: Annotated[int, Field(ge=1)] | None = None
    over: Annotated[str, StringConstraints(pattern="^(review|words)$")] = "review"
    review_days: Annotated[int, Field(ge=1, le=60)] = 7


class PurchaseRule(Section):
    """Points for what was bought, delivered and kept: a share of its price."""

    share: Share
    hold_days: Days = 14
    legal_basis: LegalBasis = LegalBasis.DISCOUNT
    counts_for_tier: bool = True


class BirthdayRule(Section):
    """A present once a year, for those who told the shop the day."""

    points: Annotated[int, Field(ge=1, le=1_000_000)]
    validity_days: Annotated[int, Field(ge=1, le=3650)] = 60
    legal_basis: LegalBasis = LegalBasis.PREMIUM


class Tier(Section):
    """A tier begins `at` so many points that count for it within the tier's period. `perks` are codes for the shop."""

    name: Name
    at: Amount
    factor: Factor = Decimal(1)
    perks: tuple[Name, ...] = ()


class Campaign(Section):
    """A season: from `first` to `last` day points of these `kinds` are multiplied. Seasons that overlap multiply."""

    name: Name
    first: date
    last: date
    kinds: frozenset[GrantKind] = frozenset({GrantKind.PURCHASE})
    factor: Factor

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.last < self.first:
            raise ValueError(f"last: {self.last} is before first ({self.first})")
        return self


class PremiumLimit(Section):
    """A gift is worth `floor` at most, from `from_value` on that `share` of the purchase. `source` is the law."""

    currency: Currency
    floor: Annotated[Decimal, Field(ge=0)]
    from_value: Annotated[Decimal, Field(ge=0)]
    share: Share
    source: Annotated[str, StringConstraints(min_length=10)]

    def worth(self, value: Decimal) -> Decimal:
        """The most that a gift may be worth with a purchase of this value (0: without a purchase)."""
        return self.floor if value < self.from_value else value * self.share


class AwardRules(Section):
    """One version of the rules. `hold_days` is how long points stay pending before they may be spent."""

    version: Name
    hold_days: Annotated[int, Field(ge=0, le=365)]
    validity_days: Annotated[int, Field(ge=1, le=3650)] = 365
    notice_days: Annotated[int, Field(ge=0, le=365)] = 30
    reservation_minutes: Annotated[int, Field(ge=1, le=10_080)] = 30
    rounding: Rounding = Rounding.DOWN
    round_to: Annotated[int, Field(ge=1, le=1000)] = 1
    tier_days: Annotated[int, Field(ge=30, le=730)] = 365
    points_per_unit: dict[Currency, Annotated[Decimal, Field(gt=0)]] = Field(default_factory=dict)
    rules: tuple[AwardRule, ...]
    waiting: Waiting = Waiting()
    broken_promises: BrokenPromises = BrokenPromises()
    limits: Limits | None = None
    purchase: PurchaseRule | None = None
    birthday: BirthdayRule | None = None
    tiers: tuple[Tier, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    premium_limits: tuple[PremiumLimit, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_cases()
        self._check_names()
        if self.tiers and self.tiers[0].at:
            raise ValueError("tiers: the first one begins at 0; everybody is in a tier")
        if any(one.at >= other.at for one, other in pairwise(self.tiers)):
            raise ValueError("tiers: each begins at more points than the one before; put them in order")
        self._check_premiums()
        return self

    def _check_cases(self) -> None:
        open_cases = set(product(Fault, Reason))
        for rule in self.rules:
            if not rule.cases() & open_cases:
                raise ValueError(f"rules: {rule.name!r} can never count, an earlier rule takes all its cases")
            open_cases -= rule.cases()
        if open_cases:
            fault, reason = min(open_cases)
            raise ValueError(f"rules: none says what fault {fault.value!r} with reason {reason.value!r} earns")

    def _check_names(self) -> None:
        for what in ("rules", "tiers", "campaigns"):
            named = [each.name for each in getattr(self, what)]
            if len(set(named)) < len(named):
                raise ValueError(f"{what}: two have the same name; a grant could not say which made it")

    def _check_premiums(self) -> None:
        """A gift without a purchase must be lawful by itself; with one, `award.py` holds it under the limit."""
        if self.birthday is None or self.birthday.legal_basis is not LegalBasis.PREMIUM:
            return
        for limit in self.premium_limits:
            worth = self.birthday.points / self.points_per_unit.get(limit.currency, Decimal(1))
            if worth > limit.floor:
                raise ValueError(f"birthday.points: worth {worth} {limit.currency}, {limit.floor} are lawful as a gift")

    def rule_for(self, fault: Fault, reason: Reason) -> AwardRule:
        return next(rule for rule in self.rules if (fault, reason) in rule.cases())

    def tier_at(self, counted: int) -> Tier | None:
        """The highest tier that so many points reach; None where there are no tiers."""
        return next((tier for tier in reversed(self.tiers) if tier.at <= counted), None)

    def tier(self, name: str) -> Tier | None:
        """A tier by its name; the first one for a customer of whom nothing is known, or whose tier is no more."""
        return next((tier for tier in self.tiers if tier.name == name), self.tiers[0] if self.tiers else None)

    def seasons(self, kind: GrantKind, day: date) -> list[Campaign]:
        return [each for each in self.campaigns if kind in each.kinds and each.first <= day <= each.last]

    def premium_limit(self, currency: str) -> PremiumLimit | None:
        return next((limit for limit in self.premium_limits if limit.currency == currency), None)
