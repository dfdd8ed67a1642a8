"""Another item in place of an unavailable replacement: offered in the mail and on the page, answered by its SKU."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from libs.common.decisions.facts import Fact
from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import ChangeSubject, CustomerDecided, NoticeKind
from libs.common.events.values import Choice, Language, Variant
from services.delivery_notify.domain.conversation import Question, QuestionStatus
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.http.pages.choice_form import MAX_FIELD_LENGTH
from services.delivery_notify.http.pages.choice_view import ChoiceView, Submission, choice_page
from tests.conftest import MakeDatabase
from tests.delivery_notify.conversation_driver import (
    CALENDAR,
    ISSUE,
    MONDAY,
    ORDER,
    ConversationDriver,
    drive,
    issue,
    of,
    placed,
    reasons,
)
from tests.delivery_notify.rendered_notices import RENDERER, sample_notice
from tests.delivery_notify.service import notifying, take
from tests.delivery_notify.test_choice_page import LINKS, decisions
from tests.delivery_notify.test_choice_view import RENDERER as PAGES
from tests.delivery_notify.test_sender import order
from tests.running import Live

NAVY, WHITE = Variant(sku="KYUSU-NAVY", name="急須 <紺>"), Variant(sku="KYUSU-WHITE", name="急須 (白)")
CHOICE = derived_id("choice", 1)
OPTIONS = (Choice.CHANGE, Choice.REFUND)


def unavailable(**more: Any) -> ev.IssueChoiceRequested:
    """The replacement is out of stock, and other colours can be sent."""
    known: dict[str, Any] = {"options": OPTIONS, "default": Choice.REFUND, "variants": (NAVY, WHITE)}
    return issue(ev.IssueChoiceRequested, **{**known, **more})


def asked() -> ConversationDriver:
    return drive(placed(), issue(ev.IssueAccepted), unavailable())


def answer(driver: ConversationDriver, change: ChangeSubject = ChangeSubject.ITEM, **more: Any) -> Sequence[Fact]:
    command = CustomerAnswered(order_id=ORDER, choice_id=CHOICE, choice=Choice.CHANGE, change=change, **more)
    return driver.handle(command)


def test_the_chosen_variant_is_published_by_its_sku() -> None:
    (decided,) = of(answer(asked(), requested_sku=WHITE.sku), CustomerDecided)
    assert (decided.issue_id, decided.change, decided.requested_sku) == (ISSUE, ChangeSubject.ITEM, WHITE.sku)


@pytest.mark.parametrize("sku", [None, "KYUSU-GREEN", WHITE.name, "kyusu-white"])
def test_an_item_that_was_not_offered_is_asked_for_again(sku: str | None) -> None:
    driver = asked()
    assert reasons(list(answer(driver, requested_sku=sku))) == ["variant_missing"]
    assert [question.status for question in driver.conversation.questions] == [QuestionStatus.OPEN]


@pytest.mark.parametrize("change", [ChangeSubject.DATE, ChangeSubject.ADDRESS])
def test_neither_date_nor_address_of_a_replacement_is_changed_by_the_answer(change: ChangeSubject) -> None:
    facts = answer(asked(), change, requested_sku=WHITE.sku, requested_date=MONDAY.date() + timedelta(days=9))
    assert reasons(list(facts)) == ["not_an_option"]


def test_the_mail_of_the_question_names_the_variants() -> None:
    (notice,) = (notice for notice in asked().notices if notice.kind is NoticeKind.CHOICE_REQUESTED)
    assert notice.facts.alternatives == (NAVY.name, WHITE.name)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        (Language.JA, "別のお品に変更する(急須 <紺>、急須 (白))"),
        (Language.EN, "Get another item instead (急須 <紺>, 急須 (白))"),
    ],
)
def test_the_option_of_another_item_names_it_in_text_and_html(language: Language, text: str) -> None:
    sample = sample_notice("choice, unknown", language)
    facts = {**vars(sample.facts), "options": OPTIONS, "alternatives": (NAVY.name, WHITE.name)}
    rendered = RENDERER.render(sample_notice("choice, unknown", language, facts=NoticeFacts(**facts)))
    assert f"- {text}\n" in rendered.text
    assert text.replace("<紺>", "&lt;紺&gt;") in rendered.html


def test_the_name_of_a_variant_stays_on_the_line_of_its_option() -> None:
    sample = sample_notice("choice, unknown", Language.EN)
    facts = {**vars(sample.facts), "options": OPTIONS, "alternatives": ("navy\n- Cancel|all",)}
    rendered = RENDERER.render(sample_notice("choice, unknown", Language.EN, facts=NoticeFacts(**facts)))
    assert "- Get another item instead (navy - Cancel/all)\n" in rendered.text


QUESTION = Question(
    CHOICE,
    derived_id("notice", 1),
    NoticeKind.CHOICE_REQUESTED,
    OPTIONS,
    Choice.REFUND,
    MONDAY + timedelta(days=2),
    ISSUE,
    variants=(NAVY, WHITE),
)


def page(question: Question = QUESTION, submission: Submission | None = None) -> str:
    view = ChoiceView(ORDER, question, NoticeFacts(day=date(2027, 3, 3)), Language.EN)
    return bytes(choice_page(PAGES, CALENDAR, view, MONDAY, 200, submission).body).decode()


def test_the_page_lets_the_customer_choose_one_of_the_variants_and_nothing_else() -> None:
    html = page()
    assert '<input type="hidden" name="change" value="item">' in html
    assert '<option value="KYUSU-NAVY">急須 &lt;紺&gt;</option>' in html
    assert [name in html for name in ('name="requested_date"', 'name="street"', 'select id="change"')] == [False] * 3


def test_no_rule_of_the_style_sheet_hides_the_variants() -> None:
    assert ('<div class="variant">' in page(), '<div class="item">' in page()) == (True, False)


def test_the_variant_that_was_chosen_is_chosen_in_the_form_that_is_shown_again() -> None:
    html = page(submission=Submission("not_an_option", Choice.CHANGE, {"requested_sku": WHITE.sku}))
    assert '<option value="KYUSU-WHITE" selected>' in html


def test_the_page_promises_the_variant_and_no_check_of_its_price() -> None:
    answered = {"status": QuestionStatus.ANSWERED, "answer": Choice.CHANGE, "change": ChangeSubject.ITEM}
    html = page(Question(**{**vars(QUESTION), **answered}))
    assert "We have noted the item you chose and will send it to you." in html


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


async def ask(live: Live, *variants: Variant) -> str:
    due_at = datetime.now(UTC) + timedelta(days=2)
    await take(live, order(Language.EN), issue(ev.IssueAccepted), unavailable(due_at=due_at, variants=variants))
    return "/c/" + LINKS.choice_token(ORDER, CHOICE, due_at)


LONG = Variant(sku="X" * (MAX_FIELD_LENGTH + 5), name="a long number")


@pytest.mark.parametrize("variant", [NAVY, LONG, Variant(sku="A  B", name="a number with two blanks")])
async def test_a_variant_chosen_on_the_page_becomes_a_decision_with_its_sku(live: Live, variant: Variant) -> None:
    link = await ask(live, WHITE, variant)
    form = {"choice": "change", "change": "item", "requested_sku": variant.sku}
    answered = await live.client.post(link, data=form, follow_redirects=True)
    assert "We have noted the item you chose" in answered.text
    assert [f'"{variant.sku}"' in event for event in await decisions(live)] == [True]


async def test_the_form_asks_again_for_a_variant_that_is_not_offered(live: Live) -> None:
    form = {"choice": "change", "change": "item", "requested_sku": "KYUSU-GREEN"}
    answered = await live.client.post(await ask(live, NAVY), data=form)
    assert (answered.status_code, "Please choose the item that we should send" in answered.text) == (422, True)
    assert await decisions(live) == []
