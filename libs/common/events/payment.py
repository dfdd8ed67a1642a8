"""Refund requests to the payment provider, and its events. Nothing is ever charged (invariant 8)."""

from typing import ClassVar
from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, Money, PaidLine, UtcTime


class RefundRequested(Payload):
    """Request to refund a payment."""

    TYPE: ClassVar = "refund.requested.v1"
    TOPIC = topics.PAYMENT_ORDERS

    issue_id: UUID
    """Issue."""
    order_id: Identifier
    """Order that was paid."""
    customer_id: Identifier
    """Recipient."""
    refund_id: UUID
    """Refund; a repeated id is the same refund."""
    amount: Money
    """Amount to be refunded, in whole smallest coins of the currency."""
    lines: tuple[PaidLine, ...] = ()
    """Units that are refunded, with their parts of the amount."""
    shipping: Money | None = None
    """Part of the amount that is shipping."""
    payment_reference: Identifier | None = None
    """Payment of the order by the provider's reference, if the shop named one."""
    requested_at: UtcTime
    """Time of the request."""


class PaymentEvent(Payload):
    """Base of all events of the payment provider."""

    TOPIC = topics.PAYMENT_EVENTS

    issue_id: UUID
    """Issue."""
    refund_id: UUID
    """Refund."""


class RefundCompleted(PaymentEvent):
    """The payment provider paid a refund, or a part of it. Parts add up to the requested amount."""

    TYPE: ClassVar = "refund.completed.v1"

    amount: Money
    """Amount of this payment."""
    transaction_id: Identifier | None = None
    """Payment by the provider's own id. Without it, an equal amount at an equal time is the same payment."""
    completed_at: UtcTime
    """Time of completion."""


class RefundFailed(PaymentEvent):
    """The payment provider could not complete a refund."""

    TYPE: ClassVar = "refund.failed.v1"

    cause: str
    """Code of the cause."""
    retriable: bool = True
    """True if the same refund may be requested again."""
    failed_at: UtcTime
    """Time of the failure."""


class RefundReversed(PaymentEvent):
    """A refund came back: the customer's bank did not take it, or the provider corrected a payment."""

    TYPE: ClassVar = "refund.reversed.v1"

    amount: Money
    """Amount that came back."""
    transaction_id: Identifier
    """Reversal by the provider's own id; a repeated id is the same reversal."""
    cause: str
    """Code of the cause."""
    reversed_at: UtcTime
    """Time of the reversal."""


class OrderPaymentEvent(Payload):
    """Base of the payment provider's events about the payment of an order, not about a refund of ours."""

    TOPIC = topics.PAYMENT_EVENTS

    issue_id: UUID | None = None
    """Issue, if the provider knows one."""
    order_id: Identifier
    """Order that was paid."""
    transaction_id: Identifier
    """Chargeback by the provider's own id; a repeated id is the same one."""
    amount: Money
    """Amount that is in dispute."""

    @property
    def subject(self) -> str:
        return str(self.issue_id or self.order_id)


class PaymentChargedBack(OrderPaymentEvent):
    """The customer's bank took a payment back. It counts as paid back, so that no refund repeats it."""

    TYPE: ClassVar = "payment.charged_back.v1"

    cause: str | None = None
    """Code of the cause, if known."""
    charged_back_at: UtcTime
    """Time of the chargeback."""


class ChargebackReversed(OrderPaymentEvent):
    """The shop won a dispute: the money of a chargeback is with the shop again."""

    TYPE: ClassVar = "payment.chargeback_reversed.v1"

    reversed_at: UtcTime
    """Time of the reversal."""
