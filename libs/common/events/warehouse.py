"""Orders to the warehouse, and its events."""

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
    """Picking priority of the warehouse."""

    EXPRESS = "express"
    STANDARD = "standard"


class WarehouseOrder(Payload):
    """Base of all orders to the warehouse."""

    TOPIC = topics.WAREHOUSE_ORDERS

    issue_id: UUID
    """Issue; also the Kafka key."""
    order_id: Identifier
    """Order that the issue is about."""
    replacement_id: UUID
    """Replacement order; a repeated id is the same order."""


class ReplacementOrdered(WarehouseOrder):
    """Order to send replacement units now, free of charge. It has no price field, by construction (invariant 8)."""

    TYPE: ClassVar = "replacement.ordered.v1"

    lines: Annotated[tuple[IssueLine, ...], Field(min_length=1)]
    """Units to be sent, with their order data."""
    ship_to: Address
    """Delivery address. Personal data."""
    priority: Priority = Priority.EXPRESS
    """Picking priority."""
    promised_ship_date: date
    """Ship date promised to the customer already."""
    ordered_at: UtcTime
    """Time of the order."""


class ReplacementCancelled(WarehouseOrder):
    """Order not to send a replacement, or its units that are not shipped yet."""

    TYPE: ClassVar = "replacement.cancelled.v1"

    cause: str
    """Code of the cause."""
    cancelled_at: UtcTime
    """Time of cancellation."""


class WarehouseEvent(Payload):
    """Base of all events of the warehouse."""

    TOPIC = topics.WAREHOUSE_EVENTS

    issue_id: UUID
    """Issue; also the Kafka key."""


class ReplacementConfirmed(WarehouseEvent):
    """The warehouse reserved the stock of a replacement."""

    TYPE: ClassVar = "replacement.confirmed.v1"

    replacement_id: UUID
    """Replacement order."""
    ship_date: date
    """Day on which it will be shipped."""


class ReplacementRejected(WarehouseEvent):
    """The warehouse cannot send a replacement, or part of it."""

    TYPE: ClassVar = "replacement.rejected.v1"

    replacement_id: UUID
    """Replacement order."""
    cause: str = "out_of_stock"
    """Code of the cause."""
    restock_date: date | None = None
    """First day on which it could be shipped, if known."""
    lines: Lines | None = None
    """Units out of stock, the others being reserved; absent: all units."""
    variants: tuple[Variant, ...] = ()
    """Items that could be sent at once instead."""


class ReplacementDelayed(WarehouseEvent):
    """The warehouse moved the ship date of a replacement."""

    TYPE: ClassVar = "replacement.delayed.v1"

    replacement_id: UUID
    """Replacement order."""
    ship_date: date
    """New ship date."""
    cause: str | None = None
    """Code of the cause, if known."""


class ReplacementShipped(WarehouseEvent):
    """The warehouse shipped a replacement, or one parcel of it."""

    TYPE: ClassVar = "replacement.shipped.v1"

    replacement_id: UUID
    """Replacement order."""
    shipped_at: UtcTime
    """Time of shipment."""
    expected_delivery_date: date | None = None
    """Expected delivery day, if known."""
    carrier: str | None = None
    """Carrier, if known."""
    tracking_number: str | None = None
    """Tracking number, if known."""
    lines: Lines | None = None
    """Units in this parcel; absent: all units of the replacement."""
    shipment_id: Identifier | None = None
    """Identity of the parcel. Without it, equal units at an equal time are the same parcel."""


class ItemReceived(WarehouseEvent):
    """The warehouse counted returned units on receipt. Only counted units matter, not announced ones."""

    TYPE: ClassVar = "item.received.v1"

    lines: Annotated[tuple[ReceivedLine, ...], Field(min_length=1)]
    """Counted units."""
    received_at: UtcTime
    """Time of receipt."""
    receipt_id: Identifier | None = None
    """Identity of this count. Without it, equal lines at an equal time are the same count."""


class ItemInspected(WarehouseEvent):
    """The warehouse inspected returned units."""

    TYPE: ClassVar = "item.inspected.v1"

    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1)]
    """Inspected units by condition."""
    inspected_at: UtcTime
    """Time of inspection."""
    inspection_id: Identifier | None = None
    """Identity of this inspection. Without it, equal lines at an equal time are the same inspection."""
