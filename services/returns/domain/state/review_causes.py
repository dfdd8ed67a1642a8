"""Reviews of a case: the causes for which staff decide, and the state of each review."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ReviewCause(StrEnum):
    """Cause of a review by staff."""

    VALUE = "value"
    MIXED_CURRENCIES = "mixed_currencies"
    EXPOSURE = "exposure"
    MANY_REPORTS = "many_reports"
    EARLIER_MISMATCHES = "earlier_mismatches"
    SHARED_ADDRESS = "shared_address"
    NO_ADDRESS = "no_address"
    WAREHOUSE_SILENT = "warehouse_silent"
    NOT_SHIPPING = "not_shipping"
    DELIVERED_UNSHIPPED = "delivered_unshipped"
    DELIVERY_OVERDUE = "delivery_overdue"
    PARCEL_EXCEPTION = "parcel_exception"
    NO_DECISION = "no_decision"
    COLLECTION_FAILED = "collection_failed"
    NOT_COLLECTED = "not_collected"
    PARCEL_FOUND = "parcel_found"
    RECEIPT_OVERDUE = "receipt_overdue"
    UNEXPECTED_ITEM = "unexpected_item"
    INSPECTION_OVERDUE = "inspection_overdue"
    INSPECTION_MISMATCH = "inspection_mismatch"
    REFUND_FAILED = "refund_failed"
    REFUND_DIFFERS = "refund_differs"
    REFUND_OVERPAID = "refund_overpaid"
    REFUND_REVERSED = "refund_reversed"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_REFUNDED = "order_refunded"
    CHARGED_BACK = "charged_back"
    SURPLUS_SHIPPED = "surplus_shipped"
    WRONG_ITEM_SHIPPED = "wrong_item_shipped"
    REPLACEMENT_RETURNED = "replacement_returned"
    MOVED_AFTER_STOP = "moved_after_stop"
    ADDRESS_CHANGED = "address_changed"
    REDELIVERY = "redelivery"
    VIRTUAL_RETURN = "virtual_return"
    STALLED = "stalled"


@dataclass(frozen=True)
class CaseReview:
    """Open review with its next reminder at `due_at`; None: open without further reminders."""

    cause: ReviewCause
    opened_at: datetime
    due_at: datetime | None
    reminders: int = 0


BLOCKING_CAUSES = (
    ReviewCause.VALUE,
    ReviewCause.MIXED_CURRENCIES,
    ReviewCause.EXPOSURE,
    ReviewCause.MANY_REPORTS,
    ReviewCause.EARLIER_MISMATCHES,
    ReviewCause.SHARED_ADDRESS,
    ReviewCause.VIRTUAL_RETURN,
)
"""Causes of reviews that hold every leg back until they are decided."""

SETTLED_BY_SHOP_CAUSES = (ReviewCause.ORDER_CANCELLED, ReviewCause.ORDER_REFUNDED, ReviewCause.CHARGED_BACK)
"""Causes of reviews about an order that the shop or the customer's bank settled: no further step starts meanwhile."""

HOLDING_CAUSES = (*BLOCKING_CAUSES, *SETTLED_BY_SHOP_CAUSES)
