"""Collections: swapped on delivery, in the customer's window, missed, reminded, shared, never charged."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import CollectionCancelled, CollectionCollected, CollectionRequested
from libs.common.events.issues import (
    IssueCollectionAttempted,
    IssueCollectionReminded,
    IssueCollectionWindowChosen,
    IssueReviewRequested,
)
from libs.common.events.values import LineQuantity, Reason, TimeWindow, Variant
from services.returns.domain.state.exposure import CourierVisit
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import CALENDAR, ISSUE, RULES, CaseScenario, line, open_scenario, refusal_reasons

VISIT = UUID(int=7)


def today(scenario: CaseScenario) -> date:
    return CALENDAR.day(scenario.now)


def pick(scenario: CaseScenario, day: date, from_hour: int = 18) -> list[str]:
    window = TimeWindow(day=day, from_hour=from_hour, to_hour=from_hour + 2)
    ids = {"issue_id": ISSUE, "order_id": "O-1", "customer_id": "C-1"}
    return refusal_reasons(scenario.apply(IssueCollectionWindowChosen(**ids, window=window, chosen_at=scenario.now)))


def delivered(scenario: CaseScenario) -> CaseScenario:
    scenario.ship()
    scenario.later(days=2).deliver()
    return scenario


def test_a_carrier_who_can_takes_the_old_when_they_bring_the_new() -> None:
    scenario = open_scenario()
    scenario.ship(carrier="yamato", expected_delivery_date=today(scenario) + timedelta(days=1))
    asked = scenario.last(CollectionRequested)
    assert asked.swap_with == scenario.replacement_id
    assert asked.earliest_date == today(scenario) + timedelta(days=1)


def test_a_swap_that_fails_becomes_an_appointment() -> None:
    scenario = open_scenario()
    scenario.ship(carrier="yamato")
    scenario.later(days=2).miss()
    assert scenario.last(CollectionRequested).swap_with is None
    attempted = scenario.last(IssueCollectionAttempted)
    assert attempted.next_date == scenario.last(CollectionRequested).earliest_date


def test_any_other_carrier_comes_by_appointment() -> None:
    scenario = open_scenario()
    scenario.ship(carrier="somebody")
    assert scenario.last(CollectionRequested).swap_with is None


def test_the_window_that_the_customer_picks_is_asked_for_and_can_be_changed() -> None:
    scenario = delivered(open_scenario())
    for days in (3, 5):
        assert pick(scenario, today(scenario) + timedelta(days=days)) == []
        asked = scenario.last(CollectionRequested)
        assert asked.window
        assert asked.window.day == asked.earliest_date == today(scenario) + timedelta(days=days)
    assert len({asked.collection_id for asked in scenario.all(CollectionRequested)}) == 1


def test_a_window_picked_before_the_replacement_left_is_kept_for_then() -> None:
    scenario = open_scenario()
    pick(scenario, today(scenario) + timedelta(days=6))
    scenario.ship()
    assert scenario.last(CollectionRequested).earliest_date == today(scenario) + timedelta(days=6)


def test_a_window_before_the_replacement_arrives_is_refused() -> None:
    scenario = open_scenario()
    scenario.ship(expected_delivery_date=today(scenario) + timedelta(days=3))
    assert pick(scenario, today(scenario) + timedelta(days=2)) == ["window_too_early"]


def test_a_window_for_what_nobody_fetches_is_refused() -> None:
    assert pick(open_scenario(Reason.MISSING_ITEM), date(2026, 3, 20)) == ["nothing_to_collect"]


def test_the_same_window_again_is_one_appointment() -> None:
    scenario = delivered(open_scenario())
    pick(scenario, today(scenario) + timedelta(days=3))
    before = len(scenario.all(CollectionRequested))
    assert pick(scenario, today(scenario) + timedelta(days=3)) == ["duplicate"]
    assert len(scenario.all(CollectionRequested)) == before


def test_a_missed_window_is_rebooked_for_the_next_day_of_the_carrier() -> None:
    scenario = delivered(open_scenario())
    pick(scenario, today(scenario) + timedelta(days=1))
    scenario.later(days=1).miss()
    asked = scenario.last(CollectionRequested)
    assert asked.window is None
    assert asked.earliest_date == RULES.calendars.carrier().open_day_after(today(scenario))


def test_the_clock_of_reminders_starts_when_the_replacement_is_there() -> None:
    scenario = open_scenario()
    scenario.ship()
    assert scenario.known.inbound.remind_at is None
    scenario.later(days=2).deliver()
    assert scenario.known.inbound.remind_at == CALENDAR.moment(today(scenario) + timedelta(days=4), 18)


def test_a_customer_is_reminded_with_a_new_appointment_and_then_a_review_opens() -> None:
    scenario = delivered(open_scenario())
    for _ in range(3):
        scenario.later(hours=3).miss()
    assert scenario.known.inbound.status is InboundStatus.FAILED
    first = scenario.until(IssueCollectionReminded)
    assert (first.reminder, scenario.known.inbound.status) == (1, InboundStatus.REQUESTED)
    assert first.next_date == scenario.last(CollectionRequested).earliest_date
    assert scenario.until(IssueCollectionReminded).reminder == 2
    assert scenario.until(IssueReviewRequested).cause == ReviewCause.NOT_COLLECTED


def test_who_gave_it_to_the_driver_is_reminded_of_nothing() -> None:
    scenario = delivered(open_scenario())
    scenario.collect()
    assert scenario.known.inbound.remind_at is None


def test_a_case_without_a_replacement_to_wait_for_has_no_such_clock() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    assert scenario.known.inbound.remind_at is None


def test_two_issues_of_one_customer_share_a_visit() -> None:
    scenario = open_scenario()
    soon = today(scenario) + timedelta(days=3)
    visits = {str(derived_id("issue", "another")): CourierVisit(VISIT, "home", soon)}
    scenario.customer = replace(scenario.customer, exposure=replace(scenario.customer.exposure, visits=visits))
    scenario.ship(expected_delivery_date=today(scenario) + timedelta(days=1))
    asked = scenario.last(CollectionRequested)
    assert (asked.visit_id, asked.earliest_date) == (VISIT, soon)


def test_a_visit_elsewhere_or_before_the_replacement_is_not_shared() -> None:
    for place, days in (("office", 3), ("home", 0), ("home", 9)):
        scenario = open_scenario()
        visit = CourierVisit(VISIT, place, today(scenario) + timedelta(days=days))
        scenario.customer = replace(
            scenario.customer, exposure=replace(scenario.customer.exposure, visits={"x": visit})
        )
        scenario.ship(expected_delivery_date=today(scenario) + timedelta(days=1))
        assert scenario.last(CollectionRequested).visit_id != VISIT


def test_what_was_not_handed_over_is_fetched_by_another_visit() -> None:
    scenario = delivered(open_scenario(Reason.DEFECTIVE, line("1", 3)))
    first = scenario.collection_id
    some = (LineQuantity(line_id="1", quantity=2),)
    scenario.apply(CollectionCollected(issue_id=ISSUE, collection_id=first, collected_at=scenario.now, lines=some))
    asked = scenario.last(CollectionRequested)
    assert asked.collection_id != first
    assert [each.quantity for each in asked.lines] == [1]
    assert not scenario.all(CollectionCancelled)


def test_of_a_wrong_item_what_was_sent_is_fetched() -> None:
    sent = Variant(sku="CUP-2", name="Cup")
    scenario = delivered(open_scenario(Reason.WRONG_ITEM, line().model_copy(update={"received_instead": sent})))
    fetched = scenario.last(CollectionRequested).lines[0]
    assert (fetched.sku, fetched.name, fetched.instead_of) == ("CUP-2", "Cup", "SKU-1")


def test_of_an_unknown_wrong_item_it_is_announced_that_it_is_another() -> None:
    scenario = delivered(open_scenario(Reason.WRONG_ITEM))
    assert scenario.last(CollectionRequested).lines[0].instead_of == "SKU-1"
