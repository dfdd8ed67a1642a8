"""The conversation with the courier: where to collect, and what happened at the door."""

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.storefront import Lines
from libs.common.events.values import Address, CollectedLine, Identifier, RawStatus, TimeWindow, UtcTime


class CarrierOrder(Payload):
    TOPIC = topics.CARRIER_ORDERS

    issue_id: UUID
    order_id: Identifier
    collection_id: UUID


class CollectionRequested(CarrierOrder):
    """Fetch these at the customer's door, at no cost to the customer, on `earliest_date` or later.

    `earliest_date` is never before the day on which the replacement arrives (invariant 1). `swap_with` names the
    replacement that the same courier brings: the old is taken when the new is handed over. `window` is what the
    customer picked. Requests with the same `visit_id` are for one door: one visit is enough for all of them.
    """

    TYPE: ClassVar = "collection.requested.v1"

    lines: Annotated[tuple[CollectedLine, ...], Field(min_length=1)]
    collect_from: Address
    earliest_date: date
    swap_with: UUID | None = None
    window: TimeWindow | None = None
    visit_id: UUID | None = None
    attempt: Annotated[int, Field(ge=1)] = 1
    requested_at: UtcTime


class CollectionCancelled(CarrierOrder):
    TYPE: ClassVar = "collection.cancelled.v1"

    cause: str
    cancelled_at: UtcTime


class CarrierEvent(Payload):
    TOPIC = topics.CARRIER_EVENTS

    issue_id: UUID


class ParcelDelivered(CarrierEvent):
    """The replacement is at the customer's door; with several parcels, the one that `shipment_id` names."""

    TYPE: ClassVar = "parcel.delivered.v1"

    replacement_id: UUID
    delivered_at: UtcTime
    shipment_id: Identifier | None = None
    raw: RawStatus | None = None


class ParcelException(CarrierEvent):
    """Something happened to the replacement on its way. `expected_delivery_date`, where known, is the new one."""

    TYPE: ClassVar = "parcel.exception.v1"

    replacement_id: UUID
    code: str
    detail: str | None = None
    expected_delivery_date: date | None = None
    occurred_at: UtcTime
    shipment_id: Identifier | None = None
    raw: RawStatus | None = None


class ParcelScanned(CarrierEvent):
    """A carrier's or tracking service's status in its own words, about the replacement or about what comes back.

    What it means for us is data of the reader; a status nobody has mapped changes nothing and is told to ops.
    """

    TYPE: ClassVar = "parcel.scanned.v1"

    replacement_id: UUID | None = None
    collection_id: UUID | None = None
    shipment_id: Identifier | None = None
    raw: RawStatus
    scanned_at: UtcTime
    expected_delivery_date: date | None = None


class ParcelFound(CarrierEvent):
    """What was lost is found: `with_customer`, or else on its way back to the warehouse."""

    TYPE: ClassVar = "parcel.found.v1"

    with_customer: bool
    found_at: UtcTime
    raw: RawStatus | None = None


class CollectionBooked(CarrierEvent):
    """The courier comes in this window. `attempt`, where told, is that of the request which this answers."""

    TYPE: ClassVar = "collection.booked.v1"

    collection_id: UUID
    window: TimeWindow
    attempt: Annotated[int, Field(ge=1)] | None = None


class CollectionAttemptFailed(CarrierEvent):
    """Nobody met. `attempt`, where told, is that of the request: a late failure does not count against the next."""

    TYPE: ClassVar = "collection.attempt_failed.v1"

    collection_id: UUID
    cause: str
    attempted_at: UtcTime
    attempt: Annotated[int, Field(ge=1)] | None = None
    raw: RawStatus | None = None


class CollectionCollected(CarrierEvent):
    """The driver has it. `lines`, where told, are the pieces that were handed over: the others are fetched later."""

    TYPE: ClassVar = "collection.collected.v1"

    collection_id: UUID
    collected_at: UtcTime
    lines: Lines | None = None
    raw: RawStatus | None = None
