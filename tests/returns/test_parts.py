"""Parts and virtual goods: what is sent, fetched and paid back where a report is not about whole things."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from libs.common.decisions.facts import TimerFired
from libs.common.decisions.shipments import CountedShipment, CountedUnits
from libs.common.events.issues import IssueAccepted, IssueResolved, IssueReviewRequested
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Component, IssueLine, PartQuantity, Reason, Remedy
from libs.common.events.warehouse import ReplacementOrdered
from services.returns.domain.handlers.order_watch import order_timer
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.movements import CollectOn
from tests.returns.cases import TUESDAY, CaseScenario, accepted, line, paid_order
from tests.returns.paid_orders import order_line, placed

CUPS = (Component(sku="POT", name="Pot"), Component(sku="CUP", name="Cup", quantity=4))


def part(price: str = "1000", count: int = 1, **fields: Any) -> IssueLine:
    parts = (PartQuantity(sku="CUP", quantity=count),)
    return line(price=price).model_copy(update={"components": CUPS, "parts": parts, **fields})


def code() -> IssueLine:
    return line("2", price="3000").model_copy(update={"requires_shipping": False})


def opened(report: IssueAccepted, **fields: Any) -> CaseScenario:
    scenario = CaseScenario(**fields)
    scenario.apply(report)
    return scenario


@pytest.mark.parametrize("reason", [Reason.DEFECTIVE, Reason.DAMAGED_IN_TRANSIT, Reason.MISSING_PART])
@pytest.mark.parametrize("wish", [None, Remedy.REPLACEMENT])
def test_a_broken_or_missing_part_is_a_part_to_ship(reason: Reason, wish: Remedy | None) -> None:
    order = opened(accepted(reason, part(count=2), requested_remedy=wish)).last(ReplacementOrdered)
    assert order.remedy is Remedy.PART_SHIPMENT
    assert [(each.sku, each.name, each.quantity) for each in order.parts] == [("CUP", "Cup", 2)]
    assert order.return_slip is None


def test_a_part_is_declared_at_its_own_value() -> None:
    value = opened(accepted(Reason.DEFECTIVE, part())).last(ReplacementOrdered).customs_value
    assert value
    assert value.amount == 1000


def test_a_case_about_a_part_ends_with_its_arrival_and_fetches_nothing() -> None:
    scenario = opened(accepted(Reason.DEFECTIVE, part(), requested_remedy=Remedy.REPLACEMENT))
    scenario.ship()
    scenario.deliver()
    assert scenario.known.plan.collect_on is CollectOn.NEVER
    assert scenario.last(IssueResolved).requested_remedy_granted
    assert scenario.customer.exposure.outstanding == {}


def test_a_part_is_refunded_at_its_share_and_the_kit_at_the_rest() -> None:
    order = placed(order_line("1", "5000"))
    scenario = opened(accepted(Reason.DEFECTIVE, part(), requested_remedy=Remedy.REFUND), order=order)
    assert scenario.last(RefundRequested).amount.amount == 1000
    assert scenario.known.paid_back.units == {}


def test_a_discount_on_the_order_lowers_the_part_as_well() -> None:
    order = placed(order_line("1", "5000"), order_line("coupon", "-2500"))
    scenario = opened(accepted(Reason.DEFECTIVE, part(), requested_remedy=Remedy.REFUND), order=order)
    assert scenario.last(RefundRequested).amount.amount == 500


def test_beside_a_part_the_whole_thing_of_another_line_is_fetched() -> None:
    other = line("2")
    scenario = opened(accepted(Reason.DEFECTIVE, part(), other))
    order = scenario.last(ReplacementOrdered)
    assert [each.line_id for each in order.parts] == ["1"]
    assert scenario.known.plan.collect_on is CollectOn.SHIPPED
    assert scenario.known.returnable_units == {"2": 1}


def virtual(reason: Reason = Reason.MISSING_ITEM, **fields: Any) -> CaseScenario:
    return opened(accepted(reason, code()), order=paid_order(code()), **fields)


@pytest.mark.parametrize("reason", [Reason.MISSING_ITEM, Reason.DEFECTIVE])
def test_virtual_goods_are_asked_for_again_and_never_shipped(reason: Reason) -> None:
    scenario = virtual(reason)
    assert scenario.last(IssueReviewRequested).cause == ReviewCause.REDELIVERY
    assert not scenario.all(ReplacementOrdered)
    assert not scenario.known.is_closed


def test_virtual_goods_need_no_address() -> None:
    assert virtual(ship_to=None).known.address_due_at is None


def test_staff_who_sent_the_code_again_resolve_the_case() -> None:
    scenario = virtual()
    scenario.decide_review(ReviewCause.REDELIVERY)
    assert scenario.last(IssueResolved).remedy is Remedy.REPLACEMENT


def test_a_code_that_cannot_be_sent_again_is_paid_back() -> None:
    scenario = virtual()
    scenario.decide_review(ReviewCause.REDELIVERY, approved=False)
    assert scenario.last(RefundRequested).amount.amount == 3000


def test_a_second_delivery_by_the_shop_resolves_the_case() -> None:
    scenario = virtual()
    assert scenario.order
    again = (CountedShipment(TUESDAY, (CountedUnits("2", 1),), "s-2"),)
    scenario.order = replace(scenario.order, deliveries=again)
    scenario.apply(TimerFired(name=order_timer(2), due_at=scenario.now))
    assert scenario.all(IssueResolved)


def test_a_refund_of_virtual_goods_waits_for_nothing_to_come_back() -> None:
    report = accepted(Reason.DEFECTIVE, code(), requested_remedy=Remedy.REFUND)
    assert opened(report, order=paid_order(code())).last(RefundRequested).amount.amount == Decimal(3000)


def test_a_change_of_mind_about_virtual_goods_is_decided_by_staff() -> None:
    scenario = virtual(Reason.CHANGED_MIND)
    assert scenario.last(IssueReviewRequested).cause == ReviewCause.VIRTUAL_RETURN
    assert not scenario.all(RefundRequested)
    scenario.decide_review(ReviewCause.VIRTUAL_RETURN)
    assert scenario.all(RefundRequested)


def test_of_a_mixed_report_only_the_physical_thing_is_sent() -> None:
    scenario = opened(accepted(Reason.MISSING_ITEM, line("1"), code()))
    assert [each.line_id for each in scenario.last(ReplacementOrdered).lines] == ["1"]
    scenario.ship()
    scenario.deliver()
    assert not scenario.known.is_closed
    scenario.decide_review(ReviewCause.REDELIVERY)
    assert scenario.all(IssueResolved)
