"""HTML of the choice page for every state of a question."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.notices import ChangeSubject, NoticeKind
from libs.common.events.values import Choice, Language
from services.delivery_notify.domain.conversation import Question, QuestionStatus
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.choice_page_texts import CHOICE_PAGE_TEXTS
from services.delivery_notify.http.choice_view import ChoicePageRenderer, ChoiceView, Submission
from tests.delivery_notify.conversation_driver import CALENDAR, at

RENDERER = ChoicePageRenderer("Shop", CALENDAR)
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
TEXTS = CHOICE_PAGE_TEXTS[Language.EN]
FACTS = NoticeFacts(day=date(2027, 3, 12), previous_day=date(2027, 3, 5))


def page(now: datetime = NOW, submission: Submission | None = None, code: int = 200, **question: Any) -> str:
    view = ChoiceView("O-1", replace(QUESTION, **question), FACTS, Language.EN, "DE")
    response = RENDERER.page(view, now, code, submission)
    assert response.status_code == code
    return bytes(response.body).decode()


def test_an_open_question_shows_its_options_dates_and_deadline() -> None:
    html = page()
    assert TEXTS.question_title in html
    assert html.count('name="choice"') == 3
    assert "Friday, March 12, 2027" in html
    assert "Until Wednesday, March 3, 2027" in html


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ({"status": QuestionStatus.ANSWERED, "answer": Choice.CANCEL}, TEXTS.thanks[Choice.CANCEL]),
        (
            {"status": QuestionStatus.ANSWERED, "answer": Choice.CHANGE, "change": ChangeSubject.ITEM},
            TEXTS.thanks_change[ChangeSubject.ITEM],
        ),
        (
            {"status": QuestionStatus.ANSWERED, "answer": Choice.WAIT, "by_default": True},
            TEXTS.deadline_passed_title,
        ),
        ({"status": QuestionStatus.CLOSED, "closed_by": "shipped"}, TEXTS.closed["shipped"]),
        ({"status": QuestionStatus.CLOSED, "closed_by": "something_new"}, TEXTS.closed_other),
        ({"status": QuestionStatus.CLOSED}, TEXTS.closed_other),
    ],
)
def test_a_question_that_is_over_shows_its_outcome_and_no_form(question: dict[str, Any], text: str) -> None:
    html = page(**question)
    assert (text in html, "<form" in html) == (True, False)


@pytest.mark.parametrize(("now", "asking"), [(DUE - timedelta(seconds=1), True), (DUE, False)])
def test_the_form_ends_at_the_deadline(now: datetime, asking: bool) -> None:
    html = page(now)
    assert ("<form" in html, TEXTS.deadline_passed_title in html) == (asking, not asking)


def test_a_question_about_a_replacement_offers_no_other_item_or_address() -> None:
    html = page(issue_id=derived_id("issue", 1))
    assert ('name="requested_date"' in html, 'name="change"' in html, 'name="street"' in html) == (True, False, False)


def test_a_refused_form_is_shown_again_as_it_was_filled_in() -> None:
    submission = Submission("Please correct it.", Choice.CHANGE, {"change": "item", "city": "Osaka"})
    html = page(submission=submission, code=422)
    assert 'role="alert">Please correct it.<' in html
    assert 'value="change" required checked' in html
    assert 'value="item" selected' in html
    assert 'name="city" maxlength="120" value="Osaka"' in html


def test_the_country_of_the_market_is_filled_in() -> None:
    assert 'name="country" maxlength="120" value="DE"' in page()


def test_a_requested_date_replaces_the_ship_date() -> None:
    html = page(requested_date=date(2027, 4, 1))
    assert ("Thursday, April 1, 2027" in html, "Friday, March 12, 2027" in html) == (True, False)


def test_a_requested_date_is_from_tomorrow_up_to_a_year() -> None:
    assert 'min="2027-03-02" max="2028-02-29"' in page()


def test_an_invalid_link_is_not_found_and_is_explained_in_both_languages() -> None:
    response = RENDERER.bad_link()
    html = bytes(response.body).decode()
    assert (response.status_code, "リンクを開けませんでした" in html, "too old" in html) == (404, True, True)
