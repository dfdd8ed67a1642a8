"""A partner that answers after the timeout is asked again; both answers lead to one effect."""

from datetime import timedelta

from libs.common.events.issues import IssueReplacementOrdered, IssueReplacementPromised, IssueReplacementShipped
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Reason
from libs.common.events.warehouse import ReplacementOrdered
from tests.returns.cases import story


def test_a_warehouse_that_answers_after_it_was_asked_again_sends_one_replacement() -> None:
    case = story()
    case.until(ReplacementOrdered)
    orders = case.all(ReplacementOrdered)
    assert len(orders) == 2
    assert len({order.replacement_id for order in orders}) == 1
    for _ in orders:
        case.later(minutes=1).confirm(orders[0].promised_ship_date)
    for _ in orders:
        case.later(minutes=1).ship(expected_delivery_date=(case.now + timedelta(days=1)).date())
    assert len(case.all(IssueReplacementOrdered)) == 1
    assert len(case.all(IssueReplacementPromised)) == 1
    assert len(case.all(IssueReplacementShipped)) == 1


def test_a_payment_provider_that_answers_after_it_was_asked_again_pays_once() -> None:
    case = story(Reason.CHANGED_MIND)
    case.later(days=1).collect()
    case.later(days=1).receive()
    case.inspect()
    case.until(RefundRequested)
    requests = case.all(RefundRequested)
    assert len(requests) == 2
    assert len({refund.refund_id for refund in requests}) == 1
    case.later(minutes=1).pay()
    facts = case.later(minutes=1).pay()
    assert "issue.refunded.v1" not in [getattr(fact, "TYPE", "") for fact in facts]
