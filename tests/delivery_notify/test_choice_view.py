"""HTML of the choice page for every state of a question."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.notices import ChangeSubject, DecidedBy, NoticeKind
from libs.common.events.values import Choice, Language
from libs.common.locales import LOCALES
from libs.common.web.brand import Brand
from services.delivery_notify.domain.change_request import ChangeRequest, RequestStatus
from services.delivery_notify.domain.conversation import Question, QuestionStatus
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.pages.choice_view import ChoiceView, Submission, choice_page
from services.delivery_notify.http.pages.rendering import open_renderer
from tests.delivery_notify.conversation_driver import CALENDAR, at

RENDERER = open_renderer("https://shop.example/after-sales/", Brand("Shop"), CALENDAR.zone)
NOW = at(date(2027, 3, 1), 12)
DUE = NOW + timedelta(days=2)
QUESTION = Question(
    derived_id("choice", 1),
    derived_id("notice", 1),
    NoticeKind.ORDER_DELAYED,
    (Choice.WAIT, Choice.CHANGE, Choice.CANCEL),
    Choice.WAIT,
    DUE,
)
FACTS = NoticeFacts(day=date(2027, 3, 12), previous_day=date(2027, 3, 5))


def page(now: datetime = NOW, submission: Submission | None = None, code: int = 200, **question: Any) -> str:
    view = ChoiceView("O-1", replace(QUESTION, **question), FACTS, Language.EN, "DE")
    response = choice_page(RENDERER, CALENDAR, view, now, code, submission)
    assert response.status_code == code
    return bytes(response.body).decode()


def text_of(key: str) -> str:
    return RENDERER.translations.text(key, Language.EN)


def test_an_open_question_shows_its_options_dates_and_deadline() -> None:
    html = page()
    assert text_of("title.question") in html
    assert html.count('name="choice"') == 3
    assert "Friday, 12 March 2027" in html
    assert "Please choose by Wednesday, 3 March 2027" in html


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ({"status": QuestionStatus.ANSWERED, "answer": Choice.CANCEL}, "answered.cancel"),
        (
            {"status": QuestionStatus.ANSWERED, "answer": Choice.CHANGE, "change": ChangeSubject.ITEM},
            "answered_change.item",
        ),
        (
            {"status": QuestionStatus.ANSWERED, "answer": Choice.WAIT, "by_default": True},
            "title.overdue",
        ),
        ({"status": QuestionStatus.CLOSED, "closed_by": "shipped"}, "closed.shipped"),
        ({"status": QuestionStatus.CLOSED, "closed_by": "something_new"}, "closed.other"),
        ({"status": QuestionStatus.CLOSED}, "closed.other"),
    ],
)
def test_a_question_that_is_over_shows_its_outcome_and_no_form(question: dict[str, Any], key: str) -> None:
    html = page(**question)
    assert (text_of(key) in html, "<form" in html) == (True, False)


REQUEST = ChangeRequest(
    QUESTION.choice_id, Choice.CANCEL, None, ("1",), NOW, DecidedBy.CUSTOMER, answer_by=at(date(2027, 3, 2), 12)
)


def page_of(request: ChangeRequest) -> str:
    answered = replace(QUESTION, status=QuestionStatus.ANSWERED, answer=Choice.CANCEL)
    view = ChoiceView("O-1", answered, FACTS, Language.EN, "DE", request)
    return bytes(choice_page(RENDERER, CALENDAR, view, NOW).body).decode()


def test_an_open_request_shows_by_when_the_customer_hears() -> None:
    html = page_of(REQUEST)
    assert (text_of("answered.cancel") in html, "Tuesday, 2 March 2027" in html) == (True, True)


@pytest.mark.parametrize("status", [each for each in RequestStatus if each is not RequestStatus.OPEN])
def test_a_settled_request_shows_its_outcome(status: RequestStatus) -> None:
    assert text_of(f"outcome.{status}") in page_of(replace(REQUEST, status=status, answer_by=None))


@pytest.mark.parametrize(("now", "asking"), [(DUE - timedelta(seconds=1), True), (DUE, False)])
def test_the_form_ends_at_the_deadline(now: datetime, asking: bool) -> None:
    html = page(now)
    assert ("<form" in html, text_of("title.overdue") in html) == (asking, not asking)


def test_a_refused_form_is_shown_again_as_it_was_filled_in() -> None:
    submission = Submission("item_missing", Choice.CHANGE, {"change": "item", "city": "Osaka"})
    html = page(submission=submission, code=422)
    assert f'role="alert">{text_of("refused.item_missing")}<' in html
    assert 'value="change" required checked' in html
    assert 'value="item" selected' in html
    assert 'name="city" maxlength="120" value="Osaka"' in html


def test_the_country_of_the_market_is_filled_in() -> None:
    assert 'name="country" maxlength="120" value="DE"' in page()


def test_a_requested_date_replaces_the_ship_date() -> None:
    html = page(requested_date=date(2027, 4, 1))
    assert ("Thursday, 1 April 2027" in html, "Friday, 12 March 2027" in html) == (True, False)


def test_a_requested_date_is_from_tomorrow_up_to_a_year() -> None:
    assert 'min="2027-03-02" max="2028-02-29"' in page()


def test_the_style_sheet_is_below_the_path_of_the_public_url() -> None:
    assert 'href="/after-sales/c/assets/' in page()


@pytest.mark.parametrize("field", LOCALES[Language.JA].address)
@pytest.mark.parametrize("language", Language)
def test_every_field_of_an_address_is_asked_for_once(field: str, language: Language) -> None:
    view = ChoiceView("O-1", QUESTION, FACTS, language)
    assert bytes(choice_page(RENDERER, CALENDAR, view, NOW).body).count(f'name="{field}"'.encode()) == 1
