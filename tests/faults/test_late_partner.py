"""A partner that answers after the timeout: it was asked again meanwhile, both answers come, and it is one thing."""

from datetime import timedelta

from libs.common.events.issues import IssueReplacementOrdered, IssueReplacementPromised, IssueReplacementShipped
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Reason
from libs.common.events.warehouse import ReplacementOrdered
from tests.returns.cases import open_scenario


def test_a_warehouse_that_answers_after_it_was_asked_again_sends_one_replacement() -> None:
    told = open_scenario()
    told.until(ReplacementOrdered)
    orders = told.all(ReplacementOrdered)
    assert len(orders) == 2
    assert len({order.replacement_id for order in orders}) == 1
    for _ in orders:
        told.later(minutes=1).confirm(orders[0].promised_ship_date)
    for _ in orders:
        told.later(minutes=1).ship(expected_delivery_date=(told.now + timedelta(days=1)).date())
    assert len(told.all(IssueReplacementOrdered)) == 1
    assert len(told.all(IssueReplacementPromised)) == 1
    assert len(told.all(IssueReplacementShipped)) == 1


def test_a_payment_provider_that_answers_after_it_was_asked_again_pays_once() -> None:
    told = open_scenario(Reason.CHANGED_MIND)
    told.later(days=1).collect()
    told.later(days=1).receive()
    told.inspect()
    told.until(RefundRequested)
    asked = told.all(RefundRequested)
    assert len(asked) == 2
    assert len({refund.refund_id for refund in asked}) == 1
    told.later(minutes=1).pay()
    facts = told.later(minutes=1).pay()
    assert "issue.refunded.v1" not in [getattr(fact, "TYPE", "") for fact in facts]
