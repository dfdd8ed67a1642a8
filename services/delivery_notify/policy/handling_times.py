"""Handling times (`handling_times.toml`): the ship date of an order that comes without one.

Data, because how fast a group of products leaves is the warehouse's own knowledge. Without it such an order would have
no promise to watch, and its customer would hear nothing while it does not ship.
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from libs.common.decisions.calendars import Calendars
from libs.common.events.faults import fault_texts
from libs.common.events.values import OrderLine

BUNDLED_HANDLING_TIMES = Path(__file__).with_name("handling_times.toml")

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_WEEKDAYS: Sequence[Weekday] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
OpenDays = Annotated[int, Field(ge=0, le=180, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class HandlingTimesError(ValueError):
    """Invalid file of handling times; the message names the entry and the fault."""


def _local_minute(value: time) -> time:
    if value.tzinfo or value.second or value.microsecond:
        raise ValueError("is no local time in hours and minutes; write for example 11:00")
    return value


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HandlingRule(_Table):
    """Handling time of the orders that match all conditions; an empty condition matches everything."""

    open_days: OpenDays
    product_groups: frozenset[Name] = frozenset()
    warehouses: frozenset[Name] = frozenset()
    weekdays: frozenset[Weekday] = frozenset()
    cutoff: Annotated[time, AfterValidator(_local_minute)] | None = None

    def matches(self, line: OrderLine, weekday: Weekday) -> bool:
        return (
            (not self.product_groups or line.product_group in self.product_groups)
            and (not self.warehouses or line.warehouse in self.warehouses)
            and (not self.weekdays or weekday in self.weekdays)
        )


class HandlingFile(_Table):
    open_days: OpenDays
    history_after_days: Annotated[int, Field(ge=1, le=365, strict=True)]
    rules: Annotated[tuple[HandlingRule, ...], Field(max_length=500)] = ()


@dataclass(frozen=True, slots=True)
class HandlingTimes:
    """Rules in the order in which they are tried; the last one matches every line."""

    rules: tuple[HandlingRule, ...]
    history_after: timedelta

    def ship_date(self, line: OrderLine, placed_at: datetime, now: datetime, calendars: Calendars) -> date | None:
        """Return the ship date of a line of this order; None for an order of the shop's past.

        An order that reaches us after its date has passed is handled from now on.
        """
        if now - placed_at >= self.history_after:
            return None
        day = self._counted_from(placed_at, line, calendars)
        return day if day >= calendars.shop.day(now) else self._counted_from(now, line, calendars)

    def _counted_from(self, moment: datetime, line: OrderLine, calendars: Calendars) -> date:
        hours = calendars.warehouse_hours(line.warehouse)
        weekday = _WEEKDAYS[calendars.shop.day(moment).weekday()]
        rule = next(rule for rule in self.rules if rule.matches(line, weekday))
        return hours.calendar.add_open_days(hours.work_day(moment, rule.cutoff), rule.open_days)


def read_handling_times(file: Path = BUNDLED_HANDLING_TIMES) -> HandlingTimes:
    """Read the handling times. Raises `HandlingTimesError` that names every invalid entry."""
    try:
        entries = HandlingFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise HandlingTimesError(f"{file}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise HandlingTimesError(f"{file.name}: {'; '.join(fault_texts(error, ''))}") from None
    except (ValueError, RecursionError) as error:
        raise HandlingTimesError(f"{file.name}: not TOML in UTF-8: {error}") from None
    last = HandlingRule(open_days=entries.open_days)
    return HandlingTimes((*entries.rules, last), timedelta(days=entries.history_after_days))
