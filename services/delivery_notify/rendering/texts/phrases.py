"""Fixed phrases per language, and localized dates, money and counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal

from libs.common.events.values import Choice, Language, Reason


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases that are the same in every notice."""

    order: str
    seller: str
    choose: str
    choose_one: str
    open: str
    options: dict[Choice, str]
    default_notes: dict[Choice, str]
    status: str
    survey: str
    report: str
    stages: dict[str, str]
    requests: dict[str, str]


JAPANESE = Phrases(
    order="ご注文番号",
    seller="販売業者",
    choose="次の中からお選びいただけます。",
    choose_one="ご希望は、次のページで承ります。",
    open="ご希望を選ぶ",
    options={
        Choice.WAIT: "このまま待つ",
        Choice.CHANGE: "変更する(日にち・お品・お届け先)",
        Choice.CANCEL: "キャンセルする",
        Choice.REFUND: "返金を受ける",
    },
    default_notes={
        Choice.WAIT: "お返事がない場合は、このままお待ちいただくものとして進めます。",
        Choice.CHANGE: "お返事がない場合は、あらためて日にちをご相談いたします。",
        Choice.CANCEL: "お返事がない場合は、キャンセルとして進めます。",
        Choice.REFUND: "お返事がない場合は、ご返金の手続きを進めます。",
    },
    status="ただいまの状況を確認する",
    survey="アンケートに答える(1分)",
    report="お品について知らせる",
    stages={
        "materials": "材料の準備中です",
        "production": "製作中です",
        "quality_check": "検品中です",
        "packing": "梱包中です",
    },
    requests={
        "cancel": "キャンセル",
        "date": "発送日の変更",
        "item": "お品の変更",
        "address": "お届け先の変更",
    },
)
ENGLISH = Phrases(
    order="Order",
    seller="Seller",
    choose="You can choose:",
    choose_one="Please tell us on the page below:",
    open="Choose an option",
    options={
        Choice.WAIT: "Wait for it",
        Choice.CHANGE: "Change the day, the item or the address",
        Choice.CANCEL: "Cancel",
        Choice.REFUND: "Get a refund",
    },
    default_notes={
        Choice.WAIT: "If we do not hear from you, we will assume that you would like to wait.",
        Choice.CHANGE: "If we do not hear from you, we will ask you about another day.",
        Choice.CANCEL: "If we do not hear from you, we will cancel it for you.",
        Choice.REFUND: "If we do not hear from you, we will refund you.",
    },
    status="See the current status",
    survey="Rate how we did (1 minute)",
    report="Report a problem",
    stages={
        "materials": "the materials are being prepared",
        "production": "it is being made",
        "quality_check": "it is being checked",
        "packing": "it is being packed",
    },
    requests={
        "cancel": "your cancellation",
        "date": "another ship date",
        "item": "another item",
        "address": "another address",
    },
)
PHRASES = {Language.JA: JAPANESE, Language.EN: ENGLISH}


# Cached: the mails of one day share a few dates and amounts, and babel is slow.
@lru_cache(maxsize=1_000)
def localized_date(day: date, language: Language) -> str:
    if language == Language.JA:
        return format_date(day, "y年M月d日(E)", locale="ja")
    return format_date(day, "EEEE, d MMMM y", locale="en")


def localized_datetime(moment: datetime, zone: ZoneInfo, language: Language) -> str:
    """Return date and time in the shop's time zone."""
    local = moment.astimezone(zone)
    if language == Language.JA:
        return f"{localized_date(local.date(), language)} {format_time(local, 'H:mm', locale='ja')}"
    return f"{localized_date(local.date(), language)} at {format_time(local, 'H:mm', locale='en')} ({local.tzname()})"


@lru_cache(maxsize=1_000)
def localized_money(amount: Decimal, currency: str, language: Language) -> str:
    if language == Language.JA and currency == "JPY":
        return format_currency(amount, currency, "#,##0円", locale="ja", currency_digits=False)
    return format_currency(amount, currency, locale="ja_JP" if language == Language.JA else "en_US")


@lru_cache(maxsize=1_000)
def localized_points(points: int, language: Language) -> str:
    if language == Language.JA:
        return f"{format_decimal(points, locale='ja')}ポイント"
    return f"{format_decimal(points, locale='en')} {'point' if points == 1 else 'points'}"


def greeting(name: str, language: Language) -> str:
    """Return the greeting; of a customer without a name, for an order may lack it."""
    if language == Language.JA:
        return f"{name} 様" if name else "お客様"
    return f"Dear {name}," if name else "Dear customer,"


def thanks(purchase_count: int | None, language: Language, last_purchased_item: str | None = None) -> str:
    """Return the closing line, with the number of the order and the last purchase where known."""
    count = purchase_count or 0
    in_language = _thanks_in_japanese if language == Language.JA else _thanks_in_english
    return in_language(count, last_purchased_item)


def _thanks_in_japanese(count: int, last_item: str | None) -> str:
    if count == 1:
        return "はじめてのご注文をいただき、ありがとうございます。"
    context = f"前回の「{last_item}」に続き、" if last_item else ""
    if count > 1:
        return f"{context}{count}回目のご注文をいただき、いつもありがとうございます。"
    return f"{context}ご注文をいただき、ありがとうございます。" if context else "ご利用いただき、ありがとうございます。"


def _thanks_in_english(count: int, last_item: str | None) -> str:
    if count == 1:
        return "Thank you for your first order with us."
    context = f", after {last_item} last time" if last_item else ""
    if count > 1:
        return f"Thank you for your {ordinal(count)} order with us{context}."
    return f"Thank you for shopping with us again{context}." if context else "Thank you for shopping with us."


def ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th, 11th, 21st."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def option_label(option: Choice, alternatives: Sequence[str], language: Language) -> str:
    """Return the label of an option; a change to one of the `alternatives` names them."""
    if option != Choice.CHANGE or not alternatives:
        return PHRASES[language].options[option]
    return _ALTERNATIVES[language].format(items=join_items(list(alternatives), language))


_ALTERNATIVES = {
    Language.JA: "別のお品に変更する({items})",
    Language.EN: "Get another item instead ({items})",
}


def item_with_quantity(name: str, quantity: int) -> str:
    return f"{name} × {quantity}" if quantity > 1 else name


def choice_note(answer_by: datetime, default: Choice, zone: ZoneInfo, language: Language) -> str:
    """Return the deadline of a choice and what happens without an answer."""
    moment = localized_datetime(answer_by, zone, language)
    deadline = f"{moment}まで。" if language == Language.JA else f"Until {moment}. "
    return deadline + PHRASES[language].default_notes[default]


_REPORTED = {
    Language.JA: {
        Reason.DEFECTIVE: "お届けした{items}に不具合があった",
        Reason.DAMAGED_IN_TRANSIT: "お届けした{items}が破損していた",
        Reason.MISSING_PART: "お届けした{items}の部品が不足していた",
        Reason.MISSING_ITEM: "お荷物に{items}が入っていなかった",
        Reason.WRONG_ITEM: "ご注文の{items}とは違うお品をお届けした",
        Reason.LOST_IN_TRANSIT: "ご注文の{items}がまだお手元に届いていない",
    },
    Language.EN: {
        Reason.DEFECTIVE: "about the fault with {items}",
        Reason.DAMAGED_IN_TRANSIT: "that {items} arrived damaged",
        Reason.MISSING_PART: "that a part is missing from {items}",
        Reason.MISSING_ITEM: "that your parcel came without {items}",
        Reason.WRONG_ITEM: "that you received something other than {items}",
        Reason.LOST_IN_TRANSIT: "that your parcel with {items} has not reached you",
    },
}
"""Reports by reason, as part of the apology."""

_APOLOGY = {
    Language.JA: "このたびは、{report}とのこと、ご迷惑をおかけし誠に申し訳ございません。",
    Language.EN: "We are sorry to hear {report}.",
}
PATIENCE = {
    Language.JA: "ご不便をおかけいたしますが、何卒よろしくお願い申し上げます。",
    Language.EN: "Thank you for your patience.",
}


def reported(reason: Reason | None, items: list[str], language: Language) -> str:
    """Return the apology that names the report by its reason; "" where the customer reported no fault of ours."""
    report = _REPORTED[language].get(reason) if reason else None
    if report is None:
        return ""
    named = "".join(f"「{item}」" for item in items) if language == Language.JA else " and ".join(items)
    unnamed = "お品" if language == Language.JA else "your item"
    return _APOLOGY[language].format(report=report.format(items=named or unnamed))


def mail_subject(shop: str, heading: str, order_id: str, language: Language) -> str:
    """Return the subject of a mail: shop, fact, and the number of the order where the mail is about one."""
    if language == Language.JA:
        return f"【{shop}】{heading}" + (f"(ご注文 {order_id})" if order_id else "")
    return f"[{shop}] {heading}" + (f" (order {order_id})" if order_id else "")


def group_subject(count: int, language: Language) -> str:
    """Return the subject of a message with several notices."""
    return f"{count}件のお知らせ" if language == Language.JA else f"{count} messages about your orders"


def counted_item(name: str, quantity: int) -> str:
    """Return the item with its quantity, also for one, for notices that must state it."""
    return f"{name} × {quantity}"


def join_items(items: list[str], language: Language) -> str:
    return "、".join(items) if language == Language.JA else ", ".join(items)


MISSING_DETAILS = {
    Language.JA: {"photo": "お品のようすがわかる写真", "part": "足りない部品の名前"},
    Language.EN: {"photo": "a photo that shows the item", "part": "the name of the part that is missing"},
}
