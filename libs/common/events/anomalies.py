"""Anomalies outside a case: reports that fit no case, no order or no account, for staff to look at.

An anomaly of a case is `issue.anomaly_detected`. No names and no addresses (invariant 12): `reported` holds ids, codes,
quantities and amounts of the reported event.
"""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field, StringConstraints

from libs.common.events import topics
from libs.common.events.envelope import Payload
from libs.common.events.values import Identifier, UtcTime, Value

Code = Annotated[str, StringConstraints(min_length=1, max_length=100)]
CountId = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Cause = Annotated[str, StringConstraints(min_length=1, max_length=600)]


class ReportedField(Value):
    """A field of the reported event, with its values in order."""

    field: Code
    """Name of the field."""
    value: Annotated[str, StringConstraints(max_length=400)]
    """Values, separated by commas; shortened to 400 characters."""


class AnomalyEvent(Payload):
    """Base of the events of an anomaly outside a case."""

    TOPIC = topics.ANOMALIES

    cause: Cause
    """Detecting service, code, and the thing that was reported about. The same cause is one anomaly, however often and
    in whichever event it is reported. Also the Kafka key."""


class AnomalyDetected(AnomalyEvent):
    """Something was reported that should not have occurred, and no case shows it. Staff decide what is to be done."""

    TYPE: ClassVar = "anomaly.detected.v1"

    anomaly: Code
    """Code of the anomaly."""
    detected_by: Code
    """Service that detected it."""
    thing: Annotated[str, StringConstraints(max_length=400)] | None = None
    """Thing that was reported about, by its kind and id, such as `count:R-7` or `issue:...`."""
    detail: Annotated[str, StringConstraints(max_length=400)] | None = None
    """Ids and codes that explain the anomaly."""
    issue_id: UUID | None = None
    """Issue that the report names. It may be unknown."""
    order_id: Identifier | None = None
    """Order that the report names. It may be unknown."""
    reported_by: Code
    """Source of the event, as in its envelope."""
    event_type: Code
    """Type of the event."""
    event_id: Annotated[str, Field(max_length=200)]
    """Id of the event, by which its author finds it."""
    reported: Annotated[tuple[ReportedField, ...], Field(max_length=40)] = ()
    """Ids, codes, quantities and amounts of the event."""
    detected_at: UtcTime
    """Time of detection."""


class AnomalyCleared(AnomalyEvent):
    """The anomaly has ended by itself: its report fits by now, such as a counted box whose case has opened."""

    TYPE: ClassVar = "anomaly.cleared.v1"

    issue_id: UUID | None = None
    """Issue to which the report belongs."""
    cleared_at: UtcTime
    """Time of the end."""


class CountStaffDecided(AnomalyEvent):
    """Staff decided about a counted box without a case: it belongs to an issue, or to none."""

    TYPE: ClassVar = "count.staff_decided.v1"

    count_id: CountId
    """Kept count: the number of the warehouse and a mark of the content, or an id from the papers of the box."""
    decision_id: UUID
    """Id of the decision."""
    issue_id: UUID | None = None
    """Issue whose case is to count the box; absent: the box belongs to none and is closed."""
    as_other_item: bool = False
    """Count it although it holds no article of the case: the case is then reviewed."""
    staff: Identifier
    """Decided by."""
    comment: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]
    """Reason, in the words of the staff member."""
    decided_at: UtcTime
    """Time of the decision."""


class CountStaffDecisionApplied(AnomalyEvent):
    """A decision of staff about a counted box was applied, or refused."""

    TYPE: ClassVar = "count.staff_decision_applied.v1"

    count_id: CountId
    """Kept count: the number of the warehouse and a mark of the content, or an id from the papers of the box."""
    decision_id: UUID
    """Id of the decision."""
    issue_id: UUID | None = None
    """Issue of the decision."""
    staff: Identifier
    """Decided by."""
    applied: bool
    """False: refused, and nothing changed."""
    code: Code | None = None
    """Code of the refusal."""
    message: Annotated[str, StringConstraints(max_length=400)] | None = None
    """Fault and remedy of the refusal."""
    processed_at: UtcTime
    """Time of the answer."""


def anomaly_cause(service: str, anomaly: str, thing: str) -> str:
    """Return the cause of an anomaly of this thing (`kind:id`), on one line."""
    return " ".join(f"{service} {anomaly} {thing}".split())[:600]
