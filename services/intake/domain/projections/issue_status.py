"""Status of an issue, derived from its timeline.

The status is stored beside the report, because lists filter by it: as two registers that only the latest event moves,
so that events may arrive in any order and twice, and one statement updates a whole batch. `fold_status` defines the
same status as a fold over the timeline; a test compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from libs.common.events import issues, notices
from services.intake.domain.projections.timeline import TimelineEntry


class IssueStatus(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    IN_REVIEW = "in_review"
    WAITING_FOR_CUSTOMER = "waiting_for_customer"
    REPLACEMENT_ORDERED = "replacement_ordered"
    REPLACEMENT_SHIPPED = "replacement_shipped"
    REPLACEMENT_DELIVERED = "replacement_delivered"
    RETURN_IN_TRANSIT = "return_in_transit"
    RETURN_RECEIVED = "return_received"
    REFUND_REQUESTED = "refund_requested"
    REFUNDED = "refunded"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    CANCELLED = "cancelled"


CLOSED_STATUSES = frozenset({IssueStatus.REJECTED, IssueStatus.RESOLVED, IssueStatus.CANCELLED})

_PROGRESS: dict[str, IssueStatus] = {
    issues.IssueAccepted.TYPE: IssueStatus.ACCEPTED,
    issues.IssueRejected.TYPE: IssueStatus.REJECTED,
    issues.IssueReviewRequested.TYPE: IssueStatus.IN_REVIEW,
    issues.IssueDetailsRequested.TYPE: IssueStatus.WAITING_FOR_CUSTOMER,
    issues.IssueDetailsProvided.TYPE: IssueStatus.ACCEPTED,
    issues.IssueChoiceRequested.TYPE: IssueStatus.WAITING_FOR_CUSTOMER,
    notices.CustomerDecided.TYPE: IssueStatus.ACCEPTED,
    issues.IssueReplacementOrdered.TYPE: IssueStatus.REPLACEMENT_ORDERED,
    issues.IssueReplacementPromised.TYPE: IssueStatus.REPLACEMENT_ORDERED,
    issues.IssueReplacementDelayed.TYPE: IssueStatus.REPLACEMENT_ORDERED,
    issues.IssueReplacementShipped.TYPE: IssueStatus.REPLACEMENT_SHIPPED,
    issues.IssueReplacementDelivered.TYPE: IssueStatus.REPLACEMENT_DELIVERED,
    issues.IssueCollectionBooked.TYPE: IssueStatus.RETURN_IN_TRANSIT,
    issues.IssueCollected.TYPE: IssueStatus.RETURN_IN_TRANSIT,
    issues.IssueItemReceived.TYPE: IssueStatus.RETURN_RECEIVED,
    issues.IssueItemInspected.TYPE: IssueStatus.RETURN_RECEIVED,
    issues.IssueRefundRequested.TYPE: IssueStatus.REFUND_REQUESTED,
    issues.IssueRefunded.TYPE: IssueStatus.REFUNDED,
    issues.IssueResolved.TYPE: IssueStatus.RESOLVED,
    issues.IssueReopened.TYPE: IssueStatus.REOPENED,
    issues.IssueCancelled.TYPE: IssueStatus.CANCELLED,
}
_LIFECYCLE: dict[str, IssueStatus] = {
    type_: _PROGRESS[type_]
    for type_ in (
        issues.IssueAccepted.TYPE,
        issues.IssueRejected.TYPE,
        issues.IssueResolved.TYPE,
        issues.IssueReopened.TYPE,
        issues.IssueCancelled.TYPE,
    )
}
"""Events that end an issue, or (re)open it; a closed issue changes its status by these alone."""

DECISION_TYPES = frozenset(
    {
        issues.IssueRejected.TYPE,
        issues.IssueReplacementOrdered.TYPE,
        issues.IssueChoiceRequested.TYPE,
        issues.IssueCollectionRequested.TYPE,
        issues.IssueRefundRequested.TYPE,
        issues.IssueResolved.TYPE,
        issues.IssueCancelled.TYPE,
    }
)
"""Events by which the shop decides a report; the first of them ends the decision clock."""


def fold_status(refused: bool, types: Iterable[str]) -> IssueStatus:
    """Return the status after events of these types, in time order; `refused` is intake's own first decision."""
    status = IssueStatus.REJECTED if refused else IssueStatus.ACCEPTED
    for type_ in types:
        if status not in CLOSED_STATUSES or type_ in _LIFECYCLE:
            status = _PROGRESS.get(type_, status)
    return status


class _Effect(NamedTuple):
    """Effect of an event type on the status."""

    progress: IssueStatus | None
    lifecycle: IssueStatus | None
    decides: bool


_EFFECTS = {
    type_: _Effect(_PROGRESS.get(type_), _LIFECYCLE.get(type_), type_ in DECISION_TYPES)
    for type_ in _PROGRESS.keys() | DECISION_TYPES
}


@dataclass(slots=True)
class StatusUpdate:
    """Update of one issue by one batch: the latest of each register, and the earliest decision, with their times."""

    progress_status: IssueStatus | None = None
    progress_at: datetime | None = None
    lifecycle_status: IssueStatus | None = None
    lifecycle_at: datetime | None = None
    decided_at: datetime | None = None

    def apply(self, effect: _Effect, at: datetime) -> None:
        if effect.progress and (self.progress_at is None or at >= self.progress_at):
            self.progress_status, self.progress_at = effect.progress, at
        if effect.lifecycle and (self.lifecycle_at is None or at >= self.lifecycle_at):
            self.lifecycle_status, self.lifecycle_at = effect.lifecycle, at
        if effect.decides and (self.decided_at is None or at < self.decided_at):
            self.decided_at = at


_row = attrgetter("progress_status", "progress_at", "lifecycle_status", "lifecycle_at", "decided_at")


@dataclass
class StatusUpdates:
    """Updates of one batch, by issue."""

    by_issue: dict[UUID, StatusUpdate]

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the issue id and the five fields of each update."""
        return [(issue_id, *_row(update)) for issue_id, update in self.by_issue.items()]


def status_updates(entries: Iterable[TimelineEntry]) -> StatusUpdates:
    by_issue: dict[UUID, StatusUpdate] = {}
    for entry in entries:
        effect = _EFFECTS.get(entry.type)
        if effect:
            update = by_issue.get(entry.issue_id)
            if update is None:
                update = by_issue[entry.issue_id] = StatusUpdate()
            update.apply(effect, entry.at)
    return StatusUpdates(by_issue)
