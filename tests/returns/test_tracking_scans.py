"""Tracking scans: mapping of carrier statuses, raw codes, and legs that never move backwards."""

from datetime import timedelta

import pytest

from libs.common.events.carrier import ParcelFound, ParcelScanned
from libs.common.events.issues import IssueCancelled, IssueCollectionRequested, IssueItemReceived
from libs.common.events.values import RawStatus, Reason
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.review_causes import ReviewCause
from services.returns.policy.carrier_statuses import CarrierStatus, status_table, translate_status
from tests.returns.cases import ISSUE, CaseScenario, open_scenario, refusal_reasons


def scan(
    scenario: CaseScenario, source: str, code: str, detail: str | None = None, *, back: bool = False, ago: int = 0
) -> list[str]:
    ids = {"collection_id": scenario.collection_id} if back else {"replacement_id": scenario.replacement_id}
    raw = RawStatus(source=source, code=code, detail=detail)
    at = scenario.now - timedelta(hours=ago)
    return refusal_reasons(scenario.apply(ParcelScanned(issue_id=ISSUE, **ids, raw=raw, scanned_at=at)))


def shipped() -> CaseScenario:
    scenario = open_scenario()
    scenario.ship()
    return scenario.later(days=1)


@pytest.mark.parametrize(
    ("source", "code", "detail", "status"),
    [
        ("easypost", "out_for_delivery", None, CarrierStatus.OUT_FOR_DELIVERY),
        ("easypost", "in_transit", "weather_delay", CarrierStatus.DELAYED),
        ("easypost", "in_transit", "arrived_at_facility", CarrierStatus.IN_TRANSIT),
        ("aftership", "Exception", "Exception_013", CarrierStatus.LOST),
        ("aftership", "Delivered", "Delivered_003", CarrierStatus.DELIVERED),
        ("yamato", "配達完了", None, CarrierStatus.DELIVERED),
        ("easypost", "failure", "refused", CarrierStatus.REFUSED),
        ("easypost", "canceled", None, CarrierStatus.CANCELLED),
        ("aftership", "Exception", "Exception_010", CarrierStatus.RETURNING),
        ("aftership", "InTransit", "InTransit_002", CarrierStatus.ACCEPTED),
        ("yamato", "持戻(ご不在)", None, CarrierStatus.ATTEMPT_FAILED),
        ("yamato", "持戻（ご不在）", None, CarrierStatus.ATTEMPT_FAILED),
        ("yamato", "依頼受付（日・時間帯変更）", None, CarrierStatus.IN_TRANSIT),
        ("yamato", "謎", None, None),
        ("nobody", "delivered", None, None),
    ],
)
def test_their_words_have_one_meaning(source: str, code: str, detail: str | None, status: CarrierStatus | None) -> None:
    assert translate_status(RawStatus(source=source, code=code, detail=detail)) is status


# Statuses listed in the documentation that carrier_statuses.toml names.
EASYPOST = (
    "unknown pre_transit in_transit out_for_delivery delivered available_for_pickup return_to_sender failure cancelled"
    " error"
)
EASYPOST_DETAILS = (
    "address_correction arrived_at_destination arrived_at_facility arrived_at_pickup_location awaiting_information"
    " cancelled damaged delayed delivery_exception departed_facility departed_origin_facility expired failure held"
    " in_transit label_created lost missorted out_for_delivery received_at_destination_facility"
    " received_at_origin_facility refused return status_update transferred_to_destination_carrier transit_exception"
    " unknown weather_delay"
)
AFTERSHIP = {
    "Pending": 6, "InfoReceived": 1, "InTransit": 9, "OutForDelivery": 4, "AttemptFail": 3, "Delivered": 5,
    "AvailableForPickup": 1, "Exception": 18, "Expired": 1,
}  # fmt: skip
YAMATO = (
    "発送 依頼受付（日、時間帯変更） 依頼受付（店頭受取） 作業店通過 配達店到着 配達中 配達完了 ご来店予定（保管中）"
    " 持戻（ご不在）"
)
SHIPPO = "UNKNOWN PRE_TRANSIT TRANSIT DELIVERED RETURNED FAILURE"
SHIPPO_CODES = (
    "address_issue contact_carrier delayed delivered delivery_attempted delivery_rescheduled information_received"
    " location_inaccessible notice_left other out_for_delivery package_accepted package_arrived package_damaged"
    " package_departed package_disposed package_forwarded package_held package_lost package_processed"
    " package_processing package_unclaimed package_undeliverable pickup_available reschedule_delivery return_to_sender"
)
SAGAWA = "集荷 輸送中 配達中 ご不在 保管中 持戻り 配達完了"
JAPANPOST = "引受 通過 到着 持ち出し中 ご不在のため持ち戻り お届け先にお届け済み 保管 差出人に返送"
DHL = "unknown pre-transit transit delivered failure"
UPS = "M MV P I O D X RS W DO DD NA"
FEDEX = "OC PU IT AR DP OD HL DL DE SE CA RS CD DY"
USPS = (
    "Pre-Shipment,Accepted,In Transit,Out for Delivery,Available for Pickup,Delivered,Delivered to Agent,"
    "Delivery Attempt,Alert,Return to Sender"
)
DOCUMENTED = [
    *(("shippo", status, detail) for status in SHIPPO.split() for detail in (None, *SHIPPO_CODES.split())),
    *(("sagawa", word, None) for word in SAGAWA.split()),
    *(("japanpost", word, None) for word in JAPANPOST.split()),
    *(("dhl", word, None) for word in DHL.split()),
    *(("ups", word, None) for word in UPS.split()),
    *(("fedex", word, None) for word in FEDEX.split()),
    ("fedex", "DE", "07"),
    *(("usps", word, None) for word in USPS.split(",")),
    *(("easypost", status, detail) for status in EASYPOST.split() for detail in (None, *EASYPOST_DETAILS.split())),
    *(("aftership", tag, f"{tag}_{n:03}") for tag, most in AFTERSHIP.items() for n in range(1, most + 1)),
    *(("yamato", word, None) for word in YAMATO.split()),
]


def test_every_word_that_they_document_means_something() -> None:
    unmapped = [
        one for one in DOCUMENTED if translate_status(RawStatus(source=one[0], code=one[1], detail=one[2])) is None
    ]
    assert unmapped == []


def test_the_tables_know_no_detail_that_is_not_documented() -> None:
    known = {f"{code}/{detail}".casefold() for _, code, detail in DOCUMENTED}
    assert [word for words in status_table().values() for word in words if "/" in word and word not in known] == []


def test_every_source_can_say_that_it_arrived() -> None:
    assert all(CarrierStatus.DELIVERED in words.values() for words in status_table().values())


@pytest.mark.parametrize(
    ("source", "code"), [("easypost", "delivered"), ("aftership", "Delivered"), ("yamato", "配達完了")]
)
def test_a_delivery_scan_delivers_and_its_raw_code_is_kept(source: str, code: str) -> None:
    scenario = shipped()
    scan(scenario, source, code)
    assert scenario.known.outbound.status is OutboundStatus.DELIVERED
    assert scenario.known.outbound.last_scan
    assert scenario.known.outbound.last_scan.raw == RawStatus(source=source, code=code)


def test_an_older_scan_moves_nothing_backwards() -> None:
    scenario = shipped()
    scan(scenario, "yamato", "配達完了")
    assert scan(scenario, "yamato", "配達中", ago=3) == ["stale_scan"]
    assert scenario.known.outbound.status is OutboundStatus.DELIVERED
    scenario.later(hours=1)
    scan(scenario, "yamato", "作業店通過")
    assert scenario.known.outbound.status is OutboundStatus.DELIVERED


def test_a_status_that_is_not_mapped_is_reported_to_ops_and_changes_nothing() -> None:
    scenario = shipped()
    before = scenario.known
    assert scan(scenario, "yamato", "謎") == ["unknown_carrier_status"]
    assert scenario.known == before


@pytest.mark.parametrize("detail", ["Exception_003", "Exception_011", "Exception_012", "Exception_013"])
def test_lost_broken_refused_or_returning_goods_go_to_review(detail: str) -> None:
    scenario = shipped()
    scan(scenario, "aftership", "Exception", detail)
    assert scenario.known.in_review(ReviewCause.PARCEL_EXCEPTION)


def test_delivered_to_the_warehouse_is_neither_received_nor_inspected() -> None:
    scenario = shipped()
    scenario.deliver()
    scan(scenario, "easypost", "in_transit", back=True)
    assert scenario.known.inbound.status is InboundStatus.COLLECTED
    scenario.later(days=1)
    scan(scenario, "easypost", "delivered", back=True)
    assert scenario.known.inbound.status is InboundStatus.COLLECTED
    assert not scenario.all(IssueItemReceived)


def test_a_missed_visit_is_announced_with_their_code_too() -> None:
    scenario = shipped()
    scenario.deliver()
    scan(scenario, "yamato", "持戻(ご不在)", back=True)
    assert scenario.known.inbound.failed_attempts == 1


def test_what_was_lost_and_turns_up_before_anything_left_ends_the_case() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT)
    scenario.apply(ParcelFound(issue_id=ISSUE, with_customer=True, found_at=scenario.now))
    assert scenario.last(IssueCancelled).cause == "parcel_found"


def test_what_was_lost_and_turns_up_beside_its_replacement_is_fetched_when_staff_approve() -> None:
    scenario = open_scenario(Reason.LOST_IN_TRANSIT)
    scenario.ship()
    scenario.deliver()
    assert not scenario.all(IssueCollectionRequested)
    scenario.apply(ParcelFound(issue_id=ISSUE, with_customer=True, found_at=scenario.now))
    assert scenario.known.in_review(ReviewCause.PARCEL_FOUND)
    scenario.decide_review(ReviewCause.PARCEL_FOUND)
    assert scenario.all(IssueCollectionRequested)
    assert scenario.known.resolved_at is None


def test_what_was_never_lost_cannot_turn_up() -> None:
    assert refusal_reasons(
        open_scenario().apply(ParcelFound(issue_id=ISSUE, with_customer=True, found_at=open_scenario().now))
    ) == ["not_lost"]
