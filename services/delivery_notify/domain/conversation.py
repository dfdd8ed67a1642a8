"""What we and one customer have said to each other about one order: the state of this service, one per order.

Kept per order and not per issue, because the customer reads all of it as one conversation: a notice about a line is
judged against everything said about that line before, from whichever surface it came.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from libs.common.decisions.fast_replace import replace
from libs.common.events.notices import ChangeSubject, DecidedBy, NoticeKind
from libs.common.events.values import Choice, Reason

SAID_KEPT = 40
"""How many of the latest notices a conversation remembers; older ones stay in the table `notices` only."""


@dataclass(frozen=True)
class Arrival:
    """The promised day at the door of one line, with the same clock as the day on which it leaves. `known_day` and
    `known_version` are what the customer knew before, as for a line; `moved_at` is when this took its place."""

    day: date
    version: int = 1
    promised_at: datetime | None = None
    speak_at: datetime | None = None
    words: int = 0
    renewals: int = 0
    known_day: date | None = None
    known_version: int = 0
    moved_at: datetime | None = None


@dataclass(frozen=True)
class Line:
    """One order line. `promise` is the newest promised ship date, `version` counts them; `speak_at` is the moment at
    which the customer hears of us if nothing has shipped by then.

    Of the broken: `words` counts our words about this date since it broke, `renewals` the dates that the policy gave
    because nobody else did, `slips` the promised days that moved later; `first_promise` is the day that the law counts
    from, `patient` says that the customer agreed to wait without a date, `lapses_at` when silence cancels.

    `known_day` and `known_version` are the promise that the newest one takes the place of in the customer's mind: not
    the one before, where that was held back and never told. `ruled_at` is when our policy last gave a date.
    """

    line_id: str
    name: str
    quantity: int
    preorder: bool = False
    promise: date | None = None
    version: int = 0
    promised_at: datetime | None = None
    speak_at: datetime | None = None
    words: int = 0
    shipped: int = 0
    delivered: int = 0
    cancelled: bool = False
    leaving: bool = False
    stage: str | None = None
    stage_detail: str | None = None
    staged_at: datetime | None = None
    stage_told: str | None = None
    breaks_at: datetime | None = None
    renewals: int = 0
    slips: int = 0
    first_promise: date | None = None
    patient: bool = False
    lapses_at: datetime | None = None
    known_day: date | None = None
    known_version: int = 0
    ruled_at: datetime | None = None
    arrival: Arrival | None = None

    @property
    def law_day(self) -> date | None:
        """The day that counts: the newest promise, or what the law has where nothing was promised."""
        return self.promise or self.first_promise

    @property
    def open(self) -> bool:
        """Something of it is still to be sent."""
        return not self.cancelled and self.shipped < self.quantity

    @property
    def awaited(self) -> bool:
        """Open, and the customer has not asked to cancel it: there is something to tell about."""
        return self.open and not self.leaving

    @property
    def expected(self) -> bool:
        """Something of it has not arrived yet, and somebody waits for it."""
        return not self.cancelled and not self.leaving and self.delivered < self.quantity


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
    change: ChangeSubject | None = None
    silence: DecidedBy = DecidedBy.SILENCE
    vests_on: date | None = None

    @property
    def open(self) -> bool:
        return self.status is QuestionStatus.OPEN


@dataclass(frozen=True, slots=True)
class Item:
    """Some pieces of something, as the customer knows it."""

    line_id: str
    name: str
    quantity: int


@dataclass(frozen=True)
class Outbound:
    """A replacement on its way: the newest date told for it, and that date's version (0: when it was ordered)."""

    replacement_id: UUID
    ship_date: date
    version: int = 0
    shipped: bool = False


class Waiting(StrEnum):
    """Why a talk about an issue is quiet for a moment: we hope to say two things in one message."""

    PLAN = "plan"  # accepted; what we do about it is decided in a moment
    NEXT_WORD = "next_word"  # we have said when we write again
    RECEIPT = "receipt"  # something came back; the refund or the end of it follows in a moment


@dataclass(frozen=True)
class Sorry:
    """What was given for an issue: so many points (none, where that was decided), and from when to when they can be
    spent; `told` once a notice has them."""

    entry_id: UUID | None = None
    points: int = 0
    usable_from: date | None = None
    usable_until: date | None = None
    told: bool = False


@dataclass(frozen=True)
class Talk:
    """The talk about one issue. `quiet_until` is the moment at which we speak if nothing else happened, `missed` counts
    the visits at which the courier met nobody."""

    issue_id: UUID
    customer_id: str
    reason: Reason | None = None
    items: tuple[Item, ...] = ()
    answered: bool = False
    outbound: Outbound | None = None
    past_outbound: tuple[UUID, ...] = ()
    refunded_at: datetime | None = None
    waiting: Waiting | None = None
    quiet_until: datetime | None = None
    received_at: datetime | None = None
    resolution: int = 0
    closed_by: str | None = None
    words: int = 0
    missed: int = 0
    sorry: Sorry | None = None


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
