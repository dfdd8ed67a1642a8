"""Staff decisions about a case: applied whole or refused with a code, and always answered by an event.

Decisions about a report without a case (accepting or rejecting it) belong to intake.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from libs.common.decisions.facts import Facts, Ignored, refusal_of
from libs.common.events.issues import IssueCollectionWindowChosen, IssueStaffDecided, IssueStaffDecisionApplied
from libs.common.events.values import StaffAction
from services.returns.domain.context import CaseDecision
from services.returns.domain.handlers import case_closure, inbound, reviews
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.review_causes import BLOCKING_CAUSES, ReviewCause
from services.returns.policy.movements import CollectOn

REFUSALS = {
    "no_such_review": "review: no open review has this cause; GET the case to list its open reviews",
    "review_required": "review: missing; name the cause of the review to approve or refuse",
    "only_approval_possible": "action: goods or money have moved and cannot be reversed; approve the review",
    "mixed_currencies": "action: the lines have different currencies; refuse, and report each line separately",
    "too_late_to_cancel": "action: goods or money have moved, or the case is closed; reopen it if it was resolved",
    "not_resolved": "action: the case is not resolved; reopen resolved cases only",
    "already_refunded": "action: the units are refunded; they have no further remedy",
    "already_reported": "action: a later case of this order may be about its replacement; decide that case "
    "(GET /v1/cases?order_id=...), or decide at the desk, which tracks single units",
    "remedy_required": "remedy: missing; name the remedy",
    "remedy_not_allowed": "remedy: not allowed by the policy for this reason; GET the case to see its reason",
    "remedy_unchanged": "remedy: the case has this remedy already; name another one",
    "too_late_to_change_remedy": "remedy: goods or money have moved; reopen the case when it is resolved",
    "nothing_to_collect": "action: no collection is open that could be waived",
    "nothing_to_accept": "action: no review holds the case back; it is accepted already",
    "unknown_case": "issue_id: no case has this id; only accepted reports have one",
    "unknown_count": "count_id: no such count is kept; GET /v1/cases/kept-counts lists them",
    "count_taken": "count_id: a case has counted this box already; GET the case of its papers to see it",
    "count_settled": "count_id: staff have settled this box already; its comment says what was done with it",
    "count_does_not_fit": "count_id: the box holds no article of this case and no number of it; assign it to the case "
    "of its article, settle it, or send as_other_item to have this case reviewed with it",
    "case_closed": "action: the case is closed; reopen it if it was resolved",
}
"""Refusals by code: the field, what is wrong, and what would be right."""

COLLECTION_DONE = (InboundStatus.RECEIVED, InboundStatus.INSPECTED, InboundStatus.WAIVED, InboundStatus.COLLECTED)


def decided(decision: CaseDecision, event: IssueStaffDecided) -> None:
    before, count = decision.case, len(decision.facts)
    ACTIONS[event.action](decision, event)
    refused = refusal_of(decision.facts[count:])
    if refused:
        decision.state = before
        del decision.facts[count:]
    decision.emit(applied_event(event, decision.now, refused))


def applied_event(event: IssueStaffDecided, now: datetime, code: str | None) -> IssueStaffDecisionApplied:
    """Return the answer to a decision; a `code` says why it was refused."""
    return IssueStaffDecisionApplied(
        issue_id=event.issue_id,
        order_id=event.order_id,
        customer_id=event.customer_id,
        decision_id=event.decision_id,
        action=event.action,
        staff=event.staff,
        comment=event.comment,
        applied=code is None,
        code=code,
        message=REFUSALS.get(code, code) if code else None,
        processed_at=now,
    )


def without_case(event: IssueStaffDecided | IssueCollectionWindowChosen, now: datetime) -> Facts:
    if isinstance(event, IssueCollectionWindowChosen):
        return (Ignored("no_case"),)
    if event.action in (StaffAction.ACCEPT, StaffAction.REJECT):
        return (Ignored("decided_by_intake"),)
    return (applied_event(event, now, "unknown_case"),)


def _accept(decision: CaseDecision, event: IssueStaffDecided) -> None:
    blocking = [review.cause for review in decision.case.reviews if review.cause in BLOCKING_CAUSES]
    if not blocking:
        decision.ignore("nothing_to_accept")
    for cause in blocking:
        reviews.decide_review(decision, cause, approved=True)


def _cancel(decision: CaseDecision, event: IssueStaffDecided) -> None:
    case_closure.cancel(decision, "rejected_by_staff" if event.action is StaffAction.REJECT else "cancelled_by_staff")


def _choose_remedy(decision: CaseDecision, event: IssueStaffDecided) -> None:
    if event.remedy is None:
        decision.ignore("remedy_required")
    else:
        case_closure.choose_remedy(decision, event.remedy)


def _waive_collection(decision: CaseDecision, event: IssueStaffDecided) -> None:
    case = decision.case
    if case.is_closed or case.plan.collect_on is CollectOn.NEVER or case.inbound.status in COLLECTION_DONE:
        decision.ignore("nothing_to_collect")
    else:
        inbound.waive(decision)


def _reopen(decision: CaseDecision, event: IssueStaffDecided) -> None:
    case_closure.reopen_with(decision, "reopened_by_staff", event.remedy)


def _decide_review(decision: CaseDecision, event: IssueStaffDecided) -> None:
    if event.review is None:
        decision.ignore("review_required")
    elif event.review not in {cause.value for cause in ReviewCause}:
        decision.ignore("no_such_review")
    else:
        reviews.decide_review(decision, ReviewCause(event.review), approved=event.action is StaffAction.APPROVE_REVIEW)


ACTIONS: Mapping[StaffAction, Callable[[CaseDecision, IssueStaffDecided], None]] = {
    StaffAction.ACCEPT: _accept,
    StaffAction.REJECT: _cancel,
    StaffAction.CHOOSE_REMEDY: _choose_remedy,
    StaffAction.WAIVE_COLLECTION: _waive_collection,
    StaffAction.REOPEN: _reopen,
    StaffAction.CANCEL: _cancel,
    StaffAction.APPROVE_REVIEW: _decide_review,
    StaffAction.REFUSE_REVIEW: _decide_review,
}
