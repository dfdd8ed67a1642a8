"""Form of the choice page, as browsers and others send it."""

from datetime import date

import pytest

from libs.common.events.notices import ChangeSubject
from libs.common.events.values import Choice
from services.delivery_notify.http.pages.choice_form import MAX_FIELD_LENGTH, ChoiceForm, parse_form

HOME = {"name": "山田 花子", "postal_code": "5300001", "country": "jp", "city": "大阪市", "street": "梅田 1-1"}


def parse(**fields: str) -> ChoiceForm:
    return parse_form(fields)


@pytest.mark.parametrize("choice", Choice)
def test_each_choice_is_read(choice: Choice) -> None:
    assert parse(choice=choice).choice is choice


@pytest.mark.parametrize(
    "fields", [{}, {"choice": ""}, {"choice": "explode"}, {"choice": "\N{REPLACEMENT CHARACTER}"}, {"Choice": "wait"}]
)
def test_an_unknown_choice_is_none(fields: dict[str, str]) -> None:
    assert parse_form(fields).choice is None


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("", ChangeSubject.DATE),
        ("item", ChangeSubject.ITEM),
        ("address", ChangeSubject.ADDRESS),
        ("colour", ChangeSubject.DATE),
    ],
)
def test_a_change_is_one_of_the_date_unless_it_names_another(change: str, found: ChangeSubject) -> None:
    assert parse(change=change).change is found


@pytest.mark.parametrize(
    ("text", "day"),
    [("2027-03-12", date(2027, 3, 12)), (" 2027-03-12 ", date(2027, 3, 12)), ("soon", None), ("", None)],
)
def test_a_date_is_read_or_missing(text: str, day: date | None) -> None:
    assert parse(requested_date=text).requested_date == day


def test_a_field_is_kept_on_one_line_and_cut_at_its_limit() -> None:
    form = parse(requested_sku="a\r\n b" + "c" * MAX_FIELD_LENGTH)
    assert form.entered["requested_sku"].startswith("a bccc")
    assert len(form.entered["requested_sku"]) == MAX_FIELD_LENGTH


def test_only_known_fields_that_are_filled_in_are_shown_again() -> None:
    assert parse(choice="change", name="花子", city=" ", unknown="x").entered == {"name": "花子"}


def test_a_complete_address_is_read_with_its_country_in_capitals() -> None:
    address = parse(**HOME).address
    assert address is not None
    assert (address.name, address.country) == ("山田 花子", "JP")


@pytest.mark.parametrize("missing", HOME)
def test_an_address_without_a_required_field_is_missing(missing: str) -> None:
    assert parse(**{**HOME, missing: ""}).address is None
