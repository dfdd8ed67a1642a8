"""Redemption of points: reserved for a purchase, then committed or released; returned if the purchase is undone.

An unfinished reservation expires by a timer. Points with the earliest expiry are used first.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from libs.common.events.loyalty import PointsRedeemed, PointsReleased, PointsReserved
from services.loyalty.domain import expiry
from services.loyalty.domain.commands import CommitRedemption, ReleaseRedemption, ReservePoints, ReturnRedemption
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.timers import RESERVATION, timer_name
from services.loyalty.domain.vesting import settle_debt
from services.loyalty.ledger.accounts import Redemption, RedemptionState
from services.loyalty.ledger.causes import redemption_cause, returned_part_cause
from services.loyalty.ledger.entries import Entry, EntryKind, LedgerAccount


def reserve(decision: LedgerDecision, command: ReservePoints) -> None:
    existing = decision.state.redemptions.get(command.redemption_id)
    if existing:
        decision.ignore(f"already_{existing.state}")
        return
    parts = _allocate(decision, command.points)
    if parts is None:
        decision.ignore("insufficient_points")
        return
    expires_at = decision.now + timedelta(minutes=decision.award_rules.reservation_minutes)
    redemption = Redemption(command.redemption_id, command.order_id, RedemptionState.RESERVED, parts, expires_at)
    entry = _move(decision, redemption, EntryKind.RESERVE, LedgerAccount.AVAILABLE, LedgerAccount.RESERVED, "reserved")
    reserved = PointsReserved(
        customer_id=decision.state.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text="reserved",
        redemption_id=redemption.redemption_id,
        order_id=redemption.order_id,
        expires_at=expires_at,
        reserved_at=decision.now,
    )
    decision.emit(reserved)
    decision.set_timer(timer_name(RESERVATION, redemption.redemption_id), expires_at)


def _allocate(decision: LedgerDecision, points: int) -> Mapping[UUID, int] | None:
    """Allocate points over lots, earliest expiry first; None if there are not enough."""
    parts: dict[UUID, int] = {}
    for lot in decision.state.spendable():
        part = min(points, lot.balances.available) if lot.expires_on >= decision.today else 0
        if part:
            parts[lot.lot_id] = part
            points -= part
    return None if points else parts


def commit(decision: LedgerDecision, command: CommitRedemption) -> None:
    redemption = _find_or_ignore(decision, command.redemption_id, RedemptionState.RESERVED)
    if redemption is None:
        return
    entry = _move(decision, redemption, EntryKind.REDEEM, LedgerAccount.RESERVED, LedgerAccount.SPENT, "redeemed")
    _put(decision, replace(redemption, state=RedemptionState.COMMITTED))
    redeemed = PointsRedeemed(
        customer_id=decision.state.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text="redeemed",
        order_id=redemption.order_id,
        redemption_id=redemption.redemption_id,
        redeemed_at=decision.now,
    )
    decision.emit(redeemed)
    decision.cancel_timer(timer_name(RESERVATION, redemption.redemption_id))


def release(decision: LedgerDecision, command: ReleaseRedemption) -> None:
    redemption = _find_or_ignore(decision, command.redemption_id, RedemptionState.RESERVED)
    if redemption:
        decision.cancel_timer(timer_name(RESERVATION, redemption.redemption_id))
        restore_points(decision, redemption, EntryKind.RELEASE, "released")


def on_reservation_expired(decision: LedgerDecision, redemption_id: str) -> None:
    redemption = _find_or_ignore(decision, UUID(redemption_id), RedemptionState.RESERVED)
    if redemption:
        restore_points(decision, redemption, EntryKind.RELEASE, "reservation_expired")


def return_points(decision: LedgerDecision, command: ReturnRedemption) -> None:
    redemption = _find_or_ignore(decision, command.redemption_id, RedemptionState.COMMITTED)
    if redemption:
        restore_points(decision, redemption, EntryKind.RETURN, "returned")


def restore_points(decision: LedgerDecision, redemption: Redemption, kind: EntryKind, text: str) -> None:
    """Make the points available again: they pay debts first, and expire if their last day is over."""
    released = kind is EntryKind.RELEASE
    source = LedgerAccount.RESERVED if released else LedgerAccount.SPENT
    points = sum(redemption.spent_parts.values())
    entry = _move(decision, redemption, kind, source, LedgerAccount.AVAILABLE, text)
    _put(decision, replace(redemption, state=RedemptionState.RELEASED if released else RedemptionState.RETURNED))
    _emit_released(decision, redemption, entry, points, text)


def return_spent_points(decision: LedgerDecision, order_id: str) -> None:
    """Return the points that were spent on goods of this order whose money was paid back.

    Like purchase points they are reconciled: what is due follows from all refunds so far, so that none is returned
    twice. A refund that comes back takes no points away again. A shop that pays back in its own system returns points
    by its own call, and is returned no more than what is left.
    """
    purchase = decision.state.purchases.get(order_id)
    refunds = [refund for refund in decision.state.refunds.values() if refund.order_id == order_id]
    goods = sum((sum(refund.lines.values(), Decimal(0)) or refund.amount for refund in refunds), Decimal(0))
    due = purchase.spent_points_of(goods) if purchase else 0
    for redemption in decision.state.redemptions.values():
        if redemption.order_id == order_id and redemption.state is RedemptionState.COMMITTED:
            returned = sum(redemption.returned.values())
            return_part(decision, redemption, min(due, redemption.points) - returned)
            due -= min(due, redemption.points)


def return_part(decision: LedgerDecision, redemption: Redemption, points: int) -> None:
    """Return some of the points of a redemption, to the lots that they came from."""
    if points <= 0:
        return
    lots = {lot.lot_id: lot for lot in decision.state.lots.values()}
    returned, remaining, entries = dict(redemption.returned), points, []
    cause = returned_part_cause(redemption.redemption_id, sum(returned.values()) + points)
    references: dict[str, Any] = {"issue_id": None, "order_id": redemption.order_id}
    for lot_id, spent in redemption.spent_parts.items():
        if part := min(spent, remaining):
            accounts = (LedgerAccount.SPENT, LedgerAccount.AVAILABLE)
            entry = decision.post(EntryKind.RETURN, lots[lot_id], *accounts, part, cause, "returned", **references)
            entries.append(entry)
            returned[lot_id] = returned.get(lot_id, 0) + part
            remaining -= part
    is_all = sum(returned.values()) == redemption.points
    state = RedemptionState.RETURNED if is_all else redemption.state
    _put(decision, replace(redemption, returned=returned, state=state))
    _emit_released(decision, redemption, entries[0], points, "returned")


def _emit_released(decision: LedgerDecision, redemption: Redemption, entry: Entry, points: int, text: str) -> None:
    event = PointsReleased(
        customer_id=decision.state.customer_id,
        entry_id=entry.entry_id,
        points=points,
        cause=entry.cause,
        text=text,
        redemption_id=redemption.redemption_id,
        order_id=redemption.order_id,
        released_at=decision.now,
    )
    decision.emit(event)
    settle_debt(decision, entry.cause)
    expiry.expire_lots(decision, entry.cause)
    expiry.schedule_expiry(decision)


def _find_or_ignore(decision: LedgerDecision, redemption_id: UUID, required: RedemptionState) -> Redemption | None:
    """Return the redemption if it is in the required state; otherwise record why the command is ignored."""
    redemption = decision.state.redemptions.get(redemption_id)
    if redemption is None:
        decision.ignore("unknown_redemption")
    elif redemption.state is not required:
        decision.ignore(f"already_{redemption.state}")
    else:
        return redemption
    return None


def _move(
    decision: LedgerDecision,
    redemption: Redemption,
    kind: EntryKind,
    source: LedgerAccount,
    target: LedgerAccount,
    text: str,
) -> Entry:
    """Post one entry per lot and return the first."""
    lots = {lot.lot_id: lot for lot in decision.state.lots.values()}
    cause = redemption_cause(redemption.redemption_id)
    due_at = {"due_at": redemption.expires_at} if kind is EntryKind.RESERVE else {}
    references = {"issue_id": None, "order_id": redemption.order_id, **due_at}
    entries = [
        decision.post(kind, lots[lot_id], source, target, points, cause, text, **references)
        for lot_id, points in redemption.spent_parts.items()
    ]
    _put(decision, redemption)
    return entries[0]


def _put(decision: LedgerDecision, redemption: Redemption) -> None:
    decision.change(redemptions={**decision.state.redemptions, redemption.redemption_id: redemption})
