"""What a human's yes and no do, and how a case is cancelled and reopened."""

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
from services.returns.domain.case_status import Headline, headline
from services.returns.domain.commands import CancelRequested, ReopenRequested, ReviewDecided
from services.returns.domain.review_causes import ReviewCause
from tests.returns.cases import ISSUE, Story, line, refusals, spoken, story


def decide(told: Story, cause: ReviewCause, approved: bool = True) -> list[str]:
    facts = told.take(ReviewDecided(issue_id=ISSUE, cause=cause, approved=approved))
    return refusals(facts) or spoken(facts)


def cancel(told: Story) -> list[str]:
    facts = told.take(CancelRequested(issue_id=ISSUE, cause="customer called"))
    return refusals(facts) or spoken(facts)


def reopen(told: Story, remedy: Remedy | None = None) -> list[str]:
    facts = told.take(ReopenRequested(issue_id=ISSUE, cause="defective too", remedy=remedy))
    return refusals(facts) or spoken(facts)


def resolved(reason: Reason = Reason.MISSING_ITEM) -> Story:
    told = story(reason)
    told.ship()
    told.deliver()
    if not told.all(IssueResolved):
        told.receive()
        told.inspect()
    return told


def costly() -> Story:
    return story(Reason.DEFECTIVE, line(price="200001"))


def uncollectable(reason: Reason) -> Story:
    told = story(reason)
    if reason is not Reason.CHANGED_MIND:
        told.ship()
        told.deliver()
    for _ in range(3):
        told.later(days=1).miss()
    while not told.known.reviews:
        told.next_timer()
    return told


def test_nothing_leaves_over_the_limit_before_a_human_says_yes() -> None:
    told = costly()
    assert headline(told.known) is Headline.IN_REVIEW
    assert not told.all(ReplacementOrdered)


def test_a_yes_to_the_value_orders_the_replacement() -> None:
    assert "replacement.ordered.v1" in decide(costly(), ReviewCause.VALUE)


def test_a_no_to_the_value_cancels_the_case() -> None:
    assert decide(costly(), ReviewCause.VALUE, approved=False) == ["issue.cancelled.v1"]


def test_a_review_that_nobody_decides_is_told_again_with_a_new_day() -> None:
    told = costly()
    first = told.last(IssueReviewRequested)
    assert told.until(IssueReviewRequested).due_at > first.due_at


def test_lines_in_two_currencies_can_only_be_refused() -> None:
    told = story(Reason.DEFECTIVE, line("1"), line("2", currency="USD"))
    assert decide(told, ReviewCause.MIXED_CURRENCIES) == ["lines_cannot_be_added_up"]
    assert told.known.in_review(ReviewCause.MIXED_CURRENCIES)


def test_a_review_that_is_not_open_cannot_be_decided() -> None:
    assert decide(story(), ReviewCause.VALUE) == ["no_such_review"]


def test_where_money_has_moved_there_is_no_no() -> None:
    told = story(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    told.pay("1")
    assert decide(told, ReviewCause.REFUND_DIFFERS, approved=False) == ["only_yes_is_possible"]


def test_a_yes_to_a_differing_refund_resolves_the_case() -> None:
    told = story(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    told.pay("1")
    assert decide(told, ReviewCause.REFUND_DIFFERS) == ["issue.resolved.v1"]


def test_an_item_not_as_reported_holds_the_resolution_until_a_human_decides() -> None:
    told = story()
    told.ship()
    told.deliver()
    told.receive()
    told.inspect(Condition.NOT_AS_REPORTED)
    assert not told.all(IssueResolved)
    assert decide(told, ReviewCause.INSPECTION_MISMATCH) == ["issue.resolved.v1"]


def test_a_lost_replacement_is_sent_again_and_the_courier_waits_for_that_one() -> None:
    told = story()
    told.ship()
    while not told.known.in_review(ReviewCause.DELIVERY_OVERDUE):
        told.next_timer()
    collections = len(told.all(CollectionRequested))
    decide(told, ReviewCause.DELIVERY_OVERDUE)
    assert len({order.replacement_id for order in told.all(ReplacementOrdered)}) == 2
    assert len(told.all(CollectionRequested)) == collections


def test_a_yes_to_a_failed_collection_sends_the_courier_again() -> None:
    told = uncollectable(Reason.CHANGED_MIND)
    assert "collection.requested.v1" in decide(told, ReviewCause.COLLECTION_FAILED)


def test_a_yes_after_the_last_reminder_begins_with_a_new_appointment_and_reminders() -> None:
    told = uncollectable(Reason.DEFECTIVE)
    reminders = len(told.all(IssueCollectionReminded))
    decide(told, ReviewCause.NOT_COLLECTED)
    assert told.until(IssueCollectionReminded).reminder == 1
    assert reminders == told.rules.in_force(told.now).door.max_reminders


def test_a_no_to_a_failed_collection_lets_the_customer_keep_the_broken_one() -> None:
    told = uncollectable(Reason.DEFECTIVE)
    assert "issue.resolved.v1" in decide(told, ReviewCause.NOT_COLLECTED, approved=False)


def test_a_no_to_a_failed_collection_ends_a_change_of_mind() -> None:
    told = uncollectable(Reason.CHANGED_MIND)
    assert decide(told, ReviewCause.COLLECTION_FAILED, approved=False) == ["issue.cancelled.v1"]
    assert not told.all(RefundRequested)


def test_a_yes_to_a_failed_refund_asks_for_it_again() -> None:
    told = story(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    told.fail_refund(retriable=False)
    assert decide(told, ReviewCause.REFUND_FAILED) == ["refund.requested.v1"]


def test_a_delivery_without_shipping_is_taken_as_shipped_on_a_humans_word() -> None:
    told = story()
    told.deliver()
    told.until(IssueReviewRequested)
    assert "collection.requested.v1" in decide(told, ReviewCause.DELIVERED_UNSHIPPED)


def test_cancelling_calls_the_replacement_back() -> None:
    told = story()
    cancel(told)
    assert told.all(ReplacementCancelled)
    assert told.last(IssueCancelled).cause == "customer called"
    assert not told.timers


def test_cancelling_calls_the_courier_off() -> None:
    told = story(Reason.CHANGED_MIND)
    cancel(told)
    assert told.all(CollectionCancelled)


def test_what_has_left_cannot_be_cancelled() -> None:
    told = story()
    told.ship()
    assert cancel(told) == ["too_late_to_cancel"]


def test_a_replacement_that_ships_after_cancelling_is_for_a_human() -> None:
    told = story()
    cancel(told)
    told.ship()
    assert headline(told.known) is Headline.CANCELLED
    assert "review" in told.timers


def test_a_reopened_case_sends_another_replacement() -> None:
    told = resolved()
    assert reopen(told)[:2] == ["issue.reopened.v1", "replacement.ordered.v1"]
    assert told.last(IssueReopened).resolution == 1


def test_a_reopened_case_is_resolved_a_second_time() -> None:
    told = resolved()
    reopen(told)
    told.ship()
    told.deliver()
    assert told.last(IssueResolved).resolution == 2


def test_late_news_of_the_former_replacement_changes_nothing() -> None:
    told = resolved(Reason.DEFECTIVE)
    former = Story(case=told.case, now=told.now)
    reopen(told)
    facts = told.take(former_delivery(former))
    assert refusals(facts) == ["former_replacement"]


def former_delivery(told: Story) -> ParcelDelivered:
    return ParcelDelivered(issue_id=ISSUE, replacement_id=told.replacement_id, delivered_at=told.now)


def test_another_remedy_may_be_named_on_reopening() -> None:
    told = resolved(Reason.DEFECTIVE)
    reopen(told, Remedy.REFUND)
    assert not told.all(RefundRequested)
    told.later(days=1).receive()
    assert len(told.all(RefundRequested)) == 1


@pytest.mark.parametrize(
    ("told", "remedy", "refusal"),
    [
        (story(), None, "not_resolved"),
        (resolved(), Remedy.PART_SHIPMENT, "remedy_not_allowed"),
    ],
)
def test_reopening_is_refused_with_a_reason(told: Story, remedy: Remedy | None, refusal: str) -> None:
    assert reopen(told, remedy) == [refusal]


def test_what_was_paid_back_is_not_reopened() -> None:
    told = story(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    told.pay()
    assert reopen(told) == ["already_refunded"]
