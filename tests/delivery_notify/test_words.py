"""Rendered notices: every kind, every language, as text and as HTML."""

import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine
from services.delivery_notify.rendering.template_samples import SAMPLES
from services.delivery_notify.rendering.template_variables import NO_CLOSING, TROUBLE
from services.delivery_notify.rendering.texts.phrases import PHRASES, localized_money, ordinal, thanks
from tests.delivery_notify.rendered_notices import RENDERER, sample_notice

DAY_AS_WRITTEN = {"ja": "2027年3月12日(金)", "en": "Friday, 12 March 2027", "de": "Freitag, 12. März 2027"}
GREETINGS = {"ja": "山田 花子 様", "en": "Dear 山田 花子,", "de": "Guten Tag 山田 花子,"}

EVERY = [(case, language) for case in SAMPLES for language in Language]
UNDATED = {NoticeKind.BUYER_WARNED, NoticeKind.CONTACT_CHANGED, NoticeKind.STAFF_REPLY}
DATED = [(case, language) for case, language in EVERY if SAMPLES[case][0] not in UNDATED]


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def words_of(html: str) -> str:
    parser = _Words()
    parser.feed(html.partition("<body")[2])
    return " ".join("".join(parser.found).split())


def test_every_kind_of_notice_has_a_sample() -> None:
    assert {kind for kind, _ in SAMPLES.values()} == set(NoticeKind)


@pytest.mark.parametrize(("case", "language"), DATED)
def test_a_notice_contains_its_definite_date_as_text_and_as_html(case: str, language: Language) -> None:
    rendered = RENDERER.render(sample_notice(case, language))
    assert DAY_AS_WRITTEN[language] in rendered.text
    assert DAY_AS_WRITTEN[language] in rendered.html


@pytest.mark.parametrize(("case", "language"), EVERY)
def test_text_and_html_have_the_same_content(case: str, language: Language) -> None:
    rendered = RENDERER.render(sample_notice(case, language))
    html = words_of(rendered.html)
    for paragraph in rendered.text.split("\n\n"):
        if not re.search(r"https://|^- |: ", paragraph, re.M):
            assert " ".join(paragraph.split()) in html


@pytest.mark.parametrize(("case", "language"), EVERY)
def test_no_fact_shows_through_as_code(case: str, language: Language) -> None:
    rendered = RENDERER.render(sample_notice(case, language))
    assert not re.search(r"None|\{\{|\{%|\||_stage|datetime|&lt;p", rendered.subject + rendered.text)


@pytest.mark.parametrize(("case", "language"), EVERY)
def test_a_notice_has_no_images_no_scripts_and_nothing_to_load(case: str, language: Language) -> None:
    assert not re.search(r"<img|<script|<link|src=|url\(", RENDERER.render(sample_notice(case, language)).html)


@pytest.mark.parametrize(("case", "language"), EVERY)
def test_a_notice_greets_by_name_and_thanks_unless_it_is_bad_news(case: str, language: Language) -> None:
    content = sample_notice(case, language)
    text = RENDERER.render(content).text
    assert text.startswith(GREETINGS[language])
    thanked = thanks(content.facts.purchase_count, language) in text
    assert thanked is (content.kind not in NO_CLOSING | TROUBLE)
    assert (PHRASES[language].patience in text) is (content.kind in TROUBLE)


@pytest.mark.parametrize("language", Language)
def test_what_is_about_no_order_names_none(language: Language) -> None:
    rendered = RENDERER.render(sample_notice("points expiring", language, last_purchased_item="青い急須"))
    assert not re.search("O-2027-0301|青い急須", rendered.text + rendered.html)


@pytest.mark.parametrize("language", Language)
def test_a_fact_that_is_missing_is_an_error_and_not_a_blank(language: Language) -> None:
    with pytest.raises(UndefinedError):
        RENDERER.render(replace(sample_notice("order delayed", language), facts=NoticeFacts()))


def test_what_a_name_contains_is_text_and_never_markup() -> None:
    html = RENDERER.render(sample_notice("order delayed", recipient_name="<b>花子</b>")).html
    assert "<b>" not in html


def test_what_an_item_is_called_cannot_break_the_layout() -> None:
    facts = replace(sample_notice("order early").facts, lines=(NoticeLine("a|b\n===\nc", 1),))
    assert "a/b === c" in RENDERER.render(sample_notice("order early", facts=facts)).text


@pytest.mark.parametrize(
    ("amount", "currency", "language", "written"),
    [
        ("3800", "JPY", Language.JA, "3,800円"),
        ("3800", "JPY", Language.EN, "¥3,800"),
        ("12.5", "USD", Language.EN, "$12.50"),
        ("12.5", "USD", Language.JA, "$12.50"),
        ("1234.5", "EUR", Language("de"), "1.234,50\xa0€"),
    ],
)
def test_money_is_written_as_the_language_does(amount: str, currency: str, language: Language, written: str) -> None:
    assert localized_money(Decimal(amount), currency, language) == written


@pytest.mark.parametrize(("number", "word"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (11, "11th"), (22, "22nd")])
def test_counts_are_written_as_english_does(number: int, word: str) -> None:
    assert ordinal(number, Language.EN) == word
