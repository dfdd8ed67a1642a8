"""What an order's events mean for its promises: placed, shipped, delivered, cancelled, and how a preorder goes.

Every date is a promise with a version (`promises.py`). Notices about moved and overdue dates are decided in
`promise_tracking.py` and `promise_renewal.py`.
"""

from collections.abc import Iterable
from datetime import datetime

from libs.common.decisions.facts import Anomaly, Fact, Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events.personal import NOBODY
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
from services.delivery_notify.domain.conversation import Conversation, Prepaid
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.notices import ContactLearned, Outcome
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.prepaid_acceptance import accept
from services.delivery_notify.domain.promise_tracking import (
    StatedDate,
    announce_undated_delay,
    change_date,
    on_shipped,
    restore_announced_delivery,
)
from services.delivery_notify.domain.promises import DELIVERY, SHIP
from services.delivery_notify.domain.supersede import ARRIVAL_NEWS, DATE_NEWS, overtake
from services.delivery_notify.policy.consent_law import unstated_promise
from services.delivery_notify.policy.notification_rules import Rules


def placed(conversation: Conversation, event: OrderPlaced, now: datetime, rules: Rules) -> Outcome:
    if conversation.placed:
        return conversation, [Ignored("order_known")]
    contact = event.contact
    learned = ContactLearned(
        conversation.order_id,
        event.customer_id,
        contact.name,
        contact.email,
        contact.language,
        contact.phone,
        event.last_purchased_item,
        event.placed_at,
    )
    facts: list[Fact] = [] if contact == NOBODY else [learned]
    lines: list[Line] = []
    for ordered in event.lines:
        line, rows = _line(conversation.order_id, ordered, event, rules)
        lines.append(line)
        facts += rows
    conversation = replace(
        conversation,
        placed=True,
        customer_id=event.customer_id,
        purchase_count=event.purchase_count,
        market=event.market,
        ordered_on=rules.calendar.day(event.placed_at),
        prepaid=_prepaid(event, rules),
        essential=event.essential_date,
        lines=tuple(lines),
    )
    conversation, accepted = accept(conversation, now, rules)
    return conversation, [*facts, *accepted]


def _line(order_id: str, ordered: OrderLine, event: OrderPlaced, rules: Rules) -> tuple[Line, list[Fact]]:
    """A line with what was promised for it at checkout, or what the law promises in its place."""
    line, at = Line(ordered.line_id, ordered.name, ordered.quantity, ordered.preorder), event.placed_at
    rows: list[Fact] = []
    if ordered.promised_ship_date:
        line = promises.promised(SHIP, line, ordered.promised_ship_date, at, rules, ship_by=ordered.ship_by)
        rows.append(promises.ledger_row(SHIP, order_id, line, "order.placed", at, promises.SHOP))
    elif limit := unstated_promise(event.market, rules.calendar.day(at)):
        line = promises.statutory(line, limit, at, rules)
    if ordered.promised_delivery_date:
        line = promises.promised(DELIVERY, line, ordered.promised_delivery_date, at, rules)
        rows.append(promises.ledger_row(DELIVERY, order_id, line, "order.placed", at, promises.SHOP))
    return line, rows


def _prepaid(event: OrderPlaced, rules: Rules) -> Prepaid | None:
    if event.prepaid is None:
        return None
    amount, received_on = event.prepaid.amount, rules.calendar.day(event.prepaid.received_at)
    return Prepaid(amount.amount, amount.currency, received_on)


def promise_changed(conversation: Conversation, event: OrderPromiseChanged, now: datetime, rules: Rules) -> Outcome:
    named, wrong = _named(conversation, event.line_ids)
    if wrong:
        return conversation, wrong
    news = StatedDate(
        event.promised_ship_date,
        event.changed_at,
        OrderPromiseChanged.TYPE.removesuffix(".v1"),
        event.promised_delivery_date,
        event.ship_by,
        event.cause,
    )
    return change_date(SHIP, conversation, named, news, now, rules)


def delayed(conversation: Conversation, event: OrderDelayed, now: datetime, rules: Rules) -> Outcome:
    """Late, says the shop: with a date it is a moved promise, without one it is a broken promise and a next word."""
    named, wrong = _named(conversation, event.line_ids)
    if wrong:
        return conversation, wrong
    source = OrderDelayed.TYPE.removesuffix(".v1")
    if event.promised_ship_date:
        day, door = event.promised_ship_date, event.promised_delivery_date
        news = StatedDate(day, event.delayed_at, source, door, None, event.cause)
        return change_date(SHIP, conversation, named, news, now, rules)
    underway = [line for line in named if not line.open]
    if event.promised_delivery_date and underway:
        news = StatedDate(event.promised_delivery_date, event.delayed_at, source, cause=event.cause)
        return change_date(DELIVERY, conversation, underway, news, now, rules)
    return announce_undated_delay(conversation, named, event.delayed_at, event.cause, event.next_update_by, now, rules)


def _named(conversation: Conversation, line_ids: tuple[str, ...]) -> tuple[list[Line], list[Fact]]:
    """The lines that an event is about (all, where it names none); an anomaly where it names one that is not there."""
    named = [line for line in conversation.lines if not line_ids or line.line_id in line_ids]
    unknown = set(line_ids) - {line.line_id for line in named}
    detail = f"{conversation.order_id}: {sorted(unknown)}"
    return named, [Anomaly("promise_for_unknown_line", detail)] if unknown else []


def shipped(conversation: Conversation, event: OrderShipped, now: datetime, rules: Rules) -> Outcome:
    conversation, facts = _count(conversation, event.lines, "shipped", now, rules)
    named = frozenset(count.line_id for count in event.lines)
    day, at = event.expected_delivery_date, event.shipped_at
    conversation, told = on_shipped(conversation, named, day, at, now, rules)
    return conversation, [*facts, *told]


def delivered(conversation: Conversation, event: OrderDelivered, now: datetime, rules: Rules) -> Outcome:
    return _count(conversation, event.lines, "delivered", now, rules)


def _count(
    conversation: Conversation, counted: Iterable[LineQuantity], what: str, now: datetime, rules: Rules
) -> Outcome:
    facts: list[Fact] = []
    for count in counted:
        line = conversation.line(count.line_id)
        if line is None:
            facts.append(Anomaly(f"{what}_unknown_line", f"{conversation.order_id}: {count.line_id}"))
            continue
        total = min(line.quantity, getattr(line, what) + count.quantity)
        changed = replace(line, **{what: total})
        conversation = conversation.with_line(replace(changed, shipped=max(changed.shipped, changed.delivered)))
    conversation, settled = _settle(conversation, what, now, rules)
    return conversation, [*facts, *settled]


def cancelled(conversation: Conversation, event: OrderCancelled, now: datetime, rules: Rules) -> Outcome:
    for line in conversation.lines:
        if not event.line_ids or line.line_id in event.line_ids:
            conversation = conversation.with_line(replace(line, cancelled=True))
    return _settle(conversation, "cancelled", now, rules)


def _settle(conversation: Conversation, cause: str, now: datetime, rules: Rules) -> Outcome:
    """Nothing more to say about lines of which nothing is left to send, or to arrive."""
    left = frozenset(line.line_id for line in conversation.lines if not line.open)
    conversation, restored = restore_announced_delivery(conversation, left, now, rules)
    conversation, facts = overtake(conversation, DATE_NEWS, left, cause)
    conversation = close_questions(conversation, cause, lines=left, kinds=DATE_NEWS)
    over = frozenset(line.line_id for line in conversation.lines if not line.awaiting_delivery and not line.open)
    conversation, gone = overtake(conversation, ARRIVAL_NEWS, over, cause)
    conversation = close_questions(conversation, cause, lines=over)
    return conversation, [*restored, *facts, *gone]


def progressed(conversation: Conversation, event: PreorderProgressed, now: datetime, rules: Rules) -> Outcome:
    line = conversation.line(event.line_id)
    if line is None:
        return conversation, [Anomaly("progress_of_unknown_line", f"{conversation.order_id}: {event.line_id}")]
    facts: list[Fact] = []
    if line.stage_changed_at and event.progressed_at < line.stage_changed_at:
        facts.append(Ignored("older_stage"))
    else:
        stage, at = event.stage, event.progressed_at
        line = replace(line, preorder=True, stage=stage, stage_detail=event.detail, stage_changed_at=at)
        conversation = conversation.with_line(line)
    if event.promised_ship_date:
        source = PreorderProgressed.TYPE.removesuffix(".v1")
        news = StatedDate(event.promised_ship_date, event.progressed_at, source)
        conversation, told = change_date(SHIP, conversation, [line], news, now, rules)
        facts += told
    return conversation, facts
