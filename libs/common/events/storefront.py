"""Events of the storefront: orders, and submitted issues."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BeforeValidator, Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import (
    Address,
    Contact,
    ContactChange,
    CountryCode,
    Day,
    Identifier,
    LineQuantity,
    Money,
    MovedLine,
    OptionalText,
    OrderLine,
    PointsSpent,
    Prepayment,
    Reason,
    RecipientNotices,
    RefundedLine,
    Remedy,
    ReportedLine,
    Reporter,
    Sha256,
    ShippedLine,
    UtcTime,
)

Lines = Annotated[tuple[LineQuantity, ...], Field(min_length=1)]
MovedLines = Annotated[tuple[MovedLine, ...], Field(min_length=1)]


def _shorten(value: object) -> object:
    return (value.strip()[:200] or None) if isinstance(value, str) else value


class StorefrontOrderEvent(Payload):
    """Base of the storefront's events about an order."""

    TOPIC = topics.STOREFRONT_ORDERS

    order_id: Identifier
    """Order."""
    customer_id: Identifier | None = None
    """The storefront's pseudonym of the customer, which is the Kafka key; needed in the event that places the order."""


class OrderPlaced(StorefrontOrderEvent):
    """A customer placed an order. Only this event and `order.changed` bring contact and address into Sakidashi.

    Sent again with other content, it is a correction as of `updated_at`, or of the event's `time`; lines that it does
    not name stay. Sent again with the same content, it changes nothing, so that a history can be sent again.
    """

    TYPE: ClassVar = "order.placed.v1"

    customer_id: Identifier
    """The storefront's pseudonym of the customer; no name and no mail address."""
    placed_at: UtcTime
    """Time of the order."""
    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1)]
    """Order lines with prices and promised dates."""
    contact: Contact = Contact()
    """Contact of the customer, as far as it is known. Personal data."""
    ship_to: Address | None = None
    """Delivery address; absent where nothing is sent (pickup, virtual goods). Personal data."""
    recipient: Contact | None = None
    """Receiver of a gift, if not the customer: may report by link, and gets the messages about that. Personal data."""
    recipient_notices: RecipientNotices = RecipientNotices.OWN_REPORTS
    """Issues of which a gift's receiver gets the messages about goods; messages about orders, money and choices are
    the customer's."""
    market: CountryCode = "JP"
    """Country of the order (ISO 3166-1 alpha-2); `ZZ` if it is not known."""
    updated_at: UtcTime | None = None
    """Time of this version of the order, if the shop states it; default: the event's `time`."""
    purchase_count: Annotated[int, Field(le=1_000_000_000)] | None = None
    """Number of this order among the customer's orders, from 1, if known."""
    birthday: OptionalText = Field(
        default=None,
        description="Month and day (MM-DD), if the customer stated it and agreed to a birthday gift; never the year. "
        "A day that does not exist is left out.",
    )
    last_purchased_item: Annotated[str | None, BeforeValidator(_shorten)] = Field(
        default=None, description="Name of the item that this customer bought last, if known."
    )
    shipping: Money | None = None
    """Shipping fee paid by the customer, with tax."""
    total_amount: Money | None = None
    """Total to be paid for goods and shipping, after discounts, with tax; default: the sum of lines and shipping."""
    points_spent: PointsSpent | None = None
    """Part of the total that was paid with points, if any."""
    order_number: Identifier | None = None
    """Number of the order as its customer knows it, where that is not `order_id`; unique in the shop."""
    payment_reference: Identifier | None = None
    """Payment by the provider's reference; refund requests repeat it."""
    prepaid: Prepayment | None = None
    """Payment received before delivery, if any; Japan then requires a notice of acceptance."""
    essential_date: Day | None = None
    """Day after which the goods are of no use to the customer (a birthday), if the shop knew it when it took the order.
    """


class OrderChanged(StorefrontOrderEvent):
    """The shop changed an order. Of two changes of one part the newer by `changed_at` counts, in every service.

    It counts from that moment everywhere, for open replacements and collections as well.
    """

    TYPE: ClassVar = "order.changed.v1"

    customer_id: Identifier
    """Customer who placed the order."""
    changed_at: UtcTime
    """Time of the change, by the shop's clock."""
    lines: tuple[OrderLine, ...] = ()
    """Lines that were added or changed, each as it is now; quantity 0 removes a line. Other lines stay. The promised
    date of a known line stays as well: `order.promise_changed` and `order.delayed` move it."""
    contact: ContactChange | None = None
    """Corrected fields of the contact. Personal data."""
    ship_to: Address | None = None
    """New delivery address, whole. Personal data."""
    recipient: ContactChange | None = None
    """Corrected fields of a gift's receiver. Personal data."""
    recipient_notices: RecipientNotices | None = None
    """Corrected choice of the messages that a gift's receiver gets."""
    market: CountryCode | None = None
    """Corrected country of the order."""
    cause: OptionalText = None
    """Code of the cause, if known."""


class OrderPromiseChanged(StorefrontOrderEvent):
    """The shop changed the promised ship date of an order, or of some of its lines."""

    TYPE: ClassVar = "order.promise_changed.v1"

    line_ids: tuple[Identifier, ...] = ()
    """Affected lines; empty: all lines."""
    promised_ship_date: Day
    """New promised ship date."""
    ship_by: UtcTime | None = None
    """Time on that date by which the carrier must have the parcel, if known."""
    promised_delivery_date: Day | None = None
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
    promised_ship_date: Day | None = None
    """New promised ship date; absent while there is no definite date."""
    promised_delivery_date: Day | None = None
    """New promised delivery date; absent while there is no definite date."""
    next_update_by: Day | None = None
    """Day of the next update where there is no date yet; default: by the policy of delivery_notify."""
    delayed_at: UtcTime
    """Time at which the delay became known."""


class OrderShipped(StorefrontOrderEvent):
    """Units of an order were shipped."""

    TYPE: ClassVar = "order.shipped.v1"

    shipment_id: Identifier | None = None
    """Shipment by the shop's own id. Sent again, it counts once. Default: by lines, time and tracking number."""
    lines: Annotated[tuple[ShippedLine, ...], Field(min_length=1)]
    """Shipped units; a line with units of several lots is listed once per lot, its quantities count together."""
    shipped_at: UtcTime
    """Time of shipment."""
    expected_delivery_date: Day | None = None
    """Expected delivery day, if known."""
    carrier: OptionalText = None
    """Carrier, if known."""
    tracking_number: OptionalText = None
    """Tracking number, if known."""
    tracking_numbers: tuple[str, ...] = ()
    """All tracking numbers, where the shipment has several parcels."""


class ShipmentChanged(StorefrontOrderEvent):
    """A shipment of an order changed: a tracking number became known, units were taken out, or it was called off.

    Of two changes of one shipment the newer by `changed_at` counts. It may arrive before its `order.shipped`.
    """

    TYPE: ClassVar = "shipment.changed.v1"

    shipment_id: Identifier
    """Shipment, as in `order.shipped`."""
    changed_at: UtcTime
    """Time of the change, by the shop's clock."""
    carrier: OptionalText = None
    """Carrier, if it became known or changed."""
    tracking_number: OptionalText = None
    """Tracking number, if it became known or changed."""
    tracking_numbers: tuple[str, ...] = ()
    """All tracking numbers, where the shipment has several parcels."""
    expected_delivery_date: Day | None = None
    """Expected delivery day, if it became known or changed."""
    lines: tuple[ShippedLine, ...] | None = None
    """Units that the shipment now holds, all of them; quantity 0 takes a line out. Absent: unchanged."""
    called_off: bool = False
    """True if nothing of this shipment left after all."""
    cause: OptionalText = None
    """Code of the cause, if known."""


class OrderDelivered(StorefrontOrderEvent):
    """Units of an order were delivered."""

    TYPE: ClassVar = "order.delivered.v1"

    shipment_id: Identifier | None = None
    """Shipment by the shop's own id. Sent again, it counts once. Default: by lines, time and tracking number."""
    lines: MovedLines
    """Delivered units; the quantities of a line that is named several times count together."""
    delivered_at: UtcTime
    """Time of delivery."""
    tracking_number: OptionalText = None
    """Tracking number, if known."""


class OrderCancelled(StorefrontOrderEvent):
    """An order, or some of its lines, was cancelled."""

    TYPE: ClassVar = "order.cancelled.v1"

    line_ids: tuple[Identifier, ...] = ()
    """Cancelled lines; empty: all lines."""
    cancelled_at: UtcTime
    """Time of cancellation."""
    cause: str | None = None
    """Code of the cause, if known."""


class OrderRefunded(StorefrontOrderEvent):
    """The shop paid money back by itself, in its own system. What was paid back is not paid back again."""

    TYPE: ClassVar = "order.refunded.v1"

    refund_id: Identifier
    """Refund by the shop's own id. Sent again, it counts once."""
    refunded_at: UtcTime
    """Time of the refund."""
    lines: tuple[RefundedLine, ...] = ()
    """Units that were paid back; empty if the refund is of no line."""
    shipping: Money | None = None
    """Part of the amount that is shipping."""
    amount: Money | None = None
    """Whole amount paid back; default: the sum of lines and shipping."""
    transaction_id: OptionalText = None
    """The payment provider's transaction, if known."""
    cause: OptionalText = None
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
    promised_ship_date: Day | None = None
    """Promised ship date, if it changes."""
    progressed_at: UtcTime
    """Time at which the stage was reached."""


class CustomerMerged(Payload):
    """The shop merged two accounts of one customer. Orders, issues and points of the former id follow the new one."""

    TYPE: ClassVar = "customer.merged.v1"
    TOPIC = topics.STOREFRONT_CUSTOMERS

    customer_id: Identifier
    """Account that remains."""
    merged_customer_id: Identifier
    """Former account. Later events with this id count for the remaining account."""
    merged_at: UtcTime
    """Time of the merge, by the shop's clock."""


class IssueWithdrawn(Payload):
    """A customer takes a report back; same payload as `POST /v1/issues/{issue_id}/withdraw`."""

    TYPE: ClassVar = "issue.withdrawn.v1"
    TOPIC = topics.STOREFRONT_ISSUES

    order_id: Identifier
    """Order; also the Kafka key."""
    customer_id: Identifier
    """Customer who placed the order."""
    issue_id: UUID
    """Issue that is taken back."""
    withdrawn_at: UtcTime
    """Time at which the customer took it back."""


class IssueSubmitted(Payload):
    """A customer reports an issue; same payload as `POST /v1/issues`."""

    TYPE: ClassVar = "issue.submitted.v1"
    TOPIC = topics.STOREFRONT_ISSUES

    order_id: Identifier
    """Order."""
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
    noticed_on: Day | None = None
    """Day on which the customer noticed the problem; some deadlines count from it."""
    photos: Annotated[tuple[Sha256, ...], Field(max_length=50)] = ()
    """Names returned by `POST /v1/photos`."""
    reported_by: Reporter = Reporter.CUSTOMER
    """Reporter: the customer, or the receiver of a gift."""
    issue_id: UUID | None = Field(
        default=None, description="Id of the issue, if the storefront assigns it; else intake derives one."
    )
