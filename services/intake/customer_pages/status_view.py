"""Content of a status page, derived from an issue's timeline; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from pydantic import ValidationError

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events import issues, loyalty, notices
from libs.common.events.values import Language, Remedy, StaffAction, TimeWindow, language_of
from libs.common.web.carriers import tracking_url
from services.intake.customer_pages.milestones import (
    CLOSED,
    Milestone,
    Timeline,
    current_collection,
    current_replacement,
    last_event,
    milestones,
    parse_date,
)
from services.intake.domain.projections.issue_status import IssueStatus

COURIER_HOURS: tuple[tuple[int, int], ...] = ((9, 12), (14, 16), (16, 18), (18, 20), (19, 21))
"""The usual windows of couriers in Japan."""
DAYS_OFFERED = 7
_NAMES_NEXT_UPDATE = (notices.NoticeSent.TYPE, issues.IssueAccepted.TYPE)


@dataclass(frozen=True, slots=True)
class StatusView:
    """`window` is booked; `requested_window` was chosen by the customer and is not confirmed by the courier yet."""

    milestones: Sequence[Milestone]
    heading: str
    """Key of the status as it is shown."""
    explanation: str
    """Key of the sentence below the status."""
    carrier: str | None
    tracking_number: str | None
    tracking_url: str
    window: TimeWindow | None
    requested_window: TimeWindow | None
    available_windows: Sequence[TimeWindow]
    points: int
    points_vested: bool
    next_update_by: date | None
    is_rated: bool


def build_status_view(
    timeline: Timeline,
    status: str,
    today: date,
    carrier: ShopCalendar,
    *,
    is_missing_details: bool = False,
    is_recipient: bool = False,
) -> StatusView:
    """`is_recipient`: the reader is the receiver of a gift, to whom neither money nor points nor choices are shown."""
    parcel = _last_parcel(timeline)
    booked = _last_data(current_collection(timeline), issues.IssueCollectionBooked.TYPE)
    is_over = _collection_is_over(timeline, status)
    granted, reversed_ = _points(timeline, loyalty.PointsGranted.TYPE), _points(timeline, loyalty.PointsReversed.TYPE)
    return StatusView(
        milestones=[
            each for each in milestones(timeline, status) if not (is_recipient and each.code in _OF_THE_CUSTOMER)
        ],
        heading="with_customer" if is_recipient and _is_of_the_customer(status, is_missing_details) else status,
        explanation="with_customer"
        if is_recipient and _is_of_the_customer(status, is_missing_details)
        else _explanation(timeline, status, is_missing_details=is_missing_details),
        carrier=parcel.get("carrier"),
        tracking_number=parcel.get("tracking_number"),
        tracking_url=tracking_url(parcel.get("carrier"), parcel.get("tracking_number")),
        window=None if is_over else _parse_window(booked),
        requested_window=None if is_over else _unconfirmed_window(timeline),
        available_windows=available_windows(timeline, status, today, carrier),
        points=0 if is_recipient else max(0, granted - reversed_),
        points_vested=_points(timeline, loyalty.PointsVested.TYPE) > 0,
        next_update_by=_next_update(timeline),
        is_rated=_is_rated(timeline),
    )


_OF_THE_CUSTOMER = frozenset({"refunded"})
"""Milestones that the receiver of a gift does not see."""


def _is_of_the_customer(status: str, is_missing_details: bool) -> bool:
    """Return whether the shop deals with the customer who paid: about money, or about a choice."""
    is_choice = status == IssueStatus.WAITING_FOR_CUSTOMER and not is_missing_details
    return is_choice or status in (IssueStatus.REFUND_REQUESTED, IssueStatus.REFUNDED)


def _explanation(timeline: Timeline, status: str, *, is_missing_details: bool) -> str:
    if status == IssueStatus.WAITING_FOR_CUSTOMER and not is_missing_details:
        return "choice"
    ordered = _last_data(timeline, issues.IssueReplacementOrdered.TYPE)
    is_part = status == IssueStatus.REPLACEMENT_ORDERED and ordered.get("remedy") == Remedy.PART_SHIPMENT
    return "part_ordered" if is_part else status


def available_windows(timeline: Timeline, status: str, today: date, carrier: ShopCalendar) -> list[TimeWindow]:
    """Return the collection windows that the customer may choose, from request to collection, on the carrier's days."""
    requested = _last_data(timeline, issues.IssueCollectionRequested.TYPE)
    if not requested or _collection_is_over(timeline, status):
        return []
    first = max(today + timedelta(days=1), date.fromisoformat(requested["earliest_date"]))
    days = [carrier.add_open_days(first, number) for number in range(DAYS_OFFERED)]
    return [TimeWindow(day=day, from_hour=begin, to_hour=end) for day in days for begin, end in COURIER_HOURS]


def _next_update(timeline: Timeline) -> date | None:
    """Return the day of the next update as the last notice names it, or else the answer to the report."""
    named = (event["data"].get("next_update_by") for event in reversed(timeline) if event["type"] in _NAMES_NEXT_UPDATE)
    return parse_date(next(filter(None, named), None))


def _last_parcel(timeline: Timeline) -> Mapping[str, Any]:
    """Return the data of the parcel of the present replacement that left last."""
    parcels = (
        issues.IssueReplacementShipped.TYPE,
        issues.IssueReplacementPartShipped.TYPE,
        issues.IssueReplacementTracked.TYPE,
    )
    sent = [event["data"] for event in current_replacement(timeline) if event["type"] in parcels]
    return sent[-1] if sent else {}


def _collection_is_over(timeline: Timeline, status: str) -> bool:
    """Return whether the courier need not come (again): collected, waived by staff, or the issue is closed."""
    collection = current_collection(timeline)
    return status in CLOSED or any(
        event["type"] == issues.IssueCollected.TYPE or _is_waiver(event) for event in collection
    )


def _is_waiver(event: Mapping[str, Any]) -> bool:
    data = event["data"]
    is_decision = event["type"] == issues.IssueStaffDecisionApplied.TYPE
    return is_decision and data.get("action") == StaffAction.WAIVE_COLLECTION and bool(data.get("applied"))


def customer_language(timeline: Timeline) -> Language | None:
    """Return the language of the last notice to the customer."""
    sent = _last_data(timeline, notices.NoticeSent.TYPE)
    return language_of(sent["language"]) if sent else None


def current_resolution(timeline: Timeline) -> int | None:
    """Return the number of the resolution that the survey asks about; None while the issue is not resolved."""
    resolved = last_event(timeline, issues.IssueResolved.TYPE)
    reopened = last_event(timeline, issues.IssueReopened.TYPE)
    if resolved is None or (reopened and reopened["at"] > resolved["at"]):
        return None
    return int(resolved["data"].get("resolution", 1))


def _unconfirmed_window(timeline: Timeline) -> TimeWindow | None:
    chosen = last_event(timeline, issues.IssueCollectionWindowChosen.TYPE)
    booked = last_event(timeline, issues.IssueCollectionBooked.TYPE)
    declined = last_event(timeline, issues.IssueCollectionWindowDeclined.TYPE)
    if chosen is None or any(answer and answer["at"] > chosen["at"] for answer in (booked, declined)):
        return None
    return _parse_window(chosen["data"])


def _is_rated(timeline: Timeline) -> bool:
    rated = _last_data(timeline, issues.IssueRated.TYPE)
    return bool(rated) and rated.get("resolution", 1) == current_resolution(timeline)


def _points(timeline: Timeline, type_: str) -> int:
    return sum(event["data"]["points"] for event in timeline if event["type"] == type_)


def _last_data(timeline: Timeline, type_: str) -> Mapping[str, Any]:
    event = last_event(timeline, type_)
    return event["data"] if event else {}


def _parse_window(data: Mapping[str, Any]) -> TimeWindow | None:
    try:
        return TimeWindow.model_validate(data["window"])
    except (ValidationError, KeyError):
        return None
