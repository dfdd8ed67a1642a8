"""The conversation with the warehouse: what it is asked to send, and what it answers."""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.storefront import Lines
from libs.common.events.values import (
    Address,
    Identifier,
    InspectedLine,
    IssueLine,
    ReceivedLine,
    UtcTime,
    Variant,
)


class Priority(StrEnum):
    """How soon the warehouse should pick: a customer who already holds a broken item waits for nobody."""

    EXPRESS = "express"
    STANDARD = "standard"


class WarehouseOrder(Payload):
    TOPIC = topics.WAREHOUSE_ORDERS

    issue_id: UUID
    order_id: Identifier
    replacement_id: UUID


class ReplacementOrdered(WarehouseOrder):
    """Send this to the customer now, free of charge. Carries all that a warehouse needs.

    `promised_ship_date` is the date already told to the customer. There is no price to pay here, by construction
    (invariant 8). `replacement_id` is the business id: the same id again is the same order.
    """

    TYPE: ClassVar = "replacement.ordered.v1"

    lines: Annotated[tuple[IssueLine, ...], Field(min_length=1)]
    ship_to: Address
    priority: Priority = Priority.EXPRESS
    promised_ship_date: date
    ordered_at: UtcTime


class ReplacementCancelled(WarehouseOrder):
    """Do not send it, or, where some of it has left already, not the rest."""

    TYPE: ClassVar = "replacement.cancelled.v1"

    cause: str
    cancelled_at: UtcTime


class WarehouseEvent(Payload):
    TOPIC = topics.WAREHOUSE_EVENTS

    issue_id: UUID


class ReplacementConfirmed(WarehouseEvent):
    """Stock is reserved; it ships on this date."""

    TYPE: ClassVar = "replacement.confirmed.v1"

    replacement_id: UUID
    ship_date: date


class ReplacementRejected(WarehouseEvent):
    """It cannot be sent. `restock_date`, where known, is the first day on which it could.

    `lines`, where told, are the pieces that are short, the others being reserved; `variants` could be sent at once.
    """

    TYPE: ClassVar = "replacement.rejected.v1"

    replacement_id: UUID
    cause: str = "out_of_stock"
    restock_date: date | None = None
    lines: Lines | None = None
    variants: tuple[Variant, ...] = ()


class ReplacementDelayed(WarehouseEvent):
    TYPE: ClassVar = "replacement.delayed.v1"

    replacement_id: UUID
    ship_date: date
    cause: str | None = None


class ReplacementShipped(WarehouseEvent):
    """It has left. `lines`, where told, are the pieces in this parcel: the others follow in another one.

    `shipment_id` names the parcel; without it the replacement has only one, or the same pieces at the same moment are
    the same parcel.
    """

    TYPE: ClassVar = "replacement.shipped.v1"

    replacement_id: UUID
    shipped_at: UtcTime
    expected_delivery_date: date | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    lines: Lines | None = None
    shipment_id: Identifier | None = None


class ItemReceived(WarehouseEvent):
    """Something came back to the warehouse: what was counted, not what was announced.

    `receipt_id` names this count; without it the same lines at the same moment are the same count.
    """

    TYPE: ClassVar = "item.received.v1"

    lines: Annotated[tuple[ReceivedLine, ...], Field(min_length=1)]
    received_at: UtcTime
    receipt_id: Identifier | None = None


class ItemInspected(WarehouseEvent):
    """In what state it is. `inspection_id` names this count as `receipt_id` does a receipt."""

    TYPE: ClassVar = "item.inspected.v1"

    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1)]
    inspected_at: UtcTime
    inspection_id: Identifier | None = None
