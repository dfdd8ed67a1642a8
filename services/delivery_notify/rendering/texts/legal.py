"""Sentences that consumer law requires in notices about late goods and withdrawals, by market and kind of notice.

The texts are in `<language>/legal.toml`. The layouts render them below the text of the notice, so that no template can
omit one; the linter checks layouts of the shop.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.policy.consent_law import DelayTerms, Element, required_elements
from services.delivery_notify.rendering.texts import phrases
from services.delivery_notify.rendering.texts.reading import read_texts


@dataclass(frozen=True, slots=True)
class LegalTexts:
    """Legal sentences in the order in which they are shown.

    `reasons` are reasons for a missing date, by the cause from the shop; `other` is the text for any other cause.
    `days` are the periods of a refund, `working` or `calendar` days, with one text per plural form. `withdrawal` says
    in our own words what the model instructions on withdrawal of the European Union say.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    sentences: Mapping[Element, str]
    reasons: Mapping[str, str]
    days: Mapping[str, Mapping[str, str]]
    withdrawal: Mapping[str, str]


TEXTS = read_texts(LegalTexts, "legal")
SENTENCES = {language: texts.sentences for language, texts in TEXTS.items()}


def required_sentences(kind: NoticeKind, facts: NoticeFacts, language: Language) -> list[str]:
    """Return the sentences that the law of the customer's market requires in this notice, in a fixed order."""
    if facts.withdrawal_days is not None:
        return withdrawal_sentences(facts.withdrawal_days, language)
    if facts.terms is None:
        return []
    wanted = required_elements(facts.terms.market, kind)
    return [sentence(element, facts, language) for element in SENTENCES[language] if element in wanted]


def withdrawal_sentences(days: int, language: Language) -> list[str]:
    """Return what follows from a withdrawal from the contract: refund, return and loss of value."""
    texts = TEXTS[language]
    period = phrases.plural(texts.days["calendar"], days, language).format(count=days)
    return [text.format(days=period) for text in texts.withdrawal.values()]


def sentence(element: Element, facts: NoticeFacts, language: Language) -> str:
    terms, texts = facts.terms or DelayTerms("", ""), TEXTS[language]
    day = phrases.localized_date(facts.day, language) if facts.day else ""
    reason = texts.reasons.get(facts.code or "", texts.reasons["other"])
    days = phrases.plural(texts.days[terms.refund_days_are], terms.refund_days, language)
    return texts.sentences[element].format(days=days.format(count=terms.refund_days), day=day, reason=reason)
