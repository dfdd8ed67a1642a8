"""A case: one accepted issue until it is resolved or cancelled.

It has three legs, each with its own status and counted units: **outbound** (the replacement), **inbound** (the item
back) and **money** (the refund). The status of the case is derived from them, because one status field for two
movements drifts apart from both. The durable timers are derived from the due times of the legs, for the same reason.

The case keeps a copy of its plan and the policy version it came from: a later policy does not change an open case.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events.values import Choice, Fault, IssueLine, Money, Reason, Remedy, Variant
from services.returns.domain.state.inbound_leg import InboundLeg
from services.returns.domain.state.line_quantities import UnitCounts, add_counts, common_counts, to_counts
from services.returns.domain.state.money_leg import MoneyLeg
from services.returns.domain.state.order_ledger import NOTHING_BACK, PaidBack
from services.returns.domain.state.outbound_leg import AWAITING_SHIPMENT, SHIPPED_OR_DELIVERED, OutboundLeg
from services.returns.domain.state.review_causes import CaseReview, ReviewCause
from services.returns.policy.movements import CollectOn, Movements, RefundOn, ShipOn
from services.returns.policy.reason_rules import ReportAttributes

ZERO = Decimal(0)


@dataclass(frozen=True)
class RemedyPlan:
    """Remedy of a case and the triggers of its three legs."""

    remedy: Remedy
    ship_on: ShipOn
    collect_on: CollectOn
    refund_on: RefundOn
    inspect: bool

    @classmethod
    def from_movements(cls, remedy: Remedy, moves: Movements, lines: Iterable[IssueLine]) -> "RemedyPlan":
        """Return the plan for these lines: what cannot be sent or come back, is not, whatever the policy says."""
        can_ship = any(line.requires_shipping for line in lines)
        can_return = any(line.requires_shipping and not line.is_of_parts for line in lines)
        ship_on = moves.ship_on if can_ship else ShipOn.NEVER
        if can_return:
            return cls(remedy, ship_on, moves.collect_on, moves.refund_on, moves.inspect)
        ship_on = ShipOn.ACCEPTED if ship_on is ShipOn.RECEIVED else ship_on
        refund_on = RefundOn.ACCEPTED if moves.refund_on is RefundOn.RECEIVED else moves.refund_on
        return cls(remedy, ship_on, CollectOn.NEVER, refund_on, inspect=False)

    @property
    def sends_value_first(self) -> bool:
        """Return whether goods or money leave before the returned item is back."""
        first = self.ship_on is ShipOn.ACCEPTED or self.refund_on is RefundOn.ACCEPTED
        return first and self.collect_on is not CollectOn.NEVER


@dataclass(frozen=True)
class ChoiceRequest:
    """Open choice of the customer, announced with `due_at`; at `overdue_at` staff are asked about a missing answer."""

    choice_id: UUID
    options: tuple[Choice, ...]
    default: Choice
    restock_date: date | None
    due_at: datetime
    overdue_at: datetime
    variants: tuple[Variant, ...] = ()


@dataclass(frozen=True, slots=True)
class Shortage:
    """Units that could not ship with the others; ordered separately, for `ship_date`, once the others are delivered."""

    counts: UnitCounts
    ship_date: date | None = None
    variant: Variant | None = None
    is_decided: bool = False


# Shared defaults, because serialization compares with them to leave unset legs out. `default_factory` returns them,
# because pydantic deep-copies a plain default on every validation.
NO_OUTBOUND, NO_INBOUND, NO_MONEY = OutboundLeg(), InboundLeg(), MoneyLeg()


@dataclass(frozen=True)
class Case:
    """One accepted issue: what was reported, the plan, its three legs, and what waits for a customer or for staff.

    `fault` and `plan` follow from the policy of `policy_version`, the one under which the case was opened.
    `past_replacements` are replacements before the one of `outbound`: after a reopening or a partial shipment.
    `shortage` are units to be ordered once the others are delivered. `parcel_found`: lost or missing units were found.
    `order_cancelled`, `shop_refunded` and `chargebacks` are what the case noticed of its order (`order_watch`).
    `choice_request_count` and `resolution` count questions and resolutions, so that each has an id of its own.
    `address_attempts` counts the waits for an address that had not arrived.
    """

    issue_id: UUID
    order_id: str
    customer_id: str
    reason: Reason
    fault: Fault
    lines: tuple[IssueLine, ...]
    policy_version: str
    plan: RemedyPlan
    accepted_at: datetime
    market: str = "JP"
    requested_remedy: Remedy | None = None
    outbound: OutboundLeg = field(default_factory=lambda: NO_OUTBOUND)
    past_replacements: tuple[OutboundLeg, ...] = ()
    inbound: InboundLeg = field(default_factory=lambda: NO_INBOUND)
    money: MoneyLeg = field(default_factory=lambda: NO_MONEY)
    shortage: Shortage | None = None
    parcel_found: bool = False
    redelivered_at: datetime | None = None
    """Time at which the shop delivered reported virtual goods again."""
    order_cancelled: bool = False
    shop_refunded: UnitCounts = field(default_factory=dict)
    chargebacks: int = 0
    arrived_before: UnitCounts | None = None
    """Units by line that had been delivered before the report."""
    choice_request: ChoiceRequest | None = None
    choice_request_count: int = 0
    reviews: tuple[CaseReview, ...] = ()
    address_attempts: int = 0
    address_due_at: datetime | None = None
    resolution: int = 0
    resolved_at: datetime | None = None
    cancelled_at: datetime | None = None

    @property
    def ids(self) -> dict[str, Any]:
        """Return the identifiers that every event about this issue, and every order to a partner, carries."""
        return {"issue_id": self.issue_id, "order_id": self.order_id, "customer_id": self.customer_id}

    @property
    def is_closed(self) -> bool:
        return self.resolved_at is not None or self.cancelled_at is not None

    @property
    def reported_units(self) -> UnitCounts:
        return to_counts(self.lines)

    @property
    def shippable_units(self) -> UnitCounts:
        """Return reported units that can be sent, whole or parts of them: all but virtual goods."""
        return to_counts(tuple(line for line in self.lines if line.requires_shipping))

    @property
    def virtual_units(self) -> UnitCounts:
        """Return reported units of virtual goods: the shop delivers them again by itself, or they are refunded."""
        return to_counts(tuple(line for line in self.lines if not line.requires_shipping))

    @property
    def returnable_units(self) -> UnitCounts:
        """Return reported units that can come back: all but virtual goods and units reported by their parts."""
        return to_counts(tuple(line for line in self.lines if line.requires_shipping and not line.is_of_parts))

    @property
    def lines_of_parts(self) -> frozenset[str]:
        """Return the order lines of which only parts are reported."""
        return frozenset(line.line_id for line in self.lines if line.is_of_parts)

    @property
    def kept_units(self) -> UnitCounts:
        """Return reported units that stay with the customer, whatever the remedy."""
        return to_counts(tuple(line for line in self.lines if line.is_of_parts or not line.requires_shipping))

    @property
    def currency(self) -> str:
        return self.lines[0].unit_price.currency

    @property
    def value(self) -> Money:
        """Return the price of the reported units."""
        return Money(amount=self.value_of(self.reported_units), currency=self.currency)

    @property
    def report_attributes(self) -> ReportAttributes:
        """Return the attributes by which the policy chooses an override."""
        return attributes_of(self.lines, self.value, self.market)

    @property
    def warehouse(self) -> str | None:
        """Return the warehouse that all lines are shipped from; None if they have several, or none is known."""
        names = {line.warehouse for line in self.lines}
        return names.pop() if len(names) == 1 else None

    @property
    def replacements(self) -> tuple[OutboundLeg, ...]:
        """Return the past replacements, then the current one."""
        return (*self.past_replacements, self.outbound) if self.outbound.replacement_id else self.past_replacements

    @property
    def sent_units(self) -> UnitCounts:
        """Return reported units whose replacements are delivered, shipped or ordered."""
        counts: UnitCounts = {}
        for leg in (*self.past_replacements, self.outbound):
            if leg.status in AWAITING_SHIPMENT:
                counts = add_counts(counts, leg.ordered)
            elif leg.status in SHIPPED_OR_DELIVERED:
                counts = add_counts(counts, leg.shipped)
        return common_counts(counts, self.reported_units) if counts else counts

    @property
    def delivered_units(self) -> UnitCounts:
        """Return reported units whose replacements are delivered."""
        counts: UnitCounts = {}
        for leg in (*self.past_replacements, self.outbound):
            counts = add_counts(counts, leg.delivered)
        return common_counts(counts, self.reported_units)

    @property
    def paid_back(self) -> PaidBack:
        """Return units and money that this case paid back or asked the provider to pay back."""
        if not self.money.requested_units:
            return NOTHING_BACK
        amounts = {
            line: sum((refund.line_amounts.get(line, ZERO) for refund in self.money.refunds), ZERO)
            for line in self.money.requested_units
        }
        shipping = sum((refund.shipping for refund in self.money.refunds), ZERO)
        amount = sum((refund.amount for refund in self.money.refunds), ZERO)
        # A unit of which only a part was paid back may still be paid back itself, for the rest of its price.
        parts = self.lines_of_parts
        units = {line: count for line, count in self.money.requested_units.items() if line not in parts}
        return PaidBack(amount, shipping, units, amounts)

    def value_of(self, counts: Mapping[str, int]) -> Decimal:
        if not counts:
            return ZERO
        prices = {line.line_id: line.unit_price.amount for line in self.lines}
        return sum((prices[line_id] * count for line_id, count in counts.items()), ZERO)

    def in_review(self, *causes: ReviewCause) -> bool:
        return bool(self.reviews) and any(review.cause in causes for review in self.reviews)

    def timers(self) -> dict[str, datetime]:
        """Return the due time of each timer by name."""
        found: dict[str, datetime] = {}
        if self.address_due_at:
            found["address"] = self.address_due_at
        if self.outbound.due_at:
            found["outbound"] = self.outbound.due_at
        if self.inbound.due_at:
            found["inbound"] = self.inbound.due_at
        if self.inbound.remind_at:
            found["collection_reminder"] = self.inbound.remind_at
        if refund_due_at := self.money.due_at:
            found["refund"] = refund_due_at
        if self.choice_request:
            found["choice"] = self.choice_request.overdue_at
        if self.reviews and (reviews := [review.due_at for review in self.reviews if review.due_at]):
            found["review"] = min(reviews)
        return found


def attributes_of(lines: Sequence[IssueLine], value: Money, market: str) -> ReportAttributes:
    """Return the attributes of a report by which the policy chooses its rule."""
    is_of_parts = all(line.is_of_parts for line in lines)
    return ReportAttributes(value, market, {line.product_group for line in lines}, is_of_parts)


def lines_for(case: Case, counts: UnitCounts) -> tuple[IssueLine, ...]:
    """Return the reported lines with these quantities."""
    if counts == case.reported_units:
        return case.lines
    left, lines = dict(counts), []
    for line in case.lines:
        quantity = min(line.quantity, left.get(line.line_id, 0))
        if quantity > 0:
            left[line.line_id] -= quantity
            lines.append(line.model_copy(update={"quantity": quantity}))
    return tuple(lines)
