"""Plan of each reason: what moves, in which order, and what is paid back."""

from decimal import Decimal

import pytest

from libs.common.events.carrier import CollectionRequested
from libs.common.events.issues import IssueReplacementOrdered, IssueResolved
from libs.common.events.payment import RefundRequested
from libs.common.events.values import Fault, Money, Reason, Remedy
from libs.common.events.warehouse import Priority, ReplacementOrdered
from tests.returns.cases import HOME, line, open_scenario
from tests.returns.partner_answers import THURSDAY, WEDNESDAY

SHIPS_FIRST = [Reason.DEFECTIVE, Reason.DAMAGED_IN_TRANSIT, Reason.WRONG_ITEM]
SHIPS_ONLY = [Reason.MISSING_PART, Reason.MISSING_ITEM, Reason.LOST_IN_TRANSIT]


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
