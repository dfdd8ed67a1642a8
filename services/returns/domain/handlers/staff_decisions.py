"""What the shop's people decide about a case: recorded with who and why, and always answered.

A decision either does what it says or changes nothing, and then its answer names why. Decisions about a report that is
no case yet (accepting what needs details, rejecting it) are intake's to carry out.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from libs.common.decisions.facts import Facts, Ignored
from libs.common.events.issues import IssueCollectionWindowChosen, IssueStaffDecided, IssueStaffDecisionApplied
from libs.common.events.values import StaffAction
from services.returns.domain.decision_context import CaseDecision
from services.returns.domain.handlers import case_closure, inbound, reviews
from services.returns.domain.legs.inbound import InboundStatus
from services.returns.domain.review_causes import BEFORE_ANYTHING, ReviewCause
from services.returns.policy.policy import CollectOn

REFUSALS = {
    "no_such_review": "review: no review with this cause is open; GET the case to see which are",
    "no_review_named": "review: name the cause of the review that is approved or refused",
    "only_yes_is_possible": "action: goods or money have moved, so there is no way back; only approving is possible",
    "lines_cannot_be_added_up": "action: the lines have different currencies; refuse, and report each by itself",
    "too_late_to_cancel": "action: the case has shipped, received or paid something, or has ended; reopen if resolved",
    "not_resolved": "action: only a resolved case can be reopened",
    "already_refunded": "action: the units were paid back; nothing is left to put right",
    "already_reported": "action: what was sent for it may be what a later case of this order is about; decide about "
    "that one (GET /v1/cases?order_id=...), or at the desk, which knows the pieces",
    "no_remedy_named": "remedy: name the remedy that is chosen",
    "remedy_not_allowed": "remedy: the policy has no such remedy for this reason; GET the case to see its reason",
    "remedy_unchanged": "remedy: the case has this remedy already",
    "too_late_for_another_remedy": "remedy: something has left, come back or been paid; reopen when it is resolved",
    "nothing_to_collect": "action: nothing is to be fetched, or it is here already; there is nothing to waive",
    "nothing_to_accept": "action: nothing holds this case back; it was accepted",
    "unknown_case": "issue_id: there is no case for this issue; only accepted reports have one",
    "case_closed": "action: the case has ended; reopen it if it was resolved",
}
"""Why a decision was not carried out, by its code: the field, what is wrong, and what would be right."""


def decided(turn: CaseDecision, fact: IssueStaffDecided) -> None:
    before, said = turn.case, len(turn.facts)
    ACTIONS[fact.action](turn, fact)
    refused = [one.reason for one in turn.facts[said:] if isinstance(one, Ignored)]
    if refused:
        turn.case = before
        del turn.facts[said:]
    turn.say(_told(turn, fact, refused[0] if refused else None))


def _told(turn: CaseDecision, fact: IssueStaffDecided, code: str | None) -> IssueStaffDecisionApplied:
    return answer(fact, turn.now, code)


def answer(fact: IssueStaffDecided, now: datetime, code: str | None) -> IssueStaffDecisionApplied:
    """What came of it; without a code it was done."""
    return IssueStaffDecisionApplied(
        issue_id=fact.issue_id,
        order_id=fact.order_id,
        customer_id=fact.customer_id,
        decision_id=fact.decision_id,
        action=fact.action,
        staff=fact.staff,
        comment=fact.comment,
        applied=code is None,
        code=code,
        message=REFUSALS.get(code, code) if code else None,
        processed_at=now,
    )


def without_case(fact: IssueStaffDecided | IssueCollectionWindowChosen, now: datetime) -> Facts:
    if isinstance(fact, IssueCollectionWindowChosen):
        return (Ignored("no_case"),)
    if fact.action in (StaffAction.ACCEPT, StaffAction.REJECT):
        return (Ignored("decided_by_intake"),)
    return (answer(fact, now, "unknown_case"),)


def _accept(turn: CaseDecision, fact: IssueStaffDecided) -> None:
    holding = [review.cause for review in turn.case.reviews if review.cause in BEFORE_ANYTHING]
    if not holding:
        turn.ignore("nothing_to_accept")
    for cause in holding:
        reviews.settle(turn, cause, approved=True)


def _cancel(turn: CaseDecision, fact: IssueStaffDecided) -> None:
    case_closure.cancel(turn, "rejected_by_staff" if fact.action is StaffAction.REJECT else "cancelled_by_staff")


def _choose_remedy(turn: CaseDecision, fact: IssueStaffDecided) -> None:
    if fact.remedy is None:
        turn.ignore("no_remedy_named")
    else:
        case_closure.choose_remedy(turn, fact.remedy)


def _waive(turn: CaseDecision, fact: IssueStaffDecided) -> None:
    done = (InboundStatus.RECEIVED, InboundStatus.INSPECTED, InboundStatus.WAIVED, InboundStatus.COLLECTED)
    if turn.case.is_closed or turn.case.plan.collect_on is CollectOn.NEVER or turn.case.inbound.status in done:
        turn.ignore("nothing_to_collect")
    else:
        inbound.waive(turn)


def _reopen(turn: CaseDecision, fact: IssueStaffDecided) -> None:
    case_closure.reopen_with(turn, "reopened_by_staff", fact.remedy)


def _review(turn: CaseDecision, fact: IssueStaffDecided) -> None:
    if fact.review is None:
        turn.ignore("no_review_named")
    elif fact.review not in {cause.value for cause in ReviewCause}:
        turn.ignore("no_such_review")
    else:
        reviews.settle(turn, ReviewCause(fact.review), approved=fact.action is StaffAction.APPROVE_REVIEW)


ACTIONS: Mapping[StaffAction, Callable[[CaseDecision, IssueStaffDecided], None]] = {
    StaffAction.ACCEPT: _accept,
    StaffAction.REJECT: _cancel,
    StaffAction.CHOOSE_REMEDY: _choose_remedy,
    StaffAction.WAIVE_COLLECTION: _waive,
    StaffAction.REOPEN: _reopen,
    StaffAction.CANCEL: _cancel,
    StaffAction.APPROVE_REVIEW: _review,
    StaffAction.REFUSE_REVIEW: _review,
}
