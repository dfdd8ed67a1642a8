"""Conversation with one customer about one order: the state of this service.

One per order and not per issue, because a notice about a line depends on all earlier notices about that line.
"""

from collections.abc import Iterable
from dataclasses import field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shipments import CountedShipment
from libs.common.events.notices import ChangeSubject, DecidedBy, NoticeKind
from libs.common.events.values import Choice, RecipientNotices, Variant
from services.delivery_notify.domain.change_request import ChangeRequest
from services.delivery_notify.domain.issue_thread import IssueThread
from services.delivery_notify.domain.order_line import Line

ORDER_OPTIONS = (Choice.WAIT, Choice.CHANGE, Choice.CANCEL)
DELIVERY_OPTIONS = (Choice.WAIT, Choice.CANCEL)

NOTICES_KEPT = 40
"""Latest notices kept in the conversation; older ones are in the table `notices` only."""

SETTLED_REQUESTS_KEPT = 20
"""Latest settled requests kept, so that a late answer of the shop finds its request."""


class QuestionStatus(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


@dataclass(frozen=True)
class Question:
    """A choice offered to the customer by link. `line_ids` is empty for a question about an issue.

    `default_reason` is the reason of a default decision; if it cancels, the right to a refund begins on `vests_on`.
    `variants` are the items that the answer `change` to a question about an issue can name.
    """

    choice_id: UUID
    notice_id: UUID
    kind: NoticeKind
    options: tuple[Choice, ...]
    default: Choice
    due_at: datetime
    issue_id: UUID | None = None
    line_ids: tuple[str, ...] = ()
    status: QuestionStatus = QuestionStatus.OPEN
    closed_by: str | None = None
    answer: Choice | None = None
    requested_date: date | None = None
    by_default: bool = False
    change: ChangeSubject | None = None
    default_reason: DecidedBy = DecidedBy.SILENCE
    vests_on: date | None = None
    variants: tuple[Variant, ...] = ()

    @property
    def open(self) -> bool:
        return self.status is QuestionStatus.OPEN


@dataclass(frozen=True)
class NoticeRecord:
    """A created notice. `subjects` are the ids of its lines or of its issue."""

    notice_id: UUID
    kind: NoticeKind
    subjects: tuple[str, ...]
    made_at: datetime
    due_at: datetime | None = None

    def is_unsent(self, now: datetime) -> bool:
        """Return true if it is certainly unsent, so that a newer notice can supersede it."""
        return self.due_at is not None and now < self.due_at


@dataclass(frozen=True, slots=True)
class Prepaid:
    """Payment received before shipment."""

    amount: Decimal
    currency: str
    received_on: date


@dataclass(frozen=True, slots=True)
class BufferedEvent:
    """An order event that came before its `order.placed`."""

    type: str
    body: str


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event about an issue under an account that is not the order's, until `customer.merged` joins the two."""

    customer_id: str
    type: str
    body: str


@dataclass(frozen=True, slots=True)
class GiftRecipient:
    """Receiver of a gift: the notices chosen for them at `stated_at`, and whether a mail address of theirs is known."""

    notices: RecipientNotices
    has_address: bool
    stated_at: datetime


@dataclass(frozen=True)
class Conversation:
    """State of one order: its lines, questions, issue threads and latest notices.

    `shipments` and `deliveries` are kept so that each of them counts once; `lines_digest` recognizes an order that is
    sent again. `held` waits for a merge of accounts.
    """

    order_id: str
    customer_id: str | None = None
    placed: bool = False
    purchase_count: int | None = None
    market: str = "JP"
    market_stated_at: datetime | None = None
    ordered_on: date | None = None
    prepaid: Prepaid | None = None
    essential_date: date | None = None
    lines: tuple[Line, ...] = ()
    next_progress_at: datetime | None = None
    questions: tuple[Question, ...] = ()
    threads: tuple[IssueThread, ...] = ()
    notices: tuple[NoticeRecord, ...] = ()
    buffered: tuple[BufferedEvent, ...] = field(default=())
    shipments: tuple[CountedShipment, ...] = ()
    deliveries: tuple[CountedShipment, ...] = ()
    lines_digest: str | None = None
    held: tuple[HeldEvent, ...] = ()
    requests: tuple[ChangeRequest, ...] = ()
    gift: GiftRecipient | None = None

    @property
    def owner(self) -> str | None:
        """Return the customer of the order, or of an issue that came before it."""
        return self.customer_id or next((thread.customer_id for thread in self.threads), None)

    def with_customer(self, former: str, remaining: str) -> "Conversation":
        """Return the conversation after the shop merged these accounts of its customer."""

        def current(customer_id: str) -> str:
            return remaining if customer_id == former else customer_id

        threads = tuple(replace(thread, customer_id=current(thread.customer_id)) for thread in self.threads)
        held = tuple(replace(each, customer_id=current(each.customer_id)) for each in self.held)
        return replace(self, customer_id=self.customer_id and current(self.customer_id), threads=threads, held=held)

    @property
    def is_released(self) -> bool:
        """Some held events are of the order's customer by now."""
        return any(each.customer_id == self.customer_id for each in self.held)

    def line(self, line_id: str) -> Line | None:
        return next((line for line in self.lines if line.line_id == line_id), None)

    def with_lines(self, changed: Iterable[Line]) -> "Conversation":
        newest = {line.line_id: line for line in changed}
        return replace(self, lines=tuple(newest.get(line.line_id, line) for line in self.lines))

    def thread(self, issue_id: UUID) -> IssueThread | None:
        return next((thread for thread in self.threads if thread.issue_id == issue_id), None)

    def with_thread(self, changed: IssueThread) -> "Conversation":
        others = tuple(thread for thread in self.threads if thread.issue_id != changed.issue_id)
        return replace(self, threads=(*others, changed))

    def question(self, choice_id: UUID) -> Question | None:
        return next((question for question in self.questions if question.choice_id == choice_id), None)

    def with_question(self, changed: Question) -> "Conversation":
        others = tuple(question for question in self.questions if question.choice_id != changed.choice_id)
        return replace(self, questions=(*others, changed))

    def request(self, request_id: UUID) -> ChangeRequest | None:
        return next((request for request in self.requests if request.request_id == request_id), None)

    def with_request(self, changed: ChangeRequest) -> "Conversation":
        """Return the conversation with this request as the newest one."""
        others = [request for request in self.requests if request.request_id != changed.request_id]
        settled = [request for request in others if not request.open][-SETTLED_REQUESTS_KEPT:]
        return replace(self, requests=(*(each for each in others if each.open or each in settled), changed))

    def with_changed_notice(self, changed: NoticeRecord) -> "Conversation":
        """Replace a notice whose due time moved."""
        notices = tuple(changed if each.notice_id == changed.notice_id else each for each in self.notices)
        return replace(self, notices=notices)

    def with_notice(self, notice: NoticeRecord) -> "Conversation":
        return replace(self, notices=(*self.notices, notice)[-NOTICES_KEPT:])


def chosen_refund(conversation: Conversation, issue_id: UUID) -> UUID | None:
    """Return the choice by which the customer, or the default, replaced this issue's replacement with a refund."""
    newest = next((each for each in reversed(conversation.questions) if each.issue_id == issue_id), None)
    return newest.choice_id if newest and newest.answer == Choice.REFUND else None
