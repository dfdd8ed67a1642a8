"""The talk about an issue: one thing to say is one message, and what we said we would write, we write."""

from datetime import date, timedelta

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import CustomerDecided, NoticeKind
from libs.common.events.values import Choice, Remedy
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from services.delivery_notify.domain.notices import PromiseMade
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    ConversationDriver,
    at,
    drive,
    issue,
    of,
    placed,
    reasons,
)


def replaced() -> ConversationDriver:
    return drive(placed(), issue(ev.IssueReported), issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered))


def test_a_report_and_its_replacement_are_one_message_with_the_ship_date() -> None:
    rehearsal = replaced()
    assert [(n.kind, n.facts.plan, n.facts.day) for n in rehearsal.notices] == [
        (NoticeKind.ISSUE_ACCEPTED, "replacement", FRIDAY)
    ]


def test_a_report_and_its_refund_are_one_message() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueRefundRequested))
    assert [(n.kind, n.facts.plan) for n in rehearsal.notices] == [(NoticeKind.ISSUE_ACCEPTED, "refund")]


def test_a_report_and_its_collection_are_one_message() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueCollectionRequested))
    assert [(n.kind, n.facts.day) for n in rehearsal.notices] == [(NoticeKind.ISSUE_ACCEPTED, NEXT_WEDNESDAY)]


def test_a_report_that_waits_for_its_plan_is_answered_after_a_quarter_of_an_hour() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted))
    rehearsal.advance_to(MONDAY + timedelta(minutes=15))
    assert [(n.kind, n.facts.plan) for n in rehearsal.notices] == [(NoticeKind.ISSUE_ACCEPTED, "wait")]


def test_the_word_named_in_that_answer_is_kept() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted))
    rehearsal.advance_to(MONDAY + timedelta(minutes=15))
    next_word = rehearsal.notices[0].facts.next_update_by
    assert next_word is not None
    rehearsal.advance_to(at(next_word, 12))
    assert rehearsal.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REVIEW_STARTED]


def test_a_replacement_ordered_after_that_answer_is_told_with_its_date() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted))
    rehearsal.advance_to(MONDAY + timedelta(minutes=15))
    rehearsal.handle(issue(ev.IssueReplacementOrdered))
    assert rehearsal.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REPLACEMENT_PROMISED]


def test_a_confirmation_of_the_date_already_told_is_no_news() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY))
    assert rehearsal.kinds == [NoticeKind.ISSUE_ACCEPTED]


def test_a_confirmation_of_another_date_is_told() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY - timedelta(days=1)))
    assert rehearsal.kinds[-1] is NoticeKind.REPLACEMENT_PROMISED


def test_a_later_date_is_told_as_a_delay() -> None:
    rehearsal = replaced()
    delayed = issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2)
    rehearsal.handle(delayed)
    assert (rehearsal.kinds[-1], rehearsal.notices[-1].promised_date) == (
        NoticeKind.REPLACEMENT_DELAYED,
        NEXT_WEDNESDAY,
    )


def test_an_older_version_of_a_promise_is_never_told_after_a_newer_one() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2))
    assert reasons(rehearsal.handle(issue(ev.IssueReplacementPromised, ship_date=NEXT_FRIDAY))) == ["older_promise"]


def test_every_date_told_for_a_replacement_is_written_down() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY))
    rows = [(row.subject, row.version) for row in of(rehearsal.facts, PromiseMade)]
    assert rows == [("line", 1), ("replacement", 0), ("replacement", 1)]


def test_a_shipped_replacement_is_told_once_with_its_delivery_date() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueReplacementShipped))
    rehearsal.handle(issue(ev.IssueReplacementShipped))
    shipped = [n.facts.day for n in rehearsal.notices if n.kind is NoticeKind.REPLACEMENT_SHIPPED]
    assert shipped == [NEXT_WEDNESDAY]


def test_a_delivery_needs_no_mail() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueReplacementShipped))
    assert reasons(rehearsal.handle(issue(ev.IssueReplacementDelivered))) == ["not_subscribed"]


def test_a_customer_who_holds_a_date_does_not_hear_of_our_desk_work() -> None:
    rehearsal = replaced()
    assert reasons(rehearsal.handle(issue(ev.IssueReviewRequested))) == ["replacement_date_known"]


def test_a_customer_who_holds_no_date_hears_until_when_we_look() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueReviewRequested))
    assert [(n.kind, n.facts.day) for n in rehearsal.notices] == [(NoticeKind.REVIEW_STARTED, date(2027, 3, 3))]


def test_an_appointment_is_told_and_a_new_one_again() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueReplacementShipped))
    rehearsal.handle(issue(ev.IssueCollectionRequested))
    rehearsal.handle(issue(ev.IssueCollectionBooked))
    rehearsal.handle(issue(ev.IssueCollectionBooked))
    rehearsal.handle(issue(ev.IssueCollectionBooked, attempt=2))
    assert rehearsal.kinds.count(NoticeKind.COLLECTION_BOOKED) == 2


def test_what_came_back_and_its_refund_are_one_message() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueCollectionRequested))
    rehearsal.handle(issue(ev.IssueItemReceived))
    rehearsal.handle(issue(ev.IssueRefundRequested))
    rehearsal.advance_to(MONDAY + timedelta(days=1))
    assert rehearsal.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REFUND_REQUESTED]


def test_what_came_back_is_told_when_nothing_follows() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueItemReceived))
    rehearsal.advance_to(MONDAY + timedelta(minutes=30))
    assert rehearsal.kinds[-1] is NoticeKind.ITEM_RECEIVED


def test_a_refund_that_ends_the_issue_is_told_once() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueRefundRequested), issue(ev.IssueRefunded))
    rehearsal.handle(issue(ev.IssueResolved, remedy=Remedy.REFUND))
    assert rehearsal.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REFUNDED]


def test_a_settled_replacement_ends_with_thanks() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueResolved))
    assert rehearsal.kinds[-1] is NoticeKind.ISSUE_RESOLVED


def test_a_choice_is_asked_once() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted))
    asked = issue(ev.IssueChoiceRequested, options=(Choice.WAIT, Choice.REFUND), default=Choice.REFUND)
    rehearsal.handle(asked)
    rehearsal.handle(asked)
    assert rehearsal.kinds == [NoticeKind.CHOICE_REQUESTED]


def test_an_answer_about_an_issue_names_the_issue() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted))
    asked = issue(ev.IssueChoiceRequested, options=(Choice.WAIT, Choice.REFUND), default=Choice.REFUND)
    rehearsal.handle(asked)
    facts = rehearsal.handle(CustomerAnswered(order_id=ORDER, choice_id=asked.choice_id, choice=Choice.WAIT))
    assert [d.issue_id for d in of(facts, CustomerDecided)] == [asked.issue_id]


def test_a_choice_that_is_not_answered_is_decided_as_announced() -> None:
    rehearsal = drive(placed(), issue(ev.IssueAccepted))
    rehearsal.handle(issue(ev.IssueChoiceRequested, options=(Choice.WAIT, Choice.REFUND), default=Choice.REFUND))
    facts = rehearsal.advance_to(MONDAY + timedelta(days=2))
    assert [(d.choice, d.by_default) for d in of(facts, CustomerDecided)] == [(Choice.REFUND, True)]


@pytest.mark.parametrize("end", [ev.IssueCancelled, ev.IssueResolved, ev.IssueRejected])
def test_a_closed_issue_says_nothing_more(end: type[ev.IssueEvent]) -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(end))
    count = len(rehearsal.notices)
    rehearsal.handle(issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_FRIDAY, version=2))
    assert len(rehearsal.notices) == count


def test_a_reopened_issue_is_taken_up_with_the_day_of_our_next_word() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueResolved))
    rehearsal.handle(issue(ev.IssueReopened))
    assert (rehearsal.kinds[-1], rehearsal.notices[-1].facts.day) == (NoticeKind.ISSUE_REOPENED, date(2027, 3, 2))


def test_a_second_resolution_is_told_again() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueResolved))
    rehearsal.handle(issue(ev.IssueReopened))
    rehearsal.handle(issue(ev.IssueResolved, resolution=2))
    assert rehearsal.kinds.count(NoticeKind.ISSUE_RESOLVED) == 2


def test_an_issue_of_another_customer_is_never_told_to_the_one_we_know() -> None:
    rehearsal = drive(placed())
    assert reasons(rehearsal.handle(issue(ev.IssueAccepted, customer_id="C-2"))) == ["issue_of_another_customer"]


def test_an_issue_is_told_even_when_its_order_comes_later() -> None:
    rehearsal = drive(issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered), placed())
    assert rehearsal.kinds == [NoticeKind.ISSUE_ACCEPTED]


def test_two_issues_of_one_order_are_two_talks() -> None:
    rehearsal = replaced()
    other = {"issue_id": derived_id("issue", 2), "replacement_id": derived_id("replacement", 2)}
    rehearsal.handle(issue(ev.IssueAccepted, **other))
    rehearsal.handle(issue(ev.IssueReplacementOrdered, **other))
    assert rehearsal.kinds == [NoticeKind.ISSUE_ACCEPTED] * 2


WAIT_OR_REFUND = issue(ev.IssueChoiceRequested, options=(Choice.WAIT, Choice.REFUND), default=Choice.REFUND)
SECOND = derived_id("replacement", 2)
GOODS_AFTER_ALL = [
    (issue(ev.IssueReplacementShipped), "shipped"),
    (issue(ev.IssueReplacementShipped, replacement_id=SECOND), "shipped"),
    (issue(ev.IssueReplacementOrdered, replacement_id=SECOND), "promised"),
    (issue(ev.IssueReplacementPromised, replacement_id=SECOND, ship_date=NEXT_FRIDAY), "promised"),
    (issue(ev.IssueRefundRequested), "refund"),
]


@pytest.mark.parametrize(("after_all", "cause"), GOODS_AFTER_ALL)
def test_a_question_that_what_we_do_overtakes_is_closed(after_all: ev.IssueEvent, cause: str) -> None:
    rehearsal = replaced()
    rehearsal.handle(WAIT_OR_REFUND)
    rehearsal.handle(after_all)
    assert [question.closed_by for question in rehearsal.conversation.questions] == [cause]
    assert f"choice:{WAIT_OR_REFUND.choice_id}" not in rehearsal.timers


@pytest.mark.parametrize(("after_all", "cause"), GOODS_AFTER_ALL)
def test_the_mail_of_a_question_that_was_overtaken_is_taken_back(after_all: ev.IssueEvent, cause: str) -> None:
    rehearsal = replaced()
    rehearsal.handle(WAIT_OR_REFUND)
    asked = rehearsal.notices[-1].notice_id
    rehearsal.handle(after_all)
    assert asked in rehearsal.withdrawn, cause


def test_an_answer_after_the_replacement_has_left_is_refused() -> None:
    rehearsal = replaced()
    rehearsal.handle(WAIT_OR_REFUND)
    rehearsal.handle(issue(ev.IssueReplacementShipped))
    answer = CustomerAnswered(order_id=ORDER, choice_id=WAIT_OR_REFUND.choice_id, choice=Choice.REFUND)
    assert reasons(rehearsal.handle(answer)) == ["question_closed"]


@pytest.mark.parametrize(
    "newer",
    [
        issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2),
        issue(ev.IssueReplacementPromised, ship_date=FRIDAY - timedelta(days=1)),
        issue(ev.IssueReplacementShipped),
    ],
)
def test_an_answer_to_a_report_is_taken_back_when_its_date_is_overtaken(newer: ev.IssueEvent) -> None:
    rehearsal = replaced()
    rehearsal.handle(newer)
    assert rehearsal.withdrawn == {rehearsal.notices[0].notice_id}


def test_an_appointment_stays_when_the_replacement_leaves() -> None:
    rehearsal = replaced()
    rehearsal.handle(issue(ev.IssueCollectionBooked))
    rehearsal.handle(issue(ev.IssueReplacementShipped))
    assert rehearsal.notices[1].notice_id not in rehearsal.withdrawn
