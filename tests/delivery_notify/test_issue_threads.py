"""Threads of issues: whose they are, what is announced when, and what late and repeated events do to them."""

from datetime import date, timedelta
from typing import Any

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.values import Choice, IssueLine, LineQuantity, Reason, TimeWindow
from services.delivery_notify.domain.issue_collections import REFUND_DELAY
from services.delivery_notify.domain.issue_thread import IssueThread, PendingNotice
from services.delivery_notify.domain.issues import NEWS_GRACE, PLAN_DELAY
from services.delivery_notify.domain.notices import NoticeCreated
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from tests.delivery_notify.conversation_driver import (
    ISSUE,
    MONDAY,
    NEXT_WEDNESDAY,
    ORDER,
    PRICE,
    ConversationDriver,
    at,
    drive,
    issue,
    of,
    placed,
    reasons,
)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
TUESDAY, WEDNESDAY = date(2027, 3, 2), date(2027, 3, 3)
ACCEPTED, REVIEW = issue(ev.IssueAccepted), issue(ev.IssueReviewRequested)


def thread_of(driver: ConversationDriver) -> IssueThread:
    thread = driver.conversation.thread(ISSUE)
    assert thread is not None
    return thread


def last(driver: ConversationDriver) -> NoticeCreated:
    return driver.notices[-1]


def booked(day: date = NEXT_WEDNESDAY, hour: int = 14, attempt: int = 1) -> ev.IssueCollectionBooked:
    window = TimeWindow(day=day, from_hour=hour, to_hour=hour + 2)
    return issue(ev.IssueCollectionBooked, window=window, attempt=attempt)


def test_an_issue_of_another_customer_has_no_thread_and_is_reported_to_ops() -> None:
    driver = drive(placed())
    facts = driver.handle(issue(ev.IssueAccepted, customer_id="C-2"))
    assert (reasons(facts), driver.conversation.threads) == (["issue_of_another_customer"], ())


def test_an_acceptance_waits_a_moment_for_the_remedy() -> None:
    driver = drive(placed(), ACCEPTED)
    assert driver.timers[f"update:{ISSUE}"] == MONDAY + PLAN_DELAY
    driver.advance_to(MONDAY + PLAN_DELAY)
    assert (last(driver).kind, last(driver).facts.plan) == (NoticeKind.ISSUE_ACCEPTED, "wait")


def test_an_acceptance_sent_again_does_not_wait_again() -> None:
    driver = drive(placed(), ACCEPTED)
    driver.advance_to(MONDAY + PLAN_DELAY / 2)
    driver.handle(ACCEPTED)
    assert thread_of(driver).notify_at == MONDAY + PLAN_DELAY


def test_an_acceptance_after_the_first_answer_announces_nothing() -> None:
    driver = drive(placed(), ACCEPTED, issue(ev.IssueReplacementOrdered))
    driver.handle(ACCEPTED)
    assert thread_of(driver).pending is None


def test_a_notice_names_the_missing_part_instead_of_the_item() -> None:
    lid = IssueLine(line_id="1", quantity=1, sku="SKU-1", name="急須", part="ふた", unit_price=PRICE)
    driver = drive(placed(), issue(ev.IssueAccepted, reason=Reason.MISSING_PART, lines=(lid,)))
    driver.advance_to(MONDAY + PLAN_DELAY)
    assert [each.name for each in last(driver).facts.lines] == ["ふた"]


def test_details_asked_for_before_the_acceptance_name_the_reported_items() -> None:
    driver = drive(placed(), issue(ev.IssueDetailsRequested, missing=("photo",)))
    facts = last(driver).facts
    assert ([each.name for each in facts.lines], facts.reason, facts.missing, facts.day) == (
        ["マグカップ 1"],
        Reason.DEFECTIVE,
        ("photo",),
        WEDNESDAY,
    )


def test_details_asked_for_without_lines_keep_the_items_that_are_known() -> None:
    driver = drive(placed(), ACCEPTED, issue(ev.IssueDetailsRequested, lines=(), reason=None))
    assert [each.name for each in last(driver).facts.lines] == ["マグカップ 1"]


def test_a_reminder_of_the_details_is_a_notice_of_its_own_and_a_repetition_is_none() -> None:
    driver = drive(placed(), issue(ev.IssueDetailsRequested))
    assert reasons(driver.handle(issue(ev.IssueDetailsRequested))) == ["duplicate_notice"]
    driver.handle(issue(ev.IssueDetailsRequested, reminder=1))
    assert driver.kinds == [NoticeKind.DETAILS_REQUESTED, NoticeKind.DETAILS_REQUESTED]


def test_details_asked_for_leave_no_update_to_announce() -> None:
    driver = drive(placed(), REVIEW, issue(ev.IssueDetailsRequested))
    assert driver.timers == {"overdue": driver.timers["overdue"]}


def test_a_review_is_announced_with_the_day_on_which_it_ends_also_to_staff() -> None:
    driver = drive(placed(), ACCEPTED, REVIEW)
    assert (last(driver).kind, last(driver).facts.day) == (NoticeKind.REVIEW_STARTED, WEDNESDAY)
    (staff,) = of(driver.facts, StaffNoticeCreated)
    assert (staff.kind, staff.facts["order_id"]) == (StaffKind.REVIEW_REQUESTED, ORDER)


def test_a_review_that_ended_before_it_was_known_is_spoken_of_in_an_hour() -> None:
    driver = drive(placed())
    driver.advance_to(MONDAY + 3 * DAY)
    driver.handle(ACCEPTED)
    driver.handle(REVIEW)
    assert thread_of(driver).notify_at == MONDAY + 3 * DAY + HOUR


def test_a_second_review_before_the_announced_day_is_not_announced() -> None:
    driver = drive(placed(), ACCEPTED, REVIEW)
    facts = driver.handle(issue(ev.IssueReviewRequested, due_at=MONDAY + DAY))
    assert reasons(facts) == ["update_announced"]


def test_a_review_after_the_announced_day_is_announced_no_sooner_than_updates_become_rarer() -> None:
    driver = drive(placed(), ACCEPTED, REVIEW)
    driver.timers.clear()
    driver.advance_to(MONDAY + 2 * DAY)
    driver.handle(issue(ev.IssueReviewRequested, due_at=MONDAY + 2 * DAY + HOUR))
    # Two open days after the first update; the review itself would be over today.
    assert (last(driver).facts.day, last(driver).facts.update_number) == (date(2027, 3, 5), 2)
    assert thread_of(driver).notify_at == at(date(2027, 3, 5), 12)


def test_an_announced_update_without_news_is_sent_and_reported_to_ops() -> None:
    driver = drive(placed(), ACCEPTED, REVIEW)
    assert reasons(driver.advance_to(MONDAY + 2 * DAY)) == []
    facts = driver.advance_to(MONDAY + 2 * DAY + NEWS_GRACE)
    assert reasons(facts) == ["update_due_without_news"]
    assert (last(driver).facts.update_number, last(driver).facts.next_update_by) == (2, date(2027, 3, 5))


def test_a_new_deadline_at_the_announced_time_is_the_news_of_the_update() -> None:
    driver = drive(placed(), ACCEPTED, REVIEW)
    driver.advance_to(MONDAY + 2 * DAY)
    facts = driver.handle(issue(ev.IssueReviewRequested, due_at=MONDAY + 7 * DAY))
    assert reasons([*facts, *driver.advance_to(MONDAY + 2 * DAY + NEWS_GRACE)]) == []
    assert (last(driver).facts.update_number, last(driver).facts.next_update_by) == (2, date(2027, 3, 8))


def test_updates_without_news_go_on_and_become_rarer() -> None:
    driver = drive(placed(), ACCEPTED, REVIEW)
    driver.advance_to(at(date(2027, 3, 12), 12))
    days = [n.facts.next_update_by for n in driver.notices if n.kind is NoticeKind.REVIEW_STARTED]
    assert days == [WEDNESDAY, date(2027, 3, 5), NEXT_WEDNESDAY, date(2027, 3, 17)]  # two, three and five open days
    assert driver.timers[f"update:{ISSUE}"] == at(date(2027, 3, 17), 12)


def test_an_update_of_an_unknown_issue_is_not_due() -> None:
    driver = drive(placed(), ACCEPTED)
    driver.handle(issue(ev.IssueReplacementOrdered))
    driver.timers[f"update:{ISSUE}"] = MONDAY + HOUR
    assert reasons(driver.advance_to(MONDAY + HOUR)) == ["update_not_due"]


def test_a_question_names_the_cause_and_the_day_of_the_stock() -> None:
    question = {"options": (Choice.WAIT, Choice.REFUND), "default": Choice.WAIT, "restock_date": NEXT_WEDNESDAY}
    driver = drive(placed(), ACCEPTED, issue(ev.IssueChoiceRequested, **question))
    facts = last(driver).facts
    assert (facts.plan, facts.day, facts.next_update_by, facts.code) == (
        "restock",
        NEXT_WEDNESDAY,
        WEDNESDAY,
        "out_of_stock",
    )
    assert last(driver).promised_date == NEXT_WEDNESDAY


def test_a_newer_question_closes_the_older_one_and_withdraws_its_notice() -> None:
    first = issue(ev.IssueChoiceRequested, options=(Choice.REFUND,), default=Choice.REFUND)
    driver = drive(placed(), ACCEPTED, first)
    driver.handle(first.model_copy(update={"choice_id": derived_id("choice", 2)}))
    assert sorted(question.closed_by or "open" for question in driver.conversation.questions) == ["open", "superseded"]
    assert driver.notices[0].notice_id in driver.withdrawn


def test_a_collection_is_the_answer_only_if_there_was_none() -> None:
    requested = issue(ev.IssueCollectionRequested)
    unanswered = drive(placed(), ACCEPTED, requested)
    assert (last(unanswered).facts.plan, last(unanswered).facts.day) == ("collection", NEXT_WEDNESDAY)
    answered = drive(placed(), ACCEPTED, issue(ev.IssueReplacementOrdered))
    assert reasons(answered.handle(requested)) == ["awaiting_appointment"]


def test_an_appointment_names_its_day_and_hours() -> None:
    facts = last(drive(placed(), ACCEPTED, booked())).facts
    assert (facts.day, facts.from_hour, facts.to_hour) == (NEXT_WEDNESDAY, 14, 16)


def test_the_same_appointment_again_is_not_announced() -> None:
    assert reasons(drive(placed(), ACCEPTED, booked()).handle(booked())) == ["same_appointment"]


@pytest.mark.parametrize("other", [booked(NEXT_WEDNESDAY + DAY), booked(hour=9), booked(attempt=2)])
def test_another_appointment_is_announced_and_withdraws_the_one_before(other: ev.IssueEvent) -> None:
    driver = drive(placed(), ACCEPTED, booked())
    driver.handle(other)
    assert driver.kinds.count(NoticeKind.COLLECTION_BOOKED) == 2
    assert driver.notices[0].notice_id in driver.withdrawn


def test_an_appointment_that_moves_back_is_announced_again() -> None:
    driver = drive(placed(), ACCEPTED, booked(hour=14), booked(hour=9), booked(hour=14))
    hours = [notice.facts.from_hour for notice in driver.notices if notice.kind is NoticeKind.COLLECTION_BOOKED]
    assert hours == [14, 9, 14]


def received(**more: Any) -> ev.IssueItemReceived:
    lines = (LineQuantity(line_id="1", quantity=1),)
    return issue(ev.IssueItemReceived, **{"lines": lines, **more})


def test_a_receipt_waits_for_the_refund_that_usually_follows() -> None:
    driver = drive(placed(), ACCEPTED, received())
    assert (thread_of(driver).pending, thread_of(driver).notify_at) == (PendingNotice.RECEIPT, MONDAY + REFUND_DELAY)
    driver.advance_to(MONDAY + REFUND_DELAY)
    assert (last(driver).kind, last(driver).facts.day) == (NoticeKind.ITEM_RECEIVED, MONDAY.date())


def test_a_second_parcel_that_is_received_is_announced_again() -> None:
    driver = drive(placed(), ACCEPTED, received())
    driver.advance_to(MONDAY + REFUND_DELAY)
    driver.handle(received(received_at=MONDAY + DAY))
    driver.advance_to(MONDAY + DAY)
    assert driver.kinds.count(NoticeKind.ITEM_RECEIVED) == 2
