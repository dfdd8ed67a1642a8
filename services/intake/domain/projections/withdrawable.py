"""Condition for a withdrawal of a report by its customer: nothing has left yet."""

from collections.abc import Iterable

from libs.common.events.issues import (
    IssueCollected,
    IssueItemReceived,
    IssueRefunded,
    IssueReopened,
    IssueReplacementDelivered,
    IssueReplacementShipped,
)
from services.intake.domain.projections.issue_status import IssueStatus

WITHDRAWABLE = frozenset(
    {
        IssueStatus.ACCEPTED,
        IssueStatus.IN_REVIEW,
        IssueStatus.WAITING_FOR_CUSTOMER,
        IssueStatus.REPLACEMENT_ORDERED,
        IssueStatus.REOPENED,
    }
)
"""Statuses in which nothing may have left yet; a review can also begin afterwards."""

_LEAVING = frozenset(
    payload.TYPE
    for payload in (
        IssueReplacementShipped, IssueReplacementDelivered, IssueCollected, IssueItemReceived, IssueRefunded,
    )
)  # fmt: skip


def can_withdraw(status: str, event_types: Iterable[str]) -> bool:
    """Return whether a report can be taken back; `event_types` are those of its timeline, in order.

    What left before an issue was reopened is the matter of its first round. Where a shipment crosses the withdrawal,
    returns decides.
    """
    if status not in WITHDRAWABLE:
        return False
    has_left = False
    for event_type in event_types:
        has_left = event_type in _LEAVING or (has_left and event_type != IssueReopened.TYPE)
    return not has_left
