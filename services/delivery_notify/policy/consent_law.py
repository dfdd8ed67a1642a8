"""Consent law of the markets: the effect of a customer's silence about a delay, and what a notice about it must state.

The mode is computed from the delay and `consent_law.toml`, never chosen, so no question favours the shop more than the
law allows.
"""

import tomllib
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from holidays import country_holidays

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.notices import DecidedBy, NoticeKind
from libs.common.events.values import Choice
from services.delivery_notify.policy.notification_rules import NotificationRules

FILE = Path(__file__).with_name("consent_law.toml")


class SilenceEffect(StrEnum):
    """Legal effect of an unanswered question."""

    CONSENTS = "consents"
    CANCELS = "cancels"


class Element(StrEnum):
    """Element that a notice must contain; the template lint checks it (`required_elements`)."""

    OLD_DATE = "old_date"
    NEW_DATE = "new_date"
    NO_DATE = "no_date"
    NEXT_UPDATE = "next_update"
    RIGHT_TO_CANCEL = "right_to_cancel"
    PROMPT_REFUND = "prompt_refund"
    WHAT_SILENCE_MEANS = "what_silence_means"
    CONTINUING_RIGHT = "continuing_right"
    HOW_TO_ANSWER = "how_to_answer"
    ADDITIONAL_PERIOD = "additional_period"
    REIMBURSEMENT = "reimbursement"
    REASON = "reason"
    REFUND_BY = "refund_by"
    ACCEPTANCE = "acceptance"
    SELLER = "seller"
    AMOUNT_RECEIVED = "amount_received"
    RECEIVED_ON = "received_on"
    PRODUCT = "product"
    QUANTITY = "quantity"
    DELIVERY_TIME = "delivery_time"


@dataclass(frozen=True, slots=True)
class DelayTerms:
    """Terms of a question about a delay, as a notice states them beside its dates.

    `refund_days` are working or calendar days from the day on which the right to a refund begins.
    """

    market: str
    version: str
    silence_means: SilenceEffect = SilenceEffect.CONSENTS
    refund_days: int = 7
    refund_days_are: str = "working"
    repeated: bool = False
    undated: bool = False
    essential: bool = False


@dataclass(frozen=True, slots=True)
class MarketLaw:
    """Rules of one market (`consent_law.toml`)."""

    name: str
    version: str
    source: str
    refund_days: int
    refund_days_are: str
    silence_means: SilenceEffect | None = None
    answer_days: int = 7
    statutory_days: int | None = None
    consent_days: int | None = None
    renewed_answer_days: int = 3
    acceptance: bool = False
    withdrawal_days: int | None = None
    delivery_choice: bool = False
    requires: dict[NoticeKind, frozenset[Element]] = field(default_factory=dict)


@cache
def laws() -> dict[str, MarketLaw]:
    """Return the laws by country; `""` is the shop's own policy, for every other country."""
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))
    found = {"": _law("house", read["house"], read["version"])}
    for name, entry in read["markets"].items():
        law = _law(name, entry, read["version"])
        found |= dict.fromkeys(entry.get("countries", [name]), law)
    return found


def law_of(market: str) -> MarketLaw:
    return laws().get(market) or laws()[""]


def _law(name: str, entry: dict[str, Any], version: str) -> MarketLaw:
    requires = {NoticeKind(kind): frozenset(map(Element, each)) for kind, each in entry.get("requires", {}).items()}
    effect = SilenceEffect(entry["silence_means"]) if "silence_means" in entry else None
    known = {key: value for key, value in entry.items() if key not in ("url", "countries", "requires", "silence_means")}
    return MarketLaw(name=name, version=version, silence_means=effect, requires=requires, **known)


DATE_NOTICES = frozenset(
    {NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE, NoticeKind.ORDER_EARLY, NoticeKind.ORDER_ACCEPTED}
)
"""Notices that state the ship date of a prepaid order: where the law requires a notice of acceptance, they are one."""


def required_elements(market: str, kind: NoticeKind, *, prepaid: bool = False) -> frozenset[Element]:
    """Return the elements that a notice of this kind must contain in this market.

    A notice that moves the date of a `prepaid` order (its facts have `received_on`) is a notice of acceptance as well.
    """
    law = law_of(market)
    accepts = (
        law.requires.get(NoticeKind.ORDER_ACCEPTED, frozenset()) if prepaid and kind in DATE_NOTICES else frozenset()
    )
    return law.requires.get(kind, frozenset()) | accepts


@dataclass(frozen=True, slots=True)
class Delay:
    """Goods that will be late. `applicable` is the day from which the law counts: the first promised one, or the law's
    own. `broken` is the day that cannot be kept, `revised` the new one, None without a new date.

    `repeated`: a date that replaced another is broken in turn. `accepted_open_wait`: the customer agreed before to wait
    without a date. `lapses_at`: silence about an earlier delay cancels then, whatever is announced in the meantime.
    """

    applicable: date
    broken: date
    revised: date | None
    repeated: bool = False
    accepted_open_wait: bool = False
    essential: bool = False
    lapses_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ConsentClock:
    """Consequences of a delay: the deadline to answer, the default decision, the day from which a refund is due."""

    terms: DelayTerms
    default: Choice
    answer_by: datetime
    default_reason: DecidedBy = DecidedBy.SILENCE
    vests_on: date | None = None


def start_consent_clock(
    market: str, delay: Delay, now: datetime, next_notice_at: datetime, rules: NotificationRules
) -> ConsentClock:
    """The mode, computed. `speaks_at` is when we speak again if nothing has happened by then."""
    law = law_of(market)
    if law.consent_days is None or delay.accepted_open_wait:
        by = (
            next_notice_at
            if delay.accepted_open_wait and law.consent_days is not None
            else _answer_deadline(law, delay, now, rules)
        )
        return ConsentClock(_terms(law, market, SilenceEffect.CONSENTS, delay), Choice.WAIT, by)
    if delay.repeated:
        by = max(now + timedelta(days=law.renewed_answer_days), rules.end_of(delay.broken))
        return _cancelling(law, market, delay, by, DecidedBy.SILENCE, delay.broken)
    last = delay.applicable + timedelta(days=law.consent_days)
    if delay.revised is None or delay.revised > last:
        by = max(rules.end_of(last), now + timedelta(days=1))
        return _cancelling(law, market, delay, by, DecidedBy.DEADLINE, last)
    return ConsentClock(_terms(law, market, SilenceEffect.CONSENTS, delay), Choice.WAIT, next_notice_at)


def _cancelling(
    law: MarketLaw, market: str, delay: Delay, by: datetime, reason: DecidedBy, vests_on: date
) -> ConsentClock:
    """A later notice does not postpone the cancellation by silence about an earlier one."""
    by = min(by, delay.lapses_at) if delay.lapses_at else by
    return ConsentClock(_terms(law, market, SilenceEffect.CANCELS, delay), Choice.CANCEL, by, reason, vests_on)


def _answer_deadline(law: MarketLaw, delay: Delay, now: datetime, rules: NotificationRules) -> datetime:
    """The answer period of the law: at most until noon before the new date, and one day at least."""
    by = now + timedelta(days=law.answer_days)
    if delay.revised:
        by = min(by, rules.calendar.moment(delay.revised - timedelta(days=1), rules.update_hour))
    return max(now + timedelta(days=1), by)


def _terms(law: MarketLaw, market: str, effect: SilenceEffect, delay: Delay) -> DelayTerms:
    return DelayTerms(
        market,
        law.version,
        effect,
        law.refund_days,
        law.refund_days_are,
        repeated=delay.repeated,
        undated=delay.revised is None,
        essential=delay.essential,
    )


def refund_due(market: str, begins: date, calendar: ShopCalendar) -> date:
    """Return the last day for the refund, where the right to it begins on that day.

    Working days follow the public holidays of the market, not those of the shop.
    """
    law = law_of(market)
    if law.refund_days_are == "calendar":
        return begins + timedelta(days=law.refund_days)
    open_days = _working_days(market, calendar)
    day = begins
    for _ in range(law.refund_days):
        day = open_days.next_open(day + timedelta(days=1))
    return day


@cache
def _working_days(market: str, calendar: ShopCalendar) -> ShopCalendar:
    try:
        country_holidays(market)
    except NotImplementedError:  # no holiday list for that country: use the shop's
        return calendar
    return ShopCalendar(calendar.zone, market)


def statutory_promise(market: str, ordered_on: date) -> date | None:
    """Return the day that the law sets where no date was promised."""
    days = law_of(market).statutory_days
    return ordered_on + timedelta(days=days) if days else None
