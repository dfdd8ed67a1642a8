"""The demo's closed season: the same days in its calendar file and at its warehouse."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from deploy.demo.data import bundled
from deploy.demo.partners.warehouse import is_working_day, next_working_day
from deploy.demo.system import CALENDAR_FILE
from libs.common.config.calendar_file import read_calendars

CALENDARS = read_calendars(CALENDAR_FILE, ZoneInfo("Asia/Tokyo"))
STORY = [date(2026, 3, 2) + timedelta(days=days) for days in range(20)]


@pytest.mark.parametrize("name", [None, "saitama", "osaka"])
@pytest.mark.parametrize("day", STORY)
def test_each_warehouse_works_on_the_days_of_the_calendar_file(day: date, name: str | None) -> None:
    assert is_working_day(day, name) is CALENDARS.warehouse(name).is_open(day)


def test_the_warehouses_of_the_bundled_orders_have_calendars_of_their_own() -> None:
    named = {line.warehouse for order in bundled.read().orders for line in order.lines}
    assert named == set(CALENDARS.warehouses) - {"default"}


def test_no_bundled_order_is_promised_for_a_weekday_on_which_its_warehouse_is_closed() -> None:
    lines = [line for order in bundled.read().orders for line in order.lines]
    closed = {6}  # Sunday
    assert not [line for line in lines if line.warehouse == "osaka" and line.promised_ship_date.weekday() in closed]


def test_after_the_season_the_warehouse_goes_on_on_monday() -> None:
    assert next_working_day(date(2026, 3, 17)) == date(2026, 3, 23)


def test_the_shop_is_closed_for_the_season() -> None:
    closed = [day for day in STORY if day.weekday() < 5 and not CALENDARS.shop.is_open(day)]
    assert closed == [date(2026, 3, day) for day in (18, 19, 20)]
