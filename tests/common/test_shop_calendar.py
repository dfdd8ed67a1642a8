"""Japanese shop calendar: weekends, holidays, and local hours."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.shop_calendar import Closure, ShopCalendar

TOKYO = ShopCalendar(ZoneInfo("Asia/Tokyo"))
NEW_YORK = ShopCalendar(ZoneInfo("America/New_York"), "US")


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        (date(2027, 3, 12), date(2027, 3, 12)),  # a Friday
        (date(2027, 3, 13), date(2027, 3, 15)),  # a weekend
        (date(2027, 1, 1), date(2027, 1, 4)),  # New Year's Day, then a weekend
        (date(2027, 5, 3), date(2027, 5, 6)),  # Constitution, Greenery and Children's Day
    ],
)
def test_the_next_open_day_skips_weekends_and_holidays(day: date, opens: date) -> None:
    assert TOKYO.next_open(day) == opens


@pytest.mark.parametrize(("year", "last"), [(2027, date(2027, 2, 28)), (2028, date(2028, 2, 29))])
def test_a_yearly_closure_until_the_29th_of_february_ends_with_that_month(year: int, last: date) -> None:
    closure = Closure(date(2028, 2, 25), date(2028, 2, 29), yearly=True)
    assert max(closure.days_in(year)) == last


def test_open_days_are_counted_from_the_first_open_one() -> None:
    assert TOKYO.add_open_days(date(2027, 3, 13), 2) == date(2027, 3, 17)


def test_late_evening_in_utc_is_already_tomorrow_in_tokyo() -> None:
    assert TOKYO.day(datetime(2027, 3, 12, 15, 30, tzinfo=UTC)) == date(2027, 3, 13)


def test_an_hour_of_the_shop_is_given_in_utc() -> None:
    assert TOKYO.moment(date(2027, 3, 12), 9) == datetime(2027, 3, 12, 0, tzinfo=UTC)


def test_local_noon_stays_noon_over_summer_time() -> None:
    assert NEW_YORK.moment(date(2027, 3, 13), 12).hour == 17
    assert NEW_YORK.moment(date(2027, 3, 15), 12).hour == 16


@given(st.dates(date(2020, 1, 1), date(2040, 1, 1)), st.integers(0, 20))
def test_added_open_days_always_end_on_an_open_day_not_before_the_start(day: date, count: int) -> None:
    end = TOKYO.add_open_days(day, count)
    assert TOKYO.is_open(end)
    assert end >= day


def test_a_shop_that_never_opens_is_refused() -> None:
    with pytest.raises(ValueError, match="closed_weekdays"):
        ShopCalendar(ZoneInfo("Asia/Tokyo"), closed_weekdays=range(7))
