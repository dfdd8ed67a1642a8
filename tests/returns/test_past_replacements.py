"""Past replacements, given up or rejected, that ship or arrive later."""

from datetime import timedelta
from uuid import UUID

from libs.common.decisions.facts import Facts
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import CollectionRequested, ParcelDelivered
from libs.common.events.issues import IssueCancelled, IssueChoiceRequested, IssueResolved, IssueReviewRequested
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Choice, Reason, Remedy
from libs.common.events.warehouse import ReplacementCancelled, ReplacementRejected, ReplacementShipped
from services.returns.domain.commands import CancelCase, ReopenCase
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import CALENDAR, ISSUE, CaseScenario, event_types, open_scenario, refusal_reasons

FIRST, SECOND = derived_id("replacement", ISSUE, 1), derived_id("replacement", ISSUE, 2)


def sent_again(reason: Reason = Reason.DEFECTIVE) -> CaseScenario:
    """Consider the first parcel lost, and order a second one."""
    scenario = open_scenario(reason)
    scenario.ship()
    while not scenario.known.in_review(ReviewCause.DELIVERY_OVERDUE):
        scenario.next_timer()
    scenario.decide_review(ReviewCause.DELIVERY_OVERDUE)
    return scenario


def ordered_again() -> CaseScenario:
    """Reject the first order, and order a second one because the customer waits."""
    scenario = open_scenario()
    restock = CALENDAR.day(scenario.now) + timedelta(days=6)
    scenario.apply(ReplacementRejected(issue_id=ISSUE, replacement_id=FIRST, restock_date=restock))
    asked = scenario.last(IssueChoiceRequested)
    scenario.apply(
        CustomerDecided(
            order_id="O-1",
            customer_id="C-1",
            issue_id=ISSUE,
            choice_id=asked.choice_id,
            choice=Choice.WAIT,
            decided_at=scenario.now,
        )
    )
    return scenario


def delivered(scenario: CaseScenario, replacement_id: UUID = FIRST) -> Facts:
    return scenario.apply(ParcelDelivered(issue_id=ISSUE, replacement_id=replacement_id, delivered_at=scenario.now))


def shipped(scenario: CaseScenario, replacement_id: UUID = FIRST) -> Facts:
    return scenario.apply(ReplacementShipped(issue_id=ISSUE, replacement_id=replacement_id, shipped_at=scenario.now))


def test_a_lost_parcel_that_arrives_after_all_goes_to_review() -> None:
    scenario = sent_again()
    delivered(scenario)
    assert scenario.last(IssueReviewRequested).cause == "moved_after_stop"


def test_a_lost_parcel_that_arrives_calls_back_the_second_one() -> None:
    scenario = sent_again()
    delivered(scenario)
    assert scenario.last(ReplacementCancelled).replacement_id == SECOND


def test_a_lost_parcel_that_arrives_is_the_replacement_and_the_courier_comes() -> None:
    scenario = sent_again()
    before = len(scenario.all(CollectionRequested))
    assert "issue.replacement_delivered.v1" in event_types(delivered(scenario))
    assert scenario.replacement_id == FIRST
    assert len(scenario.all(CollectionRequested)) == before + 1


def test_a_lost_parcel_that_arrives_resolves_the_case_after_a_review() -> None:
    scenario = sent_again(Reason.MISSING_ITEM)
    delivered(scenario)
    assert not scenario.all(IssueResolved)
    scenario.decide_review(ReviewCause.MOVED_AFTER_STOP)
    assert scenario.all(IssueResolved)


def test_a_lost_parcel_that_arrives_after_the_second_has_left_calls_nothing_back() -> None:
    scenario = sent_again()
    scenario.ship()
    delivered(scenario)
    assert not scenario.all(ReplacementCancelled)
    assert scenario.replacement_id == SECOND
    assert scenario.known.in_review(ReviewCause.MOVED_AFTER_STOP)


def test_a_rejected_order_that_ships_after_all_takes_its_place_again() -> None:
    scenario = ordered_again()
    assert event_types(shipped(scenario))[:3] == [
        "issue.review_requested.v1",
        "replacement.cancelled.v1",
        "issue.replacement_shipped.v1",
    ]
    assert scenario.known.outbound.status is OutboundStatus.SHIPPED
    assert scenario.replacement_id == FIRST


def test_a_second_one_that_ships_in_spite_of_being_called_back_goes_to_review() -> None:
    scenario = ordered_again()
    shipped(scenario)
    scenario.decide_review(ReviewCause.MOVED_AFTER_STOP)
    shipped(scenario, SECOND)
    assert scenario.known.in_review(ReviewCause.MOVED_AFTER_STOP)
    assert scenario.replacement_id == FIRST


def test_the_same_late_arrival_again_changes_nothing() -> None:
    scenario = sent_again()
    scenario.ship()
    delivered(scenario)
    assert refusal_reasons(delivered(scenario)) == ["past_replacement"]


def test_what_left_before_it_was_sent_again_cannot_be_cancelled() -> None:
    scenario = sent_again()
    assert refusal_reasons(scenario.apply(CancelCase(issue_id=ISSUE, cause="called"))) == ["too_late_to_cancel"]
    assert not scenario.all(IssueCancelled)


def test_who_lost_a_parcel_gets_the_money_when_staff_give_up_on_the_second() -> None:
    scenario = sent_again()
    while not scenario.known.in_review(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING):
        scenario.next_timer()
    cause = scenario.known.reviews[0].cause
    scenario.decide_review(cause, approved=False)
    assert scenario.last(ReplacementCancelled).replacement_id == SECOND
    assert scenario.last(IssueChoiceRequested).options == (Choice.REFUND,)


def test_a_reopened_case_ends_when_the_customer_does_not_hand_the_item_over() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    scenario.receive()
    scenario.inspect()
    scenario.apply(ReopenCase(issue_id=ISSUE, cause="too", remedy=Remedy.REFUND))
    for _ in range(3):
        scenario.later(days=1).miss()
    scenario.decide_review(ReviewCause.COLLECTION_FAILED, approved=False)
    assert scenario.last(IssueCancelled).cause == "not_returned"


def test_a_rejected_order_can_still_be_cancelled_after_another_was_made() -> None:
    scenario = ordered_again()
    scenario.apply(CancelCase(issue_id=ISSUE, cause="called"))
    assert scenario.all(IssueCancelled)
