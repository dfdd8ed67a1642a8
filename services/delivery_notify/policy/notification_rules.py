"""Notification rules (`notification_rules.toml`) with the shop calendar."""

import tomllib
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from libs.common.decisions.shop_calendar import ShopCalendar

FILE = Path(__file__).with_name("notification_rules.toml")
PREORDER_SCHEDULES = ("half_month", "from_order")


@dataclass(frozen=True, slots=True)
class NotificationRules:
    """Rules for notices about promises. Cutoffs are local times; renewals, gaps and transit count open days."""

    calendar: ShopCalendar
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


def load_rules(calendar: ShopCalendar, file: Path = FILE, **changes: Any) -> NotificationRules:
    """Load the rules of the file; `changes` (settings) override them. Raises `ValueError` for invalid rules."""
    read = tomllib.loads(file.read_text(encoding="utf-8"))
    ship, delivery, updates, batching = read["ship"], read["delivery"], read["updates"], read["batching"]
    rules = NotificationRules(
        calendar,
        ship_cutoff=time.fromisoformat(ship["cutoff"]),
        delivery_cutoff=time.fromisoformat(delivery["cutoff"]),
        ship_renewals=tuple(ship["renewals"]),
        preorder_renewals=tuple(ship["preorder_renewals"]),
        delivery_renewals=tuple(delivery["renewals"]),
        transit_days=delivery["transit_days"],
        update_gaps=tuple(updates["gaps"]),
        last_update_gap=updates["last_gap"],
        update_hour=updates["hour"],
        batching_delay=timedelta(minutes=batching["notice_batching_minutes"]),
        overdue_grace=timedelta(minutes=batching["grace_minutes"]),
        deadline_margin=timedelta(seconds=batching["margin_seconds"]),
        preorder_schedule=read["preorders"]["schedule"],
    )
    return _validated(replace(rules, **{name: value for name, value in changes.items() if value is not None}))


def _validated(rules: NotificationRules) -> NotificationRules:
    days = (
        *rules.ship_renewals,
        *rules.preorder_renewals,
        *rules.delivery_renewals,
        *rules.update_gaps,
        rules.last_update_gap,
    )
    if any(count < 1 for count in days):
        raise ValueError(
            "renewals, gaps, last_gap: must be 1 or more open days; a broken promise cannot be renewed for today"
        )
    if rules.preorder_schedule not in PREORDER_SCHEDULES:
        raise ValueError(f"schedule: {rules.preorder_schedule!r} is none of {', '.join(PREORDER_SCHEDULES)}")
    return rules
