"""Value of an order for its points: changes, cancellations and refunds of the shop, in any order of arrival."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Facts, Ignored
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import (
    OrderCancelled,
    OrderChanged,
    OrderDelivered,
    OrderPlaced,
    OrderRefunded,
    PreorderProgressed,
)
from libs.common.events.values import ContactChange, LineQuantity, Money, OrderLine
from services.loyalty.domain.decide import decide_order
from services.loyalty.domain.orders import BirthdayProvided, PurchaseChanged, PurchasedOrder
from tests.loyalty.histories import CUSTOMER, NOON, ORDER, event
from tests.loyalty.histories import placed as placed_with_one_line

HOUR = timedelta(hours=1)


def yen(amount: int | str) -> dict[str, Any]:
    return {"amount": str(amount), "currency": "JPY"}


def line(line_id: str = "1", price: int = 1000, quantity: int = 1, currency: str = "JPY") -> OrderLine:
    money = Money(amount=Decimal(price), currency=currency)
    return OrderLine(line_id=line_id, sku=f"SKU-{line_id}", name="kyusu", quantity=quantity, unit_price=money)


def placed(*lines: OrderLine, **more: Any) -> AnyEvent:
    one = placed_with_one_line()
    assert isinstance(one.data, OrderPlaced)
    return event(one.data.model_copy(update={"lines": lines or (line(),), **more}))


def changed(*lines: OrderLine, hours: int = 1, **more: Any) -> AnyEvent:
    known = {"order_id": ORDER, "customer_id": CUSTOMER, "changed_at": NOON + hours * HOUR, "lines": lines}
    return event(OrderChanged.model_validate({**known, **more}))


def delivered(**units: int) -> AnyEvent:
    lines = tuple(LineQuantity(line_id=name[1:], quantity=count) for name, count in (units or {"_1": 1}).items())
    return event(OrderDelivered(order_id=ORDER, lines=lines, delivered_at=NOON))


def cancelled(*line_ids: str, hours: int = 1) -> AnyEvent:
    return event(OrderCancelled(order_id=ORDER, line_ids=line_ids, cancelled_at=NOON + hours * HOUR))


def refunded(*lines: tuple[str, int, int | None], refund: str = "R-1", **more: Any) -> AnyEvent:
    stated = [{"line_id": name, "quantity": n} | ({"amount": yen(a)} if a else {}) for name, n, a in lines]
    known = {"order_id": ORDER, "refund_id": refund, "refunded_at": NOON, "lines": stated}
    return event(OrderRefunded.model_validate({**known, **more}))


def after(*events: AnyEvent) -> PurchasedOrder:
    order = PurchasedOrder(ORDER)
    for each in events:
        order, _ = decide_order(order, each, NOON)
    return order


def last(*events: AnyEvent) -> Facts:
    return decide_order(after(*events[:-1]), events[-1], NOON)[1]


def test_a_unit_that_the_shop_paid_back_is_worth_its_share_of_the_price() -> None:
    assert after(placed(line(quantity=3, price=900)), delivered(_1=3), refunded(("1", 1, None))).kept_amount == 1800


def test_an_amount_that_the_shop_paid_back_counts_as_it_is() -> None:
    assert after(placed(), delivered(), refunded(("1", 1, 250))).kept_amount == 750


def test_a_line_that_a_refund_names_twice_is_paid_back_twice() -> None:
    history = [placed(line(quantity=3)), delivered(_1=3), refunded(("1", 1, 400), ("1", 1, 600))]
    assert after(*history).kept_amount == 2000


def test_all_units_paid_back_one_by_one_leave_nothing() -> None:
    refunds = [refunded(("1", 1, None), refund=f"R-{number}") for number in range(3)]
    assert after(placed(line(price=1000, quantity=3)), delivered(_1=3), *refunds).kept_amount == 0


@pytest.mark.parametrize("refund", [refunded(("1", 1, None)), refunded(("1", 1, 1000)), refunded(amount=yen(1000))])
def test_a_refund_counts_in_any_order_of_the_events(refund: AnyEvent) -> None:
    history = [placed(line(quantity=2)), delivered(_1=2), refund]
    assert {after(*order).kept_amount for order in permutations(history)} == {1000}


@pytest.mark.parametrize("amount", [1000, None])
def test_the_refund_of_a_removed_unit_takes_nothing_from_the_one_that_was_kept(amount: int | None) -> None:
    history = (placed(line(quantity=2)), changed(line(quantity=1)), refunded(("1", 1, amount)), delivered())
    assert {after(*order).kept_amount for order in permutations(history)} == {1000}


def test_a_refund_of_more_units_than_were_removed_takes_the_rest_from_those_kept() -> None:
    history = (placed(line(quantity=3)), changed(line(quantity=2)), refunded(("1", 2, None)), delivered(_1=2))
    assert {after(*order).kept_amount for order in permutations(history)} == {1000}


def test_the_refund_of_a_removed_unit_may_name_no_line() -> None:
    history = (placed(line(quantity=2)), changed(line(quantity=1)), refunded(amount=yen(1000)), delivered())
    assert after(*history).kept_amount == 1000


def test_a_unit_that_a_corrected_order_removed_is_paid_back_alone() -> None:
    corrected = placed(line(quantity=1), updated_at=NOON + 2 * HOUR)
    history = (placed(line(quantity=2)), corrected, refunded(("1", 1, 1000)), delivered())
    assert {after(*order).kept_amount for order in permutations(history)} == {1000}


def test_a_refund_of_no_line_is_spread_by_value_without_its_shipping() -> None:
    order = after(placed(line("1", 3000), line("2", 1000)), delivered(_1=1, _2=1))
    assert order.kept_amount == 4000
    order, _ = decide_order(order, refunded(amount=yen(2500), shipping=yen(500)), NOON)
    assert [order.kept_lines[each].delivered for each in ("1", "2")] == [1500, 500]


def test_a_refund_of_shipping_alone_costs_no_points() -> None:
    assert after(placed(), delivered(), refunded(amount=yen(500), shipping=yen(500))).kept_amount == 1000


def test_a_refund_sent_again_counts_once() -> None:
    history = [placed(line(quantity=3)), delivered(_1=3), refunded(("1", 1, None)), refunded(("1", 1, None))]
    assert int(after(*history).kept_amount) == 2000
    assert list(last(*history)) == [Ignored("order_unchanged")]


def test_more_than_the_price_paid_back_leaves_nothing_and_no_debt() -> None:
    assert after(placed(), delivered(), refunded(("1", 1, 5000))).kept_amount == 0


def test_a_refund_takes_nothing_of_units_that_are_still_to_arrive() -> None:
    order = after(placed(line(quantity=2)), delivered(_1=1), refunded(("1", 1, None)))
    assert [order.kept_amount, order.kept_lines["1"].paid] == [1000, 1000]


def test_a_refund_of_an_unknown_line_changes_nothing() -> None:
    assert after(placed(), delivered(), refunded(("9", 1, None))).kept_amount == 1000


def test_an_added_line_is_worth_its_price_once_it_arrives() -> None:
    order = after(placed(), changed(line("2", 500)), delivered(_1=1))
    other = after(placed(), changed(line("2", 500)), delivered(_2=1))
    assert [order.kept_amount, other.kept_amount] == [1000, 500]


def test_a_reduced_line_is_worth_what_was_paid_for_the_rest() -> None:
    assert after(placed(line(quantity=3)), delivered(_1=3), changed(line(quantity=1))).kept_amount == 1000


def test_a_removed_line_is_worth_nothing() -> None:
    assert after(placed(), delivered(), changed(line(quantity=0))).kept_amount == 0


@pytest.mark.parametrize(("hours", "kept"), [(3, 500), (2, 500), (1, 2000)])
def test_the_newest_price_of_a_line_counts(hours: int, kept: int) -> None:
    history = [placed(), changed(line(price=2000), hours=2), changed(line(price=500), hours=hours), delivered()]
    assert after(*history).kept_amount == kept


def test_changes_before_the_order_are_applied_by_their_time() -> None:
    changes = [changed(line(price=2000), hours=2), changed(line(price=500), hours=1)]
    for early in permutations(changes):
        order = after(*early, placed(), delivered())
        assert (int(order.kept_amount), len(order.early_changes)) == (2000, 0)


def test_an_early_change_keeps_no_contact() -> None:
    order = after(changed(line(), contact=ContactChange(email="hanako@example.jp")))
    assert [change.contact for change in order.early_changes] == [None]


def test_a_change_without_lines_is_of_no_use_here() -> None:
    contact = ContactChange(email="hanako@example.jp")
    assert last(placed(), changed(contact=contact)) == (Ignored("order_unchanged"),)


def test_a_line_in_another_currency_earns_nothing() -> None:
    order = after(placed(), changed(line("2", 500, currency="USD")), delivered(_1=1, _2=1))
    assert (int(order.kept_amount), set(order.prices)) == (1000, {"1"})


def test_a_cancelled_line_is_worth_nothing_and_the_other_keeps_its_value() -> None:
    assert after(placed(line("1"), line("2", 500)), delivered(_1=1, _2=1), cancelled("1")).kept_amount == 500


def test_a_cancellation_of_the_whole_order_counts_in_any_order_of_the_events() -> None:
    history = [placed(line("1"), line("2", 500)), delivered(_1=1, _2=1), cancelled()]
    assert {after(*order).kept_amount for order in permutations(history)} == {0}


def test_a_cancellation_of_one_line_counts_in_any_order_of_the_events() -> None:
    history = [placed(line("1"), line("2", 500)), delivered(_1=1, _2=1), cancelled("2")]
    assert {after(*order).kept_amount for order in permutations(history)} == {1000}


@pytest.mark.parametrize(("hours", "kept"), [(1, 0), (3, 500)])
def test_a_cancellation_before_the_order_takes_only_lines_that_were_there_by_then(hours: int, kept: int) -> None:
    history = [cancelled(hours=2), changed(line("2", 500), hours=hours), placed(), delivered(_1=1, _2=1)]
    assert after(*history).kept_amount == kept


def test_a_line_added_after_the_cancellation_is_worth_its_price() -> None:
    assert after(placed(), cancelled(), changed(line("2", 500), hours=2), delivered(_2=1)).kept_amount == 500


def test_each_change_of_the_value_is_passed_to_the_ledger_with_its_version() -> None:
    changes = [fact for fact in last(placed(line(quantity=2)), delivered(_1=1)) if isinstance(fact, PurchaseChanged)]
    assert changes == [PurchaseChanged(CUSTOMER, ORDER, 1, NOON)]


def test_a_change_that_leaves_the_value_as_it_is_is_not_passed_on() -> None:
    assert not any(isinstance(fact, PurchaseChanged) for fact in last(placed(), changed(line("2", 500))))


def test_an_event_that_says_nothing_about_points_is_ignored() -> None:
    progressed = event(PreorderProgressed(order_id=ORDER, line_id="1", stage="packing", progressed_at=NOON))
    assert last(placed(), progressed) == (Ignored("unhandled_event"),)


def test_a_birthday_is_recorded_with_the_first_order_only() -> None:
    first = placed(birthday="02-29")
    assert last(first) == (BirthdayProvided(CUSTOMER, "02-29", NOON, NOON),)
    again = placed(line(quantity=2), birthday="03-01", updated_at=NOON + HOUR)
    assert not any(isinstance(fact, BirthdayProvided) for fact in last(first, again))


EVENTS = [
    placed(line("1", 999, 3), line("2", 500)),
    changed(line("1", 999, 2), hours=1),
    changed(line("3", 700), hours=2),
    delivered(_1=2),
    delivered(_1=1, _2=1),
    delivered(_3=1),
    cancelled("2"),
    refunded(("1", 1, None)),
    refunded(("3", 1, 300), refund="R-2"),
    refunded(amount=yen(100), refund="R-3"),
]


@given(st.permutations(EVENTS), st.lists(st.sampled_from(EVENTS), max_size=4))
def test_neither_order_nor_repetition_of_the_events_changes_the_value(
    history: list[AnyEvent], repeated: list[AnyEvent]
) -> None:
    assert after(*history, *repeated).kept_amount == after(*EVENTS).kept_amount


@given(st.lists(st.sampled_from(EVENTS), max_size=15))
def test_an_order_is_never_worth_less_than_nothing_or_more_than_was_paid(history: list[AnyEvent]) -> None:
    order = after(*history)
    paid = sum((price.paid for price in order.prices.values()), Decimal(0))
    assert 0 <= order.kept_amount <= paid
    assert order.kept_amount == sum((each.delivered for each in order.kept_lines.values()), Decimal(0))
