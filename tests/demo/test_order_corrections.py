"""Corrections of orders in the demo: drawn from a seed, and at their end what was sold and delivered."""

from collections import Counter
from collections.abc import Iterable

import pytest

from deploy.demo.data.order_sources import load_orders
from deploy.demo.data.orders import ReplayedOrder
from deploy.demo.partners.order_corrections import as_guest, corrected, merge_of
from deploy.demo.partners.order_lifecycle import LifecycleEvent, lifecycle_events, placed_event
from libs.common.events.storefront import OrderChanged, OrderDelivered, OrderPlaced, OrderShipped, ShipmentChanged

DATASET = load_orders(None, 1, 300)
EVENTS = {
    order.order_id: corrected(order, lifecycle_events(order, DATASET.zone, 1), DATASET.zone, 1)
    for order in DATASET.orders
}
ORDERS = {order.order_id: order for order in DATASET.orders}


def stated_lines(events: Iterable[LifecycleEvent]) -> dict[str, int]:
    lines: dict[str, int] = {}
    for event in events:
        if isinstance(event.payload, OrderPlaced | OrderChanged):
            lines |= {line.line_id: line.quantity for line in event.payload.lines}
    return lines


def test_every_kind_of_correction_occurs() -> None:
    names = Counter(event.name for events in EVENTS.values() for event in events)
    kinds = (
        "lines",
        "readdressed",
        "contact",
        "edit-refunded",
        "numbered",
        "called-off",
        "delivered-again",
        "goodwill",
    )
    assert all(names[kind] for kind in kinds), names
    assert names["shipped-again"] == names["called-off"]


@pytest.mark.parametrize("order", DATASET.orders[:100], ids=lambda order: order.order_id)
def test_an_order_is_stated_as_it_was_sold_before_it_leaves(order: ReplayedOrder) -> None:
    events = EVENTS[order.order_id]
    leaves = next((each.at for each in events if isinstance(each.payload, OrderShipped)), None)
    before = [each for each in events if leaves is None or each.at <= leaves]
    assert stated_lines(before) == {line.line_id: line.quantity for line in order.lines}
    changes = [each.payload for each in before if isinstance(each.payload, OrderChanged)]
    addresses = [each.ship_to for each in changes if each.ship_to]
    mails = [each.contact.email for each in changes if each.contact]
    expected = placed_event(order)
    assert addresses in ([], [expected.ship_to])
    assert mails in ([], [expected.contact.email])


def test_a_parcel_that_was_called_off_leaves_again_under_another_id() -> None:
    for events in EVENTS.values():
        off = [each for each in events if isinstance(each.payload, ShipmentChanged) and each.payload.called_off]
        shipped = [each for each in events if isinstance(each.payload, OrderShipped)]
        if off:
            first, second = shipped
            assert first.at < off[0].at < second.at
            assert first.at.astimezone(DATASET.zone).date() == second.at.astimezone(DATASET.zone).date()
            assert isinstance(first.payload, OrderShipped)
            assert isinstance(second.payload, OrderShipped)
            assert first.payload.shipment_id != second.payload.shipment_id


def test_a_delivery_that_is_published_twice_has_one_content() -> None:
    twice = 0
    for events in EVENTS.values():
        arrived = [each.payload for each in events if isinstance(each.payload, OrderDelivered)]
        assert all(each == arrived[0] for each in arrived)
        twice += len(arrived) > 1
    assert twice


def test_a_guest_becomes_the_customer_after_the_delivery() -> None:
    guests = [order for order in (as_guest(order, 1) for order in DATASET.orders) if order != ORDERS[order.order_id]]
    assert guests
    for guest in guests:
        merge = merge_of(guest, ORDERS[guest.order_id].customer, 1)
        assert merge
        assert guest.delivered_at
        assert merge.at > guest.delivered_at
