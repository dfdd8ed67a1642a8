"""Business identity of shipments: repeated, late, reordered and from two sources, each counts once."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from libs.common.decisions.shipments import Shipments, change, count, quantity_of
from libs.common.events.storefront import OrderDelivered, OrderShipped, ShipmentChanged

NOON = datetime(2026, 11, 2, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)


def delivered(quantity: int = 2, at: datetime = NOON, **fields: Any) -> OrderDelivered:
    return OrderDelivered.model_validate(
        {"order_id": "O-1", "lines": [{"line_id": "1", "quantity": quantity}], "delivered_at": at, **fields}
    )


def shipped(quantity: int = 2, at: datetime = NOON, **fields: Any) -> OrderShipped:
    return OrderShipped.model_validate(
        {"order_id": "O-1", "lines": [{"line_id": "1", "quantity": quantity}], "shipped_at": at, **fields}
    )


def changed(at: datetime = NOON, **fields: Any) -> ShipmentChanged:
    return ShipmentChanged.model_validate({"order_id": "O-1", "shipment_id": "F-1", "changed_at": at, **fields})


def counted(*events: OrderDelivered | OrderShipped | ShipmentChanged) -> int:
    known: Shipments = ()
    for event in events:
        known = change(known, event) if isinstance(event, ShipmentChanged) else count(known, event)
    return quantity_of(known, "1")


@pytest.mark.parametrize(
    ("first", "second", "units"),
    [
        (delivered(), delivered(), 2),
        (delivered(), delivered(at=NOON + HOUR), 4),
        (delivered(), delivered(at=NOON + timedelta(milliseconds=300)), 2),
        (delivered(shipment_id="F-1"), delivered(at=NOON + HOUR, shipment_id="F-1"), 2),
        (delivered(shipment_id="F-1"), delivered(shipment_id="F-2"), 4),
        (delivered(shipment_id="F-1"), delivered(), 2),
        (delivered(tracking_number="1234-5678"), delivered(tracking_number="12345678"), 2),
        (delivered(tracking_number="1"), delivered(tracking_number="2"), 4),
        (delivered(1), delivered(2), 3),
        (delivered(1, shipment_id="F-1"), delivered(2, shipment_id="F-1"), 2),
        (
            delivered(lines=[{"line_id": "1", "quantity": 1}, {"line_id": "1", "quantity": 1}]),
            delivered(2),
            2,
        ),
    ],
)
def test_two_statements_count_together_only_where_they_are_of_two_shipments(
    first: OrderDelivered, second: OrderDelivered, units: int
) -> None:
    assert counted(first, second) == counted(second, first) == units


def test_a_line_named_twice_is_summed() -> None:
    lots = [{"line_id": "1", "quantity": 1, "lot": "A"}, {"line_id": "1", "quantity": 1, "lot": "B"}]
    assert counted(shipped(lines=lots)) == 2
    assert counted(shipped(lines=lots), shipped(2)) == 2


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_newest_change_of_a_shipment_counts_whenever_it_arrives(order: tuple[int, ...]) -> None:
    events: list[OrderShipped | ShipmentChanged] = [
        shipped(3, shipment_id="F-1"),
        changed(lines=[{"line_id": "1", "quantity": 2}]),
        changed(at=NOON + HOUR, lines=[{"line_id": "1", "quantity": 1}], tracking_number="1234"),
    ]
    assert counted(*(events[index] for index in order)) == 1


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_a_statement_without_id_is_the_same_shipment_before_and_after_its_change(order: tuple[int, ...]) -> None:
    events: list[OrderShipped | ShipmentChanged] = [
        shipped(2, shipment_id="F-1"),
        shipped(2),
        changed(lines=[{"line_id": "1", "quantity": 1}]),
        changed(at=NOON + HOUR, called_off=True),
    ]
    assert counted(*(events[index] for index in order)) == 0


@pytest.mark.parametrize("order", list(permutations(range(4))))
def test_two_equal_shipments_of_one_second_stay_two(order: tuple[int, ...]) -> None:
    events: list[OrderShipped | ShipmentChanged] = [
        shipped(2, shipment_id="F-1"),
        shipped(2, shipment_id="F-2"),
        shipped(2),
        changed(called_off=True),
    ]
    assert counted(*(events[index] for index in order)) == 2


def test_a_shipment_that_was_called_off_did_not_leave() -> None:
    assert counted(shipped(shipment_id="F-1"), changed(called_off=True)) == 0
    assert counted(changed(called_off=True), shipped(shipment_id="F-1")) == 0


def test_a_tracking_number_that_comes_later_changes_no_count() -> None:
    assert counted(shipped(shipment_id="F-1"), changed(tracking_number="1234")) == 2
    assert counted(changed(tracking_number="1234")) == 0


def test_what_is_sold_by_length_is_one_piece() -> None:
    assert counted(delivered(lines=[{"line_id": "1", "quantity": 1.5}])) == 1
    assert counted(delivered(lines=[{"line_id": "1", "quantity": 0}])) == 0
