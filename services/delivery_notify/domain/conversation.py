"""What we and one customer have said to each other about one order: the state of this service, one per order.

Kept per order and not per issue, because the customer reads all of it as one conversation: a notice about a line is
judged against everything said about that line before, from whichever surface it came.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import Change, DecidedBy, NoticeKind
from libs.common.events.values import Choice
from services.delivery_notify.domain.issue_thread import Talk
from services.delivery_notify.domain.order_line import Line

ORDER_OPTIONS = (Choice.WAIT, Choice.CHANGE, Choice.CANCEL)
DELIVERY_OPTIONS = (Choice.WAIT, Choice.CANCEL)

SAID_KEPT = 40
"""How many of the latest notices a conversation remembers; older ones stay in the table `notices` only."""


class QuestionStatus(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


@dataclass(frozen=True)
class Question:
    """A choice the customer was given by link. `about` are line ids; empty for a question about an issue.

    `silence` is the reason of a decision by default; where that cancels, the right to a refund begins on `vests_on`.
    """

    choice_id: UUID
    notice_id: UUID
    kind: NoticeKind
    options: tuple[Choice, ...]
    default: Choice
    due_at: datetime
    issue_id: UUID | None = None
    about: tuple[str, ...] = ()
    status: QuestionStatus = QuestionStatus.OPEN
    closed_by: str | None = None
    answer: Choice | None = None
    requested_date: date | None = None
    by_default: bool = False
    change: Change | None = None
    silence: DecidedBy = DecidedBy.SILENCE
    vests_on: date | None = None

    @property
    def open(self) -> bool:
        return self.status is QuestionStatus.OPEN


@dataclass(frozen=True)
class Said:
    """A notice that was made. `about` are the ids of lines or of the issue it speaks of."""

    notice_id: UUID
    kind: NoticeKind
    about: tuple[str, ...]
    at: datetime
    due_at: datetime | None = None

    def held_back(self, now: datetime) -> bool:
        """It has not left yet, for sure: newer news may still take its place."""
        return self.due_at is not None and now < self.due_at


@dataclass(frozen=True, slots=True)
class Prepaid:
    """Money that was received before anything was sent."""

    amount: Decimal
    currency: str
    received_on: date


@dataclass(frozen=True, slots=True)
class Held:
    """An order event that came before its `order.placed`, kept whole until then."""

    type: str
    body: str


@dataclass(frozen=True)
class Conversation:
    order_id: str
    customer_id: str | None = None
    placed: bool = False
    purchase_count: int | None = None
    market: str = "JP"
    ordered_on: date | None = None
    prepaid: Prepaid | None = None
    essential: date | None = None
    lines: tuple[Line, ...] = ()
    next_progress: datetime | None = None
    questions: tuple[Question, ...] = ()
    talks: tuple[Talk, ...] = ()
    said: tuple[Said, ...] = ()
    held: tuple[Held, ...] = field(default=())

    def line(self, line_id: str) -> Line | None:
        return next((line for line in self.lines if line.line_id == line_id), None)

    def with_line(self, changed: Line) -> "Conversation":
        return replace(self, lines=tuple(changed if line.line_id == changed.line_id else line for line in self.lines))

    def with_lines(self, changed: Iterable[Line]) -> "Conversation":
        newest = {line.line_id: line for line in changed}
        return replace(self, lines=tuple(newest.get(line.line_id, line) for line in self.lines))

    def talk(self, issue_id: UUID) -> Talk | None:
        return next((talk for talk in self.talks if talk.issue_id == issue_id), None)

    def with_talk(self, changed: Talk) -> "Conversation":
        others = tuple(talk for talk in self.talks if talk.issue_id != changed.issue_id)
        return replace(self, talks=(*others, changed))

    def question(self, choice_id: UUID) -> Question | None:
        return next((question for question in self.questions if question.choice_id == choice_id), None)

    def with_question(self, changed: Question) -> "Conversation":
        others = tuple(question for question in self.questions if question.choice_id != changed.choice_id)
        return replace(self, questions=(*others, changed))

    def with_said_again(self, changed: Said) -> "Conversation":
        """The same notice, under another moment to leave at."""
        said = tuple(changed if each.notice_id == changed.notice_id else each for each in self.said)
        return replace(self, said=said)

    def with_said(self, said: Said) -> "Conversation":
        return replace(self, said=(*self.said, said)[-SAID_KEPT:])
