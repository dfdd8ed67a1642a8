"""Requests of customers to cancel or change an order: opened with the decision, due until the shop has answered.

The storefront is asked by `customer.decided`, staff by a notice. What the customer requested is announced as done only
once the shop says so. An unanswered request has a deadline at any time: staff are reminded, and the customer is
updated, each update with the day of the next.
"""

from collections.abc import Iterable
from datetime import date, datetime
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.change_requests import CustomerDecisionOverdue, CustomerDecisionSettled, SettledAs
from libs.common.events.notices import NoticeKind
from services.delivery_notify.domain.change_request import ChangeRequest, RequestStatus
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import NO_PROMISE_NEWS, NoticeFacts, PromiseNews
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.supersede import notice_line
from services.delivery_notify.policy.notification_rules import NotificationRules

ANSWER_OPEN_DAYS = 1
"""Open days in which the shop answers, until the hour of updates on the last of them."""


def first_deadline(now: datetime, rules: NotificationRules) -> datetime:
    day = rules.calendar.add_open_days(rules.calendar.day(now), ANSWER_OPEN_DAYS)
    return rules.update_time(day)


def open_request(decision: ConversationDecision, request: ChangeRequest) -> None:
    """Open a request. Older open ones are superseded for its lines: the newest counts."""
    for older in decision.state.requests:
        rest = tuple(line_id for line_id in older.line_ids if line_id not in request.line_ids)
        if not older.open or rest == older.line_ids:
            continue
        if rest:
            decision.state = decision.state.with_request(replace(older, line_ids=rest))
        else:
            settle(decision, older, RequestStatus.SUPERSEDED)
    decision.state = decision.state.with_request(request)


def settle(
    decision: ConversationDecision,
    request: ChangeRequest,
    status: RequestStatus,
    cause: str | None = None,
    answered_at: datetime | None = None,
) -> ChangeRequest:
    """Record the outcome of a request and publish it; the notice is the caller's."""
    settled = replace(request, status=status, answer_by=None, answered_at=answered_at or request.answered_at)
    decision.state = decision.state.with_request(settled)
    if decision.state.customer_id:
        decision.emit(
            CustomerDecisionSettled(
                order_id=decision.state.order_id,
                customer_id=decision.state.customer_id,
                choice_id=request.request_id,
                choice=request.choice,
                change=request.change,
                outcome=SettledAs(status),
                cause=cause,
                settled_at=decision.now,
            )
        )
    return settled


def lines_of(decision: ConversationDecision, request: ChangeRequest) -> list[Line]:
    return [line for line in decision.state.lines if line.line_id in request.line_ids]


def notify_request(
    decision: ConversationDecision,
    request: ChangeRequest,
    kind: NoticeKind,
    lines: Iterable[Line],
    *,
    cause: tuple[object, ...],
    news: PromiseNews = NO_PROMISE_NEWS,
    promised_date: date | None = None,
    **facts: object,
) -> None:
    """Create a notice about a request: `plan` is what was requested, `previous_day` when."""
    lines = list(lines)
    about: dict[str, object] = {
        "lines": tuple(notice_line(line) for line in lines),
        "plan": request.subject,
        "previous_day": decision.rules.calendar.day(request.requested_at),
        "purchase_count": decision.state.purchase_count,
    }
    create_notice(
        decision,
        kind,
        NoticeFacts(**{**about, **facts}),  # type: ignore[arg-type]
        cause=(request.request_id, *cause),
        subjects=tuple(line.line_id for line in lines),
        news=news,
        promised_date=promised_date,
    )


def on_request_due(decision: ConversationDecision, request_id: UUID) -> None:
    """Remind staff of an unanswered request, and update the customer; a day that is promised needs no update."""
    request = decision.state.request(request_id)
    if request is None or request.answer_by is None or decision.now < request.answer_by:
        decision.ignore("request_not_due")
        return
    day = decision.rules.next_update_by(decision.now, request.reminders)
    reminded = replace(request, reminders=request.reminders + 1, answer_by=decision.rules.update_time(day))
    decision.state = decision.state.with_request(reminded)
    if decision.state.customer_id:
        decision.emit(
            CustomerDecisionOverdue(
                order_id=decision.state.order_id,
                customer_id=decision.state.customer_id,
                choice_id=request.request_id,
                choice=request.choice,
                change=request.change,
                reminder=reminded.reminders,
                answer_by=decision.rules.update_time(day),
                overdue_at=decision.now,
            )
        )
    if request.is_promised:
        return
    notify_request(
        decision,
        reminded,
        NoticeKind.CHANGE_PENDING,
        lines_of(decision, reminded),
        cause=("pending", reminded.reminders),
        day=day,
        next_update_by=day,
        update_number=reminded.reminders,
    )
