"""The demo's closed season: the same days in its calendar file and at its warehouse."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from deploy.demo.partners.warehouse import is_working_day, next_working_day
from deploy.demo.system import CALENDAR_FILE
from libs.common.config.calendar_file import read_calendars

CALENDARS = read_calendars(CALENDAR_FILE, ZoneInfo("Asia/Tokyo"))
STORY = [date(2026, 3, 2) + timedelta(days=days) for days in range(20)]


@pytest.mark.parametrize("day", STORY)
def test_the_warehouse_works_on_the_days_of_the_calendar_file(day: date) -> None:
    assert is_working_day(day) is CALENDARS.warehouse().is_open(day)


def test_after_the_season_the_warehouse_goes_on_on_monday() -> None:
    assert next_working_day(date(2026, 3, 17)) == date(2026, 3, 23)


def test_the_shop_is_closed_for_the_season() -> None:
    closed = [day for day in STORY if day.weekday() < 5 and not CALENDARS.shop.is_open(day)]
    assert closed == [date(2026, 3, day) for day in (18, 19, 20)]
