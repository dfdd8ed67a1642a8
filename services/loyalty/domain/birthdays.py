"""Birthday points once a year, for customers whose storefront sent month and day (MM-DD). The year is not stored."""

from calendar import isleap
from datetime import date, datetime, time, timedelta

from libs.common.events.loyalty import GrantKind
from services.loyalty.domain.award import birthday_award
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.grants import grant
from services.loyalty.domain.timers import BIRTHDAY, timer_name
from services.loyalty.ledger.causes import birthday_cause

GRANT_TIME = time(9)
MIN_INTERVAL = timedelta(days=330)
"""Minimum interval between two birthday grants, so that a changed birthday does not earn twice."""


def on_birthday(decision: LedgerDecision, month_day: str) -> None:
    award = birthday_award(decision.award_rules, decision.today)
    if decision.state.birthday != month_day or award is None:
        decision.ignore("birthday_changed" if award else "no_birthday_points")
        return
    if _birthday_in(decision.today.year, month_day) == decision.today and not _granted_recently(decision):
        grant(decision, award, birthday_cause(decision.state.customer_id, decision.today.year), GrantKind.BIRTHDAY)
    decision.set_timer(timer_name(BIRTHDAY, month_day), _next_birthday(decision, month_day))


def _granted_recently(decision: LedgerDecision) -> bool:
    lots = [lot for lot in decision.state.lots.values() if lot.kind is GrantKind.BIRTHDAY]
    return any(lot.granted_at > decision.now - MIN_INTERVAL for lot in lots)


def _birthday_in(year: int, month_day: str) -> date:
    """Return the birthday in that year; 29 February becomes the 28th outside leap years."""
    month, day = map(int, month_day.split("-"))
    if (month, day) == (2, 29) and not isleap(year):
        day = 28
    return date(year, month, day)


def _next_birthday(decision: LedgerDecision, month_day: str) -> datetime:
    day = _birthday_in(decision.today.year, month_day)
    if day <= decision.today:
        day = _birthday_in(decision.today.year + 1, month_day)
    return datetime.combine(day, GRANT_TIME, decision.rules.zone)
