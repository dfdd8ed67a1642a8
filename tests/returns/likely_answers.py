"""Answers of partners to what returns gave them, so that random histories reach late states."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

from libs.common.events.carrier import (
    CollectionAttemptFailed,
    CollectionBooked,
    CollectionCollected,
    CollectionDeclined,
    ParcelDelivered,
    ParcelScanned,
)
from libs.common.events.envelope import Payload
from libs.common.events.payment import RefundCompleted, RefundFailed, RefundReversed
from libs.common.events.values import Condition, InspectedLine, LineQuantity, Money, RawStatus, TimeWindow
from libs.common.events.warehouse import (
    ItemInspected,
    ItemReceived,
    ReplacementConfirmed,
    ReplacementRecalled,
    ReplacementRejected,
    ReplacementShipmentChanged,
    ReplacementShipped,
)
from tests.service_histories import ServiceHistory

ORDERS = ("replacement.ordered.v1", "collection.requested.v1", "refund.requested.v1")


def answer(back: int, number: int) -> Callable[[ServiceHistory], Payload | None]:
    """Return one of the answers to an order that a partner was given, the newest for `back` 1."""

    def react(history: ServiceHistory) -> Payload | None:
        given = history.given(*ORDERS)
        if not given:
            return None
        order = given[-min(back, len(given))]
        answers = {ORDERS[0]: _to_replacement, ORDERS[1]: _to_collection, ORDERS[2]: _to_refund}[order.TYPE]
        found = answers(order, history.clock.now())
        return found[number % len(found)]

    return react


def _to_replacement(order: Any, now: Any) -> list[Payload]:
    ids = {"issue_id": order.issue_id, "replacement_id": order.replacement_id}
    first = (LineQuantity(line_id=order.lines[0].line_id, quantity=1),)
    raw = RawStatus(source="yamato", code="配達完了")
    shipped = ReplacementShipped(**ids, shipped_at=now, shipment_id="W-1", tracking_number="4000-1")
    return [
        shipped,
        ReplacementShipped(**ids, shipped_at=now),
        ReplacementShipped(**ids, shipped_at=now, lines=first, shipment_id="W-2"),
        ReplacementShipped(**ids, shipped_at=now, shipment_id="W-3"),
        ReplacementShipmentChanged(**ids, shipment_id="W-3", changed_at=now, called_off=True),
        ReplacementConfirmed(**ids, ship_date=order.promised_ship_date),
        ParcelDelivered(**ids, delivered_at=now),
        ParcelDelivered(**ids, delivered_at=now, shipment_id="W-1"),
        ParcelScanned(**ids, raw=raw, scanned_at=now),
        ReplacementShipmentChanged(**ids, shipment_id="W-1", changed_at=now, called_off=True),
        ReplacementShipmentChanged(**ids, shipment_id="W-1", changed_at=now, tracking_number="4000-2"),
        ReplacementRejected(**ids, lines=first),
        ReplacementRecalled(**ids, recalled_at=now),
    ]


def _to_collection(order: Any, now: Any) -> list[Payload]:
    ids = {"issue_id": order.issue_id, "collection_id": order.collection_id}
    lines = tuple(LineQuantity(line_id=each.line_id, quantity=each.quantity) for each in order.lines)
    looked = tuple(InspectedLine(**each.model_dump(), condition=Condition.SCRAP) for each in lines)
    received = {"issue_id": order.issue_id, "received_at": now}
    return [
        CollectionBooked(**ids, window=TimeWindow(day=order.earliest_date)),
        CollectionCollected(**ids, collected_at=now),
        ItemReceived(**received, lines=lines, receipt_id=f"gate-{order.collection_id}-{now:%d%H}"),
        ItemReceived(**received, lines=lines[:1]),
        ItemReceived(received_at=now, lines=lines[:1], order_id=order.order_id),
        ItemInspected(issue_id=order.issue_id, lines=looked, inspected_at=now),
        CollectionAttemptFailed(**ids, cause="nobody_home", attempted_at=now, attempt=order.attempt),
        CollectionDeclined(**ids, cause="no_capacity", declined_at=now, attempt=order.attempt),
    ]


def _to_refund(order: Any, now: Any) -> list[Payload]:
    ids = {"issue_id": order.issue_id, "refund_id": order.refund_id}
    half = Money(amount=order.amount.amount // 2, currency=order.amount.currency)
    later = now + timedelta(minutes=1)
    return [
        RefundCompleted(**ids, amount=order.amount, completed_at=now),
        RefundCompleted(**ids, amount=order.amount, completed_at=now, transaction_id="T-1"),
        RefundCompleted(**ids, amount=half, completed_at=now, transaction_id="T-2"),
        RefundCompleted(**ids, amount=_rest(order.amount, half), completed_at=later, transaction_id="T-3"),
        RefundFailed(**ids, cause="bank", failed_at=now),
        RefundReversed(**ids, amount=order.amount, transaction_id="V-1", cause="closed", reversed_at=later),
    ]


def _rest(amount: Money, part: Money) -> Money:
    return Money(amount=Decimal(amount.amount - part.amount), currency=amount.currency)
