"""Commands of intake: what routes, pages and webhooks request. They never leave the service."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events.envelope import Payload
from libs.common.events.storefront import IssueSubmitted
from libs.common.events.values import Identifier, Remedy, StaffAction
from services.intake.domain.orders import StoredPhoto

DecisionComment = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class SubmitReport(Payload):
    """Report an issue over HTTP; unlike `issue.submitted`, the caller waits for the answer."""

    TYPE: ClassVar = "report.submit.v1"

    issue_id: UUID
    report: IssueSubmitted


class SubmitLateReport(SubmitReport):
    """Report an issue for a customer, by staff who overrule the report window; all other checks are made."""

    TYPE: ClassVar = "report.submit_late.v1"


class SubmitUnclearReport(SubmitReport):
    """Report an issue without a clear reason, for review by staff. Its `reason` costs the customer nothing."""

    TYPE: ClassVar = "report.submit_unclear.v1"


class ProvideDetails(Payload):
    """Add photos, names of missing parts (by line) or a description to an issue."""

    TYPE: ClassVar = "details.provide.v1"

    issue_id: UUID
    order_id: str
    photos: tuple[StoredPhoto, ...] = ()
    parts: dict[str, str] = Field(default_factory=dict)
    description: str | None = None
    max_photos: int = 50


class WithdrawReport(Payload):
    """Take a report back, on behalf of its customer."""

    TYPE: ClassVar = "report.withdraw.v1"

    issue_id: UUID
    order_id: str
    customer_id: Identifier


class RecordStaffDecision(Payload):
    """Decide an issue as staff. `expected_version` is the number of decisions that the person had seen."""

    TYPE: ClassVar = "staff_decision.record.v1"

    issue_id: UUID
    order_id: str
    decision_id: UUID
    action: StaffAction
    staff: Identifier
    comment: DecisionComment
    expected_version: Annotated[int, Field(ge=0)]
    review: str | None = None
    remedy: Remedy | None = None
