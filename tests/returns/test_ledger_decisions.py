"""Ledger of an order: what the shop, its payment provider and its carrier say, in any order and repeated."""

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from libs.common.decisions.facts import Ignored
from libs.common.events.carrier import ParcelScanned
from libs.common.events.envelope import Payload
from libs.common.events.payment import ChargebackReversed, PaymentChargedBack
from libs.common.events.storefront import (
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    OrderShipped,
)
from libs.common.events.values import Address, Contact, LineQuantity, Money, OrderLine, RawStatus
from services.returns.domain.ledger_decisions import decide_ledger, order_of
from services.returns.domain.state.order_ledger import OrderLedger
from tests.returns.cases import HOME, ISSUE, TUESDAY, event_of

HOUR = timedelta(hours=1)


def money(amount: int) -> Money:
    return Money(amount=Decimal(amount), currency="JPY")


def order_line(line_id: str = "1", quantity: int = 2, price: int = 1200) -> OrderLine:
    return OrderLine(line_id=line_id, sku=f"SKU-{line_id}", name="Teapot", quantity=quantity, unit_price=money(price))


def placed(*lines: OrderLine) -> OrderPlaced:
    contact = Contact(name="Sato Hana", email="hana@example.jp")
    ids = {"order_id": "O-1", "customer_id": "C-1"}
    return OrderPlaced(**ids, placed_at=TUESDAY, lines=lines or (order_line(),), contact=contact, ship_to=HOME)


def changed(*lines: OrderLine, hours: int = 1, ship_to: Address | None = None) -> OrderChanged:
    at = TUESDAY + hours * HOUR
    return OrderChanged(order_id="O-1", customer_id="C-1", changed_at=at, lines=lines, ship_to=ship_to)


def refunded(refund_id: str = "R-1", **fields: Any) -> OrderRefunded:
    return OrderRefunded(order_id="O-1", refund_id=refund_id, refunded_at=TUESDAY, **fields)


def scan(code: str, hours: int, **fields: Any) -> ParcelScanned:
    raw = RawStatus(source="easypost", code=code)
    return ParcelScanned(order_id="O-1", raw=raw, scanned_at=TUESDAY + hours * HOUR, **fields)


def ledger(*payloads: Payload) -> OrderLedger:
    state = OrderLedger("O-1")
    for payload in payloads:
        state, _ = decide_ledger(state, event_of(payload), TUESDAY)
    return state


def test_an_order_sets_what_was_paid() -> None:
    found = ledger(placed(order_line("1", 2, 1200), order_line("2", 1, 1000)))
    assert (found.customer_id, found.received, found.lines["1"].paid) == ("C-1", Decimal(3400), Decimal(2400))


def test_a_changed_line_is_paid_at_its_new_price() -> None:
    found = ledger(placed(), changed(order_line("1", 1, 1500)))
    assert (found.received, found.lines["1"].quantity) == (Decimal(1500), 1)


def test_a_line_that_was_added_is_paid_too() -> None:
    assert ledger(placed(), changed(order_line("2", 1, 500))).received == Decimal(2900)


def test_a_removed_line_costs_nothing_and_goes_back_for_nothing() -> None:
    found = ledger(placed(order_line("1"), order_line("2", 1, 1000)), changed(order_line("2", 0, 1000)))
    assert found.received == Decimal(2400)
    back = ledger_after(found, refunded(lines=({"line_id": "2", "quantity": 1},)))
    assert back.back_by_shop.amount == 0


def ledger_after(state: OrderLedger, *payloads: Payload) -> OrderLedger:
    for payload in payloads:
        state, _ = decide_ledger(state, event_of(payload), TUESDAY)
    return state


CORRECTIONS = (
    placed(order_line("1"), order_line("2", 1, 1000)),
    changed(order_line("1", 2, 1100), hours=1),
    changed(order_line("1", 1, 900), hours=2),
    changed(order_line("3", 1, 300), hours=1),
)


@pytest.mark.parametrize("order", list(permutations(range(len(CORRECTIONS)))))
def test_corrections_come_to_the_same_in_whatever_order_they_arrive(order: tuple[int, ...]) -> None:
    found = ledger(*(CORRECTIONS[place] for place in order), CORRECTIONS[order[0]])
    paid = {line_id: line.paid for line_id, line in found.lines.items()}
    assert paid == {"1": Decimal(900), "2": Decimal(1000), "3": Decimal(300)}
    assert (found.received, found.early_changes) == (Decimal(2200), ())


def test_a_change_before_its_order_keeps_no_address() -> None:
    (early,) = ledger(changed(order_line(), ship_to=HOME)).early_changes
    assert (early.ship_to, early.contact, early.recipient, len(early.lines)) == (None, None, None, 1)


def test_a_change_without_lines_changes_no_money() -> None:
    assert ledger(placed(), changed(ship_to=HOME)) == ledger(placed())


def test_the_same_delivery_counts_once() -> None:
    lines = (LineQuantity(line_id="1", quantity=1),)
    arrived = OrderDelivered(order_id="O-1", lines=lines, delivered_at=TUESDAY, shipment_id="s-1")
    other = arrived.model_copy(update={"shipment_id": "s-2"})
    assert ledger(placed(), arrived, arrived).delivered_units("1") == 1
    assert ledger(placed(), arrived, other).delivered_units("1") == 2


def test_cancelled_lines_add_up_until_the_whole_order_is_cancelled() -> None:
    def cancelled(*line_ids: str) -> OrderCancelled:
        return OrderCancelled(order_id="O-1", line_ids=line_ids, cancelled_at=TUESDAY)

    some = ledger(placed(), cancelled("1"), cancelled("2"))
    assert [some.is_line_cancelled(line_id) for line_id in "123"] == [True, True, False]
    assert ledger(placed(), cancelled()).is_line_cancelled("3")


def test_a_refund_of_the_shop_counts_once_by_its_id() -> None:
    found = ledger(placed(), refunded(amount=money(500)), refunded(amount=money(500)), refunded("R-2", amount=money(1)))
    assert found.back_by_shop.amount == Decimal(501)


def test_a_refund_without_an_amount_is_the_price_of_its_units_with_shipping() -> None:
    found = ledger(placed(), refunded(lines=({"line_id": "1", "quantity": 1},), shipping=money(300)))
    assert (found.back_by_shop.amount, found.refunded_by_shop) == (Decimal(1500), {"1": 1})


def test_a_refund_of_everything_is_of_every_unit() -> None:
    assert ledger(placed(), refunded(amount=money(2400))).refunded_by_shop == {"1": 2}
    assert ledger(placed(), refunded(amount=money(2399))).refunded_by_shop == {}


def test_a_chargeback_takes_its_money_until_the_shop_wins_it_back() -> None:
    taken = PaymentChargedBack(order_id="O-1", transaction_id="cb-1", amount=money(1200), charged_back_at=TUESDAY)
    won = ChargebackReversed(order_id="O-1", transaction_id="cb-1", amount=money(1200), reversed_at=TUESDAY)
    assert ledger(placed(), taken, taken).charged_back == Decimal(1200)
    assert ledger(placed(), taken, won).charged_back == ledger(placed(), won, taken).charged_back == 0


@pytest.mark.parametrize("number", ["1234-5678-9012", "123456789012"])
def test_the_last_scan_of_a_parcel_counts_however_its_number_is_written(number: str) -> None:
    earlier, later = scan("delivered", 2, tracking_number="123456789012"), scan("in_transit", 1, tracking_number=number)
    assert ledger(earlier, later) == ledger(earlier)
    assert len(ledger(earlier).scans) == 1


def test_a_scan_that_nobody_can_read_changes_nothing() -> None:
    assert ledger(scan("?", 1, tracking_number="1")) == OrderLedger("O-1")


def test_an_event_about_money_of_no_order_is_ignored() -> None:
    shipped = OrderShipped(order_id="O-1", lines=(LineQuantity(line_id="1", quantity=1),), shipped_at=TUESDAY)
    state, facts = decide_ledger(OrderLedger("O-1"), event_of(shipped), TUESDAY)
    assert (state, facts) == (OrderLedger("O-1"), [Ignored("not_handled")])


def test_a_scan_of_a_replacement_is_about_no_order() -> None:
    at: datetime = TUESDAY
    about_issue = scan("delivered", 1).model_copy(update={"issue_id": ISSUE, "scanned_at": at})
    assert [order_of(event_of(each)) for each in (scan("delivered", 1), about_issue)] == ["O-1", None]
