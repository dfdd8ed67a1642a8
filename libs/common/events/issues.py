"""The life of an issue, in the order in which it usually happens. No personal data (invariant 12).

Intake writes the first facts, returns the later ones; every service reads them.
"""

from datetime import date
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.storefront import Lines
from libs.common.events.values import (
    Choice,
    Fault,
    Identifier,
    InspectedLine,
    IssueLine,
    Money,
    Reason,
    ReceivedLine,
    Remedy,
    ReportedLine,
    StaffAction,
    TimeWindow,
    UtcTime,
    Variant,
)


class IssueEvent(Payload):
    TOPIC = topics.ISSUES

    issue_id: UUID
    order_id: Identifier
    customer_id: Identifier


class IssueReported(IssueEvent):
    TYPE: ClassVar = "issue.reported.v1"

    reason: Reason
    lines: Annotated[tuple[ReportedLine, ...], Field(min_length=1)]
    requested_remedy: Remedy | None = None
    reference: str | None = None
    noticed_on: date | None = None
    reported_at: UtcTime


class IssueAccepted(IssueEvent):
    """The report stands. Carries what the order said, so that nobody has to ask back.

    `delivered_on` is the latest delivery day of the reported units, None where none was delivered (lost in transit).
    `next_update_by` is the open day by which the customer hears more at the latest; `first_response_due_at` the moment
    by which they should have had a first answer, in the shop's open hours.
    """

    TYPE: ClassVar = "issue.accepted.v1"

    reason: Reason
    lines: Annotated[tuple[IssueLine, ...], Field(min_length=1)]
    requested_remedy: Remedy | None = None
    market: str = "JP"
    delivered_on: date | None = None
    noticed_on: date | None = None
    next_update_by: date | None = None
    first_response_due_at: UtcTime | None = None
    reported_at: UtcTime
    accepted_at: UtcTime


class IssueRejected(IssueEvent):
    """The report does not stand. `code` is stable for machines; `message` names the field and the remedy.

    `duplicate_of` is the open issue that has these pieces already: the customer is led there.
    """

    TYPE: ClassVar = "issue.rejected.v1"

    code: str
    message: str
    reference: str | None = None
    duplicate_of: UUID | None = None
    rejected_at: UtcTime


class IssueReviewRequested(IssueEvent):
    """A human decides, by `due_at`; the customer is told when."""

    TYPE: ClassVar = "issue.review_requested.v1"

    cause: str
    due_at: UtcTime


class IssueDetailsRequested(IssueEvent):
    """Something is missing from the customer: a photo at most. The report is held until it is there, or `due_at`.

    `missing` are codes (`photo`, `part`, `description`). The same is asked for again as `reminder` 1, 2 and so on.
    """

    TYPE: ClassVar = "issue.details_requested.v1"

    missing: tuple[str, ...]
    due_at: UtcTime
    reason: Reason | None = None
    lines: tuple[IssueLine, ...] = ()
    reminder: Annotated[int, Field(ge=0)] = 0
    requested_at: UtcTime | None = None


class IssueDetailsProvided(IssueEvent):
    """The customer gave what was asked for, or some of it; `missing` is what is still to come."""

    TYPE: ClassVar = "issue.details_provided.v1"

    provided: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    provided_at: UtcTime


class IssueStaffDecided(IssueEvent):
    """One of the shop's people decided something; `issue.staff_decision_applied` tells what came of it.

    `review` is the cause of the review that is approved or refused, `remedy` the one that is chosen.
    """

    TYPE: ClassVar = "issue.staff_decided.v1"

    decision_id: UUID
    action: StaffAction
    review: Annotated[str, StringConstraints(max_length=100)] | None = None
    remedy: Remedy | None = None
    staff: Identifier
    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    decided_at: UtcTime


class IssueReplacementOrdered(IssueEvent):
    """The warehouse was asked to send it. `promised_ship_date` is the first date the customer hears."""

    TYPE: ClassVar = "issue.replacement_ordered.v1"

    replacement_id: UUID
    remedy: Remedy
    lines: Lines
    promised_ship_date: date
    ordered_at: UtcTime


class IssueReplacementPromised(IssueEvent):
    """The warehouse has confirmed: it ships on this day. `version` counts the promises of this replacement."""

    TYPE: ClassVar = "issue.replacement_promised.v1"

    replacement_id: UUID
    ship_date: date
    version: Annotated[int, Field(ge=1)]


class IssueReplacementDelayed(IssueEvent):
    """The promised day cannot be kept; `ship_date` is the new one."""

    TYPE: ClassVar = "issue.replacement_delayed.v1"

    replacement_id: UUID
    previous_ship_date: date
    ship_date: date
    version: Annotated[int, Field(ge=1)]
    cause: str | None = None


class IssueReplacementPartShipped(IssueEvent):
    """Part of the replacement shipped; `remaining_lines` follow by `remaining_ship_date`."""

    TYPE: ClassVar = "issue.replacement_part_shipped.v1"

    replacement_id: UUID
    lines: Lines
    remaining_lines: Lines
    remaining_ship_date: date
    shipped_at: UtcTime
    expected_delivery_date: date
    carrier: str | None = None
    tracking_number: str | None = None


class IssueReplacementShipped(IssueEvent):
    """All of it has left; `expected_delivery_date` is that of the last parcel."""

    TYPE: ClassVar = "issue.replacement_shipped.v1"

    replacement_id: UUID
    shipped_at: UtcTime
    expected_delivery_date: date
    carrier: str | None = None
    tracking_number: str | None = None


class IssueReplacementDelivered(IssueEvent):
    """It is there. `lines` are the pieces of this issue that have arrived so far: each may be reported itself."""

    TYPE: ClassVar = "issue.replacement_delivered.v1"

    replacement_id: UUID
    delivered_at: UtcTime
    lines: Lines | None = None


class IssueChoiceRequested(IssueEvent):
    """The customer is asked, once, by link: `options`, until `due_at`; no answer means `default`.

    With the option `change` they may have one of `variants` instead; the answer names it as `requested_sku`.
    """

    TYPE: ClassVar = "issue.choice_requested.v1"

    choice_id: UUID
    cause: str
    options: Annotated[tuple[Choice, ...], Field(min_length=1)]
    default: Choice
    restock_date: date | None = None
    variants: tuple[Variant, ...] = ()
    due_at: UtcTime


class IssueCollectionRequested(IssueEvent):
    """The courier was asked to come. With `swap` it is the one who brings the replacement: the old goes with them.

    `window` is what the customer picked; a `visit_id` that another issue has too means one visit for both.
    """

    TYPE: ClassVar = "issue.collection_requested.v1"

    collection_id: UUID
    earliest_date: date
    swap: bool = False
    window: TimeWindow | None = None
    visit_id: UUID | None = None
    attempt: Annotated[int, Field(ge=1)] = 1
    requested_at: UtcTime


class IssueCollectionWindowChosen(IssueEvent):
    """The customer picked when the courier may come, or changed it."""

    TYPE: ClassVar = "issue.collection_window_chosen.v1"

    window: TimeWindow
    chosen_at: UtcTime


class IssueCollectionBooked(IssueEvent):
    TYPE: ClassVar = "issue.collection_booked.v1"

    collection_id: UUID
    window: TimeWindow
    attempt: Annotated[int, Field(ge=1)] = 1


class IssueCollectionAttempted(IssueEvent):
    """The courier was at the door and nobody met. They come again on `next_date`; None: a human arranges it."""

    TYPE: ClassVar = "issue.collection_attempted.v1"

    collection_id: UUID
    cause: str
    attempt: Annotated[int, Field(ge=1)]
    attempted_at: UtcTime
    next_date: date | None = None


class IssueCollectionReminded(IssueEvent):
    """The item has not come back since the replacement arrived: the customer is reminded, for the `reminder`-th time.

    The courier comes on `next_date` unless the customer picks another window; from `due_on` on a human looks. Nothing
    is ever charged by this.
    """

    TYPE: ClassVar = "issue.collection_reminded.v1"

    reminder: Annotated[int, Field(ge=1)]
    next_date: date
    due_on: date
    reminded_at: UtcTime


class IssueCollected(IssueEvent):
    TYPE: ClassVar = "issue.collected.v1"

    collection_id: UUID
    collected_at: UtcTime
    lines: Lines | None = None


class IssueItemReceived(IssueEvent):
    TYPE: ClassVar = "issue.item_received.v1"

    lines: Annotated[tuple[ReceivedLine, ...], Field(min_length=1)]
    received_at: UtcTime


class IssueItemInspected(IssueEvent):
    TYPE: ClassVar = "issue.item_inspected.v1"

    lines: Annotated[tuple[InspectedLine, ...], Field(min_length=1)]
    inspected_at: UtcTime


class IssueRefundRequested(IssueEvent):
    TYPE: ClassVar = "issue.refund_requested.v1"

    refund_id: UUID
    amount: Money
    requested_at: UtcTime


class IssueRefunded(IssueEvent):
    TYPE: ClassVar = "issue.refunded.v1"

    refund_id: UUID
    amount: Money
    refunded_at: UtcTime


class IssueResolved(IssueEvent):
    """All legs are done. `resolution` counts how often this issue was resolved (1, or more after reopening).

    `value` is what the reported units had cost; `fault` whose fault it was: what loyalty needs to say sorry, with how
    long they waited for the goods or the money (whole days since the report), how many promised dates broke, and
    whether they got what they had wished for.
    """

    TYPE: ClassVar = "issue.resolved.v1"

    remedy: Remedy
    reason: Reason
    fault: Fault
    value: Money
    resolution: Annotated[int, Field(ge=1)] = 1
    resolved_at: UtcTime
    waited_days: Annotated[int, Field(ge=0)] = 0
    promises_broken: Annotated[int, Field(ge=0)] = 0
    requested_remedy_granted: bool = True


class IssueRated(IssueEvent):
    """The customer answered the survey: 0 (never again) to 10. `resolution` names the resolution that was rated.

    Why stays with intake: it is the customer's own text (invariant 12).
    """

    TYPE: ClassVar = "issue.rated.v1"

    score: Annotated[int, Field(ge=0, le=10)]
    resolution: Annotated[int, Field(ge=1)] = 1
    rated_at: UtcTime


class IssueReopened(IssueEvent):
    """A resolved issue goes on. `resolution` names the resolution that no longer holds."""

    TYPE: ClassVar = "issue.reopened.v1"

    cause: str
    resolution: Annotated[int, Field(ge=1)] = 1
    reopened_at: UtcTime


class IssueCancelled(IssueEvent):
    """Nothing will be sent, fetched or paid any more; the units are free for another report."""

    TYPE: ClassVar = "issue.cancelled.v1"

    cause: str
    cancelled_at: UtcTime


class IssueStaffDecisionApplied(IssueEvent):
    """What came of a staff decision. Not `applied`: nothing changed, and `code` and `message` say why.

    `decision_id` is that of `issue.staff_decided`, where the decision came that way.
    """

    TYPE: ClassVar = "issue.staff_decision_applied.v1"

    decision_id: UUID | None = None
    action: StaffAction
    staff: Identifier
    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    applied: bool
    code: str | None = None
    message: str | None = None
    processed_at: UtcTime
