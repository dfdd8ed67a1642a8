"""What the storefront tells: orders and their fate, and reports of issues."""

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
    OrderLine,
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
    TOPIC = topics.STOREFRONT_ORDERS

    order_id: Identifier


class OrderPlaced(StorefrontOrderEvent):
    """A customer bought something. The only event that carries contact and address into Sakidashi.

    `purchase_count` says the how-manieth order of this customer it is, where the storefront knows. `prepaid` is given
    where money was received before the goods leave (Japan then asks for a notice of acceptance); `essential_date` where
    the goods are of no use to the customer after that day (a birthday), and the shop knew when it took the order.
    """

    TYPE: ClassVar = "order.placed.v1"

    customer_id: Identifier
    placed_at: UtcTime
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1)]
    contact: Contact
    ship_to: Address
    market: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "JP"
    purchase_count: int | None = None
    birthday: Annotated[str, StringConstraints(pattern=r"^(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$")] | None = Field(
        default=None,
        description="Month and day (MM-DD) where the customer gave it and wants a present; never the year.",
    )
    last_purchased_item: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="What this customer bought the last time, as they know it, where the shop knows."
    )
    prepaid: Prepayment | None = None
    essential_date: date | None = None


class OrderPromiseChanged(StorefrontOrderEvent):
    """The shop now promises another ship date for some lines (all of them, where `line_ids` is empty).

    `promised_delivery_date` is the day at the door, where that was promised and moves as well.
    """

    TYPE: ClassVar = "order.promise_changed.v1"

    line_ids: tuple[Identifier, ...] = ()
    promised_ship_date: date
    ship_by: UtcTime | None = None
    promised_delivery_date: date | None = None
    cause: str | None = None
    changed_at: UtcTime


class OrderDelayed(StorefrontOrderEvent):
    """Some lines (all, where `line_ids` is empty) will be late: a warehouse or carrier delay, out of stock.

    With a date where there is a definite one; without, the customer hears that there is none yet, and when we write
    again: on `next_update_by`, or when the policy of delivery_notify says.
    """

    TYPE: ClassVar = "order.delayed.v1"

    line_ids: tuple[Identifier, ...] = ()
    cause: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    promised_ship_date: date | None = None
    promised_delivery_date: date | None = None
    next_update_by: date | None = None
    delayed_at: UtcTime


class OrderShipped(StorefrontOrderEvent):
    """Some pieces left the warehouse. A line whose pieces are of several lots is named once per lot."""

    TYPE: ClassVar = "order.shipped.v1"

    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1)]
    shipped_at: UtcTime
    expected_delivery_date: date | None = None
    carrier: str | None = None
    tracking_number: str | None = None


class OrderDelivered(StorefrontOrderEvent):
    TYPE: ClassVar = "order.delivered.v1"

    lines: Lines
    delivered_at: UtcTime


class OrderCancelled(StorefrontOrderEvent):
    """The order, or the named lines of it, will not be delivered."""

    TYPE: ClassVar = "order.cancelled.v1"

    line_ids: tuple[Identifier, ...] = ()
    cancelled_at: UtcTime
    cause: str | None = None


class PreorderProgressed(StorefrontOrderEvent):
    """A preordered line reached a stage (e.g. `materials`, `production`, `quality_check`, `packing`)."""

    TYPE: ClassVar = "preorder.progressed.v1"

    line_id: Identifier
    stage: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    detail: str | None = None
    promised_ship_date: date | None = None
    progressed_at: UtcTime


class IssueSubmitted(Payload):
    """A customer reports an issue: the same payload as `POST /v1/issues`.

    `reference` is the storefront's own number for the report; it comes back in `issue.reported` or `issue.rejected`.
    `noticed_on` is the day on which the customer noticed it: some windows count from then. `photos` are names that
    `POST /v1/photos` gave: a report that comes with them is not held for want of a photo.
    """

    TYPE: ClassVar = "issue.submitted.v1"
    TOPIC = topics.STOREFRONT_ISSUES

    order_id: Identifier
    customer_id: Identifier
    reason: Reason
    lines: Annotated[tuple[ReportedLine, ...], Field(min_length=1, max_length=100)]
    requested_remedy: Remedy | None = None
    description: Annotated[str, StringConstraints(max_length=4000)] | None = None
    reference: Annotated[str, StringConstraints(max_length=128)] | None = None
    noticed_on: date | None = None
    photos: Annotated[tuple[Sha256, ...], Field(max_length=50)] = ()
    issue_id: UUID | None = Field(
        default=None, description="Only where the storefront gives the id itself; else intake derives one."
    )
