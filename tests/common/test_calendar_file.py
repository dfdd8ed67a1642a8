"""Calendar file: one for all parties, refused with the entry and the remedy where it cannot be right."""

from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.config.calendar_file import BUNDLED_CALENDAR, CalendarError, read_calendars
from libs.common.decisions.calendars import Calendars
from libs.common.decisions.shop_calendar import Closure, ShopCalendar

TOKYO = ZoneInfo("Asia/Tokyo")
SHOP = '[shop]\ncountry = "JP"\nopens = "10:00"\ncloses = "18:00"\ncutoff = "15:00"\n'
OBON = '[[shop.closures]]\nname = "お盆"\nfrom = "08-13"\nto = "08-16"\n'


def calendars(folder: Path, text: str) -> Calendars:
    file = folder / "calendar.toml"
    file.write_text(text, encoding="utf-8")
    return read_calendars(file, TOKYO)


def test_the_shop_of_the_bundled_file_is_closed_over_new_year() -> None:
    shop = read_calendars(BUNDLED_CALENDAR, TOKYO).shop
    assert shop.add_open_days(date(2026, 12, 28), 1) == date(2027, 1, 4)


def test_its_carriers_deliver_on_every_day() -> None:
    carrier = read_calendars(BUNDLED_CALENDAR, TOKYO).carrier("Demo Express")
    assert all(carrier.is_open(date(2026, 12, 27) + timedelta(days=number)) for number in range(10))


def test_a_closure_of_every_year_repeats(tmp_path: Path) -> None:
    shop = calendars(tmp_path, SHOP + OBON).shop
    assert [shop.next_open(date(year, 8, 13)) for year in (2026, 2027)] == [date(2026, 8, 17), date(2027, 8, 17)]


def test_a_closure_of_one_year_does_not_repeat(tmp_path: Path) -> None:
    shop = calendars(tmp_path, SHOP + "[[shop.closures]]\nfrom = 2026-06-15\nto = 2026-06-17\n").shop
    assert shop.next_open(date(2026, 6, 15)) == date(2026, 6, 18)
    assert shop.next_open(date(2027, 6, 15)) == date(2027, 6, 15)


def test_a_warehouse_is_as_the_shop_but_for_what_it_states(tmp_path: Path) -> None:
    found = calendars(tmp_path, SHOP + OBON + '[warehouses.Osaka]\nclosed_weekdays = ["sunday"]\ncutoff = "12:00"\n')
    assert found.warehouse("osaka").next_open(date(2026, 8, 13)) == date(2026, 8, 17)
    assert found.warehouse("OSAKA").is_open(date(2026, 8, 22))  # a Saturday
    assert found.warehouse_hours("osaka").cutoff.hour == 12
    assert found.warehouse("elsewhere") is found.shop


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SHOP.replace("JP", "XX"), "shop.country: XX"),
        (SHOP.replace('"10:00"', '"19:00"'), "shop: opens: 19:00"),
        (SHOP.replace('"15:00"', '"15:00:30"'), "shop.cutoff: "),
        (SHOP + "closed = true\n", "shop.closed: "),
        (SHOP + '[[shop.closures]]\nfrom = "08-13"\nto = 2027-08-16\n', "write both"),
        (SHOP + '[[shop.closures]]\nfrom = "02-30"\nto = "03-02"\n', "no day of a year"),
        (SHOP + "[[shop.closures]]\nfrom = 2027-08-16\nto = 2027-08-13\n", "last closed day"),
        (SHOP + '[[shop.closures]]\nfrom = "02-01"\nto = "08-01"\n', "at most 92"),
        (SHOP + '[carriers.a]\nclosed_weekdays = ["monday", "tuesday", "wednesday", "thursday", "friday"]\n'
         + "[carriers.A]\n", "carriers.A: another entry"),
        ("[shop", "not TOML"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_right_is_refused_with_the_entry(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(CalendarError, match=fault):
        calendars(tmp_path, text)


def test_all_entries_that_cannot_be_right_are_named_at_once(tmp_path: Path) -> None:
    wrong = 'opens = "19:00"\ncloses = "18:00"\n'
    text = SHOP.replace('"10:00"', '"19:00"') + f"[warehouses.Osaka]\n{wrong}[carriers.a]\n{wrong}[carriers.A]\n"
    with pytest.raises(CalendarError) as refused:
        calendars(tmp_path, text)
    named = ["shop: ", "warehouses.Osaka: ", "carriers.a: ", "carriers.A: "]
    assert [where for where in named if where in str(refused.value)] == named


def test_closures_without_an_open_day_between_them_are_refused(tmp_path: Path) -> None:
    spans = (("01-01", "03-31"), ("04-01", "06-30"))
    closed = "".join(f'[[shop.closures]]\nfrom = "{first}"\nto = "{last}"\n' for first, last in spans)
    with pytest.raises(CalendarError, match="no open day within 120 days"):
        calendars(tmp_path, SHOP + closed)


def test_a_changed_file_has_another_fingerprint(tmp_path: Path) -> None:
    assert calendars(tmp_path, SHOP).fingerprint != calendars(tmp_path, SHOP + OBON).fingerprint


CLOSURES = st.builds(
    lambda first, days, yearly: Closure(first, first + timedelta(days=days), yearly),
    st.dates(date(2024, 1, 1), date(2032, 1, 1)),
    st.integers(0, 40),
    st.booleans(),
)
PARTIES = st.builds(
    lambda country, weekdays, closures: ShopCalendar(TOKYO, country, weekdays, closures),
    st.sampled_from(["JP", "DE", "US", None]),
    st.frozensets(st.integers(0, 6), max_size=5),
    st.lists(CLOSURES, max_size=3),
)


@given(PARTIES, st.dates(), st.integers(0, 12))
def test_open_days_are_found_for_every_day_there_is(party: ShopCalendar, day: date, count: int) -> None:
    found = party.add_open_days(day, count)
    assert found >= day
    assert party.is_open(found) or found == date.max


@given(PARTIES, st.dates(date(2024, 1, 1), date(2032, 1, 1)))
def test_the_open_days_around_a_day_have_no_open_day_between(party: ShopCalendar, day: date) -> None:
    before, after = party.previous_open(day), party.next_open(day)
    between = (before + timedelta(days=number) for number in range(1, (after - before).days))
    assert not any(party.is_open(each) for each in between)
