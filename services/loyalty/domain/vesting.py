"""Vesting, debt settlement and reversal of points."""

from datetime import datetime

from libs.common.events.loyalty import GrantKind, PointsReversed, PointsVested
from services.loyalty.domain import expiry, tiers
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.timers import VEST, timer_name
from services.loyalty.ledger.accounts import PointsLot
from services.loyalty.ledger.entries import Entry, EntryKind, LedgerAccount


def vest(decision: LedgerDecision, cause: str) -> None:
    """End the hold of a grant: its pending points become available and pay the customer's debt first."""
    lot = decision.state.lots.get(cause)
    if lot is None:
        decision.anomaly("vest_without_grant", cause)
    elif not lot.balances.pending:
        decision.ignore("already_vested" if lot.balances.net_granted else "already_reversed")
    else:
        points = lot.balances.pending
        entry = decision.post(
            EntryKind.VEST, lot, LedgerAccount.PENDING, LedgerAccount.AVAILABLE, points, cause, "vested"
        )
        debt_before = -decision.state.balances.debt
        settle_debt(decision, cause)
        vested = PointsVested(
            customer_id=decision.state.customer_id,
            entry_id=entry.entry_id,
            points=points,
            cause=cause,
            text="vested",
            issue_id=lot.issue_id,
            order_id=lot.order_id,
            vested_at=decision.now,
            paid_debt=(debt_before + decision.state.balances.debt) or None,
        )
        decision.emit(vested)
        tiers.reevaluate(decision)
        expiry.schedule_expiry(decision)


def start_vesting(decision: LedgerDecision, lot: PointsLot, vests_at: datetime) -> None:
    """Set the vesting timer of a pending grant; a grant without a hold takes effect at once."""
    if lot.balances.pending:
        decision.set_timer(timer_name(VEST, lot.cause), vests_at)
    else:
        settle_debt(decision, lot.cause)
        tiers.reevaluate(decision)
        expiry.schedule_expiry(decision)


def settle_debt(decision: LedgerDecision, cause: str) -> None:
    """Pay the debt from available points, earliest expiry first."""
    for lot in decision.state.spendable():
        debt = -decision.state.balances.debt
        if not debt:
            return
        points = min(debt, lot.balances.available)
        decision.post(EntryKind.SETTLE, lot, LedgerAccount.AVAILABLE, LedgerAccount.DEBT, points, cause, "debt_paid")


def reverse(decision: LedgerDecision, lot: PointsLot, points: int, cause: str, text: str) -> None:
    """Reverse points of a grant with compensating entries; points already spent become debt."""
    first, debt = _post_reversals(decision, lot, points, cause, text)
    if lot.balances.pending and not decision.state.lots[lot.cause].balances.pending:
        decision.cancel_timer(timer_name(VEST, lot.cause))
    settle_debt(decision, cause)
    reversal = PointsReversed(
        customer_id=decision.state.customer_id,
        entry_id=first.entry_id,
        points=points,
        cause=cause,
        text=text,
        issue_id=lot.issue_id,
        order_id=lot.order_id,
        reverses=lot.lot_id,
        reversed_at=decision.now,
        debt=debt or None,
    )
    decision.emit(reversal)
    if lot.kind is not GrantKind.APOLOGY or lot.counts_for_tier:
        tiers.reevaluate(decision, points_reversed=True)


def _post_reversals(decision: LedgerDecision, lot: PointsLot, points: int, cause: str, text: str) -> tuple[Entry, int]:
    """Take points from pending, available and expired, then from debt. Returns the first entry and the new debt."""
    entries, remaining = [], points
    for account in (LedgerAccount.PENDING, LedgerAccount.AVAILABLE, LedgerAccount.EXPIRED):
        if part := min(remaining, lot.balances.balance_of(account)):
            entries.append(decision.post(EntryKind.REVERSE, lot, account, LedgerAccount.ISSUED, part, cause, text))
            remaining -= part
    if remaining:
        debt = decision.post(EntryKind.REVERSE, lot, LedgerAccount.DEBT, LedgerAccount.ISSUED, remaining, cause, text)
        entries.append(debt)
    assert entries, "callers reverse at least one point"
    return entries[0], remaining
