"""The lifecycle of an order as storefront events with their publication times."""

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from deploy.demo.data.orders import ReplayedLine, ReplayedOrder
from libs.common.events.storefront import (
    CustomerMerged,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
    StorefrontOrderEvent,
)
from libs.common.events.values import Address, Component, Contact, Language, LineQuantity, Money, OrderLine, ShippedLine

STAGES = ("materials", "production", "quality_check", "packing")
UNANNOUNCED_SHARE = 0.3
"""The share of late orders that the shop does not announce, so that Sakidashi has to detect them."""

PACKED_LEAD = timedelta(minutes=2)
"""The shop publishes a shipment this long before the carrier's scan."""

PICKUP_MARGIN = timedelta(minutes=5)
"""The announced pickup of a delayed parcel is this long after its real one."""


def carrier_of(warehouse: str | None) -> str:
    """The carrier that collects at this warehouse."""
    return "Demo Cargo" if warehouse == "osaka" else "Demo Express"


@dataclass(frozen=True, slots=True)
class LifecycleEvent:
    """One event of the storefront; `name` is unique per order and part of its event id."""

    at: datetime
    name: str
    payload: StorefrontOrderEvent | CustomerMerged


def lifecycle_events(order: ReplayedOrder, zone: ZoneInfo, seed: int) -> list[LifecycleEvent]:
    """All events of this order, earliest first."""
    rng = random.Random(f"{seed}:order:{order.order_id}")
    events = [
        LifecycleEvent(_utc(order.placed_at), "placed", placed_event(order)),
        *_progress(order),
        *_promise_changes(order, zone, rng),
    ]
    events.extend(_movements(order, zone))
    return sorted(events, key=lambda each: each.at)


def placed_event(order: ReplayedOrder) -> OrderPlaced:
    customer = order.customer
    language = Language(customer.language)
    return OrderPlaced(
        order_id=order.order_id,
        customer_id=customer.customer_id,
        placed_at=order.placed_at,
        lines=tuple(order_line(line) for line in order.lines),
        contact=Contact(name=customer.name, email=customer.email, language=language, phone=customer.phone),
        ship_to=Address(
            name=customer.name,
            postal_code=customer.postal_code,
            country=customer.country,
            region=customer.region,
            city=customer.city,
            street=customer.street,
            phone=customer.phone,
        ),
        market=order.market,
        purchase_count=order.purchase_count,
        birthday=_birthday(customer.customer_id),
    )


def _birthday(customer_id: str) -> str | None:
    """One customer in three has a birthday on file."""
    rng = random.Random(f"birthday:{customer_id}")
    return f"{rng.randint(1, 12):02}-{rng.randint(1, 28):02}" if rng.random() < 1 / 3 else None


def order_line(line: ReplayedLine) -> OrderLine:
    return OrderLine(
        line_id=line.line_id,
        sku=line.sku,
        name=line.name,
        quantity=line.quantity,
        unit_price=Money(amount=line.unit_price, currency=line.currency),
        product_group=line.product_group,
        warehouse=line.warehouse,
        preorder=line.preorder,
        promised_ship_date=line.promised_ship_date,
        ship_by=line.ship_by,
        promised_delivery_date=line.promised_delivery_date,
        components=tuple(Component(sku=part.sku, name=part.name, quantity=part.quantity) for part in line.parts),
    )


def _promise_changes(order: ReplayedOrder, zone: ZoneInfo, rng: random.Random) -> Iterable[LifecycleEvent]:
    """A later date before the promise breaks (unless unannounced), an earlier one the day before."""
    if order.shipped_at is None:
        return
    shipped = order.shipped_at.astimezone(zone).date()
    days = (shipped - order.promised_ship_date).days
    if days > 0 and rng.random() >= UNANNOUNCED_SHARE:
        morning = _local(order.promised_ship_date - timedelta(days=rng.randint(0, 2)), time(9, 20), zone)
        at = max(morning, _utc(order.placed_at) + timedelta(minutes=20))
        if order.ship_by is None or at < order.ship_by - timedelta(minutes=20):
            yield _promise_changed(order, at, shipped, "supplier_late")
    elif days <= -3 and (order.is_preorder or rng.random() < 0.1):
        at = _utc(order.shipped_at) - timedelta(days=1)
        if at > _utc(order.placed_at):
            yield _promise_changed(order, at, shipped, "early_arrival")


def _promise_changed(order: ReplayedOrder, at: datetime, day: date, cause: str) -> LifecycleEvent:
    """Build a change of the promise; a pickup known to the minute lies in the new date."""
    pickup = order.shipped_at + PICKUP_MARGIN if order.ship_by and order.shipped_at else None
    pickup = pickup if pickup and pickup.date() == day else None
    payload = OrderPromiseChanged(
        order_id=order.order_id, promised_ship_date=day, ship_by=pickup, cause=cause, changed_at=at
    )
    return LifecycleEvent(at, "promise_changed", payload)


def _progress(order: ReplayedOrder) -> Iterable[LifecycleEvent]:
    if not order.is_preorder or order.shipped_at is None:
        return
    step = (order.shipped_at - order.placed_at) / (len(STAGES) + 1)
    line_id = next(line.line_id for line in order.lines if line.preorder)
    for number, stage in enumerate(STAGES, 1):
        at = _utc(order.placed_at + step * number)
        event = PreorderProgressed(order_id=order.order_id, line_id=line_id, stage=stage, progressed_at=at)
        yield LifecycleEvent(at, f"progress-{stage}", event)


def _movements(order: ReplayedOrder, zone: ZoneInfo) -> Iterable[LifecycleEvent]:
    lines = tuple(LineQuantity(line_id=line.line_id, quantity=line.quantity) for line in order.lines)
    if order.cancelled_at:
        at = max(_utc(order.cancelled_at), _utc(order.placed_at) + timedelta(minutes=10))
        yield LifecycleEvent(
            at, "cancelled", OrderCancelled(order_id=order.order_id, cancelled_at=at, cause="customer_asked")
        )
        return
    if order.shipped_at:
        at = _utc(order.shipped_at)
        day: date | None = (order.delivered_at or order.shipped_at + timedelta(days=3)).astimezone(zone).date()
        if order.promised_delivery_date:
            day = None
        number = f"TRK{order.order_id[:12].upper()}"
        shipped = OrderShipped(
            order_id=order.order_id,
            lines=tuple(
                ShippedLine(line_id=each.line_id, quantity=each.quantity, lot=each.lot) for each in order.lines
            ),
            shipped_at=at,
            expected_delivery_date=day,
            carrier=carrier_of(order.lines[0].warehouse),
            tracking_number=number,
        )
        yield LifecycleEvent(at - PACKED_LEAD if order.ship_by else at, "shipped", shipped)
    if order.delivered_at:
        at = _utc(order.delivered_at)
        yield LifecycleEvent(at, "delivered", OrderDelivered(order_id=order.order_id, lines=lines, delivered_at=at))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _local(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, zone).astimezone(UTC)
