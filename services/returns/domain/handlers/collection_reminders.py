"""Collection reminders: follow-up while an item that should be collected stays with the customer.

Reminders start with the delivery of the replacement. They stop once the item is lost or with the driver, or the
replacement did not arrive. Each reminder comes with a new collection request; after the last one staff decide. Nothing
is ever charged from here; no event exists for it.
"""

from datetime import date, datetime, timedelta

from libs.common.events.issues import IssueCollectionReminded, IssueCollectionWindowChosen, WindowDeclinedBy
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import inbound, window_answers
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn, ShipOn

AWAITING_COLLECTION = (InboundStatus.REQUESTED, InboundStatus.BOOKED, InboundStatus.FAILED)


def sync_reminder(decision: CaseDecision) -> None:
    """Start reminders after the delivery of the replacement; stop them once the item is handed over."""
    leg = decision.case.inbound
    delivered_at = decision.case.outbound.delivered_at
    if not _is_return_due(decision):
        if leg.remind_at:
            decision.change_inbound(remind_at=None)
    elif leg.remind_at is None and leg.reminders == 0 and delivered_at:
        first = decision.calendar.day(delivered_at) + timedelta(days=decision.collection_policy.remind_after_days)
        decision.change_inbound(remind_at=_reminder_time(decision, first))


def _is_return_due(decision: CaseDecision) -> bool:
    """Return whether the customer has both the replacement and the reported item."""
    case = decision.case
    has_both = case.plan.ship_on is ShipOn.ACCEPTED and case.outbound.status is OutboundStatus.DELIVERED
    return has_both and case.inbound.status in AWAITING_COLLECTION


def _reminder_time(decision: CaseDecision, day: date) -> datetime:
    """Return the review hour of that day; never in the past, so that its timer fires."""
    moment = decision.calendar.moment(day, decision.limits.review_hour)
    return moment if moment > decision.now else decision.after(hours=1)


def on_timer(decision: CaseDecision) -> None:
    """Send a reminder with a new collection request; after the last one open a review."""
    policy = decision.collection_policy
    number = decision.case.inbound.reminders + 1
    if number > policy.max_reminders:
        decision.change_inbound(reminders=number, remind_at=None)
        decision.open_review(ReviewCause.NOT_COLLECTED)
        return
    next_reminder = decision.today + timedelta(days=policy.remind_every_days)
    decision.change_inbound(reminders=number, remind_at=_reminder_time(decision, next_reminder))
    inbound.retry_collection(decision)
    leg = decision.case.inbound
    decision.emit(
        IssueCollectionReminded(
            **decision.ids,
            reminder=number,
            next_date=leg.window_day or leg.earliest_date or decision.today,
            due_on=decision.today + timedelta(days=policy.remind_every_days * (policy.max_reminders - number + 1)),
            reminded_at=decision.now,
        )
    )


def window_chosen(decision: CaseDecision, event: IssueCollectionWindowChosen) -> None:
    """Request the window that the customer chose; before any request it is kept for the first one."""
    leg = decision.case.inbound
    if decision.case.is_closed or not _is_collectable(decision):
        decision.ignore("nothing_to_collect")
        window_answers.decline(decision, event.window.day, event.window, WindowDeclinedBy.NOT_NEEDED)
    elif event.window.day < _earliest_date(decision):
        decision.ignore("window_too_early")
        window_answers.decline(decision, event.window.day, event.window, WindowDeclinedBy.TOO_EARLY)
    elif leg.chosen_window == event.window:
        decision.ignore("duplicate")
    else:
        decision.change_inbound(chosen_window=event.window)
        if leg.status in AWAITING_COLLECTION:
            decision.close_reviews(ReviewCause.COLLECTION_FAILED)
            _request_on(decision, event.window.day)


def _is_collectable(decision: CaseDecision) -> bool:
    expected = (*AWAITING_COLLECTION, InboundStatus.NONE)
    return decision.case.plan.collect_on is not CollectOn.NEVER and decision.case.inbound.status in expected


def _earliest_date(decision: CaseDecision) -> date:
    """Return the earliest day: never before the replacement is delivered (invariant 1)."""
    leg = decision.case.outbound
    expected = leg.expected_delivery if leg.status is OutboundStatus.SHIPPED else None
    return max(decision.today, expected or decision.today)


def _request_on(decision: CaseDecision, day: date) -> None:
    swap = inbound.can_swap(decision) and day == decision.case.outbound.expected_delivery
    inbound.request_collection(decision, day, swap=swap)


def restart_reminders(decision: CaseDecision) -> None:
    """Request another collection, with the full number of reminders, as staff decided."""
    decision.change_inbound(reminders=0)
    inbound.retry_collection(decision)
