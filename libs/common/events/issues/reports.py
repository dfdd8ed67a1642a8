"""Reports of issues: acceptance, rejection, reviews, missing details, staff decisions."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events.issues.base import IssueEvent
from libs.common.events.values import (
    Day,
    Identifier,
    IssueLine,
    LineQuantity,
    Reason,
    Remedy,
    ReportedLine,
    Reporter,
    StaffAction,
    UtcTime,
)
from libs.common.events.values.open_enums import Open


class IssueReported(IssueEvent):
    """A customer reported an issue; it is not checked yet."""

    TYPE: ClassVar = "issue.reported.v1"

    reason: Reason
    lines: Annotated[tuple[ReportedLine, ...], Field(min_length=1)]
    """Reported units by order line."""
    requested_remedy: Remedy | None = None
    """Remedy the customer prefers, if stated."""
    reference: str | None = None
    """The storefront's own number for the report."""
    noticed_on: Day | None = None
    """Day on which the customer noticed the problem, if stated."""
    reported_by: Reporter = Reporter.CUSTOMER
    """Reporter: the customer, or the receiver of a gift."""
    reported_at: UtcTime
    """Time of the report."""


class IssueAccepted(IssueEvent):
    """Intake accepted the report; the returns service decides on the remedy.

    Carries all order data that readers need.
    """

    TYPE: ClassVar = "issue.accepted.v1"

    reason: Reason
    lines: Annotated[tuple[IssueLine, ...], Field(min_length=1)]
    """Accepted units with their order data."""
    requested_remedy: Remedy | None = None
    """Remedy the customer prefers, if stated."""
    market: str = "JP"
    """Country of the order (ISO 3166-1 alpha-2)."""
    delivered_on: Day | None = None
    """Latest delivery day of the reported units; absent if none was delivered (lost in transit)."""
    delivered_before: tuple[LineQuantity, ...] | None = None
    """Units of the reported lines that had been delivered before the report; a line without any is left out. Absent if
    unknown."""
    noticed_on: Day | None = None
    """Day on which the customer noticed the problem, if stated."""
    next_update_by: Day | None = None
    """Open day of the shop by which the customer gets the next update at the latest."""
    first_response_due_at: UtcTime | None = None
    """Deadline of the first response, counted in the shop's business hours."""
    reported_by: Reporter = Reporter.CUSTOMER
    """Reporter: the customer, or the receiver of a gift."""
    reported_at: UtcTime
    """Time of the report."""
    accepted_at: UtcTime
    """Time of acceptance."""


class IssueRejected(IssueEvent):
    """Intake rejected the report."""

    TYPE: ClassVar = "issue.rejected.v1"

    code: str
    """Stable machine-readable code."""
    message: str
    """Text that names the field, the fault and the remedy."""
    reference: str | None = None
    """The storefront's own number for the report."""
    duplicate_of: UUID | None = None
    """Open issue that covers these units already, if that is the cause."""
    reported_by: Reporter = Reporter.CUSTOMER
    """Reporter: the customer, or the receiver of a gift."""
    rejected_at: UtcTime
    """Time of rejection."""


class IssueReviewRequested(IssueEvent):
    """The issue needs a decision by staff."""

    TYPE: ClassVar = "issue.review_requested.v1"

    cause: str
    """Code of the review's cause."""
    due_at: UtcTime
    """Deadline of the decision; the customer is notified of it."""


class IssueDetailsRequested(IssueEvent):
    """Details are missing from the report; it stays pending until they arrive or `due_at` passes."""

    TYPE: ClassVar = "issue.details_requested.v1"

    missing: tuple[str, ...]
    """Codes of missing details: `photo`, `part`, `description`."""
    due_at: UtcTime
    """Deadline; the report is closed afterwards."""
    reason: Reason | None = None
    """Reported reason."""
    lines: tuple[IssueLine, ...] = ()
    """Reported units with their order data."""
    reminder: Annotated[int, Field(ge=0)] = 0
    """Number of this reminder; 0 for the first request."""
    reported_by: Reporter = Reporter.CUSTOMER
    """Reporter: the customer, or the receiver of a gift."""
    requested_at: UtcTime | None = None
    """Time of this request."""


class IssueDetailsProvided(IssueEvent):
    """The customer provided missing details of a pending report."""

    TYPE: ClassVar = "issue.details_provided.v1"

    provided: tuple[str, ...] = ()
    """Codes of the details provided."""
    missing: tuple[str, ...] = ()
    """Codes of the details still missing."""
    provided_at: UtcTime
    """Time of the answer."""


class IssueStaffDecided(IssueEvent):
    """Staff made a decision about the issue; `issue.staff_decision_applied` follows with its outcome."""

    TYPE: ClassVar = "issue.staff_decided.v1"

    decision_id: UUID
    """Identity of the decision; a repeated id is a duplicate."""
    action: StaffAction
    """Decision."""
    review: Annotated[str, StringConstraints(max_length=100)] | None = None
    """Cause of the review that is approved or refused, for the review actions."""
    remedy: Remedy | None = None
    """Chosen remedy, for `choose_remedy`."""
    staff: Identifier
    """Staff member who decided."""
    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    """Reason in the staff member's words."""
    decided_at: UtcTime
    """Time of the decision."""


class IssueStaffDecisionApplied(IssueEvent):
    """Outcome of a staff decision."""

    TYPE: ClassVar = "issue.staff_decision_applied.v1"

    decision_id: UUID | None = None
    """Decision of `issue.staff_decided`, if it arrived that way."""
    action: Annotated[StaffAction, Open()]
    """Decision."""
    staff: Identifier
    """Staff member who decided."""
    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    """Reason in the staff member's words."""
    applied: bool
    """False if the decision changed nothing."""
    code: str | None = None
    """Code of the cause, if not applied."""
    message: str | None = None
    """Text of the cause, if not applied."""
    processed_at: UtcTime
    """Time of processing."""
