"""Metrics of issues as a projection: pure, from one event to records; the store merges them per batch.

The first response is the first notice about the report itself: accepted, rejected, under review, or details missing. A
contact is anything that the customer had to do or wait for beyond reporting once.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.facts import Record
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events import issues, notices
from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind
from libs.common.events.registry import AnyEvent

FIRST_RESPONSES = frozenset(
    {NoticeKind.ISSUE_ACCEPTED, NoticeKind.ISSUE_REJECTED, NoticeKind.REVIEW_STARTED, NoticeKind.DETAILS_REQUESTED}
)


@dataclass(frozen=True, slots=True)
class LineReported(Record):
    """One line of an accepted report. An unknown `lot` is empty."""

    issue_id: UUID
    line_id: str
    order_id: str
    customer_id: str
    sku: str
    lot: str
    reason: str
    units: int
    delivered_on: date
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class ReportWithdrawn(Record):
    """The report was rejected or cancelled and no longer counts."""

    issue_id: UUID


@dataclass(frozen=True, slots=True)
class IssueMetrics(Record):
    """Changes of one issue's metrics by one event, or by all events of a batch."""

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


def metric_records(event: AnyEvent, zone: ZoneInfo) -> list[Record]:
    """Return the records of this event; none for most. Days are the shop's, in `zone`."""
    handler = _HANDLERS.get(type(event.data))
    return handler(event.data, zone) if handler else []


def _on_accepted(event: issues.IssueAccepted, zone: ZoneInfo) -> list[Record]:
    metrics = IssueMetrics(event.issue_id, reason=event.reason.value, reported_at=event.reported_at)
    return [metrics, *_lines(event, zone)]


def _lines(event: issues.IssueAccepted, zone: ZoneInfo) -> Iterable[LineReported]:
    day = event.delivered_on or event.reported_at.astimezone(zone).date()
    for line in event.lines:
        yield LineReported(
            event.issue_id,
            line.line_id,
            event.order_id,
            event.customer_id,
            line.sku,
            line.lot or "",
            event.reason.value,
            line.quantity,
            day,
            event.reported_at,
        )


def _on_notice_sent(event: notices.NoticeSent, zone: ZoneInfo) -> list[Record]:
    if event.issue_id is None or event.kind not in FIRST_RESPONSES:
        return []
    return [IssueMetrics(event.issue_id, answered_at=event.sent_at)]


def _on_withdrawn(event: issues.IssueEvent, zone: ZoneInfo) -> list[Record]:
    return [ReportWithdrawn(event.issue_id)]


def _on_contact(event: issues.IssueEvent, zone: ZoneInfo) -> list[Record]:
    return [IssueMetrics(event.issue_id, contacts=1)]


_HANDLERS: dict[type[Payload], Callable[[Any, ZoneInfo], list[Record]]] = {
    notices.NoticeSent: _on_notice_sent,
    issues.IssueAccepted: _on_accepted,
    issues.IssueRejected: _on_withdrawn,
    issues.IssueCancelled: _on_withdrawn,
    issues.IssueReplacementOrdered: lambda event, _: [IssueMetrics(event.issue_id, ordered_at=event.ordered_at)],
    issues.IssueResolved: lambda event, _: [IssueMetrics(event.issue_id, resolved_at=event.resolved_at)],
    issues.IssueReopened: lambda event, _: [IssueMetrics(event.issue_id, reopened_at=event.reopened_at, contacts=1)],
    issues.IssueDetailsRequested: _on_contact,
    issues.IssueChoiceRequested: _on_contact,
    issues.IssueReviewRequested: _on_contact,
    issues.IssueRated: lambda event, _: [IssueMetrics(event.issue_id, score=event.score, rated_at=event.rated_at)],
}


def merge_metrics(changes: Iterable[IssueMetrics]) -> list[IssueMetrics]:
    """Return one entry per issue: first response and order, last resolution, reopening and rating, sum of contacts."""
    merged: dict[UUID, IssueMetrics] = {}
    for change in changes:
        known = merged.get(change.issue_id)
        merged[change.issue_id] = _merge(known, change) if known else change
    return sorted(merged.values(), key=lambda metrics: metrics.issue_id.int)


def _merge(known: IssueMetrics, change: IssueMetrics) -> IssueMetrics:
    newer = change.rated_at and (not known.rated_at or change.rated_at >= known.rated_at)
    rated = change if newer else known
    return replace(
        known,
        reason=known.reason or change.reason,
        reported_at=known.reported_at or change.reported_at,
        answered_at=_pick(min, known.answered_at, change.answered_at),
        ordered_at=_pick(min, known.ordered_at, change.ordered_at),
        resolved_at=_pick(max, known.resolved_at, change.resolved_at),
        reopened_at=_pick(max, known.reopened_at, change.reopened_at),
        contacts=known.contacts + change.contacts,
        score=rated.score,
        rated_at=rated.rated_at,
    )


def _pick(
    choose: Callable[[datetime, datetime], datetime], first: datetime | None, second: datetime | None
) -> datetime | None:
    return choose(first, second) if first and second else first or second
