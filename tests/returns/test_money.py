"""Money that goes back: payments in parts, twice or returned, and on another way by the shop."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from libs.common.decisions.facts import TimerFired
from libs.common.events.issues import (
    IssueCancelled,
    IssueRefunded,
    IssueRefundReversed,
    IssueResolved,
    IssueReviewRequested,
)
from libs.common.events.payment import RefundRequested, RefundReversed
from libs.common.events.values import Reason
from libs.common.events.warehouse import ReplacementCancelled, ReplacementOrdered
from services.returns.domain.state.order_ledger import PaidBack
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import ISSUE, CaseScenario, accepted, line, open_scenario, paid_order
from tests.returns.paid_orders import lost, money, order_line, pay, placed, requested


def test_what_the_shop_paid_back_is_not_paid_back_again() -> None:
    order = placed(order_line("1", "2000", quantity=2))
    half = PaidBack(Decimal(2000), units={"1": 1}, line_amounts={"1": Decimal(2000)})
    order = replace(order, shop_refunds={"R1": half})
    assert requested(lost(order, line(quantity=2, price="2000"))) == [2000]
    whole = replace(order, shop_refunds={"R1": half, "R2": half})
    scenario = lost(whole, line(quantity=2, price="2000"))
    assert requested(scenario) == []
    assert scenario.all(IssueResolved)


def test_a_goodwill_of_the_shop_counts_against_the_payment() -> None:
    order = replace(placed(order_line("1", "2000")), shop_refunds={"R1": PaidBack(Decimal(300))})
    assert requested(lost(order, line(price="2000"))) == [1700]


def test_a_refund_names_its_lines_and_the_payment() -> None:
    order = placed(order_line("1", "2000"), payment_reference="pay-1")
    fact = lost(order, line(price="2000")).last(RefundRequested)
    assert [(each.line_id, each.quantity, each.amount) for each in fact.lines] == [("1", 1, money("2000"))]
    assert fact.payment_reference == "pay-1"


def test_two_halves_are_one_refund_and_both_are_announced() -> None:
    scenario = lost(paid_order(line(price="10000")), line(price="10000"))
    pay(scenario, "5000", "tx-1")
    pay(scenario, "5000", "tx-2")
    halves = scenario.all(IssueRefunded)
    assert [fact.amount for fact in halves] == [money("5000"), money("5000")]
    assert [fact.remaining for fact in halves] == [money("5000"), None]
    assert [fact.lines[0].amount for fact in halves] == [money("5000"), money("5000")]
    assert scenario.all(IssueResolved)
    assert not scenario.all(IssueReviewRequested)


def test_a_repeated_half_is_no_second_half() -> None:
    scenario = lost(paid_order(line(price="10000")), line(price="10000"))
    pay(scenario, "5000", "tx-1")
    pay(scenario.later(minutes=3), "5000", "tx-1")
    assert len(scenario.all(IssueRefunded)) == 1
    assert scenario.known.money.refunds[0].paid == 5000


@pytest.mark.parametrize("transactions", [("tx-1", "tx-2"), (None, None)])
def test_a_second_payment_of_the_same_refund_goes_to_staff(transactions: tuple[str | None, str | None]) -> None:
    scenario = lost(paid_order(line(price="10000")), line(price="10000"))
    pay(scenario, "10000", transactions[0])
    pay(scenario.later(minutes=3), "10000", transactions[1])
    assert scenario.known.in_review(ReviewCause.REFUND_OVERPAID)
    assert len(scenario.all(IssueRefunded)) == 1


def test_a_half_that_stays_alone_goes_to_staff_who_ask_for_the_rest() -> None:
    scenario = lost(paid_order(line(price="10000")), line(price="10000"))
    pay(scenario, "4000", "tx-1")
    assert scenario.until(IssueReviewRequested).cause == "refund_differs"
    scenario.decide_review(ReviewCause.REFUND_DIFFERS, approved=False)
    assert requested(scenario) == [10000, 6000]
    assert len({fact.refund_id for fact in scenario.all(RefundRequested)}) == 2
    pay(scenario, "6000", "tx-2", scenario.known.money.refunds[1].refund_id)
    assert scenario.all(IssueResolved)


def test_a_refund_that_comes_back_is_paid_again_on_the_decision_of_staff() -> None:
    scenario = lost(paid_order(line(price="10000")), line(price="10000"))
    pay(scenario, "10000", "tx-1")
    refund_id = scenario.known.money.refunds[0].refund_id
    back = RefundReversed(
        issue_id=ISSUE,
        refund_id=refund_id,
        amount=money("10000"),
        transaction_id="rev-1",
        cause="account_closed",
        reversed_at=scenario.now,
    )
    scenario.apply(back)
    scenario.apply(back)
    assert len(scenario.all(IssueRefundReversed)) == 1
    scenario.decide_review(ReviewCause.REFUND_REVERSED)
    assert requested(scenario) == [10000, 10000]
    assert scenario.last(RefundRequested).refund_id != refund_id
    assert scenario.known.paid_back.amount == 10000


def wake(scenario: CaseScenario, **order: Any) -> None:
    """Let the order change and its timer fire."""
    assert scenario.order
    scenario.order = replace(scenario.order, **order)
    scenario.apply(TimerFired(name="order:2", due_at=scenario.now))


def test_an_order_that_the_shop_cancels_stops_the_replacement_and_goes_to_staff() -> None:
    scenario = CaseScenario(order=paid_order(line()))
    scenario.apply(accepted(Reason.LOST_IN_TRANSIT))
    wake(scenario, is_cancelled=True)
    assert scenario.all(ReplacementCancelled)
    assert scenario.known.in_review(ReviewCause.ORDER_CANCELLED)
    wake(scenario, is_cancelled=True)
    assert len(scenario.all(IssueReviewRequested)) == 1


def test_staff_end_the_case_of_a_cancelled_order_or_let_it_go_on() -> None:
    ended, goes_on = (CaseScenario(order=paid_order(line())) for _ in range(2))
    for scenario in (ended, goes_on):
        scenario.apply(accepted(Reason.LOST_IN_TRANSIT))
        wake(scenario, cancelled_lines=frozenset({"1"}))
    ended.decide_review(ReviewCause.ORDER_CANCELLED)
    assert ended.last(IssueCancelled).cause == "settled_by_shop"
    goes_on.decide_review(ReviewCause.ORDER_CANCELLED, approved=False)
    assert len(goes_on.all(ReplacementOrdered)) == 2
    assert goes_on.known.outbound.status is OutboundStatus.ORDERED


def test_a_cancelled_line_of_another_report_changes_nothing() -> None:
    scenario = CaseScenario(order=paid_order(line(), line("2")))
    scenario.apply(accepted(Reason.LOST_IN_TRANSIT))
    wake(scenario, cancelled_lines=frozenset({"2"}))
    assert not scenario.known.reviews


def test_money_by_the_shop_beside_a_replacement_goes_to_staff_also_after_the_end() -> None:
    scenario = CaseScenario(order=paid_order(line()))
    scenario.apply(accepted(Reason.LOST_IN_TRANSIT))
    scenario.ship()
    scenario.deliver()
    assert scenario.all(IssueResolved)
    wake(scenario, shop_refunds={"R1": PaidBack(Decimal(1200))})
    assert scenario.known.in_review(ReviewCause.ORDER_REFUNDED)


def test_a_chargeback_stops_what_has_not_left_and_leaves_nothing_to_refund() -> None:
    scenario = CaseScenario(order=paid_order(line()))
    scenario.apply(accepted(Reason.DEFECTIVE))
    wake(scenario, chargebacks={"cb-1": Decimal(1200)})
    assert scenario.all(ReplacementCancelled)
    assert scenario.known.in_review(ReviewCause.CHARGED_BACK)
    order = replace(paid_order(line()), chargebacks={"cb-1": Decimal(1200)})
    assert requested(lost(order, line())) == []
    won = replace(order, won_chargebacks=frozenset({"cb-1"}))
    assert requested(lost(won, line())) == [1200]


def test_while_the_shop_settles_no_refund_starts() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.order = paid_order(line())
    wake(scenario, is_cancelled=True)
    scenario.receive()
    assert requested(scenario) == []
    scenario.decide_review(ReviewCause.ORDER_CANCELLED, approved=False)
    assert requested(scenario) == [1200]
