"""Orders as far as points need them: customer, prices, deliveries and cancellations. No name, no address.

A change of the order's value is passed to the customer's ledger as a timer that is due at once (`store.orders`).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from libs.common.decisions.context import DecisionContext
from libs.common.decisions.facts import Record
from libs.common.decisions.order_versions import version_of
from libs.common.decisions.ordered_units import NO_UNITS, OrderedUnits
from libs.common.decisions.shipments import CountedShipment, count, quantity_of
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderCancelled, OrderChanged, OrderDelivered, OrderPlaced, OrderRefunded
from libs.common.events.values import OrderLine


@dataclass(frozen=True, slots=True)
class LinePrice:
    """Units of a line and what was paid for all of them, as the shop stated it at `stated_at`.

    `ordered` is the highest quantity of the line so far.
    """

    quantity: int
    paid: Decimal
    stated_at: datetime | None = None
    ordered: OrderedUnits = NO_UNITS

    @property
    def most_ordered(self) -> OrderedUnits:
        return self.ordered.restated(self.quantity, self.paid)


@dataclass(frozen=True, slots=True)
class KeptLine:
    """Value of a line: `paid` is the price of the units not cancelled, `delivered` that of those that arrived."""

    paid: Decimal
    delivered: Decimal


@dataclass(frozen=True, slots=True)
class PurchasedOrder:
    """`kept_amount` is what was paid for the goods delivered and not cancelled, `kept_lines` the same by line.

    Lines in other currencies earn nothing. `spent_points` paid `spent_value` of `goods_amount`.
    """

    order_id: str
    customer_id: str | None = None
    placed_at: datetime | None = None
    currency: str = ""
    prices: Mapping[str, LinePrice] = field(default_factory=dict)
    deliveries: tuple[CountedShipment, ...] = ()
    cancelled_lines: frozenset[str] = frozenset()
    shop_refunds: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)
    """Amounts that the shop paid back by refund and line; the line without a name is what it paid back in general."""
    shop_refunded_units: Mapping[str, int] = field(default_factory=dict)
    """Units by line that the shop paid back without naming an amount: they are worth their share of the price."""
    cancelled_early_at: datetime | None = None
    """Time of a cancellation of the whole order that came before it."""
    kept_lines: Mapping[str, KeptLine] = field(default_factory=dict)
    kept_amount: Decimal = Decimal(0)
    spent_points: int = 0
    spent_value: Decimal = Decimal(0)
    goods_amount: Decimal = Decimal(0)
    version: int = 0
    early_changes: tuple[OrderChanged, ...] = ()
    lines_digest: str | None = None


@dataclass(frozen=True, slots=True)
class PurchaseChanged(Record):
    """The value of an order changed; the customer's ledger must reconcile its points."""

    customer_id: str
    order_id: str
    version: int
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class BirthdayProvided(Record):
    """`provided_at` is when the customer gave it to the shop, `received_at` when loyalty received it."""

    customer_id: str
    month_day: str
    received_at: datetime
    provided_at: datetime


@dataclass(slots=True)
class PurchaseDecision(DecisionContext[PurchasedOrder, None]):
    """The decision on one event of an order."""

    event: AnyEvent | None = None


def on_order_placed(decision: PurchaseDecision, placed: OrderPlaced) -> None:
    """Record customer and prices; an order that is sent again is a correction of quantities, or a repetition."""
    assert decision.event is not None
    version = version_of(decision.event, placed)
    at = version.changed_at(decision.state.lines_digest)
    if at is None:
        return
    if decision.state.customer_id is None:
        currency = placed.lines[0].unit_price.currency
        decision.change(customer_id=placed.customer_id, placed_at=placed.placed_at, currency=currency)
        _record_spent_points(decision, placed)
        if placed.birthday:
            _record_birthday(decision, placed, placed.birthday)
    decision.change(lines_digest=version.digest)
    _change_prices(decision, placed.lines, at)
    early = sorted(decision.state.early_changes, key=lambda event: event.changed_at)
    decision.change(early_changes=())
    for changed in early:
        _change_prices(decision, changed.lines, changed.changed_at)
    cancelled_at = decision.state.cancelled_early_at
    if cancelled_at is not None:
        stated = (placed.lines, *(changed.lines for changed in early if changed.changed_at <= cancelled_at))
        cancelled = {line.line_id for lines in stated for line in lines}
        decision.change(cancelled_lines=decision.state.cancelled_lines | cancelled, cancelled_early_at=None)


def _record_spent_points(decision: PurchaseDecision, placed: OrderPlaced) -> None:
    """Record which part of the goods was paid with points, to return them with a refund."""
    spent = placed.points_spent
    if spent is None:
        return
    goods = sum((max(line.paid.amount, Decimal(0)) for line in placed.lines), Decimal(0))
    if placed.total_amount:
        shipping = placed.shipping.amount if placed.shipping else Decimal(0)
        goods = max(placed.total_amount.amount - shipping, Decimal(0))
    decision.change(spent_points=spent.points, spent_value=spent.amount.amount, goods_amount=goods)


def _record_birthday(decision: PurchaseDecision, placed: OrderPlaced, birthday: str) -> None:
    if is_month_day(birthday):
        decision.emit(BirthdayProvided(placed.customer_id, birthday, decision.now, placed.placed_at))
    else:
        decision.ignore("invalid_birthday")


def is_month_day(text: str) -> bool:
    """Return true for a day of some year as MM-DD; 29 February is one, 30 February is none."""
    try:
        return datetime.strptime(f"2024-{text}", "%Y-%m-%d").strftime("%m-%d") == text  # noqa: DTZ007
    except ValueError:
        return False


def on_order_changed(decision: PurchaseDecision, changed: OrderChanged) -> None:
    """Take over added, reduced and removed lines."""
    if not changed.lines:
        return
    if decision.state.customer_id is None:
        lines_only = changed.model_copy(update={"contact": None, "ship_to": None, "recipient": None})
        decision.change(early_changes=(*decision.state.early_changes, lines_only))
    else:
        _change_prices(decision, changed.lines, changed.changed_at)


def _change_prices(decision: PurchaseDecision, lines: Iterable[OrderLine], at: datetime) -> None:
    """Take over the lines of which nothing newer is known; of an older statement only a higher quantity counts."""
    prices = dict(decision.state.prices)
    for line in lines:
        if line.unit_price.currency != decision.state.currency:
            continue
        known, quantity, paid = prices.get(line.line_id), line.quantity, line.paid.amount
        most = known.most_ordered if known else NO_UNITS
        if known and known.stated_at and at < known.stated_at:
            prices[line.line_id] = replace(known, ordered=most.with_older(quantity, paid))
        else:
            prices[line.line_id] = LinePrice(quantity, paid, at, most.restated(quantity, paid))
    decision.change(prices=prices)


def on_order_delivered(decision: PurchaseDecision, event: OrderDelivered) -> None:
    decision.change(deliveries=count(decision.state.deliveries, event))


def on_order_cancelled(decision: PurchaseDecision, event: OrderCancelled) -> None:
    """Cancel the named lines, or all lines of the order: also of one that comes later than its cancellation."""
    if not event.line_ids and decision.state.customer_id is None:
        decision.change(cancelled_early_at=event.cancelled_at)
        return
    cancelled = frozenset(event.line_ids or decision.state.prices)
    decision.change(cancelled_lines=decision.state.cancelled_lines | cancelled)


def on_order_refunded(decision: PurchaseDecision, event: OrderRefunded) -> None:
    """Record a refund of the shop, by line as far as it names lines. It may come before the order and its prices."""
    if event.refund_id in decision.state.shop_refunds:
        return
    amounts: dict[str, Decimal] = {}
    units = Counter(decision.state.shop_refunded_units)
    for line in event.lines:
        if line.amount:
            amounts[line.line_id] = amounts.get(line.line_id, Decimal(0)) + line.amount.amount
        else:
            units[line.line_id] += line.quantity
    if event.amount and not event.lines:
        shipping = event.shipping.amount if event.shipping else Decimal(0)
        amounts[""] = max(event.amount.amount - shipping, Decimal(0))
    decision.change(
        shop_refunds={**decision.state.shop_refunds, event.refund_id: amounts}, shop_refunded_units=dict(units)
    )


def value_order(decision: PurchaseDecision, before: PurchasedOrder) -> None:
    """Recalculate `kept_amount` and record a change of it."""
    order = decision.state
    back = _paid_back_by_shop(order)
    kept_lines = {line_id: _kept(order, line_id, back.get(line_id, Decimal(0))) for line_id in order.prices}
    kept_amount = sum((line.delivered for line in kept_lines.values()), Decimal(0))
    if kept_lines != before.kept_lines and order.customer_id:
        decision.change(kept_lines=kept_lines)
    if kept_amount != before.kept_amount and order.customer_id:
        decision.change(kept_amount=kept_amount, version=before.version + 1)
        decision.emit(PurchaseChanged(order.customer_id, order.order_id, before.version + 1, decision.now))
    if decision.state == before and not decision.facts:
        decision.state = before
        decision.ignore("order_unchanged")


def _paid_back_by_shop(order: PurchasedOrder) -> dict[str, Decimal]:
    """Return the amounts that the shop paid back by line, for units that are still in the order.

    What names no line is for removed units first, and the rest is spread over all lines by value.
    """
    back = _refunds_by_line(order)
    unnamed, total = back.pop("", Decimal(0)), sum((price.paid for price in order.prices.values()), Decimal(0))
    for line_id, price in order.prices.items():
        of_line, removed = back.get(line_id, Decimal(0)), price.ordered.without(price.quantity, price.paid).paid
        back[line_id] = max(of_line - removed, Decimal(0))
        unnamed -= min(unnamed, max(removed - of_line, Decimal(0)))
    if unnamed and total > 0:
        for line_id, price in order.prices.items():
            back[line_id] += unnamed * price.paid / total
    return back


def _refunds_by_line(order: PurchasedOrder) -> dict[str, Decimal]:
    back: dict[str, Decimal] = {}
    for refund in order.shop_refunds.values():
        for line_id, amount in refund.items():
            back[line_id] = back.get(line_id, Decimal(0)) + amount
    for line_id, quantity in order.shop_refunded_units.items():
        most = order.prices[line_id].most_ordered if line_id in order.prices else NO_UNITS
        if most.quantity:
            back[line_id] = back.get(line_id, Decimal(0)) + most.paid * quantity / most.quantity
    return back


def _kept(order: PurchasedOrder, line_id: str, back: Decimal) -> KeptLine:
    price = order.prices[line_id]
    if line_id in order.cancelled_lines or price.quantity < 1:
        return KeptLine(Decimal(0), Decimal(0))
    paid, count = max(price.paid, Decimal(0)), min(quantity_of(order.deliveries, line_id), price.quantity)
    left = max(paid - back, Decimal(0))
    return KeptLine(left, min(paid * count / price.quantity, left))
