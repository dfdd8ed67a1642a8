"""Anomalies of an issue: reports of partners that do not fit, for staff to look at."""

from typing import Annotated, ClassVar

from pydantic import Field, StringConstraints

from libs.common.events.issues.base import IssueEvent
from libs.common.events.values import UtcTime

Code = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class IssueAnomalyDetected(IssueEvent):
    """A partner reported something about an issue that does not fit: a replacement, a refund or units that nobody asked
    for. It changed nothing, or not all of what it says; staff decide what is to be done."""

    TYPE: ClassVar = "issue.anomaly_detected.v1"

    anomaly: Code
    """Code of the anomaly."""
    cause_id: Annotated[str, StringConstraints(min_length=1, max_length=400)] | None = None
    """Thing that was reported about, by its kind and id, such as `transaction:T-9` or `count:R-7`. The same anomaly of
    the same thing is one cause, however often and in whichever event it is reported: staff deal with it once."""
    reported_by: Code
    """Source of the event, as in its envelope."""
    event_type: Code
    """Type of the event."""
    event_id: Annotated[str, Field(max_length=200)]
    """Id of the event, by which its author finds it."""
    detected_at: UtcTime
    """Time of detection."""
