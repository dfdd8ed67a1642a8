"""Attempts of the courier: missed, too early, silent, and goods that do not arrive."""

from datetime import timedelta

from libs.common.events.carrier import CollectionRequested, ParcelException
from libs.common.events.issues import IssueCollectionRequested, IssueReviewRequested
from libs.common.events.values import Reason
from tests.returns.cases import ISSUE, open_scenario, refusal_reasons
from tests.returns.partner_answers import FRIDAY, MONDAY, THURSDAY


def test_nobody_home_is_tried_again_on_the_next_day_of_the_carrier() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.book(FRIDAY)
    scenario.later(days=3).miss()
    again = scenario.last(IssueCollectionRequested)
    assert (again.attempt, again.earliest_date) == (2, FRIDAY + timedelta(days=1))


def test_a_failure_of_an_earlier_attempt_does_not_count_against_the_next() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.later(days=1).miss(attempt=1)
    assert refusal_reasons(scenario.later(days=1).miss(attempt=1)) == ["superseded"]
    assert len(scenario.all(CollectionRequested)) == 2


def test_nobody_home_three_times_goes_to_review() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    for _ in range(3):
        scenario.later(days=1).miss()
    assert scenario.last(IssueReviewRequested).cause == "collection_failed"
    assert len(scenario.all(CollectionRequested)) == 3


def test_a_courier_who_would_come_before_the_replacement_is_asked_again() -> None:
    scenario = open_scenario()
    scenario.ship(expected_delivery_date=FRIDAY)
    assert refusal_reasons(scenario.book(THURSDAY)) == ["booked_too_early"]
    assert scenario.last(CollectionRequested).earliest_date == FRIDAY


def test_a_late_parcel_moves_the_courier_behind_it() -> None:
    scenario = open_scenario()
    scenario.ship(expected_delivery_date=THURSDAY)
    late = ParcelException(
        issue_id=ISSUE,
        replacement_id=scenario.replacement_id,
        code="snow",
        expected_delivery_date=MONDAY,
        occurred_at=scenario.now,
    )
    scenario.apply(late)
    assert scenario.last(CollectionRequested).earliest_date == MONDAY


def test_a_silent_courier_is_asked_again() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    assert scenario.until(CollectionRequested).attempt == 2


def test_what_was_collected_and_does_not_arrive_goes_to_review() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.collect()
    assert scenario.until(IssueReviewRequested).cause == "receipt_overdue"


def test_what_nobody_inspects_goes_to_review() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.receive()
    scenario.pay()
    assert scenario.until(IssueReviewRequested).cause == "inspection_overdue"
