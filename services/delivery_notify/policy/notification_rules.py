"""Inputs of a decision besides the event: the shop calendar and the notification rules (`notification_rules.toml`)."""

import tomllib
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from libs.common.decisions.shop_calendar import ShopCalendar

FILE = Path(__file__).with_name("notification_rules.toml")
RHYTHMS = ("half_month", "from_order")


@dataclass(frozen=True, slots=True)
class Rules:
    """`ship_cutoff` and `arrival_cutoff` are local times; renewals, gaps and transit count open days."""

    calendar: ShopCalendar
    ship_cutoff: time = time(18)
    arrival_cutoff: time = time(20)
    renewals: tuple[int, ...] = ()
    preorder_renewals: tuple[int, ...] = ()
    arrival_renewals: tuple[int, ...] = ()
    transit: int = 2
    gaps: tuple[int, ...] = (1, 2, 3)
    last_gap: int = 5
    word_hour: int = 12
    gather: timedelta = timedelta(minutes=10)
    grace: timedelta = timedelta(minutes=15)
    margin: timedelta = timedelta(minutes=1)
    rhythm: str = "half_month"

    def gap(self, words: int) -> int:
        """Open days to our next word, when so many were said already."""
        return self.gaps[words] if words < len(self.gaps) else self.last_gap

    def next_word(self, now: datetime, words: int) -> date:
        return self.calendar.add_open_days(self.calendar.day(now), self.gap(words))

    def word_moment(self, day: date) -> datetime:
        return self.calendar.moment(day, self.word_hour)

    def cutoff(self, day: date, at: time) -> datetime:
        return self.calendar.moment(day, at.hour, at.minute)

    def end_of(self, day: date) -> datetime:
        """The moment at which that day is over in the shop: a promise for it is broken then."""
        return self.calendar.moment(day + timedelta(days=1), 0)


def rules_of(calendar: ShopCalendar, file: Path = FILE, **changes: Any) -> Rules:
    """The rules of the file, with `changes` (a setting) before it. Raises `ValueError` where they make no sense."""
    read = tomllib.loads(file.read_text(encoding="utf-8"))
    ship, arrival, words, kind = read["ship"], read["arrival"], read["words"], read["kindness"]
    rules = Rules(
        calendar,
        ship_cutoff=time.fromisoformat(ship["cutoff"]),
        arrival_cutoff=time.fromisoformat(arrival["cutoff"]),
        renewals=tuple(ship["renewals"]),
        preorder_renewals=tuple(ship["preorder_renewals"]),
        arrival_renewals=tuple(arrival["renewals"]),
        transit=arrival["transit"],
        gaps=tuple(words["gaps"]),
        last_gap=words["last"],
        word_hour=words["hour"],
        gather=timedelta(minutes=kind["notice_batching_minutes"]),
        grace=timedelta(minutes=kind["grace_minutes"]),
        margin=timedelta(seconds=kind["margin_seconds"]),
        rhythm=read["preorders"]["rhythm"],
    )
    return _sound(replace(rules, **{name: value for name, value in changes.items() if value is not None}))


def _sound(rules: Rules) -> Rules:
    days = (*rules.renewals, *rules.preorder_renewals, *rules.arrival_renewals, *rules.gaps, rules.last_gap)
    if any(count < 1 for count in days):
        raise ValueError("renewals, gaps, last: give open days of 1 or more; a broken promise is not renewed for today")
    if rules.rhythm not in RHYTHMS:
        raise ValueError(f"rhythm: {rules.rhythm!r} is none of {', '.join(RHYTHMS)}")
    return rules
