"""Orders to the courier, and events of carriers and couriers."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.storefront import Lines
from libs.common.events.values import (
    Address,
    CollectedLine,
    CountedLine,
    Day,
    Identifier,
    RawStatus,
    TimeWindow,
    UtcTime,
)


class CarrierOrder(Payload):
    """Base of all orders to the courier."""

    TOPIC = topics.CARRIER_ORDERS

    issue_id: UUID
    """Issue."""
    order_id: Identifier
    """Order that the issue is about."""
    customer_id: Identifier
    """Customer; also the Kafka key, which the answer repeats."""
    collection_id: UUID
    """Collection; a repeated id is the same collection."""


class CollectionRequested(CarrierOrder):
    """Request to collect items from the customer, at no cost to the customer."""

    TYPE: ClassVar = "collection.requested.v1"

    lines: Annotated[tuple[CollectedLine, ...], Field(min_length=1)]
    """Units to be collected."""
    collect_from: Address
    """Address of the collection. Personal data."""
    earliest_date: Day
    """First day on which the courier may come; never before the replacement's delivery day (invariant 1)."""
    swap_with: UUID | None = None
    """Replacement that the same courier delivers; the old item is taken on handover."""
    window: TimeWindow | None = None
    """Time window chosen by the customer, if any."""
    visit_id: UUID | None = None
    """Visit; requests with the same id are collected on one visit."""
    attempt: Annotated[int, Field(ge=1, le=1_000)] = 1
    """Number of this request, from 1."""
    requested_at: UtcTime
    """Time of the request."""


class CollectionCancelled(CarrierOrder):
    """Order not to collect the items."""

    TYPE: ClassVar = "collection.cancelled.v1"

    cause: str
    """Code of the cause."""
    cancelled_at: UtcTime
    """Time of cancellation."""


class CarrierEvent(Payload):
    """Base of the events of carriers and couriers about an issue."""

    TOPIC = topics.CARRIER_EVENTS

    issue_id: UUID
    """Issue."""


class ParcelDelivered(CarrierEvent):
    """A replacement, or one parcel of it, was delivered to the customer."""

    TYPE: ClassVar = "parcel.delivered.v1"

    replacement_id: UUID
    """Replacement order."""
    delivered_at: UtcTime
    """Time of delivery."""
    shipment_id: Identifier | None = None
    """Parcel, if the replacement has several."""
    tracking_number: Identifier | None = None
    """Tracking number of the parcel, if known."""
    handed_to: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    """Receiver, if not the customer: `neighbour`, `locker`, `doorstep` and alike."""
    raw: RawStatus | None = None
    """The carrier's own status, if any."""


class ParcelException(CarrierEvent):
    """Delivery of a replacement was interrupted."""

    TYPE: ClassVar = "parcel.exception.v1"

    replacement_id: UUID
    """Replacement order."""
    code: str
    """Code of the exception."""
    detail: str | None = None
    """Text of the carrier, if any."""
    expected_delivery_date: Day | None = None
    """New expected delivery day, if known."""
    occurred_at: UtcTime
    """Time of the exception."""
    shipment_id: Identifier | None = None
    """Parcel, if the replacement has several."""
    tracking_number: Identifier | None = None
    """Tracking number of the parcel, if known."""
    raw: RawStatus | None = None
    """The carrier's own status, if any."""


class ParcelScanned(Payload):
    """A carrier or tracking service reported a status of its own.

    It is about a replacement, a collection, or a parcel of the order itself. Readers map it by data; an unmapped status
    changes nothing and is counted as an anomaly.
    """

    TYPE: ClassVar = "parcel.scanned.v1"
    TOPIC = topics.CARRIER_EVENTS

    issue_id: UUID | None = None
    """Issue, for a replacement or a collection."""
    order_id: Identifier | None = None
    """Order, for a parcel of the order itself."""
    replacement_id: UUID | None = None
    """Replacement order, if the scan is about one."""
    collection_id: UUID | None = None
    """Collection, if the scan is about one."""
    shipment_id: Identifier | None = None
    """Parcel, if there are several."""
    tracking_number: Identifier | None = None
    """Tracking number of the parcel, if known."""
    raw: RawStatus
    """The carrier's own status."""
    scanned_at: UtcTime
    """Time of the scan."""
    expected_delivery_date: Day | None = None
    """Expected delivery day, if stated."""

    @property
    def subject(self) -> str:
        return str(self.issue_id or self.order_id or "")


class ParcelFound(CarrierEvent):
    """A lost parcel was found."""

    TYPE: ClassVar = "parcel.found.v1"

    with_customer: bool
    """True if the customer has it; false if it is on its way back to the warehouse."""
    found_at: UtcTime
    """Time at which it was found."""
    raw: RawStatus | None = None
    """The carrier's own status, if any."""


class CollectionBooked(CarrierEvent):
    """The courier booked a collection."""

    TYPE: ClassVar = "collection.booked.v1"

    collection_id: UUID
    """Collection."""
    window: TimeWindow
    """Booked time window."""
    attempt: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Number of the request that this answers, if known."""


class CollectionDeclined(CarrierEvent):
    """The courier cannot come as requested or booked: no capacity, no service on that day or at that address."""

    TYPE: ClassVar = "collection.declined.v1"

    collection_id: UUID
    """Collection."""
    cause: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Code of the cause, such as `no_capacity` or `no_service`."""
    declined_at: UtcTime
    """Time of the answer."""
    attempt: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Number of the request that this answers, if known."""


class CollectionAttemptFailed(CarrierEvent):
    """The courier came and could not collect the items."""

    TYPE: ClassVar = "collection.attempt_failed.v1"

    collection_id: UUID
    """Collection."""
    cause: str
    """Code of the cause."""
    attempted_at: UtcTime
    """Time of the attempt."""
    attempt: Annotated[int, Field(ge=1, le=1_000)] | None = None
    """Number of the request that this answers, if known; a late failure then does not count against the next attempt.
    """
    raw: RawStatus | None = None
    """The courier's own status, if any."""


class CollectionCollected(CarrierEvent):
    """The courier collected items from the customer."""

    TYPE: ClassVar = "collection.collected.v1"

    collection_id: UUID
    """Collection."""
    collected_at: UtcTime
    """Time of collection."""
    lines: Lines | None = None
    """Collected units; absent: all of the collection."""
    other_items: tuple[CountedLine, ...] = ()
    """Units taken along that the request did not name, by item."""
    raw: RawStatus | None = None
    """The courier's own status, if any."""
