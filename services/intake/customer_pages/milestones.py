"""Milestones of an issue as the customer sees them: done, expected on a date, or still to come; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.common.events import issues
from services.intake.projections.issue_status import IssueStatus

CLOSED = frozenset({IssueStatus.RESOLVED, IssueStatus.CANCELLED, IssueStatus.REJECTED})
_SHIP_DATE_FACTS = (
    issues.IssueReplacementOrdered.TYPE,
    issues.IssueReplacementPromised.TYPE,
    issues.IssueReplacementDelayed.TYPE,
)

FactsByType = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Milestone:
    """`done_at` is set once it is reached; `expected_on` before, as far as the date is known."""

    code: str
    done_at: datetime | None = None
    expected_on: date | None = None


def milestones(timeline: Sequence[Mapping[str, Any]], status: str) -> list[Milestone]:
    """Return the milestones that apply to this issue, in order."""
    facts = {fact["type"]: fact for fact in timeline}
    if issues.IssueReopened.TYPE in facts and status != IssueStatus.RESOLVED:
        facts.pop(issues.IssueResolved.TYPE, None)
    found = [_milestone("accepted", facts, issues.IssueAccepted.TYPE)]
    if facts.keys() & {*_SHIP_DATE_FACTS, issues.IssueReplacementShipped.TYPE}:
        found.append(_milestone("shipped", facts, issues.IssueReplacementShipped.TYPE, _ship_date(facts)))
        found.append(_milestone("delivered", facts, issues.IssueReplacementDelivered.TYPE, _delivery_date(facts)))
    if facts.keys() & {issues.IssueCollectionRequested.TYPE, issues.IssueCollected.TYPE}:
        found.append(_milestone("collected", facts, issues.IssueCollected.TYPE, _collection_date(facts)))
    if facts.keys() & {issues.IssueRefundRequested.TYPE, issues.IssueRefunded.TYPE}:
        found.append(_milestone("refunded", facts, issues.IssueRefunded.TYPE))
    if status in CLOSED and status != IssueStatus.RESOLVED:
        return found
    return [*found, _milestone("resolved", facts, issues.IssueResolved.TYPE)]


def _milestone(code: str, facts: FactsByType, type_: str, expected_on: date | None = None) -> Milestone:
    fact = facts.get(type_)
    return Milestone(code, fact["at"] if fact else None, None if fact else expected_on)


def _ship_date(facts: FactsByType) -> date | None:
    dated = [facts[type_] for type_ in _SHIP_DATE_FACTS if type_ in facts]
    if not dated:
        return None
    data = max(dated, key=lambda fact: fact["at"])["data"]
    return parse_date(data.get("ship_date") or data.get("promised_ship_date"))


def _delivery_date(facts: FactsByType) -> date | None:
    shipped = facts.get(issues.IssueReplacementShipped.TYPE)
    return parse_date(shipped["data"].get("expected_delivery_date")) if shipped else None


def _collection_date(facts: FactsByType) -> date | None:
    booked = facts.get(issues.IssueCollectionBooked.TYPE)
    return parse_date(booked["data"].get("window", {}).get("day")) if booked else None


def last_fact(timeline: Sequence[Mapping[str, Any]], type_: str) -> Mapping[str, Any] | None:
    return next((fact for fact in reversed(timeline) if fact["type"] == type_), None)


def parse_date(value: Any) -> date | None:
    return date.fromisoformat(value) if value else None
