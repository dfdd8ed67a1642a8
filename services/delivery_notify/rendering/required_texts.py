"""Texts that a notice must contain for each element that a law requires."""

from datetime import date

from libs.common.events.values import Language
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.policy.consent_law import Element
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.texts import legal, phrases


def texts_of_element(element: Element, content: NoticeContent, seller: str) -> list[str]:
    """Return the texts that a notice with this element must contain."""
    facts, language = content.facts, content.language
    if element in legal.SENTENCES[language]:
        return [legal.sentence(element, facts, language)]
    dates = _dates(facts)
    if element in dates:
        day = dates[element]
        return [phrases.localized_date(day, language)] if day else []
    return _other_texts(element, facts, language, seller)


def _dates(facts: NoticeFacts) -> dict[Element, date | None]:
    return {
        Element.OLD_DATE: facts.previous_day,
        Element.NEW_DATE: facts.day,
        Element.NO_DATE: facts.next_update_by,
        Element.NEXT_UPDATE: facts.next_update_by,
        Element.REFUND_BY: facts.refund_by,
        Element.RECEIVED_ON: facts.received_on,
        Element.DELIVERY_TIME: facts.day or facts.next_update_by,
    }


def _other_texts(element: Element, facts: NoticeFacts, language: Language, seller: str) -> list[str]:
    texts = phrases.PHRASES[language]
    match element:
        case Element.WHAT_SILENCE_MEANS:
            return [texts.default_notes[facts.default]] if facts.default else []
        case Element.HOW_TO_ANSWER:
            return [texts.choose if len(facts.options) > 1 else texts.choose_one]
        case Element.SELLER:
            return [seller]
        case Element.AMOUNT_RECEIVED if facts.amount is not None and facts.currency:
            return [phrases.localized_money(facts.amount, facts.currency, language)]
        case Element.PRODUCT:
            return [line.name for line in facts.lines[:1]]
        case Element.QUANTITY:
            return [phrases.counted_item(line.name, line.quantity) for line in facts.lines[:1]]
    return []
