"""Orders as far as points need them: customer, prices, deliveries and cancellations. No name, no address.

A change of the order's value is passed to the customer's ledger as a timer that is due at once (`store.orders`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from libs.common.decisions.context import DecisionContext
from libs.common.decisions.facts import Record
from libs.common.events.storefront import OrderCancelled, OrderDelivered, OrderPlaced


@dataclass(frozen=True, slots=True)
class LinePrice:
    quantity: int
    unit_price: Decimal


@dataclass(frozen=True, slots=True)
class PurchasedOrder:
    """`kept_amount` is the price of the goods delivered and not cancelled; lines in other currencies earn nothing."""

    order_id: str
    customer_id: str | None = None
    placed_at: datetime | None = None
    currency: str = ""
    prices: Mapping[str, LinePrice] = field(default_factory=dict)
    delivered: Mapping[str, int] = field(default_factory=dict)
    cancelled_lines: frozenset[str] = frozenset()
    kept_amount: Decimal = Decimal(0)
    version: int = 0


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


class PurchaseDecision(DecisionContext[PurchasedOrder, None]):
    __slots__ = ()


def on_order_placed(ctx: PurchaseDecision, placed: OrderPlaced) -> None:
    """Record customer and prices. Only the first event counts: prices do not change under granted points."""
    if ctx.state.customer_id:
        return
    currency = placed.lines[0].unit_price.currency
    prices = {
        line.line_id: LinePrice(line.quantity, line.unit_price.amount)
        for line in placed.lines
        if line.unit_price.currency == currency
    }
    ctx.change(customer_id=placed.customer_id, placed_at=placed.placed_at, currency=currency, prices=prices)
    if placed.birthday:
        ctx.emit(BirthdayProvided(placed.customer_id, placed.birthday, ctx.now, placed.placed_at))


def on_order_delivered(ctx: PurchaseDecision, event: OrderDelivered) -> None:
    delivered = ctx.state.delivered
    added = {line.line_id: line.quantity + delivered.get(line.line_id, 0) for line in event.lines}
    ctx.change(delivered={**delivered, **added})


def on_order_cancelled(ctx: PurchaseDecision, event: OrderCancelled) -> None:
    cancelled = frozenset(event.line_ids or ctx.state.prices)
    ctx.change(cancelled_lines=ctx.state.cancelled_lines | cancelled)


def value_order(ctx: PurchaseDecision, before: PurchasedOrder) -> None:
    """Recalculate `kept_amount` and record a change of it."""
    order = ctx.state
    kept_amount = sum((_line_value(order, line_id) for line_id in order.prices), Decimal(0))
    if kept_amount != before.kept_amount and order.customer_id:
        ctx.change(kept_amount=kept_amount, version=before.version + 1)
        ctx.emit(PurchaseChanged(order.customer_id, order.order_id, before.version + 1, ctx.now))
    if ctx.state == before and not ctx.facts:
        ctx.state = before
        ctx.ignore("order_unchanged")


def _line_value(order: PurchasedOrder, line_id: str) -> Decimal:
    price = order.prices[line_id]
    count = 0 if line_id in order.cancelled_lines else min(order.delivered.get(line_id, 0), price.quantity)
    return max(price.unit_price * count, Decimal(0))
