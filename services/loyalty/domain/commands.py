"""Commands of the ledger's HTTP callers, decided like events. They never leave the service."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier

StaffComment = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
"""Private note of the member of staff who decided."""

ReviewCause = Annotated[str, StringConstraints(pattern=r"^issue:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,6}$")]
"""Cause of one resolution of an issue."""

MAX_POINTS = 10_000_000
"""Upper bound of points per command, against typing errors."""


class AdjustmentText(StrEnum):
    """Public text code of an adjustment."""

    GOODWILL = "goodwill"
    CORRECTION = "correction"


class LedgerCommand(Payload):
    customer_id: Identifier


class ReservePoints(LedgerCommand):
    TYPE: ClassVar = "reserve_points.v1"

    redemption_id: UUID
    order_id: Identifier
    points: Annotated[int, Field(ge=1, le=MAX_POINTS)]


class RedemptionCommand(LedgerCommand):
    redemption_id: UUID


class CommitRedemption(RedemptionCommand):
    TYPE: ClassVar = "commit_redemption.v1"


class ReleaseRedemption(RedemptionCommand):
    TYPE: ClassVar = "release_redemption.v1"


class ReturnRedemption(RedemptionCommand):
    """Return spent points, because their purchase was undone."""

    TYPE: ClassVar = "return_redemption.v1"


class AdjustPoints(LedgerCommand):
    TYPE: ClassVar = "adjust_points.v1"

    adjustment_id: UUID
    change: Annotated[int, Field(ge=-MAX_POINTS, le=MAX_POINTS)]
    text: AdjustmentText
    staff: Identifier
    comment: StaffComment


class DecideReview(LedgerCommand):
    """Approve or refuse an apology that exceeded the customer's limits."""

    TYPE: ClassVar = "decide_review.v1"

    cause: ReviewCause
    approved: bool
    staff: Identifier
    comment: StaffComment
