"""Words of carriers about a replacement: rank, direction, several parcels, and the day of delivery."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.decisions.facts import Anomaly
from libs.common.events.carrier import ParcelDelivered, ParcelException, ParcelScanned
from libs.common.events.issues import IssueReplacementDelivered, IssueReplacementDeliveryChanged
from libs.common.events.values import LineQuantity, RawStatus, Reason
from libs.common.events.warehouse import ReplacementOrdered, ReplacementShipped
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import CarrierStatus, TrackingScan, status_table, supersedes
from tests.returns.cases import CALENDAR, ISSUE, TUESDAY, CaseScenario, line, open_scenario, refusal_reasons


def scan(
    scenario: CaseScenario, source: str, code: str, at: datetime | None = None, detail: str | None = None, **more: Any
) -> list[str]:
    raw = RawStatus(source=source, code=code, detail=detail)
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    event = ParcelScanned(**ids, raw=raw, scanned_at=at or scenario.now, **more)
    return refusal_reasons(scenario.apply(event))


def shipped() -> CaseScenario:
    scenario = open_scenario()
    scenario.ship(tracking_number="1234-5678-9012", carrier="yamato")
    return scenario.later(days=1)


def in_two_parcels() -> CaseScenario:
    scenario = open_scenario(Reason.DEFECTIVE, line(quantity=2))
    for number in ("1", "2"):
        units = (LineQuantity(line_id="1", quantity=1),)
        scenario.ship(lines=units, shipment_id=f"box-{number}", tracking_number=f"T-{number}")
    return scenario.later(days=1)


@pytest.mark.parametrize(
    ("source", "on_the_van", "at_the_door"),
    [("easypost", "out_for_delivery", "delivered"), ("yamato", "配達中", "配達完了")],
)
@pytest.mark.parametrize("minutes", [0, -5])
def test_delivered_counts_in_the_minute_of_the_van_and_stamped_before_it(
    source: str, on_the_van: str, at_the_door: str, minutes: int
) -> None:
    scenario = shipped()
    scan(scenario, source, on_the_van)
    scan(scenario, source, at_the_door, scenario.now + timedelta(minutes=minutes))
    assert scenario.known.outbound.status is OutboundStatus.DELIVERED
    assert len(scenario.all(IssueReplacementDelivered)) == 1


def test_the_van_after_the_door_changes_nothing() -> None:
    scenario = shipped()
    scan(scenario, "yamato", "配達完了")
    assert scan(scenario, "yamato", "配達中") == ["stale_scan"]
    assert scan(scenario.later(minutes=5), "yamato", "配達中") == ["stale_scan"]


@pytest.mark.parametrize(
    ("source", "back", "arrived"),
    [
        ("easypost", ("return_to_sender", "return"), "delivered"),
        ("yamato", ("返品", None), "配達完了"),
        ("yamato", ("持戻(受取ご辞退)", None), "配達完了"),
        ("easypost", ("failure", "refused"), "delivered"),
        ("japanpost", ("差出人に返送", None), "お届け済み"),
    ],
)
def test_after_a_parcel_turned_back_delivered_means_the_senders_door(
    source: str, back: tuple[str, str | None], arrived: str
) -> None:
    scenario = shipped()
    scan(scenario, source, back[0], detail=back[1])
    scan(scenario.later(minutes=30), source, arrived)
    assert not scenario.all(IssueReplacementDelivered)
    assert scenario.known.in_review(ReviewCause.PARCEL_EXCEPTION)
    assert scenario.known.inbound.status in (InboundStatus.REQUESTED, InboundStatus.BOOKED)
    scenario.decide_review(ReviewCause.PARCEL_EXCEPTION)
    assert len(scenario.all(ReplacementOrdered)) == 2


def test_a_courier_who_calls_a_returned_parcel_delivered_does_not_deliver_it() -> None:
    scenario = shipped()
    scan(scenario, "easypost", "return_to_sender")
    scenario.deliver()
    assert not scenario.all(IssueReplacementDelivered)


@pytest.mark.parametrize("word", ["lost", "damaged"])
def test_what_was_lost_or_damaged_and_then_delivered_is_delivered(word: str) -> None:
    scenario = shipped()
    scan(scenario, "easypost", "failure", detail=word)
    scan(scenario.later(minutes=30), "easypost", "delivered")
    assert len(scenario.all(IssueReplacementDelivered)) == 1
    assert not scenario.known.reviews


@pytest.mark.parametrize("named", ["shipment_id", "tracking_number"])
def test_two_parcels_of_one_order_do_not_overtake_each_other(named: str) -> None:
    scenario = in_two_parcels()
    first, second = {"shipment_id": ("box-1", "box-2"), "tracking_number": ("T-1", "T-2")}[named]
    names: list[dict[str, Any]] = [{named: first}, {named: second}]
    scan(scenario, "yamato", "配達完了", **names[0])
    assert not scenario.all(IssueReplacementDelivered)
    scan(scenario, "yamato", "配達中", scenario.now - timedelta(hours=1), **names[1])
    scan(scenario, "yamato", "配達完了", scenario.now - timedelta(minutes=30), **names[1])
    assert len(scenario.all(IssueReplacementDelivered)) == 1


def test_one_parcel_that_turned_back_leaves_the_other_on_its_way() -> None:
    scenario = in_two_parcels()
    scan(scenario, "yamato", "返品", tracking_number="T-1")
    scan(scenario, "yamato", "配達完了", tracking_number="T-2")
    assert [parcel.delivered_at is not None for parcel in scenario.known.outbound.parcels] == [False, True]
    assert scenario.known.in_review(ReviewCause.PARCEL_EXCEPTION)
    assert not scenario.all(IssueReplacementDelivered)


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("sagawa", "配達完了"),
        ("Sagawa", "⇒配達完了"),
        ("japanpost", "お届け先にお届け済み"),
        ("shippo", "DELIVERED"),
        ("shippo", "delivered"),
        ("dhl", "delivered"),
        ("ups", "D"),
        ("fedex", "DL"),
        ("usps", "Delivered"),
        ("usps", "01"),
        ("easypost", "Delivered"),
    ],
)
def test_every_carrier_of_the_home_market_and_abroad_can_deliver(source: str, code: str) -> None:
    scenario = shipped()
    scan(scenario, source, code)
    assert len(scenario.all(IssueReplacementDelivered)) == 1


def test_a_parcel_left_with_a_neighbour_is_delivered_and_the_case_says_where() -> None:
    scenario = shipped()
    scan(scenario, "aftership", "Delivered", detail="Delivered_005")
    assert scenario.known.outbound.parcels[0].handed_to == "Delivered_005"
    assert len(scenario.all(IssueReplacementDelivered)) == 1


def test_an_unknown_word_names_its_carrier_to_ops() -> None:
    scenario = shipped()
    scan(scenario, "yamato", "謎")
    assert "yamato 謎" in scenario.last(Anomaly).detail


def test_a_slip_of_the_delivery_day_is_announced_once() -> None:
    scenario = shipped()
    before = scenario.known.outbound.expected_delivery
    assert before
    late = before + timedelta(days=3)
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    for _ in range(2):
        scenario.apply(ParcelException(**ids, code="weather", expected_delivery_date=late, occurred_at=scenario.now))
    (changed,) = scenario.all(IssueReplacementDeliveryChanged)
    assert (changed.previous_date, changed.expected_delivery_date) == (before, late)


def test_a_later_day_in_any_scan_counts_and_an_earlier_one_does_not() -> None:
    scenario = shipped()
    before = scenario.known.outbound.expected_delivery
    assert before
    scan(scenario, "easypost", "in_transit", expected_delivery_date=before - timedelta(days=1))
    assert not scenario.all(IssueReplacementDeliveryChanged)
    scan(scenario.later(minutes=1), "easypost", "in_transit", expected_delivery_date=before + timedelta(days=1))
    assert scenario.last(IssueReplacementDeliveryChanged).expected_delivery_date == before + timedelta(days=1)


def test_a_slip_of_the_first_parcel_does_not_move_the_day_of_the_last() -> None:
    scenario = open_scenario(Reason.DEFECTIVE, line(quantity=2))
    units, today = (LineQuantity(line_id="1", quantity=1),), CALENDAR.day(scenario.now)
    for number, days in (("1", 1), ("2", 5)):
        scenario.ship(lines=units, shipment_id=number, expected_delivery_date=today + timedelta(days=days))
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id, "shipment_id": "1"}
    late = {"code": "late", "expected_delivery_date": today + timedelta(days=3), "occurred_at": scenario.now}
    scenario.apply(ParcelException(**ids, **late))
    assert not scenario.all(IssueReplacementDeliveryChanged)
    assert scenario.known.outbound.expected_delivery == today + timedelta(days=5)


def test_a_past_replacement_that_comes_back_is_no_delivery() -> None:
    scenario = shipped()
    past = scenario.replacement_id
    scan(scenario, "easypost", "return_to_sender")
    scenario.decide_review(ReviewCause.PARCEL_EXCEPTION)
    raw = RawStatus(source="easypost", code="delivered")
    scenario.apply(
        ParcelScanned(issue_id=ISSUE, replacement_id=past, raw=raw, scanned_at=scenario.now + timedelta(hours=1))
    )
    scenario.apply(ParcelDelivered(issue_id=ISSUE, replacement_id=past, delivered_at=scenario.now))
    assert not scenario.all(IssueReplacementDelivered)
    assert not scenario.known.in_review(ReviewCause.MOVED_AFTER_STOP)


scans = st.builds(
    lambda status, minutes: TrackingScan(
        status, RawStatus(source="x", code=status), TUESDAY + timedelta(minutes=minutes)
    ),
    st.sampled_from(CarrierStatus),
    st.integers(0, 3),
)


@given(st.lists(scans, min_size=1, max_size=6))
def test_the_last_word_is_final_as_soon_as_any_was_whatever_the_order(history: list[TrackingScan]) -> None:
    def last(given: list[TrackingScan]) -> TrackingScan | None:
        known: TrackingScan | None = None
        for each in given:
            known = each if supersedes(each, known) else known
        return known

    final = {CarrierStatus.DELIVERED, CarrierStatus.DELIVERED_NEARBY, CarrierStatus.RETURNED}
    for order in (history, history[::-1]):
        found = last(order)
        assert found
        if any(each.status in final for each in order):
            assert found.status not in (CarrierStatus.OUT_FOR_DELIVERY, CarrierStatus.IN_TRANSIT)


def test_every_status_of_the_tables_has_a_rank() -> None:
    for words in status_table().values():
        for status in words.values():
            assert supersedes(TrackingScan(status, RawStatus(source="x", code="y"), TUESDAY), None)


def test_a_shipment_without_a_name_is_found_by_its_tracking_number() -> None:
    scenario = open_scenario()
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.apply(ReplacementShipped(**ids, shipped_at=scenario.now, tracking_number="T-9"))
    scan(scenario.later(days=1), "ups", "D", tracking_number="T-9")
    assert scenario.known.outbound.status is OutboundStatus.DELIVERED
