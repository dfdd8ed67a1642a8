"""What the shop does about each reason, as data: one version of it, checked whole before anything runs.

Chosen over rules in code, because the shop changes them and must see at once what they say. A plan that would break an
invariant of the design (a collection before its replacement, a refund on receipt of what nobody fetches) is refused
here, so that no transition has to defend itself against it. An override is laid over its reason's rule when the policy
is read, and what comes of it is checked like any other rule. `policies` reads the files and keeps the versions apart.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from libs.common.events.values import Currency, Fault, Money, Reason, Remedy

Count = Annotated[int, Field(ge=1, le=1000)]
Hour = Annotated[int, Field(ge=0, le=23)]
Amount = Annotated[Decimal, Field(gt=0)]
Market = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class ShipOn(StrEnum):
    ACCEPTED = "accepted"
    RECEIVED = "received"
    NEVER = "never"


class CollectOn(StrEnum):
    ACCEPTED = "accepted"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    NEVER = "never"


class RefundOn(StrEnum):
    ACCEPTED = "accepted"
    RECEIVED = "received"
    NEVER = "never"


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Movements(Strict):
    """What moves under one remedy, and what each movement waits for."""

    ship_on: ShipOn
    collect_on: CollectOn
    refund_on: RefundOn
    inspect: bool

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if self.ship_on is ShipOn.ACCEPTED and self.collect_on is CollectOn.ACCEPTED:
            raise ValueError("collect_on: accepted comes before the replacement ships; write shipped or delivered")
        if self.collect_on in (CollectOn.SHIPPED, CollectOn.DELIVERED) and self.ship_on is not ShipOn.ACCEPTED:
            raise ValueError(f"collect_on: {self.collect_on} waits for a replacement; write ship_on accepted")
        if self.collect_on is CollectOn.NEVER and (self.ship_on is ShipOn.RECEIVED or self.inspect):
            raise ValueError("collect_on: never brings nothing back to ship on or inspect")
        if self.collect_on is CollectOn.NEVER and self.refund_on is RefundOn.RECEIVED:
            raise ValueError("refund_on: received needs a collection; write collect_on accepted, or refund_on accepted")
        if self.ship_on is not ShipOn.NEVER and self.refund_on is not RefundOn.NEVER:
            raise ValueError("refund_on: a unit is replaced or refunded, not both; write never")
        if self.ship_on is ShipOn.NEVER and self.refund_on is RefundOn.NEVER:
            raise ValueError("ship_on: a remedy ships or refunds; with refund_on never write accepted or received")
        return self


@dataclass(frozen=True, slots=True)
class Subject:
    """What of a report the overrides look at. `groups`: the product groups of its lines, None where one has none."""

    value: Money
    market: str
    groups: Collection[str | None]


class Override(Strict):
    """Another rule for some of the reports with this reason: all that is named here must be so."""

    product_groups: tuple[Word, ...] = ()
    markets: tuple[Market, ...] = ()
    value_up_to: dict[Currency, Amount] = {}
    value_over: dict[Currency, Amount] = {}
    default: Remedy | None = None
    remedies: dict[Remedy, Movements] = {}

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not (self.product_groups or self.markets or self.value_up_to or self.value_over):
            raise ValueError("overrides: name product_groups, markets, value_up_to or value_over; else change the rule")
        if self.default is None and not self.remedies:
            raise ValueError("overrides: write default or remedies; it changes nothing otherwise")
        return self

    def applies_to(self, subject: Subject) -> bool:
        value, currency = subject.value.amount, subject.value.currency
        return (
            (not self.product_groups or all(group in self.product_groups for group in subject.groups))
            and (not self.markets or subject.market in self.markets)
            and (not self.value_up_to or (currency in self.value_up_to and value <= self.value_up_to[currency]))
            and (not self.value_over or (currency in self.value_over and value > self.value_over[currency]))
        )


class Rule(Strict):
    """One reason: whose fault it is, which remedies a customer may wish for, and which one else."""

    fault: Fault
    default: Remedy
    remedies: dict[Remedy, Movements]
    overrides: tuple[Override, ...] = ()

    @model_validator(mode="after")
    def _can_be_kept(self) -> Self:
        if self.default not in self.remedies:
            raise ValueError(f"default: {self.default} is not among remedies ({', '.join(self.remedies)})")
        if Remedy.REFUND not in self.remedies:
            raise ValueError("remedies: refund is missing; it is what is left when nothing can be sent")
        if self.remedies[Remedy.REFUND].refund_on is RefundOn.NEVER:
            raise ValueError("remedies.refund.refund_on: write accepted or received")
        for override in self.overrides:
            self.under(override)
        return self

    def under(self, override: Override) -> "Rule":
        """This rule with an override laid over it. Raises `ValueError` where the two do not fit."""
        remedies = {**self.remedies, **override.remedies}
        return Rule(fault=self.fault, default=override.default or self.default, remedies=remedies)

    def about(self, subject: Subject) -> "Rule":
        """The rule for this report: the first override that applies, else the rule itself."""
        found = next((override for override in self.overrides if override.applies_to(subject)), None)
        return self.under(found) if found else self

    def remedy(self, requested: Remedy | None) -> Remedy:
        """The requested remedy where it is allowed, else the default."""
        return requested if requested in self.remedies else self.default


class Terms(Strict):
    """Spans and limits; what each means stands in `policy.toml`."""

    promise_open_days: Count
    promise_hour: Hour
    transit_days: Count
    warehouse_answer_hours: Count
    warehouse_max_asks: Count
    delivery_grace_days: Count
    choice_open_days: Count
    wait_if_restock_within_days: Count
    collection_answer_hours: Count
    collection_max_attempts: Count
    receipt_days: Count
    inspection_open_days: Count
    refund_answer_hours: Count
    refund_retry_hours: Count
    refund_max_attempts: Count
    address_first_look_seconds: Count
    address_max_tries: Count
    review_open_days: Count
    review_hour: Hour
    review_max_reminders: Count


class Door(Strict):
    """What happens at the customer's door: who can swap, who shares a visit, who is reminded."""

    swap_carriers: tuple[Word, ...]
    share_visit_within_days: Annotated[int, Field(ge=0, le=30)]
    remind_after_days: Count
    remind_every_days: Count
    max_reminders: Count


class Cap(Strict):
    """How much may be out with one customer and not yet back: `base`, and a share of what they have bought."""

    base: Amount
    share_of_history: Annotated[Decimal, Field(ge=0, le=10)]
    at_most: Amount

    @model_validator(mode="after")
    def _reaches_its_base(self) -> Self:
        if self.at_most < self.base:
            raise ValueError(f"at_most: {self.at_most} is less than base ({self.base}); write at least that")
        return self

    def of(self, bought: Decimal) -> Decimal:
        return min(self.at_most, self.base + self.share_of_history * max(bought, Decimal(0)))


class Signals(Strict):
    """What makes a human look before goods leave; never a refusal by itself."""

    reports_within_days: Count
    max_reports: Count
    max_mismatches: Annotated[int, Field(ge=0, le=1000)]
    max_customers_per_address: Count


class Policy(Strict):
    version: Annotated[str, Field(min_length=1, max_length=40)]
    in_force_from: date
    terms: Terms
    door: Door
    review_over: dict[Currency, Amount]
    exposure: dict[Currency, Cap]
    signals: Signals
    reasons: dict[Reason, Rule]

    @model_validator(mode="before")
    @classmethod
    def _takes_a_mapping(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            raise ValueError("policy: write a table of version, terms, reasons and so on")
        return given

    @model_validator(mode="after")
    def _answers_everything(self) -> Self:
        if missing := [reason for reason in Reason if reason not in self.reasons]:
            raise ValueError(f"reasons: {', '.join(missing)} missing; every reason needs a rule")
        if uncapped := sorted(set(self.review_over) - set(self.exposure)):
            raise ValueError(f"exposure: {', '.join(uncapped)} missing; every currency of review_over needs a cap")
        return self

    def rule(self, reason: Reason, subject: Subject) -> Rule:
        return self.reasons[reason].about(subject)

    def needs_a_human(self, value: Money) -> bool:
        """Whether a case of this value is decided by a human before anything leaves."""
        limit = self.review_over.get(value.currency)
        return limit is None or value.amount > limit
