"""The conversation with the payment provider: refunds only; nothing is ever charged here (invariant 8)."""

from typing import ClassVar
from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, Money, UtcTime


class RefundRequested(Payload):
    """Pay this back. `refund_id` is the business id: the same id again is the same refund."""

    TYPE: ClassVar = "refund.requested.v1"
    TOPIC = topics.PAYMENT_ORDERS

    issue_id: UUID
    order_id: Identifier
    customer_id: Identifier
    refund_id: UUID
    amount: Money
    requested_at: UtcTime


class PaymentEvent(Payload):
    TOPIC = topics.PAYMENT_EVENTS

    issue_id: UUID
    refund_id: UUID


class RefundCompleted(PaymentEvent):
    TYPE: ClassVar = "refund.completed.v1"

    amount: Money
    completed_at: UtcTime


class RefundFailed(PaymentEvent):
    """The refund did not go through. `retriable` says whether the same refund may be asked for again."""

    TYPE: ClassVar = "refund.failed.v1"

    cause: str
    retriable: bool = True
    failed_at: UtcTime
