"""What customers were told, and what they decided. No address, no name (invariant 12)."""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Choice, Identifier, Language, UtcTime, Value


class NoticeKind(StrEnum):
    """One kind per thing a customer can be told."""

    ISSUE_ACCEPTED = "issue_accepted"
    ISSUE_REJECTED = "issue_rejected"
    REVIEW_STARTED = "review_started"
    DETAILS_REQUESTED = "details_requested"
    REPLACEMENT_PROMISED = "replacement_promised"
    REPLACEMENT_DELAYED = "replacement_delayed"
    REPLACEMENT_SHIPPED = "replacement_shipped"
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
    BUYER_WARNED = "buyer_warned"
    POINTS_GRANTED = "points_granted"
    POINTS_EXPIRING = "points_expiring"


class PromiseSubject(StrEnum):
    """What a promised day is about: a line leaving, a line arriving at the door, a replacement leaving."""

    LINE = "line"
    DELIVERY = "delivery"
    REPLACEMENT = "replacement"


class PromiseRef(Value):
    """One row of the ledger of promises. `subject_id` is the line, or the replacement; `version` counts its days."""

    subject: PromiseSubject
    subject_id: str
    version: Annotated[int, Field(ge=0)]
    day: date


class NoticeEvent(Payload):
    TOPIC = topics.NOTICES

    order_id: Identifier
    customer_id: Identifier
    issue_id: UUID | None = None
    notice_id: UUID
    kind: NoticeKind


class NoticeSent(NoticeEvent):
    """One message left for one customer about one fact. `promised_date` is the definite date it told, if any.

    `tells` are the promises of the ledger that the message made known, `breaks` those of which it said that they will
    not be kept. Any surface that shows a customer a date shows one that was told here (or at checkout): the newest
    version. `next_update_by` is the day for which the message announced the next one.
    """

    TYPE: ClassVar = "notice.sent.v1"

    channel: str
    language: Language
    promised_date: date | None = None
    announces: tuple[PromiseRef, ...] = ()
    supersedes: tuple[PromiseRef, ...] = ()
    next_update_by: date | None = None
    sent_at: UtcTime


class NoticeFailed(NoticeEvent):
    """The message could not be delivered and will not be tried again by itself."""

    TYPE: ClassVar = "notice.failed.v1"

    channel: str
    cause: str
    failed_at: UtcTime


class NoticeSuppressed(NoticeEvent):
    """The message was not sent on purpose: overtaken by newer news, or the address may not be written to."""

    TYPE: ClassVar = "notice.suppressed.v1"

    cause: str
    suppressed_at: UtcTime


class DecidedBy(StrEnum):
    """Why a decision was taken: the customer said so, their silence says so, or the last day of the law has come."""

    CUSTOMER = "customer"
    SILENCE = "silence"
    DEADLINE = "deadline"


class Change(StrEnum):
    """What a customer who answers `change` wants changed."""

    DATE = "date"
    ITEM = "item"
    ADDRESS = "address"


class CustomerDecided(Payload):
    """The customer answered (or, with `by_default`, the time to answer ran out).

    `choice_id` names the question. An answer about an issue carries `issue_id`; one about the order itself does not,
    and names its lines. `change` says what `choice: change` is about: `requested_date`, `requested_sku`, or the
    address, which never stands in an event: the storefront asks delivery_notify for it, by the choice. Where the order
    is cancelled, `refund_due_on` is the last day for the money to be returned.
    """

    TYPE: ClassVar = "customer.decided.v1"
    TOPIC = topics.NOTICES

    order_id: Identifier
    customer_id: Identifier
    issue_id: UUID | None = None
    choice_id: UUID
    choice: Choice
    change: Change | None = None
    requested_date: date | None = None
    requested_sku: Identifier | None = None
    line_ids: tuple[Identifier, ...] = ()
    by_default: bool = False
    reason: DecidedBy | None = None
    refund_due_on: date | None = None
    decided_at: UtcTime
