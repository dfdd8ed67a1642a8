"""Goods as they are counted: originals and their replacements, wrong things, surplus, and units that stay."""

from base64 import b32decode
from typing import Any
from uuid import UUID

import pytest

from libs.common.events.carrier import CollectionRequested, ParcelScanned
from libs.common.events.issues import IssueAnomalyDetected, IssueCancelled, IssueItemReceived, IssueReplacementDelivered
from libs.common.events.notices import CustomerDecided
from libs.common.events.values import (
    Choice,
    CountedLine,
    LineQuantity,
    RawStatus,
    Reason,
    Remedy,
    StaffAction,
    Variant,
)
from libs.common.events.warehouse import (
    ItemReceived,
    ItemReturnOrdered,
    ReplacementOrdered,
    ReplacementRecalled,
    ReplacementRejected,
)
from services.returns.domain.state.count_ids import part_id
from services.returns.domain.state.inbound_leg import InboundStatus
from services.returns.domain.state.kept_counts import CountKept, match_count
from services.returns.domain.state.outbound_leg import OutboundStatus
from services.returns.domain.state.return_slips import issue_of_slip, return_slip
from services.returns.domain.state.review_causes import ReviewCause
from tests.returns.cases import ISSUE, CaseScenario, accepted, line, open_scenario
from tests.returns.test_staff_decisions import say


def count(scenario: CaseScenario, *lines: CountedLine, **papers: Any) -> None:
    fields = {"issue_id": ISSUE, "received_at": scenario.now, **papers}
    scenario.apply(ItemReceived(lines=lines or (CountedLine(line_id="1", quantity=1),), **fields))


def shipped(**more: Any) -> CaseScenario:
    scenario = open_scenario()
    scenario.ship(**more)
    return scenario.later(days=1)


def turned_back() -> CaseScenario:
    scenario = shipped()
    raw = RawStatus(source="easypost", code="return_to_sender")
    scenario.apply(
        ParcelScanned(issue_id=ISSUE, replacement_id=scenario.replacement_id, raw=raw, scanned_at=scenario.now)
    )
    return scenario


def test_a_replacement_that_came_back_is_not_the_reported_item() -> None:
    scenario = turned_back()
    count(scenario, CountedLine(line_id="1", quantity=1, sku="SKU-1"))
    assert scenario.known.inbound.received == {}
    assert scenario.known.outbound.returned == {"1": 1}
    assert scenario.last(IssueItemReceived).replacement_id == scenario.replacement_id
    scenario.decide_review(ReviewCause.PARCEL_EXCEPTION)
    scenario.ship()
    scenario.deliver()
    assert scenario.known.inbound.status in (InboundStatus.REQUESTED, InboundStatus.BOOKED)
    assert scenario.known.resolved_at is None


@pytest.mark.parametrize("mark", ["replacement_id", "serial", "tracking_number", "line"])
def test_a_replacement_is_recognized_by_its_marks_without_any_scan(mark: str) -> None:
    scenario = shipped(serials=("SN-9",), tracking_number="4000-1111")
    number = scenario.replacement_id
    plain = CountedLine(line_id="1", quantity=1)
    match mark:
        case "replacement_id":
            count(scenario, plain, replacement_id=number)
        case "serial":
            count(scenario, plain.model_copy(update={"serials": ("SN-9",)}))
        case "tracking_number":
            count(scenario, plain, tracking_number="40001111")
        case _:
            count(scenario, plain.model_copy(update={"replacement_id": number}))
    assert (scenario.known.inbound.received, scenario.known.outbound.returned) == ({}, {"1": 1})
    assert scenario.known.in_review(ReviewCause.PARCEL_EXCEPTION)


def test_the_sent_variant_is_not_the_reported_item() -> None:
    scenario = open_scenario()
    navy = Variant(sku="NAVY", name="Teapot, navy")
    ids = {"issue_id": ISSUE, "replacement_id": scenario.replacement_id}
    scenario.apply(ReplacementRejected(**ids, variants=(navy,)))
    request = scenario.known.choice_request
    assert request
    scenario.apply(
        CustomerDecided(
            order_id="O-1",
            customer_id="C-1",
            issue_id=ISSUE,
            choice_id=request.choice_id,
            choice=Choice.CHANGE,
            requested_sku="NAVY",
            decided_at=scenario.now,
        )
    )
    scenario.ship()
    scenario.deliver()
    count(scenario, CountedLine(line_id="1", quantity=1, sku="NAVY"))
    assert scenario.known.inbound.received == {}
    assert scenario.known.in_review(ReviewCause.REPLACEMENT_RETURNED)


def wrong_thing_collected() -> CaseScenario:
    scenario = shipped()
    scenario.deliver()
    scenario.collect()
    count(scenario, CountedLine(line_id="1", quantity=1, sku="ANOTHER-TV"))
    return scenario


def test_the_wrong_thing_leads_to_the_right_one_and_goes_back() -> None:
    scenario = wrong_thing_collected()
    before = len(scenario.all(CollectionRequested))
    scenario.decide_review(ReviewCause.UNEXPECTED_ITEM)
    [line] = scenario.last(ItemReturnOrdered).lines
    assert (line.sku, line.quantity) == ("ANOTHER-TV", 1)
    assert len(scenario.all(CollectionRequested)) == before + 1
    assert scenario.known.inbound.status is InboundStatus.REQUESTED


def test_wrong_things_of_two_boxes_go_back_by_their_receipts() -> None:
    scenario = wrong_thing_collected()
    count(scenario, CountedLine(line_id="1", quantity=2, sku="A-LAMP"), receipt_id="gate-2")
    scenario.decide_review(ReviewCause.UNEXPECTED_ITEM)
    sent_back = {
        order.receipt_id: [(each.sku, each.quantity) for each in order.lines]
        for order in scenario.all(ItemReturnOrdered)
    }
    assert sent_back.pop("gate-2") == [("A-LAMP", 2)]
    assert list(sent_back.values()) == [[("ANOTHER-TV", 1)]]


def test_after_the_wrong_thing_staff_may_still_let_the_customer_keep_the_item() -> None:
    scenario = wrong_thing_collected()
    scenario.decide_review(ReviewCause.UNEXPECTED_ITEM)
    assert say(scenario, StaffAction.WAIVE_COLLECTION) is None


def test_the_wrong_thing_may_also_end_the_case() -> None:
    scenario = wrong_thing_collected()
    scenario.decide_review(ReviewCause.UNEXPECTED_ITEM, approved=False)
    assert scenario.last(IssueCancelled).cause == "not_as_reported"


def test_units_of_a_replacement_on_its_way_stay_with_their_refused_case() -> None:
    scenario = shipped()
    count(scenario, CountedLine(line_id="1", quantity=1, sku="BRICK"))
    scenario.decide_review(ReviewCause.UNEXPECTED_ITEM, approved=False)
    assert scenario.last(IssueCancelled).kept_lines == (LineQuantity(line_id="1", quantity=1),)
    scenario.deliver()
    assert scenario.all(IssueReplacementDelivered)


def test_a_case_of_which_nothing_left_frees_its_units() -> None:
    scenario = open_scenario()
    say(scenario, StaffAction.CANCEL)
    assert scenario.last(IssueCancelled).kept_lines == ()


def test_a_replacement_that_was_refused_at_the_door_may_be_ended() -> None:
    scenario = turned_back()
    assert say(scenario, StaffAction.CANCEL) is None
    assert scenario.last(IssueCancelled).kept_lines == ()


def test_more_shipped_than_ordered_is_counted_and_shown_to_staff() -> None:
    scenario = open_scenario()
    scenario.ship(lines=(LineQuantity(line_id="1", quantity=3),))
    assert scenario.known.outbound.surplus == {"1": 2}
    assert scenario.known.in_review(ReviewCause.SURPLUS_SHIPPED)
    assert scenario.known.outbound.status is OutboundStatus.SHIPPED


def test_another_line_shipped_is_counted_and_the_right_one_ordered_again() -> None:
    scenario = open_scenario()
    scenario.ship(lines=(LineQuantity(line_id="9", quantity=1),))
    assert scenario.known.outbound.surplus == {"9": 1}
    assert scenario.known.outbound.status is OutboundStatus.ORDERED
    scenario.decide_review(ReviewCause.WRONG_ITEM_SHIPPED)
    assert len(scenario.all(ReplacementOrdered)) == 2
    assert len({fact.replacement_id for fact in scenario.all(ReplacementOrdered)}) == 1


def test_a_parcel_that_the_warehouse_calls_back_is_replaced_at_once() -> None:
    scenario = shipped()
    past = scenario.replacement_id
    recall = ReplacementRecalled(issue_id=ISSUE, replacement_id=past, recalled_at=scenario.now)
    scenario.apply(recall)
    scenario.apply(recall)
    assert len(scenario.all(ReplacementOrdered)) == 2
    assert scenario.replacement_id != past


def test_a_recall_before_the_shipment_changes_nothing() -> None:
    scenario = open_scenario()
    recall = ReplacementRecalled(issue_id=ISSUE, replacement_id=scenario.replacement_id, recalled_at=scenario.now)
    scenario.apply(recall)
    assert len(scenario.all(ReplacementOrdered)) == 1


def test_an_order_to_the_warehouse_says_what_it_is_for() -> None:
    fact = open_scenario().last(ReplacementOrdered)
    assert (fact.remedy, fact.free_of_charge, fact.parts) == (Remedy.REPLACEMENT, True, ())
    assert fact.customs_value
    assert fact.customs_value.amount == 1200
    assert fact.return_slip == return_slip(ISSUE)


def test_a_missing_part_is_named_as_the_thing_to_send() -> None:
    reported = line().model_copy(update={"part": "lid"})
    fact = open_scenario(Reason.MISSING_PART, reported).last(ReplacementOrdered)
    assert [(part.name, part.quantity) for part in fact.parts] == [("lid", 1)]
    assert fact.return_slip is None


@pytest.mark.parametrize(
    "spelled",
    [
        lambda s: s,
        str.lower,
        lambda s: s.replace("RS-", ""),
        lambda s: s[:9] + " " + s[9:],
        lambda s: s.replace("-", ""),
        lambda s: " " + s.replace("-", " "),
        lambda s: s.replace("-", "–"),
    ],
)
def test_a_return_slip_names_its_issue_however_it_was_copied(spelled: Any) -> None:
    assert issue_of_slip(spelled(return_slip(ISSUE))) == ISSUE


def test_a_slip_without_prefix_whose_number_begins_like_it_names_its_issue() -> None:
    issue_id = UUID(bytes=b32decode("RS" + "A" * 24 + "======"))
    assert issue_of_slip(return_slip(issue_id).removeprefix("RS-")) == issue_id


@pytest.mark.parametrize("nonsense", ["", "RS-", "RS-1", "hello", "急須", "RS-" + "A" * 40])
def test_other_numbers_are_no_slip_of_ours(nonsense: str) -> None:
    assert issue_of_slip(nonsense) is None


def test_a_unit_of_another_issue_in_the_box_is_handed_on() -> None:
    scenario = shipped()
    scenario.deliver()
    count(scenario, CountedLine(line_id="1", quantity=1), CountedLine(line_id="2", quantity=1), receipt_id="gate-1")
    assert scenario.known.inbound.received == {"1": 1}
    assert not scenario.known.reviews
    (kept,) = scenario.all(CountKept)
    assert (kept.count.receipt_id, kept.from_issue) == (part_id("gate-1", ISSUE), ISSUE)
    assert [each.line_id for each in kept.count.lines] == ["2"]


def test_a_receipt_id_used_again_for_other_units_is_shown_and_counts_once() -> None:
    scenario = shipped()
    scenario.deliver()
    for quantity in (1, 1, 2):
        count(scenario, CountedLine(line_id="1", quantity=quantity), receipt_id="gate-1")
    assert scenario.known.inbound.received == {"1": 1}
    (found,) = scenario.all(IssueAnomalyDetected)
    assert (found.anomaly, found.cause_id) == ("receipt_differs", "count:gate-1")


def expecting(line_id: str, number: int, sku: str | None = None) -> Any:
    """Return a case that expects a unit of this line."""
    scenario = CaseScenario()
    wanted = line(line_id)
    if sku:
        wanted = wanted.model_copy(update={"sku": sku})
    scenario.apply(accepted(Reason.CHANGED_MIND, wanted, issue_id=UUID(int=number)))
    return scenario.known


def test_a_box_without_papers_goes_to_the_only_case_that_it_fits() -> None:
    teapot, cup = expecting("1", 1, "POT"), expecting("2", 2, "CUP")
    box = ItemReceived(lines=(CountedLine(quantity=1, sku="CUP"),), received_at=teapot.accepted_at)
    assert match_count(box, [teapot, cup]) == cup
    assert match_count(box, [cup, expecting("2", 3, "CUP")]) is None
    slip = box.model_copy(update={"return_slip": return_slip(teapot.issue_id), "lines": (CountedLine(quantity=1),)})
    assert match_count(slip, [teapot, cup]) == teapot


def test_a_count_taken_out_of_a_case_does_not_come_back_to_it_as_a_match() -> None:
    teapot = expecting("1", 1)
    box = ItemReceived(lines=(CountedLine(line_id="1", quantity=1),), order_id="O-1", received_at=teapot.accepted_at)
    assert match_count(box, [teapot], beside=teapot.issue_id) is None
