"""Reviews: approval and refusal by cause, cancellation and reopening."""

import pytest

from libs.common.events.carrier import CollectionCancelled, CollectionRequested, ParcelDelivered
from libs.common.events.issues import (
    IssueCancelled,
    IssueCollectionReminded,
    IssueReopened,
    IssueResolved,
    IssueReviewRequested,
)
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Condition, Reason, Remedy
from libs.common.events.warehouse import ReplacementCancelled, ReplacementOrdered
from services.returns.domain.commands import CancelCase, ReopenCase
from services.returns.domain.state.case_status import CaseStatus, case_status
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import ISSUE, CaseScenario, event_types, line, open_scenario, refusal_reasons


def cancel(scenario: CaseScenario) -> list[str]:
    facts = scenario.apply(CancelCase(issue_id=ISSUE, cause="customer called"))
    return refusal_reasons(facts) or event_types(facts)


def reopen(scenario: CaseScenario, remedy: Remedy | None = None) -> list[str]:
    facts = scenario.apply(ReopenCase(issue_id=ISSUE, cause="defective too", remedy=remedy))
    return refusal_reasons(facts) or event_types(facts)


def resolved(reason: Reason = Reason.MISSING_ITEM) -> CaseScenario:
    scenario = open_scenario(reason)
    scenario.ship()
    scenario.deliver()
    if not scenario.all(IssueResolved):
        scenario.receive()
        scenario.inspect()
    return scenario


def costly() -> CaseScenario:
    return open_scenario(Reason.DEFECTIVE, line(price="200001"))


def uncollectable(reason: Reason) -> CaseScenario:
    scenario = open_scenario(reason)
    if reason is not Reason.CHANGED_MIND:
        scenario.ship()
        scenario.deliver()
    for _ in range(3):
        scenario.later(days=1).miss()
    while not scenario.known.reviews:
        scenario.next_timer()
    return scenario


def test_nothing_leaves_over_the_limit_before_staff_approve() -> None:
    scenario = costly()
    assert case_status(scenario.known) is CaseStatus.IN_REVIEW
    assert not scenario.all(ReplacementOrdered)


def test_a_yes_to_the_value_orders_the_replacement() -> None:
    assert "replacement.ordered.v1" in costly().decide_review(ReviewCause.VALUE)


def test_a_no_to_the_value_cancels_the_case() -> None:
    assert costly().decide_review(ReviewCause.VALUE, approved=False) == ["issue.cancelled.v1"]


def test_a_review_that_nobody_decides_is_announced_again_with_a_new_day() -> None:
    scenario = costly()
    first = scenario.last(IssueReviewRequested)
    assert scenario.until(IssueReviewRequested).due_at > first.due_at


def test_lines_in_two_currencies_can_only_be_refused() -> None:
    scenario = open_scenario(Reason.DEFECTIVE, line("1"), line("2", currency="USD"))
    assert scenario.decide_review(ReviewCause.MIXED_CURRENCIES) == ["mixed_currencies"]
    assert scenario.known.in_review(ReviewCause.MIXED_CURRENCIES)


def test_a_review_that_is_not_open_cannot_be_decided() -> None:
    assert open_scenario().decide_review(ReviewCause.VALUE) == ["no_such_review"]


def test_where_money_has_moved_there_is_no_no() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.pay("1201")
    assert scenario.decide_review(ReviewCause.REFUND_OVERPAID, approved=False) == ["only_approval_possible"]


def test_a_yes_to_a_differing_refund_resolves_the_case() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.pay("1")
    scenario.until(IssueReviewRequested)
    assert scenario.decide_review(ReviewCause.REFUND_DIFFERS) == ["issue.resolved.v1"]


def test_an_item_not_as_reported_holds_the_resolution_until_staff_decide() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    scenario.receive()
    scenario.inspect(Condition.NOT_AS_REPORTED)
    assert not scenario.all(IssueResolved)
    assert scenario.decide_review(ReviewCause.INSPECTION_MISMATCH) == ["issue.resolved.v1"]


def test_a_lost_replacement_is_sent_again_and_the_courier_waits_for_that_one() -> None:
    scenario = open_scenario()
    scenario.ship()
    while not scenario.known.in_review(ReviewCause.DELIVERY_OVERDUE):
        scenario.next_timer()
    collections = len(scenario.all(CollectionRequested))
    scenario.decide_review(ReviewCause.DELIVERY_OVERDUE)
    assert len({order.replacement_id for order in scenario.all(ReplacementOrdered)}) == 2
    assert len(scenario.all(CollectionRequested)) == collections


def test_a_yes_to_a_failed_collection_sends_the_courier_again() -> None:
    scenario = uncollectable(Reason.CHANGED_MIND)
    assert "collection.requested.v1" in scenario.decide_review(ReviewCause.COLLECTION_FAILED)


def test_a_yes_after_the_last_reminder_begins_with_a_new_appointment_and_reminders() -> None:
    scenario = uncollectable(Reason.DEFECTIVE)
    reminders = len(scenario.all(IssueCollectionReminded))
    scenario.decide_review(ReviewCause.NOT_COLLECTED)
    assert scenario.until(IssueCollectionReminded).reminder == 1
    assert reminders == scenario.rules.in_force(scenario.now).collection.max_reminders


def test_a_no_to_a_failed_collection_lets_the_customer_keep_the_broken_one() -> None:
    scenario = uncollectable(Reason.DEFECTIVE)
    assert "issue.resolved.v1" in scenario.decide_review(ReviewCause.NOT_COLLECTED, approved=False)


def test_a_no_to_a_failed_collection_ends_a_change_of_mind() -> None:
    scenario = uncollectable(Reason.CHANGED_MIND)
    assert scenario.decide_review(ReviewCause.COLLECTION_FAILED, approved=False) == ["issue.cancelled.v1"]
    assert not scenario.all(RefundRequested)


def test_a_yes_to_a_failed_refund_asks_for_it_again() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.fail_refund(retriable=False)
    assert scenario.decide_review(ReviewCause.REFUND_FAILED) == ["refund.requested.v1"]


def test_a_delivery_without_shipping_is_taken_as_shipped_when_staff_approve() -> None:
    scenario = open_scenario()
    scenario.deliver()
    scenario.until(IssueReviewRequested)
    assert "collection.requested.v1" in scenario.decide_review(ReviewCause.DELIVERED_UNSHIPPED)


def test_cancelling_calls_the_replacement_back() -> None:
    scenario = open_scenario()
    cancel(scenario)
    assert scenario.all(ReplacementCancelled)
    assert scenario.last(IssueCancelled).cause == "customer called"
    assert not scenario.timers


def test_cancelling_calls_the_courier_off() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    cancel(scenario)
    assert scenario.all(CollectionCancelled)


def test_what_has_left_cannot_be_cancelled() -> None:
    scenario = open_scenario()
    scenario.ship()
    assert cancel(scenario) == ["too_late_to_cancel"]


def test_a_replacement_that_ships_after_cancelling_goes_to_review() -> None:
    scenario = open_scenario()
    cancel(scenario)
    scenario.ship()
    assert case_status(scenario.known) is CaseStatus.CANCELLED
    assert "review" in scenario.timers


def test_a_reopened_case_sends_another_replacement() -> None:
    scenario = resolved()
    assert reopen(scenario)[:2] == ["issue.reopened.v1", "replacement.ordered.v1"]
    assert scenario.last(IssueReopened).resolution == 1


def test_a_reopened_case_is_resolved_a_second_time() -> None:
    scenario = resolved()
    reopen(scenario)
    scenario.ship()
    scenario.deliver()
    assert scenario.last(IssueResolved).resolution == 2


def test_late_news_of_the_former_replacement_changes_nothing() -> None:
    scenario = resolved(Reason.DEFECTIVE)
    former = CaseScenario(case=scenario.case, now=scenario.now)
    reopen(scenario)
    facts = scenario.apply(former_delivery(former))
    assert refusal_reasons(facts) == ["past_replacement"]


def former_delivery(scenario: CaseScenario) -> ParcelDelivered:
    return ParcelDelivered(issue_id=ISSUE, replacement_id=scenario.replacement_id, delivered_at=scenario.now)


def test_another_remedy_may_be_named_on_reopening() -> None:
    scenario = resolved(Reason.DEFECTIVE)
    reopen(scenario, Remedy.REFUND)
    assert not scenario.all(RefundRequested)
    scenario.later(days=1).receive()
    assert len(scenario.all(RefundRequested)) == 1


@pytest.mark.parametrize(
    ("scenario", "remedy", "refusal"),
    [
        (open_scenario(), None, "not_resolved"),
        (resolved(), Remedy.PART_SHIPMENT, "remedy_not_allowed"),
    ],
)
def test_reopening_is_refused_with_a_reason(scenario: CaseScenario, remedy: Remedy | None, refusal: str) -> None:
    assert reopen(scenario, remedy) == [refusal]


def test_what_was_paid_back_is_not_reopened() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.pay()
    assert reopen(scenario) == ["already_refunded"]
