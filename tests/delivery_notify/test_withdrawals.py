"""The right of withdrawal in the European Union: the answer to a changed mind confirms it and says what follows."""

from typing import Any

import pytest

from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language, Reason
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.rendering.texts.legal import TEXTS, withdrawal_sentences
from tests.delivery_notify.conversation_driver import ConversationDriver, issue, placed
from tests.delivery_notify.rendered_notices import RENDERER, sample_notice

MODEL_INSTRUCTIONS = {"received", "return", "refund", "waiting", "value"}


def answered(market: str, reason: Reason, **order: Any) -> NoticeFacts:
    """The facts of the answer to a report whose goods are collected."""
    driver = ConversationDriver()
    driver.handle(placed(market=market, **order))
    driver.handle(issue(ev.IssueAccepted, reason=reason))
    driver.handle(issue(ev.IssueCollectionRequested))
    (notice,) = [each for each in driver.notices if each.kind is NoticeKind.ISSUE_ACCEPTED]
    return notice.facts


@pytest.mark.parametrize("market", ["DE", "FR"])
def test_a_changed_mind_in_the_union_is_confirmed_as_a_withdrawal(market: str) -> None:
    assert answered(market, Reason.CHANGED_MIND).withdrawal_days == 14


@pytest.mark.parametrize("market", ["JP", "US"])
def test_elsewhere_a_changed_mind_is_a_return_by_the_terms_of_the_shop(market: str) -> None:
    assert answered(market, Reason.CHANGED_MIND).withdrawal_days is None


def test_a_defect_is_no_withdrawal() -> None:
    assert answered("DE", Reason.DEFECTIVE).withdrawal_days is None


@pytest.mark.parametrize("language", Language)
def test_every_language_says_all_that_the_model_instructions_say(language: Language) -> None:
    assert set(TEXTS[language].withdrawal) == MODEL_INSTRUCTIONS


@pytest.mark.parametrize("language", Language)
def test_the_mail_says_it_in_text_and_html(language: Language) -> None:
    rendered = RENDERER.render(sample_notice("accepted, withdrawal", language))
    for sentence in withdrawal_sentences(14, language):
        assert sentence in rendered.text
        assert sentence in rendered.html


def test_the_mail_of_another_return_does_not_mention_it() -> None:
    text = RENDERER.render(sample_notice("accepted, collection", Language.EN)).text
    assert not [each for each in withdrawal_sentences(14, Language.EN) if each in text]
