"""Money of Shopify orders: discounts, taxes and shipping as the customer paid them."""

from decimal import Decimal
from typing import Any

import pytest

from libs.common.events.storefront import OrderPlaced
from libs.common.events.values import Money
from services.intake.storefronts.shopify import read
from tests.intake.storefronts.calls import shop_order


def placed(line: dict[str, Any] | None = None, **order: Any) -> OrderPlaced:
    body = shop_order(**order)
    body["line_items"][0] |= line or {}
    (found,) = read("orders/create", body)
    assert isinstance(found.payload, OrderPlaced)
    return found.payload


def paid(line: dict[str, Any] | None = None, **order: Any) -> Decimal:
    return placed(line, **order).lines[0].paid.amount


def test_without_discount_or_tax_each_unit_costs_its_price() -> None:
    assert placed().lines[0].paid_amount is None
    assert paid() == 2 * 4980


def test_a_discount_is_taken_from_the_line_as_a_whole() -> None:
    line = placed({"discount_allocations": [{"amount": "1001"}, {"amount": "0"}]}).lines[0]
    assert line.paid.amount == 8959
    assert line.unit_price.amount == 4980
    assert line.paid_unit_price.amount == 4480


@pytest.mark.parametrize(("included", "amount"), [(True, 9960), (False, 10956)])
def test_a_tax_that_the_prices_leave_out_is_paid_too(included: bool, amount: int) -> None:
    assert paid({"tax_lines": [{"price": "996"}]}, taxes_included=included) == amount


def test_the_shops_currency_counts_and_not_the_shown_one() -> None:
    allocation = {"amount": "6.90", "amount_set": {"shop_money": {"amount": "1000", "currency_code": "JPY"}}}
    line = placed({"discount_allocations": [allocation]}).lines[0]
    assert line.paid_amount
    assert line.paid_amount == Money(amount=Decimal(8960), currency="JPY")


def test_shipping_and_total_are_as_paid() -> None:
    fee = {"price": "770", "discount_allocations": [{"amount": "270"}], "tax_lines": [{"price": "50"}]}
    order = placed(shipping_lines=[fee], total_price="10510", taxes_included=False)
    assert order.shipping
    assert order.total_amount
    assert [order.shipping.amount, order.total_amount.amount] == [Decimal(550), Decimal(10510)]


@pytest.mark.parametrize("nonsense", [None, "free", {}, [], "NaN", "1e400"])
def test_amounts_that_are_no_numbers_do_not_refuse_the_order(nonsense: object) -> None:
    order = placed({"discount_allocations": [{"amount": nonsense}]}, shipping_lines=nonsense)
    assert order.lines[0].paid.amount == 9960
