"""Business hours of the shop, and durations and deadlines measured in them. Pure.

Every response target is a definite moment on the business calendar: weekends, public holidays and nights do not count,
so that a report of Friday night is not late on Saturday morning.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from libs.common.decisions.shop_calendar import ShopCalendar

_NONE = timedelta()


@dataclass(frozen=True)
class BusinessHours:
    """Opening and closing hour, local, of every open day of the calendar."""

    calendar: ShopCalendar
    opens: int = 10
    closes: int = 18

    def __post_init__(self) -> None:
        if not 0 <= self.opens < self.closes <= 23:
            raise ValueError("shop_opens, shop_closes: must be full hours of one day, shop_opens before shop_closes")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return the open time between two moments; zero where the second is not later."""
        spent, day = _NONE, self.calendar.next_open(self.calendar.day(start))
        while (begin := self._opening(day)) < end:
            spent += max(_NONE, min(end, self.end_of(day)) - max(start, begin))
            day = self.calendar.next_open(day + timedelta(days=1))
        return spent

    def after(self, start: datetime, span: timedelta) -> datetime:
        """Return the moment at which this much open time has passed since `start`."""
        day = self.calendar.next_open(self.calendar.day(start))
        while True:
            begin, end = max(start, self._opening(day)), self.end_of(day)
            if end - begin >= span:
                return begin + span
            span -= max(_NONE, end - begin)
            day = self.calendar.next_open(day + timedelta(days=1))

    def end_of(self, day: date) -> datetime:
        """Return the closing time of that day."""
        return self.calendar.moment(day, self.closes)

    def end_of_open_day(self, now: datetime, count: int) -> datetime:
        """Return the closing time of the `count`-th open day after today."""
        return self.end_of(self.open_day(now, count))

    def open_day(self, now: datetime, count: int) -> date:
        """Return the `count`-th open day after today."""
        return self.calendar.add_open_days(self.calendar.day(now), count)

    def _opening(self, day: date) -> datetime:
        return self.calendar.moment(day, self.opens)
