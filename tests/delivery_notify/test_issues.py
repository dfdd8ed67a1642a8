"""Notices about an issue: one message per fact, and every announced update is sent."""

from datetime import date, timedelta

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import CustomerDecided, NoticeKind
from libs.common.events.values import Choice, LineQuantity, Remedy
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
    driver = replaced()
    assert [(n.kind, n.facts.plan, n.facts.day) for n in driver.notices] == [
        (NoticeKind.ISSUE_ACCEPTED, "replacement", FRIDAY)
    ]


def test_a_report_and_its_refund_are_one_message() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueRefundRequested))
    assert [(n.kind, n.facts.plan) for n in driver.notices] == [(NoticeKind.ISSUE_ACCEPTED, "refund")]


def test_a_report_and_its_collection_are_one_message() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueCollectionRequested))
    assert [(n.kind, n.facts.day) for n in driver.notices] == [(NoticeKind.ISSUE_ACCEPTED, NEXT_WEDNESDAY)]


def test_a_report_that_waits_for_its_plan_is_answered_after_a_quarter_of_an_hour() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    driver.advance_to(MONDAY + timedelta(minutes=15))
    assert [(n.kind, n.facts.plan) for n in driver.notices] == [(NoticeKind.ISSUE_ACCEPTED, "wait")]


def test_the_update_announced_in_that_notice_is_sent() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    driver.advance_to(MONDAY + timedelta(minutes=15))
    next_update = driver.notices[0].facts.next_update_by
    assert next_update is not None
    driver.advance_to(at(next_update, 12))
    assert driver.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REVIEW_STARTED]


def test_a_replacement_ordered_after_that_answer_is_announced_with_its_date() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    driver.advance_to(MONDAY + timedelta(minutes=15))
    driver.handle(issue(ev.IssueReplacementOrdered))
    assert driver.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REPLACEMENT_PROMISED]


def test_a_confirmation_of_the_announced_date_is_no_notice() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY))
    assert driver.kinds == [NoticeKind.ISSUE_ACCEPTED]


def test_a_confirmation_of_another_date_is_announced() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY - timedelta(days=1)))
    assert driver.kinds[-1] is NoticeKind.REPLACEMENT_PROMISED


def test_a_later_date_is_announced_as_a_delay() -> None:
    driver = replaced()
    delayed = issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2)
    driver.handle(delayed)
    assert (driver.kinds[-1], driver.notices[-1].promised_date) == (
        NoticeKind.REPLACEMENT_DELAYED,
        NEXT_WEDNESDAY,
    )


def test_an_older_version_of_a_promise_is_never_announced_after_a_newer_one() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2))
    assert reasons(driver.handle(issue(ev.IssueReplacementPromised, ship_date=NEXT_FRIDAY))) == ["older_promise"]


def replacement_versions(driver: ConversationDriver) -> list[int]:
    return [row.version for row in of(driver.facts, PromiseMade) if row.subject == "replacement"]


def test_every_announced_date_of_a_replacement_is_recorded() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY - timedelta(days=1)))
    assert replacement_versions(driver) == [0, 1]


def test_a_delay_supersedes_the_version_that_was_announced_and_not_one_that_confirmed_it() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY))
    driver.handle(issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2))
    news = driver.notices[-1].promises
    assert ([ref.version for ref in news.announces], [ref.version for ref in news.supersedes]) == ([2], [0])
    assert replacement_versions(driver) == [0, 2]


def test_a_date_older_than_a_confirmation_is_not_announced() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementPromised, ship_date=FRIDAY, version=3))
    delayed = issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2)
    assert reasons(driver.handle(delayed)) == ["older_promise"]


def test_a_shipped_replacement_is_announced_once_with_its_delivery_date() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementShipped))
    driver.handle(issue(ev.IssueReplacementShipped))
    shipped = [n.facts.day for n in driver.notices if n.kind is NoticeKind.REPLACEMENT_SHIPPED]
    assert shipped == [NEXT_WEDNESDAY]


def test_a_delivery_needs_no_mail() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementShipped))
    assert reasons(driver.handle(issue(ev.IssueReplacementDelivered))) == ["not_subscribed"]


def test_a_review_is_not_announced_to_a_customer_with_a_date() -> None:
    driver = replaced()
    assert reasons(driver.handle(issue(ev.IssueReviewRequested))) == ["replacement_date_known"]


def test_a_review_is_announced_with_its_deadline_to_a_customer_without_a_date() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueReviewRequested))
    assert [(n.kind, n.facts.day) for n in driver.notices] == [(NoticeKind.REVIEW_STARTED, date(2027, 3, 3))]


def test_an_appointment_is_announced_and_a_new_one_again() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementShipped))
    driver.handle(issue(ev.IssueCollectionRequested))
    driver.handle(issue(ev.IssueCollectionBooked))
    driver.handle(issue(ev.IssueCollectionBooked))
    driver.handle(issue(ev.IssueCollectionBooked, attempt=2))
    assert driver.kinds.count(NoticeKind.COLLECTION_BOOKED) == 2


def test_a_received_item_and_its_refund_are_one_message() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueCollectionRequested))
    driver.handle(issue(ev.IssueItemReceived))
    driver.handle(issue(ev.IssueRefundRequested))
    driver.advance_to(MONDAY + timedelta(days=1))
    assert driver.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REFUND_REQUESTED]


def test_a_received_item_is_announced_when_no_refund_follows() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueItemReceived))
    driver.advance_to(MONDAY + timedelta(minutes=30))
    assert driver.kinds[-1] is NoticeKind.ITEM_RECEIVED


def test_a_refund_that_ends_the_issue_is_announced_once() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), issue(ev.IssueRefundRequested), issue(ev.IssueRefunded))
    driver.handle(issue(ev.IssueResolved, remedy=Remedy.REFUND))
    assert driver.kinds == [NoticeKind.ISSUE_ACCEPTED, NoticeKind.REFUNDED]


def test_a_settled_replacement_ends_with_thanks() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueResolved))
    assert driver.kinds[-1] is NoticeKind.ISSUE_RESOLVED


def test_a_choice_is_asked_once() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    asked = issue(ev.IssueChoiceRequested, options=(Choice.WAIT, Choice.REFUND), default=Choice.REFUND)
    driver.handle(asked)
    driver.handle(asked)
    assert driver.kinds == [NoticeKind.CHOICE_REQUESTED]


def test_an_answer_about_an_issue_names_the_issue() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    asked = issue(ev.IssueChoiceRequested, options=(Choice.WAIT, Choice.REFUND), default=Choice.REFUND)
    driver.handle(asked)
    facts = driver.handle(CustomerAnswered(order_id=ORDER, choice_id=asked.choice_id, choice=Choice.WAIT))
    assert [d.issue_id for d in of(facts, CustomerDecided)] == [asked.issue_id]


def test_a_choice_that_is_not_answered_is_decided_as_announced() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted))
    driver.handle(issue(ev.IssueChoiceRequested, options=(Choice.WAIT, Choice.REFUND), default=Choice.REFUND))
    facts = driver.advance_to(MONDAY + timedelta(days=2))
    assert [(d.choice, d.by_default) for d in of(facts, CustomerDecided)] == [(Choice.REFUND, True)]


@pytest.mark.parametrize("end", [ev.IssueCancelled, ev.IssueResolved, ev.IssueRejected])
def test_a_closed_issue_creates_no_more_notices(end: type[ev.IssueEvent]) -> None:
    driver = replaced()
    driver.handle(issue(end))
    count = len(driver.notices)
    driver.handle(issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_FRIDAY, version=2))
    assert len(driver.notices) == count


def test_a_reopened_issue_is_announced_with_the_day_of_the_next_update() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueResolved))
    driver.handle(issue(ev.IssueReopened))
    assert (driver.kinds[-1], driver.notices[-1].facts.day) == (NoticeKind.ISSUE_REOPENED, date(2027, 3, 2))


def test_a_second_resolution_is_announced_again() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueResolved))
    driver.handle(issue(ev.IssueReopened))
    driver.handle(issue(ev.IssueResolved, resolution=2))
    assert driver.kinds.count(NoticeKind.ISSUE_RESOLVED) == 2


def test_an_issue_of_another_customer_creates_no_notice() -> None:
    driver = drive(placed())
    assert reasons(driver.handle(issue(ev.IssueAccepted, customer_id="C-2"))) == ["issue_of_another_customer"]


def test_an_issue_is_announced_even_when_its_order_comes_later() -> None:
    driver = drive(issue(ev.IssueAccepted), issue(ev.IssueReplacementOrdered), placed())
    assert driver.kinds == [NoticeKind.ISSUE_ACCEPTED]


def test_two_issues_of_one_order_are_two_threads() -> None:
    driver = replaced()
    other = {"issue_id": derived_id("issue", 2), "replacement_id": derived_id("replacement", 2)}
    driver.handle(issue(ev.IssueAccepted, **other))
    driver.handle(issue(ev.IssueReplacementOrdered, **other))
    assert driver.kinds == [NoticeKind.ISSUE_ACCEPTED] * 2


def test_the_first_of_several_parcels_is_announced_with_the_date_of_the_rest() -> None:
    driver = replaced()
    one = (LineQuantity(line_id="1", quantity=1),)
    parcel = issue(ev.IssueReplacementPartShipped, lines=one, remaining_lines=one, remaining_ship_date=NEXT_FRIDAY)
    driver.handle(parcel)
    driver.handle(parcel)
    notices = [n for n in driver.notices if n.kind is NoticeKind.REPLACEMENT_PART_SHIPPED]
    assert [(n.facts.day, n.facts.next_update_by) for n in notices] == [(NEXT_WEDNESDAY, NEXT_FRIDAY)]
    assert notices[0].facts.lines[0].name == "マグカップ 1"


def test_a_slip_of_the_delivery_day_is_announced_with_both_days() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueReplacementShipped))
    slip = issue(
        ev.IssueReplacementDeliveryChanged,
        previous_date=NEXT_WEDNESDAY,
        expected_delivery_date=NEXT_FRIDAY,
        changed_at=MONDAY,
    )
    driver.handle(slip)
    driver.handle(slip)
    changed = [n.facts for n in driver.notices if n.kind is NoticeKind.REPLACEMENT_DELIVERY_CHANGED]
    assert [(facts.previous_day, facts.day) for facts in changed] == [(NEXT_WEDNESDAY, NEXT_FRIDAY)]
