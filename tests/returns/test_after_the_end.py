"""Lost, late and mismatched returns: closure of such cases, and events after closure."""

import pytest

from libs.common.events.carrier import ParcelException
from libs.common.events.issues import (
    IssueCancelled,
    IssueItemReceived,
    IssueRefunded,
    IssueReopened,
    IssueResolved,
    IssueReviewRequested,
)
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Condition, LineQuantity, Reason, Remedy
from services.returns.domain.commands import CancelCase, ReopenCase
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import ISSUE, RULES, CaseScenario, event_types, line, open_scenario, refusal_reasons


def lost_on_its_way_back(scenario: CaseScenario) -> CaseScenario:
    scenario.later(days=1).collect()
    while not scenario.known.in_review(ReviewCause.RECEIPT_OVERDUE):
        scenario.next_timer()
    return scenario


def resolved() -> CaseScenario:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    scenario.receive()
    scenario.inspect()
    return scenario


def cancelled(reason: Reason = Reason.CHANGED_MIND) -> CaseScenario:
    scenario = open_scenario(reason)
    scenario.apply(CancelCase(issue_id=ISSUE, cause="called"))
    return scenario


# --- lost after handover ----------------------------------------------------------------------------------------------


def test_what_the_courier_lost_is_paid_back_when_staff_approve() -> None:
    scenario = lost_on_its_way_back(open_scenario(Reason.CHANGED_MIND))
    scenario.decide_review(ReviewCause.RECEIPT_OVERDUE)
    scenario.pay()
    assert [(line.line_id, line.quantity) for line in scenario.last(IssueItemReceived).lines] == [("1", 1)]
    assert scenario.all(IssueResolved)


def test_what_the_courier_lost_does_not_hold_a_replaced_case() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    lost_on_its_way_back(scenario)
    assert "issue.resolved.v1" in scenario.decide_review(ReviewCause.RECEIPT_OVERDUE)


def test_only_the_lost_part_is_taken_as_received_and_the_rest_is_still_inspected() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line("1"), line("2"))
    scenario.later(days=1).collect()
    scenario.receive(LineQuantity(line_id="1", quantity=1))
    scenario.pay()
    scenario.until(IssueReviewRequested)
    scenario.decide_review(ReviewCause.RECEIPT_OVERDUE)
    scenario.pay()
    assert len(scenario.all(RefundRequested)) == 2
    assert scenario.until(IssueReviewRequested).cause == "inspection_overdue"


def test_a_no_to_what_is_overdue_waits_for_the_next_day() -> None:
    scenario = lost_on_its_way_back(open_scenario(Reason.CHANGED_MIND))
    assert scenario.decide_review(ReviewCause.RECEIPT_OVERDUE, approved=False) == []
    assert scenario.until(IssueReviewRequested).cause == "receipt_overdue"


# --- back after closure -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scenario", [cancelled(), resolved()], ids=["cancelled", "resolved"])
def test_what_comes_back_after_the_end_goes_to_review(scenario: CaseScenario) -> None:
    scenario.later(hours=1).receive()
    assert scenario.last(IssueReviewRequested).cause == "moved_after_stop"


def test_what_comes_back_after_a_cancelled_refund_is_paid_back_when_staff_approve() -> None:
    scenario = cancelled()
    scenario.later(days=1).receive()
    assert scenario.decide_review(ReviewCause.MOVED_AFTER_STOP) == ["refund.requested.v1", "issue.refund_requested.v1"]
    scenario.pay()
    assert scenario.all(IssueRefunded)
    assert not scenario.timers


def test_a_no_to_what_came_back_after_the_end_pays_nothing() -> None:
    scenario = cancelled()
    scenario.later(days=1).receive()
    assert scenario.decide_review(ReviewCause.MOVED_AFTER_STOP, approved=False) == []
    assert not scenario.timers


def test_what_comes_back_after_a_cancelled_replacement_is_not_paid_back() -> None:
    scenario = cancelled(Reason.DEFECTIVE)
    scenario.later(days=1).receive()
    assert scenario.decide_review(ReviewCause.MOVED_AFTER_STOP) == []


def test_what_comes_back_after_a_refund_without_return_was_refused_is_not_paid_back() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, line(price="200001"), requested_remedy=Remedy.REFUND)
    scenario.decide_review(ReviewCause.VALUE, approved=False)
    scenario.receive()
    assert scenario.decide_review(ReviewCause.MOVED_AFTER_STOP) == []


# --- not as reported --------------------------------------------------------------------------------------------------


def test_what_is_not_as_reported_ends_without_a_resolution() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    scenario.receive()
    scenario.inspect(Condition.NOT_AS_REPORTED)
    assert scenario.decide_review(ReviewCause.INSPECTION_MISMATCH, approved=False) == ["issue.cancelled.v1"]
    assert scenario.last(IssueCancelled).cause == "not_as_reported"
    assert not scenario.timers


def test_a_rejected_inspection_asks_for_no_refund_any_more() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.receive()
    scenario.fail_refund()
    scenario.inspect(Condition.OTHER_ITEM)
    scenario.decide_review(ReviewCause.INSPECTION_MISMATCH, approved=False)
    assert not scenario.timers
    assert len(scenario.all(RefundRequested)) == 1


def test_a_refund_that_was_pending_at_a_rejected_inspection_is_still_announced() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.receive()
    scenario.inspect(Condition.OTHER_ITEM)
    scenario.decide_review(ReviewCause.INSPECTION_MISMATCH, approved=False)
    assert "issue.refunded.v1" in event_types(scenario.pay())


def test_a_parcel_in_transit_at_a_rejected_inspection_is_not_sent_again() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.receive()
    scenario.inspect(Condition.OTHER_ITEM)
    scenario.decide_review(ReviewCause.INSPECTION_MISMATCH, approved=False)
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    assert refusal_reasons(scenario.apply(ParcelException(**ids, code="snow", occurred_at=scenario.now))) == [
        "case_closed"
    ]
    assert not scenario.timers


def test_a_resolution_that_an_inspection_refutes_is_taken_back() -> None:
    scenario = resolved()
    scenario.later(hours=1).inspect(Condition.OTHER_ITEM)
    assert scenario.decide_review(ReviewCause.INSPECTION_MISMATCH, approved=False) == [
        "issue.reopened.v1",
        "issue.cancelled.v1",
    ]
    assert scenario.last(IssueReopened).resolution == 1
    assert scenario.last(IssueCancelled).cause == "not_as_reported"


def test_a_resolution_stands_when_staff_accept_what_the_inspection_found() -> None:
    scenario = resolved()
    scenario.later(hours=1).inspect(Condition.OTHER_ITEM)
    assert scenario.decide_review(ReviewCause.INSPECTION_MISMATCH) == []
    assert scenario.known.resolved_at


# --- reviews of a closed case ---------------------------------------------------------------------------------


def refuted() -> CaseScenario:
    scenario = resolved()
    scenario.later(hours=1).inspect(Condition.OTHER_ITEM)
    for _ in range(20):
        if scenario.timers:
            scenario.next_timer()
    return scenario


def test_a_review_after_the_end_is_not_repeated_forever() -> None:
    scenario = refuted()
    assert len(scenario.all(IssueReviewRequested)) == 1 + RULES.policies.versions["2026-01"].limits.review_max_reminders
    assert not scenario.timers


def test_a_review_that_is_silent_can_still_be_decided() -> None:
    scenario = refuted()
    assert scenario.known.in_review(ReviewCause.INSPECTION_MISMATCH)
    assert "issue.cancelled.v1" in scenario.decide_review(ReviewCause.INSPECTION_MISMATCH, approved=False)


def test_a_silent_review_is_reminded_of_when_its_case_is_reopened() -> None:
    scenario = refuted()
    scenario.apply(ReopenCase(issue_id=ISSUE, cause="again"))
    assert "review" in scenario.timers


def test_a_review_of_an_open_case_is_repeated_until_it_is_decided() -> None:
    scenario = open_scenario(Reason.DEFECTIVE, line(price="200001"))
    for _ in range(10):
        scenario.next_timer()
    assert len(scenario.all(IssueReviewRequested)) == 11
