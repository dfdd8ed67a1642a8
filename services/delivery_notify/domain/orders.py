"""Events of an order: placed, date changed, delayed, shipped, delivered, cancelled, preorder progress."""

from collections.abc import Iterable
from datetime import datetime

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.order_versions import PlacedVersion, version_of
from libs.common.decisions.shipments import change, count, quantity_of, sum_lines
from libs.common.events.envelope import Payload
from libs.common.events.storefront import (
    OrderCancelled,
    OrderChanged,
    OrderDelayed,
    OrderDelivered,
    OrderPlaced,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
    ShipmentChanged,
)
from libs.common.events.values import LineQuantity, OrderLine
from services.delivery_notify.domain import handling_dates, promises
from services.delivery_notify.domain.contact_statements import record_changed_contact, record_placed_contact
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Prepaid
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.event_buffer import after_placement
from services.delivery_notify.domain.gifts import record_recipient
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.prepaid_acceptance import notify_acceptance
from services.delivery_notify.domain.promise_tracking import (
    StatedDate,
    announce_undated_delay,
    change_date,
    on_reopened,
    on_shipped,
    remember_unannounced,
    restore_announced_delivery,
)
from services.delivery_notify.domain.promises import DELIVERY, SHIP
from services.delivery_notify.domain.request_outcomes import on_lines_cancelled, on_order_corrected, on_units_left
from services.delivery_notify.domain.supersede import DELIVERY_DATE_NOTICES, SHIP_DATE_NOTICES, supersede
from services.delivery_notify.policy.consent_law import statutory_promise
from services.delivery_notify.policy.notification_rules import NotificationRules


def on_order_placed(decision: ConversationDecision, event: OrderPlaced) -> None:
    """Record an order; one that was recorded before is a correction of it, or a repetition."""
    assert decision.event is not None
    record_placed_contact(decision, event)
    version = version_of(decision.event, event)
    if decision.state.placed:
        _correct_order(decision, event, version)
        return
    lines = tuple([_new_line(decision, ordered, event, event.market, version.first_at) for ordered in event.lines])
    decision.change(
        placed=True,
        customer_id=event.customer_id,
        purchase_count=event.purchase_count,
        market=event.market,
        market_stated_at=version.first_at,
        ordered_on=decision.rules.calendar.day(event.placed_at),
        prepaid=_prepaid(event, decision.rules),
        essential_date=event.essential_date,
        lines=lines,
        lines_digest=version.digest,
    )
    notify_acceptance(decision)
    _announce_handling_dates(decision, lines)


def _correct_order(decision: ConversationDecision, event: OrderPlaced, version: PlacedVersion) -> None:
    at = version.changed_at(decision.state.lines_digest)
    if at is None:
        decision.ignore("duplicate_order")
        return
    decision.change(lines_digest=version.digest)
    _change_market(decision, event.market, at)
    _change_lines(decision, event.lines, at, event)


def on_order_changed(decision: ConversationDecision, event: OrderChanged) -> None:
    record_changed_contact(decision, event)
    if event.ship_to or event.lines:
        on_order_corrected(decision, event)
    record_recipient(decision, event.recipient, event.recipient_notices, event.changed_at)
    if event.lines or event.market:
        _keep_change(decision, event.model_copy(update={"contact": None, "ship_to": None, "recipient": None}))


def _change_order(decision: ConversationDecision, event: OrderChanged) -> None:
    if event.market:
        _change_market(decision, event.market, event.changed_at)
    _change_lines(decision, event.lines, event.changed_at, event)


def _change_market(decision: ConversationDecision, market: str, at: datetime) -> None:
    """Set the market, whose law applies to later delays, unless a newer statement set it."""
    stated_at = decision.state.market_stated_at
    if stated_at is None or at >= stated_at:
        decision.change(market=market, market_stated_at=at)


_keep_change = after_placement(_change_order)
"""Handler of the part of a change that waits for `order.placed`; what is buffered holds no personal data."""


def _change_lines(
    decision: ConversationDecision, stated: Iterable[OrderLine], at: datetime, event: OrderPlaced | OrderChanged
) -> None:
    """Add lines, or change name and quantity of those known, where this statement is the newer one."""
    open_before = _open_lines(decision)
    known = {line.line_id for line in decision.state.lines}
    for ordered in stated:
        line = decision.state.line(ordered.line_id)
        if line is None:
            added = _new_line(decision, ordered, event, decision.state.market, at)
            decision.change(lines=(*decision.state.lines, added))
        elif line.stated_at is None or at >= line.stated_at:
            decision.put_line(replace(line, name=ordered.name or ordered.sku, quantity=ordered.quantity, stated_at=at))
        else:
            decision.ignore("older_change")
    _recount(decision)
    on_reopened(decision, open_before, _source(event))
    _end_notices(decision, "changed")
    _announce_handling_dates(decision, [line for line in decision.state.lines if line.line_id not in known])


def _announce_handling_dates(decision: ConversationDecision, lines: Iterable[Line]) -> None:
    dated = {line.line_id for line in lines if line.shipping.day and line.shipping.promised_at is None}
    handling_dates.announce_handling_dates(decision, dated)


def _new_line(
    decision: ConversationDecision,
    ordered: OrderLine,
    event: OrderPlaced | OrderChanged,
    market: str,
    stated_at: datetime,
) -> Line:
    """Return a line with its promises of the checkout, or the deadline that the law sets in their place."""
    order_id, rules, source = decision.state.order_id, decision.rules, _source(event)
    at = event.placed_at if isinstance(event, OrderPlaced) else event.changed_at
    line = Line(
        ordered.line_id,
        ordered.name or ordered.sku,
        ordered.quantity,
        ordered.preorder,
        stated_at=stated_at,
        requires_shipping=ordered.requires_shipping,
        warehouse=ordered.warehouse,
        product_group=ordered.product_group,
    )
    if not ordered.requires_shipping:
        return replace(line, shipped=line.quantity, delivered=line.quantity)
    if ordered.promised_ship_date:
        line = promises.with_promise(SHIP, line, ordered.promised_ship_date, at, rules, ship_by=ordered.ship_by)
        decision.emit(promises.ledger_row(SHIP, order_id, line, source, at, promises.SHOP))
    elif day := handling_dates.handling_date(decision, ordered, at):
        line = handling_dates.with_handling_date(decision, line, day)
    elif limit := statutory_promise(market, rules.calendar.day(at)):
        line = promises.with_statutory_deadline(line, limit, at, rules)
    if ordered.promised_delivery_date:
        line = promises.with_promise(DELIVERY, line, ordered.promised_delivery_date, at, rules)
        decision.emit(promises.ledger_row(DELIVERY, order_id, line, source, at, promises.SHOP))
    return line


def _prepaid(event: OrderPlaced, rules: NotificationRules) -> Prepaid | None:
    if event.prepaid is None:
        return None
    amount, received_on = event.prepaid.amount, rules.calendar.day(event.prepaid.received_at)
    return Prepaid(amount.amount, amount.currency, received_on)


def on_promise_changed(decision: ConversationDecision, event: OrderPromiseChanged) -> None:
    stated = StatedDate(
        event.promised_ship_date,
        event.changed_at,
        _source(event),
        event.promised_delivery_date,
        event.ship_by,
        event.cause,
    )
    change_date(decision, SHIP, _lines_of(decision, event.line_ids), stated)


def on_order_delayed(decision: ConversationDecision, event: OrderDelayed) -> None:
    """Move the ship date; without one, move the delivery date of shipped lines and announce a delay of the others."""
    lines = _lines_of(decision, event.line_ids)
    at, source, delivery_date = event.delayed_at, _source(event), event.promised_delivery_date
    if event.promised_ship_date:
        stated = StatedDate(event.promised_ship_date, at, source, delivery_date, cause=event.cause)
        change_date(decision, SHIP, lines, stated)
        return
    shipped = [line for line in lines if not line.open] if delivery_date else []
    if delivery_date and shipped:
        change_date(decision, DELIVERY, shipped, StatedDate(delivery_date, at, source, cause=event.cause))
    if undated := [line for line in lines if line not in shipped]:
        announce_undated_delay(decision, undated, at, event.cause, event.next_update_by)


def _source(event: Payload) -> str:
    return event.TYPE.removesuffix(".v1")


def _lines_of(decision: ConversationDecision, line_ids: tuple[str, ...]) -> list[Line]:
    """The known lines that an event names (all, if it names none); an anomaly reports those that are unknown."""
    named = [line for line in decision.state.lines if not line_ids or line.line_id in line_ids]
    if unknown := set(line_ids) - {line.line_id for line in named}:
        decision.anomaly("promise_for_unknown_line", f"{decision.state.order_id}: {sorted(unknown)}")
    return named


def on_order_shipped(decision: ConversationDecision, event: OrderShipped) -> None:
    known = decision.state.shipments
    shipments = count(known, event)
    if shipments is known:
        decision.ignore("repeated_shipment")
        return
    decision.change(shipments=shipments)
    _report_unknown_lines(decision, event.lines, "shipped")
    line_ids = frozenset(line.line_id for line in event.lines)
    if event.carrier:
        parcel = [line for line in decision.state.lines if line.line_id in line_ids]
        decision.put_lines(replace(line, carrier=event.carrier) for line in parcel)
    _recount(decision)
    _end_notices(decision, "shipped")
    day = event.expected_delivery_date
    on_shipped(decision, line_ids, StatedDate(day, event.shipped_at, _source(event)) if day else None)


def on_shipment_changed(decision: ConversationDecision, event: ShipmentChanged) -> None:
    """Units that were taken out of a shipment are owed again, and their promise is watched again."""
    known = decision.state.shipments
    open_before = _open_lines(decision)
    shipments = change(known, event)
    if shipments is known and not event.expected_delivery_date:
        decision.ignore("repeated_shipment")
        return
    if shipments is not known:
        decision.change(shipments=shipments)
    _recount(decision)
    on_reopened(decision, open_before, _source(event))
    if event.expected_delivery_date and not event.called_off:
        shipment = next((each for each in shipments if each.shipment_id == event.shipment_id), None)
        line_ids = frozenset(shipment.quantities) if shipment else frozenset()
        on_shipped(decision, line_ids, StatedDate(event.expected_delivery_date, event.changed_at, _source(event)))
    _end_notices(decision, "shipped")


def _open_lines(decision: ConversationDecision) -> frozenset[str]:
    return frozenset(line.line_id for line in decision.state.lines if line.open)


def on_order_delivered(decision: ConversationDecision, event: OrderDelivered) -> None:
    known = decision.state.deliveries
    deliveries = count(known, event)
    if deliveries is known:
        decision.ignore("repeated_delivery")
        return
    decision.change(deliveries=deliveries)
    _report_unknown_lines(decision, event.lines, "delivered")
    _recount(decision)
    _end_notices(decision, "delivered")


def _report_unknown_lines(decision: ConversationDecision, moved: Iterable[LineQuantity], what: str) -> None:
    for line_id in sum_lines(moved):
        if decision.state.line(line_id) is None:
            decision.anomaly(f"{what}_unknown_line", f"{decision.state.order_id}: {line_id}")


def _recount(decision: ConversationDecision) -> None:
    """Count each line's shipped and delivered units from the shipments known; a delivered unit was shipped."""
    shipments, deliveries = decision.state.shipments, decision.state.deliveries
    gone: list[str] = []
    for line in decision.state.lines:
        if not line.requires_shipping:
            counted = replace(line, shipped=line.quantity, delivered=line.quantity)
        else:
            delivered = min(line.quantity, quantity_of(deliveries, line.line_id))
            shipped = min(line.quantity, quantity_of(shipments, line.line_id))
            counted = replace(line, shipped=max(shipped, delivered), delivered=delivered)
        if counted != line:
            decision.put_line(counted)
            if counted.shipped > line.shipped or (counted.delivered > line.delivered and not counted.open):
                gone.append(line.line_id)
    if gone and decision.state.requests:
        on_units_left(decision, gone)


def on_order_cancelled(decision: ConversationDecision, event: OrderCancelled) -> None:
    for line in decision.state.lines:
        if not event.line_ids or line.line_id in event.line_ids:
            decision.put_line(replace(line, cancelled=True))
    _end_notices(decision, "cancelled")
    on_lines_cancelled(decision)


def _end_notices(decision: ConversationDecision, cause: str) -> None:
    """Withdraw unsent notices and close questions about lines with nothing left to ship, or to deliver."""
    shipped = frozenset(line.line_id for line in decision.state.lines if not line.open)
    restore_announced_delivery(decision, shipped, "order.shipped")
    remember_unannounced(decision, shipped)
    supersede(decision, SHIP_DATE_NOTICES, shipped, cause)
    close_questions(decision, cause, lines=shipped, kinds=SHIP_DATE_NOTICES)
    over = frozenset(line.line_id for line in decision.state.lines if not line.awaiting_delivery and not line.open)
    supersede(decision, DELIVERY_DATE_NOTICES, over, cause)
    close_questions(decision, cause, lines=over)


def on_preorder_progressed(decision: ConversationDecision, event: PreorderProgressed) -> None:
    line, at = decision.state.line(event.line_id), event.progressed_at
    if line is None:
        decision.anomaly("progress_of_unknown_line", f"{decision.state.order_id}: {event.line_id}")
        return
    if line.stage_changed_at and at < line.stage_changed_at:
        decision.ignore("older_stage")
    else:
        line = replace(line, preorder=True, stage=event.stage, stage_detail=event.detail, stage_changed_at=at)
        decision.put_line(line)
    if event.promised_ship_date:
        change_date(decision, SHIP, [line], StatedDate(event.promised_ship_date, at, _source(event)))
