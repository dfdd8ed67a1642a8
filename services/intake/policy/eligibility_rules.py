"""The rules of intake as data: `eligibility_rules.toml`, read and checked once at start."""

import tomllib
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.values import Reason
from services.intake.policy.business_hours import OpenHours
from services.intake.policy.required_details import NeedsPolicy, read_needs

DEFAULT_FILE = Path(__file__).with_name("eligibility_rules.toml")


class WindowsError(ValueError):
    """`eligibility_rules.toml` is wrong; the message names the entry and what would be right."""


class Pieces(StrEnum):
    DELIVERED = "delivered"
    SHIPPED = "shipped"


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


Days = Annotated[int, Field(ge=1, le=3660)]
Source = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3)]
"""Where a window comes from: the law with its article, or the shop's choice."""


class Window(_Data):
    """Until when a reason may be reported, and about which pieces; see the head of `eligibility_rules.toml`."""

    days: Days
    pieces: Pieces
    source: Source
    noticed_days: Days | None = None
    latest_days: Days | None = None

    @model_validator(mode="after")
    def _knowledge_has_an_end(self) -> Self:
        if (self.noticed_days is None) != (self.latest_days is None):
            raise ValueError("noticed_days and latest_days belong together: give both or none")
        return self

    def last_day(self, moved_on: date, noticed_on: date | None) -> date:
        """The last day on which a piece that arrived (or left) on that day may be reported."""
        by_delivery = moved_on + timedelta(days=self.days)
        if noticed_on is None or self.noticed_days is None or self.latest_days is None:
            return by_delivery
        by_knowledge = max(noticed_on, moved_on) + timedelta(days=self.noticed_days)
        return max(by_delivery, min(by_knowledge, moved_on + timedelta(days=self.latest_days)))


class Override(_Data):
    """Another window for some markets, product groups, or both; empty means all. What is not set stays as it is."""

    markets: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    source: Source
    days: Days | None = None
    pieces: Pieces | None = None
    noticed_days: Days | None = None
    latest_days: Days | None = None

    def fits(self, market: str, group: str | None) -> bool:
        return (not self.markets or market in self.markets) and (not self.groups or group in self.groups)

    def over(self, window: Window) -> Window:
        """Raises `ValidationError` where the two do not go together."""
        fields = self.model_dump(exclude={"markets", "groups"}, exclude_none=True)
        return Window.model_validate(window.model_dump(include=set(Window.model_fields)) | fields)


class ReasonWindow(Window):
    """The window of one reason; the first of the `overrides` that fits replaces it."""

    overrides: tuple[Override, ...] = ()

    @model_validator(mode="after")
    def _overrides_go_together_with_it(self) -> Self:
        assert len(self._merged) == len(self.overrides)
        return self

    @cached_property
    def _merged(self) -> tuple[tuple[Override, Window], ...]:
        return tuple((one, one.over(self)) for one in self.overrides)

    def at(self, market: str, group: str | None) -> Window:
        return next((window for one, window in self._merged if one.fits(market, group)), self)


class Targets(_Data):
    """Within how much open time a report is answered and decided."""

    first_response_hours: Annotated[int, Field(ge=1, le=240)]
    decision_hours: Annotated[int, Field(ge=1, le=240)]
    next_word_open_days: Annotated[int, Field(ge=0, le=30)]

    @property
    def first_response(self) -> timedelta:
        return timedelta(hours=self.first_response_hours)

    @property
    def decision(self) -> timedelta:
        return timedelta(hours=self.decision_hours)


class Rules(_Data):
    """What decides whether a report is taken, and by when it is answered. Days are the shop's own."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    hours: OpenHours
    needs: NeedsPolicy
    targets: Targets
    waiting_minutes: Annotated[int, Field(ge=1, le=1440)]
    version: Annotated[int, Field(ge=1)]
    windows: dict[Reason, ReasonWindow]

    def window(self, reason: Reason, market: str, group: str | None) -> Window:
        """The window that counts for a piece of this product group in this market."""
        return self.windows[reason].at(market, group)

    @property
    def zone(self) -> ZoneInfo:
        return self.hours.calendar.zone

    @property
    def patience(self) -> timedelta:
        """How long a report waits for its order."""
        return timedelta(minutes=self.waiting_minutes)

    @model_validator(mode="after")
    def _every_reason_has_a_window(self) -> "Rules":
        missing = [reason.value for reason in Reason if reason not in self.windows]
        if missing:
            raise ValueError(f"add a table [windows.{missing[0]}] (missing: {', '.join(missing)})")
        return self


def read_rules(shop: ZoneInfo | OpenHours, file: Path = DEFAULT_FILE, needs: NeedsPolicy | None = None) -> Rules:
    """`shop` is when it is open, or only where it is. Raises `WindowsError` where the file is not as it should be."""
    hours = shop if isinstance(shop, OpenHours) else OpenHours(ShopCalendar(shop))
    try:
        return Rules(hours=hours, needs=needs or read_needs(), **tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise WindowsError(f"{file.name}: {where or 'windows'}: {first['msg']}") from error
    except (tomllib.TOMLDecodeError, TypeError) as error:
        raise WindowsError(f"{file.name}: {error}") from error
