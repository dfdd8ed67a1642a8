"""Collection at the door: swapped on delivery, in the customer's window, missed, reminded, shared, never charged."""

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
from services.returns.domain.exposure import Visit
from services.returns.domain.legs.inbound import InboundStatus
from services.returns.domain.review_causes import ReviewCause
from tests.returns.cases import CALENDAR, ISSUE, Story, line, refusals, story

VISIT = UUID(int=7)


def today(told: Story) -> date:
    return CALENDAR.day(told.now)


def pick(told: Story, day: date, from_hour: int = 18) -> list[str]:
    window = TimeWindow(day=day, from_hour=from_hour, to_hour=from_hour + 2)
    ids = {"issue_id": ISSUE, "order_id": "O-1", "customer_id": "C-1"}
    return refusals(told.take(IssueCollectionWindowChosen(**ids, window=window, chosen_at=told.now)))


def delivered(told: Story) -> Story:
    told.ship()
    told.later(days=2).deliver()
    return told


def test_a_carrier_who_can_takes_the_old_when_they_bring_the_new() -> None:
    told = story()
    told.ship(carrier="yamato", expected_delivery_date=today(told) + timedelta(days=1))
    asked = told.last(CollectionRequested)
    assert asked.swap_with == told.replacement_id
    assert asked.earliest_date == today(told) + timedelta(days=1)


def test_a_swap_that_fails_becomes_an_appointment() -> None:
    told = story()
    told.ship(carrier="yamato")
    told.later(days=2).miss()
    assert told.last(CollectionRequested).swap_with is None
    attempted = told.last(IssueCollectionAttempted)
    assert attempted.next_date == told.last(CollectionRequested).earliest_date


def test_any_other_carrier_comes_by_appointment() -> None:
    told = story()
    told.ship(carrier="somebody")
    assert told.last(CollectionRequested).swap_with is None


def test_the_window_that_the_customer_picks_is_asked_for_and_can_be_changed() -> None:
    told = delivered(story())
    for days in (3, 5):
        assert pick(told, today(told) + timedelta(days=days)) == []
        asked = told.last(CollectionRequested)
        assert asked.window
        assert asked.window.day == asked.earliest_date == today(told) + timedelta(days=days)
    assert len({asked.collection_id for asked in told.all(CollectionRequested)}) == 1


def test_a_window_picked_before_the_replacement_left_is_kept_for_then() -> None:
    told = story()
    pick(told, today(told) + timedelta(days=6))
    told.ship()
    assert told.last(CollectionRequested).earliest_date == today(told) + timedelta(days=6)


def test_a_window_before_the_replacement_arrives_is_refused() -> None:
    told = story()
    told.ship(expected_delivery_date=today(told) + timedelta(days=3))
    assert pick(told, today(told) + timedelta(days=2)) == ["window_too_early"]


def test_a_window_for_what_nobody_fetches_is_refused() -> None:
    assert pick(story(Reason.MISSING_ITEM), date(2026, 3, 20)) == ["nothing_to_collect"]


def test_the_same_window_again_is_one_appointment() -> None:
    told = delivered(story())
    pick(told, today(told) + timedelta(days=3))
    before = len(told.all(CollectionRequested))
    assert pick(told, today(told) + timedelta(days=3)) == ["repeated"]
    assert len(told.all(CollectionRequested)) == before


def test_a_missed_window_is_rebooked_for_the_next_open_day() -> None:
    told = delivered(story())
    pick(told, today(told) + timedelta(days=1))
    told.later(days=1).miss()
    asked = told.last(CollectionRequested)
    assert asked.window is None
    assert asked.earliest_date == CALENDAR.next_open(today(told) + timedelta(days=1))


def test_the_clock_of_reminders_starts_when_the_replacement_is_there() -> None:
    told = story()
    told.ship()
    assert told.known.inbound.remind_at is None
    told.later(days=2).deliver()
    assert told.known.inbound.remind_at == CALENDAR.moment(today(told) + timedelta(days=4), 18)


def test_a_customer_is_reminded_with_a_new_appointment_and_then_a_human_looks() -> None:
    told = delivered(story())
    for _ in range(3):
        told.later(hours=3).miss()
    assert told.known.inbound.status is InboundStatus.FAILED
    first = told.until(IssueCollectionReminded)
    assert (first.reminder, told.known.inbound.status) == (1, InboundStatus.REQUESTED)
    assert first.next_date == told.last(CollectionRequested).earliest_date
    assert told.until(IssueCollectionReminded).reminder == 2
    assert told.until(IssueReviewRequested).cause == ReviewCause.NOT_COLLECTED


def test_who_gave_it_to_the_driver_is_reminded_of_nothing() -> None:
    told = delivered(story())
    told.collect()
    assert told.known.inbound.remind_at is None


def test_a_case_without_a_replacement_to_wait_for_has_no_such_clock() -> None:
    told = story(Reason.CHANGED_MIND)
    assert told.known.inbound.remind_at is None


def test_two_issues_of_one_customer_share_a_visit() -> None:
    told = story()
    soon = today(told) + timedelta(days=3)
    visits = {str(derived_id("issue", "another")): Visit(VISIT, "home", soon)}
    told.around = replace(told.around, customer=replace(told.around.customer, visits=visits))
    told.ship(expected_delivery_date=today(told) + timedelta(days=1))
    asked = told.last(CollectionRequested)
    assert (asked.visit_id, asked.earliest_date) == (VISIT, soon)


def test_a_visit_elsewhere_or_before_the_replacement_is_not_shared() -> None:
    for place, days in (("office", 3), ("home", 0), ("home", 9)):
        told = story()
        visit = Visit(VISIT, place, today(told) + timedelta(days=days))
        told.around = replace(told.around, customer=replace(told.around.customer, visits={"x": visit}))
        told.ship(expected_delivery_date=today(told) + timedelta(days=1))
        assert told.last(CollectionRequested).visit_id != VISIT


def test_what_was_not_handed_over_is_fetched_by_another_visit() -> None:
    told = delivered(story(Reason.DEFECTIVE, line("1", 3)))
    first = told.collection_id
    some = (LineQuantity(line_id="1", quantity=2),)
    told.take(CollectionCollected(issue_id=ISSUE, collection_id=first, collected_at=told.now, lines=some))
    asked = told.last(CollectionRequested)
    assert asked.collection_id != first
    assert [each.quantity for each in asked.lines] == [1]
    assert not told.all(CollectionCancelled)


def test_of_a_wrong_item_what_was_sent_is_fetched() -> None:
    sent = Variant(sku="CUP-2", name="Cup")
    told = delivered(story(Reason.WRONG_ITEM, line().model_copy(update={"received_instead": sent})))
    fetched = told.last(CollectionRequested).lines[0]
    assert (fetched.sku, fetched.name, fetched.instead_of) == ("CUP-2", "Cup", "SKU-1")


def test_of_an_unknown_wrong_item_it_is_told_that_it_is_another() -> None:
    told = delivered(story(Reason.WRONG_ITEM))
    assert told.last(CollectionRequested).lines[0].instead_of == "SKU-1"
