"""The story of an issue, as the topics tell it: rows for reading, and a headline that follows from them.

Some fifteen facts per issue arrive here, so taking one reads nothing: every fact becomes a row, hundreds of rows are
one insert. The headline is kept beside the report, because issues are listed by it: as two registers that only the
latest word moves (`Move`), so that facts may come in any order and twice, and one statement moves a whole batch. What
it comes to is `headline`, a fold over the story; a test holds the two together.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from libs.common.decisions.facts import Facts, Ignored, Record
from libs.common.events import issues, notices, topics
from libs.common.events.envelope import Payload
from libs.common.events.registry import PAYLOADS, AnyEvent
from libs.common.events.values import LineQuantity
from libs.common.postgres.batch import columns

FACTS: tuple[type[Payload], ...] = tuple(
    payload
    for payload in PAYLOADS
    if payload.TOPIC in (topics.ISSUES, topics.NOTICES, topics.LOYALTY) and "issue_id" in payload.model_fields
)
"""What a timeline is made of. Notices about the order itself and points without an issue are in no timeline."""


@dataclass(slots=True)
class TimelineEntry(Record):
    """One fact of an issue; `data` is the payload as JSON text, without what the issue says already.

    Not frozen, because that costs four times as much to make, and each fact of each issue makes one.
    """

    issue_id: UUID
    event_id: str
    at: datetime
    type: str
    data: str
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class UnitsReleased(Record):
    """The units of this issue may be reported again."""

    order_id: str
    issue_id: UUID


@dataclass(frozen=True, slots=True)
class UnitsRenewed(Record):
    """What this issue had sent has arrived: these pieces so far, all of its own where nothing is said."""

    order_id: str
    issue_id: UUID
    lines: tuple[LineQuantity, ...] | None
    at: datetime


@dataclass(frozen=True, slots=True)
class UnitsOwedAgain(Record):
    """The issue goes on: what it had sent did not put it right, and is no piece to be reported beside it."""

    order_id: str
    issue_id: UUID


def issue_of(event: AnyEvent) -> UUID | None:
    """The issue whose story this event belongs to."""
    found: UUID | None = getattr(event.data, "issue_id", None)
    return found


_SAID_BY_THE_ISSUE = {"issue_id", "order_id", "customer_id"}


def decide(event: AnyEvent, trace_id: str | None = None) -> Facts:
    """Needs no state: each fact stands for itself, and the row's key drops what comes twice."""
    payload = event.data
    issue_id = issue_of(event)
    if issue_id is None:
        return [Ignored("about_no_issue")]
    # pydantic's own serializer: `model_dump_json` around it costs as much as it does.
    data = payload.__pydantic_serializer__.to_json(payload, exclude=_SAID_BY_THE_ISSUE, exclude_none=True).decode()
    entry = TimelineEntry(issue_id, event.id, event.time, event.type, data, trace_id)
    moved = _UNITS.get(type(payload))
    return [entry, moved(payload)] if moved else [entry]


_UNITS: dict[type[Payload], Callable[[Any], Record]] = {
    issues.IssueCancelled: lambda fact: UnitsReleased(fact.order_id, fact.issue_id),
    issues.IssueReplacementDelivered: lambda fact: UnitsRenewed(
        fact.order_id, fact.issue_id, fact.lines, fact.delivered_at
    ),
    issues.IssueReopened: lambda fact: UnitsOwedAgain(fact.order_id, fact.issue_id),
}
"""What a fact says about the pieces that its issue holds."""


class Status(StrEnum):
    """The headline: the one word a customer sees first."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_REVIEW = "in_review"
    WAITING_FOR_CUSTOMER = "waiting_for_customer"
    REPLACEMENT_ORDERED = "replacement_ordered"
    REPLACEMENT_SHIPPED = "replacement_shipped"
    REPLACEMENT_DELIVERED = "replacement_delivered"
    RETURN_UNDER_WAY = "return_under_way"
    RETURN_RECEIVED = "return_received"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    CANCELLED = "cancelled"


_HEADLINES: dict[str, Status] = {
    issues.IssueAccepted.TYPE: Status.ACCEPTED,
    issues.IssueRejected.TYPE: Status.REJECTED,
    issues.IssueReviewRequested.TYPE: Status.IN_REVIEW,
    issues.IssueDetailsRequested.TYPE: Status.WAITING_FOR_CUSTOMER,
    issues.IssueDetailsProvided.TYPE: Status.ACCEPTED,
    issues.IssueChoiceRequested.TYPE: Status.WAITING_FOR_CUSTOMER,
    notices.CustomerDecided.TYPE: Status.ACCEPTED,
    issues.IssueReplacementOrdered.TYPE: Status.REPLACEMENT_ORDERED,
    issues.IssueReplacementPromised.TYPE: Status.REPLACEMENT_ORDERED,
    issues.IssueReplacementDelayed.TYPE: Status.REPLACEMENT_ORDERED,
    issues.IssueReplacementShipped.TYPE: Status.REPLACEMENT_SHIPPED,
    issues.IssueReplacementDelivered.TYPE: Status.REPLACEMENT_DELIVERED,
    issues.IssueCollectionBooked.TYPE: Status.RETURN_UNDER_WAY,
    issues.IssueCollected.TYPE: Status.RETURN_UNDER_WAY,
    issues.IssueItemReceived.TYPE: Status.RETURN_RECEIVED,
    issues.IssueItemInspected.TYPE: Status.RETURN_RECEIVED,
    issues.IssueRefundRequested.TYPE: Status.REFUND_REQUESTED,
    issues.IssueRefunded.TYPE: Status.REFUNDED,
    issues.IssueResolved.TYPE: Status.RESOLVED,
    issues.IssueReopened.TYPE: Status.REOPENED,
    issues.IssueCancelled.TYPE: Status.CANCELLED,
}
_OVER = frozenset({Status.REJECTED, Status.RESOLVED, Status.CANCELLED})
_GATES: dict[str, Status] = {
    type_: _HEADLINES[type_]
    for type_ in (
        issues.IssueAccepted.TYPE,
        issues.IssueRejected.TYPE,
        issues.IssueResolved.TYPE,
        issues.IssueReopened.TYPE,
        issues.IssueCancelled.TYPE,
    )
}
"""What ends an issue, opens it, or opens it again; between the end and that, nothing else changes the headline."""

DECISIONS = frozenset(
    {
        issues.IssueRejected.TYPE,
        issues.IssueReplacementOrdered.TYPE,
        issues.IssueChoiceRequested.TYPE,
        issues.IssueCollectionRequested.TYPE,
        issues.IssueRefundRequested.TYPE,
        issues.IssueResolved.TYPE,
        issues.IssueCancelled.TYPE,
    }
)
"""What tells a customer what the shop does about their report: the first of them is the decision."""


def headline(refused: bool, types: Iterable[str]) -> Status:
    """What the facts, in the order of their times, come to; `refused` is what intake itself decided at the start.

    The last fact that has a headline gives it, except that only a gate goes on after the end.
    """
    status = Status.REJECTED if refused else Status.ACCEPTED
    for type_ in types:
        after = _HEADLINES.get(type_, status)
        if status not in _OVER or type_ in _GATES:
            status = after
    return status


@dataclass(slots=True)
class Move:
    """How one batch moves one headline: the latest word, the latest gate, the earliest decision, each with its time."""

    head: Status | None = None
    head_at: datetime | None = None
    gate: Status | None = None
    gate_at: datetime | None = None
    decided_at: datetime | None = None

    def take(self, turn: "_Turn", at: datetime) -> None:
        if turn.head and (self.head_at is None or at >= self.head_at):
            self.head, self.head_at = turn.head, at
        if turn.gate and (self.gate_at is None or at >= self.gate_at):
            self.gate, self.gate_at = turn.gate, at
        if turn.decides and (self.decided_at is None or at < self.decided_at):
            self.decided_at = at


class _Turn(NamedTuple):
    """What a fact does to a headline, whatever it says else."""

    head: Status | None
    gate: Status | None
    decides: bool


_TURNS = {
    type_: _Turn(_HEADLINES.get(type_), _GATES.get(type_), type_ in DECISIONS)
    for type_ in _HEADLINES.keys() | DECISIONS
}


_move_row = attrgetter("head", "head_at", "gate", "gate_at", "decided_at")


@dataclass
class Moves:
    """The moves of one batch, by issue."""

    by_issue: dict[UUID, Move]

    def columns(self) -> Sequence[Sequence[Any]]:
        """For a statement: ids, head, head_at, gate, gate_at, decided_at."""
        rows = [(issue_id, *_move_row(move)) for issue_id, move in self.by_issue.items()]
        return columns(rows, 6)


def moves(entries: Iterable[TimelineEntry]) -> Moves:
    """The registers make up the same headline as `headline` does, in whatever order facts arrive."""
    by_issue: dict[UUID, Move] = {}
    for entry in entries:
        turn = _TURNS.get(entry.type)
        if turn:
            move = by_issue.get(entry.issue_id)
            if move is None:
                move = by_issue[entry.issue_id] = Move()
            move.take(turn, entry.at)
    return Moves(by_issue)
