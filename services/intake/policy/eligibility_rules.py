"""Eligibility rules as data: `eligibility_rules.toml`, read and validated once at start."""

import tomllib
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.faults import fault_texts
from libs.common.events.values import Reason
from services.intake.policy.required_details import RequiredDetailsPolicy, read_required_details

DEFAULT_FILE = Path(__file__).with_name("eligibility_rules.toml")


class EligibilityRulesError(ValueError):
    """`eligibility_rules.toml` is invalid; the message names the entry and what would be right."""


class UnitScope(StrEnum):
    """Units that a report of a reason may cover."""

    DELIVERED = "delivered"
    SHIPPED = "shipped"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Days = Annotated[int, Field(ge=1, le=3660)]
Source = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3)]
"""Origin of a window: the law with its article, or the shop's choice."""


class ReportWindow(_Data):
    """Report window of one reason; the fields are documented in `eligibility_rules.toml`."""

    days: Days
    units: UnitScope
    source: Source
    noticed_days: Days | None = None
    latest_days: Days | None = None
    restarts_with_replacement: bool = True

    @model_validator(mode="after")
    def _notice_window_is_bounded(self) -> Self:
        if (self.noticed_days is None) != (self.latest_days is None):
            raise ValueError("noticed_days and latest_days belong together: set both or none")
        return self

    def last_day(self, moved_on: date, noticed_on: date | None) -> date:
        """Return the last day on which a unit that was delivered (or shipped) on `moved_on` may be reported."""
        by_delivery = moved_on + timedelta(days=self.days)
        if noticed_on is None or self.noticed_days is None or self.latest_days is None:
            return by_delivery
        latest = moved_on + timedelta(days=self.latest_days)
        # Bounded before the addition: any date may be claimed, and the last one of the calendar would overflow.
        noticed = min(max(noticed_on, moved_on), latest)
        return max(by_delivery, min(noticed + timedelta(days=self.noticed_days), latest))


class WindowOverride(_Data):
    """Another window for some markets, product groups, or both; empty means all. Omitted fields are inherited."""

    markets: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    source: Source
    days: Days | None = None
    units: UnitScope | None = None
    noticed_days: Days | None = None
    latest_days: Days | None = None
    restarts_with_replacement: bool | None = None

    def matches(self, market: str, group: str | None) -> bool:
        return (not self.markets or market in self.markets) and (not self.groups or group in self.groups)

    def apply_to(self, window: ReportWindow) -> ReportWindow:
        """Merge the override into a window. Raises `ValidationError` where the result is invalid."""
        fields = self.model_dump(exclude={"markets", "groups"}, exclude_none=True)
        return ReportWindow.model_validate(window.model_dump(include=set(ReportWindow.model_fields)) | fields)


class ReasonWindow(ReportWindow):
    """Report window of one reason; the first matching override replaces it."""

    overrides: tuple[WindowOverride, ...] = ()

    @model_validator(mode="after")
    def _overrides_are_valid(self) -> Self:
        assert len(self._merged) == len(self.overrides)
        return self

    @cached_property
    def _merged(self) -> tuple[tuple[WindowOverride, ReportWindow], ...]:
        return tuple((override, override.apply_to(self)) for override in self.overrides)

    def for_product(self, market: str, group: str | None) -> ReportWindow:
        return next((window for override, window in self._merged if override.matches(market, group)), self)


class ResponseTargets(_Data):
    """Response targets in business hours, and the open day of the next update."""

    first_response_hours: Annotated[int, Field(ge=1, le=240)]
    decision_hours: Annotated[int, Field(ge=1, le=240)]
    next_update_open_days: Annotated[int, Field(ge=0, le=30)]

    @property
    def first_response(self) -> timedelta:
        return timedelta(hours=self.first_response_hours)

    @property
    def decision(self) -> timedelta:
        return timedelta(hours=self.decision_hours)


class IntakeRules(_Data):
    """Rules of intake: report windows, required details and response targets, on the shop's calendar."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    hours: BusinessHours
    required_details: RequiredDetailsPolicy
    targets: ResponseTargets
    order_wait_minutes: Annotated[int, Field(ge=1, le=1440)]
    version: Annotated[int, Field(ge=1)]
    windows: dict[Reason, ReasonWindow]

    def window(self, reason: Reason, market: str, group: str | None) -> ReportWindow:
        """Return the report window of a product group in a market."""
        return self.windows[reason].for_product(market, group)

    @property
    def zone(self) -> ZoneInfo:
        return self.hours.calendar.zone

    @property
    def order_wait(self) -> timedelta:
        """Return how long a report from Kafka waits for its order."""
        return timedelta(minutes=self.order_wait_minutes)

    @model_validator(mode="after")
    def _every_reason_has_a_window(self) -> "IntakeRules":
        missing = [reason.value for reason in Reason if reason not in self.windows]
        if missing:
            raise ValueError(f"add a table [windows.{missing[0]}] (missing: {', '.join(missing)})")
        return self


def read_rules(
    shop: ZoneInfo | BusinessHours, file: Path = DEFAULT_FILE, required_details: RequiredDetailsPolicy | None = None
) -> IntakeRules:
    """Read and validate the file; a bare zone means default business hours. Raises `EligibilityRulesError`."""
    hours = shop if isinstance(shop, BusinessHours) else BusinessHours(ShopCalendar(shop))
    try:
        return IntakeRules(
            hours=hours,
            required_details=required_details or read_required_details(),
            **tomllib.loads(file.read_text(encoding="utf-8")),
        )
    except ValidationError as error:
        raise EligibilityRulesError(f"{file.name}: {fault_texts(error, 'windows')[0]}") from error
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise EligibilityRulesError(f"{file.name}: {error}") from error
