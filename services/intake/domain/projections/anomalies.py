"""Projection of anomalies that no issue shows: opened by their first report, ended by staff or by themselves. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from libs.common.decisions.facts import Facts, Record
from libs.common.decisions.ids import derived_id
from libs.common.events.anomalies import AnomalyCleared, AnomalyDetected, CountStaffDecisionApplied
from libs.common.events.registry import AnyEvent

SUBSCRIBES = (AnomalyDetected, AnomalyCleared, CountStaffDecisionApplied)
RESPONSE_TIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class OpenAnomaly(Record):
    """An anomaly as it was reported last, due for staff a day after its first report."""

    anomaly_id: UUID
    cause: str
    anomaly: str
    detected_by: str
    thing: str
    detail: str
    issue_id: UUID | None
    order_id: str | None
    reported_by: str
    event_type: str
    event_id: str
    reported: tuple[tuple[str, str], ...]
    since: datetime

    @property
    def due_at(self) -> datetime:
        return self.since + RESPONSE_TIME


@dataclass(frozen=True, slots=True)
class AnomalyEnded(Record):
    """An anomaly that has ended by itself."""

    anomaly_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class DecisionAnswered(Record):
    """The answer to a decision of staff: applied, or refused with a code."""

    anomaly_id: UUID
    staff: str
    refusal: str | None
    at: datetime


def anomaly_id_of(cause: str) -> UUID:
    """Return the id of an anomaly for addresses of the desk."""
    return derived_id("anomaly", cause)


def project(event: AnyEvent) -> Facts:
    match event.data:
        case AnomalyDetected() as detected:
            return [
                OpenAnomaly(
                    anomaly_id=anomaly_id_of(detected.cause),
                    cause=detected.cause,
                    anomaly=detected.anomaly,
                    detected_by=detected.detected_by,
                    thing=detected.thing or "",
                    detail=detected.detail or "",
                    issue_id=detected.issue_id,
                    order_id=detected.order_id,
                    reported_by=detected.reported_by,
                    event_type=detected.event_type,
                    event_id=detected.event_id,
                    reported=tuple((each.field, each.value) for each in detected.reported),
                    since=detected.detected_at,
                )
            ]
        case AnomalyCleared(cause=cause, cleared_at=at):
            return [AnomalyEnded(anomaly_id_of(cause), at)]
        case CountStaffDecisionApplied(cause=cause, staff=staff, code=code, processed_at=at):
            return [DecisionAnswered(anomaly_id_of(cause), staff, code, at)]
    return []
