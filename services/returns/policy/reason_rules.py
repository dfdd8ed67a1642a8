"""Rule per reason: its fault, its remedies and the overrides for some of its reports.

An override is merged into its rule when the policy is read, and the result is checked like any other rule.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from libs.common.events.values import Currency, Fault, Money, Remedy
from services.returns.policy.movements import Movements, PolicyModel, RefundOn

PositiveAmount = Annotated[Decimal, Field(gt=0)]
MarketCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
ShortText = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class ShippingRefund(StrEnum):
    """Refund of the shipping fee: never, or together with the last unit of the order."""

    NEVER = "never"
    WITH_WHOLE_ORDER = "with_whole_order"


@dataclass(frozen=True, slots=True)
class ReportAttributes:
    """Attributes of a report that select a rule; None among `product_groups` is a line without a group.

    `is_of_parts`: the report names components of its units, and nothing else.
    """

    value: Money
    market: str
    product_groups: Collection[str | None]
    is_of_parts: bool = False


class ReasonOverride(PolicyModel):
    """Other remedies for reports that match every given condition."""

    product_groups: tuple[ShortText, ...] = ()
    markets: tuple[MarketCode, ...] = ()
    value_up_to: dict[Currency, PositiveAmount] = Field(default_factory=dict)
    value_over: dict[Currency, PositiveAmount] = Field(default_factory=dict)
    default: Remedy | None = None
    remedies: dict[Remedy, Movements] = Field(default_factory=dict)
    refund_shipping: ShippingRefund | None = None

    @model_validator(mode="after")
    def _check_not_empty(self) -> Self:
        if not (self.product_groups or self.markets or self.value_up_to or self.value_over):
            raise ValueError("overrides: no condition; name product_groups, markets, value_up_to or value_over")
        if self.default is None and not self.remedies and self.refund_shipping is None:
            raise ValueError("overrides: no effect; write default, remedies or refund_shipping")
        return self

    def applies_to(self, report: ReportAttributes) -> bool:
        value, currency = report.value.amount, report.value.currency
        return (
            (not self.product_groups or all(group in self.product_groups for group in report.product_groups))
            and (not self.markets or report.market in self.markets)
            and (not self.value_up_to or (currency in self.value_up_to and value <= self.value_up_to[currency]))
            and (not self.value_over or (currency in self.value_over and value > self.value_over[currency]))
        )


class ReasonRule(PolicyModel):
    """Rule of one reason: the fault, the remedies a customer may request, and the default."""

    fault: Fault
    default: Remedy
    remedies: dict[Remedy, Movements]
    overrides: tuple[ReasonOverride, ...] = ()
    refund_shipping: ShippingRefund = ShippingRefund.NEVER

    @model_validator(mode="after")
    def _check_remedies(self) -> Self:
        if self.default not in self.remedies:
            raise ValueError(f"default: {self.default} is not among remedies ({', '.join(self.remedies)})")
        if Remedy.REFUND not in self.remedies:
            raise ValueError("remedies: refund is missing; it is the remedy when nothing can ship")
        if self.remedies[Remedy.REFUND].refund_on is RefundOn.NEVER:
            raise ValueError("remedies.refund.refund_on: never refunds nothing; write accepted or received")
        for override in self.overrides:
            self.with_override(override)
        return self

    def with_override(self, override: ReasonOverride) -> "ReasonRule":
        """Return this rule with the override merged in. Raises `ValueError` where the result is no valid rule."""
        remedies = {**self.remedies, **override.remedies}
        shipping = override.refund_shipping or self.refund_shipping
        default = override.default or self.default
        return ReasonRule(fault=self.fault, default=default, remedies=remedies, refund_shipping=shipping)

    def matching(self, report: ReportAttributes) -> "ReasonRule":
        """Return the rule for this report, with the first override that applies."""
        found = next((override for override in self.overrides if override.applies_to(report)), None)
        rule = self.with_override(found) if found else self
        return rule.for_parts() if report.is_of_parts else rule

    def for_parts(self) -> "ReasonRule":
        """Return the rule for components of units: where a unit would be replaced, its part is sent."""
        part = self.remedies.get(Remedy.PART_SHIPMENT) or self.remedies.get(Remedy.REPLACEMENT)
        remedies = {Remedy.REFUND: self.remedies[Remedy.REFUND]}
        if part:
            remedies[Remedy.PART_SHIPMENT] = part
        default = Remedy.REFUND if part is None or self.default is Remedy.REFUND else Remedy.PART_SHIPMENT
        return ReasonRule(fault=self.fault, default=default, remedies=remedies, refund_shipping=self.refund_shipping)

    def choose_remedy(self, requested: Remedy | None) -> Remedy:
        """Return the requested remedy where it is allowed, else the default."""
        return requested if requested in self.remedies else self.default
