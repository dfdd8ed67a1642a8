"""Timeline of an issue: one row per event of the topics.

An issue has some fifteen events, so projecting one reads no state: each event becomes a row, and hundreds of rows are
one insert.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.common.decisions.facts import Facts, Ignored, Record
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.events import issues, topics
from libs.common.events.envelope import Payload
from libs.common.events.registry import PAYLOADS, AnyEvent
from libs.common.events.values import LineQuantity

SUBSCRIBES: tuple[type[Payload], ...] = tuple(
    payload
    for payload in PAYLOADS
    if payload.TOPIC in (topics.ISSUES, topics.NOTICES, topics.LOYALTY) and "issue_id" in payload.model_fields
)
"""Events of a timeline. Notices about an order, and points without an issue, are in no timeline."""


@dataclass(slots=True)
class TimelineEntry(Record):
    """One event of an issue; `data` is the payload as JSON text, without the ids of the issue.

    Not frozen: one is created per event and issue, and a frozen dataclass costs four times as much.
    """

    issue_id: UUID
    event_id: str
    at: datetime
    type: str
    data: str
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class UnitsReleased(Record):
    """The units of this issue may be reported again, but for those of which a replacement or the money has left."""

    order_id: str
    issue_id: UUID
    kept_lines: tuple[LineQuantity, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitsReplaced(Record):
    """The replacements of these lines of the issue were delivered; None: of all its lines."""

    order_id: str
    issue_id: UUID
    lines: tuple[LineQuantity, ...] | None
    replaced_at: datetime


@dataclass(frozen=True, slots=True)
class ReplacementRevoked(Record):
    """The issue was reopened: its replacement did not solve it, and cannot be reported as a unit of its own."""

    order_id: str
    issue_id: UUID


@dataclass(frozen=True, slots=True)
class ResendAnswered(Record):
    """Returns has answered a staff decision that may send the units again; `applied`: it does so."""

    order_id: str
    issue_id: UUID
    decision_id: UUID | None
    applied: bool


def issue_id_of(event: AnyEvent) -> UUID | None:
    """Return the issue whose timeline this event belongs to."""
    issue_id: UUID | None = getattr(event.data, "issue_id", None)
    return issue_id


_IDS = {"issue_id", "order_id", "customer_id"}

_UNIT_CHANGES: dict[type[Payload], Callable[[Any], Record]] = {
    issues.IssueCancelled: lambda event: UnitsReleased(event.order_id, event.issue_id, event.kept_lines),
    issues.IssueReplacementDelivered: lambda event: UnitsReplaced(
        event.order_id, event.issue_id, event.lines, event.delivered_at
    ),
    issues.IssueReopened: lambda event: ReplacementRevoked(event.order_id, event.issue_id),
    issues.IssueStaffDecisionApplied: lambda event: ResendAnswered(
        event.order_id, event.issue_id, event.decision_id, event.applied
    ),
}
"""Changes of the units that an issue holds, by event."""


def project(event: AnyEvent, trace_id: str | None = None) -> Facts:
    """Return the rows of one event. No state is needed: the key of a row drops duplicates."""
    payload = event.data
    issue_id = issue_id_of(event)
    if issue_id is None:
        return [Ignored("no_issue")]
    # pydantic's own serializer: the wrapper `model_dump_json` costs as much again.
    data = payload.__pydantic_serializer__.to_json(payload, exclude=_IDS, exclude_none=True).decode()
    entry = TimelineEntry(issue_id, event.id, event.time, event.type, data, trace_id)
    unit_change = _UNIT_CHANGES.get(type(payload))
    return [entry, unit_change(payload)] if unit_change else [entry]
