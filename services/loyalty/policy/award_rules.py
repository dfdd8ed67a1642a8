"""Schema of the award rules (`award.toml`), validated as a whole at start.

The first rule that matches an issue applies. The rules must cover every combination of fault and reason, and must not
contain a rule that can never match. An omitted section disables its feature: no points for purchases, no tiers, no
limits. `domain/award.py` calculates awards.
"""

from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from itertools import pairwise, product
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from libs.common.events.loyalty import GrantKind, LegalBasis, Title
from libs.common.events.values import Currency, Fault, Reason

RuleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")]
Share = Annotated[Decimal, Field(ge=0, le=1)]
Factor = Annotated[Decimal, Field(ge=0, le=100)]
Amount = Annotated[int, Field(ge=0, le=1_000_000)]
Days = Annotated[int, Field(ge=0, le=3650)]
LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[a-z0-9]{2,8})*$")]
TitleText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class RuleSection(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rounding(StrEnum):
    DOWN = "down"
    UP = "up"
    HALF_UP = "half_up"

    @property
    def mode(self) -> str:
        return {"down": ROUND_FLOOR, "up": ROUND_CEILING, "half_up": ROUND_HALF_UP}[self]


class AwardRule(RuleSection):
    """`points` plus a share of the value of the reported units, at most `cap`; matches any of `reasons`.

    The cap includes the bonuses for waiting and broken promises and the factors of tier and campaign.
    """

    name: RuleName
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
            raise ValueError(
                "cap: missing; share_of_value needs a cap, so that one expensive item cannot use up the points budget"
            )
        if self.cap is not None and self.cap < self.points:
            raise ValueError(f"cap: {self.cap} is less than points ({self.points}); raise or omit it")
        if self.fault is Fault.CUSTOMER and (self.points or self.share_of_value):
            raise ValueError("points: must be 0 for fault 'customer', without share_of_value")
        return self

    def cases(self) -> set[tuple[Fault, Reason]]:
        return {(self.fault, reason) for reason in self.reasons}


class WaitingBonus(RuleSection):
    """Each day of waiting beyond `grace_days` earns `points_per_day`, at most `max_points` in total."""

    grace_days: Days = 0
    points_per_day: Amount = 0
    max_points: Amount = 0


class BrokenPromiseBonus(RuleSection):
    """Each promised date that was missed earns `points`, at most `max_points` in total."""

    points: Amount = 0
    max_points: Amount = 0


class ApologyLimits(RuleSection):
    """Rate limits of apologies per customer: `max_grants` and `max_points` within `days`.

    Over a limit, staff decide within `review_days` (`review`), or the points are withheld (`withhold`). The reason is
    recorded in both cases.
    """

    days: Annotated[int, Field(ge=1, le=730)]
    max_grants: Annotated[int, Field(ge=1)] | None = None
    max_points: Annotated[int, Field(ge=1)] | None = None
    when_exceeded: Annotated[str, StringConstraints(pattern="^(review|withhold)$")] = "review"
    review_days: Annotated[int, Field(ge=1, le=60)] = 7


class PurchaseRule(RuleSection):
    """Points for goods delivered and kept: a share of their price."""

    share: Share
    hold_days: Days = 14
    legal_basis: LegalBasis = LegalBasis.DISCOUNT
    counts_for_tier: bool = True


class BirthdayRule(RuleSection):
    """Points once a year, for customers whose birthday is known."""

    points: Annotated[int, Field(ge=1, le=1_000_000)]
    validity_days: Annotated[int, Field(ge=1, le=3650)] = 60
    legal_basis: LegalBasis = LegalBasis.PREMIUM


class Tier(RuleSection):
    """A tier is reached with `min_points` qualifying points within its period. `perks` are codes for the shop."""

    name: RuleName
    min_points: Amount
    factor: Factor = Decimal(1)
    perks: tuple[RuleName, ...] = ()


class Campaign(RuleSection):
    """A campaign multiplies points of these `kinds` from `first_day` to `last_day`. Overlapping campaigns multiply."""

    name: RuleName
    first_day: date
    last_day: date
    kinds: frozenset[GrantKind] = frozenset({GrantKind.PURCHASE})
    factor: Factor

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.last_day < self.first_day:
            raise ValueError(f"last_day: {self.last_day} is before first_day ({self.first_day})")
        return self


class PremiumLimit(RuleSection):
    """Legal limit of gifts: `floor`, or `share` of a purchase from `from_value` on. `source` cites the law."""

    currency: Currency
    floor: Annotated[Decimal, Field(ge=0)]
    from_value: Annotated[Decimal, Field(ge=0)]
    share: Share
    source: Annotated[str, StringConstraints(min_length=10)]

    def max_value(self, value: Decimal) -> Decimal:
        """Return the maximum value of a gift with a purchase of this value (0: without a purchase)."""
        return self.floor if value < self.from_value else value * self.share


class AwardRules(RuleSection):
    """One version of the rules. Points stay pending for `hold_days` before they can be spent.

    `titles` are the names of tiers, perks and campaigns for customers, by code and language.
    """

    version: RuleName
    hold_days: Annotated[int, Field(ge=0, le=365)]
    validity_days: Annotated[int, Field(ge=1, le=3650)] = 365
    notice_days: Annotated[int, Field(ge=0, le=365)] = 30
    reservation_minutes: Annotated[int, Field(ge=1, le=10_080)] = 30
    rounding: Rounding = Rounding.DOWN
    round_to: Annotated[int, Field(ge=1, le=1000)] = 1
    tier_days: Annotated[int, Field(ge=30, le=730)] = 365
    points_per_unit: dict[Currency, Annotated[Decimal, Field(gt=0)]] = Field(default_factory=dict)
    rules: tuple[AwardRule, ...]
    waiting: WaitingBonus = WaitingBonus()
    broken_promises: BrokenPromiseBonus = BrokenPromiseBonus()
    limits: ApologyLimits | None = None
    purchase: PurchaseRule | None = None
    birthday: BirthdayRule | None = None
    tiers: tuple[Tier, ...] = ()
    campaigns: tuple[Campaign, ...] = ()
    premium_limits: tuple[PremiumLimit, ...] = ()
    titles: dict[RuleName, dict[LanguageCode, TitleText]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_cases()
        self._check_names()
        self._check_titles()
        if self.tiers and self.tiers[0].min_points:
            raise ValueError("tiers: the first tier must have min_points = 0, since every customer is in a tier")
        if any(lower.min_points >= higher.min_points for lower, higher in pairwise(self.tiers)):
            raise ValueError("tiers: must be in ascending order of min_points, without equal values")
        self._check_premiums()
        return self

    def _check_cases(self) -> None:
        open_cases = set(product(Fault, Reason))
        for rule in self.rules:
            if not rule.cases() & open_cases:
                raise ValueError(
                    f"rules: {rule.name!r} can never match: earlier rules cover all its cases; move it up or remove it"
                )
            open_cases -= rule.cases()
        if open_cases:
            fault, reason = min(open_cases)
            raise ValueError(
                f"rules: no rule for fault {fault.value!r} with reason {reason.value!r}; add one (points may be 0)"
            )

    def _check_titles(self) -> None:
        perks = {perk for tier in self.tiers for perk in tier.perks}
        known = perks | {tier.name for tier in self.tiers} | {campaign.name for campaign in self.campaigns}
        if unknown := sorted(self.titles.keys() - known):
            raise ValueError(
                f"titles: {', '.join(unknown)}: no tier, perk or campaign has this code; correct or remove"
            )

    def _check_names(self) -> None:
        for section in ("rules", "tiers", "campaigns"):
            names = [item.name for item in getattr(self, section)]
            if len(set(names)) < len(names):
                raise ValueError(f"{section}: duplicate name; grants refer to rules by unique names")

    def _check_premiums(self) -> None:
        """Check the birthday gift against the limit without a purchase; `award.py` caps gifts with a purchase."""
        if self.birthday is None or self.birthday.legal_basis is not LegalBasis.PREMIUM:
            return
        for limit in self.premium_limits:
            value = self.birthday.points / self.points_per_unit.get(limit.currency, Decimal(1))
            if value > limit.floor:
                raise ValueError(
                    f"birthday.points: worth {value} {limit.currency}; a gift may be worth {limit.floor} at most"
                )

    def rule_for(self, fault: Fault, reason: Reason) -> AwardRule:
        return next(rule for rule in self.rules if (fault, reason) in rule.cases())

    def tier_at(self, qualifying_points: int) -> Tier | None:
        """Return the highest tier reached; None if there are no tiers."""
        return next((tier for tier in reversed(self.tiers) if tier.min_points <= qualifying_points), None)

    def tier(self, name: str) -> Tier | None:
        """Return the tier of this name; the first tier for a new customer or a removed tier."""
        return next((tier for tier in self.tiers if tier.name == name), self.tiers[0] if self.tiers else None)

    def active_campaigns(self, kind: GrantKind, day: date) -> list[Campaign]:
        return [
            campaign
            for campaign in self.campaigns
            if kind in campaign.kinds and campaign.first_day <= day <= campaign.last_day
        ]

    def titles_of(self, *codes: str) -> tuple[Title, ...]:
        """Return the titles of these codes, as far as the rules have any."""
        return tuple(
            Title(code=code, language=language, text=text)
            for code in codes
            for language, text in self.titles.get(code, {}).items()
        )

    def premium_limit(self, currency: str) -> PremiumLimit | None:
        return next((limit for limit in self.premium_limits if limit.currency == currency), None)
