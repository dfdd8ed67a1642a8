"""Reviews: what a human's yes and no do, per cause.

Yes does what the review proposes; no does the opposite where there is one, and else goes on waiting. Where goods or
money have moved there may be no way back: then only yes is taken, and said so. The customer was told by when; when that
passes they hear a new day, so that a forgotten review is not silence. On a case that has ended that is said only so
many times as the policy allows; then the review stays in the list of ops, still to be decided.
"""

from collections.abc import Callable, Mapping

from libs.common.decisions.facts import Ignored
from libs.common.decisions.fast_replace import replace
from libs.common.events.issues import IssueReviewRequested
from services.returns.domain.commands import ReviewDecided
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.handlers import (
    case_closure,
    collection_reminders,
    customer_choice,
    inbound,
    outbound,
    receipts,
    refunds,
    tracking_scans,
)
from services.returns.domain.replacement_matching import has_moved, stop
from services.returns.domain.review_causes import Review, ReviewCause
from services.returns.policy.policy import RefundOn

Act = Callable[[CaseDecision], None]


def go_on(turn: CaseDecision) -> None:
    """Nothing to do but to close the review: what it held goes on by itself."""


def _never(turn: CaseDecision) -> None:
    turn.ignore("lines_cannot_be_added_up")


def _look_again(turn: CaseDecision) -> None:
    turn.change(address_tries=0)


def _take_default(turn: CaseDecision) -> None:
    if turn.case.question:
        customer_choice.take(turn, turn.case.question, turn.case.question.default)


def _refuse(turn: CaseDecision) -> None:
    case_closure.cancel(turn, "refused")


def _let_keep(turn: CaseDecision) -> None:
    """The customer keeps it; where money waited for it and nothing came, there is nothing left to do."""
    if turn.case.plan.refund_on is RefundOn.RECEIVED and not turn.case.money.asked:
        case_closure.end(turn, "not_returned")
    else:
        inbound.waive(turn)


def _send_nothing(turn: CaseDecision) -> None:
    """The warehouse does not send it. Where something had moved before, that cannot be undone: they get their money."""
    if case_closure.is_cancellable(turn.case) or has_moved(turn.case.outbound):
        _refuse(turn)
    else:
        turn.withdraw(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING)
        stop(turn, "refused")
        customer_choice.ask(turn, "refused", None)


YES: Mapping[ReviewCause, Act] = {
    ReviewCause.VALUE: go_on,
    ReviewCause.MIXED_CURRENCIES: _never,
    ReviewCause.NO_ADDRESS: _look_again,
    ReviewCause.WAREHOUSE_SILENT: outbound.ask_again,
    ReviewCause.NOT_SHIPPING: outbound.ask_again,
    ReviewCause.DELIVERED_UNSHIPPED: outbound.take_as_shipped,
    ReviewCause.DELIVERY_OVERDUE: outbound.send_again,
    ReviewCause.PARCEL_EXCEPTION: outbound.send_again,
    ReviewCause.NO_DECISION: _take_default,
    ReviewCause.EXPOSURE: go_on,
    ReviewCause.MANY_REPORTS: go_on,
    ReviewCause.EARLIER_MISMATCHES: go_on,
    ReviewCause.SHARED_ADDRESS: go_on,
    ReviewCause.COLLECTION_FAILED: inbound.ask_again,
    ReviewCause.NOT_COLLECTED: collection_reminders.come_again,
    ReviewCause.PARCEL_FOUND: tracking_scans.fetch_it,
    ReviewCause.RECEIPT_OVERDUE: receipts.take_as_received,
    ReviewCause.UNEXPECTED_ITEM: go_on,
    ReviewCause.INSPECTION_OVERDUE: receipts.waive_inspection,
    ReviewCause.INSPECTION_MISMATCH: go_on,
    ReviewCause.REFUND_FAILED: refunds.ask_again,
    ReviewCause.REFUND_DIFFERS: go_on,
    ReviewCause.MOVED_AFTER_STOP: refunds.ask_for_late_receipt,
    ReviewCause.STALLED: go_on,
}
NO: Mapping[ReviewCause, Act] = {
    ReviewCause.VALUE: _refuse,
    ReviewCause.MIXED_CURRENCIES: _refuse,
    ReviewCause.NO_ADDRESS: _refuse,
    ReviewCause.WAREHOUSE_SILENT: _send_nothing,
    ReviewCause.NOT_SHIPPING: _send_nothing,
    ReviewCause.DELIVERED_UNSHIPPED: go_on,
    ReviewCause.DELIVERY_OVERDUE: go_on,
    ReviewCause.PARCEL_EXCEPTION: go_on,
    ReviewCause.NO_DECISION: go_on,
    ReviewCause.EXPOSURE: _refuse,
    ReviewCause.MANY_REPORTS: _refuse,
    ReviewCause.EARLIER_MISMATCHES: _refuse,
    ReviewCause.SHARED_ADDRESS: _refuse,
    ReviewCause.COLLECTION_FAILED: _let_keep,
    ReviewCause.NOT_COLLECTED: _let_keep,
    ReviewCause.PARCEL_FOUND: go_on,
    ReviewCause.RECEIPT_OVERDUE: go_on,
    ReviewCause.INSPECTION_OVERDUE: go_on,
    ReviewCause.INSPECTION_MISMATCH: case_closure.reject,
    ReviewCause.MOVED_AFTER_STOP: go_on,
    ReviewCause.STALLED: _refuse,
}


def decided(turn: CaseDecision, command: ReviewDecided) -> None:
    settle(turn, command.cause, approved=command.approved)


def settle(turn: CaseDecision, cause: ReviewCause, *, approved: bool) -> None:
    """Do what a yes or no to this review means, or say why that cannot be done."""
    before = turn.case
    act = (YES if approved else NO).get(cause)
    if not before.in_review(cause):
        turn.ignore("no_such_review")
    elif act is None:
        turn.ignore("only_yes_is_possible")
    else:
        turn.withdraw(cause)
        act(turn)
        if any(isinstance(fact, Ignored) for fact in turn.facts):
            turn.case = before


def due(turn: CaseDecision) -> None:
    """Nobody has decided by the day the customer was told."""
    due_at = turn.human_answer_at()

    def later(review: Review) -> Review:
        if review.due_at is None or review.due_at > turn.now:
            return review
        if turn.case.is_closed and review.reminders >= turn.terms.review_max_reminders:
            return replace(review, due_at=None)
        turn.say(IssueReviewRequested(**turn.ids, cause=review.cause, due_at=due_at))
        return replace(review, due_at=due_at, reminders=review.reminders + 1)

    turn.change(reviews=tuple(later(review) for review in turn.case.reviews))
