"""Refunds, and the end of an issue."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from libs.common.events.issues.base import IssueEvent
from libs.common.events.values import (
    Fault,
    Identifier,
    LineQuantity,
    Money,
    PaidLine,
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
    lines: tuple[PaidLine, ...] = ()
    """Units that are refunded, with their parts of the amount."""
    shipping: Money | None = None
    """Part of the amount that is shipping."""
    requested_at: UtcTime
    """Time of the request."""


class IssueRefunded(IssueEvent):
    """The payment provider paid a refund, or a part of it."""

    TYPE: ClassVar = "issue.refunded.v1"

    refund_id: UUID
    """Refund."""
    amount: Money
    """Amount of this payment."""
    transaction_id: Identifier | None = None
    """Payment by the provider's own id; each payment of a refund has an event of its own."""
    remaining: Money | None = None
    """Amount of this refund that is still to be paid; absent: none."""
    lines: tuple[PaidLine, ...] = ()
    """Units of the refund, with their parts of this payment."""
    shipping: Money | None = None
    """Part of this payment that is shipping."""
    reason: Reason | None = None
    """Reason of the issue: units lost in transit never reached the customer."""
    refunded_at: UtcTime
    """Time of the refund."""


class IssueRefundReversed(IssueEvent):
    """A refund came back from the customer's bank, whole or in part: it counts as not paid."""

    TYPE: ClassVar = "issue.refund_reversed.v1"

    refund_id: UUID
    """Refund."""
    transaction_id: Identifier
    """Reversal by the provider's own id."""
    amount: Money
    """Amount that came back."""
    lines: tuple[PaidLine, ...] = ()
    """Units of the refund, with their parts of this amount."""
    shipping: Money | None = None
    """Part of this amount that is shipping."""
    reason: Reason | None = None
    """Reason of the issue."""
    reversed_at: UtcTime
    """Time of the reversal."""


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
    """The issue was cancelled: nothing further is sent, collected or paid.

    Its units can be reported again, except those of which a replacement is on its way or a refund was paid.
    """

    TYPE: ClassVar = "issue.cancelled.v1"

    cause: str
    """Code of the cause."""
    cancelled_at: UtcTime
    """Time of cancellation."""
    kept_lines: tuple[LineQuantity, ...] = ()
    """Units that stay with this issue, because their replacement has shipped or their refund was paid."""
