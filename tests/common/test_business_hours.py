"""Open time: nights, weekends and public holidays do not count."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.shop_calendar import ShopCalendar

TOKYO = BusinessHours(ShopCalendar(ZoneInfo("Asia/Tokyo")))
BERLIN = BusinessHours(ShopCalendar(ZoneInfo("Europe/Berlin"), "DE"), time(9), time(17))
START = datetime(2024, 1, 1, tzinfo=UTC)
moments = st.timedeltas(timedelta(), timedelta(days=1800)).map(lambda span: START + span)
spans = st.timedeltas(timedelta(), timedelta(hours=100))


def local(text: str, hours: BusinessHours = TOKYO) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=hours.calendar.zone)


@pytest.mark.parametrize(
    ("start", "end", "open_hours"),
    [
        ("2026-03-10 11:00", "2026-03-10 14:30", 3.5),
        ("2026-03-10 08:00", "2026-03-10 23:00", 8),
        ("2026-03-13 17:00", "2026-03-16 11:00", 2),  # over a weekend
        ("2026-03-19 17:00", "2026-03-23 10:30", 1.5),  # the equinox is a holiday
        ("2026-03-14 09:00", "2026-03-15 20:00", 0),  # all of it a weekend
        ("2026-12-31 17:00", "2027-01-04 10:00", 1),  # new year
        ("2026-03-10 14:00", "2026-03-10 11:00", 0),
    ],
)
def test_only_open_time_counts(start: str, end: str, open_hours: float) -> None:
    assert TOKYO.between(local(start), local(end)) == timedelta(hours=open_hours)


@pytest.mark.parametrize(
    ("start", "hours", "end"),
    [
        ("2026-03-10 11:00", 4, "2026-03-10 15:00"),
        ("2026-03-13 17:00", 4, "2026-03-16 13:00"),
        ("2026-03-14 12:00", 8, "2026-03-16 18:00"),
        ("2026-03-10 20:00", 0, "2026-03-11 10:00"),
    ],
)
def test_a_moment_after_so_much_open_time(start: str, hours: int, end: str) -> None:
    assert TOKYO.after(local(start), timedelta(hours=hours)) == local(end)


def test_an_hour_of_summer_time_changes_no_open_hour() -> None:
    friday, monday = local("2026-03-27 12:00", BERLIN), local("2026-03-30 12:00", BERLIN)
    assert BERLIN.between(friday, monday) == timedelta(hours=8)


@given(moments, spans)
def test_the_two_belong_together(start: datetime, span: timedelta) -> None:
    for hours in (TOKYO, BERLIN):
        assert hours.between(start, hours.after(start, span)) == span


@given(moments, moments, moments)
def test_open_time_adds_up(first: datetime, second: datetime, third: datetime) -> None:
    start, middle, end = sorted((first, second, third))
    assert TOKYO.between(start, middle) + TOKYO.between(middle, end) == TOKYO.between(start, end)


@pytest.mark.parametrize(
    ("opens", "closes", "cutoff", "fault"), [(18, 10, 15, "opens"), (10, 10, 10, "opens"), (10, 18, 19, "cutoff")]
)
def test_hours_that_cannot_be_are_refused(opens: int, closes: int, cutoff: int, fault: str) -> None:
    with pytest.raises(ValueError, match=f"^{fault}: "):
        BusinessHours(TOKYO.calendar, time(opens), time(closes), time(cutoff))


@pytest.mark.parametrize(
    ("moment", "opening"),
    [
        ("2026-03-10 11:00", "2026-03-10 11:00"),
        ("2026-03-10 08:00", "2026-03-10 10:00"),
        ("2026-03-13 18:00", "2026-03-16 10:00"),  # a Friday evening
        ("2026-03-14 12:00", "2026-03-16 10:00"),
    ],
)
def test_the_next_opening_is_now_in_open_time(moment: str, opening: str) -> None:
    assert TOKYO.next_opening(local(moment)) == local(opening)
    assert TOKYO.is_open(local(moment)) == (moment == opening)


@pytest.mark.parametrize(
    ("moment", "day"),
    [("2026-03-13 14:59", 13), ("2026-03-13 15:00", 16), ("2026-03-13 08:00", 13), ("2026-03-14 09:00", 16)],
)
def test_work_after_the_cutoff_is_begun_on_the_next_open_day(moment: str, day: int) -> None:
    assert TOKYO.work_day(local(moment)).day == day
