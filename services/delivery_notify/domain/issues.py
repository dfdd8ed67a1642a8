"""Progress of an issue: accepted, in review, details or a choice requested, and the updates announced meanwhile.

Not every event gives a notice: an acceptance waits a moment for the ship date of the replacement (`notify_at`), and a
delivery needs none. An announced day of the next update is kept.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import (
    IssueAccepted,
    IssueChoiceRequested,
    IssueDetailsRequested,
    IssueEvent,
    IssueRefunded,
    IssueReopened,
    IssueReviewRequested,
)
from libs.common.events.notices import NoticeKind
from libs.common.events.values import IssueLine
from services.delivery_notify.domain.customer_questions import QuestionTerms, ask, close_questions
from services.delivery_notify.domain.decision_context import ConversationDecision
from services.delivery_notify.domain.issue_notices import (
    PENDING_ISSUE_NOTICES,
    issue_facts,
    issue_subject,
    notify_issue,
    withdraw_issue,
)
from services.delivery_notify.domain.issue_thread import (
    IssueThread,
    PendingNotice,
    ReportedItem,
    await_update,
    mark_answered,
)
from services.delivery_notify.domain.notices import NoticeFacts

PLAN_DELAY = timedelta(minutes=15)
"""Delay of the notice of acceptance, to be one message with the remedy."""

ThreadHandler: TypeAlias = Callable[[ConversationDecision, IssueThread, Any], None]


def for_thread(handler: ThreadHandler) -> Callable[[ConversationDecision, IssueEvent], None]:
    """Return a handler of issue events that loads the issue's thread. Events of a closed issue, or of another customer,
    are ignored."""

    def handle(ctx: ConversationDecision, event: IssueEvent) -> None:
        conversation = ctx.state
        if conversation.customer_id is not None and conversation.customer_id != event.customer_id:
            ctx.anomaly("issue_of_another_customer", f"{conversation.order_id} {event.issue_id}")
            return
        thread = conversation.thread(event.issue_id) or IssueThread(event.issue_id, event.customer_id)
        if thread.closed_by == "rejected" and isinstance(event, IssueAccepted):
            thread = replace(thread, closed_by=None)  # missing details came later, or staff overruled the rejection
        if thread.closed_by and not isinstance(event, IssueReopened | IssueRefunded):
            ctx.ignore("issue_closed")
            return
        handler(ctx, thread, event)

    return handle


def on_accepted(ctx: ConversationDecision, thread: IssueThread, event: IssueAccepted) -> None:
    thread = replace(thread, reason=event.reason, items=_items(event.lines))
    if not thread.answered and thread.pending is None:
        thread = replace(thread, pending=PendingNotice.PLAN, notify_at=ctx.now + PLAN_DELAY)
    ctx.put_thread(thread)


def _items(lines: tuple[IssueLine, ...]) -> tuple[ReportedItem, ...]:
    return tuple(ReportedItem(line.line_id, line.part or line.name, line.quantity) for line in lines)


def on_update_due(ctx: ConversationDecision, issue_id: UUID) -> None:
    """Send the pending notice of a thread without news since, and announce the next update."""
    thread = ctx.state.thread(issue_id)
    if thread is None or thread.pending is None or thread.notify_at is None or ctx.now < thread.notify_at:
        ctx.ignore("update_not_due")
        return
    match thread.pending:
        case PendingNotice.PLAN:
            _notify_accepted(ctx, thread)
        case PendingNotice.RECEIPT:
            ctx.put_thread(replace(thread, pending=None, notify_at=None))
            day = ctx.rules.calendar.day(thread.received_at or ctx.now)
            facts, cause = NoticeFacts(day=day, **issue_facts(ctx.state, thread)), (issue_id, thread.received_at)
            notify_issue(ctx, thread, NoticeKind.ITEM_RECEIVED, facts, cause=cause)
        case PendingNotice.NEXT_UPDATE:
            _notify_without_news(ctx, thread)


def _notify_accepted(ctx: ConversationDecision, thread: IssueThread) -> None:
    day = ctx.rules.calendar.add_open_days(ctx.today, 1)
    facts = NoticeFacts(plan="wait", day=day, next_update_by=day, **issue_facts(ctx.state, thread))
    ctx.put_thread(await_update(replace(thread, answered=True), ctx.rules.update_time(day)))
    notify_issue(ctx, thread, NoticeKind.ISSUE_ACCEPTED, facts, cause=(thread.issue_id,))


def _notify_without_news(ctx: ConversationDecision, thread: IssueThread) -> None:
    """Send an announced update for which there is no news; that is an anomaly of the review."""
    ctx.anomaly("update_due_without_news", str(thread.issue_id))
    day = ctx.rules.next_update_by(ctx.now, thread.updates_sent)
    number, cause = thread.updates_sent + 1, (thread.issue_id, thread.notify_at)
    ctx.put_thread(await_update(replace(thread, updates_sent=number), ctx.rules.update_time(day)))
    facts = NoticeFacts(day=day, next_update_by=day, update_number=number, **issue_facts(ctx.state, thread))
    notify_issue(ctx, thread, NoticeKind.REVIEW_STARTED, facts, cause=cause)


def on_review_requested(ctx: ConversationDecision, thread: IssueThread, event: IssueReviewRequested) -> None:
    """Announce when the review ends, unless a replacement date is announced. In a long review updates become rarer: an
    announced one is kept, and none comes before it."""
    if thread.replacement and not thread.replacement.shipped:
        ctx.ignore("replacement_date_known")
        return
    if thread.updates_sent and thread.notify_at and ctx.now < thread.notify_at:
        ctx.ignore("update_announced")
        return
    rules, day = ctx.rules, ctx.rules.calendar.day(event.due_at)
    due_at = max(event.due_at, ctx.now + timedelta(hours=1))
    if thread.updates_sent:
        day = max(day, rules.next_update_by(ctx.now, thread.updates_sent))
        due_at = max(event.due_at, rules.update_time(day))
    number = thread.updates_sent + 1
    thread = await_update(replace(thread, answered=True, updates_sent=number), due_at)
    ctx.put_thread(thread)
    facts = NoticeFacts(day=day, next_update_by=day, update_number=number, **issue_facts(ctx.state, thread))
    notify_issue(ctx, thread, NoticeKind.REVIEW_STARTED, facts, cause=(event.issue_id, event.due_at))


def on_details_requested(ctx: ConversationDecision, thread: IssueThread, event: IssueDetailsRequested) -> None:
    if event.lines:  # a report with missing details was not accepted yet, so its items are not known
        thread = replace(thread, reason=event.reason, items=_items(event.lines))
    thread = mark_answered(thread)
    ctx.put_thread(thread)
    day = ctx.rules.calendar.day(event.due_at)
    facts = NoticeFacts(day=day, missing=event.missing, **issue_facts(ctx.state, thread))
    cause = (event.issue_id, event.due_at, *([event.reminder] if event.reminder else []))
    notify_issue(ctx, thread, NoticeKind.DETAILS_REQUESTED, facts, cause=cause)


def on_choice_requested(ctx: ConversationDecision, thread: IssueThread, event: IssueChoiceRequested) -> None:
    if ctx.state.question(event.choice_id):
        ctx.ignore("duplicate_question")
        return
    due_on = ctx.rules.calendar.day(event.due_at)
    facts = NoticeFacts(
        day=event.restock_date or due_on,
        next_update_by=due_on,
        plan="restock" if event.restock_date else "unknown",
        code=event.cause,
        **issue_facts(ctx.state, thread),
    )
    withdraw_issue(ctx, event.issue_id, PENDING_ISSUE_NOTICES, "superseded")
    close_questions(ctx, "superseded", issue_id=event.issue_id)
    ctx.put_thread(mark_answered(thread))
    ask(
        ctx,
        NoticeKind.CHOICE_REQUESTED,
        facts,
        event.due_at,
        cause=(event.choice_id,),
        subjects=issue_subject(event.issue_id),
        terms=QuestionTerms(event.options, event.default, event.choice_id),
        issue_id=event.issue_id,
        customer_id=event.customer_id,
        promised_date=event.restock_date,
    )
