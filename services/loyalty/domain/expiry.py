"""Expiry of points, oldest first, after a notice. One timer per customer, set for the next notice or expiry.

Points can be spent until the end of their last day in the shop's time zone. Each day of expiry is announced once,
`notice_days` before.
"""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

from libs.common.events.loyalty import PointsExpired, PointsExpiring
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.timers import EXPIRY
from services.loyalty.ledger.accounts import PointsLot
from services.loyalty.ledger.entries import EntryKind, LedgerAccount


def on_expiry_timer(decision: LedgerDecision) -> None:
    expire_lots(decision)
    _notify_expiring(decision)
    schedule_expiry(decision)
    if not decision.facts:
        decision.ignore("nothing_expires")


def expire_lots(decision: LedgerDecision, cause: str | None = None) -> None:
    """Expire available points whose last day is over. Without a cause, that day is the cause."""
    for lot in decision.state.spendable():
        if lot.expires_on >= decision.today:
            return
        points, lot_cause = lot.balances.available, cause or f"expiry:{lot.expires_on}"
        entry = decision.post(
            EntryKind.EXPIRE, lot, LedgerAccount.AVAILABLE, LedgerAccount.EXPIRED, points, lot_cause, "expired"
        )
        expired = PointsExpired(
            customer_id=decision.state.customer_id,
            entry_id=entry.entry_id,
            points=points,
            cause=lot_cause,
            text="expired",
            expired_at=decision.now,
        )
        decision.emit(expired)


def _notify_expiring(decision: LedgerDecision) -> None:
    until, per_day = decision.today + timedelta(days=decision.award_rules.notice_days), Counter[date]()
    for lot in decision.state.spendable():
        if _needs_notice(decision, lot) and lot.expires_on <= until:
            per_day[lot.expires_on] += lot.balances.available
    for day, points in sorted(per_day.items()):
        decision.emit(
            PointsExpiring(
                customer_id=decision.state.customer_id,
                points=points,
                expires_on=day,
                text="expiring",
                announced_at=decision.now,
                balance=decision.state.balances.available,
            )
        )
    if per_day:
        decision.set_membership(replace(decision.state.current_membership(), expiry_notified_until=until))


def _needs_notice(decision: LedgerDecision, lot: PointsLot) -> bool:
    notified = decision.state.current_membership().expiry_notified_until
    return decision.award_rules.notice_days > 0 and (notified is None or lot.expires_on > notified)


def schedule_expiry(decision: LedgerDecision) -> None:
    """Set the timer for the next notice or expiry, if any points can expire."""
    due = [_next_due(decision, lot) for lot in decision.state.spendable()]
    if due:
        decision.set_timer(EXPIRY, min(due))


def _next_due(decision: LedgerDecision, lot: PointsLot) -> datetime:
    if _needs_notice(decision, lot):
        return decision.rules.start_of_day(lot.expires_on - timedelta(days=decision.award_rules.notice_days))
    return decision.rules.start_of_day(lot.expires_on + timedelta(days=1))
