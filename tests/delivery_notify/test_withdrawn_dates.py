"""Dates that the shop moves again before their notice is sent: the customer has the newest, and is asked once."""

from datetime import date

from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderPromiseChanged
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    ConversationDriver,
    line,
    placed,
)

TUESDAY, WEDNESDAY = date(2027, 3, 2), date(2027, 3, 3)


def move(driver: ConversationDriver, day: date, *line_ids: str, delivery: date | None = None) -> None:
    dates = {"promised_ship_date": day, "promised_delivery_date": delivery, "changed_at": driver.now}
    driver.handle(OrderPromiseChanged.model_validate({"order_id": ORDER, "line_ids": line_ids, **dates}))


def announced(driver: ConversationDriver) -> dict[tuple[NoticeKind, str], list[date]]:
    """Return the dates of each line in notices that leave, by the kind of notice."""
    found: dict[tuple[NoticeKind, str], list[date]] = {}
    for notice in driver.notices:
        for ref in notice.promises.announces if notice.notice_id not in driver.withdrawn_unsent else ():
            found.setdefault((notice.kind, ref.subject_id), []).append(ref.day)
    return found


def two_lines(second: date) -> ConversationDriver:
    driver = ConversationDriver()
    driver.handle(placed(line("1", TUESDAY), line("2", second)))
    return driver


def test_a_date_is_announced_although_that_of_another_line_moves_before_its_notice_is_sent() -> None:
    driver = two_lines(FRIDAY)
    move(driver, WEDNESDAY, "1")
    move(driver, WEDNESDAY)
    assert announced(driver) == {
        (NoticeKind.ORDER_DELAYED, "1"): [WEDNESDAY],
        (NoticeKind.ORDER_EARLY, "2"): [WEDNESDAY],
    }


def test_a_date_that_moves_back_after_an_earlier_one_was_announced_is_announced() -> None:
    driver = two_lines(WEDNESDAY)
    move(driver, FRIDAY)
    move(driver, TUESDAY)
    move(driver, WEDNESDAY, "2")
    assert announced(driver) == {
        (NoticeKind.ORDER_EARLY, "2"): [TUESDAY],
        (NoticeKind.ORDER_DELAYED, "2"): [WEDNESDAY],
    }


def test_a_later_delivery_date_is_announced_where_the_ship_date_is_the_one_that_the_customer_has() -> None:
    driver = ConversationDriver()
    driver.handle(placed(line("1", WEDNESDAY, promised_delivery_date=FRIDAY)))
    move(driver, NEXT_WEDNESDAY)
    move(driver, WEDNESDAY, delivery=NEXT_FRIDAY)
    assert announced(driver) == {(NoticeKind.DELIVERY_DELAYED, "1"): [NEXT_FRIDAY]}


def test_a_question_whose_notice_was_withdrawn_is_closed() -> None:
    driver = two_lines(TUESDAY)
    move(driver, FRIDAY)
    move(driver, TUESDAY)
    assert [question.closed_by for question in driver.conversation.questions] == ["superseded"]
