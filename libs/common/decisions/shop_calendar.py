"""Calendar of the shop, a warehouse or a carrier: time zone, open days, and local times on them.

Public holidays come from the `holidays` package (MIT), by country; weekends are closed by default. Every function is
total: a search for an open day ends after `LONGEST_SEARCH` days, and `calendar_file` refuses calendars that need more.
"""

from calendar import isleap
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays

LONGEST_SEARCH = 400
"""Days looked at for the next open one."""

_DAY = timedelta(days=1)
_YEARS_WITH_HOLIDAYS = range(1950, 2151)
"""Dates of partners may be nonsense; no list of holidays is computed for a year outside of these."""


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year))


@dataclass(frozen=True, slots=True)
class Closure:
    """Closed days from `first` to `last`; `yearly`: from that day to that day of every year, also across New Year."""

    first: date
    last: date
    yearly: bool = False

    def days_in(self, year: int) -> Iterator[date]:
        """Return its days in that year."""
        for begin, end in self._spans(year):
            first, last = max(begin, date(year, 1, 1)), min(end, date(year, 12, 31))
            yield from (first + timedelta(days=number) for number in range((last - first).days + 1))

    def _spans(self, year: int) -> Iterator[tuple[date, date]]:
        if not self.yearly:
            yield self.first, self.last
        elif (first := _in_year(self.first, year)) <= (last := _in_year(self.last, year)):
            yield first, last
        else:
            yield first, date(year, 12, 31)
            yield date(year, 1, 1), last


def _in_year(day: date, year: int) -> date:
    is_missing = (day.month, day.day) == (2, 29) and not isleap(year)
    return date(year, 2, 28) if is_missing else day.replace(year=year)


class ShopCalendar:
    """Open days of one party in one country and time zone. `closed_weekdays`: 0 is Monday, 6 is Sunday.

    Without a `country` public holidays are open days.
    """

    def __init__(
        self,
        zone: ZoneInfo,
        country: str | None = "JP",
        closed_weekdays: Collection[int] = (5, 6),
        closures: Collection[Closure] = (),
    ) -> None:
        if len(set(closed_weekdays)) > 6:
            raise ValueError("closed_weekdays: all seven days; leave at least one open")
        self.zone = zone
        self.country = country
        self.closed_weekdays = frozenset(closed_weekdays)
        self.closures = tuple(closures)
        self._closed: dict[int, frozenset[date]] = {}

    def prepare(self) -> None:
        """Compute the closed days of this year and the next."""
        year = datetime.now(self.zone).year
        for each in (year, year + 1):
            self._closed_in(each)

    def day(self, moment: datetime) -> date:
        """Return the shop's date at that time."""
        return moment.astimezone(self.zone).date()

    def is_open(self, day: date) -> bool:
        return day.weekday() not in self.closed_weekdays and day not in self._closed_in(day.year)

    def next_open(self, day: date) -> date:
        """Return that day if it is open, else the next open day."""
        for _ in range(LONGEST_SEARCH):
            if self.is_open(day) or day == date.max:
                break
            day += _DAY
        return day

    def previous_open(self, day: date) -> date:
        """Return that day if it is open, else the last open day before it."""
        for _ in range(LONGEST_SEARCH):
            if self.is_open(day) or day == date.min:
                break
            day -= _DAY
        return day

    def open_day_after(self, day: date) -> date:
        """Return the first open day later than that day."""
        return day if day == date.max else self.next_open(day + _DAY)

    def add_open_days(self, day: date, count: int) -> date:
        """Return the `count`-th open day after that day (for 0: `next_open`)."""
        day = self.next_open(day)
        for _ in range(count):
            day = self.open_day_after(day)
        return day

    def moment(self, day: date, hour: int, minute: int = 0) -> datetime:
        """Return a local time of that day in UTC; a time skipped by summer time is read with the offset before it."""
        return datetime.combine(day, time(hour, minute), self.zone).astimezone(UTC)

    def _closed_in(self, year: int) -> frozenset[date]:
        closed = self._closed.get(year)
        if closed is None:
            public = _holidays(self.country, year) if self.country and year in _YEARS_WITH_HOLIDAYS else frozenset()
            closed = public.union(day for closure in self.closures for day in closure.days_in(year))
            if year in _YEARS_WITH_HOLIDAYS:
                self._closed[year] = closed
        return closed
