"""Reviews: the effects of approval and refusal, by cause.

Approval does what the review proposes. Refusal does the opposite where that exists, and otherwise only closes the
review. Where goods or money have moved, only approval is possible. The customer knows the deadline; when it passes
they are given a new one, so that no review is silently forgotten. A closed case gets only as many reminders as the
policy allows; its reviews then stay listed for staff.
"""

from collections.abc import Callable, Mapping

from libs.common.decisions.facts import refusal_of
from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueReviewRequested
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import (
    case_closure,
    collection_reminders,
    customer_choice,
    inbound,
    order_watch,
    outbound,
    receipts,
    redelivery,
    refunds,
    shipments,
    tracking_scans,
)
from services.returns.domain.handlers.replacement_matching import cancel_replacement
from services.returns.domain.state.review_causes import CaseReview, ReviewCause
from services.returns.policy.movements import RefundOn

ReviewAction = Callable[[CaseDecision], None]


def close_only(decision: CaseDecision) -> None:
    """Close the review; the steps that it held back follow by themselves."""


def _refuse_mixed_currencies(decision: CaseDecision) -> None:
    decision.ignore("mixed_currencies")


def _retry_address(decision: CaseDecision) -> None:
    decision.change(address_attempts=0)


def _apply_default_choice(decision: CaseDecision) -> None:
    request = decision.case.choice_request
    if request:
        customer_choice.apply_choice(decision, request, request.default)


def _cancel_case(decision: CaseDecision) -> None:
    case_closure.cancel(decision, "refused")


def _waive_return(decision: CaseDecision) -> None:
    """Let the customer keep the item; a case whose refund depended on it ends."""
    if decision.case.plan.refund_on is RefundOn.RECEIVED and not decision.case.money.requested_units:
        case_closure.force_cancel(decision, "not_returned")
    else:
        inbound.waive(decision)


def _settle_by_shop(decision: CaseDecision) -> None:
    """End a case that the shop or the customer's bank settled; what has left or was paid stays as it is."""
    if decision.case.is_closed:
        return
    refunds.stop(decision)
    case_closure.force_cancel(decision, "settled_by_shop")


def _stop_replacement(decision: CaseDecision) -> None:
    """Cancel a replacement that the warehouse does not ship; a case that cannot be cancelled offers a refund."""
    if case_closure.is_cancellable(decision.case) or decision.case.outbound.has_moved:
        _cancel_case(decision)
    else:
        decision.close_reviews(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING)
        cancel_replacement(decision, "refused")
        customer_choice.request_choice(decision, "refused", None)


ON_APPROVAL: Mapping[ReviewCause, ReviewAction] = {
    ReviewCause.VALUE: close_only,
    ReviewCause.MIXED_CURRENCIES: _refuse_mixed_currencies,
    ReviewCause.NO_ADDRESS: _retry_address,
    ReviewCause.WAREHOUSE_SILENT: outbound.repeat_order,
    ReviewCause.NOT_SHIPPING: outbound.repeat_order,
    ReviewCause.DELIVERED_UNSHIPPED: shipments.assume_shipped,
    ReviewCause.DELIVERY_OVERDUE: outbound.resend_replacement,
    ReviewCause.PARCEL_EXCEPTION: outbound.resend_replacement,
    ReviewCause.NO_DECISION: _apply_default_choice,
    ReviewCause.EXPOSURE: close_only,
    ReviewCause.MANY_REPORTS: close_only,
    ReviewCause.EARLIER_MISMATCHES: close_only,
    ReviewCause.SHARED_ADDRESS: close_only,
    ReviewCause.COLLECTION_FAILED: inbound.retry_collection,
    ReviewCause.NOT_COLLECTED: collection_reminders.restart_reminders,
    ReviewCause.PARCEL_FOUND: tracking_scans.collect_found_parcel,
    ReviewCause.RECEIPT_OVERDUE: receipts.assume_received,
    ReviewCause.UNEXPECTED_ITEM: inbound.fetch_again,
    ReviewCause.INSPECTION_OVERDUE: receipts.waive_inspection,
    ReviewCause.INSPECTION_MISMATCH: close_only,
    ReviewCause.REFUND_FAILED: refunds.retry_failed,
    ReviewCause.REFUND_DIFFERS: refunds.accept_difference,
    ReviewCause.REFUND_OVERPAID: close_only,
    ReviewCause.REFUND_REVERSED: refunds.pay_again,
    ReviewCause.ORDER_CANCELLED: _settle_by_shop,
    ReviewCause.ORDER_REFUNDED: _settle_by_shop,
    ReviewCause.CHARGED_BACK: _settle_by_shop,
    ReviewCause.SURPLUS_SHIPPED: close_only,
    ReviewCause.WRONG_ITEM_SHIPPED: outbound.repeat_order,
    ReviewCause.REPLACEMENT_RETURNED: close_only,
    ReviewCause.MOVED_AFTER_STOP: refunds.refund_late_receipt,
    ReviewCause.ADDRESS_CHANGED: outbound.resend_replacement,
    ReviewCause.REDELIVERY: redelivery.redelivered,
    ReviewCause.VIRTUAL_RETURN: close_only,
    ReviewCause.STALLED: close_only,
}
ON_REFUSAL: Mapping[ReviewCause, ReviewAction] = {
    ReviewCause.VALUE: _cancel_case,
    ReviewCause.MIXED_CURRENCIES: _cancel_case,
    ReviewCause.NO_ADDRESS: _cancel_case,
    ReviewCause.WAREHOUSE_SILENT: _stop_replacement,
    ReviewCause.NOT_SHIPPING: _stop_replacement,
    ReviewCause.DELIVERED_UNSHIPPED: close_only,
    ReviewCause.DELIVERY_OVERDUE: close_only,
    ReviewCause.PARCEL_EXCEPTION: close_only,
    ReviewCause.NO_DECISION: close_only,
    ReviewCause.EXPOSURE: _cancel_case,
    ReviewCause.MANY_REPORTS: _cancel_case,
    ReviewCause.EARLIER_MISMATCHES: _cancel_case,
    ReviewCause.SHARED_ADDRESS: _cancel_case,
    ReviewCause.COLLECTION_FAILED: _waive_return,
    ReviewCause.NOT_COLLECTED: _waive_return,
    ReviewCause.PARCEL_FOUND: close_only,
    ReviewCause.RECEIPT_OVERDUE: close_only,
    ReviewCause.INSPECTION_OVERDUE: close_only,
    ReviewCause.UNEXPECTED_ITEM: case_closure.reject,
    ReviewCause.INSPECTION_MISMATCH: case_closure.reject,
    ReviewCause.REFUND_DIFFERS: refunds.request_rest,
    ReviewCause.REFUND_REVERSED: close_only,
    ReviewCause.ORDER_CANCELLED: order_watch.continue_case,
    ReviewCause.ORDER_REFUNDED: order_watch.continue_case,
    ReviewCause.CHARGED_BACK: order_watch.continue_case,
    ReviewCause.WRONG_ITEM_SHIPPED: close_only,
    ReviewCause.MOVED_AFTER_STOP: close_only,
    ReviewCause.ADDRESS_CHANGED: close_only,
    ReviewCause.REDELIVERY: redelivery.refund_instead,
    ReviewCause.VIRTUAL_RETURN: _cancel_case,
    ReviewCause.STALLED: _cancel_case,
}


def decide_review(decision: CaseDecision, cause: ReviewCause, *, approved: bool) -> None:
    """Apply an approval or refusal; one that cannot be applied changes nothing and is ignored with its reason."""
    before = decision.case
    action = (ON_APPROVAL if approved else ON_REFUSAL).get(cause)
    if not before.in_review(cause):
        decision.ignore("no_such_review")
    elif action is None:
        decision.ignore("only_approval_possible")
    else:
        decision.close_reviews(cause)
        action(decision)
        if refusal_of(decision.facts):
            decision.state = before


def on_timer(decision: CaseDecision) -> None:
    """Give the customer a new deadline for each review whose deadline has passed."""
    due_at = decision.review_deadline()

    def remind(review: CaseReview) -> CaseReview:
        if review.due_at is None or review.due_at > decision.now:
            return review
        if decision.case.is_closed and review.reminders >= decision.limits.review_max_reminders:
            return replace(review, due_at=None)
        decision.emit(IssueReviewRequested(**decision.ids, cause=review.cause, due_at=due_at))
        return replace(review, due_at=due_at, reminders=review.reminders + 1)

    decision.change(reviews=tuple(remind(review) for review in decision.case.reviews))
