"""Template variables of one notice, in the language of its recipient."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.loyalty.titles import title_of
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Language
from libs.common.web.carriers import carrier_name, tracking_url
from services.delivery_notify.domain.loyalty_news import ADVERTISING
from services.delivery_notify.domain.notices import NoticeFacts, NoticeLine
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.rendering.shop import Shop
from services.delivery_notify.rendering.texts import legal, phrases
from services.delivery_notify.rendering.texts.phrases import PHRASES, Phrases

# fmt: off
VARIABLES = frozenset({
    "f", "language", "shop", "order_id", "greeting", "thanks", "phrases", "date", "item", "items",
    "counted", "stage", "missing", "link", "options", "choice_note", "rights", "status_link",
    "survey_link", "day", "previous_day", "next_update", "money", "remaining", "points", "layout", "subject",
    "sections", "seller", "reported", "report_link", "carrier", "tracking_link", "signature", "logo",
    "color", "preheader", "subject_order_id", "choose", "requested",
    "unsubscribe_link", "tier", "perks", "campaigns", "reply",
})
# fmt: on
"""Names that a template may use; the linter rejects all others."""


@dataclass(frozen=True, slots=True)
class TemplateVariables:
    """Source of the variables that depend on the shop."""

    calendar: ShopCalendar
    links: NoticeLinks
    shop: Shop

    def of(self, content: NoticeContent) -> dict[str, Any]:
        """Return all variables; a date, an amount or words that the facts lack are left out and so an error if used."""
        language, facts = content.language, _clean_facts(content.facts)
        return {
            "f": facts,
            "language": language,
            "shop": self.shop.name,
            "seller": self.shop.legal_seller,
            "signature": self.shop.signature(language),
            "logo": self.shop.logo_url,
            "color": self.shop.color,
            "order_id": _one_line(content.order_id),
            "subject_order_id": "" if content.kind in ABOUT_NO_ORDER else _one_line(content.order_id),
            "greeting": phrases.greeting(_one_line(content.recipient_name), language),
            "thanks": _closing(content),
            "reported": phrases.reported(facts.reason, [_item(line) for line in facts.lines], language),
            "carrier": carrier_name(facts.carrier or "", language),
            "tracking_link": tracking_url(facts.carrier, facts.tracking_number),
            "points": partial(_points, language),
            "rights": legal.required_sentences(content.kind, facts, language),
            "phrases": PHRASES[language],
            "date": partial(_date, language),
            "item": _item,
            "stage": partial(_stage, PHRASES[language]),
            "items": phrases.join_items(_dated_items(content.kind, facts, language), language),
            "counted": phrases.join_items(_counted(facts.lines), language),
            "requested": PHRASES[language].requests.get(facts.plan or "", ""),
            "missing": [PHRASES[language].missing.get(name, name) for name in facts.missing],
            "link": "",
            "unsubscribe_link": self._unsubscribe_link(content),
            **({"reply": _paragraphs(facts.reply)} if facts.reply else {}),
            **_titles(facts, language),
            **self._page_links(content),
            **self._choice(content, facts),
            **_dates(facts, language),
            **_money(facts, language),
        }

    def _page_links(self, content: NoticeContent) -> dict[str, str]:
        """Return the links to the status page, for a resolved issue to the survey, and to the report form."""
        issue_id, written_at = content.issue_id, content.written_at
        links = {"status_link": "", "survey_link": "", "report_link": ""}
        if written_at is None:
            return links
        if content.kind in ASKS_FOR_REPORT and content.customer_id:
            form = self.links.report_url(content.order_id, content.customer_id, content.language, written_at)
            links["report_link"] = form
        if issue_id is None:
            return links
        resolved = content.kind == NoticeKind.ISSUE_RESOLVED
        return links | {
            "status_link": self.links.status_url(issue_id, written_at, for_recipient=content.facts.for_recipient),
            "survey_link": self.links.survey_url(issue_id, written_at) if resolved else "",
        }

    def _unsubscribe_link(self, content: NoticeContent) -> str:
        if content.kind not in ADVERTISING or content.written_at is None:
            return ""
        return self.links.unsubscribe_url(content.customer_id, content.written_at)

    def _choice(self, content: NoticeContent, facts: NoticeFacts) -> dict[str, Any]:
        language = content.language
        if facts.choice_id is None or facts.answer_by is None or facts.default is None:
            return {}
        return {
            "link": self.links.choice_url(content.order_id, facts.choice_id, facts.answer_by),
            "choose": PHRASES[language].choose if len(facts.options) > 1 else PHRASES[language].choose_one,
            "options": [phrases.option_label(option, facts.alternatives, language) for option in facts.options],
            "choice_note": phrases.choice_note(facts.answer_by, facts.default, self.calendar.zone, language),
        }


SHIP_DATE_KINDS = frozenset({NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_EARLY, NoticeKind.ORDER_DATED})


def _dated_items(kind: NoticeKind, facts: NoticeFacts, language: Language) -> list[str]:
    """Return the items, each with those of its dates that the rest of the text does not show: `day` is the last one."""
    of_answer = facts.ships_on is not None and kind in (NoticeKind.CHANGE_ACCEPTED, NoticeKind.CHANGE_DECLINED)
    day = facts.ships_on if of_answer else facts.day
    items: list[str] = []
    for line in facts.lines:
        is_dated, is_delivery = kind in SHIP_DATE_KINDS or of_answer, kind == NoticeKind.DELIVERY_DELAYED
        ships = line.ship_date if is_dated and line.ship_date != day else None
        arrives = line.delivery_date if kind in SHIP_DATE_KINDS or (is_delivery and line.delivery_date != day) else None
        items.append(phrases.dated_item(_item(line), ships, arrives, language))
    return items


def _dates(facts: NoticeFacts, language: Language) -> dict[str, str]:
    dates = {"day": facts.day, "previous_day": facts.previous_day, "next_update": facts.next_update_by}
    return {name: phrases.localized_date(day, language) for name, day in dates.items() if day}


def _money(facts: NoticeFacts, language: Language) -> dict[str, str]:
    if facts.amount is None or not facts.currency:
        return {}
    amounts = {"money": facts.amount, "remaining": facts.remaining}
    return {
        name: phrases.localized_money(amount, facts.currency, language)
        for name, amount in amounts.items()
        if amount is not None
    }


def _titles(facts: NoticeFacts, language: Language) -> dict[str, Any]:
    """Return the titles of tier, perks and campaigns in the language of the recipient."""

    def titled(code: str) -> str:
        return _one_line(title_of(code, facts.titles, language))

    return {
        "tier": titled(facts.tier) if facts.tier else "",
        "perks": [titled(code) for code in facts.perks],
        "campaigns": phrases.join_items([titled(code) for code in facts.campaigns], language),
    }


def _date(language: Language, day: date | None) -> str:
    if day is None:  # babel would write today's date
        raise ValueError("date: the fact is missing; test for it before")
    return phrases.localized_date(day, language)


def _points(language: Language, points: int | None) -> str:
    if points is None:
        raise ValueError("points: the fact is missing; test for it before")
    return phrases.localized_points(points, language)


ABOUT_NO_ORDER = ADVERTISING | {NoticeKind.POINTS_EXPIRING}
"""Notices that name no order: the one they hang on only says whom to write to."""

ASKS_FOR_REPORT = frozenset({NoticeKind.BUYER_WARNED, NoticeKind.CHANGE_OVERTAKEN})
"""Notices with a link to the report form."""

NO_CLOSING = frozenset(
    {
        NoticeKind.ISSUE_REJECTED,
        NoticeKind.ORDER_CANCELLED,
        NoticeKind.CHANGE_DECLINED,
        NoticeKind.CONTACT_CHANGED,
        NoticeKind.STAFF_REPLY,
    }
)
"""Refusals and warnings end without thanks, which would read as irony, and the words of staff without a second one."""

TROUBLE = frozenset(
    {
        NoticeKind.ORDER_DELAYED,
        NoticeKind.ORDER_OVERDUE,
        NoticeKind.DELIVERY_DELAYED,
        NoticeKind.DELIVERY_OVERDUE,
        NoticeKind.REPLACEMENT_DELAYED,
        NoticeKind.CHOICE_REQUESTED,
        NoticeKind.REVIEW_STARTED,
        NoticeKind.BUYER_WARNED,
        NoticeKind.CHANGE_PENDING,
        NoticeKind.COLLECTION_WINDOW_DECLINED,
        NoticeKind.COLLECTION_WINDOW_PENDING,
        NoticeKind.CHANGE_OVERTAKEN,
    }
)
"""Bad news: these ask for patience instead of thanking for an order."""


def _closing(content: NoticeContent) -> str:
    """Return the last sentence before the signature, "" for none."""
    if content.kind in NO_CLOSING:
        return ""
    if content.kind in TROUBLE:
        return PHRASES[content.language].patience
    about_an_order = content.kind not in ABOUT_NO_ORDER
    last_item = content.last_purchased_item if about_an_order else None
    count = content.facts.purchase_count or (content.purchase_count if about_an_order else None)
    if content.facts.for_recipient:
        count, last_item = None, None
    return phrases.thanks(count, content.language, last_item)


def _paragraphs(text: str) -> str:
    """Return each line as a paragraph of its own, as it was written."""
    return "\n\n".join(line for line in map(str.strip, text.splitlines()) if line)


def _item(line: NoticeLine) -> str:
    return phrases.item_with_quantity(line.name, line.quantity)


def _counted(lines: Sequence[NoticeLine]) -> list[str]:
    return [phrases.counted_item(line.name, line.quantity) for line in lines]


def _stage(texts: Phrases, line: NoticeLine) -> str:
    """Return the text of a production stage; the detail, or the shop's name for it, where there is none."""
    stage = line.stage or ""
    return texts.stages.get(stage) or line.stage_detail or stage


def _one_line(text: str) -> str:
    """Return external text on one line, without the layout's column separator."""
    return " ".join(text.replace("|", "/").split())


def _clean_facts(facts: NoticeFacts) -> NoticeFacts:
    lines = tuple(map(_clean_line, facts.lines))
    carrier, number = _one_line(facts.carrier or "") or None, _one_line(facts.tracking_number or "") or None
    alternatives = tuple(map(_one_line, facts.alternatives))
    clean = (lines, carrier, number, alternatives)
    if clean == (facts.lines, facts.carrier, facts.tracking_number, facts.alternatives):
        return facts
    return replace(facts, lines=lines, carrier=carrier, tracking_number=number, alternatives=alternatives)


def _clean_line(line: NoticeLine) -> NoticeLine:
    name, stage, detail = _one_line(line.name), _one_line(line.stage or ""), _one_line(line.stage_detail or "")
    if (name, stage, detail) == (line.name, line.stage or "", line.stage_detail or ""):
        return line
    return replace(line, name=name, stage=stage or None, stage_detail=detail or None)
