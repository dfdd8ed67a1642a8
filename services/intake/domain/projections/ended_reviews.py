"""Reviews that an event of returns makes obsolete.

Returns ends reviews without an event of their own when what they waited for happens after all. Where an event alone
does not tell, the likelier case counts: an open review is published again on its due day, and a decision about one that
is over ends it, so that a wrong row is corrected.
"""

from collections.abc import Callable
from typing import Any

from libs.common.events import issues, notices
from libs.common.events.envelope import Payload

Causes = tuple[str, ...]

_BLOCKING: Causes = (
    "value",
    "mixed_currencies",
    "exposure",
    "many_reports",
    "earlier_mismatches",
    "shared_address",
    "virtual_return",
)
"""No leg starts before these are decided."""
_UNSHIPPED: Causes = ("warehouse_silent", "not_shipping", "delivered_unshipped")
_UNCOLLECTED: Causes = ("collection_failed", "not_collected")

_DELAYED_BY_RETURNS = frozenset({"no_shipment", "customer_waits"})
"""Causes of delays that returns announces by itself; the warehouse remains silent."""
_CHOICE_WITHOUT_WAREHOUSE = "not_shipping"


def _on_delayed(event: issues.IssueReplacementDelayed) -> Causes:
    return () if event.cause in _DELAYED_BY_RETURNS else ("warehouse_silent",)


def _on_choice_requested(event: issues.IssueChoiceRequested) -> Causes:
    return () if event.cause == _CHOICE_WITHOUT_WAREHOUSE else _UNSHIPPED


def _on_customer_decided(event: notices.CustomerDecided) -> Causes:
    return ("no_decision",) if event.issue_id else ()


def _on_received(event: issues.IssueItemReceived) -> Causes:
    """Units of a replacement that came back are not those which the collection waits for."""
    return () if event.replacement_id else ("receipt_overdue", *_UNCOLLECTED)


def _on_refunded(event: issues.IssueRefunded) -> Causes:
    return () if event.remaining else ("refund_failed", "refund_differs")


_ENDED: dict[type[Payload], Causes | Callable[[Any], Causes]] = {
    issues.IssueReplacementOrdered: (*_BLOCKING, "no_address", "no_decision", "delivery_overdue", "parcel_exception"),
    issues.IssueReplacementPromised: ("no_address", "warehouse_silent"),
    issues.IssueReplacementDelayed: _on_delayed,
    issues.IssueReplacementPartShipped: _UNSHIPPED,
    issues.IssueReplacementShipped: _UNSHIPPED,
    issues.IssueReplacementDelivered: ("delivery_overdue", "parcel_exception"),
    issues.IssueCollectionRequested: (*_BLOCKING, "collection_failed"),
    issues.IssueCollectionBooked: ("collection_failed",),
    issues.IssueCollected: _UNCOLLECTED,
    issues.IssueItemReceived: _on_received,
    issues.IssueItemInspected: ("inspection_overdue",),
    issues.IssueRefundRequested: (*_BLOCKING, "no_decision"),
    issues.IssueRefunded: _on_refunded,
    issues.IssueChoiceRequested: _on_choice_requested,
    notices.CustomerDecided: _on_customer_decided,
}

ENDED_WITH_CASE: Causes = (
    *_BLOCKING,
    *_UNSHIPPED,
    *_UNCOLLECTED,
    "no_address",
    "no_decision",
    "delivery_overdue",
    "parcel_exception",
    "parcel_found",
    "receipt_overdue",
    "inspection_overdue",
    "refund_failed",
    "redelivery",
    "stalled",
)
"""Reviews that are obsolete once a case is closed; of a case that is rejected at inspection, all others stay open."""


def ended_reviews(event: Payload) -> Causes:
    """Return the causes of the reviews that this event ends."""
    causes = _ENDED.get(type(event), ())
    return causes(event) if callable(causes) else causes
