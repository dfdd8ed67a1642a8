"""Progress of an issue: accepted, in review, details or a choice requested, and the updates announced meanwhile.

Not every event gives a notice: an acceptance waits a moment for the ship date of the replacement (`notify_at`), and a
delivery needs none. An announced day of the next update is kept.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import (
    IssueAccepted,
    IssueChoiceRequested,
    IssueCollectionWindowDeclined,
    IssueDetailsRequested,
    IssueEvent,
    IssueRefunded,
    IssueReopened,
    IssueReviewRequested,
)
from libs.common.events.notices import NoticeKind
from libs.common.events.values import IssueLine
from services.delivery_notify.domain import first_dates
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.customer_questions import QuestionTerms, ask, close_questions
from services.delivery_notify.domain.event_buffer import hold_for_merge
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
from services.delivery_notify.domain.points import notify_points

PLAN_DELAY = timedelta(minutes=15)
"""Delay of the notice of acceptance, to be one message with the remedy."""

NEWS_GRACE = timedelta(minutes=15)
"""Delay of an update behind the deadline of its review.

A review that goes on gets its new deadline at that moment, by an event that is on its way while the timer fires.
"""

ThreadHandler: TypeAlias = Callable[[ConversationDecision, IssueThread, Any], None]


def for_thread(handler: ThreadHandler) -> Callable[[ConversationDecision, IssueEvent], None]:
    """Return a handler of issue events that loads the issue's thread. Events of a closed issue are
    ignored, those of another customer held."""

    def handle(decision: ConversationDecision, event: IssueEvent) -> None:
        conversation = decision.state
        if hold_for_merge(decision, event):
            decision.anomaly("issue_of_another_customer", f"{conversation.order_id} {event.issue_id}")
            return
        thread = conversation.thread(event.issue_id) or IssueThread(event.issue_id, event.customer_id)
        if thread.closed_by == "rejected" and isinstance(event, IssueAccepted):
            thread = replace(thread, closed_by=None)  # missing details came later, or staff overruled the rejection
        if thread.closed_by and not isinstance(event, IssueReopened | IssueRefunded | IssueCollectionWindowDeclined):
            decision.ignore("issue_closed")
            return
        handler(decision, thread, event)

    return handle


def on_accepted(decision: ConversationDecision, thread: IssueThread, event: IssueAccepted) -> None:
    thread = replace(
        thread,
        reason=event.reason,
        items=_items(event.lines),
        next_update_by=event.next_update_by,
        reported_by=event.reported_by,
    )
    if not thread.answered and thread.pending in (None, PendingNotice.POINTS):
        thread = replace(thread, pending=PendingNotice.PLAN, notify_at=decision.now + PLAN_DELAY)
    decision.put_thread(thread)


def _items(lines: tuple[IssueLine, ...]) -> tuple[ReportedItem, ...]:
    return tuple(item for line in lines for item in _items_of(line))


def _items_of(line: IssueLine) -> Iterator[ReportedItem]:
    """Yield the parts that a line names, or else its units."""
    names = {part.sku: part.name for part in line.components}
    for part in line.parts if line.is_of_parts else ():
        yield ReportedItem(line.line_id, names.get(part.sku) or part.sku, part.quantity, is_part=True)
    if not line.is_of_parts:
        yield ReportedItem(line.line_id, line.part or line.name or line.sku, line.quantity)


def on_update_due(decision: ConversationDecision, issue_id: UUID) -> None:
    """Send the pending notice of a thread without news since, and announce the next update."""
    thread = decision.state.thread(issue_id)
    if thread is None or thread.pending is None or thread.notify_at is None or decision.now < thread.notify_at:
        decision.ignore("update_not_due")
        return
    match thread.pending:
        case PendingNotice.PLAN:
            _notify_accepted(decision, thread)
        case PendingNotice.SHIP_DATE:
            first_dates.on_date_awaited(decision, thread)
        case PendingNotice.RECEIPT:
            decision.put_thread(replace(thread, pending=None, notify_at=None))
            day = decision.rules.calendar.day(thread.received_at or decision.now)
            facts, cause = NoticeFacts(day=day, **issue_facts(decision.state, thread)), (issue_id, thread.received_at)
            notify_issue(decision, thread, NoticeKind.ITEM_RECEIVED, facts, cause=cause)
        case PendingNotice.NEXT_UPDATE:
            _notify_without_news(decision, thread)
        case PendingNotice.POINTS:
            closed = replace(thread, pending=None, notify_at=None, closed_by="resolved")
            decision.put_thread(closed)
            notify_points(decision, closed)


def _notify_accepted(decision: ConversationDecision, thread: IssueThread) -> None:
    day = thread.next_update_by
    if day is None or day <= decision.today:
        day = decision.rules.next_update_by(decision.now, 0)
    facts = NoticeFacts(plan="wait", day=day, next_update_by=day, **issue_facts(decision.state, thread))
    decision.put_thread(await_update(replace(thread, answered=True), decision.rules.update_time(day)))
    notify_issue(decision, thread, NoticeKind.ISSUE_ACCEPTED, facts, cause=(thread.issue_id,))


def _notify_without_news(decision: ConversationDecision, thread: IssueThread) -> None:
    """Send an announced update for which there is no news; that is an anomaly of the review."""
    decision.anomaly("update_due_without_news", str(thread.issue_id))
    day = decision.rules.next_update_by(decision.now, thread.updates_sent)
    if thread.replacement and thread.replacement.is_undated:
        first_dates.on_date_overdue(decision, thread, decision.rules.update_time(day), "update")
        return
    number = thread.updates_sent + 1
    cause = (thread.issue_id, thread.notify_at, number)  # the review itself is announced under its deadline alone
    decision.put_thread(await_update(replace(thread, updates_sent=number), decision.rules.update_time(day)))
    facts = NoticeFacts(day=day, next_update_by=day, update_number=number, **issue_facts(decision.state, thread))
    notify_issue(decision, thread, NoticeKind.REVIEW_STARTED, facts, cause=cause)


def on_review_requested(decision: ConversationDecision, thread: IssueThread, event: IssueReviewRequested) -> None:
    """Announce when the review ends, unless a replacement date is announced. In a long review updates become rarer: an
    announced one is kept, and none comes before it. A new deadline at the announced time is the news of that update."""
    if thread.replacement and not thread.replacement.shipped:
        if thread.replacement.is_undated and event.cause == first_dates.WAREHOUSE_SILENT:
            first_dates.on_date_overdue(decision, thread, event.due_at, "issue.review_requested")
        else:
            decision.ignore("replacement_date_known")
        return
    if thread.updates_sent and thread.notify_at and decision.now < thread.notify_at - NEWS_GRACE:
        decision.ignore("update_announced")
        return
    rules, day = decision.rules, decision.rules.calendar.day(event.due_at)
    due_at = max(event.due_at + NEWS_GRACE, decision.now + timedelta(hours=1))
    if thread.updates_sent:
        day = max(day, rules.next_update_by(decision.now, thread.updates_sent))
        due_at = max(event.due_at + NEWS_GRACE, rules.update_time(day))
    number = thread.updates_sent + 1
    thread = await_update(replace(thread, answered=True, updates_sent=number), due_at)
    decision.put_thread(thread)
    facts = NoticeFacts(day=day, next_update_by=day, update_number=number, **issue_facts(decision.state, thread))
    notify_issue(decision, thread, NoticeKind.REVIEW_STARTED, facts, cause=(event.issue_id, event.due_at))


def on_details_requested(decision: ConversationDecision, thread: IssueThread, event: IssueDetailsRequested) -> None:
    if event.lines:  # a report with missing details was not accepted yet, so its items are not known
        thread = replace(thread, reason=event.reason, items=_items(event.lines))
    thread = mark_answered(replace(thread, reported_by=event.reported_by))
    decision.put_thread(thread)
    day = decision.rules.calendar.day(event.due_at)
    facts = NoticeFacts(day=day, missing=event.missing, **issue_facts(decision.state, thread))
    cause = (event.issue_id, event.due_at, *([event.reminder] if event.reminder else []))
    notify_issue(decision, thread, NoticeKind.DETAILS_REQUESTED, facts, cause=cause)


def on_choice_requested(decision: ConversationDecision, thread: IssueThread, event: IssueChoiceRequested) -> None:
    if decision.state.question(event.choice_id):
        decision.ignore("duplicate_question")
        return
    due_on = decision.rules.calendar.day(event.due_at)
    facts = NoticeFacts(
        day=event.restock_date or due_on,
        next_update_by=due_on,
        plan="restock" if event.restock_date else "unknown",
        code=event.cause,
        **issue_facts(decision.state, thread),
    )
    withdraw_issue(decision, event.issue_id, PENDING_ISSUE_NOTICES, "superseded")
    close_questions(decision, "superseded", issue_id=event.issue_id)
    decision.put_thread(mark_answered(thread))
    ask(
        decision,
        NoticeKind.CHOICE_REQUESTED,
        facts,
        event.due_at,
        cause=(event.choice_id,),
        subjects=issue_subject(event.issue_id),
        terms=QuestionTerms(event.options, event.default, event.choice_id, variants=event.variants),
        issue_id=event.issue_id,
        customer_id=event.customer_id,
        promised_date=event.restock_date,
    )
