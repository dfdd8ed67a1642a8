"""Decisions about order ledgers: events of the shop, its payment provider and its carriers, in any order.

A change that cases of the order must notice is passed to them as a timer that is due at once (`store.order_ledgers`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from libs.common.decisions.context import DecisionContext
from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.order_versions import version_of
from libs.common.decisions.shipments import count, plain_number
from libs.common.events.carrier import ParcelScanned
from libs.common.events.envelope import Payload
from libs.common.events.payment import ChargebackReversed, OrderPaymentEvent, PaymentChargedBack
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import (
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    StorefrontOrderEvent,
)
from services.returns.domain.state.order_ledger import OrderLedger, shop_refund
from services.returns.domain.state.order_prices import changed_money, placed_money
from services.returns.policy.carrier_statuses import TrackingScan, supersedes, translate_status


@dataclass(frozen=True, slots=True)
class OrderEventArrived(Record):
    """Fact about an order that arrived on a topic of the cases, to be applied to its ledger."""

    order_id: str
    event: AnyEvent
    at: datetime


@dataclass(frozen=True, slots=True)
class OrderLedgerChanged(Record):
    """The shop, its provider or its carrier did something with an order; its cases must look at it."""

    order_id: str
    at: datetime


class OrderLedgerDecision(DecisionContext[OrderLedger, AnyEvent]):
    """Context of one event; `rules` is its envelope."""

    __slots__ = ()


def _placed(decision: OrderLedgerDecision, placed: OrderPlaced) -> None:
    """Record prices; an order that is sent again is a correction, or a repetition that changes nothing."""
    version = version_of(decision.rules, placed)
    at = version.changed_at(decision.state.placed_digest)
    if at is None:
        return
    totals_at = decision.state.totals_at
    if totals_at is None or at >= totals_at:
        decision.change(placed_digest=version.digest)
    decision.change(**placed_money(decision.state, placed, at))
    early = sorted(decision.state.early_changes, key=lambda event: event.changed_at)
    decision.change(early_changes=())
    for changed in early:
        decision.change(**changed_money(decision.state, changed.lines, changed.changed_at))


def _changed(decision: OrderLedgerDecision, changed: OrderChanged) -> None:
    if not changed.lines:
        return
    if decision.state.is_placed:
        decision.change(**changed_money(decision.state, changed.lines, changed.changed_at))
    else:
        lines_only = changed.model_copy(update={"contact": None, "ship_to": None, "recipient": None})
        decision.change(early_changes=(*decision.state.early_changes, lines_only))


def _delivered(decision: OrderLedgerDecision, event: OrderDelivered) -> None:
    decision.change(deliveries=count(decision.state.deliveries, event))


def _cancelled(decision: OrderLedgerDecision, event: OrderCancelled) -> None:
    ledger = decision.state
    lines = ledger.cancelled_lines | frozenset(event.line_ids)
    is_cancelled = ledger.is_cancelled or not event.line_ids
    if (lines, is_cancelled) != (ledger.cancelled_lines, ledger.is_cancelled):
        decision.change(cancelled_lines=lines, is_cancelled=is_cancelled, cancelled_at=event.cancelled_at)


def _refunded(decision: OrderLedgerDecision, event: OrderRefunded) -> None:
    if event.refund_id not in decision.state.shop_refunds:
        refunds = {**decision.state.shop_refunds, event.refund_id: shop_refund(decision.state, event)}
        decision.change(shop_refunds=refunds)


def _charged_back(decision: OrderLedgerDecision, event: PaymentChargedBack) -> None:
    decision.change(chargebacks={**decision.state.chargebacks, event.transaction_id: event.amount.amount})


def _chargeback_reversed(decision: OrderLedgerDecision, event: ChargebackReversed) -> None:
    decision.change(won_chargebacks=decision.state.won_chargebacks | {event.transaction_id})


def _scanned(decision: OrderLedgerDecision, event: ParcelScanned) -> None:
    """Keep the last scan of each parcel of the order itself."""
    status = translate_status(event.raw)
    if status is None:
        return  # reported when the scan arrived
    key = event.shipment_id or plain_number(event.tracking_number) or ""
    scan = TrackingScan(status, event.raw, event.scanned_at)
    if supersedes(scan, decision.state.scans.get(key)):
        decision.change(scans={**decision.state.scans, key: scan})


LEDGER_HANDLERS: Mapping[type[Payload], Callable[[OrderLedgerDecision, Any], None]] = {
    OrderPlaced: _placed,
    OrderChanged: _changed,
    OrderDelivered: _delivered,
    OrderCancelled: _cancelled,
    OrderRefunded: _refunded,
    PaymentChargedBack: _charged_back,
    ChargebackReversed: _chargeback_reversed,
    ParcelScanned: _scanned,
}

ORDER_SUBSCRIBES = tuple(payload for payload in LEDGER_HANDLERS if issubclass(payload, StorefrontOrderEvent))
PAYMENT_SUBSCRIBES = tuple(payload for payload in LEDGER_HANDLERS if issubclass(payload, OrderPaymentEvent))
_QUIET = (OrderPlaced, OrderChanged)
"""Events after which no case has to look: prices are read when a refund is decided."""


def order_of(event: AnyEvent) -> str | None:
    """Return the order that an event is about, if it is about an order and not about an issue."""
    data = event.data
    if isinstance(data, ParcelScanned):
        return data.order_id if data.issue_id is None else None
    return data.order_id if isinstance(data, StorefrontOrderEvent | OrderPaymentEvent) else None


def decide_ledger(state: OrderLedger, event: AnyEvent, now: datetime) -> tuple[OrderLedger, Facts]:
    """Decide on one event about an order; what is known already changes nothing."""
    decision = OrderLedgerDecision(state, now, event)
    handler = LEDGER_HANDLERS.get(type(event.data))
    if handler is None:
        decision.ignore("not_handled")
        return state, decision.facts
    handler(decision, event.data)
    if decision.state == state:
        decision.ignore("order_unchanged")
        return state, decision.facts
    if type(event.data) not in _QUIET:
        decision.emit(OrderLedgerChanged(state.order_id, now))
    return decision.state, decision.facts
