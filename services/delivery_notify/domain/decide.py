"""Decisions of delivery_notify: the table of contents of the service.

One conversation per order handles the events of the order, of its issues and of their points, its timers and the
answers of the customer. Timers are derived from the state after each event (`deadlines`), so no open promise, preorder,
question or announced update is without one (invariant 6).
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.decisions.calendars import CALENDAR_TIMER
from libs.common.decisions.context import subscriptions, timer_changes
from libs.common.decisions.facts import Anomaly, Facts, TimerFired
from libs.common.events.change_requests import CustomerDecisionOverdue, CustomerDecisionSettled, OrderChangeAnswered
from libs.common.events.customers import CustomerConsentRecorded, CustomerErased, CustomerUnsubscribed
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueAccepted,
    IssueCancelled,
    IssueChoiceRequested,
    IssueCollected,
    IssueCollectionAttempted,
    IssueCollectionBooked,
    IssueCollectionReminded,
    IssueCollectionRequested,
    IssueCollectionWindowChosen,
    IssueCollectionWindowDeclined,
    IssueDetailsRequested,
    IssueItemReceived,
    IssueRefunded,
    IssueRefundRequested,
    IssueRejected,
    IssueReopened,
    IssueReplacementDelayed,
    IssueReplacementDeliveryChanged,
    IssueReplacementOrdered,
    IssueReplacementPartShipped,
    IssueReplacementPromised,
    IssueReplacementShipped,
    IssueReplacementTracked,
    IssueResolved,
    IssueReviewRequested,
)
from libs.common.events.loyalty import PointsExpiring, PointsGranted, PointsWithheld, TierChanged
from libs.common.events.messages import MessageReplied
from libs.common.events.notices import CustomerDecided, NoticeFailed, NoticeSent, NoticeSuppressed
from libs.common.events.products import BuyerWarned
from libs.common.events.registry import BY_TYPE, AnyEvent
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
from services.delivery_notify.domain import (
    collection_windows,
    event_buffer,
    issue_closure,
    issue_collections,
    issues,
    orders,
    points,
    preorders,
    product_warnings,
    replacements,
)
from services.delivery_notify.domain.calendar_changes import on_calendar_changed
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.domain.customer_questions import CustomerAnswered, on_answer, on_answer_deadline
from services.delivery_notify.domain.event_buffer import Handler, after_placement
from services.delivery_notify.domain.issues import for_thread
from services.delivery_notify.domain.promise_outcomes import outcome_changes
from services.delivery_notify.domain.promise_renewal import on_overdue
from services.delivery_notify.domain.promises import DELIVERY, SHIP
from services.delivery_notify.domain.request_outcomes import on_change_answered
from services.delivery_notify.domain.request_tracking import on_request_due
from services.delivery_notify.domain.staff_notices import staff_notices_for
from services.delivery_notify.domain.staff_replies import on_replied
from services.delivery_notify.policy.notification_rules import NotificationRules

OVERDUE, PROGRESS, CHOICE, UPDATE, MERGED = "overdue", "progress", "choice", "update", "merged"
REQUEST, WINDOW = "request", "window"


def on_order_placed(decision: ConversationDecision, event: OrderPlaced) -> None:
    """Record the order, then handle the events that came before it, in the order in which they happened."""
    buffered = [BY_TYPE[each.type].model_validate_json(each.body) for each in decision.state.buffered]
    orders.on_order_placed(decision, event)
    if buffered:
        decision.change(buffered=())
    for earlier in event_buffer.in_order(buffered):
        HANDLERS[type(earlier)](decision, earlier)


def on_timer(decision: ConversationDecision, timer: TimerFired) -> None:
    kind, _, subject = timer.name.partition(":")
    handler = TIMERS.get(kind)
    if handler is None:
        decision.anomaly("unknown_timer", timer.name)
    else:
        handler(decision, subject)


TIMERS: Mapping[str, Callable[[ConversationDecision, str], None]] = {
    OVERDUE: lambda decision, _: on_overdue(decision),
    PROGRESS: lambda decision, _: preorders.on_progress_due(decision),
    CHOICE: lambda decision, choice_id: on_answer_deadline(decision, UUID(choice_id)),
    REQUEST: lambda decision, request_id: on_request_due(decision, UUID(request_id)),
    UPDATE: lambda decision, issue_id: issues.on_update_due(decision, UUID(issue_id)),
    WINDOW: lambda decision, issue_id: collection_windows.on_window_due(decision, UUID(issue_id)),
    CALENDAR_TIMER: lambda decision, _: on_calendar_changed(decision),
    MERGED: lambda decision, _: None,  # the events that it releases come before any other
}
"""Handlers of timers by the first part of their names; the second part is the subject."""


# Found by the exact class: a `match` would try the pydantic classes one after another.
HANDLERS: Mapping[type[Payload], Handler] = {
    OrderPlaced: on_order_placed,
    OrderChanged: orders.on_order_changed,
    OrderPromiseChanged: after_placement(orders.on_promise_changed),
    OrderDelayed: after_placement(orders.on_order_delayed),
    OrderShipped: after_placement(orders.on_order_shipped),
    ShipmentChanged: after_placement(orders.on_shipment_changed),
    OrderDelivered: after_placement(orders.on_order_delivered),
    OrderCancelled: after_placement(orders.on_order_cancelled),
    OrderChangeAnswered: on_change_answered,
    PreorderProgressed: after_placement(orders.on_preorder_progressed),
    IssueAccepted: for_thread(issues.on_accepted),
    IssueReviewRequested: for_thread(issues.on_review_requested),
    IssueDetailsRequested: for_thread(issues.on_details_requested),
    IssueChoiceRequested: for_thread(issues.on_choice_requested),
    IssueReplacementOrdered: for_thread(replacements.on_replacement_ordered),
    IssueReplacementPromised: for_thread(replacements.on_replacement_dated),
    IssueReplacementDelayed: for_thread(replacements.on_replacement_dated),
    IssueReplacementShipped: for_thread(replacements.on_replacement_shipped),
    IssueReplacementPartShipped: for_thread(replacements.on_replacement_part_shipped),
    IssueReplacementTracked: for_thread(replacements.on_replacement_tracked),
    IssueReplacementDeliveryChanged: for_thread(replacements.on_replacement_delivery_changed),
    MessageReplied: on_replied,
    IssueCollectionRequested: for_thread(issue_collections.on_collection_requested),
    IssueCollectionBooked: for_thread(issue_collections.on_collection_booked),
    IssueCollectionAttempted: for_thread(issue_collections.on_collection_attempted),
    IssueCollectionWindowChosen: for_thread(collection_windows.on_window_chosen),
    IssueCollectionWindowDeclined: for_thread(collection_windows.on_window_declined),
    IssueCollectionReminded: for_thread(issue_collections.on_collection_reminded),
    IssueCollected: for_thread(collection_windows.on_collected),
    IssueItemReceived: for_thread(issue_collections.on_item_received),
    IssueRefundRequested: for_thread(issue_closure.on_refund_requested),
    IssueRefunded: for_thread(issue_closure.on_refunded),
    IssueResolved: for_thread(issue_closure.on_resolved),
    IssueReopened: for_thread(issue_closure.on_reopened),
    IssueRejected: for_thread(issue_closure.on_rejected),
    IssueCancelled: for_thread(issue_closure.on_cancelled),
    BuyerWarned: product_warnings.on_buyer_warned,
    PointsGranted: points.on_points_granted,
    PointsWithheld: points.on_points_withheld,
    PointsExpiring: points.on_points_expiring,
    CustomerAnswered: on_answer,
    TimerFired: on_timer,
}

SUBSCRIBES: tuple[type[Payload], ...] = (*subscriptions(HANDLERS), TierChanged)
PUBLISHES = (
    NoticeSent,
    NoticeFailed,
    NoticeSuppressed,
    CustomerDecided,
    CustomerDecisionOverdue,
    CustomerDecisionSettled,
    CustomerErased,
    CustomerConsentRecorded,
    CustomerUnsubscribed,
)


def decide(
    state: Conversation | None, event: AnyEvent, now: datetime, rules: NotificationRules
) -> tuple[Conversation | None, Facts]:
    """Decide one event. Total but for `EventBufferFullError`, on which the event becomes a dead letter."""
    payload: Any = event.data
    kind = type(payload)
    order_id = getattr(payload, "order_id", None) or event.subject
    if state is None and kind is not PointsExpiring and (order_id is None or kind in (TimerFired, CustomerAnswered)):
        return None, [Anomaly("unknown_order", event.type)]
    before = state or Conversation(order_id or "")
    decision = ConversationDecision(before, now, rules, event=event)
    if before.is_released:
        for held in event_buffer.take_released(decision):
            HANDLERS[type(held)](decision, held)
    handler = HANDLERS.get(kind)
    if handler is None:
        decision.ignore("not_subscribed")
    else:
        handler(decision, payload)
    changed = decision.state is not before
    if changed:
        preorders.schedule_reports(decision)
        decision.emit(*outcome_changes(before, decision.state, min(event.time, now)))
    decision.emit(*staff_notices_for(payload, decision.facts, now))
    fired: str | None = payload.name if kind is TimerFired else None
    if changed or fired:
        decision.emit(*timer_changes(deadlines(before), deadlines(decision.state), fired))
    return decision.state if changed else state, decision.facts


def deadlines(conversation: Conversation) -> dict[str, datetime]:
    """Return the timers of a conversation by name; they are derived, never stored in the state."""
    due: dict[str, datetime] = {}
    overdue_at = [
        notify_at
        for line in conversation.lines
        for track in (SHIP, DELIVERY)
        if (notify_at := track.of(line).notify_at) and track.is_pending(line)
    ]
    if overdue_at:
        due[OVERDUE] = min(overdue_at)
    if conversation.next_progress_at:
        due[PROGRESS] = conversation.next_progress_at
    for question in conversation.questions:
        if question.open:
            due[f"{CHOICE}:{question.choice_id}"] = question.due_at
    for request in conversation.requests:
        if request.answer_by:
            due[f"{REQUEST}:{request.request_id}"] = request.answer_by
    for thread in conversation.threads:
        if thread.window_request and not thread.closed_by:
            due[f"{WINDOW}:{thread.issue_id}"] = thread.window_request.answer_by
        if thread.pending and thread.notify_at:
            due[f"{UPDATE}:{thread.issue_id}"] = thread.notify_at
    return due
