"""The shop's days: its time zone, its open days, and definite moments on them.

Public holidays come from the `holidays` package (MIT), computed per country; weekends are closed unless told otherwise.
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
            raise ValueError("closed_weekdays: leave one day of the week open")
        self.zone = zone
        self.country = country
        self.closed_weekdays = frozenset(closed_weekdays)

    def day(self, moment: datetime) -> date:
        """The shop's date at that moment."""
        return moment.astimezone(self.zone).date()

    def is_open(self, day: date) -> bool:
        return day.weekday() not in self.closed_weekdays and day not in _holidays(self.country, day.year)

    def next_open(self, day: date) -> date:
        """That day if it is open, else the first open day after it."""
        while not self.is_open(day):
            day += timedelta(days=1)
        return day

    def add_open_days(self, day: date, count: int) -> date:
        """The `count`-th open day after that day (for 0: `next_open`)."""
        day = self.next_open(day)
        for _ in range(count):
            day = self.next_open(day + timedelta(days=1))
        return day

    def moment(self, day: date, hour: int, minute: int = 0) -> datetime:
        """That local hour of that day, in UTC; an hour that summer time skips is taken as the hour before the jump."""
        return datetime.combine(day, time(hour, minute), self.zone).astimezone(UTC)
