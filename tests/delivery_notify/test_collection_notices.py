"""Notices of missed visits, reminders and product warnings: one per event, the newest last."""

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.notices import NoticeKind
from libs.common.events.products import BuyerWarned, WarningCause
from libs.common.events.values import LineQuantity
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
    MONDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    drive,
    issue,
    line,
    placed,
    reasons,
)

BOOKED = issue(ev.IssueCollectionBooked)
ATTEMPTED = issue(ev.IssueCollectionAttempted, attempt=1, attempted_at=MONDAY, next_date=NEXT_FRIDAY)
REMINDED = issue(ev.IssueCollectionReminded, reminder=1, next_date=NEXT_FRIDAY, due_on=NEXT_FRIDAY, reminded_at=MONDAY)
WARNED = BuyerWarned(
    sku="SKU-1",
    cluster_id=derived_id("cluster", 1),
    order_id=ORDER,
    customer_id=CUSTOMER,
    lines=(LineQuantity(line_id="1", quantity=1),),
    cause=WarningCause.MAY_BE_DEFECTIVE,
    warned_at=MONDAY,
)


def test_a_missed_visit_is_announced_with_the_next_day_and_withdraws_the_old_notice() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), BOOKED, ATTEMPTED)
    notice = driver.notices[-1]
    assert (notice.kind, notice.facts.day) == (NoticeKind.COLLECTION_ATTEMPTED, NEXT_FRIDAY)
    assert driver.notices[0].notice_id in driver.withdrawn


def test_a_missed_visit_without_a_next_day_waits_for_the_appointment() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), BOOKED)
    facts = driver.handle(ATTEMPTED.model_copy(update={"next_date": None}))
    assert reasons(facts) == ["arranged_by_staff"]


def test_an_appointment_that_the_customer_requested_mentions_no_missed_visit() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), BOOKED, issue(ev.IssueCollectionBooked, attempt=2))
    assert [notice.facts.update_number for notice in driver.notices if notice.kind is NoticeKind.COLLECTION_BOOKED] == [
        1,
        1,
    ]


def test_an_appointment_after_a_missed_visit_mentions_it() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), BOOKED, ATTEMPTED, issue(ev.IssueCollectionBooked, attempt=2))
    assert driver.notices[-1].facts.update_number == 2


def test_a_repeated_reminder_is_one_notice() -> None:
    driver = drive(placed(), issue(ev.IssueAccepted), REMINDED, REMINDED)
    assert driver.kinds.count(NoticeKind.COLLECTION_REMINDED) == 1


def test_the_next_reminder_is_another_notice() -> None:
    again = REMINDED.model_copy(update={"reminder": 2, "next_date": NEXT_WEDNESDAY})
    driver = drive(placed(), issue(ev.IssueAccepted), REMINDED, again)
    assert driver.kinds.count(NoticeKind.COLLECTION_REMINDED) == 2


def test_a_buyer_is_warned_once_by_the_name_of_what_they_bought() -> None:
    driver = drive(placed(line("1"), line("2")), WARNED, WARNED)
    (notice,) = driver.notices
    assert (notice.kind, [line.name for line in notice.facts.lines]) == (NoticeKind.BUYER_WARNED, ["マグカップ 1"])
