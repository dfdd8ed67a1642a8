"""What the customer knows, and when they learn it: `decide`, the table of contents of this service.

One conversation per order takes the order's events, the events of all its issues, its own timers and the customer's
answers. Every outcome is a fact: a notice to send or to take back, a promise to write down, a decision to publish.

Timers are not set by hand: after each event they are derived from the state (`deadlines`), so an open promise, a
waiting preorder, an open question and a quiet talk cannot be without one (invariant 6).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from libs.common.decisions.facts import Anomaly, CancelTimer, Fact, Facts, Ignored, SetTimer, TimerFired
from libs.common.decisions.fast_replace import replace
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueEvent
from libs.common.events.loyalty import PointsExpiring, PointsGranted, PointsWithheld
from libs.common.events.products import BuyerWarned
from libs.common.events.registry import BY_TYPE, AnyEvent
from libs.common.events.storefront import (
    OrderCancelled,
    OrderDelayed,
    OrderDelivered,
    OrderPlaced,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
)
from services.delivery_notify.domain import issues, orders, points, preorders, product_warnings
from services.delivery_notify.domain.conversation import Conversation, Held
from services.delivery_notify.domain.customer_questions import CustomerAnswered, answered, defaulted
from services.delivery_notify.domain.notices import Outcome
from services.delivery_notify.domain.promise_renewal import on_overdue
from services.delivery_notify.domain.promises import DELIVERY, SHIP
from services.delivery_notify.domain.staff_notices import for_staff
from services.delivery_notify.policy.notification_rules import Rules

HELD_AT_MOST = 50
"""Events of an order that are kept until its `order.placed` comes."""


class TooMuchBeforeOrderError(ValueError):
    """More events of an order came before its `order.placed` than are kept: look why it is missing.

    Raised, so that the shell parks the event and nothing is lost. What follows of the order is parked behind it, a
    late `order.placed` too: once ops discard the surplus, the rest is replayed in its order.
    """


OVERDUE, PROGRESS, CHOICE, WORD = "overdue", "progress", "choice", "word"


def decide(
    state: Conversation | None, event: AnyEvent, now: datetime, rules: Rules
) -> tuple[Conversation | None, Facts]:
    """Total: every event in every state has an outcome, but one.

    Raises `TooMuchBeforeOrderError`, for the shell to park the event.
    """
    payload: Any = event.data
    kind = type(payload)
    if kind is PointsExpiring:
        return state, points.expiring(state, payload, now, rules)
    order_id = getattr(payload, "order_id", None) or event.subject
    if state is None and (order_id is None or kind is TimerFired or kind is CustomerAnswered):
        return None, [Anomaly("nothing_known_of_this_order", event.type)]
    before = state or Conversation(str(order_id))
    after, facts = _take(before, payload, now, rules)
    after = preorders.schedule(after, now, rules) if after is not before else after
    fired: str | None = payload.name if kind is TimerFired else None
    changes = _timer_changes(before, after, fired) if after is not before or fired else []
    return (state if after is before else after), [*facts, *for_staff(payload, facts, now), *changes]


def _take(conversation: Conversation, payload: Payload, now: datetime, rules: Rules) -> Outcome:
    kind = type(payload)
    if kind in _OF_A_PLACED_ORDER:
        known = conversation.placed
        return _order_event(conversation, payload, now, rules) if known else _hold(conversation, payload)
    take = _TAKES.get(kind)
    if take is None and isinstance(payload, IssueEvent):
        take = issues.take
    return take(conversation, payload, now, rules) if take else (conversation, [Ignored("not_for_us")])


def _placed(conversation: Conversation, payload: OrderPlaced, now: datetime, rules: Rules) -> Outcome:
    """Begin with the order, then take what came before it, in the order in which it happened.

    What has left or was cancelled comes first: it needs no date any more.
    """
    held = [BY_TYPE[each.type].model_validate_json(each.body) for each in conversation.held]
    after, facts = orders.placed(conversation, payload, now, rules)
    after = replace(after, held=()) if conversation.held else after
    for earlier in sorted(held, key=lambda each: (isinstance(each, _DATED), _happened_at(each))):
        after, told = _order_event(after, earlier, now, rules)
        facts += told
    return after, facts


_DATED = (OrderPromiseChanged, OrderDelayed, PreorderProgressed)


def _happened_at(payload: Payload) -> datetime:
    names = ("changed_at", "delayed_at", "shipped_at", "delivered_at", "cancelled_at", "progressed_at")
    moment: datetime = next(getattr(payload, name) for name in names if hasattr(payload, name))
    return moment


def _hold(conversation: Conversation, payload: Payload) -> Outcome:
    if len(conversation.held) >= HELD_AT_MOST:
        raise TooMuchBeforeOrderError(f"{conversation.order_id}: {HELD_AT_MOST} events wait for order.placed already")
    held = Held(payload.TYPE, payload.model_dump_json(exclude_none=True))
    return replace(conversation, held=(*conversation.held, held)), [Ignored("kept_until_order_placed")]


def _order_event(conversation: Conversation, payload: Payload, now: datetime, rules: Rules) -> Outcome:
    take = _OF_A_PLACED_ORDER.get(type(payload))
    return take(conversation, payload, now, rules) if take else (conversation, [Ignored("not_for_us")])


def _fired(conversation: Conversation, timer: TimerFired, now: datetime, rules: Rules) -> Outcome:
    kind, _, of = timer.name.partition(":")
    match kind:
        case "overdue":
            return on_overdue(conversation, now, rules)
        case "progress":
            return preorders.report(conversation, now, rules)
        case "choice":
            return defaulted(conversation, UUID(of), now, rules)
        case "word":
            return issues.speak(conversation, UUID(of), now, rules)
        case _:
            return conversation, [Anomaly("unknown_timer", timer.name)]


def deadlines(conversation: Conversation) -> dict[str, datetime]:
    """When this conversation must be looked at again, and why; derived, never stored beside the state."""
    due: dict[str, datetime] = {}
    moments: list[datetime] = []
    for line in conversation.lines:
        for track in (SHIP, DELIVERY):
            notify_at = track.of(line).notify_at
            if notify_at and track.is_pending(line):
                moments.append(notify_at)
    if moments:
        due[OVERDUE] = min(moments)
    if conversation.next_progress:
        due[PROGRESS] = conversation.next_progress
    for question in conversation.questions:
        if question.open:
            due[f"{CHOICE}:{question.choice_id}"] = question.due_at
    for talk in conversation.talks:
        if talk.waiting and talk.quiet_until:
            due[f"{WORD}:{talk.issue_id}"] = talk.quiet_until
    return due


def _timer_changes(before: Conversation, after: Conversation, fired: str | None) -> list[Fact]:
    """Set what is new or moved (and what has just fired and is still due), cancel what is no longer there."""
    old, new = deadlines(before), deadlines(after)
    if fired:
        old.pop(fired, None)
    if old == new:
        return []
    changed: list[Fact] = [SetTimer(name, due_at) for name, due_at in new.items() if old.get(name) != due_at]
    return [*changed, *(CancelTimer(name) for name in old if name not in new)]


# By the very class: a `match` asks each of pydantic's classes in turn, which is dear.
Take: TypeAlias = Callable[[Conversation, Any, datetime, Rules], Outcome]
_OF_A_PLACED_ORDER: Mapping[type[Payload], Take] = {
    OrderPromiseChanged: orders.promise_changed,
    OrderDelayed: orders.delayed,
    OrderShipped: orders.shipped,
    OrderDelivered: orders.delivered,
    OrderCancelled: orders.cancelled,
    PreorderProgressed: orders.progressed,
}
_TAKES: Mapping[type[Payload], Take] = {
    OrderPlaced: _placed,
    **dict.fromkeys(issues.TAKES, issues.take),
    BuyerWarned: product_warnings.warned,
    PointsGranted: points.granted,
    PointsWithheld: points.withheld,
    CustomerAnswered: answered,
    TimerFired: _fired,
}
