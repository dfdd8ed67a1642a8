"""Values of the insights routes and of the desk's charts. Days are in the shop's time zone."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.decisions.intervals import Share
from services.intake.insights.intervals import Nps


@dataclass(frozen=True, slots=True)
class MetricsQuery:
    """Period and filter of metrics: `first` and `last` are days in `zone`, both included; `sku` and `lot` filter."""

    first: date
    last: date
    zone: ZoneInfo
    sku: str | None = None
    lot: str | None = None


@dataclass(frozen=True, slots=True)
class DurationStats:
    """Median and 90th percentile of a duration in hours, over `issues` issues."""

    issues: int
    median: float | None
    p90: float | None


@dataclass(frozen=True, slots=True)
class ReasonCount:
    reason: str
    issues: int


@dataclass(frozen=True, slots=True)
class HourCount:
    """Reports by local hour of the week: weekday 1 is Monday, 7 Sunday. Hours without reports are omitted."""

    weekday: int
    hour: int
    issues: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Response times and reasons of the issues reported in one period."""

    issues: int
    to_first_response: DurationStats
    to_replacement_order: DurationStats
    to_resolution: DurationStats
    resolved_at_first_contact: Share
    repeat_reports: Share
    reasons: tuple[ReasonCount, ...]
    peak_hours: tuple[HourCount, ...]


@dataclass(frozen=True, slots=True)
class ProductMetrics:
    """Reports about units delivered in one period. `lot` is None if unknown; `rate` is reported orders per unit."""

    sku: str
    lot: str | None
    delivered_units: int
    reported_units: int
    rate: Share
    reasons: tuple[ReasonCount, ...]


@dataclass(frozen=True, slots=True)
class DailyMetrics:
    """Units delivered on one day, and reported orders among them."""

    day: date
    delivered_units: int
    reported_orders: int


@dataclass(frozen=True, slots=True)
class NpsGroup:
    """Net promoter score of one reason or product (`group`); `all` is the whole shop."""

    group: str
    nps: Nps


@dataclass(frozen=True, slots=True)
class ClusterView:
    """A cluster in answers of the API. `status`: proposed, acting, refused or released; `warned` counts orders."""

    cluster_id: UUID
    sku: str
    lot: str | None
    status: str
    reasons: tuple[str, ...]
    reported_orders: int
    delivered_units: int
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
