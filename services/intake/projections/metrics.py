"""What the life of an issue adds to the figures: pure, from one event to records; the store gathers them per batch.

The first response is the first word that the customer gets about the report itself: accepted, refused, a human looks at
it, or what is still missing. A contact is whatever the customer had to do or wait for beyond reporting once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Record
from libs.common.events import issues, notices
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind
from libs.common.events.registry import AnyEvent

ANSWERS = frozenset(
    {NoticeKind.ISSUE_ACCEPTED, NoticeKind.ISSUE_REJECTED, NoticeKind.REVIEW_STARTED, NoticeKind.DETAILS_REQUESTED}
)


@dataclass(frozen=True, slots=True)
class LineReported(Record):
    """Pieces of one product that an accepted report is about; `lot` is empty where it is not known."""

    issue_id: UUID
    line_id: str
    order_id: str
    customer_id: str
    sku: str
    lot: str
    reason: str
    pieces: int
    arrived_on: date
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class ReportFell(Record):
    """The report does not count any more: it was rejected or cancelled."""

    issue_id: UUID


@dataclass(frozen=True, slots=True)
class Moments(Record):
    """What one event, or all events of a batch, say about the times of one issue."""

    issue_id: UUID
    reason: str | None = None
    reported_at: datetime | None = None
    answered_at: datetime | None = None
    ordered_at: datetime | None = None
    resolved_at: datetime | None = None
    reopened_at: datetime | None = None
    contacts: int = 0
    score: int | None = None
    rated_at: datetime | None = None


def figures(event: AnyEvent, zone: ZoneInfo) -> list[Record]:
    """What this event adds; nothing for most. Days are the shop's, in `zone`."""
    read = _READ.get(type(event.data))
    return read(event.data, zone) if read else []


def _begun(accepted: issues.IssueAccepted, zone: ZoneInfo) -> list[Record]:
    begun = Moments(accepted.issue_id, reason=accepted.reason.value, reported_at=accepted.reported_at)
    return [begun, *_lines(accepted, zone)]


def _lines(accepted: issues.IssueAccepted, zone: ZoneInfo) -> Iterable[LineReported]:
    day = accepted.delivered_on or accepted.reported_at.astimezone(zone).date()
    for line in accepted.lines:
        yield LineReported(
            accepted.issue_id,
            line.line_id,
            accepted.order_id,
            accepted.customer_id,
            line.sku,
            line.lot or "",
            accepted.reason.value,
            line.quantity,
            day,
            accepted.reported_at,
        )


def _answered(sent: notices.NoticeSent, zone: ZoneInfo) -> list[Record]:
    if sent.issue_id is None or sent.kind not in ANSWERS:
        return []
    return [Moments(sent.issue_id, answered_at=sent.sent_at)]


def _fell(fact: issues.IssueEvent, zone: ZoneInfo) -> list[Record]:
    return [ReportFell(fact.issue_id)]


def _contact(fact: issues.IssueEvent, zone: ZoneInfo) -> list[Record]:
    return [Moments(fact.issue_id, contacts=1)]


_READ: dict[type[Payload], Callable[[Any, ZoneInfo], list[Record]]] = {
    notices.NoticeSent: _answered,
    issues.IssueAccepted: _begun,
    issues.IssueRejected: _fell,
    issues.IssueCancelled: _fell,
    issues.IssueReplacementOrdered: lambda fact, _: [Moments(fact.issue_id, ordered_at=fact.ordered_at)],
    issues.IssueResolved: lambda fact, _: [Moments(fact.issue_id, resolved_at=fact.resolved_at)],
    issues.IssueReopened: lambda fact, _: [Moments(fact.issue_id, reopened_at=fact.reopened_at, contacts=1)],
    issues.IssueDetailsRequested: _contact,
    issues.IssueChoiceRequested: _contact,
    issues.IssueReviewRequested: _contact,
    issues.IssueRated: lambda fact, _: [Moments(fact.issue_id, score=fact.score, rated_at=fact.rated_at)],
}


def gathered(moments: Iterable[Moments]) -> list[Moments]:
    """One entry per issue: the first answer and order, the last resolution, reopening and rating, contacts added up."""
    found: dict[UUID, Moments] = {}
    for one in moments:
        known = found.get(one.issue_id)
        found[one.issue_id] = _both(known, one) if known else one
    return sorted(found.values(), key=lambda one: one.issue_id.int)


def _both(known: Moments, one: Moments) -> Moments:
    rated = one if one.rated_at and (not known.rated_at or one.rated_at >= known.rated_at) else known
    return replace(
        known,
        reason=known.reason or one.reason,
        reported_at=known.reported_at or one.reported_at,
        answered_at=_chosen(min, known.answered_at, one.answered_at),
        ordered_at=_chosen(min, known.ordered_at, one.ordered_at),
        resolved_at=_chosen(max, known.resolved_at, one.resolved_at),
        reopened_at=_chosen(max, known.reopened_at, one.reopened_at),
        contacts=known.contacts + one.contacts,
        score=rated.score,
        rated_at=rated.rated_at,
    )


def _chosen(
    choose: Callable[[datetime, datetime], datetime], one: datetime | None, other: datetime | None
) -> datetime | None:
    return choose(one, other) if one and other else one or other
