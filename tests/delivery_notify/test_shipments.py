"""Shipments that change, delays without a date, and delivery dates of the carrier, late and repeated."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from libs.common.events.notices import NoticeKind
from libs.common.events.storefront import OrderCancelled, OrderDelayed, OrderDelivered, OrderShipped, ShipmentChanged
from libs.common.events.values import LineQuantity, ShippedLine
from services.delivery_notify.domain.notices import PromiseMade
from services.delivery_notify.domain.order_line import Line
from tests.delivery_notify.conversation_driver import (
    FRIDAY,
    MONDAY,
    NEXT_FRIDAY,
    NEXT_WEDNESDAY,
    ORDER,
    ConversationDriver,
    at,
    drive,
    line,
    of,
    placed,
    reasons,
)

HOUR = timedelta(hours=1)
BOX = "box-1"
TUESDAY = date(2027, 3, 9)


def shipped(*line_ids: str, **more: Any) -> OrderShipped:
    lines = tuple(ShippedLine(line_id=each, quantity=1) for each in line_ids or ("1",))
    known = {"order_id": ORDER, "lines": lines, "shipped_at": MONDAY, "shipment_id": BOX}
    return OrderShipped.model_validate({**known, **more})


def changed(hours: int = 1, **more: Any) -> ShipmentChanged:
    known = {"order_id": ORDER, "shipment_id": BOX, "changed_at": MONDAY + hours * HOUR}
    return ShipmentChanged.model_validate({**known, **more})


def delayed(*line_ids: str, hours: int = 1, **more: Any) -> OrderDelayed:
    known = {"order_id": ORDER, "line_ids": line_ids, "cause": "typhoon", "delayed_at": MONDAY + hours * HOUR}
    return OrderDelayed.model_validate({**known, **more})


def delivered(*line_ids: str) -> OrderDelivered:
    lines = tuple(LineQuantity(line_id=each, quantity=1) for each in line_ids or ("1",))
    return OrderDelivered(order_id=ORDER, lines=lines, delivered_at=MONDAY)


def promised(line_id: str = "1", **more: Any) -> Any:
    return line(line_id, promised_delivery_date=TUESDAY, **more)


def line_of(driver: ConversationDriver, line_id: str = "1") -> Line:
    found = driver.conversation.line(line_id)
    assert found is not None
    return found


def announced(driver: ConversationDriver) -> list[tuple[NoticeKind, list[str | None]]]:
    return [(notice.kind, [each.line_id for each in notice.facts.lines]) for notice in driver.notices]


@pytest.mark.parametrize("change", [{"called_off": True}, {"lines": ()}])
def test_units_that_did_not_leave_after_all_are_owed_and_watched_again(change: dict[str, Any]) -> None:
    driver = drive(placed(), shipped())
    assert driver.timers == {}
    driver.handle(changed(**change))
    assert line_of(driver).open
    driver.advance_to(at(FRIDAY, 18))
    assert announced(driver) == [(NoticeKind.ORDER_DELAYED, ["1"])]


def test_a_shipment_called_off_after_its_promise_is_spoken_of_at_once() -> None:
    driver = drive(placed(), shipped())
    driver.advance_to(at(date(2027, 3, 8), 9))
    driver.handle(changed(24 * 7, called_off=True))
    driver.advance_to(at(date(2027, 3, 8), 9))
    assert announced(driver) == [(NoticeKind.ORDER_DELAYED, ["1"])]


def test_a_change_that_takes_one_line_out_leaves_the_other_shipped() -> None:
    driver = drive(placed(line("1"), line("2")), shipped("1", "2"))
    driver.handle(changed(lines=(ShippedLine(line_id="1", quantity=1),)))
    assert (line_of(driver, "1").open, line_of(driver, "2").open) == (False, True)


def test_a_change_that_overtakes_its_shipment_counts_once_it_has_left() -> None:
    driver = drive(placed(line("1"), line("2")), changed(lines=(ShippedLine(line_id="1", quantity=1),)))
    assert (line_of(driver, "1").open, line_of(driver, "2").open) == (True, True)
    driver.handle(shipped("1", "2"))
    assert (line_of(driver, "1").open, line_of(driver, "2").open) == (False, True)


def test_an_older_change_of_a_shipment_is_ignored() -> None:
    driver = drive(placed(), shipped(), changed(2, lines=(ShippedLine(line_id="1", quantity=1),)))
    assert reasons(driver.handle(changed(1, called_off=True))) == ["repeated_shipment"]
    assert not line_of(driver).open


def test_the_same_shipment_again_is_ignored() -> None:
    driver = drive(placed(line(quantity=2)), shipped())
    assert reasons(driver.handle(shipped())) == ["repeated_shipment"]


def test_the_same_delivery_again_is_ignored() -> None:
    driver = drive(placed(), delivered())
    assert reasons(driver.handle(delivered())) == ["repeated_delivery"]


def test_a_later_delivery_date_of_the_carrier_is_announced() -> None:
    driver = drive(placed(promised()), shipped(expected_delivery_date=NEXT_FRIDAY))
    (notice,) = driver.notices
    assert (notice.kind, notice.facts.day, notice.facts.previous_day) == (
        NoticeKind.DELIVERY_DELAYED,
        NEXT_FRIDAY,
        TUESDAY,
    )


@pytest.mark.parametrize("day", [TUESDAY, TUESDAY - timedelta(days=1)])
def test_a_delivery_date_that_keeps_the_promise_is_no_notice(day: date) -> None:
    driver = drive(placed(promised()), shipped(expected_delivery_date=day))
    assert (driver.kinds, line_of(driver).delivery.day) == ([], TUESDAY)


def test_the_first_delivery_date_of_a_line_was_announced_by_the_shop() -> None:
    driver = drive(placed(), shipped(expected_delivery_date=TUESDAY))
    (row,) = [each for each in of(driver.facts, PromiseMade) if each.day == TUESDAY]
    assert (driver.kinds, row.surface, row.version) == ([], "shop", 1)


def test_a_delivery_date_that_moves_without_any_other_change_is_announced() -> None:
    driver = drive(placed(), shipped(expected_delivery_date=TUESDAY))
    driver.handle(changed(expected_delivery_date=NEXT_FRIDAY))
    assert (driver.kinds, line_of(driver).delivery.day) == ([NoticeKind.DELIVERY_DELAYED], NEXT_FRIDAY)


def test_a_delivery_date_moves_only_for_the_lines_of_its_shipment() -> None:
    driver = drive(placed(line("1"), line("2")))
    driver.handle(shipped("1", expected_delivery_date=TUESDAY))
    driver.handle(shipped("2", shipment_id="box-2", expected_delivery_date=TUESDAY))
    driver.handle(changed(expected_delivery_date=NEXT_FRIDAY))
    assert announced(driver) == [(NoticeKind.DELIVERY_DELAYED, ["1"])]


def test_an_older_delivery_date_does_not_replace_a_newer_one() -> None:
    driver = drive(placed(), shipped(expected_delivery_date=TUESDAY), changed(2, expected_delivery_date=NEXT_FRIDAY))
    assert reasons(driver.handle(changed(1, expected_delivery_date=NEXT_WEDNESDAY))) == ["older_promise"]


def test_a_delivered_line_has_no_delivery_date_any_more() -> None:
    driver = drive(placed(), shipped(expected_delivery_date=TUESDAY), delivered())
    driver.handle(changed(expected_delivery_date=NEXT_FRIDAY))
    assert driver.kinds == []


def test_a_shipment_that_was_called_off_moves_no_delivery_date() -> None:
    driver = drive(placed(promised()), shipped())
    driver.handle(changed(called_off=True, expected_delivery_date=NEXT_FRIDAY))
    assert line_of(driver).delivery.day == TUESDAY


def test_a_parcel_not_delivered_by_the_evening_of_its_day_is_spoken_of() -> None:
    driver = drive(placed(), shipped(expected_delivery_date=TUESDAY))
    driver.advance_to(at(TUESDAY, 20))
    assert announced(driver) == [(NoticeKind.DELIVERY_DELAYED, ["1"])]


def test_a_delay_with_a_date_names_its_cause() -> None:
    driver = drive(placed(), delayed(promised_ship_date=NEXT_FRIDAY))
    (notice,) = driver.notices
    assert (notice.kind, notice.facts.day, notice.facts.code) == (NoticeKind.ORDER_DELAYED, NEXT_FRIDAY, "typhoon")


def test_a_delay_without_a_date_names_the_day_of_the_next_update() -> None:
    driver = drive(placed(), delayed(next_update_by=NEXT_WEDNESDAY))
    (notice,) = driver.notices
    assert (notice.kind, notice.facts.next_update_by, notice.facts.previous_day) == (
        NoticeKind.ORDER_OVERDUE,
        NEXT_WEDNESDAY,
        FRIDAY,
    )


@pytest.mark.parametrize("day", [None, MONDAY.date(), MONDAY.date() - timedelta(days=1)])
def test_without_a_day_to_come_the_next_update_is_that_of_our_policy(day: date | None) -> None:
    driver = drive(placed(), delayed(next_update_by=day))
    assert [notice.facts.next_update_by for notice in driver.notices] == [date(2027, 3, 2)]


def test_the_update_announced_with_a_delay_is_sent() -> None:
    driver = drive(placed(), delayed(next_update_by=NEXT_WEDNESDAY))
    driver.advance_to(at(NEXT_WEDNESDAY, 12))
    assert [notice.facts.update_number for notice in driver.notices] == [1, 2]


def test_a_delay_older_than_the_promised_date_is_ignored() -> None:
    driver = drive(placed(), delayed(hours=5, promised_ship_date=NEXT_FRIDAY))
    assert reasons(driver.handle(delayed(hours=2))) == ["older_promise"]


def test_a_delay_of_what_has_left_is_ignored() -> None:
    driver = drive(placed(), shipped())
    assert reasons(driver.handle(delayed())) == ["nothing_left_to_ship"]


def test_a_delay_of_an_unknown_line_is_reported_to_ops() -> None:
    assert reasons(drive(placed()).handle(delayed("9"))) == ["promise_for_unknown_line"]


def test_an_unknown_line_in_a_delay_keeps_no_news_from_the_known_one() -> None:
    driver = drive(placed(), delayed("1", "9", promised_ship_date=NEXT_FRIDAY))
    assert announced(driver) == [(NoticeKind.ORDER_DELAYED, ["1"])]


def test_a_delay_moves_only_the_lines_that_it_names() -> None:
    driver = drive(placed(line("1"), line("2")), delayed("2", promised_ship_date=NEXT_FRIDAY))
    assert announced(driver) == [(NoticeKind.ORDER_DELAYED, ["2"])]


def test_a_delay_on_the_road_moves_the_delivery_date() -> None:
    driver = drive(placed(promised()), shipped(), delayed(promised_delivery_date=NEXT_FRIDAY))
    (notice,) = driver.notices
    assert (notice.kind, notice.facts.day, notice.facts.code) == (NoticeKind.DELIVERY_DELAYED, NEXT_FRIDAY, "typhoon")


def test_a_delay_of_an_order_of_which_a_part_has_left_is_announced_for_both_parts() -> None:
    driver = drive(placed(promised("1"), promised("2")), shipped("1"), delayed(promised_delivery_date=NEXT_FRIDAY))
    assert announced(driver) == [(NoticeKind.DELIVERY_DELAYED, ["1"]), (NoticeKind.ORDER_OVERDUE, ["2"])]


def test_a_line_that_ships_after_its_delivery_date_is_given_a_new_one() -> None:
    driver = drive(placed(promised()), delayed())
    driver.advance_to(at(TUESDAY, 20))
    assert (driver.kinds[-1], line_of(driver).delivery.notify_at) == (NoticeKind.DELIVERY_OVERDUE, None)
    driver.handle(shipped(shipped_at=driver.now))
    assert (driver.kinds[-1], line_of(driver).delivery.day) == (NoticeKind.DELIVERY_DELAYED, NEXT_FRIDAY)
    assert "overdue" in driver.timers


def test_a_new_ship_date_moves_a_delivery_date_that_it_breaks() -> None:
    driver = drive(placed(promised()), delayed(promised_ship_date=NEXT_FRIDAY))
    (notice,) = driver.notices
    (shown,) = notice.facts.lines
    assert (shown.delivery_date, shown.previous_delivery_date) == (date(2027, 3, 16), TUESDAY)


def test_a_delivery_date_stated_with_the_ship_date_is_promised() -> None:
    driver = drive(
        placed(promised()), delayed(promised_ship_date=NEXT_FRIDAY, promised_delivery_date=date(2027, 3, 19))
    )
    assert line_of(driver).delivery.day == date(2027, 3, 19)


def test_a_line_that_ships_while_its_delay_is_unsent_keeps_its_announced_delivery_date() -> None:
    driver = drive(placed(promised()), delayed(promised_ship_date=NEXT_FRIDAY))
    assert line_of(driver).delivery.day == date(2027, 3, 16)
    driver.handle(shipped())
    assert (line_of(driver).delivery.day, driver.received) == (TUESDAY, [])
    versions = [row.version for row in of(driver.facts, PromiseMade) if row.subject == "delivery"]
    assert versions == [1, 2, 3]


def test_a_carrier_that_breaks_the_delivery_date_that_the_customer_knows_is_announced() -> None:
    driver = drive(placed(promised()), delayed(promised_ship_date=NEXT_FRIDAY))
    driver.handle(shipped(expected_delivery_date=NEXT_WEDNESDAY))
    (notice,) = [notice for notice in driver.notices if notice.kind is NoticeKind.DELIVERY_DELAYED]
    assert (notice.facts.day, notice.facts.previous_day) == (NEXT_WEDNESDAY, TUESDAY)


def test_two_delays_in_one_message_announce_the_delivery_dates_of_both() -> None:
    driver = drive(placed(promised("1"), promised("2")))
    driver.handle(delayed("1", promised_ship_date=NEXT_FRIDAY))
    driver.handle(delayed("2", promised_ship_date=NEXT_FRIDAY))
    shown = [(each.line_id, each.previous_delivery_date) for each in driver.notices[-1].facts.lines]
    assert (len(driver.received), sorted(shown)) == (1, [("1", TUESDAY), ("2", TUESDAY)])


def test_a_line_that_ships_after_its_delay_was_sent_keeps_the_new_delivery_date() -> None:
    driver = drive(placed(promised()), delayed(promised_ship_date=NEXT_FRIDAY))
    driver.advance_to(MONDAY + 2 * HOUR)
    driver.handle(shipped())
    assert line_of(driver).delivery.day == date(2027, 3, 16)


def cancelled(*line_ids: str, moment: datetime = MONDAY) -> OrderCancelled:
    return OrderCancelled(order_id=ORDER, line_ids=line_ids, cancelled_at=moment)


def test_a_cancellation_without_lines_cancels_all() -> None:
    driver = drive(placed(line("1"), line("2")), cancelled())
    assert ([each.cancelled for each in driver.conversation.lines], driver.timers) == ([True, True], {})


def test_a_cancelled_line_is_left_out_of_later_notices() -> None:
    driver = drive(placed(line("1"), line("2")), cancelled("1"))
    driver.advance_to(at(FRIDAY, 18))
    assert announced(driver) == [(NoticeKind.ORDER_DELAYED, ["2"])]


def test_a_cancellation_before_the_order_is_applied_to_it() -> None:
    driver = drive(cancelled(), placed(line("1"), line("2")))
    assert [each.cancelled for each in driver.conversation.lines] == [True, True]
