"""Price of one unit of an order line, for amounts that its units do not share evenly."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from libs.common.events.values import Money, OrderLine
from libs.common.events.values.money import currency_exponent


@given(
    st.decimals(0, 10**9, places=4),
    st.integers(1, 10_000),
    st.sampled_from(["JPY", "EUR", "KWD"]),
)
def test_a_unit_costs_whole_coins_that_cover_the_payment(paid: Decimal, quantity: int, currency: str) -> None:
    price = Money(amount=Decimal(1), currency=currency)
    amount = Money(amount=paid, currency=currency)
    line = OrderLine(line_id="1", sku="K", name="cup", quantity=quantity, unit_price=price, paid_amount=amount)
    unit, coin = line.paid_unit_price.amount, Decimal(1).scaleb(-currency_exponent(currency))
    assert unit % coin == 0
    assert paid <= unit * quantity < paid + coin * quantity
