"""A warehouse that gives a date and does not ship: two dates, then a choice, then an end."""

from libs.common.events.issues import IssueChoiceRequested, IssueReplacementDelayed
from libs.common.events.notices import CustomerDecided
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Choice, LineQuantity, Reason
from libs.common.events.warehouse import ReplacementCancelled, ReplacementOrdered
from services.returns.domain.state.outbound_leg import OutboundStatus
from tests.returns.cases import CaseScenario, line, open_scenario
from tests.returns.partner_answers import WEDNESDAY


def silent() -> CaseScenario:
    scenario = open_scenario(Reason.MISSING_ITEM, line(quantity=2))
    scenario.confirm(WEDNESDAY)
    scenario.until(IssueChoiceRequested)
    return scenario


def answer(scenario: CaseScenario, choice: Choice) -> None:
    request = scenario.known.choice_request
    assert request
    ids = {"order_id": "O-1", "customer_id": "C-1", "issue_id": scenario.known.issue_id}
    decided = {"choice_id": request.choice_id, "choice": choice, "decided_at": scenario.now}
    scenario.apply(CustomerDecided(**ids, **decided))


def test_after_the_second_date_without_a_shipment_the_customer_is_asked() -> None:
    scenario = silent()
    asked = scenario.last(IssueChoiceRequested)
    assert asked.cause == "not_shipping"
    assert asked.options[:2] == (Choice.WAIT, Choice.REFUND)
    assert len(scenario.all(IssueReplacementDelayed)) == 1


def test_who_waits_gets_the_date_of_the_choice_and_is_asked_again_with_money_as_the_default() -> None:
    scenario = silent()
    date = scenario.last(IssueChoiceRequested).restock_date
    answer(scenario, Choice.WAIT)
    assert scenario.last(IssueReplacementDelayed).ship_date == date
    assert len({fact.replacement_id for fact in scenario.all(ReplacementOrdered)}) == 1
    assert scenario.until(IssueChoiceRequested).default is Choice.REFUND
    assert len(scenario.all(IssueReplacementDelayed)) == 2


def test_who_takes_the_money_gets_it_and_the_warehouse_is_stopped() -> None:
    scenario = silent()
    answer(scenario, Choice.REFUND)
    assert scenario.all(ReplacementCancelled)
    assert scenario.all(RefundRequested)


def test_a_shipment_that_comes_after_all_closes_the_choice() -> None:
    scenario = silent()
    scenario.ship()
    assert scenario.known.choice_request is None
    assert scenario.known.outbound.status is OutboundStatus.SHIPPED


def test_of_two_units_of_which_one_left_the_choice_is_about_the_other() -> None:
    scenario = open_scenario(Reason.MISSING_ITEM, line(quantity=2))
    scenario.ship(lines=(LineQuantity(line_id="1", quantity=1),), shipment_id="box-1")
    scenario.until(IssueChoiceRequested)
    assert scenario.known.shortage
    assert scenario.known.shortage.counts == {"1": 1}
    answer(scenario, Choice.REFUND)
    assert scenario.last(RefundRequested).amount.amount == 1200
