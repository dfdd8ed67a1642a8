"""Notices and questions about an issue that a newer event overtakes."""

from datetime import timedelta

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.values import Choice
from services.delivery_notify.domain.customer_questions import CustomerAnswered
from tests.delivery_notify.conversation_driver import FRIDAY, NEXT_FRIDAY, NEXT_WEDNESDAY, ORDER, issue, reasons
from tests.delivery_notify.test_issues import replaced

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
    driver = replaced()
    driver.handle(WAIT_OR_REFUND)
    driver.handle(after_all)
    assert [question.closed_by for question in driver.conversation.questions] == [cause]
    assert f"choice:{WAIT_OR_REFUND.choice_id}" not in driver.timers


@pytest.mark.parametrize(("after_all", "cause"), GOODS_AFTER_ALL)
def test_the_mail_of_a_question_that_was_overtaken_is_taken_back(after_all: ev.IssueEvent, cause: str) -> None:
    driver = replaced()
    driver.handle(WAIT_OR_REFUND)
    asked = driver.notices[-1].notice_id
    driver.handle(after_all)
    assert asked in driver.withdrawn, cause


def test_an_answer_after_the_replacement_has_left_is_refused() -> None:
    driver = replaced()
    driver.handle(WAIT_OR_REFUND)
    driver.handle(issue(ev.IssueReplacementShipped))
    answer = CustomerAnswered(order_id=ORDER, choice_id=WAIT_OR_REFUND.choice_id, choice=Choice.REFUND)
    assert reasons(driver.handle(answer)) == ["question_closed"]


@pytest.mark.parametrize(
    "newer",
    [
        issue(ev.IssueReplacementDelayed, previous_ship_date=FRIDAY, ship_date=NEXT_WEDNESDAY, version=2),
        issue(ev.IssueReplacementPromised, ship_date=FRIDAY - timedelta(days=1)),
        issue(ev.IssueReplacementShipped),
    ],
)
def test_an_answer_to_a_report_is_taken_back_when_its_date_is_overtaken(newer: ev.IssueEvent) -> None:
    driver = replaced()
    driver.handle(newer)
    assert driver.withdrawn == {driver.notices[0].notice_id}


def test_an_appointment_stays_when_the_replacement_leaves() -> None:
    driver = replaced()
    driver.handle(issue(ev.IssueCollectionBooked))
    driver.handle(issue(ev.IssueReplacementShipped))
    assert driver.notices[1].notice_id not in driver.withdrawn
