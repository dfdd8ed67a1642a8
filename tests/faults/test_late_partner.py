"""Late answer of a partner: the request was repeated meanwhile; both answers arrive and have one effect."""

from datetime import timedelta

from libs.common.events.issues import IssueReplacementOrdered, IssueReplacementPromised, IssueReplacementShipped
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Reason
from libs.common.events.warehouse import ReplacementOrdered
from tests.returns.cases import open_scenario


def test_a_warehouse_that_answers_after_a_repeated_order_ships_one_replacement() -> None:
    scenario = open_scenario()
    scenario.until(ReplacementOrdered)
    orders = scenario.all(ReplacementOrdered)
    assert len(orders) == 2
    assert len({order.replacement_id for order in orders}) == 1
    for _ in orders:
        scenario.later(minutes=1).confirm(orders[0].promised_ship_date)
    for _ in orders:
        scenario.later(minutes=1).ship(expected_delivery_date=(scenario.now + timedelta(days=1)).date())
    assert len(scenario.all(IssueReplacementOrdered)) == 1
    assert len(scenario.all(IssueReplacementPromised)) == 1
    assert len(scenario.all(IssueReplacementShipped)) == 1


def test_a_payment_provider_that_answers_after_a_repeated_request_pays_once() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.later(days=1).collect()
    scenario.later(days=1).receive()
    scenario.inspect()
    scenario.until(RefundRequested)
    requests = scenario.all(RefundRequested)
    assert len(requests) == 2
    assert len({refund.refund_id for refund in requests}) == 1
    scenario.later(minutes=1).pay()
    facts = scenario.later(minutes=1).pay()
    assert "issue.refunded.v1" not in [getattr(fact, "TYPE", "") for fact in facts]
