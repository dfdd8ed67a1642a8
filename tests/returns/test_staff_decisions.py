"""Staff decisions: applied or refused with a code, and always answered."""

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
from services.returns.domain.context import CaseState
from services.returns.domain.decide import decide
from services.returns.domain.handlers.staff_decisions import REFUSALS
from services.returns.domain.state.exposure import UNKNOWN_CUSTOMER
from tests.returns.cases import ISSUE, RULES, TUESDAY, CaseScenario, event_of, line, open_scenario

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


def say(
    scenario: CaseScenario, action: StaffAction, review: str | None = None, remedy: Remedy | None = None
) -> str | None:
    """Apply a decision, and return its refusal code; None where it was applied."""
    scenario.apply(decision(action, review, remedy))
    answer = scenario.last(IssueStaffDecisionApplied)
    assert (answer.decision_id, answer.staff, answer.comment) == (DECISION, "ops-1", "They called.")
    assert answer.applied == (answer.code is None)
    assert answer.message == (REFUSALS[answer.code] if answer.code else None)
    return answer.code


def costly() -> CaseScenario:
    return open_scenario(Reason.DEFECTIVE, line(price="200001"))


def resolved() -> CaseScenario:
    scenario = open_scenario(Reason.MISSING_ITEM)
    scenario.ship()
    scenario.deliver()
    assert scenario.all(IssueResolved)
    return scenario


def test_accepting_and_approving_let_go_what_a_review_held() -> None:
    for action, review in ((StaffAction.ACCEPT, None), (StaffAction.APPROVE_REVIEW, "value")):
        scenario = costly()
        assert say(scenario, action, review) is None
        assert scenario.all(ReplacementOrdered)


def test_refusing_and_rejecting_end_the_case_with_a_word_to_the_customer() -> None:
    for action, review in (
        (StaffAction.REJECT, None),
        (StaffAction.REFUSE_REVIEW, "value"),
        (StaffAction.CANCEL, None),
    ):
        scenario = costly()
        assert say(scenario, action, review) is None
        assert scenario.all(IssueCancelled)


def test_another_remedy_calls_the_replacement_back_and_pays_on_receipt() -> None:
    scenario = open_scenario()
    assert say(scenario, StaffAction.CHOOSE_REMEDY, remedy=Remedy.REFUND) is None
    assert scenario.all(ReplacementCancelled)
    scenario.collect()
    scenario.receive()
    assert scenario.all(RefundRequested)


def test_another_remedy_for_what_was_resolved_opens_it_again() -> None:
    scenario = resolved()
    assert say(scenario, StaffAction.CHOOSE_REMEDY, remedy=Remedy.REFUND) is None
    assert scenario.all(IssueReopened)
    assert scenario.all(RefundRequested)


def test_waiving_the_collection_calls_the_courier_off_and_resolves() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    assert say(scenario, StaffAction.WAIVE_COLLECTION) is None
    assert scenario.all(CollectionCancelled)
    assert scenario.all(IssueResolved)
    assert scenario.customer.exposure.outstanding == {}


def test_waiving_before_anything_was_asked_for_means_nobody_is_ever_asked() -> None:
    scenario = open_scenario()
    assert say(scenario, StaffAction.WAIVE_COLLECTION) is None
    scenario.ship()
    scenario.deliver()
    assert scenario.all(IssueResolved)


def test_reopening_sends_again() -> None:
    scenario = resolved()
    assert say(scenario, StaffAction.REOPEN) is None
    assert len(scenario.all(ReplacementOrdered)) == 2


@pytest.mark.parametrize(
    ("scenario", "action", "review", "remedy", "code"),
    [
        (open_scenario(), StaffAction.ACCEPT, None, None, "nothing_to_accept"),
        (open_scenario(), StaffAction.REOPEN, None, None, "not_resolved"),
        (resolved(), StaffAction.CANCEL, None, None, "too_late_to_cancel"),
        (resolved(), StaffAction.WAIVE_COLLECTION, None, None, "nothing_to_collect"),
        (open_scenario(), StaffAction.APPROVE_REVIEW, None, None, "review_required"),
        (open_scenario(), StaffAction.APPROVE_REVIEW, "value", None, "no_such_review"),
        (open_scenario(), StaffAction.REFUSE_REVIEW, "nonsense", None, "no_such_review"),
        (open_scenario(), StaffAction.CHOOSE_REMEDY, None, None, "remedy_required"),
        (open_scenario(), StaffAction.CHOOSE_REMEDY, None, Remedy.REPLACEMENT, "remedy_unchanged"),
        (open_scenario(), StaffAction.CHOOSE_REMEDY, None, Remedy.PART_SHIPMENT, "remedy_not_allowed"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(
    scenario: CaseScenario, action: StaffAction, review: str | None, remedy: Remedy | None, code: str
) -> None:
    before = scenario.known
    assert say(scenario, action, review, remedy) == code
    assert scenario.known == before


@pytest.mark.parametrize("action", StaffAction)
def test_a_decision_about_no_case_is_answered_unless_it_is_intakes(action: StaffAction) -> None:
    state = CaseState(None, UNKNOWN_CUSTOMER)
    after, facts = decide(state, event_of(decision(action)), TUESDAY, RULES)
    assert after is state
    if action in (StaffAction.ACCEPT, StaffAction.REJECT):
        assert facts == (Ignored("decided_by_intake"),)
    else:
        assert [fact.code for fact in facts if isinstance(fact, IssueStaffDecisionApplied)] == ["unknown_case"]
