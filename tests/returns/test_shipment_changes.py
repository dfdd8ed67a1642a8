"""Changes of a replacement's parcel: a tracking number later, units that did not leave, a parcel called off."""

from datetime import timedelta
from typing import Any

from libs.common.decisions.facts import Facts
from libs.common.events.carrier import CollectionCancelled
from libs.common.events.issues import (
    IssueReplacementDelayed,
    IssueReplacementDelivered,
    IssueReplacementDeliveryChanged,
    IssueReplacementShipped,
    IssueReplacementTracked,
)
from libs.common.events.values import LineQuantity, MovedLine, Reason
from libs.common.events.warehouse import ReplacementShipmentChanged
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.outbound_leg import OutboundStatus
from tests.returns.cases import ISSUE, CaseScenario, line, open_scenario, refusal_reasons


def shipped(quantity: int = 1, **more: Any) -> CaseScenario:
    scenario = open_scenario(Reason.DEFECTIVE, line(quantity=quantity))
    scenario.ship(shipment_id="P-1", **more)
    return scenario


def change(scenario: CaseScenario, **more: Any) -> Facts:
    known = {"shipment_id": "P-1", "changed_at": scenario.now, **more}
    return scenario.apply(ReplacementShipmentChanged(issue_id=ISSUE, replacement_id=scenario.replacement_id, **known))


def test_a_tracking_number_that_comes_later_is_announced() -> None:
    scenario = shipped()
    change(scenario.later(hours=1), tracking_number="4000-1111", carrier="yamato")
    tracked = scenario.last(IssueReplacementTracked)
    assert (tracked.tracking_number, tracked.previous_tracking_number) == ("4000-1111", None)
    assert scenario.known.outbound.parcels[0].tracking_number == "4000-1111"


def test_a_repeated_or_older_change_is_nothing_new() -> None:
    scenario = shipped()
    change(scenario.later(hours=1), tracking_number="4000-1111")
    assert refusal_reasons(change(scenario, tracking_number="4000-1111")) == ["stale"]
    facts = change(scenario, tracking_number="4000-0000", changed_at=scenario.now - timedelta(minutes=30))
    assert refusal_reasons(facts) == ["stale"]


def test_another_delivery_day_is_announced() -> None:
    scenario = shipped()
    day = scenario.known.outbound.parcels[0].expected_delivery + timedelta(days=2)
    change(scenario.later(hours=1), expected_delivery_date=day)
    assert scenario.last(IssueReplacementDeliveryChanged).expected_delivery_date == day


def test_a_parcel_that_did_not_leave_gets_a_new_date() -> None:
    scenario = shipped()
    before = scenario.known.outbound.promises[-1].ship_date
    change(scenario.later(hours=1), called_off=True)
    delayed = scenario.last(IssueReplacementDelayed)
    assert (delayed.cause, delayed.ship_date > before) == ("units_unshipped", True)
    assert (scenario.known.outbound.status, scenario.known.sent_units) == (OutboundStatus.CONFIRMED, {"1": 1})


def test_nothing_is_fetched_before_the_replacement_has_left_again() -> None:
    scenario = shipped()
    assert scenario.known.inbound.status is InboundStatus.REQUESTED
    change(scenario.later(hours=1), called_off=True)
    assert (scenario.known.inbound.status, len(scenario.all(CollectionCancelled))) == (InboundStatus.NONE, 1)
    scenario.later(days=1).ship(shipment_id="P-2")
    assert scenario.known.inbound.status is InboundStatus.REQUESTED


def test_a_parcel_called_off_counts_again_when_it_leaves_and_not_when_its_first_word_is_repeated() -> None:
    scenario = shipped()
    first_shipment = scenario.now
    change(scenario.later(hours=1), called_off=True)
    called_off_at, scenario.now = scenario.now, first_shipment
    assert refusal_reasons(scenario.ship(shipment_id="P-1")) == ["called_off"]
    scenario.now = called_off_at
    scenario.later(days=1).ship(shipment_id="P-1")
    scenario.deliver()
    assert scenario.all(IssueReplacementDelivered)


def test_units_taken_out_of_a_parcel_are_promised_again() -> None:
    scenario = shipped(quantity=2)
    change(scenario.later(hours=1), lines=(MovedLine(line_id="1", quantity=1),))
    assert scenario.known.outbound.shipped == {"1": 1}
    assert scenario.last(IssueReplacementDelayed).cause == "units_unshipped"
    scenario.later(days=1).ship(shipment_id="P-2", lines=(LineQuantity(line_id="1", quantity=1),))
    assert len(scenario.all(IssueReplacementShipped)) == 2


def test_a_change_of_a_parcel_that_is_not_known_goes_to_staff() -> None:
    scenario = shipped()
    assert refusal_reasons(change(scenario, shipment_id="P-9", called_off=True)) == ["unknown_shipment"]


def test_a_change_after_the_delivery_goes_to_staff() -> None:
    scenario = shipped()
    scenario.deliver()
    assert refusal_reasons(change(scenario.later(hours=1), called_off=True)) == ["changed_after_delivery"]
