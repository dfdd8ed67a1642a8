"""Events of an issue, by module in the order of its life. Intake writes the reports, returns the other events."""

from libs.common.events.issues.anomalies import IssueAnomalyDetected
from libs.common.events.issues.base import IssueEvent
from libs.common.events.issues.inbound import (
    IssueCollected,
    IssueCollectionAttempted,
    IssueCollectionBooked,
    IssueCollectionReminded,
    IssueCollectionRequested,
    IssueCollectionWindowChosen,
    IssueItemInspected,
    IssueItemReceived,
)
from libs.common.events.issues.outbound import (
    IssueChoiceRequested,
    IssueReplacementDelayed,
    IssueReplacementDelivered,
    IssueReplacementDeliveryChanged,
    IssueReplacementOrdered,
    IssueReplacementPartShipped,
    IssueReplacementPromised,
    IssueReplacementShipped,
)
from libs.common.events.issues.outcome import (
    IssueCancelled,
    IssueRated,
    IssueRefunded,
    IssueRefundRequested,
    IssueRefundReversed,
    IssueReopened,
    IssueResolved,
)
from libs.common.events.issues.reports import (
    IssueAccepted,
    IssueDetailsProvided,
    IssueDetailsRequested,
    IssueRejected,
    IssueReported,
    IssueReviewRequested,
    IssueStaffDecided,
    IssueStaffDecisionApplied,
)

__all__ = [
    "IssueAccepted",
    "IssueAnomalyDetected",
    "IssueCancelled",
    "IssueChoiceRequested",
    "IssueCollected",
    "IssueCollectionAttempted",
    "IssueCollectionBooked",
    "IssueCollectionReminded",
    "IssueCollectionRequested",
    "IssueCollectionWindowChosen",
    "IssueDetailsProvided",
    "IssueDetailsRequested",
    "IssueEvent",
    "IssueItemInspected",
    "IssueItemReceived",
    "IssueRated",
    "IssueRefundRequested",
    "IssueRefundReversed",
    "IssueRefunded",
    "IssueRejected",
    "IssueReopened",
    "IssueReplacementDelayed",
    "IssueReplacementDelivered",
    "IssueReplacementDeliveryChanged",
    "IssueReplacementOrdered",
    "IssueReplacementPartShipped",
    "IssueReplacementPromised",
    "IssueReplacementShipped",
    "IssueReported",
    "IssueResolved",
    "IssueReviewRequested",
    "IssueStaffDecided",
    "IssueStaffDecisionApplied",
]
