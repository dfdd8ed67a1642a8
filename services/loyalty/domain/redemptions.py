"""Spending points: reserved for a purchase, then committed or released; given back when the purchase is undone.

What is reserved and not decided comes back by itself. The points that expire first go first.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from libs.common.events.loyalty import PointsRedeemed, PointsReleased, PointsReserved
from services.loyalty.domain import expiry
from services.loyalty.domain.commands import CommitAsked, ReleaseAsked, ReserveAsked, ReturnAsked
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.vesting import settle
from services.loyalty.ledger.accounts import Entry, Kind, Place, Redemption, RedemptionState

TIMER = "release:"


def cause_of(redemption_id: UUID) -> str:
    return f"redemption:{redemption_id}"


def reserve(turn: LedgerDecision, command: ReserveAsked) -> None:
    known = turn.account.redemptions.get(command.redemption_id)
    if known:
        turn.ignore(f"already_{known.state}")
        return
    parts = _oldest(turn, command.points)
    if parts is None:
        turn.ignore("not_enough_points")
        return
    expires_at = turn.now + timedelta(minutes=turn.rules.reservation_minutes)
    redemption = Redemption(command.redemption_id, command.order_id, RedemptionState.RESERVED, parts, expires_at)
    entry = _move(turn, redemption, Kind.RESERVE, Place.AVAILABLE, Place.RESERVED, "reserved")
    reserved = PointsReserved(
        customer_id=turn.account.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text="reserved",
        redemption_id=redemption.redemption_id,
        order_id=redemption.order_id,
        expires_at=expires_at,
        reserved_at=turn.now,
    )
    turn.say(reserved)
    turn.wake(f"{TIMER}{redemption.redemption_id}", expires_at)


def _oldest(turn: LedgerDecision, points: int) -> Mapping[UUID, int] | None:
    """So many points, those in front that expire first; None where there are not as many."""
    parts: dict[UUID, int] = {}
    for lot in turn.account.spendable():
        part = min(points, lot.purse.available) if lot.expires_on >= turn.today else 0
        if part:
            parts[lot.lot_id] = part
            points -= part
    return None if points else parts


def commit(turn: LedgerDecision, command: CommitAsked) -> None:
    redemption = _in_state(turn, command.redemption_id, RedemptionState.RESERVED)
    if redemption is None:
        return
    entry = _move(turn, redemption, Kind.REDEEM, Place.RESERVED, Place.SPENT, "redeemed")
    _now(turn, redemption, RedemptionState.COMMITTED)
    redeemed = PointsRedeemed(
        customer_id=turn.account.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text="redeemed",
        order_id=redemption.order_id,
        redemption_id=redemption.redemption_id,
        redeemed_at=turn.now,
    )
    turn.say(redeemed)
    turn.forget(f"{TIMER}{redemption.redemption_id}")


def release(turn: LedgerDecision, command: ReleaseAsked) -> None:
    redemption = _in_state(turn, command.redemption_id, RedemptionState.RESERVED)
    if redemption:
        turn.forget(f"{TIMER}{redemption.redemption_id}")
        _back(turn, redemption, Kind.RELEASE, "released")


def ran_out(turn: LedgerDecision, redemption_id: UUID) -> None:
    """Nobody said in time what became of the purchase."""
    redemption = _in_state(turn, redemption_id, RedemptionState.RESERVED)
    if redemption:
        _back(turn, redemption, Kind.RELEASE, "reservation_ran_out")


def give_back(turn: LedgerDecision, command: ReturnAsked) -> None:
    redemption = _in_state(turn, command.redemption_id, RedemptionState.COMMITTED)
    if redemption:
        _back(turn, redemption, Kind.RETURN, "returned")


def _back(turn: LedgerDecision, redemption: Redemption, kind: Kind, text: str) -> None:
    """The points may be spent again: they pay debts first, and those whose day has passed meanwhile expire."""
    source = Place.RESERVED if kind is Kind.RELEASE else Place.SPENT
    entry = _move(turn, redemption, kind, source, Place.AVAILABLE, text)
    _now(turn, redemption, RedemptionState.RELEASED if kind is Kind.RELEASE else RedemptionState.RETURNED)
    released = PointsReleased(
        customer_id=turn.account.customer_id,
        entry_id=entry.entry_id,
        points=redemption.points,
        cause=entry.cause,
        text=text,
        redemption_id=redemption.redemption_id,
        order_id=redemption.order_id,
        released_at=turn.now,
    )
    turn.say(released)
    settle(turn, entry.cause)
    expiry.expire(turn, entry.cause)
    expiry.schedule(turn)


def _in_state(turn: LedgerDecision, redemption_id: UUID, wanted: RedemptionState) -> Redemption | None:
    found = turn.account.redemptions.get(redemption_id)
    if found is None:
        turn.ignore("unknown_redemption")
    elif found.state is not wanted:
        turn.ignore(f"already_{found.state}")
    else:
        return found
    return None


def _move(turn: LedgerDecision, redemption: Redemption, kind: Kind, source: Place, target: Place, text: str) -> Entry:
    """One entry per lot; gives the first."""
    lots = {lot.lot_id: lot for lot in turn.account.lots.values()}
    cause = cause_of(redemption.redemption_id)
    named = {"issue_id": None, "order_id": redemption.order_id, "due_at": redemption.expires_at}
    if kind is not Kind.RESERVE:
        named.pop("due_at")
    entries = [
        turn.post(kind, lots[lot_id], source, target, points, cause, text, **named)
        for lot_id, points in redemption.parts.items()
    ]
    _now(turn, redemption, redemption.state)
    return entries[0]


def _now(turn: LedgerDecision, redemption: Redemption, state: RedemptionState) -> None:
    after = replace(redemption, state=state)
    turn.account = replace(turn.account, redemptions={**turn.account.redemptions, redemption.redemption_id: after})
