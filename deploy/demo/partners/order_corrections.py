"""Corrections of orders: as real shops change, tell again and pay back what they sold. Pure, drawn by order.

Every order keeps what it was sold and delivered as; a correction only changes what was published about it at first.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from deploy.demo.data.orders import ReplayedCustomer, ReplayedOrder
from deploy.demo.partners.order_lifecycle import LifecycleEvent, order_line, placed_event
from libs.common.events.storefront import (
    CustomerMerged,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
    ShipmentChanged,
)
from libs.common.events.values import Address, ContactChange, Money, OrderLine, RefundedLine

LINES_SHARE, ADDRESS_SHARE, MAIL_SHARE = 0.16, 0.12, 0.08
LATE_NUMBER_SHARE, CALLED_OFF_SHARE, AGAIN_SHARE, GOODWILL_SHARE = 0.2, 0.08, 0.12, 0.06
GUEST_SHARE = 0.1

SOON = timedelta(minutes=40)
"""Customers correct an order soon after they placed it."""

NOT_ON_ANOTHER_DAY = ("called-off", "shipped-again", "delivered-again")
"""Events that are left out where the customer chose another day: they name the times of the first one."""

MOVED_STREET = "転居町 8-8"


def corrected(order: ReplayedOrder, events: list[LifecycleEvent], zone: ZoneInfo, seed: int) -> list[LifecycleEvent]:
    """The events of an order with its corrections, earliest first."""
    rng = random.Random(f"{seed}:corrections:{order.order_id}")
    events = [*_corrected_order(order, events, rng)]
    events = [*_corrected_shipment(order, events, rng, zone)]
    return sorted(events, key=lambda each: each.at)


def as_guest(order: ReplayedOrder, seed: int) -> ReplayedOrder:
    """The order under an account of its own, for a customer who was not signed in."""
    rng = random.Random(f"{seed}:guest:{order.order_id}")
    if order.delivered_at is None or rng.random() >= GUEST_SHARE:
        return order
    return replace(order, customer=replace(order.customer, customer_id=f"guest-{order.order_id}"))


def merge_of(order: ReplayedOrder, account: ReplayedCustomer, seed: int) -> LifecycleEvent | None:
    """The merge of a guest's account with the customer's own, some days after the delivery."""
    if order.customer.customer_id == account.customer_id or order.delivered_at is None:
        return None
    rng = random.Random(f"{seed}:merge:{order.order_id}")
    at = order.delivered_at + timedelta(hours=rng.uniform(1, 96))
    merged = CustomerMerged(
        customer_id=account.customer_id, merged_customer_id=order.customer.customer_id, merged_at=at
    )
    return LifecycleEvent(at, "merged", merged)


def moved_house(order: ReplayedOrder, at: datetime) -> OrderChanged:
    """Change of address while a replacement or a collection is open."""
    ship_to = placed_event(order).ship_to
    assert ship_to, "every order of the demo has an address"
    return _changed(order, at, ship_to=ship_to.model_copy(update={"street": MOVED_STREET}))


def _changed(
    order: ReplayedOrder,
    at: datetime,
    lines: tuple[OrderLine, ...] = (),
    contact: ContactChange | None = None,
    ship_to: Address | None = None,
) -> OrderChanged:
    return OrderChanged(
        order_id=order.order_id,
        customer_id=order.customer.customer_id,
        changed_at=at,
        lines=lines,
        contact=contact,
        ship_to=ship_to,
    )


def _corrected_order(
    order: ReplayedOrder, events: Iterable[LifecycleEvent], rng: random.Random
) -> Iterable[LifecycleEvent]:
    """Placed with another quantity, without a line, with the old address, or with a wrong mail address."""
    chance, at = rng.random(), order.placed_at + SOON
    leaves = order.shipped_at or order.cancelled_at
    is_possible = leaves is not None and leaves > at + SOON
    for event in events:
        placed = event.payload
        if not isinstance(placed, OrderPlaced) or not is_possible:
            yield event
        elif chance < LINES_SHARE:
            yield from _other_lines(order, event, placed, at, rng)
        elif chance < LINES_SHARE + ADDRESS_SHARE and placed.ship_to:
            old = placed.ship_to.model_copy(update={"street": f"旧{placed.ship_to.street}"})
            yield replace(event, payload=placed.model_copy(update={"ship_to": old}))
            yield LifecycleEvent(at, "readdressed", _changed(order, at, ship_to=placed.ship_to))
        elif chance < LINES_SHARE + ADDRESS_SHARE + MAIL_SHARE and placed.contact.email:
            mistyped = placed.contact.model_copy(update={"email": f"x{placed.contact.email}"})
            yield replace(event, payload=placed.model_copy(update={"contact": mistyped}))
            contact = ContactChange(email=placed.contact.email)
            yield LifecycleEvent(at, "contact", _changed(order, at, contact=contact))
        else:
            yield event


def _other_lines(
    order: ReplayedOrder, event: LifecycleEvent, placed: OrderPlaced, at: datetime, rng: random.Random
) -> Iterable[LifecycleEvent]:
    """The last line is added, or raised by one, or lowered by one that the shop pays back."""
    last = placed.lines[-1]
    if len(placed.lines) > 1 and rng.random() < 0.5:
        first = placed.lines[:-1]
    else:
        more = 1 if last.quantity == 1 or rng.random() < 0.5 else -1
        first = (*placed.lines[:-1], last.model_copy(update={"quantity": last.quantity + more}))
        if more > 0:
            price = last.unit_price
            back = RefundedLine(line_id=last.line_id, quantity=1, amount=price)
            paid_at = at + timedelta(minutes=5)
            refund = OrderRefunded(
                order_id=order.order_id,
                refund_id=f"edit-{order.order_id}",
                refunded_at=paid_at,
                lines=(back,),
                amount=price,
                cause="order_edited",
            )
            yield LifecycleEvent(paid_at, "edit-refunded", refund)
    yield replace(event, payload=placed.model_copy(update={"lines": first}))
    line = order_line(order.lines[-1])
    yield LifecycleEvent(at, "lines", _changed(order, at, lines=(line,)))


def _corrected_shipment(
    order: ReplayedOrder, events: Iterable[LifecycleEvent], rng: random.Random, zone: ZoneInfo
) -> Iterable[LifecycleEvent]:
    """The number comes later, a parcel is called off, a delivery is published twice, a goodwill is paid."""
    chance, again, goodwill = rng.random(), rng.random() < AGAIN_SHARE, rng.random() < GOODWILL_SHARE
    for event in events:
        match event.payload:
            case OrderShipped() as shipped if chance < LATE_NUMBER_SHARE:
                yield from _numbered_later(event, shipped)
            case OrderShipped() as shipped if chance < LATE_NUMBER_SHARE + CALLED_OFF_SHARE and _is_early(event, zone):
                yield from _called_off(event, shipped)
            case OrderDelivered() as delivered:
                yield event
                if again:
                    yield LifecycleEvent(event.at + timedelta(hours=20), "delivered-again", delivered)
                if goodwill:
                    yield _goodwill(order, event.at + timedelta(hours=3))
            case _:
                yield event


def _is_early(event: LifecycleEvent, zone: ZoneInfo) -> bool:
    return event.at.astimezone(zone).time() < time(11)


def _numbered_later(event: LifecycleEvent, shipped: OrderShipped) -> Iterable[LifecycleEvent]:
    shipment_id, at = f"P-{shipped.order_id}", event.at + timedelta(hours=2)
    untracked = {"shipment_id": shipment_id, "carrier": None, "tracking_number": None}
    yield replace(event, payload=shipped.model_copy(update=untracked))
    numbered = ShipmentChanged(
        order_id=shipped.order_id,
        shipment_id=shipment_id,
        changed_at=at,
        carrier=shipped.carrier,
        tracking_number=shipped.tracking_number,
    )
    yield LifecycleEvent(at, "numbered", numbered)


def _called_off(event: LifecycleEvent, shipped: OrderShipped) -> Iterable[LifecycleEvent]:
    """Found in the warehouse within the hour, and on its way two hours later."""
    first, at, leaves = f"P-{shipped.order_id}-1", event.at + timedelta(minutes=50), event.at + timedelta(hours=2)
    yield replace(event, payload=shipped.model_copy(update={"shipment_id": first}))
    off = ShipmentChanged(
        order_id=shipped.order_id, shipment_id=first, changed_at=at, called_off=True, cause="left_behind"
    )
    yield LifecycleEvent(at, "called-off", off)
    again = {"shipment_id": f"P-{shipped.order_id}-2", "shipped_at": leaves}
    yield LifecycleEvent(leaves, "shipped-again", shipped.model_copy(update=again))


def _goodwill(order: ReplayedOrder, at: datetime) -> LifecycleEvent:
    """A tenth of the first line, for a customer who called."""
    line = order.lines[0]
    amount = Money(amount=(line.unit_price / 10).quantize(line.unit_price), currency=line.currency)
    refund = OrderRefunded(
        order_id=order.order_id,
        refund_id=f"goodwill-{order.order_id}",
        refunded_at=at,
        amount=amount,
        cause="goodwill",
    )
    return LifecycleEvent(at, "goodwill", refund)
