"""Rows of an issue's timeline on the desk: time, service, and the fields of an event that staff need; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.intake.store.desk import StaffActionEntry

SHOWN_FIELDS = (
    "promised_ship_date", "date_known_by", "ship_date", "previous_ship_date", "shown_ship_date",
    "expected_delivery_date", "earliest_date", "window", "due_at", "next_update_by", "kind", "channel",
    "promised_date", "remedy",
    "requested_remedy", "review", "action", "choice", "default", "by_default", "cause", "code", "message", "missing",
    "provided", "applied", "staff", "comment", "points", "rule", "score", "amount", "carrier", "tracking_number",
    "resolution", "anomaly", "reported_by", "event_type",
)  # fmt: skip
"""Fields of events in the order of display; ids and lines are omitted."""

_DATE_FIELDS = frozenset(name for name in SHOWN_FIELDS if name.endswith("_date")) | {"next_update_by"}
_SERVICE_BY_TOPIC = {"points": "loyalty", "notice": "delivery_notify", "customer": "customer"}
_ISSUE_EVENTS_OF_INTAKE = frozenset(
    {"reported", "accepted", "rejected", "details_requested", "details_provided", "staff_decided"}
)
_ISSUE_EVENTS_OF_CUSTOMER = frozenset({"rated", "collection_window_chosen", "customer_wrote"})


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """`type` is the event type without version; `source` is a service, or `customer`."""

    at: datetime
    type: str
    source: str
    details: list[tuple[str, Any]]
    notice_id: str | None


def timeline_row(event: Mapping[str, Any]) -> TimelineRow:
    data, type_ = event["data"], event["type"].rpartition(".v")[0]
    details = [(name, _parse(name, data[name])) for name in SHOWN_FIELDS if data.get(name) not in (None, "", [], ())]
    return TimelineRow(event["at"], type_, _source(type_), details, data.get("notice_id"))


def with_staff_entries(rows: Sequence[TimelineRow], entries: Sequence[StaffActionEntry]) -> list[TimelineRow]:
    """Return the rows with reports that staff filed and their notes, which are no events, each in its place."""
    own = [
        TimelineRow(each.acted_at, f"staff.{each.action}", "staff", _details(each), None)
        for each in entries
        if each.action in ("filed", "note")
    ]
    return sorted([*rows, *own], key=lambda row: row.at) if own else list(rows)


def _details(entry: StaffActionEntry) -> list[tuple[str, Any]]:
    overruled = [("overruled", True)] if entry.about == "window" else []
    return [("staff", entry.staff), *overruled, *([("comment", entry.comment)] if entry.comment else [])]


def _source(type_: str) -> str:
    topic, _, event = type_.partition(".")
    if topic != "issue":
        return _SERVICE_BY_TOPIC.get(topic, topic)
    if event in _ISSUE_EVENTS_OF_INTAKE:
        return "intake"
    return "customer" if event in _ISSUE_EVENTS_OF_CUSTOMER else "returns"


def _parse(name: str, value: Any) -> Any:
    """Parse dates and times, which the template formats in the reader's language."""
    if name in _DATE_FIELDS:
        return date.fromisoformat(value)
    if name == "window":
        return {**value, "day": date.fromisoformat(value["day"])}
    if name == "due_at":
        return datetime.fromisoformat(value)
    return value


def points_by_state(timeline: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the points of this issue that were granted, vested and reversed."""
    sums = {"granted": 0, "vested": 0, "reversed": 0}
    for event in timeline:
        state = event["type"].removeprefix("points.").removesuffix(".v1")
        if state in sums:
            sums[state] += event["data"]["points"]
    return sums
