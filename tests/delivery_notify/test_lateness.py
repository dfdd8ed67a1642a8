"""Forecast of lateness: quantiles of the shop's own delays, and warnings to staff before the cutoff of the day."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.clock import SharedClock
from services.delivery_notify.domain.lateness import (
    DuePromise,
    FirstDate,
    Forecast,
    Party,
    expected_day,
    forecast,
    forecasts,
    is_too_late,
    open_days_late,
    quantile,
    warnings,
)
from services.delivery_notify.domain.promise_accuracy import Dimension
from services.delivery_notify.policy.notification_rules import ForecastRules
from services.delivery_notify.sending.lateness_watch import LatenessWatch
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import CALENDAR, CALENDARS, RULES, at, line, placed
from tests.delivery_notify.service import notifying, take
from tests.running import OPS, STOREFRONT, Live

OSAKA = Party(Dimension.WAREHOUSE, "osaka")
TUESDAY, FRIDAY, MONDAY = date(2026, 3, 3), date(2026, 3, 6), date(2026, 3, 9)
RULE = ForecastRules(level=0.8, minimum_dates=5)
DELAYS = st.lists(st.integers(0, 60), min_size=5, max_size=80)
LEVELS = st.floats(0.01, 1.0)
DAYS = st.dates(date(2026, 1, 1), date(2027, 12, 31))


@given(DELAYS, LEVELS)
def test_a_quantile_is_the_smallest_delay_that_this_share_does_not_exceed(delays: list[int], level: float) -> None:
    found = quantile(delays, level)
    assert found in delays
    assert sum(delay <= found for delay in delays) >= level * len(delays) - 1e-6
    assert sum(delay < found for delay in delays) < level * len(delays)


@given(DELAYS, LEVELS, LEVELS)
def test_a_higher_level_never_gives_a_shorter_delay(delays: list[int], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert quantile(delays, low) <= quantile(delays, high)


@given(DELAYS.flatmap(lambda delays: st.tuples(st.just(delays), st.permutations(delays))))
def test_the_order_of_the_history_changes_nothing(histories: tuple[list[int], list[int]]) -> None:
    assert forecast(histories[0], RULE) == forecast(histories[1], RULE)


@given(st.lists(st.integers(0, 60), max_size=4))
def test_with_fewer_dates_than_required_there_is_no_forecast(delays: list[int]) -> None:
    assert forecast(delays, RULE) is None


@given(DAYS, st.integers(0, 60), st.integers(0, 60))
def test_a_longer_delay_is_never_expected_on_an_earlier_day(day: date, one: int, other: int) -> None:
    short, long = sorted((one, other))
    days = [expected_day(day, Forecast(9, 9, 0, delay), CALENDAR) for delay in (short, long)]
    assert day <= days[0] <= days[1]


@given(DAYS, st.integers(1, 60))
def test_a_later_day_is_expected_on_an_open_day_only(day: date, delay: int) -> None:
    assert CALENDAR.is_open(expected_day(day, Forecast(9, 9, 0, delay), CALENDAR))


@given(DAYS, st.integers(1, 40))
def test_the_delay_counted_from_an_expected_day_is_the_delay_it_came_from(day: date, delay: int) -> None:
    assert open_days_late(day, expected_day(day, Forecast(9, 9, 0, delay), CALENDAR), CALENDAR) == delay


@given(DAYS, st.integers(0, 400))
def test_only_a_date_that_was_done_later_is_late(day: date, later: int) -> None:
    assert (open_days_late(day, day + timedelta(days=later), CALENDAR) > 0) == (later > 0)


def test_a_weekend_between_two_days_is_no_delay_of_its_own() -> None:
    assert open_days_late(FRIDAY, MONDAY, CALENDAR) == 1


def test_a_date_that_is_still_missed_counts_with_its_delay_so_far() -> None:
    dates = [FirstDate(OSAKA, TUESDAY, None)] * 5
    assert forecasts(dates, FRIDAY, CALENDARS, RULE) == {OSAKA: Forecast(5, 5, 3, 3)}


def test_the_history_of_one_party_says_nothing_about_another() -> None:
    dates = [FirstDate(OSAKA, TUESDAY, FRIDAY)] * 5
    known = forecasts(dates, FRIDAY, CALENDARS, RULE)
    nara = DuePromise(Party(Dimension.WAREHOUSE, "nara"), "O-1", FRIDAY)
    assert warnings([nara], known, CALENDARS) == []


@pytest.mark.parametrize(("delay", "warned"), [(0, False), (1, True)])
def test_a_promise_of_today_that_is_expected_later_is_warned_about(delay: int, warned: bool) -> None:
    known = {OSAKA: Forecast(30, 10, 0, delay)}
    assert bool(warnings([DuePromise(OSAKA, "O-1", FRIDAY)], known, CALENDARS)) is warned


@pytest.mark.parametrize(("useful_until", "too_late"), [(MONDAY, False), (FRIDAY, True)])
def test_a_delay_that_the_customer_has_time_for_is_not_too_late(useful_until: date, too_late: bool) -> None:
    promise = DuePromise(OSAKA, "O-1", FRIDAY, useful_until)
    assert is_too_late(promise, Forecast(30, 10, 0, 1), CALENDARS) is too_late


def test_a_warning_counts_the_promises_that_are_late_by_the_share_of_the_history() -> None:
    due = [DuePromise(OSAKA, f"O-{number}", FRIDAY) for number in range(12)]
    (found,) = warnings(due, {OSAKA: Forecast(40, 10, 0, 2)}, CALENDARS)
    assert (found.due, found.expected_late, found.expected_day) == (12, 3, date(2026, 3, 10))
    assert len(found.order_ids) == 10


# --- the running service ------------------------------------------------------------------------------------------


@pytest.fixture
async def live(database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Live]:
    """A service on Friday, 6 March 2026, 12:00, with an unreliable warehouse."""
    SharedClock.create(tmp_path / "clock", at(FRIDAY, 12), speed=1)
    async with notifying(await database("delivery_notify"), clock_file=tmp_path / "clock") as live:
        for number in range(30):
            await past_date(live, f"P-{number}", done_at=at(TUESDAY if number < 20 else FRIDAY, 10))
        order = placed(line(promise=FRIDAY, warehouse="osaka"), placed_at=datetime(2026, 3, 2, tzinfo=UTC))
        await take(live, order)
        yield live


async def past_date(live: Live, order_id: str, done_at: datetime) -> None:
    """Store a first date of Tuesday and when its line was shipped."""
    row, made = (order_id, "line", "1", 1), at(TUESDAY, 0)
    pool = live.service.pool
    await pool.execute("INSERT INTO promises VALUES ($1, $2, $3, $4, $5, 'order.placed', $6)", *row, TUESDAY, made)
    notice = (uuid4(), made)
    await pool.execute("INSERT INTO promise_notifications VALUES ($1, $2, $3, $4, 'email', $5, $6)", *row, *notice)
    outcome = "INSERT INTO promise_outcomes VALUES ($1, $2, $3, 'osaka', NULL, NULL, $4, NULL)"
    await pool.execute(outcome, *row[:3], done_at)


async def staff_notices(live: Live) -> list[dict[str, str]]:
    rows = (await live.client.get("/ops/staff-notices", headers=OPS)).json()
    return [row["facts"] for row in rows if row["kind"] == "lateness_expected"]


async def test_staff_are_warned_once_before_the_cutoff_with_the_orders(live: Live, tmp_path: Path) -> None:
    SharedClock.create(tmp_path / "clock", at(FRIDAY, 14), speed=1)
    for watch in (LatenessWatch(live.service, RULES), LatenessWatch(live.service, RULES)):
        await watch.run_once()
    (facts,) = await staff_notices(live)
    assert (facts["party"], facts["history"], facts["orders"]) == ("warehouse osaka", "10 / 30", "O-1")
    assert facts["expected_by"] == "2026-03-11"


@pytest.mark.parametrize("hour", [time(12, 59), time(18)])
async def test_staff_are_not_warned_long_before_the_cutoff_or_after_it(live: Live, tmp_path: Path, hour: time) -> None:
    SharedClock.create(tmp_path / "clock", at(FRIDAY, hour.hour, hour.minute), speed=1)
    assert list(await LatenessWatch(live.service, RULES).run_once()) == []


async def test_the_forecast_is_shown_with_the_promises_of_today(live: Live) -> None:
    answer = (await live.client.get("/v1/promises/forecast", headers=OPS)).json()
    (osaka,) = answer["parties"]
    assert (osaka["dates"], osaka["late"], osaka["delay"], osaka["due_today"], osaka["too_late"]) == (30, 10, 3, 1, 1)


async def test_the_forecast_lists_the_warnings_that_staff_were_given(live: Live, tmp_path: Path) -> None:
    SharedClock.create(tmp_path / "clock", at(FRIDAY, 14), speed=1)
    await LatenessWatch(live.service, RULES).run_once()
    (warning,) = (await live.client.get("/v1/promises/forecast", headers=OPS)).json()["warnings"]
    assert (warning["by"], warning["name"], warning["day"], warning["due"]) == ("warehouse", "osaka", "2026-03-06", 1)
    assert (warning["expected_by"], warning["order_ids"]) == ("2026-03-11", ["O-1"])


async def test_each_day_is_checked_once_by_whichever_process_comes_first(live: Live, tmp_path: Path) -> None:
    """The next check of the warehouses is at 13:00, five hours before their cutoff."""
    SharedClock.create(tmp_path / "clock", at(FRIDAY, 14), speed=1)
    await LatenessWatch(live.service, RULES).run_once()
    rows = await live.service.pool.fetch("SELECT dimension, due_at FROM lateness_checks")
    assert {row["dimension"]: row["due_at"] for row in rows} == {
        "warehouse": at(FRIDAY + timedelta(days=1), 13),
        "carrier": at(FRIDAY, 15),
    }
    assert list(await LatenessWatch(live.service, RULES).run_once()) == []


async def test_the_storefront_may_not_read_the_forecast(live: Live) -> None:
    assert (await live.client.get("/v1/promises/forecast", headers=STOREFRONT)).status_code == 403
