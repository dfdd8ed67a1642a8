"""What customers were told, and what they decided. No address, no name (invariant 12)."""

from datetime import date
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Choice, Identifier, Language, UtcTime


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


class NoticeEvent(Payload):
    TOPIC = topics.NOTICES

    order_id: Identifier
    customer_id: Identifier
    issue_id: UUID | None = None
    notice_id: UUID
    kind: NoticeKind


class NoticeSent(NoticeEvent):
    """One message left for one customer about one fact. `promised_date` is the definite date it told, if any."""

    TYPE: ClassVar = "notice.sent.v1"

    channel: str
    language: Language
    promised_date: date | None = None
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


class CustomerDecided(Payload):
    """The customer answered (or, with `by_default`, the time to answer ran out).

    `choice_id` names the question. An answer about an issue carries `issue_id`; one about the order itself does not.
    """

    TYPE: ClassVar = "customer.decided.v1"
    TOPIC = topics.NOTICES

    order_id: Identifier
    customer_id: Identifier
    issue_id: UUID | None = None
    choice_id: UUID
    choice: Choice
    requested_date: date | None = None
    by_default: bool = False
    decided_at: UtcTime
