"""Collections of returned items: requested, booked, missed, reminded of, received."""

from datetime import timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import (
    IssueCollectionAttempted,
    IssueCollectionBooked,
    IssueCollectionReminded,
    IssueCollectionRequested,
    IssueItemReceived,
)
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.collection_windows import WINDOW_NOTICES
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import chosen_refund
from services.delivery_notify.domain.issue_notices import issue_facts, notify_issue, withdraw_issue
from services.delivery_notify.domain.issue_thread import (
    Appointment,
    IssueThread,
    PendingNotice,
    mark_answered,
)
from services.delivery_notify.domain.notices import NoticeFacts

REFUND_DELAY = timedelta(minutes=30)
"""Delay of the notices "item received" and "refund requested", for the refund that usually follows."""


def on_collection_requested(
    decision: ConversationDecision, thread: IssueThread, event: IssueCollectionRequested
) -> None:
    """Notify if it is the first answer to the report, or that to the choice of a refund; else the notice about the
    appointment follows."""
    choice = chosen_refund(decision.state, event.issue_id)
    if thread.answered and choice is None:
        decision.ignore("awaiting_appointment")
        return
    thread = mark_answered(thread)
    decision.put_thread(thread)
    plan = "collection" if choice is None else "refund_collection"
    facts = NoticeFacts(plan=plan, day=event.earliest_date, **issue_facts(decision.state, thread))
    cause = (event.issue_id,) if choice is None else (event.issue_id, choice)
    notify_issue(decision, thread, NoticeKind.ISSUE_ACCEPTED, facts, cause=cause)


def on_collection_booked(decision: ConversationDecision, thread: IssueThread, event: IssueCollectionBooked) -> None:
    """Announce the appointment. `update_number` counts missed visits: one that the customer moved is not missed."""
    window, known = event.window, thread.appointment
    appointment = Appointment(event.collection_id, event.attempt, window, known.number + 1 if known else 1)
    if known and replace(appointment, number=known.number) == known:
        decision.ignore("same_appointment")
        return
    wished = thread.window_request.window if thread.window_request else None
    facts = NoticeFacts(
        day=window.day,
        from_hour=window.from_hour,
        to_hour=window.to_hour,
        update_number=thread.missed_visits + 1,
        plan="other_window" if wished and wished != window else None,
        **issue_facts(decision.state, thread),
    )
    decision.put_thread(replace(mark_answered(thread), appointment=appointment, window_request=None))
    withdraw_issue(decision, event.issue_id, WINDOW_NOTICES, "superseded")
    cause = (event.collection_id, event.attempt, window.day, window.from_hour, window.to_hour, appointment.number)
    notify_issue(decision, thread, NoticeKind.COLLECTION_BOOKED, facts, cause=cause)


def on_collection_attempted(
    decision: ConversationDecision, thread: IssueThread, event: IssueCollectionAttempted
) -> None:
    """Announce the next visit; if there is none, staff arrange one and the notice about the appointment follows."""
    thread = replace(thread, missed_visits=thread.missed_visits + 1)
    decision.put_thread(thread)
    if event.next_date is None:
        decision.ignore("arranged_by_staff")
        return
    facts = NoticeFacts(day=event.next_date, update_number=event.attempt, **issue_facts(decision.state, thread))
    withdraw_issue(decision, thread.issue_id, WINDOW_NOTICES, "superseded")
    cause = (event.collection_id, event.attempt)
    notify_issue(decision, thread, NoticeKind.COLLECTION_ATTEMPTED, facts, cause=cause)


def on_collection_reminded(decision: ConversationDecision, thread: IssueThread, event: IssueCollectionReminded) -> None:
    facts = NoticeFacts(
        day=event.next_date,
        next_update_by=event.due_on,
        update_number=event.reminder,
        **issue_facts(decision.state, thread),
    )
    withdraw_issue(decision, thread.issue_id, WINDOW_NOTICES, "superseded")
    cause = (thread.issue_id, event.reminder, event.next_date)
    notify_issue(decision, thread, NoticeKind.COLLECTION_REMINDED, facts, cause=cause)


def on_item_received(decision: ConversationDecision, thread: IssueThread, event: IssueItemReceived) -> None:
    """Wait a moment before the receipt is announced: the refund usually follows."""
    due_at, received_at = decision.now + REFUND_DELAY, event.received_at
    decision.put_thread(
        replace(thread, pending=PendingNotice.RECEIPT, notify_at=due_at, received_at=received_at, window_request=None)
    )
