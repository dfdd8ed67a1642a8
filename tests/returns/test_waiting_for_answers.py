"""Cases that wait for the payment provider, for an address or for prices."""

from decimal import Decimal

from libs.common.events.issues import IssueRefundRequested, IssueResolved, IssueReviewRequested
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Choice, Money, Reason, Remedy
from libs.common.events.warehouse import ReplacementCancelled
from services.returns.domain.state.case_status import CaseStatus, case_status
from services.returns.domain.state.money_leg import RefundStatus
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import (
    HOME,
    CaseScenario,
    accepted,
    event_types,
    line,
    open_scenario,
    paid_order,
    refusal_reasons,
)
from tests.returns.partner_answers import choose, reject


def test_a_refund_that_failed_is_asked_for_again_later_under_the_same_id() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.fail_refund()
    assert len(scenario.all(RefundRequested)) == 1
    scenario.until(RefundRequested)
    assert len({asked.refund_id for asked in scenario.all(RefundRequested)}) == 1
    assert len(scenario.all(IssueRefundRequested)) == 1


def test_a_refund_that_cannot_succeed_goes_to_review() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.fail_refund(retriable=False)
    assert scenario.last(IssueReviewRequested).cause == "refund_failed"


def test_a_provider_that_never_answers_goes_to_review() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    assert scenario.until(IssueReviewRequested).cause == "refund_failed"
    assert len(scenario.all(RefundRequested)) == 5


def test_a_failure_reported_after_the_success_is_superseded() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.receive()
    scenario.pay()
    assert refusal_reasons(scenario.fail_refund()) == ["superseded"]
    assert scenario.known.money.refunds[0].status is RefundStatus.COMPLETED


def test_another_amount_than_asked_for_goes_to_review() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.pay("1")
    assert scenario.until(IssueReviewRequested).cause == "refund_differs"
    assert not scenario.all(IssueResolved)


def test_without_an_address_the_case_waits_and_looks_again() -> None:
    scenario = CaseScenario(ship_to=None)
    scenario.apply(accepted())
    assert case_status(scenario.known) is CaseStatus.WAITING_FOR_ADDRESS
    scenario.ship_to = HOME
    assert "replacement.ordered.v1" in event_types(scenario.next_timer())


def test_an_address_that_never_comes_goes_to_review() -> None:
    scenario = CaseScenario(ship_to=None)
    scenario.apply(accepted())
    assert scenario.until(IssueReviewRequested).cause == "no_address"


def test_money_needs_no_address() -> None:
    scenario = CaseScenario(ship_to=None, order=paid_order(line()))
    scenario.apply(accepted(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND))
    assert scenario.all(RefundRequested)


def test_money_waits_for_the_prices_of_the_order_and_then_takes_those_of_the_report() -> None:
    scenario = CaseScenario(ship_to=None)
    scenario.apply(accepted(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND))
    assert not scenario.all(RefundRequested)
    assert scenario.until(RefundRequested).amount == Money(amount=Decimal(1200), currency="JPY")
    assert not scenario.known.in_review(ReviewCause.NO_ADDRESS)


def test_an_order_that_the_warehouse_rejected_itself_is_not_called_back() -> None:
    scenario = open_scenario()
    reject(scenario)
    choose(scenario, Choice.REFUND)
    assert not scenario.all(ReplacementCancelled)
