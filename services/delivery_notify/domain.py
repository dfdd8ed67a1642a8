"""What the customer knows, and when they learn it: `decide`, the table of contents of this service.

One conversation per order takes the order's events, the events of all its issues, its own timers and the customer's
answers. Every outcome is a fact: a notice to send or to take back, a promise to write down, a decision to publish.

Timers are not set by hand: after each event they are derived from the state (`deadlines`), so an open promise, a
waiting preorder, an open question and a quiet talk cannot be without one (invariant 6).
"""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from libs.common.decision import Anomaly, CancelTimer, Fact, Facts, Ignored, SetTimer, TimerFired
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueEvent
from libs.common.events.registry import BY_TYPE, AnyEvent
from libs.common.events.storefront import (
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
    StorefrontOrderEvent,
)
from libs.common.shop_calendar import ShopCalendar
from services.delivery_notify import issues, orders, preorders
from services.delivery_notify.choices import CustomerAnswered, answered, defaulted
from services.delivery_notify.conversation import Conversation, Held
from services.delivery_notify.notices import Outcome

HELD_AT_MOST = 50
"""Events of an order that are kept until its `order.placed` comes."""

OVERDUE, PROGRESS, CHOICE, WORD = "overdue", "progress", "choice", "word"


def decide(
    state: Conversation | None, event: AnyEvent, now: datetime, calendar: ShopCalendar
) -> tuple[Conversation | None, Facts]:
    """Total: every event in every state has an outcome."""
    payload = event.data
    order_id = getattr(payload, "order_id", None) or event.subject
    if state is None and (order_id is None or isinstance(payload, TimerFired | CustomerAnswered)):
        return None, [Anomaly("nothing_known_of_this_order", event.type)]
    before = state or Conversation(str(order_id))
    after, facts = _take(before, payload, now, calendar)
    after = preorders.schedule(after, now, calendar) if after is not before else after
    fired = payload.name if isinstance(payload, TimerFired) else None
    changes = _timer_changes(before, after, fired) if after is not before or fired else []
    return (state if after is before else after), [*facts, *changes]


def _take(talk: Conversation, payload: Payload, now: datetime, calendar: ShopCalendar) -> Outcome:
    match payload:
        case OrderPlaced():
            return _placed(talk, payload, now, calendar)
        case StorefrontOrderEvent() if not talk.placed:
            return _hold(talk, payload)
        case StorefrontOrderEvent():
            return _order_event(talk, payload, now, calendar)
        case IssueEvent():
            return issues.take(talk, payload, now, calendar)
        case CustomerAnswered():
            return answered(talk, payload, now, calendar)
        case TimerFired():
            return _fired(talk, payload.name, now, calendar)
        case _:
            return talk, [Ignored("not_for_us")]


def _placed(talk: Conversation, payload: OrderPlaced, now: datetime, calendar: ShopCalendar) -> Outcome:
    """Begin with the order, then take what came before it, in the order in which it happened.

    What has left or was cancelled comes first: it needs no date any more.
    """
    held = [BY_TYPE[each.type].model_validate_json(each.body) for each in talk.held]
    after, facts = orders.placed(talk, payload, calendar)
    after = replace(after, held=()) if talk.held else after
    for earlier in sorted(held, key=lambda each: (isinstance(each, _DATED), _happened_at(each))):
        after, told = _order_event(after, earlier, now, calendar)
        facts += told
    return after, facts


_DATED = (OrderPromiseChanged, PreorderProgressed)


def _happened_at(payload: Payload) -> datetime:
    names = ("changed_at", "shipped_at", "delivered_at", "cancelled_at", "progressed_at")
    moment: datetime = next(getattr(payload, name) for name in names if hasattr(payload, name))
    return moment


def _hold(talk: Conversation, payload: StorefrontOrderEvent) -> Outcome:
    if len(talk.held) >= HELD_AT_MOST:
        return talk, [Anomaly("too_much_before_order_placed", talk.order_id)]
    held = Held(payload.TYPE, payload.model_dump_json(exclude_none=True))
    return replace(talk, held=(*talk.held, held)), [Ignored("kept_until_order_placed")]


def _order_event(talk: Conversation, payload: Payload, now: datetime, calendar: ShopCalendar) -> Outcome:
    match payload:
        case OrderPromiseChanged():
            return orders.promise_changed(talk, payload, now, calendar)
        case OrderShipped():
            return orders.shipped(talk, payload)
        case OrderDelivered():
            return orders.delivered(talk, payload)
        case OrderCancelled():
            return orders.cancelled(talk, payload)
        case PreorderProgressed():
            return orders.progressed(talk, payload, now, calendar)
        case _:
            return talk, [Ignored("not_for_us")]


def _fired(talk: Conversation, name: str, now: datetime, calendar: ShopCalendar) -> Outcome:
    kind, _, of = name.partition(":")
    match kind:
        case "overdue":
            return orders.overdue(talk, now, calendar)
        case "progress":
            return preorders.half_month(talk, now, calendar)
        case "choice":
            return defaulted(talk, UUID(of), now)
        case "word":
            return issues.speak(talk, UUID(of), now, calendar)
        case _:
            return talk, [Anomaly("unknown_timer", name)]


def deadlines(talk: Conversation) -> dict[str, datetime]:
    """When this conversation must be looked at again, and why; derived, never stored beside the state."""
    due: dict[str, datetime] = {}
    if promises := [line.speak_at for line in talk.lines if line.open and line.speak_at]:
        due[OVERDUE] = min(promises)
    if talk.next_progress:
        due[PROGRESS] = talk.next_progress
    for question in talk.questions:
        if question.open:
            due[f"{CHOICE}:{question.choice_id}"] = question.due_at
    for issue in talk.talks:
        if issue.waiting and issue.quiet_until:
            due[f"{WORD}:{issue.issue_id}"] = issue.quiet_until
    return due


def _timer_changes(before: Conversation, after: Conversation, fired: str | None) -> list[Fact]:
    """Set what is new or moved (and what has just fired and is still due), cancel what is no longer there."""
    old, new = deadlines(before), deadlines(after)
    if fired:
        old.pop(fired, None)
    changed: list[Fact] = [SetTimer(name, due_at) for name, due_at in new.items() if old.get(name) != due_at]
    return [*changed, *(CancelTimer(name) for name in old if name not in new)]
