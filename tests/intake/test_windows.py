"""The file of windows: right as it is, and refused with the name of what is wrong."""

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.values import Reason
from services.intake.windows import DEFAULT_FILE, WindowsError, read_rules

TOKYO = ZoneInfo("Asia/Tokyo")


def changed(tmp_path: Path, old: str, new: str) -> Path:
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "windows.toml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    return file


def test_every_reason_has_a_window() -> None:
    assert set(read_rules(TOKYO).windows) == set(Reason)


def test_reports_wait_a_quarter_of_an_hour() -> None:
    assert read_rules(TOKYO).patience == timedelta(minutes=15)


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
        ('pieces = "shipped"', 'pieces = "sent"', "windows.missing_item.pieces"),
        ("waiting_minutes = 15", "waiting_minutes = -1", "waiting_minutes"),
        ("waiting_minutes = 15", "waiting_minutes 15", "windows.toml"),
    ],
)
def test_a_wrong_entry_is_refused_by_its_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    with pytest.raises(WindowsError, match=named.replace(".", r"\.")):
        read_rules(TOKYO, changed(tmp_path, old, new))
