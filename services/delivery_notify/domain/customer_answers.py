"""What a decision does: the event that the storefront or the returns service acts on, and what we ourselves know now.

A cancelled line is spoken of no more, and its refund has a last day. A customer who waits without a date has agreed to
that. Another day that the customer chose is a promise like any other, told on the page it was chosen on.
"""

from dataclasses import dataclass
from datetime import date, datetime

from libs.common.decisions.facts import Anomaly, Fact
from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import Change, CustomerDecided, DecidedBy, NoticeKind
from libs.common.events.values import Address, Choice
from services.delivery_notify.domain.conversation import Conversation, Question, QuestionStatus
from services.delivery_notify.domain.notices import AddressWished, NoticeFacts, Outcome, say
from services.delivery_notify.domain.order_line import Line
from services.delivery_notify.domain.promises import PAGE, SHIP, chosen, ledger_row
from services.delivery_notify.domain.supersede import ARRIVAL_NEWS, DATE_NEWS, overtake, thing
from services.delivery_notify.policy.consent_law import refund_due
from services.delivery_notify.policy.notification_rules import Rules


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer who answers `change` wants changed, and into what."""

    change: Change
    day: date | None = None
    sku: str | None = None
    address: Address | None = None


def decided(
    conversation: Conversation,
    question: Question,
    choice: Choice,
    wish: Wish | None,
    now: datetime,
    rules: Rules,
    *,
    by_default: bool,
) -> Outcome:
    customer_id = _asked_of(conversation, question)
    if customer_id is None:
        return conversation, [Anomaly("answer_without_customer", str(question.choice_id))]
    reason = question.silence if by_default else DecidedBy.CUSTOMER
    refund_by = _refund_by(conversation, question, choice, now, rules, by_default=by_default)
    event = CustomerDecided(
        order_id=conversation.order_id,
        customer_id=customer_id,
        issue_id=question.issue_id,
        choice_id=question.choice_id,
        choice=choice,
        change=wish.change if wish else None,
        requested_date=wish.day if wish else None,
        requested_sku=wish.sku if wish else None,
        line_ids=question.about,
        by_default=by_default,
        reason=reason,
        refund_due_on=refund_by,
        decided_at=now,
    )
    conversation = conversation.with_question(
        replace(
            question,
            status=QuestionStatus.ANSWERED,
            answer=choice,
            requested_date=wish.day if wish else None,
            change=wish.change if wish else None,
            by_default=by_default,
        )
    )
    lines = [line for line in conversation.lines if line.line_id in question.about]
    conversation, effects = _take_effect(conversation, question, lines, choice, wish, now, rules, by_default=by_default)
    if refund_by and lines:
        conversation, told = _tell_cancelled(conversation, question, lines, reason, refund_by, now, rules)
        effects += told
    return conversation, [event, *effects]


def _asked_of(conversation: Conversation, question: Question) -> str | None:
    asked = conversation.talk(question.issue_id) if question.issue_id else None
    return asked.customer_id if asked else conversation.customer_id


def _refund_by(
    conversation: Conversation, question: Question, choice: Choice, now: datetime, rules: Rules, *, by_default: bool
) -> date | None:
    """Of a cancelled order: the last day for the money, from the day on which the right to it begins."""
    if choice is not Choice.CANCEL or question.issue_id:
        return None
    begins = question.vests_on if by_default and question.vests_on else rules.calendar.day(now)
    return refund_due(conversation.market, begins, rules.calendar)


def _take_effect(
    conversation: Conversation,
    question: Question,
    lines: list[Line],
    choice: Choice,
    wish: Wish | None,
    now: datetime,
    rules: Rules,
    *,
    by_default: bool,
) -> Outcome:
    facts: list[Fact] = []
    for line in lines:
        after = _after(replace(line, consent_lapses_at=None), question, choice, wish, now, rules, by_default=by_default)
        conversation = conversation.with_line(after)
        if after.shipping.version > line.shipping.version:
            facts.append(ledger_row(SHIP, conversation.order_id, after, "customer.decided", now, PAGE))
    if wish and wish.address:
        facts.append(AddressWished(conversation.order_id, question.choice_id, wish.address))
    return conversation, facts


def _after(
    line: Line, question: Question, choice: Choice, wish: Wish | None, now: datetime, rules: Rules, *, by_default: bool
) -> Line:
    if choice is Choice.CANCEL or (wish and wish.change is Change.ITEM):
        return replace(line, cancel_requested=True)
    if choice is Choice.WAIT and not by_default and question.kind is NoticeKind.ORDER_OVERDUE:
        return replace(line, accepted_open_wait=True)
    ship = line.shipping
    if wish and wish.day and ship.day and not ship.updates_sent and line.open and wish.day != ship.day:
        return chosen(line, wish.day, now, rules)
    return line


def _tell_cancelled(
    conversation: Conversation,
    question: Question,
    lines: list[Line],
    reason: DecidedBy,
    refund_by: date,
    now: datetime,
    rules: Rules,
) -> Outcome:
    about = tuple(line.line_id for line in lines)
    conversation, facts = overtake(conversation, DATE_NEWS | ARRIVAL_NEWS, frozenset(about), "cancelled")
    paid = conversation.prepaid
    whole = all(line.cancel_requested or line.cancelled for line in conversation.lines)
    words = NoticeFacts(
        tuple(thing(line) for line in lines),
        day=rules.calendar.day(now),
        decided_by=reason,
        refund_by=refund_by,
        received_on=paid.received_on if paid else None,
        amount=paid.amount if paid and whole else None,
        currency=paid.currency if paid and whole else None,
        purchase_count=conversation.purchase_count,
    )
    cause = (question.choice_id,)
    conversation, told = say(conversation, NoticeKind.ORDER_CANCELLED, words, now, cause=cause, about=about)
    return conversation, [*facts, *told]
