"""What ops may order, as events of this service's own: they take the same way through `decide` as everything else."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import StringConstraints

from libs.common.events.envelope import Payload
from libs.common.events.values import Remedy
from services.returns.domain.review_causes import ReviewCause

Cause = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class Command(Payload):
    issue_id: UUID


class ReviewDecided(Command):
    TYPE: ClassVar = "case.review_decided.v1"

    cause: ReviewCause
    approved: bool


class CancelRequested(Command):
    TYPE: ClassVar = "case.cancel_requested.v1"

    cause: Cause


class ReopenRequested(Command):
    TYPE: ClassVar = "case.reopen_requested.v1"

    cause: Cause
    remedy: Remedy | None = None
