"""What loyalty knows of an order: who bought, at which prices, what was delivered or called off. No name, no address.

An order belongs to a customer, and only its first event says to which; so orders are states of their own. A change of
what an order earns is handed over to the customer's ledger as a timer that is due at once (`store.Orders`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from libs.common.decisions.facts import Facts, Ignored, Record
from libs.common.decisions.fast_replace import replace
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderCancelled, OrderDelivered, OrderPlaced


@dataclass(frozen=True, slots=True)
class Price:
    quantity: int
    unit: Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """`kept` is the price of what was delivered and not called off; lines in other currencies earn nothing."""

    order_id: str
    customer_id: str | None = None
    placed_at: datetime | None = None
    currency: str = ""
    prices: Mapping[str, Price] = field(default_factory=dict)
    delivered: Mapping[str, int] = field(default_factory=dict)
    called_off: frozenset[str] = frozenset()
    kept: Decimal = Decimal(0)
    version: int = 0


@dataclass(frozen=True, slots=True)
class HandOver(Record):
    """What this order earns may have changed: the customer's ledger is to look."""

    customer_id: str
    order_id: str
    version: int
    at: datetime


@dataclass(frozen=True, slots=True)
class BirthdayTold(Record):
    """`given_at` is when the customer told the shop, `at` when we heard of it."""

    customer_id: str
    month_day: str
    at: datetime
    given_at: datetime


def decide(order: Order, event: AnyEvent, now: datetime) -> tuple[Order, Facts]:
    """What becomes of an order; its events may come in any order."""
    told: list[Record] = []
    match event.data:
        case OrderPlaced() as placed:
            after = _placed(order, placed)
            if placed.birthday and not order.customer_id:
                told.append(BirthdayTold(placed.customer_id, placed.birthday, now, placed.placed_at))
        case OrderDelivered(lines=lines):
            more = {line.line_id: line.quantity + order.delivered.get(line.line_id, 0) for line in lines}
            after = replace(order, delivered={**order.delivered, **more})
        case OrderCancelled(line_ids=line_ids):
            gone = frozenset(line_ids or order.prices)
            after = replace(order, called_off=order.called_off | gone)
        case _:
            return order, (Ignored("not_for_loyalty"),)
    return _valued(order, after, told, now)


def _placed(order: Order, placed: OrderPlaced) -> Order:
    """Only the first word counts: prices do not change under points that were given."""
    if order.customer_id:
        return order
    currency = placed.lines[0].unit_price.currency
    prices = {
        line.line_id: Price(line.quantity, line.unit_price.amount)
        for line in placed.lines
        if line.unit_price.currency == currency
    }
    return replace(order, customer_id=placed.customer_id, placed_at=placed.placed_at, currency=currency, prices=prices)


def _valued(before: Order, after: Order, told: list[Record], now: datetime) -> tuple[Order, Facts]:
    kept = sum((_worth(after, line_id) for line_id in after.prices), Decimal(0))
    if kept != before.kept and after.customer_id:
        after = replace(after, kept=kept, version=before.version + 1)
        told.append(HandOver(after.customer_id or "", after.order_id, after.version, now))
    if after == before and not told:
        return before, (Ignored("order_unchanged"),)
    return after, tuple(told)


def _worth(order: Order, line_id: str) -> Decimal:
    price = order.prices[line_id]
    count = 0 if line_id in order.called_off else min(order.delivered.get(line_id, 0), price.quantity)
    return max(price.unit * count, Decimal(0))
