"""Orders to the warehouse, and its events."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.storefront import Lines
from libs.common.events.values import (
    Address,
    CountedLine,
    Day,
    Identifier,
    InspectedLine,
    IssueLine,
    Money,
    MovedLine,
    OptionalText,
    Remedy,
    ReplacementPart,
    UtcTime,
    Variant,
)
from libs.common.events.values.open_enums import Open


class Priority(StrEnum):
    """Picking priority of the warehouse."""

    EXPRESS = "express"
    STANDARD = "standard"


class WarehouseOrder(Payload):
    """Base of all orders to the warehouse."""

    TOPIC = topics.WAREHOUSE_ORDERS

    issue_id: UUID
    """Issue."""
    order_id: Identifier
    """Order that the issue is about."""
    customer_id: Identifier
    """Customer; also the Kafka key, which the answer repeats."""
    replacement_id: UUID
    """Replacement order; a repeated id is the same order."""


class ReplacementOrdered(WarehouseOrder):
    """Order to send replacement units now. Nothing of it is charged, by construction (invariant 8)."""

    TYPE: ClassVar = "replacement.ordered.v1"

    lines: Annotated[tuple[IssueLine, ...], Field(min_length=1)]
    """Units to be sent, with their order data."""
    ship_to: Address
    """Delivery address. Personal data."""
    priority: Annotated[Priority, Open()] = Priority.EXPRESS
    """Picking priority."""
    promised_ship_date: Day
    """Ship date promised to the customer already; with `date_expected_at` only the date asked for."""
    date_expected_at: UtcTime | None = None
    """Time until which the customer's first date waits for the warehouse's. An answer until then is the first date
    that the customer gets; later ones count as well. Absent: the customer has `promised_ship_date`."""
    remedy: Remedy | None = None
    """Remedy that this order carries out: whole items, or parts of them."""
    parts: tuple[ReplacementPart, ...] = ()
    """Parts to be sent in place of the whole items of `lines`; empty: the items themselves."""
    free_of_charge: Literal[True] = True
    """Always true: the customer pays nothing, customs declarations name `customs_value`."""
    customs_value: Money | None = None
    """Value of the goods for customs: what was paid for the units."""
    return_slip: Identifier | None = None
    """Number for the return slip in the box; a returned box that names it needs no other papers."""
    ordered_at: UtcTime
    """Time of the order."""


class ReplacementCancelled(WarehouseOrder):
    """Order not to send a replacement, or its units that are not shipped yet."""

    TYPE: ClassVar = "replacement.cancelled.v1"

    cause: str
    """Code of the cause."""
    cancelled_at: UtcTime
    """Time of cancellation."""


class ReplacementReaddressed(WarehouseOrder):
    """The delivery address of a replacement that is not shipped yet was corrected. The newest address counts.

    A parcel that has left before is a matter for staff.
    """

    TYPE: ClassVar = "replacement.readdressed.v1"

    ship_to: Address
    """Delivery address as it is now, whole. Personal data."""
    readdressed_at: UtcTime
    """Time of the correction."""


class ItemReturnOrdered(Payload):
    """Order to send a received item back to the customer whose it is, free of charge."""

    TYPE: ClassVar = "item.return_ordered.v1"
    TOPIC = topics.WAREHOUSE_ORDERS

    issue_id: UUID
    """Issue."""
    order_id: Identifier
    """Order that the issue is about."""
    customer_id: Identifier
    """Customer; also the Kafka key, which the answer repeats."""
    return_id: UUID
    """This order; a repeated id is the same order."""
    receipt_id: Identifier
    """Count in which the item was received."""
    lines: Annotated[tuple[CountedLine, ...], Field(min_length=1)]
    """Units to be sent back, as they were counted."""
    ship_to: Address
    """Delivery address. Personal data."""
    ordered_at: UtcTime
    """Time of the order."""


class WarehouseEvent(Payload):
    """Base of all events of the warehouse."""

    TOPIC = topics.WAREHOUSE_EVENTS

    issue_id: UUID
    """Issue."""


class ReplacementConfirmed(WarehouseEvent):
    """The warehouse reserved the stock of a replacement."""

    TYPE: ClassVar = "replacement.confirmed.v1"

    replacement_id: UUID
    """Replacement order."""
    ship_date: Day
    """Day on which it will be shipped."""


class ReplacementRejected(WarehouseEvent):
    """The warehouse cannot send a replacement, or part of it."""

    TYPE: ClassVar = "replacement.rejected.v1"

    replacement_id: UUID
    """Replacement order."""
    cause: str = "out_of_stock"
    """Code of the cause."""
    restock_date: Day | None = None
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
    ship_date: Day
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
    expected_delivery_date: Day | None = None
    """Expected delivery day, if known."""
    carrier: str | None = None
    """Carrier, if known."""
    tracking_number: str | None = None
    """Tracking number, if known."""
    lines: Lines | None = None
    """Units in this parcel; absent: all units of the replacement."""
    shipment_id: Identifier | None = None
    """Identity of the parcel. Without it, equal units at an equal time are the same parcel."""
    serials: tuple[Identifier, ...] = ()
    """Serial numbers of the shipped units, if read: a returned replacement is then recognized."""


class ReplacementRecalled(WarehouseEvent):
    """The warehouse packed a replacement wrongly, or shipped it by mistake, and calls the parcel back."""

    TYPE: ClassVar = "replacement.recalled.v1"

    replacement_id: UUID
    """Replacement order."""
    shipment_id: Identifier | None = None
    """Parcel, if the replacement has several; absent: all of them."""
    cause: str = "packed_wrong"
    """Code of the cause."""
    recalled_at: UtcTime
    """Time of the recall."""


class ReplacementShipmentChanged(WarehouseEvent):
    """A parcel of a replacement changed: a tracking number became known, units did not leave, or it was called off.

    Of two changes of one parcel the newer by `changed_at` counts.
    """

    TYPE: ClassVar = "replacement.shipment_changed.v1"

    replacement_id: UUID
    """Replacement order."""
    shipment_id: Identifier | None = None
    """Parcel, as in `replacement.shipped`; absent: the only one."""
    changed_at: UtcTime
    """Time of the change, by the warehouse's clock."""
    carrier: OptionalText = None
    """Carrier, if it became known or changed."""
    tracking_number: OptionalText = None
    """Tracking number, if it became known or changed."""
    expected_delivery_date: Day | None = None
    """Expected delivery day, if it became known or changed."""
    lines: tuple[MovedLine, ...] | None = None
    """Units that the parcel now holds, all of them; quantity 0 takes a line out. Absent: unchanged."""
    called_off: bool = False
    """True if the parcel did not leave after all."""
    cause: OptionalText = None
    """Code of the cause, if known."""


class CountingEvent(Payload):
    """Base of the warehouse's counts of returned units. None of its papers has to be there."""

    TOPIC = topics.WAREHOUSE_EVENTS

    issue_id: UUID | None = None
    """Issue, if the papers name one."""

    @property
    def subject(self) -> str:
        return str(self.issue_id or "")


class ItemReceived(CountingEvent):
    """The warehouse counted returned units on receipt. Only counted units matter, not announced ones.

    Units that belong to no known issue are kept, matched by the papers as soon as that is possible, and shown to staff.
    """

    TYPE: ClassVar = "item.received.v1"

    lines: Annotated[tuple[CountedLine, ...], Field(min_length=1)]
    """Counted units."""
    received_at: UtcTime
    """Time of receipt."""
    receipt_id: Identifier | None = None
    """Identity of this count. Without it, equal lines at an equal time are the same count of an issue; used again for
    other units, it is shown to staff.
    """
    order_id: Identifier | None = None
    """Order, if the papers name one."""
    replacement_id: UUID | None = None
    """Replacement, if the box is one that came back."""
    return_slip: Identifier | None = None
    """Number of our return slip, if there is one in the box."""
    tracking_number: Identifier | None = None
    """Tracking number of the box, if read."""


class ItemInspected(CountingEvent):
    """The warehouse inspected returned units."""

    TYPE: ClassVar = "item.inspected.v1"

    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1)]
    """Inspected units by condition."""
    inspected_at: UtcTime
    """Time of inspection."""
    inspection_id: Identifier | None = None
    """Identity of this inspection. Without it, equal lines at an equal time are the same inspection."""
    receipt_id: Identifier | None = None
    """Count in which the units were received, for a box without papers."""
