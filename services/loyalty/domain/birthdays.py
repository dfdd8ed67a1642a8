"""A present once a year, for customers whose storefront tells month and day (MM-DD). The year is nobody's business."""

from calendar import isleap
from datetime import date, datetime, time, timedelta

from libs.common.events.loyalty import GrantKind, PointsGranted
from services.loyalty.domain.award import Award, birthday
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.vesting import begin

TIMER = "birthday:"
HOUR = time(9)
NOT_AGAIN_FOR = timedelta(days=330)
"""Whoever moves their birthday does not get two presents."""


def due(turn: LedgerDecision, month_day: str) -> None:
    award = birthday(turn.rules, turn.today)
    if turn.account.birthday != month_day or award is None:
        turn.ignore("birthday_moved" if award else "no_birthday_points")
        return
    cause = f"birthday:{turn.account.customer_id}:{turn.today.year}"
    if _this_year(month_day, turn.today.year) == turn.today and not _had_one(turn):
        _give(turn, award, cause)
    turn.wake(TIMER + month_day, _next(turn, month_day))


def _had_one(turn: LedgerDecision) -> bool:
    lots = [lot for lot in turn.account.lots.values() if lot.what is GrantKind.BIRTHDAY]
    return any(lot.granted_at > turn.now - NOT_AGAIN_FOR for lot in lots)


def _give(turn: LedgerDecision, award: Award, cause: str) -> None:
    lot = turn.grant(award, cause, GrantKind.BIRTHDAY, "birthday")
    granted = PointsGranted(
        customer_id=turn.account.customer_id,
        entry_id=lot.lot_id,
        points=award.points,
        cause=cause,
        text="birthday",
        rule=award.rule,
        rule_version=award.version,
        granted_at=turn.now,
        kind=lot.what,
        legal_basis=award.legal_basis,
        expires_on=lot.expires_on,
        counts_for_tier=False,
        vests_at=turn.now,
    )
    turn.say(granted)
    begin(turn, lot, turn.now)


def _this_year(month_day: str, year: int) -> date:
    """The day in that year; who was born on 29 February has it on the 28th in other years."""
    month, day = map(int, month_day.split("-"))
    if (month, day) == (2, 29) and not isleap(year):
        day = 28
    return date(year, month, day)


def _next(turn: LedgerDecision, month_day: str) -> datetime:
    day = _this_year(month_day, turn.today.year)
    if day <= turn.today:
        day = _this_year(month_day, turn.today.year + 1)
    return datetime.combine(day, HOUR, turn.terms.zone)
