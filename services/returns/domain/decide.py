"""Decisions of returns: replacements, collections and refunds of a case, and their order.

`IssueAccepted` opens a case; `HANDLERS` lists the handler of every later event. `SUBSCRIBES` and `PUBLISHES` are the
events that arrive and leave. Every event in every state has an outcome: applied, ignored, or reported as an anomaly.
Handlers record what happened; only `start_next_steps` starts what follows. After each decision the timers are those of
the case, and an open case without a timer is sent to review (invariant 6).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from libs.common.decisions.calendars import CALENDAR_TIMER
from libs.common.decisions.context import subscriptions
from libs.common.decisions.facts import Facts, Ignored, TimerFired
from libs.common.events import carrier, issues, payment, topics, warehouse
from libs.common.events.anomalies import AnomalyCleared, CountStaffDecided, CountStaffDecisionApplied
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueAccepted, IssueCollectionWindowChosen, IssueStaffDecided
from libs.common.events.notices import CustomerDecided
from libs.common.events.registry import AnyEvent
from services.returns.domain.anomalies import detected_anomalies
from services.returns.domain.commands import AssignCount, CancelCase, ReopenCase, SettleCount
from services.returns.domain.context import CaseDecision, CaseRules, CaseState
from services.returns.domain.handlers import (
    address_changes,
    calendar_changes,
    case_closure,
    collection_reminders,
    customer_choice,
    inbound,
    kept_boxes,
    order_watch,
    outbound,
    receipts,
    refunds,
    reviews,
    shipment_changes,
    shipments,
    staff_decisions,
    tracking_scans,
    window_answers,
)
from services.returns.domain.handlers.case_opening import facts_without_case, open_case, open_reviews
from services.returns.domain.handlers.next_steps import start_next_steps
from services.returns.domain.ledger_decisions import PAYMENT_SUBSCRIBES
from services.returns.domain.state import parcel_numbers
from services.returns.domain.state.early_events import EventKept, KeptEventApplied, early_event_of_timer
from services.returns.domain.state.kept_counts import count_of_timer
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import ShipOn


def decide(state: CaseState, event: AnyEvent, now: datetime, rules: CaseRules) -> tuple[CaseState, Facts]:
    """Return the state after this event and the facts that follow; the same state where nothing changed."""
    case, data = state.case, event.data
    if case is None:
        return _decide_without_case(state, event, now, rules)
    if case.address_due_at and getattr(type(data), "TOPIC", None) in ANSWERS_TO_ORDERS:
        return state, (EventKept(case.issue_id, event, now), Ignored("waits_for_address"))
    handler = HANDLERS.get(type(data))
    if handler is None:
        return state, (Ignored("already_open" if type(data) is IssueAccepted else "not_handled"),)
    decision = CaseDecision(case, now, rules, customer=state.customer, event_time=event.time)
    _handle(decision, handler, data)
    after, facts = _finish(decision, state, data, data.name if type(data) is TimerFired else None)
    if detected := detected_anomalies(decision.case, state.customer, event, facts, now):
        return after, (*facts, *detected)
    return after, facts


def _handle(decision: CaseDecision, handler: Callable[[CaseDecision, Any], None], data: Payload) -> None:
    """Call the handler, unless the event contradicts itself about whose parcel it is."""
    if parcel_numbers.is_of_another_case(decision.case, decision.customer.parcel_owners, data):
        decision.anomaly("foreign_tracking_number")
    else:
        handler(decision, data)


def _decide_without_case(state: CaseState, event: AnyEvent, now: datetime, rules: CaseRules) -> tuple[CaseState, Facts]:
    data = event.data
    if type(data) is SettleCount:
        return state, kept_boxes.settle_count(state.customer, data, now)
    if type(data) is CountStaffDecided:
        return state, kept_boxes.decided_without_case(state.customer, data, now)
    if type(data) is not IssueAccepted:
        return state, facts_without_case(state.customer, event, now)
    case = open_case(data, rules.in_force(now))
    decision = CaseDecision(case, now, rules, customer=state.customer, event_time=event.time)
    open_reviews(decision)
    return _finish(decision, state, data, None)


def _finish(decision: CaseDecision, before: CaseState, data: Payload, fired: str | None) -> tuple[CaseState, Facts]:
    order_watch.follow_order(decision)
    address_changes.follow_address(decision)
    start_next_steps(decision)
    case_closure.resolve_if_complete(decision)
    if before.case:
        window_answers.answer_window(decision, before.case, data)
    if not decision.case.is_closed and not decision.case.timers():
        decision.anomaly("stalled")
        decision.open_review(ReviewCause.STALLED)
    decision.sync_timers(before.case, fired)
    after = decision.case
    return before if after is before.case else CaseState(after, before.customer), decision.facts


def _timer_fired(decision: CaseDecision, fired: TimerFired) -> None:
    """Dispatch a due timer; one that the case has moved or removed is ignored."""
    if order_watch.is_order_timer(fired.name):
        return  # the order is compared with the case after every event
    count_id, key = count_of_timer(fired.name), early_event_of_timer(fired.name)
    ships_first = decision.case.plan.ship_on is ShipOn.ACCEPTED
    kept = decision.customer.kept_counts.get(count_id) if count_id else None
    waits_elsewhere = bool(kept and kept_boxes.is_waiting_part(decision.case, kept))
    if (key or (count_id and ships_first and not waits_elsewhere)) and decision.case.address_due_at:
        _postpone(decision, fired, decision.case.address_due_at)
        return
    if count_id:
        kept_boxes.take_count(decision, count_id)
        return
    if key:
        _apply_early_event(decision, key)
        return
    if fired.name == CALENDAR_TIMER:
        calendar_changes.on_calendar_changed(decision)
        return
    due_at = decision.case.timers().get(fired.name)
    if due_at is None or due_at > decision.now:
        decision.ignore("timer_moved")
    else:
        TIMERS[fired.name](decision)


def _postpone(decision: CaseDecision, fired: TimerFired, until: datetime) -> None:
    """Move what was kept for the case behind this time; all by whole seconds alike, so that it stays in order."""
    seconds = max(until - fired.due_at, timedelta(0)) // timedelta(seconds=1) + 1
    decision.set_timer(fired.name, fired.due_at + timedelta(seconds=seconds))


def _apply_early_event(decision: CaseDecision, key: str) -> None:
    """Apply an event that came before the case, or before its first order, as of its own time."""
    event = decision.customer.early_events.get(key)
    handler = HANDLERS.get(type(event.data)) if event else None
    if event is None or handler is None:
        decision.ignore("unknown_early_event")
        return
    decision.event_time = event.time
    decision.emit(KeptEventApplied(decision.case.issue_id, key, decision.now))
    kept_boxes.early_event_applied(decision)
    _handle(decision, handler, event.data)


def _retry_address(decision: CaseDecision) -> None:
    decision.change(address_due_at=None)


ANSWERS_TO_ORDERS = (topics.WAREHOUSE_EVENTS, topics.CARRIER_EVENTS)
"""Topics of events that are kept while a case waits for its address: nothing is ordered yet that they could answer."""

TIMERS: Mapping[str, Callable[[CaseDecision], None]] = {
    "address": _retry_address,
    "outbound": customer_choice.on_outbound_timer,
    "inbound": inbound.on_timer,
    "collection_reminder": collection_reminders.on_timer,
    "refund": refunds.on_timer,
    "choice": customer_choice.on_timer,
    "review": reviews.on_timer,
}

HANDLERS: Mapping[type[Payload], Callable[[CaseDecision, Any], None]] = {
    IssueStaffDecided: staff_decisions.decided,
    IssueCollectionWindowChosen: collection_reminders.window_chosen,
    warehouse.ReplacementConfirmed: outbound.confirmed,
    warehouse.ReplacementDelayed: outbound.delayed,
    warehouse.ReplacementRejected: customer_choice.rejected,
    warehouse.ReplacementShipped: shipments.shipped,
    warehouse.ReplacementRecalled: shipments.recalled,
    warehouse.ReplacementShipmentChanged: shipment_changes.changed,
    warehouse.ItemReceived: receipts.received,
    warehouse.ItemInspected: receipts.inspected,
    carrier.ParcelException: shipments.exception_reported,
    carrier.ParcelDelivered: shipments.delivered,
    carrier.ParcelScanned: tracking_scans.scanned,
    carrier.ParcelFound: tracking_scans.parcel_found,
    carrier.CollectionBooked: inbound.booked,
    carrier.CollectionDeclined: inbound.declined,
    carrier.CollectionAttemptFailed: inbound.attempt_failed,
    carrier.CollectionCollected: inbound.collected,
    payment.RefundCompleted: refunds.completed,
    payment.RefundFailed: refunds.failed,
    payment.RefundReversed: refunds.reversed_by_bank,
    CustomerDecided: customer_choice.decided,
    CancelCase: case_closure.cancel_requested,
    CountStaffDecided: kept_boxes.count_decided,
    AssignCount: kept_boxes.assign_count,
    ReopenCase: case_closure.reopen_requested,
    TimerFired: _timer_fired,
}

SUBSCRIBES: tuple[type[Payload], ...] = (IssueAccepted, *subscriptions(HANDLERS), *PAYMENT_SUBSCRIBES)
PUBLISHES = (
    warehouse.ReplacementOrdered,
    warehouse.ReplacementCancelled,
    warehouse.ReplacementReaddressed,
    warehouse.ItemReturnOrdered,
    carrier.CollectionRequested,
    carrier.CollectionCancelled,
    payment.RefundRequested,
    issues.IssueReviewRequested,
    issues.IssueReplacementOrdered,
    issues.IssueReplacementPromised,
    issues.IssueReplacementDelayed,
    issues.IssueReplacementPartShipped,
    issues.IssueReplacementShipped,
    issues.IssueReplacementDelivered,
    issues.IssueReplacementDeliveryChanged,
    issues.IssueReplacementTracked,
    issues.IssueChoiceRequested,
    issues.IssueCollectionRequested,
    issues.IssueCollectionBooked,
    issues.IssueCollectionWindowDeclined,
    issues.IssueCollectionAttempted,
    issues.IssueCollectionReminded,
    issues.IssueCollected,
    issues.IssueItemReceived,
    issues.IssueItemInspected,
    issues.IssueRefundRequested,
    issues.IssueRefunded,
    issues.IssueRefundReversed,
    issues.IssueResolved,
    issues.IssueReopened,
    issues.IssueCancelled,
    issues.IssueStaffDecisionApplied,
    issues.IssueAnomalyDetected,
    AnomalyCleared,
    CountStaffDecisionApplied,
)
"""Events that a decision may emit."""
