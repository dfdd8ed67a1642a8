"""Calendar of the shop: time zone, open days, and local times on them.

Public holidays come from the `holidays` package (MIT), by country; weekends are closed by default.
"""

from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import holidays


@cache
def _holidays(country: str, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, years=year))


class ShopCalendar:
    """Open days of a shop in one country and time zone. `closed_weekdays`: 0 is Monday, 6 is Sunday."""

    def __init__(self, zone: ZoneInfo, country: str = "JP", closed_weekdays: Collection[int] = (5, 6)) -> None:
        if len(set(closed_weekdays)) > 6:
            raise ValueError("closed_weekdays: all seven days; leave at least one open")
        self.zone = zone
        self.country = country
        self.closed_weekdays = frozenset(closed_weekdays)

    def prepare(self) -> None:
        """Compute the holidays of this year and the next."""
        year = datetime.now(self.zone).year
        for each in (year, year + 1):
            _holidays(self.country, each)

    def day(self, moment: datetime) -> date:
        """Return the shop's date at that time."""
        return moment.astimezone(self.zone).date()

    def is_open(self, day: date) -> bool:
        return day.weekday() not in self.closed_weekdays and day not in _holidays(self.country, day.year)

    def next_open(self, day: date) -> date:
        """Return that day if it is open, else the next open day."""
        while not self.is_open(day):
            day += timedelta(days=1)
        return day

    def add_open_days(self, day: date, count: int) -> date:
        """Return the `count`-th open day after that day (for 0: `next_open`)."""
        day = self.next_open(day)
        for _ in range(count):
            day = self.next_open(day + timedelta(days=1))
        return day

    def moment(self, day: date, hour: int, minute: int = 0) -> datetime:
        """Return a local time of that day in UTC; a time skipped by summer time is read with the offset before it."""
        return datetime.combine(day, time(hour, minute), self.zone).astimezone(UTC)
