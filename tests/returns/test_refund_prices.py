"""Prices of refunds: what was paid for each unit, rounded so that the parts add up."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueRefunded, IssueResolved
from libs.common.events.payment import RefundRequested
from libs.common.events.values import LineQuantity, PointsSpent, Prepayment, Reason, Remedy
from libs.common.events.values.money import currency_exponent, round_up, share_of
from services.returns.domain.state.exposure import CustomerExposure, RefundedAmount
from services.returns.domain.state.order_ledger import PaidBack, allocate
from tests.returns.cases import TUESDAY, CaseScenario, accepted, line
from tests.returns.paid_orders import lost, money, order_line, pay, placed, requested

OTHER_ISSUE = derived_id("issue", "other")


def test_a_discounted_line_is_refunded_as_it_was_paid() -> None:
    scenario = lost(placed(order_line("1", "10000", paid="5000")), line(price="10000"))
    assert requested(scenario) == [5000]


def test_a_payment_below_the_sum_of_the_lines_is_the_ceiling() -> None:
    order = placed(
        order_line("1", "5000"),
        order_line("2", "5000"),
        prepaid=Prepayment(amount=money("8000"), received_at=TUESDAY),
    )
    assert requested(lost(order, line("1", price="5000"), line("2", price="5000"))) == [8000]
    assert requested(lost(order, line("1", price="5000"))) == [4000]


def test_a_coupon_as_a_line_is_spread_over_what_was_bought() -> None:
    order = placed(order_line("1", "5000"), order_line("2", "5000"), order_line("coupon", "-2000"))
    assert requested(lost(order, line("1", price="5000"), line("2", price="5000"))) == [8000]


def test_a_part_of_a_coin_is_rounded_up_and_one_number_everywhere() -> None:
    scenario = lost(placed(order_line("1", "333.33")), line(price="333.33"))
    assert requested(scenario) == [334]
    pay(scenario, "334", "tx-1")
    assert scenario.last(IssueRefunded).amount == money("334")
    assert scenario.all(IssueResolved)


def test_three_units_for_a_hundred_are_refunded_one_by_one_as_a_hundred() -> None:
    order = placed(order_line("1", "33.3333", quantity=3, currency="EUR"))
    scenario = CaseScenario(order=order)
    report = line(quantity=3, price="33.3333", currency="EUR")
    scenario.apply(accepted(Reason.CHANGED_MIND, report))
    for number in range(3):
        scenario.receive(LineQuantity(line_id="1", quantity=1), receipt_id=str(number))
    assert requested(scenario) == [Decimal("33.34"), Decimal("33.33"), Decimal("33.33")]


def test_another_issue_of_the_order_goes_on_where_the_first_one_ended() -> None:
    order = placed(order_line("1", "33.3333", quantity=3, currency="EUR"))
    first = PaidBack(Decimal("33.34"), units={"1": 1}, line_amounts={"1": Decimal("33.34")})
    scenario = CaseScenario(order=order)
    before = {str(OTHER_ISSUE): RefundedAmount(first.amount, "EUR", "O-1", first)}
    scenario.customer = replace(scenario.customer, exposure=CustomerExposure(refunded=before))
    report = line(price="33.3333", currency="EUR")
    scenario.apply(accepted(Reason.LOST_IN_TRANSIT, report, requested_remedy=Remedy.REFUND))
    assert requested(scenario) == [Decimal("33.33")]


def test_points_are_no_money() -> None:
    spent = PointsSpent(points=500, amount=money("500"))
    assert requested(lost(placed(order_line("1", "2000"), points_spent=spent), line(price="2000"))) == [1500]


@pytest.mark.parametrize(
    ("market", "reason", "amount"),
    [
        ("DE", Reason.CHANGED_MIND, 2770),
        ("JP", Reason.CHANGED_MIND, 2000),
        ("US", Reason.CHANGED_MIND, 2000),
        ("JP", Reason.DEFECTIVE, 2770),
    ],
)
def test_shipping_goes_back_with_the_whole_order_where_law_or_fault_says_so(
    market: str, reason: Reason, amount: int
) -> None:
    order = placed(order_line("1", "2000"), shipping=money("770"))
    scenario = lost(order, line(price="2000"), market=market, reason=reason)
    scenario.receive()
    assert requested(scenario) == [amount]


def test_a_part_of_an_order_returns_no_shipping_and_its_last_part_does() -> None:
    order = placed(order_line("1", "2000", quantity=2), shipping=money("770"))
    scenario = CaseScenario(order=order)
    report = accepted(Reason.CHANGED_MIND, line(quantity=2, price="2000")).model_copy(update={"market": "FR"})
    scenario.apply(report)
    for number in range(2):
        scenario.receive(LineQuantity(line_id="1", quantity=1), receipt_id=str(number))
    assert requested(scenario) == [2000, 2770]
    assert [fact.shipping for fact in scenario.all(RefundRequested)] == [None, money("770")]


amounts = st.decimals(min_value=0, max_value=100_000, places=4)


@given(amounts, st.integers(1, 12), st.sampled_from(["JPY", "EUR", "KWD"]))
def test_the_prices_of_single_units_add_up_to_the_rounded_whole(paid: Decimal, units: int, currency: str) -> None:
    shares = [share_of(paid, number, units, currency) for number in range(units + 1)]
    parts = [later - earlier for earlier, later in pairwise(shares)]
    assert sum(parts) == round_up(paid, currency)
    assert all(part >= 0 and part == round_up(part, currency) for part in parts)


@given(st.dictionaries(st.sampled_from("abcd"), amounts, min_size=1), st.integers(0, 10**6))
def test_a_spread_amount_adds_up(weights: dict[str, Decimal], coins: int) -> None:
    amount = Decimal(coins)
    shares = allocate(amount, weights, "JPY")
    assert sum(shares.values()) == (amount if sum(weights.values()) else 0)


@pytest.mark.parametrize(("currency", "decimals"), [("JPY", 0), ("EUR", 2), ("KWD", 3), ("CLF", 4), ("XXX", 2)])
def test_currencies_have_their_own_number_of_decimals(currency: str, decimals: int) -> None:
    assert currency_exponent(currency) == decimals


def test_an_order_known_later_than_its_report_gives_the_price() -> None:
    scenario = CaseScenario(ship_to=None)
    scenario.apply(accepted(Reason.LOST_IN_TRANSIT, line(price="10000"), requested_remedy=Remedy.REFUND))
    assert requested(scenario) == []
    scenario.order = placed(order_line("1", "10000", paid="5000"))
    scenario.now += timedelta(seconds=1)
    scenario.next_timer()
    assert requested(scenario) == [5000]
