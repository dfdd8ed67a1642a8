"""Progress of preorders: announced twice a month, with the newest stage, until the parcel leaves."""

from datetime import date, timedelta

from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import PreorderProgressed
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    ORDER,
    ConversationDriver,
    at,
    drive,
    line,
    placed,
)
from tests.delivery_notify.order_events import changed, shipped


def awaited_preorder() -> ConversationDriver:
    """A preorder that slips: nobody has a date for somebody else's workshop."""
    driver = drive(placed(line(preorder=True)))
    driver.advance_to(at(FRIDAY, 18))
    return driver


def test_a_preorder_that_slips_in_silence_has_no_date_of_ours() -> None:
    (notice,) = awaited_preorder().notices
    assert (notice.kind, notice.facts.next_update_by) == (NoticeKind.ORDER_OVERDUE, FRIDAY + timedelta(days=3))


def test_the_announced_update_is_sent() -> None:
    driver = awaited_preorder()
    next_word = driver.notices[0].facts.next_update_by
    assert next_word is not None
    driver.advance_to(at(next_word, 12))
    assert driver.kinds == [NoticeKind.ORDER_OVERDUE] * 2


def test_a_new_date_replaces_the_announced_update() -> None:
    driver = awaited_preorder()
    driver.handle(changed(NEXT_FRIDAY, 24 * 4 + 10))
    driver.advance_to(at(NEXT_FRIDAY, 11))
    assert driver.kinds == [NoticeKind.ORDER_OVERDUE, NoticeKind.ORDER_DELAYED]


def progressed(stage: str, hours: int = 1, day: date | None = None) -> PreorderProgressed:
    moment = MONDAY + timedelta(hours=hours)
    return PreorderProgressed(order_id=ORDER, line_id="1", stage=stage, progressed_at=moment, promised_ship_date=day)


LATE_MAY = date(2027, 5, 28)


def preorder(promise: date | None = LATE_MAY) -> ConversationDriver:
    return drive(placed(line(promise=promise, preorder=True)))


def test_progress_of_a_preorder_is_announced_on_the_first_and_the_fifteenth() -> None:
    driver = preorder()
    driver.advance_to(at(date(2027, 5, 1), 12))
    days = [(notice.kind, notice.made_at) for notice in driver.notices]
    reports = [date(2027, 3, 15), date(2027, 4, 1), date(2027, 4, 15), date(2027, 5, 1)]
    assert days == [(NoticeKind.PREORDER_PROGRESS, at(day, 10)) for day in reports]


def test_a_progress_notice_names_the_newest_stage() -> None:
    driver = preorder()
    driver.handle(progressed("production", 5))
    driver.handle(progressed("materials", 2))
    driver.advance_to(at(date(2027, 3, 15), 10))
    assert driver.notices[0].facts.lines[0].stage == "production"


def test_a_report_is_skipped_when_another_notice_announced_the_same_days_ago() -> None:
    driver = preorder()
    driver.now = at(date(2027, 3, 13), 10)
    driver.handle(progressed("production", 24 * 12, date(2027, 6, 4)))
    driver.advance_to(at(date(2027, 3, 16), 10))
    assert driver.kinds == [NoticeKind.ORDER_DELAYED]


def test_reports_end_when_the_parcel_leaves() -> None:
    driver = preorder()
    driver.handle(shipped())
    driver.advance_to(at(date(2027, 8, 1), 12))
    assert (driver.kinds, driver.timers) == ([], {})


def test_the_first_date_of_a_preorder_is_announced() -> None:
    driver = preorder(promise=None)
    driver.handle(changed(LATE_MAY))
    assert [(notice.kind, notice.facts.day) for notice in driver.notices] == [(NoticeKind.PREORDER_PROGRESS, LATE_MAY)]
