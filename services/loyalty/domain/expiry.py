"""Points expire, the oldest first, after a notice. One timer per customer, always at the next thing to do.

Points can be spent until the end of their last day in the shop; each day of expiry is told once, `notice_days` before.
"""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

from libs.common.events.loyalty import PointsExpired, PointsExpiring
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.ledger.accounts import Kind, Lot, Place

TIMER = "expiry"


def due(turn: LedgerDecision) -> None:
    expire(turn, "expiry")
    _tell(turn)
    schedule(turn)
    if not turn.facts:
        turn.ignore("nothing_expires")


def expire(turn: LedgerDecision, cause: str) -> None:
    """Take away what could be spent until yesterday."""
    for lot in turn.account.spendable():
        if lot.expires_on >= turn.today:
            return
        points = lot.purse.available
        own = f"expiry:{lot.expires_on}" if cause == "expiry" else cause
        entry = turn.post(Kind.EXPIRE, lot, Place.AVAILABLE, Place.EXPIRED, points, own, "expired")
        expired = PointsExpired(
            customer_id=turn.account.customer_id,
            entry_id=entry.entry_id,
            points=points,
            cause=own,
            text="expired",
            expired_at=turn.now,
        )
        turn.say(expired)


def _tell(turn: LedgerDecision) -> None:
    until, days = turn.today + timedelta(days=turn.rules.notice_days), Counter[date]()
    for lot in turn.account.spendable():
        if _is_to_tell(turn, lot) and lot.expires_on <= until:
            days[lot.expires_on] += lot.purse.available
    for day, points in sorted(days.items()):
        turn.say(
            PointsExpiring(
                customer_id=turn.account.customer_id,
                points=points,
                expires_on=day,
                text="expiring",
                announced_at=turn.now,
                balance=turn.account.purse.available,
            )
        )
    if days:
        turn.become(replace(turn.account.member(), told_until=until))


def _is_to_tell(turn: LedgerDecision, lot: Lot) -> bool:
    told = turn.account.member().told_until
    return turn.rules.notice_days > 0 and (told is None or lot.expires_on > told)


def schedule(turn: LedgerDecision) -> None:
    """Wake at the next notice or expiry, if points are there to expire."""
    moments = [_next(turn, lot) for lot in turn.account.spendable()]
    if moments:
        turn.wake(TIMER, min(moments))


def _next(turn: LedgerDecision, lot: Lot) -> datetime:
    if _is_to_tell(turn, lot):
        return turn.terms.begin_of(lot.expires_on - timedelta(days=turn.rules.notice_days))
    return turn.terms.begin_of(lot.expires_on + timedelta(days=1))
