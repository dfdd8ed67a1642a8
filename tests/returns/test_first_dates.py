"""The first ship date of a replacement is the warehouse's; without one the customer is given the day of the date."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from libs.common.decisions.business_hours import BusinessHours
from libs.common.decisions.calendars import CALENDAR_TIMER, Calendars
from libs.common.decisions.facts import TimerFired
from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueChoiceRequested,
    IssueReplacementDelayed,
    IssueReplacementOrdered,
    IssueReplacementPartShipped,
    IssueReplacementPromised,
    IssueReviewRequested,
)
from libs.common.events.values import Choice, LineQuantity, Reason
from libs.common.events.warehouse import ReplacementDelayed, ReplacementOrdered, ReplacementRejected
from services.returns.domain.context import CaseRules
from services.returns.domain.handlers.case_closure import count_broken_promises
from services.returns.policy.policy_loader import read_policies
from services.returns.policy.policy_versions import ReturnPolicies
from tests.returns.cases import CALENDAR, ISSUE, RULES, TUESDAY, CaseScenario, accepted, line, open_scenario
from tests.returns.partner_answers import FRIDAY, MONDAY, THURSDAY, WEDNESDAY, choose

DATES = (IssueReplacementPromised, IssueReplacementDelayed)


def dates(scenario: CaseScenario) -> list[Payload]:
    return [fact for fact in scenario.facts if isinstance(fact, DATES)]


def with_limits(**limits: Any) -> CaseRules:
    policies = {
        name: policy.model_copy(update={"limits": policy.limits.model_copy(update=limits)})
        for name, policy in read_policies().versions.items()
    }
    return replace(RULES, policies=ReturnPolicies(policies))


def opened(rules: CaseRules, at: datetime = TUESDAY) -> CaseScenario:
    scenario = CaseScenario(rules=rules, now=at)
    scenario.apply(accepted(at=at))
    return scenario


def test_the_warehouse_gets_its_order_at_once_and_the_customer_no_date_yet() -> None:
    scenario = open_scenario()
    sent, announced = scenario.last(ReplacementOrdered), scenario.last(IssueReplacementOrdered)
    assert (sent.ordered_at, sent.promised_ship_date) == (TUESDAY, WEDNESDAY)
    assert sent.date_expected_at == announced.date_expected_at == TUESDAY + timedelta(seconds=10)
    assert announced.date_known_by == WEDNESDAY
    assert not dates(scenario)


def test_the_answer_is_the_first_date_and_no_delay_however_late_it_is() -> None:
    scenario = open_scenario()
    scenario.confirm(MONDAY)
    (first,) = dates(scenario)
    assert isinstance(first, IssueReplacementPromised)
    assert (first.ship_date, first.version) == (MONDAY, 1)


def test_a_warehouse_that_answers_with_a_delay_to_the_date_asked_for_gives_the_first_date_too() -> None:
    scenario = open_scenario()
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.apply(ReplacementDelayed(**ids, ship_date=WEDNESDAY))
    assert scenario.last(IssueReplacementPromised).ship_date == WEDNESDAY


def test_a_later_date_than_the_first_is_a_delay() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    scenario.later(hours=1).confirm(FRIDAY)
    delayed = scenario.last(IssueReplacementDelayed)
    assert (delayed.previous_ship_date, delayed.ship_date) == (WEDNESDAY, FRIDAY)
    assert count_broken_promises(scenario.known.outbound) == 1


def test_a_first_date_later_than_the_one_asked_for_breaks_no_promise() -> None:
    scenario = open_scenario()
    scenario.confirm(FRIDAY)
    assert count_broken_promises(scenario.known.outbound) == 0


def test_out_of_stock_is_a_choice_before_any_date() -> None:
    scenario = open_scenario()
    scenario.apply(ReplacementRejected(issue_id=ISSUE, replacement_id=scenario.replacement_id, restock_date=MONDAY))
    assert scenario.last(IssueChoiceRequested).restock_date == MONDAY
    assert not dates(scenario)


def test_who_waits_for_new_stock_has_that_date_and_is_not_kept_waiting_for_another() -> None:
    scenario = open_scenario()
    scenario.apply(ReplacementRejected(issue_id=ISSUE, replacement_id=scenario.replacement_id, restock_date=MONDAY))
    choose(scenario, Choice.WAIT)
    again = scenario.last(IssueReplacementOrdered)
    assert (again.promised_ship_date, again.date_known_by) == (MONDAY, None)


def test_without_a_date_on_the_day_of_the_date_staff_are_asked_and_name_the_next_day() -> None:
    scenario = open_scenario()
    review = scenario.until(IssueReviewRequested)
    assert review.cause == "warehouse_silent"
    assert scenario.now == CALENDAR.moment(WEDNESDAY, 12)
    assert CALENDAR.day(review.due_at) == FRIDAY
    assert len({order.replacement_id for order in scenario.all(ReplacementOrdered)}) == 1


def test_without_a_date_on_the_second_day_either_the_customer_chooses() -> None:
    scenario = open_scenario()
    asked = scenario.until(IssueChoiceRequested)
    assert CALENDAR.day(scenario.now) == FRIDAY
    assert (asked.cause, asked.options[:2]) == ("not_shipping", (Choice.WAIT, Choice.REFUND))
    assert not dates(scenario)
    assert [review.cause for review in scenario.known.reviews] == ["not_shipping"]


def test_a_date_that_comes_while_the_customer_chooses_is_not_replaced_by_the_one_of_waiting() -> None:
    scenario = open_scenario()
    scenario.until(IssueChoiceRequested)
    scenario.later(hours=1).confirm(MONDAY)
    choose(scenario, Choice.WAIT)
    assert scenario.known.outbound.promises[-1].ship_date == MONDAY


def test_a_date_settles_the_review_of_the_silence() -> None:
    scenario = open_scenario()
    scenario.until(IssueReviewRequested)
    scenario.confirm(THURSDAY)
    assert not scenario.known.reviews
    assert scenario.last(IssueReplacementPromised).ship_date == THURSDAY


def test_a_warehouse_that_states_no_dates_ships_for_the_date_of_the_policy() -> None:
    scenario = opened(with_limits(first_date_seconds=0))
    announced = scenario.last(IssueReplacementOrdered)
    assert (announced.promised_ship_date, announced.date_known_by, announced.date_expected_at) == (
        WEDNESDAY,
        None,
        None,
    )
    assert scenario.last(ReplacementOrdered).date_expected_at is None
    assert scenario.until(IssueReplacementDelayed).previous_ship_date == WEDNESDAY


def test_a_parcel_that_leaves_before_any_date_gives_the_others_theirs() -> None:
    scenario = open_scenario(Reason.DEFECTIVE, line(quantity=2))
    scenario.ship(lines=(LineQuantity(line_id="1", quantity=1),), shipment_id="box-1")
    promised, part = scenario.last(IssueReplacementPromised), scenario.last(IssueReplacementPartShipped)
    assert promised.ship_date == part.remaining_ship_date == WEDNESDAY


def test_a_closed_day_of_shop_or_warehouse_is_not_the_day_of_the_date() -> None:
    closed = ShopCalendar(CALENDAR.zone, closed_weekdays=frozenset({2, 5, 6}))
    rules = replace(RULES, calendars=Calendars(BusinessHours(CALENDAR), {"default": BusinessHours(closed)}))
    assert opened(rules).last(IssueReplacementOrdered).date_known_by == THURSDAY


def test_a_date_asked_for_moves_with_the_calendar_without_a_notice() -> None:
    scenario = open_scenario()
    closed = ShopCalendar(CALENDAR.zone, closed_weekdays=frozenset({2, 5, 6}))
    scenario.rules = replace(RULES, calendars=Calendars(BusinessHours(CALENDAR), {"default": BusinessHours(closed)}))
    scenario.apply(TimerFired(name=CALENDAR_TIMER, due_at=scenario.now))
    assert not dates(scenario)
    assert scenario.known.outbound.promises[0].ship_date == THURSDAY


@pytest.mark.parametrize("day", [WEDNESDAY, THURSDAY, MONDAY])
def test_the_same_date_again_is_not_announced(day: date) -> None:
    scenario = open_scenario()
    scenario.confirm(day)
    scenario.later(minutes=5).confirm(day)
    assert len(dates(scenario)) == 1
