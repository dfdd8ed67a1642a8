"""Fixed phrases per language (`<language>/phrases.toml`), and localized dates, money and counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import ClassVar
from zoneinfo import ZoneInfo

from babel import Locale as CldrLocale
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal
from pydantic import ConfigDict

from libs.common.events.values import Choice, Language, Reason
from libs.common.locales import LOCALES
from services.delivery_notify.rendering.texts.reading import read_texts


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases that are the same in every notice; values are inserted by name in braces.

    `points` and `ordinal` have one text per plural form of the language (CLDR). `thanks` is the closing line of the
    `first` order, of a `counted` one and of another, `_after` where the last purchase is known. `reported` is what the
    customer reported, as part of the `apology`; its items are written by `reported_item` and joined by `reported_join`.
    `dated_item` writes an item with dates of its own, `ships` and `arrives`, where they are not those of the notice.
    `why_advertised` and `unsubscribe` end every message that needs consent.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    order: str
    seller: str
    choose: str
    choose_one: str
    open: str
    options: Mapping[Choice, str]
    default_notes: Mapping[Choice, str]
    choice_note: str
    alternatives: str
    status: str
    survey: str
    report: str
    stages: Mapping[str, str]
    requests: Mapping[str, str]
    missing: Mapping[str, str]
    apology: str
    reported: Mapping[Reason, str]
    reported_item: str
    reported_join: str
    reported_unnamed: str
    patience: str
    join: str
    dated_item: Mapping[str, str]
    greeting: Mapping[str, str]
    points: Mapping[str, str]
    ordinal: Mapping[str, str]
    thanks: Mapping[str, str]
    subject: Mapping[str, str]
    signature: Mapping[str, str]
    why_advertised: str
    unsubscribe: str


PHRASES = read_texts(Phrases, "phrases")
_CLDR = {language: CldrLocale.parse(LOCALES[language].locale) for language in Language}


# Cached: the mails of one day share a few dates and amounts, and babel is slow.
@lru_cache(maxsize=1_000)
def localized_date(day: date, language: Language) -> str:
    return format_date(day, LOCALES[language].date, locale=_CLDR[language])


def localized_datetime(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """Return date and time in the shop's time zone."""
    local = moment.astimezone(zone)
    day, time = localized_date(local.date(), language), format_time(local, "H:mm", locale=_CLDR[language])
    return LOCALES[language].datetime.format(date=day, time=time, zone=local.tzname())


@lru_cache(maxsize=1_000)
def localized_money(amount: Decimal, currency: str, language: Language) -> str:
    if pattern := LOCALES[language].money.get(currency):
        return format_currency(amount, currency, pattern, locale=_CLDR[language], currency_digits=False)
    return format_currency(amount, currency, locale=_CLDR[language])


@lru_cache(maxsize=1_000)
def localized_points(points: int, language: Language) -> str:
    forms, number = PHRASES[language].points, format_decimal(points, locale=_CLDR[language])
    return plural(forms, points, language).format(points=number)


def plural(forms: Mapping[str, str], count: int, language: Language) -> str:
    """Return the text for this count, by the plural form of the language (CLDR: `one`, `few`, `other`)."""
    return forms.get(_CLDR[language].plural_form(count)) or forms["other"]


def greeting(name: str, language: Language) -> str:
    """Return the greeting; of a customer without a name, for an order may lack it."""
    return PHRASES[language].greeting["named" if name else "unnamed"].format(name=name)


def thanks(purchase_count: int | None, language: Language, last_purchased_item: str | None = None) -> str:
    """Return the closing line, with the number of the order and the last purchase where known."""
    count, after = purchase_count or 0, "_after" if last_purchased_item else ""
    case = "first" if count == 1 else f"counted{after}" if count > 1 else f"plain{after}"
    text = PHRASES[language].thanks[case]
    return text.format(ordinal=ordinal(count, language), item=last_purchased_item)


def ordinal(number: int, language: Language) -> str:
    """Return the number as an ordinal: 1st, 2nd, 3rd, 4th, 11th, 21st in English."""
    forms = PHRASES[language].ordinal
    return (forms.get(_CLDR[language].ordinal_form(number)) or forms["other"]).format(number=number)


def option_label(option: Choice, alternatives: Sequence[str], language: Language) -> str:
    """Return the label of an option; a change to one of the `alternatives` names them."""
    texts = PHRASES[language]
    if option != Choice.CHANGE or not alternatives:
        return texts.options[option]
    return texts.alternatives.format(items=join_items(list(alternatives), language))


def item_with_quantity(name: str, quantity: int) -> str:
    return f"{name} × {quantity}" if quantity > 1 else name


def choice_note(answer_by: datetime, default: Choice, zone: ZoneInfo, language: Language) -> str:
    """Return the deadline of a choice and what happens without an answer."""
    texts, moment = PHRASES[language], localized_datetime(answer_by, zone, language)
    return texts.choice_note.format(moment=moment, note=texts.default_notes[default])


def reported(reason: Reason | None, items: list[str], language: Language) -> str:
    """Return the apology that names the report by its reason; "" where the customer reported no fault of ours."""
    texts = PHRASES[language]
    report = texts.reported.get(reason) if reason else None
    if report is None:
        return ""
    named = texts.reported_join.join(texts.reported_item.format(item=item) for item in items)
    return texts.apology.format(report=report.format(items=named or texts.reported_unnamed))


def mail_subject(shop: str, heading: str, order_id: str, language: Language) -> str:
    """Return the subject of a mail: shop, fact, and the number of the order where the mail is about one."""
    text = PHRASES[language].subject["about_order" if order_id else "plain"]
    return text.format(shop=shop, heading=heading, order_id=order_id)


def group_subject(count: int, language: Language) -> str:
    """Return the subject of a message with several notices."""
    return PHRASES[language].subject["group"].format(count=count)


def counted_item(name: str, quantity: int) -> str:
    """Return the item with its quantity, also for one, for notices that must state it."""
    return f"{name} × {quantity}"


def dated_item(item: str, ships: date | None, arrives: date | None, language: Language) -> str:
    """Return the item with these dates; the item alone without any."""
    texts = PHRASES[language].dated_item
    dates = [
        texts[name].format(day=localized_date(day, language))
        for name, day in (("ships", ships), ("arrives", arrives))
        if day
    ]
    return texts["item"].format(item=item, dates=texts["join"].join(dates)) if dates else item


def join_items(items: list[str], language: Language) -> str:
    return PHRASES[language].join.join(items)
