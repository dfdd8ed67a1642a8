"""Handlers of the storefront's order events. The events may arrive in any order; each updates its own part."""

from libs.common.events.storefront import OrderCancelled, OrderDelivered, OrderPlaced, OrderShipped
from services.intake.domain.context import OrderDecision
from services.intake.domain.delivered_units import delivery_changes
from services.intake.domain.orders import Order, Purchase
from services.intake.domain.submissions import decide_waiting_reports, shop_day


def record_order(decision: OrderDecision, event: OrderPlaced) -> None:
    if decision.order.purchase:
        decision.ignore("duplicate_order")
        decide_waiting_reports(decision)
    else:
        before = decision.order
        decision.change_order(purchase=Purchase(event.customer_id, event.market, event.lines))
        _follow_up(decision, before)


def record_shipment(decision: OrderDecision, event: OrderShipped) -> None:
    before = decision.order
    decision.change(order=before.with_shipped(event.lines, shop_day(event.shipped_at, decision.rules)))
    _follow_up(decision, before)


def record_delivery(decision: OrderDecision, event: OrderDelivered) -> None:
    before = decision.order
    decision.change(order=before.with_delivered(event.lines, shop_day(event.delivered_at, decision.rules)))
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
