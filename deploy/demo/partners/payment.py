"""The payment provider: pays refunds, one in ten at the second attempt, some in two parts, a few twice by mistake.

Some refunds come back, and the banks of a few customers take a payment back. It knows the payments of the storefront.
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from deploy.demo.partners.codec import ReceivedEvent, ScheduledEvent
from deploy.demo.partners.partner import Partner, PartnerTask, main, run_alone
from deploy.demo.partners.settings import PartnerSettings
from libs.common.config.settings import load
from libs.common.events.payment import (
    ChargebackReversed,
    PaymentChargedBack,
    RefundCompleted,
    RefundFailed,
    RefundRequested,
    RefundReversed,
)
from libs.common.events.storefront import OrderDelivered, OrderPlaced
from libs.common.events.topics import PAYMENT_ORDERS, STOREFRONT_ORDERS
from libs.common.events.values import Money
from libs.common.events.values.money import round_up

FAILURE_SHARE, HALVES_SHARE, TWICE_SHARE, REVERSED_SHARE = 0.1, 0.25, 0.05, 0.06
CHARGEBACK_SHARE, WON_SHARE = 0.04, 0.5


def refund_events(request: RefundRequested, now: datetime, attempt: int, rng: random.Random) -> list[ScheduledEvent]:
    """Within the hour: completed, or failed by a timeout, after which the same refund may be requested again.

    A completed refund may consist of two payments. A few are paid a second time or come back within days.
    """
    at = now + timedelta(minutes=rng.randint(2, 45))
    issue_id, refund_id = request.issue_id, request.refund_id
    if attempt == 1 and rng.random() < FAILURE_SHARE:
        failed = RefundFailed(issue_id=issue_id, refund_id=refund_id, cause="bank_timeout", failed_at=at)
        return [ScheduledEvent(at, f"failed-{refund_id}-{attempt}", failed)]
    chance = rng.random()
    if attempt == 1 and chance < HALVES_SHARE and (first := _half(request.amount)):
        rest = Money(amount=request.amount.amount - first.amount, currency=request.amount.currency)
        later = at + timedelta(minutes=rng.randint(5, 90))
        return [_paid(request, first, at, "1"), _paid(request, rest, later, "2")]
    paid = _paid(request, request.amount, at, str(attempt))
    if attempt == 1 and chance > 1 - TWICE_SHARE:
        return [paid, _paid(request, request.amount, at + timedelta(minutes=3), "twice")]
    if attempt == 1 and chance > 1 - TWICE_SHARE - REVERSED_SHARE:
        back_at = at + timedelta(hours=rng.randint(2, 30))
        came_back = RefundReversed(
            issue_id=issue_id,
            refund_id=refund_id,
            amount=request.amount,
            transaction_id=f"R-{refund_id}",
            cause="account_closed",
            reversed_at=back_at,
        )
        return [paid, ScheduledEvent(back_at, f"reversed-{refund_id}", came_back)]
    return [paid]


def _paid(request: RefundRequested, amount: Money, at: datetime, part: str) -> ScheduledEvent:
    completed = RefundCompleted(
        issue_id=request.issue_id,
        refund_id=request.refund_id,
        amount=amount,
        transaction_id=f"T-{request.refund_id}-{part}",
        completed_at=at,
    )
    return ScheduledEvent(at, f"completed-{request.refund_id}-{part}", completed)


def _half(amount: Money) -> Money | None:
    half = round_up(amount.amount / 2, amount.currency)
    return Money(amount=half, currency=amount.currency) if 0 < half < amount.amount else None


def chargeback_events(order: OrderPlaced, delivered_at: datetime, rng: random.Random) -> list[ScheduledEvent]:
    """The bank of a few customers takes the price of an order back; the shop wins half of these disputes."""
    if rng.random() >= CHARGEBACK_SHARE:
        return []
    currency = order.lines[0].unit_price.currency
    total = sum((line.paid.amount for line in order.lines), Decimal(0))
    at = delivered_at + timedelta(hours=rng.uniform(6, 72))
    dispute = {
        "order_id": order.order_id,
        "transaction_id": f"CB-{order.order_id}",
        "amount": Money(amount=total, currency=currency),
    }
    charged = PaymentChargedBack(**dispute, cause="not_recognized", charged_back_at=at)
    events = [ScheduledEvent(at, f"charged-back-{order.order_id}", charged)]
    if rng.random() < WON_SHARE:
        won_at = at + timedelta(hours=rng.uniform(12, 40))
        won = ChargebackReversed(**dispute, reversed_at=won_at)
        events.append(ScheduledEvent(won_at, f"won-{order.order_id}", won))
    return events


@dataclass
class PaymentProvider:
    partner: Partner
    requests: dict[UUID, list[str]] = field(default_factory=dict)
    paid: set[UUID] = field(default_factory=set)
    orders: dict[str, OrderPlaced] = field(default_factory=dict)

    def handle(self, received: ReceivedEvent) -> None:
        match received.event.data:
            case RefundRequested() as request:
                self._requested(request, received)
            case OrderPlaced() as placed:
                self.orders[placed.order_id] = placed
            case OrderDelivered() as delivered if delivered.order_id in self.orders:
                self._delivered(self.orders.pop(delivered.order_id), delivered)
            case _:
                return

    def _delivered(self, placed: OrderPlaced, delivered: OrderDelivered) -> None:
        for planned in chargeback_events(placed, delivered.delivered_at, self.partner.rng(placed.order_id)):
            self.partner.schedule_event(planned)

    def _requested(self, request: RefundRequested, received: ReceivedEvent) -> None:
        event_ids = self.requests.setdefault(request.refund_id, [])
        if received.event.id in event_ids or request.refund_id in self.paid:
            return
        event_ids.append(received.event.id)
        attempt = len(event_ids)
        plans = refund_events(request, received.event.time, attempt, self.partner.rng(request.refund_id, attempt))
        if isinstance(plans[0].payload, RefundCompleted):
            self.paid.add(request.refund_id)
        for planned in plans:
            self.partner.schedule_event(planned, received.trace)


def payment_provider(settings: PartnerSettings) -> PartnerTask:
    partner = Partner("payment", settings, (PAYMENT_ORDERS, STOREFRONT_ORDERS))
    return PartnerTask(partner, PaymentProvider(partner).handle)


async def run() -> None:
    await run_alone(payment_provider(load(PartnerSettings)))


if __name__ == "__main__":
    main(run)
