"""Refunds, and the end of an issue."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events.issues.base import IssueEvent
from libs.common.events.values import (
    Fault,
    Money,
    Reason,
    Remedy,
    UtcTime,
)


class IssueRefundRequested(IssueEvent):
    """A refund was requested from the payment provider."""

    TYPE: ClassVar = "issue.refund_requested.v1"

    refund_id: UUID
    """Refund."""
    amount: Money
    """Amount to be refunded."""
    requested_at: UtcTime
    """Time of the request."""


class IssueRefunded(IssueEvent):
    """The payment provider completed a refund."""

    TYPE: ClassVar = "issue.refunded.v1"

    refund_id: UUID
    """Refund."""
    amount: Money
    """Refunded amount."""
    refunded_at: UtcTime
    """Time of the refund."""


class IssueResolved(IssueEvent):
    """All legs of the issue are complete."""

    TYPE: ClassVar = "issue.resolved.v1"

    remedy: Remedy
    """Remedy that was carried out."""
    reason: Reason
    """Reason of the report."""
    fault: Fault
    """Party at fault."""
    value: Money
    """Price paid for the reported units."""
    resolution: Annotated[int, Field(ge=1)] = 1
    """Number of this resolution: 1, more after reopening."""
    resolved_at: UtcTime
    """Time of resolution."""
    waited_days: Annotated[int, Field(ge=0)] = 0
    """Whole days from the report to the arrival of goods or money."""
    promises_broken: Annotated[int, Field(ge=0)] = 0
    """Number of promised dates that were not kept."""
    requested_remedy_granted: bool = True
    """False if the customer asked for another remedy."""


class IssueRated(IssueEvent):
    """The customer answered the survey about a resolution. The free text stays in intake (invariant 12)."""

    TYPE: ClassVar = "issue.rated.v1"

    score: Annotated[int, Field(ge=0, le=10)]
    """Score from 0 (lowest) to 10."""
    resolution: Annotated[int, Field(ge=1)] = 1
    """Number of the resolution that is rated."""
    rated_at: UtcTime
    """Time of the answer."""


class IssueReopened(IssueEvent):
    """A resolved issue was reopened."""

    TYPE: ClassVar = "issue.reopened.v1"

    cause: str
    """Code of the cause."""
    resolution: Annotated[int, Field(ge=1)] = 1
    """Number of the resolution that is void now."""
    reopened_at: UtcTime
    """Time of reopening."""


class IssueCancelled(IssueEvent):
    """The issue was cancelled: nothing further is sent, collected or paid, and its units can be reported again."""

    TYPE: ClassVar = "issue.cancelled.v1"

    cause: str
    """Code of the cause."""
    cancelled_at: UtcTime
    """Time of cancellation."""
