"""Questions to the customer: asked once by link, answered once, closed by newer news, answered by default at the end.

This service is the only one that writes decisions, so an answer and the default can never both be given.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from libs.common.decision import Anomaly, Fact, Ignored
from libs.common.events.envelope import Payload
from libs.common.events.notices import Change, CustomerDecided, NoticeKind
from libs.common.events.values import Address, Choice
from libs.common.ids import derived_id
from libs.common.shop_calendar import ShopCalendar
from services.delivery_notify.conversation import Conversation, Question, QuestionStatus
from services.delivery_notify.notices import NoticeFacts, NoticeMade, Outcome, say

ORDER_OPTIONS = (Choice.WAIT, Choice.CHANGE, Choice.CANCEL)

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
    """What is asked about an issue, as the returns service put it."""

    choice_id: UUID
    options: tuple[Choice, ...]
    default: Choice


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
) -> Outcome:
    """Make a notice with a link to a choice. About an order the choice is to wait (the default), change or cancel."""
    asked = asked or Asked(derived_id("choice", kind, conversation.order_id, *cause), ORDER_OPTIONS, Choice.WAIT)
    facts = replace(facts, choice_id=asked.choice_id, options=asked.options, default=asked.default, answer_by=due_at)
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
    )
    made = next((fact for fact in told if isinstance(fact, NoticeMade)), None)
    if made is None:
        return conversation, told
    question = Question(
        asked.choice_id,
        made.notice_id,
        kind,
        asked.options,
        asked.default,
        due_at,
        issue_id,
        () if issue_id else about,
    )
    return after.with_question(question), told


def close_questions(
    conversation: Conversation, cause: str, *, lines: frozenset[str] = frozenset(), issue_id: UUID | None = None
) -> Outcome:
    """Close what is open about nothing but these lines, or about this issue: there is no more to choose.

    A question about other lines as well goes on about those.
    """
    for question in conversation.questions:
        left = tuple(each for each in question.about if each not in lines)
        theirs = question.issue_id == issue_id if issue_id else bool(question.about) and left != question.about
        if question.open and theirs and left:
            conversation = conversation.with_question(replace(question, about=left))
        elif question.open and theirs:
            conversation = conversation.with_question(replace(question, status=QuestionStatus.CLOSED, closed_by=cause))
    return conversation, []


def answered(conversation: Conversation, answer: CustomerAnswered, now: datetime, calendar: ShopCalendar) -> Outcome:
    """Take an answer, if the question is still open and it is one of the options."""
    question = conversation.question(answer.choice_id)
    if question is None:
        return conversation, [Anomaly("answer_to_unknown_question", str(answer.choice_id))]
    if refusal := refuse(question, answer.choice, answer.requested_date, now, calendar):
        return conversation, [Ignored(refusal)]
    wish = answer.requested_date if answer.choice is Choice.CHANGE else None
    return _decide(conversation, question, answer.choice, wish, now, by_default=False)


def refuse(question: Question, choice: Choice, wish: date | None, now: datetime, calendar: ShopCalendar) -> str | None:
    """Why this answer cannot be taken; None where it can."""
    if not question.open:
        return "answered_before" if question.status is QuestionStatus.ANSWERED else "question_closed"
    if now >= question.due_at:
        return "answered_late"
    if choice not in question.options:
        return "not_an_option"
    today = calendar.day(now)
    if choice is Choice.CHANGE and (wish is None or not today < wish <= today + LATEST_WISH):
        return "date_not_possible"
    return None


def defaulted(conversation: Conversation, choice_id: UUID, now: datetime) -> Outcome:
    """The time to answer is over: decide what was announced as the default."""
    question = conversation.question(choice_id)
    if question is None or not question.open or now < question.due_at:
        return conversation, [Ignored("question_not_due")]
    return _decide(conversation, question, question.default, None, now, by_default=True)


def _decide(
    conversation: Conversation,
    question: Question,
    choice: Choice,
    wish: date | None,
    now: datetime,
    *,
    by_default: bool,
) -> Outcome:
    customer_id = _asked_of(conversation, question)
    if customer_id is None:
        return conversation, [Anomaly("answer_without_customer", str(question.choice_id))]
    decided = CustomerDecided(
        order_id=conversation.order_id,
        customer_id=customer_id,
        issue_id=question.issue_id,
        choice_id=question.choice_id,
        choice=choice,
        requested_date=wish,
        by_default=by_default,
        decided_at=now,
    )
    status = QuestionStatus.ANSWERED
    conversation = conversation.with_question(
        replace(question, status=status, answer=choice, requested_date=wish, by_default=by_default)
    )
    if choice is Choice.CANCEL:
        for line in conversation.lines:
            if line.line_id in question.about:
                conversation = conversation.with_line(replace(line, leaving=True))
    facts: list[Fact] = [decided]
    return conversation, facts


def _asked_of(conversation: Conversation, question: Question) -> str | None:
    asked = conversation.talk(question.issue_id) if question.issue_id else None
    return asked.customer_id if asked else conversation.customer_id
