"""Questions to the customer: asked once by link, answered once, closed by newer news, answered by default at the end.

This service is the only one that writes decisions, so an answer and the default can never both be given.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from libs.common.decisions.facts import Anomaly, Ignored
from libs.common.decisions.ids import derived_id
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.envelope import Payload
from libs.common.events.notices import Change, DecidedBy, NoticeKind
from libs.common.events.values import Address, Choice
from services.delivery_notify.domain.conversation import ORDER_OPTIONS, Conversation, Question, QuestionStatus
from services.delivery_notify.domain.customer_answers import Wish, decided
from services.delivery_notify.domain.notices import NO_NEWS, News, NoticeFacts, NoticeMade, Outcome, say
from services.delivery_notify.policy.notification_rules import Rules

LATEST_WISH = timedelta(days=365)
"""How far ahead a customer may ask for another date."""


class CustomerAnswered(Payload):
    """A customer pressed the button on the choice page. A command: it never leaves the service.

    `change` says what `choice: change` is about (the date unless told otherwise); the rest is what it is changed to.
    """

    TYPE: ClassVar = "customer.answered.v1"

    order_id: str
    choice_id: UUID
    choice: Choice
    change: Change = Change.DATE
    requested_date: date | None = None
    requested_sku: str | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked. About an issue the returns service put and named it; about an order the law does (`consent`)."""

    options: tuple[Choice, ...] = ORDER_OPTIONS
    default: Choice = Choice.WAIT
    choice_id: UUID | None = None
    silence: DecidedBy = DecidedBy.SILENCE
    vests_on: date | None = None


def ask(
    conversation: Conversation,
    kind: NoticeKind,
    facts: NoticeFacts,
    now: datetime,
    due_at: datetime,
    *,
    cause: tuple[object, ...],
    about: tuple[str, ...],
    asked: Asked | None = None,
    issue_id: UUID | None = None,
    customer_id: str | None = None,
    promised_date: date | None = None,
    wait: timedelta = timedelta(0),
    news: News = NO_NEWS,
) -> Outcome:
    """Make a notice with a link to a choice. About an order the choice is to wait (the default), change or cancel."""
    asked = asked or Asked()
    choice_id = asked.choice_id or derived_id("choice", kind, conversation.order_id, *cause)
    facts = replace(facts, choice_id=choice_id, options=asked.options, default=asked.default, answer_by=due_at)
    after, told = say(
        conversation,
        kind,
        facts,
        now,
        cause=cause,
        about=about,
        issue_id=issue_id,
        customer_id=customer_id,
        promised_date=promised_date,
        wait=wait,
        news=news,
    )
    made = next((fact for fact in told if isinstance(fact, NoticeMade)), None)
    if made is None:
        return conversation, told
    question = Question(
        choice_id,
        made.notice_id,
        kind,
        asked.options,
        asked.default,
        due_at,
        issue_id,
        () if issue_id else about,
        silence=asked.silence,
        vests_on=asked.vests_on,
    )
    return after.with_question(question), told


def close_questions(
    conversation: Conversation,
    cause: str,
    *,
    lines: frozenset[str] = frozenset(),
    issue_id: UUID | None = None,
    kinds: frozenset[NoticeKind] | None = None,
) -> Conversation:
    """Close what is open about nothing but these lines (asked by these kinds of notice), or about this issue: there is
    no more to choose. A question about other lines as well goes on about those.
    """
    for question in conversation.questions:
        left = tuple(each for each in question.about if each not in lines)
        theirs = question.issue_id == issue_id if issue_id else bool(question.about) and left != question.about
        if kinds is not None and question.kind not in kinds:
            continue
        if question.open and theirs and left:
            conversation = conversation.with_question(replace(question, about=left))
        elif question.open and theirs:
            conversation = conversation.with_question(replace(question, status=QuestionStatus.CLOSED, closed_by=cause))
    return conversation


def answered(conversation: Conversation, answer: CustomerAnswered, now: datetime, rules: Rules) -> Outcome:
    """Take an answer, if the question is still open and it is one of the options."""
    question = conversation.question(answer.choice_id)
    if question is None:
        return conversation, [Anomaly("answer_to_unknown_question", str(answer.choice_id))]
    if refusal := refuse(question, answer, now, rules.calendar) or _too_early(conversation, question, answer):
        return conversation, [Ignored(refusal)]
    wish = None
    if answer.choice is Choice.CHANGE:
        wish = Wish(answer.change, answer.requested_date, answer.requested_sku, answer.address)
    return decided(conversation, question, answer.choice, wish, now, rules, by_default=False)


def refuse(question: Question, answer: CustomerAnswered, now: datetime, calendar: ShopCalendar) -> str | None:
    """Why this answer cannot be taken; None where it can."""
    if not question.open:
        return "answered_before" if question.status is QuestionStatus.ANSWERED else "question_closed"
    if now >= question.due_at:
        return "answered_late"
    if answer.choice not in question.options:
        return "not_an_option"
    return _incomplete(answer, calendar.day(now)) if answer.choice is Choice.CHANGE else None


def _incomplete(answer: CustomerAnswered, today: date) -> str | None:
    match answer.change:
        case Change.ITEM:
            return None if answer.requested_sku else "item_missing"
        case Change.ADDRESS:
            return None if answer.address else "address_missing"
        case Change.DATE:
            wish = answer.requested_date
            return None if wish and today < wish <= today + LATEST_WISH else "date_not_possible"


def _too_early(conversation: Conversation, question: Question, answer: CustomerAnswered) -> str | None:
    """Another day than the one we gave must be a later one: sooner than that we cannot, or we had said so."""
    if answer.choice is not Choice.CHANGE or answer.change is not Change.DATE or not answer.requested_date:
        return None
    lines = [line for line in conversation.lines if line.line_id in question.about and not line.shipping.updates_sent]
    days = [line.shipping.day for line in lines if line.shipping.day]
    return "date_not_possible" if days and answer.requested_date < max(days) else None


def defaulted(conversation: Conversation, choice_id: UUID, now: datetime, rules: Rules) -> Outcome:
    """The time to answer is over: decide what was announced as the default."""
    question = conversation.question(choice_id)
    if question is None or not question.open or now < question.due_at:
        return conversation, [Ignored("question_not_due")]
    return decided(conversation, question, question.default, None, now, rules, by_default=True)
