"""Milestones of an issue as the customer sees them: done, expected on a date, or still to come; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from libs.common.events import issues
from libs.common.events.notices import NoticeSent, PromiseSubject
from services.intake.domain.projections.issue_status import IssueStatus

CLOSED = frozenset({IssueStatus.RESOLVED, IssueStatus.CANCELLED, IssueStatus.REJECTED})
_SHIP_DATES: dict[str, str] = {
    issues.IssueReplacementOrdered.TYPE: "promised_ship_date",
    issues.IssueReplacementPromised.TYPE: "ship_date",
    issues.IssueReplacementDelayed.TYPE: "ship_date",
    issues.IssueReplacementPartShipped.TYPE: "remaining_ship_date",
}
_DELIVERY_DATES: dict[str, str] = {
    issues.IssueReplacementShipped.TYPE: "expected_delivery_date",
    issues.IssueReplacementDeliveryChanged.TYPE: "expected_delivery_date",
}
_VISIT_DATES: dict[str, str] = {
    issues.IssueCollectionAttempted.TYPE: "next_date",
    issues.IssueCollectionReminded.TYPE: "next_date",
    issues.IssueCollectionWindowDeclined.TYPE: "next_date",
}
"""Field with the date that the customer expects, by event."""

_OUTBOUND = frozenset(
    {*_SHIP_DATES, *_DELIVERY_DATES, issues.IssueReplacementTracked.TYPE, issues.IssueReplacementDelivered.TYPE}
)
_WITHOUT_RESOLUTION = frozenset({IssueStatus.CANCELLED, IssueStatus.REJECTED})

Event = Mapping[str, Any]
Timeline = Sequence[Event]


@dataclass(frozen=True, slots=True)
class Milestone:
    """`done_at` is set once it is reached. Before that `expected_on` is its date, or `known_by` the day by which the
    customer is given one.
    """

    code: str
    done_at: datetime | None = None
    expected_on: date | None = None
    known_by: date | None = None


def milestones(timeline: Timeline, status: str) -> list[Milestone]:
    """Return the milestones that apply to this issue, in order; a closed issue has no others to come."""
    found = [
        _milestone("accepted", _reported(timeline)),
        *_outbound(timeline, is_open=status == IssueStatus.WAITING_FOR_CUSTOMER),
        *_inbound(timeline),
        *_money(timeline),
    ]
    if status in CLOSED:
        found = [milestone for milestone in found if milestone.done_at or milestone.code == "accepted"]
    if status in _WITHOUT_RESOLUTION:
        return found
    resolved = last_event(timeline, issues.IssueResolved.TYPE) if status == IssueStatus.RESOLVED else None
    return [*found, _milestone("resolved", resolved)]


def _milestone(code: str, event: Event | None, expected_on: date | None = None) -> Milestone:
    return Milestone(code, event["at"] if event else None, None if event else expected_on)


def _reported(timeline: Timeline) -> Event | None:
    """Return the first event that shows the report as received; one that lacked a detail was received before that."""
    received = (issues.IssueAccepted.TYPE, issues.IssueDetailsRequested.TYPE)
    return next((event for event in timeline if event["type"] in received), None)


def _outbound(timeline: Timeline, *, is_open: bool) -> list[Milestone]:
    """`is_open`: the customer has a choice, so that no date for the replacement holds."""
    events = current_replacement(timeline)
    shipped = _last_shipment(events)
    if not events or (shipped is None and _is_refunded_instead(timeline)):
        return []
    delivered = last_event(events, issues.IssueReplacementDelivered.TYPE)
    ships = _milestone("shipped", shipped, None if is_open else _last_date(events, _SHIP_DATES))
    if not (ships.done_at or ships.expected_on or is_open):
        ships = replace(ships, known_by=_date_known_by(timeline, events[-1]["data"].get("replacement_id")))
    return [
        ships,
        _milestone("delivered", delivered, _last_date(events, _DELIVERY_DATES)),
    ]


def _last_shipment(events: Timeline) -> Event | None:
    """Return the shipment of the whole replacement; none where its units did not leave after all."""
    last = [event for event in events if event["type"] in (*_SHIP_DATES, issues.IssueReplacementShipped.TYPE)]
    return last[-1] if last and last[-1]["type"] == issues.IssueReplacementShipped.TYPE else None


def current_replacement(timeline: Timeline) -> Timeline:
    """Return the events of the replacement that is sent now, without those of a lost or refused one before it."""
    events = [event for event in timeline if event["type"] in _OUTBOUND]
    return _of_last(events, "replacement_id")


def current_collection(timeline: Timeline) -> Timeline:
    """Return the events of the present collection since its last request."""
    requests = [place for place, event in enumerate(timeline) if event["type"] == issues.IssueCollectionRequested.TYPE]
    return timeline[requests[-1] :] if requests else ()


def _of_last(events: Timeline, key: str) -> Timeline:
    return [event for event in events if event["data"].get(key) == events[-1]["data"].get(key)]


def _is_refunded_instead(timeline: Timeline) -> bool:
    """Return whether the money of every accepted unit goes back, so that nothing is sent any more."""
    accepted = last_event(timeline, issues.IssueAccepted.TYPE)
    requests = [event["data"] for event in timeline if event["type"] == issues.IssueRefundRequested.TYPE]
    if not requests or accepted is None:
        return bool(requests)
    units = sum(line["quantity"] for line in accepted["data"].get("lines", ()))
    return any(not data.get("lines") for data in requests) or units <= sum(
        line["quantity"] for data in requests for line in data["lines"]
    )


def _inbound(timeline: Timeline) -> list[Milestone]:
    events, collected = current_collection(timeline), last_event(timeline, issues.IssueCollected.TYPE)
    if not events and collected is None:
        return []
    if events:
        collected = last_event(events, issues.IssueCollected.TYPE)
    return [_milestone("collected", collected, _visit_date(timeline))]


def _visit_date(timeline: Timeline) -> date | None:
    """Return the day of the courier's next visit; a request that follows a failed visit does not change it."""
    for event in reversed(timeline):
        if event["type"] == issues.IssueCollectionBooked.TYPE:
            return parse_date(event["data"].get("window", {}).get("day"))
        if event["type"] in _VISIT_DATES:
            return parse_date(event["data"].get(_VISIT_DATES[event["type"]]))
    return None


def _money(timeline: Timeline) -> list[Milestone]:
    """Return the refund, done when every requested refund is paid in full."""
    requested = {
        event["data"].get("refund_id") for event in timeline if event["type"] == issues.IssueRefundRequested.TYPE
    }
    paid = {
        event["data"].get("refund_id"): event
        for event in timeline
        if event["type"] == issues.IssueRefunded.TYPE and not event["data"].get("remaining")
    }
    if not requested and not paid:
        return []
    done = max(paid.values(), key=lambda event: event["at"]) if requested <= paid.keys() else None
    return [_milestone("refunded", done)]


def _last_date(events: Timeline, fields: Mapping[str, str]) -> date | None:
    dated = [event for event in events if event["type"] in fields]
    if not dated or _is_undated(dated[-1]):
        return None
    return parse_date(dated[-1]["data"].get(fields[dated[-1]["type"]]))


def _is_undated(event: Event) -> bool:
    """Return whether a replacement was ordered without a date for the customer."""
    return event["type"] == issues.IssueReplacementOrdered.TYPE and bool(event["data"].get("date_known_by"))


def _date_known_by(timeline: Timeline, replacement_id: Any) -> date | None:
    """Return the day by which the date follows, as the newest notice names it."""
    for event in reversed(timeline):
        for promise in event["data"].get("announces") or () if event["type"] == NoticeSent.TYPE else ():
            if (promise["subject"], promise["subject_id"]) == (PromiseSubject.REPLACEMENT_DATE, str(replacement_id)):
                return parse_date(promise["day"])
    return None


def last_event(timeline: Timeline, type_: str) -> Event | None:
    return next((event for event in reversed(timeline) if event["type"] == type_), None)


def parse_date(value: Any) -> date | None:
    return date.fromisoformat(value) if value else None
