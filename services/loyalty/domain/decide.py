"""Decisions of loyalty: the table of contents of the service.

- `issue.resolved`     -> a pending grant by rule (`apologies`), unless rate limits or the holdout withhold it; points
  that alone paid for refunded goods go back (`purchases`);
- `issue.reopened`     -> reversal of the grant of that resolution; `issue.cancelled` reverses all grants of the issue;
- `issue.refunded`, deliveries and cancellations of orders -> reconciliation of purchase points (`purchases`);
- timers               -> vesting, expiry after a notice; end of reservations, reviews and tiers; birthdays; merges;
- commands             -> `redemptions`, and staff decisions (`adjustments`).

The state is a `PointsAccount`: balances and the lots that still matter, never the whole history. The outcome does not
depend on the order of events: a reversal that overtakes its grant is recorded as withheld, and the grant is not made.

Orders are states of their own (`orders`), because only their first event names the customer.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from libs.common.decisions.context import subscriptions
from libs.common.decisions.facts import Facts, TimerFired
from libs.common.events.customers import CustomerErased
from libs.common.events.envelope import Payload
from libs.common.events.issues import IssueCancelled, IssueRefunded, IssueRefundReversed, IssueReopened, IssueResolved
from libs.common.events.loyalty import (
    PointsAdjusted,
    PointsExpired,
    PointsExpiring,
    PointsGranted,
    PointsRedeemed,
    PointsReleased,
    PointsReserved,
    PointsReversed,
    PointsVested,
    PointsWithheld,
    TierChanged,
)
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderCancelled, OrderChanged, OrderDelivered, OrderPlaced, OrderRefunded
from services.loyalty.domain import (
    account_merges,
    adjustments,
    apologies,
    birthdays,
    expiry,
    orders,
    purchases,
    redemptions,
    tiers,
    timers,
    vesting,
)
from services.loyalty.domain.commands import (
    AdjustPoints,
    CommitRedemption,
    DecideReview,
    ReleaseRedemption,
    ReservePoints,
    ReturnRedemption,
)
from services.loyalty.domain.context import LedgerDecision
from services.loyalty.domain.ledger_rules import LedgerRules
from services.loyalty.domain.orders import PurchaseDecision, PurchasedOrder
from services.loyalty.ledger.accounts import PointsAccount


def _issue_resolved(decision: LedgerDecision, event: IssueResolved) -> None:
    apologies.on_issue_resolved(decision, event)
    purchases.on_goods_refunded(decision, event)


HANDLERS: dict[type[Payload], Callable[[LedgerDecision, Any], None]] = {
    IssueResolved: _issue_resolved,
    IssueReopened: apologies.on_issue_reopened,
    IssueCancelled: apologies.on_issue_cancelled,
    IssueRefunded: purchases.on_issue_refunded,
    IssueRefundReversed: purchases.on_refund_reversed,
    ReservePoints: redemptions.reserve,
    CommitRedemption: redemptions.commit,
    ReleaseRedemption: redemptions.release,
    ReturnRedemption: redemptions.return_points,
    AdjustPoints: adjustments.adjust,
    DecideReview: adjustments.decide_review,
}

TIMER_HANDLERS: dict[str, Callable[[LedgerDecision, str], None]] = {
    timers.VEST: vesting.vest,
    timers.PURCHASE: purchases.on_purchase_changed,
    timers.RESERVATION: redemptions.on_reservation_expired,
    timers.REVIEW: apologies.on_review_deadline,
    timers.EXPIRY: lambda decision, _: expiry.on_expiry_timer(decision),
    timers.TIER: lambda decision, _: tiers.on_tier_expired(decision),
    timers.BIRTHDAY: birthdays.on_birthday,
    timers.MERGED_REFUND: purchases.on_refund_merged,
    timers.MERGED_REVERSAL: apologies.on_reversal_merged,
    timers.MERGE: lambda ctx, _: account_merges.on_accounts_merged(ctx),
}

ORDER_HANDLERS: dict[type[Payload], Callable[[PurchaseDecision, Any], None]] = {
    OrderPlaced: orders.on_order_placed,
    OrderChanged: orders.on_order_changed,
    OrderDelivered: orders.on_order_delivered,
    OrderCancelled: orders.on_order_cancelled,
    OrderRefunded: orders.on_order_refunded,
}

SUBSCRIBES = subscriptions(HANDLERS)
ORDER_SUBSCRIBES = subscriptions(ORDER_HANDLERS)

PUBLISHES = (
    PointsGranted,
    PointsVested,
    PointsReversed,
    PointsReserved,
    PointsReleased,
    PointsRedeemed,
    PointsExpiring,
    PointsExpired,
    PointsAdjusted,
    PointsWithheld,
    TierChanged,
    CustomerErased,
)


def decide(state: PointsAccount, event: AnyEvent, now: datetime, rules: LedgerRules) -> tuple[PointsAccount, Facts]:
    """Decide on one event of a customer. Total over all events, in any order and with repetitions."""
    decision = LedgerDecision(state, now, rules)
    data = event.data
    if isinstance(data, TimerFired):
        _on_timer(decision, data.name)
    elif handler := HANDLERS.get(type(data)):
        handler(decision, data)
    else:
        decision.ignore("unhandled_event")
    return decision.state, tuple(decision.facts)


def _on_timer(decision: LedgerDecision, name: str) -> None:
    kind, key = timers.split_timer_name(name)
    if handler := TIMER_HANDLERS.get(kind):
        handler(decision, key)
    else:
        decision.anomaly("unknown_timer", name)


def decide_order(state: PurchasedOrder, event: AnyEvent, now: datetime) -> tuple[PurchasedOrder, Facts]:
    """Decide on one event of an order, in any order of events. Needs no rules: prices are facts."""
    decision = PurchaseDecision(state, now, None, event=event)
    if handler := ORDER_HANDLERS.get(type(event.data)):
        handler(decision, event.data)
        orders.value_order(decision, before=state)
    else:
        decision.ignore("unhandled_event")
    return decision.state, tuple(decision.facts)
