"""Rules of notices: what the file must contain, which settings override it, and the deadlines that follow."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import ShopCalendar
from services.delivery_notify.policy.notification_rules import FILE, NotificationRules, load_rules
from tests.delivery_notify.conversation_driver import CALENDARS, FRIDAY, MONDAY, RULES, at

TEXT = FILE.read_text(encoding="utf-8")


def load(tmp_path: Path, text: str) -> NotificationRules:
    file = tmp_path / "rules.toml"
    file.write_text(text, encoding="utf-8")
    return load_rules(CALENDARS, file)


def edited(old: str, new: str) -> str:
    assert TEXT.count(old) == 1, old
    return TEXT.replace(old, new)


def test_the_file_of_the_release_is_loaded(tmp_path: Path) -> None:
    assert load(tmp_path, TEXT) == RULES


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ('cutoff = "18:00"', "", "ship.cutoff: Field required"),
        ('cutoff = "18:00"', 'cutoff = "6pm"', "ship.cutoff: "),
        ('cutoff = "18:00"', 'cutoff = "25:00"', "ship.cutoff: "),
        ('cutoff = "18:00"', 'cutoff = "18:00:30"', "ship.cutoff: .*must be a local time of day in hours and minutes"),
        ('cutoff = "20:00"', 'cutoff = "20:00+09:00"', "delivery.cutoff: .*must be a local time"),
        ("renewals = [2, 4]", "renewals = [0]", "ship.renewals.0: .*greater than or equal to 1"),
        ("renewals = [2, 4]", "renewals = 2", "ship.renewals: "),
        ("renewals = [2, 4]", 'renewals = ["2"]', "ship.renewals.0: "),
        ("renewals = [2, 4]", "renewal = [2, 4]", "ship.renewals: Field required; ship.renewal: Extra inputs"),
        ("renewals = [3, 5]", "renewals = [3, -5]", "delivery.renewals.1: "),
        ("transit_days = 2", "transit_days = -1", "delivery.transit_days: "),
        ("gaps = [1, 2, 3]", "gaps = [1, 2.5]", "updates.gaps.1: "),
        ("last_gap = 5", "last_gap = 0", "updates.last_gap: .*greater than or equal to 1"),
        ("hour = 12", "hour = 24", "updates.hour: .*less than or equal to 23"),
        ("notice_batching_minutes = 10", "notice_batching_minutes = 61", "batching.notice_batching_minutes: "),
        ("grace_minutes = 15", "grace_minutes = true", "batching.grace_minutes: "),
        ("margin_seconds = 60", "margin_seconds = -1", "batching.margin_seconds: "),
        ('schedule = "half_month"', 'schedule = "weekly"', "preorders.schedule: .*'half_month' or 'from_order'"),
        ("[preorders]", "[preorder]", "preorders: Field required; preorder: Extra inputs"),
        ("[ship]", "[ship", "not TOML"),
    ],
)
def test_a_wrong_rule_is_refused_with_file_key_and_remedy(tmp_path: Path, old: str, new: str, fault: str) -> None:
    with pytest.raises(ValueError, match=rf"(?s)^rules\.toml: .*{fault}"):
        load(tmp_path, edited(old, new))


def test_all_faults_of_a_file_are_named_at_once(tmp_path: Path) -> None:
    text = edited("hour = 12", "hour = 24").replace("transit_days = 2", "transit_days = -1")
    with pytest.raises(ValueError, match=r"delivery\.transit_days: .*; updates\.hour: "):
        load(tmp_path, text)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_bytes(b"\xff\xfe[ship]")
    with pytest.raises(ValueError, match=r"^rules\.toml: not TOML in UTF-8"):
        load_rules(CALENDARS, file)


def test_a_setting_overrides_the_file_and_an_unset_one_does_not() -> None:
    rules = load_rules(CALENDARS, ship_cutoff=time(15, 30), delivery_cutoff=None, overdue_grace=timedelta(0))
    assert (rules.ship_cutoff, rules.delivery_cutoff, rules.overdue_grace) == (time(15, 30), time(20), timedelta(0))


@pytest.mark.parametrize(("sent", "gap"), [(0, 1), (1, 2), (2, 3), (3, 5), (40, 5)])
def test_updates_without_a_date_become_rarer(sent: int, gap: int) -> None:
    assert RULES.update_gap(sent) == gap


def test_the_next_update_is_on_an_open_day_of_the_shop() -> None:
    assert RULES.next_update_by(at(FRIDAY, 18), 0) == date(2027, 3, 8)
    assert RULES.next_update_by(at(date(2027, 4, 28), 9), 0) == date(2027, 4, 30)  # 29 April is a holiday


def test_a_day_ends_at_midnight_in_the_shop() -> None:
    assert RULES.end_of(FRIDAY) == datetime(2027, 3, 5, 15, tzinfo=UTC)
    berlin = load_rules(Calendars.of(ShopCalendar(ZoneInfo("Europe/Berlin"), "DE")))
    assert berlin.end_of(date(2027, 3, 27)) == datetime(2027, 3, 27, 23, tzinfo=UTC)
    assert berlin.end_of(date(2027, 3, 28)) == datetime(2027, 3, 28, 22, tzinfo=UTC)  # summer time began


def test_a_cutoff_is_kept_to_the_minute() -> None:
    assert RULES.cutoff(MONDAY.date(), time(17, 45)) == at(MONDAY.date(), 17, 45)
