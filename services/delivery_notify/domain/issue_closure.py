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
from services.delivery_notify.domain.customer_questions import close_questions
from services.delivery_notify.domain.decision_context import ConversationDecision
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


def on_refund_requested(ctx: ConversationDecision, thread: IssueThread, event: IssueRefundRequested) -> None:
    """Announce the refund at once if it answers the report; else wait a moment for the refund itself."""
    first_answer = not thread.answered
    close_questions(ctx, "refund", issue_id=event.issue_id)
    withdraw_issue(ctx, event.issue_id, frozenset({NoticeKind.CHOICE_REQUESTED}), "superseded")
    thread = mark_answered(thread)
    ctx.put_thread(thread)
    facts = NoticeFacts(
        plan="refund",
        day=ctx.rules.calendar.day(event.requested_at),
        amount=event.amount.amount,
        currency=event.amount.currency,
        **issue_facts(ctx.state, thread),
    )
    if first_answer:
        notify_issue(ctx, thread, NoticeKind.ISSUE_ACCEPTED, facts, cause=(event.issue_id,))
    else:
        cause, wait = (event.refund_id,), REFUND_DELAY
        notify_issue(ctx, thread, NoticeKind.REFUND_REQUESTED, facts, cause=cause, wait=wait)


def on_refunded(ctx: ConversationDecision, thread: IssueThread, event: IssueRefunded) -> None:
    withdraw_issue(ctx, event.issue_id, frozenset({NoticeKind.REFUND_REQUESTED}), "superseded")
    thread = replace(mark_answered(thread), refunded_at=ctx.now)
    ctx.put_thread(thread)
    facts = NoticeFacts(
        day=ctx.rules.calendar.day(event.refunded_at),
        amount=event.amount.amount,
        currency=event.amount.currency,
        **issue_facts(ctx.state, thread),
    )
    notify_end(ctx, thread, NoticeKind.REFUNDED, facts, cause=(event.refund_id,))


def on_resolved(ctx: ConversationDecision, thread: IssueThread, event: IssueResolved) -> None:
    """Announce the resolution, unless the notice about the refund was the last one."""
    if event.resolution <= thread.resolution:
        ctx.ignore("already_resolved")
        return
    covered_by_refund = thread.refunded_at is not None and ctx.now - thread.refunded_at < timedelta(days=1)
    thread = replace(mark_answered(thread), resolution=event.resolution, reason=event.reason)
    thread = _close(ctx, thread, "resolved")
    if covered_by_refund:
        if not notify_points(ctx, thread):
            ctx.ignore("covered_by_refund_notice")
        return
    day = ctx.rules.calendar.day(event.resolved_at)
    facts = NoticeFacts(day=day, remedy=event.remedy, **issue_facts(ctx.state, thread))
    notify_end(ctx, thread, NoticeKind.ISSUE_RESOLVED, facts, cause=(event.issue_id, event.resolution))


def on_reopened(ctx: ConversationDecision, thread: IssueThread, event: IssueReopened) -> None:
    if event.resolution < thread.resolution or (event.resolution == thread.resolution and not thread.closed_by):
        ctx.ignore("already_reopened")
        return
    day = ctx.rules.calendar.add_open_days(ctx.today, 1)
    thread = await_update(thread, ctx.rules.update_time(day))
    thread = replace(thread, closed_by=None, answered=True, refunded_at=None, resolution=event.resolution, apology=None)
    ctx.put_thread(thread)
    withdraw_issue(ctx, event.issue_id, frozenset({NoticeKind.ISSUE_RESOLVED}), "reopened")
    facts = NoticeFacts(day=day, next_update_by=day, **issue_facts(ctx.state, thread))
    notify_issue(ctx, thread, NoticeKind.ISSUE_REOPENED, facts, cause=(event.issue_id, event.resolution))


def on_rejected(ctx: ConversationDecision, thread: IssueThread, event: IssueRejected) -> None:
    thread = _close(ctx, thread, "rejected")
    day = ctx.rules.calendar.day(event.rejected_at)
    facts = NoticeFacts(day=day, code=event.code, **issue_facts(ctx.state, thread))
    notify_issue(ctx, thread, NoticeKind.ISSUE_REJECTED, facts, cause=(event.issue_id,))


def on_cancelled(ctx: ConversationDecision, thread: IssueThread, event: IssueCancelled) -> None:
    thread = _close(ctx, thread, "cancelled")
    day = ctx.rules.calendar.day(event.cancelled_at)
    facts = NoticeFacts(day=day, code=event.cause, **issue_facts(ctx.state, thread))
    notify_issue(ctx, thread, NoticeKind.ISSUE_CANCELLED, facts, cause=(event.issue_id, event.cancelled_at))


def _close(ctx: ConversationDecision, thread: IssueThread, cause: str) -> IssueThread:
    """Close the thread with its questions, and withdraw its unsent notices."""
    withdraw_issue(ctx, thread.issue_id, PENDING_ISSUE_NOTICES, cause)
    thread = replace(thread, pending=None, notify_at=None, closed_by=cause)
    ctx.put_thread(thread)
    close_questions(ctx, cause, issue_id=thread.issue_id)
    return thread
