"""Expiry of points, oldest first, after a notice. One timer per customer, set for the next notice or expiry.

Points can be spent until the end of their last day in the shop's time zone. Each day of expiry is announced once,
`notice_days` before.
"""

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta

from libs.common.events.loyalty import PointsExpired, PointsExpiring
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.timers import EXPIRY
from services.loyalty.ledger.accounts import Lot
from services.loyalty.ledger.entries import EntryKind, LedgerAccount


def on_expiry_timer(ctx: LedgerDecision) -> None:
    expire_lots(ctx)
    _notify_expiring(ctx)
    schedule_expiry(ctx)
    if not ctx.facts:
        ctx.ignore("nothing_expires")


def expire_lots(ctx: LedgerDecision, cause: str | None = None) -> None:
    """Expire available points whose last day is over. Without a cause, that day is the cause."""
    for lot in ctx.state.spendable():
        if lot.expires_on >= ctx.today:
            return
        points, lot_cause = lot.balances.available, cause or f"expiry:{lot.expires_on}"
        entry = ctx.post(
            EntryKind.EXPIRE, lot, LedgerAccount.AVAILABLE, LedgerAccount.EXPIRED, points, lot_cause, "expired"
        )
        expired = PointsExpired(
            customer_id=ctx.state.customer_id,
            entry_id=entry.entry_id,
            points=points,
            cause=lot_cause,
            text="expired",
            expired_at=ctx.now,
        )
        ctx.emit(expired)


def _notify_expiring(ctx: LedgerDecision) -> None:
    until, per_day = ctx.today + timedelta(days=ctx.award_rules.notice_days), Counter[date]()
    for lot in ctx.state.spendable():
        if _needs_notice(ctx, lot) and lot.expires_on <= until:
            per_day[lot.expires_on] += lot.balances.available
    for day, points in sorted(per_day.items()):
        ctx.emit(
            PointsExpiring(
                customer_id=ctx.state.customer_id,
                points=points,
                expires_on=day,
                text="expiring",
                announced_at=ctx.now,
                balance=ctx.state.balances.available,
            )
        )
    if per_day:
        ctx.set_membership(replace(ctx.state.current_membership(), expiry_notified_until=until))


def _needs_notice(ctx: LedgerDecision, lot: Lot) -> bool:
    notified = ctx.state.current_membership().expiry_notified_until
    return ctx.award_rules.notice_days > 0 and (notified is None or lot.expires_on > notified)


def schedule_expiry(ctx: LedgerDecision) -> None:
    """Set the timer for the next notice or expiry, if any points can expire."""
    due = [_next_due(ctx, lot) for lot in ctx.state.spendable()]
    if due:
        ctx.set_timer(EXPIRY, min(due))


def _next_due(ctx: LedgerDecision, lot: Lot) -> datetime:
    if _needs_notice(ctx, lot):
        return ctx.rules.start_of_day(lot.expires_on - timedelta(days=ctx.award_rules.notice_days))
    return ctx.rules.start_of_day(lot.expires_on + timedelta(days=1))
