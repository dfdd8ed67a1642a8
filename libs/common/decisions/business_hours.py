"""Business hours of one party, and durations and deadlines measured in them. Pure.

Every response target is a definite moment on the business calendar: weekends, public holidays and nights do not count,
so that a report of Friday night is not late on Saturday morning.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from libs.common.decisions.shop_calendar import ShopCalendar

_NONE = timedelta()
_MOST_DAYS = 4000
"""Days that a duration of open time is measured over at most."""


@dataclass(frozen=True)
class BusinessHours:
    """Local opening and closing time of every open day, and the time until which work of the day is begun."""

    calendar: ShopCalendar
    opens: time = time(10)
    closes: time = time(18)
    cutoff: time = time(15)

    def __post_init__(self) -> None:
        if not self.opens < self.closes:
            raise ValueError(f"opens: {self.opens:%H:%M} is not before closes ({self.closes:%H:%M})")
        if not self.opens <= self.cutoff <= self.closes:
            raise ValueError(f"cutoff: {self.cutoff:%H:%M} is not between opens and closes; write a time of the day")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """Return the open time between two moments; zero where the second is not later."""
        spent, day = _NONE, self.calendar.next_open(self.calendar.day(start))
        for _ in range(_MOST_DAYS):
            if (begin := self.opening(day)) >= end:
                break
            spent += max(_NONE, min(end, self.end_of(day)) - max(start, begin))
            day = self.calendar.open_day_after(day)
        return spent

    def after(self, start: datetime, span: timedelta) -> datetime:
        """Return the moment at which this much open time has passed since `start`."""
        day = self.calendar.next_open(self.calendar.day(start))
        for _ in range(_MOST_DAYS):
            begin, end = max(start, self.opening(day)), self.end_of(day)
            if end - begin >= span:
                return begin + span
            span -= max(_NONE, end - begin)
            day = self.calendar.open_day_after(day)
        return self.end_of(day)

    def opening(self, day: date) -> datetime:
        """Return the opening time of that day."""
        return self.calendar.moment(day, self.opens.hour, self.opens.minute)

    def end_of(self, day: date) -> datetime:
        """Return the closing time of that day."""
        return self.calendar.moment(day, self.closes.hour, self.closes.minute)

    def is_open(self, moment: datetime) -> bool:
        day = self.calendar.day(moment)
        return self.calendar.is_open(day) and self.opening(day) <= moment < self.end_of(day)

    def next_opening(self, moment: datetime) -> datetime:
        """Return that moment if it is in open time, else the next opening."""
        day = self.calendar.next_open(self.calendar.day(moment))
        if moment >= self.end_of(day):
            day = self.calendar.open_day_after(day)
        return max(moment, self.opening(day))

    def work_day(self, moment: datetime, cutoff: time | None = None) -> date:
        """Return the open day on which work that comes in at that moment is begun; after the cutoff the next one."""
        day, until = self.calendar.day(moment), cutoff or self.cutoff
        is_late = moment >= self.calendar.moment(day, until.hour, until.minute)
        return self.calendar.open_day_after(day) if is_late else self.calendar.next_open(day)

    def end_of_open_day(self, now: datetime, count: int) -> datetime:
        """Return the closing time of the `count`-th open day after today."""
        return self.end_of(self.open_day(now, count))

    def open_day(self, now: datetime, count: int) -> date:
        """Return the `count`-th open day after today."""
        return self.calendar.add_open_days(self.calendar.day(now), count)
