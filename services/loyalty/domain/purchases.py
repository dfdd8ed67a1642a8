"""Purchase points: always the points that the goods delivered, kept and paid for earn.

Points are reconciled, not counted up and down per event: the points due follow from the current value of the order.
So buying, asking for a refund and keeping the points is impossible in any order of events. The rate is fixed by the
first delivery of an order; a later tier does not raise the points of earlier goods.
"""

from decimal import Decimal

from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueRefunded
from libs.common.events.loyalty import GrantKind
from services.loyalty.domain.award import Award, purchase_award, purchase_points, purchase_rate
from services.loyalty.domain.decision_context import LedgerDecision
from services.loyalty.domain.grants import grant
from services.loyalty.domain.timers import purchase_order_id
from services.loyalty.domain.vesting import reverse
from services.loyalty.ledger.accounts import Lot, PurchaseValue
from services.loyalty.ledger.causes import order_cause
from services.loyalty.ledger.entries import OrderRefund


def on_purchase_changed(ctx: LedgerDecision, key: str) -> None:
    """Reconcile an order that was delivered or cancelled, wholly or in part."""
    _reconcile(ctx, purchase_order_id(key), "order_cancelled")


def on_issue_refunded(ctx: LedgerDecision, event: IssueRefunded) -> None:
    """Record the refund, even if the order earned nothing yet: the delivery may arrive later."""
    if event.refund_id in ctx.state.refunds:
        ctx.ignore("duplicate_refund")
        return
    money = event.amount
    customer_id = ctx.state.customer_id
    refund = OrderRefund(event.refund_id, customer_id, event.order_id, money.amount, money.currency, ctx.now)
    ctx.change(refunds={**ctx.state.refunds, event.refund_id: refund})
    ctx.emit(refund)
    if event.order_id in ctx.state.purchases:
        _reconcile(ctx, event.order_id, "refunded")


def _reconcile(ctx: LedgerDecision, order_id: str, reversal_text: str) -> None:
    purchase = ctx.state.purchases.get(order_id)
    if purchase is None or ctx.award_rules.purchase is None:
        ctx.ignore("no_points_for_purchases" if purchase else "unknown_order")
        return
    lots = ctx.state.lots_for(order_id=order_id)
    award = _award_due(ctx, purchase, lots)
    current = sum(lot.balances.net_granted for lot in lots)
    granted = sum(lot.granted for lot in lots)
    if award.points > current:
        points = award.points - current
        cause = order_cause(order_id, granted + points)
        grant(ctx, replace(award, points=points), cause, GrantKind.PURCHASE, order_id=order_id)
    elif award.points < current:
        cause = f"{order_cause(order_id, granted)}:{award.points}"
        _reverse_newest(ctx, lots, current - award.points, cause, reversal_text)
    else:
        ctx.ignore("points_unchanged")


def _award_due(ctx: LedgerDecision, purchase: PurchaseValue, lots: list[Lot]) -> Award:
    """Return the award that the order should have earned in total by now."""
    rules = ctx.award_rules
    current_tier = rules.tier(ctx.state.current_membership().tier)
    tier = current_tier.name if current_tier else ""
    refunds = [refund.amount for refund in ctx.state.refunds.values() if refund.order_id == purchase.order_id]
    amount = max(purchase.amount - sum(refunds, Decimal(0)), Decimal(0))
    fixed_rate = lots[0].inputs.get("rate") if lots else None
    per_unit = Decimal(fixed_rate) if fixed_rate else purchase_rate(rules, purchase.currency, tier, ctx.today)
    points = purchase_points(amount, per_unit)
    return purchase_award(rules, points, amount, purchase.currency, tier, ctx.today, per_unit)


def _reverse_newest(ctx: LedgerDecision, lots: list[Lot], points: int, cause: str, text: str) -> None:
    """Reverse points of this order's grants, newest grant first."""
    for lot in reversed(lots):
        part = min(points, lot.balances.net_granted)
        if part:
            reverse(ctx, ctx.state.lots[lot.cause], part, cause, text)
            points -= part
