"""Order ledger: what an order cost, what was paid, and what went back already, no matter who paid it back.

The shop is the source: prices and payment of `order.placed`, its own cancellations and refunds, and chargebacks of its
payment provider. Refunds of this service are added by the case that asks (`exposure`), because they are decided under
the lock of the customer. No personal data.

A price is what that unit really cost: discounts on the order (a coupon as a negative line, a total below the sum of the
lines) are spread over its lines by value, and parts are rounded so that they add up to the whole (`values.money`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from libs.common.decisions.ordered_units import NO_UNITS, OrderedUnits
from libs.common.decisions.shipments import Shipments, quantity_of
from libs.common.events.storefront import OrderChanged, OrderRefunded
from libs.common.events.values.money import round_up, share_of
from services.returns.domain.state.line_quantities import UnitCounts, add_counts
from services.returns.policy.carrier_statuses import TrackingScan

ZERO = Decimal(0)
Amounts = Mapping[str, Decimal]
"""Amounts by order line."""


@dataclass(frozen=True, slots=True)
class PricedLine:
    """Line of an order with the money that was paid for all its units, as the shop stated it at `stated_at`.

    `stated` is the price before discounts of the order were spread, negative for a discount line. `ordered` is the
    highest quantity of the line so far.
    """

    quantity: int
    paid: Decimal
    currency: str
    stated_at: datetime | None = None
    stated: Decimal | None = None
    ordered: OrderedUnits = NO_UNITS

    @property
    def stated_price(self) -> Decimal:
        return self.paid if self.stated is None else self.stated

    @property
    def most_ordered(self) -> OrderedUnits:
        return self.ordered.restated(self.quantity, self.paid)

    @property
    def removed(self) -> OrderedUnits:
        """Return the units that the shop took out of the line."""
        return self.ordered.without(self.quantity, self.paid)

    def price_of(self, first: int, count: int) -> Decimal:
        """Return what `count` units cost after `first` others of the line."""
        before = share_of(self.paid, first, self.quantity, self.currency)
        return share_of(self.paid, first + count, self.quantity, self.currency) - before


@dataclass(frozen=True, slots=True)
class PaidBack:
    """Money that went back for an order: `amount` is all of it, with shipping and with what names no line."""

    amount: Decimal = ZERO
    shipping: Decimal = ZERO
    units: UnitCounts = field(default_factory=dict)
    line_amounts: Amounts = field(default_factory=dict)

    def __add__(self, other: "PaidBack") -> "PaidBack":
        amounts = dict(self.line_amounts)
        for line_id, amount in other.line_amounts.items():
            amounts[line_id] = amounts.get(line_id, ZERO) + amount
        units = add_counts(self.units, other.units)
        return PaidBack(self.amount + other.amount, self.shipping + other.shipping, units, amounts)


NOTHING_BACK = PaidBack()


@dataclass(frozen=True)
class OrderLedger:
    """Money of one order, and what its shop did with it. `received` is the money paid, without points.

    `shop_refunds` and `chargebacks` are by the partner's own id, so that each counts once; `won_chargebacks` are those
    whose money came back to the shop. `deliveries` are those of the order itself, `scans` the last scan
    of each of its parcels by tracking number. `early_changes` arrived before `order.placed`. `totals_at` is the shop's
    time of `received`, shipping and payment, `most_received` the highest payment stated so far.
    """

    order_id: str
    customer_id: str | None = None
    currency: str = ""
    lines: Mapping[str, PricedLine] = field(default_factory=dict)
    shipping: Decimal = ZERO
    received: Decimal = ZERO
    payment_reference: str | None = None
    cancelled_lines: frozenset[str] = frozenset()
    is_cancelled: bool = False
    cancelled_at: datetime | None = None
    shop_refunds: Mapping[str, PaidBack] = field(default_factory=dict)
    chargebacks: Mapping[str, Decimal] = field(default_factory=dict)
    won_chargebacks: frozenset[str] = frozenset()
    deliveries: Shipments = ()
    scans: Mapping[str, TrackingScan] = field(default_factory=dict)
    early_changes: tuple[OrderChanged, ...] = ()
    placed_digest: str | None = None
    totals_at: datetime | None = None
    is_total_stated: bool = False
    most_received: Decimal = ZERO

    def delivered_units(self, line_id: str, until: datetime | None = None) -> int:
        """Return the units of a line that reached the customer, at or before `until`, each delivery once."""
        return quantity_of(self.deliveries, line_id, until)

    @property
    def is_placed(self) -> bool:
        return self.customer_id is not None

    @property
    def charged_back(self) -> Decimal:
        """Return the money that chargebacks took and the shop has not won back."""
        amounts = (amount for id, amount in self.chargebacks.items() if id not in self.won_chargebacks)
        return sum(amounts, ZERO)

    @property
    def back_by_shop(self) -> PaidBack:
        """Return all money that went back without this service for what is still in the order."""
        return self._refunds_of_kept_units() + PaidBack(self.charged_back)

    def is_line_cancelled(self, line_id: str) -> bool:
        return self.is_cancelled or line_id in self.cancelled_lines

    @property
    def refunded_by_shop(self) -> UnitCounts:
        """Return units that the shop paid back; a refund of everything without lines covers all units."""
        back = self._refunds_of_kept_units()
        if self.is_placed and back.amount and back.amount >= self.received:
            return {line_id: line.quantity for line_id, line in self.lines.items()}
        gone = {line_id for line_id, line in self.lines.items() if not line.quantity}
        gross = sum(self.shop_refunds.values(), NOTHING_BACK).units
        return {**back.units, **{line_id: units for line_id, units in gross.items() if line_id in gone}}

    def _refunds_of_kept_units(self) -> PaidBack:
        """Return the refunds of the shop without those of units that it took out of the order.

        As far as `received` was lowered for such units, their refund must not lower it a second time.
        """
        back = sum(self.shop_refunds.values(), NOTHING_BACK)
        removed = {line_id: line.removed for line_id, line in self.lines.items() if line.removed.quantity}
        if not removed:
            return back
        units, amounts = dict(back.units), dict(back.line_amounts)
        for line_id, out in removed.items():
            units[line_id] = max(units.get(line_id, 0) - out.quantity, 0)
            amounts[line_id] = max(amounts.get(line_id, ZERO) - out.paid, ZERO)
        named = sum(back.line_amounts.values(), ZERO)
        of_removed = named - sum(amounts.values(), ZERO)
        unnamed = max(back.amount - back.shipping - named, ZERO)
        of_removed += min(unnamed, sum((out.paid for out in removed.values()), ZERO) - of_removed)
        lowered = max(self.most_received - self.received, ZERO)
        units = {line_id: count for line_id, count in units.items() if count}
        return PaidBack(max(back.amount - min(of_removed, lowered), ZERO), back.shipping, units, amounts)


def shop_refund(ledger: OrderLedger, event: OrderRefunded) -> PaidBack:
    """Return a refund of the shop; a line without an amount went back for what its units cost."""
    units = {line.line_id: line.quantity for line in event.lines}
    amounts: dict[str, Decimal] = {}
    for line in event.lines:
        known = ledger.lines.get(line.line_id)
        price = _price_ordered(known, line.quantity) if known else ZERO
        amounts[line.line_id] = line.amount.amount if line.amount else price
    shipping = event.shipping.amount if event.shipping else ZERO
    total = event.amount.amount if event.amount else sum(amounts.values(), shipping)
    return PaidBack(total, shipping, units, amounts)


def _price_ordered(line: PricedLine, count: int) -> Decimal:
    """Return what units cost that may have left the line before."""
    most = line.most_ordered
    return share_of(most.paid, count, most.quantity, line.currency)


def allocate(amount: Decimal, weights: Mapping[str, Decimal], currency: str) -> dict[str, Decimal]:
    """Return the amount divided by weight, in whole smallest coins that add up to it."""
    total, shares, used, weight_used = sum(weights.values(), ZERO), {}, ZERO, ZERO
    for name, weight in weights.items():
        weight_used += weight
        reached = round_up(amount * weight_used / total, currency) if total else ZERO
        reached = min(reached, amount)
        shares[name], used = reached - used, reached
    return shares
