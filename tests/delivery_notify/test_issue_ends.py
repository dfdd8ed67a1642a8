"""Ends of an issue: payments of a refund, rejection, cancellation, resolution and reopening, late and repeated."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice, Money, Remedy
from services.delivery_notify.domain.issue_collections import REFUND_DELAY
from services.delivery_notify.domain.issue_thread import IssueThread
from services.delivery_notify.domain.notices import NoticeCreated
from tests.delivery_notify.conversation_driver import (
    ISSUE,
    MONDAY,
    RULES,
    ConversationDriver,
    drive,
    issue,
    placed,
    reasons,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def yen(amount: int) -> Money:
    return Money(amount=Decimal(amount), currency="JPY")


def paid(amount: int, transaction: str | None, remaining: int = 0, **more: Any) -> ev.IssueRefunded:
    left = yen(remaining) if remaining else None
    return issue(ev.IssueRefunded, amount=yen(amount), transaction_id=transaction, remaining=left, **more)


def accepted() -> ConversationDriver:
    """A report of which the customer has had the first answer."""
    return drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))


def thread_of(driver: ConversationDriver) -> IssueThread:
    thread = driver.conversation.thread(ISSUE)
    assert thread is not None
    return thread


def notices(driver: ConversationDriver, kind: NoticeKind) -> list[NoticeCreated]:
    return [notice for notice in driver.notices if notice.kind is kind]


def amounts(driver: ConversationDriver) -> list[tuple[int, int | None]]:
    """The payments that the customer hears of, each with what is still to come."""
    facts = [notice.facts for notice in notices(driver, NoticeKind.REFUNDED)]
    return [(int(each.amount or 0), int(each.remaining) if each.remaining else None) for each in facts]


def test_each_payment_of_a_refund_in_parts_is_announced_with_what_is_still_to_come() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), paid(1000, "t-1", 2800), paid(2800, "t-2"))
    assert amounts(driver) == [(1000, 2800), (2800, None)]


def test_a_refund_that_came_back_and_was_paid_again_is_announced_again() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), paid(3800, "t-1"), paid(3800, "t-2"))
    assert amounts(driver) == [(3800, None), (3800, None)]


@pytest.mark.parametrize("transaction", ["t-1", None])
def test_the_same_payment_reported_twice_is_announced_once(transaction: str | None) -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), paid(3800, transaction))
    assert reasons(driver.handle(paid(3800, transaction))) == ["duplicate_notice"]


def test_a_part_of_a_refund_does_not_wait_for_points_and_its_last_part_does() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), paid(1000, "t-1", 2800), paid(2800, "t-2"))
    waits = [notice.due_at - notice.made_at for notice in notices(driver, NoticeKind.REFUNDED)]
    assert waits == [timedelta(0), RULES.batching_delay]


def test_a_refund_that_follows_within_the_delay_withdraws_the_notice_that_it_was_requested() -> None:
    driver = accepted()
    driver.handle(issue(ev.IssueRefundRequested))
    (requested,) = notices(driver, NoticeKind.REFUND_REQUESTED)
    assert requested.due_at == MONDAY + REFUND_DELAY
    driver.handle(paid(3800, "t-1"))
    assert requested.notice_id in driver.withdrawn_unsent


def test_a_payment_after_the_end_is_announced_all_the_same() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueCancelled), paid(3800, "t-1"))
    assert driver.kinds == [NoticeKind.ISSUE_CANCELLED, NoticeKind.REFUNDED]


def test_a_resolution_a_day_after_the_refund_is_announced() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), paid(3800, "t-1"))
    driver.advance_to(MONDAY + DAY)
    driver.handle(issue(ev.IssueResolved, remedy=Remedy.REFUND))
    assert driver.kinds == [NoticeKind.REFUNDED, NoticeKind.ISSUE_RESOLVED]


def test_a_resolution_soon_after_the_refund_is_covered_by_its_notice() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), paid(3800, "t-1"))
    driver.advance_to(MONDAY + DAY - timedelta(seconds=1))
    assert reasons(driver.handle(issue(ev.IssueResolved, remedy=Remedy.REFUND))) == ["covered_by_refund_notice"]


def test_a_rejection_is_announced_with_its_code_and_day() -> None:
    driver = drive(placed(), issue(ev.IssueRejected))
    (notice,) = driver.notices
    assert (notice.kind, notice.facts.code, notice.facts.day) == (
        NoticeKind.ISSUE_REJECTED,
        "window_closed",
        date(2027, 3, 1),
    )


def test_a_rejection_reported_twice_is_announced_once() -> None:
    driver = drive(placed(), issue(ev.IssueRejected))
    assert reasons(driver.handle(issue(ev.IssueRejected))) == ["issue_closed"]


def test_an_overruled_rejection_is_answered_with_what_follows() -> None:
    driver = drive(placed(), issue(ev.IssueRejected), issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))
    assert driver.kinds == [NoticeKind.ISSUE_REJECTED, NoticeKind.ISSUE_ACCEPTED]


def test_a_second_rejection_of_an_issue_is_announced_again() -> None:
    driver = drive(placed(), issue(ev.IssueRejected), issue(ev.IssueAccepted))
    driver.handle(issue(ev.IssueRejected, rejected_at=MONDAY + DAY))
    assert driver.kinds == [NoticeKind.ISSUE_REJECTED, NoticeKind.ISSUE_REJECTED]


@pytest.mark.parametrize("end", [ev.IssueCancelled, ev.IssueResolved])
def test_only_a_rejection_is_undone_by_an_acceptance(end: type[Any]) -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(end))
    assert reasons(driver.handle(issue(ev.IssueAccepted))) == ["issue_closed"]


def test_a_cancellation_is_announced_with_its_cause_and_day() -> None:
    driver = accepted()
    driver.handle(issue(ev.IssueCancelled, cause="customer_request", cancelled_at=MONDAY + DAY))
    (notice,) = notices(driver, NoticeKind.ISSUE_CANCELLED)
    assert (notice.facts.code, notice.facts.day) == ("customer_request", date(2027, 3, 2))


ENDS = [
    (issue(ev.IssueCancelled), "cancelled"),
    (issue(ev.IssueRejected), "rejected"),
    (issue(ev.IssueResolved), "resolved"),
]


@pytest.mark.parametrize(("end", "cause"), ENDS)
def test_the_end_of_an_issue_withdraws_what_was_still_to_come(end: ev.IssueEvent, cause: str) -> None:
    driver = accepted()
    driver.handle(issue(ev.IssueCollectionBooked))
    (booked,) = notices(driver, NoticeKind.COLLECTION_BOOKED)
    driver.handle(end)
    assert booked.notice_id in driver.withdrawn


@pytest.mark.parametrize(("end", "cause"), ENDS)
def test_the_end_of_an_issue_closes_its_question(end: ev.IssueEvent, cause: str) -> None:
    driver = accepted()
    driver.handle(issue(ev.IssueChoiceRequested, options=(Choice.REFUND,), default=Choice.REFUND))
    driver.handle(end)
    assert [question.closed_by for question in driver.conversation.questions] == [cause]


@pytest.mark.parametrize(("end", "cause"), ENDS)
def test_the_end_of_an_issue_leaves_no_announced_update(end: ev.IssueEvent, cause: str) -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueReviewRequested))
    driver.handle(end)
    assert [name for name in driver.timers if name.startswith("update")] == []


def test_a_resolution_reported_twice_is_announced_once() -> None:
    driver = accepted()
    driver.handle(issue(ev.IssueResolved))
    driver.handle(issue(ev.IssueReopened, resolution=1))
    assert reasons(driver.handle(issue(ev.IssueResolved, resolution=1))) == ["already_resolved"]


def test_a_reopening_is_announced_once() -> None:
    driver = accepted()
    driver.handle(issue(ev.IssueResolved, resolution=1))
    driver.handle(issue(ev.IssueReopened, resolution=1))
    assert reasons(driver.handle(issue(ev.IssueReopened, resolution=1))) == ["already_reopened"]


def test_a_reopening_of_an_earlier_resolution_does_not_undo_the_newest_one() -> None:
    driver = accepted()
    for resolution in (1, 2):
        driver.handle(issue(ev.IssueResolved, resolution=resolution))
        if resolution == 1:
            driver.handle(issue(ev.IssueReopened, resolution=1))
    assert reasons(driver.handle(issue(ev.IssueReopened, resolution=1))) == ["already_reopened"]
    assert thread_of(driver).closed_by == "resolved"


def test_a_reopening_that_overtakes_its_resolution_is_announced() -> None:
    driver = accepted()
    driver.handle(issue(ev.IssueReopened, resolution=1))
    assert driver.kinds[-1] is NoticeKind.ISSUE_REOPENED
    assert reasons(driver.handle(issue(ev.IssueResolved, resolution=1))) == ["already_resolved"]


def test_a_reopened_issue_forgets_the_points_and_the_refund_of_its_first_end() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), paid(3800, "t-1"), issue(ev.IssueResolved, resolution=1))
    driver.handle(issue(ev.IssueReopened, resolution=1))
    assert (thread_of(driver).apology, thread_of(driver).refunded_at) == (None, None)
    driver.handle(issue(ev.IssueResolved, resolution=2))
    assert driver.kinds[-1] is NoticeKind.ISSUE_RESOLVED


def test_a_refund_requested_closes_the_question_that_it_answers() -> None:
    driver = accepted()
    choice_id = derived_id("choice", 7)
    driver.handle(issue(ev.IssueChoiceRequested, choice_id=choice_id, options=(Choice.REFUND,), default=Choice.REFUND))
    driver.handle(issue(ev.IssueRefundRequested))
    question = driver.conversation.question(choice_id)
    assert question is not None
    assert question.closed_by == "refund"
