"""Receipts and inspections: counted once, paid back as counted."""

from libs.common.events.issues import IssueRefundRequested, IssueReviewRequested
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Condition, CountedLine, InspectedLine, LineQuantity, Reason
from libs.common.events.warehouse import ItemInspected, ItemReceived
from services.returns.domain.state.kept_counts import CountKept
from tests.returns.cases import ISSUE, line, open_scenario, refusal_reasons


def test_only_what_was_received_is_paid_back() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line(quantity=3))
    scenario.receive(LineQuantity(line_id="1", quantity=2))
    assert scenario.last(IssueRefundRequested).amount.amount == 2400


def test_the_rest_is_paid_back_when_it_arrives() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line(quantity=3))
    scenario.receive(LineQuantity(line_id="1", quantity=2))
    scenario.pay()
    scenario.later(days=1).receive(LineQuantity(line_id="1", quantity=1))
    assert [asked.amount.amount for asked in scenario.all(IssueRefundRequested)] == [2400, 1200]


def test_more_than_was_reported_is_not_paid_back() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    facts = scenario.receive(LineQuantity(line_id="1", quantity=2))
    assert "surplus_received" in refusal_reasons(facts)
    assert scenario.last(IssueRefundRequested).amount.amount == 1200


def test_an_item_that_nobody_reported_goes_to_review() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    other = CountedLine(line_id="1", quantity=1, sku="BRICK")
    scenario.apply(ItemReceived(issue_id=ISSUE, lines=(other,), received_at=scenario.now))
    assert scenario.last(IssueReviewRequested).cause == "unexpected_item"
    assert not scenario.all(RefundRequested)


def test_a_line_that_nobody_reported_is_kept_for_its_own_case() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.receive(LineQuantity(line_id="9", quantity=1))
    assert scenario.all(CountKept)
    assert not scenario.known.reviews


def test_the_same_receipt_again_is_counted_once() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line(quantity=2))
    scenario.receive(LineQuantity(line_id="1", quantity=1))
    assert refusal_reasons(scenario.receive(LineQuantity(line_id="1", quantity=1))) == ["duplicate"]


def test_two_receipts_of_the_same_second_are_both_counted() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line("1"), line("2"))
    scenario.receive(LineQuantity(line_id="1", quantity=1))
    scenario.receive(LineQuantity(line_id="2", quantity=1))
    assert scenario.known.inbound.received == {"1": 1, "2": 1}


def test_two_receipts_with_names_of_their_own_are_both_counted() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line(quantity=2))
    for receipt_id in ("R-1", "R-2"):
        scenario.receive(LineQuantity(line_id="1", quantity=1), receipt_id=receipt_id)
    assert scenario.known.inbound.received == {"1": 2}


def test_a_receipt_under_the_same_name_is_counted_once() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line(quantity=2))
    scenario.receive(LineQuantity(line_id="1", quantity=1), receipt_id="R-1")
    facts = scenario.later(hours=1).receive(LineQuantity(line_id="1", quantity=1), receipt_id="R-1")
    assert refusal_reasons(facts) == ["duplicate"]


def test_two_inspections_of_the_same_second_are_both_counted() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND, line("1"), line("2"))
    for line_id in ("1", "2"):
        found = InspectedLine(line_id=line_id, quantity=1, condition=Condition.SCRAP)
        scenario.apply(ItemInspected(issue_id=ISSUE, lines=(found,), inspected_at=scenario.now))
    assert scenario.known.inbound.inspected == {"1": 1, "2": 1}
