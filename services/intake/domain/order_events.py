"""Handlers of the storefront's order events. The events may arrive in any order; each updates its own part."""

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.order_versions import version_of
from libs.common.decisions.shipments import change, count
from libs.common.events.storefront import (
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderShipped,
    ShipmentChanged,
)
from services.intake.domain.context import OrderDecision
from services.intake.domain.delivered_units import delivery_changes
from services.intake.domain.order_contacts import ContactStated
from services.intake.domain.orders import Order, Purchase
from services.intake.domain.submissions import decide_waiting_reports, shop_day


def record_order(decision: OrderDecision, event: OrderPlaced) -> None:
    """Record an order; one that was recorded before is a correction of it, or a repetition."""
    decision.emit(ContactStated(event.order_id, decision.event))
    before, version = decision.order, version_of(decision.event, event)
    known = before.purchase
    at = version.changed_at(known.digest if known else None)
    if known is None:
        purchase = Purchase(event.customer_id, event.market, event.lines, version.first_at, version.digest)
        decision.change(order=before.with_purchase(purchase))
    elif at is None:
        decision.ignore("duplicate_order")
        decide_waiting_reports(decision)
        return
    else:
        decision.change_order(purchase=replace(known, digest=version.digest))
        changed = decision.order.with_changed_market(event.market, at)
        decision.change(order=changed.with_changed_lines(event.lines, at))
    _follow_up(decision, before)


def record_change(decision: OrderDecision, event: OrderChanged) -> None:
    """Take over changed lines and market; contact and address are in `order_contacts` (invariant 12)."""
    before = decision.order
    if event.contact or event.ship_to or event.recipient:
        decision.emit(ContactStated(event.order_id, decision.event))
    changed = before.with_changed_market(event.market, event.changed_at) if event.market else before
    changed = changed.with_changed_lines(event.lines, event.changed_at)
    if changed is before:
        decision.ignore("order_unchanged")
        return
    decision.change(order=changed)
    _follow_up(decision, before)


def record_shipment(decision: OrderDecision, event: OrderShipped) -> None:
    before = decision.order
    shipments = count(before.shipments, event, shop_day(event.shipped_at, decision.rules))
    if shipments is before.shipments:
        decision.ignore("repeated_shipment")
        return
    decision.change_order(shipments=shipments)
    _follow_up(decision, before)


def record_shipment_change(decision: OrderDecision, event: ShipmentChanged) -> None:
    before = decision.order
    shipments = change(before.shipments, event)
    if shipments is before.shipments:
        decision.ignore("repeated_shipment")
        return
    decision.change_order(shipments=shipments)
    _follow_up(decision, before)


def record_delivery(decision: OrderDecision, event: OrderDelivered) -> None:
    before = decision.order
    deliveries = count(before.deliveries, event, shop_day(event.delivered_at, decision.rules))
    if deliveries is before.deliveries:
        decision.ignore("repeated_delivery")
        return
    decision.change_order(deliveries=deliveries)
    _check_surplus(decision)
    _follow_up(decision, before)


def record_cancellation(decision: OrderDecision, event: OrderCancelled) -> None:
    before = decision.order
    decision.change(order=before.with_cancelled(event.line_ids))
    _follow_up(decision, before)


def _follow_up(decision: OrderDecision, before: Order) -> None:
    decision.emit(*delivery_changes(before, decision.order))
    decide_waiting_reports(decision)


def _check_surplus(decision: OrderDecision) -> None:
    """Flag deliveries beyond the ordered quantity, which cannot be reported."""
    order = decision.order
    lines = order.purchase.lines if order.purchase else ()
    surplus = [line.line_id for line in lines if order.movements_of(line.line_id).delivered_quantity > line.quantity]
    if surplus:
        decision.anomaly("more_delivered_than_ordered", f"order {order.order_id}: {surplus}")
