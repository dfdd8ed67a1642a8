"""Answers of partners in a fault run: plausible, and of every kind that the contract knows."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.common.events import carrier, payment, warehouse
from libs.common.events.registry import decode
from tests.common import wire
from tests.faults import boxes, payment_answers, warehouse_answers
from tests.faults.answers import PartnerAnswer

NOW, ZONE = datetime(2026, 3, 2, 0, 0, tzinfo=UTC), ZoneInfo("Asia/Tokyo")
ISSUE, OTHER = str(UUID(int=1)), str(UUID(int=2))
LINE = {"line_id": "1", "quantity": 3, "sku": "SKU-1"}
ORDERED = {"issue_id": ISSUE, "replacement_id": str(UUID(int=3)), "promised_ship_date": "2026-03-03", "lines": [LINE]}
COLLECTION = {
    "issue_id": ISSUE,
    "order_id": "F000001",
    "collection_id": str(UUID(int=4)),
    "earliest_date": "2026-03-03",
    "lines": [LINE],
}
REFUND = {"issue_id": ISSUE, "refund_id": str(UUID(int=5)), "amount": {"amount": "4981", "currency": "JPY"}}

Answers = list[PartnerAnswer]


def many(answers_of: Any) -> Iterator[Answers]:
    return (list(answers_of(random.Random(number))) for number in range(400))


def replacements(attempt: int = 1) -> Iterator[Answers]:
    return many(lambda rng: warehouse_answers.to_replacement(ORDERED, attempt, rng, NOW, ZONE))


def collections() -> Iterator[Answers]:
    return many(lambda rng: boxes.to_collection(COLLECTION, rng, NOW, "SLIP-1"))


def refunds(attempt: int = 1) -> Iterator[Answers]:
    return many(lambda rng: payment_answers.to_refund(REFUND, attempt, rng, NOW))


def kinds(runs: Iterator[Answers]) -> set[str]:
    return {answer.payload.TYPE for run in runs for answer in run}


def test_the_warehouse_answers_in_every_way() -> None:
    assert kinds(replacements()) == {
        warehouse.ReplacementConfirmed.TYPE,
        warehouse.ReplacementDelayed.TYPE,
        warehouse.ReplacementRejected.TYPE,
        warehouse.ReplacementShipped.TYPE,
        warehouse.ReplacementShipmentChanged.TYPE,
        carrier.ParcelDelivered.TYPE,
        carrier.ParcelException.TYPE,
        carrier.ParcelScanned.TYPE,
    }


def test_the_courier_answers_in_every_way() -> None:
    assert kinds(collections()) == {
        carrier.CollectionBooked.TYPE,
        carrier.CollectionDeclined.TYPE,
        carrier.CollectionAttemptFailed.TYPE,
        carrier.CollectionCollected.TYPE,
        warehouse.ItemReceived.TYPE,
        warehouse.ItemInspected.TYPE,
    }


def test_a_replacement_that_was_rejected_once_is_shipped_at_its_next_request() -> None:
    assert all(any(isinstance(each.payload, warehouse.ReplacementShipped) for each in run) for run in replacements(2))


def test_the_parcels_of_a_replacement_and_the_units_out_of_stock_are_all_that_was_ordered() -> None:
    for run in replacements():
        called_off = {
            each.payload.shipment_id
            for each in run
            if isinstance(each.payload, warehouse.ReplacementShipmentChanged) and each.payload.called_off
        }
        units = 0
        for payload in (each.payload for each in run):
            if isinstance(payload, warehouse.ReplacementShipped) and payload.shipment_id in called_off:
                continue
            if isinstance(payload, warehouse.ReplacementShipped | warehouse.ReplacementRejected):
                units += payload.lines[0].quantity if payload.lines else 3
        assert units == 3


def test_boxes_come_with_all_papers_with_some_and_with_none() -> None:
    counts = [each.payload for run in collections() for each in run if isinstance(each.payload, warehouse.ItemReceived)]
    papers = {
        "issue" if count.issue_id else "order" if count.order_id else "slip" if count.return_slip else "none"
        for count in counts
    }
    assert papers == {"issue", "order", "slip", "none"}
    assert {count.lines[0].quantity for count in counts} == {2, 3, 4}
    assert {str(count.issue_id) == ISSUE for count in counts if count.issue_id} == {True, False}


def test_a_box_without_an_issue_is_inspected_by_its_count() -> None:
    for run in collections():
        for each in run:
            if isinstance(each.payload, warehouse.ItemInspected) and not each.payload.issue_id:
                assert each.payload.receipt_id == f"gate-{COLLECTION['collection_id']}"


def test_a_shared_box_names_the_issue_of_each_of_its_units() -> None:
    second = {**COLLECTION, "issue_id": OTHER, "collection_id": str(UUID(int=6))}
    [count, *inspections] = [each.payload for each in boxes.shared_box([COLLECTION, second], NOW)]
    assert isinstance(count, warehouse.ItemReceived)
    assert [str(line.issue_id) for line in count.lines] == [ISSUE, OTHER]
    assert [str(getattr(each, "issue_id", None)) for each in inspections] == [ISSUE, OTHER]


def test_payments_of_a_refund_are_the_amount_or_twice_the_amount() -> None:
    totals = Counter(
        sum(
            (each.payload.amount.amount for each in run if isinstance(each.payload, payment.RefundCompleted)),
            Decimal(0),
        )
        for run in refunds()
    )
    assert set(totals) == {Decimal(0), Decimal(4981), Decimal(9962)}
    assert totals[Decimal(4981)] > 300


def test_the_payment_provider_answers_in_every_way() -> None:
    assert kinds(refunds()) == {
        payment.RefundCompleted.TYPE,
        payment.RefundFailed.TYPE,
        payment.RefundReversed.TYPE,
    }


def test_every_answer_is_an_event_of_the_contract() -> None:
    for run in [*replacements(), *collections(), *refunds()]:
        for answer in run:
            assert decode(wire.event_bytes(answer.payload)).data == answer.payload


def test_the_answers_to_one_request_have_names_of_their_own() -> None:
    for run in [*replacements(), *collections(), *refunds()]:
        names = [answer.name for answer in run]
        assert len(names) == len(set(names))
