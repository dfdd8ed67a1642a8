"""Order ledger: what an order cost, what was paid, and what went back already, no matter who paid it back.

The shop is the source: prices and payment of `order.placed`, its own cancellations and refunds, and chargebacks of its
payment provider. Refunds of this service are added by the case that asks (`exposure`), because they are decided under
the lock of the customer. No personal data.

A price is what that unit really cost: discounts on the order (a coupon as a negative line, a total below the sum of the
lines) are spread over its lines by value, and parts are rounded so that they add up to the whole (`values.money`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from libs.common.decisions.shipments import Shipments, quantity_of
from libs.common.events.storefront import OrderChanged, OrderPlaced, OrderRefunded
from libs.common.events.values import OrderLine
from libs.common.events.values.money import round_up, share_of
from services.returns.domain.state.line_quantities import UnitCounts, add_counts
from services.returns.policy.carrier_statuses import TrackingScan

ZERO = Decimal(0)
Amounts = Mapping[str, Decimal]
"""Amounts by order line."""


@dataclass(frozen=True, slots=True)
class PricedLine:
    """Line of an order with the money that was paid for all its units, as the shop stated it at `stated_at`."""

    quantity: int
    paid: Decimal
    currency: str
    stated_at: datetime | None = None

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
    whose money came back to the shop. `shipments` and `deliveries` are those of the order itself, `scans` the last scan
    of each of its parcels by tracking number. `early_changes` arrived before `order.placed`.
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

    def delivered_units(self, line_id: str) -> int:
        """Return the units of a line that reached the customer, each delivery once."""
        return quantity_of(self.deliveries, line_id)

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
        """Return all money that went back without this service."""
        return sum(self.shop_refunds.values(), NOTHING_BACK) + PaidBack(self.charged_back)

    def is_line_cancelled(self, line_id: str) -> bool:
        return self.is_cancelled or line_id in self.cancelled_lines

    @property
    def refunded_by_shop(self) -> UnitCounts:
        """Return units that the shop paid back; a refund of everything without lines covers all units."""
        back = sum(self.shop_refunds.values(), NOTHING_BACK)
        if self.is_placed and back.amount and back.amount >= self.received:
            return {line_id: line.quantity for line_id, line in self.lines.items()}
        return back.units


def placed_money(placed: OrderPlaced, at: datetime | None = None) -> dict[str, object]:
    """Return the fields of a ledger that `order.placed` sets."""
    currencies = {line.unit_price.currency for line in placed.lines}
    currency = min(currencies) if len(currencies) == 1 else ""
    paid = {line.line_id: line.paid for line in placed.lines}
    goods = sum((money.amount for money in paid.values()), ZERO)
    shipping = placed.shipping.amount if placed.shipping else ZERO
    received = _received(placed, goods + shipping, currency)
    amounts: Amounts = {line_id: money.amount for line_id, money in paid.items()}
    if currency:
        amounts = _spread_discounts(amounts, received - shipping)
    return {
        "customer_id": placed.customer_id,
        "currency": currency,
        "lines": {
            line.line_id: PricedLine(line.quantity, amounts[line.line_id], paid[line.line_id].currency, at)
            for line in placed.lines
        },
        "shipping": min(shipping, received),
        "received": received,
        "payment_reference": placed.payment_reference,
    }


def changed_money(ledger: OrderLedger, lines: Iterable[OrderLine], at: datetime) -> dict[str, object]:
    """Return the fields that changed lines set: the newest statement about a line counts, and its price is paid."""
    known, received = dict(ledger.lines), ledger.received
    for line in lines:
        before = known.get(line.line_id)
        if before and before.stated_at and at < before.stated_at:
            continue
        paid = max(line.paid.amount, ZERO)
        received += paid - (before.paid if before else ZERO)
        known[line.line_id] = PricedLine(line.quantity, paid, line.paid.currency, at)
    return {"lines": known, "received": max(round_up(received, ledger.currency), ZERO)}


def shop_refund(ledger: OrderLedger, event: OrderRefunded) -> PaidBack:
    """Return a refund of the shop; a line without an amount went back for what its units cost."""
    units = {line.line_id: line.quantity for line in event.lines}
    amounts: dict[str, Decimal] = {}
    for line in event.lines:
        known = ledger.lines.get(line.line_id)
        price = known.price_of(0, line.quantity) if known else ZERO
        amounts[line.line_id] = line.amount.amount if line.amount else price
    shipping = event.shipping.amount if event.shipping else ZERO
    total = event.amount.amount if event.amount else sum(amounts.values(), shipping)
    return PaidBack(total, shipping, units, amounts)


def _received(placed: OrderPlaced, total: Decimal, currency: str) -> Decimal:
    """Return the money paid: as received, else the stated total, else the sum of its parts; points are no money."""
    if placed.prepaid and placed.prepaid.amount.currency == currency:
        return placed.prepaid.amount.amount
    stated = placed.total_amount.amount if placed.total_amount else total
    points = placed.points_spent.amount.amount if placed.points_spent else ZERO
    return max(round_up(stated - points, currency), ZERO)


def _spread_discounts(amounts: Amounts, goods: Decimal) -> Amounts:
    """Return the amounts of the lines so that they are no more than `goods` together.

    What is less than the sum of the positive lines (discount lines, points, a lower total) is spread by value.
    """
    positive = {line_id: max(amount, ZERO) for line_id, amount in amounts.items()}
    total = sum(positive.values(), ZERO)
    goods = max(goods, ZERO)
    if total <= goods or not total:
        return positive
    return {line_id: amount * goods / total for line_id, amount in positive.items()}


def allocate(amount: Decimal, weights: Mapping[str, Decimal], currency: str) -> dict[str, Decimal]:
    """Return the amount divided by weight, in whole smallest coins that add up to it."""
    total, shares, used, weight_used = sum(weights.values(), ZERO), {}, ZERO, ZERO
    for name, weight in weights.items():
        weight_used += weight
        reached = round_up(amount * weight_used / total, currency) if total else ZERO
        reached = min(reached, amount)
        shares[name], used = reached - used, reached
    return shares
