"""The story of an issue, as the topics tell it: rows for reading, and a headline that follows from them.

Some fifteen facts per issue arrive here, so taking one reads nothing: every fact becomes a row, hundreds of rows are
one insert. The headline is kept beside the report, because issues are listed by it: as two registers that only the
latest word moves (`Move`), so that facts may come in any order and twice, and one statement moves a whole batch. What
it comes to is `headline`, a fold over the story; a test holds the two together.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.common.decision import Fact, Facts, Ignored, Record
from libs.common.events import issues, notices, topics
from libs.common.events.envelope import Payload
from libs.common.events.registry import PAYLOADS, AnyEvent
from libs.common.events.values import LineQuantity

FACTS: tuple[type[Payload], ...] = tuple(
    payload
    for payload in PAYLOADS
    if payload.TOPIC in (topics.ISSUES, topics.NOTICES, topics.LOYALTY) and "issue_id" in payload.model_fields
)
"""What a timeline is made of. Notices about the order itself and points without an issue are in no timeline."""


@dataclass(frozen=True, slots=True)
class TimelineEntry(Record):
    """One fact of an issue; `data` is the payload as JSON text, without what the issue says already."""

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


_SAID_BY_THE_ISSUE = frozenset({"issue_id", "order_id", "customer_id"})


def decide(event: AnyEvent, trace_id: str | None = None) -> Facts:
    """Needs no state: each fact stands for itself, and the row's key drops what comes twice."""
    issue_id = issue_of(event)
    if issue_id is None:
        return [Ignored("about_no_issue")]
    data = event.data.model_dump_json(exclude=set(_SAID_BY_THE_ISSUE), exclude_none=True)
    facts: list[Fact] = [TimelineEntry(issue_id, event.id, event.time, event.type, data, trace_id)]
    match event.data:
        case issues.IssueCancelled(order_id=order_id):
            facts.append(UnitsReleased(order_id, issue_id))
        case issues.IssueReplacementDelivered(order_id=order_id, lines=lines, delivered_at=at):
            facts.append(UnitsRenewed(order_id, issue_id, lines, at))
        case issues.IssueReopened(order_id=order_id):
            facts.append(UnitsOwedAgain(order_id, issue_id))
    return facts


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

    def take(self, entry: TimelineEntry) -> None:
        if entry.type in _HEADLINES and (self.head_at is None or entry.at >= self.head_at):
            self.head, self.head_at = _HEADLINES[entry.type], entry.at
        if entry.type in _GATES and (self.gate_at is None or entry.at >= self.gate_at):
            self.gate, self.gate_at = _GATES[entry.type], entry.at
        if entry.type in DECISIONS:
            self.decided_at = min(self.decided_at or entry.at, entry.at)


@dataclass
class Moves:
    """The moves of one batch, by issue."""

    by_issue: dict[UUID, Move]

    def columns(self) -> tuple[list[Any], ...]:
        """For a statement: ids, head, head_at, gate, gate_at, decided_at."""
        moves = list(self.by_issue.values())
        fields = ("head", "head_at", "gate", "gate_at", "decided_at")
        return (list(self.by_issue), *([getattr(move, name) for move in moves] for name in fields))


def moves(entries: Iterable[TimelineEntry]) -> Moves:
    """The registers make up the same headline as `headline` does, in whatever order facts arrive."""
    by_issue: dict[UUID, Move] = {}
    for entry in entries:
        if entry.type in _HEADLINES or entry.type in DECISIONS:
            by_issue.setdefault(entry.issue_id, Move()).take(entry)
    return Moves(by_issue)
