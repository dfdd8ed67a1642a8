"""Redemption of points: reserved for a purchase, then committed or released; returned if the purchase is undone.

An unfinished reservation expires by a timer. Points with the earliest expiry are used first.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from libs.common.events.loyalty import PointsRedeemed, PointsReleased, PointsReserved
from services.loyalty.domain import expiry
from services.loyalty.domain.commands import CommitRedemption, ReleaseRedemption, ReservePoints, ReturnRedemption
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.timers import RESERVATION, timer_name
from services.loyalty.domain.vesting import settle_debt
from services.loyalty.ledger.accounts import Redemption, RedemptionState
from services.loyalty.ledger.causes import redemption_cause
from services.loyalty.ledger.entries import Entry, EntryKind, LedgerAccount


def reserve(ctx: LedgerDecision, command: ReservePoints) -> None:
    existing = ctx.state.redemptions.get(command.redemption_id)
    if existing:
        ctx.ignore(f"already_{existing.state}")
        return
    parts = _allocate(ctx, command.points)
    if parts is None:
        ctx.ignore("insufficient_points")
        return
    expires_at = ctx.now + timedelta(minutes=ctx.award_rules.reservation_minutes)
    redemption = Redemption(command.redemption_id, command.order_id, RedemptionState.RESERVED, parts, expires_at)
    entry = _move(ctx, redemption, EntryKind.RESERVE, LedgerAccount.AVAILABLE, LedgerAccount.RESERVED, "reserved")
    reserved = PointsReserved(
        customer_id=ctx.state.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text="reserved",
        redemption_id=redemption.redemption_id,
        order_id=redemption.order_id,
        expires_at=expires_at,
        reserved_at=ctx.now,
    )
    ctx.emit(reserved)
    ctx.set_timer(timer_name(RESERVATION, redemption.redemption_id), expires_at)


def _allocate(ctx: LedgerDecision, points: int) -> Mapping[UUID, int] | None:
    """Allocate points over lots, earliest expiry first; None if there are not enough."""
    parts: dict[UUID, int] = {}
    for lot in ctx.state.spendable():
        part = min(points, lot.balances.available) if lot.expires_on >= ctx.today else 0
        if part:
            parts[lot.lot_id] = part
            points -= part
    return None if points else parts


def commit(ctx: LedgerDecision, command: CommitRedemption) -> None:
    redemption = _find_or_ignore(ctx, command.redemption_id, RedemptionState.RESERVED)
    if redemption is None:
        return
    entry = _move(ctx, redemption, EntryKind.REDEEM, LedgerAccount.RESERVED, LedgerAccount.SPENT, "redeemed")
    _put(ctx, replace(redemption, state=RedemptionState.COMMITTED))
    redeemed = PointsRedeemed(
        customer_id=ctx.state.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text="redeemed",
        order_id=redemption.order_id,
        redemption_id=redemption.redemption_id,
        redeemed_at=ctx.now,
    )
    ctx.emit(redeemed)
    ctx.cancel_timer(timer_name(RESERVATION, redemption.redemption_id))


def release(ctx: LedgerDecision, command: ReleaseRedemption) -> None:
    redemption = _find_or_ignore(ctx, command.redemption_id, RedemptionState.RESERVED)
    if redemption:
        ctx.cancel_timer(timer_name(RESERVATION, redemption.redemption_id))
        _restore(ctx, redemption, EntryKind.RELEASE, "released")


def on_reservation_expired(ctx: LedgerDecision, redemption_id: str) -> None:
    redemption = _find_or_ignore(ctx, UUID(redemption_id), RedemptionState.RESERVED)
    if redemption:
        _restore(ctx, redemption, EntryKind.RELEASE, "reservation_expired")


def return_points(ctx: LedgerDecision, command: ReturnRedemption) -> None:
    redemption = _find_or_ignore(ctx, command.redemption_id, RedemptionState.COMMITTED)
    if redemption:
        _restore(ctx, redemption, EntryKind.RETURN, "returned")


def _restore(ctx: LedgerDecision, redemption: Redemption, kind: EntryKind, text: str) -> None:
    """Make the points available again: they pay debts first, and expire if their last day is over."""
    released = kind is EntryKind.RELEASE
    source = LedgerAccount.RESERVED if released else LedgerAccount.SPENT
    entry = _move(ctx, redemption, kind, source, LedgerAccount.AVAILABLE, text)
    _put(ctx, replace(redemption, state=RedemptionState.RELEASED if released else RedemptionState.RETURNED))
    event = PointsReleased(
        customer_id=ctx.state.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text=text,
        redemption_id=redemption.redemption_id,
        order_id=redemption.order_id,
        released_at=ctx.now,
    )
    ctx.emit(event)
    settle_debt(ctx, entry.cause)
    expiry.expire_lots(ctx, entry.cause)
    expiry.schedule_expiry(ctx)


def _find_or_ignore(ctx: LedgerDecision, redemption_id: UUID, required: RedemptionState) -> Redemption | None:
    """Return the redemption if it is in the required state; otherwise record why the command is ignored."""
    redemption = ctx.state.redemptions.get(redemption_id)
    if redemption is None:
        ctx.ignore("unknown_redemption")
    elif redemption.state is not required:
        ctx.ignore(f"already_{redemption.state}")
    else:
        return redemption
    return None


def _move(
    ctx: LedgerDecision,
    redemption: Redemption,
    kind: EntryKind,
    source: LedgerAccount,
    target: LedgerAccount,
    text: str,
) -> Entry:
    """Post one entry per lot and return the first."""
    lots = {lot.lot_id: lot for lot in ctx.state.lots.values()}
    cause = redemption_cause(redemption.redemption_id)
    due_at = {"due_at": redemption.expires_at} if kind is EntryKind.RESERVE else {}
    references = {"issue_id": None, "order_id": redemption.order_id, **due_at}
    entries = [
        ctx.post(kind, lots[lot_id], source, target, points, cause, text, **references)
        for lot_id, points in redemption.parts.items()
    ]
    _put(ctx, redemption)
    return entries[0]


def _put(ctx: LedgerDecision, redemption: Redemption) -> None:
    ctx.change(redemptions={**ctx.state.redemptions, redemption.redemption_id: redemption})
