"""Points for purchases: always those that the goods earn which were delivered, kept and paid for.

Not counted up and down per event, but put right: whatever happened to an order, what its points should be follows from
what of it stands now. So buying, getting the money back and keeping the points cannot work, in no order of events.
The rate is fixed by an order's first delivery; a better tier later does not make old goods worth more.
"""

from datetime import timedelta
from decimal import Decimal

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueRefunded
from libs.common.events.loyalty import GrantKind, PointsGranted
from services.loyalty.domain.award import Award, for_purchase, purchased, rate
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.vesting import begin, take_back
from services.loyalty.ledger.accounts import Lot, Purchase, Refund

CHANGED = "purchase:"


def timer_of(order_id: str, version: int) -> str:
    """Each change of an order wakes the ledger under a name of its own, so that none is lost beside another."""
    return f"{CHANGED}{version}:{order_id}"


def order_of(cause: str) -> str:
    """The order that a purchase's cause, `order:<id>:<points so far>`, speaks of."""
    return cause.partition(":")[2].rpartition(":")[0]


def changed(turn: LedgerDecision, rest: str) -> None:
    """An order was delivered or called off, wholly or in part."""
    _put_right(turn, rest.partition(":")[2], "order_cancelled")


def refunded(turn: LedgerDecision, event: IssueRefunded) -> None:
    """Money went back; kept even where the order earned nothing yet, since facts come in any order."""
    if event.refund_id in turn.account.refunds:
        turn.ignore("refund_known")
        return
    money = event.amount
    customer = turn.account.customer_id
    refund = Refund(event.refund_id, customer, event.order_id, money.amount, money.currency, turn.now)
    turn.account = replace(turn.account, refunds={**turn.account.refunds, event.refund_id: refund})
    turn.say(refund)
    if event.order_id in turn.account.purchases:
        _put_right(turn, event.order_id, "refunded")


def _put_right(turn: LedgerDecision, order_id: str, reason: str) -> None:
    purchase = turn.account.purchases.get(order_id)
    if purchase is None or turn.rules.purchase is None:
        turn.ignore("no_points_for_purchases" if purchase else "unknown_order")
        return
    lots = turn.account.lots_of(order_id=order_id)
    award = _due(turn, purchase, lots)
    have = sum(lot.purse.kept for lot in lots)
    given = sum(lot.granted for lot in lots)
    if award.points > have:
        points = award.points - have
        _give(turn, replace(award, points=points), f"order:{order_id}:{given + points}", order_id)
    elif award.points < have:
        _take(turn, lots, have - award.points, f"order:{order_id}:{given}:{award.points}", reason)
    else:
        turn.ignore("points_are_right")


def _due(turn: LedgerDecision, purchase: Purchase, lots: list[Lot]) -> Award:
    """What the order should have earned by now."""
    member = turn.rules.tier(turn.account.member().tier)
    tier = member.name if member else ""
    back = [each.amount for each in turn.account.refunds.values() if each.order_id == purchase.order_id]
    amount = max(purchase.amount - sum(back, Decimal(0)), Decimal(0))
    fixed = lots[0].inputs.get("rate") if lots else None
    per_unit = Decimal(fixed) if fixed else rate(turn.rules, purchase.currency, tier, turn.today)
    points = purchased(turn.rules, amount, per_unit)
    return for_purchase(turn.rules, points, amount, purchase.currency, tier, turn.today, per_unit)


def _give(turn: LedgerDecision, award: Award, cause: str, order_id: str) -> None:
    lot = turn.grant(award, cause, GrantKind.PURCHASE, "purchase", order_id=order_id)
    vests_at = turn.now + timedelta(days=award.hold_days)
    granted = PointsGranted(
        customer_id=turn.account.customer_id,
        entry_id=lot.lot_id,
        points=award.points,
        cause=cause,
        text="purchase",
        order_id=order_id,
        rule=award.rule,
        rule_version=award.version,
        granted_at=turn.now,
        kind=lot.what,
        legal_basis=award.legal_basis,
        expires_on=lot.expires_on,
        counts_for_tier=lot.counts_for_tier,
        vests_at=vests_at,
    )
    turn.say(granted)
    begin(turn, lot, vests_at)


def _take(turn: LedgerDecision, lots: list[Lot], points: int, cause: str, text: str) -> None:
    """From the newest grant of this order back to the oldest."""
    for lot in reversed(lots):
        part = min(points, lot.purse.kept)
        if part:
            take_back(turn, turn.account.lots[lot.cause], part, cause, text)
            points -= part
