"""What comes back lost, late or not as reported: how such a case ends, and what is still heard after its end."""

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
from services.returns.domain.commands import CancelRequested, ReopenRequested, ReviewDecided
from services.returns.domain.review_causes import ReviewCause
from tests.returns.cases import ISSUE, RULES, Story, line, refusals, spoken, story


def decide(told: Story, cause: ReviewCause, approved: bool = True) -> list[str]:
    facts = told.take(ReviewDecided(issue_id=ISSUE, cause=cause, approved=approved))
    return refusals(facts) or spoken(facts)


def lost_on_its_way_back(told: Story) -> Story:
    told.later(days=1).collect()
    while not told.known.in_review(ReviewCause.RECEIPT_OVERDUE):
        told.next_timer()
    return told


def resolved() -> Story:
    told = story()
    told.ship()
    told.deliver()
    told.receive()
    told.inspect()
    return told


def cancelled(reason: Reason = Reason.CHANGED_MIND) -> Story:
    told = story(reason)
    told.take(CancelRequested(issue_id=ISSUE, cause="called"))
    return told


# --- lost after the door ----------------------------------------------------------------------------------------------


def test_what_the_courier_lost_is_paid_back_on_a_humans_word() -> None:
    told = lost_on_its_way_back(story(Reason.CHANGED_MIND))
    decide(told, ReviewCause.RECEIPT_OVERDUE)
    told.pay()
    assert [(line.line_id, line.quantity) for line in told.last(IssueItemReceived).lines] == [("1", 1)]
    assert told.all(IssueResolved)


def test_what_the_courier_lost_does_not_hold_a_replaced_case() -> None:
    told = story()
    told.ship()
    told.deliver()
    lost_on_its_way_back(told)
    assert "issue.resolved.v1" in decide(told, ReviewCause.RECEIPT_OVERDUE)


def test_only_the_lost_part_is_taken_as_received_and_the_rest_is_still_inspected() -> None:
    told = story(Reason.CHANGED_MIND, line("1"), line("2"))
    told.later(days=1).collect()
    told.receive(LineQuantity(line_id="1", quantity=1))
    told.pay()
    told.until(IssueReviewRequested)
    decide(told, ReviewCause.RECEIPT_OVERDUE)
    told.pay()
    assert len(told.all(RefundRequested)) == 2
    assert told.until(IssueReviewRequested).cause == "inspection_overdue"


def test_a_no_to_what_is_overdue_waits_for_the_next_day() -> None:
    told = lost_on_its_way_back(story(Reason.CHANGED_MIND))
    assert decide(told, ReviewCause.RECEIPT_OVERDUE, approved=False) == []
    assert told.until(IssueReviewRequested).cause == "receipt_overdue"


# --- back after the end -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("told", [cancelled(), resolved()], ids=["cancelled", "resolved"])
def test_what_comes_back_after_the_end_is_for_a_human(told: Story) -> None:
    told.later(hours=1).receive()
    assert told.last(IssueReviewRequested).cause == "moved_after_stop"


def test_what_comes_back_after_a_cancelled_refund_is_paid_back_on_a_humans_word() -> None:
    told = cancelled()
    told.later(days=1).receive()
    assert decide(told, ReviewCause.MOVED_AFTER_STOP) == ["refund.requested.v1", "issue.refund_requested.v1"]
    told.pay()
    assert told.all(IssueRefunded)
    assert not told.timers


def test_a_no_to_what_came_back_after_the_end_pays_nothing() -> None:
    told = cancelled()
    told.later(days=1).receive()
    assert decide(told, ReviewCause.MOVED_AFTER_STOP, approved=False) == []
    assert not told.timers


def test_what_comes_back_after_a_cancelled_replacement_is_not_paid_back() -> None:
    told = cancelled(Reason.DEFECTIVE)
    told.later(days=1).receive()
    assert decide(told, ReviewCause.MOVED_AFTER_STOP) == []


def test_what_comes_back_after_a_refund_without_return_was_refused_is_not_paid_back() -> None:
    told = story(Reason.LOST_IN_TRANSIT, line(price="200001"), requested_remedy=Remedy.REFUND)
    decide(told, ReviewCause.VALUE, approved=False)
    told.receive()
    assert decide(told, ReviewCause.MOVED_AFTER_STOP) == []


# --- not as reported --------------------------------------------------------------------------------------------------


def test_what_is_not_as_reported_ends_without_a_resolution() -> None:
    told = story()
    told.ship()
    told.deliver()
    told.receive()
    told.inspect(Condition.NOT_AS_REPORTED)
    assert decide(told, ReviewCause.INSPECTION_MISMATCH, approved=False) == ["issue.cancelled.v1"]
    assert told.last(IssueCancelled).cause == "not_as_reported"
    assert not told.timers


def test_a_rejected_inspection_asks_for_no_refund_any_more() -> None:
    told = story(Reason.CHANGED_MIND)
    told.receive()
    told.fail_refund()
    told.inspect(Condition.OTHER_ITEM)
    decide(told, ReviewCause.INSPECTION_MISMATCH, approved=False)
    assert not told.timers
    assert len(told.all(RefundRequested)) == 1


def test_a_refund_that_was_under_way_at_a_rejected_inspection_is_still_told() -> None:
    told = story(Reason.CHANGED_MIND)
    told.receive()
    told.inspect(Condition.OTHER_ITEM)
    decide(told, ReviewCause.INSPECTION_MISMATCH, approved=False)
    assert "issue.refunded.v1" in spoken(told.pay())


def test_a_parcel_under_way_at_a_rejected_inspection_is_not_sent_again() -> None:
    told = story()
    told.ship()
    told.receive()
    told.inspect(Condition.OTHER_ITEM)
    decide(told, ReviewCause.INSPECTION_MISMATCH, approved=False)
    ids = {"issue_id": ISSUE, "replacement_id": told.replacement_id}
    assert refusals(told.take(ParcelException(**ids, code="snow", occurred_at=told.now))) == ["closed"]
    assert not told.timers


def test_a_resolution_that_an_inspection_refutes_is_taken_back() -> None:
    told = resolved()
    told.later(hours=1).inspect(Condition.OTHER_ITEM)
    assert decide(told, ReviewCause.INSPECTION_MISMATCH, approved=False) == ["issue.reopened.v1", "issue.cancelled.v1"]
    assert told.last(IssueReopened).resolution == 1
    assert told.last(IssueCancelled).cause == "not_as_reported"


def test_a_resolution_stands_when_a_human_accepts_what_the_inspection_found() -> None:
    told = resolved()
    told.later(hours=1).inspect(Condition.OTHER_ITEM)
    assert decide(told, ReviewCause.INSPECTION_MISMATCH) == []
    assert told.known.resolved_at


# --- reviews of a case that has ended ---------------------------------------------------------------------------------


def refuted() -> Story:
    told = resolved()
    told.later(hours=1).inspect(Condition.OTHER_ITEM)
    for _ in range(20):
        if told.timers:
            told.next_timer()
    return told


def test_a_review_after_the_end_is_not_repeated_for_ever() -> None:
    told = refuted()
    assert len(told.all(IssueReviewRequested)) == 1 + RULES.policies.versions["2026-01"].terms.review_max_reminders
    assert not told.timers


def test_a_review_that_is_silent_can_still_be_decided() -> None:
    told = refuted()
    assert told.known.in_review(ReviewCause.INSPECTION_MISMATCH)
    assert "issue.cancelled.v1" in decide(told, ReviewCause.INSPECTION_MISMATCH, approved=False)


def test_a_silent_review_is_reminded_of_when_its_case_is_reopened() -> None:
    told = refuted()
    told.take(ReopenRequested(issue_id=ISSUE, cause="again"))
    assert "review" in told.timers


def test_a_review_of_an_open_case_is_repeated_until_it_is_decided() -> None:
    told = story(Reason.DEFECTIVE, line(price="200001"))
    for _ in range(10):
        told.next_timer()
    assert len(told.all(IssueReviewRequested)) == 11
