"""The file of report windows: the shipped one is valid, and each error is refused with its name."""

from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from libs.common.events.values import Reason
from services.intake.policy.eligibility_rules import DEFAULT_FILE, EligibilityRulesError, ReportWindow, read_rules
from tests.intake.event_builders import RULES

TOKYO = ZoneInfo("Asia/Tokyo")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "eligibility_rules.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def test_every_reason_has_a_window() -> None:
    assert set(read_rules(TOKYO).windows) == set(Reason)


def test_reports_wait_a_quarter_of_an_hour() -> None:
    assert read_rules(TOKYO).order_wait == timedelta(minutes=15)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("[windows.changed_mind]", "[windows.changed]", "windows.changed"),
        ("[windows.changed_mind]", "[[windows.lost_in_transit.overrides]]", "windows"),
        ('source = "EU: 14 days', 'origin = "EU: 14 days', "windows.changed_mind.source"),
        ("noticed_days = 365\nlatest_days = 3650", "noticed_days = 365", "windows.defective"),
        ("first_response_hours = 4", "first_response_hours = 0", "targets.first_response_hours"),
        ("days = 14", "days = 0", "windows.changed_mind.days"),
        ("days = 14", "day = 14", "windows.changed_mind.days"),
        ('units = "shipped"', 'units = "sent"', "windows.missing_item.units"),
        ("order_wait_minutes = 15", "order_wait_minutes = -1", "order_wait_minutes"),
        ("order_wait_minutes = 15", "order_wait_minutes 15", "eligibility_rules.toml"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(EligibilityRulesError, match=named.replace(".", r"\.")):
        read_rules(TOKYO, changed(tmp_path, old, new))


JAPAN, GERMANY, AMERICA = (RULES.window(Reason.DEFECTIVE, market, None) for market in ("JP", "DE", "US"))
DELIVERED = date(2024, 3, 1)


@pytest.mark.parametrize(
    ("window", "noticed_on", "last"),
    [
        (JAPAN, None, date(2026, 3, 1)),
        (JAPAN, date(2026, 2, 1), date(2027, 2, 1)),  # hidden: a year from knowing it
        (JAPAN, date(2024, 4, 1), date(2026, 3, 1)),  # the window from delivery is longer
        (JAPAN, date(2034, 1, 1), date(2034, 2, 27)),  # never beyond ten years from delivery
        (JAPAN, date(2020, 1, 1), date(2026, 3, 1)),  # noticed before it came: counts from when it came
        (GERMANY, date(2026, 2, 1), date(2026, 3, 1)),  # two years from delivery, whenever it was noticed
        (AMERICA, date(2026, 2, 1), date(2026, 3, 1)),
    ],
)
def test_the_last_day_of_what_was_hidden(window: ReportWindow, noticed_on: date | None, last: date) -> None:
    assert window.last_day(DELIVERED, noticed_on) == last


def test_every_window_says_where_it_comes_from() -> None:
    windows = RULES.windows.values()
    sources = [one.source for one in windows] + [one.source for window in windows for one in window.overrides]
    assert all(len(source) > 20 for source in sources)


def test_a_product_group_may_have_a_window_of_its_own(tmp_path: Path) -> None:
    flowers = 'days = 14\nunits = "delivered"\noverrides = [{groups = ["flowers"], days = 1, source = "they wither"}]'
    rules = read_rules(TOKYO, changed(tmp_path, 'days = 14\nunits = "delivered"', flowers))
    found = [rules.window(Reason.CHANGED_MIND, "JP", group).days for group in ("flowers", "kettles", None)]
    assert found == [1, 14, 14]


@given(st.sampled_from(Reason), st.dates(date(2000, 1, 1), date(2050, 1, 1)), st.none() | st.dates())
@example(Reason.DEFECTIVE, date(2026, 3, 1), date.max)
def test_knowing_later_never_takes_time_away(reason: Reason, moved_on: date, noticed_on: date | None) -> None:
    window = RULES.window(reason, "JP", None)
    assert window.last_day(moved_on, noticed_on) >= window.last_day(moved_on, None)
