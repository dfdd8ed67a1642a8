"""Money of an order that its shop corrects: what was paid for each unit that stays, in any order of arrival."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest

from libs.common.events.envelope import Payload
from libs.common.events.storefront import OrderChanged, OrderPlaced, OrderRefunded
from libs.common.events.values import OrderLine, PointsSpent
from services.returns.domain.ledger_decisions import decide_ledger
from services.returns.domain.state.order_ledger import OrderLedger
from tests.returns.cases import TUESDAY, event_of, line
from tests.returns.paid_orders import lost, money, order_line, requested

HOUR = timedelta(hours=1)
TWO_UNITS = order_line("1", "1000", quantity=2)
ONE_UNIT = order_line("1", "1000", quantity=1)
POINTS = PointsSpent(points=1000, amount=money("1000"))


def placed(*lines: OrderLine, hours: int = 0, **fields: Any) -> OrderPlaced:
    known = {"order_id": "O-1", "customer_id": "C-1", "placed_at": TUESDAY, "lines": lines}
    return OrderPlaced.model_validate({**known, **({"updated_at": TUESDAY + hours * HOUR} if hours else {}), **fields})


def changed(*lines: OrderLine, hours: int = 1) -> OrderChanged:
    return OrderChanged(order_id="O-1", customer_id="C-1", changed_at=TUESDAY + hours * HOUR, lines=lines)


def refunded(refund_id: str = "R-1") -> OrderRefunded:
    """Return the refund of one unit."""
    stated = {"line_id": "1", "quantity": 1, "amount": money("1000")}
    known = {"order_id": "O-1", "refund_id": refund_id, "refunded_at": TUESDAY + HOUR, "lines": [stated]}
    return OrderRefunded.model_validate(known)


def ledger(*payloads: Payload) -> OrderLedger:
    state = OrderLedger("O-1")
    for payload in payloads:
        state, _ = decide_ledger(state, event_of(payload), TUESDAY)
    return state


def money_of(found: OrderLedger) -> tuple[dict[str, int], int]:
    """Return what was paid for each line, and for the order."""
    return {line_id: int(known.paid) for line_id, known in found.lines.items()}, int(found.received)


@pytest.mark.parametrize(
    ("order", "received"),
    [(placed(TWO_UNITS, points_spent=POINTS), 1000), (placed(TWO_UNITS, total_amount=money("1500")), 1500)],
)
def test_a_line_that_is_restated_keeps_its_discount(order: OrderPlaced, received: int) -> None:
    renamed = TWO_UNITS.model_copy(update={"name": "Kyusu"})
    found = ledger(order, changed(renamed))
    assert money_of(found) == ({"1": received}, received)


def test_a_new_price_adds_only_its_difference() -> None:
    found = ledger(placed(TWO_UNITS, points_spent=POINTS), changed(order_line("1", "1200", quantity=2)))
    assert money_of(found) == ({"1": 1400}, 1400)


def test_the_units_that_stay_keep_their_part_of_the_discount() -> None:
    found = ledger(placed(TWO_UNITS, points_spent=POINTS), changed(ONE_UNIT))
    assert money_of(found) == ({"1": 500}, 500)


def test_a_discount_line_that_is_added_lowers_the_payment() -> None:
    assert ledger(placed(TWO_UNITS), changed(order_line("coupon", "-300"))).received == 1700


@pytest.mark.parametrize(
    "events", list(permutations((placed(TWO_UNITS), changed(ONE_UNIT), refunded()))), ids=lambda _: ""
)
def test_the_refund_of_a_removed_unit_is_not_taken_from_the_one_that_stays(events: tuple[Payload, ...]) -> None:
    found = ledger(*events)
    assert requested(lost(found, line(price="1000"))) == [1000]
    assert not found.back_by_shop.amount


def test_the_refund_of_a_removed_unit_may_name_no_line() -> None:
    back = refunded().model_copy(update={"lines": (), "amount": money("1000")})
    found = ledger(placed(TWO_UNITS), changed(ONE_UNIT), back)
    assert requested(lost(found, line(price="1000"))) == [1000]


def test_a_total_that_stays_after_a_removal_is_lowered_by_the_refund() -> None:
    total = money("2000")
    found = ledger(placed(TWO_UNITS, total_amount=total), refunded(), placed(ONE_UNIT, hours=2, total_amount=total))
    assert found.received - found.back_by_shop.amount == 1000
    assert requested(lost(found, line(price="1000"))) == [1000]


def test_a_second_refund_is_of_the_unit_that_stayed() -> None:
    found = ledger(placed(TWO_UNITS), changed(ONE_UNIT), refunded(), refunded("R-2"))
    assert found.refunded_by_shop == {"1": 1}
    assert requested(lost(found, line(price="1000"))) == []


def test_a_refund_of_more_units_than_were_removed_is_of_some_that_stayed() -> None:
    found = ledger(placed(order_line("1", "1000", quantity=3)), changed(TWO_UNITS), refunded(), refunded("R-2"))
    assert found.refunded_by_shop == {"1": 1}


def test_the_refund_of_a_removed_unit_counts_so_when_the_first_order_arrives_last() -> None:
    found = ledger(placed(ONE_UNIT, hours=2), refunded(), placed(TWO_UNITS))
    assert not found.back_by_shop.units


def test_a_line_that_is_gone_was_paid_back_for_its_case() -> None:
    found = ledger(placed(ONE_UNIT), changed(order_line("1", "1000", quantity=0)), refunded())
    assert found.refunded_by_shop == {"1": 1}


ADDED = order_line("2", "500")


@pytest.mark.parametrize(
    "events",
    list(permutations((placed(ONE_UNIT), changed(ADDED, hours=1), placed(ONE_UNIT, hours=2, market="US")))),
    ids=lambda _: "",
)
def test_a_correction_keeps_the_lines_that_it_does_not_name(events: tuple[Payload, ...]) -> None:
    found = ledger(*events)
    assert money_of(found) == ({"1": 1000, "2": 500}, 1500)


@pytest.mark.parametrize(
    "events",
    list(
        permutations((placed(ONE_UNIT), changed(ADDED, hours=1), placed(ONE_UNIT, hours=2, total_amount=money("900"))))
    ),
    ids=lambda _: "",
)
def test_a_stated_total_contains_the_lines_that_were_added_before_it(events: tuple[Payload, ...]) -> None:
    assert ledger(*events).received == 900


def test_an_older_correction_that_arrives_late_changes_no_totals() -> None:
    newer = placed(ONE_UNIT, hours=3, shipping=money("300"), payment_reference="P-2")
    older = placed(order_line("1", "700"), hours=1, shipping=money("900"), payment_reference="P-1")
    found = ledger(newer, older)
    assert (found.received, found.shipping, found.payment_reference) == (Decimal(1300), Decimal(300), "P-2")
    assert found.lines["1"].paid == 1000


def test_a_change_that_is_newer_than_a_late_correction_stays_paid() -> None:
    found = ledger(placed(ONE_UNIT), changed(ADDED, hours=2), placed(ONE_UNIT, hours=1, market="US"))
    assert money_of(found) == ({"1": 1000, "2": 500}, 1500)


def test_the_newest_correction_sent_again_after_an_older_one_changes_nothing() -> None:
    newest = placed(ONE_UNIT, hours=3)
    found = ledger(newest, placed(order_line("1", "700"), hours=1))
    assert ledger(newest, placed(order_line("1", "700"), hours=1), newest) == found
