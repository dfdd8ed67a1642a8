"""What callers ask of the ledger: commands, decided like events. They never leave the service."""

from enum import StrEnum
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
"""The words of the human who decided: a private note."""

MOST = 10_000_000
"""More points than this at once are a slip of the hand."""


class AdjustmentText(StrEnum):
    """What the customer reads about points that ops gave or took."""

    GOODWILL = "goodwill"
    CORRECTION = "correction"


class LedgerCommand(Payload):
    customer_id: Identifier


class ReserveAsked(LedgerCommand):
    TYPE: ClassVar = "reserve.asked.v1"

    redemption_id: UUID
    order_id: Identifier
    points: Annotated[int, Field(ge=1, le=MOST)]


class RedemptionCommand(LedgerCommand):
    redemption_id: UUID


class CommitAsked(RedemptionCommand):
    TYPE: ClassVar = "commit.asked.v1"


class ReleaseAsked(RedemptionCommand):
    TYPE: ClassVar = "release.asked.v1"


class ReturnAsked(RedemptionCommand):
    """The purchase for which points were spent was undone: they come back."""

    TYPE: ClassVar = "return.asked.v1"


class AdjustAsked(LedgerCommand):
    TYPE: ClassVar = "adjust.asked.v1"

    adjustment_id: UUID
    change: Annotated[int, Field(ge=-MOST, le=MOST)]
    text: AdjustmentText
    staff: Identifier
    comment: Why


class ReviewAnswered(LedgerCommand):
    """A human decides about an apology that the governor held back."""

    TYPE: ClassVar = "review.answered.v1"

    cause: Annotated[str, StringConstraints(pattern=r"^issue:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:[0-9]{1,6}$")]
    approved: bool
    staff: Identifier
    comment: Why
