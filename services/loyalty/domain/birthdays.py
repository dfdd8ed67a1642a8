"""Birthday points once a year, for customers whose storefront sent month and day (MM-DD). The year is not stored."""

from calendar import isleap
from datetime import date, datetime, time, timedelta

from libs.common.events.loyalty import GrantKind
from services.loyalty.domain.award import birthday_award
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.grants import grant
from services.loyalty.domain.timers import BIRTHDAY, timer_name
from services.loyalty.ledger.causes import birthday_cause

GRANT_TIME = time(9)
MIN_INTERVAL = timedelta(days=330)
"""Minimum interval between two birthday grants, so that a changed birthday does not earn twice."""


def on_birthday(ctx: LedgerDecision, month_day: str) -> None:
    award = birthday_award(ctx.award_rules, ctx.today)
    if ctx.state.birthday != month_day or award is None:
        ctx.ignore("birthday_changed" if award else "no_birthday_points")
        return
    if _birthday_in(ctx.today.year, month_day) == ctx.today and not _granted_recently(ctx):
        grant(ctx, award, birthday_cause(ctx.state.customer_id, ctx.today.year), GrantKind.BIRTHDAY)
    ctx.set_timer(timer_name(BIRTHDAY, month_day), _next_birthday(ctx, month_day))


def _granted_recently(ctx: LedgerDecision) -> bool:
    lots = [lot for lot in ctx.state.lots.values() if lot.kind is GrantKind.BIRTHDAY]
    return any(lot.granted_at > ctx.now - MIN_INTERVAL for lot in lots)


def _birthday_in(year: int, month_day: str) -> date:
    """Return the birthday in that year; 29 February becomes the 28th outside leap years."""
    month, day = map(int, month_day.split("-"))
    if (month, day) == (2, 29) and not isleap(year):
        day = 28
    return date(year, month, day)


def _next_birthday(ctx: LedgerDecision, month_day: str) -> datetime:
    day = _birthday_in(ctx.today.year, month_day)
    if day <= ctx.today:
        day = _birthday_in(ctx.today.year + 1, month_day)
    return datetime.combine(day, GRANT_TIME, ctx.rules.zone)
