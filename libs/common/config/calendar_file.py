"""Calendar file of the shop: its schema, and the calendars of all parties built from it."""

import tomllib
from datetime import date, time, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

import holidays
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from libs.common.config.settings import ServiceSettings
from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import Closure, ShopCalendar
from libs.common.events.faults import fault_texts

BUNDLED_CALENDAR = Path(__file__).with_name("shop_calendar.toml")
LONGEST_CLOSURE = 92
LONGEST_PAUSE = timedelta(days=120)

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_NUMBERS: dict[str, int] = {name: number for number, name in enumerate(Weekday.__args__)}  # type: ignore[attr-defined]

YearlyDay = Annotated[str, Field(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class CalendarError(ValueError):
    """Invalid calendar file; the message names the entry, the fault and what would be right."""


def _local_minute(value: time) -> time:
    if value.tzinfo or value.second or value.microsecond:
        raise ValueError("is no local time in hours and minutes; write for example 10:00")
    return value


def _known_country(country: str) -> str:
    try:
        holidays.country_holidays(country)  # the list of all countries would import each of them: 0.2 s of CPU
    except NotImplementedError:
        reason = f"{country}: no list of its holidays; write the code of another country, or holidays = false"
        raise ValueError(reason) from None
    return country


LocalTime = Annotated[time, AfterValidator(_local_minute)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$"), AfterValidator(_known_country)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClosureEntry(_Table):
    """A span of closed days; `from` and `to` are both days of every year, or both dates."""

    name: Name = ""
    first: Annotated[YearlyDay | date, Field(alias="from")]
    last: Annotated[YearlyDay | date, Field(alias="to")]

    @model_validator(mode="after")
    def _check_span(self) -> Self:
        if isinstance(self.first, str) != isinstance(self.last, str):
            raise ValueError('from, to: one is of every year; write both as "12-29", or both as 2027-12-29')
        closure = self.closure
        if not closure.yearly and closure.last < closure.first:
            raise ValueError(f"to: {closure.last} is before from ({closure.first}); write the last closed day")
        days = sum(1 for _ in closure.days_in(2027)) if closure.yearly else (closure.last - closure.first).days + 1
        if days > LONGEST_CLOSURE:
            raise ValueError(f"from, to: {days} days; at most {LONGEST_CLOSURE} days in one entry")
        return self

    @property
    def closure(self) -> Closure:
        if isinstance(self.first, date) and isinstance(self.last, date):
            return Closure(self.first, self.last)
        try:
            first, last = (date.fromisoformat(f"2028-{day}") for day in (self.first, self.last))  # a leap year
        except ValueError:
            raise ValueError(f"from, to: {self.first} or {self.last} is no day of a year; write month-day") from None
        return Closure(first, last, yearly=True)


class PartyEntry(_Table):
    """Days and hours of a warehouse or carrier; what is left out is as with the shop."""

    country: Country | None = None
    holidays: bool | None = None
    closed_weekdays: frozenset[Weekday] | None = None
    opens: LocalTime | None = None
    closes: LocalTime | None = None
    cutoff: LocalTime | None = None
    closures: Annotated[tuple[ClosureEntry, ...], Field(max_length=100)] | None = None


class ShopEntry(_Table):
    country: Country
    holidays: bool = True
    closed_weekdays: frozenset[Weekday] = frozenset({"saturday", "sunday"})
    opens: LocalTime
    closes: LocalTime
    cutoff: LocalTime
    closures: Annotated[tuple[ClosureEntry, ...], Field(max_length=100)] = ()


class CalendarFile(_Table):
    shop: ShopEntry
    warehouses: Annotated[dict[Name, PartyEntry], Field(max_length=200)] = Field(default_factory=dict)
    carriers: Annotated[dict[Name, PartyEntry], Field(max_length=200)] = Field(default_factory=dict)


def read_calendars(file: Path, zone: ZoneInfo) -> Calendars:
    """Read the calendars of all parties. Raises `CalendarError` that names every invalid entry."""
    try:
        text = file.read_text(encoding="utf-8")
        entries = CalendarFile.model_validate(tomllib.loads(text))
    except OSError as error:
        raise CalendarError(f"{file}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise CalendarError(f"{file.name}: {'; '.join(fault_texts(error, ''))}") from None
    except (ValueError, RecursionError) as error:
        raise CalendarError(f"{file.name}: not TOML in UTF-8: {error}") from None
    faults: list[str] = []
    shop = _hours("shop", entries.shop, zone, faults)
    warehouses = _parties("warehouses", entries.shop, entries.warehouses, zone, faults)
    carriers = _parties("carriers", entries.shop, entries.carriers, zone, faults)
    if faults or shop is None:
        raise CalendarError(f"{file.name}: {'; '.join(faults)}")
    return Calendars(
        shop,
        warehouses,
        carriers,
        sha256(f"{zone.key}\n{text}".encode()).hexdigest(),
    )


def _parties(
    where: str, shop: ShopEntry, entries: dict[str, PartyEntry], zone: ZoneInfo, faults: list[str]
) -> dict[str, BusinessHours]:
    """Return the hours of each party by its name in small letters, and add what is wrong to `faults`."""
    found: dict[str, BusinessHours] = {}
    names: set[str] = set()
    for name, entry in entries.items():
        if name.casefold() in names:
            faults.append(f"{where}.{name}: another entry has this name in other letters; keep one")
            continue
        names.add(name.casefold())
        stated = {key: value for key, value in entry if value is not None}
        if hours := _hours(f"{where}.{name}", shop.model_copy(update=stated), zone, faults):
            found[name.casefold()] = hours
    return found


def _hours(where: str, entry: ShopEntry, zone: ZoneInfo, faults: list[str]) -> BusinessHours | None:
    """Return the hours of an entry; None after adding what is wrong with it to `faults`."""
    closures = [each.closure for each in entry.closures]
    weekdays = [_NUMBERS[name] for name in entry.closed_weekdays]
    try:
        calendar = ShopCalendar(zone, entry.country if entry.holidays else None, weekdays, closures)
        _check_pauses(calendar)
        return BusinessHours(calendar, entry.opens, entry.closes, entry.cutoff)
    except ValueError as error:
        faults.append(f"{where}: {error}")
        return None


def _check_pauses(calendar: ShopCalendar) -> None:
    """Refuse closures that leave no open day for longer than any promise may wait."""
    for closure in calendar.closures:
        if calendar.next_open(closure.first) - closure.first > LONGEST_PAUSE:
            raise ValueError(f"closures: no open day within {LONGEST_PAUSE.days} days of {closure.first}; leave some")


class CalendarSettings(ServiceSettings):
    """Settings of a service that states dates."""

    calendar_file: Path = BUNDLED_CALENDAR
    """Calendar of the shop, its warehouses and its carriers; the same file for all services."""

    @field_validator("calendar_file")
    @classmethod
    def _names_calendars(cls, value: Path, others: ValidationInfo) -> Path:
        """Checked per field, since a check of the whole model would not run beside another fault."""
        read_calendars(value, ZoneInfo(others.data.get("shop_time_zone", "UTC")))
        return value

    @property
    def calendars(self) -> Calendars:
        return read_calendars(self.calendar_file, self.zone)
