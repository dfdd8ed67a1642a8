"""Facts about the parcels of a replacement in every order of arrival: the same parcels count in the end."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from libs.common.events.carrier import ParcelDelivered
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueReplacementDelayed,
    IssueReplacementDelivered,
    IssueReplacementDeliveryChanged,
    IssueReplacementShipped,
    IssueReplacementTracked,
)
from libs.common.events.values import LineQuantity, MovedLine, Reason
from libs.common.events.warehouse import ReplacementShipmentChanged, ReplacementShipped
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import CALENDAR, ISSUE, TUESDAY, CaseScenario, line, open_scenario, refusal_reasons


def one() -> CaseScenario:
    return open_scenario(Reason.DEFECTIVE)


def two() -> CaseScenario:
    return open_scenario(Reason.DEFECTIVE, line(quantity=2))


def ids() -> dict[str, Any]:
    return {"issue_id": ISSUE, "replacement_id": one().replacement_id}


def left(parcel: str | None, hour: int, units: int | None = None, **more: Any) -> ReplacementShipped:
    lines = (LineQuantity(line_id="1", quantity=units),) if units else None
    at = TUESDAY + timedelta(hours=hour)
    return ReplacementShipped(**ids(), shipment_id=parcel, shipped_at=at, lines=lines, **more)


def change(parcel: str, hour: int, units: int | None = None, **more: Any) -> ReplacementShipmentChanged:
    lines = None if units is None else (MovedLine(line_id="1", quantity=units),)
    at = TUESDAY + timedelta(hours=hour)
    return ReplacementShipmentChanged(**ids(), shipment_id=parcel, changed_at=at, lines=lines, **more)


def off(parcel: str, hour: int) -> ReplacementShipmentChanged:
    return change(parcel, hour, called_off=True)


def after(scenario: CaseScenario, facts: Sequence[Payload]) -> CaseScenario:
    scenario.later(hours=6)
    for fact in facts:
        scenario.apply(fact)
    return scenario


def held(scenario: CaseScenario) -> dict[str, int]:
    """Return the units of line 1 in each parcel that counts."""
    leg = scenario.known.outbound
    assert leg.shipped == {"1": sum(each.counts["1"] for each in leg.parcels)}
    return {each.parcel_id: each.counts["1"] for each in leg.parcels}


ONE_LEAVES_AGAIN = [left("P-1", 0), off("P-1", 1), left("P-2", 2)]
CASES = {
    "another parcel without lines": (one, ONE_LEAVES_AGAIN, {"P-2": 1}),
    "another parcel with lines": (one, [left("P-1", 0, 1), off("P-1", 1), left("P-2", 2, 1)], {"P-2": 1}),
    "the same parcel": (one, [left("P-1", 0), off("P-1", 1), left("P-1", 2)], {"P-1": 1}),
    "parcels that hold less": (two, [left("P-1", 0, 2), change("P-1", 1, 1), left("P-2", 2, 1)], {"P-1": 1, "P-2": 1}),
    "more in the second": (two, [left("P-1", 0, 1), off("P-1", 1), left("P-2", 2, 2)], {"P-2": 2}),
}


@pytest.mark.parametrize("name", CASES)
def test_the_parcels_that_left_count_in_every_order_of_arrival(name: str) -> None:
    start, facts, expected = CASES[name]
    for order in permutations(facts):
        assert held(after(start(), order)) == expected, [fact.TYPE for fact in order]


@pytest.mark.parametrize("name", CASES)
def test_a_replacement_whose_units_all_left_is_shipped_whatever_was_called_off_before(name: str) -> None:
    start, facts, _ = CASES[name]
    scenario = after(start(), facts)
    assert scenario.known.outbound.status is OutboundStatus.SHIPPED


def test_a_parcel_that_two_systems_report_is_called_off_once_for_both() -> None:
    for statements in permutations([left("P-1", 0), left(None, 0)]):
        assert held(after(one(), [*statements, off("P-1", 1), left("P-2", 2)])) == {"P-2": 1}


def test_repeated_facts_of_parcels_change_nothing() -> None:
    scenario = after(one(), ONE_LEAVES_AGAIN)
    before = scenario.known.outbound
    assert after(scenario, ONE_LEAVES_AGAIN).known.outbound == before


def test_a_parcel_that_left_before_another_was_called_off_is_no_delay() -> None:
    scenario = after(one(), [left("P-1", 0), left("P-2", 2), off("P-1", 1)])
    assert not scenario.all(IssueReplacementDelayed)
    assert scenario.known.outbound.status is OutboundStatus.SHIPPED


def test_the_customer_gets_the_number_and_the_day_of_the_parcel_that_counts_instead() -> None:
    day = CALENDAR.day(TUESDAY) + timedelta(days=6)
    second = left("P-2", 2, tracking_number="4000-2", expected_delivery_date=day)
    scenario = after(one(), [left("P-1", 0, tracking_number="4000-1"), second, off("P-1", 1)])
    tracked = scenario.last(IssueReplacementTracked)
    assert (tracked.tracking_number, tracked.previous_tracking_number) == ("4000-2", "4000-1")
    assert scenario.last(IssueReplacementDeliveryChanged).expected_delivery_date == day


def test_a_delivery_of_the_parcel_that_counts_instead_is_a_delivery() -> None:
    arrived = ParcelDelivered(**ids(), shipment_id="P-2", delivered_at=TUESDAY + timedelta(hours=5))
    for order in permutations([*ONE_LEAVES_AGAIN, arrived]):
        scenario = after(one(), order)
        assert scenario.known.outbound.status is OutboundStatus.DELIVERED, [fact.TYPE for fact in order]
        assert len(scenario.all(IssueReplacementDelivered)) == 1


def test_the_number_of_a_parcel_is_announced_with_its_shipment_when_it_came_before() -> None:
    scenario = after(one(), [change("P-1", 1, tracking_number="4000-1"), left("P-1", 0)])
    assert scenario.last(IssueReplacementShipped).tracking_number == "4000-1"
    assert not scenario.all(IssueReplacementTracked)


def test_an_older_change_of_the_number_counts_beside_a_newer_one_of_the_units() -> None:
    facts = [left("P-1", 0, 2), change("P-1", 1, tracking_number="4000-1"), change("P-1", 2, 1)]
    for order in permutations(facts):
        parcel = after(two(), order).known.outbound.parcels[0]
        assert (parcel.tracking_number, parcel.counts) == ("4000-1", {"1": 1}), [fact.TYPE for fact in order]


def test_an_older_change_of_the_units_is_stale_whenever_it_arrives() -> None:
    for order in permutations([left("P-1", 0, 2), change("P-1", 1, 1), change("P-1", 2, 2)]):
        assert held(after(two(), order)) == {"P-1": 2}, [fact.TYPE for fact in order]


def test_units_that_left_twice_are_reviewed_until_the_first_parcel_is_called_off() -> None:
    scenario = after(one(), [left("P-1", 0, 1), left("P-2", 2, 1)])
    assert scenario.known.in_review(ReviewCause.SURPLUS_SHIPPED)
    after(scenario, [off("P-1", 1)])
    assert not scenario.known.in_review(ReviewCause.SURPLUS_SHIPPED)


def test_changes_that_never_find_a_parcel_are_bounded_and_shown_to_staff() -> None:
    scenario = after(one(), [change(f"P-{number}", 1, tracking_number="1") for number in range(20)])
    one_more = scenario.apply(change("P-99", 1, tracking_number="1"))
    assert refusal_reasons(one_more) == ["unknown_shipment"]
    assert len(scenario.known.outbound.early_changes) == 20
