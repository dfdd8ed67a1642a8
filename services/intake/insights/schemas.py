"""What the figures look like: plain values, for the routes and for the desk's charts. Days are the shop's."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from services.intake.insights.intervals import Nps, Share


@dataclass(frozen=True, slots=True)
class Asked:
    """Which figures: `first` and `last` are days in `zone`, both included; `sku` and `lot` narrow them down."""

    first: date
    last: date
    zone: ZoneInfo
    sku: str | None = None
    lot: str | None = None


@dataclass(frozen=True, slots=True)
class Hours:
    """How long something took, in hours: over so many issues; half took `median` at most, nine tenths `p90`."""

    issues: int
    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class ReasonCount:
    reason: str
    issues: int


@dataclass(frozen=True, slots=True)
class HourCount:
    """Reports by hour of the week: weekday 1 is Monday, 7 Sunday; hours are local. Hours without reports are absent."""

    weekday: int
    hour: int
    issues: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The shop's answers in one period, by the day of the report."""

    issues: int
    to_first_response: Hours
    to_replacement_order: Hours
    to_resolution: Hours
    resolved_at_first_contact: Share
    repeat_reports: Share
    reasons: tuple[ReasonCount, ...]
    peak_hours: tuple[HourCount, ...]


@dataclass(frozen=True, slots=True)
class ProductFigures:
    """Reports about pieces that arrived in one period. `lot` None: not known; `rate` is orders reported per piece."""

    sku: str
    lot: str | None
    arrived_pieces: int
    reported_pieces: int
    rate: Share
    reasons: tuple[ReasonCount, ...]


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One day of arrivals: pieces that arrived, and how many orders with such pieces were reported since."""

    day: date
    arrived_pieces: int
    reported_orders: int


@dataclass(frozen=True, slots=True)
class NpsOf:
    """The net promoter score of one reason or one product (`group`); the whole shop's has the group `all`."""

    group: str
    nps: Nps


@dataclass(frozen=True, slots=True)
class ClusterShown:
    """A cluster as ops see it. `status`: proposed, acting, refused or released; `warned` counts orders."""

    cluster_id: UUID
    sku: str
    lot: str | None
    status: str
    reasons: tuple[str, ...]
    reported_orders: int
    arrived_pieces: int
    expected_orders: float
    since: date | None
    detected_at: datetime
    held: bool
    warning: bool
    warned: int
    staff: str | None
    comment: str | None
    decided_at: datetime | None
    released_at: datetime | None
