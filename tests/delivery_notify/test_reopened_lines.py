"""Lines that are owed again after their delay was withdrawn unsent, and the source of each promised date."""

from datetime import date
from typing import Any

import pytest

from libs.common.events.envelope import Payload
from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderChanged
from services.delivery_notify.domain.notices import PromiseMade
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    ConversationDriver,
    drive,
    line,
    of,
    placed,
)
from tests.delivery_notify.test_shipments import BOX, HOUR, TUESDAY, changed, delayed, promised, shipped

LATER = date(2027, 3, 19)


def order_changed(*lines: Any, hours: int = 2) -> OrderChanged:
    return OrderChanged(order_id=ORDER, customer_id=CUSTOMER, changed_at=MONDAY + hours * HOUR, lines=lines)


CALLED_OFF, ONE_MORE = changed(called_off=True), order_changed(line(quantity=2))


def shipped_before_its_delay_was_sent(**more: Any) -> ConversationDriver:
    return drive(placed(promised(**more)), delayed(promised_ship_date=NEXT_FRIDAY), shipped())


def delivered_notices(driver: ConversationDriver) -> list[tuple[NoticeKind, date | None, date | None]]:
    """Return kind, date and previous date of the notices that reach the customer."""
    kept = (notice for notice in driver.notices if notice.notice_id not in driver.withdrawn_unsent)
    return [(notice.kind, notice.facts.day, notice.facts.previous_day) for notice in kept]


@pytest.mark.parametrize("reopening", [CALLED_OFF, ONE_MORE])
def test_a_delay_that_was_withdrawn_is_announced_once_the_line_is_owed_again(reopening: Payload) -> None:
    driver = shipped_before_its_delay_was_sent()
    driver.handle(reopening)
    assert delivered_notices(driver) == [(NoticeKind.ORDER_DELAYED, NEXT_FRIDAY, FRIDAY)]


def test_the_delivery_date_moves_again_with_a_line_that_is_owed_again() -> None:
    driver = shipped_before_its_delay_was_sent()
    driver.handle(CALLED_OFF)
    _withdrawn, again = driver.notices
    (shown,) = again.facts.lines
    assert (shown.delivery_date, shown.previous_delivery_date) == (date(2027, 3, 16), TUESDAY)


def test_a_delay_that_was_sent_is_not_announced_again() -> None:
    driver = drive(placed(), delayed(promised_ship_date=NEXT_FRIDAY))
    driver.advance_to(MONDAY + 2 * HOUR)
    driver.handle(shipped(shipped_at=driver.now))
    driver.handle(changed(3, called_off=True))
    assert delivered_notices(driver) == [(NoticeKind.ORDER_DELAYED, NEXT_FRIDAY, FRIDAY)]


def test_the_next_delay_of_a_line_that_left_for_a_while_names_the_date_that_the_customer_knows() -> None:
    driver = shipped_before_its_delay_was_sent()
    driver.advance_to(MONDAY + 4 * HOUR)
    driver.handle(CALLED_OFF)
    driver.handle(delayed(hours=5, promised_ship_date=LATER))
    assert delivered_notices(driver) == [(NoticeKind.ORDER_DELAYED, LATER, FRIDAY)]


def test_a_date_that_passed_while_the_line_was_away_is_renewed_from_the_one_that_the_customer_knows() -> None:
    driver = shipped_before_its_delay_was_sent()
    driver.advance_to(MONDAY + 14 * 24 * HOUR)
    driver.handle(changed(14 * 24, called_off=True))
    driver.advance_to(driver.now)
    assert [previous for kind, _, previous in delivered_notices(driver) if kind is NoticeKind.ORDER_DELAYED] == [FRIDAY]


def sources(driver: ConversationDriver, day: date) -> list[str]:
    return [row.source for row in of(driver.facts, PromiseMade) if row.day == day]


def test_the_ledger_names_the_change_that_added_a_line() -> None:
    driver = drive(placed(), order_changed(line("2", NEXT_WEDNESDAY, promised_delivery_date=NEXT_FRIDAY)))
    assert (sources(driver, NEXT_WEDNESDAY), sources(driver, NEXT_FRIDAY)) == (["order.changed"], ["order.changed"])


def test_the_ledger_names_the_change_of_a_shipment_that_moved_its_delivery() -> None:
    driver = drive(placed(promised()), shipped(), changed(shipment_id=BOX, expected_delivery_date=NEXT_FRIDAY))
    assert sources(driver, NEXT_FRIDAY) == ["shipment.changed"]
