"""Pending points become final, debts are paid, and points that were not due are taken back by compensation."""

from datetime import datetime

from libs.common.events.loyalty import GrantKind, PointsReversed, PointsVested
from services.loyalty.domain import expiry, tiers
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.ledger.accounts import Kind, Lot, Place

TIMER = "vest:"


def vest(turn: LedgerDecision, cause: str) -> None:
    """The hold is over: what is left of the grant may be spent, after it paid what the customer owes."""
    lot = turn.account.lots.get(cause)
    if lot is None:
        turn.wonder("vest_without_grant", cause)
    elif not lot.purse.pending:
        turn.ignore("already_final" if lot.purse.kept else "already_reversed")
    else:
        points = lot.purse.pending
        entry = turn.post(Kind.VEST, lot, Place.PENDING, Place.AVAILABLE, points, cause, "vested")
        owed = -turn.account.purse.debt
        settle(turn, cause)
        vested = PointsVested(
            customer_id=turn.account.customer_id,
            entry_id=entry.entry_id,
            points=points,
            cause=cause,
            text="vested",
            issue_id=lot.issue_id,
            order_id=lot.order_id,
            vested_at=turn.now,
            paid_debt=(owed + turn.account.purse.debt) or None,
        )
        turn.say(vested)
        tiers.review(turn)
        expiry.schedule(turn)


def begin(turn: LedgerDecision, lot: Lot, vests_at: datetime) -> None:
    """After a grant: what is pending waits for its day; what is not may pay, count and expire from now on."""
    if lot.purse.pending:
        turn.wake(TIMER + lot.cause, vests_at)
    else:
        settle(turn, lot.cause)
        tiers.review(turn)
        expiry.schedule(turn)


def settle(turn: LedgerDecision, cause: str) -> None:
    """What may be spent pays the debt first, the points that expire first in front."""
    for lot in turn.account.spendable():
        owed = -turn.account.purse.debt
        if not owed:
            return
        points = min(owed, lot.purse.available)
        turn.post(Kind.SETTLE, lot, Place.AVAILABLE, Place.DEBT, points, cause, "debt_paid")


def take_back(turn: LedgerDecision, lot: Lot, points: int, cause: str, text: str) -> None:
    """Take so many points of a grant back: from where they still are; those that were spent become a debt."""
    first, left = None, points
    for place in (Place.PENDING, Place.AVAILABLE, Place.EXPIRED, Place.DEBT):
        part = left if place is Place.DEBT else min(left, lot.purse.holds(place))
        if part:
            entry = turn.post(Kind.REVERSE, lot, place, Place.ISSUED, part, cause, text)
            first, left = first or entry, left - part
            debt = part if place is Place.DEBT else 0
    assert first is not None, "nothing to take back is never asked for"
    if lot.purse.pending and not turn.account.lots[lot.cause].purse.pending:
        turn.forget(TIMER + lot.cause)
    settle(turn, cause)
    told = PointsReversed(
        customer_id=turn.account.customer_id,
        entry_id=first.entry_id,
        points=points,
        cause=cause,
        text=text,
        issue_id=lot.issue_id,
        order_id=lot.order_id,
        reverses=lot.lot_id,
        reversed_at=turn.now,
        debt=debt or None,
    )
    turn.say(told)
    if lot.what is not GrantKind.APOLOGY or lot.counts_for_tier:
        tiers.review(turn, shrunk=True)
