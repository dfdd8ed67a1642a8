"""Commands of operators, decided by `decide` like any event."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import StringConstraints

from libs.common.events.envelope import Payload
from libs.common.events.values import Remedy

CauseText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class CaseCommand(Payload):
    issue_id: UUID


class CancelCase(CaseCommand):
    TYPE: ClassVar = "case.cancel.v1"

    cause: CauseText


class AssignCount(CaseCommand):
    """Count a kept box of the warehouse for this case."""

    TYPE: ClassVar = "case.assign_count.v1"

    count_id: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class ReopenCase(CaseCommand):
    TYPE: ClassVar = "case.reopen.v1"

    cause: CauseText
    remedy: Remedy | None = None
