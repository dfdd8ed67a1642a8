"""Notices to customers, and customers' decisions. No names and no addresses (invariant 12)."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Choice, Day, Identifier, Language, UtcTime, Value
from libs.common.events.values.open_enums import Open


class NoticeKind(StrEnum):
    """Subject of a notice."""

    ISSUE_ACCEPTED = "issue_accepted"
    ISSUE_REJECTED = "issue_rejected"
    REVIEW_STARTED = "review_started"
    DETAILS_REQUESTED = "details_requested"
    REPLACEMENT_PROMISED = "replacement_promised"
    REPLACEMENT_DELAYED = "replacement_delayed"
    REPLACEMENT_SHIPPED = "replacement_shipped"
    REPLACEMENT_PART_SHIPPED = "replacement_part_shipped"
    REPLACEMENT_DELIVERY_CHANGED = "replacement_delivery_changed"
    CHOICE_REQUESTED = "choice_requested"
    COLLECTION_BOOKED = "collection_booked"
    ITEM_RECEIVED = "item_received"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"
    ISSUE_RESOLVED = "issue_resolved"
    ISSUE_REOPENED = "issue_reopened"
    ISSUE_CANCELLED = "issue_cancelled"
    ORDER_DELAYED = "order_delayed"
    ORDER_OVERDUE = "order_overdue"
    ORDER_EARLY = "order_early"
    PREORDER_PROGRESS = "preorder_progress"
    ORDER_ACCEPTED = "order_accepted"
    ORDER_CANCELLED = "order_cancelled"
    DELIVERY_DELAYED = "delivery_delayed"
    DELIVERY_OVERDUE = "delivery_overdue"
    COLLECTION_ATTEMPTED = "collection_attempted"
    COLLECTION_REMINDED = "collection_reminded"
    COLLECTION_WINDOW_DECLINED = "collection_window_declined"
    COLLECTION_WINDOW_PENDING = "collection_window_pending"
    BUYER_WARNED = "buyer_warned"
    POINTS_GRANTED = "points_granted"
    POINTS_EXPIRING = "points_expiring"
    CHANGE_ACCEPTED = "change_accepted"
    CHANGE_DECLINED = "change_declined"
    CHANGE_PENDING = "change_pending"
    CHANGE_OVERTAKEN = "change_overtaken"
    ORDER_DATED = "order_dated"
    CONTACT_CHANGED = "contact_changed"
    BIRTHDAY_POINTS = "birthday_points"
    CAMPAIGN_POINTS = "campaign_points"
    TIER_REACHED = "tier_reached"
    STAFF_REPLY = "staff_reply"


class PromiseSubject(StrEnum):
    """Kind of promise: shipment of a line, delivery of a line, shipment of a replacement, and the day by which the
    ship date of a replacement is given."""

    LINE = "line"
    DELIVERY = "delivery"
    REPLACEMENT = "replacement"
    REPLACEMENT_DATE = "replacement_date"


class PromiseRef(Value):
    """Reference to one row of the promise ledger."""

    subject: Annotated[PromiseSubject, Open()]
    """Kind of promise."""
    subject_id: str
    """Order line, or replacement."""
    version: Annotated[int, Field(ge=0)]
    """Number of the promise for this subject."""
    day: Day
    """Promised day."""


class NoticeEvent(Payload):
    """Base of all events of a notice, one message to one customer about one fact."""

    TOPIC = topics.NOTICES

    order_id: Identifier
    """Order."""
    customer_id: Identifier
    """Recipient."""
    issue_id: UUID | None = None
    """Issue, if the notice is about one."""
    notice_id: UUID
    """Notice."""
    kind: Annotated[NoticeKind, Open()]
    """Subject of the notice."""


class NoticeSent(NoticeEvent):
    """A notice was sent.

    Any page or message that shows a date must show the newest version announced here or at checkout.
    """

    TYPE: ClassVar = "notice.sent.v1"

    channel: str
    """Channel, such as `email`, `sms` or `line`."""
    language: Annotated[Language, Open()]
    """Language of the notice."""
    promised_date: Day | None = None
    """Date stated in the notice, if any."""
    announces: tuple[PromiseRef, ...] = ()
    """Promises that the notice announced."""
    supersedes: tuple[PromiseRef, ...] = ()
    """Promises that the notice declared void."""
    next_update_by: Day | None = None
    """Day by which the notice announced the next update."""
    sent_at: UtcTime
    """Time at which the channel accepted the message."""


class NoticeFailed(NoticeEvent):
    """A notice could not be delivered and is not retried automatically."""

    TYPE: ClassVar = "notice.failed.v1"

    channel: str
    """Channel of the last attempt."""
    cause: str
    """Code of the cause."""
    failed_at: UtcTime
    """Time of the last attempt."""


class NoticeSuppressed(NoticeEvent):
    """A notice was not sent on purpose: superseded by a newer one, or the address may not be contacted."""

    TYPE: ClassVar = "notice.suppressed.v1"

    cause: str
    """Code of the cause."""
    suppressed_at: UtcTime
    """Time of suppression."""


class DecidedBy(StrEnum):
    """Origin of a decision: the customer's answer, a missed deadline of the answer, or a deadline set by law."""

    CUSTOMER = "customer"
    SILENCE = "silence"
    DEADLINE = "deadline"


class ChangeSubject(StrEnum):
    """Subject of a customer's change request."""

    DATE = "date"
    ITEM = "item"
    ADDRESS = "address"


class CustomerDecided(Payload):
    """A customer answered a question, or its deadline passed and the default applies."""

    TYPE: ClassVar = "customer.decided.v1"
    TOPIC = topics.NOTICES

    order_id: Identifier
    """Order."""
    customer_id: Identifier
    """Customer."""
    issue_id: UUID | None = None
    """Issue, if the question is about one; absent for a question about the order."""
    choice_id: UUID
    """Question."""
    choice: Choice
    """Answer."""
    change: ChangeSubject | None = None
    """Subject of the answer `change`.

    A new address is not part of any event: the storefront fetches it from delivery_notify by `choice_id`.
    """
    requested_date: Day | None = None
    """Requested date, for `change: date`."""
    requested_sku: Identifier | None = None
    """Requested item, for `change: item`."""
    line_ids: tuple[Identifier, ...] = ()
    """Affected order lines, for a question about the order."""
    by_default: bool = False
    """True if no answer was given in time."""
    reason: Annotated[DecidedBy, Open()] | None = None
    """Origin of the decision."""
    refund_due_on: Day | None = None
    """Last day of the refund, if the order is cancelled."""
    answer_by: UtcTime | None = None
    """Time by which the storefront answers with `order.change_answered`; absent where nothing has to be answered."""
    decided_at: UtcTime
    """Time of the decision."""
