"""Purchase points: always the points that the goods delivered, kept and paid for earn.

Points are reconciled, not counted up and down per event: the points due follow from the current value of the order.
So buying, asking for a refund and keeping the points is impossible in any order of events. The rate is fixed by the
first delivery of an order; a later tier does not raise the points of earlier goods.
"""

import json
from decimal import Decimal

from libs.common.decisions.fast_replace import replace
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueRefunded, IssueRefundReversed, IssueResolved
from libs.common.events.loyalty import GrantKind
from libs.common.events.values import Reason, Remedy
from services.loyalty.domain.award import Award, purchase_award, purchase_points, purchase_rate
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.grants import grant
from services.loyalty.domain.redemptions import return_spent_points
from services.loyalty.domain.timers import purchase_order_id
from services.loyalty.domain.vesting import reverse
from services.loyalty.ledger.accounts import PointsLot, PurchaseValue
from services.loyalty.ledger.causes import order_cause
from services.loyalty.ledger.entries import OrderRefund


def on_purchase_changed(decision: LedgerDecision, key: str) -> None:
    """Reconcile an order that was delivered or cancelled, wholly or in part."""
    _reconcile(decision, purchase_order_id(key), "order_cancelled")


def on_issue_refunded(decision: LedgerDecision, event: IssueRefunded) -> None:
    """Record a payment of a refund, even if the order earned nothing yet: the delivery may arrive later."""
    _record(decision, event, 1)


def on_refund_reversed(decision: LedgerDecision, event: IssueRefundReversed) -> None:
    """Record money of a refund that came back: it counts as not paid."""
    _record(decision, event, -1)


def on_goods_refunded(decision: LedgerDecision, event: IssueResolved) -> None:
    """Record goods of an order that points alone paid for: no money goes back, so no `issue.refunded` names them.

    A second resolution of the issue is about the same units.
    """
    purchase = decision.state.purchases.get(event.order_id)
    if event.remedy is not Remedy.REFUND or purchase is None or not purchase.is_paid_with_points_only:
        return
    refund = OrderRefund(
        derived_id("goods_refunded", event.issue_id),
        decision.state.customer_id,
        event.order_id,
        event.value.amount,
        event.value.currency,
        decision.now,
        is_lost=event.reason is Reason.LOST_IN_TRANSIT,
    )
    if refund.refund_id not in decision.state.refunds:
        _add(decision, refund)


def _record(decision: LedgerDecision, event: IssueRefunded | IssueRefundReversed, sign: int) -> None:
    transaction = event.transaction_id
    payment_id = derived_id("payment", event.refund_id, transaction, sign) if transaction else event.refund_id
    if payment_id in decision.state.refunds:
        decision.ignore("duplicate_refund")
        return
    refund = OrderRefund(
        payment_id,
        decision.state.customer_id,
        event.order_id,
        sign * event.amount.amount,
        event.amount.currency,
        decision.now,
        json.dumps({line.line_id: str(sign * line.amount.amount) for line in event.lines}),
        event.reason is Reason.LOST_IN_TRANSIT,
    )
    _add(decision, refund)


def _add(decision: LedgerDecision, refund: OrderRefund) -> None:
    decision.change(refunds={**decision.state.refunds, refund.refund_id: refund})
    decision.emit(refund)
    if refund.order_id in decision.state.purchases:
        on_refund_merged(decision, refund.order_id)


def on_refund_merged(decision: LedgerDecision, order_id: str) -> None:
    """Reconcile an order with its refunds, also those that were recorded for another account of its customer."""
    _reconcile(decision, order_id, "refunded")
    return_spent_points(decision, order_id)


def _reconcile(decision: LedgerDecision, order_id: str, reversal_text: str) -> None:
    purchase = decision.state.purchases.get(order_id)
    if purchase is None or decision.award_rules.purchase is None:
        decision.ignore("no_points_for_purchases" if purchase else "unknown_order")
        return
    lots = decision.state.lots_for(order_id=order_id)
    award = _award_due(decision, purchase, lots)
    current = sum(lot.balances.net_granted for lot in lots)
    granted = sum(lot.granted for lot in lots)
    if award.points > current:
        points = award.points - current
        cause = order_cause(order_id, granted + points)
        grant(decision, replace(award, points=points), cause, GrantKind.PURCHASE, order_id=order_id)
    elif award.points < current:
        cause = f"{order_cause(order_id, granted)}:{award.points}"
        _reverse_newest(decision, lots, current - award.points, cause, reversal_text)
    else:
        decision.ignore("points_unchanged")


def _award_due(decision: LedgerDecision, purchase: PurchaseValue, lots: list[PointsLot]) -> Award:
    """Return the award that the order should have earned in total by now."""
    rules = decision.award_rules
    current_tier = rules.tier(decision.state.current_membership().tier)
    tier = current_tier.name if current_tier else ""
    refunds = (refund for refund in decision.state.refunds.values() if refund.order_id == purchase.order_id)
    amount = purchase.kept_after(refunds)
    fixed_rate = lots[0].inputs.get("rate") if lots else None
    per_unit = Decimal(fixed_rate) if fixed_rate else purchase_rate(rules, purchase.currency, tier, decision.today)
    points = purchase_points(amount, per_unit)
    award = purchase_award(rules, points, amount, purchase.currency, tier, decision.today, per_unit)
    # The first grant fixes the rate, and announces the campaigns that are part of it.
    active = () if lots else rules.active_campaigns(GrantKind.PURCHASE, decision.today)
    return replace(award, campaigns=tuple(campaign.name for campaign in active))


def _reverse_newest(decision: LedgerDecision, lots: list[PointsLot], points: int, cause: str, text: str) -> None:
    """Reverse points of this order's grants, newest grant first."""
    for lot in reversed(lots):
        part = min(points, lot.balances.net_granted)
        if part:
            reverse(decision, decision.state.lots[lot.cause], part, cause, text)
            points -= part
