"""Chosen collection windows: each is booked, replaced by a newer choice, or declined with the day instead."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.events.carrier import CollectionDeclined, CollectionRequested
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueCollected,
    IssueCollectionAttempted,
    IssueCollectionBooked,
    IssueCollectionWindowChosen,
    IssueCollectionWindowDeclined,
    IssueItemReceived,
    WindowDeclinedBy,
)
from libs.common.events.values import StaffAction, TimeWindow
from services.returns.domain.state.inbound_leg import InboundStatus
from tests.examples import examples
from tests.returns.cases import CALENDAR, ISSUE, CaseScenario, open_scenario, refusal_reasons
from tests.returns.partner_events import staff_says
from tests.returns.random_histories import reports, steps, tell

OPEN = (InboundStatus.NONE, InboundStatus.REQUESTED, InboundStatus.FAILED)
ANSWERS = (
    IssueCollectionBooked,
    IssueCollectionAttempted,
    IssueCollectionWindowDeclined,
    IssueCollected,
    IssueItemReceived,
)
IDS = {"issue_id": ISSUE, "order_id": "O-1", "customer_id": "C-1"}


def today(scenario: CaseScenario) -> date:
    return CALENDAR.day(scenario.now)


def collecting() -> CaseScenario:
    scenario = open_scenario()
    scenario.ship()
    scenario.later(days=2).deliver()
    return scenario


def pick(scenario: CaseScenario, days: int) -> TimeWindow:
    window = TimeWindow(day=today(scenario) + timedelta(days=days), from_hour=18, to_hour=20)
    scenario.apply(IssueCollectionWindowChosen(**IDS, window=window, chosen_at=scenario.now))
    return window


def decline(scenario: CaseScenario, attempt: int | None = None) -> list[str]:
    known = {"issue_id": ISSUE, "collection_id": scenario.collection_id, "attempt": attempt}
    event = CollectionDeclined(**known, cause="no_capacity", declined_at=scenario.now)
    return refusal_reasons(scenario.apply(event))


def test_a_declined_window_is_answered_with_the_day_that_is_requested_instead() -> None:
    scenario = collecting()
    window = pick(scenario, 3)
    decline(scenario)
    answer, asked = scenario.last(IssueCollectionWindowDeclined), scenario.last(CollectionRequested)
    assert (answer.window, answer.cause) == (window, WindowDeclinedBy.COURIER)
    assert answer.next_date == asked.earliest_date
    assert asked.window is None


def test_a_window_without_an_answer_is_declined_at_the_deadline() -> None:
    scenario = collecting()
    pick(scenario, 5)
    answer = scenario.until(IssueCollectionWindowDeclined)
    assert answer.cause is WindowDeclinedBy.NO_ANSWER


def test_a_booked_day_that_the_courier_takes_back_is_declined() -> None:
    scenario = collecting()
    day = today(scenario) + timedelta(days=2)
    scenario.book(day)
    decline(scenario)
    answer = scenario.last(IssueCollectionWindowDeclined)
    assert (answer.day, answer.window) == (day, None)


def test_a_decline_of_a_request_without_a_window_or_a_booking_is_no_news() -> None:
    scenario = collecting()
    decline(scenario)
    assert not scenario.all(IssueCollectionWindowDeclined)


def test_a_late_answer_to_an_earlier_request_changes_nothing() -> None:
    scenario = collecting()
    pick(scenario, 3)
    pick(scenario, 4)
    assert decline(scenario, attempt=1) == ["superseded"]


def test_a_newer_choice_is_not_declined() -> None:
    scenario = collecting()
    pick(scenario, 3)
    pick(scenario, 4)
    assert not scenario.all(IssueCollectionWindowDeclined)


def test_a_window_for_what_nobody_fetches_is_answered() -> None:
    scenario = collecting()
    scenario.collect()
    pick(scenario, 3)
    assert scenario.last(IssueCollectionWindowDeclined).cause is WindowDeclinedBy.NOT_NEEDED


def test_a_window_before_the_replacement_arrives_is_answered() -> None:
    scenario = open_scenario()
    scenario.ship(expected_delivery_date=today(scenario) + timedelta(days=3))
    pick(scenario, 2)
    answer = scenario.last(IssueCollectionWindowDeclined)
    assert (answer.cause, answer.next_date) == (WindowDeclinedBy.TOO_EARLY, scenario.known.inbound.earliest_date)


def test_a_waived_return_takes_the_booked_day_back() -> None:
    scenario = collecting()
    scenario.book(today(scenario) + timedelta(days=2))
    scenario.apply(staff_says(StaffAction.WAIVE_COLLECTION, None, None)(scenario))
    assert scenario.last(IssueCollectionWindowDeclined).cause is WindowDeclinedBy.NOT_NEEDED


@settings(max_examples=examples(300), deadline=None)
@given(reports, st.lists(steps, min_size=5, max_size=40))
def test_no_chosen_window_is_lost_without_an_answer(report: Payload, history: list[object]) -> None:
    scenario = CaseScenario()
    scenario.apply(report)
    wished: list[TimeWindow | None] = [None]
    seen = [len(scenario.facts)]

    def answered(scenario: CaseScenario) -> None:
        leg, new = scenario.known.inbound, scenario.facts[seen[0] :]
        lost = wished[0] is not None and leg.chosen_window is None
        if lost and not scenario.known.is_closed:
            assert any(isinstance(fact, ANSWERS) for fact in new)
        wished[0] = leg.chosen_window if leg.status in OPEN else None
        seen[0] = len(scenario.facts)

    tell(scenario, history, answered)
