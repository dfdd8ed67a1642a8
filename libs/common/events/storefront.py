"""Events of the storefront: orders, and submitted issues."""

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import (
    Address,
    Contact,
    Identifier,
    LineQuantity,
    Money,
    OrderLine,
    PointsSpent,
    Prepayment,
    Reason,
    Remedy,
    ReportedLine,
    Sha256,
    ShippedLine,
    UtcTime,
)

Lines = Annotated[tuple[LineQuantity, ...], Field(min_length=1)]


class StorefrontOrderEvent(Payload):
    """Base of the storefront's events about an order."""

    TOPIC = topics.STOREFRONT_ORDERS

    order_id: Identifier
    """Order; also the Kafka key."""


class OrderPlaced(StorefrontOrderEvent):
    """A customer placed an order. The only event with contact and address that enters Sakidashi."""

    TYPE: ClassVar = "order.placed.v1"

    customer_id: Identifier
    """The storefront's pseudonym of the customer; no name and no mail address."""
    placed_at: UtcTime
    """Time of the order."""
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1)]
    """Order lines with prices and promised dates."""
    contact: Contact
    """Contact of the customer. Personal data."""
    ship_to: Address
    """Delivery address. Personal data."""
    market: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "JP"
    """Country of the order (ISO 3166-1 alpha-2)."""
    purchase_count: int | None = None
    """Number of this order among the customer's orders, from 1, if known."""
    birthday: Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")] | None = Field(
        default=None,
        description="Month and day (MM-DD), if the customer stated it and agreed to a birthday gift; never the year.",
    )
    last_purchased_item: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="Name of the item that this customer bought last, if known."
    )
    shipping: Money | None = None
    """Shipping fee paid by the customer, with tax."""
    total_amount: Money | None = None
    """Total to be paid for goods and shipping, after discounts, with tax; default: the sum of lines and shipping."""
    points_spent: PointsSpent | None = None
    """Part of the total that was paid with points, if any."""
    payment_reference: Identifier | None = None
    """Payment by the provider's reference; refund requests repeat it."""
    prepaid: Prepayment | None = None
    """Payment received before delivery, if any; Japan then requires a notice of acceptance."""
    essential_date: date | None = None
    """Day after which the goods are of no use to the customer (a birthday), if the shop knew it when it took the order.
    """


class OrderPromiseChanged(StorefrontOrderEvent):
    """The shop changed the promised ship date of an order, or of some of its lines."""

    TYPE: ClassVar = "order.promise_changed.v1"

    line_ids: tuple[Identifier, ...] = ()
    """Affected lines; empty: all lines."""
    promised_ship_date: date
    """New promised ship date."""
    ship_by: UtcTime | None = None
    """Time on that date by which the carrier must have the parcel, if known."""
    promised_delivery_date: date | None = None
    """New promised delivery date, if one was promised and changes as well."""
    cause: str | None = None
    """Code of the cause, if known."""
    changed_at: UtcTime
    """Time of the change."""


class OrderDelayed(StorefrontOrderEvent):
    """An order, or some of its lines, is late: a warehouse or carrier delay, or out of stock."""

    TYPE: ClassVar = "order.delayed.v1"

    line_ids: tuple[Identifier, ...] = ()
    """Affected lines; empty: all lines."""
    cause: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Code or short text of the cause."""
    promised_ship_date: date | None = None
    """New promised ship date; absent while there is no definite date."""
    promised_delivery_date: date | None = None
    """New promised delivery date; absent while there is no definite date."""
    next_update_by: date | None = None
    """Day of the next update where there is no date yet; default: by the policy of delivery_notify."""
    delayed_at: UtcTime
    """Time at which the delay became known."""


class OrderShipped(StorefrontOrderEvent):
    """Units of an order were shipped."""

    TYPE: ClassVar = "order.shipped.v1"

    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1)]
    """Shipped units; a line with units of several lots is listed once per lot."""
    shipped_at: UtcTime
    """Time of shipment."""
    expected_delivery_date: date | None = None
    """Expected delivery day, if known."""
    carrier: str | None = None
    """Carrier, if known."""
    tracking_number: str | None = None
    """Tracking number, if known."""


class OrderDelivered(StorefrontOrderEvent):
    """Units of an order were delivered."""

    TYPE: ClassVar = "order.delivered.v1"

    lines: Lines
    """Delivered units."""
    delivered_at: UtcTime
    """Time of delivery."""


class OrderCancelled(StorefrontOrderEvent):
    """An order, or some of its lines, was cancelled."""

    TYPE: ClassVar = "order.cancelled.v1"

    line_ids: tuple[Identifier, ...] = ()
    """Cancelled lines; empty: all lines."""
    cancelled_at: UtcTime
    """Time of cancellation."""
    cause: str | None = None
    """Code of the cause, if known."""


class PreorderProgressed(StorefrontOrderEvent):
    """A preordered line reached a production stage."""

    TYPE: ClassVar = "preorder.progressed.v1"

    line_id: Identifier
    """Order line."""
    stage: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    """Stage, such as `materials`, `production`, `quality_check` or `packing`."""
    detail: str | None = None
    """Text for the customer, if any."""
    promised_ship_date: date | None = None
    """Promised ship date, if it changes."""
    progressed_at: UtcTime
    """Time at which the stage was reached."""


class IssueSubmitted(Payload):
    """A customer reports an issue; same payload as `POST /v1/issues`."""

    TYPE: ClassVar = "issue.submitted.v1"
    TOPIC = topics.STOREFRONT_ISSUES

    order_id: Identifier
    """Order; also the Kafka key."""
    customer_id: Identifier
    """Customer who placed the order."""
    reason: Reason
    """Reported reason."""
    lines: Annotated[tuple[ReportedLine, ...], Field(min_length=1, max_length=100)]
    """Reported units by order line."""
    requested_remedy: Remedy | None = None
    """Remedy the customer prefers, if stated."""
    description: Annotated[str, StringConstraints(max_length=4000)] | None = None
    """Free text of the customer. Personal data."""
    reference: Annotated[str, StringConstraints(max_length=128)] | None = None
    """The storefront's own number for the report; repeated in `issue.reported` and `issue.rejected`."""
    noticed_on: date | None = None
    """Day on which the customer noticed the problem; some deadlines count from it."""
    photos: Annotated[tuple[Sha256, ...], Field(max_length=50)] = ()
    """Names returned by `POST /v1/photos`."""
    issue_id: UUID | None = Field(
        default=None, description="Id of the issue, if the storefront assigns it; else intake derives one."
    )
