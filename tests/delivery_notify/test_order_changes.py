"""Corrections of an order: lines, quantities, market and contact, by the shop's time and in any order of arrival."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest

from libs.common.events.notices import NoticeKind
from libs.common.events.personal import REDACTED_CONTACT
from libs.common.events.storefront import (
    OrderChanged,
    OrderDelivered,
    OrderPromiseChanged,
    OrderShipped,
    PreorderProgressed,
)
from libs.common.events.values import ContactChange, LineQuantity, ShippedLine
from services.delivery_notify.domain.notices import ContactRecorded, PromiseMade
from services.delivery_notify.domain.order_line import Line
from tests.delivery_notify.conversation_driver import (
    CUSTOMER,
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


def changed(*lines: Any, hours: int = 1, **more: Any) -> OrderChanged:
    known = {"order_id": ORDER, "customer_id": CUSTOMER, "changed_at": MONDAY + hours * HOUR, "lines": lines}
    return OrderChanged.model_validate({**known, **more})


def shipped(quantity: int = 1, line_id: str = "1", **more: Any) -> OrderShipped:
    lines = (ShippedLine(line_id=line_id, quantity=quantity),)
    return OrderShipped.model_validate({"order_id": ORDER, "lines": lines, "shipped_at": MONDAY, **more})


def moved(day: date) -> OrderPromiseChanged:
    return OrderPromiseChanged(order_id=ORDER, promised_ship_date=day, changed_at=MONDAY + HOUR)


def line_of(driver: ConversationDriver, line_id: str = "1") -> Line:
    found = driver.conversation.line(line_id)
    assert found is not None
    return found


def rows(driver: ConversationDriver) -> list[tuple[str, int, date, str | None]]:
    return [(row.subject_id, row.version, row.day, row.surface) for row in of(driver.facts, PromiseMade)]


def test_an_added_line_is_promised_as_of_the_change() -> None:
    driver = drive(placed(), changed(line("2", NEXT_FRIDAY)))
    assert rows(driver) == [("1", 1, FRIDAY, "shop"), ("2", 1, NEXT_FRIDAY, "shop")]
    assert of(driver.facts, PromiseMade)[-1].promised_at == MONDAY + HOUR


def test_an_added_line_is_announced_when_its_promise_is_broken() -> None:
    driver = drive(placed(line(promise=None)), changed(line("2", FRIDAY)))
    driver.advance_to(at(FRIDAY, 18))
    assert [[each.line_id for each in notice.facts.lines] for notice in driver.notices] == [["2"]]


def test_a_changed_line_has_its_new_name_and_quantity() -> None:
    driver = drive(placed(), changed(line("1", quantity=3, name="湯のみ")))
    assert (line_of(driver).name, line_of(driver).quantity) == ("湯のみ", 3)


@pytest.mark.parametrize(("hours", "quantity"), [(3, 4), (2, 4), (1, 2)])
def test_the_newest_change_of_a_line_counts(hours: int, quantity: int) -> None:
    driver = drive(placed(), changed(line("1", quantity=2), hours=2))
    facts = driver.handle(changed(line("1", quantity=4), hours=hours))
    assert line_of(driver).quantity == quantity
    assert reasons(facts) == (["older_change"] if quantity == 2 else [])


def test_a_change_keeps_the_promised_date_of_its_line() -> None:
    driver = drive(placed(), changed(line("1", NEXT_FRIDAY, quantity=2)))
    assert line_of(driver).shipping.day == FRIDAY


def test_a_quantity_raised_after_the_shipment_is_owed_and_watched() -> None:
    driver = drive(placed(), shipped())
    assert driver.timers == {}
    driver.handle(changed(line("1", quantity=2)))
    driver.advance_to(at(FRIDAY, 18))
    assert driver.kinds == [NoticeKind.ORDER_DELAYED]


def test_a_quantity_lowered_to_what_has_shipped_ends_the_question_about_the_rest() -> None:
    driver = drive(placed(line(quantity=2)), shipped(), moved(NEXT_FRIDAY))
    driver.handle(changed(line("1", quantity=1), hours=2))
    assert [question.closed_by for question in driver.conversation.questions] == ["changed"]
    assert {notice.notice_id for notice in driver.notices} <= driver.withdrawn


def test_a_removed_line_is_not_announced_as_late() -> None:
    driver = drive(placed(line("1"), line("2")), changed(line("2", quantity=0)))
    driver.advance_to(at(FRIDAY, 18))
    assert [[each.line_id for each in notice.facts.lines] for notice in driver.notices] == [["1"]]


def test_a_change_before_the_order_is_applied_once_it_is_placed() -> None:
    driver = drive(changed(line("1", quantity=5), line("2", NEXT_FRIDAY)), placed())
    assert [(each.line_id, each.quantity) for each in driver.conversation.lines] == [("1", 5), ("2", 1)]


def test_a_contact_that_overtakes_its_order_is_recorded_at_once_and_not_buffered() -> None:
    contact = ContactChange(email="new@example.jp")
    driver = drive(changed(line("1", quantity=2), contact=contact))
    (recorded,) = of(driver.facts, ContactRecorded)
    assert (recorded.contact, recorded.stated_at) == (contact, MONDAY + HOUR)
    assert ["example.jp" in each.body for each in driver.conversation.buffered] == [False]


def test_a_changed_contact_alone_changes_nothing_else() -> None:
    driver = drive(placed())
    before = driver.state
    facts = driver.handle(changed(contact=ContactChange(name="山田 はな")))
    assert (len(facts), driver.state) == (1, before)


def test_a_changed_recipient_is_recorded_beside_the_contact() -> None:
    driver = drive(placed())
    (recorded,) = of(driver.handle(changed(recipient=ContactChange(name="鈴木 一郎"))), ContactRecorded)
    assert (recorded.contact, recorded.recipient) == (ContactChange(), ContactChange(name="鈴木 一郎"))


def test_an_order_sent_again_without_its_personal_data_changes_no_contact() -> None:
    driver = drive(placed())
    assert of(driver.handle(placed(contact=REDACTED_CONTACT)), ContactRecorded) == []


def test_an_order_sent_again_unchanged_is_ignored() -> None:
    driver = drive(placed())
    assert reasons(driver.handle(placed())) == ["duplicate_order"]


def test_an_order_sent_again_with_other_lines_is_a_correction() -> None:
    driver = drive(placed())
    driver.now = MONDAY + HOUR
    driver.handle(placed(line("1", quantity=2), line("2", NEXT_FRIDAY)))
    assert [(each.line_id, each.quantity) for each in driver.conversation.lines] == [("1", 2), ("2", 1)]


def test_a_line_added_by_a_correction_is_promised_as_of_the_order() -> None:
    driver = drive(placed())
    driver.now = MONDAY + HOUR
    driver.handle(placed(line("1"), line("2", NEXT_FRIDAY)))
    assert of(driver.facts, PromiseMade)[-1].promised_at == MONDAY


def test_a_correction_older_than_a_change_of_a_line_does_not_undo_it() -> None:
    driver = drive(placed(), changed(line("1", quantity=5), hours=2))
    facts = driver.handle(placed(line("1", quantity=2), updated_at=MONDAY + HOUR))
    assert (reasons(facts), line_of(driver).quantity) == (["older_change"], 5)


def silence_means(driver: ConversationDriver) -> list[str]:
    driver.advance_to(MONDAY + 3 * HOUR)
    driver.handle(OrderPromiseChanged(order_id=ORDER, promised_ship_date=date(2027, 5, 3), changed_at=driver.now))
    return [notice.facts.terms.silence_means for notice in driver.notices if notice.facts.terms]


def test_a_corrected_market_has_its_own_law() -> None:
    assert silence_means(drive(placed(), changed(market="US"))) == ["cancels"]


def test_the_market_of_an_order_sent_again_is_corrected() -> None:
    driver = drive(placed())
    driver.handle(placed(market="US", updated_at=MONDAY + HOUR))
    assert silence_means(driver) == ["cancels"]


def test_the_newest_statement_of_the_market_counts() -> None:
    driver = drive(placed(), changed(market="US", hours=2), changed(market="JP", hours=1))
    assert silence_means(driver) == ["cancels"]


def test_an_older_correction_does_not_undo_a_newer_market() -> None:
    driver = drive(placed(), changed(market="US", hours=2))
    driver.handle(placed(line("1", quantity=2), updated_at=MONDAY + HOUR))
    assert silence_means(driver) == ["cancels"]


def test_a_virtual_item_is_neither_promised_nor_awaited() -> None:
    driver = drive(placed(line(requires_shipping=False, quantity=2)))
    assert (rows(driver), driver.timers, line_of(driver).open) == ([], {}, False)


def test_more_of_a_virtual_item_is_not_awaited_either() -> None:
    driver = drive(placed(line(requires_shipping=False)), changed(line(requires_shipping=False, quantity=3)))
    assert (line_of(driver).shipped, line_of(driver).delivered, line_of(driver).open) == (3, 3, False)


def test_a_delivered_unit_was_shipped_also_without_a_report_of_that() -> None:
    delivered = OrderDelivered(order_id=ORDER, lines=(LineQuantity(line_id="1", quantity=1),), delivered_at=MONDAY)
    driver = drive(placed(line(quantity=2)), delivered)
    assert (line_of(driver).shipped, line_of(driver).delivered) == (1, 1)


def test_more_than_was_ordered_counts_as_what_was_ordered() -> None:
    driver = drive(placed(), shipped(quantity=3))
    assert line_of(driver).shipped == 1


def test_units_of_an_unknown_line_are_reported_to_ops() -> None:
    driver = drive(placed())
    delivered = OrderDelivered(order_id=ORDER, lines=(LineQuantity(line_id="9", quantity=1),), delivered_at=MONDAY)
    assert reasons(driver.handle(shipped(line_id="9"))) == ["shipped_unknown_line"]
    assert reasons(driver.handle(delivered)) == ["delivered_unknown_line"]


def test_the_progress_of_an_unknown_line_is_reported_to_ops() -> None:
    event = PreorderProgressed(order_id=ORDER, line_id="9", stage="packing", progressed_at=MONDAY)
    assert reasons(drive(placed()).handle(event)) == ["progress_of_unknown_line"]


def progress(stage: str, moment: datetime, day: date | None = None) -> PreorderProgressed:
    return PreorderProgressed(
        order_id=ORDER, line_id="1", stage=stage, progressed_at=moment, promised_ship_date=day, detail=f"about {stage}"
    )


def test_an_older_stage_does_not_replace_a_newer_one() -> None:
    driver = drive(placed(line(preorder=True)), progress("packing", MONDAY + HOUR))
    assert reasons(driver.handle(progress("materials", MONDAY))) == ["older_stage"]
    assert (line_of(driver).stage, line_of(driver).stage_detail) == ("packing", "about packing")


def test_a_line_with_progress_is_a_preorder() -> None:
    driver = drive(placed(), progress("materials", MONDAY))
    assert (line_of(driver).preorder, driver.conversation.next_progress_at is not None) == (True, True)


def test_a_date_that_comes_with_a_stage_is_promised() -> None:
    driver = drive(placed(line(preorder=True)), progress("packing", MONDAY + HOUR, NEXT_WEDNESDAY))
    assert (line_of(driver).shipping.day, driver.kinds) == (NEXT_WEDNESDAY, [NoticeKind.ORDER_DELAYED])
