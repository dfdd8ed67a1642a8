"""Milestones of an issue as the customer sees them: done, expected on a date, or still to come; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.common.events import issues
from services.intake.domain.projections.issue_status import IssueStatus

CLOSED = frozenset({IssueStatus.RESOLVED, IssueStatus.CANCELLED, IssueStatus.REJECTED})
_SHIP_DATE_EVENTS = (
    issues.IssueReplacementOrdered.TYPE,
    issues.IssueReplacementPromised.TYPE,
    issues.IssueReplacementDelayed.TYPE,
)

EventsByType = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Milestone:
    """`done_at` is set once it is reached; `expected_on` before, as far as the date is known."""

    code: str
    done_at: datetime | None = None
    expected_on: date | None = None


def milestones(timeline: Sequence[Mapping[str, Any]], status: str) -> list[Milestone]:
    """Return the milestones that apply to this issue, in order."""
    events = {event["type"]: event for event in timeline}
    if issues.IssueReopened.TYPE in events and status != IssueStatus.RESOLVED:
        events.pop(issues.IssueResolved.TYPE, None)
    found = [_milestone("accepted", events, issues.IssueAccepted.TYPE)]
    if events.keys() & {*_SHIP_DATE_EVENTS, issues.IssueReplacementShipped.TYPE}:
        found.append(_milestone("shipped", events, issues.IssueReplacementShipped.TYPE, _ship_date(events)))
        found.append(_milestone("delivered", events, issues.IssueReplacementDelivered.TYPE, _delivery_date(events)))
    if events.keys() & {issues.IssueCollectionRequested.TYPE, issues.IssueCollected.TYPE}:
        found.append(_milestone("collected", events, issues.IssueCollected.TYPE, _collection_date(events)))
    if events.keys() & {issues.IssueRefundRequested.TYPE, issues.IssueRefunded.TYPE}:
        found.append(_milestone("refunded", events, issues.IssueRefunded.TYPE))
    if status in CLOSED and status != IssueStatus.RESOLVED:
        return found
    return [*found, _milestone("resolved", events, issues.IssueResolved.TYPE)]


def _milestone(code: str, events: EventsByType, type_: str, expected_on: date | None = None) -> Milestone:
    event = events.get(type_)
    return Milestone(code, event["at"] if event else None, None if event else expected_on)


def _ship_date(events: EventsByType) -> date | None:
    dated = [events[type_] for type_ in _SHIP_DATE_EVENTS if type_ in events]
    if not dated:
        return None
    data = max(dated, key=lambda event: event["at"])["data"]
    return parse_date(data.get("ship_date") or data.get("promised_ship_date"))


def _delivery_date(events: EventsByType) -> date | None:
    shipped = events.get(issues.IssueReplacementShipped.TYPE)
    return parse_date(shipped["data"].get("expected_delivery_date")) if shipped else None


def _collection_date(events: EventsByType) -> date | None:
    booked = events.get(issues.IssueCollectionBooked.TYPE)
    return parse_date(booked["data"].get("window", {}).get("day")) if booked else None


def last_event(timeline: Sequence[Mapping[str, Any]], type_: str) -> Mapping[str, Any] | None:
    return next((event for event in reversed(timeline) if event["type"] == type_), None)


def parse_date(value: Any) -> date | None:
    return date.fromisoformat(value) if value else None
