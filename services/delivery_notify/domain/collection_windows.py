"""Collection windows that customers choose: open until the courier's day is announced, or none comes.

The choice is answered by the appointment (`issue.collection_booked`), or by `issue.collection_window_declined` with the
day that is requested instead, which is confirmed by an appointment in turn. An open choice has a deadline at any time:
staff are reminded, and the customer is updated, each update with the day of the next.
"""

from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import (
    IssueCollected,
    IssueCollectionWindowChosen,
    IssueCollectionWindowDeclined,
    WindowDeclinedBy,
)
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.issue_notices import issue_facts, notify_issue, withdraw_issue
from services.delivery_notify.domain.issue_thread import IssueThread, WindowRequest
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.request_tracking import first_deadline
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated

WINDOW_NOTICES = frozenset(
    {
        NoticeKind.COLLECTION_BOOKED,
        NoticeKind.COLLECTION_ATTEMPTED,
        NoticeKind.COLLECTION_REMINDED,
        NoticeKind.COLLECTION_WINDOW_DECLINED,
        NoticeKind.COLLECTION_WINDOW_PENDING,
    }
)
"""Notices about the courier's day; each supersedes the unsent ones before it."""


def on_window_chosen(decision: ConversationDecision, thread: IssueThread, event: IssueCollectionWindowChosen) -> None:
    """Await the appointment; a window that is booked already is confirmed at once."""
    booked = thread.appointment
    if booked and booked.window == event.window and thread.window_request is None:
        _confirm(decision, thread, event)
        return
    request = WindowRequest(event.chosen_at, first_deadline(decision.now, decision.rules), event.window)
    decision.put_thread(replace(thread, window_request=request))


def _confirm(decision: ConversationDecision, thread: IssueThread, event: IssueCollectionWindowChosen) -> None:
    window = event.window
    facts = NoticeFacts(
        day=window.day, from_hour=window.from_hour, to_hour=window.to_hour, **issue_facts(decision.state, thread)
    )
    withdraw_issue(decision, thread.issue_id, WINDOW_NOTICES, "superseded")
    cause = (thread.issue_id, window.day, window.from_hour, window.to_hour, event.chosen_at)
    notify_issue(decision, thread, NoticeKind.COLLECTION_BOOKED, facts, cause=cause)


def on_window_declined(
    decision: ConversationDecision, thread: IssueThread, event: IssueCollectionWindowDeclined
) -> None:
    """Announce the day that is requested instead; without one an update is due until staff arrange the visit."""
    deadline = first_deadline(decision.now, decision.rules)
    since = thread.window_request.requested_at if thread.window_request else event.declined_at
    request = WindowRequest(since, deadline)
    if event.cause is WindowDeclinedBy.NOT_NEEDED:
        decision.put_thread(replace(thread, window_request=None, appointment=None))
    else:
        decision.put_thread(replace(thread, window_request=request))
    day = decision.rules.calendar.day(deadline)
    facts = NoticeFacts(
        day=event.next_date or (event.day if event.cause is WindowDeclinedBy.NOT_NEEDED else day),
        previous_day=event.day,
        next_update_by=day,
        plan=_plan(event),
        code=event.cause,
        **issue_facts(decision.state, thread),
    )
    withdraw_issue(decision, thread.issue_id, WINDOW_NOTICES, "superseded")
    cause = (thread.issue_id, event.day, event.cause, event.declined_at)
    notify_issue(decision, thread, NoticeKind.COLLECTION_WINDOW_DECLINED, facts, cause=cause)


def _plan(event: IssueCollectionWindowDeclined) -> str:
    if event.cause is WindowDeclinedBy.NOT_NEEDED:
        return "none"
    return "visit" if event.next_date else "staff"


def on_collected(decision: ConversationDecision, thread: IssueThread, event: IssueCollected) -> None:
    """The customer handed the item over, so nothing about the window is open."""
    if thread.window_request is None:
        decision.ignore("no_window_request")
        return
    decision.put_thread(replace(thread, window_request=None))


def on_window_due(decision: ConversationDecision, issue_id: UUID) -> None:
    """Remind staff of a courier's missing answer, and update the customer."""
    thread = decision.state.thread(issue_id)
    request = thread.window_request if thread else None
    if thread is None or request is None or thread.closed_by or decision.now < request.answer_by:
        decision.ignore("window_request_not_due")
        return
    day = decision.rules.next_update_by(decision.now, request.reminders)
    number = request.reminders + 1
    reminded = replace(request, reminders=number, answer_by=decision.rules.update_time(day))
    decision.put_thread(replace(thread, window_request=reminded))
    details = {"order_id": decision.state.order_id, "issue_id": str(issue_id), "reminder": str(number)}
    cause = (str(issue_id), request.requested_at.isoformat(), request.answer_by.isoformat())
    decision.emit(StaffNoticeCreated(StaffKind.WINDOW_UNANSWERED, cause, decision.now, details))
    facts = NoticeFacts(
        day=day,
        previous_day=decision.rules.calendar.day(request.requested_at),
        next_update_by=day,
        update_number=number,
        **issue_facts(decision.state, thread),
    )
    withdraw_issue(decision, issue_id, frozenset({NoticeKind.COLLECTION_WINDOW_PENDING}), "superseded")
    notify_issue(decision, thread, NoticeKind.COLLECTION_WINDOW_PENDING, facts, cause=(issue_id, *cause))
