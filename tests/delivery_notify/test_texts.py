"""Phrases, legal sentences and staff texts, in both languages."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from libs.common.events.notices import ChangeSubject, NoticeKind
from libs.common.events.values import Address, Choice, Language
from libs.common.web.translations import read_translations
from services.delivery_notify.domain.change_request import RequestStatus
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.domain.staff_notices import StaffKind
from services.delivery_notify.http.pages import rendering
from services.delivery_notify.http.pages.choice_page import INCOMPLETE
from services.delivery_notify.rendering.texts import legal, phrases
from services.delivery_notify.rendering.texts.staff import StaffTexts

TOKYO = ZoneInfo("Asia/Tokyo")
STAFF_FACTS = {
    "order_id": "O-1",
    "customer_id": "C-1",
    "topic": "issues",
    "cause": "<http 400>",
    "requested": "cancel",
    "party": "warehouse osaka",
}


@pytest.mark.parametrize(
    ("count", "last_item", "english", "japanese"),
    [
        (1, None, "Thank you for your first order with us.", "はじめてのご注文をいただき、ありがとうございます。"),
        (1, "cup", "Thank you for your first order with us.", "はじめてのご注文をいただき、ありがとうございます。"),
        (3, None, "Thank you for your 3rd order with us.", "3回目のご注文をいただき、いつもありがとうございます。"),
        (
            2,
            "cup",
            "Thank you for your 2nd order with us, after cup last time.",
            "前回の「cup」に続き、2回目のご注文をいただき、いつもありがとうございます。",
        ),
        (None, None, "Thank you for shopping with us.", "ご利用いただき、ありがとうございます。"),
        (
            None,
            "cup",
            "Thank you for shopping with us again, after cup last time.",
            "前回の「cup」に続き、ご注文をいただき、ありがとうございます。",
        ),
    ],
)
def test_the_closing_line_names_what_is_known(
    count: int | None, last_item: str | None, english: str, japanese: str
) -> None:
    assert phrases.thanks(count, Language.EN, last_item) == english
    assert phrases.thanks(count, Language.JA, last_item) == japanese


@pytest.mark.parametrize(
    ("points", "language", "text"),
    [
        (1, Language.EN, "1 point"),
        (2, Language.EN, "2 points"),
        (1549, Language.EN, "1,549 points"),
        (1549, Language.JA, "1,549ポイント"),
    ],
)
def test_points_are_counted(points: int, language: Language, text: str) -> None:
    assert phrases.localized_points(points, language) == text


@pytest.mark.parametrize(
    ("language", "text"),
    [(Language.JA, "2027年3月8日(月) 10:00"), (Language.EN, "Monday, 8 March 2027 at 10:00 (JST)")],
)
def test_a_time_is_that_of_the_shop(language: Language, text: str) -> None:
    assert phrases.localized_datetime(datetime(2027, 3, 8, 1, tzinfo=UTC), TOKYO, language) == text


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("default", Choice)
def test_a_choice_names_its_deadline_and_its_default(language: Language, default: Choice) -> None:
    note = phrases.choice_note(datetime(2027, 3, 8, 1, tzinfo=UTC), default, TOKYO, language)
    assert "10:00" in note
    assert note.endswith(phrases.PHRASES[language].default_notes[default])


@pytest.mark.parametrize(("quantity", "item", "counted"), [(1, "cup", "cup × 1"), (2, "cup × 2", "cup × 2")])
def test_a_quantity_of_one_is_named_only_where_it_must_be(quantity: int, item: str, counted: str) -> None:
    assert (phrases.item_with_quantity("cup", quantity), phrases.counted_item("cup", quantity)) == (item, counted)


@pytest.mark.parametrize("language", Language)
def test_a_notice_without_terms_has_no_legal_sentence(language: Language) -> None:
    assert legal.required_sentences(NoticeKind.ORDER_DELAYED, NoticeFacts(day=date(2027, 3, 12)), language) == []


@pytest.mark.parametrize("language", Language)
def test_both_languages_have_the_same_legal_sentences(language: Language) -> None:
    assert list(legal.SENTENCES[language]) == list(legal.SENTENCES[Language.JA])


def test_the_choice_page_has_a_text_for_what_the_contract_and_the_form_allow() -> None:
    texts = read_translations(rendering.TRANSLATIONS_FOLDER)
    wanted = [f"answered.{choice}" for choice in Choice] + [f"refused.{code}" for code in INCOMPLETE]
    wanted += [f"{table}.{change}" for table in ("change", "answered_change") for change in ChangeSubject]
    wanted += [f"outcome.{status}" for status in RequestStatus if status is not RequestStatus.OPEN]
    wanted += ["answered_change.variant"] + [f"address.{name}" for name in Address.model_fields]
    wanted += [f"channel.{name}" for name in ("email", "line", "sms")] + [
        f"closed.{cause}" for cause in ("other", "overdue")
    ]
    assert [key for key in wanted if key not in texts] == []


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("kind", StaffKind)
def test_every_staff_notice_has_a_subject_an_instruction_and_its_facts(kind: StaffKind, language: Language) -> None:
    rendered = StaffTexts(language, "Shop").render(kind, STAFF_FACTS)
    assert "{" not in rendered.subject
    assert rendered.text.endswith("topic: issues\n")
    assert "&lt;http 400&gt;" in rendered.html


def test_a_staff_notice_of_a_request_names_it_in_the_language_of_the_staff() -> None:
    rendered = StaffTexts(Language.JA, "Shop").render(StaffKind.CHANGE_REQUESTED, STAFF_FACTS)
    assert rendered.subject == "お客様からのご希望(キャンセル): ご注文 O-1"


def test_a_staff_notice_of_an_unknown_kind_cannot_be_rendered() -> None:
    with pytest.raises(ValueError, match="song"):
        StaffTexts(Language.EN, "Shop").render("song", STAFF_FACTS)


def test_a_staff_notice_without_its_facts_cannot_be_rendered() -> None:
    with pytest.raises(KeyError):
        StaffTexts(Language.EN, "Shop").render(StaffKind.NOTICE_FAILED, {})
