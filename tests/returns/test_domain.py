"""Paths of one case, event by event."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from libs.common.decisions.ids import derived_id
from libs.common.events.carrier import CollectionCancelled, CollectionRequested, ParcelException
from libs.common.events.issues import (
    IssueAnomalyDetected,
    IssueChoiceRequested,
    IssueCollectionRequested,
    IssueRefundRequested,
    IssueReplacementDelayed,
    IssueReplacementOrdered,
    IssueReplacementPromised,
    IssueReplacementShipped,
    IssueResolved,
    IssueReviewRequested,
)
from libs.common.events.notices import CustomerDecided
from libs.common.events.payment import RefundRequested
from libs.common.events.values import (
    Choice,
    Condition,
    CountedLine,
    Fault,
    InspectedLine,
    LineQuantity,
    Money,
    Reason,
    Remedy,
)
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    Priority,
    ReplacementCancelled,
    ReplacementConfirmed,
    ReplacementDelayed,
    ReplacementOrdered,
    ReplacementRejected,
)
from services.returns.domain.context import CaseRules
from services.returns.domain.state.case_status import CaseStatus, case_status
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.kept_counts import CountKept
from services.returns.domain.state.money_leg import RefundStatus
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.policy_versions import ReturnPolicies
from tests.returns.cases import (
    HOME,
    ISSUE,
    RULES,
    CaseScenario,
    accepted,
    event_types,
    line,
    open_scenario,
    paid_order,
    refusal_reasons,
)

WEDNESDAY, THURSDAY, FRIDAY, MONDAY = date(2026, 3, 11), date(2026, 3, 12), date(2026, 3, 13), date(2026, 3, 16)

SHIPS_FIRST = [Reason.DEFECTIVE, Reason.DAMAGED_IN_TRANSIT, Reason.WRONG_ITEM]
SHIPS_ONLY = [Reason.MISSING_PART, Reason.MISSING_ITEM, Reason.LOST_IN_TRANSIT]


def reject(scenario: CaseScenario, restock: date | None = None) -> IssueChoiceRequested:
    scenario.apply(ReplacementRejected(issue_id=ISSUE, replacement_id=scenario.replacement_id, restock_date=restock))
    return scenario.last(IssueChoiceRequested)


def choose(scenario: CaseScenario, choice: Choice) -> list[str]:
    asked = scenario.last(IssueChoiceRequested)
    decided = CustomerDecided(
        order_id="O-1",
        customer_id="C-1",
        issue_id=ISSUE,
        choice_id=asked.choice_id,
        choice=choice,
        decided_at=scenario.now,
    )
    facts = scenario.apply(decided)
    return event_types(facts) or refusal_reasons(facts)


# --- the main path, per reason ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", SHIPS_FIRST)
def test_the_replacement_ships_first_and_the_courier_comes_on_its_delivery_day(reason: Reason) -> None:
    scenario = open_scenario(reason)
    assert not scenario.all(CollectionRequested)
    scenario.confirm(WEDNESDAY)
    scenario.later(days=1).ship(expected_delivery_date=THURSDAY)
    assert scenario.last(CollectionRequested).earliest_date == THURSDAY


@pytest.mark.parametrize("reason", SHIPS_FIRST)
def test_a_replaced_case_is_resolved_when_the_old_item_is_back(reason: Reason) -> None:
    scenario = open_scenario(reason)
    scenario.ship()
    scenario.later(days=1).deliver()
    scenario.collect()
    scenario.receive()
    scenario.inspect()
    assert scenario.last(IssueResolved).remedy is Remedy.REPLACEMENT
    assert not scenario.timers


@pytest.mark.parametrize("reason", SHIPS_ONLY)
def test_what_never_arrived_is_sent_and_nothing_is_collected(reason: Reason) -> None:
    scenario = open_scenario(reason)
    scenario.ship()
    scenario.later(days=1).deliver()
    assert scenario.all(IssueResolved)
    assert not scenario.all(CollectionRequested)


def test_a_missing_part_is_sent_alone() -> None:
    assert open_scenario(Reason.MISSING_PART).last(IssueReplacementOrdered).remedy is Remedy.PART_SHIPMENT


def test_a_change_of_mind_is_collected_and_paid_back_on_receipt() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    assert scenario.last(CollectionRequested).earliest_date == WEDNESDAY
    scenario.later(days=1).collect()
    assert not scenario.all(RefundRequested)
    scenario.later(days=1).receive()
    assert scenario.last(RefundRequested).amount == Money(amount=Decimal(1200), currency="JPY")
    scenario.pay()
    scenario.inspect()
    assert scenario.all(IssueResolved)
    assert not scenario.all(ReplacementOrdered)


def test_a_wish_for_a_refund_of_what_was_lost_is_paid_at_once() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, requested_remedy=Remedy.REFUND)
    scenario.pay()
    assert scenario.last(IssueResolved).fault is Fault.CARRIER


def test_what_cost_nothing_is_refunded_without_a_payment() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT, line(price="0"), requested_remedy=Remedy.REFUND)
    assert scenario.all(IssueResolved)
    assert not scenario.all(RefundRequested)


def test_the_resolution_carries_the_value_of_the_reported_units() -> None:
    scenario = open_scenario(Reason.MISSING_ITEM, line("1", 2, "10.50", "USD"), line("2", 1, "5", "USD"))
    scenario.ship()
    scenario.deliver()
    assert scenario.last(IssueResolved).value == Money(amount=Decimal("26.00"), currency="USD")


def test_the_warehouse_is_informed_where_to_and_how_soon() -> None:
    order = open_scenario().last(ReplacementOrdered)
    assert (order.ship_to, order.priority, order.promised_ship_date) == (HOME, Priority.EXPRESS, WEDNESDAY)


# --- promises ---------------------------------------------------------------------------------------------------------


def test_a_confirmation_in_time_is_the_first_version_of_the_promise() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    promised = scenario.last(IssueReplacementPromised)
    assert (promised.ship_date, promised.version) == (WEDNESDAY, 1)


def test_a_later_date_is_announced_as_a_delay() -> None:
    scenario = open_scenario()
    scenario.confirm(FRIDAY)
    delayed = scenario.last(IssueReplacementDelayed)
    assert (delayed.previous_ship_date, delayed.ship_date, delayed.version) == (WEDNESDAY, FRIDAY, 1)


def test_the_same_date_again_is_not_announced() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    assert refusal_reasons(scenario.confirm(WEDNESDAY)) == ["duplicate"]


def test_the_warehouse_delays_and_the_promise_gets_a_new_version() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    scenario.apply(
        ReplacementDelayed(issue_id=ISSUE, replacement_id=scenario.replacement_id, ship_date=MONDAY, cause="press")
    )
    delayed = scenario.last(IssueReplacementDelayed)
    assert (delayed.version, delayed.cause) == (2, "press")


def test_an_older_word_heard_later_is_stale() -> None:
    scenario = open_scenario()
    scenario.later(hours=1).confirm(THURSDAY)
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.later(hours=1).apply(ReplacementDelayed(**ids, ship_date=MONDAY))
    facts = scenario.later(hours=1).apply(
        ReplacementConfirmed(**ids, ship_date=THURSDAY), event_time=scenario.now - timedelta(hours=2)
    )
    assert refusal_reasons(facts) == ["stale"]
    assert scenario.known.outbound.promises[-1].ship_date == MONDAY


def test_a_word_older_than_a_repeated_one_is_stale_too() -> None:
    scenario = open_scenario()
    scenario.confirm(THURSDAY)
    scenario.later(hours=2).confirm(THURSDAY)
    delayed = ReplacementDelayed(issue_id=ISSUE, replacement_id=scenario.replacement_id, ship_date=MONDAY)
    assert refusal_reasons(scenario.apply(delayed, event_time=scenario.now - timedelta(hours=1))) == ["stale"]


def test_a_rejection_older_than_the_confirmation_is_stale() -> None:
    scenario = open_scenario()
    scenario.later(hours=2).confirm(THURSDAY)
    rejected = ReplacementRejected(issue_id=ISSUE, replacement_id=scenario.replacement_id)
    assert refusal_reasons(scenario.apply(rejected, event_time=scenario.now - timedelta(hours=1))) == ["stale"]


def test_a_warehouse_whose_clock_runs_ahead_can_still_change_its_word() -> None:
    scenario = open_scenario()
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.apply(ReplacementConfirmed(**ids, ship_date=THURSDAY), event_time=scenario.now + timedelta(days=2))
    scenario.later(hours=1).apply(ReplacementDelayed(**ids, ship_date=MONDAY))
    assert scenario.last(IssueReplacementDelayed).ship_date == MONDAY


def test_a_date_in_the_past_is_announced_as_today() -> None:
    scenario = open_scenario()
    scenario.later(days=3).confirm(WEDNESDAY)
    assert scenario.last(IssueReplacementDelayed).ship_date == FRIDAY


def test_a_promise_that_passes_unshipped_is_renewed_for_the_next_open_day() -> None:
    scenario = open_scenario()
    scenario.confirm(FRIDAY)
    delayed = scenario.until(IssueReplacementDelayed)
    assert (delayed.previous_ship_date, delayed.ship_date, delayed.cause) == (FRIDAY, MONDAY, "no_shipment")
    assert not scenario.all(IssueReviewRequested)


def test_from_the_second_slip_on_a_review_opens() -> None:
    scenario = open_scenario()
    scenario.confirm(WEDNESDAY)
    assert scenario.until(IssueReviewRequested).cause == "not_shipping"
    assert len(scenario.all(IssueReplacementDelayed)) == 1
    assert scenario.last(IssueChoiceRequested).cause == "not_shipping"


def test_a_silent_warehouse_is_asked_again_under_the_same_id() -> None:
    scenario = open_scenario()
    scenario.until(ReplacementOrdered)
    first, second = scenario.all(ReplacementOrdered)
    assert first.replacement_id == second.replacement_id


def test_shipping_settles_the_review_of_a_silent_warehouse() -> None:
    scenario = open_scenario()
    scenario.until(IssueReviewRequested)
    scenario.ship()
    assert case_status(scenario.known) is CaseStatus.REPLACEMENT_SHIPPED


def test_without_a_word_from_the_warehouse_the_delivery_day_is_still_definite() -> None:
    scenario = open_scenario()
    scenario.ship()
    assert scenario.last(IssueReplacementShipped).expected_delivery_date == THURSDAY


# --- out of stock -----------------------------------------------------------------------------------------------------


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
    scenario.rules = CaseRules(ReturnPolicies.from_policies([present, newer]), RULES.calendar)
    choose(scenario, Choice.REFUND)
    assert scenario.known.policy_version == "2026-01"
    assert scenario.known.inbound.due_at == scenario.now + timedelta(hours=present.limits.collection_answer_hours)


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


# --- events out of order ----------------------------------------------------------------------------------------------


def test_a_delivery_reported_before_its_shipping_waits_for_it() -> None:
    scenario = open_scenario()
    assert event_types(scenario.deliver()) == []
    assert event_types(scenario.ship()) == [
        "issue.replacement_shipped.v1",
        "issue.replacement_delivered.v1",
        "collection.requested.v1",
        "issue.collection_requested.v1",
    ]


def test_a_delivery_whose_shipping_never_arrives_goes_to_review() -> None:
    scenario = open_scenario()
    scenario.deliver()
    assert scenario.until(IssueReviewRequested).cause == "delivered_unshipped"
    assert not scenario.all(CollectionRequested)


def test_a_receipt_before_its_collection_counts() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.receive()
    assert refusal_reasons(scenario.collect()) == ["superseded"]
    assert scenario.known.inbound.status is InboundStatus.RECEIVED


def test_a_courier_who_is_not_needed_any_more_is_called_off() -> None:
    scenario = open_scenario()
    scenario.ship()
    scenario.receive()
    assert scenario.last(CollectionCancelled).cause == "already_received"


def test_a_confirmation_after_the_shipping_is_superseded() -> None:
    scenario = open_scenario()
    scenario.ship()
    assert refusal_reasons(scenario.confirm(FRIDAY)) == ["superseded"]


def test_an_event_for_an_unknown_issue_is_an_anomaly() -> None:
    scenario = CaseScenario()
    facts = scenario.apply(
        ReplacementConfirmed(issue_id=ISSUE, replacement_id=derived_id("replacement", 1), ship_date=FRIDAY)
    )
    assert refusal_reasons(facts) == ["unknown_issue"]
    assert scenario.case is None


def test_an_event_for_an_unknown_replacement_is_an_anomaly() -> None:
    scenario = open_scenario()
    facts = scenario.apply(
        ReplacementConfirmed(issue_id=ISSUE, replacement_id=derived_id("replacement", 1), ship_date=FRIDAY)
    )
    assert refusal_reasons(facts) == ["unknown_replacement"]


def test_the_same_acceptance_again_changes_nothing() -> None:
    assert refusal_reasons(open_scenario().apply(accepted())) == ["already_open"]


def test_what_came_back_unasked_is_not_fetched_again_when_the_money_is_chosen() -> None:
    scenario = open_scenario(Reason.MISSING_PART)
    scenario.receive()
    reject(scenario)
    choose(scenario, Choice.REFUND)
    assert not scenario.all(CollectionRequested)
    assert scenario.all(RefundRequested)


# --- the courier ------------------------------------------------------------------------------------------------------


def test_nobody_home_is_tried_again_on_the_next_open_day() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.book(FRIDAY)
    scenario.later(days=3).miss()
    again = scenario.last(IssueCollectionRequested)
    assert (again.attempt, again.earliest_date) == (2, MONDAY)


def test_a_failure_of_an_earlier_attempt_does_not_count_against_the_next() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.later(days=1).miss(attempt=1)
    assert refusal_reasons(scenario.later(days=1).miss(attempt=1)) == ["superseded"]
    assert len(scenario.all(CollectionRequested)) == 2


def test_nobody_home_three_times_goes_to_review() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    for _ in range(3):
        scenario.later(days=1).miss()
    assert scenario.last(IssueReviewRequested).cause == "collection_failed"
    assert len(scenario.all(CollectionRequested)) == 3


def test_a_courier_who_would_come_before_the_replacement_is_asked_again() -> None:
    scenario = open_scenario()
    scenario.ship(expected_delivery_date=FRIDAY)
    assert refusal_reasons(scenario.book(THURSDAY)) == ["booked_too_early"]
    assert scenario.last(CollectionRequested).earliest_date == FRIDAY


def test_a_late_parcel_moves_the_courier_behind_it() -> None:
    scenario = open_scenario()
    scenario.ship(expected_delivery_date=THURSDAY)
    late = ParcelException(
        issue_id=ISSUE,
        replacement_id=scenario.replacement_id,
        code="snow",
        expected_delivery_date=MONDAY,
        occurred_at=scenario.now,
    )
    scenario.apply(late)
    assert scenario.last(CollectionRequested).earliest_date == MONDAY


def test_a_silent_courier_is_asked_again() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    assert scenario.until(CollectionRequested).attempt == 2


def test_what_was_collected_and_does_not_arrive_goes_to_review() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.collect()
    assert scenario.until(IssueReviewRequested).cause == "receipt_overdue"


def test_what_nobody_inspects_goes_to_review() -> None:
    scenario = open_scenario(Reason.CHANGED_MIND)
    scenario.receive()
    scenario.pay()
    assert scenario.until(IssueReviewRequested).cause == "inspection_overdue"


# --- money ------------------------------------------------------------------------------------------------------------


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


# --- the address ------------------------------------------------------------------------------------------------------


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
