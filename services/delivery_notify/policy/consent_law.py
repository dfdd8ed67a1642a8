"""The consent clock: what a market's law makes of a customer's silence when goods are late, and what a notice must say.

The mode is computed from the slip and `consent_law.toml`, never chosen: nobody can send a question that is kinder
to the shop than the law. Pure: rules are data that were read at the start.
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
from services.delivery_notify.policy.notification_rules import Rules

FILE = Path(__file__).with_name("consent_law.toml")


class Silence(StrEnum):
    """What it means that a customer does not answer."""

    CONSENTS = "consents"
    CANCELS = "cancels"


class Element(StrEnum):
    """Something that a notice must say. Templates are checked for it (`required_elements`)."""

    OLD_DATE = "old_date"
    NEW_DATE = "new_date"
    NO_DATE = "no_date"
    NEXT_WORD = "next_word"
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
class Terms:
    """Under which terms a question is asked: what a notice tells beside its dates. Times are in the notice's facts.

    `refund_days` are working or calendar days from the day on which the right to a refund begins.
    """

    market: str
    version: str
    silence: Silence = Silence.CONSENTS
    refund_days: int = 7
    refund_days_are: str = "working"
    repeated: bool = False
    undated: bool = False
    essential: bool = False


@dataclass(frozen=True, slots=True)
class Law:
    """One market's rules, as `consent_law.toml` has them."""

    name: str
    version: str
    source: str
    refund_days: int
    refund_days_are: str
    silence: Silence | None = None
    answer_days: int = 7
    unstated_days: int | None = None
    consent_days: int | None = None
    renewed_answer_days: int = 3
    acceptance: bool = False
    arrival_choice: bool = False
    requires: dict[NoticeKind, frozenset[Element]] = field(default_factory=dict)


@cache
def laws() -> dict[str, Law]:
    """By country; `""` is the house's own, for every other country."""
    read = tomllib.loads(FILE.read_text(encoding="utf-8"))
    found = {"": _law("house", read["house"], read["version"])}
    for name, entry in read["markets"].items():
        law = _law(name, entry, read["version"])
        found |= dict.fromkeys(entry.get("countries", [name]), law)
    return found


def law_of(market: str) -> Law:
    return laws().get(market) or laws()[""]


def _law(name: str, entry: dict[str, Any], version: str) -> Law:
    requires = {NoticeKind(kind): frozenset(map(Element, each)) for kind, each in entry.get("requires", {}).items()}
    silence = Silence(entry["silence"]) if "silence" in entry else None
    known = {key: value for key, value in entry.items() if key not in ("url", "countries", "requires", "silence")}
    return Law(name=name, version=version, silence=silence, requires=requires, **known)


MOVES = frozenset(
    {NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE, NoticeKind.ORDER_EARLY, NoticeKind.ORDER_ACCEPTED}
)
"""Notices that tell when a prepaid order leaves: where the law wants a notice of acceptance, they are one."""


def required_elements(market: str, kind: NoticeKind, *, prepaid: bool = False) -> frozenset[Element]:
    """What a notice of this kind must say in this market, whatever else it says.

    Of a `prepaid` order (its facts have `received_on`) a notice that moves the date is a notice of acceptance as well.
    """
    law = law_of(market)
    accepts = law.requires.get(NoticeKind.ORDER_ACCEPTED, frozenset()) if prepaid and kind in MOVES else frozenset()
    return law.requires.get(kind, frozenset()) | accepts


@dataclass(frozen=True, slots=True)
class Slip:
    """Goods that will be late. `applicable` is the day from which the law counts: the first that was promised, or the
    law's own where none was. `broken` is the day that cannot be kept, `revised` the new one, None where there is none.

    `repeated`: a date that took the place of another is broken in its turn. `patient`: the customer agreed before to
    wait without a date. `lapses_at`: silence about an earlier slip cancels then, whatever is said in the meantime.
    """

    applicable: date
    broken: date
    revised: date | None
    repeated: bool = False
    patient: bool = False
    essential: bool = False
    lapses_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """What follows from a slip: until when to answer, what silence means then, and from when a refund is due."""

    terms: Terms
    default: Choice
    answer_by: datetime
    silence: DecidedBy = DecidedBy.SILENCE
    vests_on: date | None = None


def consent(market: str, slip: Slip, now: datetime, speaks_at: datetime, rules: Rules) -> Clock:
    """The mode, computed. `speaks_at` is when we speak again if nothing has happened by then."""
    law = law_of(market)
    if law.consent_days is None or slip.patient:
        by = speaks_at if slip.patient and law.consent_days is not None else _kind_answer(law, slip, now, rules)
        return Clock(_terms(law, market, Silence.CONSENTS, slip), Choice.WAIT, by)
    if slip.repeated:
        by = max(now + timedelta(days=law.renewed_answer_days), rules.end_of(slip.broken))
        return _cancelling(law, market, slip, by, DecidedBy.SILENCE, slip.broken)
    last = slip.applicable + timedelta(days=law.consent_days)
    if slip.revised is None or slip.revised > last:
        by = max(rules.end_of(last), now + timedelta(days=1))
        return _cancelling(law, market, slip, by, DecidedBy.DEADLINE, last)
    return Clock(_terms(law, market, Silence.CONSENTS, slip), Choice.WAIT, speaks_at)


def _cancelling(law: Law, market: str, slip: Slip, by: datetime, silence: DecidedBy, vests_on: date) -> Clock:
    """A later notice never moves the moment at which silence about an earlier one cancels."""
    by = min(by, slip.lapses_at) if slip.lapses_at else by
    return Clock(_terms(law, market, Silence.CANCELS, slip), Choice.CANCEL, by, silence, vests_on)


def _kind_answer(law: Law, slip: Slip, now: datetime, rules: Rules) -> datetime:
    """So many days, but no longer than noon before the new day, and a day at least; without a date, so many days."""
    by = now + timedelta(days=law.answer_days)
    if slip.revised:
        by = min(by, rules.calendar.moment(slip.revised - timedelta(days=1), rules.word_hour))
    return max(now + timedelta(days=1), by)


def _terms(law: Law, market: str, silence: Silence, slip: Slip) -> Terms:
    return Terms(
        market,
        law.version,
        silence,
        law.refund_days,
        law.refund_days_are,
        repeated=slip.repeated,
        undated=slip.revised is None,
        essential=slip.essential,
    )


def refund_due(market: str, begins: date, calendar: ShopCalendar) -> date:
    """The last day for the money to be back, where the right to it begins on that day.

    Working days are those of the market's own public holidays, not of the shop's.
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
    except NotImplementedError:  # no list of that country's holidays: the shop's own
        return calendar
    return ShopCalendar(calendar.zone, market)


def unstated_promise(market: str, ordered_on: date) -> date | None:
    """The day that the law puts in the place of a promise that was not made."""
    days = law_of(market).unstated_days
    return ordered_on + timedelta(days=days) if days else None
