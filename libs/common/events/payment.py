"""Refund requests to the payment provider, and its events. Nothing is ever charged (invariant 8)."""

from typing import ClassVar
from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, Money, UtcTime


class RefundRequested(Payload):
    """Request to refund a payment."""

    TYPE: ClassVar = "refund.requested.v1"
    TOPIC = topics.PAYMENT_ORDERS

    issue_id: UUID
    """Issue; also the Kafka key."""
    order_id: Identifier
    """Order that was paid."""
    customer_id: Identifier
    """Recipient."""
    refund_id: UUID
    """Refund; a repeated id is the same refund."""
    amount: Money
    """Amount to be refunded."""
    requested_at: UtcTime
    """Time of the request."""


class PaymentEvent(Payload):
    """Base of all events of the payment provider."""

    TOPIC = topics.PAYMENT_EVENTS

    issue_id: UUID
    """Issue; also the Kafka key."""
    refund_id: UUID
    """Refund."""


class RefundCompleted(PaymentEvent):
    """The payment provider completed a refund."""

    TYPE: ClassVar = "refund.completed.v1"

    amount: Money
    """Refunded amount."""
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
