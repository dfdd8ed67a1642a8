"""Sentences that consumer law requires in notices about late goods, chosen by market and kind of notice.

The layouts render them below the text of the notice, so that no template can omit one; the linter checks layouts of
the shop.
"""

from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from services.delivery_notify.domain.notices import NoticeFacts
from services.delivery_notify.policy.consent_law import DelayTerms, Element, required_elements
from services.delivery_notify.rendering.texts import phrases

_JAPANESE = {
    Element.ADDITIONAL_PERIOD: "{day}まで、お時間をください。"
    "その日までにお届けできなかったときは、契約を解除なさることができます。",
    Element.REASON: "遅れの理由は、{reason}ためです。",
    Element.RIGHT_TO_CANCEL: "発送が済むまでは、いつでもキャンセルなさることができます。キャンセル料はいただきません。",
    Element.PROMPT_REFUND: "キャンセルの場合は、お支払いの全額を、{days}以内にお返しいたします。",
    Element.REIMBURSEMENT: "契約を解除なさった場合は、お支払いの全額を、{days}以内にお返しいたします。",
    Element.CONTINUING_RIGHT: "お待ちくださる場合も、発送が済むまでは、いつでもキャンセルなさることができます。",
    Element.ACCEPTANCE: "ご注文を承諾いたします。",
}
_ENGLISH = {
    Element.ADDITIONAL_PERIOD: "We ask you for additional time until {day}. If your order is not with you by then, you "
    "can end the contract.",
    Element.REASON: "The reason for the delay: {reason}.",
    Element.RIGHT_TO_CANCEL: "You can cancel at any time until it ships, at no cost.",
    Element.PROMPT_REFUND: "If you cancel, we refund everything you paid within {days}.",
    Element.REIMBURSEMENT: "If you end the contract, we reimburse everything you paid within {days}.",
    Element.CONTINUING_RIGHT: "Even if you choose to wait, you can still cancel at any time until it ships.",
    Element.ACCEPTANCE: "We accept your order.",
}
SENTENCES = {Language.JA: _JAPANESE, Language.EN: _ENGLISH}


_REASONS = {
    Language.JA: {"out_of_stock": "お品が品切れになっている", "": "倉庫からの発送をまだ確かめられない"},
    Language.EN: {
        "out_of_stock": "your item is out of stock",
        "": "our warehouse has not confirmed to us that your order has left",
    },
}
"""Reason for a missing date, by the cause from the shop; "" is the text for any other cause."""


def required_sentences(kind: NoticeKind, facts: NoticeFacts, language: Language) -> list[str]:
    """Return the sentences that the law of the customer's market requires in this notice, in a fixed order."""
    if facts.terms is None:
        return []
    wanted = required_elements(facts.terms.market, kind)
    return [sentence(element, facts, language) for element in SENTENCES[language] if element in wanted]


def sentence(element: Element, facts: NoticeFacts, language: Language) -> str:
    terms = facts.terms or DelayTerms("", "")
    day = phrases.localized_date(facts.day, language) if facts.day else ""
    reasons = _REASONS[language]
    reason = reasons.get(facts.code or "", reasons[""])
    return SENTENCES[language][element].format(days=_days(terms, language), day=day, reason=reason)


def _days(terms: DelayTerms, language: Language) -> str:
    count, working = terms.refund_days, terms.refund_days_are == "working"
    if language == Language.JA:
        return f"{count}営業日" if working else f"{count}日"
    return f"{count} working days" if working else f"{count} days"
