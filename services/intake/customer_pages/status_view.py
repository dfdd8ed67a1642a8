"""What a status page says: where everything is and what comes when, as the customer sees it. Pure, from the story."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from libs.common.events.values import Language, TimeWindow
from services.intake.projections.timeline import Status

Story = Sequence[Mapping[str, Any]]

HOURS: tuple[tuple[int, int], ...] = ((9, 12), (14, 16), (16, 18), (18, 20), (19, 21))
"""The couriers' usual windows in Japan."""
DAYS_OFFERED = 7
_CLOSED = frozenset({Status.RESOLVED, Status.CANCELLED, Status.REJECTED})


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop on the way: done at a moment, or expected on a day, or simply still to come."""

    code: str
    done_at: datetime | None = None
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Everything a status page shows beside the issue itself."""

    stops: Sequence[Stop] = ()
    carrier: str | None = None
    tracking: str | None = None
    window: TimeWindow | None = None
    wanted: TimeWindow | None = None
    windows: Sequence[TimeWindow] = field(default_factory=tuple)
    points: int = 0
    points_final: bool = False
    next_word: date | None = None
    rated: bool = False
    choice_due: datetime | None = None


def progress(story: Story, status: Status, today: date) -> Progress:
    by_type: dict[str, Mapping[str, Any]] = {fact["type"]: fact for fact in story}
    data = {type_: fact["data"] for type_, fact in by_type.items()}
    shipped = data.get("issue.replacement_shipped.v1", {})
    granted, reversed_, final = (_points(story, f"points.{kind}.v1") for kind in ("granted", "reversed", "vested"))
    over = _collection_is_over(story, status)
    return Progress(
        stops=_stops(by_type, status),
        carrier=shipped.get("carrier"),
        tracking=shipped.get("tracking_number"),
        window=None if over else _window(data.get("issue.collection_booked.v1")),
        wanted=None if over else _unanswered_wish(story),
        windows=windows(story, status, today),
        points=max(0, granted - reversed_),
        points_final=final > 0,
        next_word=_day(data.get("issue.accepted.v1", {}).get("next_update_by")),
        rated=_rated(story),
        choice_due=_choice_due(story),
    )


def windows(story: Story, status: Status, today: date) -> list[TimeWindow]:
    """When the customer may have the courier come: none before somebody was asked to, or once it was collected."""
    requested = _last(story, "issue.collection_requested.v1")
    if requested is None or _collection_is_over(story, status):
        return []
    first = max(today + timedelta(days=1), date.fromisoformat(requested["data"]["earliest_date"]))
    days = [first + timedelta(days=number) for number in range(DAYS_OFFERED)]
    return [TimeWindow(day=day, from_hour=begin, to_hour=end) for day in days for begin, end in HOURS]


def _collection_is_over(story: Story, status: Status) -> bool:
    return status in _CLOSED or _last(story, "issue.collected.v1") is not None


def language_of(story: Story) -> Language | None:
    """The language in which the customer was last written to."""
    sent = _last(story, "notice.sent.v1")
    return Language(sent["data"]["language"]) if sent else None


def resolution_of(story: Story) -> int | None:
    """The resolution that the survey asks about; None while the issue is not resolved."""
    resolved, reopened = _last(story, "issue.resolved.v1"), _last(story, "issue.reopened.v1")
    if resolved is None or (reopened and reopened["at"] > resolved["at"]):
        return None
    return int(resolved["data"].get("resolution", 1))


_GOODS = ("issue.replacement_ordered.v1", "issue.replacement_promised.v1", "issue.replacement_delayed.v1")


def _stops(facts: Mapping[str, Mapping[str, Any]], status: Status) -> list[Stop]:
    """The way so far and the rest of it; what this issue does not need is left out."""
    stops = [_stop("accepted", facts, "issue.accepted.v1")]
    if any(type_ in facts for type_ in _GOODS) or "issue.replacement_shipped.v1" in facts:
        stops.append(_stop("shipped", facts, "issue.replacement_shipped.v1", _ship_day(facts)))
        stops.append(_stop("delivered", facts, "issue.replacement_delivered.v1", _arrival_day(facts)))
    if "issue.collection_requested.v1" in facts or "issue.collected.v1" in facts:
        stops.append(_stop("collected", facts, "issue.collected.v1", _collection_day(facts)))
    if "issue.refund_requested.v1" in facts or "issue.refunded.v1" in facts:
        stops.append(_stop("refunded", facts, "issue.refunded.v1"))
    if status in _CLOSED and status != Status.RESOLVED:
        return stops
    return [*stops, _stop("resolved", facts, "issue.resolved.v1")]


def _stop(code: str, facts: Mapping[str, Mapping[str, Any]], type_: str, day: date | None = None) -> Stop:
    fact = facts.get(type_)
    return Stop(code, fact["at"] if fact else None, None if fact else day)


def _ship_day(facts: Mapping[str, Mapping[str, Any]]) -> date | None:
    told = [facts[type_] for type_ in _GOODS if type_ in facts]
    if not told:
        return None
    data = max(told, key=lambda fact: fact["at"])["data"]
    return _day(data.get("ship_date") or data.get("promised_ship_date"))


def _arrival_day(facts: Mapping[str, Mapping[str, Any]]) -> date | None:
    shipped = facts.get("issue.replacement_shipped.v1")
    return _day(shipped["data"].get("expected_delivery_date")) if shipped else None


def _collection_day(facts: Mapping[str, Mapping[str, Any]]) -> date | None:
    window = _window(facts["issue.collection_booked.v1"]["data"]) if "issue.collection_booked.v1" in facts else None
    return window.day if window else None


def _last(story: Story, type_: str) -> Mapping[str, Any] | None:
    return next((fact for fact in reversed(story) if fact["type"] == type_), None)


def _unanswered_wish(story: Story) -> TimeWindow | None:
    """The window that the customer chose and the courier has not answered yet."""
    chosen, booked = _last(story, "issue.collection_window_chosen.v1"), _last(story, "issue.collection_booked.v1")
    if chosen is None or (booked and booked["at"] > chosen["at"]):
        return None
    return _window(chosen["data"])


def _choice_due(story: Story) -> datetime | None:
    """Until when a question waits for its answer."""
    asked, decided = _last(story, "issue.choice_requested.v1"), _last(story, "customer.decided.v1")
    if asked is None or (decided and decided["at"] >= asked["at"]):
        return None
    return datetime.fromisoformat(asked["data"]["due_at"])


def _rated(story: Story) -> bool:
    rated = _last(story, "issue.rated.v1")
    return rated is not None and rated["data"].get("resolution", 1) == resolution_of(story)


def _points(story: Story, type_: str) -> int:
    return sum(fact["data"]["points"] for fact in story if fact["type"] == type_)


def _day(value: Any) -> date | None:
    return date.fromisoformat(value) if value else None


def _window(data: Mapping[str, Any] | None) -> TimeWindow | None:
    try:
        return TimeWindow.model_validate(data["window"]) if data else None
    except (ValidationError, KeyError):
        return None
