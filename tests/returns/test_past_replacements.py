"""A replacement that was given up or rejected, and moves after all."""

from datetime import timedelta
from uuid import UUID

from libs.common.decisions.facts import Facts
from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import CollectionRequested, ParcelDelivered
from libs.common.events.issues import IssueCancelled, IssueChoiceRequested, IssueResolved, IssueReviewRequested
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import Choice, Reason, Remedy
from libs.common.events.warehouse import ReplacementCancelled, ReplacementRejected, ReplacementShipped
from services.returns.domain.commands import CancelRequested, ReopenRequested, ReviewDecided
from services.returns.domain.legs.outbound import OutboundStatus
from services.returns.domain.review_causes import ReviewCause
from tests.returns.cases import CALENDAR, ISSUE, Story, refusals, spoken, story

FIRST, SECOND = derived_id("replacement", ISSUE, 1), derived_id("replacement", ISSUE, 2)


def sent_again(reason: Reason = Reason.DEFECTIVE) -> Story:
    """The first parcel is taken for lost, and a second one ordered."""
    told = story(reason)
    told.ship()
    while not told.known.in_review(ReviewCause.DELIVERY_OVERDUE):
        told.next_timer()
    told.take(ReviewDecided(issue_id=ISSUE, cause=ReviewCause.DELIVERY_OVERDUE, approved=True))
    return told


def ordered_again() -> Story:
    """The warehouse rejects the first order; the customer waits, and a second one is made."""
    told = story()
    restock = CALENDAR.day(told.now) + timedelta(days=6)
    told.take(ReplacementRejected(issue_id=ISSUE, replacement_id=FIRST, restock_date=restock))
    asked = told.last(IssueChoiceRequested)
    told.take(
        CustomerDecided(
            order_id="O-1",
            customer_id="C-1",
            issue_id=ISSUE,
            choice_id=asked.choice_id,
            choice=Choice.WAIT,
            decided_at=told.now,
        )
    )
    return told


def delivered(told: Story, replacement_id: UUID = FIRST) -> Facts:
    return told.take(ParcelDelivered(issue_id=ISSUE, replacement_id=replacement_id, delivered_at=told.now))


def shipped(told: Story, replacement_id: UUID = FIRST) -> Facts:
    return told.take(ReplacementShipped(issue_id=ISSUE, replacement_id=replacement_id, shipped_at=told.now))


def test_a_lost_parcel_that_arrives_after_all_is_for_a_human() -> None:
    told = sent_again()
    delivered(told)
    assert told.last(IssueReviewRequested).cause == "moved_after_stop"


def test_a_lost_parcel_that_arrives_calls_back_the_second_one() -> None:
    told = sent_again()
    delivered(told)
    assert told.last(ReplacementCancelled).replacement_id == SECOND


def test_a_lost_parcel_that_arrives_is_the_replacement_and_the_courier_comes() -> None:
    told = sent_again()
    before = len(told.all(CollectionRequested))
    assert "issue.replacement_delivered.v1" in spoken(delivered(told))
    assert told.replacement_id == FIRST
    assert len(told.all(CollectionRequested)) == before + 1


def test_a_lost_parcel_that_arrives_resolves_the_case_when_a_human_has_looked() -> None:
    told = sent_again(Reason.MISSING_ITEM)
    delivered(told)
    assert not told.all(IssueResolved)
    told.take(ReviewDecided(issue_id=ISSUE, cause=ReviewCause.MOVED_AFTER_STOP, approved=True))
    assert told.all(IssueResolved)


def test_a_lost_parcel_that_arrives_after_the_second_has_left_calls_nothing_back() -> None:
    told = sent_again()
    told.ship()
    delivered(told)
    assert not told.all(ReplacementCancelled)
    assert told.replacement_id == SECOND
    assert told.known.in_review(ReviewCause.MOVED_AFTER_STOP)


def test_a_rejected_order_that_ships_after_all_takes_its_place_again() -> None:
    told = ordered_again()
    assert spoken(shipped(told))[:3] == [
        "issue.review_requested.v1",
        "replacement.cancelled.v1",
        "issue.replacement_shipped.v1",
    ]
    assert told.known.outbound.status is OutboundStatus.SHIPPED
    assert told.replacement_id == FIRST


def test_a_second_one_that_ships_in_spite_of_being_called_back_is_for_a_human() -> None:
    told = ordered_again()
    shipped(told)
    told.take(ReviewDecided(issue_id=ISSUE, cause=ReviewCause.MOVED_AFTER_STOP, approved=True))
    shipped(told, SECOND)
    assert told.known.in_review(ReviewCause.MOVED_AFTER_STOP)
    assert told.replacement_id == FIRST


def test_the_same_late_arrival_again_changes_nothing() -> None:
    told = sent_again()
    told.ship()
    delivered(told)
    assert refusals(delivered(told)) == ["former_replacement"]


def test_what_left_before_it_was_sent_again_cannot_be_cancelled() -> None:
    told = sent_again()
    assert refusals(told.take(CancelRequested(issue_id=ISSUE, cause="called"))) == ["too_late_to_cancel"]
    assert not told.all(IssueCancelled)


def test_who_lost_a_parcel_gets_the_money_when_a_human_gives_up_on_the_second() -> None:
    told = sent_again()
    while not told.known.in_review(ReviewCause.WAREHOUSE_SILENT, ReviewCause.NOT_SHIPPING):
        told.next_timer()
    cause = told.known.reviews[0].cause
    told.take(ReviewDecided(issue_id=ISSUE, cause=cause, approved=False))
    assert told.last(ReplacementCancelled).replacement_id == SECOND
    assert told.last(IssueChoiceRequested).options == (Choice.REFUND,)


def test_a_reopened_case_ends_when_the_customer_does_not_hand_the_item_over() -> None:
    told = story()
    told.ship()
    told.deliver()
    told.receive()
    told.inspect()
    told.take(ReopenRequested(issue_id=ISSUE, cause="too", remedy=Remedy.REFUND))
    for _ in range(3):
        told.later(days=1).miss()
    told.take(ReviewDecided(issue_id=ISSUE, cause=ReviewCause.COLLECTION_FAILED, approved=False))
    assert told.last(IssueCancelled).cause == "not_returned"


def test_a_rejected_order_can_still_be_cancelled_after_another_was_made() -> None:
    told = ordered_again()
    told.take(CancelRequested(issue_id=ISSUE, cause="called"))
    assert told.all(IssueCancelled)
