"""Notification rules (`notification_rules.toml`) with the calendars of the parties."""

import tomllib
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import ShopCalendar
from services.delivery_notify.policy.handling_times import HandlingTimes

FILE = Path(__file__).with_name("notification_rules.toml")


@dataclass(frozen=True, slots=True)
class ForecastRules:
    """Rules of the forecast of lateness: its quantile, the dates of each party that it needs and how far back they go,
    and how long before the cutoff staff are warned."""

    level: float = 0.8
    minimum_dates: int = 30
    history: timedelta = timedelta(days=90)
    lead: timedelta = timedelta(hours=5)


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """Rules for notices about promises. Cutoffs are local times; renewals, gaps and transit count open days."""

    calendars: Calendars
    ship_cutoff: time = time(18)
    delivery_cutoff: time = time(20)
    ship_renewals: tuple[int, ...] = ()
    preorder_renewals: tuple[int, ...] = ()
    delivery_renewals: tuple[int, ...] = ()
    transit_days: int = 2
    update_gaps: tuple[int, ...] = (1, 2, 3)
    last_update_gap: int = 5
    update_hour: int = 12
    batching_delay: timedelta = timedelta(minutes=10)
    overdue_grace: timedelta = timedelta(minutes=15)
    deadline_margin: timedelta = timedelta(minutes=1)
    preorder_schedule: str = "half_month"
    forecast: ForecastRules = ForecastRules()
    handling: HandlingTimes | None = None
    """Ship dates of orders without one; None: they get none."""

    @property
    def calendar(self) -> ShopCalendar:
        """The shop's calendar: for updates, answers and local times."""
        return self.calendars.shop

    def update_gap(self, updates_sent: int) -> int:
        """Return the open days to the next update."""
        return self.update_gaps[updates_sent] if updates_sent < len(self.update_gaps) else self.last_update_gap

    def next_update_by(self, now: datetime, updates_sent: int) -> date:
        return self.calendar.add_open_days(self.calendar.day(now), self.update_gap(updates_sent))

    def update_time(self, day: date) -> datetime:
        return self.calendar.moment(day, self.update_hour)

    def cutoff(self, day: date, at: time) -> datetime:
        return self.calendar.moment(day, at.hour, at.minute)

    def end_of(self, day: date) -> datetime:
        """Return the end of that day in the shop: a promise for it is broken then."""
        return self.calendar.moment(day + timedelta(days=1), 0)


def _local_minute(value: time) -> time:
    if value.tzinfo or value.second or value.microsecond:
        raise ValueError("must be a local time of day in hours and minutes, such as 18:00")
    return value


_Cutoff = Annotated[time, AfterValidator(_local_minute)]
_OpenDays = Annotated[int, Field(ge=1, le=365, strict=True)]
"""At least 1: a broken promise cannot be renewed for today."""
_Minutes = Annotated[int, Field(ge=0, le=60, strict=True)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Ship(_Section):
    cutoff: _Cutoff
    renewals: tuple[_OpenDays, ...]
    preorder_renewals: tuple[_OpenDays, ...]


class _Delivery(_Section):
    cutoff: _Cutoff
    renewals: tuple[_OpenDays, ...]
    transit_days: Annotated[int, Field(ge=0, le=365, strict=True)]


class _Updates(_Section):
    gaps: tuple[_OpenDays, ...]
    last_gap: _OpenDays
    hour: Annotated[int, Field(ge=0, le=23, strict=True)]


class _Batching(_Section):
    notice_batching_minutes: _Minutes
    grace_minutes: _Minutes
    margin_seconds: Annotated[int, Field(ge=0, le=3600, strict=True)]


class _Preorders(_Section):
    schedule: Literal["half_month", "from_order"]


class _Forecast(_Section):
    level: Annotated[float, Field(gt=0, lt=1)]
    minimum_dates: Annotated[int, Field(ge=5, le=10_000, strict=True)]
    history_days: Annotated[int, Field(ge=7, le=365, strict=True)]
    lead_minutes: Annotated[int, Field(ge=15, le=720, strict=True)]


class _RulesFile(_Section):
    ship: _Ship
    delivery: _Delivery
    updates: _Updates
    batching: _Batching
    preorders: _Preorders
    forecast: _Forecast


def load_rules(
    calendars: Calendars, file: Path = FILE, forecast_minimum_dates: int | None = None, **changes: Any
) -> NotificationRules:
    """Load the rules of the file; `forecast_minimum_dates` and `changes` (settings) override them. Raises `ValueError`
    naming every wrong key."""
    read = _read(file)
    rules = NotificationRules(
        calendars,
        ship_cutoff=read.ship.cutoff,
        delivery_cutoff=read.delivery.cutoff,
        ship_renewals=read.ship.renewals,
        preorder_renewals=read.ship.preorder_renewals,
        delivery_renewals=read.delivery.renewals,
        transit_days=read.delivery.transit_days,
        update_gaps=read.updates.gaps,
        last_update_gap=read.updates.last_gap,
        update_hour=read.updates.hour,
        batching_delay=timedelta(minutes=read.batching.notice_batching_minutes),
        overdue_grace=timedelta(minutes=read.batching.grace_minutes),
        deadline_margin=timedelta(seconds=read.batching.margin_seconds),
        preorder_schedule=read.preorders.schedule,
        forecast=ForecastRules(
            read.forecast.level,
            forecast_minimum_dates or read.forecast.minimum_dates,
            timedelta(days=read.forecast.history_days),
            timedelta(minutes=read.forecast.lead_minutes),
        ),
    )
    return replace(rules, **{name: value for name, value in changes.items() if value is not None})


def _read(file: Path) -> _RulesFile:
    try:
        return _RulesFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        faults = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError(f"{file.name}: {'; '.join(faults)}") from None
    except ValueError as error:
        raise ValueError(f"{file.name}: not TOML in UTF-8: {error}") from None
