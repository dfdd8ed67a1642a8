"""End of an issue: refunded, resolved, rejected, cancelled; and reopened."""

from datetime import timedelta

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import (
    IssueCancelled,
    IssueRefunded,
    IssueRefundRequested,
    IssueRejected,
    IssueReopened,
    IssueResolved,
)
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.gifts import is_for_recipient
from services.delivery_notify.domain.issue_collections import REFUND_DELAY
from services.delivery_notify.domain.issue_notices import (
    PENDING_ISSUE_NOTICES,
    issue_facts,
    notify_issue,
    withdraw_issue,
)
from services.delivery_notify.domain.issue_thread import IssueThread, await_update, mark_answered
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.points import notify_end, notify_points


def on_refund_requested(decision: ConversationDecision, thread: IssueThread, event: IssueRefundRequested) -> None:
    """Announce the refund at once if it answers the report; else wait a moment for the refund itself."""
    first_answer = not thread.answered
    close_questions(decision, "refund", issue_id=event.issue_id)
    withdraw_issue(decision, event.issue_id, frozenset({NoticeKind.CHOICE_REQUESTED}), "superseded")
    thread = mark_answered(thread)
    decision.put_thread(thread)
    facts = NoticeFacts(
        plan="refund",
        day=decision.rules.calendar.day(event.requested_at),
        amount=event.amount.amount,
        currency=event.amount.currency,
        **issue_facts(decision.state, thread),
    )
    if first_answer:
        notify_issue(decision, thread, NoticeKind.ISSUE_ACCEPTED, facts, cause=(event.issue_id,))
    else:
        cause, wait = (event.refund_id,), REFUND_DELAY
        notify_issue(decision, thread, NoticeKind.REFUND_REQUESTED, facts, cause=cause, wait=wait)


def on_refunded(decision: ConversationDecision, thread: IssueThread, event: IssueRefunded) -> None:
    """Announce each payment of a refund; only the last one can be the end of the issue."""
    withdraw_issue(decision, event.issue_id, frozenset({NoticeKind.REFUND_REQUESTED}), "superseded")
    thread = replace(mark_answered(thread), refunded_at=decision.now)
    decision.put_thread(thread)
    facts = NoticeFacts(
        day=decision.rules.calendar.day(event.refunded_at),
        amount=event.amount.amount,
        currency=event.amount.currency,
        remaining=event.remaining.amount if event.remaining else None,
        **issue_facts(decision.state, thread),
    )
    payment = (event.transaction_id,) if event.transaction_id else ()
    cause = (event.refund_id, *payment)
    if event.remaining:
        notify_issue(decision, thread, NoticeKind.REFUNDED, facts, cause=cause)
    else:
        notify_end(decision, thread, NoticeKind.REFUNDED, facts, cause=cause)


def on_resolved(decision: ConversationDecision, thread: IssueThread, event: IssueResolved) -> None:
    """Announce the resolution, unless the notice about the refund was the last one."""
    if event.resolution <= thread.resolution:
        decision.ignore("already_resolved")
        return
    covered_by_refund = thread.refunded_at is not None and decision.now - thread.refunded_at < timedelta(days=1)
    thread = replace(mark_answered(thread), resolution=event.resolution, reason=event.reason)
    thread = _close(decision, thread, "resolved")
    resolved = NoticeFacts(remedy=event.remedy)
    if covered_by_refund and not is_for_recipient(decision.state, thread, NoticeKind.ISSUE_RESOLVED, resolved):
        if not notify_points(decision, thread):
            decision.ignore("covered_by_refund_notice")
        return
    day = decision.rules.calendar.day(event.resolved_at)
    facts = NoticeFacts(day=day, remedy=event.remedy, **issue_facts(decision.state, thread))
    notify_end(decision, thread, NoticeKind.ISSUE_RESOLVED, facts, cause=(event.issue_id, event.resolution))


def on_reopened(decision: ConversationDecision, thread: IssueThread, event: IssueReopened) -> None:
    if event.resolution < thread.resolution or (event.resolution == thread.resolution and not thread.closed_by):
        decision.ignore("already_reopened")
        return
    day = decision.rules.calendar.add_open_days(decision.today, 1)
    thread = await_update(thread, decision.rules.update_time(day))
    thread = replace(thread, closed_by=None, answered=True, refunded_at=None, resolution=event.resolution, apology=None)
    decision.put_thread(thread)
    withdraw_issue(decision, event.issue_id, frozenset({NoticeKind.ISSUE_RESOLVED}), "reopened")
    facts = NoticeFacts(day=day, next_update_by=day, **issue_facts(decision.state, thread))
    notify_issue(decision, thread, NoticeKind.ISSUE_REOPENED, facts, cause=(event.issue_id, event.resolution))


def on_rejected(decision: ConversationDecision, thread: IssueThread, event: IssueRejected) -> None:
    thread = _close(decision, replace(thread, reported_by=event.reported_by), "rejected")
    day = decision.rules.calendar.day(event.rejected_at)
    facts = NoticeFacts(day=day, code=event.code, **issue_facts(decision.state, thread))
    # By its time: an issue that was accepted after all can be rejected again.
    notify_issue(decision, thread, NoticeKind.ISSUE_REJECTED, facts, cause=(event.issue_id, event.rejected_at))


def on_cancelled(decision: ConversationDecision, thread: IssueThread, event: IssueCancelled) -> None:
    thread = _close(decision, thread, "cancelled")
    day = decision.rules.calendar.day(event.cancelled_at)
    facts = NoticeFacts(day=day, code=event.cause, **issue_facts(decision.state, thread))
    notify_issue(decision, thread, NoticeKind.ISSUE_CANCELLED, facts, cause=(event.issue_id, event.cancelled_at))


def _close(decision: ConversationDecision, thread: IssueThread, cause: str) -> IssueThread:
    """Close the thread with its questions, and withdraw its unsent notices."""
    withdraw_issue(decision, thread.issue_id, PENDING_ISSUE_NOTICES, cause)
    thread = replace(thread, pending=None, notify_at=None, closed_by=cause, window_request=None)
    decision.put_thread(thread)
    close_questions(decision, cause, issue_id=thread.issue_id)
    return thread
