"""Decisions of customers, by answer or by default: the event for storefront and returns, and the effect on the lines.

To cancel or change an order is a request, which the storefront answers (`change_requests`). A line that the customer
gave up gets no more notices about its dates. A customer who waits without a date has accepted an open wait. A date that
the customer chose is promised, and announced on the choice page itself.
"""

from dataclasses import dataclass
from datetime import date

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import ChangeSubject, CustomerDecided, DecidedBy, NoticeKind
from libs.common.events.values import Address, Choice
from services.delivery_notify.domain.change_request import ChangeRequest
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import Conversation, Question, QuestionStatus
from services.delivery_notify.domain.notices import AddressRequested
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.prepaid_acceptance import renew_acceptance
from services.delivery_notify.domain.promises import PAGE, SHIP, ledger_row, recorded_at, with_chosen_date
from services.delivery_notify.domain.request_tracking import first_deadline, open_request
from services.delivery_notify.domain.supersede import (
    DELIVERY_DATE_NOTICES,
    SHIP_DATE_NOTICES,
    supersede,
)
from services.delivery_notify.policy.consent_law import refund_due


@dataclass(frozen=True, slots=True)
class RequestedChange:
    """The change requested with the answer `change`: what it applies to, and the new value."""

    change: ChangeSubject
    day: date | None = None
    sku: str | None = None
    address: Address | None = None


def record_decision(
    decision: ConversationDecision,
    question: Question,
    choice: Choice,
    change: RequestedChange | None,
    *,
    by_default: bool,
) -> None:
    """Publish the decision and apply it to the lines of the question."""
    customer_id = _customer_of(decision.state, question)
    if customer_id is None:
        decision.anomaly("answer_without_customer", str(question.choice_id))
        return
    reason = question.default_reason if by_default else DecidedBy.CUSTOMER
    is_request = question.issue_id is None and choice in (Choice.CANCEL, Choice.CHANGE)
    answer_by = first_deadline(decision.now, decision.rules) if is_request else None
    refund_by = _refund_by(decision, question, choice, by_default=by_default)
    decision.emit(
        CustomerDecided(
            order_id=decision.state.order_id,
            customer_id=customer_id,
            issue_id=question.issue_id,
            choice_id=question.choice_id,
            choice=choice,
            change=change.change if change else None,
            requested_date=change.day if change else None,
            requested_sku=change.sku if change else None,
            line_ids=question.line_ids,
            by_default=by_default,
            reason=reason,
            refund_due_on=refund_by,
            answer_by=answer_by,
            decided_at=decision.now,
        )
    )
    answered = replace(
        question,
        status=QuestionStatus.ANSWERED,
        answer=choice,
        requested_date=change.day if change else None,
        change=change.change if change else None,
        by_default=by_default,
    )
    decision.state = decision.state.with_question(answered)
    lines = [line for line in decision.state.lines if line.line_id in question.line_ids]
    is_promised = [_apply(decision, line, question, choice, change, by_default=by_default) for line in lines]
    if any(is_promised):
        renew_acceptance(decision)
    if change and change.address:
        decision.emit(AddressRequested(decision.state.order_id, question.choice_id, change.address))
    if answer_by and lines:
        request = ChangeRequest(
            question.choice_id,
            choice,
            change.change if change else None,
            tuple(line.line_id for line in lines),
            decision.now,
            reason,
            answer_by,
            change.day if change else None,
            refund_by,
            is_promised=any(is_promised),
        )
        open_request(decision, request)
        if request.gives_up_lines:
            gone = frozenset(request.line_ids)
            supersede(decision, SHIP_DATE_NOTICES | DELIVERY_DATE_NOTICES, gone, "cancel_requested")


def _customer_of(conversation: Conversation, question: Question) -> str | None:
    thread = conversation.thread(question.issue_id) if question.issue_id else None
    return thread.customer_id if thread else conversation.customer_id


def _refund_by(decision: ConversationDecision, question: Question, choice: Choice, *, by_default: bool) -> date | None:
    """The last day for the refund of a cancelled order, counted from the day on which the right to it begins."""
    if choice is not Choice.CANCEL or question.issue_id:
        return None
    begins = question.vests_on if by_default and question.vests_on else decision.today
    return refund_due(decision.state.market, begins, decision.rules.calendar)


def _apply(
    decision: ConversationDecision,
    line: Line,
    question: Question,
    choice: Choice,
    change: RequestedChange | None,
    *,
    by_default: bool,
) -> bool:
    """Apply a decision to a line; return whether it promises another day."""
    line, ship = replace(line, consent_lapses_at=None), line.shipping
    if choice is Choice.CANCEL or (change and change.change is ChangeSubject.ITEM):
        line = replace(line, cancel_requested=True)
    elif choice is Choice.WAIT and not by_default and question.kind is NoticeKind.ORDER_OVERDUE:
        line = replace(line, accepted_open_wait=True)
    elif change and change.day and ship.day and not ship.updates_sent and line.open and change.day != ship.day:
        at = recorded_at(ship, decision.now)
        line = with_chosen_date(line, change.day, at, decision.rules)
        decision.emit(ledger_row(SHIP, decision.state.order_id, line, "customer.decided", at, PAGE))
    decision.put_line(line)
    return line.shipping is not ship
