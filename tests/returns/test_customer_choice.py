"""Choice of the customer when the warehouse cannot ship: options, default, answers, and what overtakes them."""

from datetime import date, timedelta

from libs.common.events.carrier import CollectionRequested
from libs.common.events.issues import IssueAnomalyDetected, IssueResolved, IssueReviewRequested
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Choice, Reason, Remedy
from libs.common.events.warehouse import ReplacementOrdered
from services.returns.domain.context import CaseRules
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.policy.policy_versions import ReturnPolicies
from tests.returns.cases import RULES, open_scenario
from tests.returns.partner_answers import MONDAY, WEDNESDAY, choose, reject


def test_out_of_stock_with_a_near_day_asks_and_waits_by_default() -> None:
    asked = reject(open_scenario(), restock=MONDAY)
    assert (asked.options, asked.default, asked.restock_date) == ((Choice.WAIT, Choice.REFUND), Choice.WAIT, MONDAY)


def test_out_of_stock_for_long_refunds_by_default() -> None:
    assert reject(open_scenario(), restock=WEDNESDAY + timedelta(days=60)).default is Choice.REFUND


def test_out_of_stock_without_a_day_offers_no_waiting() -> None:
    asked = reject(open_scenario())
    assert Choice.WAIT not in asked.options
    assert asked.default is Choice.REFUND


def test_who_waits_gets_another_order_for_the_day_of_restocking() -> None:
    scenario = open_scenario()
    reject(scenario, restock=MONDAY)
    choose(scenario, Choice.WAIT)
    first, second = scenario.all(ReplacementOrdered)
    assert first.replacement_id != second.replacement_id
    assert second.promised_ship_date == MONDAY


def test_who_takes_the_money_for_a_defective_item_is_visited_first() -> None:
    scenario = open_scenario()
    reject(scenario)
    choose(scenario, Choice.REFUND)
    assert scenario.all(CollectionRequested)
    assert not scenario.all(RefundRequested)
    scenario.receive()
    scenario.inspect()
    scenario.pay()
    assert scenario.last(IssueResolved).remedy is Remedy.REFUND


def test_who_takes_the_money_for_what_never_came_is_paid_at_once() -> None:
    scenario = open_scenario(Reason.MISSING_ITEM)
    reject(scenario)
    choose(scenario, Choice.REFUND)
    assert scenario.all(RefundRequested)


def test_who_leaves_it_ends_the_case() -> None:
    scenario = open_scenario()
    reject(scenario)
    assert choose(scenario, Choice.CANCEL) == ["issue.cancelled.v1"]


def test_who_leaves_it_after_something_came_back_goes_to_review() -> None:
    scenario = open_scenario()
    reject(scenario)
    scenario.receive()
    choose(scenario, Choice.CANCEL)
    assert scenario.last(IssueReviewRequested).cause == "no_decision"
    assert scenario.known.plan.remedy is Remedy.REPLACEMENT


def test_leaving_it_is_offered_only_while_it_is_possible() -> None:
    scenario = open_scenario()
    scenario.receive()
    assert reject(scenario).options == (Choice.REFUND,)


def test_a_case_goes_on_under_the_version_it_was_decided_under() -> None:
    scenario = open_scenario()
    reject(scenario)
    present = RULES.policies.versions["2026-01"]
    terms = present.limits.model_copy(update={"collection_answer_hours": 1})
    newer = present.model_copy(update={"version": "2026-02", "in_force_from": date(2026, 2, 1), "terms": terms})
    scenario.rules = CaseRules(ReturnPolicies.from_policies([present, newer]), RULES.calendars)
    choose(scenario, Choice.REFUND)
    assert scenario.known.policy_version == "2026-01"
    answer_by = scenario.rules.calendars.shop_hours.after(
        scenario.now, timedelta(hours=present.limits.collection_answer_hours)
    )
    assert scenario.known.inbound.due_at == answer_by


def test_a_second_answer_changes_nothing() -> None:
    scenario = open_scenario()
    reject(scenario, restock=MONDAY)
    choose(scenario, Choice.WAIT)
    assert choose(scenario, Choice.REFUND) == ["choice_closed"]


def test_a_choice_that_was_not_offered_is_an_anomaly() -> None:
    scenario = open_scenario()
    reject(scenario)
    choose(scenario, Choice.CHANGE)
    assert scenario.last(IssueAnomalyDetected).anomaly == "choice_not_offered"


def test_a_choice_that_nobody_answers_goes_to_review() -> None:
    scenario = open_scenario()
    reject(scenario)
    assert scenario.until(IssueReviewRequested).cause == "no_decision"


def test_a_rejected_replacement_that_ships_after_all_answers_its_own_question() -> None:
    scenario = open_scenario()
    reject(scenario)
    scenario.ship()
    assert choose(scenario, Choice.REFUND) == ["choice_closed"]
    assert scenario.known.outbound.status is OutboundStatus.SHIPPED


def test_a_replacement_that_ships_after_the_money_was_chosen_goes_to_review() -> None:
    scenario = open_scenario()
    reject(scenario)
    choose(scenario, Choice.REFUND)
    scenario.ship()
    assert scenario.last(IssueReviewRequested).cause == "moved_after_stop"
