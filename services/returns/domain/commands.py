"""Commands of operators, decided by `decide` like any event."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import StringConstraints

from libs.common.events.anomalies import CountId
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, Remedy

CauseText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class CaseCommand(Payload):
    issue_id: UUID


class CancelCase(CaseCommand):
    TYPE: ClassVar = "case.cancel.v1"

    cause: CauseText


class AssignCount(CaseCommand):
    """Count a kept box of the warehouse for this case."""

    TYPE: ClassVar = "case.assign_count.v1"

    count_id: CountId
    as_other_item: bool = False
    """Count it although it holds no article of this case: the case is then reviewed."""


class SettleCount(Payload):
    """Close a kept box of the warehouse that belongs to no case, such as one that was sent back or disposed of."""

    TYPE: ClassVar = "count.settle.v1"

    count_id: CountId
    staff: Identifier
    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class ReopenCase(CaseCommand):
    TYPE: ClassVar = "case.reopen.v1"

    cause: CauseText
    remedy: Remedy | None = None
