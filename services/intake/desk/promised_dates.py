"""Dates promised to the customer of an issue, and whether they were kept; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from libs.common.events.issues import IssueCollected, IssueReplacementDelivered, IssueReplacementShipped
from libs.common.events.notices import CustomerDecided, NoticeKind, NoticeSent
from libs.common.events.values import Choice

FULFILLED_BY: dict[str, str] = {
    NoticeKind.REPLACEMENT_PROMISED: IssueReplacementShipped.TYPE,
    NoticeKind.ISSUE_ACCEPTED: IssueReplacementShipped.TYPE,
    NoticeKind.REPLACEMENT_DELAYED: IssueReplacementShipped.TYPE,
    NoticeKind.CHOICE_REQUESTED: IssueReplacementShipped.TYPE,
    NoticeKind.REPLACEMENT_SHIPPED: IssueReplacementDelivered.TYPE,
    NoticeKind.COLLECTION_BOOKED: IssueCollected.TYPE,
}
"""The event type that keeps the promised date of a notice, by the kind of the notice."""

_NEW_SHIP_DATE = (NoticeKind.REPLACEMENT_PROMISED, NoticeKind.REPLACEMENT_DELAYED, NoticeKind.CHOICE_REQUESTED)
_SUPERSEDED_BY: dict[str, tuple[NoticeKind, ...]] = {
    NoticeKind.ISSUE_ACCEPTED: _NEW_SHIP_DATE,
    NoticeKind.REPLACEMENT_PROMISED: _NEW_SHIP_DATE,
    NoticeKind.REPLACEMENT_DELAYED: _NEW_SHIP_DATE,
    NoticeKind.CHOICE_REQUESTED: _NEW_SHIP_DATE,
    NoticeKind.COLLECTION_BOOKED: (NoticeKind.COLLECTION_BOOKED,),
}


@dataclass(frozen=True, slots=True)
class PromisedDate:
    """A date in a notice. `kept` is None while open, and if it was superseded."""

    sent_at: datetime
    day: date
    notice: str
    kept: bool | None


def promised_dates(
    timeline: Sequence[Mapping[str, Any]], today: date, day_of: Mapping[str, date]
) -> list[PromisedDate]:
    """Return the promised dates in the order of their notices. `day_of` maps an event type to its shop day.

    A promise is kept if its event happened on that date or before, broken if the date has passed without it, and open
    until then and if a later notice or the customer's own choice superseded it.
    """
    found: list[PromisedDate] = []
    for index, event in enumerate(timeline):
        if event["type"] != NoticeSent.TYPE or not event["data"].get("promised_date"):
            continue
        day, notice = date.fromisoformat(event["data"]["promised_date"]), event["data"]["kind"]
        superseded = any(_supersedes(later, notice) for later in timeline[index + 1 :])
        kept = None if superseded else _is_kept(notice, day, today, day_of)
        found.append(PromisedDate(event["at"], day, notice, kept))
    return found


def _is_kept(notice: str, day: date, today: date, day_of: Mapping[str, date]) -> bool | None:
    if notice not in FULFILLED_BY:
        return None
    happened = day_of.get(FULFILLED_BY[notice])
    return happened <= day if happened else (False if today > day else None)


def _supersedes(later: Mapping[str, Any], notice: str) -> bool:
    if later["type"] == CustomerDecided.TYPE:
        return notice == NoticeKind.CHOICE_REQUESTED and later["data"].get("choice") != Choice.WAIT
    return later["type"] == NoticeSent.TYPE and later["data"]["kind"] in _SUPERSEDED_BY.get(notice, ())
