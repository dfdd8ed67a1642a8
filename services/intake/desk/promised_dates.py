"""Dates promised to the customer of an issue, and whether they were kept; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from libs.common.events.issues import (
    IssueCancelled,
    IssueCollected,
    IssueCollectionRequested,
    IssueReplacementDelivered,
    IssueReplacementOrdered,
    IssueReplacementShipped,
    IssueStaffDecisionApplied,
)
from libs.common.events.notices import CustomerDecided, NoticeKind, NoticeSent
from libs.common.events.values import Choice, StaffAction

FULFILLED_BY: dict[str, str] = {
    NoticeKind.REPLACEMENT_PROMISED: IssueReplacementShipped.TYPE,
    NoticeKind.ISSUE_ACCEPTED: IssueReplacementShipped.TYPE,
    NoticeKind.REPLACEMENT_DELAYED: IssueReplacementShipped.TYPE,
    NoticeKind.CHOICE_REQUESTED: IssueReplacementShipped.TYPE,
    NoticeKind.REPLACEMENT_SHIPPED: IssueReplacementDelivered.TYPE,
    NoticeKind.REPLACEMENT_DELIVERY_CHANGED: IssueReplacementDelivered.TYPE,
    NoticeKind.COLLECTION_BOOKED: IssueCollected.TYPE,
}
"""The event type that keeps the promised date of a notice, by the kind of the notice."""

_STARTED_BY: dict[str, str] = {
    IssueReplacementShipped.TYPE: IssueReplacementOrdered.TYPE,
    IssueReplacementDelivered.TYPE: IssueReplacementShipped.TYPE,
    IssueCollected.TYPE: IssueCollectionRequested.TYPE,
}
_NEW_SHIP_DATE = (NoticeKind.REPLACEMENT_PROMISED, NoticeKind.REPLACEMENT_DELAYED, NoticeKind.CHOICE_REQUESTED)
_NEW_DELIVERY_DATE = (*_NEW_SHIP_DATE, NoticeKind.REPLACEMENT_SHIPPED, NoticeKind.REPLACEMENT_DELIVERY_CHANGED)
_NEW_VISIT = (
    NoticeKind.COLLECTION_BOOKED,
    NoticeKind.COLLECTION_ATTEMPTED,
    NoticeKind.COLLECTION_REMINDED,
    NoticeKind.COLLECTION_WINDOW_DECLINED,
)
_SUPERSEDED_BY: dict[str, tuple[NoticeKind, ...]] = {
    NoticeKind.ISSUE_ACCEPTED: _NEW_SHIP_DATE,
    NoticeKind.REPLACEMENT_PROMISED: _NEW_SHIP_DATE,
    NoticeKind.REPLACEMENT_DELAYED: _NEW_SHIP_DATE,
    NoticeKind.CHOICE_REQUESTED: _NEW_SHIP_DATE,
    NoticeKind.REPLACEMENT_SHIPPED: _NEW_DELIVERY_DATE,
    NoticeKind.REPLACEMENT_DELIVERY_CHANGED: _NEW_DELIVERY_DATE,
    NoticeKind.COLLECTION_BOOKED: _NEW_VISIT,
}
_SHIP_DATES = frozenset({NoticeKind.ISSUE_ACCEPTED, *_NEW_SHIP_DATE})
_ENDED_BY_STAFF: dict[str | None, frozenset[NoticeKind]] = {
    StaffAction.CHOOSE_REMEDY: _SHIP_DATES,
    StaffAction.WAIVE_COLLECTION: frozenset(_NEW_VISIT),
}


@dataclass(frozen=True, slots=True)
class PromisedDate:
    """A date in a notice. `kept` is None while open, and if it was superseded."""

    sent_at: datetime
    day: date
    notice: str
    kept: bool | None


def promised_dates(timeline: Sequence[Mapping[str, Any]], today: date, zone: ZoneInfo) -> list[PromisedDate]:
    """Return the promised dates in the order of their notices; days are the shop's, in `zone`.

    A promise is kept if its event happened on that date or before, broken if the date has passed without it. It is open
    until then, and if something superseded it first: a later notice, a choice of the customer or of staff, or the end.
    """
    return [
        PromisedDate(
            event["at"],
            date.fromisoformat(event["data"]["promised_date"]),
            event["data"]["kind"],
            _is_kept(timeline, place, today, zone),
        )
        for place, event in enumerate(timeline)
        if event["type"] == NoticeSent.TYPE and event["data"].get("promised_date")
    ]


def _is_kept(timeline: Sequence[Mapping[str, Any]], place: int, today: date, zone: ZoneInfo) -> bool | None:
    data = timeline[place]["data"]
    notice, day = data["kind"], date.fromisoformat(data["promised_date"])
    if notice not in FULFILLED_BY:
        return None
    for later in timeline[place + 1 :]:
        if later["type"] == FULFILLED_BY[notice]:
            return _local_date(later["at"], zone) <= day
        if _supersedes(later, notice):
            return None
    if happened := _happened_before(timeline[:place], FULFILLED_BY[notice]):
        return _local_date(happened, zone) <= day
    return False if today > day else None


def _happened_before(earlier: Sequence[Mapping[str, Any]], type_: str) -> datetime | None:
    """Return the time at which the event came before its notice, about the same replacement or collection."""
    for event in reversed(earlier):
        if event["type"] == type_:
            at: datetime = event["at"]
            return at
        if event["type"] == _STARTED_BY[type_]:
            break
    return None


def _local_date(moment: datetime, zone: ZoneInfo) -> date:
    return moment.astimezone(zone).date()


def _supersedes(later: Mapping[str, Any], notice: str) -> bool:
    data = later["data"]
    match later["type"]:
        case IssueCancelled.TYPE:
            return True
        case IssueStaffDecisionApplied.TYPE:
            return data.get("applied") is True and notice in _ENDED_BY_STAFF.get(data.get("action"), ())
        case CustomerDecided.TYPE:
            return notice == NoticeKind.CHOICE_REQUESTED and data.get("choice") != Choice.WAIT
        case NoticeSent.TYPE:
            return data["kind"] in _SUPERSEDED_BY.get(notice, ())
    return False
