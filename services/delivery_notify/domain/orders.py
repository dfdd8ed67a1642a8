"""Events of an order: placed, date changed, delayed, shipped, delivered, cancelled, preorder progress."""

from collections.abc import Iterable
from typing import Literal

from libs.common.decisions.fast_replace import replace
from libs.common.events.envelope import Payload
from libs.common.events.personal import REDACTED_CONTACT
from libs.common.events.storefront import (
    OrderCancelled,
    OrderDelayed,
    OrderDelivered,
    OrderPlaced,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
)
from libs.common.events.values import LineQuantity, OrderLine
from services.delivery_notify.domain import promises
from services.delivery_notify.domain.conversation import Prepaid
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.decision_context import ConversationDecision
from services.delivery_notify.domain.notices import ContactRecorded
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.prepaid_acceptance import notify_acceptance
from services.delivery_notify.domain.promise_tracking import (
    StatedDate,
    announce_undated_delay,
    change_date,
    on_shipped,
    restore_announced_delivery,
)
from services.delivery_notify.domain.promises import DELIVERY, SHIP
from services.delivery_notify.domain.supersede import DELIVERY_DATE_NOTICES, SHIP_DATE_NOTICES, supersede
from services.delivery_notify.policy.consent_law import statutory_promise
from services.delivery_notify.policy.notification_rules import NotificationRules


def on_order_placed(ctx: ConversationDecision, event: OrderPlaced) -> None:
    if ctx.state.placed:
        ctx.ignore("duplicate_order")
        return
    _record_contact(ctx, event)
    lines = tuple([_promised_line(ctx, ordered, event) for ordered in event.lines])
    ctx.change(
        placed=True,
        customer_id=event.customer_id,
        purchase_count=event.purchase_count,
        market=event.market,
        ordered_on=ctx.rules.calendar.day(event.placed_at),
        prepaid=_prepaid(event, ctx.rules),
        essential_date=event.essential_date,
        lines=lines,
    )
    notify_acceptance(ctx)


def _record_contact(ctx: ConversationDecision, event: OrderPlaced) -> None:
    contact = event.contact
    if contact == REDACTED_CONTACT:
        return
    recorded = ContactRecorded(
        ctx.state.order_id,
        event.customer_id,
        contact.name,
        contact.email,
        contact.language,
        contact.phone,
        event.last_purchased_item,
        event.placed_at,
    )
    ctx.emit(recorded)


def _promised_line(ctx: ConversationDecision, ordered: OrderLine, event: OrderPlaced) -> Line:
    """Return a line with its promises of the checkout, or the deadline that the law sets in their place."""
    order_id, rules, at = ctx.state.order_id, ctx.rules, event.placed_at
    line = Line(ordered.line_id, ordered.name, ordered.quantity, ordered.preorder)
    if ordered.promised_ship_date:
        line = promises.promised(SHIP, line, ordered.promised_ship_date, at, rules, ship_by=ordered.ship_by)
        ctx.emit(promises.ledger_row(SHIP, order_id, line, "order.placed", at, promises.SHOP))
    elif limit := statutory_promise(event.market, rules.calendar.day(at)):
        line = promises.statutory(line, limit, at, rules)
    if ordered.promised_delivery_date:
        line = promises.promised(DELIVERY, line, ordered.promised_delivery_date, at, rules)
        ctx.emit(promises.ledger_row(DELIVERY, order_id, line, "order.placed", at, promises.SHOP))
    return line


def _prepaid(event: OrderPlaced, rules: NotificationRules) -> Prepaid | None:
    if event.prepaid is None:
        return None
    amount, received_on = event.prepaid.amount, rules.calendar.day(event.prepaid.received_at)
    return Prepaid(amount.amount, amount.currency, received_on)


def on_promise_changed(ctx: ConversationDecision, event: OrderPromiseChanged) -> None:
    lines = _lines_of(ctx, event.line_ids)
    if lines is not None:
        stated = StatedDate(
            event.promised_ship_date,
            event.changed_at,
            _source(event),
            event.promised_delivery_date,
            event.ship_by,
            event.cause,
        )
        change_date(ctx, SHIP, lines, stated)


def on_order_delayed(ctx: ConversationDecision, event: OrderDelayed) -> None:
    """Move the ship date, the delivery date of shipped lines, or announce a delay without a date."""
    lines = _lines_of(ctx, event.line_ids)
    if lines is None:
        return
    at, source, delivery_date = event.delayed_at, _source(event), event.promised_delivery_date
    shipped = [line for line in lines if not line.open]
    if event.promised_ship_date:
        stated = StatedDate(event.promised_ship_date, at, source, delivery_date, cause=event.cause)
        change_date(ctx, SHIP, lines, stated)
    elif delivery_date and shipped:
        change_date(ctx, DELIVERY, shipped, StatedDate(delivery_date, at, source, cause=event.cause))
    else:
        announce_undated_delay(ctx, lines, at, event.cause, event.next_update_by)


def _source(event: Payload) -> str:
    return event.TYPE.removesuffix(".v1")


def _lines_of(ctx: ConversationDecision, line_ids: tuple[str, ...]) -> list[Line] | None:
    """The lines that an event names (all, if it names none); None with an anomaly if one of them is unknown."""
    named = [line for line in ctx.state.lines if not line_ids or line.line_id in line_ids]
    if unknown := set(line_ids) - {line.line_id for line in named}:
        ctx.anomaly("promise_for_unknown_line", f"{ctx.state.order_id}: {sorted(unknown)}")
        return None
    return named


def on_order_shipped(ctx: ConversationDecision, event: OrderShipped) -> None:
    _count(ctx, event.lines, "shipped")
    line_ids = frozenset(count.line_id for count in event.lines)
    on_shipped(ctx, line_ids, event.expected_delivery_date, event.shipped_at)


def on_order_delivered(ctx: ConversationDecision, event: OrderDelivered) -> None:
    _count(ctx, event.lines, "delivered")


def _count(ctx: ConversationDecision, counted: Iterable[LineQuantity], what: Literal["shipped", "delivered"]) -> None:
    """Add these quantities to what was shipped or delivered; a delivered quantity was shipped."""
    for count in counted:
        line = ctx.state.line(count.line_id)
        if line is None:
            ctx.anomaly(f"{what}_unknown_line", f"{ctx.state.order_id}: {count.line_id}")
            continue
        shipped, delivered = line.shipped, line.delivered
        if what == "shipped":
            shipped = min(line.quantity, shipped + count.quantity)
        else:
            delivered = min(line.quantity, delivered + count.quantity)
        ctx.put_line(replace(line, shipped=max(shipped, delivered), delivered=delivered))
    _end_notices(ctx, what)


def on_order_cancelled(ctx: ConversationDecision, event: OrderCancelled) -> None:
    for line in ctx.state.lines:
        if not event.line_ids or line.line_id in event.line_ids:
            ctx.put_line(replace(line, cancelled=True))
    _end_notices(ctx, "cancelled")


def _end_notices(ctx: ConversationDecision, cause: str) -> None:
    """Withdraw unsent notices and close questions about lines with nothing left to ship, or to deliver."""
    shipped = frozenset(line.line_id for line in ctx.state.lines if not line.open)
    restore_announced_delivery(ctx, shipped)
    supersede(ctx, SHIP_DATE_NOTICES, shipped, cause)
    close_questions(ctx, cause, lines=shipped, kinds=SHIP_DATE_NOTICES)
    over = frozenset(line.line_id for line in ctx.state.lines if not line.awaiting_delivery and not line.open)
    supersede(ctx, DELIVERY_DATE_NOTICES, over, cause)
    close_questions(ctx, cause, lines=over)


def on_preorder_progressed(ctx: ConversationDecision, event: PreorderProgressed) -> None:
    line, at = ctx.state.line(event.line_id), event.progressed_at
    if line is None:
        ctx.anomaly("progress_of_unknown_line", f"{ctx.state.order_id}: {event.line_id}")
        return
    if line.stage_changed_at and at < line.stage_changed_at:
        ctx.ignore("older_stage")
    else:
        line = replace(line, preorder=True, stage=event.stage, stage_detail=event.detail, stage_changed_at=at)
        ctx.put_line(line)
    if event.promised_ship_date:
        change_date(ctx, SHIP, [line], StatedDate(event.promised_ship_date, at, _source(event)))
