"""Questions to the customer: asked by link, answered once, closed by newer notices, decided by default at the deadline.

Only this service writes decisions, so an answer and the default can never both be recorded.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.envelope import Payload
from libs.common.events.notices import ChangeSubject, DecidedBy, NoticeKind
from libs.common.events.values import Address, Choice, Variant
from services.delivery_notify.domain.context import ConversationDecision
from services.delivery_notify.domain.conversation import ORDER_OPTIONS, Question, QuestionStatus
from services.delivery_notify.domain.customer_answers import RequestedChange, record_decision
from services.delivery_notify.domain.notice_creation import create_notice
from services.delivery_notify.domain.notices import NO_PROMISE_NEWS, NoticeFacts, PromiseNews
from services.delivery_notify.domain.promises import SHIP

MAX_DATE_AHEAD = timedelta(days=365)
"""Maximum time from now to a date that a customer requests."""


class CustomerAnswered(Payload):
    """Command of the choice page: a customer chose an answer. It never leaves the service.

    `change` is what `choice: change` applies to; the other fields are the requested values.
    """

    TYPE: ClassVar = "customer.answered.v1"

    order_id: str
    choice_id: UUID
    choice: Choice
    change: ChangeSubject = ChangeSubject.DATE
    requested_date: date | None = None
    requested_sku: str | None = None
    address: Address | None = None


@dataclass(frozen=True, slots=True)
class QuestionTerms:
    """Options and default of a question. Those about an issue come from the returns service, with its `choice_id` and
    `variants`; those about an order from the consent clock."""

    options: tuple[Choice, ...] = ORDER_OPTIONS
    default: Choice = Choice.WAIT
    choice_id: UUID | None = None
    default_reason: DecidedBy = DecidedBy.SILENCE
    vests_on: date | None = None
    variants: tuple[Variant, ...] = ()


def ask(
    decision: ConversationDecision,
    kind: NoticeKind,
    facts: NoticeFacts,
    due_at: datetime,
    *,
    cause: tuple[object, ...],
    subjects: tuple[str, ...],
    terms: QuestionTerms,
    issue_id: UUID | None = None,
    customer_id: str | None = None,
    promised_date: date | None = None,
    wait: timedelta = timedelta(0),
    news: PromiseNews = NO_PROMISE_NEWS,
) -> None:
    """Create a notice with a link to a choice, which expires at `due_at`."""
    choice_id = terms.choice_id or derived_id("choice", kind, decision.state.order_id, *cause)
    notice = create_notice(
        decision,
        kind,
        replace(
            facts,
            choice_id=choice_id,
            options=terms.options,
            default=terms.default,
            answer_by=due_at,
            alternatives=tuple(variant.name for variant in terms.variants),
        ),
        cause=cause,
        subjects=subjects,
        issue_id=issue_id,
        customer_id=customer_id,
        promised_date=promised_date,
        wait=wait,
        news=news,
    )
    if notice is None:
        return
    question = Question(
        choice_id,
        notice.notice_id,
        kind,
        terms.options,
        terms.default,
        due_at,
        issue_id,
        () if issue_id else subjects,
        default_reason=terms.default_reason,
        vests_on=terms.vests_on,
        variants=terms.variants,
    )
    decision.state = decision.state.with_question(question)


def close_questions(
    decision: ConversationDecision,
    cause: str,
    *,
    lines: frozenset[str] = frozenset(),
    issue_id: UUID | None = None,
    kinds: frozenset[NoticeKind] | None = None,
    unsent_only: bool = False,
) -> None:
    """Close open questions about only these lines (asked by these kinds of notice), or about this issue. A question
    about other lines as well stays open for those. `unsent_only`: no question that the customer may have."""
    unsent = {each.notice_id for each in decision.state.notices if unsent_only and each.is_unsent(decision.now)}
    for question in decision.state.questions:
        left = tuple(each for each in question.line_ids if each not in lines)
        concerned = question.issue_id == issue_id if issue_id else bool(question.line_ids) and left != question.line_ids
        if not concerned or not question.open or (kinds is not None and question.kind not in kinds):
            continue
        if unsent_only and question.notice_id not in unsent:
            continue
        narrowed = replace(question, line_ids=left)
        closed = replace(question, status=QuestionStatus.CLOSED, closed_by=cause)
        decision.state = decision.state.with_question(narrowed if left else closed)


def on_answer(decision: ConversationDecision, answer: CustomerAnswered) -> None:
    """Record the answer if the question is open and the answer is one of its options."""
    question = decision.state.question(answer.choice_id)
    if question is None:
        decision.anomaly("answer_to_unknown_question", str(answer.choice_id))
        return
    refusal = refusal_of(question, answer, decision.now, decision.rules.calendar) or _not_possible(
        decision, question, answer
    )
    if refusal:
        decision.ignore(refusal)
        return
    change = _requested_change(answer) if answer.choice is Choice.CHANGE else None
    record_decision(decision, question, answer.choice, change, by_default=False)


def _requested_change(answer: CustomerAnswered) -> RequestedChange:
    """Return the change with the value of its subject alone: a form also sends its hidden fields, unchecked."""
    match answer.change:
        case ChangeSubject.ITEM:
            return RequestedChange(answer.change, sku=answer.requested_sku)
        case ChangeSubject.ADDRESS:
            return RequestedChange(answer.change, address=answer.address)
        case ChangeSubject.DATE:
            return RequestedChange(answer.change, day=answer.requested_date)


def refusal_of(question: Question, answer: CustomerAnswered, now: datetime, calendar: ShopCalendar) -> str | None:
    """Return the code of the reason to refuse this answer; None if it is valid."""
    if not question.open:
        return "answered_before" if question.status is QuestionStatus.ANSWERED else "question_closed"
    if now >= question.due_at:
        return "answered_late"
    if answer.choice not in question.options:
        return "not_an_option"
    if answer.choice is not Choice.CHANGE:
        return None
    return _not_offered(question, answer) if question.issue_id else _incomplete(answer, calendar.day(now))


def changes_of(question: Question) -> tuple[ChangeSubject, ...]:
    """Return what the answer `change` can apply to: for a replacement the item, for an order everything."""
    return (ChangeSubject.ITEM,) if question.issue_id else tuple(ChangeSubject)


def _not_offered(question: Question, answer: CustomerAnswered) -> str | None:
    """A replacement is changed to one of its variants; the returns service refuses everything else."""
    if answer.change not in changes_of(question):
        return "not_an_option"
    offered = {variant.sku for variant in question.variants}
    return None if answer.requested_sku in offered else "variant_missing"


def _incomplete(answer: CustomerAnswered, today: date) -> str | None:
    match answer.change:
        case ChangeSubject.ITEM:
            return None if answer.requested_sku else "item_missing"
        case ChangeSubject.ADDRESS:
            return None if answer.address else "address_missing"
        case ChangeSubject.DATE:
            day = answer.requested_date
            return None if day and today < day <= today + MAX_DATE_AHEAD else "date_not_possible"


def _not_possible(decision: ConversationDecision, question: Question, answer: CustomerAnswered) -> str | None:
    """A requested date must not be earlier than the promised one, which is the earliest possible, and every warehouse
    must be open on it."""
    if answer.choice is not Choice.CHANGE or answer.change is not ChangeSubject.DATE or not answer.requested_date:
        return None
    lines = [line for line in decision.state.lines if line.line_id in question.line_ids]
    days = [line.shipping.day for line in lines if line.shipping.day and not line.shipping.updates_sent]
    if days and answer.requested_date < max(days):
        return "date_not_possible"
    is_open = all(SHIP.party(line, decision.rules).is_open(answer.requested_date) for line in lines)
    return None if is_open else "date_closed"


def on_answer_deadline(decision: ConversationDecision, choice_id: UUID) -> None:
    """Record the default decision of a question that was not answered in time."""
    question = decision.state.question(choice_id)
    if question is None or not question.open or decision.now < question.due_at:
        decision.ignore("question_not_due")
        return
    record_decision(decision, question, question.default, None, by_default=True)
