"""What the shop's people decide: done or refused by a named reason, and always answered."""

from uuid import UUID

import pytest

from libs.common.decisions.facts import Ignored
from libs.common.events.carrier import CollectionCancelled
from libs.common.events.issues import (
    IssueCancelled,
    IssueReopened,
    IssueResolved,
    IssueStaffDecided,
    IssueStaffDecisionApplied,
)
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Reason, Remedy, StaffAction
from libs.common.events.warehouse import ReplacementCancelled, ReplacementOrdered
from services.returns.domain.decide import decide
from services.returns.domain.exposure import NOWHERE
from services.returns.domain.handlers.staff_decisions import REFUSALS
from tests.returns.cases import ISSUE, RULES, TUESDAY, Story, event_of, line, story

DECISION = UUID(int=1)


def decision(action: StaffAction, review: str | None = None, remedy: Remedy | None = None) -> IssueStaffDecided:
    return IssueStaffDecided(
        issue_id=ISSUE,
        order_id="O-1",
        customer_id="C-1",
        decision_id=DECISION,
        action=action,
        review=review,
        remedy=remedy,
        staff="ops-1",
        comment="They called.",
        decided_at=TUESDAY,
    )


def say(told: Story, action: StaffAction, review: str | None = None, remedy: Remedy | None = None) -> str | None:
    """The code of the answer; None where it was done."""
    told.take(decision(action, review, remedy))
    answer = told.last(IssueStaffDecisionApplied)
    assert (answer.decision_id, answer.staff, answer.comment) == (DECISION, "ops-1", "They called.")
    assert answer.applied == (answer.code is None)
    assert answer.message == (REFUSALS[answer.code] if answer.code else None)
    return answer.code


def costly() -> Story:
    return story(Reason.DEFECTIVE, line(price="200001"))


def resolved() -> Story:
    told = story(Reason.MISSING_ITEM)
    told.ship()
    told.deliver()
    assert told.all(IssueResolved)
    return told


def test_accepting_and_approving_let_go_what_a_review_held() -> None:
    for action, review in ((StaffAction.ACCEPT, None), (StaffAction.APPROVE_REVIEW, "value")):
        told = costly()
        assert say(told, action, review) is None
        assert told.all(ReplacementOrdered)


def test_refusing_and_rejecting_end_the_case_with_a_word_to_the_customer() -> None:
    for action, review in (
        (StaffAction.REJECT, None),
        (StaffAction.REFUSE_REVIEW, "value"),
        (StaffAction.CANCEL, None),
    ):
        told = costly()
        assert say(told, action, review) is None
        assert told.all(IssueCancelled)


def test_another_remedy_calls_the_replacement_back_and_pays_on_receipt() -> None:
    told = story()
    assert say(told, StaffAction.CHOOSE_REMEDY, remedy=Remedy.REFUND) is None
    assert told.all(ReplacementCancelled)
    told.collect()
    told.receive()
    assert told.all(RefundRequested)


def test_another_remedy_for_what_was_resolved_opens_it_again() -> None:
    told = resolved()
    assert say(told, StaffAction.CHOOSE_REMEDY, remedy=Remedy.REFUND) is None
    assert told.all(IssueReopened)
    assert told.all(RefundRequested)


def test_waiving_the_collection_calls_the_courier_off_and_resolves() -> None:
    told = story()
    told.ship()
    told.deliver()
    assert say(told, StaffAction.WAIVE_COLLECTION) is None
    assert told.all(CollectionCancelled)
    assert told.all(IssueResolved)
    assert told.around.customer.out == {}


def test_waiving_before_anything_was_asked_for_means_nobody_is_ever_asked() -> None:
    told = story()
    assert say(told, StaffAction.WAIVE_COLLECTION) is None
    told.ship()
    told.deliver()
    assert told.all(IssueResolved)


def test_reopening_sends_again() -> None:
    told = resolved()
    assert say(told, StaffAction.REOPEN) is None
    assert len(told.all(ReplacementOrdered)) == 2


@pytest.mark.parametrize(
    ("told", "action", "review", "remedy", "code"),
    [
        (story(), StaffAction.ACCEPT, None, None, "nothing_to_accept"),
        (story(), StaffAction.REOPEN, None, None, "not_resolved"),
        (resolved(), StaffAction.CANCEL, None, None, "too_late_to_cancel"),
        (resolved(), StaffAction.WAIVE_COLLECTION, None, None, "nothing_to_collect"),
        (story(), StaffAction.APPROVE_REVIEW, None, None, "no_review_named"),
        (story(), StaffAction.APPROVE_REVIEW, "value", None, "no_such_review"),
        (story(), StaffAction.REFUSE_REVIEW, "nonsense", None, "no_such_review"),
        (story(), StaffAction.CHOOSE_REMEDY, None, None, "no_remedy_named"),
        (story(), StaffAction.CHOOSE_REMEDY, None, Remedy.REPLACEMENT, "remedy_unchanged"),
        (story(), StaffAction.CHOOSE_REMEDY, None, Remedy.PART_SHIPMENT, "remedy_not_allowed"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(
    told: Story, action: StaffAction, review: str | None, remedy: Remedy | None, code: str
) -> None:
    before = told.known
    assert say(told, action, review, remedy) == code
    assert told.known == before


@pytest.mark.parametrize("action", StaffAction)
def test_a_decision_about_no_case_is_answered_unless_it_is_intakes(action: StaffAction) -> None:
    case, facts = decide(None, NOWHERE, event_of(decision(action)), TUESDAY, RULES)
    assert case is None
    if action in (StaffAction.ACCEPT, StaffAction.REJECT):
        assert facts == (Ignored("decided_by_intake"),)
    else:
        assert [fact.code for fact in facts if isinstance(fact, IssueStaffDecisionApplied)] == ["unknown_case"]
