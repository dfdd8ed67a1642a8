"""Exposure cap and risk signals: which cases go to review before anything leaves; none is refused automatically."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueCancelled, IssueReviewRequested
from libs.common.events.values import Condition, LineQuantity, Reason, Remedy
from libs.common.events.warehouse import ReplacementOrdered
from services.returns.domain.state.exposure import (
    CustomerContext,
    CustomerExposure,
    OutstandingAmount,
    RefundedAmount,
    exposure_of,
)
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import TUESDAY, CaseScenario, accepted, line, open_scenario

ONE = LineQuantity(line_id="1", quantity=1)
OTHER = str(derived_id("issue", "another"))


def opened(customer: CustomerContext, *, price: str = "20000", reason: Reason = Reason.DEFECTIVE) -> CaseScenario:
    scenario = CaseScenario(customer=customer)
    scenario.apply(accepted(reason, line(price=price)))
    return scenario


def causes(scenario: CaseScenario) -> list[str]:
    return [review.cause for review in scenario.all(IssueReviewRequested)]


def with_out(amount: str) -> CustomerContext:
    return CustomerContext(exposure=CustomerExposure(outstanding={OTHER: OutstandingAmount(Decimal(amount), "JPY")}))


def test_under_the_cap_nobody_is_asked_for_anything() -> None:
    scenario = opened(with_out("40000"))
    assert scenario.all(ReplacementOrdered)
    assert causes(scenario) == []


def test_over_the_cap_staff_decide_and_the_customer_hears_by_when() -> None:
    scenario = opened(with_out("40001"))
    assert causes(scenario) == [ReviewCause.EXPOSURE]
    assert scenario.last(IssueReviewRequested).due_at > scenario.now
    assert not scenario.all(ReplacementOrdered)
    assert not scenario.all(IssueCancelled)


def test_what_they_bought_and_kept_carries_more() -> None:
    customer = replace(with_out("40001"), purchases={"JPY": Decimal(20000)})
    assert opened(customer).all(ReplacementOrdered)
    paid_back = replace(customer.exposure, refunded={OTHER: RefundedAmount(Decimal(20000), "JPY")})
    assert causes(opened(replace(customer, exposure=paid_back))) == [ReviewCause.EXPOSURE]


def test_what_waits_for_the_goods_to_be_back_is_no_risk() -> None:
    assert causes(opened(with_out("59000"), reason=Reason.CHANGED_MIND)) == []
    assert causes(opened(with_out("59000"), reason=Reason.MISSING_ITEM)) == []


@pytest.mark.parametrize(
    ("customer", "cause"),
    [
        (
            CustomerContext(exposure=CustomerExposure(recent_reports=(TUESDAY - timedelta(days=2),) * 5)),
            ReviewCause.MANY_REPORTS,
        ),
        (CustomerContext(exposure=CustomerExposure(mismatched_issues=("a", "b"))), ReviewCause.EARLIER_MISMATCHES),
        (CustomerContext(other_customers_at_address=4), ReviewCause.SHARED_ADDRESS),
    ],
)
def test_a_signal_opens_a_review_and_refuses_nobody(customer: CustomerContext, cause: ReviewCause) -> None:
    scenario = opened(customer)
    assert causes(scenario) == [cause]
    assert not scenario.all(IssueCancelled)


@pytest.mark.parametrize(
    "customer",
    [
        CustomerContext(exposure=CustomerExposure(recent_reports=(TUESDAY - timedelta(days=91),) * 9)),
        CustomerContext(exposure=CustomerExposure(mismatched_issues=("a",))),
        CustomerContext(other_customers_at_address=3),
    ],
)
def test_what_is_long_ago_or_happens_to_anybody_is_no_signal(customer: CustomerContext) -> None:
    assert causes(opened(customer)) == []


def test_the_ledger_follows_the_goods() -> None:
    scenario = open_scenario(Reason.DEFECTIVE, line("1", 2))
    assert exposure_of(scenario.known) == 2400
    scenario.ship()
    scenario.deliver()
    scenario.collect()
    assert scenario.customer.exposure.exposure_in("JPY") == 2400
    scenario.receive(ONE)
    assert scenario.customer.exposure.exposure_in("JPY") == 1200
    scenario.receive(ONE, receipt_id="second")
    assert scenario.customer.exposure.exposure_in("JPY") == 0


def test_what_came_back_and_is_something_else_stays_out_and_is_remembered() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.deliver()
    scenario.collect()
    scenario.receive()
    scenario.inspect(Condition.OTHER_ITEM)
    assert scenario.customer.exposure.mismatched_issues == (str(scenario.known.issue_id),)
    assert scenario.customer.exposure.exposure_in("JPY") == 1200


def test_money_that_went_back_is_taken_from_their_history() -> None:
    scenario = open_scenario(Reason.MISSING_ITEM, requested_remedy=Remedy.REFUND)
    assert scenario.customer.exposure.refunded_in("JPY") == 1200
